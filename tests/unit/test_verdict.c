/* SPDX-License-Identifier: 0BSD */
/* Verdicts of made-up trials, whose truth is known: what is chosen, what is proven, and what is
 * said of it. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "fake_trial.h"

static const char *const odd_classes[] = {"<script>", "a\"b' & c", "bees"};

static fake
world(const fake_arm *arms, size_t n)
{
        return (fake){.classes = odd_classes,
                .n_classes = 3,
                .per_class = 40,
                .tests_per_class = 40,
                .seeds = 5,
                .n_fractions = 3,
                .n_arms = n,
                .epochs = 10,
                .fractions = {0.25, 0.5, 1},
                .arms = arms,
                .luck = 0.1};
}

static resect_verdict *
judged(fake *k)
{
        resect_error err;
        scratch_make();
        fake_make(k);
        resect_verdict *v = resect_trial_judge(k->t, &(resect_judge_options){.rounds = 1999}, &err);
        ck_assert_msg(v != NULL, "%s", err.msg);
        return v;
}

static void
over(fake *k, resect_verdict *v)
{
        if (getenv("RESECT_SHOW")) {
                printf("\n%s\n", v->headline);
                for (size_t i = 0; i < v->n_lines; i++)
                        printf("- %s\n", v->lines[i]);
                for (size_t i = 0; i < v->n_warnings; i++)
                        printf("! %s\n", v->warnings[i]);
                char path[4200];
                static int count;
                resect_error err;
                snprintf(path, sizeof path, "%s/report-%d.html", getenv("RESECT_SHOW"), count++);
                const resect_report_options o = {"resnet101.onnx", "photos/",
                        "resect-trial resnet101.onnx photos/ --seeds 3 --epochs 10 -o report.html"};
                CK_OK(resect_trial_report(k->t, v, &o, path, &err), err);
        }
        resect_verdict_free(v);
        fake_done(k);
        scratch_done();
}

static bool
says(const resect_verdict *v, const char *what)
{
        if (strstr(v->headline, what))
                return true;
        for (size_t i = 0; i < v->n_lines; i++)
                if (strstr(v->lines[i], what))
                        return true;
        return false;
}

static bool
warns(const resect_verdict *v, const char *what)
{
        for (size_t i = 0; i < v->n_warnings; i++)
                if (strstr(v->warnings[i], what))
                        return true;
        return false;
}

static const char classifier[] =
        "the trunk frozen as it came, a new classifier trained on its features",
                  all[] = "everything trained";

/* The usual case: pretrained weights help much, and nothing beats the cheapest way of using them
 * for certain. */
START_TEST(head_is_enough)
{
        static const fake_arm arms[] = {
                {"scratch", all, false, false, {0.5, 0.55, 0.62}, 0.9, 300, 7.8},
                {"head", classifier, true, true, {0.88, 0.9, 0.92}, 0.97, 12, 7.8},
                {"tune", all, false, true, {0.85, 0.9, 0.93}, 0.99, 310, 7.8},
                {"reset:1", all, false, true, {0.8, 0.86, 0.91}, 0.99, 305, 7.8},
                {"truncate:3", "cut", false, true, {0.6, 0.66, 0.7}, 0.95, 200, 6.2}};
        fake k = world(arms, 5);
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_CHEAPER);
        ck_assert_int_eq(v->transfer, RESECT_TRANSFER_ADVANTAGE);
        ck_assert_int_eq(v->chosen, 1);
        ck_assert_int_eq(v->winner, 2);
        ck_assert_int_eq(v->reference, 1);
        ck_assert_int_eq(v->scratch, 0);
        ck_assert_int_eq(v->caught_up, -1);
        ck_assert_uint_eq(v->n_pairs, 5);
        ck_assert_uint_eq(v->family, 4);
        ck_assert(says(v, "Use head"));
        ck_assert(says(v, "tune, the best by validation, is not proven better"));
        ck_assert(says(v, "times as long to train"));
        ck_assert(says(v, "does not catch up"));
        ck_assert(says(v, "Proven worse than head"));
        ck_assert(!says(v, "proves nothing"));
        ck_assert_double_eq_tol(v->chance, 1.0 / 3, 1e-12);
        for (size_t i = 0; i < v->n_pairs; i++)
                ck_assert(v->pairs[i].p >= v->pairs[i].difference.p);
        size_t sum = 0;
        for (int i = 0; i < 9; i++)
                sum += v->confusion[i];
        ck_assert_uint_eq(sum, 5 * 120);
        over(&k, v);
}
END_TEST

/* What one comparison would show is not proven among six, and that is said beside its interval. */
START_TEST(one_of_many)
{
        static const fake_arm arms[] = {
                {"head", classifier, true, true, {0.88, 0.9, 0.92}, 0.97, 12, 7.8},
                {"truncate:1", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 3.9},
                {"truncate:2", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 2},
                {"reset:3", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 7.8},
                {"reset:4", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 7.8},
                {"reset:5", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 7.8},
                {"reset:6", all, false, true, {0.85, 0.86, 0.87}, 0.99, 305, 7.8}};
        fake k = world(arms, 7);
        resect_verdict *v = judged(&k);
        size_t alone = 0;
        for (size_t i = 0; i < v->n_pairs; i++) {
                const resect_verdict_pair *q = &v->pairs[i];
                alone += q->p > 0.05 && (q->difference.low > 0 || q->difference.high < 0);
        }
        ck_assert_uint_gt(alone, 0);
        ck_assert(says(v, "among 6 at once it proves nothing"));
        /* truncate:2 is smaller, and its own interval is below 0 */
        ck_assert(says(v,
                "truncate:1 takes 50 % of the multiplications and is not told apart from head, -"));
        over(&k, v);
}
END_TEST

/* The best by validation swings too much from seed to seed to be proven better; another arm is, and
 * must not be passed over for the reference that it beats. */
START_TEST(proven_beats_promising)
{
        static const fake_arm arms[] = {
                {"scratch", all, false, false, {0.3, 0.5, 0.82}, 1, 300, 7.8},
                {"head", classifier, true, true, {0.5, 0.5, 0.5}, 0.7, 12, 7.8},
                {"tune", all, false, true, {0.7, 0.75, 0.8}, 0.99, 310, 7.8}};
        fake k = world(arms, 3);
        k.arm_luck[0] = 4;
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->winner, 0);
        ck_assert_int_eq(v->reference, 1);
        ck_assert_int_eq(v->chosen, 2);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_PROVEN);
        ck_assert(says(v, "Use tune"));
        ck_assert(says(v, "percentage points more than head"));
        ck_assert(says(v, "scratch was better on the validation pictures"));
        over(&k, v);
}
END_TEST

/* Of two that cannot be told apart, the cheaper is no good advice when it alone is not shown to
 * have learned anything. */
START_TEST(cheap_but_ignorant)
{
        static const fake_arm arms[] = {
                {"head", classifier, true, true, {0.42, 0.42, 0.42}, 0.5, 12, 7.8},
                {"tune", all, false, true, {0.45, 0.45, 0.5}, 0.99, 310, 7.8}};
        fake k = world(arms, 2);
        k.seeds = 3;
        k.arm_luck[0] = 0.6;
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->reference, 0);
        ck_assert_double_le(v->cells[2].test.low, v->chance);
        ck_assert_double_gt(v->cells[5].test.low, v->chance);
        ck_assert_double_gt(v->pairs[0].p, 0.05);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_LEARNED);
        ck_assert_int_eq(v->chosen, 1);
        ck_assert(says(v, "Use tune"));
        ck_assert(says(v, "not shown to have learned anything"));
        over(&k, v);
}
END_TEST

START_TEST(more_training_is_better)
{
        static const fake_arm arms[] = {
                {"scratch", all, false, false, {0.4, 0.7, 0.88}, 1, 300, 7.8},
                {"head", classifier, true, true, {0.6, 0.62, 0.64}, 0.7, 12, 7.8},
                {"tune", all, false, true, {0.7, 0.8, 0.93}, 0.99, 310, 7.8}};
        fake k = world(arms, 3);
        k.seeds = 5;
        k.restarts = 5;
        k.restart_gain = 1;
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_PROVEN);
        ck_assert_int_eq(v->chosen, 2);
        ck_assert(says(v, "Use tune"));
        ck_assert(says(v, "percentage points more than head"));
        ck_assert(says(v, "Scratch catches up within the data") || v->caught_up < 0);
        ck_assert_uint_eq(v->restarts, 5);
        ck_assert_int_eq(v->restart_arm, 2);
        ck_assert(says(v, "Restarts"));
        ck_assert(v->restart[0].value > 0);
        over(&k, v);
}
END_TEST

/* Features that say nothing: scratch is better, or no worse. */
START_TEST(useless_features)
{
        static const fake_arm arms[] = {
                {"scratch", all, false, false, {0.7, 0.8, 0.9}, 1, 300, 7.8},
                {"head", classifier, true, true, {0.36, 0.36, 0.36}, 0.4, 12, 7.8},
                {"tune", all, false, true, {0.6, 0.7, 0.75}, 0.99, 310, 7.8}};
        fake k = world(arms, 3);
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->transfer, RESECT_TRANSFER_HARM);
        ck_assert_int_eq(v->chosen, 0);
        ck_assert(says(v, "Train from scratch"));
        ck_assert(says(v, "No advantage"));
        ck_assert(warns(v, "Negative transfer"));
        over(&k, v);
        static const fake_arm even[] = {
                {"scratch", all, false, false, {0.7, 0.8, 0.9}, 1, 300, 7.8},
                {"tune", all, false, true, {0.7, 0.8, 0.9}, 0.99, 310, 7.8}};
        k = world(even, 2);
        v = judged(&k);
        ck_assert_int_eq(v->transfer, RESECT_TRANSFER_NONE);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_CHEAPER);
        ck_assert(says(v, "No advantage of the pretrained weights is shown"));
        over(&k, v);
}
END_TEST

START_TEST(random_labels)
{
        static const double third = 1.0 / 3;
        const fake_arm arms[] = {{"scratch", all, false, false, {third, third, third}, 1, 300, 7.8},
                {"head", classifier, true, true, {third, third, third}, 0.8, 12, 7.8},
                {"tune", all, false, true, {third, third, third}, 1, 310, 7.8}};
        fake k = world(arms, 3);
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_CANNOT_TELL);
        ck_assert(says(v, "Cannot tell"));
        ck_assert(v->of[0].overfits && v->of[2].overfits);
        ck_assert(says(v, "Overfitting: more right on the training pictures"));
        over(&k, v);
}
END_TEST

/* One arm, one seed, one fraction; and a trial that was stopped. */
START_TEST(little_is_there)
{
        static const fake_arm arms[] = {{"head", classifier, true, true, {0.9}, 0.95, 12, 7.8},
                {"tune", all, false, true, {0.9}, 0.95, 300, 7.8}};
        fake k = world(arms, 1);
        k.seeds = k.n_fractions = 1;
        k.fractions[0] = 1;
        resect_verdict *v = judged(&k);
        ck_assert_int_eq(v->transfer, RESECT_TRANSFER_UNKNOWN);
        ck_assert_uint_eq(v->n_pairs, 0);
        ck_assert(warns(v, "One seed"));
        over(&k, v);
        k = world(arms, 2);
        k.n_fractions = 1;
        k.fractions[0] = 1;
        resect_error err;
        scratch_make();
        fake_make(&k);
        *rs_trial_slot(k.t, 1, 0, 4) = NULL;
        v = resect_trial_judge(k.t, NULL, &err);
        ck_assert(v && warns(v, "not finished: 9 of 10"));
        ck_assert_uint_eq(v->pairs[0].seeds, 4);
        resect_verdict_free(v);
        for (int i = 0; i < 10; i++)
                k.t->runs[i] = NULL;
        ck_assert(!resect_trial_judge(k.t, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        fake_done(&k);
        scratch_done();
}
END_TEST

/* Names from the data do not become part of the page, and nothing is asked of other files. */
START_TEST(the_report_is_one_page)
{
        static const fake_arm arms[] = {
                {"scratch", all, false, false, {0.5, 0.55, 0.62}, 0.9, 300, 7.8},
                {"head", classifier, true, true, {0.8, 0.81, 0.82}, 0.97, 12, 7.8}};
        fake k = world(arms, 2);
        resect_verdict *v = judged(&k);
        resect_error err;
        char path[4200];
        struct stat st;
        snprintf(path, sizeof path, "%s/report.html", scratch_dir);
        CK_OK(resect_trial_report(k.t, v, NULL, path, &err), err);
        ck_assert_int_eq(stat(path, &st), 0);
        char *page = calloc((size_t)st.st_size + 1, 1);
        FILE *f = fopen(path, "rb");
        ck_assert_uint_eq(fread(page, 1, (size_t)st.st_size, f), (size_t)st.st_size);
        fclose(f);
        ck_assert_ptr_null(strstr(page, "<script"));
        ck_assert_ptr_nonnull(strstr(page, "&lt;script&gt;"));
        ck_assert_ptr_null(strstr(page, "href=\"http"));
        ck_assert_ptr_null(strstr(page, "src=\"http"));
        ck_assert_ptr_nonnull(strstr(page, "data:image/png;base64,"));
        char headline[64];
        snprintf(headline, sizeof headline, "%.40s", v->headline);
        ck_assert_ptr_nonnull(strstr(page, headline));
        free(page);
        ck_assert(!resect_trial_report(k.t, v, NULL, "/nowhere/report.html", &err));
        over(&k, v);
}
END_TEST

/* The test pictures contradict the validation pictures, and no arm is simple: what is said of the
 * reference is true of it. Equal by accuracy, the lower loss is better, at every part of the data.
 */
START_TEST(no_simple_arm)
{
        static const fake_arm arms[] = {
                {"tune", all, false, true, {0.9, 0.92, 0.95}, 0.99, 310, 7.8},
                {"scratch", all, false, false, {0.4, 0.45, 0.5}, 0.9, 300, 7.8}};
        resect_error err;
        fake k = world(arms, 2);
        scratch_make();
        fake_make(&k);
        for (size_t f = 0; f < k.n_fractions; f++)
                for (size_t s = 0; s < k.seeds; s++) {
                        resect_trial_run *tune = *rs_trial_slot(k.t, 0, f, s),
                                         *scratch = *rs_trial_slot(k.t, 1, f, s);
                        tune->val.top1 = scratch->val.top1 = 0.75;
                        tune->val.loss = 0.5;
                        scratch->val.loss = 0.25;
                }
        resect_verdict *v = resect_trial_judge(k.t, &(resect_judge_options){.rounds = 1999}, &err);
        ck_assert_msg(v != NULL, "%s", err.msg);
        ck_assert_int_eq(v->kind, RESECT_VERDICT_PROVEN);
        ck_assert_int_eq(v->winner, 1);
        ck_assert_int_eq(v->reference, 1);
        ck_assert_int_eq(v->chosen, 0);
        ck_assert(says(v, "more than scratch, the best by validation ("));
        ck_assert(!says(v, "only trains a classifier"));
        ck_assert(!says(v, "was better on the validation pictures"));
        ck_assert(!says(v, "with fewer training pictures"));
        over(&k, v);
}
END_TEST

START_TEST(figures_as_words)
{
        char s[32];
        ck_assert_str_eq(resect_say_share(s, 0.9412), "94.1 %");
        ck_assert_str_eq(resect_say_share(s, NAN), "?");
        ck_assert_str_eq(resect_say_count(s, 999), "999");
        ck_assert_str_eq(resect_say_count(s, 42500000), "42.5 M");
        ck_assert_str_eq(resect_say_count(s, 999600), "1 M");
        ck_assert_str_eq(resect_say_count(s, NAN), "?");
        ck_assert_str_eq(resect_say_points(s, 0.032), "+3.2");
        ck_assert_str_eq(resect_say_points(s, -0.032), "-3.2");
        ck_assert_str_eq(resect_say_points(s, -0.0001), "0.0");
        ck_assert_str_eq(resect_say_p(s, 0.01234), "0.0123");
        ck_assert_str_eq(resect_say_seconds(s, 83.44), "83.4 s");
}
END_TEST

UNIT_MAIN("verdict", head_is_enough, one_of_many, more_training_is_better, proven_beats_promising,
        cheap_but_ignorant, useless_features, random_labels, little_is_there,
        the_report_is_one_page, no_simple_arm, figures_as_words)
