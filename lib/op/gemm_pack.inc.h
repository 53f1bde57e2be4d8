/* SPDX-License-Identifier: 0BSD */
/* The packing functions for one element type T; included by gemm_pack.c with T, LOAD and NAME
 * defined. */

/* One panel of an rs_rows whose rows are neighbours (sj is 1): a converting copy. */
static void
NAME(rows_along)(
        const rs_rows *o, const T *x, size_t k0, size_t k1, size_t n, size_t width, double *out)
{
        size_t q = k0 / o->len, r = k0 % o->len;

        for (size_t k = k0; k < k1; k++, out += width) {
                const T *s = x + q * o->sq + (o->index ? o->index[r] : r * o->sr);
                if (n == 24)
                        for (size_t j = 0; j < 24; j++)
                                out[j] = LOAD(s[j]);
                else
                        for (size_t j = 0; j < n; j++)
                                out[j] = LOAD(s[j]);
                for (size_t j = n; j < width; j++)
                        out[j] = 0;
                if (++r == o->len)
                        r = 0, q++;
        }
}

/* Depth is contiguous for n elements: eight rows at a time, so that each line of the source is read
 * once. */
static void
NAME(transpose)(const T *x, size_t sj, size_t n, size_t rows, size_t width, double *out)
{
        size_t j = 0;

        for (; j + 8 <= rows; j += 8) {
                const T *s = x + j * sj;
                for (size_t k = 0; k < n; k++)
                        for (size_t i = 0; i < 8; i++)
                                out[k * width + j + i] = LOAD(s[i * sj + k]);
        }
        for (; j < rows; j++)
                for (size_t k = 0; k < n; k++)
                        out[k * width + j] = LOAD(x[j * sj + k]);
}

static void
NAME(rows_panel)(
        const rs_rows *o, const T *x, size_t k0, size_t k1, size_t n, size_t width, double *out)
{
        size_t q = k0 / o->len, r = k0 % o->len;

        if (n < width)
                memset(out, 0, width * (k1 - k0) * sizeof *out);
        for (size_t k = k0, run; k < k1; k += run, out += run * width) {
                run = o->len - r < k1 - k ? o->len - r : k1 - k;
                const T *s = x + q * o->sq;
                if (!o->index && o->sr == 1)
                        NAME(transpose)(s + r, o->sj, run, n, width, out);
                else
                        for (size_t i = 0; i < run; i++) {
                                const T *e = s + (o->index ? o->index[r + i] : (r + i) * o->sr);
                                for (size_t j = 0; j < n; j++)
                                        out[i * width + j] = LOAD(e[j * o->sj]);
                        }
                r = 0, q++;
        }
}

static void
NAME(rows)(const void *operand, const rs_gemm_block *b)
{
        const rs_rows *o = operand;
        const T *x = (const T *)o->data + (o->offsets ? o->offsets[b->batch] : b->batch * o->batch);
        double *out = b->out;
        const size_t depth = b->k1 - b->k0;

        for (size_t j = b->j0; j < b->j1; j += b->nr, out += b->nr * depth) {
                const size_t width = b->j1 - j <= b->nr ? b->last : b->nr;
                const size_t n = b->j1 - j < width ? b->j1 - j : width;
                if (o->sj == 1)
                        NAME(rows_along)(o, x + j, b->k0, b->k1, n, width, out);
                else
                        NAME(rows_panel)(o, x + j * o->sj, b->k0, b->k1, n, width, out);
#ifdef QUANTISED
                if (o->zero_point)
                        for (size_t i = 0; i < n; i++) {
                                const double zero =
                                        LOAD(((const T *)o->zero_point)[b->batch * o->zero_batch +
                                                                        (j + i) * o->zs]);
                                for (size_t k = 0; k < depth; k++)
                                        out[k * width + i] -= zero;
                        }
#endif
        }
}

/* What a tap sees of n <= WIDEST positions, for channels c0..c1: row c of out is stride doubles
   after row c - 1. at[j] is the place in channel 0, negative outside; bound by runs of neighbours
   where there are some. */
static void
NAME(look)(const rs_patches *o, const T *x, const int64_t *at, size_t n, size_t width, size_t c0,
        size_t c1, double *out, size_t stride)
{
        const T zero = ZERO(o);
        const T *from[WIDEST];
        size_t step[WIDEST], along = 1;

        while (along < n && at[along] == at[0] + (int64_t)along)
                along++;
        if (along == n && at[0] >= 0) {
                const T *s = x + at[0] + c0 * o->plane;
                for (size_t c = c0; c < c1; c++, s += o->plane, out += stride) {
                        if (n == 24)
                                for (size_t j = 0; j < 24; j++)
                                        out[j] = LOAD(s[j]) - OFFSET(zero);
                        else
                                for (size_t j = 0; j < n; j++)
                                        out[j] = LOAD(s[j]) - OFFSET(zero);
                        for (size_t j = n; j < width; j++)
                                out[j] = 0;
                }
                return;
        }
        for (size_t j = 0; j < width; j++) {
                const bool in = j < n && at[j] >= 0;
                from[j] = in ? x + (size_t)at[j] + c0 * o->plane : &zero;
                step[j] = in ? o->plane : 0;
        }
        for (size_t c = c0; c < c1; c++, out += stride)
                for (size_t j = 0; j < width; j++) {
                        out[j] = LOAD(*from[j]) - OFFSET(zero);
                        from[j] += step[j];
                }
}

/* Depth is k = c * n_taps + tap: for each tap, the channels that have it within k0..k1. */
static void
NAME(patches)(const void *operand, const rs_gemm_block *b)
{
        const rs_patches *o = operand;
        const T *x = (const T *)o->data + b->batch * o->channels * o->plane;
        const size_t depth = b->k1 - b->k0, n_taps = o->n_taps;
        double *out = b->out;
        position p[WIDEST];

        for (size_t j = b->j0; j < b->j1; j += b->nr, out += b->nr * depth) {
                const size_t width = b->j1 - j <= b->nr ? b->last : b->nr;
                const size_t n = b->j1 - j < width ? b->j1 - j : width;
                int64_t at[WIDEST];
                positions_make(o, j, n, p);
                for (size_t k = b->k0; k < b->k1 && k < b->k0 + n_taps; k++) {
                        const size_t tap = k % n_taps, c0 = k / n_taps;
                        const size_t c1 = (b->k1 - tap + n_taps - 1) / n_taps;
                        positions_see(o, &o->taps[tap], p, n, at);
                        NAME(look)
                        (o, x, at, n, width, c0, c1, out + (k - b->k0) * width, n_taps * width);
                }
        }
}

/* Rows are j = c * n_taps + tap, depth is positions: a column of the panel for each row. Positions
   of a tap are found once for all of its channels in the block. */
static void
NAME(patches_across)(const void *operand, const rs_gemm_block *b)
{
        const rs_patches *o = operand;
        const T *x = (const T *)o->data + b->batch * o->channels * o->plane;
        const size_t n_taps = o->n_taps;
        const T zero = ZERO(o);
        position p[DEEPEST];
        int64_t at[DEEPEST];

        if (b->j1 - b->j0 < (b->j1 - b->j0 + b->nr - 1) / b->nr * b->nr)
                clear_tail(b);
        for (size_t k = b->k0; k < b->k1; k += DEEPEST) {
                const size_t n = b->k1 - k < DEEPEST ? b->k1 - k : DEEPEST;
                positions_make(o, k, n, p);
                for (size_t j = b->j0; j < b->j1 && j < b->j0 + n_taps; j++) {
                        positions_see(o, &o->taps[j % n_taps], p, n, at);
                        for (size_t i = j; i < b->j1; i += n_taps) {
                                const T *s = x + i / n_taps * o->plane;
                                size_t width;
                                double *to = place(b, i, k, &width);
                                for (size_t d = 0; d < n; d++)
                                        to[d * width] = LOAD(*(at[d] < 0 ? &zero : s + at[d])) -
                                                        OFFSET(zero);
                        }
                }
        }
}
#undef T
#undef LOAD
#undef NAME
#undef ZERO
#undef OFFSET
#undef QUANTISED
