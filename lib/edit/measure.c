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

bool
rs_tour_go(rs_tour *t, rs_on_batch *fn, void *ctx, resect_error *err)
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
                .input = t->input};
        resect_loader *l = order != NULL ? resect_loader_make(t->data, &lo, err) : NULL;
        bool ok = l != NULL;
        resect_batch got;
        t->seen = 0;
        while (ok && (ok = resect_loader_next(l, &got, err)) && got.n != 0) {
                ok = fn(ctx, &got.x, &got, err);
                t->seen += got.n;
        }
        resect_loader_free(l);
        rs_arena_free(&a);
        return ok;
}
