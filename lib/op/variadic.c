/* SPDX-License-Identifier: 0BSD */
/*
 * Sum, Mean, Max and Min of any number of broadcast operands. Before opset 8 their shapes had to be
 * equal, which broadcasting includes. Floats meet in double, in the order of the inputs. Where
 * inputs tie for the extreme, each gets the gradient.
 */
#include "op/walk.h"

#include <math.h>
#include <string.h>

enum kind { SUM, MEAN, MAX, MIN };

struct state {
        enum kind kind;
        bool integer, is_unsigned;
        double count;
        rs_walk walk;
        rs_fold *folds; /* training: one for each input; operands dout, the input, out */
};

static bool
infer(rs_infer *x, resect_error *err)
{
        static const char *const names[] = {"Sum", "Mean", "Max", "Min"};
        int kind = 0, rank;
        int64_t dims[RESECT_RANK_MAX];
        while (kind < MIN && strcmp(names[kind], x->node->op))
                kind++;
        if (!rs_op_counts(x, 1, RS_IN_MAX, 1, err) || !rs_op_counts(x, x->n_in, x->n_in, 1, err))
                return false;
        for (size_t i = 0; i < x->n_in; i++)
                if (!rs_op_dtype(x, i, kind < MAX ? RS_FLOATS : RS_NUMBERS, err) ||
                        !rs_op_same_dtype(x, 0, i, err))
                        return false;
        if (!rs_op_broadcast(x, x->in, x->n_in, &rank, dims, err) ||
                !rs_op_out(x, 0, x->in[0]->dtype, rank, dims, err))
                return false;
        if (x->training && kind >= MAX && x->n_in > 16)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "the gradient of %zu inputs; at most 16 go", x->n_in);
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (!s || !rs_walk_broadcast(&s->walk, x->arena, &x->out[0], x->in, x->n_in, err))
                return false;
        s->kind = (enum kind)kind;
        s->integer = rs_dtype_in(x->in[0]->dtype, RS_INTEGERS);
        s->is_unsigned = x->in[0]->dtype == RESECT_UINT64;
        s->count = (double)x->n_in;
        s->folds = x->training ? RS_NEW(x->arena, x->n_in, rs_fold, err) : NULL;
        for (size_t i = 0; s->folds && i < x->n_in; i++) {
                const rs_type *all[] = {&x->out[0], x->in[i], &x->out[0]};
                if (!rs_fold_broadcast(&s->folds[i], x->arena, &x->out[0], x->in[i], all, 3, err))
                        return false;
        }
        return s->folds || !x->training;
}

static void
meet(enum kind kind, size_t n, const double *v, double *y)
{
        switch (kind) {
        case MAX:
                for (size_t i = 0; i < n; i++)
                        y[i] = v[i] > y[i] || isnan(v[i]) ? v[i] : y[i];
                break;
        case MIN:
                for (size_t i = 0; i < n; i++)
                        y[i] = v[i] < y[i] || isnan(v[i]) ? v[i] : y[i];
                break;
        default:
                for (size_t i = 0; i < n; i++)
                        y[i] += v[i];
        }
}

static void
row_real(const rs_call *c, const struct state *s, const rs_row *r)
{
        double y[RS_ROW], v[RS_ROW];
        const rs_walk *w = &s->walk;
        for (size_t k = 0; k < w->n; k++) {
                const resect_tensor *t = c->in[k];
                rs_row_load(t->data, (int32_t)t->dtype, rs_walk_at(w, r, k), rs_walk_step(w, k),
                        r->n, k ? v : y);
                if (k)
                        meet(s->kind, r->n, v, y);
        }
        for (size_t i = 0; s->kind == MEAN && i < r->n; i++)
                y[i] /= s->count;
        if (c->residual || c->relu)
                rs_row_fuse(c, r->at, r->n, y);
        rs_row_store(c->out[0]->data, (int32_t)c->out[0]->dtype, r->at, r->n, y);
}

static void
row_int(const rs_call *c, const struct state *s, const rs_row *r)
{
        int64_t y[RS_ROW], v[RS_ROW];
        const rs_walk *w = &s->walk;
        for (size_t k = 0; k < w->n; k++) {
                const resect_tensor *t = c->in[k];
                rs_row_load_int(t->data, (int32_t)t->dtype, rs_walk_at(w, r, k), rs_walk_step(w, k),
                        r->n, k ? v : y);
                for (size_t i = 0; k && i < r->n; i++) {
                        bool above = s->is_unsigned ? (uint64_t)v[i] > (uint64_t)y[i] : v[i] > y[i];
                        y[i] = above == (s->kind == MAX) ? v[i] : y[i];
                }
        }
        rs_row_store_int(c->out[0]->data, (int32_t)c->out[0]->dtype, r->at, r->n, y);
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        int threads = rs_threads_for(c->threads, s->walk.count * s->walk.n);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < s->walk.units; u++) {
                rs_row r;
                rs_walk_row(&s->walk, u, &r);
                (s->integer ? row_int : row_real)(c, s, &r);
        }
}

static void
slope(const void *ctx, size_t n, const double *const *v, double *y)
{
        const struct state *s = ctx;
        if (s->kind >= MAX)
                for (size_t i = 0; i < n; i++)
                        y[i] = v[1][i] == v[2][i] ? v[0][i] : 0;
        else
                for (size_t i = 0; i < n; i++)
                        y[i] = s->kind == MEAN ? v[0][i] / s->count : v[0][i];
}

static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        for (size_t k = 0; c->dout[0] && k < s->walk.n; k++) {
                if (!c->din[k])
                        continue;
                rs_fold f = s->folds[k];
                if (s->kind < MAX) /* reads neither inputs nor output */
                        f.kept.n = f.summed.n = 1;
                const resect_tensor *v[] = {c->dout[0], c->in[k], c->out[0]};
                rs_fold_run(&f, c->threads, v, slope, s, c->din[k], RS_ADD_TO, NULL);
        }
}

#define READ_ALL (0xFFFFu | RS_READS_OUT(0))
const rs_op rs_op_sum = {.name = "Sum",
        .domain = "",
        .since = 1,
        .fuses = true,
        .infer = infer,
        .forward = forward,
        .backward = backward};
const rs_op rs_op_mean = {.name = "Mean",
        .domain = "",
        .since = 1,
        .infer = infer,
        .forward = forward,
        .backward = backward};
const rs_op rs_op_max = {.name = "Max",
        .domain = "",
        .since = 1,
        .reads = READ_ALL,
        .infer = infer,
        .forward = forward,
        .backward = backward};
const rs_op rs_op_min = {.name = "Min",
        .domain = "",
        .since = 1,
        .reads = READ_ALL,
        .infer = infer,
        .forward = forward,
        .backward = backward};
