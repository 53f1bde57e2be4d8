/* SPDX-License-Identifier: 0BSD */
/* Every edit with the k-th allocation failing, for every k until it passes: a clean NOMEM, no leak
   (the sanitizers look), and a model that can be freed. And what an edit had no business with keeps
   its bytes. */
#include "unit.h"

#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "forms.h"
#include "resect/data.h"
#include "resect/edit.h"

static resect_error err;
static long countdown;
static bool for_ever; /* or once */

static bool
fails(void)
{
        const long k = countdown--;
        return k == 0 || (k < 0 && for_ever);
}

static void *
failing_malloc(size_t n)
{
        return fails() ? NULL : malloc(n);
}

static void *
failing_realloc(void *p, size_t n)
{
        return fails() ? NULL : realloc(p, n);
}

/* The bytes of a small model, as a file has them. */
static unsigned char *
bytes_of(const form *f, size_t *n)
{
        resect_model *m = form_make(f, 1);
        char path[64];
        snprintf(path, sizeof path, "test_edit_oom_%d.onnx", (int)getpid());
        const char *labels[] = {"a", "b", "c"};
        CK_OK(resect_model_set_labels(m, labels, 3, &err), err);
        CK_OK(resect_model_set_meta(
                      m, "resect.frozen", "conv1.weight\nlayer2.0.conv1.weight", &err),
                err);
        CK_OK(resect_model_write(m, path, &err), err);
        resect_model_free(m);
        FILE *in = fopen(path, "rb");
        unsigned char *bytes = malloc(1 << 22);
        *n = fread(bytes, 1, 1 << 22, in);
        ck_assert(*n > 0 && *n < 1 << 22);
        fclose(in);
        unlink(path);
        return bytes;
}

static const struct {
        const char *name;
        resect_setting settings[4];
        size_t n;
} runs[] = {
        {"strip", {{"to", "features"}}, 1},
        {"strip", {{"verify", NULL}}, 1},
        {"head", {{"classes", "4"}, {"replace", NULL}, {"hidden", "3"}, {"dropout", "0.5"}}, 4},
        {"truncate", {{"after", "layer1"}}, 1},
        {"truncate", {{"drop", "layer2.1"}}, 1},
        {"reset", {{"from", "layer2"}}, 1},
        {"freeze", {{"until", "layer1"}}, 1},
        {"freeze", {{"for", "ort"}, {"match", "layer1*"}}, 2},
        {"fold", {{"bn", NULL}}, 1},
        {"fold", {{"unfold", NULL}}, 1},
        {"edit", {{"canon", NULL}}, 1},
        {"edit", {{"extract", "layer2:"}}, 1},
        {"edit", {{"rename", "conv1.weight=w"}}, 1},
        {"edit", {{"batch", "2"}}, 1},
        {"edit", {{"size", "64"}}, 1},
        {"edit", {{"opset", "11"}}, 1},
        {"edit", {{"softmax", NULL}, {"strip-docs", NULL}}, 2},
        {"edit", {{"bgr", NULL}, {"channels", "1"}}, 2},
        {"edit", {{"preprocess", "bake"}}, 1},
        {"pack", {{"out", "test_edit_oom.data"}, {"threshold", "0"}}, 2},
        {"pack", {{"in", NULL}}, 1},
        {"cast", {{"to", "fp16"}, {"no-report", NULL}}, 2},
        {"cast", {{"to", "fp16"}, {"weights-only", NULL}}, 2},
};
enum { N_RUNS = sizeof runs / sizeof *runs };

START_TEST(every_allocation_fails)
{
        const int r = _i % N_RUNS;
        const form f = {.blocks = {1, 2},
                .width = 2,
                .size = 16,
                .classes = 3,
                .bn = runs[r].settings[0].name[0] == 'u' ? BN_FOLDED : BN_KEPT};
        for_ever = _i >= N_RUNS;
        size_t n;
        unsigned char *bytes = bytes_of(&f, &n);
        long k = 0;
        for (bool done = false; !done; k++) {
                resect_model *m = resect_model_read_memory(bytes, n, NULL, &err);
                CK_OK(m != NULL, err);
                unlink("test_edit_oom.data");
                countdown = k;
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                done = resect_edit_run(m, runs[r].name, runs[r].settings, runs[r].n, NULL, &err);
                rs_hooks.malloc = malloc;
                rs_hooks.realloc = realloc;
                ck_assert_msg(done || err.code == RESECT_NOMEM, "%s, allocation %ld: %s",
                        runs[r].name, k, err.msg);
                resect_model_free(m);
        }
        unlink("test_edit_oom.data");
        ck_assert_int_gt(k, 1);
        free(bytes);
}
END_TEST

/* Allocations that opening DATA takes, which comes first; they are not what is tested here. */
static long
opening(const char *folder)
{
        const resect_data_options o = {0};
        countdown = 1 << 20;
        rs_hooks.malloc = failing_malloc;
        rs_hooks.realloc = failing_realloc;
        resect_data *d = resect_data_open(folder, &o, &err);
        rs_hooks.malloc = malloc;
        rs_hooks.realloc = realloc;
        CK_OK(d != NULL, err);
        resect_data_free(d);
        return (1 << 20) - countdown;
}

/* Pictures are read, and the model run on them. */
START_TEST(eight_bits_out_of_memory)
{
        const form f = {.blocks = {1}, .width = 2, .size = 16, .classes = 3, .bn = BN_FOLDED};
        const resect_setting grey = {"channels", "1"};
        char folder[] = "/tmp/test_edit_oom_XXXXXX", path[128];
        ck_assert_ptr_nonnull(mkdtemp(folder));
        form_pictures(folder, 2, 16);
        const resect_setting settings[] = {
                {"to", "int8"}, {"calibrate", folder}, {_i == 0 ? "no-report" : "check", folder}};
        size_t n;
        unsigned char *bytes = bytes_of(&f, &n);
        for_ever = true;
        long k = opening(folder) * (_i == 0 ? 1 : 2), begin = k;
        for (bool done = false; !done; k += k < begin + 100 ? 1 : 7) {
                resect_setting s[3];
                memcpy(s, settings, sizeof s);
                if (_i == 0)
                        s[2].value = NULL;
                resect_model *m = resect_model_read_memory(bytes, n, NULL, &err);
                CK_OK(m != NULL, err);
                CK_OK(resect_edit_run(m, "edit", &grey, 1, NULL, &err), err);
                countdown = k;
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                done = resect_edit_run(m, "cast", s, 3, NULL, &err);
                rs_hooks.malloc = malloc;
                rs_hooks.realloc = realloc;
                ck_assert_msg(done || err.code == RESECT_NOMEM, "allocation %ld: %s", k, err.msg);
                resect_model_free(m);
        }
        ck_assert_int_gt(k, begin + 200);
        free(bytes);
        snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
        unlink(path);
        snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
        unlink(path);
        rmdir(folder);
}
END_TEST

START_TEST(a_new_network_out_of_memory)
{
        const resect_setting s[] = {{"name", "resnet18"}, {"classes", "2"}};
        for (long k = 0; k < 400; k += k < 20 ? 1 : 37) {
                countdown = k;
                rs_hooks.malloc = failing_malloc;
                resect_model *m = resect_edit_create("new", s, 2, NULL, &err);
                rs_hooks.malloc = malloc;
                ck_assert(m != NULL || err.code == RESECT_NOMEM);
                resect_model_free(m);
        }
}
END_TEST

static const rs_node *
node_named(const resect_model *m, const char *output)
{
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                if (!strcmp(m->graph.nodes[i]->out[0], output))
                        return m->graph.nodes[i];
        return NULL;
}

/* Nodes and tensors that are in both: how many, and that they are the same bytes, payload and all.
 */
static void
same_bytes(const resect_model *a, const resect_model *b, size_t *nodes, size_t *tensors)
{
        *nodes = *tensors = 0;
        for (size_t i = 0; i < b->graph.n_nodes; i++) {
                const rs_node *n = b->graph.nodes[i], *old = node_named(a, n->out[0]);
                if (!old)
                        continue;
                ck_assert_msg(old->wire.size == n->wire.size &&
                                      !memcmp(old->wire.data, n->wire.data, n->wire.size),
                        "node %s changed", n->name);
                ++*nodes;
        }
        for (size_t i = 0; i < b->graph.n_tensors; i++)
                for (size_t k = 0; k < a->graph.n_tensors; k++) {
                        const rs_tensor *t = b->graph.tensors[i], *old = a->graph.tensors[k];
                        if (strcmp(t->name, old->name))
                                continue;
                        ck_assert_msg(old->wire.size == t->wire.size &&
                                              !memcmp(old->wire.data, t->wire.data, t->wire.size),
                                "tensor %s changed", t->name);
                        ++*tensors;
                }
}

START_TEST(the_rest_keeps_its_bytes)
{
        static const struct {
                const char *name;
                resect_setting setting;
                int nodes, tensors; /* fewer than before */
        } cases[] = {{"freeze", {"all-but-head", NULL}, 0, 0}, {"strip", {"to", "maps"}, 3, 2},
                {"edit", {"softmax", NULL}, 0, 0}, {"edit", {"rename", "output=y"}, 1, 0},
                {"edit", {"strip-docs", NULL}, 0, 0}};
        const form f = {.blocks = {1, 2}, .width = 4};
        size_t n, nodes, tensors;
        unsigned char *bytes = bytes_of(&f, &n);
        resect_model *before = resect_model_read_memory(bytes, n, NULL, &err);
        resect_model *m = resect_model_read_memory(bytes, n, NULL, &err);
        ck_assert(before && m);
        CK_OK(resect_model_set_meta(m, "somebody.else", "keeps this", &err), err);
        CK_OK(resect_edit_run(m, cases[_i].name, &cases[_i].setting, 1, NULL, &err), err);
        CK_OK(resect_model_write(m, "test_edit_bytes.onnx", &err), err);
        resect_model *after = resect_model_read("test_edit_bytes.onnx", NULL, &err);
        CK_OK(after != NULL, err);
        unlink("test_edit_bytes.onnx");
        same_bytes(before, after, &nodes, &tensors);
        ck_assert_uint_eq(nodes, before->graph.n_nodes - (size_t)cases[_i].nodes);
        ck_assert_uint_eq(tensors, before->graph.n_tensors - (size_t)cases[_i].tensors);
        ck_assert_str_eq(resect_model_meta(after, "somebody.else"), "keeps this");
        resect_model_free(before);
        resect_model_free(m);
        resect_model_free(after);
        free(bytes);
}
END_TEST

/* Settings that are none: ARG, and words that name them. */
START_TEST(wrong_settings)
{
        static const struct {
                const char *name;
                resect_setting settings[2];
                size_t n;
                const char *says;
        } cases[] = {
                {"strip", {{"to", "nowhere"}}, 1, "nowhere"},
                {"strip", {{"depth", "3"}}, 1, "no option --depth"},
                {"strip", {{"to", NULL}}, 1, "an argument"},
                {"freeze", {{"thaw", "yes"}}, 1, "no argument"},
                {"freeze", {{"until", "layer9"}}, 1, "layer9; the parts are stem, layer1, layer2"},
                {"freeze", {{"until", "layer2.7"}}, 1, "layer2.0 to layer2.1"},
                {"freeze", {{"match", "nothing*"}}, 1, "nothing*"},
                {"head", {{"classes", "0"}}, 1, "\"0\""},
                {"head", {{"classes", "3x"}}, 1, "3x"},
                {"head", {{"classes", "3"}, {"classes", "4"}}, 2, "twice"},
                {"head", {{"classes", "3"}, {"dropout", "1.5"}}, 2, "1.5"},
                {"head", {{"labels", "/nowhere/at/all"}}, 1, "/nowhere/at/all"},
                {"truncate", {{"drop", "layer2.0"}}, 1, "these can go: layer1.0, layer2.1"},
                {"truncate", {{"drop", "layer5.0"}}, 1, "layer5.0"},
                {"reset", {{"match", "*"}, {"from", "layer1"}}, 2, "--from"},
                {"edit", {{"extract", "nonsense"}}, 1, "IN"},
                {"edit", {{"extract", ":outputt"}}, 1, "the nearest is output"},
                {"edit", {{"rename", "a=b"}}, 1, "a"},
                {"edit", {{"opset", "99"}}, 1, "99"},
                {"edit", {{NULL, NULL}}, 0, "edit what?"},
                {"pack", {{"out", "x.gz"}}, 1, "x.gz"},
                {"pack", {{NULL, NULL}}, 0, "--out"},
                {"nonsuch", {{NULL, NULL}}, 0, "nonsuch"},
        };
        const form f = {.blocks = {1, 2}, .width = 2, .size = 16};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                resect_model *m = form_make(&f, 1);
                ck_assert_msg(!resect_edit_run(
                                      m, cases[i].name, cases[i].settings, cases[i].n, NULL, &err),
                        "case %zu", i);
                ck_assert_msg(strstr(err.msg, cases[i].says) != NULL, "case %zu: %s", i, err.msg);
                ck_assert_msg(
                        err.code == RESECT_ARG || err.code == RESECT_GRAPH || err.code == RESECT_IO,
                        "case %zu: %s", i, resect_code_name(err.code));
                resect_model_free(m);
        }
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("edit out of memory");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 600);
        tcase_add_loop_test(c, every_allocation_fails, 0, 2 * N_RUNS);
        tcase_add_loop_test(c, eight_bits_out_of_memory, 0, 2);
        tcase_add_test(c, a_new_network_out_of_memory);
        tcase_add_loop_test(c, the_rest_keeps_its_bytes, 0, 5);
        tcase_add_test(c, wrong_settings);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
