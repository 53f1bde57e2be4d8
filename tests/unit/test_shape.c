/* SPDX-License-Identifier: 0BSD */
/*
 * Shape inference with symbols, on the shapes that exporters compute: whatever a graph does to
 * carry a batch size along, the size at the end is the batch's own symbol.
 */
#include "unit.h"

#include <string.h>
#include "model/model.h"
#include "op/op.h"

struct net {
        resect_model *m;
        resect_error err;
};

static struct net
begin(int64_t opset)
{
        struct net n = {0};
        static const char *const symbols[] = {"N", NULL, "H", "W"};
        static const int64_t dims[] = {-1, 3, -1, -1};
        n.m = rs_model_new(&n.err);
        ck_assert_ptr_nonnull(n.m);
        n.m->opsets = RS_NEW(&n.m->arena, 1, rs_opset, &n.err);
        n.m->opsets[0] = (rs_opset){"", opset};
        n.m->n_opsets = 1;
        rs_value *x = rs_model_make_value(n.m, "x", RESECT_FLOAT, 4, dims, symbols, &n.err);
        CK_OK(x && rs_array_push(
                           n.m, (void ***)&n.m->graph.inputs, &n.m->graph.n_inputs, x, &n.err),
                n.err);
        return n;
}

/* "y = Op a b": up to four inputs. */
static rs_node *
node(struct net *n, const char *out, const char *op, const char *a, const char *b, const char *c,
        const char *d)
{
        const char *in[] = {a, b, c, d}, *outs[] = {out};
        size_t count = 0;
        while (count < 4 && in[count])
                count++;
        rs_node *made = rs_model_add_node(n->m, op, out, in, count, outs, 1, &n->err);
        CK_OK(made, n->err);
        return made;
}

static void
ints(struct net *n, const char *name, int rank, int64_t count, const int64_t *v)
{
        rs_tensor *t = rs_model_add_tensor(n->m, name, RESECT_INT64, rank, &count, &n->err);
        CK_OK(t, n->err);
        memcpy((void *)t->data.data, v, t->bytes);
}
#define INT(n, name, v) ints(n, name, 0, 1, (const int64_t[]){v})
#define LIST(n, name, ...)                                                      \
        ints(n, name, 1, (int64_t)(sizeof((const int64_t[]){__VA_ARGS__}) / 8), \
                (const int64_t[]){__VA_ARGS__})

/* "N,3,?,7": a symbol by name, ? for one that has none. */
static void
expect(struct net *n, const char *name, const char *want)
{
        rs_types t;
        char got[128] = "";
        CK_OK(rs_types_make(&t, n->m, NULL, NULL, &n->err), n->err);
        const rs_type *v = rs_types_find(&t, name);
        ck_assert_ptr_nonnull(v);
        for (int d = 0; d < v->rank; d++) {
                const char *symbol =
                        v->dims[d] < 0 ? t.symbols.names[rs_symbol_index(v->dims[d])] : NULL;
                size_t at = strlen(got);
                if (v->dims[d] < 0)
                        snprintf(got + at, sizeof got - at, "%s%s", d ? "," : "",
                                symbol ? symbol : "?");
                else
                        snprintf(got + at, sizeof got - at, "%s%lld", d ? "," : "",
                                (long long)v->dims[d]);
        }
        ck_assert_msg(v->rank >= 0 && !strcmp(got, want), "%s is [%s], want [%s]", name, got, want);
        rs_types_free(&t);
}

/* x.view(x.size(0), -1), as TorchScript writes it. */
START_TEST(view_of_size)
{
        struct net n = begin(13);
        node(&n, "s", "Shape", "x", NULL, NULL, NULL);
        INT(&n, "zero", 0);
        LIST(&n, "axes", 0);
        LIST(&n, "rest", -1);
        node(&n, "n", "Gather", "s", "zero", NULL, NULL);
        node(&n, "n1", "Unsqueeze", "n", "axes", NULL, NULL);
        CK_OK(rs_node_set_int(n.m, node(&n, "shape", "Concat", "n1", "rest", NULL, NULL), "axis", 0,
                      &n.err),
                n.err);
        node(&n, "pooled", "ReduceMean", "x", NULL, NULL, NULL);
        CK_OK(rs_node_set_ints(n.m, n.m->graph.nodes[n.m->graph.n_nodes - 1], "axes",
                      (const int64_t[]){2, 3}, 2, &n.err),
                n.err);
        node(&n, "y", "Reshape", "pooled", "shape", NULL, NULL);
        expect(&n, "pooled", "N,3,1,1");
        expect(&n, "shape", "2");
        expect(&n, "y", "N,3");
        resect_model_free(n.m);
}
END_TEST

/* Shape(start=0, end=1), Concat, Reshape(allowzero=1), as the dynamo exporter writes it. */
START_TEST(view_of_dynamo)
{
        struct net n = begin(18);
        rs_node *s = node(&n, "s", "Shape", "x", NULL, NULL, NULL);
        CK_OK(rs_node_set_int(n.m, s, "start", 0, &n.err) &&
                        rs_node_set_int(n.m, s, "end", 1, &n.err),
                n.err);
        LIST(&n, "channels", 3);
        LIST(&n, "axes", -1, -2);
        node(&n, "pooled", "ReduceMean", "x", "axes", NULL, NULL);
        CK_OK(rs_node_set_int(n.m, node(&n, "shape", "Concat", "s", "channels", NULL, NULL), "axis",
                      0, &n.err),
                n.err);
        CK_OK(rs_node_set_int(n.m, node(&n, "y", "Reshape", "pooled", "shape", NULL, NULL),
                      "allowzero", 1, &n.err),
                n.err);
        expect(&n, "y", "N,3");
        resect_model_free(n.m);
}
END_TEST

START_TEST(what_stands_on_both_sides_cancels)
{
        struct net n = begin(13);
        LIST(&n, "a", 0, -1);
        LIST(&n, "b", -1, 3, 1);
        LIST(&n, "c", 0, 0, -1);
        LIST(&n, "d", -1, 5);
        node(&n, "flat", "Reshape", "x", "a", NULL, NULL);
        node(&n, "cut", "Reshape", "x", "c", NULL, NULL);
        node(&n, "wild", "Reshape", "x", "d", NULL, NULL);
        node(&n, "pool", "GlobalAveragePool", "x", NULL, NULL, NULL);
        node(&n, "back", "Reshape", "pool", "b", NULL, NULL);
        node(&n, "flatten", "Flatten", "pool", NULL, NULL, NULL);
        expect(&n, "flat", "N,?");
        expect(&n, "cut", "N,3,?");
        expect(&n, "wild", "?,5");
        expect(&n, "back", "N,3,1");
        expect(&n, "flatten", "N,3");
        resect_model_free(n.m);
}
END_TEST

/* Arithmetic on sizes: what only moves or is neutral keeps its symbol, the rest becomes one of its
 * own. */
START_TEST(sizes_are_computed_with)
{
        struct net n = begin(13);
        LIST(&n, "zero", 0);
        LIST(&n, "one", 1);
        LIST(&n, "two", 2);
        LIST(&n, "four", 4);
        node(&n, "s", "Shape", "x", NULL, NULL, NULL);
        node(&n, "hw", "Slice", "s", "two", "four", "zero");
        node(&n, "hw1", "Mul", "hw", "one", NULL, NULL);
        node(&n, "hw2", "Mul", "hw", "two", NULL, NULL);
        node(&n, "same", "ConstantOfShape", "hw1", NULL, NULL, NULL);
        node(&n, "twice", "ConstantOfShape", "hw2", NULL, NULL, NULL);
        node(&n, "sum", "Add", "x", "same", NULL, NULL);
        expect(&n, "same", "H,W");
        expect(&n, "twice", "?,?");
        expect(&n, "sum", "N,3,H,W");
        resect_model_free(n.m);
}
END_TEST

/* Nodes in any order; what is not ours leaves unknown what it makes; findings go on. */
static void
on_finding(void *ctx, const rs_node *n, const char *msg)
{
        ck_assert_str_eq(n->name, "bad");
        ck_assert_ptr_nonnull(strstr(msg, "bad (Concat)"));
        ++*(int *)ctx;
}

START_TEST(unsorted_unknown_and_wrong)
{
        struct net n = begin(13);
        int found = 0;
        rs_types t;
        node(&n, "last", "Relu", "middle", NULL, NULL, NULL);
        node(&n, "middle", "Sigmoid", "x", NULL, NULL, NULL);
        node(&n, "who", "NoSuchOperator", "x", NULL, NULL, NULL);
        node(&n, "after", "Relu", "who", NULL, NULL, NULL);
        LIST(&n, "list", 1, 2);
        node(&n, "bad", "Concat", "x", "list", NULL, NULL);
        node(&n, "round", "Add", "round_2", "x", NULL, NULL);
        node(&n, "round_2", "Relu", "round", NULL, NULL, NULL);
        ck_assert(!rs_types_make(&t, n.m, NULL, NULL, &n.err));
        ck_assert_int_eq(n.err.code, RESECT_GRAPH);
        CK_OK(rs_types_make(&t, n.m, on_finding, &found, &n.err), n.err);
        ck_assert_int_eq(found, 1);
        ck_assert_int_eq(rs_types_find(&t, "last")->rank, 4);
        ck_assert_int_eq(rs_types_find(&t, "after")->rank, -1);
        ck_assert_int_eq(rs_types_find(&t, "round")->rank, -1);
        ck_assert_ptr_null(rs_types_find(&t, "nowhere"));
        rs_types_free(&t);
        resect_model_free(n.m);
}
END_TEST

/* Sizes that would take the machine: refused before anything is allocated. */
START_TEST(giants_are_refused)
{
        static const char *const ops[] = {"Expand", "Tile", "ConstantOfShape", "Pad"};
        for (int i = 0; i < 4; i++) {
                struct net n = begin(13);
                rs_types t;
                LIST(&n, "huge", INT64_C(1) << 30, INT64_C(1) << 30, 1, 1);
                LIST(&n, "pads", INT64_C(1) << 39, 0, INT64_C(1) << 39, 1);
                LIST(&n, "one", 1, 1, 1, 1);
                LIST(&n, "small", 1, 1);
                rs_tensor *w = rs_model_add_tensor(
                        n.m, "w", RESECT_FLOAT, 4, (const int64_t[]){1, 1, 1, 1}, &n.err);
                rs_tensor *v = rs_model_add_tensor(
                        n.m, "v", RESECT_FLOAT, 2, (const int64_t[]){2, 2}, &n.err);
                CK_OK(w && v, n.err);
                node(&n, "y", ops[i],
                        i == 2   ? "huge"
                        : i == 3 ? "v"
                                 : "w",
                        i == 2   ? NULL
                        : i == 3 ? "pads"
                                 : "huge",
                        NULL, NULL);
                /* valid, but not ours: the value stays unknown, and running it is UNSUPPORTED */
                CK_OK(rs_types_make(&t, n.m, NULL, NULL, &n.err), n.err);
                ck_assert_int_eq(rs_types_find(&t, "y")->rank, -1);
                rs_types_free(&t);
                resect_model_free(n.m);
        }
}
END_TEST

/* The n-th allocation fails, for every n: a clean NOMEM, never a wrong answer. */
static size_t left;

static void *
failing_malloc(size_t n)
{
        return left-- ? malloc(n) : NULL;
}

START_TEST(memory_runs_out)
{
        struct net n = begin(13);
        LIST(&n, "a", 0, -1);
        for (int i = 0; i < 40; i++) {
                char name[16], before[16];
                snprintf(name, sizeof name, "r%d", i);
                if (i)
                        snprintf(before, sizeof before, "r%d", i - 1);
                else
                        strcpy(before, "x");
                node(&n, name, "Reshape", before, "a", NULL, NULL);
        }
        bool done = false;
        for (size_t k = 0; !done; k++) {
                rs_types t;
                resect_error err = {0};
                left = k;
                rs_hooks.malloc = failing_malloc;
                done = rs_types_make(&t, n.m, NULL, NULL, &err);
                rs_hooks.malloc = malloc;
                ck_assert(done || err.code == RESECT_NOMEM);
                if (done)
                        rs_types_free(&t);
                ck_assert_uint_lt(k, 10000);
        }
        expect(&n, "r39", "N,?");
        resect_model_free(n.m);
}
END_TEST

UNIT_MAIN("shape", view_of_size, view_of_dynamo, what_stands_on_both_sides_cancels,
        sizes_are_computed_with, unsorted_unknown_and_wrong, giants_are_refused, memory_runs_out)
