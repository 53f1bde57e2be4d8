/* SPDX-License-Identifier: 0BSD */
/* Sums and maps over one channel, for one element type T; included by norm.c with T, NAME, LOAD and
 * STORE defined. */
#ifndef RS_OP_NORM_LANES
#define RS_OP_NORM_LANES
enum { LANES = 8 };
struct lrn {
        size_t images, channels, plane;
        double alpha, beta, bias; /* alpha is already divided by size */
        uint64_t size;
};
static double
sum_of(const double *lanes)
{
        return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
               ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}
#endif

/* Mean and population variance, in two passes. */
static void
NAME(moments)(const void *data, size_t at, const channel *c, double *mean, double *var)
{
        const T *x = (const T *)data + at;
        const double n = (double)c->images * (double)c->plane;
        double lanes[LANES] = {0};

        for (size_t i = 0; i < c->images; i++) {
                const T *p = x + i * c->stride;
                size_t j = 0;
                for (; j + LANES <= c->plane; j += LANES)
                        for (size_t l = 0; l < LANES; l++)
                                lanes[l] += LOAD(p[j + l]);
                for (size_t l = 0; j + l < c->plane; l++)
                        lanes[l] += LOAD(p[j + l]);
        }
        const double m = sum_of(lanes) / n;
        memset(lanes, 0, sizeof lanes);
        for (size_t i = 0; i < c->images; i++) {
                const T *p = x + i * c->stride;
                size_t j = 0;
                for (; j + LANES <= c->plane; j += LANES)
                        for (size_t l = 0; l < LANES; l++) {
                                const double d = LOAD(p[j + l]) - m;
                                lanes[l] += d * d;
                        }
                for (size_t l = 0; j + l < c->plane; l++) {
                        const double d = LOAD(p[j + l]) - m;
                        lanes[l] += d * d;
                }
        }
        *mean = m;
        *var = sum_of(lanes) / n;
}

/* y = (x - mean) * a + b */
static void
NAME(affine)(
        const void *data, void *out, size_t at, const channel *c, double mean, double a, double b)
{
        const T *x = (const T *)data + at;
        T *y = (T *)out + at;

        for (size_t i = 0; i < c->images; i++)
                for (size_t j = i * c->stride; j < i * c->stride + c->plane; j++)
                        y[j] = STORE((LOAD(x[j]) - mean) * a + b);
}

/* s = sum dy, sx = sum dy * (x - mean) */
static void
NAME(sums)(const void *data, const void *grad, size_t at, const channel *c, double mean, double *s,
        double *sx)
{
        const T *x = (const T *)data + at, *dy = (const T *)grad + at;
        double lanes[LANES] = {0}, lanes_x[LANES] = {0};

        for (size_t i = 0; i < c->images; i++) {
                const T *p = x + i * c->stride, *d = dy + i * c->stride;
                size_t j = 0;
                for (; j + LANES <= c->plane; j += LANES)
                        for (size_t l = 0; l < LANES; l++) {
                                lanes[l] += LOAD(d[j + l]);
                                lanes_x[l] += LOAD(d[j + l]) * (LOAD(p[j + l]) - mean);
                        }
                for (size_t l = 0; j + l < c->plane; l++) {
                        lanes[l] += LOAD(d[j + l]);
                        lanes_x[l] += LOAD(d[j + l]) * (LOAD(p[j + l]) - mean);
                }
        }
        *s = sum_of(lanes);
        *sx = sum_of(lanes_x);
}

/* dx += a * (dy - b - (x - mean) * d) */
static void
NAME(spread)(const void *data, const void *grad, void *out, size_t at, const channel *c,
        double mean, double a, double b, double d)
{
        const T *x = (const T *)data + at, *dy = (const T *)grad + at;
        T *dx = (T *)out + at;

        for (size_t i = 0; i < c->images; i++)
                for (size_t j = i * c->stride; j < i * c->stride + c->plane; j++)
                        dx[j] = STORE(
                                LOAD(dx[j]) + a * (LOAD(dy[j]) - b - (LOAD(x[j]) - mean) * d));
}

/* y = x / (bias + alpha / size * sum of squares of the channels around)^beta */
static void
NAME(lrn)(const void *data, void *out, size_t at, size_t ch, size_t channels, size_t plane,
        const struct lrn *s)
{
        const T *x = (const T *)data + at;
        T *y = (T *)out + at + ch * plane;
        const uint64_t before = (s->size - 1) / 2, after = s->size / 2;
        const size_t first = ch > before ? ch - (size_t)before : 0;
        const size_t last = channels - 1 - ch > after ? ch + (size_t)after : channels - 1;

        for (size_t p = 0; p < plane; p++) {
                double sum = 0;
                for (size_t k = first; k <= last; k++) {
                        const double v = LOAD(x[k * plane + p]);
                        sum += v * v;
                }
                y[p] = STORE(LOAD(x[ch * plane + p]) / pow(s->bias + s->alpha * sum, s->beta));
        }
}
#undef T
#undef NAME
#undef LOAD
#undef STORE
