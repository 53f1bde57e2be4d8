/* SPDX-License-Identifier: 0BSD */
/* Where: broadcast choice between two operands, moved as bytes; its gradient goes to the one that
 * was chosen. */
#include "op/move.h"

#include <string.h>

struct state {
        rs_walk walk;    /* condition, a, b */
        rs_fold fold[2]; /* training: for a and b; operands dout, condition */
};

static bool
infer(rs_infer *x, resect_error *err)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (!rs_op_counts(x, 3, 3, 1, err) || !rs_op_dtype(x, 0, RS_BOOLS, err) ||
                !rs_op_dtype(x, 1, RS_ANY, err) || !rs_op_same_dtype(x, 1, 2, err) ||
                !rs_op_broadcast(x, x->in, 3, &rank, dims, err) ||
                !rs_op_out(x, 0, x->in[1]->dtype, rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (!s || !rs_walk_broadcast(&s->walk, x->arena, &x->out[0], x->in, 3, err))
                return false;
        const rs_type *both[] = {&x->out[0], x->in[0]};
        for (int i = 0; x->training && i < 2; i++)
                if (!rs_fold_broadcast(
                            &s->fold[i], x->arena, &x->out[0], x->in[i + 1], both, 2, err))
                        return false;
        return true;
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->walk;
        size_t size = rs_dtype_size((int32_t)c->out[0]->dtype);
        const unsigned char *condition = c->in[0]->data;
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                int64_t at[3];
                for (size_t k = 0; k < 3; k++)
                        at[k] = rs_walk_at(w, &r, k);
                for (size_t i = 0; i < r.n; i++) {
                        size_t k = condition[at[0] + (int64_t)i * rs_walk_step(w, 0)] ? 1 : 2;
                        rs_row_gather(c->out[0]->data, r.at + i, c->in[k]->data,
                                at[k] + (int64_t)i * rs_walk_step(w, k), 1, 1, size);
                }
        }
}

static void
slope(const void *ctx, size_t n, const double *const *v, double *y)
{
        bool chosen = *(const bool *)ctx;
        for (size_t i = 0; i < n; i++)
                y[i] = (v[1][i] != 0) == chosen ? v[0][i] : 0;
}

static void
backward(const rs_call *c)
{
        static const bool chosen[] = {true, false};
        const struct state *s = c->state;
        const resect_tensor *v[] = {c->dout[0], c->in[0]};
        for (int i = 0; c->dout[0] && i < 2; i++)
                if (c->din[i + 1])
                        rs_fold_run(&s->fold[i], c->threads, v, slope, &chosen[i], c->din[i + 1],
                                RS_ADD_TO, NULL);
}

const rs_op rs_op_where = {.name = "Where",
        .domain = "",
        .since = 9,
        .reads = RS_READS_IN(0),
        .alias = -1,
        .infer = infer,
        .forward = forward,
        .backward = backward};
