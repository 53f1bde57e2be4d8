/* SPDX-License-Identifier: 0BSD */
/* Dense tensors: making and freeing them. */
#include "tensor/dtype.h"

#include <string.h>

int64_t
resect_tensor_count(const resect_tensor *t)
{
        int64_t n = 1;
        for (int i = 0; i < t->rank; i++)
                n *= t->dims[i];
        return n;
}

bool
resect_tensor_make(
        resect_tensor *t, resect_dtype dtype, int rank, const int64_t *dims, resect_error *err)
{
        size_t count, bytes;
        *t = (resect_tensor){0};
        if (rank < 0 || rank > RESECT_RANK_MAX)
                return rs_fail(
                        err, RESECT_ARG, "rank %d is not within 0 and %d", rank, RESECT_RANK_MAX);
        if (!rs_tensor_extent((int32_t)dtype, rank, dims, &count, &bytes, err))
                return false;
        resect_tensor made = {
                .dtype = dtype, .rank = rank, .size = bytes, .data = rs_alloc_aligned(bytes, err)};
        if (!made.data)
                return false;
        if (bytes)
                memset(made.data, 0, bytes);
        for (int i = 0; i < rank; i++)
                made.dims[i] = dims[i];
        *t = made;
        return true;
}

void
resect_tensor_free(resect_tensor *t)
{
        rs_free_aligned(t->data);
        *t = (resect_tensor){0};
}
