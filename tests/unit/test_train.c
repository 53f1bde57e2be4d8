/* SPDX-License-Identifier: 0BSD */
/* The loop: it learns, what is frozen stays, threads and caches and interruptions change no bit,
   and bad numbers stop it. `test_train make DIR` leaves the small job in DIR for shell tests. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/random.h"
#include "resect/look.h"
#include "resect/train.h"
#include "small_job.h"
#include "train/feed.h"

static char folder[] = "/tmp/resect-train-XXXXXX";
static char state[64], state_older[64], state_new[64];

static void
prepare(void)
{
        ck_assert_ptr_nonnull(mkdtemp(folder));
        small_pictures(folder, 90);
        snprintf(state, sizeof state, "%s/state", folder);
        snprintf(state_older, sizeof state_older, "%s/state.1", folder);
        snprintf(state_new, sizeof state_new, "%s/state.new", folder);
}

static void
forget_state(void)
{
        unlink(state);
        unlink(state_older);
        unlink(state_new);
}

static void
clean_up(void)
{
        char path[128];
        static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
        forget_state();
        for (int i = 0; i < 2; i++) {
                snprintf(path, sizeof path, "%s/%s", folder, names[i]);
                unlink(path);
        }
        rmdir(folder);
}

static resect_data *
pictures(double val)
{
        resect_error err;
        resect_data *d = resect_data_open(folder, &(resect_data_options){.val = val}, &err);
        CK_OK(d != NULL, err);
        return d;
}

static resect_train_options
defaults(void)
{
        resect_train_options o;
        resect_train_defaults(&o);
        o.epochs = 3;
        o.batch = 16;
        o.lr = 0.05;
        o.threads = 1;
        return o;
}

/* Freezes every initializer whose part begins with one of the words. */
static void
freeze(resect_model *m, const char *const *words)
{
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const char *name = m->graph.tensors[i]->name,
                           *part = resect_anatomy_tensor_part(a, name);
                for (size_t k = 0; part && words[k]; k++)
                        if (!strncmp(part, words[k], strlen(words[k])))
                                CK_OK(rs_model_set_frozen(m, name, true, &err), err);
        }
        CK_OK(rs_model_store_frozen(m, &err), err);
        resect_anatomy_free(a);
}

/* Trains the small model and gives the digest of what comes out. */
static resect_train_result
outcome(const resect_train_options *o, double val, const char *const *frozen,
        const resect_train_events *events, char hex[65])
{
        resect_error err;
        resect_train_result result;
        resect_data *d = pictures(val);
        resect_model *m = small_model(false);
        if (frozen)
                freeze(m, frozen);
        CK_OK(resect_train(m, d, o, events, &result, &err), err);
        small_digest(m, hex);
        resect_model_free(m);
        resect_data_free(d);
        return result;
}

static const char *const trunk[] = {"stem", "layer", NULL};
static const char *const lower[] = {"stem", "layer1", NULL};

START_TEST(it_learns)
{
        resect_train_options o = defaults();
        char hex[65];
        o.epochs = 8;
        resect_train_result r = outcome(&o, 0.3, NULL, NULL, hex);
        ck_assert(r.kept && r.validated);
        ck_assert_double_ge(r.best.top1, 0.9);
        o.optimizer = "adamw";
        o.lr = 0.01;
        o.augment.flip = true;
        o.label_smoothing = 0.1;
        o.clip = 1;
        o.balanced = true;
        r = outcome(&o, 0.3, NULL, NULL, hex);
        ck_assert_double_ge(r.best.top1, 0.9);
}
END_TEST

START_TEST(frozen_stays_to_the_last_byte)
{
        resect_error err;
        resect_data *d = pictures(0);
        resect_model *m = small_model(false), *before = small_model(false);
        freeze(m, lower);
        resect_anatomy *a = resect_anatomy_find(before, &err);
        CK_OK(a != NULL, err);
        resect_train_options o = defaults();
        CK_OK(resect_train(m, d, &o, NULL, NULL, &err), err);
        size_t same = 0, moved = 0;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_arena arena = {0};
                rs_span x, y;
                const rs_tensor *t = m->graph.tensors[i];
                CK_OK(rs_tensor_bytes(m, t, &arena, &x, &err), err);
                CK_OK(rs_tensor_bytes(before, before->graph.tensors[i], &arena, &y, &err), err);
                bool equal = x.size == y.size && !memcmp(x.data, y.data, x.size);
                const char *part = resect_anatomy_tensor_part(a, t->name);
                if (rs_model_is_frozen(m, t->name))
                        ck_assert_msg(equal, "%s is frozen and has changed", t->name);
                else if (t->dtype == RESECT_FLOAT && part)
                        ck_assert_msg(!equal, "%s (%s) was not trained", t->name, part);
                same += equal;
                moved += !equal;
                rs_arena_free(&arena);
        }
        ck_assert_uint_gt(same, 5);
        ck_assert_uint_gt(moved, 5);
        resect_anatomy_free(a);
        resect_model_free(before);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(threads_change_nothing)
{
        resect_train_options o = defaults();
        char one[65], four[65], other[65];
        o.augment.flip = true;
        o.kernels =
                RESECT_KERNELS_REFERENCE; /* the fast ones promise it for one number of threads */
        outcome(&o, 0.2, NULL, NULL, one);
        o.threads = 4;
        outcome(&o, 0.2, NULL, NULL, four);
        ck_assert_str_eq(one, four);
        o.seed = 1;
        outcome(&o, 0.2, NULL, NULL, other);
        ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(a_cache_changes_nothing)
{
        resect_train_options o = defaults();
        char afresh[65], memory[65], file[65], mirrored[65];
        o.mixup = 0; /* mixing pictures is not mixing features */
        o.cache = RESECT_CACHE_OFF;
        outcome(&o, 0.2, trunk, NULL, afresh);
        o.cache = RESECT_CACHE_ON;
        outcome(&o, 0.2, trunk, NULL, memory);
        ck_assert_str_eq(afresh, memory);
        o.cache_size = 0;
        o.cache_dir = folder;
        outcome(&o, 0.2, trunk, NULL, file);
        ck_assert_str_eq(afresh, file);
        outcome(&o, 0.2, lower, NULL, file);
        o.cache = RESECT_CACHE_OFF;
        outcome(&o, 0.2, lower, NULL, afresh);
        ck_assert_str_eq(afresh, file);
        o.cache = RESECT_CACHE_AUTO;
        o.cache_size = 1 << 20;
        o.augment.flip = true;
        outcome(&o, 0.2, trunk, NULL, mirrored);
        ck_assert_str_ne(mirrored, memory);
        o.cache_size = 0;
        outcome(&o, 0.2, trunk, NULL, file);
        ck_assert_str_eq(mirrored, file);
        o.cache_dir = "/nonexistent";
        resect_error err;
        resect_data *d = pictures(0);
        resect_model *m = small_model(false);
        freeze(m, trunk);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

static size_t stop_at, heard;

static bool
stop_there(void *ctx, const resect_train_step *s)
{
        (void)ctx;
        heard = s->total;
        return s->total != stop_at;
}

static resect_train_options
hard_options(void)
{
        resect_train_options o = defaults();
        o.epochs = 4;
        o.optimizer = "adamw";
        o.lr = 0.01;
        o.mixup = 0.4;
        o.augment.flip = true;
        o.augment.pad = 1;
        o.thaw_every = 1;
        o.patience = 3;
        o.save_every = 0;
        return o;
}

/* Stopped at any step and gone on: the same bits. 63 pictures or so make 4 steps an epoch. */
START_TEST(a_stop_changes_nothing)
{
        resect_train_options o = hard_options();
        resect_train_events events = {.step = stop_there};
        char whole[65], hex[65];
        stop_at = 0;
        resect_train_result want = outcome(&o, 0.3, NULL, &events, whole);
        size_t last = heard;
        ck_assert_uint_gt(last, 12);
        o.state = state;
        for (stop_at = 1; stop_at <= last; stop_at++) {
                forget_state();
                resect_error err;
                resect_data *d = pictures(0.3);
                resect_model *m = small_model(false);
                ck_assert(!resect_train(m, d, &o, &events, NULL, &err));
                ck_assert_int_eq(err.code, RESECT_STOPPED);
                resect_model_free(m);
                resect_data_free(d);
                resect_train_result r = outcome(&o, 0.3, NULL, NULL, hex);
                ck_assert_str_eq(hex, whole);
                ck_assert_uint_eq(r.steps, want.steps);
                ck_assert_uint_eq(r.best_epoch, want.best_epoch);
                ck_assert_mem_eq(&r.best, &want.best, sizeof r.best);
        }
        outcome(&o, 0.3, NULL, NULL, hex); /* a finished run gives its result again */
        ck_assert_str_eq(hex, whole);
        forget_state();
}
END_TEST

/* Killed at random moments, again and again, until it comes through. */
START_TEST(a_kill_changes_nothing)
{
        resect_train_options o = hard_options();
        char whole[65], hex[65];
        double start = (double)clock() / CLOCKS_PER_SEC;
        outcome(&o, 0.3, NULL, NULL, whole);
        double seconds = (double)clock() / CLOCKS_PER_SEC - start;
        o.state = state;
        size_t kills = 0;
        for (uint64_t round = 0; round < 6; round++) {
                forget_state();
                for (uint64_t attempt = 0; attempt < 4; attempt++) {
                        pid_t child = fork();
                        if (child == 0) {
                                resect_data *d = pictures(0.3);
                                resect_model *m = small_model(false);
                                bool ok = resect_train(m, d, &o, NULL, NULL, NULL);
                                _exit(ok ? 0 : 1);
                        }
                        ck_assert_int_gt(child, 0);
                        /* a run takes longer than this, so that each round has its kill */
                        double wait =
                                rs_uniform((uint64_t)getpid(), round, attempt) * 0.4 * seconds;
                        nanosleep(&(struct timespec){(time_t)wait,
                                          (long)((wait - floor(wait)) * 1e9)},
                                NULL);
                        kill(child, SIGKILL);
                        int status;
                        ck_assert_int_eq(waitpid(child, &status, 0), child);
                        ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
                        kills += WIFSIGNALED(status);
                }
                outcome(&o, 0.3, NULL, NULL, hex);
                ck_assert_str_eq(hex, whole);
        }
        ck_assert_uint_gt(kills, 3);
        forget_state();
}
END_TEST

static void
flip_byte(const char *path, long at)
{
        FILE *f = fopen(path, "r+b");
        ck_assert_ptr_nonnull(f);
        fseek(f, at, SEEK_SET);
        int c = getc(f);
        fseek(f, at, SEEK_SET);
        putc(c ^ 1, f);
        fclose(f);
}

static char notes[2048];

static void
take_note(void *ctx, const char *line)
{
        (void)ctx;
        strncat(notes, line, sizeof notes - strlen(notes) - 1);
}

START_TEST(a_damaged_state_falls_back)
{
        resect_train_options o = hard_options();
        resect_train_events events = {.note = take_note};
        char whole[65], hex[65];
        outcome(&o, 0.3, NULL, NULL, whole);
        o.state = state;
        forget_state();
        outcome(&o, 0.3, NULL, NULL, hex);
        struct stat st;
        ck_assert_int_eq(stat(state, &st), 0);
        ck_assert_int_eq(access(state_older, F_OK), 0);
        flip_byte(state, st.st_size / 2);
        notes[0] = '\0';
        outcome(&o, 0.3, NULL, &events, hex);
        ck_assert_str_eq(hex, whole);
        ck_assert_msg(strstr(notes, "damaged") && strstr(notes, "state.1"), "%s", notes);
        unlink(state); /* killed between the two renames */
        notes[0] = '\0';
        outcome(&o, 0.3, NULL, &events, hex);
        ck_assert_str_eq(hex, whole);
        ck_assert_msg(strstr(notes, "missing"), "%s", notes);
        flip_byte(state, 100);
        flip_byte(state_older, 100);
        resect_error err;
        resect_data *d = pictures(0.3);
        resect_model *m = small_model(false);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        resect_model_free(m);
        resect_data_free(d);
        forget_state();
}
END_TEST

START_TEST(another_run_is_refused)
{
        resect_train_options o = defaults(), other;
        char hex[65];
        o.state = state;
        forget_state();
        outcome(&o, 0.3, NULL, NULL, hex);
        resect_error err;
        resect_data *d = pictures(0.3), *fewer = pictures(0.4);
        resect_model *m = small_model(false);
        other = o;
        other.lr = 0.06;
        ck_assert(!resect_train(m, d, &other, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert_msg(strstr(err.msg, "lr 0.05") && strstr(err.msg, "lr 0.06"), "%s", err.msg);
        ck_assert(!resect_train(m, fewer, &o, NULL, NULL, &err));
        ck_assert_msg(strstr(err.msg, "data"), "%s", err.msg);
        freeze(m, lower);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_msg(strstr(err.msg, "model"), "%s", err.msg);
        resect_model_free(m);
        resect_data_free(d);
        resect_data_free(fewer);
        forget_state();
}
END_TEST

static ssize_t
disk_full(int fd, const struct iovec *iov, int n)
{
        (void)fd;
        (void)iov;
        (void)n;
        errno = ENOSPC;
        return -1;
}

static bool
fill_disk_at_five(void *ctx, const resect_train_step *s)
{
        (void)ctx;
        if (s->total == 5)
                rs_hooks.writev = disk_full;
        return true;
}

START_TEST(a_full_disk_keeps_the_old_state)
{
        resect_train_options o = defaults();
        resect_train_events events = {.step = fill_disk_at_five};
        char whole[65], hex[65];
        outcome(&o, 0.2, NULL, NULL, whole);
        o.state = state;
        o.save_every = 0;
        forget_state();
        resect_error err;
        resect_data *d = pictures(0.2);
        resect_model *m = small_model(false);
        struct rs_hooks sane = rs_hooks;
        bool ok = resect_train(m, d, &o, &events, NULL, &err);
        rs_hooks = sane;
        ck_assert(!ok);
        ck_assert_int_eq(err.code, RESECT_IO);
        resect_model_free(m);
        resect_data_free(d);
        events = (resect_train_events){.note = take_note, .resumed = NULL};
        outcome(&o, 0.2, NULL, &events, hex);
        ck_assert_str_eq(hex, whole);
        forget_state();
}
END_TEST

START_TEST(bad_numbers_stop_it)
{
        resect_error err;
        resect_train_result result;
        resect_data *d = pictures(0.2);
        resect_model *m = small_model(false);
        char before[65], after[65];
        small_digest(m, before);
        resect_train_options o = defaults();
        o.lr = 1e30;
        o.warmup = 0;
        ck_assert(!resect_train(m, d, &o, NULL, &result, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert_msg(strstr(err.msg, "step ") && strstr(err.msg, "not finite"), "%s", err.msg);
        ck_assert(!result.kept);
        small_digest(m, after);
        ck_assert_str_eq(before, after);
        /* a warm-up from 1e30 / 13: the first steps are fine, and nothing is saved that is not */
        o.state = state;
        o.save_every = 0;
        forget_state();
        ck_assert(!resect_train(m, d, &o, NULL, &result, &err));
        if (access(state, F_OK) == 0) {
                ck_assert(!resect_train(m, d, &o, NULL, &result, &err));
                ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        resect_model_free(m);
        resect_data_free(d);
        forget_state();
}
END_TEST

static void
break_weight(resect_model *m, const char *part, float value)
{
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        bool done = false;
        for (size_t i = 0; i < m->graph.n_tensors && !done; i++) {
                rs_tensor *t = m->graph.tensors[i];
                const char *here = resect_anatomy_tensor_part(a, t->name);
                if (!here || strcmp(here, part) != 0)
                        continue;
                CK_OK(rs_tensor_renew(m, t, t->rank, t->dims, &err), err);
                for (size_t k = 0; k < t->count; k++)
                        ((float *)(uintptr_t)t->data.data)[k] = value;
                done = true;
        }
        ck_assert(done);
        resect_anatomy_free(a);
}

START_TEST(the_layer_is_named)
{
        resect_error err;
        resect_data *d = pictures(0);
        resect_train_options o = defaults();
        resect_model *m = small_model(false);
        break_weight(m, "layer2.0.conv1", NAN);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert_msg(strstr(err.msg, "weight"), "%s", err.msg);
        resect_model_free(m);
        m = small_model(false); /* finite weights whose products are not */
        break_weight(m, "layer2.0.conv1", 3e38f);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert_msg(strstr(err.msg, "step 1") && strstr(err.msg, "layer2"), "%s", err.msg);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(patience_ends_it)
{
        resect_train_options o = defaults();
        char hex[65];
        o.epochs = 20;
        o.lr = 0;
        o.patience = 2;
        resect_train_result r = outcome(&o, 0.3, trunk, NULL, hex);
        ck_assert(r.stopped_early);
        ck_assert_uint_eq(r.best_epoch, 1);
        ck_assert_uint_eq(r.epochs, 3);
}
END_TEST

START_TEST(rates_by_part)
{
        resect_error err;
        resect_data *d = pictures(0);
        resect_model *m = small_model(false), *before = small_model(false);
        resect_part_rate rates[] = {
                {"stem", 0}, {"layer1", 0}, {"layer2", 0}, {"layer2.0.conv2", 1}};
        resect_train_options o = defaults();
        o.part_rates = rates;
        o.n_part_rates = 4;
        CK_OK(resect_train(m, d, &o, NULL, NULL, &err), err);
        resect_anatomy *a = resect_anatomy_find(before, &err);
        CK_OK(a != NULL, err);
        size_t seen = 0;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_arena arena = {0};
                rs_span x, y;
                const char *name = m->graph.tensors[i]->name,
                           *part = resect_anatomy_tensor_part(a, name);
                CK_OK(rs_tensor_bytes(m, m->graph.tensors[i], &arena, &x, &err), err);
                CK_OK(rs_tensor_bytes(before, before->graph.tensors[i], &arena, &y, &err), err);
                bool equal = !memcmp(x.data, y.data, x.size);
                if (part && strstr(part, "conv"))
                        ck_assert_msg(equal == (strcmp(part, "layer2.0.conv2") != 0), "%s", part);
                seen += part && strstr(part, "conv");
                rs_arena_free(&arena);
        }
        ck_assert_uint_ge(seen, 4);
        resect_anatomy_free(a);
        rates[0].part = "layer9";
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_model_free(m);
        resect_model_free(before);
        resect_data_free(d);
}
END_TEST

static bool
stop_after_epoch(void *ctx, const resect_train_epoch *e)
{
        return e->epoch != *(const size_t *)ctx;
}

/* The deepest part that moved, as gradual thaw goes on. */
START_TEST(thaw_goes_downwards)
{
        static const char *const moving[] = {"head", "layer2", "layer1", "stem"};
        for (size_t epochs = 1; epochs <= 3; epochs++) {
                resect_error err;
                resect_data *d = pictures(0);
                resect_model *m = small_model(false), *before = small_model(false);
                resect_train_options o = defaults();
                resect_train_events events = {.ctx = &epochs, .epoch = stop_after_epoch};
                o.epochs = 4;
                o.thaw_every = 1;
                ck_assert(!resect_train(m, d, &o, &events, NULL, &err));
                ck_assert_int_eq(err.code, RESECT_STOPPED);
                resect_anatomy *a = resect_anatomy_find(before, &err);
                CK_OK(a != NULL, err);
                for (size_t i = 0; i < m->graph.n_tensors; i++) {
                        rs_arena arena = {0};
                        rs_span x, y;
                        const char *name = m->graph.tensors[i]->name,
                                   *part = resect_anatomy_tensor_part(a, name);
                        ck_assert(!rs_model_is_frozen(m, name));
                        CK_OK(rs_tensor_bytes(m, m->graph.tensors[i], &arena, &x, &err), err);
                        CK_OK(rs_tensor_bytes(before, before->graph.tensors[i], &arena, &y, &err),
                                err);
                        bool equal = !memcmp(x.data, y.data, x.size);
                        for (size_t k = 0; part && k < 4; k++)
                                if (!strncmp(part, moving[k], strlen(moving[k])))
                                        ck_assert_msg(equal == (k >= epochs),
                                                "%s (%s) after epoch %zu", name, part, epochs);
                        rs_arena_free(&arena);
                }
                resect_anatomy_free(a);
                resect_model_free(m);
                resect_model_free(before);
                resect_data_free(d);
        }
}
END_TEST

START_TEST(range_test_leaves_the_model)
{
        resect_error err;
        resect_data *d = pictures(0);
        resect_model *m = small_model(false);
        resect_train_options o = defaults();
        resect_lr_point p[60];
        size_t n = 60;
        double suggestion;
        char before[65], after[65];
        small_digest(m, before);
        CK_OK(resect_train_find_lr(m, d, &o, NULL, 1e-5, 100, p, &n, &suggestion, &err), err);
        small_digest(m, after);
        ck_assert_str_eq(before, after);
        ck_assert_uint_ge(n, 10);
        ck_assert_double_eq_tol(p[0].lr, 1e-5, 1e-12);
        for (size_t i = 1; i < n; i++)
                ck_assert_double_eq_tol(p[i].lr / p[i - 1].lr, pow(1e7, 1.0 / 59), 1e-9);
        ck_assert_double_gt(suggestion, 1e-4);
        ck_assert_double_lt(suggestion, 10);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(classes_and_heads_must_match)
{
        resect_error err;
        resect_data *d = pictures(0);
        resect_train_options o = defaults();
        resect_model *m = small_model(false);
        static const char *const labels[] = {"2", "0", "1"}, *const strange[] = {"a", "b", "c"};
        CK_OK(resect_model_set_labels(m, labels, 3, &err), err);
        int64_t map[3];
        CK_OK(resect_class_map(m, d, 3, false, map, &err), err);
        ck_assert(map[0] == 1 && map[1] == 2 && map[2] == 0);
        CK_OK(resect_class_map(m, d, 3, true, map, &err), err);
        ck_assert(map[0] == 0 && map[1] == 1 && map[2] == 2);
        CK_OK(resect_model_set_labels(m, strange, 3, &err), err);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_model_free(m);
        m = small_model(false);
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                CK_OK(rs_model_set_frozen(m, m->graph.tensors[i]->name, true, &err), err);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        resect_model_free(m);
        m = small_model(false);
        resect_data_free(d);
        static const char *const two[] = {"0", "2"};
        d = resect_data_open(folder, &(resect_data_options){.classes = two, .n_classes = 2}, &err);
        CK_OK(d != NULL, err);
        ck_assert(!resect_train(m, d, &o, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        ck_assert_msg(strstr(err.msg, "resect-head --classes 2"), "%s", err.msg);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

/* What a prediction says after training is what the validation said. */
START_TEST(predictions_agree_with_validation)
{
        resect_error err;
        resect_train_result r;
        resect_data *d = pictures(0.3);
        resect_model *m = small_model(true);
        resect_train_options o = defaults();
        CK_OK(resect_train(m, d, &o, NULL, &r, &err), err);
        resect_tensor logits;
        CK_OK(resect_predict(
                      m, d, RESECT_VAL, &(resect_predict_options){.batch = 7}, &logits, &err),
                err);
        size_t n = resect_data_count(d, RESECT_VAL);
        ck_assert_int_eq(logits.dims[0], (int64_t)n);
        resect_outcome *out = calloc(n, sizeof *out);
        int64_t *labels = calloc(n, sizeof *labels);
        resect_scores s;
        for (size_t i = 0; i < n; i++)
                labels[i] = resect_data_label(d, RESECT_VAL, i);
        CK_OK(resect_outcomes(logits.data, labels, n, 3, out, &err), err);
        CK_OK(resect_scores_of(out, n, 3, &s, NULL, NULL, &err), err);
        ck_assert_double_eq_tol(s.top1, r.best.top1, 1e-12);
        ck_assert_double_eq_tol(s.loss, r.best.loss, 1e-5);
        free(out);
        free(labels);
        resect_tensor_free(&logits);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(small_parts)
{
        float v[6] = {1, 2, 3, 4, 5, 6};
        resect_tensor x = {.dtype = RESECT_FLOAT,
                .rank = 4,
                .dims = {1, 1, 2, 3},
                .size = sizeof v,
                .data = v};
        rs_mirror(&x, false);
        const float want[6] = {3, 2, 1, 6, 5, 4};
        ck_assert_mem_eq(v, want, sizeof v);
        x = (resect_tensor){.dtype = RESECT_FLOAT,
                .rank = 4,
                .dims = {1, 1, 3, 2},
                .size = sizeof v,
                .data = v};
        rs_mirror(&x, true);
        const float pixels[6] = {5, 4, 1, 6, 3, 2};
        ck_assert_mem_eq(v, pixels, sizeof v);
        for (int k = 0; k < 2; k++) {
                double alpha = k ? 2 : 0.4, sum = 0, square = 0;
                for (uint64_t i = 0; i < 20000; i++) {
                        double b = rs_beta(alpha, 1, i);
                        ck_assert(b >= 0 && b <= 1);
                        sum += b;
                        square += (b - 0.5) * (b - 0.5);
                }
                ck_assert_double_eq_tol(sum / 20000, 0.5, 0.01);
                ck_assert_double_eq_tol(square / 20000, 1 / (4 * (2 * alpha + 1)), 0.004);
        }
}
END_TEST

/* The loader allocates in threads of its own. */
static atomic_long allowed;

static void *
scarce_malloc(size_t n)
{
        return atomic_fetch_sub(&allowed, 1) == 1 ? NULL : malloc(n);
}

static void *
scarce_realloc(void *p, size_t n)
{
        return atomic_fetch_sub(&allowed, 1) == 1 ? NULL : realloc(p, n);
}

/* One attempt with the k-th allocation failing; false when it was never reached. */
static bool
starve(long k, const resect_train_options *o, const char *const *frozen)
{
        resect_error err = {0};
        resect_data *d = pictures(0.3);
        resect_model *m = small_model(false);
        if (frozen)
                freeze(m, frozen);
        struct rs_hooks sane = rs_hooks;
        atomic_store(&allowed, k);
        rs_hooks.malloc = scarce_malloc;
        rs_hooks.realloc = scarce_realloc;
        bool ok = resect_train(m, d, o, NULL, NULL, &err);
        rs_hooks = sane;
        bool reached = atomic_load(&allowed) <= 0;
        ck_assert_msg(ok || err.code == RESECT_NOMEM, "allocation %ld: %s", k, err.msg);
        ck_assert(ok || reached);
        resect_model_free(m);
        resect_data_free(d);
        return reached;
}

START_TEST(any_allocation_may_fail)
{
        resect_train_options o = hard_options();
        o.epochs = 2;
        o.state = state;
        long k = 1;
        for (forget_state(); starve(k, &o, NULL); k += 1 + k / 150)
                forget_state();
        ck_assert_int_gt(k, 500);
        o.thaw_every = 0;
        o.state = NULL;
        for (k = 1; starve(k, &o, trunk);)
                k += 1 + k / 150;
        ck_assert_int_gt(k, 300);
        forget_state();
}
END_TEST

/* Not a test, but Check's assertions work in tests alone. */
static const char *leave_where;

START_TEST(leave_files)
{
        char path[512];
        resect_error err;
        resect_model *m = small_model(false);
        small_pictures(leave_where, 90);
        snprintf(path, sizeof path, "%s/small.onnx", leave_where);
        CK_OK(resect_model_write(m, path, &err), err);
        resect_model_free(m);
}
END_TEST

static int
run(Suite *s)
{
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
        const TTest *const tests[] = {it_learns, frozen_stays_to_the_last_byte,
                threads_change_nothing, a_cache_changes_nothing, a_stop_changes_nothing,
                a_kill_changes_nothing, a_damaged_state_falls_back, another_run_is_refused,
                a_full_disk_keeps_the_old_state, bad_numbers_stop_it, the_layer_is_named,
                patience_ends_it, rates_by_part, thaw_goes_downwards, range_test_leaves_the_model,
                classes_and_heads_must_match, predictions_agree_with_validation, small_parts,
                any_allocation_may_fail};
        Suite *s = suite_create("train");
        TCase *c = tcase_create("all");
        suite_add_tcase(s, c);
        if (argc == 3 && !strcmp(argv[1], "make")) {
                leave_where = argv[2];
                tcase_add_test(c, leave_files);
                return run(s);
        }
        tcase_set_timeout(c, 300);
        tcase_add_unchecked_fixture(c, prepare, clean_up);
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
                tcase_add_test(c, tests[i]);
        return run(s);
}
