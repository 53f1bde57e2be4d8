/* SPDX-License-Identifier: 0BSD */
/* clang-format off */
/*
 * Tensors out of tensors. What needs no arithmetic is passed on as it is, its axes permuted at
 * most; the rest is computed in double:
 *
 *   another epsilon        v' = v + e - e', so that v' + e' = v + e
 *   a bias before a norm   m' = m - bias
 *   folding                W' = W g / sqrt(v + e), bias' = (bias - m) g / sqrt(v + e) + b
 *   unfolding              g = 1, b = bias, m = 0, v = 1 - e'
 */
/* clang-format on */
#include <math.h>
#include <string.h>
#include "tensor/dtype.h"
#include "weights/set.h"

/* A tensor that is made when it is asked for. */
struct deriving {
        const rs_entry *from;
        int64_t strides[RESECT_RANK_MAX]; /* of from, for each axis of the result */
        bool permute;
        int axis;            /* along which scale goes, in the result */
        const double *scale; /* NULL: none */
        rs_rounding *rounding;
};

/* What a tensor lost in another type. */
struct loss {
        double largest, worst; /* magnitude; distance */
        size_t overflowed;
};

/* v was stored, and is read as w. */
static void
lose(struct loss *l, double v, double w)
{
        l->largest = fmax(l->largest, fabs(v));
        if (isinf(w) && !isinf(v))
                l->overflowed++;
        else
                l->worst = fmax(l->worst, fabs(v - w));
}

static void
add_loss(rs_rounding *r, const struct loss *l)
{
        r->tensors++;
        r->overflowed += l->overflowed;
        r->max_abs = fmax(r->max_abs, l->worst);
        if (l->largest > 0)
                r->max_rel = fmax(r->max_rel, l->worst / l->largest);
}

/* Elements one by one through double: to another type, with a factor along one axis. */
static void
transform(const struct deriving *d, const rs_entry *to, unsigned char *out, const unsigned char *in)
{
        size_t from_width = rs_dtype_bits(d->from->dtype) / 8, width = rs_dtype_bits(to->dtype) / 8,
               inner = 1;
        struct loss loss = {0};
        for (int i = d->axis + 1; d->scale && i < to->rank; i++)
                inner *= (size_t)to->dims[i];
        size_t channels = d->scale ? (size_t)to->dims[d->axis] : 1;
        for (size_t i = 0; i < to->count; i++) {
                unsigned char one[16] = {0};
                rs_from_little(one, in + i * from_width, d->from->dtype, 1);
                double v = rs_load(one, d->from->dtype, 0);
                if (d->scale)
                        v *= d->scale[i / inner % channels];
                rs_store(one, to->dtype, 0, v);
                lose(&loss, v, rs_load(one, to->dtype, 0));
                rs_from_little(out + i * width, one, to->dtype, 1);
        }
        if (d->rounding && d->from->dtype != to->dtype)
                add_loss(d->rounding, &loss);
        else if (d->rounding)
                d->rounding->overflowed += loss.overflowed;
}

static bool
fetch_derived(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct deriving *d = e->ctx;
        rs_span in;
        if (!rs_entry_bytes(d->from, scratch, &in, err))
                return false;
        if (d->permute) {
                unsigned char *to = rs_arena_alloc(scratch, in.size + 1, 1, err);
                if (!to)
                        return false;
                rs_permute(to, in.data,
                        rs_dtype_bits(e->dtype == d->from->dtype ? e->dtype : d->from->dtype) / 8,
                        e->rank, e->dims, d->strides);
                in.data = to;
        }
        if (d->scale || e->dtype != d->from->dtype) {
                unsigned char *to = rs_arena_alloc(scratch, e->bytes + 1, 1, err);
                if (!to)
                        return false;
                transform(d, e, to, in.data);
                in = (rs_span){to, e->bytes};
        }
        *out = (rs_span){in.data, e->bytes};
        return true;
}

static bool
is_real(int32_t dtype)
{
        return dtype == RESECT_FLOAT || dtype == RESECT_DOUBLE || dtype == RESECT_FLOAT16 ||
               dtype == RESECT_BFLOAT16;
}

/* from with other axes: dims[i] is the result's, axes[i] which of from's it is. */
static bool
derive(const rs_entry *from, int rank, const int64_t *dims, const int *axes, int32_t dtype,
        const double *scale, int axis, rs_rounding *r, rs_arena *arena, rs_entry *out,
        resect_error *err)
{
        if (!dtype)
                dtype = from->dtype;
        if ((dtype != from->dtype || scale) && (!is_real(dtype) || !is_real(from->dtype)))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %s is not made into %s", from->name,
                        resect_dtype_name((resect_dtype)from->dtype),
                        resect_dtype_name((resect_dtype)dtype));
        struct deriving *d = RS_NEW(arena, 1, struct deriving, err);
        int64_t *copy = RS_NEW(arena, (size_t)rank + 1, int64_t, err), strides[RESECT_RANK_MAX],
                next = 1;
        if (!d || !copy)
                return false;
        *d = (struct deriving){.from = from, .axis = axis, .scale = scale, .rounding = r};
        for (int i = from->rank - 1; i >= 0; i--) {
                strides[i] = next;
                next *= from->dims[i];
        }
        for (int i = 0, last = -1; i < rank; i++) {
                copy[i] = dims[i];
                d->strides[i] = axes[i] >= 0 ? strides[axes[i]] : 0; /* -1: an axis of one */
                if (axes[i] >= 0 && dims[i] != 1) {
                        d->permute |= axes[i] < last;
                        last = axes[i];
                }
        }
        *out = (rs_entry){.name = "",
                .dtype = dtype,
                .rank = rank,
                .dims = copy,
                .fetch = fetch_derived,
                .ctx = d};
        if (!rs_tensor_extent(dtype, rank, copy, &out->count, &out->bytes, err))
                return false;
        if (out->count != from->count)
                return rs_fail(err, RESECT_GRAPH, "%s: has %zu values, %zu are wanted", from->name,
                        from->count, out->count);
        if (!d->permute && !scale && dtype == from->dtype)
                out->data = from->data; /* the very bytes, where they stand already */
        return true;
}

static const int identity[RESECT_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};

bool
rs_cast_entry(const rs_entry *from, int32_t dtype, rs_rounding *r, rs_arena *arena, rs_entry *out,
        resect_error *err)
{
        return derive(from, from->rank, from->dims, identity, dtype, NULL, 0, r, arena, out, err);
}

/* For each axis of a layout, which of OIHW it is; and the other way round. */
static const int of_oihw[3][4] = {
        [RS_OIHW] = {0, 1, 2, 3}, [RS_HWIO] = {2, 3, 1, 0}, [RS_OHWI] = {0, 2, 3, 1}};
static const int in_layout[3][4] = {
        [RS_OIHW] = {0, 1, 2, 3}, [RS_HWIO] = {3, 2, 0, 1}, [RS_OHWI] = {0, 3, 1, 2}};

static bool
derive_kernel(const rs_entry *from, rs_kernel have, const rs_want *want, const double *scale,
        rs_arena *arena, rs_entry *out, resect_error *err)
{
        int64_t dims[4];
        int axes[4];
        for (int i = 0; i < 4; i++) {
                axes[i] = in_layout[have][of_oihw[want->kernel][i]];
                dims[i] = from->dims[axes[i]];
        }
        return derive(from, 4, dims, axes, want->dtype, scale, in_layout[want->kernel][0],
                want->rounding, arena, out, err);
}

/* A vector's values in double. */
static double *
doubles(const rs_entry *e, size_t n, rs_arena *arena, resect_error *err)
{
        rs_arena scratch = {0};
        rs_span s;
        if (e->count != n)
                return RS_FAIL_NULL(err, RESECT_GRAPH, "%s: has %zu values, %zu are wanted",
                        e->name, e->count, n);
        if (!is_real(e->dtype))
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        "%s: elements of type %s are not computed with", e->name,
                        resect_dtype_name((resect_dtype)e->dtype));
        double *v = RS_NEW(arena, n + 1, double, err);
        bool ok = v && rs_entry_bytes(e, &scratch, &s, err);
        size_t width = rs_dtype_bits(e->dtype) / 8;
        for (size_t i = 0; ok && i < n; i++) {
                unsigned char one[16];
                rs_from_little(one, s.data + i * width, e->dtype, 1);
                v[i] = rs_load(one, e->dtype, 0);
        }
        rs_arena_free(&scratch);
        return ok ? v : NULL;
}

static double *
filled(size_t n, double value, rs_arena *arena, resect_error *err)
{
        double *v = RS_NEW(arena, n + 1, double, err);
        for (size_t i = 0; v && i < n; i++)
                v[i] = value;
        return v;
}

/* A vector of computed values as an entry; rounding is of one that is of another type than what it
 * was computed from, or NULL. */
static bool
put_vector(const double *v, size_t n, int32_t dtype, rs_rounding *rounding, rs_arena *arena,
        rs_entry *out, resect_error *err)
{
        struct loss loss = {0};
        size_t width = rs_dtype_bits(dtype) / 8;
        int64_t *dims = RS_NEW(arena, 1, int64_t, err);
        unsigned char *bytes = rs_arena_alloc(arena, n + 1, width, err);
        if (!v || !dims || !bytes)
                return false;
        dims[0] = (int64_t)n;
        for (size_t i = 0; i < n; i++) {
                unsigned char one[16];
                rs_store(one, dtype, 0, v[i]);
                lose(&loss, v[i], rs_load(one, dtype, 0));
                rs_from_little(bytes + i * width, one, dtype, 1);
        }
        if (rounding)
                add_loss(rounding, &loss);
        *out = (rs_entry){.name = "",
                .dtype = dtype,
                .rank = 1,
                .dims = dims,
                .count = n,
                .bytes = n * width,
                .data = {bytes, n * width}};
        return true;
}

/* What a unit is made with. */
struct making {
        const rs_set *from;
        const rs_unit *u;
        const rs_want *want;
        rs_arena *arena;
        rs_made *out;
        size_t n; /* channels */
        int32_t dtype;
        resect_error *err;
};

/* The source's own vector, of n values, as [n]. */
static bool
pass(struct making *k, const rs_entry *e, rs_entry *out)
{
        const int64_t dims[1] = {(int64_t)k->n};
        const int axes[1] = {0};
        if (e->count != k->n)
                return rs_fail(k->err, RESECT_GRAPH, "%s: has %zu values, %zu are wanted", e->name,
                        e->count, k->n);
        rs_entry flat = *e, *kept = RS_NEW(k->arena, 1, rs_entry, k->err);
        int64_t *flat_dims = RS_NEW(k->arena, 1, int64_t, k->err);
        if (!kept || !flat_dims)
                return false;
        flat_dims[0] = dims[0];
        if (e->rank != 1) { /* [1, C, 1, 1] and the like */
                flat.rank = 1;
                flat.dims = flat_dims;
        }
        *kept = flat;
        return derive(kept, 1, dims, axes, k->want->dtype, NULL, 0, k->want->rounding, k->arena,
                out, k->err);
}

/* of is what it was computed from. */
static bool
compute(struct making *k, const double *v, const rs_entry *of, rs_entry *out)
{
        k->out->exact = false;
        return v && put_vector(v, k->n, k->dtype, of->dtype != k->dtype ? k->want->rounding : NULL,
                            k->arena, out, k->err);
}

static bool
make_up(struct making *k, double value, const char *why, rs_entry *out, const char **said)
{
        *said = why;
        return put_vector(
                filled(k->n, value, k->arena, k->err), k->n, k->dtype, NULL, k->arena, out, k->err);
}

/* Mean and variance as they are meant: Caffe's are to be divided by its factor. */
static bool
statistic(struct making *k, int which, double **out)
{
        double factor = 1, *one;
        if (!(*out = doubles(k->u->norm[which], k->n, k->arena, k->err)))
                return false;
        if (!k->u->factor)
                return true;
        if (!(one = doubles(k->u->factor, 1, k->arena, k->err)))
                return false;
        factor = one[0] != 0 ? 1 / one[0] : 0;
        for (size_t i = 0; i < k->n; i++)
                (*out)[i] *= factor;
        return true;
}

static bool
factor_is_one(struct making *k)
{
        double *one = k->u->factor ? doubles(k->u->factor, 1, k->arena, NULL) : NULL;
        return !k->u->factor || (one && one[0] == 1);
}

/* A BatchNormalization stays one. */
static bool
norm_to_norm(struct making *k)
{
        const rs_unit *u = k->u;
        rs_made *o = k->out;
        bool absorb = u->has_conv && u->bias && !k->want->bias, plain = factor_is_one(k);
        double *v, *b, least = INFINITY;
        if (u->norm[RS_GAMMA] ? !pass(k, u->norm[RS_GAMMA], &o->norm[RS_GAMMA])
                              : !make_up(k, 1, u->fixed ? "fixed at 1" : "the source has no scale",
                                        &o->norm[RS_GAMMA], &o->why_norm[RS_GAMMA]))
                return false;
        if (u->norm[RS_BETA] ? !pass(k, u->norm[RS_BETA], &o->norm[RS_BETA])
                             : !make_up(k, 0, "the source has no shift", &o->norm[RS_BETA],
                                       &o->why_norm[RS_BETA]))
                return false;
        if (!absorb && plain) {
                if (!pass(k, u->norm[RS_MEAN], &o->norm[RS_MEAN]))
                        return false;
        } else {
                if (!statistic(k, RS_MEAN, &v) ||
                        (absorb && !(b = doubles(u->bias, k->n, k->arena, k->err))))
                        return false;
                for (size_t i = 0; absorb && i < k->n; i++)
                        v[i] -= b[i];
                if (!compute(k, v, u->norm[RS_MEAN], &o->norm[RS_MEAN]))
                        return false;
        }
        double shift = u->epsilon - k->want->epsilon;
        if (plain && fabs(shift) < 1e-12)
                return pass(k, u->norm[RS_VAR], &o->norm[RS_VAR]);
        if (!statistic(k, RS_VAR, &v))
                return false;
        for (size_t i = 0; i < k->n; i++) {
                v[i] += shift;
                least = fmin(least, v[i]);
        }
        if (least + k->want->epsilon <= 0)
                return rs_fail(k->err, RESECT_GRAPH,
                        "%s: a variance of %g with epsilon %g cannot be told with epsilon %g",
                        u->norm[RS_VAR]->name, least - shift, u->epsilon, k->want->epsilon);
        return compute(k, v, u->norm[RS_VAR], &o->norm[RS_VAR]);
}

/* All of it into the Conv; scale is what its weight is multiplied with. */
static bool
fold(struct making *k, double **scale)
{
        const rs_unit *u = k->u;
        double *g = u->norm[RS_GAMMA] ? doubles(u->norm[RS_GAMMA], k->n, k->arena, k->err)
                                      : filled(k->n, 1, k->arena, k->err);
        double *b = u->norm[RS_BETA] ? doubles(u->norm[RS_BETA], k->n, k->arena, k->err)
                                     : filled(k->n, 0, k->arena, k->err);
        double *bias = u->bias ? doubles(u->bias, k->n, k->arena, k->err)
                               : filled(k->n, 0, k->arena, k->err),
               *m, *v;
        if (!g || !b || !bias || !statistic(k, RS_MEAN, &m) || !statistic(k, RS_VAR, &v))
                return false;
        for (size_t i = 0; i < k->n; i++) {
                if (v[i] + u->epsilon <= 0)
                        return rs_fail(k->err, RESECT_GRAPH, "%s: a variance of %g",
                                u->norm[RS_VAR]->name, v[i]);
                g[i] /= sqrt(v[i] + u->epsilon);
                bias[i] = (bias[i] - m[i]) * g[i] + b[i];
        }
        *scale = g;
        if (!k->want->bias)
                return rs_fail(k->err, RESECT_GRAPH,
                        "%s: its BatchNormalization has no place where it should go",
                        u->weight->name);
        return compute(k, bias, u->bias ? u->bias : u->norm[RS_MEAN], &k->out->bias);
}

/* Where there was none: one that gives the bias back and changes nothing else. */
static bool
unfold(struct making *k)
{
        static const char why[] = "BatchNormalization is folded into the source's Conv";
        rs_made *o = k->out;
        o->exact = false; /* 1 / sqrt(1 - e + e) need not be 1 to the last bit */
        return make_up(k, 1, why, &o->norm[RS_GAMMA], &o->why_norm[RS_GAMMA]) &&
               make_up(k, 0, why, &o->norm[RS_MEAN], &o->why_norm[RS_MEAN]) &&
               make_up(k, 1 - k->want->epsilon, why, &o->norm[RS_VAR], &o->why_norm[RS_VAR]) &&
               (k->u->bias ? pass(k, k->u->bias, &o->norm[RS_BETA])
                           : make_up(k, 0, why, &o->norm[RS_BETA], &o->why_norm[RS_BETA]));
}

static bool
all_zero(struct making *k, const rs_entry *e)
{
        double *v = doubles(e, k->n, k->arena, k->err);
        for (size_t i = 0; v && i < k->n; i++)
                if (v[i] != 0)
                        return false;
        return v;
}

static bool
plain_bias(struct making *k)
{
        const rs_unit *u = k->u;
        if (k->want->bias)
                return u->bias ? pass(k, u->bias, &k->out->bias)
                               : make_up(k, 0, "the source's Conv has no bias", &k->out->bias,
                                         &k->out->why_bias);
        if (!u->bias || all_zero(k, u->bias))
                return true;
        return rs_fail(k->err, RESECT_GRAPH,
                "%s: no BatchNormalization follows that could absorb it, and the destination has "
                "no bias",
                u->bias->name);
}

bool
rs_unit_make(const rs_set *from, const rs_unit *u, const rs_want *want, rs_arena *arena,
        rs_made *out, resect_error *err)
{
        const rs_entry *first = u->weight ? u->weight : u->norm[RS_VAR];
        *out = (rs_made){.exact = true};
        bool norm = u->norm[RS_MEAN] && u->norm[RS_VAR];
        if ((u->has_conv && !u->weight) || !first ||
                (u->norm[RS_MEAN] != NULL) != (u->norm[RS_VAR] != NULL)) {
                char name[RS_NAME_MAX];
                rs_canonical_name(&from->net, u->has_conv ? &u->conv : &u->bn,
                        u->has_conv ? RS_CONV_WEIGHT : RS_BN_VAR, name);
                return rs_fail(err, RESECT_GRAPH, "%s: the source has no such tensor", name);
        }
        struct making k = {
                .from = from, .u = u, .want = want, .arena = arena, .out = out, .err = err};
        k.dtype = want->dtype ? want->dtype : first->dtype;
        if (!is_real(k.dtype))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: elements of type %s", first->name,
                        resect_dtype_name((resect_dtype)k.dtype));
        if (u->has_conv && u->weight->rank != 4)
                return rs_fail(err, RESECT_GRAPH, "%s: has %d dimensions; a kernel has 4",
                        u->weight->name, u->weight->rank);
        k.n = u->has_conv ? (size_t)u->weight->dims[in_layout[from->kernel][0]] : first->count;
        double *scale = NULL;
        if (norm && want->bn) {
                if (!norm_to_norm(&k) || (u->has_conv && want->bias && !plain_bias(&k)))
                        return false;
        } else if (norm) {
                if (!u->has_conv)
                        return rs_fail(err, RESECT_GRAPH,
                                "%s: a BatchNormalization that stands before its Conv cannot be "
                                "folded",
                                first->name);
                if (!fold(&k, &scale))
                        return false;
        } else if (want->bn && u->has_bn) {
                if (!unfold(&k))
                        return false;
                if (want->bias && !make_up(&k, 0, "it is in the BatchNormalization", &out->bias,
                                          &out->why_bias))
                        return false;
        } else if (u->has_conv && !plain_bias(&k))
                return false;
        out->exact &= !scale;
        return !u->has_conv ||
               derive_kernel(u->weight, from->kernel, want, scale, arena, &out->weight, err);
}

bool
rs_head_make(const rs_set *from, bool in_out, bool conv, const rs_want *want, rs_arena *arena,
        rs_entry *weight, rs_entry *bias, resect_error *err)
{
        const rs_entry *w = from->head.weight, *b = from->head.bias;
        int out_axis, in_axis, axes[4], rank = conv ? 4 : 2;
        int64_t dims[4];
        if (!w || w->rank != (from->head_conv ? 4 : 2))
                return rs_fail(err, RESECT_GRAPH, "%s: no weight of a classifier",
                        w ? w->name : "fc.weight");
        out_axis = from->head_conv ? in_layout[from->kernel][0] : from->head_in_out ? 1 : 0;
        in_axis = from->head_conv ? in_layout[from->kernel][1] : from->head_in_out ? 0 : 1;
        for (int i = 0; i < rank; i++) {
                int oihw = conv ? of_oihw[want->kernel][i] : in_out ? 1 - i : i;
                axes[i] = oihw == 0 ? out_axis : oihw == 1 ? in_axis : -1;
                dims[i] = axes[i] >= 0 ? w->dims[axes[i]] : 1;
        }
        struct making k = {
                .want = want, .arena = arena, .n = (size_t)w->dims[out_axis], .err = err};
        *bias = (rs_entry){0};
        return derive(w, rank, dims, axes, want->dtype, NULL, 0, want->rounding, arena, weight,
                       err) &&
               (!b || pass(&k, b, bias));
}
