/* SPDX-License-Identifier: 0BSD */
/* Layouts, launches and their run-time objects. */
#include "onednn/dnn.h"

#include <string.h>

/* Declared here and not by omp.h, because a build without OpenMP of its own wants them too: oneDNN
 * brings the runtime. */
extern void omp_set_num_threads(int) __attribute__((weak));
extern int omp_get_max_threads(void) __attribute__((weak));

bool
rs_dnn_check(dnnl_status_t status, bool *unable, resect_error *err)
{
        if (status == dnnl_success)
                return true;
        if (status == dnnl_out_of_memory)
                return rs_fail_nomem(err);
        if (status == dnnl_unimplemented && unable) {
                *unable = true;
                return false;
        }
        return rs_fail(err, RESECT_UNSUPPORTED,
                "oneDNN refuses (status %d); --kernels reference does without it", (int)status);
}

int
rs_dnn_threads(int n)
{
        if (!omp_get_max_threads || !omp_set_num_threads)
                return n;
        int before = omp_get_max_threads();
        if (n != before)
                omp_set_num_threads(n);
        return before;
}

bool
rs_dnn_make(rs_dnn **out, const resect_plan *p, resect_error *err)
{
        rs_dnn *d = *out = rs_alloc(1, sizeof *d, err);
        if (!d)
                return false;
        d->threads = p->threads;
        d->bf16 = p->bf16;
        return rs_dnn_check(dnnl_engine_create(&d->engine, dnnl_cpu, 0), NULL, err);
}

void
rs_dnn_free(void *dnn)
{
        rs_dnn *d = dnn;
        if (!d)
                return;
        for (size_t i = 0; i < d->n_made; i++)
                dnnl_primitive_destroy(d->made[i]);
        rs_free(d->made);
        if (d->engine)
                dnnl_engine_destroy(d->engine);
        rs_free(d);
}

bool
rs_md_dense(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type,
        resect_error *err)
{
        dnnl_dims_t strides, sizes = {0};
        for (int64_t i = rank - 1, s = 1; i >= 0; i--) {
                sizes[i] = dims[i];
                strides[i] = s;
                s *= dims[i];
        }
        return rs_dnn_check(
                dnnl_memory_desc_init_by_strides(md, rank, sizes, type, strides), NULL, err);
}

bool
rs_md_tagged(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type,
        dnnl_format_tag_t tag, resect_error *err)
{
        dnnl_dims_t sizes = {0};
        for (int i = 0; i < rank; i++)
                sizes[i] = dims[i];
        return rs_dnn_check(dnnl_memory_desc_init_by_tag(md, rank, sizes, type, tag), NULL, err);
}

bool
rs_md_any(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type,
        resect_error *err)
{
        return rs_md_tagged(md, rank, dims, type, dnnl_format_tag_any, err);
}

bool
rs_md_equal(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b)
{
        return dnnl_memory_desc_equal(a, b);
}

size_t
rs_md_size(const dnnl_memory_desc_t *md)
{
        return dnnl_memory_desc_get_size(md);
}

size_t
rs_md_block(const dnnl_memory_desc_t *md)
{
        const dnnl_blocking_desc_t *b = &md->format_desc.blocking;
        if (md->format_kind != dnnl_blocked || md->ndims < 2 || md->offset0 || b->inner_nblks > 1 ||
                (b->inner_nblks == 1 && b->inner_idxs[0] != 1))
                return 0;
        int64_t inner = b->inner_nblks ? b->inner_blks[0] : 1, plane = 1, blocks;
        bool last = b->inner_nblks == 0 && b->strides[1] == 1 && md->dims[1] > 1;
        if (last)
                inner = md->dims[1];
        blocks = last ? 1 : md->padded_dims[1] / inner;
        for (int i = md->ndims - 1; i >= 2; i--) {
                if (md->dims[i] != 1 && b->strides[i] != plane * inner)
                        return 0;
                if (md->padded_dims[i] != md->dims[i])
                        return 0;
                plane *= md->dims[i];
        }
        bool channels = blocks == 1 || b->strides[1] == plane * inner;
        bool images = md->dims[0] == 1 || b->strides[0] == plane * inner * blocks;
        return channels && images && md->padded_dims[0] == md->dims[0] ? (size_t)inner : 0;
}

bool
rs_dnn_describe(const rs_dnn *d, const void *op_desc, const_dnnl_primitive_attr_t attr,
        const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd, bool *unable,
        resect_error *err)
{
        dnnl_primitive_attr_t own = NULL;
        *pd = NULL;
        if (!rs_dnn_check(
                    attr ? dnnl_primitive_attr_clone(&own, attr) : dnnl_primitive_attr_create(&own),
                    NULL, err))
                return false;
        int before = rs_dnn_threads(d->threads);
        dnnl_status_t status =
                dnnl_primitive_attr_set_scratchpad_mode(own, dnnl_scratchpad_mode_user);
        if (status == dnnl_success)
                status = dnnl_primitive_desc_create(pd, op_desc, own, d->engine, hint);
        rs_dnn_threads(before);
        dnnl_primitive_attr_destroy(own);
        return rs_dnn_check(status, unable, err);
}

void
rs_launch_arg(rs_launch *l, int arg, const dnnl_memory_desc_t *md)
{
        l->args[l->n].arg = arg;
        l->args[l->n++].md = *md;
}

bool
rs_launch_make(rs_dnn *d, rs_launch *l, dnnl_primitive_desc_t pd, resect_error *err)
{
        const dnnl_memory_desc_t *scratch =
                dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        if (scratch && (l->scratch = rs_md_size(scratch)) > 0)
                rs_launch_arg(l, DNNL_ARG_SCRATCHPAD, scratch);
        if (d->n_made == d->made_cap) {
                size_t cap = d->made_cap ? d->made_cap * 2 : 64;
                dnnl_primitive_t *made = rs_grow(d->made, cap, sizeof *made, err);
                if (!made) {
                        dnnl_primitive_desc_destroy(pd);
                        return false;
                }
                d->made = made;
                d->made_cap = cap;
        }
        int before = rs_dnn_threads(d->threads);
        dnnl_status_t status = dnnl_primitive_create(&l->primitive, pd);
        rs_dnn_threads(before);
        dnnl_primitive_desc_destroy(pd);
        if (status == dnnl_success)
                d->made[d->n_made++] = l->primitive;
        return rs_dnn_check(status, NULL, err);
}

bool
rs_launch_reorder(rs_dnn *d, rs_launch *l, const dnnl_memory_desc_t *from,
        const dnnl_memory_desc_t *to, bool add, resect_error *err)
{
        dnnl_primitive_attr_t attr = NULL;
        dnnl_primitive_desc_t pd = NULL;
        dnnl_post_ops_t ops = NULL;
        int before = rs_dnn_threads(d->threads);
        dnnl_status_t status = dnnl_primitive_attr_create(&attr);
        if (status == dnnl_success)
                status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
        if (status == dnnl_success && add &&
                (status = dnnl_post_ops_create(&ops)) == dnnl_success &&
                (status = dnnl_post_ops_append_sum(ops, 1)) == dnnl_success)
                status = dnnl_primitive_attr_set_post_ops(attr, ops);
        if (status == dnnl_success)
                status = dnnl_reorder_primitive_desc_create(
                        &pd, from, d->engine, to, d->engine, attr);
        rs_dnn_threads(before);
        if (ops)
                dnnl_post_ops_destroy(ops);
        if (attr)
                dnnl_primitive_attr_destroy(attr);
        rs_launch_arg(l, DNNL_ARG_FROM, from);
        rs_launch_arg(l, DNNL_ARG_TO, to);
        return rs_dnn_check(status, NULL, err) && rs_launch_make(d, l, pd, err);
}

/* The run-time objects of a state's launches. */
typedef struct bound {
        dnnl_stream_t stream;
        dnnl_exec_arg_t args[RS_LAUNCHES_MAX][RS_ARGS_MAX];
} bound;

static void
unbind(bound *b)
{
        for (int i = 0; i < RS_LAUNCHES_MAX; i++)
                for (int a = 0; a < RS_ARGS_MAX; a++)
                        if (b->args[i][a].memory)
                                dnnl_memory_destroy(b->args[i][a].memory);
        if (b->stream)
                dnnl_stream_destroy(b->stream);
}

static bool
bind(const rs_dnn *d, bound *b, const rs_launch *l, int i, resect_error *err)
{
        for (int a = 0; a < l->n; a++) {
                b->args[i][a].arg = l->args[a].arg;
                if (!rs_dnn_check(dnnl_memory_create(&b->args[i][a].memory, &l->args[a].md,
                                          d->engine, DNNL_MEMORY_NONE),
                            NULL, err))
                        return false;
        }
        return true;
}

static dnnl_status_t
run(const rs_dnn *d, bound *b, const rs_launch *l, int i, void *const *buffers, void *scratch)
{
        dnnl_status_t status = dnnl_success;
        int n = l->scratch ? l->n - 1 : l->n;
        for (int a = 0; a < l->n && status == dnnl_success; a++) {
                void *want = a < n ? buffers[a] : scratch, *have = NULL;
                status = dnnl_memory_get_data_handle(b->args[i][a].memory, &have);
                if (status == dnnl_success && have != want)
                        status = dnnl_memory_set_data_handle(b->args[i][a].memory, want);
        }
        int before = rs_dnn_threads(d->threads);
        if (status == dnnl_success)
                status = dnnl_primitive_execute(l->primitive, b->stream, l->n, b->args[i]);
        if (status == dnnl_success)
                status = dnnl_stream_wait(b->stream);
        rs_dnn_threads(before);
        return status;
}

bool
rs_lowered_bind(rs_call *c, resect_error *err)
{
        const rs_lowered *s = c->state;
        bound *b = c->bound = rs_alloc(1, sizeof *b, err);
        if (!b || !rs_dnn_check(
                          dnnl_stream_create(&b->stream, s->dnn->engine, dnnl_stream_default_flags),
                          NULL, err))
                return false;
        for (int i = 0; i < RS_LAUNCHES_MAX; i++)
                if (s->launches[i].primitive && !bind(s->dnn, b, &s->launches[i], i, err))
                        return false;
        return true;
}

void
rs_lowered_unbind(rs_call *c)
{
        unbind(c->bound);
        rs_free(c->bound);
        c->bound = NULL;
}

const char *
rs_lowered_name(const void *state)
{
        return ((const rs_lowered *)state)->name;
}

void
rs_lowered_run(const rs_call *c, int i, void *const *buffers, void *scratch)
{
        const rs_lowered *s = c->state;
        /* with memory and shapes settled, a CPU primitive has nothing left to fail at */
        (void)run(s->dnn, c->bound, &s->launches[i], i, buffers, scratch);
}

bool
rs_launch_once(
        const rs_dnn *d, const rs_launch *l, void *const *buffers, void *scratch, resect_error *err)
{
        bound b = {0};
        bool ok = rs_dnn_check(dnnl_stream_create(&b.stream, d->engine, dnnl_stream_default_flags),
                          NULL, err) &&
                  bind(d, &b, l, 0, err) &&
                  rs_dnn_check(run(d, &b, l, 0, buffers, scratch), NULL, err);
        unbind(&b);
        return ok;
}
