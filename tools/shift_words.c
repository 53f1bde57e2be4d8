/* SPDX-License-Identifier: 0BSD */
/*
 * What a shift suggests, in plain words: where in depth the pictures differ (p(x)), whether they
 * can be told from the source's, and whether the question is another one (p(y|x)).
 */
#include "shift.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

static void add(shift_study *y, const char *fmt, ...) RESECT_PRINTF(2, 3);
static void
add(shift_study *y, const char *fmt, ...)
{
        va_list ap;
        char *text = cli_alloc(2048, 1);
        va_start(ap, fmt);
        vsnprintf(text, 2048, fmt, ap);
        va_end(ap);
        if (y->n_words == sizeof y->words / sizeof *y->words)
                free(text);
        else
                y->words[y->n_words++] = text;
}

/* A distance beyond what chance, and the source's own pictures, would show. */
static double
beyond(const shift_stage *s)
{
        double normal = isnan(s->source) || s->source < s->chance ? s->chance : s->source;
        return s->distance > normal ? s->distance - normal : 0;
}

/* Stages and their distances, "0.25 in stem, 0.1 in layer3": the first, the most shifted, the last.
 */
static const char *
profile(const shift_study *y, size_t most)
{
        static char text[256];
        int n = 0;
        for (size_t k = 0; k < y->n_stages && n < (int)sizeof text; k++)
                if (k == 0 || k == most || k + 1 == y->n_stages)
                        n += snprintf(text + n, sizeof text - (size_t)n, "%s%.2g in %s",
                                n ? ", " : "", y->stages[k].distance, y->stages[k].name);
        return text;
}

/*
 * p(x): where does the shift begin, and where is it largest? What is small was found on pictures of
 * the very set that a model was trained on: augmentation and running averages alone leave a
 * median channel up to 0.1 away; with a source, its own distance is known and taken off.
 */
static void
judge_pictures(shift_study *y)
{
        const double small = y->f.source_pictures ? 0.05 : 0.1, coarse = 5;
        size_t most = 0;
        if (y->n_stages < 2) {
                add(y, "The structure of this network is unknown, so that where in depth the shift "
                       "lies cannot be said.");
                return;
        }
        for (size_t k = 1; k < y->n_stages; k++)
                if (beyond(&y->stages[k]) > beyond(&y->stages[most]))
                        most = k;
        const shift_stage *first = &y->stages[0], *last = &y->stages[y->n_stages - 1],
                          *worst = &y->stages[most];
        const char *what = y->f.stored ? "those that it was trained on" : "the source's";
        if (beyond(worst) < small) {
                add(y,
                        "p(x): no shift worth naming. The median channel is %s away (1 is a mean "
                        "moved by one standard deviation): to this model these pictures look like "
                        "%s. That is said of means and variances alone, which colours "
                        "swapped with each other, say, may leave as they were.",
                        profile(y, most), what);
                return;
        }
        add(y,
                "p(x) is shifted: the median channel is %s away from %s (1 is a mean moved by one "
                "standard deviation).",
                profile(y, most), what);
        if (first->distance > coarse)
                add(y, "So much in the first layer is no matter of light: the pictures hardly "
                       "enter the "
                       "model as it expects. Check how they are scaled (0..1 or 0..255) and the "
                       "mean and "
                       "std that are taken off: resect-info says what is recorded, --input tries "
                       "another.");
        else if (beyond(first) >= small && beyond(first) * 2 >= beyond(last))
                add(y, "It is there from the first layer on, and that points at the pictures' "
                       "light, contrast, colours or sharpness rather than at what they show. "
                       "First make sure that they enter the model as it expects: mean, std and "
                       "order of channels (resect-info says what is recorded; --input tries "
                       "another, e.g. --input channels=bgr). If they do, resect-adapt re-estimates "
                       "the statistics in one pass, and says whether that helped where labels are "
                       "there.");
        else if (beyond(last) > 2 * beyond(first) && last == worst)
                add(y, "The first layers see what they know, the deep ones do not: edges and "
                       "colours are the same, what they make up is new. The early stages can be "
                       "kept; the last ones are what to train or to reset (resect-trial --arms "
                       "head,tune,reset:1 measures which).");
        else
                add(y,
                        "It is largest in %s, behind a first layer that is near what it knows: "
                        "fine "
                        "texture, noise or sharpness differ, or what the pictures show does. "
                        "resect-adapt may help with the former; resect-trial measures how much of "
                        "the trunk is worth keeping.",
                        worst->name);
}

static void
judge_domain(shift_study *y)
{
        const resect_shift_facts *f = &y->f;
        if (isnan(f->auc))
                return;
        if (f->shared)
                add(y, "%zu picture%s in both DATA and the source, and left out of the comparison.",
                        f->shared, f->shared == 1 ? " is" : "s are");
        const char *reading = f->auc_low <= 0.5 ? "they cannot be told apart"
                              : f->auc < 0.7    ? "they can hardly be told apart"
                              : f->auc < 0.95   ? "they can be told apart"
                                                : "they are told apart almost without fail";
        add(y,
                "A classifier that looks at the model's features and must say whether a picture "
                "is of DATA or of the source reaches an AUC of %.2f (95 %% interval %.2f to %.2f; "
                "0.5 is guessing): %s.",
                f->auc, f->auc_low, f->auc_high, reading);
}

static void
judge_labels(shift_study *y)
{
        const size_t classes = resect_data_class_count(y->d);
        if (!y->n_labels) {
                add(y, "p(y|x): the model names no classes (resect.labels), so that classes in "
                       "common "
                       "cannot be looked for.");
                return;
        }
        if (resect_data_is_raw(y->d)) {
                add(y, "p(y|x): classes of an .npz are numbers of outputs and have no names to "
                       "compare.");
                return;
        }
        if (!y->n_common)
                add(y,
                        "p(y|x): none of the %zu classes is among the model's %zu labels: the "
                        "question is new, and a new head (resect-head --replace) has to learn it.",
                        classes, y->n_labels);
        else
                add(y,
                        "p(y|x): %zu of %zu classes are among the model's %zu labels. Their rows "
                        "of the classifier can be kept: --keep-map map.tsv here, then resect-head "
                        "--replace --labels NEW --keep map.tsv --from MODEL.",
                        y->n_common, classes, y->n_labels);
}

void
shift_judge(shift_study *y)
{
        judge_pictures(y);
        judge_domain(y);
        judge_labels(y);
}
