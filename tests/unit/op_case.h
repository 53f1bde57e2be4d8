/* SPDX-License-Identifier: 0BSD */
/*
 * One call of an operator, written as text: attributes "axis=1 alpha=0.5 pads=[1,0] mode=edge" (a
 * number with a point is a float) and inputs "d2,3 i[0,1] -": a letter and sizes.
 *
 *   d noise in -1..1   p noise in 0.3..1.4   u noise in 1.2..2.3   w noise in -4..4   b bools
 * i[...] these integers s[x] this number   - absent              a capital letter: a constant,
 * whose gradient is not asked for
 */
#ifndef OP_CASE_H
#define OP_CASE_H

#include <ctype.h>

#include "op_run.h"

typedef struct op_case {
        const char *op;
        int opset;
        const char *attrs, *inputs;
        size_t outs;        /* 0: one */
        size_t grads;       /* how many of them have a gradient; 0: all */
        const char *domain; /* NULL: ONNX's */
} op_case;

/* "[1,-2,3]" into v; returns how many. */
static inline size_t
op_case_list(const char *s, double *v)
{
        size_t n = 0;
        for (s++; *s && *s != ']' && n < 64; s += *s == ',') {
                char *end;
                v[n++] = strtod(s, &end);
                ck_assert_ptr_ne(end, s);
                s = end;
        }
        return n;
}

static inline void
op_case_attr(op_run *r, char *word)
{
        resect_error err = {0};
        double v[64];
        char *eq = strchr(word, '=');
        ck_assert_ptr_nonnull(eq);
        *eq = '\0';
        const char *name = rs_arena_strdup(&r->arena, word, &err),
                   *text = rs_arena_strdup(&r->arena, eq + 1, &err);
        if (*text == '[') {
                rs_attr *a = op_attr(r, name, RS_ATTR_INTS);
                a->n = op_case_list(text, v);
                int64_t *ints = RS_NEW(&r->arena, a->n + 1, int64_t, &err);
                for (size_t i = 0; i < a->n; i++)
                        ints[i] = (int64_t)v[i];
                a->ints = ints;
        } else if (isdigit((unsigned char)*text) || *text == '-') {
                if (strchr(text, '.'))
                        op_float(r, name, (float)atof(text));
                else
                        op_int(r, name, atoll(text));
        } else {
                op_string(r, name, text);
        }
}

static inline double
op_case_value(char kind, double noise)
{
        switch (kind) {
        case 'p':
                return 0.8 + noise / 2;
        case 'u':
                return 1.7 + noise / 2;
        case 'w':
                return 4 * noise;
        default:
                return noise;
        }
}

/* Adds an input; returns whether its gradient is asked for. */
static inline bool
op_case_input(op_run *r, const char *word, int real)
{
        resect_error err = {0};
        const size_t i = r->x.n_in++;
        char kind = (char)tolower((unsigned char)*word);
        double v[64];
        int64_t dims[RESECT_RANK_MAX] = {0};
        int rank = 0, dtype = kind == 'i' ? RESECT_INT64 : kind == 'b' ? RESECT_BOOL : real;
        r->call.n_in = r->node.n_in = r->x.n_in;
        if (kind == '-')
                return false;
        if (kind == 'i') {
                dims[0] = (int64_t)op_case_list(word + 1, v);
                rank = 1;
        } else if (kind == 's') {
                ck_assert_uint_eq(op_case_list(word + 1, v), 1);
        } else
                for (const char *s = word + 1; *s; s += *s == ',') {
                        char *end;
                        dims[rank++] = strtoll(s, &end, 10);
                        ck_assert_ptr_ne(end, s);
                        s = end;
                }
        resect_tensor *t = &r->in[i];
        CK_OK(resect_tensor_make(t, (resect_dtype)dtype, rank, dims, &err), err);
        for (int64_t e = 0; e < resect_tensor_count(t); e++) {
                double noise = op_noise(i + 1, (uint64_t)e);
                rs_store(t->data, dtype, (size_t)e,
                        kind == 'i' || kind == 's' ? v[e]
                        : kind == 'b'              ? noise > 0
                                                   : op_case_value(kind, noise));
        }
        r->types[i] = (rs_type){.dtype = dtype, .rank = rank};
        memcpy(r->types[i].dims, dims, sizeof dims);
        CK_OK(rs_type_set_ints(&r->types[i], &r->arena, t->data, &err), err);
        r->x.in[i] = &r->types[i];
        r->call.in[i] = t;
        return islower((unsigned char)*word) && kind != 'i' && kind != 'b' && kind != 's';
}

/* Starts r from a case, its floats of dtype real; the set of inputs whose gradient is asked for.
 * Nothing is inferred yet. */
static inline uint32_t
op_case_start(op_run *r, const op_case *c, int real)
{
        uint32_t which = 0;
        char text[256];
        op_start_in(r, c->domain ? c->domain : "", c->op, c->opset);
        snprintf(text, sizeof text, "%s", c->attrs);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
                op_case_attr(r, word);
        snprintf(text, sizeof text, "%s", c->inputs);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
                which |= op_case_input(r, word, real) ? 1u << (r->x.n_in - 1) : 0;
        op_outs(r, c->outs ? c->outs : 1);
        return which;
}

/* Buffers for the gradients: outs of them are given, noise; those of inputs start at 1, so that
 * backward must add. */
static inline void
op_case_gradients(op_run *r, uint32_t which, size_t outs)
{
        resect_error err = {0};
        for (size_t i = 0; i < outs; i++) {
                CK_OK(resect_tensor_make(
                              &r->dout[i], r->out[i].dtype, r->out[i].rank, r->out[i].dims, &err),
                        err);
                for (int64_t e = 0; e < resect_tensor_count(&r->dout[i]); e++)
                        rs_store(r->dout[i].data, (int32_t)r->dout[i].dtype, (size_t)e,
                                op_noise(99 + i, (uint64_t)e));
                r->call.dout[i] = &r->dout[i];
        }
        for (size_t i = 0; i < r->x.n_in; i++) {
                if (!(which & 1u << i))
                        continue;
                CK_OK(resect_tensor_make(
                              &r->din[i], r->in[i].dtype, r->in[i].rank, r->in[i].dims, &err),
                        err);
                for (int64_t e = 0; e < resect_tensor_count(&r->din[i]); e++)
                        rs_store(r->din[i].data, (int32_t)r->din[i].dtype, (size_t)e, 1);
                r->call.din[i] = &r->din[i];
        }
}

#endif
