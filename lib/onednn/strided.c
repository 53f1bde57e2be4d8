/* SPDX-License-Identifier: 0BSD */
/* A row of a plane at a time, whatever plane it is of. */
#include "onednn/strided.h"

#include <string.h>

enum { LANES = 16 };

size_t
rs_strided_bytes(const rs_strided *s)
{
        return s->planes * s->oh * s->ow * LANES * sizeof(float);
}

void
rs_strided_gather(const rs_strided *s, const float *x, float *some)
{
        const size_t step = s->step_w * LANES;

#pragma omp parallel for num_threads(s->threads) schedule(static)
        for (size_t row = 0; row < s->planes * s->oh; row++) {
                const float *from =
                        x + (row / s->oh * s->h + row % s->oh * s->step_h) * s->w * LANES;
                float *to = some + row * s->ow * LANES;
                for (size_t i = 0; i < s->ow; i++)
                        memcpy(to + i * LANES, from + i * step, LANES * sizeof *to);
        }
}

static void
add_row(const rs_strided *s, const float *from, float *to)
{
        for (size_t i = 0; i < s->ow; i++)
                for (size_t k = 0; k < LANES; k++)
                        to[i * s->step_w * LANES + k] += from[i * LANES + k];
}

static void
fill_row(const rs_strided *s, const float *from, float *to)
{
        for (size_t i = 0, next = 0, at = 0; i < s->w; i++) {
                if (i == next && at < s->ow) {
                        memcpy(to + i * LANES, from + at++ * LANES, LANES * sizeof *to);
                        next += s->step_w;
                } else {
                        memset(to + i * LANES, 0, LANES * sizeof *to);
                }
        }
}

void
rs_strided_spread(const rs_strided *s, const float *some, bool add, float *x)
{
#pragma omp parallel for num_threads(s->threads) schedule(static)
        for (size_t row = 0; row < s->planes * s->h; row++) {
                const size_t plane = row / s->h, y = row % s->h, at = y / s->step_h;
                const bool stands = y % s->step_h == 0 && at < s->oh;
                const float *from = some + (plane * s->oh + at) * s->ow * LANES;
                float *to = x + row * s->w * LANES;
                if (stands && add)
                        add_row(s, from, to);
                else if (stands)
                        fill_row(s, from, to);
                else if (!add)
                        memset(to, 0, s->w * LANES * sizeof *to);
        }
}
