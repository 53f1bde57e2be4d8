/* SPDX-License-Identifier: 0BSD */
/* A row of a plane at a time, whatever plane it is of. */
#include "onednn/strided.h"

#include <string.h>

size_t
rs_strided_bytes(const rs_strided *s)
{
        return s->planes * s->oh * s->ow * s->bytes;
}

void
rs_strided_gather(const rs_strided *s, const void *x, void *some)
{
        const size_t b = s->bytes;

#pragma omp parallel for num_threads(s->threads) schedule(static)
        for (size_t row = 0; row < s->planes * s->oh; row++) {
                const char *from =
                        (const char *)x + (row / s->oh * s->h + row % s->oh * s->step_h) * s->w * b;
                char *to = (char *)some + row * s->ow * b;
                for (size_t i = 0; i < s->ow; i++)
                        memcpy(to + i * b, from + i * s->step_w * b, b);
        }
}

static void
add_row(const rs_strided *s, const float *from, float *to)
{
        const size_t n = s->bytes / sizeof *to;

        for (size_t i = 0; i < s->ow; i++)
                for (size_t k = 0; k < n; k++)
                        to[i * s->step_w * n + k] += from[i * n + k];
}

static void
fill_row(const rs_strided *s, const char *from, char *to)
{
        for (size_t i = 0, next = 0, at = 0; i < s->w; i++) {
                if (i == next && at < s->ow) {
                        memcpy(to + i * s->bytes, from + at++ * s->bytes, s->bytes);
                        next += s->step_w;
                } else {
                        memset(to + i * s->bytes, 0, s->bytes);
                }
        }
}

void
rs_strided_spread(const rs_strided *s, const void *some, bool add, void *x)
{
#pragma omp parallel for num_threads(s->threads) schedule(static)
        for (size_t row = 0; row < s->planes * s->h; row++) {
                const size_t plane = row / s->h, y = row % s->h, at = y / s->step_h;
                const bool stands = y % s->step_h == 0 && at < s->oh;
                const char *from = (const char *)some + (plane * s->oh + at) * s->ow * s->bytes;
                char *to = (char *)x + row * s->w * s->bytes;
                if (stands && add)
                        add_row(s, (const void *)from, (void *)to);
                else if (stands)
                        fill_row(s, from, to);
                else if (!add)
                        memset(to, 0, s->w * s->bytes);
        }
}
