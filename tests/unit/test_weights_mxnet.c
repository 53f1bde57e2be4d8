/* SPDX-License-Identifier: 0BSD */
/* MXNet's arrays: every version of them laid out by hand, what they must not be, and what is
 * written. */
#include "config.h"
#include "ckpt.h"

extern const rs_format rs_format_mxnet;

static void
put(rs_buf *b, uint64_t v, int bytes)
{
        for (int i = 0; i < bytes; i++)
                rs_buf_add(b, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}

static void
put_list(rs_buf *b, uint64_t count)
{
        put(b, 0x112, 8);
        put(b, 0, 8);
        put(b, count, 8);
}

/* Version 2, of one dimension or two. */
static void
put_v2(rs_buf *b, int rank, uint64_t d0, uint64_t d1, uint32_t flag)
{
        put(b, 0xf993fac9, 4);
        put(b, 0, 4);
        put(b, (uint64_t)rank, 4);
        put(b, d0, 8);
        if (rank > 1)
                put(b, d1, 8);
        put(b, 1, 4);
        put(b, 0, 4);
        put(b, flag, 4);
}

static void
put_name(rs_buf *b, const char *name)
{
        put(b, strlen(name), 8);
        rs_buf_str(b, name);
}

static rs_checkpoint *
read_buf(rs_buf *b, resect_error *err)
{
        *err = (resect_error){0};
        scratch_write("m.params", b->data, b->size);
        return rs_checkpoint_read(scratch("m.params"), NULL, 0, err);
}

/* Refused with these words; b is used up. */
static void
refused(rs_buf *b, resect_code code, const char *words)
{
        resect_error err;
        rs_checkpoint *c = read_buf(b, &err);
        ck_assert_msg(!c, "accepted, not refused for: %s", words);
        ck_assert_msg(err.code == code && strstr(err.msg, words), "%s: %s, expected: %s",
                resect_code_name(err.code), err.msg, words);
        rs_buf_free(b);
}

/* Six arrays: version 2, 1, none at all; a scalar of version 3; a sparse one; one without a value.
 */
static void
make_all(rs_buf *b)
{
        put_list(b, 6);
        put_v2(b, 2, 1, 2, 0);
        put(b, 0x3f800000, 4);
        put(b, 0x40000000, 4);
        put(b, 0xf993fac8, 4); /* version 1: int8 [3] on a GPU */
        put(b, 1, 4);
        put(b, 3, 8);
        put(b, 2, 4);
        put(b, 1, 4);
        put(b, 5, 4);
        rs_buf_add(b, "abc", 3);
        put(b, 1, 4); /* no version: float64 [1] */
        put(b, 1, 4);
        put(b, 1, 4);
        put(b, 0, 4);
        put(b, 1, 4);
        put(b, 0x3ff0000000000000, 8);
        put(b, 0xf993faca, 4); /* a scalar: bfloat16 */
        put(b, 0, 4);
        put(b, 0, 4);
        put(b, 1, 4);
        put(b, 0, 4);
        put(b, 12, 4);
        put(b, 0x3f80, 2);
        put(b, 0xf993fac9, 4); /* row-sparse: one of four rows, of two floats */
        put(b, 1, 4);
        put(b, 2, 4);
        put(b, 1, 8);
        put(b, 2, 8);
        put(b, 2, 4);
        put(b, 4, 8);
        put(b, 2, 8);
        put(b, 1, 4);
        put(b, 0, 4);
        put(b, 0, 4);
        put(b, 6, 4); /* its indices: int64 [1] */
        put(b, 1, 4);
        put(b, 1, 8);
        put(b, 0, 8);
        put(b, 3, 8);
        put(b, 0xf993fac9, 4); /* nothing */
        put(b, 0, 4);
        put(b, 0, 4);
        put(b, 6, 8);
        put_name(b, "arg:net_conv0_weight");
        put_name(b, "aux:net_batchnorm0_running_mean");
        put_name(b, "arg:c");
        put_name(b, "arg:d");
        put_name(b, "arg:e");
        put_name(b, "arg:f");
}

START_TEST(every_version)
{
        resect_error err;
        rs_buf b = {0};
        scratch_make();
        make_all(&b);
        rs_checkpoint *c = read_buf(&b, &err);
        CK_OK(c != NULL, err);
        ck_assert_ptr_eq(c->format, &rs_format_mxnet);
        ck_assert_uint_eq(c->n_entries, 4);
        const rs_entry *e = c->entries;
        ck_assert_str_eq(e[0].name, "net_conv0_weight"); /* without its mark */
        ck_assert_int_eq(e[0].rank, 2);
        ck_assert_int_eq(e[0].dims[1], 2);
        ck_assert_mem_eq(e[0].data.data, "\0\0\x80\x3f\0\0\0\x40", 8);
        ck_assert_str_eq(e[1].name, "net_batchnorm0_running_mean");
        ck_assert_int_eq(e[1].dtype, RESECT_INT8);
        ck_assert_mem_eq(e[1].data.data, "abc", 3);
        ck_assert_int_eq(e[2].dtype, RESECT_DOUBLE);
        ck_assert_int_eq(e[3].dtype, RESECT_BFLOAT16);
        ck_assert_int_eq(e[3].rank, 0);
        ck_assert_uint_eq(c->n_skipped, 2);
        ck_assert_str_eq(c->skipped[0].name, "e");
        ck_assert_str_eq(c->skipped[0].why, "a sparse array");
        ck_assert_str_eq(c->skipped[1].why, "an array without a value");
        rs_checkpoint_free(c);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* One name without a mark, and none loses its own; no names at all, and they are numbers. */
START_TEST(names)
{
        resect_error err;
        scratch_make();
        for (int k = 0; k < 2; k++) {
                rs_buf b = {0};
                put_list(&b, 2);
                for (int i = 0; i < 2; i++) {
                        put_v2(&b, 1, 1, 0, 0);
                        put(&b, 0, 4);
                }
                put(&b, k ? 0 : 2, 8);
                if (!k) {
                        put_name(&b, "arg:w");
                        put_name(&b, "features.0.weight");
                }
                rs_checkpoint *c = read_buf(&b, &err);
                CK_OK(c != NULL, err);
                ck_assert_str_eq(c->entries[0].name, k ? "0" : "arg:w");
                ck_assert_str_eq(c->entries[1].name, k ? "1" : "features.0.weight");
                rs_checkpoint_free(c);
                rs_buf_free(&b);
        }
        scratch_done();
}
END_TEST

static rs_buf
one(int rank, uint64_t d0, uint64_t d1, uint32_t flag)
{
        rs_buf b = {0};
        put_list(&b, 1);
        put_v2(&b, rank, d0, d1, flag);
        put(&b, 0, 4);
        return b;
}

static rs_buf
named(uint64_t n, const char *name, size_t size)
{
        rs_buf b = one(1, 1, 0, 0);
        put(&b, n, 8);
        put(&b, size, 8);
        rs_buf_str(&b, name);
        return b;
}

START_TEST(hostile)
{
        static const uint64_t counts[] = {
                1000001, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
        rs_buf b;
        scratch_make();
        for (int i = 0; i < 4; i++) {
                b = (rs_buf){0};
                put_list(&b, counts[i]);
                refused(&b, RESECT_UNSUPPORTED, "arrays; at most");
        }
        b = (rs_buf){0};
        put_list(&b, 1000000);
        refused(&b, RESECT_FORMAT, "array 0: the file ends");
        b = one(1, UINT64_C(1) << 62, 0, 0);
        refused(&b, RESECT_FORMAT, "array 0");
        b = one(2, UINT64_C(1) << 32, UINT64_C(1) << 32, 0);
        refused(&b, RESECT_FORMAT, "array 0");
        b = one(2, 4194305, 211106198978564, 0); /* wraps to little */
        refused(&b, RESECT_FORMAT, "array 0");
        b = one(1, UINT64_MAX, 0, 0);
        refused(&b, RESECT_FORMAT, "array 0");
        b = one(1, 0, 0, 0);
        refused(&b, RESECT_FORMAT, "a dimension of 0");
        b = one(1, 1, 0, 13);
        refused(&b, RESECT_UNSUPPORTED, "elements of type 13");
        b = one(1, 1, 0, UINT32_MAX);
        refused(&b, RESECT_UNSUPPORTED, "elements of type -1");
        b = (rs_buf){0};
        put_list(&b, 1);
        put(&b, 33, 4); /* no version: a rank */
        refused(&b, RESECT_FORMAT, "rank of at most 32");
        b = (rs_buf){0};
        put_list(&b, 1);
        put(&b, 0xf993faca, 4);
        put(&b, 1, 4);
        refused(&b, RESECT_FORMAT, "storage type");
        b = named(2, "w", 1);
        refused(&b, RESECT_FORMAT, "2 names for 1 arrays");
        b = named(1, "w", UINT64_C(1) << 63);
        refused(&b, RESECT_FORMAT, "name 0 has");
        b = named(1, "w", 4096);
        refused(&b, RESECT_FORMAT, "array 0: the file ends");
        b = named(1, "", 0);
        rs_buf_str(&b, "tail");
        refused(&b, RESECT_FORMAT, "4 bytes after the last name");
        b = named(1, "", 1);
        rs_buf_add(&b, "", 1);
        refused(&b, RESECT_FORMAT, "NUL");
        b = (rs_buf){0};
        put_list(&b, 2);
        for (int i = 0; i < 2; i++) {
                put_v2(&b, 1, 1, 0, 3);
                put(&b, 0, 1);
        }
        put(&b, 2, 8);
        put_name(&b, "arg:w");
        put_name(&b, "aux:w");
        refused(&b, RESECT_FORMAT, "two tensors are called 'w'");
        b = (rs_buf){0}; /* nine dimensions: more than are computed with, not more than MXNet has */
        put_list(&b, 1);
        put(&b, 9, 4);
        for (int i = 0; i < 9; i++)
                put(&b, 1, 4);
        put(&b, 1, 4);
        put(&b, 0, 4);
        put(&b, 3, 4);
        put(&b, 7, 1);
        put(&b, 0, 8);
        refused(&b, RESECT_UNSUPPORTED, "9 dimensions");
        scratch_done();
}
END_TEST

static const int64_t kernel[] = {2, 3, 1, 1}, five[] = {5}, seven[] = {7};

static void
sample(rs_entry e[3])
{
        ckpt_fill();
        e[0] = ckpt_entry("features.0.weight", RESECT_FLOAT, 4, 4, kernel);
        e[1] = ckpt_entry("features.1.gamma", RESECT_FLOAT16, 2, 1, five);
        e[2] = ckpt_entry("n", RESECT_UINT8, 1, 1, seven);
}

START_TEST(written)
{
        resect_error err;
        rs_entry e[3];
        rs_buf want = {0};
        scratch_make();
        sample(e);
        CK_OK(ckpt_write(&rs_format_mxnet, scratch("o.params"), e, 3, &err), err);
        rs_checkpoint *c = rs_checkpoint_read(scratch("o.params"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ckpt_same(c, e, 3);
        rs_checkpoint_free(c);
        put_list(&want, 1); /* to the byte */
        put_v2(&want, 1, 5, 0, 2);
        rs_buf_add(&want, ckpt_values, 10);
        put(&want, 1, 8);
        put_name(&want, "features.1.gamma");
        CK_OK(ckpt_write(&rs_format_mxnet, scratch("p.params"), &e[1], 1, &err), err);
        ck_assert(scratch_is("p.params", want.data, want.size));
        rs_buf_free(&want);
        e[0].rank = 0;
        ck_assert(!ckpt_write(&rs_format_mxnet, scratch("q.params"), e, 3, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        sample(e);
        e[2].dtype = RESECT_COMPLEX64;
        ck_assert(!ckpt_write(&rs_format_mxnet, scratch("q.params"), e, 3, &err));
        ck_assert(strstr(err.msg, "complex64"));
        ck_assert_int_eq(scratch_count(), 2);
        scratch_done();
}
END_TEST

START_TEST(damage)
{
        resect_error err;
        rs_entry e[3];
        rs_buf b = {0};
        size_t n;
        scratch_make();
        make_all(&b);
        ckpt_prefixes(&rs_format_mxnet, "d.params", "d.params", b.data, b.size, 1);
        ckpt_flips(&rs_format_mxnet, "d.params", "d.params", b.data, b.size, 20000);
        rs_buf_free(&b);
        sample(e);
        CK_OK(ckpt_write(&rs_format_mxnet, scratch("o.params"), e, 3, &err), err);
        unsigned char *own = ckpt_slurp(scratch("o.params"), &n);
        ckpt_prefixes(&rs_format_mxnet, "d.params", "d.params", own, n, 1);
        free(own);
        ckpt_allocations(&rs_format_mxnet, scratch("o.params"), scratch("p.params"));
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("c.params", bytes, n);
        (void)ckpt_use(scratch("c.params"), &rs_format_mxnet, &err);
}

START_TEST(corpus)
{
        scratch_make();
        ckpt_corpus("weights_mxnet", replay);
        scratch_done();
}
END_TEST

UNIT_MAIN("mxnet", every_version, names, hostile, written, damage, corpus)
