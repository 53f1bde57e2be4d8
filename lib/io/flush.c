/* SPDX-License-Identifier: 0BSD */
/*
 * sync_file_range only hands bytes to the disk's queue, but it waits when that is full, and finding
 * them a place on the disk takes time, too. So a thread of its own calls it, and whoever writes
 * goes on writing.
 */
#include "config.h"
#include "io/flush.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include "base/mem.h"

struct rs_flush {
        int fd;
        pthread_t thread;
        pthread_mutex_t lock; /* of what follows */
        pthread_cond_t more;
        uint64_t end; /* of the bytes that are written */
        bool over;
};

#ifdef SYNC_FILE_RANGE_WRITE
static void *
work(void *arg)
{
        rs_flush *f = arg;
        uint64_t begun = 0;
        pthread_mutex_lock(&f->lock);
        while (!f->over) {
                uint64_t end = f->end;
                if (begun == end) {
                        pthread_cond_wait(&f->more, &f->lock);
                        continue;
                }
                pthread_mutex_unlock(&f->lock);
                (void)sync_file_range(
                        f->fd, (off_t)begun, (off_t)(end - begun), SYNC_FILE_RANGE_WRITE);
                begun = end;
                pthread_mutex_lock(&f->lock);
        }
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

rs_flush *
rs_flush_start(int fd)
{
        rs_flush *f = rs_alloc(1, sizeof *f, NULL);
        if (!f)
                return NULL;
        f->fd = fd;
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->more, NULL);
        sigset_t all, old;
        sigfillset(&all); /* signals are for the program's own threads */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        bool ok = pthread_create(&f->thread, NULL, work, f) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (ok)
                return f;
        rs_free(f);
        return NULL;
}
#else
rs_flush *
rs_flush_start(int fd)
{
        (void)fd;
        return NULL;
}
#endif

void
rs_flush_to(rs_flush *f, uint64_t end)
{
        if (!f)
                return;
        pthread_mutex_lock(&f->lock);
        f->end = end;
        pthread_cond_signal(&f->more);
        pthread_mutex_unlock(&f->lock);
}

void
rs_flush_end(rs_flush *f)
{
        if (!f)
                return;
        pthread_mutex_lock(&f->lock);
        f->over = true;
        pthread_cond_signal(&f->more);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
        pthread_cond_destroy(&f->more);
        pthread_mutex_destroy(&f->lock);
        rs_free(f);
}
