/* SPDX-License-Identifier: 0BSD */
/*
 * The journal: JSON Lines. The first line says which trial it is (the model and the data by their
 * digests, the settings that the results depend on), every other one holds a finished search, run
 * or restart. A line is one write and one fsync, so that a death leaves at most one that is cut
 * short, which is dropped. Numbers have nine digits.
 */
#include "trial/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image/image.h"
#include "io/fd.h"

enum { VERSION = 1 };
#define MOST_BYTES ((size_t)1 << 31)
#define FORM (JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_PRESERVE_ORDER)

/* ------------------------------------------------------------------------------------------------
 * lines */

static json_t *
header(const resect_trial *t)
{
        json_t *settings = json_object();
        for (size_t i = 0; i < t->n_settings; i++)
                if (t->settings[i].identity)
                        json_object_set_new(
                                settings, t->settings[i].name, json_string(t->settings[i].value));
        return json_pack("{s:i,s:s,s:s,s:o}", "trial", VERSION, "model", t->model_digest, "data",
                t->data_digest, "settings", settings);
}

static bool
same_trial(const resect_trial *t, const json_t *line, resect_error *err)
{
        const char *path = t->o.journal;
        const char *model = json_string_value(json_object_get(line, "model")),
                   *data = json_string_value(json_object_get(line, "data"));
        const json_t *settings = json_object_get(line, "settings");
        if (json_integer_value(json_object_get(line, "trial")) != VERSION || !model || !data)
                return rs_fail(err, RESECT_FORMAT, "%s: no journal of a trial", path);
        if (strcmp(model, t->model_digest) != 0)
                return rs_fail(
                        err, RESECT_ARG, "%s: the journal of a trial of another model", path);
        if (strcmp(data, t->data_digest) != 0)
                return rs_fail(err, RESECT_ARG, "%s: the journal of a trial on other data", path);
        for (size_t i = 0; i < t->n_settings; i++) {
                const rs_setting_text *s = &t->settings[i];
                const char *was = json_string_value(json_object_get(settings, s->name));
                if (s->identity && (!was || strcmp(was, s->value) != 0))
                        return rs_fail(err, RESECT_ARG,
                                "%s: the journal of a trial with another setting: %s was %s, now "
                                "%s",
                                path, s->name, was ? was : "not there", s->value);
        }
        return true;
}

static bool
number(const json_t *o, const char *key, double *out)
{
        const json_t *v = json_object_get(o, key);
        *out = json_number_value(v);
        return json_is_number(v);
}

static bool
whole(const json_t *o, const char *key, size_t most, size_t *out)
{
        const json_t *v = json_object_get(o, key);
        json_int_t i = json_integer_value(v);
        *out = (size_t)i;
        return json_is_integer(v) && i >= 0 && (uint64_t)i <= most;
}

static bool
scores(const json_t *a, resect_scores *out)
{
        double v[7];
        for (size_t i = 0; i < 7; i++) {
                if (!json_is_number(json_array_get(a, i)))
                        return false;
                v[i] = json_number_value(json_array_get(a, i));
        }
        *out = (resect_scores){(size_t)v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
        return v[0] >= 0;
}

static bool
epochs(resect_trial *t, const json_t *a, resect_trial_run *r, resect_error *err)
{
        r->n_epochs = json_array_size(a);
        resect_trial_epoch *e = RS_NEW(&t->arena, r->n_epochs + 1, resect_trial_epoch, err);
        for (size_t i = 0; e && i < r->n_epochs; i++) {
                double v[7];
                for (size_t k = 0; k < 7; k++) { /* null stands for what is not finite */
                        const json_t *x = json_array_get(json_array_get(a, i), k);
                        if (!json_is_number(x) && !json_is_null(x))
                                return false;
                        v[k] = json_is_number(x) ? json_number_value(x) : NAN;
                }
                e[i] = (resect_trial_epoch){v[0], v[1], v[2], v[3], v[4], v[5], v[6]};
        }
        r->epochs = e;
        return json_is_array(a) && e;
}

static bool
outcomes(resect_trial *t, const json_t *o, resect_trial_run *r, resect_error *err)
{
        static const char *const keys[4] = {"predicted", "rank", "loss", "confidence"};
        const json_t *a[4];
        const size_t classes = resect_data_class_count(t->d);
        for (int k = 0; k < 4; k++) {
                a[k] = json_object_get(o, keys[k]);
                if (json_array_size(a[k]) != t->n_test)
                        return false;
        }
        resect_outcome *out = RS_NEW(&t->arena, t->n_test + 1, resect_outcome, err);
        for (size_t i = 0; out && i < t->n_test; i++) {
                const json_t *v[4];
                for (int k = 0; k < 4; k++) {
                        v[k] = json_array_get(a[k], i);
                        if (!(k < 2 ? json_is_integer(v[k]) : json_is_number(v[k])))
                                return false;
                }
                json_int_t predicted = json_integer_value(v[0]), rank = json_integer_value(v[1]);
                if (predicted < 0 || rank < 0 || (uint64_t)predicted >= classes ||
                        (uint64_t)rank >= classes)
                        return false;
                out[i] = (resect_outcome){resect_data_label(t->d, t->test, i), predicted,
                        (size_t)rank, json_number_value(v[2]), json_number_value(v[3])};
        }
        r->test = out;
        r->n_test = t->n_test;
        return out != NULL;
}

/* False without err when the line is not what it should be. */
static resect_trial_run *
read_run(resect_trial *t, const json_t *o, size_t arm, size_t fraction, size_t seed,
        resect_error *err)
{
        resect_trial_run *r = RS_NEW(&t->arena, 1, resect_trial_run, err);
        if (!r)
                return NULL;
        r->arm = arm;
        r->fraction = fraction;
        r->seed = seed;
        r->diverged = json_is_true(json_object_get(o, "diverged"));
        r->n_train = rs_draw_count(t, seed, t->o.fractions[fraction]);
        r->n_val = t->draws[seed].n_val;
        bool ok = number(o, "lr", &r->lr) && number(o, "seconds", &r->seconds) &&
                  whole(o, "best_epoch", SIZE_MAX, &r->best_epoch) &&
                  scores(json_object_get(o, "train"), &r->train) &&
                  scores(json_object_get(o, "val"), &r->val) &&
                  epochs(t, json_object_get(o, "epochs"), r, err) && outcomes(t, o, r, err) &&
                  r->best_epoch <= r->n_epochs;
        return ok ? r : NULL;
}

static size_t
arm_named(const resect_trial *t, const char *name)
{
        size_t i = 0;
        while (i < t->n_arms && strcmp(t->arms[i].pub.name, name) != 0)
                i++;
        return i;
}

/* The place of a seed, or of a fraction; past the end when it is not asked for. */
static size_t
seed_of(const resect_trial *t, const json_t *o)
{
        uint64_t seed = (uint64_t)json_integer_value(json_object_get(o, "seed"));
        return seed >= t->o.seed && seed - t->o.seed < t->o.seeds ? (size_t)(seed - t->o.seed)
                                                                  : t->o.seeds;
}

static size_t
fraction_of(const resect_trial *t, double f)
{
        size_t i = 0;
        while (i < t->o.n_fractions && fabs(t->o.fractions[i] - f) > 1e-8)
                i++;
        return i;
}

static bool
take_search(resect_trial *t, const json_t *o, resect_error *err)
{
        const json_t *rates = json_object_get(o, "rates"), *loss = json_object_get(o, "loss");
        size_t arm = arm_named(t, json_string_value(json_object_get(o, "search"))),
               n = json_array_size(rates);
        if (arm == t->n_arms)
                return true;
        resect_trial_arm *a = &t->arms[arm].pub;
        double *r = RS_NEW(&t->arena, n + 1, double, err),
               *l = RS_NEW(&t->arena, n + 1, double, err);
        if (!r || !l || n == 0 || json_array_size(loss) != n || !number(o, "lr", &a->lr) ||
                !number(o, "seconds", &a->search_seconds) ||
                !whole(o, "pictures", SIZE_MAX, &a->search_pictures) ||
                !whole(o, "passes", SIZE_MAX, &a->search_epochs) ||
                !whole(o, "epochs", 1000000, &a->epochs) || !a->epochs || !(a->lr > 0))
                return false;
        for (size_t i = 0; i < n; i++) {
                const json_t *v = json_array_get(loss, i);
                r[i] = json_number_value(json_array_get(rates, i));
                l[i] = json_is_number(v) ? json_number_value(v) : HUGE_VAL;
        }
        a->rates = r;
        a->search_loss = l;
        a->n_rates = t->o.n_rates == 1 ? 0 : n;
        a->lr_at_edge = json_is_true(json_object_get(o, "at_edge"));
        return a->searched = true;
}

static bool
take_run(resect_trial *t, const json_t *o, resect_error *err)
{
        double f;
        if (!number(o, "fraction", &f))
                return false;
        size_t arm = arm_named(t, json_string_value(json_object_get(o, "run"))),
               seed = seed_of(t, o), fraction = fraction_of(t, f);
        if (arm == t->n_arms || seed == t->o.seeds || fraction == t->o.n_fractions)
                return true;
        resect_trial_run *r = read_run(t, o, arm, fraction, seed, err);
        if (!r)
                return false;
        *rs_trial_slot(t, arm, fraction, seed) = r;
        if (fraction + 1 == t->o.n_fractions)
                (void)rs_keep_best(&t->arms[arm], seed, &r->val);
        return true;
}

static bool
take_restart(resect_trial *t, const json_t *o, resect_error *err)
{
        static const char *const keys[2] = {"restarted", "steady"};
        size_t arm = arm_named(t, json_string_value(json_object_get(o, "restart"))),
               seed = seed_of(t, o);
        if (arm == t->n_arms || seed == t->o.seeds ||
                (size_t)json_integer_value(json_object_get(o, "passes")) != t->o.restarts)
                return true;
        for (size_t k = 0; k < 2; k++)
                if (!(t->again[seed * 2 + k] = read_run(t, json_object_get(o, keys[k]), arm,
                              t->o.n_fractions - 1, seed, err)))
                        return false;
        return true;
}

static bool
take(resect_trial *t, const json_t *o, resect_error *err)
{
        if (err)
                err->code = RESECT_OK;
        if (json_is_string(json_object_get(o, "search")))
                return take_search(t, o, err);
        if (json_is_string(json_object_get(o, "run")))
                return take_run(t, o, err);
        return json_is_string(json_object_get(o, "restart")) && take_restart(t, o, err);
}

/* ------------------------------------------------------------------------------------------------
 * the file */

static bool
read_lines(resect_trial *t, const rs_buf *text, resect_error *err)
{
        const char *at = (const char *)text->data, *end = at + text->size, *line_end;
        for (size_t n = 1; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))); n++) {
                json_error_t why;
                json_t *o = json_loadb(at, (size_t)(line_end - at), 0, &why);
                resect_error inner = {0};
                bool last = line_end + 1 == end && n > 1,
                     ok = o && (n == 1 ? same_trial(t, o, &inner) : take(t, o, &inner));
                json_decref(o);
                if (!ok && !o && last) /* a block of the disk that never got its bytes */
                        break;
                if (!ok && inner.code != RESECT_OK) {
                        *err = inner;
                        return false;
                }
                if (!ok)
                        return rs_fail(err, RESECT_FORMAT, "%s:%zu: %s", t->o.journal, n,
                                n == 1 ? "no journal of a trial"
                                       : "no line of this trial's journal");
                at = line_end + 1;
                t->journal_size = (size_t)(at - (const char *)text->data);
        }
        return true;
}

bool
rs_journal_read(resect_trial *t, resect_error *err)
{
        struct stat st;
        rs_buf text = {0};
        resect_error local;
        err = err ? err : &local;
        if (!t->o.journal)
                return true;
        if (stat(t->o.journal, &st) != 0)
                return errno == ENOENT ||
                       rs_fail(err, RESECT_IO, "%s: %s", t->o.journal, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return rs_fail(err, RESECT_IO, "%s: no regular file", t->o.journal);
        if (!rs_file_load(&text, t->o.journal, MOST_BYTES, err))
                return rs_fail_at(err, "%s", t->o.journal);
        t->journal_seen = text.size;
        bool ok = read_lines(t, &text, err);
        if (ok && text.size && !t->journal_size && memchr(text.data, '\n', text.size) == NULL &&
                text.data[0] != '{')
                ok = rs_fail(err, RESECT_FORMAT, "%s: no journal of a trial", t->o.journal);
        rs_buf_free(&text);
        return ok;
}

static bool
put(resect_trial *t, json_t *line, resect_error *err)
{
        char *text = json_dumps(line, FORM);
        size_t n = text ? strlen(text) : 0;
        if (!text)
                return rs_fail_nomem(err);
        text[n] = '\n'; /* in the place of the NUL: one piece, one write */
        struct iovec piece = {text, n + 1};
        bool ok = (rs_fd_write(t->journal, &piece, 1) && rs_hooks.fsync(t->journal) == 0) ||
                  rs_fail(err, RESECT_IO, "%s: %s", t->o.journal, strerror(errno));
        free(text);
        return ok;
}

bool
rs_journal_open(resect_trial *t, resect_error *err)
{
        t->journal = -1;
        if (!t->o.journal)
                return true;
        t->journal = open(t->o.journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (t->journal < 0)
                return rs_fail(err, RESECT_IO, "%s: %s", t->o.journal, strerror(errno));
        if (flock(t->journal, LOCK_EX | LOCK_NB) != 0)
                return rs_fail(err, RESECT_IO, "%s: %s", t->o.journal,
                        errno == EWOULDBLOCK ? "another process is at this trial"
                                             : strerror(errno));
        struct stat st;
        if (fstat(t->journal, &st) != 0)
                return rs_fail(err, RESECT_IO, "%s: %s", t->o.journal, strerror(errno));
        if ((size_t)st.st_size != t->journal_seen)
                return rs_fail(err, RESECT_IO, "%s: changed since it was read", t->o.journal);
        if (ftruncate(t->journal, (off_t)t->journal_size) != 0)
                return rs_fail(err, RESECT_IO, "%s: %s", t->o.journal, strerror(errno));
        if (t->journal_size)
                return true;
        json_t *first = header(t);
        bool ok = first ? put(t, first, err) : rs_fail_nomem(err);
        json_decref(first);
        return ok;
}

void
rs_journal_close(resect_trial *t)
{
        if (t->journal >= 0)
                close(t->journal);
        t->journal = -1;
}

/* What is taken over is what a later process would read. */
bool
rs_journal_add(resect_trial *t, json_t *line, resect_error *err)
{
        char *text = json_dumps(line, FORM);
        json_t *read = text ? json_loads(text, 0, NULL) : NULL;
        resect_error inner = {0};
        free(text);
        bool ok = read && (t->journal < 0 || put(t, line, err));
        if (!read)
                rs_fail_nomem(err);
        else if (ok && !take(t, read, &inner))
                ok = rs_fail(err, inner.code ? inner.code : RESECT_FORMAT, "%s",
                        inner.code ? inner.msg : "a run whose figures are no numbers");
        json_decref(read);
        return ok;
}
