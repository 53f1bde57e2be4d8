/* SPDX-License-Identifier: 0BSD */
/*
 * The proof that --verify asks for. Before its first change an edit says which values must stay
 * what they are, under which names they will be found afterwards; the model is run there and then
 * on small random input, and once more when the edit is done. An edit that changes what the model
 * reads on purpose (another channel order, preprocessing baked in) gives the rule that turns the
 * old input into the new one.
 */
#include "edit/edit.h"
#include "edit/run.h"

#include <string.h>

#include "base/random.h"
#include "tensor/dtype.h"

enum { BATCH = 2, SMALL = 64, USUAL = 224 };

struct rs_proof {
        size_t n_inputs;
        resect_binding *inputs; /* what the model got before */
        size_t n;
        const char **before, **after;
        resect_tensor *values; /* [n] what it answered */
};

bool
rs_run(resect_model *m, const resect_plan_options *how, const resect_binding *inputs,
        size_t n_inputs, const char *const *outputs, size_t n_outputs, resect_tensor *results,
        resect_error *err)
{
        static const resect_plan_options none;
        how = how != NULL ? how : &none;
        const resect_plan_options options = {.inputs = inputs,
                .n_inputs = n_inputs,
                .outputs = outputs,
                .n_outputs = n_outputs,
                .no_fusion = true,
                .threads = how->threads,
                .kernels = how->kernels,
                .precision = how->precision,
                .exact = how->exact,
                .progress = how->progress,
                .ctx = how->ctx};
        rs_arena a = {0};
        resect_tensor *in = RS_NEW(&a, n_inputs + 1, resect_tensor, err);
        resect_tensor *views = RS_NEW(&a, n_outputs + 1, resect_tensor, err);
        resect_plan *plan = in != NULL && views != NULL ? resect_plan_make(m, &options, err) : NULL;
        resect_exec *e = plan != NULL ? resect_exec_make(plan, err) : NULL;
        for (size_t i = 0; e != NULL && i < n_inputs; i++)
                in[i] = inputs[i].tensor;
        bool ok = e != NULL && resect_exec_run(e, in, views, err);
        for (size_t i = 0; ok && i < n_outputs; i++) {
                ok = resect_tensor_make(
                        &results[i], views[i].dtype, views[i].rank, views[i].dims, err);
                if (ok && views[i].size != 0)
                        memcpy(results[i].data, views[i].data, views[i].size);
        }
        resect_exec_free(e);
        resect_plan_free(plan);
        rs_arena_free(&a);
        return ok;
}

bool
rs_random_input(
        const resect_value *v, int64_t batch, int64_t side, resect_tensor *out, resect_error *err)
{
        int64_t dims[RESECT_RANK_MAX];
        if (v->rank < 0)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "input %s does not say its shape, so that the model cannot be run",
                        v->name);
        for (int i = 0; i < v->rank; i++)
                dims[i] = v->dims[i] >= 0 ? v->dims[i] : i == 0 ? batch : side;
        if (v->rank == 4 && v->dims[1] < 0 && v->dims[3] != 3)
                dims[1] = 3;
        if (!resect_tensor_make(out, v->dtype != RESECT_UNDEFINED ? v->dtype : RESECT_FLOAT,
                    v->rank, dims, err))
                return false;
        const uint64_t stream = rs_stream("verify", 0, 0);
        const int64_t n = resect_tensor_count(out);
        bool byte = out->dtype == RESECT_UINT8;
        for (int64_t i = 0; i < n; i++)
                rs_store(out->data, (int32_t)out->dtype, (size_t)i,
                        byte ? (double)rs_below(1, stream, (uint64_t)i, 256)
                             : rs_normal(1, stream, (uint64_t)i));
        return true;
}

void
rs_bindings_free(resect_binding *b, size_t n)
{
        for (size_t i = 0; i < n; i++)
                resect_tensor_free(&b[i].tensor);
}

bool
rs_random_inputs(rs_surgery *s, int64_t batch, int64_t side, resect_binding **out, size_t *n,
        resect_error *err)
{
        *n = resect_model_input_count(s->m);
        *out = RS_NEW(&s->arena, *n + 1, resect_binding, err);
        bool ok = *out != NULL;
        for (size_t i = 0; ok && i < *n; i++) {
                resect_value v;
                ok = resect_model_input(s->m, i, &v) &&
                     rs_random_input(&v, batch, side, &(*out)[i].tensor, err);
                (*out)[i].name = ok ? rs_arena_strdup(&s->arena, v.name, err) : NULL;
                ok = (*out)[i].name != NULL;
        }
        if (!ok && *out != NULL)
                rs_bindings_free(*out, *n);
        return ok;
}

static const resect_tensor *
bound(const resect_binding *b, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(b[i].name, name) == 0)
                        return &b[i].tensor;
        return NULL;
}

static bool
copy(resect_tensor *to, const resect_tensor *from, resect_error *err)
{
        if (!resect_tensor_make(to, from->dtype, from->rank, from->dims, err))
                return false;
        if (from->size != 0)
                memcpy(to->data, from->data, from->size);
        return true;
}

/* Runs the model for the values that are no inputs; those that are, are known without running. */
static bool
capture(rs_surgery *s, rs_proof *p, resect_error *err)
{
        const char **names = RS_NEW(&s->arena, p->n + 1, const char *, err);
        resect_tensor *results = RS_NEW(&s->arena, p->n + 1, resect_tensor, err);
        size_t k = 0;
        if (names == NULL || results == NULL)
                return false;
        for (size_t i = 0; i < p->n; i++)
                if (bound(p->inputs, p->n_inputs, p->before[i]) == NULL)
                        names[k++] = p->before[i];
        bool ok = k == 0 || rs_run(s->m, &s->how, p->inputs, p->n_inputs, names, k, results, err);
        k = 0;
        for (size_t i = 0; i < p->n; i++) {
                const resect_tensor *x = bound(p->inputs, p->n_inputs, p->before[i]);
                if (x == NULL)
                        p->values[i] = results[k++];
                else
                        ok = ok && copy(&p->values[i], x, err);
        }
        return ok;
}

static bool
open_size(const resect_model *m)
{
        resect_value v;
        for (size_t i = 0; resect_model_input(m, i, &v); i++)
                for (int d = 1; d < v.rank; d++)
                        if (v.dims[d] < 0)
                                return true;
        return false;
}

bool
rs_prove(rs_surgery *s, const char *const *before, const char *const *after, size_t n,
        resect_error *err)
{
        if (!rs_given(s, "verify") || n == 0)
                return true;
        rs_proof *p = rs_alloc(1, sizeof *p, err);
        if (p == NULL)
                return false;
        s->proof = p;
        p->values = RS_NEW(&s->arena, n, resect_tensor, err);
        const char **names = RS_NEW(&s->arena, 2 * n, const char *, err);
        if (p->values == NULL || names == NULL)
                return false;
        for (size_t i = 0; i < n; i++) {
                names[i] = rs_arena_strdup(&s->arena, before[i], err);
                names[n + i] = rs_arena_strdup(&s->arena, after[i], err);
                if (names[i] == NULL || names[n + i] == NULL)
                        return false;
        }
        p->before = names;
        p->after = names + n;
        p->n = n;
        for (int64_t side = SMALL;; side = USUAL) {
                if (!rs_random_inputs(s, BATCH, side, &p->inputs, &p->n_inputs, err))
                        return false;
                for (size_t i = 0; s->prepare != NULL && i < p->n_inputs; i++)
                        s->prepare(&p->inputs[i].tensor);
                if (capture(s, p, err))
                        return true;
                /* A head that pools over a fixed window wants the usual size. */
                if (err == NULL || err->code != RESECT_GRAPH || side == USUAL || !open_size(s->m))
                        return rs_fail_at(err, "verify, before the edit");
                rs_bindings_free(p->inputs, p->n_inputs);
                for (size_t i = 0; i < n; i++)
                        resect_tensor_free(&p->values[i]);
        }
}

bool
rs_prove_outputs(rs_surgery *s, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        const char **names = RS_NEW(&s->arena, g->n_outputs + 1, const char *, err);
        if (names == NULL)
                return false;
        for (size_t i = 0; i < g->n_outputs; i++)
                names[i] = g->outputs[i]->name;
        return rs_prove(s, names, names, g->n_outputs, err);
}

/* What the edited model reads, from what it read before and what it computed then. */
static bool
new_inputs(rs_surgery *s, const rs_proof *p, resect_binding *in, size_t n, resect_error *err)
{
        for (size_t i = 0; i < n; i++) {
                resect_value v;
                if (!resect_model_input(s->m, i, &v))
                        return false;
                in[i].name = v.name;
                const resect_tensor *x = NULL;
                for (size_t k = 0; k < p->n && x == NULL; k++)
                        if (strcmp(p->after[k], v.name) == 0)
                                x = &p->values[k];
                if (x == NULL)
                        x = bound(p->inputs, p->n_inputs, v.name);
                if (x == NULL)
                        return rs_fail(err, RESECT_GRAPH,
                                "verify: the edited model has an input %s that was not there "
                                "before",
                                v.name);
                if (!(s->reinput != NULL ? s->reinput(s->reinput_ctx, v.name, x, &in[i].tensor, err)
                                         : copy(&in[i].tensor, x, err)))
                        return false;
        }
        return true;
}

static bool
same(rs_surgery *s, const char *name, const resect_tensor *now, const resect_tensor *then,
        resect_error *err)
{
        resect_difference d;
        if (!resect_tensor_compare(now, then, s->tolerance, s->tolerance, &d, err))
                return rs_fail_at(err, "verify: %s", name);
        /* The bound is on the tensor's own scale: an element near zero may be off by the rounding
         * of its neighbours. */
        if (d.unequal != 0 && !(d.max_rel <= s->tolerance))
                return rs_fail(err, RESECT_GRAPH,
                        "verify: %s changed by %g of its own scale (%g at element %lld), more than "
                        "%g",
                        name, d.max_rel, d.max_abs, (long long)d.at, s->tolerance);
        if (s->to.verified != NULL)
                s->to.verified(s->to.ctx, name, &d);
        if (d.max_abs == 0 && d.unequal == 0)
                rs_note(s, "verified: %s is bit for bit what it was (%lld numbers)", name,
                        (long long)d.count);
        else
                rs_note(s,
                        "verified: %s is what it was within %.2g of its own scale (%lld numbers)",
                        name, d.max_rel, (long long)d.count);
        return true;
}

bool
rs_proof_check(rs_surgery *s, resect_error *err)
{
        rs_proof *p = s->proof;
        if (p == NULL) {
                if (rs_given(s, "verify") && !s->proved)
                        rs_note(s, "verified: nothing to compare");
                return true;
        }
        const size_t n_in = resect_model_input_count(s->m);
        resect_binding *in = RS_NEW(&s->arena, n_in + 1, resect_binding, err);
        resect_tensor *now = RS_NEW(&s->arena, p->n, resect_tensor, err);
        const char **names = RS_NEW(&s->arena, p->n, const char *, err);
        if (in == NULL || now == NULL || names == NULL)
                return false;
        s->proof = NULL; /* checked once */
        bool ok = new_inputs(s, p, in, n_in, err);
        size_t k = 0;
        for (size_t i = 0; ok && i < p->n; i++)
                if (bound(in, n_in, p->after[i]) == NULL)
                        names[k++] = p->after[i];
        if (ok && k != 0 && !rs_run(s->m, &s->how, in, n_in, names, k, now, err))
                ok = rs_fail_at(err, "verify, after the edit");
        k = 0;
        for (size_t i = 0; ok && i < p->n; i++)
                if (bound(in, n_in, p->after[i]) == NULL)
                        ok = same(s, p->after[i], &now[k++], &p->values[i], err);
        rs_bindings_free(in, n_in);
        for (size_t i = 0; i < p->n; i++)
                resect_tensor_free(&now[i]);
        rs_proof_free(p);
        s->proved = true;
        return ok;
}

bool
rs_proof_rename(rs_surgery *s, const char *from, const char *to, resect_error *err)
{
        rs_proof *p = s->proof;
        const char *name = p != NULL ? rs_arena_strdup(&s->arena, to, err) : to;
        if (p == NULL || name == NULL)
                return name != NULL;
        for (size_t i = 0; i < p->n; i++)
                if (strcmp(p->after[i], from) == 0)
                        p->after[i] = name;
        for (size_t i = 0; i < p->n_inputs; i++)
                if (strcmp(p->inputs[i].name, from) == 0)
                        p->inputs[i].name = name;
        return true;
}

void
rs_proof_free(rs_proof *p)
{
        if (p == NULL)
                return;
        if (p->inputs != NULL)
                rs_bindings_free(p->inputs, p->n_inputs);
        for (size_t i = 0; p->values != NULL && i < p->n; i++)
                resect_tensor_free(&p->values[i]);
        rs_free(p);
}
