/* SPDX-License-Identifier: 0BSD */
/*
 * NumPy's arrays in pickles (numpy/core/src/multiarray/methods.c, array_reduce and array_setstate):
 * a shape, a dtype, and the elements as bytes. Protocol 2 has no bytes: they are written as text
 * whose characters stand for one byte each, and are turned back when somebody asks for them.
 */
#include "weights/pickle.h"

#include <stdio.h>
#include <string.h>
#include "tensor/dtype.h"
#include "tensor/npy.h"

/* The elements of an array, as they stand in the pickle. */
struct elements {
        rs_span s;
        bool latin; /* UTF-8 of characters below 256 */
};

struct array {
        rs_npy header;
        size_t n; /* parts */
        struct elements *parts;
};

bool
rs_ndarray_is(const rs_py *v)
{
        return rs_py_called(v, RS_KNOWN_RECONSTRUCT, RS_KNOWN_RECONSTRUCT2) ||
               rs_py_called(v, RS_KNOWN_FROMBUFFER, RS_KNOWN_FROMBUFFER2);
}

/* dtype('f4', False, True) with the state (3, '<', ...): "<f4". */
static bool
read_dtype(const rs_py *v, rs_npy *h, resect_error *err)
{
        const rs_py *code = rs_py_arg(v, 0), *state, *order = NULL;
        char descr[32];
        if (!rs_py_called(v, RS_KNOWN_NUMPY_DTYPE, RS_KNOWN_NUMPY_DTYPE) || !code ||
                (code->kind != RS_PY_TEXT && code->kind != RS_PY_BYTES))
                return rs_fail(err, RESECT_UNSUPPORTED, "elements of %s", rs_py_what(v));
        state = v->object->state;
        if (rs_py_is(state, RS_PY_TUPLE) && state->seq.n > 1)
                order = state->seq.items[1];
        const char *mark = rs_py_says(order, ">")   ? ">"
                           : rs_py_says(order, "|") ? "|"
                           : rs_py_says(order, "<") ? "<"
                                                    : "=";
        snprintf(descr, sizeof descr, "%s%.*s", mark, (int)(code->s.size < 16 ? code->s.size : 16),
                (const char *)code->s.data);
        return rs_npy_descr(h, descr, err);
}

/* How many characters below 256 a text has. */
static bool
count_latin(rs_span s, size_t *n)
{
        *n = 0;
        for (size_t i = 0; i < s.size; i++, ++*n)
                if (s.data[i] >= 0x80) {
                        if ((s.data[i] & 0xfe) != 0xc2 || i + 1 == s.size ||
                                (s.data[i + 1] & 0xc0) != 0x80)
                                return false;
                        i++;
                }
        return true;
}

static void
from_latin(unsigned char *out, rs_span s)
{
        for (size_t i = 0; i < s.size; i++)
                if (s.data[i] < 0x80)
                        *out++ = s.data[i];
                else {
                        *out++ = (unsigned char)(s.data[i] << 6 | (s.data[i + 1] & 0x3f));
                        i++;
                }
}

/* Finds the bytes, of which there must be size. */
static bool
read_elements(const rs_py *v, size_t size, struct elements *e, resect_error *err)
{
        *e = (struct elements){{(const unsigned char *)"", 0}, false};
        size_t n;
        if (rs_py_called(v, RS_KNOWN_BYTEARRAY, RS_KNOWN_BYTEARRAY2))
                v = rs_py_arg(v, 0);
        if (rs_py_is(v, RS_PY_BYTES))
                e->s = v->s;
        else if (rs_py_called(v, RS_KNOWN_ENCODE, RS_KNOWN_ENCODE) &&
                 rs_py_is(rs_py_arg(v, 0), RS_PY_TEXT) &&
                 (rs_py_says(rs_py_arg(v, 1), "latin1") ||
                         rs_py_says(rs_py_arg(v, 1), "latin-1"))) {
                e->s = rs_py_arg(v, 0)->s;
                e->latin = true;
        } else if (!rs_py_called(v, RS_KNOWN_BYTES, RS_KNOWN_BYTES2) || rs_py_arg(v, 0))
                return rs_fail(err, RESECT_UNSUPPORTED, "elements that are %s", rs_py_what(v));
        n = e->s.size;
        if (e->latin && (n / 2 > size || !count_latin(e->s, &n)))
                return rs_fail(err, RESECT_FORMAT, "elements that are no bytes");
        return n == size ||
               rs_fail(err, RESECT_FORMAT, "%zu bytes of data for a shape that takes %zu", n, size);
}

/* What the two ways of writing an array have in common; data is not yet read. */
static bool
read_header(const rs_py *v, rs_npy *h, const rs_py **data, resect_error *err)
{
        const rs_py *shape, *dtype, *order;
        *h = (rs_npy){0};
        if (rs_py_called(v, RS_KNOWN_FROMBUFFER, RS_KNOWN_FROMBUFFER2)) {
                *data = rs_py_arg(v, 0);
                dtype = rs_py_arg(v, 1);
                shape = rs_py_arg(v, 2);
                order = rs_py_arg(v, 3);
                h->fortran = rs_py_says(order, "F");
                if (!order || (!h->fortran && !rs_py_says(order, "C")))
                        return rs_fail(err, RESECT_FORMAT, "an array of no order");
        } else {
                const rs_py *state = v->object->state;
                if (!rs_py_is(state, RS_PY_TUPLE) || state->seq.n != 5)
                        return rs_fail(err, RESECT_FORMAT, "an array without its five parts");
                shape = state->seq.items[1];
                dtype = state->seq.items[2];
                order = state->seq.items[3];
                *data = state->seq.items[4];
                h->fortran = rs_py_is(order, RS_PY_BOOL) ? order->truth
                                                         : rs_py_is(order, RS_PY_INT) && order->i;
        }
        return read_dtype(dtype, h, err) && rs_py_dims(shape, &h->rank, h->dims, err) &&
               rs_tensor_extent(h->dtype, h->rank, h->dims, &h->count, &h->bytes, err);
}

static bool
fetch(const rs_entry *entry, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct array *a = entry->ctx;
        if (a->n == 1 && !a->parts->latin)
                return rs_npy_little(&a->header, a->parts->s.data, scratch, out, err);
        unsigned char *bytes = rs_arena_alloc(scratch, entry->bytes, 1, err);
        if (!bytes)
                return false;
        size_t at = 0;
        for (size_t i = 0; i < a->n; i++) {
                const struct elements *e = &a->parts[i];
                size_t n = e->s.size;
                if (e->latin) {
                        if (!count_latin(e->s, &n))
                                return rs_fail(err, RESECT_FORMAT, "elements that are no bytes");
                        from_latin(bytes + at, e->s);
                } else
                        memcpy(bytes + at, e->s.data, n);
                at += n;
        }
        return rs_npy_little(&a->header, bytes, scratch, out, err);
}

/* UNSUPPORTED says why an array is left out; anything else ends the reading. */
static bool
left_out(rs_py_walk *w, const char *name, resect_error *err)
{
        char why[RESECT_ERROR_MAX];
        if (err->code != RESECT_UNSUPPORTED)
                return rs_fail_at(err, "%s: %s", w->c->path, name);
        memcpy(why, err->msg, sizeof why);
        *err = (resect_error){0};
        return rs_py_count_tensor(w, name, RESECT_UINT8, 0, NULL, err) &&
               rs_checkpoint_skip(w->c, name, err, "%s", why);
}

static bool
keep(rs_py_walk *w, const char *name, struct array *a, bool as_bfloat, resect_error *err)
{
        rs_npy *h = &a->header;
        if (as_bfloat && h->dtype == RESECT_UINT16)
                h->dtype = RESECT_BFLOAT16;
        return rs_checkpoint_add_lazy(w->c, name, h->dtype, h->rank, h->dims, fetch, a, err);
}

bool
rs_ndarray_add(rs_py_walk *w, const rs_py *v, const char *name, bool as_bfloat, resect_error *err)
{
        resect_error own = {0};
        const rs_py *data;
        struct array *a = RS_NEW(&w->c->arena, 1, struct array, err);
        if (!a || !(a->parts = RS_NEW(&w->c->arena, a->n = 1, struct elements, err)))
                return false;
        rs_npy *h = &a->header;
        bool ok = read_header(v, h, &data, &own);
        if (ok && !rs_py_count_tensor(w, name, h->dtype, h->rank, h->dims, err))
                return false;
        if (!ok || !read_elements(data, h->bytes, a->parts, &own)) {
                ok = left_out(w, name, &own);
                if (!ok && err)
                        *err = own;
                return ok;
        }
        return keep(w, name, a, as_bfloat, err);
}

bool
rs_ndarray_join(rs_py_walk *w, const char *name, rs_py *const *parts, size_t n, int rank,
        const int64_t *dims, bool as_bfloat, resect_error *err)
{
        struct array *a = RS_NEW(&w->c->arena, 1, struct array, err);
        if (!a || !(a->parts = RS_NEW(&w->c->arena, n, struct elements, err)))
                return false;
        rs_npy *h = &a->header;
        size_t total = 0;
        for (; a->n < n; a->n++) {
                rs_npy part;
                const rs_py *data;
                if (!read_header(parts[a->n], &part, &data, err) ||
                        !rs_py_count_tensor(w, name, part.dtype, part.rank, part.dims, err) ||
                        !read_elements(data, part.bytes, &a->parts[a->n], err))
                        return rs_fail_at(err, "%s: part %zu", name, a->n);
                if (part.rank != 1 || (a->n && (part.dtype != h->dtype || part.swap != h->swap)))
                        return rs_fail(err, RESECT_FORMAT, "%s: part %zu is unlike the others",
                                name, a->n);
                h->dtype = part.dtype;
                h->swap = part.swap;
                total += part.bytes;
        }
        h->rank = rank;
        memcpy(h->dims, dims, (size_t)rank * sizeof *dims);
        if (!rs_tensor_extent(h->dtype, rank, dims, &h->count, &h->bytes, err))
                return rs_fail_at(err, "%s", name);
        if (h->bytes != total)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: parts of %zu bytes for a shape that takes %zu", name, total, h->bytes);
        return keep(w, name, a, as_bfloat, err);
}

bool
rs_numpy_scalar(const rs_py *v, double *out)
{
        rs_npy h = {0};
        struct elements e;
        unsigned char raw[16] = {0};
        resect_tensor t;
        if (!rs_py_called(v, RS_KNOWN_SCALAR, RS_KNOWN_SCALAR2) ||
                !read_dtype(rs_py_arg(v, 0), &h, NULL) ||
                !rs_tensor_extent(h.dtype, 0, NULL, &h.count, &h.bytes, NULL) ||
                h.bytes > sizeof raw || !read_elements(rs_py_arg(v, 1), h.bytes, &e, NULL))
                return false;
        if (e.latin)
                from_latin(raw, e.s);
        else
                memcpy(raw, e.s.data, h.bytes);
        if (!rs_npy_fill(&t, &h, raw, NULL))
                return false;
        *out = rs_load(t.data, h.dtype, 0);
        resect_tensor_free(&t);
        return true;
}
