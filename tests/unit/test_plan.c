/* SPDX-License-Identifier: 0BSD */
/*
 * Plan and exec on a small residual net with everything that matters: BatchNormalization to fold,
 * two branches, a projection, a pool, a head. Fused against unfused, any number of threads, blocks
 * that may not overlap, gradients against finite differences, frozen parts that stay, statistics
 * that move as ONNX says.
 */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "exec/exec.h"
#include "plan/plan.h"

static resect_error err;

static rs_tensor *
tensor(resect_model *m, const char *name, int rank, const int64_t *dims, double scale, double shift)
{
        rs_tensor *t = rs_model_add_tensor(m, name, RESECT_FLOAT, rank, dims, &err);
        ck_assert_ptr_nonnull(t);
        float *x = (void *)(uintptr_t)t->data.data;
        for (size_t i = 0; i < t->count; i++)
                x[i] = (float)(scale * rs_normal(1, rs_stream(name, 0, 0), i) + shift);
        return t;
}

static rs_node *
node(resect_model *m, const char *op, const char *out, const char *a, const char *b, const char *c)
{
        const char *in[] = {a, b, c};
        rs_node *n = rs_model_add_node(m, op, out, in, c ? 3 : b ? 2 : 1, &out, 1, &err);
        ck_assert_ptr_nonnull(n);
        return n;
}

static void
conv(resect_model *m, const char *out, const char *in, int64_t from, int64_t to, int64_t k,
        int64_t stride)
{
        char w[64];
        snprintf(w, sizeof w, "%s.weight", out);
        tensor(m, w, 4, (int64_t[]){to, from, k, k}, sqrt(2.0 / (double)(from * k * k)), 0);
        rs_node *n = node(m, "Conv", out, in, w, NULL);
        CK_OK(rs_node_set_ints(m, n, "strides", (int64_t[]){stride, stride}, 2, &err), err);
        CK_OK(rs_node_set_ints(m, n, "pads", (int64_t[]){k / 2, k / 2, k / 2, k / 2}, 4, &err),
                err);
}

static void
norm(resect_model *m, const char *out, const char *in, int64_t channels)
{
        char name[4][64];
        const char *ins[5] = {in, name[0], name[1], name[2], name[3]};
        static const char *const suffix[] = {"weight", "bias", "running_mean", "running_var"};
        for (int i = 0; i < 4; i++) {
                snprintf(name[i], sizeof name[i], "%s.%s", out, suffix[i]);
                tensor(m, name[i], 1, &channels, i == 3 ? 0.05 : 0.2, i == 0 || i == 3);
        }
        ck_assert_ptr_nonnull(
                rs_model_add_node(m, "BatchNormalization", out, ins, 5, &out, 1, &err));
}

/* x [N, 3, 8, 8] -> stem -> a block with a projection -> pool -> logits [N, 4] */
static resect_model *
net(void)
{
        resect_model *m = rs_model_new(&err);
        ck_assert_ptr_nonnull(m);
        m->ir_version = 8;
        m->opsets = RS_NEW(&m->arena, 1, rs_opset, &err);
        m->opsets[0] = (rs_opset){"", 17};
        m->n_opsets = 1;
        rs_value *in = rs_model_make_value(m, "x", RESECT_FLOAT, 4, (int64_t[]){-1, 3, 8, 8},
                (const char *[]){"N", 0, 0, 0}, &err);
        CK_OK(rs_array_push(m, (void ***)&m->graph.inputs, &m->graph.n_inputs, in, &err), err);
        conv(m, "stem", "x", 3, 6, 3, 1);
        norm(m, "stem.bn", "stem", 6);
        node(m, "Relu", "stem.out", "stem.bn", NULL, NULL);
        conv(m, "c1", "stem.out", 6, 5, 3, 2);
        norm(m, "b1", "c1", 5);
        node(m, "Relu", "r1", "b1", NULL, NULL);
        conv(m, "c2", "r1", 5, 7, 3, 1);
        norm(m, "b2", "c2", 7);
        conv(m, "proj", "stem.out", 6, 7, 1, 2);
        norm(m, "bp", "proj", 7);
        node(m, "Add", "sum", "b2", "bp", NULL);
        node(m, "Relu", "block", "sum", NULL, NULL);
        node(m, "GlobalAveragePool", "pool", "block", NULL, NULL);
        node(m, "Flatten", "features", "pool", NULL, NULL);
        tensor(m, "fc.weight", 2, (int64_t[]){4, 7}, 0.5, 0);
        tensor(m, "fc.bias", 1, (int64_t[]){4}, 0.5, 0);
        rs_node *fc = node(m, "Gemm", "logits", "features", "fc.weight", "fc.bias");
        CK_OK(rs_node_set_int(m, fc, "transB", 1, &err), err);
        rs_value *out = rs_model_make_value(
                m, "logits", RESECT_FLOAT, 2, (int64_t[]){-1, 4}, (const char *[]){"N", 0}, &err);
        CK_OK(rs_array_push(m, (void ***)&m->graph.outputs, &m->graph.n_outputs, out, &err), err);
        return m;
}

static resect_tensor
picture(int64_t n)
{
        resect_tensor x;
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4, (int64_t[]){n, 3, 8, 8}, &err), err);
        for (int64_t i = 0; i < resect_tensor_count(&x); i++)
                ((float *)x.data)[i] = (float)rs_normal(5, 6, (uint64_t)i);
        return x;
}

struct machine {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor x, y;
};

static struct machine
machine(resect_model *m, int64_t n, resect_plan_options o)
{
        o.kernels = RESECT_KERNELS_REFERENCE; /* whose steps and bits these tests know */
        struct machine k = {.x = picture(n)};
        resect_binding b = {.name = "x", .tensor = k.x};
        o.inputs = &b;
        o.n_inputs = 1;
        k.plan = resect_plan_make(m, &o, &err);
        ck_assert_msg(k.plan, "%s", err.msg);
        k.exec = resect_exec_make(k.plan, &err);
        ck_assert_msg(k.exec, "%s", err.msg);
        CK_OK(resect_exec_run(k.exec, &k.x, &k.y, &err), err);
        return k;
}

static void
demolish(struct machine *k)
{
        resect_exec_free(k->exec);
        resect_plan_free(k->plan);
        resect_tensor_free(&k->x);
}

START_TEST(fused_equals_unfused)
{
        resect_model *m = net();
        struct machine a = machine(m, 3, (resect_plan_options){0}),
                       b = machine(m, 3, (resect_plan_options){.no_fusion = true});
        resect_difference d;
        CK_OK(resect_tensor_compare(&a.y, &b.y, 1e-5, 1e-6, &d, &err), err);
        ck_assert_int_eq(d.unequal, 0);
        ck_assert_int_eq(d.count, 12);
        /* 4 Convs with all that follows, pool, Flatten, Gemm */
        ck_assert_uint_eq(resect_plan_step_count(a.plan), 7);
        ck_assert_uint_eq(resect_plan_step_count(b.plan), m->graph.n_nodes);
        static const char *const fused[] = {"bn+relu", "bn+relu", "bn", "bn+add+relu", "", "", ""};
        resect_step s;
        for (size_t i = 0; resect_plan_step(a.plan, i, &s); i++)
                ck_assert_str_eq(s.fused, fused[i]);
        demolish(&a);
        demolish(&b);
        resect_model_free(m);
}
END_TEST

START_TEST(a_wanted_value_is_not_fused_away)
{
        resect_model *m = net();
        const char *want[] = {"b1", "logits"};
        resect_binding b = {.name = "x", .tensor = picture(2)};
        resect_plan_options o = {.inputs = &b, .n_inputs = 1, .outputs = want, .n_outputs = 2};
        resect_plan *p = resect_plan_make(m, &o, &err);
        ck_assert_msg(p, "%s", err.msg);
        const char *name;
        resect_tensor shape;
        ck_assert(resect_plan_output(p, 0, &name, &shape));
        ck_assert_str_eq(name, "b1");
        ck_assert_int_eq(shape.dims[1], 5);
        ck_assert_int_eq(shape.dims[2], 4);
        resect_plan_free(p);
        o.outputs = (const char *[]){"nonsense"};
        o.n_outputs = 1;
        ck_assert_ptr_null(resect_plan_make(m, &o, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        o.outputs = (const char *[]){"features"};
        o.n_inputs = 0;
        ck_assert_ptr_null(resect_plan_make(m, &o, &err));
        ck_assert_str_eq(err.msg, "input 'x' is not given");
        resect_tensor_free(&b.tensor);
        resect_model_free(m);
}
END_TEST

/* A cut: the second half of the graph run on the first half's result gives what the whole gives. */
START_TEST(cut_in_two)
{
        resect_model *m = net();
        struct machine whole = machine(m, 2, (resect_plan_options){0});
        const char *middle = "stem.out";
        struct machine first =
                machine(m, 2, (resect_plan_options){.outputs = &middle, .n_outputs = 1});
        resect_binding b = {.name = middle, .tensor = first.y};
        resect_plan_options o = {.inputs = &b, .n_inputs = 1, .kernels = RESECT_KERNELS_REFERENCE};
        resect_plan *p = resect_plan_make(m, &o, &err);
        ck_assert_msg(p, "%s", err.msg);
        resect_exec *e = resect_exec_make(p, &err);
        resect_tensor y;
        CK_OK(resect_exec_run(e, &first.y, &y, &err), err);
        ck_assert_mem_eq(y.data, whole.y.data, y.size);
        resect_exec_free(e);
        resect_plan_free(p);
        demolish(&whole);
        demolish(&first);
        resect_model_free(m);
}
END_TEST

static void
train_once(struct machine *k, const float *dy)
{
        resect_tensor d = k->y;
        d.data = (void *)(uintptr_t)dy;
        CK_OK(resect_exec_run(k->exec, &k->x, &k->y, &err), err);
        rs_exec_backward(k->exec, &d);
}

START_TEST(same_bits_for_any_threads)
{
        resect_model *m = net();
        float dy[12];
        for (int i = 0; i < 12; i++)
                dy[i] = (float)rs_normal(9, 9, (uint64_t)i);
        struct machine one = machine(m, 3, (resect_plan_options){.training = true, .threads = 1});
        train_once(&one, dy);
        static const int counts[] = {2, 3, 8};
        for (int i = 0; i < 3; i++) {
                struct machine k = machine(
                        m, 3, (resect_plan_options){.training = true, .threads = counts[i]});
                train_once(&k, dy);
                ck_assert_mem_eq(k.y.data, one.y.data, one.y.size);
                ck_assert_mem_eq(rs_exec_gradients(k.exec), rs_exec_gradients(one.exec),
                        rs_exec_parameters(one.exec)->count * sizeof(float));
                demolish(&k);
        }
        demolish(&one);
        resect_model_free(m);
}
END_TEST

static void
check_blocks(const resect_plan *p)
{
        ck_assert_uint_gt(p->n_blocks, 0);
        for (size_t i = 0; i < p->n_blocks; i++) {
                const rs_pblock *a = &p->blocks[i];
                ck_assert_int_le(a->from, a->to);
                ck_assert_uint_le(a->offset + a->bytes, p->slab_bytes);
                for (size_t j = 0; j < i; j++) {
                        const rs_pblock *b = &p->blocks[j];
                        bool together = a->from <= b->to && b->from <= a->to;
                        bool overlap = a->offset < b->offset + b->bytes &&
                                       b->offset < a->offset + a->bytes;
                        ck_assert_msg(!together || !overlap,
                                "blocks %zu and %zu live together and overlap", i, j);
                }
        }
}

START_TEST(living_blocks_do_not_overlap)
{
        resect_model *m = net();
        for (int training = 0; training < 2; training++) {
                struct machine k = machine(m, 4, (resect_plan_options){.training = training});
                size_t sum = 0;
                check_blocks(k.plan);
                for (size_t i = 0; i < k.plan->n_blocks; i++)
                        sum += k.plan->blocks[i].bytes;
                ck_assert_uint_lt(k.plan->slab_bytes, sum); /* something was shared */
                demolish(&k);
        }
        resect_model_free(m);
}
END_TEST

/* The loss <dy, logits> in double, at parameters moved by h along d. */
static double
loss_at(struct machine *k, const float *at, const float *d, double h, const float *dy)
{
        rs_slab *s = rs_exec_parameters(k->exec);
        for (size_t i = 0; i < s->count; i++)
                s->values[i] = (float)(at[i] + h * d[i]);
        CK_OK(resect_exec_run(k->exec, &k->x, &k->y, &err), err);
        double sum = 0;
        for (int i = 0; i < 12; i++)
                sum += (double)dy[i] * ((float *)k->y.data)[i];
        return sum;
}

/* Each piece's gradient along a random direction of its own, against a central difference. */
START_TEST(gradients_against_differences)
{
        resect_model *m = net();
        float dy[12];
        for (int i = 0; i < 12; i++)
                dy[i] = (float)rs_normal(3, 9, (uint64_t)i);
        struct machine k = machine(m, 3, (resect_plan_options){.training = true});
        train_once(&k, dy);
        rs_slab *s = rs_exec_parameters(k.exec);
        ck_assert_uint_eq(s->n_pieces, 14); /* 4 Convs, 4 x 2 of BatchNormalization, 2 of Gemm */
        float *at = malloc(s->count * sizeof *at), *d = malloc(s->count * sizeof *d);
        memcpy(at, s->values, s->count * sizeof *at);
        for (size_t i = 0; i < s->n_pieces; i++) {
                double along = 0, size = 0;
                memset(d, 0, s->count * sizeof *d);
                for (size_t j = 0; j < s->pieces[i].count; j++) {
                        size_t q = s->pieces[i].offset + j;
                        d[q] = (float)rs_normal(4, i, j);
                        along += (double)d[q] * rs_exec_gradients(k.exec)[q];
                        size += fabs((double)d[q] * rs_exec_gradients(k.exec)[q]);
                }
                double h = 1e-3,
                       numeric = (loss_at(&k, at, d, h, dy) - loss_at(&k, at, d, -h, dy)) / (2 * h);
                ck_assert_msg(fabs(numeric - along) <= 2e-2 * size + 2e-3,
                        "%s: %g by differences, %g by backward", s->pieces[i].name, numeric, along);
        }
        free(at);
        free(d);
        demolish(&k);
        resect_model_free(m);
}
END_TEST

static const rs_piece *
piece(const rs_slab *s, const char *name)
{
        for (size_t i = 0; i < s->n_pieces; i++)
                if (!strcmp(s->pieces[i].name, name))
                        return &s->pieces[i];
        return NULL;
}

START_TEST(frozen_parts_are_in_no_slab)
{
        resect_model *m = net();
        static const char *const frozen[] = {"stem.weight", "stem.bn.weight", "stem.bn.bias",
                "stem.bn.running_mean", "stem.bn.running_var"};
        for (int i = 0; i < 5; i++)
                CK_OK(rs_model_set_frozen(m, frozen[i], true, &err), err);
        struct machine k = machine(m, 3, (resect_plan_options){.training = true});
        ck_assert_uint_eq(rs_exec_parameters(k.exec)->n_pieces, 11);
        ck_assert_uint_eq(rs_exec_statistics(k.exec)->n_pieces, 6);
        for (int i = 0; i < 5; i++)
                ck_assert(!piece(rs_exec_parameters(k.exec), frozen[i]) &&
                          !piece(rs_exec_statistics(k.exec), frozen[i]));
        for (size_t i = 0; i < k.plan->n_steps && strcmp(k.plan->steps[i].node->name, "c1"); i++)
                ck_assert(!k.plan->steps[i].backward); /* nothing before the first trained Conv */
        demolish(&k);
        rs_arena a = {0};
        const char **names;
        size_t n;
        CK_OK(rs_frontier(m, &a, &names, &n, &err), err);
        ck_assert_uint_eq(n, 1);
        ck_assert_str_eq(names[0], "stem.out");
        for (int i = 0; i < 5; i++)
                CK_OK(rs_model_set_frozen(m, frozen[i], false, &err), err);
        CK_OK(rs_frontier(m, &a, &names, &n, &err), err);
        ck_assert_uint_eq(n, 0);
        rs_arena_free(&a);
        resect_model_free(m);
}
END_TEST

START_TEST(statistics_move_as_onnx_says)
{
        resect_model *m = net();
        for (int unbiased = 0; unbiased < 2; unbiased++) {
                struct machine k = machine(
                        m, 2, (resect_plan_options){.training = true, .bn_unbiased = unbiased});
                /* the stem Conv's output, by an inference plan, gives the batch statistics that the
                 * first run must have seen */
                const char *want = "stem";
                struct machine s =
                        machine(m, 2, (resect_plan_options){.outputs = &want, .n_outputs = 1});
                const rs_slab *stats = rs_exec_statistics(k.exec);
                const float *mean = stats->values + piece(stats, "stem.bn.running_mean")->offset;
                const float *var = stats->values + piece(stats, "stem.bn.running_var")->offset;
                for (int c = 0; c < 6; c++) {
                        double sum = 0, square = 0, n = 2 * 64;
                        for (int i = 0; i < 2; i++)
                                for (int j = 0; j < 64; j++)
                                        sum += ((float *)s.y.data)[(i * 6 + c) * 64 + j];
                        for (int i = 0; i < 2; i++)
                                for (int j = 0; j < 64; j++)
                                        square += pow(
                                                ((float *)s.y.data)[(i * 6 + c) * 64 + j] - sum / n,
                                                2);
                        double old_mean =
                                (float)(0.2 * rs_normal(1, rs_stream("stem.bn.running_mean", 0, 0),
                                                      (uint64_t)c));
                        double old_var =
                                (float)(0.05 * rs_normal(1, rs_stream("stem.bn.running_var", 0, 0),
                                                       (uint64_t)c) +
                                        1);
                        ck_assert_double_eq_tol(mean[c], 0.9 * old_mean + 0.1 * sum / n, 1e-6);
                        ck_assert_double_eq_tol(
                                var[c], 0.9 * old_var + 0.1 * square / (n - unbiased), 1e-6);
                }
                demolish(&s);
                demolish(&k);
        }
        resect_model_free(m);
}
END_TEST

START_TEST(share_refresh_store)
{
        resect_model *m = net();
        struct machine k = machine(m, 3, (resect_plan_options){.training = true});
        resect_tensor x2 = picture(2), y;
        resect_binding b = {.name = "x", .tensor = x2};
        resect_plan_options o = {.inputs = &b, .n_inputs = 1, .training = true};
        resect_plan *p = resect_plan_make(m, &o, &err);
        resect_exec *e = rs_exec_sharing(p, k.exec, &err);
        ck_assert_msg(e, "%s", err.msg);
        ck_assert_ptr_eq(rs_exec_parameters(e)->values, rs_exec_parameters(k.exec)->values);
        CK_OK(resect_exec_run(e, &x2, &y, &err), err);
        resect_exec_free(e);
        resect_plan_free(p);
        /* move the parameters; a refreshed inference exec and one made from the stored model agree,
         * bit for bit */
        struct machine eval = machine(m, 3, (resect_plan_options){0});
        rs_slab *s = rs_exec_parameters(k.exec);
        for (size_t i = 0; i < s->count; i++)
                s->values[i] *= 1.25f;
        CK_OK(rs_exec_refresh(eval.exec, k.exec, &err), err);
        CK_OK(resect_exec_run(eval.exec, &eval.x, &eval.y, &err), err);
        CK_OK(rs_exec_store(k.exec, m, &err), err);
        struct machine stored = machine(m, 3, (resect_plan_options){0});
        ck_assert_mem_eq(stored.y.data, eval.y.data, stored.y.size);
        demolish(&stored);
        demolish(&eval);
        demolish(&k);
        resect_tensor_free(&x2);
        resect_model_free(m);
}
END_TEST

UNIT_MAIN("plan", fused_equals_unfused, a_wanted_value_is_not_fused_away, cut_in_two,
        same_bits_for_any_threads, living_blocks_do_not_overlap, gradients_against_differences,
        frozen_parts_are_in_no_slab, statistics_move_as_onnx_says, share_refresh_store)
