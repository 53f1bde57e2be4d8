/* SPDX-License-Identifier: 0BSD */
/*
 * The descent of logistic regression: L-BFGS by the two loops of Nocedal ("Updating quasi-Newton
 * matrices with limited storage", 1980), begun from a preconditioner that nearly is the inverse
 * Hessian: with the classes equally likely, that is 1/K times the features' second moments plus the
 * penalty (Boehning, "Multinomial logistic regression algorithm", 1992, bounds it by such a
 * matrix).
 */
#include "study/softmax.h"

#include <math.h>
#include <string.h>
#include "study/features.h"

enum { MEMORY = 8, MOST_STEPS = 2000 };

size_t
rs_softmax_width(const rs_softmax *p)
{
        return p->m * (p->r + 1);
}

double
rs_softmax_loss(size_t classes, size_t m, double *score, int y)
{
        if (m == 1) { /* the second class's advantage */
                double s = y ? score[0] : -score[0];
                double e = exp(-fabs(s)), wrong = s > 0 ? e / (1 + e) : 1 / (1 + e);
                score[0] = y ? -wrong : wrong;
                return log1p(e) + (s < 0 ? -s : 0);
        }
        double most = score[0], sum = 0, own = score[y];
        for (size_t c = 1; c < classes; c++)
                most = score[c] > most ? score[c] : most;
        for (size_t c = 0; c < classes; c++)
                sum += score[c] = exp(score[c] - most);
        for (size_t c = 0; c < classes; c++)
                score[c] /= sum;
        score[y] -= 1;
        return log(sum) + most - own;
}

void
rs_softmax_scores(const rs_softmax *p, const double *v, const double *z, double *score)
{
        for (size_t c = 0; c < p->m; c++)
                score[c] = rs_dot(z, v + c * p->r, p->r) + v[p->m * p->r + c];
}

/* The objective / (C n) and its gradient. score is [m] of scratch. */
static double
evaluate(const rs_softmax *p, const double *v, double *g, double *score)
{
        size_t weights = p->m * p->r;
        double loss = 0, each = 1 / (double)p->n_rows;
        memset(g, 0, rs_softmax_width(p) * sizeof *g);
        for (size_t i = 0; i < p->n_rows; i++) {
                const double *z = p->z + p->rows[i] * p->r;
                rs_softmax_scores(p, v, z, score);
                loss += rs_softmax_loss(p->classes, p->m, score, p->y[p->rows[i]]);
                for (size_t c = 0; c < p->m; c++) {
                        rs_axpy(score[c] * each, z, g + c * p->r, p->r);
                        g[weights + c] += score[c] * each;
                }
        }
        rs_axpy(p->shrink, v, g, weights);
        return loss * each + p->shrink / 2 * rs_dot(v, v, weights);
}

static void
precondition(const rs_softmax *p, double *x)
{
        for (size_t c = 0; c < p->m; c++) {
                rs_cholesky_solve(p->inverse, p->r, x + c * p->r);
                x[p->m * p->r + c] /= p->curvature;
        }
}

static double
largest(const double *g, size_t n)
{
        double most = 0;
        for (size_t i = 0; i < n; i++)
                most = fmax(most, fabs(g[i]));
        return most;
}

size_t
rs_softmax_scratch(const rs_softmax *p)
{
        return (2 * MEMORY + 5) * rs_softmax_width(p) + p->classes;
}

typedef struct history {
        double *s[MEMORY], *y[MEMORY], rho[MEMORY];
        size_t n; /* steps seen */
} history;

/* direction = - H g, H by the two loops of Nocedal's recursion. */
static void
descend(const rs_softmax *p, const history *h, const double *g, double *direction)
{
        size_t w = rs_softmax_width(p), first = h->n > MEMORY ? h->n - MEMORY : 0;
        double alpha[MEMORY];
        for (size_t i = 0; i < w; i++)
                direction[i] = -g[i];
        for (size_t k = h->n; k-- > first;) {
                size_t i = k % MEMORY;
                alpha[i] = h->rho[i] * rs_dot(h->s[i], direction, w);
                rs_axpy(-alpha[i], h->y[i], direction, w);
        }
        precondition(p, direction);
        for (size_t k = first; k < h->n; k++) {
                size_t i = k % MEMORY;
                double beta = h->rho[i] * rs_dot(h->y[i], direction, w);
                rs_axpy(alpha[i] - beta, h->s[i], direction, w);
        }
}

bool
rs_softmax_minimise(const rs_softmax *p, double *v, double tolerance, double *scratch)
{
        size_t w = rs_softmax_width(p);
        double *g = scratch, *direction = g + w, *next = direction + w, *next_g = next + w,
               *score = next_g + w, *vectors = score + p->classes;
        history h = {.n = 0};
        for (size_t i = 0; i < MEMORY; i++) {
                h.s[i] = vectors + 2 * i * w;
                h.y[i] = h.s[i] + w;
        }
        double f = evaluate(p, v, g, score);
        for (int step = 0; step < MOST_STEPS; step++) {
                if (largest(g, w) <= tolerance)
                        return true;
                descend(p, &h, g, direction);
                double slope = rs_dot(g, direction, w), t = 1, next_f = INFINITY;
                if (!(slope < 0)) { /* rounding has spoilt the history */
                        if (!h.n)
                                return true;
                        h.n = 0;
                        continue;
                }
                for (int tries = 0; tries < 40; tries++, t /= 2) {
                        memcpy(next, v, w * sizeof *v);
                        rs_axpy(t, direction, next, w);
                        next_f = evaluate(p, next, next_g, score);
                        if (next_f <= f + 1e-4 * t * slope)
                                break;
                }
                if (!(next_f < f)) {
                        if (!h.n)
                                return true;
                        h.n = 0;
                        continue;
                }
                double *s = h.s[h.n % MEMORY], *y = h.y[h.n % MEMORY];
                for (size_t i = 0; i < w; i++) {
                        s[i] = next[i] - v[i];
                        y[i] = next_g[i] - g[i];
                }
                double sy = rs_dot(s, y, w);
                if (sy > 1e-14 * sqrt(rs_dot(s, s, w) * rs_dot(y, y, w)))
                        h.rho[h.n++ % MEMORY] = 1 / sy;
                memcpy(v, next, w * sizeof *v);
                memcpy(g, next_g, w * sizeof *g);
                f = next_f;
        }
        return false;
}
