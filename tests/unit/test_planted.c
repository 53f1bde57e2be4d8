/* SPDX-License-Identifier: 0BSD */
/*
 * Planted cases, from pictures to verdict: features that were learnt from nothing give no
 * advantage; labels that mean nothing cannot be told, and what learns them by heart is said to
 * overfit.
 */
#include "unit.h"

#include <string.h>
#include <unistd.h>
#include "base/random.h"
#include "resect/verdict.h"
#include "small_job.h"

enum { PICTURES = 270 };
static char folder[] = "/tmp/resect-planted-XXXXXX";

static void
prepare(void)
{
        ck_assert_ptr_nonnull(mkdtemp(folder));
        small_pictures(folder, PICTURES);
}

static void
clean_up(void)
{
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", folder);
        ck_assert_int_eq(system(command), 0);
}

/* The labels become those of nobody. */
static void
forget_labels(void)
{
        char path[128];
        snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
        FILE *f = fopen(path, "r+b");
        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(fseek(f, 8, SEEK_SET), 0);
        for (uint64_t i = 0; i < PICTURES; i++)
                putc((int)rs_below(77, 1, i, JOB_CLASSES), f);
        ck_assert_int_eq(fclose(f), 0);
}

/* Runs a trial of three arms and judges it. */
static resect_verdict *
judged(double test, const resect_trial_options *o, resect_trial **t, resect_data **d,
        resect_model **m)
{
        resect_error err;
        *d = resect_data_open(folder, &(resect_data_options){.val = test}, &err);
        CK_OK(*d != NULL, err);
        *m = small_model(false);
        *t = resect_trial_make(*m, *d, o, &err);
        CK_OK(*t != NULL, err);
        CK_OK(resect_trial_go(*t, NULL, &err), err);
        resect_verdict *v = resect_trial_judge(*t, NULL, &err);
        CK_OK(v != NULL, err);
        return v;
}

static resect_trial_options
options(void)
{
        static const char *const arms[] = {"scratch", "head", "tune"};
        static const double all[] = {1}, rates[] = {0.03, 0.1};
        resect_trial_options o;
        resect_trial_defaults(&o);
        o.arms = arms;
        o.n_arms = 3;
        o.seeds = 3;
        o.fractions = all;
        o.n_fractions = 1;
        o.rates = rates;
        o.n_rates = 2;
        o.batch = 8;
        o.threads = 1;
        o.kernels = RESECT_KERNELS_REFERENCE;
        return o;
}

static bool
says(const resect_verdict *v, const char *words)
{
        bool found = strstr(v->headline, words) != NULL;
        for (size_t i = 0; i < v->n_lines; i++)
                found = found || strstr(v->lines[i], words);
        for (size_t i = 0; i < v->n_warnings; i++)
                found = found || strstr(v->warnings[i], words);
        return found;
}

/* The model's weights are as random as those of scratch. */
START_TEST(useless_features)
{
        resect_trial *t;
        resect_data *d;
        resect_model *m;
        resect_trial_options o = options();
        o.epochs = 6;
        resect_verdict *v = judged(0.6, &o, &t, &d, &m);
        ck_assert_int_eq(v->transfer, RESECT_TRANSFER_NONE);
        ck_assert_int_ne(v->kind, RESECT_VERDICT_CANNOT_TELL); /* the task itself is learnt */
        ck_assert(says(v, "No advantage") || says(v, "no advantage"));
        resect_verdict_free(v);
        resect_trial_free(t);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(meaningless_labels)
{
        resect_trial *t;
        resect_data *d;
        resect_model *m;
        resect_trial_options o = options();
        forget_labels();
        o.epochs = 40;
        o.seeds = 5;
        resect_verdict *v = judged(0.8, &o, &t, &d, &m);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_CANNOT_TELL);
        ck_assert(says(v, "annot tell"));
        bool overfits = false;
        for (size_t i = 0; i < v->arms; i++)
                overfits = overfits || v->of[i].overfits;
        ck_assert(overfits);
        ck_assert(says(v, "verfit"));
        resect_verdict_free(v);
        resect_trial_free(t);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("planted");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 300);
        tcase_add_unchecked_fixture(c, prepare, clean_up);
        tcase_add_test(c, useless_features);
        tcase_add_test(c, meaningless_labels);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
