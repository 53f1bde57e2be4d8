/* SPDX-License-Identifier: 0BSD */
/* What becomes of a product's tile, for one element type T; included by matmul.c with T, NAME, LOAD
 * and STORE defined. */
static void
NAME(emit)(const void *result, const rs_gemm_tile *t)
{
        const place *p = result;
        T *y = (T *)p->y + (p->offsets ? p->offsets[t->batch] : 0);
        const T *residual = p->residual;

        if (residual && p->offsets)
                residual += p->offsets[t->batch];
        for (size_t i = t->i0; i < t->i1; i++) {
                const double *v = t->c + (i - t->i0) * t->ldc;
                for (size_t j = t->j0; j < t->j1; j++, v++) {
                        const size_t e = i * p->si + j * p->sj;
                        double sum = p->alpha * *v;
                        if (p->c)
                                sum += p->beta * LOAD(((const T *)p->c)[i * p->ci + j * p->cj]);
                        if (p->add)
                                sum += LOAD(y[e]);
                        T r = STORE(sum);
                        if (residual)
                                r = STORE(LOAD(r) + LOAD(residual[e]));
                        y[e] = p->relu && LOAD(r) < 0 ? STORE(0.0) : r;
                }
        }
}

/* dC += beta * dY, summed where C was broadcast. */
static inline void
NAME(addend)(const gemm *s, const void *dy, void *dc)
{
        const T *y = dy;
        T *d = dc;
        const size_t rows = s->ci ? s->m : 1, columns = s->cj ? s->n : 1;

        for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++) {
                        double sum = 0;
                        for (size_t p = i; p < (s->ci ? i + 1 : s->m); p++)
                                for (size_t q = j; q < (s->cj ? j + 1 : s->n); q++)
                                        sum += LOAD(y[p * s->n + q]);
                        T *e = d + i * s->ci + j * s->cj;
                        *e = STORE(LOAD(*e) + (double)s->beta * sum);
                }
}
#undef T
#undef NAME
#undef LOAD
#undef STORE
