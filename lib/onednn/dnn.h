/* SPDX-License-Identifier: 0BSD */
/*
 * oneDNN as the rest of this folder sees it: layouts, launches (a primitive and what it is given) and the run-time objects
 * of a call. Written for API 2.6; a later API is a matter of this folder alone, whose types never leave it.
 *
 * A plan owns its primitives (rs_dnn); they are immutable, so that several execs may run one plan. What changes from run to
 * run, the addresses, stands in memory objects that every exec makes for itself when it is bound.
 */
#ifndef RS_ONEDNN_DNN_H
#define RS_ONEDNN_DNN_H

#include <oneapi/dnnl/dnnl.h>
#include "onednn/own.h"
#include "plan/plan.h"

typedef struct rs_dnn {
        dnnl_engine_t engine;
        int threads;
        bool bf16; /* values between fast kernels are bfloat16 */
        dnnl_primitive_t *made;
        size_t n_made, made_cap;
        struct rs_choices *choices; /* choose.c */
} rs_dnn;

/* How a value's bytes lie (rs_pvalue.layout points to one), and for a packed weight also how the dense float32 that it is
   made from is to be read. */
typedef struct rs_layout {
        dnnl_memory_desc_t md, dense;
        const rs_own *own; /* of a weight packed for a kernel of our own: then md says nothing */
} rs_layout;

enum { RS_ARGS_MAX = 6, RS_LAUNCHES_MAX = 6 };

typedef struct rs_launch {
        dnnl_primitive_t primitive; /* NULL: this one is not needed */
        int n;
        struct {
                int arg;
                dnnl_memory_desc_t md;
        } args[RS_ARGS_MAX];
        size_t scratch; /* bytes of its scratchpad, which is its last argument when not 0 */
} rs_launch;

/* What the state of every kernel that launches primitives begins with. */
typedef struct rs_lowered {
        const rs_dnn *dnn;
        const char *name;
        rs_launch launches[RS_LAUNCHES_MAX];
} rs_lowered;

/* False with an error; *unable (may be NULL) tells that oneDNN does not have what was asked for, and err is untouched. */
bool rs_dnn_check(dnnl_status_t status, bool *unable, resect_error *err) RESECT_MUST;

/* oneDNN's threads are the caller's OpenMP threads: set before a call, and set back to what this returns. */
int rs_dnn_threads(int n);

bool rs_dnn_make(rs_dnn **out, const resect_plan *p, resect_error *err) RESECT_MUST;
void rs_dnn_free(void *dnn);

/* Dense, row-major. */
bool rs_md_dense(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type, resect_error *err) RESECT_MUST;
/* Whatever the primitive likes best. */
bool rs_md_any(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type, resect_error *err) RESECT_MUST;
bool rs_md_tagged(dnnl_memory_desc_t *md, int rank, const int64_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag,
        resect_error *err) RESECT_MUST;
bool rs_md_equal(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b);
size_t rs_md_size(const dnnl_memory_desc_t *md);
/* The channels that lie together when md is [N][C/b][S][b] (1: dense, C: channels last), or 0 when it is none of these. */
size_t rs_md_block(const dnnl_memory_desc_t *md);

/* A primitive with scratch given by the caller from a description: *unable as in rs_dnn_check. Frees nothing of its
   arguments. The pd is the caller's to destroy. */
bool rs_dnn_describe(const rs_dnn *d, const void *op_desc, const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint,
        dnnl_primitive_desc_t *pd, bool *unable, resect_error *err) RESECT_MUST;
/* Turns pd into l->primitive, kept by d; the scratchpad becomes its last argument. Destroys pd in any case. */
bool rs_launch_make(rs_dnn *d, rs_launch *l, dnnl_primitive_desc_t pd, resect_error *err) RESECT_MUST;
void rs_launch_arg(rs_launch *l, int arg, const dnnl_memory_desc_t *md);
/* A reorder from one md to another; add: to is added to. */
bool rs_launch_reorder(rs_dnn *d, rs_launch *l, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to, bool add,
        resect_error *err) RESECT_MUST;

/* rs_kernel's bind and unbind for states that begin with rs_lowered. */
bool rs_lowered_bind(rs_call *c, resect_error *err) RESECT_MUST;
void rs_lowered_unbind(rs_call *c);
const char *rs_lowered_name(const void *state);
/* Runs launch i of the call's state; buffers in the order of its arguments, the scratchpad's not counted: that is scratch. */
void rs_lowered_run(const rs_call *c, int i, void *const *buffers, void *scratch);
/* The same without a call: for packing weights and for timing. */
bool rs_launch_once(const rs_dnn *d, const rs_launch *l, void *const *buffers, void *scratch, resect_error *err) RESECT_MUST;

#endif
