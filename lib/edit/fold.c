/* SPDX-License-Identifier: 0BSD */
/*
 * fold: y = (conv(x) + b - mean) * scale / sqrt(var + eps) + beta is again a convolution, with
 * weights W * f and bias (b - mean) * f + beta, f = scale / sqrt(var + eps) for each output
 * channel. Computed in double and rounded once. Pairs are found first and changed afterwards, so
 * that one index serves; a tensor that others read too is left to them and copied.
 */
#include "edit/fold.h"

#include <math.h>
#include <string.h>

typedef struct pair {
        rs_node *affine, *bn;
        rs_tensor *weight, *bias, *bn_tensors[4]; /* bias may be NULL; scale, beta, mean, var */
        bool own_weight, own_bias;                /* nobody else reads them */
        bool columns; /* Gemm without transB: output channels are columns */
        struct pair *next;
} pair;

bool
rs_bn_trains(const resect_model *m, const rs_node *bn)
{
        int64_t opset = rs_model_opset(m);
        if (opset >= 14)
                return rs_node_int(bn, "training_mode", 0) != 0;
        if (opset < 7)
                return rs_node_int(bn, "is_test", 0) == 0;
        for (size_t i = 1; i < bn->n_out;
                i++) /* 7 to 13: it trains when someone wants the statistics */
                if (bn->out[i][0] != '\0')
                        return true;
        return false;
}

/* A constant vector of n numbers (or one that broadcasts to it). */
static rs_tensor *
vector(const rs_index *ix, const char *name, int64_t n)
{
        rs_tensor *t = rs_constant(ix, name);
        return t != NULL && t->count == (size_t)n ? t : NULL;
}

/* The affine node before a BatchNormalization, with all that folding needs; false when they cannot
 * be folded. */
static bool
match(const rs_index *ix, rs_node *bn, pair *p)
{
        const rs_link *x = bn->n_in >= 5 ? rs_index_find(ix, bn->in[0]) : NULL;
        rs_node *a = x != NULL ? x->maker : NULL;
        bool gemm = rs_is_op(a, "Gemm");
        if ((!gemm && !rs_is_op(a, "Conv")) || a->n_in < 2 || x->n_uses != 1 || x->is_output)
                return false;
        const rs_tensor *w = rs_constant(ix, a->in[1]);
        if (w == NULL || w->rank < 2 || (gemm && w->rank != 2))
                return false;
        *p = (pair){.affine = a, .bn = bn, .columns = gemm && rs_node_int(a, "transB", 0) == 0};
        const int64_t n = w->dims[p->columns ? 1 : 0];
        for (int i = 0; i < 4; i++)
                if ((p->bn_tensors[i] = vector(ix, bn->in[i + 1], n)) == NULL)
                        return false;
        const rs_link *l = rs_index_find(ix, a->in[1]);
        p->weight = rs_constant(ix, a->in[1]);
        p->own_weight = l->tensor != NULL && l->n_uses == 1 && !l->is_output && l->input == NULL;
        if (a->n_in > 2 && a->in[2][0] != '\0') {
                l = rs_index_find(ix, a->in[2]);
                p->bias = vector(ix, a->in[2], n);
                if (p->bias == NULL)
                        return false;
                p->own_bias =
                        l->tensor != NULL && l->n_uses == 1 && !l->is_output && l->input == NULL;
        }
        return true;
}

/* A tensor to write the folded values to: t itself when it is the node's own, else a new one that
 * slot then names. */
static rs_tensor *
target(rs_surgery *s, rs_node *n, size_t slot, rs_tensor *t, bool own, const char *wish, int rank,
        const int64_t *dims, int32_t dtype, resect_error *err)
{
        if (own)
                return rs_tensor_renew(s->m, t, rank, dims, err) ? t : NULL;
        const char *name = rs_model_fresh_name(s->m, wish, err);
        t = name != NULL ? rs_model_add_tensor(s->m, name, dtype, rank, dims, err) : NULL;
        if (t == NULL)
                return NULL;
        if (slot >= n->n_in) {
                const char **in = RS_NEW(&s->m->arena, slot + 1, const char *, err);
                if (in == NULL)
                        return NULL;
                memcpy(in, n->in, n->n_in * sizeof *in);
                n->in = in;
                n->n_in = slot + 1;
        }
        n->in[slot] = t->name;
        rs_node_touch(n);
        return t;
}

/* One pair, in double. */
static bool
fold_pair(rs_surgery *s, const pair *p, resect_error *err)
{
        rs_tensor *w = p->weight;
        const int64_t n = w->dims[p->columns ? 1 : 0];
        const double eps = rs_node_float(p->bn, "epsilon", 1e-5f);
        const bool gemm = rs_is_op(p->affine, "Gemm");
        const double alpha = gemm ? rs_node_float(p->affine, "alpha", 1) : 1;
        const double beta = gemm ? rs_node_float(p->affine, "beta", 1) : 1;
        double *v, *b = NULL, *q[4];
        if (!rs_tensor_doubles(s->m, &s->arena, w, &v, err) ||
                (p->bias != NULL && !rs_tensor_doubles(s->m, &s->arena, p->bias, &b, err)))
                return false;
        for (int i = 0; i < 4; i++)
                if (!rs_tensor_doubles(s->m, &s->arena, p->bn_tensors[i], &q[i], err))
                        return false;
        double *bias = RS_NEW(&s->arena, (size_t)n + 1, double, err);
        if (bias == NULL)
                return false;
        const size_t row = n != 0 ? w->count / (size_t)n : 0;
        for (size_t c = 0; c < (size_t)n; c++) {
                if (!(q[3][c] + eps > 0))
                        return rs_fail(err, RESECT_GRAPH,
                                "%s: variance %g of channel %zu plus epsilon %g is not positive",
                                rs_node_title(p->bn), q[3][c], c, eps);
                const double f = q[0][c] / sqrt(q[3][c] + eps);
                for (size_t i = 0; i < row; i++)
                        v[p->columns ? i * (size_t)n + c : c * row + i] *= f * alpha;
                bias[c] = ((b != NULL ? b[c] * beta : 0) - q[2][c]) * f + q[1][c];
        }
        bool frozen = rs_model_is_frozen(s->m, w->name);
        for (int i = 0; i < 4; i++)
                frozen = frozen && rs_model_is_frozen(s->m, p->bn_tensors[i]->name);
        int64_t dims[32];
        memcpy(dims, w->dims, (size_t)w->rank * sizeof *dims);
        const char *wish = rs_sibling_name(s->m, w->name, "bias", err);
        rs_tensor *tw =
                target(s, p->affine, 1, w, p->own_weight, w->name, w->rank, dims, w->dtype, err);
        rs_tensor *tb = tw != NULL && wish != NULL ? target(s, p->affine, 2, p->bias, p->own_bias,
                                                             p->bias != NULL ? p->bias->name : wish,
                                                             1, &n, w->dtype, err)
                                                   : NULL;
        if (tb == NULL)
                return false;
        rs_tensor_put(tw, v, tw->count);
        rs_tensor_put(tb, bias, tb->count);
        if (gemm) {
                rs_node_drop_attr(p->affine, "alpha"); /* both are in the numbers now */
                rs_node_drop_attr(p->affine, "beta");
        }
        p->affine->out[0] = p->bn->out[0];
        rs_node_touch(p->affine);
        rs_graph_remove(&s->m->graph, p->bn);
        return rs_model_set_frozen(s->m, tw->name, frozen, err) &&
               rs_model_set_frozen(s->m, tb->name, frozen, err);
}

/* A weight two pairs read is nobody's own, though the index, which counts uses, said so only for
 * direct ones. */
static bool
fold(rs_surgery *s, resect_error *err)
{
        resect_model *m = s->m;
        rs_index ix;
        if (!rs_index_make(&ix, &m->graph, err))
                return false;
        pair *first = NULL, **last = &first;
        size_t folded = 0, left = 0;
        bool ok = true;
        for (size_t i = 0; ok && i < m->graph.n_nodes; i++) {
                rs_node *bn = m->graph.nodes[i];
                if (!rs_is_op(bn, "BatchNormalization"))
                        continue;
                if (rs_bn_trains(m, bn)) {
                        ok = rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: BatchNormalization in training mode computes with the batch's "
                                "own statistics and cannot be folded; "
                                "--eval makes it use the stored ones",
                                rs_node_title(bn));
                        break;
                }
                pair p;
                if (!match(&ix, bn, &p)) {
                        left++;
                        continue;
                }
                *last = RS_NEW(&s->arena, 1, pair, err);
                ok = *last != NULL;
                if (ok) {
                        **last = p;
                        last = &(*last)->next;
                }
        }
        rs_index_free(&ix);
        ok = ok && rs_prove_outputs(s, err);
        for (const pair *p = first; ok && p != NULL; p = p->next, folded++)
                ok = fold_pair(s, p, err);
        if (!ok || !rs_graph_prune(m, err) || !rs_model_store_frozen(m, err))
                return false;
        rs_note(s, "folded %zu BatchNormalization into the layer before", folded);
        if (left != 0)
                rs_note(s, "left %zu that do not follow a Conv or Gemm of their own", left);
        return true;
}

/* --eval: BatchNormalization uses its stored statistics, Dropout lets everything pass. */
static bool
evaluate(rs_surgery *s, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        const int64_t opset = rs_model_opset(s->m);
        size_t changed = 0;
        for (size_t i = 0; i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                if (rs_is_op(n, "BatchNormalization") && rs_bn_trains(s->m, n)) {
                        rs_node_drop_attr(n, "training_mode");
                        if (opset < 7 && !rs_node_set_int(s->m, n, "is_test", 1, err))
                                return false;
                        n->n_out = 1;
                } else if (rs_is_op(n, "Dropout") && opset >= 12 && n->n_in > 2) {
                        n->n_in = 2; /* the third input is training_mode */
                } else if (rs_is_op(n, "Dropout") && opset < 7 &&
                           rs_node_int(n, "is_test", 0) == 0) {
                        if (!rs_node_set_int(s->m, n, "is_test", 1, err))
                                return false;
                } else {
                        continue;
                }
                rs_node_touch(n);
                changed++;
        }
        rs_note(s, "%zu nodes were in training mode", changed);
        return rs_graph_prune(s->m, err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        const bool bn = rs_given(s, "bn"), unfold = rs_given(s, "unfold"),
                   eval = rs_given(s, "eval");
        if (bn && unfold)
                return rs_fail(err, RESECT_ARG, "--bn and --unfold undo each other; give one");
        if (!bn && !unfold && !eval)
                return rs_fail(err, RESECT_ARG,
                        "what? --bn folds BatchNormalization, --unfold puts it back");
        if (!unfold && (rs_given(s, "data") || rs_given(s, "samples")))
                return rs_fail(err, RESECT_ARG, "--data and --samples belong to --unfold");
        if (rs_given(s, "samples") && !rs_given(s, "data"))
                return rs_fail(err, RESECT_ARG, "--samples belongs to --data");
        s->tolerance = 1e-4;
        if (eval && !evaluate(s, err))
                return false;
        return bn ? fold(s, err) : unfold ? rs_unfold(s, err) : true;
}

static const resect_option options[] = {
        {"bn", NULL, "fold BatchNormalization into the Conv or Gemm before it"},
        {"unfold", NULL,
                "put a BatchNormalization behind each Conv that lost it; the function stays"},
        {"data", "DATA",
                "with --unfold: measure means and variances on DATA, as training would have left "
                "them"},
        {"samples", "N", "with --data: on so many pictures (256)"},
        {"eval", NULL, "first take BatchNormalization and Dropout out of training mode"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_fold = {
        .face = {.name = "fold",
                .brief = "merge BatchNormalization into Conv, or put it back",
                .description = "--bn multiplies the scale of every BatchNormalization into the "
                               "weights of the Conv (or Gemm) before it, in "
                               "double precision, and drops it: fewer nodes, the same function. "
                               "Weights shared with another node are "
                               "copied first. What does not follow a Conv of its own (the norm of "
                               "a pre-activation block) stays.\n\n"
                               "--unfold is for models that were exported with BatchNormalization "
                               "folded, and train badly for it: a "
                               "BatchNormalization that does nothing yet (scale 1, mean 0, "
                               "variance 1 - epsilon, bias that of the Conv) is put behind "
                               "each Conv that lost one. With --data the mean and variance that "
                               "the Conv really has on those pictures are "
                               "measured, and scale and bias set so that the function stays what "
                               "it was: the network is then ready for "
                               "fine-tuning with batch statistics.\n\n"
                               "A fold is frozen when Conv and BatchNormalization both were.",
                .example = "resect-fold --bn < trained.onnx > fast.onnx\n"
                           "resect-fold --unfold --data photos/ < exported.onnx > trainable.onnx",
                .options = options},
        .run = run,
};
