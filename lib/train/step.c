/* SPDX-License-Identifier: 0BSD */
/*
 * One step, and what to say when a number is not finite. A run must never go on from there:
 * everything after it is noise, and the loss that is logged may well read 0.
 */
#include <math.h>
#include <string.h>
#include "train/loss.h"
#include "train/run.h"

/* The piece with a value that is not finite, or NULL. */
static const char *
bad_piece(const rs_slab *s, const float *values)
{
        for (size_t i = 0; i < s->n_pieces; i++)
                for (size_t k = 0; k < s->pieces[i].count; k++)
                        if (!isfinite(values[s->pieces[i].offset + k]))
                                return s->pieces[i].name;
        return NULL;
}

/* A picture of the batch with a value that is not finite, or NULL. */
static const char *
bad_picture(const rs_run *r, size_t n)
{
        for (size_t i = 0; i < r->p->net.n_reads; i++) {
                const float *v = r->p->reads[i].data;
                size_t row = r->p->net.row[i];
                for (size_t k = 0; k < n * row; k++)
                        if (!isfinite(v[k]))
                                return rs_feed_name(&r->p->train, k / row, n);
        }
        return NULL;
}

/* "layer2.0.conv1 ('137')": the part of the network that makes a value, as far as one can tell, and
 * its name. */
static const char *
place_of(rs_run *r, const char *value)
{
        resect_error err;
        rs_index ix = {0};
        const char *part = NULL;
        resect_anatomy *a = resect_anatomy_find(r->m, &err);
        if (a && rs_index_make(&ix, &r->m->graph, &err)) {
                const rs_link *l = rs_index_find(&ix, value);
                for (size_t i = 0; l && l->maker && !part && i < l->maker->n_in; i++)
                        part = resect_anatomy_tensor_part(a, l->maker->in[i]);
                rs_index_free(&ix);
        }
        const char *text = rs_arena_printf(
                &r->arena, &err, part ? "%s ('%s')" : "%s'%s'", part ? part : "", value);
        resect_anatomy_free(a);
        return text ? text : value;
}

static bool
diverged(rs_run *r, size_t n, double loss, resect_error *err)
{
        const char *where;
        size_t step = r->at.total + 1;
        rs_slab *w = rs_exec_parameters(r->p->net.train.exec);
        if ((where = bad_picture(r, n)))
                return rs_fail(err, RESECT_FORMAT,
                        "step %zu: what is computed from picture %s is not finite", step, where);
        if ((where = bad_piece(w, w->values)))
                return rs_fail(err, RESECT_FORMAT,
                        "step %zu: weight %s is not finite: the learning rate may be too large",
                        step, where);
        where = isfinite(loss) ? "" : rs_net_first_bad(&r->p->net, r->p->reads, n, r->o.seed, step);
        if (*where)
                return rs_fail(err, RESECT_FORMAT,
                        "step %zu: the loss is not finite, from %s on: the learning rate may be "
                        "too large",
                        step, place_of(r, where));
        where = bad_piece(w, rs_exec_gradients(r->p->net.train.exec));
        return rs_fail(err, RESECT_FORMAT, "step %zu, loss %g: the gradient of %s is not finite",
                step, loss, where ? where : "the loss");
}

bool
rs_run_step(rs_run *r, double lr, rs_stepped *out, resect_error *err)
{
        rs_phase *p = r->p;
        rs_fed fed = {.reads = p->reads};
        *out = (rs_stepped){0};
        if (!rs_feed_next(&p->train, &fed, err))
                return false;
        out->n = fed.n;
        if (!fed.n)
                return true;
        float *logits;
        size_t step = r->at.total + 1;
        if (!rs_net_forward(&p->net, p->reads, fed.n, r->o.seed, step, &logits, err))
                return false;
        rs_targets t = {fed.a, fed.b, fed.mix, r->o.label_smoothing, r->weights};
        out->loss = rs_cross_entropy(logits, &t, fed.n, r->classes, p->dlogits, &out->hits);
        if (!isfinite(out->loss))
                return diverged(r, fed.n, out->loss, err);
        rs_net_backward(&p->net, fed.n, p->dlogits);
        rs_slab *w = rs_exec_parameters(p->net.train.exec);
        float *g = rs_exec_gradients(p->net.train.exec);
        out->gradient = rs_gradient_norm(g, w->count, r->threads);
        if (!isfinite(out->gradient))
                return diverged(r, fed.n, out->loss, err);
        if (r->o.clip > 0 && out->gradient > r->o.clip)
                rs_gradient_scale(g, w->count, r->o.clip / out->gradient, r->threads);
        rs_optim_step(&p->optim, w, g, lr, r->threads);
        return true;
}
