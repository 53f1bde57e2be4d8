/* SPDX-License-Identifier: 0BSD */
/*
 * The weights of an exec: copied once from the model into aligned memory, with BatchNormalization
 * folded in where the plan says so. What is trained and the running statistics go into flat slabs;
 * an exec that shares with another one points there.
 */
#include "exec/inside.h"

#include <math.h>
#include <string.h>
#include "io/input.h"
#include "tensor/dtype.h"

enum { PAD = 16, ALIGN = 64 }; /* floats between pieces; bytes between weights */

const rs_piece *
rs_slab_find(const rs_slab *s, const char *name)
{
        for (size_t i = 0; i < s->n_pieces; i++)
                if (!strcmp(s->pieces[i].name, name))
                        return &s->pieces[i];
        return NULL;
}

/* Lays out the trained weights, or the statistics, in the model's order. */
static bool
lay_out(resect_exec *e, rs_slab *slab, bool statistic, resect_error *err)
{
        const resect_plan *p = e->plan;
        const rs_graph *g = &p->model->graph;
        rs_map by_name = {0};
        rs_piece *pieces = RS_NEW(&e->arena, g->n_tensors + 1, rs_piece, err);
        bool ok = pieces != NULL;
        for (size_t v = 0; ok && v < p->n_values; v++) {
                rs_pvalue *x = &p->values[v];
                if (x->root == (int)v && (statistic ? x->statistic : x->trained))
                        ok = rs_map_put(&by_name, x->tensor->name, x, NULL, err);
        }
        for (size_t i = 0; ok && i < g->n_tensors; i++) {
                const rs_pvalue *x = rs_map_get(&by_name, g->tensors[i]->name);
                if (!x)
                        continue;
                rs_piece *piece = &pieces[slab->n_pieces++];
                *piece = (rs_piece){.name = x->tensor->name,
                        .offset = slab->count,
                        .count = x->tensor->count,
                        .rank = x->type.rank};
                memcpy(piece->dims, x->type.dims, sizeof piece->dims);
                slab->count += (piece->count + PAD - 1) / PAD * PAD;
        }
        rs_map_free(&by_name);
        slab->pieces = pieces;
        return ok;
}

/* Zeros, or NULL. Finding and clearing pages is most of the work where memory is large and the
 * machine a virtual one: all threads share it, each its own part, so that nobody waits for a large
 * page that another is given. What is only read, from one end to the other, has its pages `small`
 * at first. */
static void *
make_zeros(const resect_exec *e, size_t bytes, bool small, resect_error *err)
{
        const size_t parts = (size_t)e->plan->threads;
        char *p = rs_alloc_aligned(bytes, err);

        if (!p)
                return NULL;
        if (small)
                rs_large_pages(p, bytes, false);
#pragma omp parallel for num_threads(e->plan->threads) schedule(static)
        for (size_t i = 0; i < parts; i++) {
                const size_t from = bytes / parts * i,
                             to = i + 1 < parts ? bytes / parts * (i + 1) : bytes;
                memset(p + from, 0, to - from);
        }
        if (small)
                rs_large_pages(p, bytes, true);
        return p;
}

/* The bytes of a weight, copied to dst in the machine's order. */
static bool
copy_weight(const resect_exec *e, const rs_pvalue *x, void *dst, resect_error *err)
{
        rs_arena scratch = {0};
        rs_span raw;
        bool ok = rs_tensor_bytes(e->plan->model, x->tensor, &scratch, &raw, err);
        if (ok)
                rs_from_little(dst, raw.data, x->tensor->dtype, x->tensor->count);
        rs_arena_free(&scratch);
        return ok;
}

/* The current floats of a weight: lent by another exec's slabs when it trains it, else by the
 * model, or a copy where they do not lie there as floats. */
typedef struct source {
        const float *at;
        const unsigned char *little; /* or else the model's bytes, where these are enough */
        float *own;
        rs_arena scratch;
} source;

static bool
open_source(source *s, const resect_exec *e, const resect_exec *trained, int v, bool bytes,
        resect_error *err)
{
        const rs_pvalue *x = &e->plan->values[v];
        const rs_slab *slabs[] = {
                trained ? &trained->parameters : NULL, trained ? &trained->statistics : NULL};
        rs_span raw;
        *s = (source){0};
        for (int i = 0; i < 2; i++) {
                const rs_piece *piece = slabs[i] ? rs_slab_find(slabs[i], x->tensor->name) : NULL;
                if (piece && piece->count == x->tensor->count) {
                        s->at = slabs[i]->values + piece->offset;
                        return true;
                }
        }
        if (!rs_tensor_bytes(e->plan->model, x->tensor, &s->scratch, &raw, err))
                return false;
        if ((s->at = rs_as_little(raw.data, x->tensor->dtype)))
                return true;
        s->little = raw.data;
        if (bytes)
                return true;
        if (!(s->own = rs_alloc_aligned(x->bytes, err)))
                return false;
        rs_from_little(s->own, raw.data, x->tensor->dtype, x->tensor->count);
        s->at = s->own;
        return true;
}

static void
close_source(source *s)
{
        rs_arena_free(&s->scratch);
        rs_free_aligned(s->own);
}

/* to = the floats from .. from + n of a weight, times s. */
static void
take_scaled(const source *in, size_t from, size_t n, double s, float *to)
{
        if (in->at)
                memcpy(to, in->at + from, n * sizeof *to);
        else
                rs_from_little(to, in->little + from * sizeof *to, RESECT_FLOAT, n);
#pragma omp simd
        for (size_t i = 0; i < n; i++)
                to[i] = (float)(to[i] * s);
}

/* A fold's weight and bias into w and b; NULL: not wanted. */
static bool
fold(const resect_exec *e, const resect_exec *trained, const rs_pfold *f, float *w, float *b,
        resect_error *err)
{
        const int from[6] = {f->w, f->bias, f->scale, f->shift, f->mean, f->var};
        source in[6] = {0};
        bool ok = true;
        for (int i = 0; i < 6 && ok; i++)
                if (from[i] >= 0 && (i > 0 || w))
                        ok = open_source(&in[i], e, trained, from[i], i == 0, err);
        if (ok) {
                const size_t channels = e->plan->values[f->scale].tensor->count;
                const size_t per = channels ? e->plan->values[f->w].tensor->count / channels : 0;
#pragma omp parallel for num_threads(e->plan->threads) schedule(static)
                for (size_t c = 0; c < channels; c++) {
                        double s = in[2].at[c] / sqrt((double)in[5].at[c] + (double)f->epsilon);
                        if (w)
                                take_scaled(&in[0], c * per, per, s, w + c * per);
                        if (b)
                                b[c] = (float)(((in[1].at ? (double)in[1].at[c] : 0.0) -
                                                       in[4].at[c]) *
                                                       s +
                                               in[3].at[c]);
                }
        }
        for (int i = 0; i < 6; i++)
                close_source(&in[i]);
        return ok;
}

/* A weight into a fast kernel's layout; room is for the largest that is folded before. */
static bool
pack(resect_exec *e, const resect_exec *trained, int v, float *room, resect_error *err)
{
        const resect_plan *p = e->plan;
        const int from = p->values[v].packed_from;
        const rs_pvalue *x = &p->values[from];
        if (x->place == RS_PLACE_FOLDED)
                return fold(e, trained, &p->folds[x->fold], room, NULL, err) &&
                       p->pack(p, v, room, e->values[v].data, err);
        source in;
        bool ok = open_source(&in, e, trained, from, false, err) &&
                  p->pack(p, v, in.at, e->values[v].data, err);
        close_source(&in);
        return ok;
}

/* Room for the largest weight that is folded and then packed. */
static float *
make_room(const resect_plan *p, resect_error *err)
{
        size_t most = 0;
        for (size_t v = 0; v < p->n_values; v++) {
                if (p->values[v].place != RS_PLACE_PACKED)
                        continue;
                const rs_pvalue *x = &p->values[p->values[v].packed_from];
                if (x->place == RS_PLACE_FOLDED && x->bytes > most)
                        most = x->bytes;
        }
        return rs_alloc_aligned(most, err);
}

/* Everything that is computed from weights. */
static bool
derive(resect_exec *e, const resect_exec *trained, resect_error *err)
{
        const resect_plan *p = e->plan;
        for (size_t i = 0; i < p->n_folds; i++) {
                const rs_pfold *f = &p->folds[i];
                if (!fold(e, trained, f, e->values[f->w_out].data, e->values[f->bias_out].data,
                            err))
                        return false;
        }
        float *room = make_room(p, err);
        bool ok = room != NULL;
        for (size_t v = 0; ok && v < p->n_values; v++)
                if (p->values[v].place == RS_PLACE_PACKED)
                        ok = pack(e, trained, (int)v, room, err);
        rs_free_aligned(room);
        return ok;
}

/* Marks the weights that some step reads as they are. */
static bool *
weights_read(resect_exec *e, resect_error *err)
{
        const resect_plan *p = e->plan;
        bool *read = RS_NEW(&e->arena, p->n_values + 1, bool, err);
        for (size_t k = 0; read && k < p->n_steps; k++) {
                for (size_t i = 0; i < p->steps[k].n_in; i++)
                        if (p->steps[k].in[i] >= 0)
                                read[p->values[p->steps[k].in[i]].root] = true;
                if (p->steps[k].residual >= 0)
                        read[p->values[p->steps[k].residual].root] = true;
        }
        for (size_t i = 0; read && i < p->n_outputs; i++)
                read[p->values[p->outputs[i]].root] = true;
        return read;
}

/* Where base keeps the same weight, or NULL. */
static void *
shared(const resect_exec *base, const rs_pvalue *x)
{
        for (size_t v = 0; base && v < base->plan->n_values; v++) {
                const rs_pvalue *y = &base->plan->values[v];
                if (y->place == x->place && !x->layout && y->root == (int)v &&
                        y->bytes == x->bytes && !strcmp(y->name, x->name) && base->values[v].data)
                        return base->values[v].data;
        }
        return NULL;
}

/* Trained weights and statistics: a piece of their slab. */
static bool
place_trained(resect_exec *e, resect_error *err)
{
        const resect_plan *p = e->plan;
        for (size_t v = 0; v < p->n_values; v++) {
                const rs_pvalue *x = &p->values[v];
                if (x->root != (int)v || (!x->trained && !x->statistic))
                        continue;
                rs_slab *slab = x->trained ? &e->parameters : &e->statistics;
                const rs_piece *piece = rs_slab_find(slab, x->tensor->name);
                if (!piece || piece->count != x->tensor->count)
                        return rs_fail(err, RESECT_ARG, "%s: not trained by the exec to share with",
                                x->tensor->name);
                e->values[v].data = slab->values + piece->offset;
                if (x->trained)
                        e->grads[v].data = e->gradients + piece->offset;
                if (e->owns_slabs && !copy_weight(e, x, e->values[v].data, err))
                        return false;
        }
        return true;
}

/* All others: shared with base where it has them, else in this exec's own memory. */
static bool
place_fixed(resect_exec *e, const resect_exec *base, const bool *read, resect_error *err)
{
        const resect_plan *p = e->plan;
        size_t total = 0;
        for (int pass = 0; pass < 2; pass++) {
                size_t at = 0;
                for (size_t v = 0; v < p->n_values; v++) {
                        const rs_pvalue *x = &p->values[v];
                        bool weight = x->place == RS_PLACE_WEIGHT && read[v] && !x->trained &&
                                      !x->statistic;
                        bool derived = read[v] &&
                                       (x->place == RS_PLACE_FOLDED || x->place == RS_PLACE_PACKED);
                        if (x->root != (int)v || (!weight && !derived))
                                continue;
                        void *there = pass == 0 ? shared(base, x) : NULL;
                        if (there)
                                e->values[v].data = there;
                        if (e->values[v].data)
                                continue;
                        if (pass == 1)
                                e->values[v].data = e->weights + at;
                        if (pass == 1 && weight && !copy_weight(e, x, e->values[v].data, err))
                                return false;
                        if (!rs_add(at, (x->bytes / ALIGN + 1) * ALIGN, &at))
                                return rs_fail_nomem(err);
                }
                total = at;
                if (pass == 0 && !(e->weights = make_zeros(e, total, true, err)))
                        return false;
        }
        return true;
}

bool
rs_exec_load(resect_exec *e, const resect_exec *base, resect_error *err)
{
        const resect_plan *p = e->plan;
        e->owns_slabs = !base || !p->training;
        if (!e->owns_slabs) {
                e->parameters = base->parameters;
                e->statistics = base->statistics;
                e->gradients = base->gradients;
        } else if (p->training) {
                if (!lay_out(e, &e->parameters, false, err) ||
                        !lay_out(e, &e->statistics, true, err) ||
                        !(e->parameters.values = make_zeros(
                                  e, e->parameters.count * sizeof(float), false, err)) ||
                        !(e->statistics.values = make_zeros(
                                  e, e->statistics.count * sizeof(float), false, err)) ||
                        !(e->gradients = make_zeros(
                                  e, e->parameters.count * sizeof(float), false, err)))
                        return false;
        }
        bool *read = weights_read(e, err);
        if (!read || !place_trained(e, err) || !place_fixed(e, base, read, err))
                return false;
        bool ok = derive(e, NULL, err);
        rs_input_rest(p->model->input); /* the weights were copied: their pages need not stay */
        return ok;
}

bool
rs_exec_refresh(resect_exec *e, const resect_exec *trained, resect_error *err)
{
        const resect_plan *p = e->plan;
        for (size_t v = 0; v < p->n_values; v++) {
                const rs_pvalue *x = &p->values[v];
                if (x->place != RS_PLACE_WEIGHT || x->root != (int)v || !e->values[v].data)
                        continue;
                const rs_slab *slabs[] = {&trained->parameters, &trained->statistics};
                for (int i = 0; i < 2; i++) {
                        const rs_piece *piece = rs_slab_find(slabs[i], x->tensor->name);
                        if (piece && piece->count == x->tensor->count)
                                memcpy(e->values[v].data, slabs[i]->values + piece->offset,
                                        piece->count * sizeof(float));
                }
        }
        return derive(e, trained, err);
}

bool
rs_exec_store(const resect_exec *e, resect_model *m, resect_error *err)
{
        const rs_slab *slabs[] = {&e->parameters, &e->statistics};
        for (int k = 0; k < 2; k++)
                for (size_t i = 0; i < slabs[k]->n_pieces; i++) {
                        const rs_piece *piece = &slabs[k]->pieces[i];
                        rs_tensor *t = NULL;
                        for (size_t j = 0; j < m->graph.n_tensors && !t; j++)
                                if (!strcmp(m->graph.tensors[j]->name, piece->name))
                                        t = m->graph.tensors[j];
                        if (!t || t->dtype != RESECT_FLOAT || t->count != piece->count)
                                return rs_fail(err, RESECT_ARG,
                                        "%s: the model has no such float32 tensor of %zu elements",
                                        piece->name, piece->count);
                        if (!rs_tensor_renew(m, t, t->rank, t->dims, err))
                                return false;
                        /* renew's payload is ours to write, in the file's byte order */
                        rs_from_little((void *)(uintptr_t)t->data.data,
                                slabs[k]->values + piece->offset, RESECT_FLOAT, piece->count);
                }
        return true;
}
