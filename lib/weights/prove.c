/* SPDX-License-Identifier: 0BSD */
/*
 * Whether two sets of weights say the same. A unit's function is W' x + b' with everything folded
 * in, whatever epsilon, bias or layout it is stored with; two units agree when these do. Values
 * that were only moved must agree to the bit. And where both are models, the models can be run.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "edit/run.h"
#include "io/bulk.h"
#include "tensor/dtype.h"
#include "weights/convert.h"

struct proving {
        const resect_weights *a, *b;
        double tolerance; /* 0: to the bit */
        size_t compared;
        size_t looked_at; /* bytes, since the copy's memory was given back */
        resect_error *err;
};
enum { REST_AFTER = 8 << 20 };

void
rs_weights_rest(const resect_weights *w)
{
        if (w->checkpoint)
                rs_checkpoint_rest(w->checkpoint);
        if (w->model)
                rs_input_rest(w->model->input);
}

static bool
differ(struct proving *p, const char *name, size_t at, double x, double y)
{
        return rs_fail(
                p->err, RESECT_GRAPH, "%s: read back, value %zu is %.9g, not %.9g", name, at, y, x);
}

/* Two tensors of one shape. */
static bool
same(struct proving *p, const char *name, const rs_entry *x, const rs_entry *y)
{
        rs_arena scratch = {0};
        rs_span s, t;
        if (!x->count && !y->count)
                return true;
        if (x->count != y->count)
                return rs_fail(p->err, RESECT_GRAPH, "%s: read back, it has %zu values, not %zu",
                        name, y->count, x->count);
        bool ok =
                rs_entry_bytes(x, &scratch, &s, p->err) && rs_entry_bytes(y, &scratch, &t, p->err);
        bool bits = ok && x->dtype == y->dtype && s.size == t.size &&
                    rs_bulk_same(s.data, t.data, s.size);
        if (ok && !bits && x->dtype == y->dtype && p->tolerance == 0) {
                size_t i = 0;
                while (s.data[i] == t.data[i])
                        i++;
                i /= rs_dtype_bits(x->dtype) / 8;
                ok = differ(p, name, i, NAN, NAN);
        } else if (ok && !bits) {
                size_t w = rs_dtype_bits(x->dtype) / 8, v = rs_dtype_bits(y->dtype) / 8;
                double largest = 0;
                for (int pass = 0; ok && pass < 2; pass++)
                        for (size_t i = 0; ok && i < x->count; i++) {
                                unsigned char one[16], two[16];
                                rs_from_little(one, s.data + i * w, x->dtype, 1);
                                rs_from_little(two, t.data + i * v, y->dtype, 1);
                                double f = rs_load(one, x->dtype, 0), g = rs_load(two, y->dtype, 0);
                                if (pass == 0)
                                        largest = fmax(largest, fabs(f));
                                else if (!(fabs(f - g) <= p->tolerance * largest) &&
                                         !(isnan(f) && isnan(g)) && f != g)
                                        ok = differ(p, name, i, f, g);
                        }
        }
        p->compared += ok;
        rs_arena_free(&scratch);
        p->looked_at += y->bytes;
        if (p->looked_at > REST_AFTER) { /* one of the two may stay in memory, not both */
                rs_weights_rest(p->b);
                p->looked_at = 0;
        }
        return ok;
}

static bool
same_unit(struct proving *p, const rs_unit *a, const rs_unit *b)
{
        rs_arena arena = {0};
        rs_made x, y;
        char name[RS_NAME_MAX];
        bool norm = a->norm[RS_VAR] && b->norm[RS_VAR];
        /* As they are where nothing was computed, else with everything folded in. */
        rs_want want = {.bn = !a->has_conv || (norm && p->tolerance == 0),
                .epsilon = a->epsilon,
                .kernel = RS_OIHW};
        want.bias = !want.bn || (a->bias && b->bias);
        rs_canonical_name(&p->a->set.net, a->has_conv ? &a->conv : &a->bn,
                a->has_conv ? RS_CONV_WEIGHT : RS_BN_VAR, name);
        bool ok = rs_unit_make(&p->a->set, a, &want, &arena, &x, p->err) &&
                  rs_unit_make(&p->b->set, b, &want, &arena, &y, p->err) &&
                  same(p, name, &x.weight, &y.weight) && same(p, name, &x.bias, &y.bias);
        for (int i = 0; ok && i < 4; i++)
                ok = same(p, name, &x.norm[i], &y.norm[i]);
        rs_arena_free(&arena);
        return ok;
}

static bool
same_head(struct proving *p)
{
        const rs_want want = {.kernel = RS_OIHW};
        rs_arena arena = {0};
        rs_entry w[2], b[2];
        const rs_set *x = &p->a->set, *y = &p->b->set;
        if (!x->head.weight || !y->head.weight || x->net.classes != y->net.classes)
                return true;
        bool ok = rs_head_make(x, false, false, &want, &arena, &w[0], &b[0], p->err) &&
                  rs_head_make(y, false, false, &want, &arena, &w[1], &b[1], p->err) &&
                  same(p, "fc.weight", &w[0], &w[1]) &&
                  (!b[0].count || same(p, "fc.bias", &b[0], &b[1]));
        rs_arena_free(&arena);
        return ok;
}

bool
resect_weights_prove(const resect_weights *a, const resect_weights *b, double tolerance,
        size_t *compared, resect_error *err)
{
        struct proving p = {.a = a, .b = b, .tolerance = tolerance, .err = err};
        rs_set *other = (rs_set *)(uintptr_t)&b->set;
        *compared = 0;
        if (!a->info.recognised || !b->info.recognised)
                return rs_fail(err, RESECT_GRAPH, "%s",
                        a->info.recognised ? b->info.why_not : a->info.why_not);
        for (size_t i = 0; i < a->set.n; i++) {
                const rs_unit *u = &a->set.units[i], *v = u->has_conv ? rs_set_conv(other, &u->conv)
                                                                      : rs_set_bn(other, &u->bn);
                /* What is missing, or has another shape, has been told and was not carried over. */
                if (!v || !rs_unit_whole(&a->set, u) || !rs_unit_whole(&b->set, v) ||
                        (u->weight && v->weight && u->weight->count != v->weight->count))
                        continue;
                if (!same_unit(&p, u, v))
                        return false;
        }
        if (!same_head(&p))
                return false;
        *compared = p.compared;
        return true;
}

/* Where both end: logits when they have as many classes, else features. */
static const char *
end_of(const resect_weights *w, bool logits)
{
        const rs_atail *t = &w->set.anatomy->tail;
        return logits ? t->logits : t->features;
}

bool
resect_weights_run_both(const resect_weights *a, const resect_weights *b, double tolerance,
        const resect_plan_options *how, resect_difference *out, resect_error *err)
{
        const resect_weights *w[2] = {a, b};
        resect_tensor x = {0}, y[2] = {{0}};
        resect_value in;
        if (!a->model || !b->model || !a->set.anatomy || !b->set.anatomy)
                return rs_fail(err, RESECT_ARG, "only models can be run");
        bool logits =
                a->set.net.head && b->set.net.head && a->set.net.classes == b->set.net.classes;
        bool ok = resect_model_input(a->model, 0, &in) ||
                  rs_fail(err, RESECT_GRAPH, "the model has no input");
        ok = ok && rs_random_input(&in, 1, 64, &x, err);
        for (int i = 0; ok && i < 2; i++) {
                const char *end = end_of(w[i], logits);
                const resect_binding bind = {w[i]->set.anatomy->summary.input, x};
                ok = end ? rs_run(w[i]->model, how, &bind, 1, &end, 1, &y[i], err)
                         : rs_fail(err, RESECT_GRAPH, "the model's end was not found");
        }
        for (int i = 0; ok && i < 2 && y[i].rank > 2; i++) /* features may be [N, C, 1, 1] */
                y[i].rank = 2;
        ok = ok && resect_tensor_compare(&y[0], &y[1], 0, 0, out, err);
        if (ok && !(out->max_rel <= tolerance))
                ok = rs_fail(
                        err, RESECT_GRAPH, "outputs differ by %.3g of their scale", out->max_rel);
        resect_tensor_free(&x);
        resect_tensor_free(&y[0]);
        resect_tensor_free(&y[1]);
        return ok;
}
