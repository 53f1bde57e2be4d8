/* SPDX-License-Identifier: 0BSD */
/*
 * The controlled trial: one network, one data set, several ways ("arms") of using what the network knows, under the same pictures,
 * order, augmentation and budget, repeated over seeds and parts of the data. A trial is a list of runs; each finished run is a line
 * of a journal, so that a trial that was stopped goes on where it was.
 */
#ifndef RESECT_TRIAL_H
#define RESECT_TRIAL_H

#include "resect/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Start from resect_trial_defaults. */
typedef struct resect_trial_options {
        const char *const *arms;      /* [n_arms] "scratch", "head", "tune", "reset:K", "freeze:K", "truncate:K", "adabn"; NULL: scratch,
                                         head, tune, reset:1, and for a network of S > 1 stages freeze:S-1 and truncate:S-1 */
        size_t n_arms;
        size_t seeds;                 /* repeats, each with its own initialisation, order and division into training and validation */
        uint64_t seed;                /* of the first; the others are the next numbers */
        const double *fractions;      /* [n_fractions] parts of the training pictures, ascending, in (0, 1]; NULL: 0.25, 0.5, 1 */
        size_t n_fractions;
        size_t epochs;                /* passes over the data in every run; 0: by budget */
        double budget;                /* seconds of compute for an arm, all its runs and its search together; 0: by epochs. The passes of a
                                         run are then counted from the time that a pass took in the search: 1 to 200 */
        const double *rates;          /* [n_rates] learning rates to search, ascending; one: it is taken; NULL: 0.001 0.003 0.01 0.03 0.1 */
        size_t n_rates;
        double val;                   /* part of the training pictures that a seed holds out for validation */
        size_t batch;
        resect_augment augment;       /* of every arm. With flip alone a frozen trunk's features are computed once; crop, jitter or pad
                                         cost every arm every picture in every pass */
        double weight_decay;
        const resect_input *input;    /* NULL: what the model records (resect_input_of); a model of a fixed size is set to this one */
        size_t restarts;              /* passes over the data after convergence, at a raised learning rate, for the restart question; 0: not asked */
        int jobs;                     /* runs at once, each with threads / jobs threads (at least one) */
        int threads;                  /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact;                   /* as in resect_plan_options */
        const char *journal;          /* file; NULL: none */
        const char *keep;             /* folder for each arm's best model (made when it is not there); NULL: none */
        const char *history;          /* line for the history of the models kept, or NULL */
} resect_trial_options;

/* Five seeds, fractions 0.25, 0.5 and 1, 10 epochs of batches of 32, a validation part of 0.2, weight decay 1e-4, one job. */
RESECT_API void resect_trial_defaults(resect_trial_options *o);

/* One pass over the data of one run. */
typedef struct resect_trial_epoch {
        double seconds;               /* since the beginning of the run: features of a frozen trunk and validations so far included */
        double lr;                    /* at its end */
        double loss, top1;            /* on the training pictures as they were seen */
        double val_loss, val_top1, val_ece;
} resect_trial_epoch;

/* One run. Borrowed from the trial. */
typedef struct resect_trial_run {
        size_t arm, fraction, seed;   /* numbers: into the arms, the fractions, 0 .. seeds-1 */
        double lr;
        size_t n_train, n_val;
        size_t n_epochs, best_epoch;  /* best by validation (top-1, then loss), from 1; 0: the weights that it began with */
        const resect_trial_epoch *epochs; /* [n_epochs] */
        bool diverged;                /* it ended early, on a number that was not finite; what it had kept before was judged */
        double seconds;               /* all of it: making the model, training, validation, and the figures below */
        resect_scores train, val;     /* the kept weights on the training pictures (not augmented) and the validation pictures */
        size_t n_test;
        const resect_outcome *test;   /* [n_test] in the order of the test split; the same pictures for every run */
} resect_trial_run;

typedef struct resect_trial_arm {
        const char *name;             /* "reset:1" */
        const char *help;             /* "the last stage re-initialised, everything trained": for people */
        bool simple;                  /* only a new classifier is trained */
        bool pretrained;              /* false: scratch */
        bool searched;                /* the figures below are there */
        double lr;                    /* chosen by the search */
        bool lr_at_edge;              /* it lies at an end of the rates that were tried */
        size_t n_rates;               /* 0: there was one rate to take */
        const double *rates, *search_loss; /* [n_rates] what was tried, ascending, and the least validation loss of each; infinite where
                                              it diverged */
        double search_seconds;
        size_t search_pictures, search_epochs; /* what a rate was tried on */
        size_t epochs;                /* passes of each run */
        uint64_t macs;                /* of a forward pass of one picture; 0 unknown */
        uint64_t parameters, trained; /* parameters in all (statistics of BatchNormalization are none), and those that training may change */
} resect_trial_arm;

/* Where a trial is. */
typedef struct resect_trial_progress {
        const char *what;             /* "search", "run", "restart" */
        const char *arm;
        double fraction;
        size_t seed;                  /* as options.seed counts */
        double lr;                    /* 0 until it is known */
        size_t epoch, epochs;         /* passes of this run done */
        size_t done, total;           /* searches and runs finished, and in all */
        double seconds_left;          /* by the time that finished ones took; below 0: not known yet */
} resect_trial_progress;

/* What the caller hears, one call at a time whatever the number of jobs. Any may be NULL. A false from progress stops the trial with
   STOPPED; what is not finished is lost, what is stands in the journal. */
typedef struct resect_trial_events {
        void *ctx;
        bool (*progress)(void *ctx, const resect_trial_progress *p); /* after each step */
        void (*finished)(void *ctx, const resect_trial_progress *p); /* a search or a run */
} resect_trial_events;

typedef struct resect_trial resect_trial;

/*
 * Lays a trial out. Model and data are borrowed and must outlive it; the options are copied. The test pictures are the test split of
 * the data, else its validation split (ARG when there is neither); all others are the pool. Each seed divides the pool by Philox, within
 * each class, into validation and training; a fraction is a prefix of a class's training pictures in the seed's order, so that smaller
 * fractions lie within larger ones; every arm of a seed and fraction sees the same pictures in the same order with the same
 * augmentation. The classifier is always a new one with a row for each class of the data. A BatchNormalization that an exporter folded is put back in every arm that
 * trains the trunk, measured on the run's own training pictures.
 *
 * Reads the journal if it is there. Journals of another model, data or options are refused (ARG), lines that were cut short are
 * dropped. Seeds, arms, and fractions but the largest may be others than when it was begun (not with a budget): what is there is
 * used, what lacks is run.
 */
RESECT_API resect_trial *resect_trial_make(resect_model *m, const resect_data *d, const resect_trial_options *o, resect_error *err)
        RESECT_MUST;
RESECT_API void resect_trial_free(resect_trial *t);

/*
 * Does the searches and all runs that are not in the journal, and after them the restarts. A search tries each rate in a run on half of
 * the first seed's training pictures at the largest fraction (at least two batches and at most 1000 pictures, a prefix as any
 * fraction), with a third of the passes (3 to 10; no more than a run has; by budget as many as a fifth of it allows), and takes the rate with the least loss on the validation
 * pictures and the training pictures that it left out (at most 1000 in all, in each class's share; few pictures would choose by chance); when that is
 * at an end of the grid, the grid grows by a step of the same factor there, twice at most.
 *
 * Fails with STOPPED, or as resect_train does; a learning rate that diverges is the worst of its search, no failure.
 */
RESECT_API bool resect_trial_go(resect_trial *t, const resect_trial_events *events, resect_error *err) RESECT_MUST;

/* What was laid out. */
RESECT_API const resect_data *resect_trial_data(const resect_trial *t);
RESECT_API resect_split resect_trial_test_split(const resect_trial *t); /* of that data */
RESECT_API size_t resect_trial_seed_count(const resect_trial *t);
RESECT_API uint64_t resect_trial_seed(const resect_trial *t, size_t i);
RESECT_API size_t resect_trial_fraction_count(const resect_trial *t);
RESECT_API double resect_trial_fraction(const resect_trial *t, size_t i);
RESECT_API size_t resect_trial_arm_count(const resect_trial *t);
RESECT_API bool resect_trial_arm_at(const resect_trial *t, size_t i, resect_trial_arm *out); /* false past the end */
/* The arms that can be named: "reset:K" and its help; NULL past the end. */
RESECT_API const char *resect_trial_arm_kind(size_t i, const char **help);

/* The finished runs, ordered by arm, fraction and seed. */
RESECT_API size_t resect_trial_run_count(const resect_trial *t);
RESECT_API bool resect_trial_run_at(const resect_trial *t, size_t i, resect_trial_run *out);
RESECT_API bool resect_trial_complete(const resect_trial *t); /* nothing is left to do */

/*
 * The restart question: from the kept weights of the best arm that trains the trunk (by validation at the largest fraction, over the
 * seeds), `passes` more over the data with warm restarts at the arm's learning rate, against as many at a hundredth of it. Weights that are better by validation
 * replace the ones begun with; best_epoch 0 says that none were. base, restarted and steady are runs of the same seed.
 */
typedef struct resect_trial_restart {
        resect_trial_run base, restarted, steady;
} resect_trial_restart;
RESECT_API size_t resect_trial_restart_count(const resect_trial *t);
RESECT_API bool resect_trial_restart_at(const resect_trial *t, size_t i, resect_trial_restart *out);

/* What was done to the model and the data, a line each ("BatchNormalization was folded; ..."); NULL past the end. */
RESECT_API const char *resect_trial_note(const resect_trial *t, size_t i);
/* Every setting that the results depend on, as text ("batch", "32"); false past the end. */
RESECT_API bool resect_trial_setting(const resect_trial *t, size_t i, const char **name, const char **value);
/* SHA-256 of the model's bytes and of the data (resect_data_digest), in hexadecimal. */
RESECT_API void resect_trial_digests(const resect_trial *t, char model[65], char data[65]);

#ifdef __cplusplus
}
#endif
#endif
