/* SPDX-License-Identifier: 0BSD */
/*
 * A fresh graph for weights that come without one: their shapes say what resect-new is to make, and
 * what it has no word for is added here. Where shapes do not tell (a stem of one 3x3: CIFAR's, with
 * neither stride nor pool; shortcuts without weights: zeros on both sides) the usual is taken, and
 * the description of the weights says so.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "look/trunk.h"
#include "weights/convert.h"

/* A Conv's kernel, in whatever layout it is. */
struct kernel {
        int64_t out, in, side;
};

static bool
kernel_at(const rs_set *set, rs_module module, int stage, int block, int conv, struct kernel *k)
{
        const rs_place at = {module, stage, block, conv};
        const rs_unit *u = rs_set_conv((rs_set *)(uintptr_t)set, &at);
        static const int axes[][3] = {
                [RS_OIHW] = {0, 1, 2}, [RS_HWIO] = {3, 2, 0}, [RS_OHWI] = {0, 3, 1}};
        if (!u || !u->weight || u->weight->rank != 4)
                return false;
        *k = (struct kernel){u->weight->dims[axes[set->kernel][0]],
                u->weight->dims[axes[set->kernel][1]], u->weight->dims[axes[set->kernel][2]]};
        return true;
}

bool
rs_large_stem(const rs_set *set)
{
        struct kernel k;
        return set->net.stem == 3 || (kernel_at(set, RS_STEM_CONV, 0, 0, 1, &k) && k.side == 7);
}

/* What resect-new is asked for, in its own words. */
struct asking {
        const resect_weights *w;
        resect_setting settings[16];
        size_t n;
        rs_arena arena;
        resect_error *err;
};

static bool ask(struct asking *a, const char *name, const char *fmt, ...) RESECT_PRINTF(3, 4);

static bool
ask(struct asking *a, const char *name, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *value = rs_arena_vprintf(&a->arena, a->err, fmt, ap);
        va_end(ap);
        if (!value)
                return false;
        a->settings[a->n++] = (resect_setting){name, value};
        return true;
}

static bool
none(const struct asking *a, const char *why)
{
        return rs_fail(a->err, RESECT_UNSUPPORTED,
                "no graph is made for a %s %s: give the model that the weights belong to",
                a->w->info.family, why);
}

static bool
ask_stem(struct asking *a, int64_t *channels)
{
        const rs_set *set = &a->w->set;
        struct kernel k[3] = {{0}};
        char why[64];
        for (int i = 0; i < set->net.stem; i++)
                if (!kernel_at(set, RS_STEM_CONV, 0, 0, i + 1, &k[i]))
                        return rs_fail(a->err, RESECT_GRAPH, "the weights lack their first Convs");
        *channels = k[set->net.stem - 1].out;
        if (k[0].in != 3)
                return none(a, "whose pictures have no three channels");
        if (set->net.stem == 3)
                return ask(a, "stem", "deep") &&
                       ask(a, "stem-width", "%lld,%lld,%lld", (long long)k[0].out,
                               (long long)k[1].out, (long long)k[2].out);
        snprintf(why, sizeof why, "with a stem of %lldx%lld", (long long)k[0].side,
                (long long)k[0].side);
        if (k[0].side != 7 && k[0].side != 3)
                return none(a, why);
        return ask(a, "stem", k[0].side == 7 ? "large" : "small") &&
               ask(a, "stem-width", "%lld", (long long)k[0].out);
}

/* The first stage's width, and the groups of its 3x3; every other stage must be twice as wide as
   the one before it. */
static bool
ask_widths(struct asking *a, int64_t *out)
{
        const rs_set *set = &a->w->set;
        const rs_net *net = &set->net;
        struct kernel first = {0}, last = {0}, k = {0}, middle = {0};
        int convs = net->bottleneck ? 3 : 2;
        if (!kernel_at(set, RS_CONV, 1, 0, 1, &first) ||
                !kernel_at(set, RS_CONV, 1, 0, convs, &last))
                return rs_fail(a->err, RESECT_GRAPH, "the weights lack their first block");
        for (int s = 2; s <= net->n_stages; s++)
                if (!kernel_at(set, RS_CONV, s, 0, convs, &k) || k.out != last.out << (s - 1))
                        return none(a, "whose stages do not double their channels");
        *out = last.out;
        if (!net->bottleneck)
                return ask(a, "width", "%lld", (long long)last.out);
        int64_t width = last.out / 4;
        if (last.out % 4 || !width || !kernel_at(set, RS_CONV, 1, 0, 2, &middle) || !middle.in ||
                first.out % middle.in)
                return none(a, "whose bottlenecks do not give four times their width");
        int64_t groups = first.out / middle.in;
        if (middle.in * 64 % width)
                return none(a, "of groups that are not made here");
        return ask(a, "width", "%lld", (long long)width) &&
               ask(a, "groups", "%lld", (long long)groups) &&
               ask(a, "group-width", "%lld", (long long)(middle.in * 64 / width));
}

/* What stands in the shortcuts of the blocks that change sizes: of all of them the same. */
static bool
ask_shortcut(struct asking *a, int64_t stem, int64_t out)
{
        const rs_set *set = &a->w->set;
        const rs_net *net = &set->net;
        bool any = false, all = true, first = false, every = true, normed = false;
        for (int s = 1; s <= net->n_stages; s++) {
                bool changes = s > 1 || stem != out;
                const rs_place at = {RS_DOWN_CONV, s, 0, 1};
                const rs_unit *u = rs_set_conv((rs_set *)(uintptr_t)set, &at);
                first |= net->down[s - 1] && !changes;
                every &= net->down[s - 1];
                any |= net->down[s - 1];
                all &= net->down[s - 1] || !changes;
                normed |= u && u->norm[RS_VAR];
        }
        if ((any && !all) || (first && !every))
                return none(a, "with Convs in some of its shortcuts alone");
        if (first)
                a->settings[a->n++] = (resect_setting){"shortcut-first", NULL};
        bool bare = any && !normed && !set->bn_folded && !net->preactivation;
        return ask(a, "shortcut", "%s",
                !any             ? "pad"
                : net->down_pool ? "pool"
                : bare           ? "bare"
                                 : "conv");
}

static bool
ask_all(struct asking *a)
{
        const rs_net *net = &a->w->set.net;
        const int64_t *picture = a->w->checkpoint ? a->w->checkpoint->picture : NULL;
        int64_t stem = 0, out = 0;
        char blocks[RS_STAGES_MAX * 6] = "";
        bool small = !rs_large_stem(&a->w->set);
        for (int s = 0, n = 0; s < net->n_stages; s++)
                n += snprintf(blocks + n, sizeof blocks - (size_t)n, "%s%d", s ? "," : "",
                        net->blocks[s]);
        if (net->n_stages > 4 && (net->n_stages > RS_STAGES_MAX || !small))
                return none(a, "of so many stages");
        return ask(a, "name", "%s", net->bottleneck ? "resnet50" : "resnet18") &&
               ask(a, "blocks", "%s", blocks) && ask_stem(a, &stem) && ask_widths(a, &out) &&
               ask_shortcut(a, stem, out) &&
               ask(a, "classes", "%lld", (long long)(net->classes > 0 ? net->classes : 1000)) &&
               ask(a, "variant", "%s",
                       net->preactivation                            ? "v2"
                       : a->w->set.variant.stride == RS_STRIDE_CONV1 ? "v1"
                                                                     : "v1.5") &&
               (picture && picture[0] > 0 && picture[1] > 0 && picture[0] <= 1 << 16 &&
                                       picture[1] <= 1 << 16
                               ? ask(a, "size", "%lld,%lld", (long long)picture[0],
                                         (long long)picture[1])
                               : ask(a, "size", "%d", small ? 32 : 224));
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
        static const resect_setting strip = {"to", "features"};
        const rs_net *net = &w->set.net;
        struct asking a = {.w = w, .err = err};
        if (!w->info.recognised) {
                if (err)
                        *err = w->why;
                return NULL;
        }
        resect_model *m =
                ask_all(&a) ? resect_edit_create("new", a.settings, a.n, NULL, err) : NULL;
        bool named = m && !strncmp(w->info.family, "resnet", 6);
        bool ok = m &&
                  (!named || (m->graph.name = rs_arena_strdup(&m->arena, w->info.family, err))) &&
                  (net->head || resect_edit_run(m, "strip", &strip, 1, NULL, err)) &&
                  (!net->data_norm || add_data_norm(m, err));
        rs_arena_free(&a.arena);
        if (ok)
                return m;
        resect_model_free(m);
        return NULL;
}
