/* SPDX-License-Identifier: 0BSD */
/* Steps of operators that compute: products, norms, activations, pools, types. */
#include "edit/fold.h"
#include "edit/opset.h"
#include "op/util.h"

bool
rs_step_plain_6(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "consumed_inputs");
        return true;
}

/* Before 7 broadcasting was asked for, along an axis; equal shapes need none. */
bool
rs_step_binary_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *a = rs_cross_type(c, n, 0), *b = rs_cross_type(c, n, 1);
        bool same = a != NULL && b != NULL && a->rank >= 0 && a->rank == b->rank;
        for (int i = 0; same && i < a->rank; i++)
                same = a->dims[i] == b->dims[i];
        const bool tail = a != NULL && b != NULL && b->rank >= 0 && b->rank <= a->rank;
        const int64_t axis = rs_node_int(n, "axis", -1);
        rs_node_drop_attr(n, "consumed_inputs");
        if (rs_node_int(n, "broadcast", 0) != 0 && !same &&
                (!tail || (axis >= 0 && axis != a->rank - b->rank)))
                return rs_cross_refuse(n, "it broadcasts along an axis that is not the last", err);
        rs_node_drop_attr(n, "broadcast");
        rs_node_drop_attr(n, "axis");
        return true;
}

bool
rs_step_variadic_8(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *a = rs_cross_type(c, n, 0);
        for (size_t k = 1; !c->up && k < n->n_in; k++) {
                const rs_type *b = rs_cross_type(c, n, k);
                bool same = a != NULL && b != NULL && a->rank >= 0 && a->rank == b->rank;
                for (int i = 0; same && i < a->rank; i++)
                        same = a->dims[i] == b->dims[i];
                if (!same)
                        return rs_cross_refuse(n, "it broadcasts, which it did not do there", err);
        }
        return true;
}

bool
rs_step_gemm_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "broadcast");
        return true;
}

/* Before 11 C was not optional: 0 is what its absence means. */
bool
rs_step_gemm_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        return c->up || rs_cross_has(n, 2) || rs_cross_put_number(c, n, 2, "c", 0, 0, err);
}

bool
rs_step_norm_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        if (rs_bn_trains(c->s->m, n))
                return rs_cross_refuse(n, "it is in training mode", err);
        rs_node_drop_attr(n, "is_test");
        rs_node_drop_attr(n, "consumed_inputs");
        return true;
}

/* 9 has no spatial any more: 1 is what it always does. Of one number a channel, as some exporters
 * write with 0, the meaning is that too. */
bool
rs_step_norm_9(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *scale = rs_cross_type(c, n, 1);
        if (c->up && rs_node_int(n, "spatial", 1) == 0 && (scale == NULL || scale->rank != 1))
                return rs_cross_refuse(n, "spatial=0 with parameters for each element", err);
        rs_node_drop_attr(n, "spatial");
        return true;
}

bool
rs_step_norm_14(rs_crossing *c, rs_node *n, resect_error *err)
{
        if (c->up ? c->from >= 7 && rs_bn_trains(c->s->m, n) /* before, norm_7 asked */
                  : rs_node_int(n, "training_mode", 0) != 0)
                return rs_cross_refuse(
                        n, "it is in training mode; resect-fold --eval ends that", err);
        return rs_cross_forget(c, n, "training_mode", 0, err);
}

bool
rs_step_dropout_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "is_test");
        return true;
}

/* Until 10 the mask was of the type of what is dropped. */
bool
rs_step_dropout_10(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c;
        return n->n_out < 2 || n->out[1][0] == '\0' ||
               rs_cross_refuse(n, "its mask is of another type there", err);
}

bool
rs_step_dropout_12(rs_crossing *c, rs_node *n, resect_error *err)
{
        double half = 0.5, *ratio = &half;
        if (c->up) {
                half = (double)rs_node_float(n, "ratio", 0.5f);
                rs_node_drop_attr(n, "ratio");
                return rs_cross_put_number(c, n, 1, "ratio", RESECT_FLOAT, half, err);
        }
        if (rs_cross_has(n, 2))
                return rs_cross_refuse(n, "its training_mode is an input", err);
        const rs_tensor *t = rs_cross_constant(c, n, 1);
        if (rs_cross_has(n, 1) && (t == NULL || t->count != 1))
                return rs_cross_refuse(n, "its ratio is computed, not constant", err);
        if (t != NULL && !rs_tensor_doubles(c->s->m, &c->s->arena, t, &ratio, err))
                return false;
        n->n_in = 1;
        rs_node_drop_attr(n, "seed");
        return rs_node_set_float(c->s->m, n, "ratio", (float)*ratio, err);
}

/* Before 13 everything from axis on was one row: the same when the axis is the last. */
bool
rs_step_softmax_13(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        int64_t axis = rs_node_int(n, "axis", c->up ? 1 : -1);
        if (x == NULL || x->rank < 1)
                return rs_cross_refuse(n, "the rank of its input is not known", err);
        axis += axis < 0 ? x->rank : 0;
        if (axis != x->rank - 1)
                return rs_cross_refuse(
                        n, "its axis is not the last, and means something else there", err);
        return rs_node_set_int(c->s->m, n, "axis", axis, err);
}

bool
rs_step_max_8(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "storage_order", 0, err) &&
               (c->up || n->n_out < 2 || rs_cross_refuse(n, "it tells indices", err));
}

bool
rs_step_max_10(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "ceil_mode", 0, err) &&
               rs_cross_forget_ones(c, n, "dilations", err);
}

bool
rs_step_average_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "count_include_pad", 0, err);
}

bool
rs_step_average_10(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "ceil_mode", 0, err);
}

bool
rs_step_average_19(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget_ones(c, n, "dilations", err);
}

bool
rs_step_clip_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        static const char *const names[2] = {"min", "max"};
        for (size_t i = 0; i < 2; i++) {
                if (c->up && rs_node_attr(n, names[i]) != NULL) {
                        const double v = (double)rs_node_float(n, names[i], 0);
                        rs_node_drop_attr(n, names[i]);
                        if (!rs_cross_put_number(c, n, i + 1, names[i], 0, v, err))
                                return false;
                } else if (!c->up && rs_cross_has(n, i + 1)) {
                        const rs_tensor *t = rs_cross_constant(c, n, i + 1);
                        double *v;
                        if (t == NULL || t->count != 1)
                                return rs_cross_refuse(
                                        n, "its bounds are computed, not constant", err);
                        if (!rs_tensor_doubles(c->s->m, &c->s->arena, t, &v, err) ||
                                !rs_node_set_float(c->s->m, n, names[i], (float)*v, err))
                                return false;
                }
        }
        if (!c->up)
                n->n_in = 1;
        return true;
}

/* Selu's constants were rounded otherwise. */
bool
rs_step_selu_6(rs_crossing *c, rs_node *n, resect_error *err)
{
        const float alpha = rs_node_float(n, "alpha", 1.6732f),
                    gamma = rs_node_float(n, "gamma", 1.0507f);
        return rs_step_plain_6(c, n, err) && rs_node_set_float(c->s->m, n, "alpha", alpha, err) &&
               rs_node_set_float(c->s->m, n, "gamma", gamma, err);
}

/* Before 7 PRelu's slopes were one a channel, or one for all. */
bool
rs_step_prelu_7(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0), *slope = rs_cross_type(c, n, 1);
        bool one = x != NULL && slope != NULL && slope->rank >= 0;
        for (int i = 0; one && i < slope->rank; i++)
                one = slope->dims[i] == 1;
        return one || (x != NULL && slope != NULL && x->rank == 2 && slope->rank == 1) ||
               rs_cross_refuse(n, "its slopes broadcast otherwise there", err);
}

bool
rs_step_lp_2(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_attr *p = rs_node_attr(n, "p");
        if (p == NULL || p->type != RS_ATTR_FLOAT)
                return true;
        const float v = p->f;
        if (!(v >= 1 && v <= 64 && v == (float)(int)v))
                return rs_cross_refuse(n, "its p is no whole number", err);
        return rs_node_set_int(c->s->m, n, "p", (int64_t)v, err);
}

bool
rs_step_lp_18(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "ceil_mode", 0, err) &&
               rs_cross_forget_ones(c, n, "dilations", err);
}

/* Before 6 the type that is cast to was called by its name. */
bool
rs_step_cast_6(rs_crossing *c, rs_node *n, resect_error *err)
{
        const int32_t to = rs_op_dtype_named(rs_node_string(n, "to"));
        return to != 0 ? rs_node_set_int(c->s->m, n, "to", to, err)
                       : rs_cross_refuse(n, "it does not say what it casts to", err);
}

/* saturate says what becomes of numbers that are too large for 8 bits of float, and of no others.
 */
bool
rs_step_cast_19(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)err;
        if (!c->up)
                rs_node_drop_attr(n, "saturate");
        return true;
}

bool
rs_step_cast_like(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *like = rs_cross_type(c, n, 1);
        if (like == NULL || like->dtype == 0)
                return rs_cross_refuse(n, "what it casts to is not known", err);
        n->op = "Cast";
        n->n_in = 1;
        return rs_node_set_int(c->s->m, n, "to", like->dtype, err);
}

/* Before 13 there was one scale, of a whole tensor. */
bool
rs_step_quantize_13(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *scale = rs_cross_type(c, n, 1);
        if (c->up)
                return true;
        if (scale == NULL || scale->rank < 0 || scale->rank > 1 ||
                (scale->rank == 1 && scale->dims[0] != 1))
                return rs_cross_refuse(n, "a scale for each channel cannot be said there", err);
        rs_node_drop_attr(n, "axis");
        return true;
}

static bool
unblocked(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "block_size", 0, err);
}

/* output_dtype came with 21: before, the zero point says it, and without one it is uint8. */
bool
rs_step_quantize_21(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *zero = rs_cross_type(c, n, 2);
        const int64_t told = zero != NULL ? zero->dtype : RESECT_UINT8,
                      dtype = rs_node_int(n, "output_dtype", 0);
        if (c->up)
                return true;
        if (dtype != 0 && dtype != told)
                return rs_cross_refuse(n, "its output_dtype cannot be said there", err);
        rs_node_drop_attr(n, "output_dtype");
        return unblocked(c, n, err);
}

bool
rs_step_dequantize_21(rs_crossing *c, rs_node *n, resect_error *err)
{
        return unblocked(c, n, err);
}
