/* SPDX-License-Identifier: 0BSD */
/*
 * The distance between pictures and what a model remembers of others. One pass over each data set,
 * the model as it is; at every place the moments of two interleaved halves, so that what chance
 * alone would show is known, too: the halves differ by chance, and by four times as much as all
 * pictures do from their source (half as many on either side of the difference).
 */
#include "adapt/adapt.h"
#include "base/threads.h"
#include "edit/edit.h"
#include "exec/exec.h"
#include "resect/look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
        const char *value, *name, *stage;
        size_t channels;
        double epsilon;
        const double *mean, *var; /* stored, or NULL */
        rs_moments half[2][2];    /* of DATA and of source: one half, the other */
        resect_shift_layer out;
} place;

struct resect_shift {
        rs_arena arena;
        place *at;
        size_t n;
        resect_shift_facts facts;
};

typedef struct run {
        resect_shift *s;
        resect_model *m;
        const resect_shift_options *o;
        const char *features; /* a value, or NULL */
        size_t width;         /* of it */
        float *rows[2];       /* [pictures, width] of DATA and of source */
        size_t done, total;
} run;

/* The part of a name before its first dot. */
static const char *
stage_of(rs_arena *a, const char *part, resect_error *err)
{
        return rs_arena_strndup(a, part, strcspn(part, "."), err);
}

static bool
name_place(resect_shift *s, place *p, const char *part, const rs_node *n, resect_error *err)
{
        p->name = rs_arena_strdup(&s->arena, part ? part : rs_node_title(n), err);
        p->stage = part ? stage_of(&s->arena, part, err) : "";
        return p->name && p->stage;
}

/* Where BatchNormalization reads. */
static bool
places_of_norms(
        resect_shift *s, const rs_norm_sites *sites, const resect_anatomy *a, resect_error *err)
{
        s->at = RS_NEW(&s->arena, sites->n, place, err);
        for (size_t i = 0; s->at && i < sites->n; i++) {
                const rs_norm_site *site = &sites->at[i];
                place *p = &s->at[s->n++];
                *p = (place){.value = site->input,
                        .channels = site->channels,
                        .epsilon = site->epsilon,
                        .mean = site->mean,
                        .var = site->var};
                const char *part = resect_anatomy_tensor_part(a, site->node->in[3]);
                if (!part)
                        part = resect_anatomy_value_part(a, site->node->out[0]);
                if (!name_place(s, p, part, site->node, err))
                        return false;
        }
        return s->at != NULL;
}

/* Folded away, BatchNormalization left its place: what a Conv makes is what it made, and the
 * distance is the same under any scale and bias of a channel. */
static bool
places_of_convs(resect_shift *s, resect_model *m, const resect_anatomy *a, resect_error *err)
{
        rs_index ix;
        if (!rs_index_make(&ix, &m->graph, err))
                return false;
        s->at = RS_NEW(&s->arena, m->graph.n_nodes + 1, place, err);
        bool ok = s->at != NULL;
        for (size_t i = 0; ok && i < m->graph.n_nodes; i++) {
                const rs_node *n = m->graph.nodes[i];
                const rs_tensor *w =
                        rs_is_op(n, "Conv") && n->n_in > 1 ? rs_constant(&ix, n->in[1]) : NULL;
                const char *part = w ? resect_anatomy_value_part(a, n->out[0]) : NULL;
                if (!part || strcmp(part, "head") == 0)
                        continue;
                place *p = &s->at[s->n++];
                *p = (place){.value = n->out[0], .channels = (size_t)w->dims[0], .epsilon = 1e-5};
                ok = name_place(s, p, part, n, err);
        }
        rs_index_free(&ix);
        return ok;
}

/* Samples spread over a split, arranged so that every run of `half` positions belongs to one half
 * of them. */
static bool
arrange(run *r, const resect_data *d, resect_split split, size_t batch, size_t **order,
        unsigned char **half, size_t *n, resect_error *err)
{
        const size_t have = resect_data_count(d, split);
        *n = r->o->samples && r->o->samples < have ? r->o->samples : have;
        if (*n < 2)
                return rs_fail(err, RESECT_ARG, "%zu pictures are too few to have statistics", *n);
        *order = RS_NEW(&r->s->arena, *n, size_t, err);
        *half = RS_NEW(&r->s->arena, *n, unsigned char, err);
        size_t k = 0;
        for (size_t from = 0; *order && *half && from < *n; from += 2 * batch)
                for (size_t h = 0; h < 2; h++)
                        for (size_t i = from + h; i < *n && i < from + 2 * batch; i += 2) {
                                (*order)[k] = (size_t)((double)i * (double)have / (double)*n);
                                (*half)[k++] = (unsigned char)h;
                        }
        return *order && *half;
}

/* Rows at .. at + n of a batch. */
static resect_tensor
part_of(const resect_tensor *x, size_t at, size_t n)
{
        resect_tensor t = *x;
        const size_t row = x->size / (size_t)x->dims[0];
        t.data = (char *)x->data + at * row;
        t.size = n * row;
        t.dims[0] = (int64_t)n;
        return t;
}

static bool
tally(run *r, int set, const resect_tensor *x, const resect_tensor *out, const char *picture,
        const unsigned char *half, size_t n, resect_error *err)
{
        const int threads = rs_threads(r->o->threads);
        for (size_t i = 0, k = 0; i < r->s->n; i++) {
                place *p = &r->s->at[i];
                const resect_tensor *v = strcmp(p->value, picture) == 0 ? x : &out[k++];
                if (v->rank < 2 || v->dims[1] != (int64_t)p->channels)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s has %lld channels where there are %zu statistics", p->name,
                                (long long)(v->rank > 1 ? v->dims[1] : 1), p->channels);
                for (size_t from = 0, to; from < n; from = to) {
                        for (to = from; to < n && half[to] == half[from]; to++)
                                continue;
                        const resect_tensor rows = part_of(v, from, to - from);
                        rs_moments_add(&p->half[set][half[from]], &rows, to - from, threads);
                }
        }
        return true;
}

typedef struct engine {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor *out;
        size_t n;
} engine;

static bool
engine_make(run *r, engine *e, const rs_intake *in, resect_error *err)
{
        const resect_binding x = {in->name, in->shape};
        const char **names = RS_NEW(&r->s->arena, r->s->n + 1, const char *, err);
        e->out = RS_NEW(&r->s->arena, r->s->n + 2, resect_tensor, err);
        if (!names || !e->out)
                return false;
        for (size_t i = 0; i < r->s->n; i++)
                if (strcmp(r->s->at[i].value, in->name) != 0)
                        names[e->n++] = r->s->at[i].value;
        if (r->features)
                names[e->n++] = r->features;
        e->plan = resect_plan_make(r->m,
                &(resect_plan_options){.inputs = &x,
                        .n_inputs = 1,
                        .outputs = names,
                        .n_outputs = e->n,
                        .no_fusion = true,
                        .threads = r->o->threads,
                        .kernels = r->o->kernels,
                        .precision = r->o->precision,
                        .exact = r->o->exact,
                        .progress = r->o->progress,
                        .ctx = r->o->ctx},
                err);
        e->exec = e->plan ? resect_exec_make(e->plan, err) : NULL;
        return e->exec != NULL;
}

/* The features of a batch go to their rows, when they are one float32 row a picture. */
static bool
keep_features(run *r, int set, const resect_tensor *f, size_t at, size_t n, size_t pictures,
        resect_error *err)
{
        size_t width = 1;
        if (f->dtype != RESECT_FLOAT || f->rank < 2)
                return true;
        for (int i = 1; i < f->rank; i++)
                width *= (size_t)f->dims[i];
        if (!r->rows[set]) {
                r->width = width;
                r->rows[set] = rs_alloc(pictures * width, sizeof(float), err);
                if (!r->rows[set])
                        return false;
        }
        memcpy(r->rows[set] + at * width, f->data, n * width * sizeof(float));
        return true;
}

/* One data set through the model. */
static bool
look(run *r, const resect_data *d, resect_split split, int set, size_t *pictures, resect_error *err)
{
        rs_intake in;
        engine e = {0};
        size_t *order = NULL;
        unsigned char *half = NULL;
        const size_t fixed = rs_fixed_batch(r->m), batch = fixed         ? fixed
                                                           : r->o->batch ? r->o->batch
                                                                         : 8;
        if (!arrange(r, d, split, batch, &order, &half, pictures, err) ||
                !rs_intake_make(&in, r->m, d, r->o->input, batch, err))
                return false;
        float *full = rs_alloc_aligned(in.shape.size, err);
        bool ok = full && engine_make(r, &e, &in, err);
        resect_loader *l = ok ? resect_loader_make(d,
                                        &(resect_loader_options){.split = split,
                                                .order = order,
                                                .n = *pictures,
                                                .batch = batch,
                                                .input = &in.input},
                                        err)
                              : NULL;
        ok = l != NULL;
        resect_batch b;
        for (size_t at = 0; ok && at < *pictures; at += b.n) {
                ok = resect_loader_next(l, &b, err);
                if (!ok)
                        break;
                const resect_tensor x = rs_full_batch(&b.x, b.n, batch, full);
                ok = rs_exec_run_first(e.exec, b.n, &x, e.out, err) &&
                     tally(r, set, &x, e.out, in.name, half + at, b.n, err) &&
                     (!r->features ||
                             keep_features(r, set, &e.out[e.n - 1], at, b.n, *pictures, err));
                r->done += b.n;
                if (ok && r->o->progress && !r->o->progress(r->o->ctx, r->done, r->total))
                        ok = rs_fail(err, RESECT_STOPPED, "stopped");
        }
        resect_loader_free(l);
        resect_exec_free(e.exec);
        resect_plan_free(e.plan);
        rs_free_aligned(full);
        return ok;
}

static double
mean_distance(const place *p, const double *mean_a, const double *var_a, const double *mean_b,
        const double *var_b, double *each)
{
        double sum = 0;
        for (size_t c = 0; c < p->channels; c++) {
                const double d = resect_gauss_distance(
                        mean_a[c], var_a[c] + p->epsilon, mean_b[c], var_b[c] + p->epsilon);
                if (each)
                        each[c] = d;
                sum += d;
        }
        return p->channels ? sum / (double)p->channels : 0;
}

/* A quarter of the distance between the halves of one set. */
static bool
chance_of(resect_shift *s, const place *p, int set, double *out, resect_error *err)
{
        double *var[2];
        for (int h = 0; h < 2; h++) {
                var[h] = RS_NEW(&s->arena, p->channels + 1, double, err);
                if (!var[h])
                        return false;
                for (size_t c = 0; c < p->channels; c++)
                        var[h][c] = rs_moments_var(&p->half[set][h], c);
        }
        *out = mean_distance(p, p->half[set][0].mean, var[0], p->half[set][1].mean, var[1], NULL) /
               4;
        return true;
}

static int
ascending(const void *x, const void *y)
{
        const double a = *(const double *)x, b = *(const double *)y;
        return (a > b) - (a < b);
}

/* Mean and variance of all pictures of a set. */
static bool
whole(resect_shift *s, place *p, int set, const double **mean, const double **var,
        resect_error *err)
{
        rs_moments *all = &p->half[set][0];
        rs_moments_join(all, &p->half[set][1]);
        double *v = RS_NEW(&s->arena, p->channels + 1, double, err);
        for (size_t c = 0; v && c < p->channels; c++)
                v[c] = rs_moments_var(all, c);
        *mean = all->mean;
        *var = v;
        return v != NULL;
}

static bool
conclude(resect_shift *s, place *p, bool source, resect_error *err)
{
        resect_shift_layer *o = &p->out;
        const double *source_mean = NULL, *source_var = NULL;
        double chance, more = 0;
        double *each = RS_NEW(&s->arena, p->channels + 1, double, err),
               *sorted = RS_NEW(&s->arena, p->channels + 1, double, err);
        *o = (resect_shift_layer){.name = p->name,
                .stage = p->stage,
                .channels = p->channels,
                .source = NAN,
                .distance = each};
        if (!each || !sorted || !chance_of(s, p, 0, &chance, err) ||
                (source && !chance_of(s, p, 1, &more, err)) ||
                !whole(s, p, 0, &o->data_mean, &o->data_var, err) ||
                (source && !whole(s, p, 1, &source_mean, &source_var, err)))
                return false;
        o->reference_mean = p->mean ? p->mean : source_mean;
        o->reference_var = p->mean ? p->var : source_var;
        o->chance = chance + (p->mean ? 0 : more);
        o->mean = mean_distance(
                p, o->data_mean, o->data_var, o->reference_mean, o->reference_var, each);
        o->sum = o->mean * (double)p->channels;
        memcpy(sorted, each, p->channels * sizeof *sorted);
        qsort(sorted, p->channels, sizeof *sorted, ascending);
        const size_t n = p->channels;
        o->median = n ? (sorted[n / 2] + sorted[(n - 1) / 2]) / 2 : 0;
        if (p->mean && source)
                o->source = mean_distance(p, source_mean, source_var, p->mean, p->var, NULL);
        return true;
}

/* Pooled features, when the structure shows them: what enters the head, or what a headless model
 * gives after its pool. */
static const char *
features_of(const resect_summary *a)
{
        return a->has_head || a->has_pool ? a->features : NULL;
}

static bool
measure(run *r, const resect_data *d, resect_split split, const resect_data *source,
        resect_split source_split, const resect_anatomy *a, resect_error *err)
{
        resect_shift *s = r->s;
        rs_norm_sites sites;
        if (!rs_norm_sites_find(&sites, r->m, &s->arena, err))
                return false;
        s->facts.stored = sites.n > 0;
        if (!sites.n && !source)
                return rs_fail(err, RESECT_GRAPH,
                        "the model remembers no statistics (no BatchNormalization, or folded into "
                        "Conv): --source, with pictures like those it was trained on, gives "
                        "something to compare with");
        if (sites.n ? !places_of_norms(s, &sites, a, err) : !places_of_convs(s, r->m, a, err))
                return false;
        if (s->n == 0)
                return rs_fail(err, RESECT_GRAPH,
                        "there is no layer to compare: no Conv of a "
                        "residual network was found");
        for (size_t i = 0; i < s->n; i++)
                for (int k = 0; k < 4; k++)
                        if (!rs_moments_make(&s->at[i].half[k / 2][k % 2], &s->arena,
                                    s->at[i].channels, err))
                                return false;
        r->features = source ? features_of(resect_anatomy_summary(a)) : NULL;
        const size_t most = r->o->samples ? r->o->samples : SIZE_MAX;
        const size_t n = resect_data_count(d, split),
                     m = source ? resect_data_count(source, source_split) : 0;
        r->total = (n < most ? n : most) + (m < most ? m : most);
        if (!look(r, d, split, 0, &s->facts.pictures, err) ||
                (source && !look(r, source, source_split, 1, &s->facts.source_pictures, err)))
                return false;
        for (size_t i = 0; i < s->n; i++)
                if (!conclude(s, &s->at[i], source != NULL, err))
                        return false;
        s->facts.layers = s->n;
        if (!r->rows[0] || !r->rows[1])
                return true;
        s->facts.features = r->width;
        return rs_domain_auc(r->rows[0], s->facts.pictures, r->rows[1], s->facts.source_pictures,
                r->width, r->o->seed, r->o->threads, &s->facts, err);
}

resect_shift *
resect_shift_measure(resect_model *m, const resect_data *d, resect_split split,
        const resect_data *source, resect_split source_split, const resect_shift_options *options,
        resect_error *err)
{
        static const resect_shift_options none;
        resect_shift *s = rs_alloc(1, sizeof *s, err);
        resect_anatomy *a = s ? resect_anatomy_find(m, err) : NULL;
        run r = {.s = s, .m = m, .o = options ? options : &none};
        if (s)
                s->facts.auc = s->facts.auc_low = s->facts.auc_high = NAN;
        bool ok = a && measure(&r, d, split, source, source_split, a, err);
        rs_free(r.rows[0]);
        rs_free(r.rows[1]);
        resect_anatomy_free(a);
        if (ok)
                return s;
        resect_shift_free(s);
        return NULL;
}

void
resect_shift_free(resect_shift *s)
{
        if (!s)
                return;
        rs_arena_free(&s->arena);
        rs_free(s);
}

resect_shift_facts
resect_shift_about(const resect_shift *s)
{
        return s->facts;
}

bool
resect_shift_layer_at(const resect_shift *s, size_t i, resect_shift_layer *out)
{
        if (i < s->n)
                *out = s->at[i].out;
        return i < s->n;
}
