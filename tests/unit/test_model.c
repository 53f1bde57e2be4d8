/* SPDX-License-Identifier: 0BSD */
/* lib/model: building, sorting, pruning, renaming, redirecting, metadata; and that a failed
 * allocation leaves no trace. */
#include "unit.h"

#include <string.h>
#include "model/model.h"

static resect_error err;

static rs_node *
node(resect_model *m, const char *op, const char *in, const char *in2, const char *out)
{
        rs_node *n = rs_model_add_node(
                m, op, out, (const char *[]){in, in2}, in2 ? 2 : 1, &out, 1, &err);
        CK_OK(n != NULL, err);
        return n;
}

static void
value(resect_model *m, rs_value ***list, size_t *n, const char *name)
{
        rs_value *v = rs_model_make_value(
                m, name, RESECT_FLOAT, 2, (int64_t[]){-1, 4}, (const char *[]){"N", NULL}, &err);
        ck_assert(v && rs_array_push(m, (void ***)list, n, v, &err));
}

/* x -> a -> b -> y, with w beside a; in the order given. */
static resect_model *
small(void)
{
        resect_model *m = rs_model_new(&err);
        ck_assert_ptr_nonnull(m);
        value(m, &m->graph.inputs, &m->graph.n_inputs, "x");
        value(m, &m->graph.outputs, &m->graph.n_outputs, "y");
        value(m, &m->graph.values, &m->graph.n_values, "b");
        ck_assert_ptr_nonnull(
                rs_model_add_tensor(m, "w", RESECT_FLOAT, 2, (int64_t[]){4, 4}, &err));
        ck_assert_ptr_nonnull(
                rs_model_add_tensor(m, "unused", RESECT_FLOAT, 1, (int64_t[]){4}, &err));
        node(m, "Relu", "b", NULL, "y");
        node(m, "MatMul", "x", "w", "a");
        node(m, "Relu", "a", NULL, "dead");
        node(m, "Relu", "a", NULL, "b");
        return m;
}

START_TEST(sort_is_stable_and_finds_cycles)
{
        resect_model *m = small();
        CK_OK(rs_graph_sort(m, &err), err);
        const char *order[] = {"a", "dead", "b", "y"};
        for (size_t i = 0; i < 4; i++)
                ck_assert_str_eq(m->graph.nodes[i]->out[0], order[i]);
        rs_node *before[4];
        memcpy(before, m->graph.nodes, sizeof before);
        CK_OK(rs_graph_sort(m, &err), err);
        ck_assert(!memcmp(before, m->graph.nodes, sizeof before));
        m->graph.nodes[0]->in[0] = "b";
        ck_assert(!rs_graph_sort(m, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        ck_assert_ptr_nonnull(strstr(err.msg, "cycle"));
        resect_model_free(m);
}
END_TEST

START_TEST(prune_drops_what_nothing_reads)
{
        resect_model *m = small();
        CK_OK(rs_model_set_frozen(m, "unused", true, &err) &&
                        rs_model_set_frozen(m, "w", true, &err) && rs_model_store_frozen(m, &err),
                err);
        ck_assert_str_eq(resect_model_meta(m, "resect.frozen"), "w\nunused");
        static const unsigned char sparse_one[] = {0x7a, 1, 0}, sparse_two[] = {0x7a, 2, 0, 0},
                                   doc[] = {0x52, 0};
        m->graph.rest = RS_NEW(&m->arena, 3, rs_span, &err);
        m->graph.rest[0] = (rs_span){sparse_one, 3};
        m->graph.rest[1] = (rs_span){doc, 2};
        m->graph.rest[2] = (rs_span){sparse_two, 4};
        m->graph.n_rest = 3;
        m->graph.sparse = RS_NEW(&m->arena, 2, const char *, &err);
        m->graph.sparse[0] = "s1";
        m->graph.sparse[1] = "w2";
        m->graph.n_sparse = 2;
        node(m, "MatMul", "a", "w2", "z");
        value(m, &m->graph.outputs, &m->graph.n_outputs, "z");
        CK_OK(rs_graph_prune(m, &err), err);
        ck_assert_uint_eq(m->graph.n_nodes, 4);
        ck_assert_uint_eq(m->graph.n_tensors, 1);
        ck_assert_uint_eq(m->graph.n_inputs, 1);
        ck_assert_uint_eq(m->graph.n_values, 1);
        ck_assert_uint_eq(m->graph.n_sparse, 1);
        ck_assert_str_eq(m->graph.sparse[0], "w2");
        ck_assert_uint_eq(m->graph.n_rest, 2);
        ck_assert_ptr_eq(m->graph.rest[1].data, sparse_two);
        ck_assert_str_eq(resect_model_meta(m, "resect.frozen"), "w");
        resect_model_free(m);
}
END_TEST

START_TEST(index_knows_makers_and_readers)
{
        resect_model *m = small();
        rs_index ix;
        CK_OK(rs_index_make(&ix, &m->graph, &err), err);
        rs_link *a = rs_index_find(&ix, "a");
        ck_assert_str_eq(a->maker->op, "MatMul");
        ck_assert_uint_eq(a->n_uses, 2);
        ck_assert_str_eq(a->uses->node->out[0], "dead");
        ck_assert_str_eq(a->uses->next->node->out[0], "b");
        ck_assert(rs_index_find(&ix, "y")->is_output && rs_index_find(&ix, "w")->tensor &&
                  rs_index_find(&ix, "x")->input);
        ck_assert_ptr_null(rs_index_find(&ix, ""));
        ck_assert_ptr_null(rs_index_find(&ix, "nothing"));
        rs_index_free(&ix);
        m->graph.nodes[2]->out[0] = "a";
        ck_assert(!rs_index_make(&ix, &m->graph, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        m->graph.nodes[2]->out[0] = "w";
        ck_assert(!rs_index_make(&ix, &m->graph, &err));
        resect_model_free(m);
}
END_TEST

START_TEST(rename_reaches_every_place)
{
        resect_model *m = small();
        CK_OK(rs_model_set_frozen(m, "w", true, &err) && rs_model_store_frozen(m, &err), err);
        CK_OK(rs_graph_rename(m, "w", "fc.weight", &err), err);
        ck_assert_str_eq(m->graph.nodes[1]->in[1], "fc.weight");
        ck_assert_str_eq(m->graph.tensors[0]->name, "fc.weight");
        ck_assert_str_eq(resect_model_meta(m, "resect.frozen"), "fc.weight");
        CK_OK(rs_graph_rename(m, "y", "logits", &err), err);
        ck_assert_str_eq(m->graph.outputs[0]->name, "logits");
        ck_assert_str_eq(m->graph.nodes[0]->out[0], "logits");
        CK_OK(rs_graph_rename(m, m->graph.nodes[0]->in[0], "relu", &err), err);
        ck_assert_str_eq(m->graph.values[0]->name, "relu");
        ck_assert_str_eq(m->graph.nodes[3]->out[0], "relu");
        ck_assert(!rs_graph_rename(m, "relu", "x", &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        resect_model_free(m);
}
END_TEST

START_TEST(redirect_keeps_the_outputs_name)
{
        resect_model *m = small(); /* the output becomes b, without its last Relu */
        CK_OK(rs_graph_redirect(m, "y", "b", &err), err);
        CK_OK(rs_graph_prune(m, &err), err);
        ck_assert_uint_eq(m->graph.n_nodes, 2);
        ck_assert_str_eq(m->graph.nodes[1]->out[0], "y");
        ck_assert_str_eq(m->graph.nodes[1]->in[0], "a");
        ck_assert_str_eq(m->graph.outputs[0]->name, "y");
        CK_OK(rs_graph_redirect(m, "y", "x", &err),
                err); /* an input cannot take the name: Identity */
        CK_OK(rs_graph_prune(m, &err), err);
        ck_assert_uint_eq(m->graph.n_nodes, 1);
        ck_assert_str_eq(m->graph.nodes[0]->op, "Identity");
        resect_model_free(m);
        m = small(); /* not an output: readers alone change */
        CK_OK(rs_graph_redirect(m, "b", "a", &err), err);
        ck_assert_str_eq(m->graph.nodes[0]->in[0], "a");
        resect_model_free(m);
}
END_TEST

/* An If whose then_branch reads "a": AttributeProto{name=1, g=6{node=1{input=1 "a", output=2 "t"},
 * output=12{name=1 "t"}}, type=20}. */
START_TEST(subgraphs_hold_on_to_names)
{
        resect_model *m = small();
        static const unsigned char wire[] = {0x0a, 1, 'g', 0x32, 13, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1,
                't', 0x62, 3, 0x0a, 1, 't', 0xa0, 1, 5};
        rs_node *n = node(m, "If", "x", NULL, "branch");
        n->attrs = RS_NEW(&m->arena, 1, rs_attr, &err);
        n->attrs[0] = (rs_attr){.name = "then_branch", .type = 5, .wire = {wire, sizeof wire}};
        n->n_attrs = 1;
        m->graph.nodes[3]->in[0] = "x"; /* now only the subgraph reads a */
        m->graph.outputs[0]->name = "branch";
        CK_OK(rs_graph_sort(m, &err), err);
        CK_OK(rs_graph_prune(m, &err), err);
        ck_assert_uint_eq(m->graph.n_nodes, 2);
        ck_assert_str_eq(m->graph.nodes[0]->out[0], "a");
        ck_assert_str_eq(m->graph.nodes[1]->op, "If");
        ck_assert(!rs_graph_rename(m, "a", "other", &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_str_eq(rs_model_fresh_name(m, "t", &err), "t_1");
        rs_index ix;
        CK_OK(rs_index_make(&ix, &m->graph, &err), err);
        ck_assert(rs_index_find(&ix, "a")->captured);
        rs_index_free(&ix);
        for (size_t cut = 0; cut < sizeof wire; cut++) { /* any prefix: no harm */
                n->attrs[0].wire.size = cut;
                CK_OK(rs_graph_sort(m, &err), err);
        }
        resect_model_free(m);
}
END_TEST

START_TEST(attributes_and_arrays)
{
        resect_model *m = small();
        rs_node *n = m->graph.nodes[0];
        CK_OK(rs_node_set_ints(m, n, "pads", (int64_t[]){1, 2, 3, 4}, 4, &err), err);
        CK_OK(rs_node_set_int(m, n, "group", 2, &err), err);
        CK_OK(rs_node_set_float(m, n, "group", 0.5f, &err), err);
        ck_assert_int_eq(rs_node_int(n, "group", 7), 7);
        ck_assert_float_eq(rs_node_float(n, "group", 0), 0.5f);
        ck_assert_int_eq(rs_node_attr(n, "pads")->ints[3], 4);
        rs_node_drop_attr(n, "pads");
        ck_assert_ptr_null(rs_node_attr(n, "pads"));
        ck_assert_uint_eq(n->n_attrs, 1);
        void **one = NULL, **two = NULL;
        size_t n_one = 0, n_two = 0;
        for (uintptr_t i = 0; i < 100; i++) {
                CK_OK(rs_array_push(m, &one, &n_one, (void *)(i + 1), &err), err);
                if (i == 50) {
                        two = one;
                        n_two = n_one;
                }
        }
        CK_OK(rs_array_push(m, &two, &n_two, (void *)1000, &err), err);
        for (uintptr_t i = 0; i < 100; i++)
                ck_assert_uint_eq((uintptr_t)one[i], i + 1);
        ck_assert_uint_eq((uintptr_t)two[51], 1000);
        m->ir_version = 3;
        rs_tensor *t = rs_model_add_tensor(m, "old", RESECT_FLOAT, 1, (int64_t[]){3}, &err);
        ck_assert_ptr_nonnull(t);
        ck_assert_uint_eq((uintptr_t)t->data.data % 64, 0);
        ck_assert_ptr_nonnull(rs_graph_find_input(&m->graph, "old"));
        ck_assert_uint_eq(resect_model_input_count(m), 1);
        CK_OK(rs_tensor_renew(m, t, 2, (int64_t[]){5, 2}, &err), err);
        ck_assert_uint_eq(t->bytes, 40);
        resect_model_free(m);
}
END_TEST

START_TEST(metadata_labels_history)
{
        resect_model *m = small();
        size_t n;
        ck_assert_ptr_null(resect_model_labels(m, &n));
        CK_OK(resect_model_set_labels(
                      m, (const char *const[]){"tench", "", "great white shark"}, 3, &err),
                err);
        const char *const *l = resect_model_labels(m, &n);
        ck_assert_uint_eq(n, 3);
        ck_assert(!strcmp(l[0], "tench") && !l[1][0] && !strcmp(l[2], "great white shark"));
        CK_OK(resect_model_set_labels(m, (const char *const[]){"a", ""}, 2, &err), err);
        ck_assert(resect_model_labels(m, &n) && n == 2);
        ck_assert(!resect_model_set_labels(m, (const char *const[]){"a\nb"}, 1, &err));
        CK_OK(resect_model_set_labels(m, NULL, 0, &err), err);
        ck_assert_ptr_null(resect_model_meta(m, "resect.labels"));
        CK_OK(resect_model_add_history(m, "resect-strip --to features", &err), err);
        CK_OK(resect_model_add_history(m, "resect-head --init\nzero", &err), err);
        ck_assert_str_eq(resect_model_meta(m, "resect.history"),
                "resect-strip --to features\nresect-head --init zero");
        CK_OK(resect_model_set_meta(m, "k", "1", &err) && resect_model_set_meta(m, "k", "2", &err),
                err);
        ck_assert_str_eq(resect_model_meta(m, "k"), "2");
        CK_OK(resect_model_set_meta(m, "k", NULL, &err), err);
        ck_assert_ptr_null(resect_model_meta(m, "k"));
        resect_value v;
        ck_assert(resect_model_input(m, 0, &v) && v.dims[0] == -1 && v.dims[1] == 4 &&
                  !strcmp(v.symbols[0], "N"));
        ck_assert(!resect_model_input(m, 1, &v) && !resect_model_output(m, 1, &v));
        resect_tensor_info t;
        ck_assert(resect_model_tensor(m, 0, &t) && t.size == 64 && !t.frozen &&
                  !resect_model_tensor(m, 2, &t));
        resect_model_free(m);
}
END_TEST

static long countdown;
static void *
failing_malloc(size_t n)
{
        return countdown-- > 0 ? malloc(n) : NULL;
}
static void *
failing_realloc(void *p, size_t n)
{
        return countdown-- > 0 ? realloc(p, n) : NULL;
}

static bool
everything(resect_error *e)
{
        resect_model *m = rs_model_new(e);
        const char *x = "x", *y = "y";
        bool ok = m && rs_model_add_node(m, "Relu", "", &x, 1, &y, 1, e) &&
                  rs_model_add_tensor(m, "w", RESECT_FLOAT, 2, (int64_t[]){100, 100}, e) &&
                  rs_graph_sort(m, e) && rs_model_fresh_name(m, "y", e) &&
                  rs_model_set_frozen(m, "w", true, e) && rs_model_store_frozen(m, e) &&
                  rs_graph_rename(m, "w", "v", e) && rs_graph_redirect(m, "y", "x", e) &&
                  resect_model_set_labels(m, (const char *const[]){"a", "b"}, 2, e) &&
                  resect_model_add_history(m, "h", e);
        rs_index ix = {0};
        ok = ok && rs_index_make(&ix, &m->graph, e);
        if (ok)
                rs_index_free(&ix);
        ok = ok && rs_graph_prune(m, e);
        resect_model_free(m);
        return ok;
}

START_TEST(every_allocation_may_fail)
{
        struct rs_hooks old = rs_hooks;
        rs_hooks.malloc = failing_malloc;
        rs_hooks.realloc = failing_realloc;
        bool ok = false;
        long k = 0;
        for (; !ok && k < 1000; k++) {
                resect_error e = {0};
                countdown = k;
                ok = everything(&e);
                ck_assert_msg(ok || e.code == RESECT_NOMEM, "allocation %ld: %s", k, e.msg);
        }
        rs_hooks = old;
        ck_assert(ok && k > 10);
}
END_TEST

UNIT_MAIN("model", sort_is_stable_and_finds_cycles, prune_drops_what_nothing_reads,
        index_knows_makers_and_readers, rename_reaches_every_place, redirect_keeps_the_outputs_name,
        subgraphs_hold_on_to_names, attributes_and_arrays, metadata_labels_history,
        every_allocation_may_fail)
