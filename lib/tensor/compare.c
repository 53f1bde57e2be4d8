/* SPDX-License-Identifier: 0BSD */
/* How two tensors differ, in double; for float32 also in units in the last place. */
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

/* The floats in the order of their values as integers: adjacent floats are adjacent integers, and
 * both zeros are one. */
static int64_t
ordered(float f)
{
        uint32_t x;
        memcpy(&x, &f, 4);
        return x >> 31 ? -(int64_t)(x & 0x7fffffff) : (int64_t)x;
}

static void
add_pair(resect_difference *d, double a, double b, double rtol, double atol, double *sum,
        double *scale, int64_t at)
{
        d->count++;
        if ((isnan(a) && isnan(b)) ||
                a == b) { /* equal infinities too, whose difference would be NaN */
                if (isfinite(b) && fabs(b) > *scale)
                        *scale = fabs(b);
                return;
        }
        double diff = isfinite(a) && isfinite(b) ? fabs(a - b) : INFINITY;
        if (!(diff <= atol + rtol * fabs(b)) || isinf(diff))
                d->unequal++;
        if (diff > d->max_abs) {
                d->max_abs = diff;
                d->at = at;
        }
        if (isfinite(b) && fabs(b) > *scale)
                *scale = fabs(b);
        *sum += diff;
}

static bool
same_shape(const resect_tensor *a, const resect_tensor *b, resect_error *err)
{
        if (a->dtype != b->dtype)
                return rs_fail(err, RESECT_GRAPH, "one is %s, the other %s",
                        resect_dtype_name(a->dtype), resect_dtype_name(b->dtype));
        if (a->rank != b->rank)
                return rs_fail(
                        err, RESECT_GRAPH, "one has %d dimensions, the other %d", a->rank, b->rank);
        for (int i = 0; i < a->rank; i++)
                if (a->dims[i] != b->dims[i])
                        return rs_fail(err, RESECT_GRAPH,
                                "dimension %d is %lld in one and %lld in the other", i,
                                (long long)a->dims[i], (long long)b->dims[i]);
        return true;
}

bool
resect_tensor_compare(const resect_tensor *a, const resect_tensor *b, double rtol, double atol,
        resect_difference *out, resect_error *err)
{
        *out = (resect_difference){0};
        if (!same_shape(a, b, err))
                return false;
        if (!rs_dtype_bits((int32_t)a->dtype))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s tensors cannot be compared",
                        resect_dtype_name(a->dtype));
        int32_t dtype = (int32_t)a->dtype;
        int64_t count = resect_tensor_count(a), parts = 1;
        if (dtype == RESECT_COMPLEX64 ||
                dtype == RESECT_COMPLEX128) { /* real and imaginary parts, each by itself */
                dtype = dtype == RESECT_COMPLEX64 ? RESECT_FLOAT : RESECT_DOUBLE;
                parts = 2;
        }
        double sum = 0, scale = 0;
        for (int64_t i = 0; i < count * parts; i++) {
                size_t k = (size_t)i;
                if (dtype == RESECT_FLOAT) {
                        float x = ((const float *)a->data)[k], y = ((const float *)b->data)[k];
                        if (!isnan(x) && !isnan(y)) {
                                int64_t ulp = ordered(x) - ordered(y);
                                uint64_t distance = (uint64_t)(ulp < 0 ? -ulp : ulp);
                                if (distance > out->max_ulp)
                                        out->max_ulp = distance;
                        }
                }
                if ((dtype == RESECT_INT64 || dtype == RESECT_UINT64) &&
                        rs_load_int(a->data, dtype, k) == rs_load_int(b->data, dtype, k))
                        out->count++; /* equal beyond what a double holds */
                else
                        add_pair(out, rs_load(a->data, dtype, k), rs_load(b->data, dtype, k), rtol,
                                atol, &sum, &scale, i / parts);
        }
        out->mean_abs = out->count ? sum / (double)out->count : 0;
        out->max_rel = out->max_abs == 0 ? 0 : scale > 0 ? out->max_abs / scale : INFINITY;
        return true;
}
