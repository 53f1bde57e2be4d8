/* SPDX-License-Identifier: 0BSD */
/*
 * The inside of a trial. trial.c lays it out and answers questions, arms.c makes the models, draw.c
 * the divisions, lesson.c trains and judges one of them, search.c finds a rate, restart.c asks the
 * restart question, journal.c remembers, and work.c decides what is done when, and by which thread.
 *
 * What a trial knows of a finished search or run it has read from the line that went into the
 * journal (or would have gone there), so that a trial that was interrupted knows the same, digit for
 * digit, as one that was not.
 */
#ifndef RS_TRIAL_TRIAL_H
#define RS_TRIAL_TRIAL_H

#include <jansson.h>
#include <pthread.h>
#include "base/mem.h"
#include "resect/trial.h"

/* A kind of arm, a row of the table in arms.c. */
typedef struct rs_arm_kind {
        const char *name; /* "reset:K" */
        const char *help; /* with one %d for K, or none */
        bool pretrained, simple;
        bool (*make)(resect_model *m, int k, int stages, const char *seed, resect_error *err);
} rs_arm_kind;

typedef struct rs_arm {
        const rs_arm_kind *kind;
        int k;
        resect_trial_arm pub;
        bool has_kept; /* of the runs at the largest fraction: the one that validates best, so far */
        size_t kept_seed;
        resect_scores kept;
} rs_arm;

/* One seed's division of the pool. Numbers are of RESECT_ALL. */
typedef struct rs_draw {
        size_t *train;  /* class after class, each in the seed's order */
        size_t *starts; /* [classes + 1] where a class begins in it */
        size_t *val;
        size_t *val_starts; /* likewise */
        size_t n_val;
} rs_draw;

typedef struct rs_setting_text {
        const char *name, *value;
        bool identity; /* another value makes another trial */
} rs_setting_text;

struct resect_trial {
        rs_arena arena; /* of the lay-out, and under the lock of the results */
        const resect_data *d;
        resect_trial_options o;
        int threads; /* of one run */
        resect_input input;
        bool raw;          /* tensors, which take no preprocessing */
        resect_split test;
        size_t *test_list, n_test;
        void *bytes; /* the model as all arms begin with it */
        size_t size;
        const char *base;
        bool hard_links, folded;
        int stages;
        size_t norms; /* BatchNormalization in the model as it came */
        char model_digest[65], data_digest[65];
        rs_arm *arms;
        size_t n_arms;
        rs_draw *draws;            /* [seeds] */
        resect_trial_run **runs;   /* [arms, fractions, seeds], NULL: not yet */
        resect_trial_run **again;  /* [seeds, 2]: restarted, steady */
        const char **notes;
        size_t n_notes, cap_notes;
        rs_setting_text settings[32];
        size_t n_settings;
        size_t journal_seen; /* bytes of the journal when it was read, */
        size_t journal_size; /* and of the whole lines found in it */
        int journal;         /* descriptor while it goes on, or -1 */
        struct rs_work *work;
};

/* arms.c */
bool rs_arm_parse(rs_arm *out, const char *text, resect_trial *t, resect_error *err) RESECT_MUST;
/* The model of an arm, ready to be trained. The pictures measure what BatchNormalization is put back
   with; NULL: it is put back unmeasured, for a look at the model. */
resect_model *rs_arm_model(const resect_trial *t, const rs_arm *arm, uint64_t seed,
        const resect_data *pictures, resect_error *err) RESECT_MUST;
/* Fills macs, parameters and trained. */
bool rs_arm_count(const resect_trial *t, rs_arm *arm, resect_error *err) RESECT_MUST;

/* draw.c */
bool rs_draw_pool(resect_trial *t, resect_error *err) RESECT_MUST; /* fills test_list and draws */
/* A fraction of a seed's training pictures, its validation pictures and the test pictures. */
resect_data *rs_draw_view(const resect_trial *t, size_t seed, double fraction, resect_error *err)
        RESECT_MUST;
size_t rs_draw_count(const resect_trial *t, size_t seed, double fraction); /* to train on */
/* A fraction of the first seed's training pictures; of its others, the validation pictures first and then those it does not train on, at
   most about so many validate. */
resect_data *rs_draw_search(const resect_trial *t, double fraction, size_t most, resect_error *err)
        RESECT_MUST;

/* lesson.c: one training. */
typedef struct rs_lesson {
        resect_trial *t;
        size_t arm, seed;
        double fraction, lr, lr_floor;
        const char *schedule; /* NULL: cosine */
        size_t epochs, worker;
        /* what came of it */
        resect_trial_epoch *took; /* [n_took], from rs_alloc */
        size_t n_took, best_epoch;
        bool diverged, kept;
        double least_loss; /* of validation; infinite: none */
        double first_step; /* seconds until then: features */
        double start, seconds;
        double step_lr;
} rs_lesson;
/* Trains m on the view. A number that is not finite is no failure but `diverged`. */
bool rs_lesson_go(rs_lesson *l, resect_model *m, const resect_data *view, resect_error *err)
        RESECT_MUST;
void rs_lesson_free(rs_lesson *l);
/* The run as a JSON object: the lesson, and the scores and outcomes of m as it now is; *val is its
   scores on the validation pictures. */
json_t *rs_lesson_report(rs_lesson *l, resect_model *m, const resect_data *view,
        resect_scores *val, resect_error *err) RESECT_MUST;

/* search.c, run.c and restart.c: a task from beginning to end; the result is its line of the journal. */
json_t *rs_search(resect_trial *t, size_t arm, size_t worker, resect_error *err) RESECT_MUST;
json_t *rs_run_arm(resect_trial *t, size_t arm, size_t fraction, size_t seed, size_t worker,
        resect_error *err) RESECT_MUST;
size_t rs_restart_arm(const resect_trial *t); /* whose weights go on; n_arms: none */
bool rs_restart_done(const resect_trial *t, size_t seed, size_t arm);
json_t *rs_restart(resect_trial *t, size_t seed, size_t worker, resect_error *err) RESECT_MUST;

/* journal.c. Reading a line takes it over into the trial's results; what is not asked for is passed
   over. */
bool rs_journal_read(resect_trial *t, resect_error *err) RESECT_MUST;
bool rs_journal_open(resect_trial *t, resect_error *err) RESECT_MUST; /* to append */
bool rs_journal_add(resect_trial *t, json_t *line, resect_error *err) RESECT_MUST; /* and take over */
void rs_journal_close(resect_trial *t);
json_t *rs_json_scores(const resect_scores *s);

/* work.c, for a lesson: one more step was taken; false: stop. */
bool rs_work_tell(resect_trial *t, size_t worker, double lr, size_t epoch, size_t epochs);

/* The results and the caller are one thread's at a time. */
void rs_work_lock(resect_trial *t);
void rs_work_unlock(resect_trial *t);

/* keep.c: writes the model of a run when it is the best of its arm so far; and whether an arm's is there. */
bool rs_keep(resect_trial *t, size_t arm, size_t seed, const resect_scores *val, resect_model *m,
        resect_error *err) RESECT_MUST;
bool rs_keep_best(rs_arm *a, size_t seed, const resect_scores *val); /* true: it is now */
bool rs_keep_lacks(const resect_trial *t, size_t arm);
bool rs_keep_folder(const resect_trial *t, resect_error *err) RESECT_MUST;
bool rs_better(const resect_scores *a, const resect_scores *b); /* by validation */

bool rs_trial_note(resect_trial *t, resect_error *err, const char *fmt, ...) RESECT_MUST
        RESECT_PRINTF(3, 4);
static inline resect_trial_run **
rs_trial_slot(const resect_trial *t, size_t arm, size_t fraction, size_t seed)
{
        return &t->runs[(arm * t->o.n_fractions + fraction) * t->o.seeds + seed];
}

#endif
