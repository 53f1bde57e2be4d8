/* SPDX-License-Identifier: 0BSD */
/*
 * Channels over a data set: the mean of each channel for each class, from which the class
 * selectivity follows, and the pictures that fire it most. One pass; sums are in double.
 */
#include <math.h>
#include <string.h>
#include "exec/exec.h"
#include "resect/see.h"
#include "study/predict.h"

struct layer {
        resect_layer_study s;
        double *sums; /* [classes, channels] */
        float *means, *selectivity;
        size_t *favourite;
        resect_peak *peaks;
        size_t n_kept;
};

struct resect_channel_study {
        rs_arena arena;
        struct layer *layers;
        size_t n, classes;
        size_t *per_class;
};

struct run {
        resect_channel_study *s;
        rs_intake in;
        size_t batch;
        resect_plan *plan;
        resect_exec *exec;
        resect_loader *loader;
        float *full;
        resect_tensor *outputs;
};

static bool
shape_layer(resect_channel_study *s, struct layer *l, const resect_plan *p, size_t i, size_t batch,
        size_t n_peaks, resect_error *err)
{
        const char *name;
        resect_tensor t;
        if (!resect_plan_output(p, i, &name, &t))
                return rs_fail(err, RESECT_ARG, "no such value");
        if (t.dtype != RESECT_FLOAT || (t.rank != 4 && t.rank != 2) || t.dims[0] != (int64_t)batch)
                return rs_fail(err, RESECT_GRAPH, "value '%s' holds no maps of channels", name);
        l->s.value = rs_arena_strdup(&s->arena, name, err);
        l->s.channels = (size_t)t.dims[1];
        l->s.height = t.rank == 4 ? (int)t.dims[2] : 1;
        l->s.width = t.rank == 4 ? (int)t.dims[3] : 1;
        l->n_kept = n_peaks;
        size_t cells;
        if (!rs_mul(s->classes, l->s.channels, &cells))
                return rs_fail_nomem(err);
        l->sums = RS_NEW(&s->arena, cells + 1, double, err);
        l->means = RS_NEW(&s->arena, cells + 1, float, err);
        l->selectivity = RS_NEW(&s->arena, l->s.channels + 1, float, err);
        l->favourite = RS_NEW(&s->arena, l->s.channels + 1, size_t, err);
        l->peaks = RS_NEW(&s->arena, l->s.channels * n_peaks + 1, resect_peak, err);
        l->s.means = l->means;
        l->s.selectivity = l->selectivity;
        l->s.favourite = l->favourite;
        l->s.peaks = l->peaks;
        return l->s.value && l->sums && l->means && l->selectivity && l->favourite && l->peaks;
}

static bool
prepare(struct run *r, resect_model *m, const resect_data *d, resect_split split,
        const char *const *values, size_t n_peaks, const resect_predict_options *o,
        resect_error *err)
{
        resect_channel_study *s = r->s;
        size_t fixed = rs_fixed_batch(m), count = resect_data_count(d, split);
        r->batch = fixed ? fixed : o->batch ? o->batch : 16;
        if (!count)
                return rs_fail(err, RESECT_ARG, "the split has no pictures");
        if (!fixed && r->batch > count)
                r->batch = count;
        if (!rs_intake_make(&r->in, m, d, o->input, r->batch, err))
                return false;
        resect_binding binding = {r->in.name, r->in.shape};
        r->plan = resect_plan_make(m,
                &(resect_plan_options){.inputs = &binding,
                        .n_inputs = 1,
                        .outputs = values,
                        .n_outputs = s->n,
                        .threads = o->threads,
                        .kernels = o->kernels,
                        .precision = o->precision,
                        .exact = o->exact,
                        .progress = o->progress,
                        .ctx = o->ctx},
                err);
        for (size_t i = 0; r->plan && i < s->n; i++)
                if (!shape_layer(s, &s->layers[i], r->plan, i, r->batch,
                            n_peaks < count ? n_peaks : count, err))
                        return false;
        r->exec = r->plan ? resect_exec_make(r->plan, err) : NULL;
        r->full = r->exec ? rs_alloc_aligned(r->in.shape.size, err) : NULL;
        r->outputs = r->full ? RS_NEW(&s->arena, s->n + 1, resect_tensor, err) : NULL;
        if (!r->outputs)
                return false;
        r->loader = resect_loader_make(d,
                &(resect_loader_options){
                        .split = split, .n = count, .batch = r->batch, .input = &r->in.input},
                err);
        return r->loader != NULL;
}

/* One map of one picture. */
static void
look_at(struct layer *l, size_t class, size_t sample, size_t channel, const float *map)
{
        size_t plane = (size_t)l->s.height * (size_t)l->s.width, at = 0;
        double sum = 0;
        for (size_t i = 0; i < plane; i++) {
                sum += fmaxf(map[i], 0);
                at = map[i] > map[at] ? i : at;
        }
        l->sums[class * l->s.channels + channel] += sum / (double)plane;
        resect_peak *list = l->peaks + channel * l->n_kept;
        /* Sorted insertion; of equals the earlier picture stands first. */
        size_t k = l->s.n_peaks;
        while (k > 0 && list[k - 1].value < map[at])
                k--;
        if (k >= l->n_kept)
                return;
        size_t n = l->s.n_peaks < l->n_kept ? l->s.n_peaks : l->n_kept - 1;
        memmove(list + k + 1, list + k, (n - k) * sizeof *list);
        list[k] = (resect_peak){
                sample, map[at], (int)(at / (size_t)l->s.width), (int)(at % (size_t)l->s.width)};
}

static bool
run_all(struct run *r, const resect_predict_options *o, size_t count, resect_error *err)
{
        resect_channel_study *s = r->s;
        resect_batch b;
        for (size_t done = 0;; done += b.n) {
                if (o->progress && !o->progress(o->ctx, done, count))
                        return rs_fail(err, RESECT_STOPPED, "stopped after %zu of %zu pictures",
                                done, count);
                if (!resect_loader_next(r->loader, &b, err))
                        return false;
                if (!b.n)
                        return true;
                resect_tensor x = rs_full_batch(&b.x, b.n, r->batch, r->full);
                if (!rs_exec_run_first(r->exec, b.n, &x, r->outputs, err))
                        return false;
                for (size_t k = 0; k < b.n; k++) {
                        size_t class = (size_t)b.y[k];
                        s->per_class[class]++;
                        for (size_t i = 0; i < s->n; i++) {
                                struct layer *l = &s->layers[i];
                                size_t plane = (size_t)l->s.height * (size_t)l->s.width;
                                const float *maps = (const float *)r->outputs[i].data +
                                                    k * l->s.channels * plane;
                                for (size_t c = 0; c < l->s.channels; c++)
                                        look_at(l, class, b.samples[k], c, maps + c * plane);
                                l->s.n_peaks += l->s.n_peaks < l->n_kept;
                        }
                }
        }
}

/* Class means, and from them the selectivity. Classes without pictures have no part in it. */
static void
finish(resect_channel_study *s, struct layer *l)
{
        for (size_t c = 0; c < l->s.channels; c++) {
                double most = 0, sum = 0;
                size_t classes = 0;
                for (size_t k = 0; k < s->classes; k++) {
                        double mean = s->per_class[k] ? l->sums[k * l->s.channels + c] /
                                                                (double)s->per_class[k]
                                                      : 0;
                        l->means[k * l->s.channels + c] = (float)mean;
                        if (!s->per_class[k])
                                continue;
                        classes++;
                        sum += mean;
                        if (classes == 1 || mean > most) {
                                most = mean;
                                l->favourite[c] = k;
                        }
                }
                double rest = classes > 1 ? (sum - most) / (double)(classes - 1) : 0;
                l->selectivity[c] =
                        classes > 1 && most > 0 ? (float)((most - rest) / (most + rest)) : NAN;
        }
}

resect_channel_study *
resect_channels(resect_model *m, const resect_data *d, resect_split split,
        const char *const *values, size_t n, size_t n_peaks, const resect_predict_options *options,
        resect_error *err)
{
        static const resect_predict_options none;
        const resect_predict_options *o = options ? options : &none;
        resect_channel_study *s = rs_alloc(1, sizeof *s, err);
        if (!s)
                return NULL;
        s->n = n;
        s->classes = resect_data_class_count(d);
        struct run r = {.s = s};
        s->layers = RS_NEW(&s->arena, n + 1, struct layer, err);
        s->per_class = s->layers ? RS_NEW(&s->arena, s->classes + 1, size_t, err) : NULL;
        bool done = s->per_class &&
                    prepare(&r, m, d, split, values, n_peaks ? n_peaks : 1, o, err) &&
                    run_all(&r, o, resect_data_count(d, split), err);
        for (size_t i = 0; done && i < n; i++)
                finish(s, &s->layers[i]);
        resect_loader_free(r.loader);
        resect_exec_free(r.exec);
        resect_plan_free(r.plan);
        rs_free_aligned(r.full);
        if (done)
                return s;
        resect_channel_study_free(s);
        return NULL;
}

const resect_layer_study *
resect_channels_of(const resect_channel_study *s, size_t i)
{
        return i < s->n ? &s->layers[i].s : NULL;
}

void
resect_channel_study_free(resect_channel_study *s)
{
        if (!s)
                return;
        rs_arena_free(&s->arena);
        rs_free(s);
}
