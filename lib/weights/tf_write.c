/* SPDX-License-Identifier: 0BSD */
/* TensorFlow's checkpoints, written: values one after the other, and the sorted table that says
 * what and where they are. */
#include "weights/tf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/crc32c.h"
#include "onnx/wire.h"
#include "tensor/dtype.h"
#include "weights/sstable.h"

/* An entry as it is written, before the index is sorted. */
struct written {
        const rs_entry *e;
        uint64_t type, offset;
        uint32_t crc;
};

static int
by_name(const void *a, const void *b)
{
        return strcmp(((const struct written *)a)->e->name, ((const struct written *)b)->e->name);
}

static void
put_number(rs_buf *b, unsigned field, uint64_t v)
{
        unsigned char s[20];
        if (!v)
                return;
        size_t n = rs_wire_put_varint(s, field << 3);
        rs_buf_add(b, s, n + rs_wire_put_varint(s + n, v));
}

static void
put_message(rs_buf *b, unsigned field, const rs_buf *m)
{
        unsigned char s[20];
        size_t n = rs_wire_put_varint(s, field << 3 | RS_WIRE_LEN);
        rs_buf_add(b, s, n + rs_wire_put_varint(s + n, m->size));
        rs_buf_add(b, m->data, m->size);
        b->oom |= m->oom;
}

static void
put_bundle_entry(rs_buf *b, const struct written *w)
{
        rs_buf shape = {0}, dim = {0};
        unsigned char crc[5] = {6 << 3 | RS_WIRE_32};
        for (int i = 0; i < w->e->rank; i++) {
                dim.size = 0;
                put_number(&dim, 1, (uint64_t)w->e->dims[i]);
                put_message(&shape, 2, &dim);
        }
        put_number(b, 1, w->type);
        put_message(b, 2, &shape);
        put_number(b, 4, w->offset);
        put_number(b, 5, w->e->bytes);
        for (int i = 0; i < 4; i++)
                crc[1 + i] = (unsigned char)(w->crc >> 8 * i);
        rs_buf_add(b, crc, 5);
        rs_buf_free(&dim);
        rs_buf_free(&shape);
}

static bool
write_data(rs_output *out, struct written *list, size_t n, resect_error *err)
{
        uint64_t at = 0;
        for (size_t i = 0; i < n; i++) {
                rs_arena scratch = {0};
                rs_span bytes;
                bool ok = rs_entry_bytes(list[i].e, &scratch, &bytes, err) &&
                          rs_output_put(out, &bytes, 1, err);
                if (ok) {
                        list[i].offset = at;
                        list[i].crc = rs_crc32c_mask(rs_crc32c(0, bytes.data, bytes.size));
                        at += bytes.size;
                }
                rs_arena_free(&scratch);
                if (!ok)
                        return false;
        }
        return true;
}

static bool
write_index(rs_output *out, struct written *list, size_t n, resect_error *err)
{
        /* one file, little-endian, version 1 */
        static const unsigned char header[] = {0x08, 1, 0x1a, 2, 0x08, 1};
        rs_sstable t = {0};
        rs_buf value = {0};
        if (n)
                qsort(list, n, sizeof *list, by_name);
        rs_sstable_put(&t, (rs_span){header, 0}, (rs_span){header, sizeof header});
        for (size_t i = 0; i < n; i++) {
                const char *name = list[i].e->name;
                value.size = 0;
                put_bundle_entry(&value, &list[i]);
                t.out.oom |= value.oom;
                rs_sstable_put(&t, (rs_span){(const unsigned char *)name, strlen(name)},
                        (rs_span){value.data, value.size});
        }
        bool ok = rs_sstable_end(&t, err) && rs_output_bytes(out, t.out.data, t.out.size, err);
        rs_buf_free(&value);
        rs_sstable_free(&t);
        return ok;
}

/* Which file it is that has a name; 0: none. A close that fails may have given it its name, and
 * only not have known whether that is on the disk. */
static ino_t
file_number(const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Neither file appears before both are written; the index comes last, for without it there is no
 * checkpoint. */
static bool
write_files(const char *prefix, struct written *list, size_t n, resect_error *err)
{
        char path[2][4096];
        rs_output *out[2] = {NULL};
        bool ok = true;
        for (int index = 0; ok && index < 2; index++) {
                int length = snprintf(path[index], sizeof path[index], "%s%s", prefix,
                        index ? RS_TF_INDEX : RS_TF_DATA);
                if (length < 0 || (size_t)length >= sizeof path[index])
                        ok = rs_fail(err, RESECT_ARG, "%s: too long a name", prefix);
                ok = ok && (out[index] = rs_output_open(path[index], err)) &&
                     (index ? write_index : write_data)(out[index], list, n, err);
        }
        if (ok) {
                bool placed[2] = {false};
                for (int index = 0; ok && index < 2; index++) {
                        ino_t before = file_number(path[index]);
                        ok = rs_output_close(out[index], err);
                        out[index] = NULL;
                        placed[index] = file_number(path[index]) != before;
                }
                if (placed[0] && !placed[1])
                        remove(path[0]); /* values that nothing names */
        }
        rs_output_abandon(out[0]);
        rs_output_abandon(out[1]);
        return ok;
}

bool
rs_tf_write(const rs_writing *w, resect_error *err)
{
        if (!strcmp(w->path, "-"))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a TensorFlow checkpoint is two files and cannot go through a pipe");
        struct written *list = rs_alloc(w->n_entries + 1, sizeof *list, err);
        rs_arena names = {0};
        char *prefix = rs_arena_strndup(&names, w->path, rs_tf_prefix(w->path), err);
        bool ok = list && prefix;
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                list[i].e = &w->entries[i];
                list[i].type = rs_tf_type(list[i].e->dtype);
                ok = (list[i].type && list[i].e->name[0]) ||
                     rs_fail(err, RESECT_UNSUPPORTED, "%s: TensorFlow has no %s", list[i].e->name,
                             list[i].type ? "variables without a name"
                                          : resect_dtype_name((resect_dtype)list[i].e->dtype));
        }
        ok = ok && write_files(prefix, list, w->n_entries, err);
        rs_arena_free(&names);
        rs_free(list);
        return ok;
}
