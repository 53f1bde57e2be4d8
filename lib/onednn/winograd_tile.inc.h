/* SPDX-License-Identifier: 0BSD */
/*
 * The transforms for tiles of M x M outputs, M being 4, 5 or 7. The points where the polynomials of Toom and Cook are evaluated come
 * in pairs p, -p, with 0 for M = 4 and infinity for all, so that even and odd parts are computed once for two points. They were
 * chosen for small errors among those whose products are exact in float. For odd M the row of -p is negated in B' and in G, which
 * changes no product and makes the scale of both rows of a pair the same. The scales are no part of G here: outputs and the gradient
 * of weights take them in with their last transform, whose factors they join; weights would need one multiplication more.
 *
 * Included by winograd_kernels.c with M, P (the points), N (their scales) and NAME defined.
 */
#define A (M + 2)
#define PAIRS ((M + 1) / 2)
#define FIRST (M == 4 ? 1 : 0) /* where pairs begin */
#define SQ(k) (P(k) * P(k))

/* The coefficients of the product of all X - P(k)^2 but that of `without`; returns its degree. */
static INLINE int
NAME(product_of)(int without, float *c)
{
        int degree = 0;

        c[0] = 1;
        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                if (k == without)
                        continue;
                c[degree + 1] = c[degree];
                UNROLL for (int i = degree; i > 0; i--) c[i] = c[i - 1] - SQ(k) * c[i];
                c[0] *= -SQ(k);
                degree++;
        }
        return degree;
}

/* The sum of c[i] d[2 i]; the last c is 1. */
static INLINE V
NAME(weighted)(const float *c, int degree, const V *d)
{
        V sum = d[2 * degree];

        UNROLL for (int i = degree - 1; i >= 0; i--) sum = MADD(SET(c[i]), d[2 * i], sum);
        return sum;
}

/* r = B' d */
static INLINE void
NAME(spread_line)(const V *d, V *r)
{
        float c[PAIRS + 1];

        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                const int degree = NAME(product_of)(k, c);
                const V even = NAME(weighted)(c, degree, d + FIRST), odd = NAME(weighted)(c, degree, d + FIRST + 1), p = SET(P(k));
                r[FIRST + 2 * k] = MADD(p, even, odd);
                r[FIRST + 2 * k + 1] = FIRST ? NMADD(p, even, odd) : MSUB(p, even, odd);
        }
        const int degree = NAME(product_of)(PAIRS, c);
        if (FIRST)
                r[0] = NAME(weighted)(c, degree, d);
        r[A - 1] = NAME(weighted)(c, degree, d + FIRST);
}

/* r = A d: the polynomial with coefficients d at every point. */
static INLINE void
NAME(widen_line)(const V *d, V *r)
{
        if (FIRST)
                r[0] = d[0];
        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                const V q = SET(SQ(k)), p = SET(P(k));
                V even = d[(M - 1) / 2 * 2], odd = d[(M - 2) / 2 * 2 + 1];
                UNROLL for (int i = (M - 1) / 2 * 2 - 2; i >= 0; i -= 2) even = MADD(q, even, d[i]);
                UNROLL for (int i = (M - 2) / 2 * 2 - 1; i >= 0; i -= 2) odd = MADD(q, odd, d[i]);
                r[FIRST + 2 * k] = MADD(p, odd, even);
                r[FIRST + 2 * k + 1] = NMADD(p, odd, even);
        }
        r[A - 1] = d[M - 1];
}

/* y = A' N s */
static INLINE void
NAME(gather_line)(const V *s, V *y)
{
        V even[PAIRS], odd[PAIRS];
        float power[PAIRS];

        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                even[k] = ADD(s[FIRST + 2 * k], s[FIRST + 2 * k + 1]);
                odd[k] = SUB(s[FIRST + 2 * k], s[FIRST + 2 * k + 1]);
                power[k] = N(k);
        }
        UNROLL for (int i = 0; i < M; i++)
        {
                const V *from = i % 2 ? odd : even;
                if (i == 0 && FIRST)
                        y[i] = MADD(SET(power[0]), from[0], MUL(SET(N(PAIRS)), s[0]));
                else
                        y[i] = i == M - 1 ? MADD(SET(power[0]), from[0], s[A - 1]) : MUL(SET(power[0]), from[0]);
                UNROLL for (int k = 1; k < PAIRS; k++) y[i] = MADD(SET(power[k]), from[k], y[i]);
                UNROLL for (int k = 0; k < PAIRS; k++) power[k] *= P(k);
        }
}

/* r = G w */
static INLINE void
NAME(weights_line)(const V *w, V *r)
{
        if (FIRST)
                r[0] = w[0];
        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                const V even = MADD(SET(SQ(k)), w[2], w[0]), p = SET(P(k));
                r[FIRST + 2 * k] = MADD(p, w[1], even);
                r[FIRST + 2 * k + 1] = NMADD(p, w[1], even);
        }
        r[A - 1] = w[2];
}

/* w = G' N u */
static INLINE void
NAME(taps_line)(const V *u, V *w)
{
        w[0] = FIRST ? MUL(SET(N(2)), u[0]) : SET(0);
        w[1] = SET(0);
        w[2] = u[A - 1];
        UNROLL for (int k = 0; k < PAIRS; k++)
        {
                const V even = MUL(SET(N(k)), ADD(u[FIRST + 2 * k], u[FIRST + 2 * k + 1]));
                const V odd = SUB(u[FIRST + 2 * k], u[FIRST + 2 * k + 1]);
                w[0] = ADD(w[0], even);
                w[1] = MADD(SET(N(k) * P(k)), odd, w[1]);
                w[2] = MADD(SET(SQ(k)), even, w[2]);
        }
}

/* A tile of SIZE x SIZE pixels, zero outside the picture, and LINE over its columns and then its rows. Addresses are clamped to
   the picture and what lies outside is masked. */
#define TILE(name, SIZE, LINE)                                                                                                  \
        static TARGET void NAME(name)(const rs_wino_map *map, const float *picture, size_t ty, size_t tx, size_t from,          \
                size_t to, float *v, size_t plane, size_t pair, size_t odd)                                                     \
        {                                                                                                                       \
                size_t row[SIZE], col[SIZE];                                                                                    \
                uint16_t row_in[SIZE], col_in[SIZE];                                                                            \
                V mid[A][SIZE], d[SIZE], r[A];                                                                                  \
                const bool high = edges(map->h, (ptrdiff_t)ty - map->before_h, map->w * 16, SIZE, row, row_in);                 \
                const bool wide = edges(map->w, (ptrdiff_t)tx - map->before_w, 16, SIZE, col, col_in);                          \
                for (size_t b = from; b < to; b++) {                                                                            \
                        const float *in = picture + b * map->h * map->w * 16;                                                   \
                        float *out = v + b / 2 * pair + b % 2 * odd;                                                            \
                        for (int j = 0; j < (SIZE); j++) {                                                                      \
                                if (high && wide)                                                                               \
                                        UNROLL for (int i = 0; i < (SIZE); i++) d[i] = LOAD(in + row[i] + col[j]);              \
                                else                                                                                            \
                                        UNROLL for (int i = 0; i < (SIZE); i++) d[i] =                                          \
                                                LOAD_IF((uint16_t)(row_in[i] & col_in[j]), in + row[i] + col[j]);               \
                                LINE(d, r);                                                                                     \
                                UNROLL for (int i = 0; i < A; i++) mid[i][j] = r[i];                                            \
                        }                                                                                                       \
                        for (int i = 0; i < A; i++) {                                                                           \
                                LINE(mid[i], r);                                                                                \
                                UNROLL for (int j = 0; j < A; j++) STORE(out + (size_t)(i * A + j) * plane, r[j]);              \
                        }                                                                                                       \
                }                                                                                                               \
        }
TILE(spread, A, NAME(spread_line))
TILE(widen, M, NAME(widen_line))
#undef TILE

static TARGET void
NAME(gather)(const rs_wino_map *map, const float *s, size_t plane, size_t ty, size_t tx, const rs_wino_end *end, float *out)
{
        const int rows = map->h - ty < M ? (int)(map->h - ty) : M, cols = map->w - tx < M ? (int)(map->w - tx) : M;
        const V bias = end->bias ? LOAD(end->bias) : SET(0), floor = SET(end->relu ? 0 : -INFINITY);
        V mid[M][A], d[A], r[M];

        for (int j = 0; j < A; j++) {
                UNROLL for (int i = 0; i < A; i++) d[i] = LOAD(s + (size_t)(i * A + j) * plane);
                NAME(gather_line)(d, r);
                UNROLL for (int i = 0; i < M; i++) mid[i][j] = r[i];
        }
        out += (ty * map->w + tx) * 16;
        for (int i = 0; i < rows; i++, out += map->w * 16) {
                NAME(gather_line)(mid[i], r);
                UNROLL for (int j = 0; j < M; j++)
                {
                        if (j >= cols)
                                continue;
                        r[j] = ADD(r[j], bias);
                        if (end->add)
                                r[j] = ADD(r[j], LOAD(out + j * 16));
                        STORE(out + j * 16, MAX(floor, r[j]));
                }
        }
}

static TARGET void
NAME(weights)(const float *w, float *u, size_t plane)
{
        V mid[A][3], d[3], r[A];

        for (int j = 0; j < 3; j++) {
                UNROLL for (int i = 0; i < 3; i++) d[i] = LOAD(w + (i * 3 + j) * 16);
                NAME(weights_line)(d, r);
                UNROLL for (int i = 0; i < A; i++) mid[i][j] = r[i];
        }
        for (int i = 0; i < A; i++) {
                NAME(weights_line)(mid[i], r);
                UNROLL for (int j = 0; j < A; j++) STORE(u + (size_t)(i * A + j) * plane, r[j]);
        }
}

static TARGET void
NAME(taps)(const float *u, size_t plane, float *w)
{
        V mid[3][A], d[A], r[3];

        for (int j = 0; j < A; j++) {
                UNROLL for (int i = 0; i < A; i++) d[i] = LOAD(u + (size_t)(i * A + j) * plane);
                NAME(taps_line)(d, r);
                UNROLL for (int i = 0; i < 3; i++) mid[i][j] = r[i];
        }
        for (int i = 0; i < 3; i++) {
                NAME(taps_line)(mid[i], r);
                UNROLL for (int j = 0; j < 3; j++) STORE(w + (i * 3 + j) * 16, r[j]);
        }
}

#undef A
#undef PAIRS
#undef FIRST
#undef SQ
