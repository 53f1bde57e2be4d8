/* SPDX-License-Identifier: 0BSD */
/* Occlusion: the same picture again and again, each time with a patch laid over another place, in
 * batches. */
#include <math.h>
#include <string.h>
#include "resect/see.h"
#include "study/predict.h"

int
resect_occlusion_steps(int side, int patch, int stride)
{
        if (patch < 1 || stride < 1 || patch > side)
                return 0;
        return (side - patch + stride - 1) / stride + 1;
}

int
resect_occlusion_at(int side, int patch, int stride, int i)
{
        int at = i * stride;
        return at < side - patch ? at : side - patch;
}

struct work {
        const resect_occlusion *o;
        const float *x;
        int channels, height, width, rows, columns;
        bool nhwc;
        size_t row; /* floats of a picture */
        float fill[64];
        size_t batch, outputs;
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor in; /* [batch, ...] */
        double *before;   /* [n_classes] probabilities of the whole picture */
};

static float *
pixel(const struct work *w, float *x, int c, int row, int column)
{
        size_t at =
                w->nhwc ? ((size_t)row * (size_t)w->width + (size_t)column) * (size_t)w->channels +
                                  (size_t)c
                        : ((size_t)c * (size_t)w->height + (size_t)row) * (size_t)w->width +
                                  (size_t)column;
        return x + at;
}

static void
choose_fill(struct work *w)
{
        for (int c = 0; c < w->channels; c++) {
                double sum = 0;
                for (int i = 0; i < w->height; i++)
                        for (int k = 0; k < w->width; k++)
                                sum += *pixel(w, (float *)(uintptr_t)w->x, c, i, k);
                w->fill[c] = w->o->fill ? w->o->fill[c] : (float)(sum / w->height / w->width);
        }
}

static bool
prepare(struct work *w, resect_model *m, resect_error *err)
{
        const resect_occlusion *o = w->o;
        const char *logits = resect_model_logits(m, err);
        resect_value v;
        if (!logits)
                return false;
        if (!resect_model_input(m, 0, &v))
                return rs_fail(err, RESECT_GRAPH, "the model has no input");
        size_t fixed = rs_fixed_batch(m);
        w->batch = fixed ? fixed : o->batch ? o->batch : 16;
        int64_t dims[4] = {(int64_t)w->batch, w->channels, w->height, w->width};
        if (w->nhwc) {
                dims[1] = w->height;
                dims[2] = w->width;
                dims[3] = w->channels;
        }
        if (!resect_tensor_make(&w->in, RESECT_FLOAT, 4, dims, err))
                return false;
        resect_binding binding = {v.name, w->in};
        binding.tensor.data = NULL;
        const resect_plan_options options = {.inputs = &binding,
                .n_inputs = 1,
                .outputs = &logits,
                .n_outputs = 1,
                .threads = o->threads,
                .kernels = o->kernels,
                .precision = o->precision,
                .exact = o->exact,
                .progress = o->progress,
                .ctx = o->ctx};
        w->plan = resect_plan_make(m, &options, err);
        if (!w->plan || !rs_logits_width(w->plan, 0, w->batch, &w->outputs, err))
                return false;
        for (size_t i = 0; i < o->n_classes; i++)
                if (o->classes[i] < 0 || (size_t)o->classes[i] >= w->outputs)
                        return rs_fail(err, RESECT_ARG, "class %lld of a model with %zu outputs",
                                (long long)o->classes[i], w->outputs);
        w->before = rs_alloc(o->n_classes + 1, sizeof *w->before, err);
        return w->before && (w->exec = resect_exec_make(w->plan, err));
}

static double
probability(const float *z, size_t n, size_t class)
{
        double most = -INFINITY, sum = 0;
        for (size_t i = 0; i < n; i++)
                most = fmax(most, z[i]);
        for (size_t i = 0; i < n; i++)
                sum += exp(z[i] - most);
        return exp(z[class] - most) / sum;
}

/* Place `at` of all; the one before the first is the picture as it is. */
static void
lay_patch(const struct work *w, float *x, size_t at)
{
        memcpy(x, w->x, w->row * sizeof *x);
        if (!at)
                return;
        int patch = w->o->patch, stride = w->o->stride;
        int top =
                resect_occlusion_at(w->height, patch, stride, (int)((at - 1) / (size_t)w->columns));
        int left =
                resect_occlusion_at(w->width, patch, stride, (int)((at - 1) % (size_t)w->columns));
        for (int c = 0; c < w->channels; c++)
                for (int i = 0; i < patch; i++)
                        for (int k = 0; k < patch; k++)
                                *pixel(w, x, c, top + i, left + k) = w->fill[c];
}

static bool
run(struct work *w, float *out, resect_error *err)
{
        const resect_occlusion *o = w->o;
        size_t places = (size_t)w->rows * (size_t)w->columns, all = places + 1;
        for (size_t from = 0; from < all; from += w->batch) {
                if (o->progress && !o->progress(o->ctx, from, all))
                        return rs_fail(
                                err, RESECT_STOPPED, "stopped after %zu of %zu places", from, all);
                for (size_t i = 0; i < w->batch; i++)
                        lay_patch(
                                w, (float *)w->in.data + i * w->row, from + i < all ? from + i : 0);
                resect_tensor z;
                if (!resect_exec_run(w->exec, &w->in, &z, err))
                        return false;
                for (size_t i = 0; i < w->batch && from + i < all; i++)
                        for (size_t k = 0; k < o->n_classes; k++) {
                                double p = probability((const float *)z.data + i * w->outputs,
                                        w->outputs, (size_t)o->classes[k]);
                                if (from + i == 0)
                                        w->before[k] = p;
                                else
                                        out[k * places + from + i - 1] = (float)(w->before[k] - p);
                        }
        }
        return !o->progress || o->progress(o->ctx, all, all) ||
               rs_fail(err, RESECT_STOPPED, "stopped");
}

bool
resect_occlude(
        resect_model *m, const float *x, const resect_occlusion *o, float *out, resect_error *err)
{
        struct work w = {.o = o,
                .x = x,
                .channels = o->input->channels,
                .height = o->input->height,
                .width = o->input->width,
                .nhwc = o->input->nhwc};
        w.rows = resect_occlusion_steps(w.height, o->patch, o->stride);
        w.columns = resect_occlusion_steps(w.width, o->patch, o->stride);
        if (!w.rows || !w.columns)
                return rs_fail(err, RESECT_ARG,
                        "a patch of %d pixels, moved by %d, on a picture of %d x %d", o->patch,
                        o->stride, w.width, w.height);
        if (w.channels < 1 || w.channels > 64)
                return rs_fail(err, RESECT_ARG, "a picture of %d channels", w.channels);
        w.row = (size_t)w.channels * (size_t)w.height * (size_t)w.width;
        choose_fill(&w);
        bool done = prepare(&w, m, err) && run(&w, out, err);
        resect_exec_free(w.exec);
        resect_plan_free(w.plan);
        resect_tensor_free(&w.in);
        rs_free(w.before);
        return done;
}
