/* SPDX-License-Identifier: 0BSD */
/*
 * Features of all depths from one forward pass. Behind every depth a GlobalAveragePool is put into
 * the graph while the pass lasts, and the plan's outputs are those: maps are averaged where they
 * lie, in the layout of the kernels, and given up as in any other run, so that a ResNet-101's 33
 * blocks cost hardly more than its last one.
 */
#include "probe/probe.h"

#include <math.h>
#include <string.h>
#include "base/clock.h"
#include "edit/edit.h"
#include "exec/exec.h"
#include "look/anatomy.h"
#include "study/predict.h"

enum { BATCH = 32 };

void
rs_depths_free(rs_depths *d)
{
        for (size_t i = 0; d->x && i < d->n_depths; i++)
                rs_free(d->x[i]);
        rs_free(d->x);
        *d = (rs_depths){0};
}

/* What a pass needs; freed together. */
typedef struct pass {
        rs_arena arena;
        rs_intake in;
        size_t batch;
        const char **values; /* [n_depths] what is averaged */
        rs_node **pools; /* [n_depths] what averages it; NULL: it is one row a picture already */
        const char **outputs;
        size_t *features; /* [n_depths] */
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor *results;
        float *full;
} pass;

static bool
add_row(resect_probe *p, pass *s, const char *name, const char *value, uint64_t parameters,
        uint64_t macs, resect_error *err)
{
        const resect_probe_row *before = p->n_rows ? &p->rows[p->n_rows - 1] : NULL;
        resect_probe_row *r = &p->rows[p->n_rows];
        s->values[p->n_rows++] = value;
        r->part = rs_arena_strdup(&p->arena, name, err);
        r->parameters = parameters + (before ? before->parameters : 0);
        r->macs = macs + (before ? before->macs : 0);
        return r->part != NULL;
}

static const resect_part *
part_named(const resect_anatomy *a, const char *name)
{
        const resect_part *part;
        for (size_t i = 0; (part = resect_anatomy_part(a, i)); i++)
                if (!strcmp(part->name, name))
                        return part;
        return NULL;
}

/* The depths, from the stem on. */
static bool
list_depths(resect_probe *p, pass *s, const resect_anatomy *a, resect_error *err)
{
        size_t most = a->n_blocks + 2;
        p->rows = RS_NEW(&p->arena, most, resect_probe_row, err);
        s->values = p->rows ? RS_NEW(&s->arena, 2 * most, const char *, err) : NULL;
        s->pools = s->values ? RS_NEW(&s->arena, most, rs_node *, err) : NULL;
        s->features = s->pools ? RS_NEW(&s->arena, most, size_t, err) : NULL;
        s->results = s->features ? RS_NEW(&s->arena, most, resect_tensor, err) : NULL;
        if (!s->results)
                return false;
        s->outputs = s->values + most;
        if (!a->n_blocks)
                return rs_fail(err, RESECT_GRAPH,
                        "the model is no residual network: there are no blocks to probe behind");
        const resect_part *stem = part_named(a, "stem"), *pool = part_named(a, "pool");
        if (stem && a->stem_output &&
                !add_row(p, s, "stem", a->stem_output, stem->parameters, stem->macs, err))
                return false;
        for (size_t i = 0; i < a->n_blocks; i++) {
                const rs_ablock *b = &a->blocks[i];
                if (!add_row(p, s, b->pub.name, rs_anatomy_cut(a, b), b->pub.parameters,
                            b->pub.macs, err))
                        return false;
        }
        if (pool && a->tail.features &&
                !add_row(p, s, "pool", a->tail.features, pool->parameters, pool->macs, err))
                return false;
        p->facts.parameters = p->rows[p->n_rows - 1].parameters;
        p->facts.macs = p->rows[p->n_rows - 1].macs;
        return true;
}

/* Right behind what makes its maps, so that they are averaged while they are at hand and given up
 * in time. */
static bool
add_pool(resect_model *m, pass *s, size_t i, const rs_index *ix, resect_error *err)
{
        const rs_link *l = rs_index_find(ix, s->values[i]);
        const char *name = rs_model_fresh_name(m, "probed", err);
        if (name)
                s->pools[i] = rs_model_add_node(
                        m, "GlobalAveragePool", name, &s->values[i], 1, &name, 1, err);
        s->outputs[i] = name;
        if (s->pools[i] && l && l->maker)
                rs_graph_place(&m->graph, s->pools[i], l->maker);
        return s->pools[i] != NULL;
}

/* Ranks are known to the anatomy: maps are averaged, rows are taken as they are. */
static bool
add_pools(resect_probe *p, resect_model *m, pass *s, const resect_anatomy *a, resect_error *err)
{
        for (size_t i = 0; i < p->n_rows; i++) {
                const rs_type *t = rs_types_find(&a->types, s->values[i]);
                s->outputs[i] = s->values[i];
                if ((!t || t->rank != 2) && !add_pool(m, s, i, &a->index, err))
                        return false;
        }
        return true;
}

static void
take_pools_away(resect_model *m, const pass *s, size_t n)
{
        for (size_t i = 0; s->pools && i < n; i++)
                if (s->pools[i])
                        rs_graph_remove(&m->graph, s->pools[i]);
}

static bool
on_timing(void *ctx, size_t done, size_t total)
{
        const resect_probe_options *o = ctx;
        return !o->progress || o->progress(o->ctx, "pictures", done, total);
}

static bool
make_plan(
        resect_probe *p, pass *s, resect_model *m, const resect_probe_options *o, resect_error *err)
{
        resect_binding binding = {s->in.name, s->in.shape};
        s->plan = resect_plan_make(m,
                &(resect_plan_options){.inputs = &binding,
                        .n_inputs = 1,
                        .outputs = s->outputs,
                        .n_outputs = p->n_rows,
                        .threads = o->threads,
                        .kernels = o->kernels,
                        .precision = o->precision,
                        .exact = o->exact,
                        .progress = on_timing,
                        .ctx = (void *)(uintptr_t)o},
                err);
        if (!s->plan)
                return false;
        for (size_t i = 0; i < p->n_rows; i++)
                if (!rs_logits_width(s->plan, i, s->batch, &p->rows[i].features, err))
                        return rs_fail_at(err, "%s", p->rows[i].part);
        s->exec = resect_exec_make(s->plan, err);
        s->full = s->exec ? rs_alloc_aligned(s->in.shape.size, err) : NULL;
        return s->full != NULL;
}

static bool
make_room(const resect_probe *p, rs_depths *d, size_t n, resect_error *err)
{
        size_t cells;
        *d = (rs_depths){.n = n, .n_depths = p->n_rows};
        d->x = rs_alloc(p->n_rows, sizeof *d->x, err);
        for (size_t i = 0; d->x && i < p->n_rows; i++) {
                d->x[i] = rs_mul(n, p->rows[i].features, &cells)
                                  ? rs_alloc(cells, sizeof **d->x, err)
                                  : RS_NOMEM_NULL(err);
                if (!d->x[i])
                        return false;
        }
        return d->x != NULL;
}

static bool
take(const resect_probe *p, const pass *s, rs_depths *d, size_t at, size_t n,
        const resect_data *data, resect_split split, resect_error *err)
{
        for (size_t i = 0; i < p->n_rows; i++) {
                size_t wide = p->rows[i].features;
                const float *x = s->results[i].data;
                for (size_t k = 0; k < n * wide; k++)
                        if (!isfinite(x[k]))
                                return rs_fail(err, RESECT_FORMAT,
                                        "%s: feature %zu of picture %s is not a finite number",
                                        p->rows[i].part, k % wide,
                                        resect_data_name(data, split, at + k / wide));
                memcpy(d->x[i] + at * wide, x, n * wide * sizeof *x);
        }
        return true;
}

static bool
go_through(resect_probe *p, pass *s, const resect_data *data, resect_split split,
        const resect_probe_options *o, size_t before, rs_depths *d, resect_error *err)
{
        size_t n = resect_data_count(data, split),
               all = resect_data_count(data, RESECT_TRAIN) +
                     resect_data_count(data, rs_probe_held_out(o));
        resect_loader *l = make_room(p, d, n, err)
                                   ? resect_loader_make(data,
                                             &(resect_loader_options){.split = split,
                                                     .n = n,
                                                     .batch = s->batch,
                                                     .input = &s->in.input,
                                                     .computes = o->threads},
                                             err)
                                   : NULL;
        resect_batch b = {0};
        bool ok = l != NULL;
        for (size_t at = 0; ok; at += b.n) {
                if (o->progress && !o->progress(o->ctx, "pictures", before + at, all))
                        ok = rs_fail(err, RESECT_STOPPED, "stopped after %zu of %zu pictures",
                                before + at, all);
                ok = ok && resect_loader_next(l, &b, err);
                if (!ok || !b.n)
                        break;
                resect_tensor x = rs_full_batch(&b.x, b.n, s->batch, s->full);
                ok = rs_exec_run_first(s->exec, b.n, &x, s->results, err) &&
                     take(p, s, d, at, b.n, data, split, err);
        }
        resect_loader_free(l);
        return ok;
}

static bool
run(resect_probe *p, pass *s, resect_model *m, const resect_data *d, const resect_probe_options *o,
        rs_depths *train, rs_depths *held, resect_error *err)
{
        size_t fixed = rs_fixed_batch(m), n_train = resect_data_count(d, RESECT_TRAIN);
        s->batch = fixed ? fixed : o->batch ? o->batch : BATCH;
        if (!rs_intake_make(&s->in, m, d, o->input, s->batch, err))
                return false;
        resect_anatomy *a = resect_anatomy_find_at(m, s->in.input.height, s->in.input.width, err);
        bool ok = a && list_depths(p, s, a, err) && add_pools(p, m, s, a, err);
        resect_anatomy_free(a); /* the graph has changed; names are the model's */
        ok = ok && make_plan(p, s, m, o, err);
        double began = rs_now();
        ok = ok && go_through(p, s, d, RESECT_TRAIN, o, 0, train, err) &&
             go_through(p, s, d, rs_probe_held_out(o), o, n_train, held, err);
        p->facts.forward_seconds = rs_now() - began;
        return ok;
}

bool
rs_probe_features(resect_probe *p, resect_model *m, const resect_data *d,
        const resect_probe_options *o, rs_depths *train, rs_depths *held, resect_error *err)
{
        pass s = {0};
        bool ok = run(p, &s, m, d, o, train, held, err);
        resect_exec_free(s.exec);
        resect_plan_free(s.plan);
        take_pools_away(m, &s, p->n_rows);
        rs_free_aligned(s.full);
        rs_arena_free(&s.arena);
        return ok;
}
