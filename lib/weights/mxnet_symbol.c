/* SPDX-License-Identifier: 0BSD */
/*
 * What MXNet's symbol says of layers: strides, and a BatchNorm's eps, momentum and fix_gamma, whose
 * defaults are MXNet's own (1e-3, 0.9, True: mxnet's src/operator/nn/batch_norm-inl.h). A node
 * names its inputs by their numbers; what BatchNorm keeps (moving_var) was no input in the oldest
 * files, and is found by its name there. Settings are text, and have been called param, attr and
 * attrs.
 */
#include "weights/mxnet_symbol.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "weights/json.h"

enum { NODES_MAX = 1000000, INPUTS = 5, TEXT = 512 };

struct node {
        char op[32], name[TEXT];
        uint64_t inputs[INPUTS];
        int n_inputs;
        double eps, momentum;
        bool fix_gamma;
        int stride;
};

struct reading {
        rs_checkpoint *c;
        rs_json j;
        const char **names; /* of all nodes so far */
        size_t n, cap;
        resect_error *err;
};

/* {"eps": "2e-05", "stride": "(2, 2)", ...} */
static void
read_settings(rs_json *j, struct node *n)
{
        char key[TEXT], value[TEXT];
        bool first = true;
        double v;
        if (!rs_json_eat(j, '{')) {
                rs_json_skip(j);
                return;
        }
        while (rs_json_next(j, '}', &first)) {
                rs_json_text(j, key, sizeof key);
                rs_json_eat(j, ':');
                rs_json_text(j, value, sizeof value);
                if (!strcmp(key, "eps") && rs_decimal(value, &v) && v >= 0 && v <= 1)
                        n->eps = v;
                else if (!strcmp(key, "momentum") && rs_decimal(value, &v) && v > 0 && v <= 1)
                        n->momentum = v;
                else if (!strcmp(key, "fix_gamma"))
                        n->fix_gamma = strcmp(value, "False") != 0 && strcmp(value, "0") != 0;
                else if (!strcmp(key, "stride") && value[0] == '(' && value[1] >= '1' &&
                         value[1] <= '9' && (value[2] == ',' || value[2] == ')'))
                        n->stride = value[1] - '0';
        }
}

/* [[3, 0, 0], [4, 0]]: of each the first number. */
static void
read_inputs(rs_json *j, struct node *n)
{
        bool first = true;
        if (!rs_json_eat(j, '[')) {
                rs_json_skip(j);
                return;
        }
        while (rs_json_next(j, ']', &first)) {
                bool inner = true, number = true;
                uint64_t v;
                if (!rs_json_eat(j, '[')) {
                        rs_json_skip(j);
                        continue;
                }
                while (rs_json_next(j, ']', &inner)) {
                        rs_json_natural(j, &v);
                        if (number && n->n_inputs < INPUTS)
                                n->inputs[n->n_inputs++] = v;
                        number = false;
                }
        }
}

/* The entry that is input k of a node, or else called after the node. */
static const rs_entry *
input_entry(const struct reading *r, const struct node *n, int k, const char *suffix)
{
        char name[TEXT + 32];
        if (k < n->n_inputs)
                return n->inputs[k] < r->n ? rs_checkpoint_find(r->c, r->names[n->inputs[k]])
                                           : NULL;
        snprintf(name, sizeof name, "%s_%s", n->name, suffix);
        return rs_checkpoint_find(r->c, name);
}

static bool
say(struct reading *r, const rs_entry *e, const rs_says *says)
{
        return !e || rs_checkpoint_say(r->c, (size_t)(e - r->c->entries), says, r->err);
}

static bool
settle(struct reading *r, const struct node *n)
{
        if (!strcmp(n->op, "Convolution"))
                return say(r, input_entry(r, n, 1, "weight"),
                        &(rs_says){.epsilon = -1, .stride = n->stride});
        if (strncmp(n->op, "BatchNorm", 9) != 0)
                return true;
        return say(r, input_entry(r, n, 4, "moving_var"),
                       &(rs_says){.epsilon = n->eps, .momentum = n->momentum}) &&
               (!n->fix_gamma || say(r, input_entry(r, n, 1, "gamma"),
                                         &(rs_says){.epsilon = -1, .fixed = true}));
}

static bool
read_node(struct reading *r)
{
        rs_json *j = &r->j;
        struct node n = {.eps = 1e-3, .momentum = 0.9, .fix_gamma = true, .stride = 1};
        char key[TEXT];
        bool first = true;
        if (!rs_json_eat(j, '{'))
                return rs_json_skip(j) || true;
        while (rs_json_next(j, '}', &first)) {
                rs_json_text(j, key, sizeof key);
                rs_json_eat(j, ':');
                if (!strcmp(key, "op"))
                        rs_json_text(j, n.op, sizeof n.op);
                else if (!strcmp(key, "name"))
                        rs_json_text(j, n.name, sizeof n.name);
                else if (!strcmp(key, "param") || !strcmp(key, "attr") || !strcmp(key, "attrs"))
                        read_settings(j, &n);
                else if (!strcmp(key, "inputs"))
                        read_inputs(j, &n);
                else
                        rs_json_skip(j);
        }
        if (j->why)
                return true;
        if (r->n == r->cap) {
                size_t cap = r->cap * 2 + 256;
                const char **more =
                        cap > NODES_MAX * 2 ? NULL : rs_grow(r->names, cap, sizeof *more, r->err);
                if (!more)
                        return cap <= NODES_MAX * 2 ? false
                                                    : rs_fail(r->err, RESECT_UNSUPPORTED,
                                                              "more than %d nodes", NODES_MAX);
                r->names = more;
                r->cap = cap;
        }
        if (!(r->names[r->n] = rs_arena_strdup(&r->c->arena, n.name, r->err)))
                return false;
        r->n++;
        return settle(r, &n);
}

bool
rs_mxnet_symbol_take(rs_checkpoint *c, rs_span json, const char **why, resect_error *err)
{
        struct reading r = {.c = c, .err = err};
        char key[TEXT];
        bool first = true, ok = true, nodes = true;
        if (json.size)
                r.j = (rs_json){
                        (const char *)json.data, (const char *)json.data + json.size, NULL, {0}};
        rs_json *j = &r.j;
        *why = NULL;
        if (!json.size)
                *why = "it is empty";
        else if (!rs_json_eat(j, '{'))
                *why = "no JSON object";
        while (!*why && ok && rs_json_next(j, '}', &first)) {
                rs_json_text(j, key, sizeof key);
                rs_json_eat(j, ':');
                if (strcmp(key, "nodes") != 0 || !rs_json_eat(j, '['))
                        rs_json_skip(j);
                else
                        while (ok && rs_json_next(j, ']', &nodes))
                                ok = read_node(&r);
        }
        if (ok && j->text.oom)
                ok = rs_fail_nomem(err);
        if (!*why)
                *why = j->why;
        if (*why) /* what came before the damage is not believed either */
                for (size_t i = 0; i < c->n_entries; i++)
                        c->entries[i].says = NULL;
        rs_buf_free(&j->text);
        rs_free(r.names);
        return ok;
}

bool
rs_mxnet_symbol(rs_checkpoint *c, resect_error *err)
{
        static const char params[] = ".params";
        size_t n = strlen(c->path), end = n - (sizeof params - 1);
        struct stat st;
        const char *why;
        if (n < sizeof params || strcmp(c->path + end, params) != 0)
                return true;
        if (end > 5 && c->path[end - 5] == '-' && strspn(c->path + end - 4, "0123456789") == 4)
                end -= 5; /* an epoch */
        char *path = rs_arena_printf(&c->arena, err, "%.*s-symbol.json", (int)end, c->path);
        if (!path)
                return false;
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
                return true;
        const rs_input *in = rs_checkpoint_open(c, path, err);
        if (!in || !rs_mxnet_symbol_take(c, (rs_span){in->data, in->size}, &why, err))
                return false;
        return !why ||
               rs_checkpoint_skip(c, path, err, "a network that is not understood: %s", why);
}
