/* SPDX-License-Identifier: 0BSD */
/* lib/tensor: element types against the compiler's own _Float16 and the tables of the OCP formats,
 * sizes, comparison. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "tensor/dtype.h"

START_TEST(extents_never_wrap)
{
        size_t n, bytes;
        resect_error err;
        CK_OK(rs_tensor_extent(RESECT_FLOAT, 3, (int64_t[]){2, 3, 4}, &n, &bytes, &err), err);
        ck_assert(n == 24 && bytes == 96);
        CK_OK(rs_tensor_extent(RESECT_INT4, 1, (int64_t[]){5}, &n, &bytes, &err), err);
        ck_assert(n == 5 && bytes == 3);
        CK_OK(rs_tensor_extent(RESECT_UINT2, 1, (int64_t[]){4}, &n, &bytes, &err), err);
        ck_assert(n == 4 && bytes == 1);
        CK_OK(rs_tensor_extent(RESECT_DOUBLE, 0, NULL, &n, &bytes, &err), err);
        ck_assert(n == 1 && bytes == 8);
        CK_OK(rs_tensor_extent(RESECT_DOUBLE, 2, (int64_t[]){0, 7}, &n, &bytes, &err), err);
        ck_assert(n == 0 && bytes == 0);
        static const int64_t odd[] = {
                INT64_MAX, INT64_C(1) << 62, INT64_C(1) << 61, INT64_C(4294967297), 65537};
        for (int at = 0; at < 8; at++)
                for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
                        int64_t dims[8] = {65537, 1, 1, 65537, 1, 1, 65537, 65537};
                        dims[at] = odd[k];
                        dims[(at + 4) % 8] = odd[k];
                        ck_assert(!rs_tensor_extent(RESECT_FLOAT, 8, dims, &n, &bytes, &err));
                        ck_assert_int_eq(err.code, RESECT_NOMEM);
                        dims[0] = -1;
                        ck_assert(!rs_tensor_extent(RESECT_FLOAT, 8, dims, &n, &bytes, &err));
                        ck_assert_int_eq(err.code, RESECT_ARG);
                }
        ck_assert(!rs_tensor_extent(RESECT_STRING, 1, (int64_t[]){1}, &n, &bytes, &err));
        ck_assert(!rs_tensor_extent(99, 1, (int64_t[]){1}, &n, &bytes, &err));
        ck_assert(!rs_tensor_extent(RESECT_FLOAT, 33, NULL, &n, &bytes, &err));
        ck_assert_str_eq(resect_dtype_name((resect_dtype)99), "?");
        ck_assert_str_eq(resect_dtype_name((resect_dtype)-1), "?");
}
END_TEST

/* Millions of comparisons: Check's assertions write to the runner each time, an if does not. */
START_TEST(half_is_the_processors)
{
        for (uint32_t h = 0; h < 65536; h++) {
                float f = rs_half_to_float((uint16_t)h);
                uint16_t back = rs_float_to_half(f);
                if (isnan(f) ? !isnan(rs_half_to_float(back)) : back != h)
                        ck_abort_msg("%04x: there and back it is %04x", h, back);
#ifdef __FLT16_MANT_DIG__
                _Float16 x;
                uint16_t bits = (uint16_t)h;
                memcpy(&x, &bits, 2);
                if (isnan(f) ? !isnan((float)x) : (float)x != f)
                        ck_abort_msg("%04x: %a, not %a", h, (double)f, (double)x);
#endif
        }
#ifdef __FLT16_MANT_DIG__
        for (uint32_t i = 0; i < 0x7f800000;
                i += 1021) { /* every float binade, ties and near-ties of many */
                uint32_t around[] = {i, (i & 0xffffe000) | 0x1000, ((i & 0xffffe000) | 0x1000) + 1,
                        ((i & 0xffffe000) | 0x1000) - 1};
                for (int k = 0; k < 4; k++) {
                        float f;
                        uint16_t bits;
                        memcpy(&f, &around[k], 4);
                        _Float16 x = (_Float16)f;
                        memcpy(&bits, &x, 2);
                        if (rs_float_to_half(f) != bits)
                                ck_abort_msg(
                                        "%a: %04x, not %04x", (double)f, rs_float_to_half(f), bits);
                }
        }
        for (int i = 0; i < 100000; i++) { /* from double in one rounding */
                double d =
                        ldexp(1 + (i % 2048) / 2048.0, i % 30 - 15) * (1 + (i % 3 - 1) * 0x1p-40);
                uint16_t got, bits;
                _Float16 x = (_Float16)d;
                memcpy(&bits, &x, 2);
                rs_store(&got, RESECT_FLOAT16, 0, d);
                if (got != bits)
                        ck_abort_msg("%a: %04x, not %04x", d, got, bits);
        }
#endif
        ck_assert_uint_eq(rs_float_to_bfloat(1.0f), 0x3f80);
        ck_assert_uint_eq(rs_float_to_bfloat(0x1.01p0f), 0x3f80); /* tie, to even */
        ck_assert_uint_eq(rs_float_to_bfloat(0x1.03p0f), 0x3f82); /* tie, to even */
        ck_assert_uint_eq(rs_float_to_bfloat(0x1.010002p0f), 0x3f81);
        ck_assert(isnan(rs_bfloat_to_float(rs_float_to_bfloat(NAN))));
}
END_TEST

START_TEST(small_floats_are_the_published_ones)
{
        static const struct {
                int32_t dtype;
                unsigned char code;
                double value;
        } t[] = {{RESECT_FLOAT8E4M3FN, 0x7e, 448}, {RESECT_FLOAT8E4M3FN, 0x08, 0x1p-6},
                {RESECT_FLOAT8E4M3FN, 0x01, 0x1p-9}, {RESECT_FLOAT8E4M3FN, 0xfe, -448},
                {RESECT_FLOAT8E4M3FNUZ, 0x7f, 240}, {RESECT_FLOAT8E4M3FNUZ, 0x01, 0x1p-10},
                {RESECT_FLOAT8E5M2, 0x7b, 57344}, {RESECT_FLOAT8E5M2, 0x01, 0x1p-16},
                {RESECT_FLOAT8E5M2FNUZ, 0x7f, 57344}, {RESECT_FLOAT8E5M2FNUZ, 0x01, 0x1p-17},
                {RESECT_FLOAT8E8M0, 0x00, 0x1p-127}, {RESECT_FLOAT8E8M0, 0xfe, 0x1p127},
                {RESECT_FLOAT8E8M0, 0x7f, 1}};
        for (size_t i = 0; i < sizeof t / sizeof *t; i++)
                ck_assert_double_eq(rs_load(&t[i].code, t[i].dtype, 0), t[i].value);
        ck_assert(isnan(rs_load("\x7f", RESECT_FLOAT8E4M3FN, 0)) &&
                  isnan(rs_load("\x80", RESECT_FLOAT8E4M3FNUZ, 0)));
        ck_assert(isinf(rs_load("\x7c", RESECT_FLOAT8E5M2, 0)) &&
                  isnan(rs_load("\x7d", RESECT_FLOAT8E5M2, 0)));
        ck_assert(isnan(rs_load("\xff", RESECT_FLOAT8E8M0, 0)));
        static const double e2m1[] = {
                0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6};
        unsigned char packed[8] = {0};
        for (size_t i = 0; i < 16; i++)
                rs_store(packed, RESECT_FLOAT4E2M1, i, e2m1[i]);
        for (size_t i = 0; i < 16; i++)
                ck_assert_double_eq(rs_load(packed, RESECT_FLOAT4E2M1, i), e2m1[i]);
        ck_assert_uint_eq(packed[0], 0x10);
        for (int32_t dtype = RESECT_FLOAT8E4M3FN; dtype <= RESECT_FLOAT8E5M2FNUZ; dtype++)
                for (unsigned code = 0; code < 256; code++) {
                        unsigned char c = (unsigned char)code, back;
                        double v = rs_load(&c, dtype, 0);
                        rs_store(&back, dtype, 0, v);
                        if (isfinite(v))
                                ck_assert_uint_eq(back, code);
                }
}
END_TEST

START_TEST(integers_saturate)
{
        unsigned char b[16] = {0};
        rs_store(b, RESECT_INT8, 0, 300);
        rs_store(b, RESECT_INT8, 1, -300);
        rs_store(b, RESECT_INT8, 2, NAN);
        rs_store(b, RESECT_UINT8, 3, -5);
        ck_assert(b[0] == 127 && b[1] == 128 && b[2] == 0 && b[3] == 0);
        int64_t big;
        rs_store(&big, RESECT_INT64, 0, 1e30);
        ck_assert_int_eq(big, INT64_MAX);
        rs_store(&big, RESECT_INT64, 0, -1e30);
        ck_assert_int_eq(big, INT64_MIN);
        uint64_t ubig;
        rs_store(&ubig, RESECT_UINT64, 0, 1e30);
        ck_assert(ubig == UINT64_MAX);
        for (int i = -8; i < 8; i++) {
                rs_store(b, RESECT_INT4, (size_t)(i + 8), i);
                ck_assert_int_eq(rs_load_int(b, RESECT_INT4, (size_t)(i + 8)), i);
        }
        for (int i = -2; i < 2; i++) {
                rs_store(b, RESECT_INT2, (size_t)(i + 2), i);
                ck_assert_double_eq(rs_load(b, RESECT_INT2, (size_t)(i + 2)), i);
        }
        ck_assert_int_eq(rs_load_int(&(int64_t){INT64_C(9007199254740993)}, RESECT_INT64, 0),
                INT64_C(9007199254740993));
        rs_store(b, RESECT_BOOL, 0, 0.0);
        rs_store(b, RESECT_BOOL, 1, 7.0);
        ck_assert(b[0] == 0 && b[1] == 1);
}
END_TEST

START_TEST(comparison_counts)
{
        resect_tensor a, b;
        resect_difference d;
        resect_error err;
        int64_t dims[] = {2, 3};
        CK_OK(resect_tensor_make(&a, RESECT_FLOAT, 2, dims, &err), err);
        CK_OK(resect_tensor_make(&b, RESECT_FLOAT, 2, dims, &err), err);
        float x[] = {1, 2, 3, NAN, INFINITY, 0}, y[] = {1, 2.5f, 3, NAN, INFINITY, -0.0f};
        memcpy(a.data, x, sizeof x);
        memcpy(b.data, y, sizeof y);
        CK_OK(resect_tensor_compare(&a, &b, 0.1, 0, &d, &err), err);
        ck_assert(d.count == 6 && d.unequal == 1 && d.at == 1);
        ck_assert_double_eq(d.max_abs, 0.5);
        ck_assert_double_eq(d.max_rel, 0.5 / 3);
        ck_assert_double_eq(d.mean_abs, 0.5 / 6);
        ck_assert_uint_eq(d.max_ulp, 1u << 21);
        CK_OK(resect_tensor_compare(&a, &b, 0.2, 0, &d, &err), err);
        ck_assert_int_eq(d.unequal, 0);
        ((float *)b.data)[0] = NAN; /* a number against NaN is never equal */
        CK_OK(resect_tensor_compare(&a, &b, 1, 100, &d, &err), err);
        ck_assert(d.unequal == 1 && isinf(d.max_abs));
        b.dims[0] = 3;
        b.dims[1] = 2;
        ck_assert(!resect_tensor_compare(&a, &b, 1, 100, &d, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        resect_tensor_free(&a);
        resect_tensor_free(&b);
        ck_assert(!resect_tensor_make(&a, RESECT_FLOAT, 1, (int64_t[]){-1}, &err));
        ck_assert(!resect_tensor_make(&a, RESECT_FLOAT, 9, dims, &err));
        ck_assert(!resect_tensor_make(&a, RESECT_STRING, 1, dims, &err));
}
END_TEST

UNIT_MAIN("dtype", extents_never_wrap, half_is_the_processors, small_floats_are_the_published_ones,
        integers_saturate, comparison_counts)
