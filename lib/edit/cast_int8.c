/* SPDX-License-Identifier: 0BSD */
/*
 * Casting to 8 bits, as QuantizeLinear and DequantizeLinear around what stays a float graph (QDQ),
 * the form that runtimes fuse (Jacob et al., 2018). Weights are int8, symmetric, with a scale for
 * each output channel; activations uint8 with one scale and zero point, from the range they have on
 * pictures; biases int32 in the product of both scales. A value is quantised once, where the layer
 * ends (behind the ReLU), and everybody reads it from there; what only moves values along (MaxPool,
 * Flatten) keeps the scale. An output of the graph is not quantised.
 */
#include "edit/cast.h"
#include "edit/measure.h"
#include "edit/rewrite.h"

#include <math.h>
#include <string.h>

#include "tensor/dtype.h"

enum { BINS = 4096 };

typedef struct range { /* a value that is quantised */
        const char *name;
        struct range *like; /* its scale is that value's */
        double least, most;
        double *bins; /* [BINS] of least ... most, when a percentile is wanted */
        float scale;
        int zero;
        const char *scale_name, *zero_name, *dequantised;
        struct range *next;
} range;

typedef struct job {
        rs_cast *c;
        rs_surgery *s;
        rs_index ix;
        rs_types types;
        rs_map ranges; /* name -> range */
        range *first, **last;
        size_t n;
        double percentile;
        bool counting; /* the second walk */
        rs_bench bench;
        size_t layers, skipped;
} job;

typedef enum kind { OTHER, PRODUCT, SUM, MEAN, PASS } kind;

static bool
live(const job *k, const char *name)
{
        const rs_type *t = rs_types_find(&k->types, name);
        return name[0] != '\0' && t != NULL && t->dtype == RESECT_FLOAT &&
               rs_constant(&k->ix, name) == NULL;
}

static rs_tensor *
weights(const job *k, const rs_node *n, size_t slot)
{
        rs_tensor *t = slot < n->n_in ? rs_constant(&k->ix, n->in[slot]) : NULL;
        return t != NULL && t->dtype == RESECT_FLOAT && t->count != 0 ? t : NULL;
}

/* The axis of output channels in a product's weights. */
static int
channels_axis(const rs_node *n)
{
        return rs_is_op(n, "Conv") || (rs_is_op(n, "Gemm") && rs_node_int(n, "transB", 0) != 0) ? 0
                                                                                                : 1;
}

static bool
product_fits(const job *k, const rs_node *n)
{
        const bool gemm = rs_is_op(n, "Gemm"), matmul = rs_is_op(n, "MatMul");
        if ((!gemm && !matmul && !rs_is_op(n, "Conv")) || n->n_in < 2 || !live(k, n->in[0]))
                return false;
        const rs_tensor *w = weights(k, n, 1);
        if (w == NULL || w->rank < 2 || ((gemm || matmul) && w->rank != 2))
                return false;
        if (gemm && (rs_node_int(n, "transA", 0) != 0 || rs_node_float(n, "alpha", 1) != 1 ||
                            rs_node_float(n, "beta", 1) != 1))
                return false;
        if (n->n_in < 3 || n->in[2][0] == '\0')
                return true;
        const rs_tensor *b = weights(k, n, 2);
        return b != NULL && b->rank == 1 && b->dims[0] == w->dims[channels_axis(n)];
}

static kind
kind_of(const job *k, const rs_node *n)
{
        static const char *const passes[] = {
                "MaxPool", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity"};
        if (n->n_out == 0 || n->n_in == 0 || rs_cast_kept(k->c, n))
                return OTHER;
        if (product_fits(k, n))
                return PRODUCT;
        if (rs_is_op(n, "Add") && n->n_in == 2 && live(k, n->in[0]) && live(k, n->in[1]))
                return SUM;
        if ((rs_is_op(n, "GlobalAveragePool") || rs_is_op(n, "AveragePool")) && live(k, n->in[0]))
                return MEAN;
        for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
                if (rs_is_op(n, passes[i]) && live(k, n->in[0]))
                        return PASS;
        return OTHER;
}

static bool
add_range(job *k, const char *name, range *like, resect_error *err)
{
        const rs_link *l = rs_index_find(&k->ix, name);
        if (l == NULL || l->n_uses == 0 || rs_map_get(&k->ranges, name) != NULL)
                return true;
        range *r = RS_NEW(&k->s->arena, 1, range, err);
        if (r == NULL || !rs_map_put(&k->ranges, name, r, NULL, err))
                return false;
        *r = (range){
                .name = name, .like = like, .least = 0, .most = 0}; /* 0 must be exact: it pads */
        *k->last = r;
        k->last = &r->next;
        k->n++;
        return true;
}

/* Where what a node makes is quantised: behind a ReLU that alone reads it. NULL: nowhere. */
static const char *
end_of(const job *k, const rs_node *n, kind what)
{
        const rs_link *l = rs_index_find(&k->ix, n->out[0]);
        if (l == NULL || l->is_output)
                return NULL;
        const rs_node *next = l->n_uses == 1 ? l->uses->node : NULL;
        if (what == PRODUCT && rs_is_op(n, "MatMul") && rs_is_op(next, "Add"))
                return NULL; /* its bias comes first */
        if (what != MEAN &&
                (rs_is_op(next, "Relu") || (rs_is_op(next, "Clip") && l->uses->slot == 0)) &&
                !rs_cast_kept(k->c, next)) {
                const rs_link *r = rs_index_find(&k->ix, next->out[0]);
                return r != NULL && !r->is_output ? r->name : NULL;
        }
        return l->name;
}

/* What is quantised, in the order of the graph. */
static bool
choose(job *k, resect_error *err)
{
        const rs_graph *g = &k->s->m->graph;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const kind what = kind_of(k, n);
                const rs_link *out = n->n_out != 0 ? rs_index_find(&k->ix, n->out[0]) : NULL;
                if (what == OTHER) {
                        k->skipped += rs_is_op(n, "Conv") || rs_is_op(n, "Gemm");
                        continue;
                }
                if (what == PASS || what == MEAN) {
                        range *in = rs_map_get(&k->ranges, n->in[0]);
                        if (in != NULL && out != NULL && !out->is_output &&
                                !add_range(k, out->name,
                                        what == PASS ? (in->like != NULL ? in->like : in) : NULL,
                                        err))
                                return false;
                        continue;
                }
                k->layers += what == PRODUCT;
                for (size_t slot = 0; slot < (what == SUM ? 2 : 1); slot++)
                        if (!add_range(k, n->in[slot], NULL, err))
                                return false;
                const char *end = end_of(k, n, what);
                if (end != NULL && !add_range(k, end, NULL, err))
                        return false;
        }
        return k->layers != 0 ||
               rs_fail(err, RESECT_UNSUPPORTED,
                       "there is no Conv, Gemm or MatMul of constant float32 weights to quantise");
}

/* One batch of a value into its range, or into its histogram. */
static bool
tally(job *k, range *r, const resect_tensor *t)
{
        const float *v = t->data;
        const size_t n = (size_t)resect_tensor_count(t);
        const double wide = r->most - r->least;
        for (size_t i = 0; i < n; i++) {
                const double x = (double)v[i];
                if (!isfinite(x))
                        return false;
                if (!k->counting) {
                        r->least = x < r->least ? x : r->least;
                        r->most = x > r->most ? x : r->most;
                } else if (wide > 0) {
                        const size_t b = (size_t)((x - r->least) / wide * BINS);
                        r->bins[b < BINS ? b : BINS - 1]++;
                }
        }
        return true;
}

static bool
on_batch(void *ctx, const resect_tensor *x, const resect_batch *got, resect_error *err)
{
        job *k = ctx;
        size_t i = 0;
        (void)got;
        if (!resect_exec_run(k->bench.exec, x, k->bench.outputs, err))
                return false;
        for (range *r = k->first; r != NULL; r = r->next, i++)
                if (!tally(k, r, &k->bench.outputs[i]))
                        return rs_fail(err, RESECT_ARG,
                                "--calibrate: %s is not finite on these pictures", r->name);
        return true;
}

/* The range that at most 100 - percentile percent lie above, and as many below. */
static void
narrow(const job *k, range *r)
{
        double total = 0, below = 0, above = 0;
        for (int b = 0; b < BINS; b++)
                total += r->bins[b];
        const double allowed = total * (1 - k->percentile / 100),
                     step = (r->most - r->least) / BINS;
        int low = 0, high = BINS;
        while (low < high && below + r->bins[low] <= allowed)
                below += r->bins[low++];
        while (high > low && above + r->bins[high - 1] <= allowed)
                above += r->bins[--high];
        const double least = r->least;
        r->least = fmin(0, least + low * step);
        r->most = fmax(0, least + high * step);
}

static bool
calibrate(job *k, rs_tour *tour, resect_error *err)
{
        const char **names = RS_NEW(&k->s->arena, k->n + 1, const char *, err);
        size_t i = 0;
        if (names == NULL)
                return false;
        for (range *r = k->first; r != NULL; r = r->next) {
                names[i++] = r->name;
                if (k->percentile < 100 &&
                        (r->bins = RS_NEW(&k->s->arena, BINS, double, err)) == NULL)
                        return false;
        }
        bool ok = rs_bench_make(k->s, &k->bench, &tour->x, 1, names, k->n, err) &&
                  rs_tour_go(k->s, tour, on_batch, k, err);
        if (ok && k->percentile < 100) {
                k->counting = true;
                ok = rs_tour_go(k->s, tour, on_batch, k, err);
                for (range *r = k->first; ok && r != NULL; r = r->next)
                        narrow(k, r);
        }
        rs_bench_free(&k->bench);
        for (range *r = k->first; ok && r != NULL; r = r->next) {
                const double wide = r->most - r->least;
                r->scale = wide > 0 && (float)(wide / 255) > 0 ? (float)(wide / 255) : 1;
                r->zero = (int)fmin(255, fmax(0, nearbyint(-r->least / (double)r->scale)));
        }
        return ok;
}

/* A new initializer NAME_WHAT. */
static rs_tensor *
add_tensor(job *k, const char *name, const char *what, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err)
{
        char *wish = rs_arena_printf(&k->s->m->arena, err, "%s_%s", name, what);
        const char *fresh = wish != NULL ? rs_model_fresh_name(k->s->m, wish, err) : NULL;
        return fresh != NULL ? rs_model_add_tensor(k->s->m, fresh, dtype, rank, dims, err) : NULL;
}

static rs_node *
add_node(job *k, const char *op, const char *name, const char *what, const char *x,
        const char *scale, const char *zero, resect_error *err)
{
        char *wish = rs_arena_printf(&k->s->m->arena, err, "%s_%s", name, what);
        const char *y = wish != NULL ? rs_model_fresh_name(k->s->m, wish, err) : NULL;
        k->c->changed++;
        return y == NULL ? NULL : rs_build(k->s, op, y, y, err, x, scale, zero, NULL);
}

/* A value's pair of nodes, behind what makes it. */
static bool
quantise_value(job *k, range *r, resect_error *err)
{
        rs_graph *g = &k->s->m->graph;
        const rs_link *l = rs_index_find(&k->ix, r->name);
        if (r->like == NULL) {
                rs_tensor *s = add_tensor(k, r->name, "scale", RESECT_FLOAT, 0, NULL, err);
                rs_tensor *z =
                        s != NULL ? add_tensor(k, r->name, "zero_point", RESECT_UINT8, 0, NULL, err)
                                  : NULL;
                if (z == NULL)
                        return false;
                rs_tensor_put_at(s, 0, (double)r->scale);
                rs_tensor_put_at(z, 0, r->zero);
                r->scale_name = s->name;
                r->zero_name = z->name;
        } else {
                r->scale = r->like->scale;
                r->zero = r->like->zero;
                r->scale_name = r->like->scale_name;
                r->zero_name = r->like->zero_name;
        }
        rs_node *q = add_node(k, "QuantizeLinear", r->name, "quantized", r->name, r->scale_name,
                r->zero_name, err);
        rs_node *d = q != NULL ? add_node(k, "DequantizeLinear", r->name, "dequantized", q->out[0],
                                         r->scale_name, r->zero_name, err)
                               : NULL;
        if (d == NULL)
                return false;
        if (l->maker != NULL)
                rs_graph_place(g, q, l->maker);
        else
                rs_graph_place_before(g, q, l->uses->node);
        rs_graph_place(g, d, q);
        r->dequantised = d->out[0];
        for (const rs_use *u = l->uses; u != NULL; u = u->next)
                if (!rs_is_op(u->node, "Shape")) {
                        u->node->in[u->slot] = r->dequantised;
                        rs_node_touch(u->node);
                }
        rs_cast_renamed(k->c, r->name, r->dequantised);
        return true;
}

/* Largest magnitude of each channel. */
static double *
magnitudes(job *k, const double *v, const rs_tensor *t, int axis, resect_error *err)
{
        const size_t n = (size_t)t->dims[axis], inner = axis == 0 ? t->count / n : 1;
        double *top = RS_NEW(&k->s->arena, n, double, err);
        for (size_t i = 0; top != NULL && i < t->count; i++) {
                const size_t ch = i / inner % n;
                top[ch] = fabs(v[i]) > top[ch] ? fabs(v[i]) : top[ch];
        }
        return top;
}

static rs_node *
dequantise(job *k, const char *name, const rs_tensor *q, const rs_tensor *scale,
        const rs_tensor *zero, int axis, const rs_node *reader, resect_error *err)
{
        rs_node *d = add_node(k, "DequantizeLinear", name, "dequantized", q->name, scale->name,
                zero != NULL ? zero->name : NULL, err);
        if (d == NULL || !rs_node_set_int(k->s->m, d, "axis", axis, err))
                return NULL;
        rs_graph_place_before(&k->s->m->graph, d, reader);
        return d;
}

/* Weights and bias of a product whose input has scale x. */
static bool
quantise_product(job *k, rs_node *n, double x, resect_error *err)
{
        resect_model *m = k->s->m;
        rs_tensor *w = weights(k, n, 1), *b = weights(k, n, 2);
        const int axis = channels_axis(n);
        const int64_t channels = w->dims[axis];
        const bool frozen = rs_model_is_frozen(m, w->name);
        rs_arena a = {0};
        double *v, *u = NULL;
        if (!rs_tensor_doubles(m, &a, w, &v, err) ||
                (b != NULL && !rs_tensor_doubles(m, &a, b, &u, err))) {
                rs_arena_free(&a);
                return false;
        }
        double *top = magnitudes(k, v, w, axis, err);
        rs_tensor *q = top != NULL ? add_tensor(k, w->name, "quantized", RESECT_INT8, w->rank,
                                             w->dims, err)
                                   : NULL;
        rs_tensor *s =
                q != NULL ? add_tensor(k, w->name, "scale", RESECT_FLOAT, 1, &channels, err) : NULL;
        rs_tensor *z =
                s != NULL ? add_tensor(k, w->name, "zero_point", RESECT_INT8, 1, &channels, err)
                          : NULL;
        rs_tensor *c = z != NULL && b != NULL ? add_tensor(k, b->name, "quantized", RESECT_INT32, 1,
                                                        &channels, err)
                                              : NULL;
        rs_tensor *t =
                c != NULL ? add_tensor(k, b->name, "scale", RESECT_FLOAT, 1, &channels, err) : NULL;
        bool ok = z != NULL && (b == NULL || t != NULL);
        const size_t inner = axis == 0 ? w->count / (size_t)channels : 1;
        rs_loss loss = {.numbers = (double)w->count};
        for (size_t ch = 0; ok && ch < (size_t)channels; ch++) {
                double scale = top[ch] > 0 ? top[ch] / 127 : 1;
                /* a bias must fit into 32 bits */
                scale = u != NULL ? fmax(scale, fabs(u[ch]) / x / 0x1p30) : scale;
                scale = fmax((double)(float)scale, (double)1.17549435e-38F);
                top[ch] = (double)(float)scale;
                rs_tensor_put_at(s, ch, top[ch]);
                if (u != NULL) {
                        const double by = (double)(float)(x * top[ch]);
                        rs_tensor_put_at(t, ch, by);
                        rs_tensor_put_at(c, ch, nearbyint(u[ch] / by));
                }
        }
        for (size_t i = 0; ok && i < w->count; i++) {
                const double r =
                        fmin(127, fmax(-127, nearbyint(v[i] / top[i / inner % (size_t)channels])));
                loss.vanished += r == 0 && v[i] != 0;
                rs_tensor_put_at(q, i, r);
        }
        rs_arena_free(&a);
        rs_node *d = ok ? dequantise(k, w->name, q, s, z, axis, n, err) : NULL;
        if (d == NULL)
                return false;
        n->in[1] = d->out[0];
        if (b != NULL) {
                rs_node *e = dequantise(k, b->name, c, t, NULL, 0, n, err);
                if (e == NULL)
                        return false;
                n->in[2] = e->out[0];
        }
        rs_node_touch(n);
        rs_cast_lose(k->c, w->name, &loss);
        return !frozen || rs_model_set_frozen(m, q->name, true, err);
}

static bool
refuse(const job *k, resect_error *err)
{
        const resect_model *m = k->s->m;
        const rs_graph *g = &m->graph;
        const int64_t opset = rs_model_opset(m);
        size_t norms = 0;
        if (opset < 13)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--to int8 needs opset 13 or later for a scale for each channel, and the "
                        "model is of %lld: "
                        "resect-edit --opset 13 raises it",
                        (long long)opset);
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                if (!rs_cast_unquantised(n, err))
                        return false;
                const rs_link *l =
                        rs_is_op(n, "BatchNormalization") ? rs_index_find(&k->ix, n->in[0]) : NULL;
                norms += l != NULL && l->n_uses == 1 &&
                         (rs_is_op(l->maker, "Conv") || rs_is_op(l->maker, "Gemm"));
        }
        return norms == 0 || rs_fail(err, RESECT_UNSUPPORTED,
                                     "%zu BatchNormalization stand behind a Conv of their own: "
                                     "resect-fold --bn merges "
                                     "them, which comes before --to int8",
                                     norms);
}

static bool
work(job *k, rs_tour *tour, resect_error *err)
{
        rs_graph *g = &k->s->m->graph;
        if (!refuse(k, err) || !choose(k, err) || !calibrate(k, tour, err))
                return false;
        /* Products first, while they read what they read. */
        const size_t n = g->n_nodes;
        rs_node **nodes = RS_NEW(&k->s->arena, n + 1, rs_node *, err);
        if (nodes == NULL)
                return false;
        memcpy(nodes, g->nodes, n * sizeof *nodes);
        for (size_t i = 0; i < n; i++) {
                const range *r = kind_of(k, nodes[i]) == PRODUCT
                                         ? rs_map_get(&k->ranges, nodes[i]->in[0])
                                         : NULL;
                if (r != NULL && !quantise_product(k, nodes[i],
                                         (double)(r->like != NULL ? r->like : r)->scale, err))
                        return false;
        }
        for (range *r = k->first; r != NULL; r = r->next)
                if (!quantise_value(k, r, err))
                        return false;
        rs_note(k->s,
                "calibrated %zu values on %zu pictures; %zu layers are int8, %zu stay float32",
                k->n, tour->seen, k->layers, k->skipped);
        return true;
}

bool
rs_cast_int8(rs_cast *c, rs_tour *tour, double percentile, resect_error *err)
{
        job k = {.c = c, .s = c->s, .percentile = percentile};
        size_t constants;
        k.last = &k.first;
        bool ok = rs_constants_out(c->s, &constants, err) && rs_graph_sort(c->s->m, err) &&
                  rs_index_make(&k.ix, &c->s->m->graph, err) &&
                  rs_infer_all(c->s->m, &k.types, err) && work(&k, tour, err);
        rs_bench_free(&k.bench);
        rs_map_free(&k.ranges);
        rs_types_free(&k.types);
        rs_index_free(&k.ix);
        return ok && rs_graph_prune(c->s->m, err) && rs_graph_sort(c->s->m, err) &&
               rs_model_store_frozen(c->s->m, err) && rs_refresh_types(c->s, err);
}
