/* SPDX-License-Identifier: 0BSD */
#include "train/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/threads.h"

void
rs_run_note(const rs_run *r, const char *fmt, ...)
{
        char line[512];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        if (r->on.note)
                r->on.note(r->on.ctx, line);
}

static bool
sensible(const resect_train_options *o, size_t n, resect_error *err)
{
        if (!n)
                return rs_fail(err, RESECT_ARG, "there is no picture to train on");
        if (!o->epochs || !o->batch || o->epochs > 1000000 || o->batch > 1000000)
                return rs_fail(err, RESECT_ARG,
                        "%zu epochs of batches of %zu: both must be from 1 to 1000000", o->epochs,
                        o->batch);
        if (!(o->label_smoothing >= 0 && o->label_smoothing < 1))
                return rs_fail(err, RESECT_ARG, "label smoothing %g: must be in [0, 1)",
                        o->label_smoothing);
        if (!(o->mixup >= 0 && o->mixup <= 100))
                return rs_fail(err, RESECT_ARG, "mixup %g: must be in [0, 100]", o->mixup);
        if (!(o->clip >= 0))
                return rs_fail(err, RESECT_ARG, "clip %g: must be a norm from 0 up", o->clip);
        return true;
}

static int64_t
label_at(const rs_run *r, size_t i)
{
        return r->map[resect_data_label(r->d, RESECT_TRAIN, r->o.samples ? r->o.samples[i] : i)];
}

/* n / (classes n_class), as scikit-learn's "balanced", over the classes of the data; and the
 * caller's own. */
static bool
weigh_classes(rs_run *r, resect_error *err)
{
        size_t classes = resect_data_class_count(r->d);
        if (!r->o.balanced && !r->o.class_weights)
                return true;
        size_t *count = RS_NEW(&r->arena, r->classes, size_t, err);
        r->weights = RS_NEW(&r->arena, r->classes, double, err);
        if (!count || !r->weights)
                return false;
        for (size_t i = 0; i < r->n; i++)
                count[label_at(r, i)]++;
        for (size_t i = 0; i < r->classes; i++)
                r->weights[i] = 1;
        for (size_t i = 0; i < classes; i++) {
                double own = r->o.class_weights ? r->o.class_weights[i] : 1;
                size_t k = (size_t)r->map[i];
                if (!(own > 0 && isfinite(own)))
                        return rs_fail(err, RESECT_ARG, "class weight %g of '%s': must be above 0",
                                own, resect_data_class(r->d, i));
                r->weights[k] = own;
                if (r->o.balanced && count[k])
                        r->weights[k] *= (double)r->n / ((double)classes * (double)count[k]);
        }
        return true;
}

/* The model's outputs against the data's classes. There may be fewer classes where one knows which
   they are: by labels, or in an .npz, whose y is the output's number. */
static bool
match_classes(rs_run *r, resect_error *err)
{
        size_t classes = resect_data_class_count(r->d), labels;
        r->classes = r->p->net.classes;
        r->map = RS_NEW(&r->arena, classes, int64_t, err);
        if (!r->map)
                return false;
        bool named = resect_model_labels(r->m, &labels) && labels && !r->o.by_index;
        if (classes > r->classes || (classes < r->classes && !named && !resect_data_is_raw(r->d)))
                return rs_fail(err, RESECT_GRAPH,
                        "the model's output has %zu values a picture, the data %zu classes: give "
                        "it a head with "
                        "resect-head --classes %zu (--replace when it has one)",
                        r->classes, classes, classes);
        if (!resect_class_map(r->m, r->d, r->classes, r->o.by_index, r->map, err))
                return false;
        if (classes < r->classes)
                rs_run_note(r, "%zu of the model's %zu classes have no pictures",
                        r->classes - classes, r->classes);
        return true;
}

static bool
tell_untrained(const rs_run *r, resect_error *err)
{
        const rs_tensor *first;
        size_t n;
        if (!rs_untrained(r->m, &first, &n, err))
                return false;
        if (n)
                rs_run_note(r,
                        "%zu weights stay as they are, because only float32 is trained: %s is %s "
                        "(train before casting, or resect-cast --to fp32)",
                        n, first->name, resect_dtype_name((resect_dtype)first->dtype));
        return true;
}

void
rs_run_free(rs_run *r)
{
        rs_phase_free(r->p);
        rs_stages_free(&r->stages);
        rs_buf_free(&r->options);
        rs_buf_free(&r->choices);
        rs_arena_free(&r->arena);
        *r = (rs_run){0};
}

static size_t
steps_of_epoch(const rs_run *r)
{
        size_t steps = (r->n + r->batch - 1) / r->batch;
        return steps - (steps > 1 && rs_net_leaves_out(&r->p->net, r->n % r->batch));
}

bool
rs_run_make(rs_run *r, resect_model *m, const resect_data *d, const resect_train_options *o,
        const resect_train_events *events, resect_error *err)
{
        *r = (rs_run){.m = m, .d = d, .o = *o, .threads = rs_threads(o->threads)};
        if (events)
                r->on = *events;
        r->n = o->samples ? o->n_samples : resect_data_count(d, RESECT_TRAIN);
        r->n_val = resect_data_count(d, RESECT_VAL);
        r->batch = o->batch < r->n ? o->batch : r->n;
        if (!sensible(o, r->n, err))
                return false;
        for (size_t i = 0; o->samples && i < r->n; i++)
                if (o->samples[i] >= resect_data_count(d, RESECT_TRAIN))
                        return rs_fail(err, RESECT_ARG, "sample %zu of a training split of %zu",
                                o->samples[i], resect_data_count(d, RESECT_TRAIN));
        size_t copies;
        if (!rs_untie(m, &copies, err))
                return false;
        if (copies)
                rs_run_note(
                        r, "%zu tensors that layers share have become copies of their own", copies);
        if ((o->thaw_every || o->n_part_rates) && !rs_stages_make(&r->stages, m, err))
                return false;
        if (!rs_phase_enter(r, 0, err) || !match_classes(r, err) || !weigh_classes(r, err) ||
                !tell_untrained(r, err))
                return false;
        r->steps = steps_of_epoch(r);
        return rs_schedule_make(&r->schedule, o, r->steps, err);
}

rs_state
rs_run_state(rs_run *r)
{
        rs_phase *p = r->p;
        const rs_slab *w = rs_exec_parameters(p->net.train.exec),
                      *s = rs_exec_statistics(p->net.train.exec);
        return (rs_state){.model = r->model_digest,
                .data = r->data_digest,
                .options = (const char *)r->options.data,
                .choices = &r->choices,
                .progress = &r->at,
                .parameters = rs_exec_parameters(p->net.train.exec),
                .statistics = rs_exec_statistics(p->net.train.exec),
                .optim = &p->optim,
                .best_parameters = r->best_stands ? w->values : p->best_parameters,
                .best_statistics = r->best_stands ? s->values : p->best_statistics};
}
