/* SPDX-License-Identifier: 0BSD */
/*
 * Who does what when. The work is a list of tasks: the arms' searches, then the runs (a run waits
 * for its arm's search), then restarts, then runs that have to be made again for their model's
 * sake. Workers take the first that is ready; the results stand by arm, fraction and seed, so that
 * neither their number nor their order shows.
 */
#include "base/clock.h"
#include "trial/trial.h"

#include <string.h>

typedef struct task {
        enum { SEARCH, RUN, RESTART, KEEP } kind;
        size_t arm, fraction, seed;
        double pictures; /* passes times pictures: what it costs, in the arm's own unit */
        bool taken, done;
} task;

struct rs_work {
        resect_trial *t;
        const resect_trial_events *on;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        task *tasks;
        size_t n, done;
        task **at;                  /* [jobs] what each worker does */
        double *seconds, *pictures; /* [arms] of what is finished */
        bool stopped, failed;
        resect_error why;
};

void
rs_work_lock(resect_trial *t)
{
        pthread_mutex_lock(&t->work->lock);
}

void
rs_work_unlock(resect_trial *t)
{
        pthread_mutex_unlock(&t->work->lock);
}

/* ------------------------------------------------------------------------------------------------
 * what is left */

static double
cost(const resect_trial *t, const task *k)
{
        const resect_trial_arm *a = &t->arms[k->arm].pub;
        const double largest = t->o.fractions[t->o.n_fractions - 1];
        if (k->kind == SEARCH) {
                double passes = t->o.epochs ? (double)(t->o.epochs + 2) / 3 : 3;
                return (double)t->o.n_rates * passes * (double)rs_draw_count(t, 0, largest) / 2;
        }
        double n = (double)rs_draw_count(
                       t, k->seed, k->kind == RUN ? t->o.fractions[k->fraction] : largest),
               passes = (double)(a->searched   ? a->epochs
                                 : t->o.epochs ? t->o.epochs
                                               : 10);
        return n * (k->kind == RESTART ? passes + 2 * (double)t->o.restarts : passes);
}

/* By the arm's own pace, or while it has none by that of all. */
static double
seconds_left(const struct rs_work *w)
{
        double seconds = 0, pictures = 0, left = 0;
        for (size_t a = 0; a < w->t->n_arms; a++) {
                seconds += w->seconds[a];
                pictures += w->pictures[a];
        }
        if (!(pictures > 0))
                return -1;
        for (size_t i = 0; i < w->n; i++) {
                const task *k = &w->tasks[i];
                if (k->done)
                        continue;
                double s = w->seconds[k->arm], p = w->pictures[k->arm];
                left += p > 0 ? k->pictures * s / p : k->pictures * seconds / pictures;
        }
        return left / w->t->o.jobs;
}

static resect_trial_progress
progress_of(const struct rs_work *w, const task *k)
{
        static const char *const words[] = {"search", "run", "restart", "run"};
        const resect_trial *t = w->t;
        const resect_trial_arm *a = &t->arms[k->arm].pub;
        return (resect_trial_progress){.what = words[k->kind],
                .arm = a->name,
                .fraction = t->o.fractions[k->kind == RUN ? k->fraction : t->o.n_fractions - 1],
                .seed = (size_t)t->o.seed + k->seed,
                .lr = k->kind == SEARCH ? 0 : a->lr,
                .done = w->done,
                .total = w->n,
                .seconds_left = seconds_left(w)};
}

bool
rs_work_tell(resect_trial *t, size_t worker, double lr, size_t epoch, size_t epochs)
{
        struct rs_work *w = t->work;
        pthread_mutex_lock(&w->lock);
        if (!w->stopped && w->on && w->on->progress) {
                resect_trial_progress p = progress_of(w, w->at[worker]);
                p.lr = lr;
                p.epoch = epoch;
                p.epochs = epochs;
                w->stopped = !w->on->progress(w->on->ctx, &p);
        }
        bool go = !w->stopped && !w->failed;
        pthread_mutex_unlock(&w->lock);
        return go;
}

/* ------------------------------------------------------------------------------------------------
 * workers */

static bool
ready(const resect_trial *t, const task *k)
{
        return k->kind == SEARCH || t->arms[k->arm].pub.searched;
}

/* Under the lock: the next task, or NULL when all are taken. */
static task *
next(struct rs_work *w)
{
        for (;;) {
                bool waiting = false;
                for (size_t i = 0; i < w->n && !w->stopped && !w->failed; i++) {
                        task *k = &w->tasks[i];
                        if (!k->taken && ready(w->t, k)) {
                                k->taken = true;
                                return k;
                        }
                        waiting = waiting || !k->taken;
                }
                if (!waiting)
                        return NULL;
                pthread_cond_wait(&w->changed, &w->lock);
        }
}

static json_t *
carry_out(resect_trial *t, const task *k, size_t worker, resect_error *err)
{
        switch (k->kind) {
        case SEARCH:
                return rs_search(t, k->arm, worker, err);
        case RESTART:
                return rs_restart(t, k->seed, worker, err);
        default:
                return rs_run_arm(t, k->arm, k->fraction, k->seed, worker, err);
        }
}

/* Under the lock. The first failure is the one that is told. */
static void
finish(struct rs_work *w, task *k, json_t *line, double seconds, const resect_error *why)
{
        resect_error err;
        if (line && k->kind != KEEP && !rs_journal_add(w->t, line, &err)) {
                why = &err;
                json_decref(line);
                line = NULL;
        }
        if (!line) {
                if (!w->failed && !w->stopped)
                        w->why = *why;
                w->failed = true;
                return;
        }
        json_decref(line);
        k->done = true;
        w->done++;
        w->seconds[k->arm] += seconds;
        w->pictures[k->arm] += k->pictures;
        for (size_t i = 0; k->kind == SEARCH && i < w->n; i++)
                if (w->tasks[i].arm == k->arm && w->tasks[i].kind != SEARCH)
                        w->tasks[i].pictures = cost(w->t, &w->tasks[i]);
        if (w->on && w->on->finished) {
                resect_trial_progress p = progress_of(w, k);
                p.lr = w->t->arms[k->arm].pub.lr;
                w->on->finished(w->on->ctx, &p);
        }
}

typedef struct worker {
        struct rs_work *w;
        size_t number;
} worker;

static void *
work(void *ctx)
{
        worker *me = ctx;
        struct rs_work *w = me->w;
        pthread_mutex_lock(&w->lock);
        for (task *k; (k = next(w));) {
                resect_error err = {0};
                w->at[me->number] = k;
                pthread_mutex_unlock(&w->lock);
                double began = rs_now();
                json_t *line = carry_out(w->t, k, me->number, &err);
                pthread_mutex_lock(&w->lock);
                finish(w, k, line, rs_now() - began, &err);
                pthread_cond_broadcast(&w->changed);
        }
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        return NULL;
}

/* Every task on the list, by as many workers as there are jobs; one needs no thread of its own. */
static bool
all_tasks(struct rs_work *w, resect_error *err)
{
        const size_t jobs = (size_t)w->t->o.jobs;
        if (!w->n)
                return true;
        worker *workers = rs_alloc(jobs, sizeof *workers, err);
        pthread_t *threads = workers ? rs_alloc(jobs, sizeof *threads, err) : NULL;
        if (!threads) {
                rs_free(workers);
                return false;
        }
        size_t started = 1;
        for (size_t i = 0; i < jobs; i++)
                workers[i] = (worker){w, i};
        while (started < jobs && started < w->n &&
                pthread_create(&threads[started], NULL, work, &workers[started]) == 0)
                started++;
        work(&workers[0]);
        for (size_t i = 1; i < started; i++)
                pthread_join(threads[i], NULL);
        rs_free(workers);
        rs_free(threads);
        if (w->stopped)
                return rs_fail(err, RESECT_STOPPED, "stopped after %zu of %zu searches and runs",
                        w->done, w->n);
        if (w->failed && err)
                *err = w->why;
        return !w->failed;
}

/* ------------------------------------------------------------------------------------------------
 * the list */

static void
add(struct rs_work *w, task k)
{
        k.pictures = cost(w->t, &k);
        w->tasks[w->n++] = k;
}

/* Searches and runs, seed by seed, so that what is finished is a small trial in itself. */
static void
list_runs(struct rs_work *w)
{
        const resect_trial *t = w->t;
        for (size_t a = 0; a < t->n_arms; a++)
                if (!t->arms[a].pub.searched)
                        add(w, (task){.kind = SEARCH, .arm = a});
        for (size_t s = 0; s < t->o.seeds; s++)
                for (size_t f = t->o.n_fractions; f-- > 0;)
                        for (size_t a = 0; a < t->n_arms; a++)
                                if (!*rs_trial_slot(t, a, f, s))
                                        add(w, (task){.kind = RUN,
                                                       .arm = a,
                                                       .fraction = f,
                                                       .seed = s});
}

/* What can be listed when the runs are there. */
static void
list_rest(struct rs_work *w)
{
        const resect_trial *t = w->t;
        const size_t arm = t->o.restarts ? rs_restart_arm(t) : t->n_arms;
        for (size_t s = 0; arm < t->n_arms && s < t->o.seeds; s++)
                if (!rs_restart_done(t, s, arm))
                        add(w, (task){.kind = RESTART, .arm = arm, .seed = s});
        for (size_t a = 0; t->o.keep && a < t->n_arms; a++)
                if (rs_keep_lacks(t, a))
                        add(w, (task){.kind = KEEP,
                                       .arm = a,
                                       .fraction = t->o.n_fractions - 1,
                                       .seed = t->arms[a].kept_seed});
}

bool
resect_trial_complete(const resect_trial *t)
{
        for (size_t i = 0; i < t->n_arms * t->o.n_fractions * t->o.seeds; i++)
                if (!t->runs[i])
                        return false;
        const size_t arm = t->o.restarts ? rs_restart_arm(t) : t->n_arms;
        for (size_t s = 0; arm < t->n_arms && s < t->o.seeds; s++)
                if (!rs_restart_done(t, s, arm))
                        return false;
        return true;
}

static bool
go(struct rs_work *w, resect_error *err)
{
        const resect_trial *t = w->t;
        const size_t most = t->n_arms * (t->o.n_fractions * t->o.seeds + 2) + t->o.seeds;
        w->tasks = rs_alloc(most, sizeof *w->tasks, err);
        w->at = w->tasks ? rs_alloc((size_t)t->o.jobs, sizeof *w->at, err) : NULL;
        w->seconds = w->at ? rs_alloc(t->n_arms * 2, sizeof *w->seconds, err) : NULL;
        if (!w->seconds)
                return false;
        w->pictures = w->seconds + t->n_arms;
        list_runs(w);
        if (!all_tasks(w, err))
                return false;
        w->n = w->done = 0;
        list_rest(w);
        return all_tasks(w, err);
}

bool
resect_trial_go(resect_trial *t, const resect_trial_events *events, resect_error *err)
{
        struct rs_work w = {.t = t, .on = events};
        if ((t->o.keep && !rs_keep_folder(t, err)))
                return false;
        if (pthread_mutex_init(&w.lock, NULL) != 0)
                return rs_fail_nomem(err);
        bool cond = pthread_cond_init(&w.changed, NULL) == 0;
        t->work = &w;
        bool ok = cond ? rs_journal_open(t, err) && go(&w, err) : rs_fail_nomem(err);
        rs_journal_close(t);
        t->work = NULL;
        rs_free(w.tasks);
        rs_free(w.at);
        rs_free(w.seconds);
        if (cond)
                pthread_cond_destroy(&w.changed);
        pthread_mutex_destroy(&w.lock);
        return ok;
}
