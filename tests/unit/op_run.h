/* SPDX-License-Identifier: 0BSD */
/*
 * Runs one operator without a model or a plan: infer on a node built here, then forward and
 * backward on tensors. Everything an op_run holds is freed by op_free.
 */
#ifndef OP_RUN_H
#define OP_RUN_H

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "base/mem.h"
#include "op/op.h"
#include "tensor/dtype.h"
#include "unit.h"

typedef struct op_run {
        rs_arena arena;
        rs_symbols symbols;
        rs_node node;
        rs_attr attrs[16];
        const rs_op *op;
        rs_infer x;
        rs_type types[RS_IN_MAX];
        resect_tensor in[RS_IN_MAX], out[RS_OUT_MAX], dout[RS_OUT_MAX], din[RS_IN_MAX], residual;
        rs_call call;
        const char *names[1];
} op_run;

static inline void
op_start_in(op_run *r, const char *domain, const char *name, int opset)
{
        resect_error err = {0};

        memset(r, 0, sizeof *r);
        r->op = rs_op_find(domain, name, opset);
        ck_assert_msg(r->op != NULL, "no operator %s at opset %d", name, opset);
        r->names[0] = "y";
        r->node = (rs_node){.name = "node",
                .op = rs_arena_strdup(&r->arena, name, &err),
                .domain = domain,
                .attrs = r->attrs,
                .out = r->names,
                .n_out = 1};
        r->x = (rs_infer){.arena = &r->arena,
                .symbols = &r->symbols,
                .node = &r->node,
                .opset = opset,
                .concrete = true,
                .threads = 2,
                .n_out = 1,
                .wanted = {true}};
        r->call.threads = 2;
}

static inline void
op_start(op_run *r, const char *name, int opset)
{
        op_start_in(r, "", name, opset);
}

static inline rs_attr *
op_attr(op_run *r, const char *name, int type)
{
        rs_attr *a = &r->attrs[r->node.n_attrs++];

        ck_assert_uint_le(r->node.n_attrs, 16);
        a->name = name;
        a->type = type;
        return a;
}

static inline void
op_int(op_run *r, const char *name, int64_t v)
{
        op_attr(r, name, RS_ATTR_INT)->i = v;
}

static inline void
op_float(op_run *r, const char *name, float v)
{
        op_attr(r, name, RS_ATTR_FLOAT)->f = v;
}

static inline void
op_string(op_run *r, const char *name, const char *v)
{
        op_attr(r, name, RS_ATTR_STRING)->s = (rs_span){(const unsigned char *)v, strlen(v)};
}

/* op_ints(r, "pads", 4, 1, 1, 1, 1): numbers are ints */
static inline void
op_ints(op_run *r, const char *name, size_t n, ...)
{
        resect_error err = {0};
        rs_attr *a = op_attr(r, name, RS_ATTR_INTS);
        int64_t *v = RS_NEW(&r->arena, n + 1, int64_t, &err);
        va_list ap;

        ck_assert_ptr_nonnull(v);
        va_start(ap, n);
        for (size_t i = 0; i < n; i++)
                v[i] = va_arg(ap, int);
        va_end(ap);
        a->ints = v;
        a->n = n;
}

/* Numbers that look random but are the same every time, in -1 .. 1, never very near 0. */
static inline double
op_noise(uint64_t seed, uint64_t i)
{
        uint64_t z = seed * UINT64_C(0x9E3779B97F4A7C15) + i * UINT64_C(0xBF58476D1CE4E5B9) + 1;

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
        const double v = (double)(z >> 11) / 9007199254740992.0 * 2 - 1;
        return v < 0 ? v - 0.01 : v + 0.01;
}

/* Adds an input of rank n with these sizes (ints), filled with noise; or absent with dtype 0. */
static inline resect_tensor *
op_in(op_run *r, int dtype, int n, ...)
{
        resect_error err = {0};
        const size_t i = r->x.n_in++;
        int64_t dims[RESECT_RANK_MAX];
        va_list ap;

        r->call.n_in = r->node.n_in = r->x.n_in;
        if (!dtype)
                return NULL;
        va_start(ap, n);
        for (int d = 0; d < n; d++)
                dims[d] = va_arg(ap, int);
        va_end(ap);
        CK_OK(resect_tensor_make(&r->in[i], (resect_dtype)dtype, n, dims, &err), err);
        const int64_t count = resect_tensor_count(&r->in[i]);
        for (int64_t e = 0; e < count; e++) {
                const double v = op_noise(i + 1, (uint64_t)e);
                const bool real = dtype == RESECT_FLOAT || dtype == RESECT_DOUBLE ||
                                  dtype == RESECT_FLOAT16 || dtype == RESECT_BFLOAT16;
                rs_store(r->in[i].data, dtype, (size_t)e, real ? v : floor(v * 60));
        }
        r->types[i] = (rs_type){.dtype = dtype, .rank = n};
        memcpy(r->types[i].dims, r->in[i].dims, sizeof dims);
        r->x.in[i] = &r->types[i];
        r->call.in[i] = &r->in[i];
        return &r->in[i];
}

static inline void
op_outs(op_run *r, size_t n)
{
        r->x.n_out = n;
        for (size_t i = 0; i < n; i++)
                r->x.wanted[i] = true;
}

/* infer; then buffers for outputs (in training those that infer fills unasked, too), scratch and
 * saved. */
static inline bool
op_infer(op_run *r, resect_error *err)
{
        r->x.state = NULL;
        return r->op->infer(&r->x, err);
}

static inline void
op_make(op_run *r)
{
        resect_error err = {0};

        CK_OK(op_infer(r, &err), err);
        r->call.state = r->x.state;
        r->call.training = r->x.training;
        r->call.n_out = r->x.n_out;
        for (size_t i = 0; i < r->x.n_out; i++) {
                if (!r->x.wanted[i] && !(r->x.training && r->x.out[i].dtype))
                        continue;
                CK_OK(resect_tensor_make(&r->out[i], (resect_dtype)r->x.out[i].dtype,
                              r->x.out[i].rank, r->x.out[i].dims, &err),
                        err);
                r->call.out[i] = &r->out[i];
        }
        r->call.scratch = rs_alloc_aligned(r->x.scratch + 1, &err);
        r->call.saved = rs_alloc_aligned(r->x.saved + 1, &err);
}

static inline void
op_forward(op_run *r)
{
        op_make(r);
        r->op->forward(&r->call);
}

static inline void
op_free(op_run *r)
{
        rs_arena_free(&r->arena);
        for (size_t i = 0; i < RS_IN_MAX; i++) {
                resect_tensor_free(&r->in[i]);
                resect_tensor_free(&r->din[i]);
        }
        for (size_t i = 0; i < RS_OUT_MAX; i++) {
                resect_tensor_free(&r->out[i]);
                resect_tensor_free(&r->dout[i]);
        }
        resect_tensor_free(&r->residual);
        rs_free_aligned(r->call.scratch);
        rs_free_aligned(r->call.saved);
}

static inline double
op_get(const resect_tensor *t, int64_t i)
{
        return rs_load(t->data, t->dtype, (size_t)i);
}

/* sum over outputs of <out, weights>, the function whose gradients op_gradients checks. */
static inline double
op_objective(op_run *r)
{
        double sum = 0;

        for (size_t o = 0; o < r->x.n_out; o++)
                for (int64_t e = 0; r->dout[o].data && e < resect_tensor_count(&r->out[o]); e++)
                        sum += op_get(&r->out[o], e) * op_get(&r->dout[o], e);
        return sum;
}

/*
 * Finite differences in double: for each input whose bit is in `which`, backward's gradient against
 * the central difference of the objective, element by element. Gradients begin at 1, so that
 * backward must add. Only output 0 has a gradient.
 */
static inline void
op_gradients(op_run *r, uint32_t which, double h, double tolerance)
{
        resect_error err = {0};

        r->x.training = true;
        op_make(r);
        CK_OK(resect_tensor_make(
                      &r->dout[0], r->out[0].dtype, r->out[0].rank, r->out[0].dims, &err),
                err);
        for (int64_t e = 0; e < resect_tensor_count(&r->dout[0]); e++)
                ((double *)r->dout[0].data)[e] = op_noise(99, (uint64_t)e);
        for (size_t i = 0; i < r->x.n_in; i++) {
                if (!(which & 1u << i))
                        continue;
                CK_OK(resect_tensor_make(
                              &r->din[i], r->in[i].dtype, r->in[i].rank, r->in[i].dims, &err),
                        err);
                for (int64_t e = 0; e < resect_tensor_count(&r->din[i]); e++)
                        ((double *)r->din[i].data)[e] = 1;
                r->call.din[i] = &r->din[i];
        }
        r->call.dout[0] = &r->dout[0];
        r->op->forward(&r->call);
        r->op->backward(&r->call);
        for (size_t i = 0; i < r->x.n_in; i++) {
                for (int64_t e = 0; r->din[i].data && e < resect_tensor_count(&r->in[i]); e++) {
                        double *v = (double *)r->in[i].data + e;
                        const double was = *v;
                        *v = was + h;
                        r->op->forward(&r->call);
                        const double up = op_objective(r);
                        *v = was - h;
                        r->op->forward(&r->call);
                        const double down = op_objective(r);
                        *v = was;
                        const double want = (up - down) / (2 * h), got = op_get(&r->din[i], e) - 1;
                        ck_assert_msg(fabs(want - got) <= tolerance * (1 + fabs(want)),
                                "%s input %zu element %lld: difference quotient %.9g, backward "
                                "%.9g",
                                r->node.op, i, (long long)e, want, got);
                }
        }
}

#endif
