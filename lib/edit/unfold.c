/* SPDX-License-Identifier: 0BSD */
/*
 * unfold: a BatchNormalization behind each Conv that lost it, so that the network can be trained
 * again. Which ones lost it? All but those that never had one: a classifier or gate that works on
 * pooled features, and the last Conv of a pre-activation block, whose sum goes on without a ReLU of
 * its own. The Conv's bias becomes that of the norm. Calibrated, the norm carries the mean and
 * variance that the Conv's output has on real pictures, and its scale and bias undo them.
 */
#include "edit/fold.h"
#include "edit/measure.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "resect/data.h"
#include "tensor/dtype.h"

static const double epsilon = 1e-5;

typedef struct site {
        rs_node *conv;
        const rs_tensor *weight;
        int64_t channels;
        double *bias;         /* [channels] or NULL */
        double *sum, *square; /* [channels] of what the Conv makes, its bias included */
        double count;
} site;

/* Does this value come from pooled features, through nodes of one data input? */
static bool
pooled(const rs_index *ix, const char *value)
{
        static const char *const through[] = {"Relu", "Sigmoid", "Identity", "Dropout", "Conv",
                "Flatten", "Reshape", "HardSigmoid", "Squeeze", "Unsqueeze"};
        for (int hops = 0; hops < 100; hops++) {
                const rs_link *l = rs_index_find(ix, value);
                const rs_node *n = l != NULL ? l->maker : NULL;
                if (rs_is_op(n, "GlobalAveragePool") || rs_is_op(n, "ReduceMean"))
                        return true;
                bool passes = false;
                for (size_t i = 0; n != NULL && i < sizeof through / sizeof *through; i++)
                        passes |= rs_is_op(n, through[i]);
                if (!passes || n->n_in == 0)
                        return false;
                value = n->in[0];
        }
        return false;
}

/* Does the sum that this Conv ends in go on raw, as in a pre-activation network? */
static bool
raw_sum(const rs_index *ix, const rs_link *conv)
{
        for (const rs_use *u = conv->uses; u != NULL; u = u->next) {
                if (!rs_is_op(u->node, "Add") && !rs_is_op(u->node, "Sum"))
                        continue;
                const rs_link *sum = rs_index_find(ix, u->node->out[0]);
                if (sum == NULL || sum->n_uses == 0)
                        return true;
                for (const rs_use *v = sum->uses; v != NULL; v = v->next)
                        if (!rs_is_op(v->node, "Relu") && !rs_is_op(v->node, "Identity"))
                                return true;
        }
        return false;
}

static bool
normed_by(const rs_index *ix, const char *value)
{
        const rs_link *l = rs_index_find(ix, value);
        for (const rs_use *u = l != NULL ? l->uses : NULL; u != NULL; u = u->next)
                if (rs_is_op(u->node, "BatchNormalization"))
                        return true;
        return false;
}

/* Does a BatchNormalization follow behind a pool, as after the bare stem of a pre-activation
 * network? */
static bool
normed_later(const rs_index *ix, const rs_link *conv)
{
        for (const rs_use *u = conv->uses; u != NULL; u = u->next) {
                if (!rs_is_op(u->node, "MaxPool") && !rs_is_op(u->node, "Pad") &&
                        !rs_is_op(u->node, "Identity"))
                        continue;
                const rs_link *next = rs_index_find(ix, u->node->out[0]);
                if (normed_by(ix, u->node->out[0]))
                        return true;
                for (const rs_use *v = next != NULL ? next->uses : NULL; v != NULL; v = v->next)
                        if (rs_is_op(v->node, "MaxPool") &&
                                normed_by(ix, v->node->out[0])) /* Pad, then the pool */
                                return true;
        }
        return false;
}

static bool
lost_it(const rs_index *ix, const rs_node *n)
{
        if (!rs_is_op(n, "Conv") || n->n_in < 2)
                return false;
        const rs_link *l = rs_index_find(ix, n->out[0]);
        for (const rs_use *u = l != NULL ? l->uses : NULL; u != NULL; u = u->next)
                if (rs_is_op(u->node, "BatchNormalization"))
                        return false;
        return l != NULL && rs_constant(ix, n->in[1]) != NULL && !pooled(ix, n->in[0]) &&
               !normed_later(ix, l) && !raw_sum(ix, l);
}

static bool
find_sites(rs_surgery *s, site **sites, size_t *n, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        rs_index ix;
        *n = 0;
        *sites = RS_NEW(&s->arena, g->n_nodes + 1, site, err);
        if (*sites == NULL || !rs_index_make(&ix, g, err))
                return false;
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                rs_node *c = g->nodes[i];
                if (!lost_it(&ix, c))
                        continue;
                site *k = &(*sites)[*n];
                k->conv = c;
                k->weight = rs_constant(&ix, c->in[1]);
                k->channels = k->weight->rank > 0 ? k->weight->dims[0] : 0;
                if (c->n_in > 2 && c->in[2][0] != '\0') {
                        const rs_tensor *b = rs_constant(&ix, c->in[2]);
                        if (b == NULL || b->count != (size_t)k->channels)
                                continue; /* a computed bias: leave this one alone */
                        ok = rs_tensor_doubles(s->m, &s->arena, b, &k->bias, err);
                }
                ++*n;
        }
        rs_index_free(&ix);
        return ok;
}

/* Adds one batch of a Conv's output to its sums. */
static void
tally(site *k, const resect_tensor *y, int threads)
{
        const int64_t n = y->dims[0], c = y->dims[1];
        const int64_t plane = n * c != 0 ? resect_tensor_count(y) / (n * c) : 0;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t j = 0; j < c; j++) {
                double sum = 0, square = 0;
                for (int64_t i = 0; i < n; i++)
                        for (int64_t p = 0; p < plane; p++) {
                                double v = rs_load(y->data, (int32_t)y->dtype,
                                        (size_t)((i * c + j) * plane + p));
                                sum += v;
                                square += v * v;
                        }
                k->sum[j] += sum;
                k->square[j] += square;
        }
        k->count += (double)(n * plane);
}

typedef struct meter { /* what a batch is measured with */
        rs_bench bench;
        site *sites;
        size_t n;
        int threads;
} meter;

static bool
on_batch(void *ctx, const resect_tensor *x, const resect_batch *got, resect_error *err)
{
        meter *k = ctx;
        (void)got;
        if (!resect_exec_run(k->bench.exec, x, k->bench.outputs, err))
                return false;
        for (size_t i = 0; i < k->n; i++)
                tally(&k->sites[i], &k->bench.outputs[i], k->threads);
        return true;
}

static bool
measure(rs_surgery *s, const resect_data *d, resect_split split, const resect_input *in,
        site *sites, size_t n, size_t samples, resect_error *err)
{
        rs_tour t = {.data = d, .split = split, .input = in, .what = "--data", .samples = samples};
        meter k = {.sites = sites, .n = n, .threads = rs_threads(s->how.threads)};
        const char **names = RS_NEW(&s->arena, n + 1, const char *, err);
        if (names == NULL)
                return false;
        for (size_t i = 0; i < n; i++) {
                names[i] = sites[i].conv->out[0];
                sites[i].sum = RS_NEW(&s->arena, (size_t)sites[i].channels + 1, double, err);
                sites[i].square = RS_NEW(&s->arena, (size_t)sites[i].channels + 1, double, err);
                if (sites[i].sum == NULL || sites[i].square == NULL)
                        return false;
        }
        bool ok = rs_tour_plan(s, &t, err) && rs_bench_make(s, &k.bench, &t.x, 1, names, n, err) &&
                  rs_tour_go(s, &t, on_batch, &k, err);
        rs_bench_free(&k.bench);
        if (ok)
                rs_note(s, "measured %zu Conv%s on %zu picture%s", n, n == 1 ? "" : "s", t.seen,
                        t.seen == 1 ? "" : "s");
        return ok;
}

static bool
calibrate(rs_surgery *s, const char *path, site *sites, size_t n, resect_error *err)
{
        int64_t samples;
        if (!rs_setting_int(s, "samples", 1, INT32_MAX, 256, &samples, err))
                return false;
        resect_input in;
        resect_data *d = rs_surgery_data(s, path, err);
        bool ok = d != NULL && resect_input_of(s->m, &in, NULL, err) &&
                  (n == 0 || measure(s, d, RESECT_ALL, &in, sites, n, (size_t)samples, err));
        resect_data_free(d);
        return ok;
}

/* "layer1.0.conv2.weight" -> "layer1.0.bn2", "x.downsample.0.weight" -> "x.downsample.1", else
 * "NAME_bn". */
static const char *
norm_name(rs_surgery *s, const char *weight, resect_error *err)
{
        size_t n = strlen(weight);
        const char *dot =
                n > 7 && strcmp(weight + n - 7, ".weight") == 0 ? weight + n - 7 : weight + n;
        const char *part = dot;
        while (part > weight && part[-1] >= '0' && part[-1] <= '9')
                part--;
        rs_arena *a = &s->m->arena;
        if (part < dot && part - weight >= 4 && strncmp(part - 4, "conv", 4) == 0)
                return rs_arena_printf(a, err, "%.*sbn%.*s", (int)(part - 4 - weight), weight,
                        (int)(dot - part), part);
        if (dot - part == 1 && *part == '0' && part - weight >= 11 &&
                strncmp(part - 11, "downsample.", 11) == 0)
                return rs_arena_printf(a, err, "%.*s1", (int)(part - weight), weight);
        return rs_arena_printf(a, err, "%.*s_bn", (int)(dot - weight), weight);
}

static rs_tensor *
statistic(rs_surgery *s, const char *norm, const char *what, const site *k, bool frozen,
        resect_error *err)
{
        char *wish = rs_arena_printf(&s->m->arena, err, "%s.%s", norm, what);
        const char *name = wish != NULL ? rs_model_fresh_name(s->m, wish, err) : NULL;
        rs_tensor *t = name != NULL ? rs_model_add_tensor(
                                              s->m, name, k->weight->dtype, 1, &k->channels, err)
                                    : NULL;
        return t != NULL && (!frozen || rs_model_set_frozen(s->m, t->name, true, err)) ? t : NULL;
}

/* scale * (conv - mean) / sqrt(var + eps) + bias is conv + its old bias, with the values as they
 * are after rounding. */
static void
fill(const site *k, rs_tensor *const t[4])
{
        for (int64_t c = 0; c < k->channels; c++) {
                const double b = k->bias != NULL ? k->bias[c] : 0;
                double mean = 0, var = 1 - epsilon, v[2];
                if (k->sum != NULL && k->count > 0) {
                        mean = k->sum[c] / k->count;
                        var = fmax(0, k->square[c] / k->count - mean * mean);
                        mean -= b;
                }
                rs_store(v, t[0]->dtype, 0, mean);
                mean = rs_load(v, t[0]->dtype, 0);
                rs_store(v, t[0]->dtype, 0, var);
                var = rs_load(v, t[0]->dtype, 0);
                const double value[4] = {sqrt(var + (double)(float)epsilon), b + mean, mean, var};
                const size_t width = t[0]->bytes / t[0]->count;
                for (int i = 0; i < 4; i++) {
                        rs_store(v, t[i]->dtype, 0, value[i]);
                        rs_from_little(
                                (unsigned char *)(uintptr_t)t[i]->data.data + (size_t)c * width, v,
                                t[i]->dtype, 1);
                }
        }
}

/* The norm takes over the name of what the Conv made, so that nobody behind it has to change. */
static bool
insert(rs_surgery *s, const site *k, resect_error *err)
{
        static const char *const what[4] = {"weight", "bias", "running_mean", "running_var"};
        resect_model *m = s->m;
        const bool frozen = rs_model_is_frozen(m, k->weight->name);
        const char *norm = norm_name(s, k->weight->name, err), *y = k->conv->out[0];
        rs_tensor *t[4];
        for (int i = 0; i < 4; i++)
                if (norm == NULL || (t[i] = statistic(s, norm, what[i], k, frozen, err)) == NULL)
                        return false;
        fill(k, t);
        char *wish = rs_arena_printf(&m->arena, err, "%s_conv", y);
        const char *raw = wish != NULL ? rs_model_fresh_name(m, wish, err) : NULL;
        const char *name = raw != NULL ? rs_model_fresh_name(m, norm, err) : NULL;
        if (name == NULL)
                return false;
        k->conv->out[0] = raw;
        if (k->conv->n_in > 2)
                k->conv->n_in = 2;
        rs_node_touch(k->conv);
        rs_node *bn = rs_build(s, "BatchNormalization", name, y, err, raw, t[0]->name, t[1]->name,
                t[2]->name, t[3]->name, NULL);
        if (bn == NULL || !rs_node_set_float(m, bn, "epsilon", (float)epsilon, err) ||
                !rs_node_set_float(m, bn, "momentum", 0.9f, err))
                return false;
        if (rs_model_opset(m) < 7 && !rs_node_set_int(m, bn, "is_test", 1, err))
                return false;
        rs_graph_place(&m->graph, bn, k->conv);
        return true;
}

static bool
put_back(rs_surgery *s, const site *sites, size_t n, resect_error *err)
{
        for (size_t i = 0; i < n; i++)
                if (!insert(s, &sites[i], err))
                        return false;
        if (n == 0)
                rs_note(s, "nothing to put back: no Conv with float weights lacks its "
                           "BatchNormalization");
        else
                rs_note(s, "put %zu BatchNormalization back", n);
        return rs_graph_prune(s->m, err) && rs_model_store_frozen(s->m, err);
}

bool
rs_unfold(rs_surgery *s, resect_error *err)
{
        site *sites;
        size_t n;
        const char *data = rs_setting(s, "data");
        return rs_prove_outputs(s, err) && find_sites(s, &sites, &n, err) &&
               (data == NULL || calibrate(s, data, sites, n, err)) && put_back(s, sites, n, err);
}

bool
rs_unfold_on(resect_model *m, const resect_data *d, resect_split split, const resect_input *in,
        size_t samples, resect_error *err)
{
        site *sites;
        size_t n;
        rs_surgery s = {.m = m, .edit = &rs_edit_fold, .tolerance = 1e-4};
        bool ok = (resect_model_meta(m, "resect.frozen") == NULL ||
                          rs_model_set_frozen(m, "", false, err)) &&
                  find_sites(&s, &sites, &n, err) &&
                  (d == NULL || n == 0 || measure(&s, d, split, in, sites, n, samples, err)) &&
                  put_back(&s, sites, n, err) && rs_graph_sort(m, err);
        rs_arena_free(&s.arena);
        return ok;
}
