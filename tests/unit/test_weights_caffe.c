/* SPDX-License-Identifier: 0BSD */
/* Caffe's protobuf: three generations of layers and of blobs by hand, what they must not be, and
 * what is written. */
#include "config.h"
#include "ckpt.h"

#include "onnx/wire.h"

extern const rs_format rs_format_caffe;

static void
put_varint(rs_buf *b, uint64_t v)
{
        unsigned char s[10];
        rs_buf_add(b, s, rs_wire_put_varint(s, v));
}

static void
put_number(rs_buf *b, unsigned field, uint64_t v)
{
        put_varint(b, field << 3);
        put_varint(b, v);
}

static void
put_bytes(rs_buf *b, unsigned field, const void *s, size_t n)
{
        put_varint(b, field << 3 | 2);
        put_varint(b, n);
        rs_buf_add(b, s, n);
}

/* A message within; inner is used up. */
static void
put_message(rs_buf *b, unsigned field, rs_buf *inner)
{
        put_bytes(b, field, inner->data, inner->size);
        rs_buf_free(inner);
}

static void
put_shape(rs_buf *b, size_t n, const uint64_t *dims)
{
        rs_buf packed = {0}, shape = {0};
        for (size_t i = 0; i < n; i++)
                put_varint(&packed, dims[i]);
        put_message(&shape, 1, &packed);
        put_message(b, 7, &shape);
}

/* A layer of today with one blob; blob is used up. */
static void
put_layer(rs_buf *b, const char *name, const char *type, rs_buf *blob)
{
        rs_buf layer = {0};
        put_bytes(&layer, 1, name, strlen(name));
        put_bytes(&layer, 2, type, strlen(type));
        put_message(&layer, 7, blob);
        put_message(b, 100, &layer);
}

static rs_checkpoint *
read_buf(rs_buf *b, resect_error *err)
{
        *err = (resect_error){0};
        scratch_write("m.caffemodel", b->data, b->size);
        return rs_checkpoint_read(scratch("m.caffemodel"), NULL, 0, err);
}

static void
refused(rs_buf *b, const char *words)
{
        resect_error err;
        rs_checkpoint *c = read_buf(b, &err);
        ck_assert_msg(!c, "accepted, not refused for: %s", words);
        ck_assert_msg(strstr(err.msg, words), "%s: %s, expected: %s", resect_code_name(err.code),
                err.msg, words);
        ck_assert(err.code == RESECT_FORMAT || err.code == RESECT_UNSUPPORTED);
        rs_buf_free(b);
}

static const float values[] = {1, 2, 3, 4, 5, 6};

/* Packed; one by one; in two runs; double; raw halves; today's, version 1's and version 0's layers;
 * without values. */
static void
make_all(rs_buf *b)
{
        rs_buf blob = {0}, layer = {0}, v0 = {0};
        put_bytes(b, 1, "Net", 3);
        put_shape(&blob, 2, (uint64_t[]){2, 3});
        put_bytes(&blob, 5, values, 24);
        put_layer(b, "packed", "InnerProduct", &blob);
        for (int i = 0; i < 2; i++) {
                put_varint(&blob, 5 << 3 | 5);
                rs_buf_add(&blob, &values[i], 4);
        }
        put_bytes(&blob, 5, &values[2], 8);
        put_bytes(&blob, 6, values, 24); /* gradients are nobody's business */
        put_shape(&blob, 1, (uint64_t[]){4});
        put_layer(b, "pieces", "Scale", &blob);
        put_number(&blob, 1, 1);
        put_number(&blob, 2, 1);
        put_number(&blob, 3, 2);
        put_number(&blob, 4, 1);
        put_bytes(&blob, 8, (double[]){7, 8}, 16);
        put_bytes(&layer, 4, "old", 3); /* version 1: a matrix in four numbers */
        put_number(&layer, 5, 14);
        put_message(&layer, 6, &blob);
        put_message(b, 2, &layer);
        put_number(&blob, 1, 1);
        put_number(&blob, 2, 1);
        put_number(&blob, 3, 1);
        put_number(&blob, 4, 2);
        put_bytes(&blob, 5, values, 8);
        put_number(&layer, 5, 4); /* a Conv: its four numbers are its own, but for the bias */
        put_bytes(&layer, 6, blob.data, blob.size);
        put_bytes(&layer, 4, "conv", 4);
        put_message(&layer, 6, &blob);
        put_message(b, 2, &layer);
        put_bytes(&v0, 1, "older", 5);
        put_bytes(&v0, 2, "relu", 4);
        put_number(&blob, 10, 2);
        put_bytes(&blob, 12, "\0\x3c\0\x40", 4);
        put_shape(&blob, 1, (uint64_t[]){2});
        put_message(&v0, 50, &blob);
        put_shape(&blob, 1, (uint64_t[]){9});
        put_message(&v0, 50, &blob);
        put_message(&layer, 1, &v0);
        put_message(b, 2, &layer);
}

static const rs_entry *
expect(const rs_checkpoint *c, const char *name, int32_t dtype, int rank, const int64_t *dims,
        const void *bytes)
{
        resect_error err;
        rs_arena arena = {0};
        rs_span s;
        const rs_entry *e = rs_checkpoint_find(c, name);
        ck_assert_msg(e != NULL, "%s", name);
        ck_assert_int_eq(e->dtype, dtype);
        ck_assert_int_eq(e->rank, rank);
        for (int i = 0; i < rank; i++)
                ck_assert_int_eq(e->dims[i], dims[i]);
        CK_OK(rs_entry_bytes(e, &arena, &s, &err), err);
        ck_assert_uint_eq(s.size, e->bytes);
        ck_assert_mem_eq(s.data, bytes, s.size);
        rs_arena_free(&arena);
        return e;
}

START_TEST(every_generation)
{
        resect_error err;
        rs_buf b = {0};
        scratch_make();
        make_all(&b);
        rs_checkpoint *c = read_buf(&b, &err);
        CK_OK(c != NULL, err);
        ck_assert_ptr_eq(c->format, &rs_format_caffe);
        ck_assert_uint_eq(c->n_entries, 6);
        const rs_entry *e = expect(c, "packed/0", RESECT_FLOAT, 2, (int64_t[]){2, 3}, values);
        ck_assert_ptr_nonnull(e->data.data); /* stays where it is */
        expect(c, "pieces/0", RESECT_FLOAT, 1, (int64_t[]){4}, values);
        expect(c, "old/0", RESECT_DOUBLE, 2, (int64_t[]){2, 1}, (double[]){7, 8});
        expect(c, "conv/0", RESECT_FLOAT, 4, (int64_t[]){1, 1, 1, 2}, values);
        expect(c, "conv/1", RESECT_FLOAT, 1, (int64_t[]){2}, values);
        expect(c, "older/0", RESECT_FLOAT16, 1, (int64_t[]){2}, "\0\x3c\0\x40");
        ck_assert_uint_eq(c->n_skipped, 1);
        ck_assert_str_eq(c->skipped[0].name, "older/1");
        ck_assert_uint_eq(c->n_meta, 1);
        ck_assert_str_eq(c->meta[0].value, "Net");
        rs_checkpoint_free(c);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* Known by what it is where nothing is known by a name; other messages are not taken for it. */
START_TEST(sniffed)
{
        rs_buf b = {0}, blob = {0};
        put_bytes(&b, 1, "Net", 3);
        put_shape(&blob, 1, (uint64_t[]){1});
        put_layer(&b, "conv1", "Convolution", &blob);
        ck_assert(rs_format_caffe.sniff(b.data, b.size, "-"));
        for (size_t n = 0; n < 20; n++)
                ck_assert(!rs_format_caffe.sniff(b.data, n, "-"));
        ck_assert(
                !rs_format_caffe.sniff((const unsigned char *)"\x08\x08\x12\x07pytorch", 11, "-"));
        ck_assert(!rs_format_caffe.sniff(NULL, 0, "folder.caffemodel"));
        rs_buf_free(&b);
}
END_TEST

START_TEST(hostile)
{
        rs_buf b = {0}, blob = {0}, layer = {0};
        scratch_make();
        put_bytes(&b, 1, "Net", 3);
        refused(&b, "no layers");
        put_shape(&blob, 2, (uint64_t[]){UINT64_C(1) << 32, UINT64_C(1) << 32});
        put_bytes(&blob, 5, values, 24);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "w/0");
        put_shape(&blob, 1, (uint64_t[]){7});
        put_bytes(&blob, 5, values, 24);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "24 bytes of data for a shape that takes 28");
        put_shape(&blob, 1, (uint64_t[]){UINT64_C(1) << 40});
        put_bytes(&blob, 5, values, 8); /* two runs: nothing is made before it fits */
        put_bytes(&blob, 5, values, 8);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "16 bytes of data for");
        put_shape(&blob, 1, (uint64_t[]){UINT64_MAX});
        put_bytes(&blob, 5, values, 8);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "damaged");
        put_number(&blob, 4, UINT64_MAX - 1);
        put_bytes(&blob, 5, values, 8);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "negative dimension");
        put_shape(&blob, 9, (uint64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1});
        put_bytes(&blob, 5, values, 4);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "9 dimensions");
        put_bytes(&blob, 5, values, 7);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "wrong wire type or size");
        put_bytes(&blob, 5, values, 4);
        put_bytes(&blob, 8, values, 8);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "values of two types");
        put_bytes(&blob, 12, values, 4);
        put_bytes(&blob, 12, values, 4);
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "raw_data twice");
        put_shape(&blob, 1, (uint64_t[]){1});
        put_shape(&blob, 1, (uint64_t[]){1});
        put_layer(&b, "w", "Scale", &blob);
        refused(&b, "two shapes");
        put_bytes(&blob, 5, values, 4);
        put_layer(&b, "", "Scale", &blob);
        refused(&b, "without a name");
        put_bytes(&layer, 1, "w", 1);
        put_bytes(&layer, 1, "v", 1);
        put_message(&b, 100, &layer);
        refused(&b, "a layer's name");
        for (int i = 0; i < 2; i++) {
                put_bytes(&blob, 5, values, 4);
                put_layer(&b, "w", "Scale", &blob);
        }
        refused(&b, "two tensors are called 'w/0'");
        put_bytes(&layer, 1, "w", 1);
        for (int i = 0; i < 17; i++)
                put_bytes(&layer, 7, "", 0);
        put_message(&b, 100, &layer);
        refused(&b, "more than 16 blobs");
        put_number(&b, 100, 1);
        refused(&b, "wrong wire type");
        rs_buf_str(&b, "\xa2\x06\xff\xff\xff\xff\x07");
        refused(&b, "offset 0: no valid field");
        scratch_done();
}
END_TEST

static const int64_t kernel[] = {2, 3, 1, 1}, two[] = {2}, one[] = {1};

/* As they come from a network: of a norm gamma and beta before mean and variance. */
static void
sample(rs_entry e[7])
{
        ckpt_fill();
        e[0] = ckpt_entry("conv1/0", RESECT_FLOAT, 4, 4, kernel);
        e[1] = ckpt_entry("scale_conv1/0", RESECT_FLOAT16, 2, 1, two);
        e[2] = ckpt_entry("scale_conv1/1", RESECT_FLOAT16, 2, 1, two);
        e[3] = ckpt_entry("bn_conv1/0", RESECT_DOUBLE, 8, 1, two);
        e[4] = ckpt_entry("bn_conv1/1", RESECT_FLOAT, 4, 1, two);
        e[5] = ckpt_entry("bn_conv1/2", RESECT_FLOAT, 4, 1, one);
        e[6] = ckpt_entry("conv1/1", RESECT_FLOAT, 4, 1, two);
}

START_TEST(written)
{
        resect_error err;
        rs_entry e[7];
        static const char *const bad[] = {
                "conv1", "conv1/", "conv1/x", "/0", "conv1/01", "conv1/2", "conv1/0"};
        scratch_make();
        sample(e);
        CK_OK(ckpt_write(&rs_format_caffe, scratch("o.caffemodel"), e, 7, &err), err);
        rs_checkpoint *c = rs_checkpoint_read(scratch("o.caffemodel"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ckpt_same(c, e, 7);
        rs_checkpoint_free(c);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                sample(e);
                e[6].name = bad[i];
                ck_assert_msg(!ckpt_write(&rs_format_caffe, scratch("p.caffemodel"), e, 7, &err),
                        "%s", bad[i]);
                ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        }
        sample(e);
        e[6].dtype = RESECT_INT64;
        ck_assert(!ckpt_write(&rs_format_caffe, scratch("p.caffemodel"), e, 7, &err));
        ck_assert(strstr(err.msg, "int64"));
        ck_assert_int_eq(scratch_count(), 1);
        scratch_done();
}
END_TEST

/* A cut between two layers of the file cannot be seen: what is left is a model with fewer of them.
 */
static void
cut_or_fewer(const unsigned char *bytes, size_t n)
{
        resect_error err;
        size_t taken = 0;
        for (size_t k = 0; k < n; k++) {
                scratch_write("d.caffemodel", bytes, k);
                if (ckpt_use(scratch("d.caffemodel"), &rs_format_caffe, &err))
                        taken++;
                else
                        ck_assert_msg(err.code == RESECT_FORMAT, "%zu: %s", k, err.msg);
        }
        ck_assert_uint_le(taken, 5);
}

START_TEST(damage)
{
        resect_error err;
        rs_entry e[7];
        rs_buf b = {0};
        size_t n;
        scratch_make();
        make_all(&b);
        cut_or_fewer(b.data, b.size);
        ckpt_flips(&rs_format_caffe, "d.caffemodel", "d.caffemodel", b.data, b.size, 20000);
        scratch_write("e.caffemodel", b.data, b.size);
        rs_buf_free(&b);
        sample(e);
        CK_OK(ckpt_write(&rs_format_caffe, scratch("o.caffemodel"), e, 7, &err), err);
        unsigned char *own = ckpt_slurp(scratch("o.caffemodel"), &n);
        cut_or_fewer(own, n);
        free(own);
        ckpt_allocations(&rs_format_caffe, scratch("o.caffemodel"), scratch("p.caffemodel"));
        ckpt_allocations(&rs_format_caffe, scratch("e.caffemodel"), scratch("p.caffemodel"));
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("c.caffemodel", bytes, n);
        (void)ckpt_use(scratch("c.caffemodel"), &rs_format_caffe, &err);
}

START_TEST(corpus)
{
        scratch_make();
        ckpt_corpus("weights_caffe", replay);
        scratch_done();
}
END_TEST

UNIT_MAIN("caffe", every_generation, sniffed, hostile, written, damage, corpus)
