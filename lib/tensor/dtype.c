/* SPDX-License-Identifier: 0BSD */
/*
 * Element types in one table, and the only code that takes an element apart. The small floats
 * (float8, float4) go through one description each (exponent bits, mantissa bits, bias, which codes
 * are not finite), so that a new one is a row.
 */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

enum kind { NONE, FLOATING, SIGNED, UNSIGNED, COMPLEX, TEXT };

static const struct {
        const char *name;
        unsigned char bits, kind;
} types[] = {
        [RESECT_UNDEFINED] = {"undefined", 0, NONE},
        [RESECT_FLOAT] = {"float32", 32, FLOATING},
        [RESECT_UINT8] = {"uint8", 8, UNSIGNED},
        [RESECT_INT8] = {"int8", 8, SIGNED},
        [RESECT_UINT16] = {"uint16", 16, UNSIGNED},
        [RESECT_INT16] = {"int16", 16, SIGNED},
        [RESECT_INT32] = {"int32", 32, SIGNED},
        [RESECT_INT64] = {"int64", 64, SIGNED},
        [RESECT_STRING] = {"string", 0, TEXT},
        [RESECT_BOOL] = {"bool", 8, UNSIGNED},
        [RESECT_FLOAT16] = {"float16", 16, FLOATING},
        [RESECT_DOUBLE] = {"float64", 64, FLOATING},
        [RESECT_UINT32] = {"uint32", 32, UNSIGNED},
        [RESECT_UINT64] = {"uint64", 64, UNSIGNED},
        [RESECT_COMPLEX64] = {"complex64", 64, COMPLEX},
        [RESECT_COMPLEX128] = {"complex128", 128, COMPLEX},
        [RESECT_BFLOAT16] = {"bfloat16", 16, FLOATING},
        [RESECT_FLOAT8E4M3FN] = {"float8e4m3fn", 8, FLOATING},
        [RESECT_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8, FLOATING},
        [RESECT_FLOAT8E5M2] = {"float8e5m2", 8, FLOATING},
        [RESECT_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8, FLOATING},
        [RESECT_UINT4] = {"uint4", 4, UNSIGNED},
        [RESECT_INT4] = {"int4", 4, SIGNED},
        [RESECT_FLOAT4E2M1] = {"float4e2m1", 4, FLOATING},
        [RESECT_FLOAT8E8M0] = {"float8e8m0", 8, FLOATING},
        [RESECT_UINT2] = {"uint2", 2, UNSIGNED},
        [RESECT_INT2] = {"int2", 2, SIGNED},
};
enum { N_TYPES = sizeof types / sizeof *types, RANK_CARRIED_MAX = 32 };

const char *
resect_dtype_name(resect_dtype dtype)
{
        return (unsigned)dtype < N_TYPES ? types[dtype].name : "?";
}

unsigned
rs_dtype_bits(int32_t dtype)
{
        return (uint32_t)dtype < N_TYPES ? types[dtype].bits : 0;
}

bool
rs_tensor_extent(int32_t dtype, int rank, const int64_t *dims, size_t *count, size_t *bytes,
        resect_error *err)
{
        size_t n = 1, bits;
        bool empty = false;
        *count = *bytes = 0;
        if (rank < 0 || rank > RANK_CARRIED_MAX)
                return rs_fail(
                        err, RESECT_ARG, "rank %d is not within 0 and %d", rank, RANK_CARRIED_MAX);
        for (int i = 0; i < rank; i++) {
                if (dims[i] < 0)
                        return rs_fail(err, RESECT_ARG, "dimension %d is negative (%lld)", i,
                                (long long)dims[i]);
                empty |= dims[i] == 0;
                if (dims[i] && ((uint64_t)dims[i] > SIZE_MAX || !rs_mul(n, (size_t)dims[i], &n)))
                        return rs_fail(err, RESECT_NOMEM,
                                "the dimensions' product does not fit in a size");
        }
        if (empty)
                n = 0;
        *count = n;
        unsigned width = rs_dtype_bits(dtype);
        if (!width)
                return rs_fail(err, RESECT_ARG, "elements of type %s (%d) have no size",
                        resect_dtype_name((resect_dtype)dtype), (int)dtype);
        if (width >= 8 ? !rs_mul(n, width / 8, &bits) : !rs_add(n, 8 / width - 1, &bits))
                return rs_fail(err, RESECT_NOMEM, "the tensor's bytes do not fit in a size");
        *bytes = width >= 8 ? bits : bits / (8 / width);
        return *bytes <= (size_t)INT64_MAX
                       ? true
                       : rs_fail(err, RESECT_NOMEM, "the tensor's bytes do not fit in a size");
}

/* Half precision. Subnormals are exact in float, so that the conversion is arithmetic on the bits
 * alone. */
float
rs_half_to_float(uint16_t h)
{
        uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff,
                 bits;
        if (exponent == 31) {
                bits = sign | 0x7f800000 | mantissa << 13;
        } else if (exponent) {
                bits = sign | (exponent + 112) << 23 | mantissa << 13;
        } else {
                float f = ldexpf((float)mantissa, -24);
                return sign ? -f : f;
        }
        float f;
        memcpy(&f, &bits, 4);
        return f;
}

uint16_t
rs_float_to_half(float f)
{
        uint32_t x;
        memcpy(&x, &f, 4);
        uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
        x &= 0x7fffffff;
        if (x > 0x7f800000) /* NaN stays one, quiet */
                return (uint16_t)(sign | 0x7e00 | (x >> 13 & 0x1ff));
        if (x >= 0x47800000) /* 65536 and more */
                return sign | 0x7c00;
        if (x >= 0x38800000) /* normal; a carry out of the mantissa runs into the exponent, up to
                                infinity, as it should */
                return (uint16_t)(sign | (((x - 0x38000000) + 0xfff + (x >> 13 & 1)) >> 13));
        if (x < 0x33000000) /* below half of the smallest subnormal */
                return sign;
        uint32_t shift = 126 - (x >> 23), m = (x & 0x7fffff) | 0x800000;
        uint32_t rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
        m >>= shift;
        m += rest > half || (rest == half && (m & 1));
        return (uint16_t)(sign | m);
}

float
rs_bfloat_to_float(uint16_t b)
{
        uint32_t x = (uint32_t)b << 16;
        float f;
        memcpy(&f, &x, 4);
        return f;
}

uint16_t
rs_float_to_bfloat(float f)
{
        uint32_t x;
        memcpy(&x, &f, 4);
        if ((x & 0x7fffffff) > 0x7f800000)
                return (uint16_t)(x >> 16 | 0x40);
        return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

/* The small floats. ieee: the top exponent holds infinity and NaN; else nan is the only code
   (besides its negative, where the format has a sign) that is not finite. */
struct small {
        int exponent, mantissa, bias;
        bool ieee, has_sign, unsigned_zero;
        int nan; /* -1: none */
};

static const struct small *
small_float(int32_t dtype)
{
        static const struct small e4m3fn = {4, 3, 7, false, true, false, 0x7f},
                                  e4m3fnuz = {4, 3, 8, false, true, true, 0x80},
                                  e5m2 = {5, 2, 15, true, true, false, 0x7e},
                                  e5m2fnuz = {5, 2, 16, false, true, true, 0x80},
                                  e2m1 = {2, 1, 1, false, true, false, -1},
                                  e8m0 = {8, 0, 127, false, false, false, 0xff};
        switch (dtype) {
        case RESECT_FLOAT8E4M3FN:
                return &e4m3fn;
        case RESECT_FLOAT8E4M3FNUZ:
                return &e4m3fnuz;
        case RESECT_FLOAT8E5M2:
                return &e5m2;
        case RESECT_FLOAT8E5M2FNUZ:
                return &e5m2fnuz;
        case RESECT_FLOAT4E2M1:
                return &e2m1;
        case RESECT_FLOAT8E8M0:
                return &e8m0;
        default:
                return NULL;
        }
}

static double
small_value(const struct small *s, unsigned code)
{
        unsigned magnitude = code & ((1u << (s->exponent + s->mantissa)) - 1);
        unsigned e = magnitude >> s->mantissa, m = magnitude & ((1u << s->mantissa) - 1);
        bool negative = s->has_sign && code >> (s->exponent + s->mantissa);
        if (s->nan >= 0 &&
                (s->unsigned_zero || !s->has_sign ? code == (unsigned)s->nan
                                                  : !s->ieee && magnitude == (unsigned)s->nan))
                return NAN;
        if (s->ieee && e == (1u << s->exponent) - 1)
                return m ? NAN : negative ? -INFINITY : INFINITY;
        double v = e || !s->has_sign ? ldexp(1 + ldexp(m, -s->mantissa), (int)e - s->bias)
                                     : ldexp(m, 1 - s->bias - s->mantissa);
        return negative ? -v : v;
}

/* The nearest finite code (ties to the even one, as the codes of one sign are in the order of their
   values); beyond the largest it saturates. */
static unsigned
small_code(const struct small *s, double value)
{
        if (isnan(value))
                return s->nan < 0 ? 0 : (unsigned)s->nan;
        unsigned best = 0, codes = 1u << (s->exponent + s->mantissa);
        double wanted = s->has_sign ? fabs(value) : value, least = INFINITY;
        if (isinf(wanted))
                wanted = wanted > 0 ? 1e300 : 0;
        for (unsigned c = 0; c < codes; c++) {
                double v = small_value(s, c), d = fabs(v - wanted);
                if (isfinite(v) && (d < least || (d == least && !(c & 1)))) {
                        least = d;
                        best = c;
                }
        }
        bool negative = s->has_sign && signbit(value) && (best || !s->unsigned_zero);
        return best | (negative ? codes : 0);
}

/* Elements of less than a byte: the first one has the lowest bits. */
static unsigned
load_packed(const unsigned char *p, unsigned bits, size_t index)
{
        unsigned per = 8 / bits;
        return p[index / per] >> (index % per * bits) & ((1u << bits) - 1);
}

static void
store_packed(unsigned char *p, unsigned bits, size_t index, unsigned code)
{
        unsigned per = 8 / bits, shift = (unsigned)(index % per) * bits,
                 mask = ((1u << bits) - 1) << shift;
        p[index / per] = (unsigned char)((p[index / per] & ~mask) | (code << shift & mask));
}

int64_t
rs_load_int(const void *data, int32_t dtype, size_t index)
{
        const unsigned char *p = data;
        unsigned bits = rs_dtype_bits(dtype);
        if ((uint32_t)dtype >= N_TYPES ||
                (types[dtype].kind != SIGNED && types[dtype].kind != UNSIGNED)) {
                double v = rs_load(data, dtype, index);
                return isnan(v)      ? 0
                       : v >= 0x1p63 ? INT64_MAX
                       : v < -0x1p63 ? INT64_MIN
                                     : (int64_t)v;
        }
        uint64_t u = 0;
        if (bits < 8) {
                u = load_packed(p, bits, index);
        } else {
                uint16_t h;
                uint32_t w;
                p += index * (bits / 8);
                if (bits == 8)
                        u = *p;
                else if (bits == 16)
                        memcpy(&h, p, 2), u = h;
                else if (bits == 32)
                        memcpy(&w, p, 4), u = w;
                else
                        memcpy(&u, p, 8);
        }
        if (dtype == RESECT_BOOL)
                return u != 0;
        if (types[dtype].kind == SIGNED && bits < 64 && u >> (bits - 1))
                u |= UINT64_MAX << bits;
        int64_t i;
        memcpy(&i, &u, 8);
        return i;
}

double
rs_load(const void *data, int32_t dtype, size_t index)
{
        const unsigned char *p = data;
        const struct small *s = small_float(dtype);
        unsigned bits = rs_dtype_bits(dtype);
        if (s)
                return small_value(s, bits < 8 ? load_packed(p, bits, index) : p[index]);
        float f;
        double d;
        uint16_t h;
        switch (dtype) {
        case RESECT_FLOAT:
                memcpy(&f, p + index * 4, 4);
                return (double)f;
        case RESECT_COMPLEX64: /* the real part */
                memcpy(&f, p + index * 8, 4);
                return (double)f;
        case RESECT_DOUBLE:
                memcpy(&d, p + index * 8, 8);
                return d;
        case RESECT_COMPLEX128:
                memcpy(&d, p + index * 16, 8);
                return d;
        case RESECT_FLOAT16:
                memcpy(&h, p + index * 2, 2);
                return (double)rs_half_to_float(h);
        case RESECT_BFLOAT16:
                memcpy(&h, p + index * 2, 2);
                return (double)rs_bfloat_to_float(h);
        case RESECT_UINT64:
                return (double)(uint64_t)rs_load_int(data, dtype, index);
        default:
                return bits ? (double)rs_load_int(data, dtype, index) : 0;
        }
}

static void
store_int(unsigned char *p, int32_t dtype, size_t index, double value)
{
        unsigned bits = rs_dtype_bits(dtype);
        bool is_signed = types[dtype].kind == SIGNED;
        double low = is_signed ? -ldexp(1, (int)bits - 1) : 0,
               high = ldexp(1, (int)bits - is_signed);
        uint64_t top = is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits), u;
        value = trunc(value);
        if (dtype == RESECT_BOOL)
                u = value != 0;
        else if (isnan(value))
                u = 0;
        else if (value >= high)
                u = top;
        else if (value <= low)
                u = is_signed ? top + 1 : 0;
        else
                u = value < 0 ? 0 - (uint64_t)-value : (uint64_t)value;
        uint8_t b = (uint8_t)u;
        uint16_t h = (uint16_t)u;
        uint32_t w = (uint32_t)u;
        if (bits < 8)
                store_packed(p, bits, index, b);
        else
                memcpy(p + index * (bits / 8),
                        bits == 8    ? (void *)&b
                        : bits == 16 ? (void *)&h
                        : bits == 32 ? (void *)&w
                                     : (void *)&u,
                        bits / 8);
}

/* A double to float16 or bfloat16 in one rounding: to float first, made odd where that was inexact
   (Boldo and Melquiond, 2008), so that the second rounding sees on which side of a tie the number
   lay. */
static float
round_to_odd(double value)
{
        float f = (float)value;
        if ((double)f == value || isnan(value) || isinf(f))
                return f;
        uint32_t x;
        memcpy(&x, &f, 4);
        if (fabs((double)f) > fabs(value)) /* back towards zero */
                x--;
        x |= 1;
        memcpy(&f, &x, 4);
        return f;
}

void
rs_store(void *data, int32_t dtype, size_t index, double value)
{
        unsigned char *p = data;
        const struct small *s = small_float(dtype);
        unsigned bits = rs_dtype_bits(dtype);
        float f[2] = {(float)value, 0};
        double d[2] = {value, 0};
        uint16_t h;
        if (s && bits < 8)
                store_packed(p, bits, index, small_code(s, value));
        else if (s)
                p[index] = (unsigned char)small_code(s, value);
        else if (dtype == RESECT_FLOAT)
                memcpy(p + index * 4, f, 4);
        else if (dtype == RESECT_DOUBLE)
                memcpy(p + index * 8, d, 8);
        else if (dtype == RESECT_COMPLEX64)
                memcpy(p + index * 8, f, 8);
        else if (dtype == RESECT_COMPLEX128)
                memcpy(p + index * 16, d, 16);
        else if (dtype == RESECT_FLOAT16)
                h = rs_float_to_half(round_to_odd(value)), memcpy(p + index * 2, &h, 2);
        else if (dtype == RESECT_BFLOAT16)
                h = rs_float_to_bfloat(round_to_odd(value)), memcpy(p + index * 2, &h, 2);
        else if (bits)
                store_int(p, dtype, index, value);
}

void
rs_from_little(void *dst, const void *src, int32_t dtype, size_t count)
{
        unsigned bits = rs_dtype_bits(dtype), per = bits < 8 && bits ? 8 / bits : 1;
        size_t width = bits / 8, bytes = bits < 8 ? (count + per - 1) / per : count * width;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        if (width > 1) {
                unsigned char *d = dst;
                const unsigned char *s = src;
                if (dtype == RESECT_COMPLEX64 || dtype == RESECT_COMPLEX128)
                        width /= 2; /* two numbers, each turned by itself */
                for (size_t i = 0; i < bytes; i += width)
                        for (size_t k = 0; k < width; k++)
                                d[i + k] = s[i + width - 1 - k];
                return;
        }
#endif
        if (bytes)
                memcpy(dst, src, bytes);
}

const void *
rs_as_little(const void *src, int32_t dtype)
{
        const unsigned width = rs_dtype_bits(dtype) / 8;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        if (width > 1)
                return NULL;
#endif
        return width > 1 && (uintptr_t)src % width ? NULL : src;
}
