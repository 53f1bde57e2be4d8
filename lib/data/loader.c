/* SPDX-License-Identifier: 0BSD */
/*
 * Batches made sample by sample: whichever thread is free takes the next one in the order, so that
 * a batch is the same bytes with any number of threads, and a slow picture delays nobody else.
 *
 * Threads that have a processor to themselves work ahead, in a ring of a few batches; without such
 * threads one batch is all the memory that is touched. The others
 * work only while the consumer waits for a batch, and so does the consumer: a picture decoded
 * beside a computation that uses all processors holds up one of its threads, and all the others
 * wait for that one.
 *
 * The consumer holds one batch; its place is given back at the next call. An error is kept with its
 * batch and told when that batch is asked for: the one of the lowest sample, whoever met it first.
 */
#include "data/data.h"

#include <signal.h>
#include <string.h>
#include "base/threads.h"

enum { RING = 3, MOST_THREADS = 64 };

struct place {
        resect_tensor x;
        int64_t *y;
        size_t *samples;
        size_t left; /* samples not done */
        size_t bad;  /* lowest failed sample of the batch, when failed */
        bool failed;
        resect_error why;
};

struct resect_loader {
        const resect_data *data;
        resect_split split;
        resect_input input;
        resect_augment augment;
        bool augmented;
        uint64_t seed, epoch;
        size_t *order;        /* [n] */
        size_t n, batch, row; /* row: floats a sample */
        struct place ring[RING];
        int places;   /* of them in use */
        size_t taken; /* samples handed to threads */
        size_t given; /* batches given to the consumer */
        bool stop;
        pthread_mutex_t lock;
        pthread_cond_t room, done;
        bool has_lock, has_room, has_done;
        pthread_t threads[MOST_THREADS];
        int n_threads;
        int ahead;    /* of them; the others come after */
        int begun;    /* threads that know which they are */
        bool waiting; /* the consumer, for batch number given - 1 */
};

static size_t
batch_count(const resect_loader *l, size_t b)
{
        size_t left = l->n - b * l->batch;
        return left < l->batch ? left : l->batch;
}

/* Batches up to here may be worked on: the consumer holds number given - 1. */
static bool
has_place(const resect_loader *l)
{
        return l->taken < l->n &&
               l->taken / l->batch < (l->given ? l->given - 1 : 0) + (size_t)l->places;
}

/* The samples of the batches that the consumer has asked for. */
static bool
is_waited_for(const resect_loader *l)
{
        size_t end = l->given * l->batch;
        return l->waiting && l->taken < (end < l->n ? end : l->n);
}

/* Makes one sample. Called and returns with the lock held. */
static void
make_one(resect_loader *l)
{
        size_t k = l->taken++, b = k / l->batch, i = k % l->batch;
        struct place *p = &l->ring[b % (size_t)l->places];
        if (i == 0) {
                p->left = batch_count(l, b);
                p->failed = false;
        }
        pthread_mutex_unlock(&l->lock);
        resect_error err = {0};
        bool ok = resect_data_sample(l->data, l->split, l->order[k], &l->input,
                l->augmented ? &l->augment : NULL, l->seed, l->epoch,
                (float *)p->x.data + i * l->row, &err);
        p->y[i] = resect_data_label(l->data, l->split, l->order[k]);
        p->samples[i] = l->order[k];
        pthread_mutex_lock(&l->lock);
        if (!ok && (!p->failed || i < p->bad)) {
                p->failed = true;
                p->bad = i;
                p->why = err;
        }
        if (--p->left == 0)
                pthread_cond_signal(&l->done);
}

static void *
work(void *arg)
{
        resect_loader *l = arg;
        pthread_mutex_lock(&l->lock);
        const bool ahead = l->begun++ < l->ahead;
        while (!l->stop) {
                if (ahead ? has_place(l) : is_waited_for(l))
                        make_one(l);
                else if (l->taken == l->n)
                        break;
                else
                        pthread_cond_wait(&l->room, &l->lock);
        }
        pthread_mutex_unlock(&l->lock);
        return NULL;
}

static bool
copy_order(resect_loader *l, const resect_loader_options *o, resect_error *err)
{
        size_t count = resect_data_count(l->data, o->split);
        l->n = o->order ? o->n : count;
        if (!(l->order = rs_alloc(l->n, sizeof *l->order, err)))
                return false;
        for (size_t i = 0; i < l->n; i++) {
                l->order[i] = o->order ? o->order[i] : i;
                if (l->order[i] >= count)
                        return rs_fail(
                                err, RESECT_ARG, "loader: sample %zu of %zu", l->order[i], count);
        }
        return true;
}

static bool
make_ring(resect_loader *l, resect_error *err)
{
        const resect_input *in = &l->input;
        int64_t n = (int64_t)l->batch, C = in->channels, H = in->height, W = in->width;
        int64_t dims[4] = {n, in->nhwc ? H : C, in->nhwc ? W : H, in->nhwc ? C : W};
        l->row = (size_t)(C * H * W);
        for (int i = 0; i < l->places; i++) {
                struct place *p = &l->ring[i];
                if (!resect_tensor_make(&p->x, RESECT_FLOAT, 4, dims, err) ||
                        !(p->y = rs_alloc(l->batch, sizeof *p->y, err)) ||
                        !(p->samples = rs_alloc(l->batch, sizeof *p->samples, err)))
                        return false;
        }
        return true;
}

/* How many threads work ahead. */
static int
count_ahead(const resect_loader_options *o)
{
        int left = rs_threads(0) - rs_threads(o->computes);
        return o->threads > 0 ? o->threads : left < 0 ? 0 : left;
}

/* Fewer threads than wanted is no error; with none the consumer works alone. */
static void
start(resect_loader *l, const resect_loader_options *o)
{
        sigset_t all, old;
        int n = o->threads > 0 ? o->threads : rs_threads(0) - 1; /* and the consumer */
        sigfillset(&all); /* Ctrl-C is for the program's own thread */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        while (l->n_threads < n && l->n_threads < MOST_THREADS &&
                pthread_create(&l->threads[l->n_threads], NULL, work, l) == 0)
                l->n_threads++;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
}

resect_loader *
resect_loader_make(const resect_data *d, const resect_loader_options *o, resect_error *err)
{
        if (o->batch == 0)
                return RS_FAIL_NULL(err, RESECT_ARG, "loader: batches of 0 samples");
        if (!rs_data_check_input(d, o->input, err))
                return NULL;
        resect_loader *l = rs_alloc(1, sizeof *l, err);
        if (!l)
                return NULL;
        l->data = d;
        l->split = o->split;
        l->input = *o->input;
        l->augmented = o->augment != NULL;
        if (o->augment)
                l->augment = *o->augment;
        l->seed = o->seed;
        l->epoch = o->epoch;
        l->has_lock = pthread_mutex_init(&l->lock, NULL) == 0;
        l->has_room = pthread_cond_init(&l->room, NULL) == 0;
        l->has_done = pthread_cond_init(&l->done, NULL) == 0;
        bool ok = (l->has_lock && l->has_room && l->has_done) || rs_fail_nomem(err);
        ok = ok && copy_order(l, o, err);
        l->batch = o->batch < l->n ? o->batch : l->n ? l->n : 1;
        l->ahead = count_ahead(o);
        l->places = l->ahead ? RING : 1;
        if (!ok || !make_ring(l, err)) {
                resect_loader_free(l);
                return NULL;
        }
        start(l, o);
        return l;
}

bool
resect_loader_next(resect_loader *l, resect_batch *out, resect_error *err)
{
        *out = (resect_batch){0};
        size_t b = l->given;
        if (b * l->batch >= l->n)
                return true;
        struct place *p = &l->ring[b % (size_t)l->places];
        pthread_mutex_lock(&l->lock);
        size_t n = batch_count(l, b);
        l->given = b + 1; /* the batch before is given back */
        l->waiting = true;
        pthread_cond_broadcast(&l->room);
        while (l->taken < b * l->batch + n || p->left) {
                if (is_waited_for(l))
                        make_one(l);
                else
                        pthread_cond_wait(&l->done, &l->lock);
        }
        l->waiting = false;
        bool ok = !p->failed;
        if (!ok) {
                l->given = b; /* the same answer to the next call */
                if (err)
                        *err = p->why;
        }
        pthread_mutex_unlock(&l->lock);
        if (!ok)
                return false;
        *out = (resect_batch){p->x, p->y, p->samples, n};
        out->x.dims[0] = (int64_t)n;
        out->x.size = n * l->row * sizeof(float);
        return true;
}

void
resect_loader_free(resect_loader *l)
{
        if (!l)
                return;
        if (l->has_lock && l->has_room) {
                pthread_mutex_lock(&l->lock);
                l->stop = true;
                pthread_cond_broadcast(&l->room);
                pthread_mutex_unlock(&l->lock);
        }
        while (l->n_threads)
                pthread_join(l->threads[--l->n_threads], NULL);
        for (int i = 0; i < RING; i++) {
                resect_tensor_free(&l->ring[i].x);
                rs_free(l->ring[i].y);
                rs_free(l->ring[i].samples);
        }
        rs_free(l->order);
        if (l->has_lock)
                pthread_mutex_destroy(&l->lock);
        if (l->has_room)
                pthread_cond_destroy(&l->room);
        if (l->has_done)
                pthread_cond_destroy(&l->done);
        rs_free(l);
}
