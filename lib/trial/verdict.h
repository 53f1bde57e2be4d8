/* SPDX-License-Identifier: 0BSD */
/*
 * The inside of a verdict. verdict.c takes the runs apart into figures, words.c says what they
 * mean; the report shows both.
 */
#ifndef RS_TRIAL_VERDICT_H
#define RS_TRIAL_VERDICT_H

#include "base/mem.h"
#include "resect/verdict.h"

typedef struct rs_verdict {
        resect_verdict pub; /* first: a verdict is one of these */
        rs_arena arena;
        const resect_trial *t;
        resect_trial_arm *arm;       /* [arms] */
        const resect_trial_run *run; /* [n_runs] */
        size_t n_runs;
        size_t *at; /* [arms, fractions, seeds] number of the run in run, plus 1; 0: there is none
                     */
        resect_verdict_cell *cells;
        resect_verdict_arm *of;
        resect_verdict_pair *pairs;
        resect_crossed *lead;
        size_t *lead_seeds, *confusion, *worst;
        const char **lines, **warnings;
        resect_judge_options o;
} rs_verdict;

/* The run, or NULL. */
static inline const resect_trial_run *
rs_verdict_run(const rs_verdict *v, size_t arm, size_t fraction, size_t seed)
{
        size_t at = v->at[(arm * v->pub.fractions + fraction) * v->pub.seeds + seed];
        return at ? &v->run[at - 1] : NULL;
}

/* verdict.c: by validation accuracy; equal by that, the lower loss is better. */
bool rs_cell_better(const resect_verdict_cell *a, const resect_verdict_cell *b);
/* agree.c: depths, rho and tau. */
bool rs_verdict_agree(rs_verdict *v, resect_error *err) RESECT_MUST;
/* words.c: fills headline, lines and warnings. */
bool rs_verdict_words(rs_verdict *v, resect_error *err) RESECT_MUST;

#endif
