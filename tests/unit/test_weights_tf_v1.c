/* SPDX-License-Identifier: 0BSD */
/*
 * TensorFlow's checkpoints of version 1, put together by hand after saved_tensor_slice.proto,
 * tensor.proto and ordered_code.cc: whole variables, variables in parts, every list of values,
 * packed and not; and tables that are sound but lie. tests/peers/weights_tf.sh has files of
 * LevelDB's and protobuf's own.
 */
#include "config.h"
#include "ckpt.h"

#include "weights/sstable.h"

extern const rs_format rs_format_tf_v1, rs_format_tf;

/* Messages */

struct msg {
        size_t n;
        unsigned char b[6000];
};

static void
raw(struct msg *m, const void *bytes, size_t n)
{
        ck_assert_uint_le(m->n + n, sizeof m->b);
        if (n)
                memcpy(m->b + m->n, bytes, n);
        m->n += n;
}

static void
varint(struct msg *m, uint64_t v)
{
        for (; v > 127; v >>= 7)
                raw(m, &(unsigned char){(unsigned char)(v | 128)}, 1);
        raw(m, &(unsigned char){(unsigned char)v}, 1);
}

static void
number(struct msg *m, unsigned field, uint64_t v)
{
        varint(m, field << 3);
        varint(m, v);
}

static void
text(struct msg *m, unsigned field, const void *bytes, size_t n)
{
        varint(m, field << 3 | 2);
        varint(m, n);
        raw(m, bytes, n);
}

static void
inside(struct msg *m, unsigned field, const struct msg *inner)
{
        text(m, field, inner->b, inner->n);
}

/* A file: contents and records, in the order of their keys. */
enum { RECORDS = 24 };

static struct {
        struct msg contents, record[RECORDS];
        struct {
                char bytes[64];
                size_t n;
        } key[RECORDS];
        size_t n;
} file;

/* A line of the table of contents: slices are TensorSliceProtos. */
static void
line(const char *name, unsigned type, int rank, const int64_t *dims, const struct msg *slices,
        size_t n)
{
        struct msg meta = {0}, shape = {0};
        for (int i = 0; i < rank; i++) {
                struct msg dim = {0};
                number(&dim, 1, (uint64_t)dims[i]);
                inside(&shape, 2, &dim);
        }
        text(&meta, 1, name, strlen(name));
        inside(&meta, 2, &shape);
        number(&meta, 3, type);
        for (size_t i = 0; i < n; i++)
                inside(&meta, 4, &slices[i]);
        inside(&file.contents, 1, &meta);
}

static void
record(const char *key, size_t key_size, const char *name, const struct msg *slice,
        const struct msg *tensor)
{
        struct msg saved = {0};
        ck_assert_uint_lt(file.n, RECORDS);
        text(&saved, 1, name, strlen(name));
        inside(&saved, 2, slice);
        inside(&saved, 3, tensor);
        file.record[file.n] = (struct msg){0};
        inside(&file.record[file.n], 2, &saved);
        memcpy(file.key[file.n].bytes, key, key_size);
        file.key[file.n++].n = key_size;
}

static int
by_key(const void *a, const void *b)
{
        const size_t i = *(const size_t *)a, k = *(const size_t *)b;
        size_t n = file.key[i].n < file.key[k].n ? file.key[i].n : file.key[k].n;
        int d = memcmp(file.key[i].bytes, file.key[k].bytes, n);
        return d ? d : (file.key[i].n > file.key[k].n) - (file.key[i].n < file.key[k].n);
}

static void
write_file(const char *name)
{
        resect_error err;
        rs_sstable t = {0};
        struct msg first = {0}, versions = {0};
        size_t order[RECORDS];
        number(&versions, 1, 1);
        struct msg contents = file.contents;
        inside(&contents, 2, &versions);
        inside(&first, 1, &contents);
        rs_sstable_put(&t, (rs_span){first.b, 0}, (rs_span){first.b, first.n});
        for (size_t i = 0; i < file.n; i++)
                order[i] = i;
        qsort(order, file.n, sizeof *order, by_key);
        for (size_t i = 0; i < file.n; i++)
                rs_sstable_put(&t,
                        (rs_span){(unsigned char *)file.key[order[i]].bytes, file.key[order[i]].n},
                        (rs_span){file.record[order[i]].b, file.record[order[i]].n});
        CK_OK(rs_sstable_end(&t, &err), err);
        scratch_write(name, t.out.data, t.out.size);
        rs_sstable_free(&t);
        file.n = file.contents.n = 0;
}

/* All of every axis: an extent without start and length each. */
static struct msg
all_of(int rank)
{
        struct msg s = {0};
        for (int i = 0; i < rank; i++)
                text(&s, 1, "", 0);
        return s;
}

static struct msg
extents(int rank, const int64_t (*at)[2])
{
        struct msg s = {0};
        for (int i = 0; i < rank; i++) {
                struct msg e = {0};
                if (at[i][1] >= 0) {
                        if (at[i][0])
                                number(&e, 1, (uint64_t)at[i][0]);
                        number(&e, 2, (uint64_t)at[i][1]);
                }
                inside(&s, 1, &e);
        }
        return s;
}

/* A whole variable: its key ends in its rank, and 0 and -1 for each axis. */
static void
whole(const char *name, unsigned type, int rank, const int64_t *dims, const struct msg *tensor)
{
        struct msg slice = all_of(rank);
        char key[64] = {0};
        size_t n = 1 + strlen(name);
        memcpy(key + 1, name, n - 1);
        key[n++] = 0;
        key[n++] = 1;
        if (rank)
                key[n++] = 1; /* one byte follows; of 0 none does */
        key[n++] = (char)rank;
        for (int i = 0; i < rank; i++) {
                key[n++] = (char)0x80;
                key[n++] = 0x7f;
        }
        line(name, type, rank, dims, &slice, 1);
        record(key, n, name, &slice, tensor);
}

static const int64_t four[] = {4}, kernel[] = {3, 3, 2, 4}, none[] = {0, 3};

/* What sample_files writes, and the names and values it must give. */
static void
sample(rs_entry e[8])
{
        struct msg t = {0};
        ckpt_fill();
        e[0] = ckpt_entry("resnet_v1_101/conv1/weights", RESECT_FLOAT, 4, 4, kernel);
        text(&t, 5, ckpt_values, e[0].bytes);
        whole(e[0].name, 1, 4, kernel, &t);
        /* one by one, as parsers older than packed lists wrote them */
        t.n = 0;
        e[1] = ckpt_entry("resnet_v1_101/conv1/biases", RESECT_FLOAT, 4, 1, four);
        for (int i = 0; i < 4; i++) {
                varint(&t, 5 << 3 | 5);
                raw(&t, ckpt_values + 4 * i, 4);
        }
        whole(e[1].name, 1, 1, four, &t);
        /* in two lists, with fields between that nobody knows */
        t.n = 0;
        e[2] = ckpt_entry("double", RESECT_DOUBLE, 8, 1, four);
        text(&t, 6, ckpt_values, 8);
        text(&t, 99, "what", 4);
        text(&t, 6, ckpt_values + 8, 24);
        whole(e[2].name, 2, 1, four, &t);
        static const unsigned char numbers[5][32] = {
                /* int32, int64, uint8, bool, float16 of four */
                {5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x80, 0, 1, 0, 0},
                {5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
                        0, 0, 0, 0x80, 0, 1, 0, 0, 0, 0, 0, 0},
                {5, 255, 0, 128}, {1, 0, 1, 1}, {0, 0x3c, 1, 0, 0, 0xbc, 0xff, 0xff}};
        static const uint64_t values[5][4] = {{5, UINT64_MAX, (uint64_t)INT32_MIN, 256},
                {5, UINT64_MAX, UINT64_C(1) << 63, 256}, {5, 255, 0, 128}, {1, 0, 2, 1},
                {0x3c00, 1, 0xbc00, 0xffff}};
        static const struct {
                const char *name;
                int32_t dtype;
                unsigned type, field;
                size_t width;
        } ints[5] = {{"int32", RESECT_INT32, 3, 7, 4}, {"int64", RESECT_INT64, 9, 10, 8},
                {"uint8", RESECT_UINT8, 4, 7, 1}, {"bool", RESECT_BOOL, 10, 11, 1},
                {"half", RESECT_FLOAT16, 19, 13, 2}};
        for (int k = 0; k < 5; k++) {
                struct msg list = {0};
                t.n = 0;
                for (int i = 0; i < 4; i++) {
                        if (k == 0 && i < 2) { /* not packed */
                                varint(&t, 7 << 3);
                                varint(&t, values[k][i]);
                        } else
                                varint(&list, values[k][i]);
                }
                inside(&t, ints[k].field, &list);
                e[3 + k] = ckpt_entry(ints[k].name, ints[k].dtype, ints[k].width, 1, four);
                e[3 + k].data = (rs_span){numbers[k], 4 * ints[k].width};
                whole(ints[k].name, ints[k].type, 1, four, &t);
        }
        /* what is no weight, and not in order: the slot before its variable */
        t.n = 0;
        text(&t, 5, ckpt_values, 16);
        whole("resnet_v1_101/conv1/biases/Momentum", 1, 1, four, &t);
        whole("resnet_v1_101/mean_rgb", 1, 1, (int64_t[]){4}, &t);
        t.n = 0;
        text(&t, 10, "\x07", 1);
        whole("global_step", 9, 0, NULL, &t);
        t.n = 0;
        text(&t, 8, "word", 4);
        whole("words", 7, 1, (int64_t[]){1}, &t);
        whole("quantised", 11, 1, (int64_t[]){1}, &t);
        struct msg meta = {0}, shape = {0};
        number(&shape, 3, 1); /* unknown_rank */
        text(&meta, 1, "shapeless", 9);
        inside(&meta, 2, &shape);
        number(&meta, 3, 1);
        inside(&file.contents, 1, &meta);
}

START_TEST(reads)
{
        rs_entry e[8];
        resect_error err;
        scratch_make();
        sample(e);
        write_file("resnet_v1_101.ckpt");
        rs_checkpoint *c = rs_checkpoint_read(scratch("resnet_v1_101.ckpt"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_str_eq(c->format->name, "tf-v1");
        ckpt_same(c, e, 8);
        ck_assert_uint_eq(c->n_skipped, 6);
        static const char *const skipped[][2] = {{"global_step", "a count of steps"},
                {"quantised", "elements of TensorFlow's type 11"},
                {"resnet_v1_101/conv1/biases/Momentum", "the optimiser's state"},
                {"resnet_v1_101/mean_rgb", "the pictures' mean"},
                {"shapeless", "of an unknown shape"}, {"words", "text"}};
        for (size_t i = 0; i < 6; i++) {
                ck_assert_str_eq(c->skipped[i].name, skipped[i][0]);
                ck_assert_str_eq(c->skipped[i].why, skipped[i][1]);
        }
        /* whole float variables are lent as they stand in the file */
        ck_assert_ptr_nonnull(rs_checkpoint_find(c, e[0].name)->data.data);
        ck_assert_ptr_null(rs_checkpoint_find(c, e[1].name)->data.data);
        rs_checkpoint_free(c);
        /* no values at all, in a list of none and in no list */
        struct msg t = {0};
        whole("a", 1, 2, none, &t);
        text(&t, 5, "", 0);
        whole("b", 1, 2, none, &t);
        write_file("none");
        c = rs_checkpoint_read(scratch("none"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_entries, 2);
        rs_checkpoint_free(c);
        /* nothing saved */
        write_file("empty");
        CK_OK(ckpt_use(scratch("empty"), NULL, &err), err);
        /* who takes it for version 2 is told */
        ck_assert(!ckpt_use(scratch("none"), &rs_format_tf, &err));
        ck_assert_msg(strstr(err.msg, "version 1"), "%s", err.msg);
        scratch_done();
}
END_TEST

/* w [100, 2] in rows, saved as w/part_0 to part_10 would be sorted, the last before the third; v
 * [2, 3] in columns; t in one part that says all of its length. */
static void
split(void)
{
        struct msg rows[3], columns[2], one, t;
        static const int64_t w[] = {100, 2}, v[] = {2, 3};
        rows[0] = extents(2, (const int64_t[][2]){{0, 40}, {0, -1}});
        rows[1] = extents(2, (const int64_t[][2]){{64, 36}, {0, -1}});
        rows[2] = extents(2, (const int64_t[][2]){{40, 24}, {0, -1}});
        columns[0] = extents(2, (const int64_t[][2]){{0, -1}, {0, 1}});
        columns[1] = extents(2, (const int64_t[][2]){{0, 2}, {1, 2}});
        one = extents(1, (const int64_t[][2]){{0, 4}});
        line("w", 1, 2, w, rows, 3);
        line("v", 1, 2, v, columns, 2);
        line("t", 1, 1, four, &one, 1);
        t.n = 0;
        text(&t, 5, ckpt_values, 320);
        record("\0w\0\1\1\2\x80\xa8\x80\x7f", 10, "w", &rows[0], &t);
        t.n = 0;
        text(&t, 5, ckpt_values + 512, 288);
        record("\0w\0\1\1\2\xc0\x40\xa4\x80\x7f", 11, "w", &rows[1], &t);
        t.n = 0;
        text(&t, 5, ckpt_values + 320, 100);
        text(&t, 5, ckpt_values + 420, 92);
        record("\0w\0\1\1\2\xa8\x98\x80\x7f", 10, "w", &rows[2], &t);
        t.n = 0;
        text(&t, 5, ckpt_values, 8);
        record("\0v\0\1\1\2\x80\x7f\x80\x81", 10, "v", &columns[0], &t);
        t.n = 0;
        text(&t, 5, ckpt_values + 8, 16);
        record("\0v\0\1\1\2\x80\x82\x81\x82", 10, "v", &columns[1], &t);
        t.n = 0;
        text(&t, 5, ckpt_values, 16);
        record("\0t\0\1\1\1\x80\x84", 8, "t", &one, &t);
}

START_TEST(parts)
{
        resect_error err;
        rs_arena scratch_space = {0};
        rs_span s;
        unsigned char want[24];
        ckpt_fill();
        scratch_make();
        split();
        write_file("p");
        rs_checkpoint *c = rs_checkpoint_read(scratch("p"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_entries, 3);
        CK_OK(rs_entry_bytes(rs_checkpoint_find(c, "w"), &scratch_space, &s, &err), err);
        ck_assert(s.size == 800 && !memcmp(s.data, ckpt_values, 800));
        for (size_t row = 0; row < 2; row++) {
                memcpy(want + row * 12, ckpt_values + row * 4, 4);
                memcpy(want + row * 12 + 4, ckpt_values + 8 + row * 8, 8);
        }
        CK_OK(rs_entry_bytes(rs_checkpoint_find(c, "v"), &scratch_space, &s, &err), err);
        ck_assert(s.size == 24 && !memcmp(s.data, want, 24));
        CK_OK(rs_entry_bytes(rs_checkpoint_find(c, "t"), &scratch_space, &s, &err), err);
        ck_assert(s.size == 16 && !memcmp(s.data, ckpt_values, 16));
        rs_arena_free(&scratch_space);
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

static void
refused(resect_code code, const char *word)
{
        resect_error err;
        write_file("h");
        ck_assert_msg(!ckpt_use(scratch("h"), &rs_format_tf_v1, &err), "not refused: %s", word);
        ck_assert_msg(err.code == code && strstr(err.msg, word), "%s: %s, wanted '%s'",
                resect_code_name(err.code), err.msg, word);
}

START_TEST(lies)
{
        struct msg t = {0}, two[2], full = all_of(1);
        static const int64_t w[] = {4, 2}, huge[] = {INT64_MAX, INT64_MAX};
        scratch_make();
        ckpt_fill();
        text(&t, 5, ckpt_values, 12);
        whole("w", 1, 1, four, &t);
        refused(RESECT_FORMAT, "3 values for a shape that takes 4");
        t.n = 0;
        text(&t, 5, ckpt_values, 15);
        whole("w", 1, 1, four, &t);
        refused(RESECT_FORMAT, "the list of values");
        t.n = 0;
        text(&t, 10, "\x80", 1); /* a number that goes on behind its end */
        whole("w", 9, 0, NULL, &t);
        refused(RESECT_FORMAT, "the list of values");
        t.n = 0;
        number(&t, 5, 1); /* a varint where a float belongs */
        whole("w", 1, 0, NULL, &t);
        refused(RESECT_FORMAT, "the list of values");
        t.n = 0;
        text(&t, 4, ckpt_values, 16); /* tensor_content: TensorFlow does not look at it here */
        whole("w", 1, 1, four, &t);
        refused(RESECT_FORMAT, "0 values for a shape that takes 4");
        t.n = 0;
        text(&t, 9, ckpt_values, 12); /* a complex number and a half */
        whole("w", 8, 0, NULL, &t);
        refused(RESECT_FORMAT, "3 values for a shape that takes 2");
        t.n = 0;
        text(&t, 5, ckpt_values, 16);
        whole("w", 1, 2, huge, &t);
        refused(RESECT_FORMAT, "no file can hold");
        /* a slice that no record has; a record of another name; no slices; too many axes */
        line("w", 1, 1, four, &full, 1);
        refused(RESECT_FORMAT, "a part of it is missing");
        line("w", 1, 1, four, &full, 1);
        record("\0w\0\1\1\1\x80\x7f", 8, "x", &full, &t);
        refused(RESECT_FORMAT, "another variable's");
        line("w", 1, 1, four, NULL, 0);
        refused(RESECT_UNSUPPORTED, "beside each other");
        line("w", 1, 2, w, &full, 1);
        refused(RESECT_FORMAT, "damaged");
        /* parts that leave a hole, overlap, or cut two axes */
        static const int64_t cuts[3][2][2][2] = {{{{0, 1}, {0, -1}}, {{2, 2}, {0, -1}}},
                {{{0, 3}, {0, -1}}, {{2, 2}, {0, -1}}}, {{{0, 2}, {0, 1}}, {{2, 2}, {0, 1}}}};
        for (int i = 0; i < 3; i++) {
                static const char *const keys[3][2] = {
                        {"\0w\0\1\1\2\x80\x81\x80\x7f", "\0w\0\1\1\2\x82\x82\x80\x7f"},
                        {"\0w\0\1\1\2\x80\x83\x80\x7f", "\0w\0\1\1\2\x82\x82\x80\x7f"},
                        {"\0w\0\1\1\2\x80\x82\x80\x81", "\0w\0\1\1\2\x82\x82\x80\x81"}};
                for (int k = 0; k < 2; k++)
                        two[k] = extents(2, cuts[i][k]);
                line("w", 1, 2, w, two, 2);
                for (int k = 0; k < 2; k++) {
                        t.n = 0;
                        text(&t, 5, ckpt_values, (size_t)cuts[i][k][0][1] * 8);
                        record(keys[i][k], 10, "w", &two[k], &t);
                }
                refused(RESECT_UNSUPPORTED, "beside each other");
        }
        /* a part that begins before 0, under the key that it would have if it began there */
        static const int64_t below[][2] = {{-1, 4}};
        two[0] = extents(1, below);
        line("w", 1, 1, four, two, 1);
        t.n = 0;
        text(&t, 5, ckpt_values, 16);
        record("\0w\0\1\1\1\x80\x84", 8, "w", two, &t);
        refused(RESECT_FORMAT, "damaged");
        /* twice the same name */
        line("w", 1, 1, four, &full, 1);
        t.n = 0;
        text(&t, 5, ckpt_values, 16);
        whole("w", 1, 1, four, &t);
        refused(RESECT_FORMAT, "w");
        /* a later version; a table of contents that is cut */
        struct msg versions = {0};
        number(&versions, 2, 7);
        inside(&file.contents, 2, &versions);
        write_file("h");
        file.contents.n = 0;
        raw(&file.contents, "\x0a\x7f", 2);
        refused(RESECT_FORMAT, "the table of contents");
        scratch_done();
}
END_TEST

START_TEST(damaged)
{
        resect_error err;
        rs_entry e[8];
        size_t n, m;
        scratch_make();
        sample(e);
        write_file("d");
        split();
        write_file("s");
        unsigned char *b = ckpt_slurp(scratch("d"), &n), *s = ckpt_slurp(scratch("s"), &m);
        ckpt_prefixes(&rs_format_tf_v1, "d", "d", b, n, 1);
        ck_assert_uint_gt(ckpt_flips(&rs_format_tf_v1, "d", "d", b, n, 1000), 900);
        ckpt_prefixes(&rs_format_tf_v1, "s", "s", s, m, 3);
        CK_OK(ckpt_use(scratch("d"), NULL, &err), err);
        free(b);
        free(s);
        scratch_done();
}
END_TEST

/* Messages with a few bytes changed, in a table whose checksums are right. */
START_TEST(lies_by_chance)
{
        resect_error err;
        size_t good = 0;
        ckpt_fill();
        scratch_make();
        for (size_t k = 0; k < 3000; k++) {
                split();
                for (uint64_t i = 0; i <= k % 3; i++) {
                        uint64_t which = rs_below(9, k, 3 * i, file.n + 1);
                        struct msg *m = which < file.n ? &file.record[which] : &file.contents;
                        /* what is behind the first bytes of a record is values */
                        size_t reach = which < file.n && m->n > 40 ? 40 : m->n;
                        m->b[rs_below(9, k, 3 * i + 1, reach)] =
                                (unsigned char)rs_below(9, k, 3 * i + 2, 256);
                }
                write_file("h");
                good += ckpt_use(scratch("h"), &rs_format_tf_v1, &err);
        }
        ck_assert_uint_gt(good, 100); /* values and unknown fields */
        ck_assert_uint_lt(good, 2900);
        scratch_done();
}
END_TEST

/* With the k-th allocation failing, for every k: no leak, and NOMEM is what it is called. */
START_TEST(allocations)
{
        scratch_make();
        ckpt_fill();
        split();
        write_file("s");
        ckpt_reading_allocations(&rs_format_tf_v1, scratch("s"));
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("h", bytes, n);
        bool ok = ckpt_use(scratch("h"), &rs_format_tf_v1, &err);
        (void)ok;
}

START_TEST(corpus)
{
        scratch_make();
        ckpt_corpus("weights_tf_v1", replay);
        scratch_done();
}
END_TEST

UNIT_MAIN("tf-v1", reads, parts, lies, lies_by_chance, damaged, allocations, corpus)
