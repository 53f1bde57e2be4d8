/* SPDX-License-Identifier: 0BSD */
/* Pools over one plane, for one element type T; included by pool.c with T, NAME, LOAD, STORE, LEAST
   and ORDER (a value for comparisons) defined. */

#define EACH_WINDOW(s)                                                                            \
        const int64_t width = (s)->in[(s)->axes - 1];                                             \
        const int64_t oh = (s)->out[(s)->axes - 2], ow = (s)->out[(s)->axes - 1];                 \
        const int64_t dy_ = (s)->dilation[(s)->axes - 2], dx_ = (s)->dilation[(s)->axes - 1];     \
        const reach *const ry = (s)->reach[(s)->axes - 2], *const rx = (s)->reach[(s)->axes - 1]; \
        size_t o = 0;                                                                             \
        for (size_t outer = 0; outer < (s)->outer; outer++)                                       \
                for (const reach *y = ry; y < ry + oh; y++)                                       \
                        for (const reach *x = rx; x < rx + ow; x++, o++)
/* at: the place in the plane */
#define EACH_TAP(s, w)                                                                         \
        for (walk_start(&(w), (s), outer); !(w).done; walk_next(&(w)))                         \
                for (int64_t i = y->first; i < y->end; i++)                                    \
                        for (int64_t at = (w).base + (y->start + i * dy_) * width + x->start + \
                                          x->first * dx_,                                      \
                                     end = at + (x->end - x->first) * dx_;                     \
                                at < end; at += dx_)

/* The greatest of each window, without its place: row by row, tap by tap, so that the inner loop is
 * straight. */
static void
NAME(max_rows)(const pool *s, const T *in, T *result)
{
        const int a = s->axes;
        const int64_t width = s->in[a - 1], oh = s->out[a - 2], ow = s->out[a - 1];
        const reach *const rx = s->reach[a - 1];
        const int64_t before = -rx[0].start, step = rx[1].start - rx[0].start,
                      dx = s->dilation[a - 1];
        walk w;

        for (size_t outer = 0; outer < s->outer; outer++)
                for (const reach *y = s->reach[a - 2]; y < s->reach[a - 2] + oh;
                        y++, result += ow) {
                        for (int64_t o = 0; o < ow; o++)
                                result[o] = (T)LEAST;
                        for (walk_start(&w, s, outer); !w.done; walk_next(&w))
                                for (int64_t i = y->first; i < y->end; i++) {
                                        const T *row = in + w.base +
                                                       (y->start + i * s->dilation[a - 2]) * width;
                                        for (int64_t k = 0; k < s->taps; k++) {
                                                const int64_t shift = k * dx - before;
                                                int64_t o =
                                                        shift < 0 ? (-shift + step - 1) / step : 0;
                                                const int64_t room = width - shift;
                                                int64_t end =
                                                        room <= 0 ? 0 : (room + step - 1) / step;
                                                end = end < ow ? end : ow;
                                                for (; o < end; o++) {
                                                        const T v = row[o * step + shift],
                                                                b = result[o];
                                                        result[o] =
                                                                ORDER(v) > ORDER(b) ||
                                                                                ORDER(v) != ORDER(v)
                                                                        ? v
                                                                        : b;
                                                }
                                        }
                                }
                }
}

/* The first of the greatest, or of the NaN, in each window: its place, or -1 where there is only
 * padding. */
static void
NAME(max)(const pool *s, const void *data, void *out, int64_t *index, size_t plane)
{
        const T *in = (const T *)data + plane * s->in_plane;
        T *result = (T *)out + plane * s->out_plane;
        walk w;

        if (!index && s->taps) {
                NAME(max_rows)(s, in, result);
                return;
        }
        EACH_WINDOW(s)
        {
                T best = (T)LEAST;
                int64_t place = -1;
                EACH_TAP(s, w)
                {
                        const T v = in[at];
                        if (place < 0 || ORDER(v) > ORDER(best) ||
                                (ORDER(v) != ORDER(v) && ORDER(best) == ORDER(best))) {
                                best = v;
                                place = at;
                        }
                }
                result[o] = best;
                if (index)
                        index[plane * s->out_plane + o] =
                                place < 0 ? -1
                                          : (int64_t)(plane * s->in_plane) +
                                                    (s->by_column ? by_column(s, place) : place);
        }
}

static inline void
NAME(max_back)(const pool *s, const void *data, const void *grad, void *out, size_t plane)
{
        const T *in = (const T *)data + plane * s->in_plane,
                *dy = (const T *)grad + plane * s->out_plane;
        T *dx = (T *)out + plane * s->in_plane;
        walk w;

        EACH_WINDOW(s)
        {
                T best = 0;
                int64_t place = -1;
                EACH_TAP(s, w)
                {
                        const T v = in[at];
                        if (place < 0 || ORDER(v) > ORDER(best) ||
                                (ORDER(v) != ORDER(v) && ORDER(best) == ORDER(best))) {
                                best = v;
                                place = at;
                        }
                }
                if (place >= 0)
                        dx[place] = STORE(LOAD(dx[place]) + LOAD(dy[o]));
        }
}

static void
NAME(average)(const pool *s, const void *data, void *out, int64_t *index, size_t plane)
{
        const T *in = (const T *)data + plane * s->in_plane;
        T *result = (T *)out + plane * s->out_plane;
        walk w;

        (void)index;
        EACH_WINDOW(s)
        {
                double sum = 0;
                EACH_TAP(s, w)
                sum += LOAD(in[at]);
                const double n = divisor(s, &w, y, x);
                result[o] = STORE(n > 0 ? sum / n : 0.0);
        }
}

static inline void
NAME(average_back)(const pool *s, const void *data, const void *grad, void *out, size_t plane)
{
        const T *dy = (const T *)grad + plane * s->out_plane;
        T *dx = (T *)out + plane * s->in_plane;
        walk w;

        (void)data;
        EACH_WINDOW(s)
        {
                walk_start(&w, s, outer);
                const double n = divisor(s, &w, y, x);
                const double share = n > 0 ? LOAD(dy[o]) / n : 0;
                EACH_TAP(s, w)
                dx[at] = STORE(LOAD(dx[at]) + share);
        }
}

static void
NAME(lp)(const pool *s, const void *data, void *out, int64_t *index, size_t plane)
{
        const T *in = (const T *)data + plane * s->in_plane;
        T *result = (T *)out + plane * s->out_plane;
        walk w;

        (void)index;
        EACH_WINDOW(s)
        {
                double sum = 0;
                EACH_TAP(s, w)
                sum += s->p == 2   ? LOAD(in[at]) * LOAD(in[at])
                       : s->p == 1 ? fabs(LOAD(in[at]))
                                   : pow(fabs(LOAD(in[at])), s->p);
                result[o] = STORE(s->p == 2 ? sqrt(sum) : s->p == 1 ? sum : pow(sum, 1 / s->p));
        }
}
#undef EACH_WINDOW
#undef EACH_TAP
#undef T
#undef NAME
#undef LOAD
#undef STORE
#undef LEAST
#undef ORDER
