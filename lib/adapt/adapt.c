/* SPDX-License-Identifier: 0BSD */
/*
 * The statistics of other pictures (AdaBN, arXiv 1603.04779).
 *
 * Exact re-estimation walks the network once with all pictures in step. What a level's
 * BatchNormalization read is held for every picture, with all else that is still wanted further on
 * (a shortcut); their moments are stored in the model; then a plan that begins at the held values
 * carries the pictures on to the next level. So every multiplication is done once, as in one
 * forward pass, and every layer is measured behind layers that are already right. What cannot be
 * held (a value that is not one row a picture) makes each level start from the pictures again:
 * slower, the same numbers.
 */
#include "adapt/adapt.h"
#include "adapt/held.h"
#include "base/random.h"
#include "base/threads.h"
#include "edit/edit.h"
#include "exec/exec.h"

#include <string.h>

typedef struct job {
        resect_model *m;
        const resect_data *d;
        resect_split split;
        const resect_adapt_options *o;
        rs_arena arena;
        rs_norm_sites sites;
        rs_intake in;
        size_t batch, n, *order; /* pictures, in order of the split */
        rs_moments *seen;        /* [sites.n] */
        rs_map levels;
        size_t n_levels;
        rs_held *held; /* [n_held] */
        size_t n_held;
        bool from_pictures;
        float *full; /* a batch of pictures filled up */
        uint64_t most;
        size_t done, total; /* of the progress */
} job;

typedef struct engine { /* a plan and what it gives */
        resect_plan *plan;
        resect_exec *exec;
        const char **wanted; /* [n] outputs */
        size_t n;
        resect_tensor *out; /* [n] */
} engine;

static void
engine_free(engine *e)
{
        resect_exec_free(e->exec);
        resect_plan_free(e->plan);
        *e = (engine){0};
}

static bool
tell(job *j, size_t pictures, resect_error *err)
{
        j->done += pictures;
        if (j->o->progress && !j->o->progress(j->o->ctx, j->done, j->total))
                return rs_fail(err, RESECT_STOPPED, "stopped");
        return true;
}

static bool
engine_make(job *j, engine *e, resect_plan_options o, resect_error *err)
{
        e->out = RS_NEW(&j->arena, e->n + 1, resect_tensor, err);
        if (!e->out)
                return false;
        o.outputs = e->wanted;
        o.n_outputs = e->n;
        o.no_fusion = !o.training; /* every value can be asked for */
        o.threads = j->o->threads;
        o.kernels = j->o->kernels;
        o.precision = j->o->precision;
        o.exact = j->o->exact;
        o.progress = j->o->progress;
        o.ctx = j->o->ctx;
        e->plan = resect_plan_make(j->m, &o, err);
        e->exec = e->plan ? resect_exec_make(e->plan, err) : NULL;
        return e->exec != NULL;
}

/* The pictures of an order, batch by batch. */
static resect_loader *
load(job *j, size_t n, resect_error *err)
{
        return resect_loader_make(j->d,
                &(resect_loader_options){.split = j->split,
                        .order = j->order,
                        .n = n,
                        .batch = j->batch,
                        .input = &j->in.input},
                err);
}

static bool
add(job *j, size_t site, const resect_tensor *x, size_t rows, resect_error *err)
{
        const rs_norm_site *s = &j->sites.at[site];
        if (x->rank < 2 || x->dims[1] != (int64_t)s->channels)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: its input has %lld channels where there are %zu statistics",
                        rs_node_title(s->node), (long long)(x->rank > 1 ? x->dims[1] : 1),
                        s->channels);
        rs_moments_add(&j->seen[site], x, rows, rs_threads(j->o->threads));
        return true;
}

/* A value by its name among those held; NULL when it is not. */
static rs_held *
held(job *j, const char *name)
{
        for (size_t i = 0; i < j->n_held; i++)
                if (strcmp(j->held[i].name, name) == 0)
                        return &j->held[i];
        return NULL;
}

static size_t
level_of(const job *j, const char *value)
{
        return (size_t)(uintptr_t)rs_map_get(&j->levels, value);
}

static bool
listed(const char *const *names, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

/* Marks what the statistics need: nodes after the last of them need not run, nor be held for. */
static bool
needed_nodes(job *j, bool **needed, resect_error *err)
{
        const rs_graph *g = &j->m->graph;
        rs_map want = {0};
        *needed = RS_NEW(&j->arena, g->n_nodes + 1, bool, err);
        bool ok = *needed != NULL;
        for (size_t i = 0; ok && i < j->sites.n; i++)
                if (!j->sites.at[i].frozen)
                        ok = rs_map_put(&want, j->sites.at[i].input, j, NULL, err);
        for (size_t k = g->n_nodes; ok && k-- > 0;) {
                const rs_node *n = g->nodes[k];
                for (size_t o = 0; o < n->n_out; o++)
                        (*needed)[k] |= *n->out[o] && rs_map_get(&want, n->out[o]);
                for (size_t i = 0; ok && (*needed)[k] && i < n->n_in; i++)
                        ok = !*n->in[i] || rs_map_put(&want, n->in[i], j, NULL, err);
        }
        rs_map_free(&want);
        return ok;
}

/* The values made below `level` that something at that level or above reads: they carry the
 * pictures across. Levels in the map are one more than the number of norms passed. */
static bool
crossing(
        job *j, size_t level, const bool *needed, const char ***names, size_t *n, resect_error *err)
{
        const rs_graph *g = &j->m->graph;
        size_t most = 1;
        for (size_t k = 0; k < g->n_nodes; k++)
                most += g->nodes[k]->n_in;
        *n = 0;
        *names = RS_NEW(&j->arena, most, const char *, err);
        for (size_t k = 0; *names && k < g->n_nodes; k++) {
                const rs_node *node = g->nodes[k];
                size_t at = node->n_out ? level_of(j, node->out[0]) : 0; /* its level + 1 */
                bool reads = needed[k] && at >= level + 1;
                for (size_t i = 0; i < j->sites.n && !reads; i++) /* even one that leads nowhere */
                        reads = j->sites.at[i].node == node && j->sites.at[i].level == level;
                for (size_t i = 0; reads && i < node->n_in; i++) {
                        size_t from = level_of(j, node->in[i]);
                        if (from && from <= level && !listed(*names, *n, node->in[i]))
                                (*names)[(*n)++] = node->in[i];
                }
        }
        return *names != NULL;
}

/* Whether a planned value is a row of numbers for each picture. */
static bool
is_rows(const job *j, const resect_tensor *t)
{
        return t->rank >= 1 && t->dims[0] == (int64_t)j->batch &&
               (t->dtype == RESECT_FLOAT || t->dtype == RESECT_DOUBLE ||
                       t->dtype == RESECT_FLOAT16);
}

/* What a plan reads: the held values, or the pictures. */
static bool
bind(job *j, bool pictures, resect_binding **in, size_t *n, resect_error *err)
{
        *n = pictures ? 1 : j->n_held;
        *in = RS_NEW(&j->arena, *n + 1, resect_binding, err);
        if (*in && pictures)
                (*in)[0] = (resect_binding){j->in.name, j->in.shape};
        for (size_t i = 0; *in && !pictures && i < j->n_held; i++)
                (*in)[i] = (resect_binding){j->held[i].name, j->held[i].batch};
        return *in != NULL;
}

/* Makes room for the values that cross a level: those held already stay, the others are new. */
static bool
make_room(job *j, const engine *e, const char *const *names, size_t n, rs_held *next,
        resect_error *err)
{
        const uint64_t budget = j->o->memory ? j->o->memory : UINT64_C(1) << 30;
        uint64_t now = 0, memory = 0;
        for (size_t i = 0; i < j->n_held; i++) {
                now += j->held[i].bytes;
                memory += j->held[i].mapped ? 0 : j->held[i].bytes;
        }
        for (size_t i = 0; i < n; i++) {
                if (held(j, names[i]))
                        continue;
                resect_tensor shape = j->in.shape;
                const char *name;
                for (size_t k = 0; k < e->n; k++)
                        if (strcmp(e->wanted[k], names[i]) == 0 &&
                                !resect_plan_output(e->plan, k, &name, &shape))
                                return rs_fail(err, RESECT_GRAPH, "%s: no such value", names[i]);
                uint64_t bytes = shape.size / (size_t)shape.dims[0] * (uint64_t)j->n;
                if (!rs_held_make(&next[i], names[i], &shape, j->n, memory + bytes <= budget,
                            j->o->temporary, err))
                        return false;
                now += next[i].bytes;
                memory += next[i].mapped ? 0 : next[i].bytes;
        }
        j->most = now > j->most ? now : j->most;
        return true;
}

/* One batch of pictures, or of held rows, through a plan; what crosses is laid down, what the
 * level's norms read is added to their moments. */
static bool
carry(job *j, engine *e, const resect_tensor *inputs, size_t at, size_t rows, size_t level,
        const char *const *names, size_t n, rs_held *next, resect_error *err)
{
        if (e->exec && !rs_exec_run_first(e->exec, rows, inputs, e->out, err))
                return false;
        for (size_t k = 0; k < n; k++) {
                if (!next || !next[k].rows)
                        continue;
                const resect_tensor *from = &inputs[0]; /* the picture itself */
                for (size_t i = 0; i < e->n; i++)
                        if (strcmp(e->wanted[i], names[k]) == 0)
                                from = &e->out[i];
                memcpy(next[k].rows + at * next[k].row, from->data, rows * next[k].row);
        }
        for (size_t s = 0; s < j->sites.n; s++) {
                const rs_norm_site *site = &j->sites.at[s];
                if (site->frozen || site->level != level)
                        continue;
                const resect_tensor *x = NULL;
                resect_tensor kept;
                for (size_t i = 0; i < e->n && !x; i++)
                        if (strcmp(e->wanted[i], site->input) == 0)
                                x = &e->out[i];
                rs_held *h = x ? NULL : held(j, site->input);
                if (h) { /* made for an earlier level already */
                        kept = h->batch;
                        kept.data = h->rows + at * h->row;
                        x = &kept;
                }
                if (!add(j, s, x ? x : &inputs[0], rows, err))
                        return false;
        }
        return true;
}

/* All pictures through one level's plan. */
static bool
run_level(job *j, engine *e, bool pictures, size_t level, const char *const *names, size_t n,
        rs_held *next, resect_error *err)
{
        resect_loader *l = pictures ? load(j, j->n, err) : NULL;
        resect_tensor *in = RS_NEW(&j->arena, j->n_held + 1, resect_tensor, err);
        unsigned char **pads = RS_NEW(&j->arena, j->n_held + 1, unsigned char *, err);
        bool ok = in && pads && (!pictures || l);
        for (size_t at = 0; ok && at < j->n;) {
                size_t rows = j->n - at < j->batch ? j->n - at : j->batch;
                resect_batch b;
                if (pictures) {
                        ok = resect_loader_next(l, &b, err);
                        if (ok)
                                in[0] = rs_full_batch(&b.x, b.n, j->batch, j->full);
                }
                for (size_t i = 0; ok && !pictures && i < j->n_held; i++) {
                        const rs_held *h = &j->held[i];
                        in[i] = h->batch;
                        in[i].data = h->rows + at * h->row;
                        if (rows == j->batch)
                                continue;
                        ok = (pads[i] = rs_alloc_aligned(j->batch * h->row, err)) != NULL;
                        if (!ok)
                                break;
                        memcpy(pads[i], in[i].data, rows * h->row);
                        memset(pads[i] + rows * h->row, 0, (j->batch - rows) * h->row);
                        in[i].data = pads[i];
                }
                ok = ok && carry(j, e, in, at, rows, level, names, n, next, err) &&
                     tell(j, rows, err);
                at += rows;
        }
        resect_loader_free(l);
        for (size_t i = 0; pads && i < j->n_held; i++)
                rs_free_aligned(pads[i]);
        return ok;
}

/* The measured moments become the statistics of a level's norms. */
static bool
store_level(job *j, size_t level, resect_error *err)
{
        for (size_t s = 0; s < j->sites.n; s++) {
                rs_norm_site *site = &j->sites.at[s];
                if (site->frozen || site->level != level)
                        continue;
                double *var = RS_NEW(&j->arena, site->channels + 1, double, err);
                if (!var)
                        return false;
                for (size_t c = 0; c < site->channels; c++)
                        var[c] = rs_moments_var(&j->seen[s], c);
                if (!rs_norm_site_store(j->m, site, j->seen[s].mean, var, err))
                        return false;
        }
        return true;
}

static bool
exact_level(job *j, size_t level, const bool *needed, resect_error *err)
{
        const char **names;
        size_t n, n_in;
        resect_binding *in;
        const bool pictures = level == 1 || j->from_pictures;
        if (!crossing(j, level, needed, &names, &n, err))
                return false;
        engine e = {.wanted = RS_NEW(&j->arena, n + 1, const char *, err)};
        rs_held *next = RS_NEW(&j->arena, n + 1, rs_held, err);
        if (!e.wanted || !next || !bind(j, pictures, &in, &n_in, err))
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], j->in.name) != 0 && !held(j, names[i]))
                        e.wanted[e.n++] = names[i];
        bool ok = e.n == 0 ||
                  engine_make(j, &e, (resect_plan_options){.inputs = in, .n_inputs = n_in}, err);
        for (size_t i = 0; ok && i < e.n; i++) {
                const char *name;
                resect_tensor t;
                if (!resect_plan_output(e.plan, i, &name, &t) || !is_rows(j, &t))
                        j->from_pictures = true;
        }
        if (ok && !j->from_pictures)
                ok = make_room(j, &e, names, n, next, err);
        ok = ok &&
             run_level(j, &e, pictures, level, names, n, j->from_pictures ? NULL : next, err) &&
             store_level(j, level, err);
        /* what crosses is held from now on, the rest is let go */
        for (size_t i = 0; i < j->n_held; i++) {
                size_t k = 0;
                while (k < n && strcmp(names[k], j->held[i].name) != 0)
                        k++;
                if (k < n && !j->from_pictures)
                        next[k] = j->held[i];
                else
                        rs_held_free(&j->held[i]);
        }
        j->held = next;
        j->n_held = j->from_pictures ? 0 : n;
        engine_free(&e);
        return ok;
}

static bool
estimate_exactly(job *j, resect_error *err)
{
        bool *needed;
        if (!rs_levels(&j->levels, &j->sites, j->m, err) || !needed_nodes(j, &needed, err))
                return false;
        for (size_t s = 0; s < j->sites.n; s++)
                if (!j->sites.at[s].frozen && j->sites.at[s].level > j->n_levels)
                        j->n_levels = j->sites.at[s].level;
        j->total = j->n * j->n_levels;
        bool ok = tell(j, 0, err);
        for (size_t level = 1; ok && level <= j->n_levels; level++)
                ok = exact_level(j, level, needed, err);
        return ok;
}

/* One batch in training mode: running = (1 - M) running + M batch's own, the variance over N - 1.
 */
static bool
step(job *j, engine *e, const resect_tensor *x, size_t rows, double *const *mean,
        double *const *var, resect_error *err)
{
        const double m = j->o->momentum;
        if (!resect_exec_run(e->exec, x, e->out, err))
                return false;
        for (size_t s = 0, k = 0; s < j->sites.n; s++) {
                const rs_norm_site *site = &j->sites.at[s];
                if (site->frozen)
                        continue;
                rs_moments *seen = &j->seen[s];
                rs_moments_clear(seen);
                const bool picture = strcmp(site->input, j->in.name) == 0;
                if (!add(j, s, picture ? x : &e->out[k], rows, err))
                        return false;
                k += !picture;
                for (size_t c = 0; c < site->channels; c++) {
                        double n = seen->count, v = rs_moments_var(seen, c);
                        v = n > 1 ? v * n / (n - 1) : v;
                        mean[s][c] = (1 - m) * mean[s][c] + m * seen->mean[c];
                        var[s][c] = (1 - m) * var[s][c] + m * v;
                }
        }
        return true;
}

/* A training plan for batches of so many pictures, with what the norms read as its outputs. */
static bool
plan_for(job *j, engine *e, size_t batch, resect_error *err)
{
        resect_binding in = {j->in.name, j->in.shape};
        in.tensor.size = in.tensor.size / j->batch * batch;
        in.tensor.dims[0] = (int64_t)batch;
        e->wanted = RS_NEW(&j->arena, j->sites.n + 1, const char *, err);
        if (!e->wanted)
                return false;
        e->n = 0;
        for (size_t s = 0; s < j->sites.n; s++)
                if (!j->sites.at[s].frozen && strcmp(j->sites.at[s].input, j->in.name) != 0)
                        e->wanted[e->n++] = j->sites.at[s].input;
        return engine_make(
                j, e, (resect_plan_options){.inputs = &in, .n_inputs = 1, .training = true}, err);
}

static bool
estimate_running(job *j, resect_error *err)
{
        const size_t fixed = rs_fixed_batch(j->m), tail = j->n % j->batch;
        const size_t n = tail == 1 || (fixed && tail) ? j->n - tail : j->n;
        double **mean = RS_NEW(&j->arena, j->sites.n + 1, double *, err);
        double **var = RS_NEW(&j->arena, j->sites.n + 1, double *, err);
        engine e = {0}, last = {0};
        if (!mean || !var)
                return false;
        if (n == 0)
                return rs_fail(err, RESECT_ARG,
                        "a batch of its own takes two pictures or more, and there is %zu", j->n);
        bool ok = true;
        for (size_t s = 0; ok && s < j->sites.n; s++) {
                rs_norm_site *site = &j->sites.at[s];
                mean[s] = RS_NEW(&j->arena, site->channels + 1, double, err);
                var[s] = RS_NEW(&j->arena, site->channels + 1, double, err);
                ok = mean[s] && var[s];
                if (!ok || site->frozen)
                        continue;
                memcpy(mean[s], site->mean, site->channels * sizeof(double));
                memcpy(var[s], site->var, site->channels * sizeof(double));
                ok = rs_norm_site_store(j->m, site, site->mean, site->var, err); /* its own, now */
        }
        j->total = n;
        ok = ok && tell(j, 0, err) && (n < j->batch || plan_for(j, &e, j->batch, err));
        resect_loader *l = ok ? load(j, n, err) : NULL;
        ok = l != NULL;
        resect_batch b;
        for (size_t at = 0; ok && at < n; at += b.n) {
                ok = resect_loader_next(l, &b, err);
                if (!ok)
                        break;
                engine *with = b.n == j->batch ? &e : &last;
                if (b.n != j->batch)
                        ok = plan_for(j, &last, b.n, err);
                if (ok)
                        rs_exec_set_step(with->exec, j->o->seed, at);
                ok = ok && step(j, with, &b.x, b.n, mean, var, err) && tell(j, b.n, err);
        }
        for (size_t s = 0; ok && s < j->sites.n; s++)
                ok = j->sites.at[s].frozen ||
                     rs_norm_site_store(j->m, &j->sites.at[s], mean[s], var[s], err);
        j->n = n;
        resect_loader_free(l);
        engine_free(&e);
        engine_free(&last);
        return ok;
}

static bool
prepare(job *j, resect_error *err)
{
        const resect_adapt_options *o = j->o;
        if (!(o->momentum >= 0 && o->momentum <= 1))
                return rs_fail(err, RESECT_ARG, "momentum %g lies outside (0, 1]", o->momentum);
        if (!rs_norm_sites_find(&j->sites, j->m, &j->arena, err))
                return false;
        if (j->sites.n == 0)
                return rs_fail(err, RESECT_GRAPH,
                        "the model has no BatchNormalization: folded into Conv, its statistics are "
                        "gone. resect-fold --unfold --data SOURCE brings them back, SOURCE being "
                        "pictures like those that the model was trained on");
        if (j->sites.frozen == j->sites.n)
                return rs_fail(err, RESECT_ARG,
                        "all %zu BatchNormalization are frozen, their statistics with them: "
                        "resect-freeze --thaw",
                        j->sites.n);
        const size_t fixed = rs_fixed_batch(j->m), have = resect_data_count(j->d, j->split);
        j->n = o->samples ? o->n_samples : have;
        if (j->n == 0)
                return rs_fail(err, RESECT_ARG, "no pictures to estimate statistics from");
        j->batch = fixed ? fixed : o->batch ? o->batch : 32;
        if (!fixed && j->batch > j->n)
                j->batch = j->n;
        j->order = RS_NEW(&j->arena, j->n, size_t, err);
        j->seen = RS_NEW(&j->arena, j->sites.n, rs_moments, err);
        if (!j->order || !j->seen)
                return false;
        for (size_t i = 0; i < j->n; i++)
                j->order[i] = o->samples ? o->samples[i] : i;
        for (size_t s = 0; s < j->sites.n; s++)
                if (!rs_moments_make(&j->seen[s], &j->arena, j->sites.at[s].channels, err))
                        return false;
        if (!rs_intake_make(&j->in, j->m, j->d, o->input, j->batch, err))
                return false;
        j->full = rs_alloc_aligned(j->in.shape.size, err);
        return j->full != NULL;
}

/* Batches must be mixed for their statistics to mean anything: the samples of a class lie together.
 */
static bool
shuffle(job *j, resect_error *err)
{
        size_t *at = RS_NEW(&j->arena, j->n, size_t, err);
        if (!at)
                return false;
        rs_shuffle(j->o->seed, rs_stream("adapt", 0, 0), at, j->n);
        for (size_t i = 0; i < j->n; i++)
                at[i] = j->order[at[i]];
        j->order = at;
        return true;
}

/* How far the statistics went, on the scale that each layer computes with. */
static bool
report(job *j, resect_adapt_result *r, resect_error *err)
{
        rs_norm_sites now;
        double sum = 0, channels = 0;
        if (!rs_norm_sites_find(&now, j->m, &j->arena, err))
                return false;
        for (size_t s = 0; s < now.n; s++) {
                const rs_norm_site *a = &now.at[s], *b = &j->sites.at[s];
                for (size_t c = 0; !a->frozen && c < a->channels; c++, channels++)
                        sum += resect_gauss_distance(a->mean[c], a->var[c] + a->epsilon, b->mean[c],
                                b->var[c] + b->epsilon);
        }
        *r = (resect_adapt_result){.pictures = j->n,
                .norms = now.n - now.frozen,
                .frozen = now.frozen,
                .moved = channels > 0 ? sum / channels : 0,
                .held = j->most};
        return true;
}

bool
resect_adapt(resect_model *m, const resect_data *d, resect_split split,
        const resect_adapt_options *options, resect_adapt_result *result, resect_error *err)
{
        static const resect_adapt_options none;
        resect_adapt_result unread;
        job j = {.m = m, .d = d, .split = split, .o = options ? options : &none};
        const size_t tensors = m->graph.n_tensors;
        bool ok = prepare(&j, err);
        if (ok && j.o->momentum > 0)
                ok = (j.o->no_shuffle || shuffle(&j, err)) && estimate_running(&j, err);
        else
                ok = ok && estimate_exactly(&j, err);
        /* statistics that were shared may have no reader left */
        ok = ok && (m->graph.n_tensors == tensors || rs_graph_prune(m, err)) &&
             report(&j, result ? result : &unread, err);
        for (size_t i = 0; i < j.n_held; i++)
                rs_held_free(&j.held[i]);
        rs_free_aligned(j.full);
        rs_map_free(&j.levels);
        rs_arena_free(&j.arena);
        return ok;
}
