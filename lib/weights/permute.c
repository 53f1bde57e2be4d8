/* SPDX-License-Identifier: 0BSD */
/* A strided array made dense: the one place where elements change their order. */
#include "weights/weights.h"

#include <string.h>

bool
rs_strides_fit(int rank, const int64_t *dims, const int64_t *strides, size_t count)
{
        size_t last = 0, reach;
        for (int i = 0; i < rank; i++)
                if (dims[i] == 0)
                        return true;
        for (int i = 0; i < rank; i++)
                if (dims[i] < 0 || strides[i] < 0 ||
                        !rs_mul((size_t)(dims[i] - 1), (size_t)strides[i], &reach) ||
                        !rs_add(last, reach, &last))
                        return false;
        return last < count;
}

/* One run along the last axis; constant widths become single moves. */
static void
copy_run(unsigned char *dst, const unsigned char *src, size_t width, size_t n, size_t step)
{
        if (step == width) {
                memcpy(dst, src, n * width);
                return;
        }
#define RUN(w)                                                  \
        case w:                                                 \
                for (size_t i = 0; i < n; i++)                  \
                        memcpy(dst + i * w, src + i * step, w); \
                return
        switch (width) {
                RUN(1);
                RUN(2);
                RUN(4);
                RUN(8);
        default:
                for (size_t i = 0; i < n; i++)
                        memcpy(dst + i * width, src + i * step, width);
        }
#undef RUN
}

void
rs_permute(void *dst, const void *src, size_t width, int rank, const int64_t *dims,
        const int64_t *strides)
{
        int64_t at[RESECT_RANK_MAX] = {0};
        const unsigned char *from = src;
        unsigned char *to = dst;
        for (int i = 0; i < rank; i++)
                if (dims[i] == 0)
                        return;
        if (rank == 0) {
                memcpy(dst, src, width);
                return;
        }
        size_t n = (size_t)dims[rank - 1], step = (size_t)strides[rank - 1] * width;
        for (;;) {
                copy_run(to, from, width, n, step);
                to += n * width;
                int k = rank - 2;
                for (; k >= 0; k--) {
                        from += (size_t)strides[k] * width;
                        if (++at[k] < dims[k])
                                break;
                        from -= (size_t)strides[k] * width * (size_t)dims[k];
                        at[k] = 0;
                }
                if (k < 0)
                        return;
        }
}
