/* SPDX-License-Identifier: 0BSD */
/*
 * Time for memory: values that backward reads but that forward need not keep, because they can be
 * made once more from what is kept (Chen et al., "Training deep nets with sublinear memory cost",
 * arXiv 1604.06174). Each becomes two values: the one that forward makes and forgets, and its twin
 * `again`, made shortly before the first backward that reads it.
 *
 * Only a value with a single input that is no weight is made again, so that a chain ends at the
 * value where paths meet: in a residual network, at a block's input. The level says how much such a
 * chain may cost:
 *
 *   1  normalisations and activations: next to nothing
 *   2  and 1x1 Convs with more outputs than inputs, the last of a bottleneck: large values, cheaply
 * made 3  all of a block: about a forward more
 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

/* The one input of s that is computed, or -1 when there is none or several. */
static int
only_input(const resect_plan *p, const rs_pstep *s)
{
        int only = -1;
        for (size_t i = 0; i < s->n_in; i++) {
                if (s->in[i] < 0)
                        continue;
                enum rs_place place = p->values[p->values[s->in[i]].root].place;
                if (place != RS_PLACE_SLAB && place != RS_PLACE_INPUT)
                        continue;
                if (only >= 0)
                        return -1;
                only = s->in[i];
        }
        return s->residual < 0 ? only : -1;
}

static bool
is_cheap(const resect_plan *p, const rs_pstep *s, int level)
{
        if (level >= 3 || s->macs == 0)
                return true;
        const rs_type *y = &p->values[s->out[0]].type, *x = &p->values[s->in[0]].type;
        if (level < 2 || y->rank < 3)
                return false;
        int64_t elements =
                1; /* of the output: a 1x1 Conv takes a product an input channel for each */
        for (int i = 0; i < y->rank; i++)
                elements *= y->dims[i];
        return y->dims[1] > x->dims[1] && s->macs == (uint64_t)elements * (uint64_t)x->dims[1];
}

/* Whether step s may run twice: what it leaves behind must be the same the second time. */
static bool
repeats(const resect_plan *p, const rs_pstep *s, const int *views, int level)
{
        int v = s->out[0];
        if (s->view || v < 0 || p->values[v].output || p->values[v].root != v || views[v])
                return false;
        if (!s->kernel && (s->saved || s->op->statistics))
                return false;
        return p->values[v].place == RS_PLACE_SLAB && only_input(p, s) >= 0 &&
               is_cheap(p, s, level);
}

/* The earliest time in backward at which v is read; the end when it is not. */
static void
find_reads(const resect_plan *p, int *read)
{
        int last = 2 * (int)p->n_steps;
        for (size_t v = 0; v < p->n_values; v++)
                read[v] = last;
        for (int k = (int)p->n_steps - 1; k >= 0; k--) {
                const rs_pstep *s = &p->steps[k];
                if (!s->backward)
                        continue;
                for (size_t i = 0; i < s->n_in && i < 16; i++)
                        if (s->in[i] >= 0 && s->reads & RS_READS_IN(i) &&
                                read[p->values[s->in[i]].root] == last)
                                read[p->values[s->in[i]].root] = last - 1 - k;
                for (size_t j = 0; j < s->n_out && j < 16; j++)
                        if (s->out[j] >= 0 && s->reads & RS_READS_OUT(j) &&
                                read[p->values[s->out[j]].root] == last)
                                read[p->values[s->out[j]].root] = last - 1 - k;
        }
}

/* The twin of what step s makes, and the step that makes it, at a time. */
static bool
make_again(resect_plan *p, const rs_pstep *s, int time, resect_error *err)
{
        int v = s->out[0], twin = rs_plan_add_value(p, p->values[v].name, err);
        if (twin < 0)
                return false;
        rs_pvalue *y = &p->values[twin];
        y->type = p->values[v].type;
        y->bytes = p->values[v].bytes;
        y->layout = p->values[v].layout;
        p->values[v].again = twin;
        rs_pstep *a = &p->again[p->n_again++];
        *a = *s;
        a->time = time;
        a->out[0] = twin;
        a->n_out = 1;
        return true;
}

static int
by_time(const void *a, const void *b)
{
        const rs_pstep *x = a, *y = b;
        return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
                                  : (x->number > y->number) - (x->number < y->number);
}

bool
rs_plan_recompute(resect_plan *p, int level, resect_error *err)
{
        int last = 2 * (int)p->n_steps;
        int *read = RS_NEW(&p->arena, p->n_values + 1, int, err),
            *views = RS_NEW(&p->arena, p->n_values + 1, int, err);
        p->again = RS_NEW(&p->arena, p->n_steps + 1, rs_pstep, err);
        if (!read || !views || !p->again)
                return false;
        for (size_t v = 0; v < p->n_values; v++)
                if (p->values[v].root != (int)v)
                        views[p->values[v].root]++;
        find_reads(p, read);
        for (int k = (int)p->n_steps - 1; k >= 0; k--) {
                rs_pstep *s = &p->steps[k];
                s->number = k;
                if (!repeats(p, s, views, level) || read[s->out[0]] == last)
                        continue;
                int from = p->values[only_input(p, s)].root, time = read[s->out[0]];
                if (!make_again(p, s, time, err))
                        return false;
                if (read[from] > time)
                        read[from] = time;
        }
        /* a step made again reads its input again, where there is one */
        for (size_t i = 0; i < p->n_again; i++)
                for (size_t j = 0; j < p->again[i].n_in; j++)
                        p->again[i].in[j] = rs_plan_backward_value(p, p->again[i].in[j]);
        qsort(p->again, p->n_again, sizeof *p->again, by_time);
        return true;
}

int
rs_plan_backward_value(const resect_plan *p, int v)
{
        return v >= 0 && p->values[v].again >= 0 ? p->values[v].again : v;
}
