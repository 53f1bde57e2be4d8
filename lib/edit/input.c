/* SPDX-License-Identifier: 0BSD */
/*
 * What the model reads: preprocessing baked in or written down, the order of the colour planes, one
 * plane or four. The first Conv is adapted in place, so that nothing is added to the graph; that is
 * possible only when nothing between it and the input knows the planes one by one (a norm of the
 * raw picture does).
 */
#include "edit/rewrite.h"
#include "look/anatomy.h"

#include <string.h>

#include "tensor/dtype.h"

/* The rule that turns old input into new, for the proof. Steps are applied in this order. */
typedef struct rule {
        const char *input;
        bool nhwc, swap, bake;
        int64_t channels; /* 0: as they were */
        double mean[3], std[3];
} rule;

static int64_t
plane_at(const resect_tensor *t, bool nhwc, int64_t n, int64_t c, int64_t p)
{
        const int64_t planes = t->dims[nhwc ? 3 : 1],
                      size = nhwc ? t->dims[1] * t->dims[2] : t->dims[2] * t->dims[3];
        return nhwc ? (n * size + p) * planes + c : (n * planes + c) * size + p;
}

static bool
reinput(void *ctx, const char *name, const resect_tensor *x, resect_tensor *y, resect_error *err)
{
        const rule *r = ctx;
        int64_t dims[RESECT_RANK_MAX];
        memcpy(dims, x->dims, sizeof dims);
        const bool picture = x->rank == 4 && r->input != NULL && strcmp(name, r->input) == 0;
        const int axis = r->nhwc ? 3 : 1;
        if (picture && r->channels != 0)
                dims[axis] = r->channels;
        if (!resect_tensor_make(y, x->dtype, x->rank, dims, err))
                return false;
        if (!picture) {
                if (x->size != 0)
                        memcpy(y->data, x->data, x->size);
                return true;
        }
        const int64_t planes = dims[axis], size = r->nhwc ? dims[1] * dims[2] : dims[2] * dims[3];
        for (int64_t n = 0; n < dims[0]; n++)
                for (int64_t c = 0; c < planes; c++)
                        for (int64_t p = 0; p < size; p++) {
                                const int64_t from = c >= x->dims[axis] ? 0
                                                     : r->swap          ? x->dims[axis] - 1 - c
                                                                        : c;
                                double v = rs_load(x->data, (int32_t)x->dtype,
                                        (size_t)plane_at(x, r->nhwc, n, from, p));
                                if (r->bake)
                                        v = v * (255 * r->std[c]) + 255 * r->mean[c];
                                rs_store(y->data, (int32_t)y->dtype,
                                        (size_t)plane_at(y, r->nhwc, n, c, p), v);
                        }
        return true;
}

/* A grey picture: all planes are the first. (Between NCHW and NHWC the smaller of the two axes
 * tells.) */
static void
make_grey(resect_tensor *x)
{
        if (x->rank != 4)
                return;
        const bool nhwc = x->dims[3] < x->dims[1];
        const int64_t planes = x->dims[nhwc ? 3 : 1],
                      size = nhwc ? x->dims[1] * x->dims[2] : x->dims[2] * x->dims[3];
        for (int64_t n = 0; n < x->dims[0]; n++)
                for (int64_t c = 1; c < planes; c++)
                        for (int64_t p = 0; p < size; p++)
                                rs_store(x->data, (int32_t)x->dtype,
                                        (size_t)plane_at(x, nhwc, n, c, p),
                                        rs_load(x->data, (int32_t)x->dtype,
                                                (size_t)plane_at(x, nhwc, n, 0, p)));
}

static rule *
the_rule(rs_surgery *s, resect_error *err)
{
        if (s->reinput_ctx == NULL)
                s->reinput_ctx = RS_NEW(&s->arena, 1, rule, err);
        s->reinput = reinput;
        return s->reinput_ctx;
}

void
rs_expect_grey(rs_surgery *s)
{
        s->prepare = make_grey;
}

typedef struct entry { /* where pictures come in */
        rs_node *conv;
        rs_tensor *weight;
        rs_value *input;
        bool nhwc;
} entry;

/* The first Conv and the way to it. */
static bool
find_entry(rs_surgery *s, const char *what, entry *e, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        if (a == NULL)
                return false;
        bool ok = a->summary.input != NULL;
        e->input = ok ? rs_graph_find_input(&s->m->graph, a->summary.input) : NULL;
        e->nhwc = a->summary.nhwc;
        if (e->input == NULL)
                ok = rs_fail(err, RESECT_UNSUPPORTED, "%s: the model has no picture input", what);
        const char *x = ok ? e->input->name : "";
        for (int hops = 0; ok && hops < 100; hops++) {
                const rs_link *l = rs_index_find(&a->index, x);
                rs_node *n = l != NULL && l->n_uses == 1 ? l->uses->node : NULL;
                if (rs_is_op(n, "Conv")) {
                        e->conv = n;
                        e->weight = rs_anatomy_initializer(a, n, 1);
                        break;
                }
                if (!rs_is_op(n, "Transpose") && !rs_is_op(n, "Pad") && !rs_is_op(n, "Identity"))
                        ok = rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: %s stands between the input and the first Conv", what,
                                n != NULL ? rs_node_title(n) : "more than one node");
                else
                        x = n->out[0];
        }
        if (ok && (e->weight == NULL || e->weight->rank != 4 ||
                          rs_node_int(e->conv, "group", 1) != 1))
                ok = rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: the first Conv's weights are no plain initializer", what);
        resect_anatomy_free(a);
        return ok;
}

/* New weights for the first Conv: plane c of them is made by the caller from the old ones. */
static bool
rewrite_weight(rs_surgery *s, entry *e, int64_t planes,
        void (*make)(const double *old, int64_t was, double *now, int64_t is, int64_t area),
        resect_error *err)
{
        double *old;
        const int64_t was = e->weight->dims[1];
        int64_t dims[4] = {e->weight->dims[0], planes, e->weight->dims[2], e->weight->dims[3]};
        const int64_t area = dims[2] * dims[3];
        if (!rs_tensor_doubles(s->m, &s->arena, e->weight, &old, err))
                return false;
        rs_tensor *t = e->weight;
        size_t readers = 0;
        for (size_t i = 0; i < s->m->graph.n_nodes; i++)
                for (size_t k = 0; k < s->m->graph.nodes[i]->n_in; k++)
                        readers += strcmp(s->m->graph.nodes[i]->in[k], t->name) == 0;
        if (readers == 1 && strcmp(e->conv->in[1], t->name) == 0) {
                if (!rs_tensor_renew(s->m, t, 4, dims, err))
                        return false;
        } else { /* others read it too */
                const char *name = rs_model_fresh_name(s->m, t->name, err);
                t = name != NULL ? rs_model_add_tensor(s->m, name, t->dtype, 4, dims, err) : NULL;
                if (t == NULL)
                        return false;
                e->conv->in[1] = t->name;
                rs_node_touch(e->conv);
        }
        rs_value *listed = rs_graph_find_input(
                &s->m->graph, t->name); /* IR 3: an initializer is an input too */
        if (listed != NULL && listed->rank == 4) {
                listed->dims[1] = planes;
                listed->touched = true;
        }
        double *now = RS_NEW(&s->arena, t->count + 1, double, err);
        if (now == NULL)
                return false;
        for (int64_t o = 0; o < dims[0]; o++)
                make(old + o * was * area, was, now + o * planes * area, planes, area);
        rs_tensor_put(t, now, t->count);
        return true;
}

static void
reverse(const double *old, int64_t was, double *now, int64_t is, int64_t area)
{
        for (int64_t c = 0; c < is; c++)
                memcpy(now + c * area, old + (was - 1 - c) * area, (size_t)area * sizeof *now);
}

/* One plane: the sum of the old ones, so that a grey picture gives what it gave with three equal
 * planes. Four: the fourth at 0. */
static void
adapt(const double *old, int64_t was, double *now, int64_t is, int64_t area)
{
        for (int64_t c = 0; c < was; c++)
                for (int64_t p = 0; p < area; p++)
                        if (is == 1)
                                now[p] += old[c * area + p];
                        else if (c < is)
                                now[c * area + p] = old[c * area + p];
}

bool
rs_swap_planes(rs_surgery *s, resect_error *err)
{
        entry e;
        resect_input in;
        rule *r = the_rule(s, err);
        if (r == NULL || !find_entry(s, "--bgr", &e, err))
                return false;
        if (e.weight->dims[1] != 3)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--bgr: the first Conv reads %lld planes, not 3",
                        (long long)e.weight->dims[1]);
        if (!resect_input_of(s->m, &in, NULL, err) || !rewrite_weight(s, &e, 3, reverse, err))
                return false;
        r->input = e.input->name;
        r->nhwc = e.nhwc;
        r->swap = true;
        in.bgr = !in.bgr;
        const double mean = in.mean[0], std = in.std[0]; /* in the order of the planes */
        in.mean[0] = in.mean[2], in.std[0] = in.std[2];
        in.mean[2] = mean, in.std[2] = std;
        rs_note(s, "%s now reads %s", rs_node_title(e.conv),
                in.bgr ? "blue, green, red" : "red, green, blue");
        return resect_input_record(s->m, &in, err);
}

bool
rs_set_channels(rs_surgery *s, int64_t channels, resect_error *err)
{
        entry e;
        resect_input in;
        rule *r = the_rule(s, err);
        if (r == NULL || !find_entry(s, "--channels", &e, err))
                return false;
        if (e.weight->dims[1] != 3)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--channels: the first Conv reads %lld planes, not 3",
                        (long long)e.weight->dims[1]);
        if (!resect_input_of(s->m, &in, NULL, err) || !rewrite_weight(s, &e, channels, adapt, err))
                return false;
        const int axis = e.nhwc ? 3 : 1;
        e.input->dims[axis] = channels;
        if (e.input->symbols != NULL)
                e.input->symbols[axis] = NULL;
        e.input->touched = true;
        r->input = e.input->name;
        r->nhwc = e.nhwc;
        r->channels = channels;
        rs_note(s, "%s now reads %lld plane%s: %s", rs_node_title(e.conv), (long long)channels,
                channels == 1 ? "" : "s",
                channels == 1 ? "the sum of the weights of three" : "the fourth with weights of 0");
        if (channels == 1) {
                in.channels = 1;
                in.bgr = false;
                in.mean[0] = (in.mean[0] + in.mean[1] + in.mean[2]) / 3;
                in.std[0] = (in.std[0] + in.std[1] + in.std[2]) / 3;
                in.mean[1] = in.mean[2] = in.mean[0];
                in.std[1] = in.std[2] = in.std[0];
                if (!resect_input_record(s->m, &in, err))
                        return false;
        } else if (!resect_model_set_meta(s->m, "resect.input", NULL,
                           err)) { /* pictures of four planes are not ours to prepare */
                return false;
        }
        return rs_refresh_types(s, err);
}

bool
rs_record_input(rs_surgery *s, const char *spec, resect_error *err)
{
        resect_input in;
        if (!resect_input_of(s->m, &in, NULL, err) ||
                (spec != NULL && !resect_input_parse(&in, spec, err)) ||
                !resect_input_record(s->m, &in, err))
                return false;
        rs_note(s, "input: %s", resect_model_meta(s->m, "resect.input"));
        return true;
}

static const char *
per_plane(rs_surgery *s, const char *wish, const double *v, const resect_input *in, int32_t dtype,
        resect_error *err)
{
        const int64_t dims[4] = {1, in->nhwc ? 1 : in->channels, 1, in->nhwc ? in->channels : 1};
        const char *name = rs_model_fresh_name(s->m, wish, err);
        rs_tensor *t = name != NULL ? rs_model_add_tensor(s->m, name, dtype, 4, dims, err) : NULL;
        for (int i = 0; t != NULL && i < in->channels; i++)
                rs_tensor_put_at(t, (size_t)i, 255 * v[i]);
        return t != NULL ? name : NULL;
}

/* x -> (x - 255 mean) / (255 std): the model then takes pixels, 0 to 255. What is recorded says the
 * same: mean 0, std 1/255. */
bool
rs_bake_input(rs_surgery *s, const char *spec, resect_error *err)
{
        resect_input in;
        rule *r = the_rule(s, err);
        rs_graph *g = &s->m->graph;
        if (r == NULL || !resect_input_of(s->m, &in, NULL, err) ||
                (spec != NULL && !resect_input_parse(&in, spec, err)))
                return false;
        if (rs_model_opset(s->m) < 7)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--preprocess bake: opset %lld cannot broadcast; first --opset 13",
                        (long long)rs_model_opset(s->m));
        rs_value *x = NULL;
        for (size_t i = 0; i < g->n_inputs && x == NULL; i++)
                if (g->inputs[i]->rank == 4 && rs_find_tensor(g, g->inputs[i]->name) == NULL)
                        x = g->inputs[i];
        if (x == NULL || (x->dims[in.nhwc ? 3 : 1] >= 0 && x->dims[in.nhwc ? 3 : 1] != in.channels))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--preprocess bake: no input of %d planes was found", in.channels);
        const char *mean = per_plane(s, "input_mean", in.mean, &in, x->dtype, err);
        const char *std =
                mean != NULL ? per_plane(s, "input_std", in.std, &in, x->dtype, err) : NULL;
        const char *centred = std != NULL ? rs_model_fresh_name(s->m, "input_centred", err) : NULL;
        const char *scaled =
                centred != NULL ? rs_model_fresh_name(s->m, "input_normalized", err) : NULL;
        if (scaled == NULL || !rs_graph_redirect(s->m, x->name, scaled, err))
                return false;
        rs_node *sub = rs_build(s, "Sub", centred, centred, err, x->name, mean, NULL);
        rs_node *div =
                sub != NULL ? rs_build(s, "Div", scaled, scaled, err, centred, std, NULL) : NULL;
        if (div == NULL)
                return false;
        rs_graph_place_before(g, sub, g->nodes[0]);
        rs_graph_place(g, div, sub);
        r->input = x->name;
        r->nhwc = in.nhwc;
        r->bake = true;
        memcpy(r->mean, in.mean, sizeof r->mean);
        memcpy(r->std, in.std, sizeof r->std);
        for (int i = 0; i < 3; i++)
                in.mean[i] = 0, in.std[i] = 1.0 / 255;
        rs_note(s, "%s now takes pixels from 0 to 255", x->name);
        return resect_input_record(s->m, &in, err);
}
