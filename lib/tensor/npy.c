/* SPDX-License-Identifier: 0BSD */
/*
 * .npy, after NumPy's format description (numpy/lib/format.py, versions 1.0 to 3.0): magic,
 * version, length, and a header that is a Python dictionary of exactly descr, fortran_order and
 * shape. It is read by a small strict parser; nothing is evaluated, and no length is believed
 * before the bytes are there.
 */
#include "tensor/npy.h"

#include <stdio.h>
#include <string.h>
#include "io/input.h"
#include "io/output.h"
#include "tensor/dtype.h"

static const struct {
        const char *code;
        int32_t dtype;
} codes[] = {{"b1", RESECT_BOOL}, {"i1", RESECT_INT8}, {"u1", RESECT_UINT8}, {"i2", RESECT_INT16},
        {"u2", RESECT_UINT16}, {"i4", RESECT_INT32}, {"u4", RESECT_UINT32}, {"i8", RESECT_INT64},
        {"u8", RESECT_UINT64}, {"f2", RESECT_FLOAT16}, {"f4", RESECT_FLOAT}, {"f8", RESECT_DOUBLE},
        {"c8", RESECT_COMPLEX64}, {"c16", RESECT_COMPLEX128}};

struct text {
        const char *p, *end;
};

static void
space(struct text *t)
{
        while (t->p < t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t'))
                t->p++;
}

static bool
eat(struct text *t, char c)
{
        space(t);
        if (t->p == t->end || *t->p != c)
                return false;
        t->p++;
        return true;
}

/* A string in single or double quotes without escapes. */
static bool
quoted(struct text *t, char *out, size_t size)
{
        space(t);
        if (t->p == t->end || (*t->p != '\'' && *t->p != '"'))
                return false;
        char quote = *t->p++;
        size_t n = 0;
        while (t->p < t->end && *t->p != quote) {
                if (*t->p == '\\' || n + 1 >= size)
                        return false;
                out[n++] = *t->p++;
        }
        out[n] = '\0';
        return eat(t, quote);
}

static bool
word(struct text *t, const char *w)
{
        size_t n = strlen(w);
        space(t);
        if ((size_t)(t->end - t->p) < n || memcmp(t->p, w, n) != 0)
                return false;
        t->p += n;
        return true;
}

static bool
number(struct text *t, int64_t *out)
{
        space(t);
        const char *start = t->p;
        *out = 0;
        for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++)
                if (__builtin_mul_overflow(*out, 10, out) ||
                        __builtin_add_overflow(*out, *t->p - '0', out))
                        return false;
        if (t->p == start)
                return false;
        if (t->p < t->end && *t->p == 'L') /* Python 2 wrote 3L */
                t->p++;
        return true;
}

static bool
parse_shape(struct text *t, rs_npy *h, resect_error *err)
{
        bool comma = false;
        if (!eat(t, '('))
                return rs_fail(err, RESECT_FORMAT, "the header's shape is no tuple");
        while (!eat(t, ')')) {
                if (h->rank && !comma)
                        return rs_fail(
                                err, RESECT_FORMAT, "the header's shape is no tuple of numbers");
                if (h->rank == RESECT_RANK_MAX)
                        return rs_fail(err, RESECT_UNSUPPORTED, "more than %d dimensions",
                                RESECT_RANK_MAX);
                if (!number(t, &h->dims[h->rank++]))
                        return rs_fail(
                                err, RESECT_FORMAT, "the header's shape is no tuple of numbers");
                comma = eat(t, ',');
        }
        return h->rank != 1 || comma ||
               rs_fail(err, RESECT_FORMAT, "the header's shape is no tuple");
}

bool
rs_npy_descr(rs_npy *h, const char *descr, resect_error *err)
{
        const char *code = descr;
        bool big = *code == '>', known = *code && strchr("<>|=", *code);
        code += known;
        if (*code == 'O')
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "arrays of Python objects are refused: reading them would run code");
        for (size_t i = 0; known && i < sizeof codes / sizeof *codes; i++)
                if (!strcmp(codes[i].code, code)) {
                        h->dtype = codes[i].dtype;
                        if (descr[0] == '|' && rs_dtype_bits(h->dtype) != 8)
                                break;
                        bool machine_big = *(const unsigned char *)&(uint16_t){1} == 0;
                        h->swap = descr[0] != '=' && descr[0] != '|' && big != machine_big &&
                                  rs_dtype_bits(h->dtype) > 8;
                        return true;
                }
        return rs_fail(err, RESECT_UNSUPPORTED, "elements of type '%s' are not read", descr);
}

const char *
rs_npy_code(int32_t dtype)
{
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                if (codes[i].dtype == dtype)
                        return codes[i].code;
        return NULL;
}

static bool
parse_descr(struct text *t, rs_npy *h, resect_error *err)
{
        char descr[64];
        space(t);
        if (t->p < t->end && *t->p == '[')
                return rs_fail(err, RESECT_UNSUPPORTED, "structured arrays are not read");
        if (!quoted(t, descr, sizeof descr))
                return rs_fail(err, RESECT_FORMAT, "the header's descr is no string");
        return rs_npy_descr(h, descr, err);
}

static bool
parse_dictionary(struct text *t, rs_npy *h, resect_error *err)
{
        unsigned seen = 0;
        if (!eat(t, '{'))
                return rs_fail(err, RESECT_FORMAT, "the header is no dictionary");
        for (bool comma = true; !eat(t, '}');) {
                char key[32];
                unsigned bit;
                if (!comma || !quoted(t, key, sizeof key) || !eat(t, ':'))
                        return rs_fail(err, RESECT_FORMAT, "the header is no dictionary");
                bit = !strcmp(key, "descr")           ? 1
                      : !strcmp(key, "fortran_order") ? 2
                      : !strcmp(key, "shape")         ? 4
                                                      : 0;
                if (!bit || seen & bit)
                        return rs_fail(err, RESECT_FORMAT, "the header has %s key '%s'",
                                bit ? "twice the" : "an unknown", key);
                seen |= bit;
                if (bit == 1 && !parse_descr(t, h, err))
                        return false;
                if (bit == 2 && !(h->fortran = word(t, "True")) && !word(t, "False"))
                        return rs_fail(err, RESECT_FORMAT,
                                "the header's fortran_order is neither True nor False");
                if (bit == 4 && !parse_shape(t, h, err))
                        return false;
                comma = eat(t, ',');
        }
        space(t);
        return (seen == 7 && t->p == t->end) ||
               rs_fail(err, RESECT_FORMAT,
                       "the header is not descr, fortran_order and shape alone");
}

bool
rs_npy_parse(rs_npy *h, const unsigned char *b, size_t size, resect_error *err)
{
        *h = (rs_npy){0};
        if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0)
                return rs_fail(err, RESECT_FORMAT, "not a .npy file");
        if (b[6] < 1 || b[6] > 3 || b[7] != 0)
                return rs_fail(
                        err, RESECT_UNSUPPORTED, ".npy version %d.%d is not read", b[6], b[7]);
        size_t length = b[8] | (size_t)b[9] << 8;
        h->start = 10;
        if (b[6] > 1) {
                if (size < 12)
                        return rs_fail(err, RESECT_FORMAT, "the file ends inside its header");
                length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
                h->start = 12;
        }
        if (length > RS_NPY_HEADER_MAX)
                return rs_fail(err, RESECT_FORMAT,
                        "the header claims %zu bytes; at most %d are read", length,
                        RS_NPY_HEADER_MAX);
        if (length > size - h->start)
                return rs_fail(err, RESECT_FORMAT, "the file ends inside its header");
        struct text t = {(const char *)b + h->start, (const char *)b + h->start + length};
        h->start += length;
        return parse_dictionary(&t, h, err) &&
               rs_tensor_extent(h->dtype, h->rank, h->dims, &h->count, &h->bytes, err);
}

static void
put_element(unsigned char *d, const unsigned char *s, size_t width, size_t part, bool swap)
{
        if (!swap) {
                memcpy(d, s, width);
                return;
        }
        for (size_t k = 0; k < width; k += part) /* each number of a complex one by itself */
                for (size_t i = 0; i < part; i++)
                        d[k + i] = s[k + part - 1 - i];
}

bool
rs_npy_fill(resect_tensor *t, const rs_npy *h, const unsigned char *data, resect_error *err)
{
        if (!resect_tensor_make(t, (resect_dtype)h->dtype, h->rank, h->dims, err))
                return false;
        bool pair = h->dtype == RESECT_COMPLEX64 || h->dtype == RESECT_COMPLEX128;
        size_t width = rs_dtype_bits(h->dtype) / 8, part = pair ? width / 2 : width, from = 0;
        if (!h->swap && (!h->fortran || h->rank < 2)) {
                if (h->bytes)
                        memcpy(t->data, data, h->bytes);
                return true;
        }
        int64_t at[RESECT_RANK_MAX] = {0};
        size_t step[RESECT_RANK_MAX], n = 1;
        for (int k = 0; k < h->rank; k++) {
                int axis = h->fortran ? k : h->rank - 1 - k;
                step[axis] = n;
                n *= (size_t)h->dims[axis];
        }
        for (size_t i = 0; i < h->count; i++) {
                put_element((unsigned char *)t->data + i * width, data + from * width, width, part,
                        h->swap);
                for (int k = h->rank - 1; k >= 0; k--) {
                        from += step[k];
                        if (++at[k] < h->dims[k])
                                break;
                        from -= step[k] * (size_t)h->dims[k];
                        at[k] = 0;
                }
        }
        return true;
}

bool
rs_npy_little(const rs_npy *h, const unsigned char *data, rs_arena *arena, rs_span *out,
        resect_error *err)
{
        bool machine_big = *(const unsigned char *)&(uint16_t){1} == 0;
        *out = (rs_span){data, h->bytes};
        if ((machine_big == h->swap || rs_dtype_bits(h->dtype) == 8) &&
                (!h->fortran || h->rank < 2))
                return true;
        resect_tensor t;
        unsigned char *copy = rs_arena_alloc(arena, h->bytes, 1, err);
        if (!copy || !rs_npy_fill(&t, h, data, err))
                return false;
        rs_from_little(copy, t.data, h->dtype, h->count);
        resect_tensor_free(&t);
        out->data = copy;
        return true;
}

bool
resect_tensor_read_npy(resect_tensor *t, const char *path, resect_error *err)
{
        rs_npy h;
        *t = (resect_tensor){0};
        rs_input *in = rs_input_open(path, 0, err);
        if (!in)
                return false;
        bool ok = rs_npy_parse(&h, in->data, in->size, err);
        if (ok && h.bytes != in->size - h.start)
                ok = rs_fail(err, RESECT_FORMAT, "%zu bytes of data for a shape that takes %zu",
                        in->size - h.start, h.bytes);
        ok = ok && rs_npy_fill(t, &h, in->data + h.start, err);
        if (!ok)
                rs_fail_at(err, "%s", path);
        rs_input_free(in);
        return ok;
}

size_t
rs_npy_header(char out[RS_NPY_WRITTEN_MAX], int32_t dtype, int rank, const int64_t *dims)
{
        const char *code = rs_npy_code(dtype);
        char dict[RS_NPY_WRITTEN_MAX - 64];
        if (!code || rank > RESECT_RANK_MAX)
                return 0;
        int n = snprintf(dict, sizeof dict, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                rs_dtype_bits(dtype) == 8 ? '|' : '<', code);
        for (int i = 0; i < rank; i++)
                n += snprintf(dict + n, sizeof dict - (size_t)n, "%s%lld%s", i ? " " : "",
                        (long long)dims[i], i + 1 < rank || rank == 1 ? "," : "");
        n += snprintf(dict + n, sizeof dict - (size_t)n, "), }");
        int length = (n + 1 + 10 + 63) / 64 * 64 -
                     10; /* the data begins at a multiple of 64, as NumPy's */
        memcpy(out, "\x93NUMPY\x01\x00", 8);
        out[8] = (char)(length & 255);
        out[9] = (char)(length >> 8);
        snprintf(out + 10, RS_NPY_WRITTEN_MAX - 10, "%-*s\n", length - 1, dict);
        return (size_t)length + 10;
}

/* The values go out as they lie in memory where that is little-endian, else element by element. */
static bool
put_values(rs_output *o, const resect_tensor *t, resect_error *err)
{
        if (!t->size || *(const unsigned char *)&(uint16_t){1} != 0)
                return !t->size || rs_output_bytes(o, t->data, t->size, err);
        void *little = rs_alloc_aligned(t->size, err);
        if (!little)
                return false;
        rs_from_little(little, t->data, (int32_t)t->dtype, (size_t)resect_tensor_count(t));
        bool ok = rs_output_bytes(o, little, t->size, err);
        rs_free_aligned(little);
        return ok;
}

bool
resect_tensor_write_npy(const resect_tensor *t, const char *path, resect_error *err)
{
        char header[RS_NPY_WRITTEN_MAX];
        size_t length = rs_npy_header(header, (int32_t)t->dtype, t->rank, t->dims);
        if (!length)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: NumPy has no type for %s", path,
                        resect_dtype_name(t->dtype));
        rs_output *o = rs_output_open(path, err);
        if (!o)
                return false;
        if (!rs_output_bytes(o, header, length, err) || !put_values(o, t, err)) {
                rs_output_abandon(o);
                return false;
        }
        return rs_output_close(o, err);
}
