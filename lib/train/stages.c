/* SPDX-License-Identifier: 0BSD */
#include "train/stages.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "resect/look.h"

/* How deep a tensor stands: the stem 0, layerN N, the head above all; what has no part (the norm
   before the pool in v2) comes just below the head. */
static int
depth_of(const rs_stages *s, const char *tensor)
{
        const char *part = resect_anatomy_tensor_part(s->anatomy, tensor);
        if (part && !strncmp(part, "stem", 4))
                return 0;
        if (part && !strncmp(part, "layer", 5))
                return atoi(part + 5);
        if (part && !strncmp(part, "head", 4))
                return INT_MAX;
        return INT_MAX - 1;
}

static int
deepest_first(const void *a, const void *b)
{
        int x = *(const int *)a, y = *(const int *)b;
        return (x < y) - (x > y);
}

bool
rs_stages_make(rs_stages *s, resect_model *m, resect_error *err)
{
        *s = (rs_stages){.m = m, .anatomy = resect_anatomy_find(m, err)};
        if (!s->anatomy)
                return false;
        const rs_graph *g = &m->graph;
        s->depths = RS_NEW(&s->arena, g->n_tensors, int, err);
        s->held = RS_NEW(&s->arena, g->n_tensors, const char *, err);
        if (!s->depths || !s->held)
                return false;
        for (size_t i = 0; i < g->n_tensors; i++) {
                const rs_tensor *t = g->tensors[i];
                if (t->dtype != RESECT_FLOAT || t->count < 2 || rs_model_is_frozen(m, t->name))
                        continue;
                int depth = depth_of(s, t->name);
                bool known = false;
                for (size_t k = 0; k < s->n_depths; k++)
                        known |= s->depths[k] == depth;
                if (!known)
                        s->depths[s->n_depths++] = depth;
        }
        qsort(s->depths, s->n_depths, sizeof *s->depths, deepest_first);
        return true;
}

/* Without memory some stay held; resect.frozen itself, which the writer looks at, was never
 * touched. */
static void
release(rs_stages *s)
{
        bool ok = true;
        for (size_t i = 0; i < s->n_held && ok; i++)
                ok = rs_model_set_frozen(s->m, s->held[i], false, NULL);
        s->n_held = 0;
}

void
rs_stages_free(rs_stages *s)
{
        if (s->m)
                release(s);
        resect_anatomy_free(s->anatomy);
        rs_arena_free(&s->arena);
        *s = (rs_stages){0};
}

size_t
rs_stages_count(const rs_stages *s)
{
        return s->n_depths ? s->n_depths : 1;
}

bool
rs_stages_hold(rs_stages *s, size_t phase, resect_error *err)
{
        release(s);
        if (phase + 1 >= rs_stages_count(s))
                return true;
        for (size_t i = 0; i < s->m->graph.n_tensors; i++) {
                const char *name = s->m->graph.tensors[i]->name;
                if (rs_model_is_frozen(s->m, name) || depth_of(s, name) >= s->depths[phase])
                        continue;
                if (!rs_model_set_frozen(s->m, name, true, err))
                        return false;
                s->held[s->n_held++] = name;
        }
        return true;
}

/* "layer3" is the whole stage, "layer3.5" a block of it. */
static bool
within(const char *part, const char *wanted)
{
        size_t n = strlen(wanted);
        return part && !strncmp(part, wanted, n) && (part[n] == '\0' || part[n] == '.');
}

bool
rs_stages_rates(const rs_stages *s, const rs_slab *parameters, const resect_part_rate *rates,
        size_t n, bool all, double *out, resect_error *err)
{
        for (size_t k = 0; k < n; k++) {
                size_t matched = 0;
                if (!(rates[k].factor >= 0 && isfinite(rates[k].factor)))
                        return rs_fail(err, RESECT_ARG,
                                "learning rate of %s: factor %g must be a number from 0 up",
                                rates[k].part, rates[k].factor);
                for (size_t i = 0; i < parameters->n_pieces; i++)
                        if (within(resect_anatomy_tensor_part(
                                           s->anatomy, parameters->pieces[i].name),
                                    rates[k].part)) {
                                out[i] = rates[k].factor;
                                matched++;
                        }
                if (!matched && all)
                        return rs_fail(err, RESECT_ARG,
                                "learning rate of %s: no trained weight is in such a part",
                                rates[k].part);
        }
        return true;
}
