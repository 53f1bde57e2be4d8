/* SPDX-License-Identifier: 0BSD */
/*
 * The four kernels for one element type and one set of instructions. Included by rows.c, which defines ISA, its TARGET, VL (the
 * floats in its vectors) and TYPE. A row is NV vectors.
 *
 * Sums are made of eight rows in float, as a tree, and go on in double: a rounding error is 2^-24 a level of the tree, whatever
 * the number of rows.
 */
#define NV (RS_LANES / VL)
#define ND (2 * NV)
#define EACH UNROLL for (size_t v = 0; v < NV; v++)
#define EACH_ROW UNROLL for (size_t i = 0; i < n; i++)
#define LANES(array) (*(const VU *)((array) + v * VL))
/* Vector v of row i of a stream. */
#define AT(stream) ((stream) + at + i * stride + v * VL)
/* Fetches what a stream has a page further on: the processor's own prefetching ends with each page, so that a first pass over what
 * is no longer in a cache takes measurably longer without this. Where rows are not neighbours, what comes next are the rows that the
 * other groups of lanes have their turn on before. */
#define FETCH(stream)                                                                                      \
        do {                                                                                               \
                if (v == 0 && stride == RS_LANES) {                                                        \
                        UNROLL for (size_t i = 0; i < n; i += sizeof(float) / sizeof(T))                   \
                                __builtin_prefetch((const void *)((uintptr_t)AT(stream) + PAGE));          \
                } else if (v == 0) {                                                                       \
                        EACH_ROW __builtin_prefetch((const void *)((uintptr_t)AT(stream) + 16 * stride * sizeof(T)));       \
                }                                                                                          \
        } while (0)
/* Calls f for all rows, so many at a time, then one by one. What is absent is NULL in the call, so that f is compiled without. */
#define FOR_ROWS(most, f, ...)                                          \
        do {                                                            \
                size_t left_ = r->count, at_ = 0;                       \
                for (; left_ >= (most); left_ -= (most)) {              \
                        NAME(f)(__VA_ARGS__, at_, stride, l, most);     \
                        at_ += (most)*stride;                           \
                }                                                       \
                for (; left_; left_--, at_ += stride)                   \
                        NAME(f)(__VA_ARGS__, at_, stride, l, 1);        \
        } while (0)

/* The upper half of the result is the nearest bfloat16, of two as near the even one; the lower half is of no meaning. A NaN stays
 * one, where the addition could carry its fraction away. */
static inline ALWAYS TARGET V
NAME(nearest)(V value)
{
        const U bits = (U)value;
        const U near = bits + 0x7fff + (bits >> 16 & 1);

        return IF_NAN(value, (V)(bits | 0x400000), (V)near);
}

/* A row's doubles. */
static inline ALWAYS TARGET void
NAME(fetch)(D *to, const double *from)
{
        UNROLL for (size_t d = 0; d < ND; d++) to[d] = *(const DU *)(from + d * VL / 2);
}

static inline ALWAYS TARGET void
NAME(leave)(const D *from, double *to)
{
        UNROLL for (size_t d = 0; d < ND; d++) *(DU *)(to + d * VL / 2) = from[d];
}

/* Adds the sum of n vectors, a power of two, to the doubles of one. */
static inline ALWAYS TARGET void
NAME(flush)(V *row, size_t n, D *to)
{
        UNROLL for (size_t half = n / 2; half; half /= 2)
        {
                UNROLL for (size_t i = 0; i < half; i++) row[i] += row[i + half];
        }
        to[0] += LOW(row[0]);
        to[1] += HIGH(row[0]);
}

static inline ALWAYS TARGET void
NAME(sums_of)(const T *x, D *sum, D *squares, size_t at, size_t stride, const rs_lanes *l, size_t n)
{
        EACH
        {
                const V m = LANES(l->m);
                V s[8], q[8];
                FETCH(x);
                EACH_ROW
                {
                        s[i] = LOAD(AT(x)) - m;
                        q[i] = s[i] * s[i];
                }
                NAME(flush)(s, n, sum + 2 * v);
                NAME(flush)(q, n, squares + 2 * v);
        }
}

static TARGET void
NAME(sums)(const rs_rows *r, rs_lanes *l)
{
        const T *const x = r->at[RS_X];
        const size_t stride = r->stride;
        D sum[ND], squares[ND];

        NAME(fetch)(sum, l->s);
        NAME(fetch)(squares, l->q);
        FOR_ROWS(8, sums_of, x, sum, squares);
        NAME(leave)(sum, l->s);
        NAME(leave)(squares, l->q);
}

static inline ALWAYS TARGET void
NAME(apply_to)(const T *x, const T *residual, T *out, bool relu, size_t at, size_t stride, const rs_lanes *l, size_t n)
{
        EACH
        {
                const V m = LANES(l->m), a = LANES(l->a), b = LANES(l->b);
                if (residual)
                        FETCH(residual);
                EACH_ROW
                {
                        V y = b;
                        if (x)
                                y += (LOAD(AT(x)) - m) * a;
                        if (residual)
                                y += LOAD(AT(residual));
                        if (relu)
                                y = RELU(y);
                        STORE(AT(out), y);
                }
        }
}

static TARGET void
NAME(apply)(const rs_rows *r, rs_lanes *l)
{
        const T *const x = r->at[RS_X], *const residual = r->at[RS_RESIDUAL];
        T *const out = r->at[RS_OUT];
        const size_t stride = r->stride;

        if (!x)
                FOR_ROWS(4, apply_to, NULL, residual, out, r->relu);
        else if (residual && r->relu)
                FOR_ROWS(4, apply_to, x, residual, out, true);
        else if (residual)
                FOR_ROWS(4, apply_to, x, residual, out, false);
        else if (r->relu)
                FOR_ROWS(4, apply_to, x, NULL, out, true);
        else
                FOR_ROWS(4, apply_to, x, NULL, out, false);
}

static inline ALWAYS TARGET void
NAME(gather_of)(const T *dy, const T *dy2, const T *y, const T *x, bool relu, T *gout, T *out, D *sum, D *products, size_t at,
        size_t stride, const rs_lanes *l, size_t n)
{
        EACH
        {
                const V m = LANES(l->m), a = LANES(l->a), b = LANES(l->b);
                V g[8], q[8];
                FETCH(dy);
                if (dy2)
                        FETCH(dy2);
                if (y)
                        FETCH(y);
                if (x)
                        FETCH(x);
                EACH_ROW
                {
                        V both = LOAD(AT(dy));
                        if (dy2)
                                both = ROUND(both + LOAD(AT(dy2)));
                        if (y)
                                both = IF_ABOVE_0(LOAD(AT(y)), both);
                        else if (relu)
                                both = IF_ABOVE_0(b + (LOAD(AT(x)) - m) * a, both);
                        g[i] = both;
                }
                if (gout)
                        EACH_ROW CUT(AT(gout), g[i]);
                if (out)
                        EACH_ROW STORE(AT(out), a * g[i]);
                if (x) {
                        EACH_ROW q[i] = g[i] * (LOAD(AT(x)) - m);
                        NAME(flush)(q, n, products + 2 * v);
                }
                NAME(flush)(g, n, sum + 2 * v);
        }
}

static TARGET void
NAME(gather)(const rs_rows *r, rs_lanes *l)
{
        const T *const dy = r->at[RS_DY], *const dy2 = r->at[RS_DY2], *const y = r->at[RS_Y], *const x = r->at[RS_X];
        T *const gout = r->at[RS_G], *const out = r->at[RS_OUT];
        const size_t stride = r->stride;
        D sum[ND], products[ND];

        NAME(fetch)(sum, l->s);
        NAME(fetch)(products, l->q);
        if (dy2 && y)
                FOR_ROWS(8, gather_of, dy, dy2, y, x, false, gout, out, sum, products);
        else if (dy2 && r->relu)
                FOR_ROWS(8, gather_of, dy, dy2, NULL, x, true, gout, out, sum, products);
        else if (dy2)
                FOR_ROWS(8, gather_of, dy, dy2, NULL, x, false, gout, out, sum, products);
        else if (y)
                FOR_ROWS(8, gather_of, dy, NULL, y, x, false, gout, out, sum, products);
        else if (r->relu)
                FOR_ROWS(8, gather_of, dy, NULL, NULL, x, true, gout, out, sum, products);
        else
                FOR_ROWS(8, gather_of, dy, NULL, NULL, x, false, gout, out, sum, products);
        NAME(leave)(sum, l->s);
        NAME(leave)(products, l->q);
}

static inline ALWAYS TARGET void
NAME(spread_to)(const T *g, const T *x, T *out, size_t at, size_t stride, const rs_lanes *l, size_t n)
{
        EACH
        {
                const V m = LANES(l->m), a = LANES(l->a), b = LANES(l->b), c = LANES(l->c);
                EACH_ROW STORE(AT(out), a * LOAD(AT(g)) + b * (LOAD(AT(x)) - m) + c);
        }
}

static TARGET void
NAME(spread)(const rs_rows *r, rs_lanes *l)
{
        const T *const g = r->at[RS_G], *const x = r->at[RS_X];
        T *const out = r->at[RS_OUT];
        const size_t stride = r->stride;

        FOR_ROWS(4, spread_to, g, x, out);
}

#undef NV
#undef ND
#undef EACH
#undef EACH_ROW
#undef LANES
#undef AT
#undef FETCH
#undef FOR_ROWS
