/* SPDX-License-Identifier: 0BSD */
/*
 * What a cast cost: the model as it was and the model as it is, run side by side on the same
 * pictures by the executor that runs everything else. For each layer the largest difference, and
 * the root of the mean square of the differences against that of the values themselves; for the
 * outputs, how often the class on top is the same.
 */
#include "edit/cast.h"
#include "edit/measure.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "io/output.h"
#include "onnx/encode.h"
#include "tensor/dtype.h"

enum { SMALL = 64, USUAL = 224, BATCH = 2 };

typedef struct error {
        double top, most; /* largest magnitude of the float model's value, and largest difference */
        double square, difference; /* sums of squares */
        double numbers, lost;      /* compared; finite before and not afterwards */
        double rows, same; /* [N, classes]: pictures, and those whose class on top is the same */
        int32_t dtype;
} error;

struct rs_cast_report {
        rs_cast *c;
        rs_tour *tour;      /* NULL: random input */
        resect_binding *in; /* random input */
        size_t n_in;
        rs_bench before, after;
        error *errors; /* [n_layers] */
        uint64_t size;
        size_t pictures;
        bool classes; /* an output [N, K] is of classes, not of features */
        const char *file;
        rs_output *out; /* NULL when there is no file, and when it is done */
};

/* The float model's bench, for pictures or for random input; a head that pools over a fixed window
 * wants the usual size. */
static bool
set_up(rs_cast_report *r, const char *const *names, resect_error *err)
{
        rs_surgery *s = r->c->s;
        if (r->tour != NULL)
                return rs_bench_make(s, &r->before, &r->tour->x, 1, names, r->c->n_layers, err);
        for (int64_t side = SMALL;; side = USUAL) {
                if (!rs_random_inputs(s, BATCH, side, &r->in, &r->n_in, err)) {
                        r->in = NULL;
                        return false;
                }
                if (rs_bench_make(s, &r->before, r->in, r->n_in, names, r->c->n_layers, err))
                        return true;
                if (side == USUAL || (err != NULL && err->code != RESECT_GRAPH))
                        return false;
                rs_bench_free(&r->before);
                rs_bindings_free(r->in, r->n_in);
                r->in = NULL;
        }
}

static const char **
names_of(rs_cast *c, bool after, resect_error *err)
{
        const char **names = RS_NEW(&c->s->arena, c->n_layers + 1, const char *, err);
        for (size_t i = 0; names != NULL && i < c->n_layers; i++)
                names[i] = after ? c->layers[i].after : c->layers[i].before;
        return names;
}

rs_cast_report *
rs_cast_report_begin(rs_cast *c, rs_tour *tour, const char *file, resect_error *err)
{
        rs_cast_report *r = rs_alloc(1, sizeof *r, err);
        if (r == NULL)
                return NULL;
        r->c = c;
        r->file = file;
        r->tour = tour;
        r->classes = c->anatomy->summary.has_head || c->anatomy->n_blocks == 0;
        r->errors = RS_NEW(&c->s->arena, c->n_layers + 1, error, err);
        const char **names = names_of(c, false, err);
        if (r->errors == NULL || names == NULL || !set_up(r, names, err) ||
                !rs_model_size(c->s->m, &r->size, err) ||
                (file != NULL && (r->out = rs_output_open(file, err)) == NULL)) {
                rs_cast_report_free(r);
                return NULL;
        }
        return r;
}

void
rs_cast_report_free(rs_cast_report *r)
{
        if (r == NULL)
                return;
        if (r->out != NULL)
                rs_output_abandon(r->out);
        rs_bench_free(&r->before);
        rs_bench_free(&r->after);
        if (r->in != NULL)
                rs_bindings_free(r->in, r->n_in);
        rs_free(r);
}

static size_t
top(const resect_tensor *t, int64_t row)
{
        const size_t n = (size_t)t->dims[1];
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
                if (rs_load(t->data, (int32_t)t->dtype, (size_t)row * n + i) >
                        rs_load(t->data, (int32_t)t->dtype, (size_t)row * n + best))
                        best = i;
        return best;
}

/* Adds one batch of a layer's values; false when those of the float model are not finite. */
static bool
compare(error *e, const resect_tensor *a, const resect_tensor *b, bool classes)
{
        const size_t n = (size_t)resect_tensor_count(a);
        e->dtype = (int32_t)b->dtype;
        for (size_t i = 0; i < n; i++) {
                const double x = rs_load(a->data, (int32_t)a->dtype, i),
                             y = rs_load(b->data, (int32_t)b->dtype, i);
                if (!isfinite(x))
                        return false;
                if (!isfinite(y)) {
                        e->lost++;
                        continue;
                }
                const double d = fabs(y - x);
                e->top = fmax(e->top, fabs(x));
                e->most = fmax(e->most, d);
                e->square += x * x;
                e->difference += d * d;
        }
        e->numbers += (double)n;
        for (int64_t row = 0; classes && a->rank == 2 && a->dims[1] > 1 && row < a->dims[0];
                row++) {
                e->rows++;
                e->same += top(a, row) == top(b, row);
        }
        return true;
}

static bool
both(rs_cast_report *r, const resect_tensor *x, const resect_tensor *y, resect_error *err)
{
        if (!resect_exec_run(r->before.exec, x, r->before.outputs, err) ||
                !resect_exec_run(r->after.exec, y, r->after.outputs, err))
                return false;
        for (size_t i = 0; i < r->c->n_layers; i++) {
                const rs_layer *l = &r->c->layers[i];
                const resect_tensor *a = &r->before.outputs[i], *b = &r->after.outputs[i];
                if (resect_tensor_count(a) != resect_tensor_count(b))
                        return rs_fail(
                                err, RESECT_GRAPH, "%s has another shape after the cast", l->name);
                if (!compare(&r->errors[i], a, b, l->node == NULL && r->classes))
                        return rs_fail(err, RESECT_ARG,
                                "the float32 model itself makes infinities or NaN in %s, so that "
                                "nothing can be said",
                                l->name);
        }
        return true;
}

/* What the new model reads, from what the old one did. */
static bool
reader(rs_cast_report *r, const resect_tensor *x, size_t i, resect_tensor *y, resect_error *err)
{
        resect_value v;
        if (!resect_model_input(r->c->s->m, i, &v))
                return rs_fail(err, RESECT_GRAPH, "the cast model has lost an input");
        const resect_dtype dtype = rs_is_float((int32_t)x->dtype) ? v.dtype : x->dtype;
        if (!resect_tensor_make(y, dtype, x->rank, x->dims, err))
                return false;
        for (size_t k = 0; x->data != NULL && k < (size_t)resect_tensor_count(x); k++)
                if (dtype == x->dtype && !rs_is_float((int32_t)dtype)) {
                        memcpy(y->data, x->data, x->size);
                        break;
                } else {
                        rs_store(
                                y->data, (int32_t)dtype, k, rs_load(x->data, (int32_t)x->dtype, k));
                }
        return true;
}

static bool
on_batch(void *ctx, const resect_tensor *x, const resect_batch *got, resect_error *err)
{
        rs_cast_report *r = ctx;
        resect_tensor y = {0};
        (void)got;
        const bool ok = reader(r, x, 0, &y, err) && both(r, x, &y, err);
        resect_tensor_free(&y);
        return ok;
}

static bool
measure(rs_cast_report *r, resect_error *err)
{
        rs_surgery *s = r->c->s;
        const char **names = names_of(r->c, true, err);
        const size_t n = r->tour != NULL ? 1 : r->n_in;
        const resect_binding *old = r->tour != NULL ? &r->tour->x : r->in;
        resect_binding *in = RS_NEW(&s->arena, n + 1, resect_binding, err);
        resect_tensor *x = RS_NEW(&s->arena, n + 1, resect_tensor, err),
                      *y = RS_NEW(&s->arena, n + 1, resect_tensor, err);
        bool ok = names != NULL && in != NULL && x != NULL && y != NULL;
        for (size_t i = 0; ok && i < n; i++) {
                x[i] = old[i].tensor;
                ok = reader(r, &old[i].tensor, i, &y[i], err);
                in[i] = (resect_binding){.name = old[i].name, .tensor = y[i]};
        }
        ok = ok && rs_bench_make(s, &r->after, in, n, names, r->c->n_layers, err);
        if (ok && r->tour == NULL) {
                ok = both(r, x, y, err);
                r->pictures = n != 0 && x[0].rank > 0 ? (size_t)x[0].dims[0] : 1;
        } else if (ok) {
                ok = rs_tour_go(s, r->tour, on_batch, r, err);
                r->pictures = r->tour->seen;
        }
        for (size_t i = 0; y != NULL && i < n; i++)
                resect_tensor_free(&y[i]);
        return ok;
}

static double
relative(const error *e)
{
        return e->square > 0 ? sqrt(e->difference / e->square) : e->difference > 0 ? INFINITY : 0;
}

/* What a layer's value is kept in. A quantised one is looked at behind its DequantizeLinear. */
static const char *
type_of(const rs_cast_report *r, size_t i)
{
        const rs_layer *l = &r->c->layers[i];
        return r->c->to == RESECT_INT8 && l->after != l->before
                       ? "uint8"
                       : resect_dtype_name((resect_dtype)r->errors[i].dtype);
}

/* Names come from the model, whose bytes may be anything: what is no text is escaped, as in
 * messages. */
static const char *
safe(const char *name, resect_error *line)
{
        rs_fail(line, RESECT_OK, "%s", name);
        return line->msg;
}

static bool
write_tsv(rs_cast_report *r, rs_output *o, resect_error *err)
{
        char line[1024];
        static const char head[] = "layer\top\ttype\tlargest\tmax_error\trelative_error\tnot_"
                                   "finite\tweights\toverflow\tunderflow\n";
        if (!rs_output_bytes(o, head, sizeof head - 1, err))
                return false;
        for (size_t i = 0; i < r->c->n_layers; i++) {
                const rs_layer *l = &r->c->layers[i];
                const error *e = &r->errors[i];
                resect_error name, op;
                const int n = snprintf(line, sizeof line,
                        "%.511s\t%.40s\t%s\t%.9g\t%.9g\t%.9g\t%.0f\t%.0f\t%.0f\t%.0f\n",
                        safe(l->name, &name), safe(l->op, &op), type_of(r, i), e->top, e->most,
                        relative(e), e->lost, l->loss.numbers, l->loss.infinite, l->loss.vanished);
                if (!rs_output_bytes(o, line, (size_t)n, err))
                        return false;
        }
        return true;
}

static json_t *
real(double x)
{
        return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
text(const char *s)
{
        resect_error line;
        json_t *j = json_string(s); /* of UTF-8 alone */
        return j != NULL ? j : json_string(safe(s, &line));
}

static json_t *
to_json(const rs_cast_report *r, uint64_t size)
{
        json_t *layers = json_array(), *outputs = json_array();
        for (size_t i = 0; i < r->c->n_layers; i++) {
                const rs_layer *l = &r->c->layers[i];
                const error *e = &r->errors[i];
                json_t *j = json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:I}", "name", text(l->name),
                        "op", text(l->op), "type", type_of(r, i), "largest", real(e->top),
                        "max_error", real(e->most), "relative_error", real(relative(e)),
                        "not_finite", (json_int_t)e->lost);
                if (l->node != NULL && l->loss.numbers > 0)
                        json_object_set_new(j, "weights",
                                json_pack("{s:I, s:I, s:I}", "numbers", (json_int_t)l->loss.numbers,
                                        "overflow", (json_int_t)l->loss.infinite, "underflow",
                                        (json_int_t)l->loss.vanished));
                if (e->rows > 0)
                        json_object_set_new(j, "top1_agreement", real(e->same / e->rows));
                if (json_array_append_new(l->node != NULL ? layers : outputs, j) != 0) {
                        json_decref(layers);
                        json_decref(outputs);
                        return NULL;
                }
        }
        const rs_loss *w = &r->c->loss;
        return json_pack("{s:s, s:s, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:o, s:o}", "to",
                rs_cast_name(r->c->to), "input", r->tour != NULL ? "pictures" : "random",
                "pictures", (json_int_t)r->pictures, "bytes_before", (json_int_t)r->size,
                "bytes_after", (json_int_t)size, "weights", "numbers", (json_int_t)w->numbers,
                "overflow", (json_int_t)w->infinite, "underflow", (json_int_t)w->vanished, "layers",
                layers, "outputs", outputs);
}

/* The report as text, for free; NULL without memory. */
static char *
json_of(const rs_cast_report *r, uint64_t size)
{
        json_t *j = to_json(r, size);
        char *text = j != NULL ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(j);
        return text;
}

static bool
write_file(rs_cast_report *r, uint64_t size, resect_error *err)
{
        const size_t n = strlen(r->file);
        bool ok = true;
        if (n > 5 && strcmp(r->file + n - 5, ".json") == 0) {
                char *text = json_of(r, size);
                ok = text != NULL ? rs_output_bytes(r->out, text, strlen(text), err) &&
                                            rs_output_bytes(r->out, "\n", 1, err)
                                  : rs_fail_nomem(err);
                free(text);
        } else {
                ok = write_tsv(r, r->out, err);
        }
        rs_output *o = r->out;
        if (!ok)
                return false;
        r->out = NULL;
        return rs_output_close(o, err);
}

static void
say_table(const rs_cast_report *r)
{
        size_t wide = 5;
        for (size_t i = 0; i < r->c->n_layers; i++) {
                const size_t n = strlen(r->c->layers[i].name);
                wide = r->c->layers[i].node != NULL && n > wide && n < 40 ? n : wide;
        }
        rs_note(r->c->s, "%-*s  %-8s  %9s  %9s  %9s", (int)wide, "layer", "type", "largest",
                "max error", "relative");
        for (size_t i = 0; i < r->c->n_layers; i++) {
                const rs_layer *l = &r->c->layers[i];
                const error *e = &r->errors[i];
                if (l->node != NULL)
                        rs_note(r->c->s, "%-*s  %-8s  %9.4g  %9.2e  %9.2e", (int)wide, l->name,
                                type_of(r, i), e->top, e->most, relative(e));
        }
}

/* The lines that stand with and without a table. */
static void
say_sum(const rs_cast_report *r, uint64_t size)
{
        const rs_cast *c = r->c;
        char note[64] = "";
        for (size_t i = 0; i < c->n_layers; i++) {
                const rs_layer *l = &c->layers[i];
                const error *e = &r->errors[i];
                if (e->lost > 0)
                        rs_note(c->s, "%s: %.0f of %.0f values are not finite any more%s%s",
                                l->name, e->lost, e->numbers, l->node != NULL ? ": --keep " : "",
                                l->node != NULL ? l->name : "");
                if (l->node != NULL)
                        continue;
                if (e->rows > 0)
                        snprintf(note, sizeof note, ", top-1 the same for %.0f of %.0f", e->same,
                                e->rows);
                rs_note(c->s, "output %s: max error %.3g of %.4g, relative %.2e%s (on %zu %s)",
                        l->name, e->most, e->top, relative(e), note, r->pictures,
                        r->tour != NULL ? "pictures" : "random inputs");
        }
        rs_note(c->s, "%llu bytes are now %llu", (unsigned long long)r->size,
                (unsigned long long)size);
}

bool
rs_cast_report_end(rs_cast_report *r, resect_error *err)
{
        uint64_t size;
        if (!measure(r, err) || !rs_model_size(r->c->s->m, &size, err) ||
                (r->out != NULL && !write_file(r, size, err)))
                return false;
        const resect_listener *to = &r->c->s->to;
        if (to->figures != NULL) {
                char *text = json_of(r, size);
                if (text == NULL)
                        return rs_fail_nomem(err);
                to->figures(to->ctx, text);
                free(text);
        } else if (r->file == NULL) {
                say_table(r);
        }
        say_sum(r, size);
        return true;
}
