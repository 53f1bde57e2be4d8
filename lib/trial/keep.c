/* SPDX-License-Identifier: 0BSD */
/*
 * The models that are kept: for each arm the one of the run at the largest fraction that validates
 * best, so far. A file is written before its run's line in the journal, so that a trial that dies
 * between the two makes the run again, and writes the same.
 */
#include "trial/trial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "DIR/reset-1.onnx": a colon is no good part of a file's name everywhere. */
static bool
path_of(const resect_trial *t, size_t arm, char *out, size_t size)
{
        int n = snprintf(out, size, "%s/%s.onnx", t->o.keep, t->arms[arm].pub.name);
        char *colon = n > 0 && (size_t)n < size ? strrchr(out, ':') : NULL;
        if (colon && !strchr(colon, '/'))
                *colon = '-';
        return n > 0 && (size_t)n < size;
}

bool
rs_keep_folder(const resect_trial *t, resect_error *err)
{
        struct stat st;
        if (mkdir(t->o.keep, 0777) == 0 ||
                (errno == EEXIST && stat(t->o.keep, &st) == 0 && S_ISDIR(st.st_mode) &&
                        access(t->o.keep, W_OK) == 0))
                return true;
        return rs_fail(err, RESECT_IO, "%s: %s", t->o.keep,
                errno == EEXIST ? "is no folder" : strerror(errno));
}

bool
rs_keep_lacks(const resect_trial *t, size_t arm)
{
        char path[4096];
        return path_of(t, arm, path, sizeof path) && access(path, F_OK) != 0;
}

/* Of equal ones the first seed's, so that the order in which runs finish does not matter. */
bool
rs_keep_best(rs_arm *a, size_t seed, const resect_scores *val)
{
        if (a->has_kept && a->kept_seed != seed &&
                (rs_better(&a->kept, val) || (a->kept_seed < seed && !rs_better(val, &a->kept))))
                return false;
        a->has_kept = true;
        a->kept_seed = seed;
        a->kept = *val;
        return true;
}

bool
rs_keep(resect_trial *t, size_t arm, size_t seed, const resect_scores *val, resect_model *m,
        resect_error *err)
{
        char path[4096];
        if (!path_of(t, arm, path, sizeof path))
                return rs_fail(err, RESECT_ARG, "%s: too long a name", t->o.keep);
        rs_work_lock(t);
        bool best = rs_keep_best(&t->arms[arm], seed, val);
        bool ok = !best || ((!t->o.history || resect_model_add_history(m, t->o.history, err)) &&
                                   resect_model_seal(m, err) && resect_model_write(m, path, err));
        rs_work_unlock(t);
        return ok;
}
