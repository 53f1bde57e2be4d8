/* SPDX-License-Identifier: 0BSD */
/*
 * LogME. With X = U S V' and c = U' y for a class's 0/1 labels y, the evidence of y ~ X w + noise,
 * w ~ N(0, 1/alpha), noise ~ N(0, 1/beta) depends on t = alpha / beta alone once beta is at its
 * best:
 *
 *     -1/2 (n ln(2 pi e s) + sum ln(1 + S^2 / t)),   n s = sum c^2 t / (t + S^2) + y'y - c'c,
 *
 * s being 1 / beta, and the fixed point of the paper's algorithm, in which t becomes (gamma / m'm)
 * /
 * ((n - gamma) / |X m - y|^2), is its maximum. S^2 and c come from the smaller Gram matrix, made
 * tridiagonal by reflections and diagonal by implicit QL (Bowdler, Martin, Reinsch, Wilkinson, "The
 * QR and QL algorithms for symmetric matrices", 1968). Of the eigenvectors only their products with
 * the labels are wanted, and the labels are turned along instead.
 */
#include "study/features.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include "base/threads.h"
#include "op/util.h"

/* A symmetric matrix and vectors that are turned along with it. */
typedef struct turned {
        double *a; /* [m, m] */
        double *b; /* [k, m] */
        size_t m, k;
        double *diagonal, *beside; /* [m]; beside[i] links i and i + 1 */
        double *v, *w;             /* [m] */
        int threads;
} turned;

/* v becomes the unit vector whose reflection 1 - 2 v v' turns x [n] along the first axis; returns
 * what is there then. */
static double
reflector(const double *x, size_t n, double *v)
{
        double tail = rs_dot(x + 1, x + 1, n - 1);
        if (!(tail > 0)) {
                memset(v, 0, n * sizeof *v);
                return x[0];
        }
        double norm = sqrt(x[0] * x[0] + tail), to = x[0] > 0 ? -norm : norm;
        memcpy(v, x, n * sizeof *v);
        v[0] -= to;
        double length = sqrt(v[0] * v[0] + tail);
        for (size_t i = 0; i < n; i++)
                v[i] /= length;
        return to;
}

static void
tridiagonalise(turned *t)
{
        size_t m = t->m;
        for (size_t k = 0; k + 1 < m; k++) {
                size_t n = m - k - 1; /* of what is right of and below column k */
                double *a = t->a + (k + 1) * (m + 1), *v = t->v, *w = t->w;
                t->diagonal[k] = t->a[k * (m + 1)];
                t->beside[k] = reflector(t->a + k * m + k + 1, n, v);
                int threads = rs_threads_for(t->threads, n * n / 8);
                RS_PARALLEL(threads)
                for (size_t i = 0; i < n; i++)
                        w[i] = rs_dot(a + i * m, v, n);
                rs_axpy(-rs_dot(v, w, n), v, w, n);
                RS_PARALLEL(threads)
                for (size_t i = 0; i < n; i++) {
                        rs_axpy(-2 * v[i], w, a + i * m, n);
                        rs_axpy(-2 * w[i], v, a + i * m, n);
                }
                for (size_t c = 0; c < t->k; c++) {
                        double *b = t->b + c * m + k + 1;
                        rs_axpy(-2 * rs_dot(v, b, n), v, b, n);
                }
        }
        t->diagonal[m - 1] = t->a[m * m - 1];
        t->beside[m - 1] = 0;
}

/* One sweep of implicit QL on the part l..m. */
static void
sweep(turned *t, size_t l, size_t m)
{
        double *d = t->diagonal, *e = t->beside;
        double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0;
        g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
        for (size_t i = m; i-- > l;) {
                double f = s * e[i], b = c * e[i];
                e[i + 1] = r = hypot(f, g);
                if (!(r > 0)) {
                        d[i + 1] -= p;
                        e[m] = 0;
                        return;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                for (size_t k = 0; k < t->k; k++) {
                        double *x = t->b + k * t->m + i, high = x[1];
                        x[1] = s * x[0] + c * high;
                        x[0] = c * x[0] - s * high;
                }
        }
        d[l] -= p;
        e[l] = g;
        e[m] = 0;
}

static bool
diagonalise(turned *t)
{
        const double *d = t->diagonal, *e = t->beside;
        for (size_t l = 0; l < t->m; l++)
                for (int tries = 0;; tries++) {
                        size_t m = l;
                        while (m + 1 < t->m &&
                                fabs(e[m]) > DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])))
                                m++;
                        if (m == l)
                                break;
                        if (tries == 60)
                                return false;
                        sweep(t, l, m);
                }
        return true;
}

/* The evidence of a class, a sample. square[i] is S^2, c[i] as above, outside is y'y - c'c. */
static double
evidence(const double *square, const double *c, size_t r, double outside, double n)
{
        double most = 0, t = 1, s = 0, spread = 0;
        for (size_t i = 0; i < r; i++)
                most = fmax(most, square[i]);
        for (int step = 0; step < 1000; step++) {
                double gamma = 0, free = n - (double)r, weights = 0, residue = outside;
                s = outside;
                spread = 0;
                for (size_t i = 0; i < r; i++) {
                        double part = square[i] / (t + square[i]), left = t / (t + square[i]);
                        gamma += part;
                        free += left;
                        weights += c[i] * c[i] * part / (t + square[i]);
                        residue += c[i] * c[i] * left * left;
                        s += c[i] * c[i] * left;
                        spread += log1p(square[i] / t);
                }
                double next = gamma * residue / (weights * free);
                if (!(next > 1e-12 * most)) /* not a number for features that are all zero */
                        next = 1e-12 * most;
                if (next > 1e12 * most)
                        next = 1e12 * most;
                if (!(most > 0) || fabs(next - t) <= 1e-9 * t)
                        break;
                t = next;
        }
        return -(log(2 * 3.14159265358979323846 * fmax(s, DBL_MIN) / n) + 1 + spread / n) / 2;
}

static bool
make(turned *t, rs_arena *arena, const float *x, const int64_t *y, size_t n, size_t d,
        const size_t *number, resect_error *err)
{
        size_t cells, m = t->m;
        bool tall = d <= n;
        if (!rs_mul(n, d, &cells) || !rs_mul(m, m, &cells))
                return rs_fail_nomem(err);
        double *wide = rs_alloc(n * d, sizeof *wide, err);
        t->a = wide ? RS_NEW(arena, cells, double, err) : NULL;
        t->b = t->a ? RS_NEW(arena, t->k * m, double, err) : NULL;
        double *rest = t->b ? RS_NEW(arena, 4 * m, double, err) : NULL;
        if (rest) {
                t->diagonal = rest;
                t->beside = rest + m;
                t->v = rest + 2 * m;
                t->w = rest + 3 * m;
                for (size_t i = 0; i < n * d; i++)
                        wide[i] = x[i];
                for (size_t i = 0; i < n; i++) /* X' y, or y itself */
                        if (tall)
                                rs_axpy(1, wide + i * d, t->b + number[y[i]] * m, d);
                        else
                                t->b[number[y[i]] * m + i] = 1;
        }
        bool ok = rest &&
                  rs_rows_product(wide, wide, m, m, tall ? n : d, tall, t->threads, t->a, err);
        rs_free(wide);
        return ok;
}

static bool
run(turned *t, rs_arena *arena, const float *x, const int64_t *y, size_t n, size_t d,
        size_t classes, double *logme, resect_error *err)
{
        size_t *counts = RS_NEW(arena, 2 * classes + 1, size_t, err), *number = counts + classes;
        if (!counts || !rs_features_check(x, y, n, d, classes, 2, counts, err))
                return false;
        for (size_t c = 0; c < classes; c++)
                if (counts[c])
                        number[c] = t->k++;
        if (!make(t, arena, x, y, n, d, number, err))
                return false;
        tridiagonalise(t);
        if (!diagonalise(t))
                return rs_fail(err, RESECT_FORMAT, "the eigenvalues of the features do not settle");
        double most = 0, sum = 0;
        size_t r = 0;
        for (size_t i = 0; i < t->m; i++)
                most = fmax(most, t->diagonal[i]);
        /* What the square of float32 features cannot tell from zero is zero. */
        for (size_t i = 0; i < t->m; i++) {
                if (!(t->diagonal[i] > 1e-13 * most))
                        continue;
                t->diagonal[r] = t->diagonal[i];
                for (size_t k = 0; k < t->k; k++)
                        t->b[k * t->m + r] =
                                t->b[k * t->m + i] / (d <= n ? sqrt(t->diagonal[i]) : 1);
                r++;
        }
        for (size_t c = 0; c < classes; c++) {
                if (!counts[c])
                        continue;
                const double *b = t->b + number[c] * t->m;
                double outside = r < n ? fmax((double)counts[c] - rs_dot(b, b, r), 0) : 0;
                /* Where the features could explain any labels, a sample that repeats another would
                 * make the evidence of no noise infinite: it counts once. */
                size_t told = outside > 1e-9 * (double)counts[c] ? n : r;
                sum += evidence(t->diagonal, b, r, told == n ? outside : 0, (double)told);
        }
        *logme = sum / (double)t->k;
        return true;
}

bool
resect_logme(const float *x, const int64_t *y, size_t n, size_t d, size_t classes, int threads,
        double *logme, resect_error *err)
{
        rs_arena arena = {0};
        turned t = {.m = d < n ? d : n, .threads = rs_threads(threads)};
        bool ok = run(&t, &arena, x, y, n, d, classes, logme, err);
        rs_arena_free(&arena);
        return ok;
}
