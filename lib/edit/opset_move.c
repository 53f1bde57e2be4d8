/* SPDX-License-Identifier: 0BSD */
/* Steps of operators that move, cut, stretch and reduce: most of their settings became inputs. */
#include "edit/opset.h"

#include <string.h>

static bool
is_zero(const int64_t *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (v[i] == 0)
                        return true;
        return false;
}

bool
rs_step_reshape_5(rs_crossing *c, rs_node *n, resect_error *err)
{
        rs_node_drop_attr(n, "consumed_inputs");
        return rs_cross_ints_move(c, n, "shape", 1, err);
}

/* allowzero, which came with 14, says what a 0 in the shape means, and nothing where there is none.
 */
bool
rs_step_reshape_14(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *shape = rs_cross_type(c, n, 1);
        if (!c->up && shape != NULL && shape->ints != NULL && !is_zero(shape->ints, shape->n_ints))
                rs_node_drop_attr(n, "allowzero");
        return rs_cross_forget(c, n, "allowzero", 0, err);
}

bool
rs_step_concat_4(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_node_attr(n, "axis") != NULL || rs_node_set_int(c->s->m, n, "axis", 1, err);
}

/* Before 6 it repeated along one axis, so many times. */
bool
rs_step_tile_6(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c;
        return rs_cross_refuse(n, "it repeats along one axis, which is not said so any more", err);
}

/* Negative axes came with 11 (Flatten, Concat, Squeeze ...): going down they are counted from the
 * front. */
bool
rs_step_axis_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        const rs_attr *axis = rs_node_attr(n, "axis"), *axes = rs_node_attr(n, "axes");
        if (c->up)
                return true;
        if (axis != NULL && axis->type == RS_ATTR_INT && axis->i < 0) {
                if (x == NULL || x->rank < 0)
                        return rs_cross_refuse(
                                n, "its axis counts from the end of an unknown rank", err);
                return rs_node_set_int(c->s->m, n, "axis", axis->i + x->rank, err);
        }
        int64_t v[RESECT_RANK_MAX];
        if (axes == NULL || axes->type != RS_ATTR_INTS || axes->n > RESECT_RANK_MAX)
                return true;
        const int rank = x == NULL || x->rank < 0          ? -1
                         : strcmp(n->op, "Unsqueeze") == 0 ? x->rank + (int)axes->n
                                                           : x->rank;
        for (size_t i = 0; i < axes->n; i++) {
                v[i] = axes->ints[i];
                if (v[i] < 0 && rank < 0)
                        return rs_cross_refuse(
                                n, "its axes count from the end of an unknown rank", err);
                v[i] += v[i] < 0 ? rank : 0;
        }
        return rs_node_set_ints(c->s->m, n, "axes", v, axes->n, err);
}

/* So did negative indices. */
bool
rs_step_gather_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        const rs_tensor *t = rs_cross_constant(c, n, 1);
        int64_t *v;
        size_t count, below = 0;
        if (c->up)
                return true;
        if (!rs_step_axis_11(c, n, err) || !rs_cross_ints(c, n, 1, &v, &count, err))
                return false;
        for (size_t i = 0; v != NULL && i < count; i++)
                below += v[i] < 0;
        if (below == 0)
                return true;
        const int64_t axis = rs_node_int(n, "axis", 0);
        const int64_t size = x != NULL && axis >= 0 && axis < x->rank ? x->dims[axis] : -1;
        if (size < 0)
                return rs_cross_refuse(n, "its indices count from the end of an unknown size", err);
        const char *name = rs_model_fresh_name(c->s->m, t->name, err);
        rs_tensor *to =
                name != NULL ? rs_model_add_tensor(c->s->m, name, t->dtype, t->rank, t->dims, err)
                             : NULL;
        for (size_t i = 0; to != NULL && i < count; i++)
                rs_tensor_put_at(to, i, (double)(v[i] + (v[i] < 0 ? size : 0)));
        return to != NULL && rs_cross_input(c, n, 1, name, err);
}

bool
rs_step_axes_input(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_ints_move(c, n, "axes", 1, err);
}

/* With the input came a word for what no axes mean, which matters where there are none. */
bool
rs_step_reduce_input(rs_crossing *c, rs_node *n, resect_error *err)
{
        int64_t *v;
        size_t count;
        if (!c->up) {
                if (!rs_cross_ints(c, n, 1, &v, &count, err))
                        return false;
                if (v != NULL && count != 0)
                        rs_node_drop_attr(n, "noop_with_empty_axes");
        }
        return rs_cross_forget(c, n, "noop_with_empty_axes", 0, err) &&
               rs_cross_ints_move(c, n, "axes", 1, err);
}

bool
rs_step_arg_12(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_forget(c, n, "select_last_index", 0, err);
}

bool
rs_step_depth_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        if (c->up)
                return true;
        if (rs_node_attr(n, "mode") != NULL && !rs_span_is(rs_node_string(n, "mode"), "DCR"))
                return rs_cross_refuse(n, "its mode cannot be said there", err);
        rs_node_drop_attr(n, "mode");
        return true;
}

/* A part of a shape: before 15 a Slice takes it. */
bool
rs_step_shape_15(rs_crossing *c, rs_node *n, resect_error *err)
{
        resect_model *m = c->s->m;
        const rs_attr *start = rs_node_attr(n, "start"), *end = rs_node_attr(n, "end");
        if (c->up || (end == NULL && (start == NULL || start->i == 0)))
                return rs_cross_forget(c, n, "start", 0, err);
        const int64_t from = start != NULL ? start->i : 0, to = end != NULL ? end->i : INT64_MAX;
        const char *part = n->out[0];
        char *wish = rs_arena_printf(&c->s->arena, err, "%s_all", part);
        const char *whole = wish != NULL ? rs_model_fresh_name(m, wish, err) : NULL;
        const char **out = whole != NULL ? RS_NEW(&m->arena, 1, const char *, err) : NULL;
        if (out == NULL)
                return false;
        rs_node *cut = rs_build(c->s, "Slice", part, part, err, whole, NULL);
        if (cut == NULL)
                return false;
        out[0] = whole;
        n->out = out;
        rs_node_drop_attr(n, "start");
        rs_node_drop_attr(n, "end");
        rs_node_touch(n);
        rs_graph_place(&m->graph, cut, n);
        return c->to < 10 ? rs_node_set_ints(m, cut, "starts", &from, 1, err) &&
                                    rs_node_set_ints(m, cut, "ends", &to, 1, err)
                          : rs_cross_put_ints(c, cut, 1, "starts", &from, 1, err) &&
                                    rs_cross_put_ints(c, cut, 2, "ends", &to, 1, err);
}

bool
rs_step_pad_2(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_attr *a = rs_node_attr(n, "paddings");
        if (a == NULL || a->type != RS_ATTR_INTS)
                return true;
        if (!rs_node_set_ints(c->s->m, n, "pads", a->ints, a->n, err))
                return false;
        rs_node_drop_attr(n, "paddings");
        return true;
}

bool
rs_step_pad_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        if (c->up) {
                const double value = (double)rs_node_float(n, "value", 0);
                rs_node_drop_attr(n, "value");
                return rs_cross_ints_move(c, n, "pads", 1, err) &&
                       (value == 0 || rs_cross_put_number(c, n, 2, "value", 0, value, err));
        }
        double *value = NULL;
        const rs_tensor *t = rs_cross_constant(c, n, 2);
        if (rs_cross_has(n, 2) && (t == NULL || t->count != 1))
                return rs_cross_refuse(n, "its value is computed, not constant", err);
        if (t != NULL && !rs_tensor_doubles(c->s->m, &c->s->arena, t, &value, err))
                return false;
        n->n_in = n->n_in < 2 ? n->n_in : 2;
        return rs_cross_ints_move(c, n, "pads", 1, err) &&
               (value == NULL || rs_node_set_float(c->s->m, n, "value", (float)*value, err));
}

/* Before 18 all axes had their pads. */
bool
rs_step_pad_18(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        int64_t *axes, *pads, all[2 * RESECT_RANK_MAX] = {0};
        size_t n_axes, n_pads;
        if (c->up || !rs_cross_has(n, 3))
                return true;
        if (!rs_cross_ints(c, n, 3, &axes, &n_axes, err) ||
                !rs_cross_ints(c, n, 1, &pads, &n_pads, err))
                return false;
        if (axes == NULL || pads == NULL || x == NULL || x->rank < 0 || n_pads != 2 * n_axes)
                return rs_cross_refuse(n, "its axes cannot be said there", err);
        const size_t rank = (size_t)x->rank;
        for (size_t i = 0; i < n_axes; i++) {
                const int64_t axis = axes[i] + (axes[i] < 0 ? x->rank : 0);
                if (axis < 0 || axis >= x->rank)
                        return rs_cross_refuse(n, "its axes are not its input's", err);
                all[axis] = pads[i];
                all[rank + (size_t)axis] = pads[n_axes + i];
        }
        n->n_in = 3;
        return rs_cross_put_ints(c, n, 1, "pads", all, 2 * rank, err);
}

bool
rs_step_pad_19(rs_crossing *c, rs_node *n, resect_error *err)
{
        return c->up || !rs_span_is(rs_node_string(n, "mode"), "wrap") ||
               rs_cross_refuse(n, "it wraps around, which cannot be said there", err);
}

/* Before 10 where to cut was said in attributes, in steps of 1. */
bool
rs_step_slice_10(rs_crossing *c, rs_node *n, resect_error *err)
{
        static const char *const names[3] = {"starts", "ends", "axes"};
        int64_t *steps, *v[3];
        size_t count[3], n_steps;
        if (c->up) {
                for (size_t i = 0; i < 3; i++)
                        if (!rs_cross_ints_move(c, n, names[i], i + 1, err))
                                return false;
                return true;
        }
        if (!rs_cross_ints(c, n, 4, &steps, &n_steps, err))
                return false;
        for (size_t i = 0; steps != NULL && i < n_steps; i++)
                if (steps[i] != 1)
                        return rs_cross_refuse(
                                n, "it takes steps, which cannot be said there", err);
        if (steps == NULL && rs_cross_has(n, 4))
                return rs_cross_refuse(n, "its steps are computed, not constant", err);
        for (size_t i = 0; i < 3; i++) {
                if (!rs_cross_ints(c, n, i + 1, &v[i], &count[i], err))
                        return false;
                if (v[i] == NULL && rs_cross_has(n, i + 1))
                        return rs_cross_refuse(n, "where it cuts is computed, not constant", err);
        }
        for (size_t i = 0; i < 3; i++)
                if (v[i] != NULL && !rs_node_set_ints(c->s->m, n, names[i], v[i], count[i], err))
                        return false;
        n->n_in = 1;
        return true;
}

bool
rs_step_slice_11(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        int64_t *axes;
        size_t count, below = 0;
        if (c->up)
                return true;
        if (!rs_cross_ints(c, n, 3, &axes, &count, err))
                return false;
        for (size_t i = 0; axes != NULL && i < count; i++)
                below += axes[i] < 0;
        if (below == 0)
                return true;
        if (x == NULL || x->rank < 0)
                return rs_cross_refuse(n, "its axes count from the end of an unknown rank", err);
        for (size_t i = 0; i < count; i++)
                axes[i] += axes[i] < 0 ? x->rank : 0;
        return rs_cross_put_ints(c, n, 3, "axes", axes, count, err);
}

bool
rs_step_split_2(rs_crossing *c, rs_node *n, resect_error *err)
{
        (void)c;
        return n->n_in < 2 || rs_cross_refuse(n, "its sizes are an input of floats", err);
}

bool
rs_step_split_13(rs_crossing *c, rs_node *n, resect_error *err)
{
        return rs_cross_ints_move(c, n, "split", 1, err);
}

/* Since 18 one has to say into how many parts, and the last one may be smaller. */
bool
rs_step_split_18(rs_crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        const int64_t parts = (int64_t)n->n_out;
        int64_t axis = rs_node_int(n, "axis", 0), sizes[RS_OUT_MAX];
        if (rs_cross_has(n, 1))
                return true;
        if (c->up)
                return rs_node_set_int(c->s->m, n, "num_outputs", parts, err);
        axis += axis < 0 && x != NULL ? x->rank : 0;
        const int64_t size = x != NULL && axis >= 0 && axis < x->rank ? x->dims[axis] : -1;
        if (size < 0 || parts > RS_OUT_MAX)
                return rs_cross_refuse(n, "whether its parts are of one size is not known", err);
        rs_node_drop_attr(n, "num_outputs");
        if (parts == 0 || size % parts == 0)
                return true;
        const int64_t each = (size + parts - 1) / parts;
        for (int64_t i = 0; i < parts; i++) {
                const int64_t left = size - i * each;
                sizes[i] = left < 0 ? 0 : left < each ? left : each;
        }
        return rs_cross_put_ints(c, n, 1, "split", sizes, (size_t)parts, err);
}
