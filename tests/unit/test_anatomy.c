/* SPDX-License-Identifier: 0BSD */
/* The anatomy on every form that exporters write, and its numbers against the published ones. */
#include "unit.h"

#include <string.h>
#include "forms.h"
#include "look/anatomy.h"

static resect_error err;

/* Every form is built with the canonical names, so that finding them is a matter of comparing each
 * with itself. */
static void
names_are_canonical(const resect_anatomy *a, const form *f)
{
        const rs_graph *g = &a->model->graph;
        for (size_t i = 0; i < g->n_tensors; i++) {
                const char *name = g->tensors[i]->name,
                           *canonical = resect_anatomy_tensor_canonical(a, name);
                const char *part = resect_anatomy_tensor_part(a, name);
                size_t n = part ? strlen(part) : 0;
                if (!strncmp(name, "shared_", 7) || !strncmp(name, "zeros_", 6)) {
                        ck_assert_msg(!canonical || f->blocks[0] < 2, "%s is shared, not %s", name,
                                canonical);
                        continue;
                }
                if (g->tensors[i]->dtype == RESECT_INT64 || !strncmp(name, "zero", 4))
                        continue;
                if (f->quant != QUANT_NONE && (strstr(name, "_scale") || strstr(name, "_point"))) {
                        ck_assert_msg(!canonical, "%s is taken for %s", name, canonical);
                        continue;
                }
                if (strstr(name, ".se.")) {
                        ck_assert_ptr_null(canonical);
                        ck_assert(part && !strncmp(name, part, n) && n >= 8);
                } else if (!strncmp(name, "bn_data", 7)) {
                        ck_assert_str_eq(part, "stem.bn0");
                        ck_assert(canonical && !strncmp(canonical, "bn0.", 4));
                } else {
                        ck_assert_msg(canonical && !strcmp(canonical, name),
                                "%s is taken for %s (%s)", name, canonical ? canonical : "nothing",
                                part ? part : "no part");
                }
                if (!strncmp(name, "layer", 5))
                        ck_assert_msg(part && !strncmp(name, part, n),
                                "%s is taken for a part of %s", name, part ? part : "nothing");
                if (!strncmp(name, "fc.", 3))
                        ck_assert_str_eq(part, "head");
        }
}

static resect_anatomy *
look(const form *f, resect_model **m)
{
        *m = form_make(f, 1);
        resect_anatomy *a = resect_anatomy_find(*m, &err);
        CK_OK(a != NULL, err);
        return a;
}

/* Checks that hold for every form, whatever it looks like. */
static void
check(const form *f, const char *variant)
{
        resect_model *m;
        resect_anatomy *a = look(f, &m);
        const resect_summary *s = resect_anatomy_summary(a);
        size_t blocks = 0, stages = 0;
        for (; f->blocks[stages]; stages++)
                blocks += (size_t)f->blocks[stages];
        ck_assert_uint_eq(s->n_blocks, blocks);
        ck_assert_uint_eq(s->n_stages, stages);
        ck_assert_str_eq(s->variant, variant);
        size_t k = 0;
        for (size_t i = 0; i < stages; i++)
                for (int b = 0; b < f->blocks[i]; b++) {
                        const resect_block *p = resect_anatomy_block(a, k++);
                        char name[32];
                        snprintf(name, sizeof name, "layer%zu.%d", i + 1, b);
                        ck_assert_str_eq(p->name, name);
                        ck_assert_int_eq(p->kind, f->bottleneck ? RESECT_BOTTLENECK : RESECT_BASIC);
                        ck_assert_int_eq(p->preactivation, f->v2);
                        ck_assert_int_eq(p->out_channels,
                                ((f->width ? f->width : 8) << i) * (f->bottleneck ? 4 : 1));
                        ck_assert_int_gt(p->height, 0);
                        ck_assert_uint_gt(p->parameters, 0);
                        ck_assert_uint_gt(p->macs, 0);
                }
        ck_assert_int_eq(s->nhwc, f->nhwc);
        ck_assert_int_eq(s->in_channels, 3);
        ck_assert_int_eq(s->in_height, f->size ? f->size : 32);
        ck_assert_int_eq(s->bn_folded, f->bn == BN_FOLDED);
        ck_assert_int_eq(s->has_pool, f->pool != POOL_NONE);
        ck_assert_int_eq(s->has_head, f->affine != AFFINE_NONE);
        ck_assert_int_eq(s->has_softmax, f->end != END_LOGITS);
        const resect_block *last = resect_anatomy_block(a, blocks - 1);
        ck_assert_int_eq(s->n_features, last->out_channels);
        if (s->has_head) {
                ck_assert_int_eq(s->n_classes, f->classes ? f->classes : 10);
                if (f->end == END_LOGITS)
                        ck_assert_str_eq(s->logits, "output");
                else
                        ck_assert_str_eq(a->tail.softmax->in[0], s->logits);
                ck_assert_uint_eq(a->tail.affine.n, 1);
        } else {
                ck_assert_str_eq(s->features, "output");
        }
        ck_assert_str_eq(last->output, a->tail.norm.n ? a->tail.norm.at[0]->in[0] : a->tail.maps);
        names_are_canonical(a, f);
        resect_anatomy_free(a);
        resect_model_free(m);
}

START_TEST(variants)
{
        check(&(form){.blocks = {2, 2, 2, 2}}, "v1");
        check(&(form){.blocks = {1, 2, 2, 1}, .bottleneck = true}, "v1.5");
        check(&(form){.blocks = {1, 2, 2, 1}, .bottleneck = true, .stride = STRIDE_V1}, "v1");
        check(&(form){.blocks = {2, 3, 2, 2}, .bottleneck = true, .stride = STRIDE_SLIM},
                "v1-slim");
        check(&(form){.blocks = {2, 2, 3, 2}, .bottleneck = true, .v2 = true}, "v2");
        check(&(form){.blocks = {2, 2, 3, 2},
                      .bottleneck = true,
                      .v2 = true,
                      .stride = STRIDE_SLIM},
                "v2");
        check(&(form){.blocks = {2, 2, 3, 2}, .bottleneck = true, .v2 = true, .bn = BN_FOLDED},
                "v2");
        check(&(form){.blocks = {2, 2, 2}, .v2 = true, .stem = STEM_CIFAR, .width = 16}, "v2");
        check(&(form){.blocks = {1, 2, 1, 1}, .bottleneck = true, .stem = STEM_DEEP}, "v1.5-c");
        check(&(form){.blocks = {1, 2, 1, 1},
                      .bottleneck = true,
                      .stem = STEM_DEEP,
                      .shortcut = SHORTCUT_AVGPOOL},
                "v1.5-d");
        check(&(form){.blocks = {1, 2, 1, 1}, .bottleneck = true, .stem = STEM_DEEP_WIDE},
                "v1.5-s");
        check(&(form){.blocks = {1, 1, 1}, .stem = STEM_CIFAR, .width = 16}, "v1");
        check(&(form){.blocks = {2, 2, 2}, .stem = STEM_CIFAR, .width = 16, .shortcut = SHORTCUT_A},
                "v1");
        check(&(form){.blocks = {2, 2, 2},
                      .stem = STEM_CIFAR,
                      .width = 16,
                      .shortcut = SHORTCUT_CONCAT,
                      .fixed_batch = true},
                "v1");
}
END_TEST

START_TEST(exporters)
{
        check(&(form){.blocks = {2, 2, 2, 2}, .bn = BN_FOLDED, .fixed_batch = true},
                "v1"); /* TorchScript */
        check(&(form){.blocks = {2, 2, 2, 2},
                      .bn = BN_KEPT_ZERO_BIAS,
                      .pool = POOL_MEAN_INPUT,
                      .squeeze = SQUEEZE_DYNAMIC},
                "v1"); /* dynamo */
        check(&(form){.blocks = {2, 2, 2, 2}, .identity = true}, "v1");
        check(&(form){.blocks = {1, 2, 2, 1},
                      .bottleneck = true,
                      .sum = true,
                      .pool = POOL_AVERAGE,
                      .squeeze = SQUEEZE_RESHAPE,
                      .end = END_SOFTMAX,
                      .listed = true,
                      .opset = 8},
                "v1.5"); /* Caffe2 */
        check(&(form){.blocks = {1, 2, 2, 1},
                      .bottleneck = true,
                      .stride = STRIDE_V1,
                      .listed = true,
                      .data_bn = true,
                      .opset = 7},
                "v1"); /* MXNet */
        check(&(form){.blocks = {1, 2, 2, 1},
                      .bottleneck = true,
                      .stride = STRIDE_V1,
                      .bn = BN_FOLDED,
                      .nhwc = true,
                      .pads = true,
                      .squeeze = SQUEEZE_SQUEEZE,
                      .affine = AFFINE_MATMUL,
                      .end = END_SOFTMAX},
                "v1"); /* tf2onnx */
        check(&(form){.blocks = {2, 2, 2, 2}, .se = true, .bottleneck = true, .unsorted = true},
                "v1.5");
        check(&(form){.blocks = {2, 2, 2, 2},
                      .bottleneck = true,
                      .v2 = true,
                      .squeeze = SQUEEZE_NONE,
                      .affine = AFFINE_CONV},
                "v2"); /* timm */
}
END_TEST

START_TEST(tails)
{
        form f = {.blocks = {1, 1}};
        for (f.pool = POOL_GLOBAL; f.pool < POOL_NONE; f.pool++)
                for (f.squeeze = SQUEEZE_FLATTEN; f.squeeze <= SQUEEZE_NONE; f.squeeze++)
                        for (f.affine = AFFINE_GEMM; f.affine <= AFFINE_NONE; f.affine++) {
                                bool flat = f.squeeze != SQUEEZE_NONE || f.pool == POOL_MEAN_ATTR ||
                                            f.pool == POOL_MEAN_INPUT;
                                if (flat == (f.affine == AFFINE_CONV) && f.affine != AFFINE_NONE)
                                        continue;
                                for (f.end = END_LOGITS;
                                        f.end <=
                                        (f.affine == AFFINE_NONE ? END_LOGITS : END_LOG_SOFTMAX);
                                        f.end++) {
                                        f.dropout = f.end == END_LOG_SOFTMAX;
                                        f.opset = f.squeeze == SQUEEZE_SQUEEZE &&
                                                                  f.pool == POOL_GLOBAL
                                                          ? 11
                                                          : 0;
                                        check(&f, "v1");
                                }
                        }
        check(&(form){.blocks = {1, 1}, .pool = POOL_NONE, .affine = AFFINE_NONE}, "v1");
        check(&(form){.blocks = {1, 1}, .v2 = true, .pool = POOL_NONE, .affine = AFFINE_NONE},
                "v2");
        check(&(form){.blocks = {1, 1}, .v2 = true, .affine = AFFINE_NONE}, "v2");
}
END_TEST

/* In 8 bits the same network is found as in float: every part and block, with the same sizes and
 * counts. */
static void
as_in_float(form f)
{
        resect_model *m8, *m;
        resect_anatomy *a8 = look(&f, &m8);
        f.quant = QUANT_NONE;
        resect_anatomy *a = look(&f, &m);
        const resect_summary *s8 = resect_anatomy_summary(a8), *s = resect_anatomy_summary(a);
        ck_assert_str_eq(s8->family, s->family);
        ck_assert_str_eq(s8->variant, s->variant);
        ck_assert_int_eq(s8->n_features, s->n_features);
        ck_assert_int_eq(s8->n_classes, s->n_classes);
        ck_assert_uint_eq(s8->n_conv, s->n_conv);
        ck_assert_uint_eq(s8->parameters, s->parameters);
        ck_assert_uint_eq(s8->macs, s->macs);
        ck_assert(!s8->trainable);
        ck_assert_uint_eq(resect_anatomy_part_count(a8), resect_anatomy_part_count(a));
        for (size_t i = 0; i < resect_anatomy_part_count(a); i++) {
                const resect_part *p8 = resect_anatomy_part(a8, i), *p = resect_anatomy_part(a, i);
                ck_assert_str_eq(p8->name, p->name);
                ck_assert_msg(p8->channels == p->channels && p8->height == p->height &&
                                      p8->width == p->width && p8->blocks == p->blocks &&
                                      p8->parameters == p->parameters && p8->macs == p->macs,
                        "%s: %lld x %lld x %lld, %d blocks, %llu parameters, %llu MACs", p->name,
                        (long long)p8->channels, (long long)p8->height, (long long)p8->width,
                        p8->blocks, (unsigned long long)p8->parameters,
                        (unsigned long long)p8->macs);
        }
        for (size_t i = 0; i < s->n_blocks; i++) {
                const resect_block *b8 = resect_anatomy_block(a8, i),
                                   *b = resect_anatomy_block(a, i);
                ck_assert_str_eq(b8->name, b->name);
                ck_assert_msg(b8->kind == b->kind && b8->preactivation == b->preactivation &&
                                      b8->downsample == b->downsample && b8->stride == b->stride &&
                                      b8->in_channels == b->in_channels &&
                                      b8->out_channels == b->out_channels &&
                                      b8->height == b->height && b8->width == b->width &&
                                      b8->parameters == b->parameters && b8->macs == b->macs,
                        "%s is another block in 8 bits", b->name);
        }
        resect_anatomy_free(a8);
        resect_anatomy_free(a);
        resect_model_free(m8);
        resect_model_free(m);
}

START_TEST(quantised)
{
        form f = {.bn = BN_FOLDED};
        for (f.quant = QUANT_QDQ_RELU; f.quant <= QUANT_QGEMM; f.quant++) {
                memcpy(f.blocks, (int[5]){2, 2, 2, 2}, sizeof f.blocks);
                f.bottleneck = false;
                check(&f, "v1");
                if (f.quant == QUANT_QGEMM) /* whose shapes are not inferred */
                        continue;
                as_in_float(f);
                memcpy(f.blocks, (int[5]){3, 4, 6, 3}, sizeof f.blocks);
                f.bottleneck = true;
                check(&f, "v1.5");
                as_in_float(f);
        }
}
END_TEST

static void
family(const form *f, const char *name)
{
        resect_model *m;
        resect_anatomy *a = look(f, &m);
        ck_assert_str_eq(resect_anatomy_summary(a)->family, name);
        resect_anatomy_free(a);
        resect_model_free(m);
}

START_TEST(families)
{
        family(&(form){.blocks = {2, 2, 2, 2}}, "resnet18");
        family(&(form){.blocks = {3, 4, 6, 3}}, "resnet34");
        family(&(form){.blocks = {3, 4, 6, 3}, .bottleneck = true}, "resnet50");
        family(&(form){.blocks = {3, 4, 23, 3}, .bottleneck = true}, "resnet101");
        family(&(form){.blocks = {3, 8, 36, 3}, .bottleneck = true}, "resnet152");
        family(&(form){.blocks = {3, 4, 23}, .bottleneck = true, .affine = AFFINE_NONE},
                "resnet101 up to layer3");
        family(&(form){.blocks = {3, 4, 7}, .bottleneck = true, .affine = AFFINE_NONE},
                "residual network");
        family(&(form){.blocks = {2, 2}, .affine = AFFINE_NONE}, "residual network");
        family(&(form){.blocks = {2, 2, 2, 2}, .bottleneck = true, .se = true}, "seresnet26");
        family(&(form){.blocks = {3, 3, 3}, .stem = STEM_CIFAR, .width = 16}, "resnet20");
        family(&(form){.blocks = {3, 3, 3},
                       .stem = STEM_CIFAR,
                       .width = 16,
                       .v2 = true,
                       .bottleneck = true},
                "resnet29");
        family(&(form){.blocks = {3, 4, 6, 3}, .bottleneck = true, .width = 64, .inner = 2},
                "wide_resnet50_2");
        family(&(form){.blocks = {3, 4, 6, 3},
                       .bottleneck = true,
                       .width = 64,
                       .inner = 2,
                       .groups = 32},
                "resnext50_32x4d");
        family(&(form){.blocks = {0}, .stem = STEM_CIFAR}, "not a residual network");
}
END_TEST

/* Published: torchvision's ResNet-18 has 11,689,512 parameters and 1.814 G multiply-accumulates at
 * 224, ResNet-50 25,557,032 and 4.089. */
START_TEST(published_numbers)
{
        resect_model *m;
        resect_anatomy *a = look(
                &(form){.blocks = {2, 2, 2, 2}, .width = 64, .size = 224, .classes = 1000}, &m);
        const resect_summary *s = resect_anatomy_summary(a);
        ck_assert_uint_eq(s->parameters, 11689512);
        ck_assert_uint_eq(s->macs, 1814073344);
        ck_assert_uint_eq(s->n_conv, 20);
        ck_assert_uint_eq(s->n_bn, 20);
        uint64_t macs = 0, parameters = 0;
        for (size_t i = 0; i < resect_anatomy_part_count(a); i++) {
                macs += resect_anatomy_part(a, i)->macs;
                parameters += resect_anatomy_part(a, i)->parameters;
        }
        ck_assert_uint_eq(macs, s->macs);
        ck_assert_uint_eq(parameters, s->parameters);
        const resect_part *p = resect_anatomy_part(a, 2);
        ck_assert_str_eq(p->name, "layer2");
        ck_assert(p->channels == 128 && p->height == 28 && p->width == 28 && p->blocks == 2);
        ck_assert(s->trainable);
        resect_anatomy_free(a);
        resect_model_free(m);
        a = look(&(form){.blocks = {3, 4, 6, 3},
                         .bottleneck = true,
                         .width = 64,
                         .size = 224,
                         .classes = 1000},
                &m);
        ck_assert_uint_eq(resect_anatomy_summary(a)->parameters, 25557032);
        ck_assert_uint_eq(resect_anatomy_summary(a)->macs, 4089184256);
        resect_anatomy_free(a);
        resect_model_free(m);
}
END_TEST

/* What edits cut by: the pieces of a block lie where they should. */
START_TEST(insides)
{
        resect_model *m;
        resect_anatomy *a = look(&(form){.blocks = {2, 2}, .bottleneck = true}, &m);
        const rs_ablock *b = rs_anatomy_block(a, "layer2.0");
        ck_assert_ptr_nonnull(b);
        ck_assert_ptr_eq(b, rs_anatomy_block(a, "layer2.0"));
        ck_assert_str_eq(rs_anatomy_last_block(a, "layer2")->pub.name, "layer2.1");
        ck_assert_str_eq(rs_anatomy_last_block(a, "layer2.0")->pub.name, "layer2.0");
        ck_assert_ptr_null(rs_anatomy_last_block(a, "layer3"));
        ck_assert_str_eq(b->input, rs_anatomy_block(a, "layer1.1")->output);
        ck_assert_str_eq(b->add->in[b->main_slot], b->main);
        ck_assert_str_eq(b->add->in[b->shortcut_slot], b->shortcut);
        ck_assert_str_eq(b->relu->in[0], b->sum);
        ck_assert_uint_eq(b->convs.n, 3);
        ck_assert_uint_eq(b->main_nodes.n, 8);
        ck_assert_uint_eq(b->shortcut_nodes.n, 2);
        ck_assert_uint_eq(b->nodes.n, 12);
        ck_assert(b->pub.downsample && b->pub.stride == 2 && b->pub.in_channels == 32);
        ck_assert_uint_eq(a->stem.n, 4);
        ck_assert_uint_eq(a->tail.squeeze.n, 1);
        ck_assert_uint_eq(a->tail.head.n, 1);
        resect_anatomy_free(a);
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

START_TEST(every_allocation_may_fail)
{
        struct rs_hooks old = rs_hooks;
        resect_model *m =
                form_make(&(form){.blocks = {1, 1}, .v2 = true, .squeeze = SQUEEZE_DYNAMIC}, 1);
        resect_anatomy *a = NULL;
        long k = 0;
        for (; !a && k < 2000; k++) {
                resect_error e = {0};
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                countdown = k;
                a = resect_anatomy_find(m, &e);
                rs_hooks = old;
                ck_assert_msg(a || e.code == RESECT_NOMEM, "allocation %ld: %s", k, e.msg);
        }
        ck_assert(a && k > 10);
        resect_anatomy_free(a);
        resect_model_free(m);
}
END_TEST

UNIT_MAIN("anatomy", variants, exporters, tails, quantised, families, published_numbers, insides,
        every_allocation_may_fail)
