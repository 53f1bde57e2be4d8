/* SPDX-License-Identifier: 0BSD */
/*
 * A model's class scores over a data set. One plan serves all batches: the last one is filled up
 * with zeros, which changes no other row, since a model that is not trained treats its pictures one
 * by one. Most kernels of our own leave out what was filled up; where others have most of the work,
 * batches are made that leave little to be filled up. (Elsewhere that would save a tenth of a
 * second and cost many: each size of batch has its kernels timed once.)
 */
#include "study/predict.h"

#include <string.h>
#include "exec/exec.h"
#include "model/model.h"
#include "plan/plan.h"

static bool
one_of(const char *op, const char *const *names)
{
        while (*names && strcmp(*names, op) != 0)
                names++;
        return *names != NULL;
}

const char *
resect_model_logits(resect_model *m, resect_error *err)
{
        static const char *const shapers[] = {
                "Identity", "Flatten", "Reshape", "Squeeze", "Cast", NULL};
        static const char *const softmaxes[] = {"Softmax", "LogSoftmax", NULL};
        resect_value out;
        rs_index ix = {0};
        if (!resect_model_output(m, 0, &out))
                return RS_FAIL_NULL(err, RESECT_GRAPH, "the model has no output");
        if (!rs_index_make(&ix, &m->graph, err))
                return NULL;
        const char *name = out.name, *logits = out.name;
        for (size_t hops = 0; hops <= m->graph.n_nodes; hops++) {
                const rs_link *l = rs_index_find(&ix, name);
                const rs_node *node = l ? l->maker : NULL;
                if (!node || !node->n_in ||
                        (!one_of(node->op, shapers) && !one_of(node->op, softmaxes)))
                        break;
                name = node->in[0];
                if (one_of(node->op, softmaxes)) {
                        logits = name;
                        break;
                }
        }
        rs_index_free(&ix);
        return logits;
}

/* The output that has a class's name, or -1. */
static int64_t
labelled(const char *const *labels, size_t n, const char *class)
{
        for (size_t k = 0; k < n; k++)
                if (!strcmp(labels[k], class))
                        return (int64_t)k;
        return -1;
}

bool
resect_class_map(const resect_model *m, const resect_data *d, size_t outputs, bool by_index,
        int64_t *map, resect_error *err)
{
        size_t n_labels, classes = resect_data_class_count(d);
        const char *const *labels = resect_model_labels(m, &n_labels);
        if (n_labels && n_labels != outputs)
                return rs_fail(err, RESECT_GRAPH,
                        "resect.labels names %zu classes, but the model has %zu outputs", n_labels,
                        outputs);
        if (!n_labels || by_index || resect_data_is_raw(d)) {
                if (classes > outputs)
                        return rs_fail(err, RESECT_ARG,
                                "the data has %zu classes, but the model has %zu outputs", classes,
                                outputs);
                for (size_t i = 0; i < classes; i++)
                        map[i] = (int64_t)i;
                return true;
        }
        for (size_t i = 0; i < classes; i++)
                if ((map[i] = labelled(labels, n_labels, resect_data_class(d, i))) < 0)
                        return rs_fail(err, RESECT_ARG,
                                "class '%s' of the data is not among the model's %zu labels ('%s', "
                                "...): rename it, or say "
                                "--by-index",
                                resect_data_class(d, i), n_labels, labels[0]);
        return true;
}

size_t
rs_fixed_batch(const resect_model *m)
{
        resect_value v;
        return resect_model_input(m, 0, &v) && v.rank > 0 && v.dims[0] > 0 ? (size_t)v.dims[0] : 0;
}

static bool
intake_of(rs_intake *in, const resect_model *m, const resect_data *d, const resect_input *input,
        int64_t chw[3], resect_error *err)
{
        if (resect_data_is_raw(d)) {
                if (!resect_data_raw_shape(d, chw))
                        return rs_fail(err, RESECT_ARG, "raw data without a shape");
                in->input = (resect_input){.channels = (int)chw[0],
                        .height = (int)chw[1],
                        .width = (int)chw[2],
                        .std = {1, 1, 1}};
                return true;
        }
        if (input)
                in->input = *input;
        else if (!resect_input_of(m, &in->input, NULL, err))
                return false;
        chw[0] = in->input.channels;
        chw[1] = in->input.height;
        chw[2] = in->input.width;
        return true;
}

bool
rs_intake_make(rs_intake *in, const resect_model *m, const resect_data *d,
        const resect_input *input, size_t batch, resect_error *err)
{
        *in = (rs_intake){0};
        resect_value v;
        size_t inputs = resect_model_input_count(m);
        if (inputs != 1 || !resect_model_input(m, 0, &v))
                return rs_fail(err, RESECT_GRAPH,
                        "the model has %zu inputs; pictures go into a model with one", inputs);
        if (v.dtype != RESECT_FLOAT)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "input '%s' is %s; pictures are given as float32", v.name,
                        resect_dtype_name(v.dtype));
        int64_t chw[3] = {0};
        if (!intake_of(in, m, d, input, chw, err))
                return false;
        in->name = v.name;
        int64_t dims[4] = {(int64_t)batch, chw[0], chw[1], chw[2]};
        if (in->input.nhwc) {
                dims[1] = chw[1];
                dims[2] = chw[2];
                dims[3] = chw[0];
        }
        if (v.rank >= 0 && v.rank != 4)
                return rs_fail(err, RESECT_GRAPH, "input '%s' has %d dimensions, pictures have 4",
                        v.name, v.rank);
        in->shape = (resect_tensor){.dtype = RESECT_FLOAT, .rank = 4};
        in->row = 1;
        for (int i = 0; i < 4; i++) {
                in->shape.dims[i] = dims[i];
                if (dims[i] <= 0 || (i && !rs_mul(in->row, (size_t)dims[i], &in->row)))
                        return rs_fail(err, RESECT_ARG, "pictures of %lld x %lld x %lld",
                                (long long)chw[0], (long long)chw[1], (long long)chw[2]);
                if (i && v.rank == 4 && v.dims[i] > 0 && v.dims[i] != dims[i])
                        return rs_fail(err, RESECT_GRAPH,
                                "the pictures are %lld x %lld x %lld, input '%s' wants %lld x %lld "
                                "x %lld",
                                (long long)dims[1], (long long)dims[2], (long long)dims[3], v.name,
                                (long long)v.dims[1], (long long)v.dims[2], (long long)v.dims[3]);
        }
        size_t bytes;
        if (!rs_mul(in->row, batch, &bytes) || !rs_mul(bytes, sizeof(float), &bytes))
                return rs_fail_nomem(err);
        in->shape.size = bytes;
        return true;
}

bool
rs_logits_width(const resect_plan *p, size_t i, size_t batch, size_t *classes, resect_error *err)
{
        const char *name;
        resect_tensor t;
        if (!resect_plan_output(p, i, &name, &t))
                return rs_fail(err, RESECT_GRAPH, "the model has no output");
        if (t.dtype != RESECT_FLOAT)
                return rs_fail(err, RESECT_UNSUPPORTED, "output '%s' is %s, not float32", name,
                        resect_dtype_name(t.dtype));
        int64_t wide = 1, above = 0;
        for (int k = 1; k < t.rank; k++) {
                wide *= t.dims[k];
                above += t.dims[k] > 1;
        }
        if (t.rank < 2 || t.dims[0] != (int64_t)batch || above > 1)
                return rs_fail(err, RESECT_GRAPH,
                        "output '%s' is no row of class scores for each picture (it has %d "
                        "dimensions): attach a head "
                        "with resect-head",
                        name, t.rank);
        *classes = (size_t)wide;
        return true;
}

resect_tensor
rs_full_batch(const resect_tensor *x, size_t n, size_t batch, float *full)
{
        resect_tensor t = *x;
        if (n == batch)
                return t;
        size_t row = t.size / n;
        memcpy(full, t.data, t.size);
        memset((char *)full + t.size, 0, (batch - n) * row);
        t.data = full;
        t.dims[0] = (int64_t)batch;
        t.size = batch * row;
        return t;
}

enum { BATCH = 32 };

/* What a prediction needs; freed together. */
struct run {
        rs_intake in;
        size_t batch, classes;
        resect_plan *plan;
        resect_exec *exec;
        resect_loader *loader;
        float *full;
};

/* A batch of at most so many that leaves little of the last one to be filled up: of 500 pictures,
 * 20 batches of 25, where 32 would fill up 12. */
static size_t
even_batch(size_t n, size_t most)
{
        size_t best = most, waste = (most - n % most) % most;
        if (n < most)
                return n ? n : 1;
        for (size_t b = most; b > most / 2; b--)
                if ((b - n % b) % b < waste) {
                        waste = (b - n % b) % b;
                        best = b;
                }
        return best;
}

static bool
plan_for(struct run *r, size_t batch, resect_model *m, const resect_data *d, const char *logits,
        const resect_predict_options *o, resect_error *err)
{
        r->batch = batch;
        if (!rs_intake_make(&r->in, m, d, o->input, batch, err))
                return false;
        resect_binding binding = {r->in.name, r->in.shape};
        resect_plan_free(r->plan);
        r->plan = resect_plan_make(m,
                &(resect_plan_options){.inputs = &binding,
                        .n_inputs = 1,
                        .outputs = &logits,
                        .n_outputs = 1,
                        .threads = o->threads,
                        .kernels = o->kernels,
                        .precision = o->precision,
                        .exact = o->exact,
                        .progress = o->progress,
                        .ctx = o->ctx},
                err);
        return r->plan && rs_logits_width(r->plan, 0, batch, &r->classes, err);
}

static bool
prepare(struct run *r, resect_model *m, const resect_data *d, resect_split split,
        const resect_predict_options *o, resect_error *err)
{
        const char *logits = resect_model_logits(m, err);
        size_t fixed = rs_fixed_batch(m), n = resect_data_count(d, split);
        size_t most = o->batch ? o->batch : BATCH, even = even_batch(n, most);
        most = n < most ? even : most;
        if (!logits || !plan_for(r, fixed ? fixed : most, m, d, logits, o, err))
                return false;
        if (!fixed && even != most && rs_plan_spares(r->plan) < 0.5 &&
                !plan_for(r, even, m, d, logits, o, err))
                return false;
        r->exec = resect_exec_make(r->plan, err);
        r->full = r->exec ? rs_alloc_aligned(r->in.shape.size, err) : NULL;
        if (!r->full)
                return false;
        r->loader = resect_loader_make(d,
                &(resect_loader_options){.split = split,
                        .n = resect_data_count(d, split),
                        .batch = r->batch,
                        .input = &r->in.input,
                        .computes = o->threads},
                err);
        return r->loader != NULL;
}

static bool
run_all(struct run *r, const resect_predict_options *o, size_t count, float *out, resect_error *err)
{
        resect_batch b;
        for (size_t done = 0;; done += b.n) {
                if (o->progress && !o->progress(o->ctx, done, count))
                        return rs_fail(err, RESECT_STOPPED, "stopped after %zu of %zu pictures",
                                done, count);
                if (!resect_loader_next(r->loader, &b, err))
                        return false;
                if (!b.n)
                        return true;
                resect_tensor x = rs_full_batch(&b.x, b.n, r->batch, r->full), logits;
                if (!rs_exec_run_first(r->exec, b.n, &x, &logits, err))
                        return false;
                memcpy(out + done * r->classes, logits.data, b.n * r->classes * sizeof(float));
        }
}

bool
resect_predict(resect_model *m, const resect_data *d, resect_split split,
        const resect_predict_options *options, resect_tensor *logits, resect_error *err)
{
        static const resect_predict_options none;
        const resect_predict_options *o = options ? options : &none;
        struct run r = {0};
        size_t count = resect_data_count(d, split);
        *logits = (resect_tensor){0};
        bool ok = prepare(&r, m, d, split, o, err) &&
                  resect_tensor_make(logits, RESECT_FLOAT, 2,
                          (const int64_t[]){(int64_t)count, (int64_t)r.classes}, err) &&
                  run_all(&r, o, count, logits->data, err);
        if (!ok)
                resect_tensor_free(logits);
        resect_loader_free(r.loader);
        resect_exec_free(r.exec);
        resect_plan_free(r.plan);
        rs_free_aligned(r.full);
        return ok;
}
