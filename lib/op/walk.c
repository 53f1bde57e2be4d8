/* SPDX-License-Identifier: 0BSD */
/* The engine of the element-wise kernels: index spaces, rows, sums. */
#include "op/walk.h"

#include <math.h>
#include <string.h>

bool
rs_walk_make(
        rs_walk *w, rs_arena *arena, int rank, const int64_t *dims, size_t n, resect_error *err)
{
        *w = (rs_walk){.rank = rank, .n = n};
        for (int d = 0; d < rank; d++)
                w->dims[d] = dims[d];
        w->stride = rs_arena_alloc(arena, n + 1, sizeof *w->stride, err);
        w->base = w->stride ? RS_NEW(arena, n + 1, int64_t, err) : NULL;
        return w->base != NULL;
}

void
rs_walk_operand(rs_walk *w, size_t k, int rank, const int64_t *dims)
{
        int64_t stride = 1;
        for (int d = rank - 1, at = w->rank - 1; d >= 0 && at >= 0; d--, at--) {
                w->stride[k][at] = dims[d] == 1 ? 0 : stride;
                stride = rs_wrap_mul(stride, dims[d]);
        }
}

/* Whether axis d and the one after it are one run for every operand. */
static bool
joins(const rs_walk *w, int d)
{
        for (size_t k = 0; k < w->n; k++)
                if (w->stride[k][d] != rs_wrap_mul(w->stride[k][d + 1], w->dims[d + 1]))
                        return false;
        return true;
}

static void
drop_axis(rs_walk *w, int d)
{
        size_t after = (size_t)(w->rank - d - 1);
        memmove(w->dims + d, w->dims + d + 1, after * sizeof *w->dims);
        for (size_t k = 0; k < w->n; k++)
                memmove(w->stride[k] + d, w->stride[k] + d + 1, after * sizeof **w->stride);
        w->rank--;
}

void
rs_walk_end(rs_walk *w)
{
        for (int d = w->rank - 1; d >= 0; d--)
                if (w->dims[d] == 1)
                        drop_axis(w, d);
        for (int d = w->rank - 2; d >= 0; d--)
                if (joins(w, d)) {
                        w->dims[d + 1] = rs_wrap_mul(w->dims[d + 1], w->dims[d]);
                        drop_axis(w, d);
                }
        if (!w->rank) {
                w->rank = 1;
                w->dims[0] = 1;
                for (size_t k = 0; k < w->n; k++)
                        w->stride[k][0] = 0;
        }
        w->count = 1;
        for (int d = 0; d < w->rank; d++)
                w->count *= (size_t)w->dims[d];
        size_t last = (size_t)w->dims[w->rank - 1];
        w->pieces = (last + RS_ROW - 1) / RS_ROW;
        w->units = w->count ? w->count / last * w->pieces : 0;
}

bool
rs_walk_broadcast(rs_walk *w, rs_arena *arena, const rs_type *out, const rs_type *const *in,
        size_t n, resect_error *err)
{
        if (!rs_walk_make(w, arena, out->rank, out->dims, n, err))
                return false;
        for (size_t k = 0; k < n; k++)
                rs_walk_operand(w, k, in[k]->rank, in[k]->dims);
        rs_walk_end(w);
        return true;
}

void
rs_walk_row(const rs_walk *w, size_t unit, rs_row *r)
{
        int last = w->rank - 1;
        size_t run = unit / w->pieces, start = unit % w->pieces * RS_ROW;
        size_t left = (size_t)w->dims[last] - start;
        r->at = run * (size_t)w->dims[last] + start;
        r->n = left < RS_ROW ? left : RS_ROW;
        r->index[last] = (int64_t)start;
        for (int d = last - 1; d >= 0; d--) {
                r->index[d] = (int64_t)(run % (size_t)w->dims[d]);
                run /= (size_t)w->dims[d];
        }
}

int64_t
rs_walk_at(const rs_walk *w, const rs_row *r, size_t k)
{
        int64_t at = w->base[k];
        for (int d = 0; d < w->rank; d++)
                at += r->index[d] * w->stride[k][d];
        return at;
}

#define EACH_INT(X)                \
        X(RESECT_INT8, int8_t)     \
        X(RESECT_UINT8, uint8_t)   \
        X(RESECT_BOOL, uint8_t)    \
        X(RESECT_INT16, int16_t)   \
        X(RESECT_UINT16, uint16_t) \
        X(RESECT_INT32, int32_t)   \
        X(RESECT_UINT32, uint32_t) \
        X(RESECT_INT64, int64_t)   \
        X(RESECT_UINT64, uint64_t)

/* Integers, and the floats of 16 bits. */
static void
load_other(const void *data, int32_t dtype, int64_t at, int64_t step, size_t n, double *v)
{
        switch (dtype) {
#define LOAD(D, T)                                           \
        case D: {                                            \
                const T *p = (const T *)data + at;           \
                for (size_t i = 0; i < n; i++)               \
                        v[i] = (double)p[(int64_t)i * step]; \
                break;                                       \
        }
                EACH_INT(LOAD)
#undef LOAD
        default:
                for (size_t i = 0; i < n; i++)
                        v[i] = rs_load(data, dtype, (size_t)(at + (int64_t)i * step));
        }
}

void
rs_row_load(const void *data, int32_t dtype, int64_t at, int64_t step, size_t n, double *v)
{
        if (dtype == RESECT_FLOAT) {
                const float *p = (const float *)data + at;
                if (step == 1)
                        for (size_t i = 0; i < n; i++)
                                v[i] = p[i];
                else
                        for (size_t i = 0; i < n; i++)
                                v[i] = p[(int64_t)i * step];
        } else if (dtype == RESECT_DOUBLE) {
                const double *p = (const double *)data + at;
                for (size_t i = 0; i < n; i++)
                        v[i] = p[(int64_t)i * step];
        } else
                load_other(data, dtype, at, step, n, v);
}

void
rs_row_store(void *data, int32_t dtype, size_t at, size_t n, const double *v)
{
        if (dtype == RESECT_FLOAT) {
                float *p = (float *)data + at;
                for (size_t i = 0; i < n; i++)
                        p[i] = (float)v[i];
        } else if (dtype == RESECT_DOUBLE) {
                memcpy((double *)data + at, v, n * sizeof *v);
        } else {
                for (size_t i = 0; i < n; i++)
                        rs_store(data, dtype, at + i, v[i]);
        }
}

void
rs_row_add(void *data, int32_t dtype, size_t at, size_t n, const double *v)
{
        if (dtype == RESECT_FLOAT) {
                float *p = (float *)data + at;
                for (size_t i = 0; i < n; i++)
                        p[i] = (float)(p[i] + v[i]);
        } else if (dtype == RESECT_DOUBLE) {
                double *p = (double *)data + at;
                for (size_t i = 0; i < n; i++)
                        p[i] += v[i];
        } else {
                for (size_t i = 0; i < n; i++)
                        rs_store(data, dtype, at + i, rs_load(data, dtype, at + i) + v[i]);
        }
}

void
rs_row_add_step(void *data, int32_t dtype, int64_t at, int64_t step, size_t n, const double *v)
{
        if (step == 1)
                rs_row_add(data, dtype, (size_t)at, n, v);
        else
                for (size_t i = 0; i < n; i++)
                        rs_row_add(data, dtype, (size_t)(at + (int64_t)i * step), 1, v + i);
}

void
rs_row_load_int(const void *data, int32_t dtype, int64_t at, int64_t step, size_t n, int64_t *v)
{
        switch (dtype) {
#define LOAD(D, T)                                            \
        case D: {                                             \
                const T *p = (const T *)data + at;            \
                for (size_t i = 0; i < n; i++)                \
                        v[i] = (int64_t)p[(int64_t)i * step]; \
                break;                                        \
        }
                EACH_INT(LOAD)
#undef LOAD
        default:
                memset(v, 0, n * sizeof *v);
        }
}

void
rs_row_store_int(void *data, int32_t dtype, size_t at, size_t n, const int64_t *v)
{
        switch (dtype) {
#define STORE(D, T)                                                      \
        case D: {                                                        \
                T *p = (T *)data + at;                                   \
                for (size_t i = 0; i < n; i++)                           \
                        p[i] = (T)(D == RESECT_BOOL ? v[i] != 0 : v[i]); \
                break;                                                   \
        }
                EACH_INT(STORE)
#undef STORE
        default:
                break;
        }
}

void
rs_row_fuse(const rs_call *c, size_t at, size_t n, double *v)
{
        if (c->residual) {
                double r[RS_ROW];
                rs_row_load(c->residual->data, (int32_t)c->residual->dtype, (int64_t)at, 1, n, r);
                for (size_t i = 0; i < n; i++) {
                        double rounded;
                        if (c->out[0]->dtype == RESECT_FLOAT)
                                rounded = (float)v[i];
                        else
                                rounded = v[i];
                        v[i] = rounded + r[i];
                }
        }
        if (c->relu)
                for (size_t i = 0; i < n; i++)
                        v[i] = v[i] < 0 ? 0 : v[i];
}

void
rs_row_gather(
        void *dst, size_t at, const void *src, int64_t from, int64_t step, size_t n, size_t size)
{
        unsigned char *d = (unsigned char *)dst + at * size;
        const unsigned char *s = (const unsigned char *)src + from * (int64_t)size;
        if (step == 1) {
                memcpy(d, s, n * size);
                return;
        }
        switch (size) {
#define COPY(T)                                                                                \
        case sizeof(T):                                                                        \
                for (size_t i = 0; i < n; i++)                                                 \
                        ((T *)(void *)d)[i] = ((const T *)(const void *)s)[(int64_t)i * step]; \
                break;
                COPY(uint8_t)
                COPY(uint16_t)
                COPY(uint32_t)
                COPY(uint64_t)
#undef COPY
        }
}

/* The dims of the axes in set (or not in it), in order. */
static int
pick(int rank, const int64_t *dims, uint32_t set, bool in, int64_t *out)
{
        int n = 0;
        for (int d = 0; d < rank; d++)
                if (!!(set & 1u << d) == in)
                        out[n++] = dims[d];
        return n;
}

bool
rs_fold_make(rs_fold *f, rs_arena *arena, int rank, const int64_t *dims, uint32_t set, size_t n,
        resect_error *err)
{
        int64_t part[RS_WALK_RANK];
        int kept = pick(rank, dims, set, false, part);
        if (!rs_walk_make(&f->kept, arena, kept, part, n, err))
                return false;
        int summed = pick(rank, dims, set, true, part);
        return rs_walk_make(&f->summed, arena, summed, part, n, err);
}

void
rs_fold_operand(rs_fold *f, uint32_t set, size_t k, int rank, const int64_t *dims, int space_rank)
{
        int64_t stride = 1;
        int kept = f->kept.rank, summed = f->summed.rank;
        for (int d = space_rank - 1, at = rank - 1; d >= 0; d--, at--) {
                int64_t size = at < 0 ? 1 : dims[at], s = size == 1 ? 0 : stride;
                if (set & 1u << d)
                        f->summed.stride[k][--summed] = s;
                else
                        f->kept.stride[k][--kept] = s;
                stride = rs_wrap_mul(stride, size);
        }
}

void
rs_fold_end(rs_fold *f)
{
        rs_walk_end(&f->kept);
        rs_walk_end(&f->summed);
}

bool
rs_fold_broadcast(rs_fold *f, rs_arena *arena, const rs_type *out, const rs_type *to,
        const rs_type *const *operands, size_t n, resect_error *err)
{
        uint32_t set = 0;
        for (int d = 0; d < out->rank; d++) {
                int at = d - (out->rank - to->rank);
                if ((at < 0 ? 1 : to->dims[at]) != out->dims[d])
                        set |= 1u << d;
        }
        if (!rs_fold_make(f, arena, out->rank, out->dims, set, n, err))
                return false;
        for (size_t k = 0; k < n; k++)
                rs_fold_operand(f, set, k, operands[k]->rank, operands[k]->dims, out->rank);
        rs_fold_end(f);
        return true;
}

typedef struct run {
        const rs_fold *f;
        const resect_tensor *const *operands;
        rs_row_fn *fn;
        const void *ctx;
        double rows[RS_FOLD_MAX][RS_ROW], value[RS_ROW], sum[RS_ROW];
} run;

static double
neutral(rs_combine c)
{
        return c == RS_PRODUCT ? 1 : c == RS_MAXIMUM ? -INFINITY : c == RS_MINIMUM ? INFINITY : 0;
}

/* Each of n sums meets its next summand. NaN stays. */
static void
join_rows(rs_combine c, size_t n, const double *v, double *sum)
{
        switch (c) {
        case RS_SUM:
                for (size_t i = 0; i < n; i++)
                        sum[i] += v[i];
                break;
        case RS_PRODUCT:
                for (size_t i = 0; i < n; i++)
                        sum[i] *= v[i];
                break;
        case RS_MAXIMUM:
                for (size_t i = 0; i < n; i++)
                        sum[i] = v[i] > sum[i] || isnan(v[i]) ? v[i] : sum[i];
                break;
        case RS_MINIMUM:
                for (size_t i = 0; i < n; i++)
                        sum[i] = v[i] < sum[i] || isnan(v[i]) ? v[i] : sum[i];
                break;
        }
}

/* One sum meets its next n summands. */
static double
join_run(rs_combine c, size_t n, const double *v, double sum)
{
        if (c == RS_SUM)
                for (size_t i = 0; i < n; i++)
                        sum += v[i];
        else
                for (size_t i = 0; i < n; i++)
                        join_rows(c, 1, v + i, &sum);
        return sum;
}

/* One row of fn: operands start at base[k] and go on by step[k]. */
static void
evaluate(run *r, const int64_t *base, const int64_t *step, size_t n)
{
        const double *v[RS_FOLD_MAX] = {0};
        for (size_t k = 0; k < r->f->kept.n; k++) {
                const resect_tensor *t = r->operands[k];
                rs_row_load(t->data, (int32_t)t->dtype, base[k], step[k], n, r->rows[k]);
                v[k] = r->rows[k];
        }
        r->fn(r->ctx, n, v, r->value);
}

/* The sums of a row of targets that lie side by side: one summand of each after the other. */
static void
sum_abreast(run *r, const rs_row *at, size_t k_count)
{
        const rs_walk *in = &r->f->summed;
        int64_t base[RS_FOLD_MAX], step[RS_FOLD_MAX];
        for (size_t i = 0; i < at->n; i++)
                r->sum[i] = neutral(r->f->combine);
        for (size_t u = 0; u < in->units; u++) {
                rs_row s;
                rs_walk_row(in, u, &s);
                for (size_t k = 0; k < k_count; k++) {
                        base[k] = rs_walk_at(&r->f->kept, at, k) + rs_walk_at(in, &s, k);
                        step[k] = rs_walk_step(&r->f->kept, k);
                }
                for (size_t j = 0; j < s.n; j++) {
                        evaluate(r, base, step, at->n);
                        join_rows(r->f->combine, at->n, r->value, r->sum);
                        for (size_t k = 0; k < k_count; k++)
                                base[k] += rs_walk_step(in, k);
                }
        }
}

/* The sums of a row of targets, one after the other, each over rows of its summands. */
static void
sum_each(run *r, const rs_row *at, size_t k_count)
{
        const rs_walk *in = &r->f->summed;
        int64_t base[RS_FOLD_MAX], step[RS_FOLD_MAX];
        for (size_t i = 0; i < at->n; i++) {
                double sum = neutral(r->f->combine);
                for (size_t u = 0; u < in->units; u++) {
                        rs_row s;
                        rs_walk_row(in, u, &s);
                        for (size_t k = 0; k < k_count; k++) {
                                base[k] = rs_walk_at(&r->f->kept, at, k) +
                                          (int64_t)i * rs_walk_step(&r->f->kept, k) +
                                          rs_walk_at(in, &s, k);
                                step[k] = rs_walk_step(in, k);
                        }
                        evaluate(r, base, step, s.n);
                        sum = join_run(r->f->combine, s.n, r->value, sum);
                }
                r->sum[i] = sum;
        }
}

void
rs_fold_run(const rs_fold *f, int threads, const resect_tensor *const *operands, rs_row_fn *fn,
        const void *ctx, resect_tensor *target, rs_into into, rs_finish_fn *finish)
{
        /* Side by side when the summands of one target do not lie in a row but those of neighbours
         * do. */
        bool abreast = f->summed.count <= 1 ||
                       (rs_walk_step(&f->summed, 0) != 1 && rs_walk_step(&f->kept, 0) == 1);
        threads = rs_threads_for(threads, f->kept.count * f->summed.count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < f->kept.units; u++) {
                run r; /* its rows are not worth clearing */
                r.f = f;
                r.operands = operands;
                r.fn = fn;
                r.ctx = ctx;
                rs_row at;
                rs_walk_row(&f->kept, u, &at);
                if (abreast)
                        sum_abreast(&r, &at, f->kept.n);
                else
                        sum_each(&r, &at, f->kept.n);
                if (finish)
                        finish(ctx, target, at.at, at.n, r.sum);
                if (into == RS_ADD_TO)
                        rs_row_add(target->data, (int32_t)target->dtype, at.at, at.n, r.sum);
                else
                        rs_row_store(target->data, (int32_t)target->dtype, at.at, at.n, r.sum);
        }
}
