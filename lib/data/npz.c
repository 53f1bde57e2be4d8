/* SPDX-License-Identifier: 0BSD */
/* Tensors that are taken as they are: x [N, C, H, W] float32, y [N] int64, and, if there, names, a
   uint8 text with a line for each class. */
#include "data/data.h"

#include <string.h>
#include "tensor/npy.h"

enum { MOST_CLASSES = 1 << 20 };

static bool
check(const resect_data *d, const resect_tensor *y, resect_error *err)
{
        const resect_tensor *x = &d->x;
        if (x->dtype != RESECT_FLOAT || x->rank != 4)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: x is %s of rank %d; wants float32 [N, C, H, W]", d->path,
                        resect_dtype_name(x->dtype), x->rank);
        if (y->dtype != RESECT_INT64 || y->rank != 1)
                return rs_fail(err, RESECT_FORMAT, "%s: y is %s of rank %d; wants int64 [N]",
                        d->path, resect_dtype_name(y->dtype), y->rank);
        if (x->dims[0] != y->dims[0])
                return rs_fail(err, RESECT_FORMAT, "%s: x has %lld samples, y %lld", d->path,
                        (long long)x->dims[0], (long long)y->dims[0]);
        if (x->size == 0)
                return rs_fail(err, RESECT_FORMAT, "%s: x is empty", d->path);
        for (int64_t i = 0; i < y->dims[0]; i++) {
                int64_t v = ((const int64_t *)y->data)[i];
                if (v < 0 || v >= MOST_CLASSES)
                        return rs_fail(err, RESECT_FORMAT,
                                "%s: y[%lld] is %lld; labels are 0 .. %d", d->path, (long long)i,
                                (long long)v, MOST_CLASSES - 1);
        }
        return true;
}

static bool
add_rows(resect_data *d, const resect_tensor *y, size_t *classes, resect_error *err)
{
        for (int64_t i = 0; i < y->dims[0]; i++) {
                rs_sample *s = rs_data_add(d, err);
                if (!s || !(s->name = rs_arena_printf(&d->arena, err, "#%lld", (long long)i)))
                        return false;
                s->row = (size_t)i;
                s->label = (int)((const int64_t *)y->data)[i];
                if ((size_t)s->label >= *classes)
                        *classes = (size_t)s->label + 1;
        }
        return true;
}

static bool
name_classes(resect_data *d, size_t n, resect_error *err)
{
        resect_tensor names = {0};
        bool named;
        if (!rs_npz_has(d->path, "names", &named, err))
                return false;
        if (!named)
                return rs_data_number_classes(d, d->path, n, err);
        if (!resect_tensor_read_npz(&names, d->path, "names", err))
                return false;
        bool ok = names.dtype == RESECT_UINT8 && names.rank == 1
                          ? rs_data_name_classes(
                                    d, d->path, (rs_span){names.data, names.size}, n, err)
                          : rs_fail(err, RESECT_FORMAT,
                                    "%s: names is %s of rank %d; wants text as uint8 [L]", d->path,
                                    resect_dtype_name(names.dtype), names.rank);
        resect_tensor_free(&names);
        return ok;
}

bool
rs_data_npz(resect_data *d, resect_error *err)
{
        resect_tensor y = {0};
        size_t classes = 0;
        d->kind = RS_TENSOR;
        bool ok = resect_tensor_read_npz(&d->x, d->path, "x", err) &&
                  resect_tensor_read_npz(&y, d->path, "y", err) && check(d, &y, err) &&
                  add_rows(d, &y, &classes, err) && name_classes(d, classes, err);
        if (ok)
                memcpy(d->chw, d->x.dims + 1, sizeof d->chw);
        resect_tensor_free(&y);
        return ok;
}
