/* SPDX-License-Identifier: 0BSD */
/*
 * What a trial came to: which arm to use, by how much it is better, how sure that is and when it would change; in numbers and in
 * words. Choices are made by validation pictures alone, so that the figures on the test pictures are free of them.
 */
#ifndef RESECT_VERDICT_H
#define RESECT_VERDICT_H

#include "resect/probe.h"
#include "resect/trial.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RESECT_ARM_NONE = -1 };

typedef enum resect_verdict_kind {
        RESECT_VERDICT_PROVEN,     /* the chosen arm is proven better than the best simple one, or is that one and proven better than all that train more */
        RESECT_VERDICT_CHEAPER,    /* nothing is proven better than it; it costs less */
        RESECT_VERDICT_LEARNED,    /* the best by validation: it is not proven better than the best simple one, but that one is not proven better than
                                      the commonest class */
        RESECT_VERDICT_CANNOT_TELL /* neither the chosen arm nor the best by validation is proven better than the commonest class */
} resect_verdict_kind;

typedef enum resect_transfer {
        RESECT_TRANSFER_UNKNOWN,   /* there was no scratch arm, or no other one */
        RESECT_TRANSFER_ADVANTAGE, /* the best pretrained arm is proven better than scratch */
        RESECT_TRANSFER_NONE,      /* neither is proven better */
        RESECT_TRANSFER_HARM       /* scratch is proven better: negative transfer */
} resect_transfer;

/* An arm at a fraction of the training pictures. */
typedef struct resect_verdict_cell {
        size_t runs;          /* finished; all else is 0 without any */
        double pictures;      /* trained on, mean over the runs */
        resect_crossed test;  /* top-1 on the test pictures */
        double val, val_loss; /* means over the runs: what choices are made by */
} resect_verdict_cell;

/* An arm at the largest fraction. */
typedef struct resect_verdict_arm {
        double train, balanced, macro_f1, loss, ece; /* means over the runs: train of the training pictures, the others of the test pictures */
        resect_crossed gap;    /* training accuracy less test accuracy */
        bool overfits;         /* the gap is more than 0.1 for certain */
        double best_epoch;     /* mean */
        double rise;           /* validation loss after the last pass over that of the best, less 1; mean over the runs */
        size_t diverged;       /* runs that ended early */
        double seconds;        /* of a run, mean */
        double points_per_second, points_per_gmac; /* percentage points above chance, by seconds of a run and by 1e9 multiplications of a picture */
} resect_verdict_arm;

/* a less b, on the seeds that both have. Two questions are asked, each at its own level: whether pretrained weights are of use (the transfer
   pair alone), and whether any arm beats the reference (all others: the family). */
typedef struct resect_verdict_pair {
        size_t a, b;
        size_t seeds;
        resect_crossed difference; /* detectable is for the whole family */
        double p;                  /* difference.p by Holm's correction over the family; as it is for the transfer pair, a question of its own */
} resect_verdict_pair;

/* Borrowed parts live as long as the verdict. Arms are numbers of the trial's, or RESECT_ARM_NONE. */
typedef struct resect_verdict {
        resect_verdict_kind kind;
        resect_transfer transfer;
        double level, chance;  /* of intervals and tests; share of the commonest class among the test pictures */
        size_t rounds;         /* of resampling */
        size_t arms, fractions, seeds, pictures, classes; /* pictures: of the test */
        int chosen;            /* the arm to use: the best by validation of those proven better than the reference, else the reference */
        int winner;            /* best by validation at the largest fraction */
        int simple;            /* best by validation among the simple arms */
        int pretrained;        /* best by validation among those that are not scratch */
        int scratch;
        int reference;         /* what the others are compared with: simple, else the winner */
        const resect_verdict_cell *cells; /* [arms, fractions] */
        const resect_verdict_arm *of;     /* [arms] */
        const resect_verdict_pair *pairs; /* [n_pairs] at the largest fraction: arms less reference; the last may be pretrained less scratch */
        size_t n_pairs, family;           /* family: those that Holm's correction is over */
        int transfer_pair;                /* number of the pair that answers `transfer`, or -1; it may be of the opposite sign: a is scratch */
        const resect_crossed *lead;       /* [fractions] pretrained less scratch; NULL without both */
        const size_t *lead_seeds;         /* [fractions] 0: no run in common */
        int caught_up;                    /* first fraction from which on scratch is not proven behind, or -1: it stays behind */
        size_t restarts;                  /* seeds that were restarted; 0: not asked */
        int restart_arm;
        resect_crossed restart[2];        /* restarted less its own start, restarted less steady */
        double restart_p[2];              /* Holm's over the two */
        size_t depths;                    /* at which a probe and arms that train everything (truncate:K, tune) can be compared; 0: no probe */
        double rho, tau;                  /* rank correlations of the two (Spearman's, Kendall's tau-b); NAN when one of them ranks nothing, 0 below 2 depths */
        const size_t *confusion;          /* [classes, classes] of the chosen arm at the largest fraction, over its runs; row: label */
        const size_t *worst;              /* [n_worst] test pictures that the chosen arm gets wrong in most runs, the greatest mean loss first */
        size_t n_worst;
        const char *headline;             /* one sentence */
        const char *const *lines;         /* [n_lines] more sentences */
        size_t n_lines;
        const char *const *warnings;      /* [n_warnings] */
        size_t n_warnings;
} resect_verdict;

typedef struct resect_judge_options {
        double level;   /* 0: 0.95 */
        size_t rounds;  /* 0: 9999, or 1999 for more than 2000 test pictures */
        uint64_t seed;
        size_t worst;   /* at most so many; 0: 24 */
        const resect_probe *probe; /* what resect-probe said of the same model and data, to be compared with the trial; NULL: nothing. Borrowed for the call */
} resect_judge_options;

/* Judges the finished runs. options NULL: defaults. Fails with ARG when no arm has a finished run at the largest fraction. */
RESECT_API resect_verdict *resect_trial_judge(const resect_trial *t, const resect_judge_options *options, resect_error *err) RESECT_MUST;
RESECT_API void resect_verdict_free(resect_verdict *v);

/* What a report says of where it comes from; any may be NULL. */
typedef struct resect_report_options {
        const char *model, *data; /* their names */
        const char *commands;     /* that reproduce it, one a line */
} resect_report_options;

/* Writes one HTML page that needs no other file, atomically; "-" is standard output. Fails as resect_page_write, or as resect_data_sample
   when a picture is gone. */
RESECT_API bool resect_trial_report(const resect_trial *t, const resect_verdict *v, const resect_report_options *options, const char *path,
        resect_error *err) RESECT_MUST;

/* Figures as the report and the verdict write them, in at most 32 bytes: 0.9412 is "94.1 %", a difference of 0.032 is "+3.2" (percentage
   points), a p of 0.01234 is "0.0123", 83.4 seconds are "83.4 s". NAN is "?". */
RESECT_API const char *resect_say_share(char out[32], double x);
RESECT_API const char *resect_say_points(char out[32], double x);
RESECT_API const char *resect_say_p(char out[32], double x);
RESECT_API const char *resect_say_seconds(char out[32], double x);
RESECT_API const char *resect_say_count(char out[32], double x); /* 42500000 is "42.5 M" */

#ifdef __cplusplus
}
#endif
#endif
