/* SPDX-License-Identifier: 0BSD */
/*
 * From a plan whose steps run by their operators' own functions to one where fast kernels run what
 * they can. Each step is offered to the lowering of its operator; one that is refused, or has none,
 * stays as it is and reads dense float32. Values have the layout that their maker gives them; where
 * a reader wants another one, a reorder step makes a twin of the value, once for all its readers.
 */
#include "onednn/lower.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "onednn/choose.h"
#include "onednn/onednn.h"

static const struct {
        const char *op;
        rs_lowering *lower;
} table[] = {
        {"Add", rs_lower_add},
        {"AveragePool", rs_lower_pool},
        {"BatchNormalization", rs_lower_norm},
        {"Conv", rs_lower_conv},
        {"Gemm", rs_lower_gemm},
        {"GlobalAveragePool", rs_lower_mean},
        {"MaxPool", rs_lower_pool},
        {"ReduceMean", rs_lower_mean},
        {"Relu", rs_lower_relu},
        {"Sum", rs_lower_add},
};

dnnl_data_type_t
rs_lower_type(const rs_lower *l)
{
        return l->dnn->bf16 ? dnnl_bf16 : dnnl_f32;
}

const char *
rs_lower_name(const rs_lower *l, const_dnnl_primitive_desc_t pd, resect_error *err)
{
        const char *name = "";
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
        return rs_arena_printf(&l->p->arena, err, "oneDNN %s", name);
}

bool
rs_lower_trained(const rs_lower *l, int v)
{
        return l->p->values[l->p->values[v].root].trained;
}

bool
rs_lower_has_grad(const rs_lower *l, int v)
{
        return l->p->values[l->p->values[v].root].has_grad;
}

bool
rs_lower_md(const rs_lower *l, int v, dnnl_memory_desc_t *md, resect_error *err)
{
        const rs_pvalue *x = &l->p->values[v];
        if (!x->layout)
                return rs_md_dense(md, x->type.rank, x->type.dims, dnnl_f32, err);
        *md = ((const rs_layout *)x->layout)->md;
        return true;
}

static bool
set_layout(rs_lower *l, int v, const dnnl_memory_desc_t *md, resect_error *err)
{
        rs_layout *layout = RS_NEW(&l->p->arena, 1, rs_layout, err);
        if (!layout)
                return false;
        layout->md = *md;
        l->p->values[v].layout = layout;
        l->p->values[v].bytes = rs_md_size(md);
        return true;
}

bool
rs_lower_output(rs_lower *l, int v, const dnnl_memory_desc_t *md, resect_error *err)
{
        dnnl_memory_desc_t dense;
        const rs_pvalue *x = &l->p->values[v];
        if (!rs_md_dense(&dense, x->type.rank, x->type.dims, dnnl_f32, err))
                return false;
        return rs_md_equal(md, &dense) || set_layout(l, v, md, err);
}

/* Reorder: a step of this folder's own. */
typedef struct reorder {
        rs_lowered head;
        size_t grad_bytes;
} reorder;
enum { THERE, BACK, BACK_ADD };

static void
reorder_forward(const rs_call *c)
{
        rs_lowered_run(c, THERE, (void *[]){c->in[0]->data, c->out[0]->data}, c->scratch);
}

static void
reorder_backward(const rs_call *c)
{
        if (c->din[0] && c->dout[0])
                rs_lowered_run(c, c->first & 1 ? BACK : BACK_ADD,
                        (void *[]){c->dout[0]->data, c->din[0]->data}, c->scratch);
}

static const rs_kernel reorder_kernel = {.name = rs_lowered_name,
        .bind = rs_lowered_bind,
        .unbind = rs_lowered_unbind,
        .forward = reorder_forward,
        .backward = reorder_backward};

static const rs_op reorder_op = {.name = "Reorder", .domain = "", .alias = -1};

static bool
append(rs_lower *l, const rs_pstep *s, resect_error *err)
{
        if (l->n_steps == l->cap) {
                size_t cap = l->cap ? l->cap * 2 : 256;
                rs_pstep *steps = rs_grow(l->steps, cap, sizeof *steps, err);
                if (!steps)
                        return false;
                l->steps = steps;
                l->cap = cap;
        }
        l->steps[l->n_steps++] = *s;
        return true;
}

static size_t
larger(size_t a, size_t b)
{
        return a > b ? a : b;
}

static bool
add_reorder(rs_lower *l, const rs_node *node, int from, int to, resect_error *err)
{
        dnnl_memory_desc_t a, b;
        reorder *r = RS_NEW(&l->p->arena, 1, reorder, err);
        if (!r || !rs_lower_md(l, from, &a, err) || !rs_lower_md(l, to, &b, err))
                return false;
        bool backward = l->p->values[to].has_grad;
        rs_launch *there = &r->head.launches[THERE], *back = &r->head.launches[BACK],
                  *add = &r->head.launches[BACK_ADD];
        r->head.dnn = l->dnn;
        r->head.name = "reorder";
        if (!rs_launch_reorder(l->dnn, there, &a, &b, false, err) ||
                (backward && (!rs_launch_reorder(l->dnn, back, &b, &a, false, err) ||
                                     !rs_launch_reorder(l->dnn, add, &b, &a, true, err))))
                return false;
        rs_pstep s = {.op = &reorder_op,
                .node = node,
                .kernel = &reorder_kernel,
                .state = r,
                .scratch = larger(there->scratch, larger(back->scratch, add->scratch)),
                .overwrites = 1,
                .n_in = 1,
                .n_out = 1,
                .in = {from},
                .out = {to},
                .backward = backward,
                .residual = -1,
                .fold = -1,
                .saved_block = -1};
        return append(l, &s, err);
}

int
rs_lower_as(rs_lower *l, const rs_pstep *s, int v, const dnnl_memory_desc_t *md, resect_error *err)
{
        dnnl_memory_desc_t have, dense;
        const rs_pvalue *x = &l->p->values[v];
        if (!rs_md_dense(&dense, x->type.rank, x->type.dims, dnnl_f32, err))
                return -1;
        if (!md)
                md = &dense;
        for (int t = v; t >= 0; t = l->p->values[t].twin) {
                if (!rs_lower_md(l, t, &have, err))
                        return -1;
                if (rs_md_equal(&have, md))
                        return t;
        }
        int to = rs_plan_add_value(l->p, x->name, err);
        if (to < 0)
                return -1;
        rs_pvalue *from = &l->p->values[v], *y = &l->p->values[to];
        y->type = from->type;
        y->type.ints = NULL;
        y->bytes = rs_md_size(md);
        y->has_grad = l->p->values[from->root].has_grad;
        y->twin = from->twin;
        from->twin = to;
        if ((!rs_md_equal(md, &dense) && !set_layout(l, to, md, err)) ||
                !add_reorder(l, s ? s->node : l->steps[l->n_steps - 1].node, v, to, err))
                return -1;
        return to;
}

static int
packed(rs_lower *l, int v, const rs_layout *layout, size_t bytes, resect_error *err)
{
        int from = l->p->values[v].root, to = rs_plan_add_value(l->p, l->p->values[from].name, err);
        rs_layout *own = RS_NEW(&l->p->arena, 1, rs_layout, err);
        if (to < 0 || !own)
                return -1;
        *own = *layout;
        rs_pvalue *y = &l->p->values[to];
        y->layout = own;
        y->bytes = bytes;
        y->type = l->p->values[from].type;
        y->place = RS_PLACE_PACKED;
        y->packed_from = from;
        return to;
}

int
rs_lower_packed(rs_lower *l, int v, const dnnl_memory_desc_t *dense, const dnnl_memory_desc_t *md,
        resect_error *err)
{
        return packed(l, v, &(rs_layout){.md = *md, .dense = *dense}, rs_md_size(md), err);
}

int
rs_lower_packed_own(rs_lower *l, int v, const rs_own *own, resect_error *err)
{
        return packed(l, v, &(rs_layout){.own = own}, rs_own_weight_bytes(own), err);
}

static bool
pack(const resect_plan *p, int v, const void *from, void *to, resect_error *err)
{
        const rs_layout *layout = p->values[v].layout;
        rs_dnn *d = p->fast;
        rs_launch l = {0};
        if (layout->own) {
                rs_own_weights(layout->own, from, false, to);
                return true;
        }
        if (!rs_launch_reorder(d, &l, &layout->dense, &layout->md, false, err))
                return false;
        void *scratch = rs_alloc_aligned(l.scratch, err);
        bool ok = scratch &&
                  rs_launch_once(d, &l, (void *[]){(void *)(uintptr_t)from, to}, scratch, err);
        rs_free_aligned(scratch);
        return ok;
}

/* A step that runs as it did: on dense values. A view keeps a layout when it changes no size. */
static bool
keep(rs_lower *l, rs_pstep *s, resect_error *err)
{
        const rs_pvalue *values = l->p->values;
        bool same = s->view && s->in[0] >= 0 && s->out[0] >= 0 && values[s->in[0]].layout &&
                    values[s->in[0]].type.rank == values[s->out[0]].type.rank &&
                    !memcmp(values[s->in[0]].type.dims, values[s->out[0]].type.dims,
                            sizeof *values->type.dims * (size_t)values[s->in[0]].type.rank);
        for (size_t i = 0; i < s->n_in; i++)
                if (s->in[i] >= 0 && !(same && i == 0) &&
                        (s->in[i] = rs_lower_as(l, s, s->in[i], NULL, err)) < 0)
                        return false;
        if (s->residual >= 0 && (s->residual = rs_lower_as(l, s, s->residual, NULL, err)) < 0)
                return false;
        if (!s->view || s->out[0] < 0)
                return true;
        const rs_pvalue *x = &l->p->values[s->in[0]];
        rs_pvalue *y = &l->p->values[s->out[0]];
        if (x->type.dtype == y->type.dtype && y->root != s->out[0]) {
                y->root = x->root;
                y->place = l->p->values[x->root].place;
                y->layout = x->layout;
                y->bytes = x->bytes;
        }
        return true;
}

static bool
lower_step(rs_lower *l, rs_pstep s, resect_error *err)
{
        bool done = false;
        const rs_pvalue *out = s.out[0] >= 0 ? &l->p->values[s.out[0]] : NULL;
        for (size_t i = 0; i < sizeof table / sizeof *table && !done && out; i++)
                if (!strcmp(table[i].op, s.op->name) && !*s.op->domain && !s.view &&
                        out->type.dtype == RESECT_FLOAT && !table[i].lower(l, &s, &done, err))
                        return false;
        return (done || keep(l, &s, err)) && append(l, &s, err);
}

/* The caller reads dense outputs. */
static bool
dense_outputs(rs_lower *l, resect_error *err)
{
        resect_plan *p = l->p;
        for (size_t i = 0; i < p->n_outputs; i++) {
                int v = p->outputs[i], dense;
                if (!p->values[v].layout)
                        continue;
                if ((dense = rs_lower_as(l, NULL, v, NULL, err)) < 0)
                        return false;
                p->values[v].output = false;
                p->values[dense].output = true;
                p->outputs[i] = dense;
        }
        return true;
}

/* The steps move into the plan's arena, and values learn their makers' new numbers. */
static bool
settle(rs_lower *l, resect_error *err)
{
        resect_plan *p = l->p;
        p->steps = RS_NEW(&p->arena, l->n_steps + 1, rs_pstep, err);
        if (!p->steps)
                return false;
        memcpy(p->steps, l->steps, l->n_steps * sizeof *p->steps);
        p->n_steps = l->n_steps;
        for (size_t k = 0; k < p->n_steps; k++)
                for (size_t j = 0; j < p->steps[k].n_out; j++)
                        if (p->steps[k].out[j] >= 0)
                                p->values[p->steps[k].out[j]].step = (int)k;
        return true;
}

bool
rs_fast_lower(resect_plan *p, const resect_plan_options *o, resect_error *err)
{
        rs_lower l = {.p = p};
        rs_pstep *steps = p->steps;
        size_t n = p->n_steps;
        bool ok = rs_dnn_make(&l.dnn, p, err) && rs_choices_make(l.dnn, o, err);
        p->fast = l.dnn;
        p->fast_free = rs_dnn_free;
        p->pack = pack;
        ok = ok && (p->no_fusion || rs_plan_fuse_norms(p, err));
        n = p->n_steps;
        for (size_t k = 0; ok && k < n; k++)
                ok = lower_step(&l, steps[k], err) ||
                     rs_fail_at(err, "%s", rs_plan_node_name(steps[k].node));
        ok = ok && dense_outputs(&l, err) && settle(&l, err) &&
             rs_choices_text(l.dnn, &p->arena, &p->choices, err);
        rs_free(l.steps);
        rs_choices_keep(l.dnn);
        return ok;
}

static char fast_name[80];

static void
find_name(void)
{
        static const struct {
                unsigned isa;
                const char *name;
        } sets[] = {
                {dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"},
                {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bfloat16"},
                {dnnl_cpu_isa_avx512_core, "AVX-512"},
                {dnnl_cpu_isa_avx2, "AVX2"},
                {dnnl_cpu_isa_avx, "AVX"},
                {dnnl_cpu_isa_sse41, "SSE4.1"},
                {0, "plain C"},
        };
        const dnnl_version_t *v = dnnl_version();
        unsigned have = (unsigned)dnnl_get_effective_cpu_isa();
        size_t i = 0;
        while ((have & sets[i].isa) != sets[i].isa)
                i++;
        snprintf(fast_name, sizeof fast_name, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch,
                sets[i].name);
}

const char *
rs_fast_name(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, find_name);
        return fast_name;
}

bool
rs_fast_bf16(void)
{
        return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
               dnnl_cpu_isa_avx512_core_bf16;
}
