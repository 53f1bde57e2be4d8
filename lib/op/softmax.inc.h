/* SPDX-License-Identifier: 0BSD */
/* One strand, for one element type T; included by softmax.c with T, NAME, LOAD and STORE defined.
 */
static void
NAME(strand)(const softmax *s, const void *in, void *out, size_t number, bool log_form)
{
        const size_t at = number / s->inner * s->size * s->inner + number % s->inner;
        const T *x = (const T *)in + at;
        T *y = (T *)out + at;
        const size_t n = s->size * s->inner, step = s->inner;
        double top = -INFINITY, sum = 0;

        for (size_t i = 0; i < n; i += step)
                top = LOAD(x[i]) > top || LOAD(x[i]) != LOAD(x[i]) ? LOAD(x[i]) : top;
        for (size_t i = 0; i < n; i += step)
                sum += exp(LOAD(x[i]) - top);
        const double log_sum = log_form ? log(sum) : 0;
        for (size_t i = 0; i < n; i += step)
                y[i] = STORE(log_form ? LOAD(x[i]) - top - log_sum : exp(LOAD(x[i]) - top) / sum);
}

/* Softmax: dx = y (dy - sum dy y). LogSoftmax: dx = dy - exp(y) sum dy. */
static void
NAME(strand_back)(
        const softmax *s, const void *out, const void *grad, void *to, size_t number, bool log_form)
{
        const size_t at = number / s->inner * s->size * s->inner + number % s->inner;
        const T *y = (const T *)out + at, *dy = (const T *)grad + at;
        T *dx = (T *)to + at;
        const size_t n = s->size * s->inner, step = s->inner;
        double sum = 0;

        for (size_t i = 0; i < n; i += step)
                sum += log_form ? LOAD(dy[i]) : LOAD(dy[i]) * LOAD(y[i]);
        for (size_t i = 0; i < n; i += step) {
                const double d = log_form ? LOAD(dy[i]) - exp(LOAD(y[i])) * sum
                                          : LOAD(y[i]) * (LOAD(dy[i]) - sum);
                dx[i] = STORE(LOAD(dx[i]) + d);
        }
}
#undef T
#undef NAME
#undef LOAD
#undef STORE
