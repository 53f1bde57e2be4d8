/* SPDX-License-Identifier: 0BSD */
/* A fresh graph for weights that come without one: resect-new's, and what it has no word for is
 * added here. */
#include <stdio.h>
#include <string.h>
#include "look/trunk.h"
#include "weights/convert.h"

/* Output channels and side of a Conv's kernel. */
static bool
kernel_at(const rs_set *set, rs_place at, int64_t *out, int64_t *side)
{
        const rs_unit *u = rs_set_conv((rs_set *)(uintptr_t)set, &at);
        static const int axes[][2] = {[RS_OIHW] = {0, 2}, [RS_HWIO] = {3, 0}, [RS_OHWI] = {0, 1}};
        if (!u || !u->weight || u->weight->rank != 4)
                return false;
        *out = u->weight->dims[axes[set->kernel][0]];
        *side = u->weight->dims[axes[set->kernel][1]];
        return true;
}

bool
rs_large_stem(const rs_set *set)
{
        int64_t out, side;
        return set->net.stem == 3 ||
               (kernel_at(set, (rs_place){RS_STEM_CONV, 0, 0, 1}, &out, &side) && side == 7);
}

/* Whether resect-new makes such networks; else why not. */
static bool
is_usual(const resect_weights *w, resect_error *err)
{
        const rs_set *set = &w->set;
        int64_t stem = 0, side = 0, width = 0, one;
        const char *why = NULL;
        if (!kernel_at(set, (rs_place){RS_STEM_CONV, 0, 0, 1}, &stem, &side) ||
                !kernel_at(set, (rs_place){RS_CONV, 1, 0, 1}, &width, &one))
                return rs_fail(err, RESECT_GRAPH, "the weights lack their first Convs");
        if (set->net.stem == 3)
                why = "with a deep stem";
        else if (side != 7 || stem != 64)
                why = "with a stem that is not ImageNet's";
        else if (width != 64)
                why = "of another width";
        else if (strncmp(w->info.family, "resnet", 6) != 0 || set->net.n_stages != 4)
                why = "of these blocks";
        return !why ||
               rs_fail(err, RESECT_UNSUPPORTED,
                       "no graph is made for a %s %s: give the model that the weights belong to",
                       w->info.family, why);
}

/* A BatchNormalization on the picture, before the first Conv. */
static bool
add_data_norm(resect_model *m, resect_error *err)
{
        static const char *const names[] = {
                "bn0.weight", "bn0.bias", "bn0.running_mean", "bn0.running_var"};
        const int64_t channels = 3;
        rs_node *conv = NULL;
        for (size_t i = 0; i < m->graph.n_nodes && !conv; i++)
                if (rs_is_conv(m->graph.nodes[i]))
                        conv = m->graph.nodes[i];
        if (!conv)
                return rs_fail(err, RESECT_GRAPH, "the graph has no Conv");
        const char *in[5] = {conv->in[0]}, *out = "bn0";
        for (int i = 0; i < 4; i++) {
                rs_tensor *t = rs_model_add_tensor(m, names[i], RESECT_FLOAT, 1, &channels, err);
                if (!t)
                        return false;
                in[i + 1] = t->name;
        }
        rs_node *bn = rs_model_add_node(m, "BatchNormalization", out, in, 5, &out, 1, err);
        if (!bn || !rs_node_set_float(m, bn, "epsilon", 1e-5f, err))
                return false;
        conv->in[0] = out;
        rs_node_touch(conv);
        return rs_graph_sort(m, err);
}

resect_model *
resect_weights_graph(const resect_weights *w, resect_error *err)
{
        const rs_net *net = &w->set.net;
        char classes[32];
        if (!w->info.recognised) {
                if (err)
                        *err = w->why;
                return NULL;
        }
        if (!is_usual(w, err))
                return NULL;
        snprintf(classes, sizeof classes, "%lld",
                (long long)(net->classes > 0 ? net->classes : 1000));
        const char *variant = net->preactivation                         ? "v2"
                              : w->set.variant.stride == RS_STRIDE_CONV1 ? "v1"
                                                                         : "v1.5";
        const resect_setting settings[] = {{"name", w->info.family}, {"classes", classes},
                {"variant", variant}},
                             strip = {"to", "features"};
        resect_model *m = resect_edit_create("new", settings, 3, NULL, NULL, err);
        bool ok = m && (net->head || resect_edit_run(m, "strip", &strip, 1, NULL, NULL, err)) &&
                  (!net->data_norm || add_data_norm(m, err));
        if (ok)
                return m;
        resect_model_free(m);
        return NULL;
}
