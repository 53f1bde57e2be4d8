/* SPDX-License-Identifier: 0BSD */
/* Many pictures through a model, a few at a time: from all over the set, since the samples of a
 * class lie together. */
#include "edit/measure.h"

#include <string.h>

bool
rs_bench_make(rs_surgery *s, rs_bench *b, const resect_binding *in, size_t n_in,
        const char *const *names, size_t n, resect_error *err)
{
        const resect_plan_options o = {.inputs = in,
                .n_inputs = n_in,
                .outputs = names,
                .n_outputs = n,
                .no_fusion = true,
                .threads = s->how.threads,
                .kernels = s->how.kernels,
                .exact = true};
        *b = (rs_bench){.outputs = RS_NEW(&s->arena, n + 1, resect_tensor, err)};
        b->plan = b->outputs != NULL ? resect_plan_make(s->m, &o, err) : NULL;
        b->exec = b->plan != NULL ? resect_exec_make(b->plan, err) : NULL;
        return b->exec != NULL;
}

void
rs_bench_free(rs_bench *b)
{
        resect_exec_free(b->exec);
        resect_plan_free(b->plan);
        *b = (rs_bench){0};
}

bool
rs_tour_plan(rs_surgery *s, rs_tour *t, resect_error *err)
{
        const resect_input *in = t->input;
        resect_value v;
        if (resect_model_input_count(s->m) != 1 || !resect_model_input(s->m, 0, &v))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: the model has %zu inputs, not one",
                        t->what, resect_model_input_count(s->m));
        const size_t have = resect_data_count(t->data, t->split);
        const int64_t fixed = v.rank == 4 ? v.dims[0] : -1;
        t->samples = t->samples < have ? t->samples : have;
        t->batch = fixed > 0 ? (size_t)fixed : t->samples < 4 ? t->samples : 4;
        while (fixed <= 0 && t->samples < 64 && t->batch > 1 && t->samples % t->batch != 0)
                t->batch--; /* of few pictures none is left out */
        if (t->batch == 0 || t->samples < t->batch)
                return rs_fail(err, RESECT_ARG,
                        "%s has %zu pictures, and the model takes %zu at a time", t->what, have,
                        t->batch);
        t->samples -= t->samples % t->batch;
        const char *name = rs_arena_strdup(&s->arena, v.name, err);
        t->x = (resect_binding){.name = name,
                .tensor = {.dtype = RESECT_FLOAT,
                        .rank = 4,
                        .dims = {(int64_t)t->batch, in->channels, in->height, in->width},
                        .size = t->batch * (size_t)in->channels * (size_t)in->height *
                                (size_t)in->width * sizeof(float)}};
        if (in->nhwc)
                t->x.tensor.dims[1] = in->height, t->x.tensor.dims[2] = in->width,
                t->x.tensor.dims[3] = in->channels;
        return name != NULL;
}

static bool
on_picture(void *ctx, size_t done, size_t total)
{
        rs_tell(ctx, "looking at the pictures", done, total);
        return true;
}

resect_data *
rs_surgery_data(const rs_surgery *s, const char *path, resect_error *err)
{
        const resect_data_options o = {.threads = s->how.threads,
                .no_training = true,
                .progress = on_picture,
                .ctx = (void *)(uintptr_t)s};
        return resect_data_open(path, &o, err);
}

bool
rs_tour_open(rs_surgery *s, rs_tour *t, const char *what, const char *path, int64_t samples,
        resect_error *err)
{
        int64_t chw[3];
        resect_value v;
        *t = (rs_tour){.split = RESECT_ALL, .what = what, .samples = (size_t)samples};
        t->data = t->own = rs_surgery_data(s, path, err);
        t->input = &t->own_input;
        if (t->own == NULL || !resect_input_of(s->m, &t->own_input, NULL, err))
                return false;
        if (resect_data_is_raw(t->own) && resect_data_raw_shape(t->own, chw)) {
                for (int i = 0; resect_model_input(s->m, 0, &v) && v.rank == 4 && i < 3; i++)
                        if (v.dims[i + 1] >= 0 && v.dims[i + 1] != chw[i])
                                return rs_fail(err, RESECT_ARG,
                                        "%s: the pictures of %s are %lldx%lldx%lld, and the model "
                                        "reads "
                                        "%lldx%lldx%lld",
                                        what, path, (long long)chw[0], (long long)chw[1],
                                        (long long)chw[2], (long long)v.dims[1],
                                        (long long)v.dims[2], (long long)v.dims[3]);
                t->own_input = (resect_input){.channels = (int)chw[0],
                        .height = (int)chw[1],
                        .width = (int)chw[2],
                        .std = {1, 1, 1}};
        }
        return rs_tour_plan(s, t, err);
}

void
rs_tour_close(rs_tour *t)
{
        resect_data_free(t->own);
        *t = (rs_tour){0};
}

bool
rs_tour_go(const rs_surgery *s, rs_tour *t, rs_on_batch *fn, void *ctx, resect_error *err)
{
        const size_t have = resect_data_count(t->data, t->split);
        rs_arena a = {0};
        size_t *order = RS_NEW(&a, t->samples + 1, size_t, err);
        for (size_t i = 0; order != NULL && i < t->samples; i++)
                order[i] = (size_t)((double)i * (double)have / (double)t->samples);
        const resect_loader_options lo = {.split = t->split,
                .order = order,
                .n = t->samples,
                .batch = t->batch,
                .input = t->input,
                .computes = s->how.threads};
        resect_loader *l = order != NULL ? resect_loader_make(t->data, &lo, err) : NULL;
        bool ok = l != NULL;
        resect_batch got;
        t->seen = 0;
        while (ok && (ok = resect_loader_next(l, &got, err)) && got.n != 0) {
                ok = fn(ctx, &got.x, &got, err);
                t->seen += got.n;
                rs_tell(s, t->what, t->seen, t->samples);
        }
        resect_loader_free(l);
        rs_arena_free(&a);
        return ok;
}
