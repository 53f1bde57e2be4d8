/* SPDX-License-Identifier: 0BSD */
/*
 * ONNX's own backend tests (Debian's libonnx-testdata; ONNX_TESTDATA names another folder): every
 * test all of whose operators the library has must come out right, within the tolerances of ONNX's
 * runner (rtol 1e-3, atol 1e-7), for one thread and for three. What is excluded is listed here with
 * its reason.
 */
#include <dirent.h>
#include <unistd.h>

#include "op_graph.h"

static const struct {
        const char *test, *reason;
} excluded[] = {
        {"test_identity_opt", "an optional, not a tensor"},
        {"test_identity_sequence", "a sequence, not a tensor"},
        {"test_blackmanwindow_expanded", "a range of floats: data decides how long it is"},
        {"test_blackmanwindow_symmetric_expanded",
                "a range of floats: data decides how long it is"},
        {"test_hammingwindow_expanded", "a range of floats: data decides how long it is"},
        {"test_hammingwindow_symmetric_expanded", "a range of floats: data decides how long it is"},
        {"test_hannwindow_expanded", "a range of floats: data decides how long it is"},
        {"test_hannwindow_symmetric_expanded", "a range of floats: data decides how long it is"},
        {"test_range_float_type_positive_delta", "a range of floats: data decides how long it is"},
        {"test_cast_FLOAT_to_BFLOAT16",
                "1.12's data cuts off; the specification rounds to nearest even"},
        {"test_castlike_FLOAT_to_BFLOAT16", "the same"},
        {"test_castlike_FLOAT_to_BFLOAT16_expanded", "the same"},
        {"test_training_dropout_zero_ratio",
                "it feeds training_mode to a plan that does not train"},
        {"test_training_dropout_zero_ratio_mask", "the same"},
        {"test_training_dropout", "its output is NumPy's random numbers"},
        {"test_training_dropout_default", "its output is NumPy's random numbers"},
        {"test_training_dropout_default_mask", "its output is NumPy's random numbers"},
        {"test_training_dropout_mask", "its output is NumPy's random numbers"},
        {"test_cast_FLOAT_to_STRING", "strings are not computed with"},
        {"test_cast_STRING_to_FLOAT", "strings are not computed with"},
        {"test_castlike_FLOAT_to_STRING", "strings are not computed with"},
        {"test_castlike_STRING_to_FLOAT", "strings are not computed with"},
        {"test_castlike_FLOAT_to_STRING_expanded", "strings are not computed with"},
        {"test_castlike_STRING_to_FLOAT_expanded", "strings are not computed with"},
};

struct tally {
        char op[64];
        int passed, failed;
};

static struct tally tallies[256];
static size_t n_tallies;
static int passed, failed, skipped, not_ours;

static void
count(const char *op, bool ok)
{
        size_t i = 0;
        while (i < n_tallies && strcmp(tallies[i].op, op))
                i++;
        if (i == n_tallies && n_tallies < 255)
                snprintf(tallies[n_tallies++].op, sizeof tallies->op, "%s", op);
        tallies[i].passed += ok;
        tallies[i].failed += !ok;
        passed += ok;
        failed += !ok;
}

static const char *
reason_of(const char *test)
{
        for (size_t i = 0; i < sizeof excluded / sizeof *excluded; i++)
                if (!strcmp(excluded[i].test, test))
                        return excluded[i].reason;
        return NULL;
}

/* NumPy has no bfloat16: the data files of bfloat16 values say uint16. */
static void
as_declared(resect_tensor *t, const rs_value *v)
{
        if (v->dtype == RESECT_BFLOAT16 && t->dtype == RESECT_UINT16)
                t->dtype = RESECT_BFLOAT16;
}

/* One data set of a test. */
static bool
run_set(const resect_model *m, const char *set, int threads, resect_error *err)
{
        op_graph g = {.threads = threads};
        char path[4096];
        bool ok = true;
        size_t k = 0;
        for (size_t i = 0; ok && i < m->graph.n_inputs; i++, k++) {
                snprintf(path, sizeof path, "%s/input_%zu.pb", set, k);
                if (access(path, F_OK))
                        break; /* listed as an input because it is an initializer */
                resect_tensor *t = op_graph_new(&g, m->graph.inputs[i]->name, err);
                ok = t && resect_tensor_read_pb(t, path, NULL, 0, err);
                if (ok)
                        as_declared(t, m->graph.inputs[i]);
        }
        ok = ok && op_graph_run(&g, m, err);
        for (size_t i = 0; ok && i < m->graph.n_outputs; i++) {
                resect_tensor want = {0};
                resect_difference d = {0};
                snprintf(path, sizeof path, "%s/output_%zu.pb", set, i);
                const resect_tensor *got = rs_map_get(&g.values, m->graph.outputs[i]->name);
                ok = (got || rs_fail(err, RESECT_GRAPH, "no output %zu", i)) &&
                     resect_tensor_read_pb(&want, path, NULL, 0, err);
                if (ok)
                        as_declared(&want, m->graph.outputs[i]);
                ok = ok && resect_tensor_compare(got, &want, 1e-3, 1e-7, &d, err) &&
                     (!d.unequal || rs_fail(err, RESECT_GRAPH,
                                            "output %zu: %lld of %lld differ, by up to %g at %lld",
                                            i, (long long)d.unequal, (long long)d.count, d.max_abs,
                                            (long long)d.at));
                resect_tensor_free(&want);
        }
        op_graph_free(&g);
        return ok;
}

/*
 * Shape inference must agree with what the test's model declares; and once more with every size of
 * the inputs unknown: then it may say less, but nothing else.
 */
static bool
shapes_agree(const resect_model *m, resect_error *err)
{
        const rs_graph *g = &m->graph;
        for (int loose = 0; loose < 2; loose++) {
                rs_types types;
                for (size_t i = 0; loose && i < g->n_inputs; i++)
                        for (int d = 0; d < g->inputs[i]->rank; d++)
                                g->inputs[i]->dims[d] = -1;
                if (!rs_types_make(&types, m, NULL, NULL, err))
                        return false;
                bool ok = true;
                for (size_t i = 0; ok && i < g->n_outputs; i++) {
                        const rs_value *want = g->outputs[i];
                        const rs_type *got = rs_types_find(&types, want->name);
                        if (!got || got->rank < 0 || !want->is_tensor || want->rank < 0)
                                continue;
                        ok = (got->dtype == want->dtype && got->rank == want->rank) ||
                             rs_fail(err, RESECT_GRAPH, "inferred output %zu: dtype %d rank %d", i,
                                     (int)got->dtype, got->rank);
                        for (int d = 0; ok && d < got->rank; d++)
                                ok = got->dims[d] < 0 || want->dims[d] < 0 ||
                                     got->dims[d] == want->dims[d] ||
                                     rs_fail(err, RESECT_GRAPH,
                                             "inferred output %zu axis %d: %lld, declared %lld", i,
                                             d, (long long)got->dims[d], (long long)want->dims[d]);
                }
                rs_types_free(&types);
                if (!ok)
                        return false;
        }
        return true;
}

static void
run_test(const char *root, const char *kind, const char *test)
{
        char path[4096];
        resect_error err = {0};
        const char *missing, *reason = reason_of(test);
        snprintf(path, sizeof path, "%s/%s/%s/model.onnx", root, kind, test);
        if (access(path, F_OK))
                return;
        resect_model *m = resect_model_read(path, NULL, &err);
        ck_assert_msg(m != NULL, "%s: %s", path, err.msg);
        if (!op_graph_ours(m, &missing) || !m->graph.n_nodes) {
                not_ours++;
        } else if (reason) {
                printf("excluded %s: %s\n", test, reason);
                skipped++;
        } else {
                bool ok = true;
                for (int set = 0; ok; set++) {
                        snprintf(path, sizeof path, "%s/%s/%s/test_data_set_%d", root, kind, test,
                                set);
                        if (access(path, F_OK))
                                break;
                        ok = run_set(m, path, 1, &err) && run_set(m, path, 3, &err);
                }
                ok = ok && shapes_agree(m, &err);
                count(m->graph.n_nodes == 1 ? m->graph.nodes[0]->op : "(several)", ok);
                if (!ok)
                        printf("FAILED %s: %s: %s\n", test, resect_code_name(err.code), err.msg);
        }
        resect_model_free(m);
}

START_TEST(node_tests_pass)
{
        static const char *const kinds[] = {
                "node", "simple", "pytorch-operator", "pytorch-converted"};
        const char *root = getenv("ONNX_TESTDATA");
        root = root ? root : "/usr/share/libonnx-testdata/data";
        for (size_t k = 0; k < 4; k++) {
                char path[4096];
                struct dirent **list;
                snprintf(path, sizeof path, "%s/%s", root, kinds[k]);
                int n = scandir(path, &list, NULL, alphasort);
                for (int i = 0; i < n; i++) {
                        if (list[i]->d_name[0] != '.')
                                run_test(root, kinds[k], list[i]->d_name);
                        free(list[i]);
                }
                if (n >= 0)
                        free(list);
        }
        for (size_t i = 0; i < n_tallies; i++)
                printf("%-28s %3d passed%s\n", tallies[i].op, tallies[i].passed,
                        tallies[i].failed ? ", SOME FAILED" : "");
        printf("%d passed, %d failed, %d excluded, %d of operators that are not ours\n", passed,
                failed, skipped, not_ours);
        ck_assert_int_eq(failed, 0);
        ck_assert_int_gt(passed, 300);
}
END_TEST

int
main(void)
{
        const char *root = getenv("ONNX_TESTDATA");
        if (access(root ? root : "/usr/share/libonnx-testdata/data", R_OK)) {
                printf("SKIP: no ONNX test data (Debian: libonnx-testdata)\n");
                return 77;
        }
        Suite *s = suite_create("op_vectors");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 600);
        tcase_add_test(c, node_tests_pass);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int bad = srunner_ntests_failed(r);
        srunner_free(r);
        return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
