/* SPDX-License-Identifier: 0BSD */
/*
 * One array out of an .npz, a zip of .npy files. The member's header is parsed from a bounded
 * prefix before anything of its claimed size is made.
 */
#include "tensor/npy.h"

#include <string.h>
#include "io/input.h"
#include "io/zip.h"

/* The member that holds the array; without a name the first one. */
static const rs_zip_member *
locate(const rs_zip *z, const char *name, resect_error *err)
{
        for (size_t i = 0; i < z->n; i++) {
                const char *entry = z->members[i].name;
                size_t length = strlen(entry);
                if (length < 4 || strcmp(entry + length - 4, ".npy") != 0)
                        continue;
                if (!name || (strlen(name) == length - 4 && memcmp(name, entry, length - 4) == 0))
                        return &z->members[i];
        }
        return name ? RS_FAIL_NULL(err, RESECT_FORMAT, "there is no array '%s'", name)
                    : RS_FAIL_NULL(err, RESECT_FORMAT, "there is no array");
}

static bool
read_member(const rs_zip_member *m, rs_arena *arena, resect_tensor *t, resect_error *err)
{
        unsigned char prefix[RS_NPY_PREFIX_MAX];
        rs_npy h;
        rs_span bytes;
        size_t n = 0;
        if (!rs_zip_peek(m, prefix, sizeof prefix, &n, err) || !rs_npy_parse(&h, prefix, n, err))
                return false;
        if (m->size - h.start != h.bytes)
                return rs_fail(err, RESECT_FORMAT, "%llu bytes of data for a shape that takes %zu",
                        (unsigned long long)(m->size - h.start), h.bytes);
        return rs_zip_bytes(m, arena, &bytes, err) && rs_npy_fill(t, &h, bytes.data + h.start, err);
}

bool
resect_tensor_read_npz(resect_tensor *t, const char *path, const char *name, resect_error *err)
{
        *t = (resect_tensor){0};
        rs_arena arena = {0};
        rs_zip z;
        rs_input *in = rs_input_open(path, 0, err);
        if (!in)
                return false;
        bool ok = rs_zip_read(&z, in->data, in->size, &arena, err);
        const rs_zip_member *m = ok ? locate(&z, name, err) : NULL;
        ok = m && read_member(m, &arena, t, err);
        if (!ok)
                name ? rs_fail_at(err, "%s: %s", path, name) : rs_fail_at(err, "%s", path);
        rs_arena_free(&arena);
        rs_input_free(in);
        return ok;
}

bool
rs_npz_has(const char *path, const char *name, bool *has, resect_error *err)
{
        rs_arena arena = {0};
        rs_zip z;
        rs_input *in = rs_input_open(path, 0, err);
        if (!in)
                return false;
        bool ok = rs_zip_read(&z, in->data, in->size, &arena, err) || rs_fail_at(err, "%s", path);
        *has = ok && locate(&z, name, NULL);
        rs_arena_free(&arena);
        rs_input_free(in);
        return ok;
}
