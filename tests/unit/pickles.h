/* SPDX-License-Identifier: 0BSD */
/* Checkpoints made by hand, byte by byte, for tests and as seeds of the fuzzer: sound ones, and ones that lie. */
#ifndef PICKLES_H
#define PICKLES_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct made {
        unsigned char *data;
        size_t n, cap;
};

static inline void
put(struct made *m, const void *bytes, size_t n)
{
        if (m->n + n > m->cap) {
                m->cap = (m->n + n) * 2 + 256;
                m->data = realloc(m->data, m->cap);
                if (!m->data)
                        abort();
        }
        if (n)
                memcpy(m->data + m->n, bytes, n);
        m->n += n;
}

static inline void
put_str(struct made *m, const char *s)
{
        put(m, s, strlen(s));
}

static inline void
put_le(struct made *m, uint64_t v, int n)
{
        for (int i = 0; i < n; i++)
                put(m, &(unsigned char){i < 8 ? (unsigned char)(v >> 8 * i) : 0}, 1);
}

/* BINUNICODE */
static inline void
put_text(struct made *m, const char *s)
{
        put_str(m, "X");
        put_le(m, strlen(s), 4);
        put_str(m, s);
}

/* BININT, or LONG1 of 8 bytes */
static inline void
put_int(struct made *m, int64_t v)
{
        if (v >= INT32_MIN && v <= INT32_MAX) {
                put_str(m, "J");
                put_le(m, (uint64_t)v, 4);
        } else {
                put(m, "\x8a\x08", 2);
                put_le(m, (uint64_t)v, 8);
        }
}

static inline void
put_ints(struct made *m, int n, const int64_t *v)
{
        put_str(m, "(");
        for (int i = 0; i < n; i++)
                put_int(m, v[i]);
        put_str(m, "t");
}

/* A zip of stored members, two headers each. */
struct made_zip {
        struct made file, directory;
        int n;
};

static inline void
zip_member(struct made_zip *z, const char *name, const void *bytes, size_t n)
{
        struct made common = {0};
        size_t at = z->file.n;
        put_le(&common, 20, 2);
        put_le(&common, 0, 8); /* no flags, stored, midnight */
        put_le(&common, n ? crc32(0, bytes, (unsigned)n) : 0, 4);
        put_le(&common, n, 4);
        put_le(&common, n, 4);
        put_le(&common, strlen(name), 2);
        put_le(&common, 0, 2);
        put_str(&z->file, "PK\x03\x04");
        put(&z->file, common.data, common.n);
        put_str(&z->file, name);
        put(&z->file, bytes, n);
        put_str(&z->directory, "PK\x01\x02");
        put_le(&z->directory, 20, 2);
        put(&z->directory, common.data, common.n);
        put_le(&z->directory, 0, 10);
        put_le(&z->directory, at, 4);
        put_str(&z->directory, name);
        free(common.data);
        z->n++;
}

static inline struct made
zip_done(struct made_zip *z)
{
        size_t at = z->file.n;
        put(&z->file, z->directory.data, z->directory.n);
        put_str(&z->file, "PK\x05\x06");
        put_le(&z->file, 0, 4);
        put_le(&z->file, (uint64_t)z->n, 2);
        put_le(&z->file, (uint64_t)z->n, 2);
        put_le(&z->file, z->directory.n, 4);
        put_le(&z->file, at, 4);
        put_le(&z->file, 0, 2);
        free(z->directory.data);
        return z->file;
}

/* One tensor in one storage, and what may be wrong with it. */
struct lie {
        const char *type, *call; /* NULL: FloatStorage, _rebuild_tensor_v2 */
        int64_t declared, there; /* elements, as the id and as the file say; 0: 6 */
        int64_t offset;
        int rank; /* 0: {2, 3} with strides {3, 1} */
        int64_t dims[8], strides[8];
        size_t cut; /* bytes that are missing at the end of the storage */
};

static const float six[] = {1, 2, 3, 4, 5, 6};

static inline void
put_tensor(struct made *m, const char *key, const struct lie *l)
{
        static const int64_t dims[] = {2, 3}, strides[] = {3, 1};
        put_str(m, "ctorch._utils\n");
        put_str(m, l->call ? l->call : "_rebuild_tensor_v2");
        put_str(m, "\n((");
        put_text(m, "storage");
        put_str(m, "ctorch\n");
        put_str(m, l->type ? l->type : "FloatStorage");
        put_str(m, "\n");
        put_text(m, key);
        put_text(m, "cpu");
        put_int(m, l->declared ? l->declared : 6);
        put_str(m, "tQ");
        put_int(m, l->offset);
        put_ints(m, l->rank ? l->rank : 2, l->rank ? l->dims : dims);
        put_ints(m, l->rank ? l->rank : 2, l->rank ? l->strides : strides);
        put(m, "\x89"
               "ccollections\nOrderedDict\n)RtR",
                30);
}

/* {"w": tensor, "epoch": 3} */
static inline void
put_objects(struct made *m, const struct lie *l)
{
        put_str(m, "\x80\x02}(");
        put_text(m, "w");
        put_tensor(m, "0", l);
        put_text(m, "epoch");
        put_int(m, 3);
        put_str(m, "u.");
}

static inline void
put_storage(struct made *m, const struct lie *l)
{
        put_le(m, (uint64_t)(l->there ? l->there : 6), 8);
        put(m, six, sizeof six - l->cut);
}

static inline void
put_stream_start(struct made *m)
{
        put(m, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
        put_str(m, "\x80\x02M\xe9\x03.\x80\x02}");
        put_text(m, "little_endian");
        put_str(m, "\x88s.");
}

static inline struct made
make_stream(const struct lie *l)
{
        struct made m = {0};
        put_stream_start(&m);
        put_objects(&m, l);
        put_str(&m, "\x80\x02](");
        put_text(&m, "0");
        put_str(&m, "e.");
        put_storage(&m, l);
        return m;
}

/* The same as a zip, or any pickle as one. */
static inline struct made
wrap_zip(const void *pickle, size_t n, size_t storage)
{
        struct made_zip z = {0};
        zip_member(&z, "a/data.pkl", pickle, n);
        zip_member(&z, "a/data/0", six, storage);
        zip_member(&z, "a/data/1", "12345678", 8);
        zip_member(&z, "a/version", "3\n", 2);
        return zip_done(&z);
}

static inline struct made
make_zip(const struct lie *l)
{
        struct made m = {0};
        put_objects(&m, l);
        struct made z = wrap_zip(m.data, m.n, (l->there ? (size_t)l->there * 4 : sizeof six) - l->cut);
        free(m.data);
        return z;
}

/* A NumPy array of six float32, written as protocols 2 (text of Latin-1) or 3 and later (bytes) do. */
static inline void
put_array(struct made *m, int protocol, int64_t rows, const char *code)
{
        const int64_t dims[] = {rows, 3};
        put_str(m, "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
        put(m, "K\x00\x85U\x01"
               "b\x87R(K\x01",
                11);
        put_ints(m, 2, dims);
        put_str(m, "cnumpy\ndtype\n");
        put_text(m, code);
        put(m, "\x89\x88\x87R(K\x03", 7);
        put_text(m, "<");
        put(m, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89", 18);
        if (protocol > 2) {
                put_str(m, "B");
                put_le(m, sizeof six, 4);
                put(m, six, sizeof six);
        } else {
                struct made latin = {0};
                for (size_t i = 0; i < sizeof six; i++) {
                        unsigned char c = ((const unsigned char *)six)[i];
                        unsigned char two[2] = {(unsigned char)(0xc0 | c >> 6), 0x80 | (c & 0x3f)};
                        put(&latin, c < 0x80 ? &c : two, c < 0x80 ? 1 : 2);
                }
                put_str(m, "c_codecs\nencode\nX");
                put_le(m, latin.n, 4);
                put(m, latin.data, latin.n);
                put_text(m, "latin1");
                put_str(m, "\x86R");
                free(latin.data);
        }
        put_str(m, "tb");
}

static inline struct made
make_arrays(int protocol)
{
        struct made m = {0};
        put_str(&m, protocol > 2 ? "\x80\x03}(" : "\x80\x02}(");
        put_text(&m, "w");
        put_array(&m, protocol, 2, "f4");
        put_text(&m, "b@@.0");
        put_array(&m, protocol, 2, "i4");
        put_text(&m, "epoch");
        put_int(&m, 3);
        put_str(&m, "u.");
        return m;
}

#endif
