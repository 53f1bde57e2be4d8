/* SPDX-License-Identifier: 0BSD */
/* What becomes of results, for one element type T; included by convolve.c with T, NAME, LOAD and
 * STORE defined. */

/* A value with its bias. Rounded before residual and relu, as the operators one after another
 * would. */
static inline T
NAME(finish)(const rs_finish *f, double v, size_t e)
{
        T r = STORE(v);

        if (f->residual)
                r = STORE(LOAD(r) + LOAD(((const T *)f->residual)[e]));
        return f->relu && LOAD(r) < 0 ? STORE(0.0) : r;
}

static void
NAME(emit_run)(const rs_finish *f, const double *c, size_t n, double bias, size_t e)
{
        T *y = (T *)f->y + e;

        if (f->add)
                for (size_t j = 0; j < n; j++)
                        y[j] = STORE(LOAD(y[j]) + c[j]);
        else if (!f->residual && !f->relu)
                for (size_t j = 0; j < n; j++)
                        y[j] = STORE(c[j] + bias);
        else
                for (size_t j = 0; j < n; j++)
                        y[j] = NAME(finish)(f, c[j] + bias, e + j);
}

static void
NAME(emit)(const void *result, const rs_gemm_tile *tile)
{
        const target *t = result;
        size_t at[RS_GEMM_COLUMNS];

        if (!t->dense || t->places < 8)
                places_of(t, tile->j0, tile->j1, at);
        for (size_t i = tile->i0; i < tile->i1; i++) {
                const size_t ch = tile->batch * t->channels + i;
                const double bias = t->f.bias ? LOAD(((const T *)t->f.bias)[ch]) : 0;
                const double *c = tile->c + (i - tile->i0) * tile->ldc;
                if (!t->dense || t->places < 8) {
                        for (size_t j = 0; j < tile->j1 - tile->j0; j++)
                                NAME(emit_run)(&t->f, c + j, 1, bias, at[j] + ch * t->plane);
                        continue;
                }
                size_t image = tile->j0 / t->places, place = tile->j0 % t->places;
                for (size_t j = tile->j0, n; j < tile->j1; j += n, c += n, place = 0, image++) {
                        n = t->places - place < tile->j1 - j ? t->places - place : tile->j1 - j;
                        NAME(emit_run)
                        (&t->f, c, n, bias, image * t->image + ch * t->plane + place);
                }
        }
}

/* Plane number i as if no tap reached it. */
static void
NAME(fill_plane)(const target *t, size_t i, size_t ch)
{
        const double bias = t->f.bias ? LOAD(((const T *)t->f.bias)[ch]) : 0;
        T *y = t->f.y;

        for (size_t e = i * t->plane; e < (i + 1) * t->plane; e++)
                y[e] = NAME(finish)(&t->f, bias, e);
}
#undef T
#undef NAME
#undef LOAD
#undef STORE
