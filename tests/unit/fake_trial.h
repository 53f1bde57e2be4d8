/* SPDX-License-Identifier: 0BSD */
/*
 * A trial whose runs are made up: pictures of noise in folders, and for each arm how well it does at each fraction. What is
 * right and wrong is drawn from a world as in test_crossed: ease of the picture, luck of the seed, the rest.
 */
#ifndef FAKE_TRIAL_H
#define FAKE_TRIAL_H

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "resect/verdict.h"
#include "resect/view.h"
#include "scratch.h"
#include "trial/trial.h"
#include "unit.h"

typedef struct fake_arm {
        const char *name, *help;
        bool simple, pretrained;
        double right[4]; /* [fractions] shares of the test pictures in the long run */
        double train;    /* of its training pictures */
        double seconds;
        double gmacs;
} fake_arm;

typedef struct fake {
        const char *const *classes;
        size_t n_classes, per_class, tests_per_class, seeds, n_fractions, n_arms, epochs;
        double fractions[4];
        const fake_arm *arms;
        double luck;          /* standard deviation of the seeds' latent luck */
        double arm_luck[4];   /* and what the first arms have beside it */
        size_t restarts;      /* passes; 0: none */
        double restart_gain;  /* latent */
        resect_data *data;
        resect_trial *t;
} fake;

static inline void
fake_picture(const char *split, const char *class, size_t i, uint64_t seed)
{
        enum { SIDE = 28 };
        unsigned char pixels[SIDE * SIDE * 3];
        char path[4600];
        resect_error err;
        /* A blot of a colour on another: no two alike, even to those who look for likeness. */
        uint64_t stream = rs_stream("blot", seed, i);
        double x = 28 * rs_uniform(1, stream, 0), y = 28 * rs_uniform(1, stream, 1), w = 3 + 9 * rs_uniform(1, stream, 2);
        for (int p = 0; p < SIDE * SIDE; p++) {
                double d = hypot(p % SIDE - x, (p / SIDE - y) * (0.5 + rs_uniform(1, stream, 3)));
                for (int c = 0; c < 3; c++)
                        pixels[p * 3 + c] = (unsigned char)(255 * rs_uniform(1, stream, (uint64_t)(d < w ? 4 + c : 8 + c + p % SIDE / 7)));
        }
        snprintf(path, sizeof path, "%s/%s", scratch_dir, split);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s/%s", scratch_dir, split, class);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s/%s/%03zu.png", scratch_dir, split, class, i);
        CK_OK(resect_picture_write(path, pixels, SIDE, SIDE, 3, &err), err);
}

static inline double
fake_latent(double share) /* the normal quantile, by bisection */
{
        double low = -6, high = 6;
        while (high - low > 1e-9) {
                double m = (low + high) / 2;
                if (0.5 * erfc(-m / sqrt(2)) < share)
                        low = m;
                else
                        high = m;
        }
        return low;
}

static inline void
fake_outcomes(const fake *k, size_t arm, size_t fraction, size_t seed, double shift, uint64_t salt, resect_trial_run *r)
{
        const size_t n = resect_data_count(k->data, RESECT_TEST);
        resect_outcome *o = RS_NEW(&k->t->arena, n, resect_outcome, NULL);
        const double share = k->arms[arm].right[fraction], luck = hypot(k->luck, arm < 4 ? k->arm_luck[arm] : 0), sd = sqrt(1 + 0.25 + luck * luck),
                     mean = (share > 0.9999 ? 9 : fake_latent(share) * sd) + shift +
                            luck * rs_normal(5, rs_stream("luck", arm + 100 * salt, fraction), seed);
        uint64_t ease = rs_stream("ease", 0, 0), own = rs_stream("own", arm * 8 + fraction, seed + 100 * salt);
        for (size_t i = 0; i < n; i++) {
                int label = resect_data_label(k->data, RESECT_TEST, i);
                double z = mean + rs_normal(5, ease, i) + 0.5 * rs_normal(5, own, i);
                int other = (label + 1 + (int)rs_below(5, own, 1000 + i, k->n_classes - 1)) % (int)k->n_classes;
                double sure = 0.5 + 0.49 * tanh(fabs(z));
                o[i] = (resect_outcome){label, z > 0 ? label : other, z > 0 ? 0 : 1, z > 0 ? -log(sure) : -log(1 - sure), sure};
        }
        r->test = o;
        r->n_test = n;
}

static inline resect_trial_run *
fake_run(const fake *k, size_t arm, size_t fraction, size_t seed, double shift, uint64_t salt)
{
        const fake_arm *a = &k->arms[arm];
        resect_trial_run *r = RS_NEW(&k->t->arena, 1, resect_trial_run, NULL);
        resect_trial_epoch *e = RS_NEW(&k->t->arena, k->epochs, resect_trial_epoch, NULL);
        const size_t pool = resect_data_count(k->data, RESECT_ALL) - resect_data_count(k->data, RESECT_TEST);
        *r = (resect_trial_run){.arm = arm, .fraction = fraction, .seed = seed, .lr = 0.01, .n_epochs = k->epochs, .best_epoch = k->epochs * 7 / 10,
                .epochs = e, .n_val = pool / 5, .n_train = (size_t)((double)(pool - pool / 5) * k->fractions[fraction])};
        r->seconds = a->seconds * k->fractions[fraction] + (double)seed;
        fake_outcomes(k, arm, fraction, seed, shift, salt, r);
        uint64_t noise = rs_stream("curve", arm, seed);
        for (size_t i = 0; i < k->epochs; i++) {
                double far = 1 - exp(-3.0 * (double)(i + 1) / (double)k->epochs);
                double v = a->right[fraction] * far + 0.03 * rs_normal(2, noise, i);
                e[i] = (resect_trial_epoch){r->seconds * (double)(i + 1) / (double)k->epochs, 0.01, 1 - far, a->train * far,
                        0.5 + fabs((double)i - 7) * 0.05, fmin(1, fmax(0, v)), 0.05};
        }
        r->train = (resect_scores){r->n_train, 0.1, a->train, 1, a->train, a->train, 0.02};
        r->val = (resect_scores){r->n_val, 1.5 - a->right[fraction], fmin(1, a->right[fraction]), 1, a->right[fraction], a->right[fraction], 0.05};
        return r;
}

/* Needs scratch_make; ends with fake_done. */
static inline void
fake_make(fake *k)
{
        static const rs_arm_kind kind = {.name = "any"}, simple = {.name = "any", .simple = true};
        static const double rates[3] = {0.001, 0.01, 0.1}, losses[3] = {0.9, 0.4, INFINITY};
        static const char *notes[2] = {"BatchNormalization was folded into the Convs; arms that train the trunk got it back.", NULL};
        resect_error err;
        for (size_t c = 0; c < k->n_classes; c++)
                for (size_t i = 0; i < k->per_class + k->tests_per_class; i++)
                        fake_picture(i < k->per_class ? "train" : "test", k->classes[c], i, c * 1000 + i);
        k->data = resect_data_open(scratch_dir, &(resect_data_options){.threads = 1}, &err);
        ck_assert_msg(k->data != NULL, "%s", err.msg);
        resect_trial *t = k->t = rs_alloc(1, sizeof *t, &err);
        t->d = k->data;
        t->journal = -1;
        t->test = RESECT_TEST;
        t->input = (resect_input){.channels = 3, .height = 28, .width = 28, .resize = 28, .mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}};
        t->o = (resect_trial_options){.seeds = k->seeds, .seed = 7, .fractions = k->fractions, .n_fractions = k->n_fractions, .restarts = k->restarts};
        t->notes = notes;
        t->n_notes = 1;
        t->settings[0] = (rs_setting_text){"batch", "32", true};
        t->settings[1] = (rs_setting_text){"optimizer", "sgd, momentum 0.9", true};
        t->n_settings = 2;
        memset(t->model_digest, 'a', 64);
        memset(t->data_digest, 'b', 64);
        t->n_arms = k->n_arms;
        t->arms = RS_NEW(&t->arena, k->n_arms, rs_arm, &err);
        t->runs = RS_NEW(&t->arena, k->n_arms * k->n_fractions * k->seeds, resect_trial_run *, &err);
        t->again = RS_NEW(&t->arena, 2 * k->seeds, resect_trial_run *, &err);
        for (size_t a = 0; a < k->n_arms; a++) {
                const fake_arm *f = &k->arms[a];
                t->arms[a].kind = f->simple ? &simple : &kind;
                t->arms[a].pub = (resect_trial_arm){.name = f->name, .help = f->help, .simple = f->simple, .pretrained = f->pretrained, .searched = true,
                        .lr = 0.01, .n_rates = 3, .rates = rates, .search_loss = losses, .search_seconds = f->seconds / 3, .search_pictures = 100,
                        .search_epochs = 3, .epochs = k->epochs, .macs = (uint64_t)(f->gmacs * 1e9), .parameters = 42500000, .trained = f->simple ? 4098 : 42500000};
                for (size_t p = 0; p < k->n_fractions; p++)
                        for (size_t s = 0; s < k->seeds; s++)
                                *rs_trial_slot(t, a, p, s) = fake_run(k, a, p, s, 0, 0);
        }
        const size_t again = k->restarts ? rs_restart_arm(t) : 0;
        for (size_t s = 0; s < k->seeds && k->restarts; s++) {
                t->again[2 * s] = fake_run(k, again, k->n_fractions - 1, s, k->restart_gain, 0);
                t->again[2 * s + 1] = fake_run(k, again, k->n_fractions - 1, s, 0, 0);
        }
}

static inline void
fake_done(fake *k)
{
        rs_arena_free(&k->t->arena);
        rs_free(k->t);
        resect_data_free(k->data);
}

#endif
