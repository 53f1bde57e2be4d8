/* SPDX-License-Identifier: 0BSD */
/*
 * The one look at every sample: can it be decoded, and what are its pixels? SHA-256 of the pixels
 * (not of the file: the same picture with another comment is the same picture) decides the split
 * and finds doubles; a dHash of 64 bits (is each cell of a 9 x 8 grey thumbnail brighter than its
 * right neighbour?) finds pictures that look alike.
 */
#include "data/data.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include "base/sha256.h"
#include "base/threads.h"

struct scan {
        resect_data *data;
        atomic_size_t next;
        atomic_bool nomem, stopped;
        const resect_data_options *options;
        pthread_t caller; /* which tells of progress */
};

void
rs_picture_hash(const rs_picture *p, unsigned char hash[32])
{
        rs_sha256 s;
        unsigned char head[12];
        int sizes[3] = {p->width, p->height, p->channels};
        for (int i = 0; i < 12; i++)
                head[i] = (unsigned char)(sizes[i / 4] >> 8 * (i % 4));
        rs_sha256_start(&s);
        rs_sha256_add(&s, head, sizeof head);
        rs_sha256_add(&s, p->pixels, rs_picture_bytes(p));
        rs_sha256_end(&s, hash);
}

bool
rs_file_stamp(const char *path, int64_t *size, int64_t *mtime)
{
        struct stat st;
        if (stat(path, &st) != 0)
                return false;
        *size = st.st_size;
        *mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        return true;
}

static bool
look_at(const rs_picture *p, uint64_t *out, resect_error *err)
{
        rs_picture t;
        bool ok = rs_picture_resize(&t, rs_picture_view(p), 9, 8, err) &&
                  rs_picture_to_channels(&t, 1, err);
        uint64_t bits = 0;
        for (int i = 0; ok && i < 72; i++)
                if (i % 9 < 8)
                        bits = bits << 1 | (t.pixels[i] > t.pixels[i + 1]);
        rs_picture_free(&t);
        *out = bits;
        return ok;
}

static bool
scan_file(resect_data *d, rs_sample *s, resect_error *err)
{
        rs_picture p;
        rs_buf file;
        rs_file_stamp(s->path, &s->file_size, &s->mtime);
        if (!rs_file_load(&file, s->path, RS_PICTURE_FILE, err))
                return false;
        bool ok = rs_picture_decode(&p, (rs_span){file.data, file.size}, 0, err);
        rs_buf_free(&file);
        if (ok)
                rs_picture_hash(&p, s->hash);
        ok = ok && look_at(&p, &s->look, err) && rs_data_keep_fitted(d, s, &p, err);
        rs_picture_free(&p);
        return ok;
}

static void
scan_row(const resect_data *d, rs_sample *s)
{
        rs_sha256 sha;
        size_t row = (size_t)(d->chw[0] * d->chw[1] * d->chw[2]) *
                     (d->kind == RS_TENSOR ? sizeof(float) : 1);
        const unsigned char *from = d->kind == RS_TENSOR ? d->x.data : d->pixels;
        rs_sha256_start(&sha);
        rs_sha256_add(&sha, from + s->row * row, row);
        rs_sha256_end(&sha, s->hash);
}

static void *
work(void *arg)
{
        struct scan *scan = arg;
        resect_data *d = scan->data;
        const bool tells = scan->options->progress && pthread_equal(pthread_self(), scan->caller);
        for (size_t i; !scan->nomem && !scan->stopped &&
                       (i = atomic_fetch_add(&scan->next, 1)) < d->n_samples;) {
                rs_sample *s = &d->samples[i];
                if (tells && !scan->options->progress(scan->options->ctx, i, d->n_samples))
                        scan->stopped = true;
                resect_error why;
                if (!s->path)
                        scan_row(d, s);
                else if (!scan_file(d, s, &why)) {
                        size_t n = strlen(why.msg) + 1;
                        if (why.code != RESECT_NOMEM)
                                s->why = rs_alloc(n, 1, NULL);
                        if (s->why)
                                memcpy(s->why, why.msg, n);
                        else
                                scan->nomem = true;
                }
        }
        return NULL;
}

bool
rs_data_scan(resect_data *d, const resect_data_options *o, resect_error *err)
{
        enum { MOST = 32 };
        struct scan scan = {.data = d, .options = o, .caller = pthread_self()};
        pthread_t others[MOST];
        int n = 0, want = rs_threads(o->threads);
        want = want > MOST ? MOST : want;
        sigset_t all, old;
        sigfillset(&all); /* signals are for the program's own threads */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        while (n < want - 1 && pthread_create(&others[n], NULL, work, &scan) == 0)
                n++;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        work(&scan); /* this thread is one of them; without others it does all */
        while (n)
                pthread_join(others[--n], NULL);
        if (scan.stopped)
                return rs_fail(err, RESECT_STOPPED, "stopped while its pictures were looked at");
        return !scan.nomem || rs_fail_nomem(err);
}
