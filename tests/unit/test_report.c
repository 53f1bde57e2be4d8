/* SPDX-License-Identifier: 0BSD */
/* Every figure and every word that resect-trial --json names stands in the report, written by the
 * same functions. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "fake_trial.h"

#include <ctype.h>
#include "data/data.h"
#include "tools/trial_json.h"

static char *page;
static size_t looked_at, absent;

/* The text of the page: no tags, no entities, single spaces. */
static char *
text_of(const char *html)
{
        static const char *const entity[][2] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"},
                {"&quot;", "\""}, {"&#39;", "'"}, {"\xc2\xa0", " "}};
        char *out = calloc(strlen(html) + 2, 1), *to = out;
        for (const char *at = html; *at;) {
                size_t e = 0;
                if (*at == '<') {
                        at = strchr(at, '>') + 1;
                        *to++ = '|';
                        continue;
                }
                while (e < sizeof entity / sizeof *entity &&
                        strncmp(at, entity[e][0], strlen(entity[e][0])) != 0)
                        e++;
                if (e < sizeof entity / sizeof *entity) {
                        *to++ = *entity[e][1];
                        at += strlen(entity[e][0]);
                } else {
                        *to++ = *at++;
                }
        }
        return out;
}

/* A figure stands by itself: 5 is not found in 15 or 5.2. */
static bool
stands(const char *what)
{
        for (const char *at = page; (at = strstr(at, what)); at++) {
                const char before = at == page ? ' ' : at[-1], after = at[strlen(what)];
                bool digits = isdigit((unsigned char)*what) &&
                              (isdigit((unsigned char)before) || before == '.' || before == '-' ||
                                      before == '+');
                if (!digits && !isdigit((unsigned char)after))
                        return true;
        }
        return false;
}

static void
look_for(const char *key, const char *what)
{
        looked_at++;
        if (!stands(what)) {
                absent++;
                printf("%s: %s is not in the report\n", key, what);
        }
}

static const char *const shares[] = {"chance", "fraction", "balanced", "macro_f1", "training",
        "validation", "test_top1", "rise", "calibration_error", "right", NULL};
static const char *const points[] = {
        "gap", "points", "less_start", "less_steady", "detectable", NULL};
static const char *const times[] = {"seconds", "search_seconds", NULL};
static const char *const losses[] = {"test_loss", NULL};
static const char *const means[] = {"pictures", NULL};
static const char *const counts[] = {"multiplications", "parameters", "trained", NULL};

static bool
among(const char *key, const char *const *list)
{
        for (; *list; list++)
                if (strcmp(key, *list) == 0)
                        return true;
        return false;
}

static void
figure(const char *key, const char *parent, double x)
{
        char s[32];
        /* A range is of what its parent is of. */
        const char *k =
                strcmp(key, "value") && strcmp(key, "low") && strcmp(key, "high") ? key : parent;
        if (among(k, shares))
                look_for(key, resect_say_share(s, x));
        else if (among(k, points))
                look_for(key, resect_say_points(s, x));
        else if (among(k, times))
                look_for(key, resect_say_seconds(s, x));
        else if (among(k, counts))
                look_for(key, resect_say_count(s, x));
        else if (k[0] == 'p' && (!k[1] || k[1] == '_'))
                look_for(key, resect_say_p(s, x));
        else {
                if (among(k, losses))
                        snprintf(s, sizeof s, "%.3f", x);
                else if (!strcmp(k, "validation_loss"))
                        snprintf(s, sizeof s, "%.4f", x);
                else if (!strcmp(k, "spread"))
                        snprintf(s, sizeof s, "%.1f", 100 * x);
                else if (strstr(k, "points_per"))
                        snprintf(s, sizeof s, "%.3g", x);
                else if (!strcmp(k, "best_pass") && !strcmp(parent, "arms"))
                        snprintf(s, sizeof s, "%.1f", x);
                else if (among(k, means))
                        snprintf(s, sizeof s, "%.0f", x);
                else
                        snprintf(s, sizeof s, "%g", x);
                look_for(key, s);
        }
}

static void
walk(json_t *v, const char *key, const char *parent)
{
        const char *k;
        json_t *child;
        size_t i;
        if (json_is_object(v)) {
                json_object_foreach(v, k, child) walk(child, k, key);
        } else if (json_is_array(v)) {
                json_array_foreach(v, i, child) walk(child, key, parent);
        } else if (json_is_number(v)) {
                figure(key, parent, json_number_value(v));
        } else if (json_is_string(v)) {
                const char *text = json_string_value(v), *slash = strrchr(text, '/');
                /* Kinds are for programs; pictures are shown by their last names. */
                if (strcmp(key, "kind") != 0 && strcmp(key, "transfer") != 0)
                        look_for(key, !strcmp(key, "mistakes") && slash ? slash + 1 : text);
        }
}

static const char *const classes[] = {"<script>", "a\"b' & c", "bees"};
static const fake_arm arms[] = {
        {"scratch", "everything trained, fresh", false, false, {0.5, 0.55, 0.62}, 0.9, 300, 7.8},
        {"head", "a new classifier trained", true, true, {0.88, 0.9, 0.92}, 0.97, 12, 7.8},
        {"tune", "everything trained", false, true, {0.85, 0.9, 0.93}, 0.99, 310, 7.8}};

static const fake world = {.classes = classes,
        .n_classes = 3,
        .per_class = 20,
        .tests_per_class = 25,
        .seeds = 3,
        .n_fractions = 3,
        .n_arms = 3,
        .epochs = 10,
        .fractions = {0.25, 0.5, 1},
        .arms = arms,
        .luck = 0.1,
        .restarts = 4,
        .restart_gain = 0.2};

static char *
report(const fake *k, resect_verdict *v)
{
        resect_error err;
        char path[4200];
        struct stat st;
        snprintf(path, sizeof path, "%s/report.html", scratch_dir);
        const resect_report_options o = {
                "net.onnx", "photos/", "resect-trial net.onnx photos/ -o report.html"};
        CK_OK(resect_trial_report(k->t, v, &o, path, &err), err);
        ck_assert_int_eq(stat(path, &st), 0);
        char *html = calloc((size_t)st.st_size + 1, 1);
        FILE *f = fopen(path, "rb");
        ck_assert_uint_eq(fread(html, 1, (size_t)st.st_size, f), (size_t)st.st_size);
        fclose(f);
        return html;
}

START_TEST(every_figure_stands_in_the_page)
{
        fake k = world;
        resect_error err;
        scratch_make();
        fake_make(&k);
        resect_verdict *v = resect_trial_judge(k.t, &(resect_judge_options){.rounds = 999}, &err);
        ck_assert_msg(v != NULL, "%s", err.msg);
        char *html = report(&k, v);
        page = text_of(html);
        json_t *all = trial_json(k.t, v);
        walk(all, "", "");
        printf("%zu figures and words of the JSON looked for, %zu absent\n", looked_at, absent);
        ck_assert_uint_gt(looked_at, 500);
        ck_assert_uint_eq(absent, 0);
        /* And the test can fail. */
        ck_assert(!stands("123.4 %"));
        json_decref(all);
        free(page);
        free(html);
        resect_verdict_free(v);
        fake_done(&k);
        scratch_done();
}
END_TEST

/* A network that takes its channels last shows the same pictures. */
START_TEST(layouts)
{
        fake k = world;
        resect_error err;
        scratch_make();
        fake_make(&k);
        /* The same as numbers, without files. */
        resect_data *d = k.data;
        const size_t each = 3 * 28 * 28;
        float *x = calloc(d->n_samples * each, sizeof *x);
        for (size_t i = 0; i < d->n_samples * each; i++)
                x[i] = (float)(i % 1009 * (i % 7));
        for (size_t i = 0; i < d->n_samples; i++)
                d->samples[i].row = i;
        d->x.data = x;
        memcpy(d->chw, (int64_t[]){3, 28, 28}, sizeof d->chw);
        resect_verdict *v = resect_trial_judge(k.t, &(resect_judge_options){.rounds = 999}, &err);
        ck_assert_msg(v != NULL, "%s", err.msg);
        for (int raw = 0; raw < 2; raw++) {
                char *page_of[2];
                for (int last = 0; last < 2; last++) {
                        d->kind = raw ? RS_TENSOR : RS_FILES;
                        k.t->input.nhwc = last;
                        page_of[last] = report(&k, v);
                        ck_assert_ptr_nonnull(strstr(page_of[last], "data:image/png"));
                }
                ck_assert_msg(!strcmp(page_of[0], page_of[1]), "raw: %d", raw);
                free(page_of[0]);
                free(page_of[1]);
        }
        d->kind = RS_FILES;
        d->x.data = NULL;
        free(x);
        resect_verdict_free(v);
        fake_done(&k);
        scratch_done();
}
END_TEST

UNIT_MAIN("report", every_figure_stands_in_the_page, layouts)
