/* SPDX-License-Identifier: 0BSD */
/*
 * .npz: a zip of .npy files, stored or deflated. Deflate makes at most 1032 bytes of one, so a
 * member that claims more than that is lying; and its header is parsed from a bounded prefix before
 * anything of its claimed size is allocated. libzip is told to compare the directory with the local
 * headers, and checks the sums when a member is read to its end.
 */
#include "tensor/npy.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include "io/input.h"

enum { DEFLATE_MOST = 1032 };

struct member {
        zip_file_t *file;
        uint64_t size;
};

static bool
zip_trouble(resect_error *err, zip_error_t *e)
{
        return rs_fail(err, zip_error_code_zip(e) == ZIP_ER_MEMORY ? RESECT_NOMEM : RESECT_FORMAT,
                "not a sound zip: %s", zip_error_strerror(e));
}

/* The number of the member that holds the array; every name alike counts, so that two of one name
 * are refused. */
static bool
locate(zip_t *z, const char *name, zip_uint64_t *at, resect_error *err)
{
        int found = 0;
        zip_int64_t n = zip_get_num_entries(z, 0);
        for (zip_int64_t i = 0; i < n; i++) {
                const char *entry = zip_get_name(z, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
                size_t length = entry ? strlen(entry) : 0;
                if (length < 4 || strcmp(entry + length - 4, ".npy") != 0)
                        continue;
                if (name && (strlen(name) != length - 4 || memcmp(name, entry, length - 4) != 0))
                        continue;
                if (!found++)
                        *at = (zip_uint64_t)i;
                if (!name)
                        break;
        }
        if (found > 1)
                return rs_fail(err, RESECT_FORMAT, "two arrays are called '%s'", name);
        if (!found)
                return name ? rs_fail(err, RESECT_FORMAT, "there is no array '%s'", name)
                            : rs_fail(err, RESECT_FORMAT, "there is no array");
        return true;
}

static bool
open_member(zip_t *z, zip_uint64_t at, size_t file_size, struct member *m, resect_error *err)
{
        zip_stat_t s;
        const zip_uint64_t need = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD |
                                  ZIP_STAT_ENCRYPTION_METHOD;
        if (zip_stat_index(z, at, 0, &s) || (s.valid & need) != need)
                return zip_trouble(err, zip_get_error(z));
        if (s.encryption_method != ZIP_EM_NONE)
                return rs_fail(err, RESECT_UNSUPPORTED, "the array is encrypted");
        if (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "the array is compressed by method %d, not deflate", (int)s.comp_method);
        if (s.comp_size > file_size || s.size / DEFLATE_MOST > s.comp_size)
                return rs_fail(err, RESECT_FORMAT, "the array claims %llu bytes out of %llu",
                        (unsigned long long)s.size, (unsigned long long)s.comp_size);
        m->size = s.size;
        m->file = zip_fopen_index(z, at, 0);
        return m->file || zip_trouble(err, zip_get_error(z));
}

static bool
read_bytes(struct member *m, unsigned char *out, size_t n, resect_error *err)
{
        for (size_t done = 0; done < n;) {
                zip_int64_t got = zip_fread(m->file, out + done, n - done);
                if (got < 0)
                        return zip_trouble(err, zip_file_get_error(m->file));
                if (got == 0)
                        return rs_fail(err, RESECT_FORMAT, "the array ends too early");
                done += (size_t)got;
        }
        return true;
}

static bool
read_member(struct member *m, resect_tensor *t, resect_error *err)
{
        unsigned char prefix[RS_NPY_PREFIX_MAX], more;
        rs_npy h;
        size_t n = m->size < sizeof prefix ? (size_t)m->size : sizeof prefix;
        if (!read_bytes(m, prefix, n, err) || !rs_npy_parse(&h, prefix, n, err))
                return false;
        if (m->size - h.start != h.bytes)
                return rs_fail(err, RESECT_FORMAT, "%llu bytes of data for a shape that takes %zu",
                        (unsigned long long)(m->size - h.start), h.bytes);
        unsigned char *data = rs_alloc_aligned(h.bytes, err);
        if (!data)
                return false;
        size_t have = n - h.start;
        if (have)
                memcpy(data, prefix + h.start, have);
        bool ok = read_bytes(m, data + have, h.bytes - have, err);
        if (ok && zip_fread(m->file, &more, 1) != 0) /* the end, where the sum is compared */
                ok = rs_fail(err, RESECT_FORMAT, "the array is damaged (its CRC-32 is another)");
        ok = ok && rs_npy_fill(t, &h, data, err);
        rs_free_aligned(data);
        return ok;
}

static bool
read_zip(const rs_input *in, const char *name, resect_tensor *t, resect_error *err)
{
        zip_error_t e;
        zip_error_init(&e);
        zip_source_t *source = zip_source_buffer_create(in->data, in->size, 0, &e);
        zip_t *z = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &e) : NULL;
        if (!z) {
                zip_trouble(err, &e);
                zip_source_free(source);
                zip_error_fini(&e);
                return false;
        }
        zip_uint64_t at = 0;
        struct member m = {0};
        bool ok = locate(z, name, &at, err) && open_member(z, at, in->size, &m, err) &&
                  read_member(&m, t, err);
        if (m.file)
                zip_fclose(m.file);
        zip_discard(z);
        zip_error_fini(&e);
        return ok;
}

bool
resect_tensor_read_npz(resect_tensor *t, const char *path, const char *name, resect_error *err)
{
        *t = (resect_tensor){0};
        rs_input *in = rs_input_open(path, 0, err);
        if (!in)
                return false;
        bool ok = read_zip(in, name, t, err);
        if (!ok)
                name ? rs_fail_at(err, "%s: %s", path, name) : rs_fail_at(err, "%s", path);
        rs_input_free(in);
        return ok;
}
