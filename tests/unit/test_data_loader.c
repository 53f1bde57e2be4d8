/* SPDX-License-Identifier: 0BSD */
/* Samples and batches: the same bytes whatever the threads and the cache, and errors that name the
 * file. */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "unit.h"
#include "trees.h"

#include "image/image.h"

enum { N = 23, SIZE = 3 * 9 * 8 };
static const resect_input input = {.channels = 3,
        .height = 9,
        .width = 8,
        .resize = 10,
        .mean = {0.4, 0.5, 0.6},
        .std = {0.2, 0.3, 0.4}};
static const resect_augment augment = {.crop = true, .flip = true, .jitter = 0.2};

static resect_data *
make(char *root)
{
        char spec[64];
        resect_error err;
        new_root(root);
        for (int i = 0; i < N; i++) {
                snprintf(spec, sizeof spec, "%s/%02d.png=%d", i % 2 ? "ants" : "bees", i, i);
                grow(root, spec);
        }
        resect_data *d = resect_data_open(root, NULL, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        return d;
}

static resect_loader *
load(const resect_data *d, resect_loader_options o)
{
        resect_error err;
        o.input = o.input ? o.input : &input;
        resect_loader *l = resect_loader_make(d, &o, &err);
        ck_assert_msg(l != NULL, "%s", err.msg);
        return l;
}

START_TEST(batches_are_the_samples_in_order)
{
        char root[64];
        resect_data *d = make(root);
        size_t order[N];
        rs_shuffle(5, 6, order, N);
        for (int threads = 0; threads <= 7; threads++)
                for (size_t batch = 1; batch < 40; batch += 6)
                        for (int kind = 0; kind < 4; kind++) {
                                const size_t *given = kind & 1 ? order : NULL;
                                const resect_augment *how = kind & 2 ? &augment : NULL;
                                resect_error err;
                                resect_batch b;
                                resect_loader *l = load(d, (resect_loader_options){.order = given,
                                                                   .n = N,
                                                                   .batch = batch,
                                                                   .augment = how,
                                                                   .seed = 3,
                                                                   .epoch = 4,
                                                                   .threads = threads});
                                size_t seen = 0;
                                for (;;) {
                                        CK_OK(resect_loader_next(l, &b, &err), err);
                                        if (!b.n)
                                                break;
                                        ck_assert(b.n == batch || b.n == N - seen);
                                        ck_assert(b.x.rank == 4 && b.x.dims[0] == (int64_t)b.n &&
                                                  b.x.dims[1] == 3 && b.x.dims[2] == 9 &&
                                                  b.x.dims[3] == 8 &&
                                                  b.x.size == b.n * SIZE * sizeof(float));
                                        for (size_t i = 0; i < b.n; i++, seen++) {
                                                float one[SIZE];
                                                size_t at = given ? given[seen] : seen;
                                                ck_assert_uint_eq(b.samples[i], at);
                                                ck_assert_int_eq(b.y[i],
                                                        resect_data_label(d, RESECT_TRAIN, at));
                                                CK_OK(resect_data_sample(d, RESECT_TRAIN, at,
                                                              &input, how, 3, 4, one, &err),
                                                        err);
                                                ck_assert_mem_eq(one,
                                                        (const float *)b.x.data + i * SIZE,
                                                        sizeof one);
                                        }
                                }
                                ck_assert_uint_eq(seen, N);
                                CK_OK(resect_loader_next(l, &b, &err), err);
                                ck_assert_uint_eq(b.n, 0);
                                resect_loader_free(l);
                        }
        resect_data_free(d);
        fell(root);
}
END_TEST

/* A second input has no cache; it must see the same numbers as the first, which has. And so must a
 * file itself, and data that knew the input when it was opened: that one needs no file any more. */
START_TEST(the_cache_changes_nothing)
{
        char root[64], path[128];
        resect_data *a = make(root);
        resect_error err;
        resect_data *b = resect_data_open(root, NULL, &err);
        ck_assert_ptr_nonnull(b);
        resect_data *c = resect_data_open(root, &(resect_data_options){.input = &input}, &err);
        ck_assert_ptr_nonnull(c);
        resect_input other = input;
        other.height = 5;
        float x[SIZE], y[SIZE];
        CK_OK(resect_data_sample(b, RESECT_TRAIN, 0, &other, NULL, 0, 0, x, &err), err);
        for (int round = 0; round < 2; round++)
                for (size_t i = 0; i < N; i++) {
                        for (int k = 0; k < 2; k++) {
                                const resect_augment *how = k ? &augment : NULL;
                                CK_OK(resect_data_sample(
                                              a, RESECT_TRAIN, i, &input, how, 1, 2, x, &err),
                                        err);
                                CK_OK(resect_data_sample(
                                              b, RESECT_TRAIN, i, &input, how, 1, 2, y, &err),
                                        err);
                                ck_assert_mem_eq(x, y, sizeof x);
                        }
                        snprintf(path, sizeof path, "%s/%s", root,
                                resect_data_name(a, RESECT_TRAIN, i));
                        CK_OK(resect_data_sample(a, RESECT_TRAIN, i, &input, NULL, 1, 2, x, &err),
                                err);
                        CK_OK(resect_picture_read(path, &input, y, &err), err);
                        ck_assert_mem_eq(x, y, sizeof x);
                        if (round == 1)
                                ck_assert_int_eq(unlink(path), 0);
                        CK_OK(resect_data_sample(c, RESECT_TRAIN, i, &input, NULL, 1, 2, y, &err),
                                err);
                        ck_assert_mem_eq(x, y, sizeof x);
                }
        other.height = 0;
        ck_assert_ptr_null(resect_data_open(root, &(resect_data_options){.input = &other}, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_data_free(c);
        resect_data_free(a);
        resect_data_free(b);
        fell(root);
}
END_TEST

START_TEST(loaders_can_be_left)
{
        char root[64];
        resect_data *d = make(root);
        for (int i = 0; i < 60; i++) {
                resect_error err;
                resect_batch b;
                resect_loader *l =
                        load(d, (resect_loader_options){.batch = 2, .threads = 1 + i % 5});
                for (int k = 0; k < i % 7; k++)
                        CK_OK(resect_loader_next(l, &b, &err), err);
                resect_loader_free(l);
        }
        resect_loader_free(NULL);
        resect_data_free(d);
        fell(root);
}
END_TEST

/* What happens to bees/10.png after the data was opened, and what must be said of it. */
START_TEST(pictures_that_turn_bad)
{
        static const char *const what[] = {"99", "cut", "empty", "text", "gone"};
        static const char *const says[] = {"changed since the data was opened", "JPEG",
                "an empty file", "neither", "No such file"};
        for (size_t k = 0; k < sizeof what / sizeof *what; k++) {
                char root[64], path[96], spec[64];
                resect_data *d = make(root);
                snprintf(path, sizeof path, "%s/bees/10.png", root);
                remove(path);
                snprintf(spec, sizeof spec, "bees/10.png=%s", what[k]);
                if (strcmp(what[k], "gone") != 0)
                        grow(root, spec);
                resect_loader *l = load(d, (resect_loader_options){.batch = 4, .threads = 3});
                resect_error err;
                resect_batch b;
                size_t good = 0;
                while (resect_loader_next(l, &b, &err)) {
                        ck_assert_uint_ne(b.n, 0);
                        good += b.n;
                }
                ck_assert_uint_eq(
                        good, 16); /* the 11 ants, then bees/00 .. 08: the 17th is the bad one */
                ck_assert_msg(
                        strstr(err.msg, "bees/10.png") && strstr(err.msg, says[k]), "%s", err.msg);
                ck_assert(!resect_loader_next(l, &b, &err) && strstr(err.msg, "bees/10.png"));
                resect_loader_free(l);
                resect_data_free(d);
                fell(root);
        }
}
END_TEST

/* Only the time stamp is new: the pixels count. */
START_TEST(a_touched_picture_is_the_same)
{
        char root[64];
        resect_data *d = make(root);
        resect_error err;
        float x[SIZE];
        grow(root, "bees/10.png=10");
        for (size_t i = 0; i < N; i++)
                CK_OK(resect_data_sample(d, RESECT_TRAIN, i, &input, NULL, 0, 0, x, &err), err);
        resect_data_free(d);
        fell(root);
}
END_TEST

START_TEST(wrong_calls)
{
        char root[64];
        resect_data *d = make(root);
        resect_error err;
        float x[SIZE];
        size_t far[] = {0, N};
        resect_input bad = input;
        bad.std[1] = 0;
        ck_assert(!resect_loader_make(
                          d, &(resect_loader_options){.batch = 0, .input = &input}, &err) &&
                  err.code == RESECT_ARG);
        ck_assert(
                !resect_loader_make(d, &(resect_loader_options){.batch = 1, .input = &bad}, &err) &&
                err.code == RESECT_ARG);
        ck_assert(!resect_loader_make(d,
                &(resect_loader_options){.batch = 1, .input = &input, .order = far, .n = 2}, &err));
        ck_assert_msg(strstr(err.msg, "sample 23 of 23"), "%s", err.msg);
        ck_assert(!resect_data_sample(d, RESECT_VAL, 0, &input, NULL, 0, 0, x, &err) &&
                  err.code == RESECT_ARG);
        resect_augment wild = {.pad = -1};
        ck_assert(!resect_data_sample(d, RESECT_TRAIN, 0, &input, &wild, 0, 0, x, &err) &&
                  err.code == RESECT_ARG);
        resect_loader *l = load(d, (resect_loader_options){.batch = 3, .split = RESECT_TEST});
        resect_batch b;
        CK_OK(resect_loader_next(l, &b, &err), err);
        ck_assert_uint_eq(b.n, 0);
        resect_loader_free(l);
        resect_data_free(d);
        fell(root);
}
END_TEST

static size_t until_failure;

static void *
failing_malloc(size_t n)
{
        return __atomic_fetch_sub(&until_failure, 1, __ATOMIC_SEQ_CST) == 0 ? NULL : malloc(n);
}

static void *
failing_realloc(void *p, size_t n)
{
        return __atomic_fetch_sub(&until_failure, 1, __ATOMIC_SEQ_CST) == 0 ? NULL : realloc(p, n);
}

/* Opening and loading everything, with the k-th allocation failing, for every k until none fails.
 */
START_TEST(failing_allocations)
{
        char root[64];
        resect_data_free(make(root));
        grow(root, "ants/bad.jpg=cut");
        bool done = false;
        for (size_t k = 0; !done; k++) {
                resect_error err = {0};
                resect_batch b = {0};
                resect_loader_options o = {.batch = 8,
                        .input = &input,
                        .augment = k % 2 ? &augment : NULL,
                        .threads = 1};
                until_failure = k;
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                resect_data *d = resect_data_open(root,
                        &(resect_data_options){.val = 0.2,
                                .skip_bad = true,
                                .threads = 1,
                                .input = k % 4 < 2 ? &input : NULL},
                        &err);
                resect_loader *l = d ? resect_loader_make(d, &o, &err) : NULL;
                done = l;
                while (done && (done = resect_loader_next(l, &b, &err)) && b.n)
                        ;
                resect_loader_free(l);
                resect_data_free(d);
                done = done && (intptr_t)until_failure >= 0;
                rs_hooks.malloc = malloc;
                rs_hooks.realloc = realloc;
                ck_assert_msg(err.code == RESECT_OK || err.code == RESECT_NOMEM,
                        "allocation %zu: %s", k, err.msg);
        }
        fell(root);
}
END_TEST

/* How often it was told, and when it says stop. */
struct told {
        size_t times, stop_at, last;
};

static bool
on_picture(void *ctx, size_t done, size_t total)
{
        struct told *t = ctx;
        ck_assert(total == N && done < N);
        ck_assert(!t->times || done > t->last);
        t->last = done;
        return ++t->times != t->stop_at;
}

START_TEST(opening_tells)
{
        char root[64];
        resect_error err = {0};
        resect_data_free(make(root));
        for (int threads = 1; threads <= 3; threads += 2) {
                struct told t = {0};
                resect_data_options o = {.threads = threads, .progress = on_picture, .ctx = &t};
                resect_data *d = resect_data_open(root, &o, &err);
                ck_assert_msg(d != NULL, "%s", err.msg);
                ck_assert(threads > 1 ? t.times <= N : t.times == N);
                resect_data_free(d);
                t = (struct told){.stop_at = 1};
                d = resect_data_open(root, &o, &err);
                ck_assert(d ? !t.times : t.times == 1 && err.code == RESECT_STOPPED);
                ck_assert(threads > 1 || !d);
                resect_data_free(d);
        }
        fell(root);
}
END_TEST

UNIT_MAIN("data loader", opening_tells, batches_are_the_samples_in_order, the_cache_changes_nothing,
        loaders_can_be_left, pictures_that_turn_bad, a_touched_picture_is_the_same, wrong_calls,
        failing_allocations)
