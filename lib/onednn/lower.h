/* SPDX-License-Identifier: 0BSD */
/* What the files of this folder share when they lower steps: one function a family of operators, one row each in lower.c. */
#ifndef RS_ONEDNN_LOWER_H
#define RS_ONEDNN_LOWER_H

#include "onednn/dnn.h"

typedef struct rs_lower {
        resect_plan *p;
        rs_dnn *dnn;
        rs_pstep *steps; /* the lowered plan so far */
        size_t n_steps, cap;
} rs_lower;

/* Lowers s: sets its kernel, state, scratch, saved, reads, overwrites; takes its inputs in the layouts it wants; says how its
   outputs lie. *done stays false when it cannot, and s is as it was. */
typedef bool rs_lowering(rs_lower *l, rs_pstep *s, bool *done, resect_error *err);
rs_lowering rs_lower_conv, rs_lower_norm, rs_lower_pool, rs_lower_mean, rs_lower_gemm, rs_lower_relu, rs_lower_add;

/* The layout of a value's bytes, dense ones included. */
bool rs_lower_md(const rs_lower *l, int v, dnnl_memory_desc_t *md, resect_error *err) RESECT_MUST;
/* The value v with its bytes in layout md (NULL: dense), by a reorder step where it must be; for s, which will read it.
   -1 on failure. */
int rs_lower_as(rs_lower *l, const rs_pstep *s, int v, const dnnl_memory_desc_t *md, resect_error *err);
/* Says how the bytes of v, an output of the step being lowered, lie. */
bool rs_lower_output(rs_lower *l, int v, const dnnl_memory_desc_t *md, resect_error *err) RESECT_MUST;
/* A packed copy of weight v, which is never trained: read as `dense`, laid out as md. -1 on failure. */
int rs_lower_packed(rs_lower *l, int v, const dnnl_memory_desc_t *dense, const dnnl_memory_desc_t *md, resect_error *err);
/* The same for a kernel of our own. */
int rs_lower_packed_own(rs_lower *l, int v, const rs_own *own, resect_error *err);
/* Whether training changes weight v. */
bool rs_lower_trained(const rs_lower *l, int v);
/* Whether the gradient of value v is wanted. */
bool rs_lower_has_grad(const rs_lower *l, int v);
/* "oneDNN " and what oneDNN calls the implementation that pd has chosen; NULL when memory runs out. */
const char *rs_lower_name(const rs_lower *l, const_dnnl_primitive_desc_t pd, resect_error *err);
/* The type of numbers that values between fast kernels have. */
dnnl_data_type_t rs_lower_type(const rs_lower *l);

#endif
