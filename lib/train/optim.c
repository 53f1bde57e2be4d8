/* SPDX-License-Identifier: 0BSD */
/*
 * The optimisers, one row each. To add one: an update of a run of floats, a row, and a line in the
 * peers test. The updates are PyTorch's, operation by operation in float32, so that runs can be
 * compared step by step.
 */
#include "train/optim.h"

#include <math.h>
#include <string.h>

/* What one piece's update needs. */
typedef struct rs_update {
        const rs_optim *m;
        double lr, decay;
        uint64_t step; /* of the piece, from 1 */
        float *p, *slot[RS_SLOTS_MAX];
        const float *g;
} rs_update;

struct rs_optim_row {
        const char *name;
        size_t slots;
        void (*update)(const rs_update *u, size_t from, size_t to);
};

/* torch.optim.SGD, dampening 0: g += decay p; v = momentum v + g; p -= lr (g + momentum v, or v).
 */
static void
sgd(const rs_update *u, size_t from, size_t to)
{
        float lr = (float)u->lr, decay = (float)u->decay, momentum = (float)u->m->momentum;
        for (size_t i = from; i < to; i++) {
                float g = u->g[i] + decay * u->p[i];
                float v = u->slot[0][i] = momentum * u->slot[0][i] + g;
                u->p[i] -= lr * (u->m->nesterov ? g + momentum * v : v);
        }
}

/* torch.optim.AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. */
static void
adamw(const rs_update *u, size_t from, size_t to)
{
        const rs_optim *m = u->m;
        double c1 = 1 - pow(m->beta1, (double)u->step), c2 = 1 - pow(m->beta2, (double)u->step);
        float shrink = (float)(1 - u->lr * u->decay), b1 = (float)m->beta1, b2 = (float)m->beta2;
        float n1 = (float)(1 - m->beta1), n2 = (float)(1 - m->beta2);
        float rate = (float)(u->lr / c1), root = (float)sqrt(c2), eps = (float)m->eps;
        for (size_t i = from; i < to; i++) {
                float g = u->g[i];
                float a = u->slot[0][i] = b1 * u->slot[0][i] + n1 * g;
                float b = u->slot[1][i] = b2 * u->slot[1][i] + n2 * g * g;
                u->p[i] = shrink * u->p[i] - rate * (a / (sqrtf(b) / root + eps));
        }
}

static const struct rs_optim_row rows[] = {{"sgd", 1, sgd}, {"adamw", 2, adamw}};

static const struct rs_optim_row *
row_named(const char *name, resect_error *err)
{
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                if (!strcmp(rows[i].name, name))
                        return &rows[i];
        return RS_FAIL_NULL(err, RESECT_ARG, "optimizer %s: there are sgd and adamw", name);
}

static bool
sensible(const resect_train_options *o, resect_error *err)
{
        if (!(o->momentum >= 0 && o->momentum < 1))
                return rs_fail(err, RESECT_ARG, "momentum %g: must be in [0, 1)", o->momentum);
        if (o->nesterov && o->momentum <= 0)
                return rs_fail(err, RESECT_ARG, "Nesterov's step needs a momentum above 0");
        if (!(o->weight_decay >= 0 && isfinite(o->weight_decay)))
                return rs_fail(err, RESECT_ARG, "weight decay %g: must be a number from 0 up",
                        o->weight_decay);
        if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1 && o->eps > 0))
                return rs_fail(err, RESECT_ARG,
                        "adamw: betas %g and %g must be in [0, 1), eps %g above 0", o->beta1,
                        o->beta2, o->eps);
        return true;
}

bool
rs_optim_make(
        rs_optim *m, const resect_train_options *o, const rs_slab *parameters, resect_error *err)
{
        *m = (rs_optim){.row = row_named(o->optimizer ? o->optimizer : "sgd", err),
                .momentum = o->momentum,
                .nesterov = o->nesterov,
                .beta1 = o->beta1,
                .beta2 = o->beta2,
                .eps = o->eps,
                .decay = o->weight_decay,
                .count = parameters->count,
                .n_pieces = parameters->n_pieces};
        if (!m->row || !sensible(o, err))
                return false;
        m->n_slots = m->row->slots;
        size_t floats, bytes;
        if (!rs_mul(m->n_slots, m->count, &floats) || !rs_mul(floats, sizeof(float), &bytes))
                return rs_fail_nomem(err);
        m->slots = rs_alloc_aligned(bytes, err);
        m->rate = m->slots ? rs_alloc(m->n_pieces, sizeof *m->rate, err) : NULL;
        m->decays = m->rate ? rs_alloc(m->n_pieces, sizeof *m->decays, err) : NULL;
        m->steps = m->decays ? rs_alloc(m->n_pieces, sizeof *m->steps, err) : NULL;
        if (!m->steps) {
                rs_optim_free(m);
                return false;
        }
        memset(m->slots, 0, bytes);
        for (size_t i = 0; i < m->n_pieces; i++) {
                m->rate[i] = 1;
                m->decays[i] = !o->no_bias_decay || parameters->pieces[i].rank > 1;
        }
        return true;
}

void
rs_optim_free(rs_optim *m)
{
        rs_free_aligned(m->slots);
        rs_free(m->rate);
        rs_free(m->decays);
        rs_free(m->steps);
        *m = (rs_optim){0};
}

/* Runs of a size that does not depend on the number of threads, in strips; while one is worked on,
 * the next one is fetched: a processor's own prefetching ends with each page. */
enum { RUN = 1 << 14, STRIP = 512 };

static void
fetch(const float *from, size_t count)
{
        for (size_t i = 0; i < count; i += 64 / sizeof *from)
                __builtin_prefetch(from + i);
}

static void
update_run(const rs_update *u, size_t from, size_t to)
{
        for (size_t at = from; at < to; at += STRIP) {
                const size_t end = to - at < STRIP ? to : at + STRIP;
                const size_t next = to - end < STRIP ? to - end : STRIP;
                fetch(u->p + end, next);
                fetch(u->g + end, next);
                for (size_t s = 0; s < u->m->n_slots; s++)
                        fetch(u->slot[s] + end, next);
                u->m->row->update(u, at, end);
        }
}

void
rs_optim_step(rs_optim *m, rs_slab *parameters, const float *gradients, double lr, int threads)
{
        (void)threads;
        for (size_t i = 0; i < m->n_pieces; i++) {
                const rs_piece *piece = &parameters->pieces[i];
                rs_update u = {.m = m,
                        .lr = lr * m->rate[i],
                        .decay = m->decays[i] ? m->decay : 0,
                        .step = ++m->steps[i],
                        .p = parameters->values + piece->offset,
                        .g = gradients + piece->offset};
                for (size_t s = 0; s < m->n_slots; s++)
                        u.slot[s] = m->slots + s * m->count + piece->offset;
                size_t runs = (piece->count + RUN - 1) / RUN;
#pragma omp parallel for num_threads(threads) if (runs > 4) schedule(static)
                for (size_t r = 0; r < runs; r++) {
                        size_t to = (r + 1) * RUN;
                        update_run(&u, r * RUN, to < piece->count ? to : piece->count);
                }
        }
}

/* In sixteen sums, so that an addition need not wait for the one before it. */
static double
sum_of_squares(const float *v, size_t n)
{
        enum { LANES = 16 };
        double sum[LANES] = {0}, total = 0;
        size_t i = 0;
        for (; i + LANES <= n; i += LANES) {
                __builtin_prefetch(v + i + STRIP);
                for (size_t k = 0; k < LANES; k++)
                        sum[k] += (double)v[i + k] * v[i + k];
        }
        for (size_t k = 0; i < n; i++, k++)
                sum[k] += (double)v[i] * v[i];
        for (size_t k = 0; k < LANES; k++)
                total += sum[k];
        return total;
}

double
rs_gradient_norm(const float *gradients, size_t count, int threads)
{
        enum { GROUP = 64 };
        (void)threads;
        double total = 0, part[GROUP];
        for (size_t at = 0; at < count; at += (size_t)GROUP * RUN) {
                size_t left = count - at, runs = (left + RUN - 1) / RUN;
                runs = runs < GROUP ? runs : GROUP;
#pragma omp parallel for num_threads(threads) if (runs > 4) schedule(static)
                for (size_t r = 0; r < runs; r++) {
                        size_t n = left - r * RUN;
                        part[r] = sum_of_squares(gradients + at + r * RUN, n < RUN ? n : RUN);
                }
                for (size_t r = 0; r < runs; r++)
                        total += part[r];
        }
        return sqrt(total);
}

void
rs_gradient_scale(float *gradients, size_t count, double factor, int threads)
{
        (void)threads;
        float f = (float)factor;
#pragma omp parallel for num_threads(threads) if (count > 4 * RUN) schedule(static)
        for (size_t i = 0; i < count; i++)
                gradients[i] *= f;
}
