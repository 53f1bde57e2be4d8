/* SPDX-License-Identifier: 0BSD */
/*
 * The four kernels for one element type and one set of instructions. Included by rows.c with NAME, TARGET and VL (floats in a
 * vector) defined, the vector types of that width, and T, LOAD, STORE and LOAD_HALF for the element type. A row is NV vectors of
 * floats, or ND vectors of doubles, which half as many elements fill.
 */
#define NV (RS_LANES / VL)
#define ND (2 * NV)
#define EACH UNROLL for (size_t v = 0; v < NV; v++)
#define EACH_HALF UNROLL for (size_t v = 0; v < ND; v++)
#define LANES(array, v) (*(const VU *)((array) + (v)*VL))
#define DOUBLES(array, v) (*(DU *)((array) + (v)*VL / 2))
#define WIDE(p) __builtin_convertvector(LOAD_HALF(p), D)
/* Vector v of element `at` of a stream. */
#define AT(stream, v) ((stream) + at + (v)*VL)
#define AT_HALF(stream, v) ((stream) + at + (v)*VL / 2)

static TARGET void
NAME(sums)(const rs_rows *r, rs_lanes *l)
{
        const T *x = r->at[RS_X];
        D k[ND], s[ND], q[ND];

        EACH_HALF
        {
                k[v] = DOUBLES(l->k, v);
                s[v] = DOUBLES(l->s, v);
                q[v] = DOUBLES(l->q, v);
        }
        for (size_t i = 0, at = 0; i < r->count; i++, at += r->stride) {
                EACH_HALF
                {
                        const D d = WIDE(AT_HALF(x, v)) - k[v];
                        s[v] += d;
                        q[v] += d * d;
                }
        }
        EACH_HALF
        {
                DOUBLES(l->s, v) = s[v];
                DOUBLES(l->q, v) = q[v];
        }
}

static TARGET void
NAME(apply)(const rs_rows *r, rs_lanes *l)
{
        const T *x = r->at[RS_X], *residual = r->at[RS_RESIDUAL];
        T *out = r->at[RS_OUT];
        const bool relu = r->relu;
        V m[NV], a[NV], b[NV];

        EACH
        {
                m[v] = LANES(l->m, v);
                a[v] = LANES(l->a, v);
                b[v] = LANES(l->b, v);
        }
        for (size_t i = 0, at = 0; i < r->count; i++, at += r->stride) {
                EACH
                {
                        V y = b[v];
                        if (x)
                                y = (LOAD(AT(x, v)) - m[v]) * a[v] + y;
                        if (residual)
                                y += LOAD(AT(residual, v));
                        if (relu)
                                y = (V)((I)y & ~(I)(y < (V){0}));
                        STORE(AT(out, v), y);
                }
        }
}

static TARGET void
NAME(gather)(const rs_rows *r, rs_lanes *l)
{
        const T *x = r->at[RS_X], *y = r->at[RS_Y], *dy = r->at[RS_DY], *dy2 = r->at[RS_DY2];
        T *gout = r->at[RS_G], *out = r->at[RS_OUT];
        T kept[RS_LANES] __attribute__((aligned(64)));
        D k[ND], s[ND], q[ND];
        V a[NV];

        EACH a[v] = LANES(l->a, v);
        EACH_HALF
        {
                k[v] = DOUBLES(l->k, v);
                s[v] = DOUBLES(l->s, v);
                q[v] = DOUBLES(l->q, v);
        }
        for (size_t i = 0, at = 0; i < r->count; i++, at += r->stride) {
                EACH
                {
                        V g = LOAD(AT(dy, v));
                        if (dy2)
                                g += LOAD(AT(dy2, v));
                        if (y)
                                g = (V)((I)g & (I)(LOAD(AT(y, v)) > (V){0}));
                        STORE(kept + v * VL, g);
                        if (gout)
                                STORE(AT(gout, v), g);
                        if (out)
                                STORE(AT(out, v), a[v] * LOAD(kept + v * VL));
                }
                EACH_HALF
                {
                        const D g = WIDE(kept + v * VL / 2);
                        s[v] += g;
                        if (x)
                                q[v] += g * (WIDE(AT_HALF(x, v)) - k[v]);
                }
        }
        EACH_HALF
        {
                DOUBLES(l->s, v) = s[v];
                DOUBLES(l->q, v) = q[v];
        }
}

static TARGET void
NAME(spread)(const rs_rows *r, rs_lanes *l)
{
        const T *x = r->at[RS_X], *g = r->at[RS_G];
        T *out = r->at[RS_OUT];
        V m[NV], a[NV], b[NV], c[NV];

        EACH
        {
                m[v] = LANES(l->m, v);
                a[v] = LANES(l->a, v);
                b[v] = LANES(l->b, v);
                c[v] = LANES(l->c, v);
        }
        for (size_t i = 0, at = 0; i < r->count; i++, at += r->stride) {
                EACH
                {
                        const V y = a[v] * LOAD(AT(g, v)) + b[v] * (LOAD(AT(x, v)) - m[v]) + c[v];
                        STORE(AT(out, v), y);
                }
        }
}

#undef NV
#undef ND
#undef EACH
#undef EACH_HALF
#undef LANES
#undef DOUBLES
#undef WIDE
#undef AT
#undef AT_HALF
