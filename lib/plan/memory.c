/* SPDX-License-Identifier: 0BSD */
/*
 * Where everything lies. Each buffer (a value, a gradient, what forward saves for backward) is a
 * block with a lifetime; an elementwise step writes over its dying input; the blocks are packed
 * into one slab, largest first, each into the tightest gap between those already placed that live
 * at the same time (best fit; compare Pisarchyk and Lee, "Efficient memory management for deep
 * neural net inference", 2020).
 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64 };

struct life {
        int *from, *to; /* [n_values], of homes: first and last time its bytes are wanted */
        int *grad_from; /* [n_values], of roots; INT_MAX: none */
        bool *output;   /* [n_values], of homes */
};

int
rs_plan_home(const resect_plan *p, int v)
{
        for (v = p->values[v].root; p->values[v].home != v;)
                v = p->values[v].home;
        return v;
}

static void
extend(int *to, int time)
{
        if (*to < time)
                *to = time;
}

static bool
measure_lives(resect_plan *p, struct life *l, resect_error *err)
{
        size_t n = p->n_values + 1;
        int last = 2 * (int)p->n_steps;
        l->from = RS_NEW(&p->arena, n, int, err);
        l->to = RS_NEW(&p->arena, n, int, err);
        l->grad_from = RS_NEW(&p->arena, n, int, err);
        l->output = RS_NEW(&p->arena, n, bool, err);
        if (!l->from || !l->to || !l->grad_from || !l->output)
                return false;
        for (size_t v = 0; v < p->n_values; v++) {
                l->from[v] = l->to[v] = p->values[v].step;
                l->grad_from[v] = last;
        }
        for (int k = 0; k < (int)p->n_steps; k++) {
                const rs_pstep *s = &p->steps[k];
                int back = last - 1 - k;
                for (size_t i = 0; i < s->n_in; i++) {
                        if (s->in[i] < 0)
                                continue;
                        int root = p->values[s->in[i]].root;
                        extend(&l->to[root], k);
                        if (s->backward && i < 16 && s->reads & RS_READS_IN(i))
                                extend(&l->to[rs_plan_backward_value(p, root)], back);
                        if (s->backward && p->values[root].has_grad && back < l->grad_from[root])
                                l->grad_from[root] = back;
                }
                if (s->residual >= 0) {
                        int root = p->values[s->residual].root;
                        extend(&l->to[root], k);
                        if (s->backward && p->values[root].has_grad && back < l->grad_from[root])
                                l->grad_from[root] = back;
                }
                for (size_t j = 0; j < s->n_out; j++)
                        if (s->backward && s->out[j] >= 0 && j < 16 && s->reads & RS_READS_OUT(j))
                                extend(&l->to[rs_plan_backward_value(p, p->values[s->out[j]].root)],
                                        back);
        }
        for (size_t a = 0; a < p->n_again; a++) {
                const rs_pstep *s = &p->again[a];
                l->from[s->out[0]] = s->time;
                extend(&l->to[s->out[0]], s->time);
                for (size_t i = 0; i < s->n_in; i++)
                        if (s->in[i] >= 0)
                                extend(&l->to[p->values[s->in[i]].root], s->time);
        }
        for (size_t i = 0; i < p->n_outputs; i++) {
                int root = p->values[p->outputs[i]].root;
                l->output[root] = true;
                extend(&l->to[root], last); /* the caller reads it after the run */
                if (p->values[root].has_grad)
                        l->grad_from[root] = (int)p->n_steps;
        }
        return true;
}

/* Lets a step write over an input that nobody wants afterwards. */
static void
work_in_place(resect_plan *p, struct life *l)
{
        for (int k = 0; k < (int)p->n_steps; k++) {
                const rs_pstep *s = &p->steps[k];
                int a = s->op->alias, out = s->out[0], in = -1;
                if (s->residual >= 0 && s->kernel && s->kernel->adds_in_place)
                        in = s->residual;
                else if (s->residual < 0 && a >= 0 && a < (int)s->n_in)
                        in = s->in[a];
                if (s->view || in < 0 || out < 0)
                        continue;
                int from = rs_plan_home(p, in);
                const rs_pvalue *x = &p->values[in], *y = &p->values[out], *f = &p->values[from];
                bool same = x->type.dtype == y->type.dtype && x->type.rank == y->type.rank &&
                            f->bytes == y->bytes &&
                            !memcmp(x->type.dims, y->type.dims,
                                    sizeof *x->type.dims * (size_t)x->type.rank);
                if (!same || f->place != RS_PLACE_SLAB || l->output[from] || l->to[from] > k)
                        continue;
                p->values[out].home = from;
                extend(&l->to[from], l->to[out]);
                l->output[from] |= l->output[out];
        }
}

static int
add_block(resect_plan *p, size_t bytes, int from, int to, resect_error *err)
{
        if (p->n_blocks == p->blocks_cap) {
                size_t cap = p->blocks_cap ? p->blocks_cap * 2 : 512;
                rs_pblock *b = rs_grow(p->blocks, cap, sizeof *b, err);
                if (!b)
                        return -1;
                p->blocks = b;
                p->blocks_cap = cap;
        }
        if (bytes > SIZE_MAX - ALIGN) {
                rs_fail_nomem(err);
                return -1;
        }
        bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        p->blocks[p->n_blocks] =
                (rs_pblock){.bytes = bytes ? bytes : ALIGN, .from = from, .to = to};
        return (int)p->n_blocks++;
}

/* What one step adds to a value's gradient, as its bit; 0 when it is more than one contribution. */
static uint32_t
contribution(const resect_plan *p, const rs_pstep *s, int root, int *count)
{
        uint32_t bit = 0;
        int n = 0;
        for (size_t i = 0; i < s->n_in; i++)
                if (s->in[i] >= 0 && p->values[s->in[i]].root == root) {
                        bit = i < 31 ? UINT32_C(1) << i : 0;
                        n++;
                }
        if (s->residual >= 0 && p->values[s->residual].root == root) {
                bit = RS_OVERWRITES_RESIDUAL;
                n++;
        }
        *count += n;
        return n == 1 ? bit & s->overwrites : 0;
}

/* Who writes a gradient first, so that nobody needs to zero it, and who may write a part of its
   own instead of adding. */
static void
order_gradients(resect_plan *p, const struct life *l, int root, const int *readers, size_t n)
{
        rs_pvalue *v = &p->values[root];
        int before = l->output[root] && v->place == RS_PLACE_SLAB; /* the caller's part */
        v->grad_zero = true;
        for (size_t r = n; r-- > 0;) {
                rs_pstep *s = &p->steps[readers[r]];
                if (!s->backward)
                        continue;
                int count = before;
                uint32_t bit = contribution(p, s, root, &count);
                const rs_pstep *maker = v->step >= 0 ? &p->steps[v->step] : NULL;
                if (bit && before == 0) {
                        s->first |= bit;
                        v->grad_zero = false;
                } else if (bit && before == 1 && !v->grad_zero && maker && maker->kernel &&
                           maker->kernel->two_douts && maker->out[0] == root) {
                        s->second |= bit;
                }
                before = count;
        }
}

static bool
find_first_writers(resect_plan *p, const struct life *l, resect_error *err)
{
        /* the steps that read each root, in order: counted, then listed */
        int *start = RS_NEW(&p->arena, p->n_values + 2, int, err), *list = NULL;
        for (int pass = 0; start && pass < 2; pass++) {
                for (size_t k = 0; k < p->n_steps; k++) {
                        const rs_pstep *s = &p->steps[k];
                        int last = -1; /* a step that reads a value twice in a row stands once */
                        for (size_t i = 0; i <= s->n_in; i++) {
                                int v = i < s->n_in ? s->in[i] : s->residual;
                                if (v < 0 || s->view || p->values[v].root == last)
                                        continue;
                                last = p->values[v].root;
                                if (pass == 0)
                                        start[last + 2]++;
                                else
                                        list[start[last + 1]++] = (int)k;
                        }
                }
                if (pass == 0) {
                        for (size_t v = 0; v < p->n_values; v++)
                                start[v + 2] += start[v + 1];
                        list = RS_NEW(&p->arena, (size_t)start[p->n_values + 1] + 1, int, err);
                        if (!list)
                                return false;
                }
        }
        for (int v = 0; start && v < (int)p->n_values; v++)
                if (p->values[v].has_grad && p->values[v].root == v)
                        order_gradients(
                                p, l, v, list + start[v], (size_t)(start[v + 1] - start[v]));
        return start != NULL;
}

/* Blocks for the second parts that step s writes at a time. */
static bool
add_second_parts(resect_plan *p, const rs_pstep *s, int time, resect_error *err)
{
        for (size_t i = 0; i <= s->n_in; i++) {
                int v = i < s->n_in ? s->in[i] : s->residual;
                uint32_t bit = i < s->n_in ? UINT32_C(1) << (i & 31) : RS_OVERWRITES_RESIDUAL;
                if (v < 0 || !(s->second & bit) || (i < s->n_in && i >= 31))
                        continue;
                rs_pvalue *root = &p->values[p->values[v].root];
                int end = 2 * (int)p->n_steps - 1 - root->step;
                if ((root->grad2 = add_block(p, root->bytes, time, end, err)) < 0)
                        return false;
        }
        return true;
}

/* Lets value v have its gradient where that of a step's output was, in `block`, which is read for
 * the last time when v's is first written. */
static bool
take_over(resect_plan *p, const rs_pstep *s, int v, uint32_t bit, int block, size_t bytes)
{
        if (v < 0 || block < 0 || !(s->first & bit))
                return false;
        rs_pvalue *x = &p->values[p->values[v].root];
        if (x->place != RS_PLACE_SLAB || x->bytes != bytes || x->grad >= 0)
                return false;
        x->grad = block;
        extend(&p->blocks[block].to, 2 * (int)p->n_steps - 1 - x->step);
        return true;
}

/* Gradients of what step k makes, and those of its inputs that are written over them. */
static bool
make_gradients(resect_plan *p, const struct life *l, int k, resect_error *err)
{
        const int last = 2 * (int)p->n_steps, time = last - 1 - k;
        rs_pstep *s = &p->steps[k];
        for (size_t j = 0; j < s->n_out; j++) {
                const int v = s->out[j];
                rs_pvalue *x = v < 0 ? NULL : &p->values[v];
                if (!x || x->place != RS_PLACE_SLAB || x->root != v || !x->has_grad ||
                        x->grad >= 0 || l->grad_from[v] >= last)
                        continue;
                if ((x->grad = add_block(p, x->bytes, l->grad_from[v], time, err)) < 0)
                        return false;
        }
        if (s->second && !add_second_parts(p, s, time, err))
                return false;
        if (!s->kernel || !s->kernel->gradient_in_place || !s->backward)
                return true;
        const rs_pvalue *y = &p->values[p->values[s->out[0]].root];
        bool residual = take_over(p, s, s->residual, RS_OVERWRITES_RESIDUAL, y->grad, y->bytes);
        (void)take_over(p, s, s->in[0], 1, residual ? y->grad2 : y->grad, y->bytes);
        return true;
}

static bool
make_blocks(resect_plan *p, const struct life *l, resect_error *err)
{
        int last = 2 * (int)p->n_steps;
        for (int v = 0; v < (int)p->n_values; v++) {
                rs_pvalue *x = &p->values[v];
                if (x->place == RS_PLACE_INPUT && x->root == v && x->has_grad &&
                        (x->grad = add_block(p, x->bytes,
                                 l->grad_from[v] < last ? l->grad_from[v] : last - 1, last, err)) <
                                0) /* the caller reads it after backward */
                        return false;
                if (x->place == RS_PLACE_SLAB && x->root == v && l->from[v] >= 0 && x->home == v &&
                        (x->block = add_block(p, x->bytes, l->from[v], l->to[v], err)) < 0)
                        return false;
        }
        for (int k = (int)p->n_steps - 1; k >= 0; k--) {
                rs_pstep *s = &p->steps[k];
                if (!make_gradients(p, l, k, err))
                        return false;
                if (s->saved && (s->saved_block = add_block(
                                         p, s->saved, k, s->backward ? last - 1 - k : k, err)) < 0)
                        return false;
        }
        return true;
}

static int
by_size(const void *a, const void *b)
{
        const rs_pblock *x = *(rs_pblock *const *)a, *y = *(rs_pblock *const *)b;
        if (x->bytes != y->bytes)
                return x->bytes < y->bytes ? 1 : -1;
        return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x > y) - (x < y);
}

/* Puts b into the smallest gap between the placed blocks (sorted by offset) that live when it does.
 */
static bool
place(rs_pblock *b, rs_pblock **placed, size_t n, resect_error *err)
{
        size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
                const rs_pblock *q = placed[i];
                if (q->to < b->from || q->from > b->to)
                        continue;
                if (q->offset > end && q->offset - end >= b->bytes && q->offset - end < best_gap) {
                        best = end;
                        best_gap = q->offset - end;
                }
                if (q->offset + q->bytes > end)
                        end = q->offset + q->bytes;
        }
        b->offset = best_gap == SIZE_MAX ? end : best;
        size_t unused;
        if (!rs_add(b->offset, b->bytes, &unused))
                return rs_fail_nomem(err);
        size_t at = n;
        for (; at > 0 && placed[at - 1]->offset > b->offset; at--)
                placed[at] = placed[at - 1];
        placed[at] = b;
        return true;
}

static bool
pack(resect_plan *p, resect_error *err)
{
        rs_pblock **order = RS_NEW(&p->arena, p->n_blocks + 1, rs_pblock *, err);
        rs_pblock **placed = RS_NEW(&p->arena, p->n_blocks + 1, rs_pblock *, err);
        if (!order || !placed)
                return false;
        for (size_t i = 0; i < p->n_blocks; i++)
                order[i] = &p->blocks[i];
        qsort(order, p->n_blocks, sizeof *order, by_size);
        for (size_t i = 0; i < p->n_blocks; i++) {
                if (!place(order[i], placed, i, err))
                        return false;
                if (order[i]->offset + order[i]->bytes > p->slab_bytes)
                        p->slab_bytes = order[i]->offset + order[i]->bytes;
        }
        return true;
}

bool
rs_plan_memory(resect_plan *p, resect_error *err)
{
        struct life l;
        if (!measure_lives(p, &l, err))
                return false;
        work_in_place(p, &l);
        if ((p->training && !find_first_writers(p, &l, err)) || !make_blocks(p, &l, err) ||
                !pack(p, err))
                return false;
        for (size_t k = 0; k < p->n_steps; k++) {
                const rs_pstep *s = &p->steps[k];
                size_t bytes = s->scratch;
                if (s->backward && s->overwrites & ~(s->first | s->second) &&
                        !rs_add(bytes, s->scratch_add, &bytes))
                        return rs_fail_nomem(err);
                if (bytes > p->scratch_bytes)
                        p->scratch_bytes = bytes;
        }
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        size_t machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX, total;
        if (!rs_add(p->slab_bytes, p->scratch_bytes, &total) || total > machine)
                return rs_fail(err, RESECT_NOMEM,
                        "the activations need %zu MiB, the machine has %zu MiB",
                        p->slab_bytes >> 20, machine >> 20);
        return true;
}
