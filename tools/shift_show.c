/* SPDX-License-Identifier: 0BSD */
/* A shift as tables and paragraphs for a terminal, and as JSON. */
#include "shift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double
in_deviations(const resect_shift_layer *l, size_t c)
{
        return (l->data_mean[c] - l->reference_mean[c]) / sqrt(l->reference_var[c] + 1e-5);
}

static size_t
worst_channel(const resect_shift_layer *l)
{
        size_t worst = 0;
        for (size_t c = 1; c < l->channels; c++)
                if (l->distance[c] > l->distance[worst])
                        worst = c;
        return worst;
}

typedef struct spot {
        resect_shift_layer l;
        size_t channel;
} spot;

static int
further(const void *a, const void *b)
{
        const spot *x = a, *y = b;
        const double p = x->l.distance[x->channel], q = y->l.distance[y->channel];
        return (p < q) - (p > q);
}

/* The channels that moved furthest, of all layers. */
static spot *
worst_spots(const shift_study *y, size_t *n)
{
        resect_shift_layer l;
        size_t all = 0, k = 0;
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                all += l.channels;
        spot *s = cli_alloc(all + 1, sizeof *s);
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                for (size_t c = 0; c < l.channels; c++)
                        s[k++] = (spot){l, c};
        qsort(s, all, sizeof *s, further);
        *n = (size_t)cli_integer("worst", 5, 0, INT32_MAX);
        *n = *n < all ? *n : all;
        return s;
}

static void
print_tables(const shift_study *y)
{
        resect_shift_layer l;
        const bool source = y->f.stored && y->f.source_pictures;
        cli_table *t = cli_table_make(
                source ? (const char *const[]){"layer", ">channels", ">distance", ">median",
                                 ">chance", ">source", ">worst channel", NULL}
                       : (const char *const[]){"layer", ">channels", ">distance", ">median",
                                 ">chance", ">worst channel", NULL});
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                const size_t c = worst_channel(&l);
                cli_cell(t, "%s", l.name);
                cli_cell(t, "%zu", l.channels);
                cli_cell(t, "%.3f", l.mean);
                cli_cell(t, "%.3f", l.median);
                cli_cell(t, "%.3f", l.chance);
                if (source)
                        cli_cell(t, "%.3f", l.source);
                cli_cell(t, "%zu: %.3f", c, l.distance[c]);
        }
        cli_table_print(t);
        size_t n;
        spot *s = worst_spots(y, &n);
        if (n) {
                t = cli_table_make((const char *const[]){"worst channels", ">channel", ">distance",
                        ">mean moved (sd)", ">variance times", NULL});
                for (size_t i = 0; i < n; i++) {
                        const size_t c = s[i].channel;
                        cli_cell(t, "%s", s[i].l.name);
                        cli_cell(t, "%zu", c);
                        cli_cell(t, "%.3f", s[i].l.distance[c]);
                        cli_cell(t, "%+.2f", in_deviations(&s[i].l, c));
                        cli_cell(t, "%.3g", s[i].l.data_var[c] / (s[i].l.reference_var[c] + 1e-30));
                }
                putchar('\n');
                cli_table_print(t);
        }
        free(s);
        if (y->n_common) {
                t = cli_table_make((const char *const[]){
                        "class of DATA", "label of MODEL", ">its number", "match", NULL});
                for (size_t i = 0; i < resect_data_class_count(y->d); i++) {
                        const resect_label_match *m = &y->match[i];
                        if (m->how == RESECT_UNLIKE)
                                continue;
                        cli_cell(t, "%s", resect_data_class(y->d, i));
                        cli_cell(t, "%s", y->labels[m->label]);
                        cli_cell(t, "%zu", m->label);
                        cli_cell(t, "%s", shift_likeness(m));
                }
                putchar('\n');
                cli_table_print(t);
        }
}

void
shift_print(const shift_study *y)
{
        const resect_shift_facts *f = &y->f;
        printf("%zu pictures against %s, %zu layers\n\n", f->pictures,
                f->stored ? "what the model remembers" : "the source's", f->layers);
        print_tables(y);
        for (size_t i = 0; i < y->n_words; i++) {
                putchar('\n');
                cli_paragraph("", y->words[i]);
        }
}

static json_t *
reals(const double *v, size_t n)
{
        json_t *a = json_array();
        for (size_t i = 0; i < n; i++)
                json_array_append_new(a, cli_json_real(v[i]));
        return a;
}

void
shift_print_json(const shift_study *y)
{
        resect_shift_layer l;
        const resect_shift_facts *f = &y->f;
        json_t *layers = json_array(), *classes = json_array(), *words = json_array();
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                json_array_append_new(layers,
                        json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "layer",
                                cli_json_text(l.name), "stage", cli_json_text(l.stage), "channels",
                                (json_int_t)l.channels, "distance", cli_json_real(l.mean), "median",
                                cli_json_real(l.median), "sum", cli_json_real(l.sum), "chance",
                                cli_json_real(l.chance), "source", cli_json_real(l.source), "each",
                                reals(l.distance, l.channels), "reference_mean",
                                reals(l.reference_mean, l.channels), "reference_var",
                                reals(l.reference_var, l.channels), "data_mean",
                                reals(l.data_mean, l.channels), "data_var",
                                reals(l.data_var, l.channels)));
        for (size_t i = 0; i < resect_data_class_count(y->d); i++) {
                const resect_label_match *m = &y->match[i];
                json_t *row =
                        json_pack("{s:o,s:b}", "class", cli_json_text(resect_data_class(y->d, i)),
                                "common", m->how != RESECT_UNLIKE);
                if (m->how != RESECT_UNLIKE) {
                        json_object_set_new(row, "label", cli_json_text(y->labels[m->label]));
                        json_object_set_new(row, "number", json_integer((json_int_t)m->label));
                        json_object_set_new(row, "match", json_string(shift_likeness(m)));
                }
                json_array_append_new(classes, row);
        }
        for (size_t i = 0; i < y->n_words; i++)
                json_array_append_new(words, cli_json_text(y->words[i]));
        cli_print_json(json_pack("{s:I,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "pictures",
                (json_int_t)f->pictures, "source_pictures", (json_int_t)f->source_pictures,
                "reference", f->stored ? "stored" : "source", "features", (json_int_t)f->features,
                "shared", (json_int_t)f->shared, "auc", cli_json_real(f->auc), "auc_low",
                cli_json_real(f->auc_low), "auc_high", cli_json_real(f->auc_high), "layers", layers,
                "classes", classes, "suggests", words));
}
