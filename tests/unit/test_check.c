/* SPDX-License-Identifier: 0BSD */
/* The checker: nothing to say about the forms, and one finding for each thing that is broken. */
#include "unit.h"

#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/random.h"
#include "forms.h"
#include "resect/look.h"

static resect_error err;

struct findings {
        size_t n, fatal;
        char text[4096];
};

static void
note(void *ctx, const resect_finding *f)
{
        struct findings *all = ctx;
        size_t used = strlen(all->text);
        all->n++;
        all->fatal += f->fatal;
        snprintf(all->text + used, sizeof all->text - used, "%s %s: %s\n",
                f->fatal ? "error" : "warning", f->where, f->what);
}

/* Checks; frees the model. */
static struct findings
check(resect_model *m)
{
        struct findings f = {0};
        size_t errors;
        CK_OK(resect_model_check(m, note, &f, &errors, &err), err);
        ck_assert_uint_eq(errors, f.fatal);
        resect_model_free(m);
        return f;
}

/* One finding that says so. */
static void
finds(resect_model *m, bool fatal, const char *words)
{
        struct findings f = check(m);
        ck_assert_msg(f.n == 1 && (f.fatal == 1) == fatal && strstr(f.text, words),
                "want one '%s', have %zu:\n%s", words, f.n, f.text);
}

static resect_model *
plain(void)
{
        return form_make(&(form){.blocks = {1, 1}}, 1);
}

START_TEST(forms_are_sound)
{
        const form forms[] = {{.blocks = {2, 2, 2, 2}},
                {.blocks = {1, 2}, .bottleneck = true, .v2 = true, .bn = BN_FOLDED},
                {.blocks = {1, 1}, .listed = true, .sum = true, .opset = 8},
                {.blocks = {1, 1}, .nhwc = true, .pads = true},
                {.blocks = {1, 1}, .identity = true, .squeeze = SQUEEZE_DYNAMIC},
                {.blocks = {1, 1}, .se = true},
                {.blocks = {1, 1}, .pool = POOL_MEAN_INPUT, .bn = BN_KEPT_ZERO_BIAS},
                {.blocks = {1, 1},
                        .stem = STEM_CIFAR,
                        .shortcut = SHORTCUT_A,
                        .affine = AFFINE_MATMUL}};
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
                struct findings f = check(form_make(&forms[i], 1));
                ck_assert_msg(!f.n, "form %zu: %s", i, f.text);
        }
}
END_TEST

START_TEST(names)
{
        resect_model *m = plain();
        m->graph.nodes[3]->out[0] = m->graph.nodes[2]->out[0];
        struct findings f = check(m);
        ck_assert_ptr_nonnull(strstr(f.text, "is made by two nodes"));
        m = plain();
        m->graph.nodes[3]->out[0] = "conv1.weight";
        f = check(m);
        ck_assert_ptr_nonnull(
                strstr(f.text, "error conv1.weight: is an initializer and a node's output"));
        m = plain();
        ck_assert_ptr_nonnull(rs_model_add_tensor(
                m, "conv1.weight", RESECT_FLOAT, 4, m->graph.tensors[0]->dims, &err));
        finds(m, true, "conv1.weight: is the name of an initializer twice");
        m = plain();
        m->graph.outputs[0]->name = "nowhere";
        finds(m, true, "nowhere: is an output that nothing makes");
        m = plain();
        m->graph.n_outputs = 0;
        finds(m, true, "the graph has no outputs");
        m = plain();
        m->ir_version = 3;
        finds(m, true, "before IR version 4");
        m = plain();
        ck_assert_ptr_nonnull(
                rs_model_add_tensor(m, "idle", RESECT_FLOAT, 1, (int64_t[]){4}, &err));
        finds(m, false, "idle: 1 initializer is read by no node");
}
END_TEST

START_TEST(nodes)
{
        resect_model *m = plain();
        m->graph.nodes[0]->in[1] = "nowhere";
        struct findings f = check(m);
        ck_assert_ptr_nonnull(strstr(f.text, "n0: reads nowhere, which nothing makes"));
        finds(form_make(&(form){.blocks = {1, 1}, .unsorted = true}, 1), false,
                "nodes are not sorted");
        m = plain();
        m->graph.nodes[0]->in[0] = m->graph.nodes[5]->out[0];
        f = check(m);
        ck_assert_ptr_nonnull(strstr(f.text, "cycle"));
        m = plain();
        m->graph.nodes[1]->domain = "com.example";
        f = check(m);
        ck_assert_ptr_nonnull(
                strstr(f.text, "is of the domain \"com.example\", which is not imported"));
        m = plain();
        m->graph.nodes[0]->attrs[1].name = m->graph.nodes[0]->attrs[0].name;
        f = check(m);
        ck_assert_ptr_nonnull(strstr(f.text, "n0: attribute kernel_shape is given twice"));
        m = plain();
        m->n_opsets = 0;
        f = check(m);
        ck_assert_ptr_nonnull(strstr(f.text, "no operator set is imported"));
}
END_TEST

START_TEST(types)
{
        resect_model *m = plain();
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                if (!strcmp(m->graph.tensors[i]->name, "layer1.0.conv1.weight"))
                        CK_OK(rs_tensor_renew(
                                      m, m->graph.tensors[i], 4, (int64_t[]){8, 7, 3, 3}, &err),
                                err);
        struct findings f = check(m);
        ck_assert_msg(f.fatal >= 1 && strstr(f.text, "Conv: "), "%s", f.text);
        m = plain();
        rs_value *v = rs_model_make_value(
                m, "v1", RESECT_FLOAT, 4, (int64_t[]){-1, 8, 15, 16}, NULL, &err);
        ck_assert(v && rs_array_push(m, (void ***)&m->graph.values, &m->graph.n_values, v, &err));
        finds(m, true,
                "the value is declared float32 [?, 8, 15, 16], the nodes make float32 [?, 8, 16, "
                "16]");
        m = plain();
        m->graph.outputs[0]->dtype = RESECT_INT64;
        finds(m, true, "the output is declared int64");
}
END_TEST

START_TEST(external)
{
        char folder[] = "/tmp/resect-check-XXXXXX", path[64];
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/m.onnx", folder);
        resect_model *m = plain();
        rs_tensor *big = NULL;
        for (size_t i = 0; i < m->graph.n_tensors && !big; i++)
                if (m->graph.tensors[i]->bytes > 4000)
                        big = m->graph.tensors[i];
        big->where = RS_EXTERNAL;
        big->location = "w.bin";
        big->length = big->bytes;
        big->offset = 8;
        big->touched = true;
        size_t bytes = big->bytes;
        CK_OK(resect_model_write(m, path, &err), err);
        resect_model_free(m);
        for (int i = 0; i < 4; i++) {
                char data[64];
                snprintf(data, sizeof data, "%s/w.bin", folder);
                if (i) {
                        int fd = open(data, O_WRONLY | O_CREAT | O_TRUNC, 0600);
                        ck_assert(
                                fd >= 0 && !ftruncate(fd, (off_t)(bytes + (i == 1          ? 8
                                                                                  : i == 2 ? 7
                                                                                           : 20))));
                        close(fd);
                }
                m = resect_model_read(path, NULL, &err);
                CK_OK(m != NULL, err);
                if (i == 1) {
                        struct findings f = check(m);
                        ck_assert_msg(!f.n, "%s", f.text);
                } else {
                        finds(m, i < 3,
                                i == 0   ? "w.bin: external data of 1 tensor: "
                                : i == 2 ? "are wanted, the file w.bin has"
                                         : "belong to no tensor");
                }
                unlink(data);
        }
        unlink(path);
        rmdir(folder);
}
END_TEST

START_TEST(metadata)
{
        resect_model *m = plain();
        CK_OK(resect_model_set_meta(m, "resect.frozen", "conv1.weight\nnot there", &err), err);
        finds(m, false, "not there: 1 frozen name is no initializer");
        m = plain();
        CK_OK(resect_model_set_meta(m, "resect.digest",
                      "0000000000000000000000000000000000000000000000000000000000000000", &err),
                err);
        struct findings f = check(m);
        ck_assert_msg(f.fatal == 1, "%s", f.text);
}
END_TEST

/* Names turned round, nodes rewired: whatever can still be read is looked at without harm. The
   payloads are left alone: nobody here reads them. */
START_TEST(damage)
{
        const form forms[] = {{.blocks = {1}, .width = 2, .squeeze = SQUEEZE_DYNAMIC},
                {.blocks = {1, 1},
                        .width = 2,
                        .v2 = true,
                        .bottleneck = true,
                        .identity = true,
                        .pool = POOL_MEAN_INPUT}};
        size_t readable = 0;
        for (size_t k = 0; k < 2; k++) {
                resect_model *m = form_make(&forms[k], 1);
                for (size_t i = 0; i < m->graph.n_tensors;
                        i++) /* names of one letter: a flip often gives another one's */
                        CK_OK(rs_graph_rename(m, m->graph.tensors[i]->name,
                                      (char[]){(char)('A' + i % 26), (char)('a' + i / 26), 0},
                                      &err),
                                err);
                void *bytes;
                size_t size;
                CK_OK(resect_model_write_memory(m, &bytes, &size, &err), err);
                resect_model_free(m);
                unsigned char *b = bytes;
                for (uint64_t i = 0; i < 4000; i++) {
                        size_t at = (size_t)rs_below(k, 1, i, size);
                        unsigned char old = b[at];
                        b[at] = (unsigned char)(i % 2 ? old ^ 1u << i % 8 : rs_below(k, 2, i, 256));
                        m = resect_model_read_memory(bytes, size, NULL, &err);
                        b[at] = old;
                        if (!m)
                                continue;
                        readable++;
                        size_t errors;
                        struct findings f = {0};
                        ck_assert(resect_model_check(m, note, &f, &errors, &err) ||
                                  err.code != RESECT_OK);
                        resect_anatomy *a = resect_anatomy_find(m, &err);
                        ck_assert(a || err.code == RESECT_GRAPH);
                        resect_anatomy_free(a);
                        resect_model_free(m);
                }
                resect_free(bytes);
        }
        ck_assert_uint_gt(readable, 1000);
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

START_TEST(every_allocation_may_fail)
{
        struct rs_hooks old = rs_hooks;
        resect_model *m =
                form_make(&(form){.blocks = {1}, .unsorted = true, .squeeze = SQUEEZE_DYNAMIC}, 1);
        bool ok = false;
        long k = 0;
        for (; !ok && k < 2000; k++) {
                resect_error e = {0};
                size_t errors;
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                countdown = k;
                ok = resect_model_check(m, NULL, NULL, &errors, &e);
                rs_hooks = old;
                ck_assert_msg(ok || e.code == RESECT_NOMEM, "allocation %ld: %s", k, e.msg);
                ck_assert(!ok || !errors);
        }
        ck_assert(ok && k > 10);
        resect_model_free(m);
}
END_TEST

UNIT_MAIN("check", forms_are_sound, names, nodes, types, external, metadata, damage,
        every_allocation_may_fail)
