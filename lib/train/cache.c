/* SPDX-License-Identifier: 0BSD */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "train/cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "io/fd.h"

void
rs_mirror(resect_tensor *x, bool nhwc)
{
        float *v = x->data;
        size_t width = (size_t)x->dims[nhwc ? 2 : 3], step = nhwc ? (size_t)x->dims[3] : 1;
        size_t line = width * step, lines = (size_t)resect_tensor_count(x) / line;
        for (size_t k = 0; k < lines; k++, v += line)
                for (size_t a = 0, b = width - 1; a < b; a++, b--)
                        for (size_t c = 0; c < step; c++) {
                                float t = v[a * step + c];
                                v[a * step + c] = v[b * step + c];
                                v[b * step + c] = t;
                        }
}

void
rs_cache_free(rs_cache *c)
{
        if (!c)
                return;
        rs_free_aligned(c->memory);
        if (c->mapped)
                munmap(c->mapped, c->bytes);
        if (c->fd >= 0)
                close(c->fd);
        rs_free(c->offset);
        rs_free(c);
}

const float *
rs_cache_row(const rs_cache *c, size_t sample, size_t view, size_t i)
{
        const float *all = c->memory ? c->memory : c->mapped;
        return all + (sample * c->views + view) * c->row + c->offset[i];
}

static bool
open_file(rs_cache *c, const char *dir, resect_error *err)
{
        c->fd = rs_fd_nameless(dir, c->bytes);
        if (c->fd < 0)
                return rs_fail(err, RESECT_IO,
                        "%s: no room for %zu bytes of cached features: %s (--cache-dir, "
                        "--cache-size, --no-cache)",
                        dir, c->bytes, strerror(errno));
        return true;
}

/* Lays the rows of a batch where they belong: into memory, or through staging to the end of the
 * file. */
static bool
put(rs_cache *c, const rs_net *net, const resect_tensor *reads, size_t at, size_t n, size_t view,
        float *staging)
{
        float *to = c->memory ? c->memory + at * c->views * c->row : staging;
        for (size_t i = 0; i < c->n_reads; i++)
                for (size_t k = 0; k < n; k++)
                        memcpy(to + (k * c->views + view) * c->row + c->offset[i],
                                (const float *)reads[i].data + k * net->row[i],
                                net->row[i] * sizeof(float));
        if (c->memory || view + 1 < c->views)
                return true;
        struct iovec piece = {staging, n * c->views * c->row * sizeof(float)};
        return rs_fd_write(c->fd, &piece, 1);
}

static bool
fill(rs_cache *c, rs_net *net, resect_loader *loader, const resect_train_events *events,
        float *staging, float *mirror, resect_tensor *reads, resect_error *err)
{
        resect_batch b;
        for (size_t done = 0;; done += b.n) {
                if (events->progress &&
                        !events->progress(events->ctx, "caching features", done, c->n))
                        return rs_fail(err, RESECT_STOPPED, "stopped while caching features");
                if (!resect_loader_next(loader, &b, err))
                        return false;
                if (!b.n)
                        return true;
                resect_tensor x = b.x;
                for (size_t view = 0; view < c->views; view++) {
                        if (view) {
                                memcpy(mirror, b.x.data, b.x.size);
                                x.data = mirror;
                                rs_mirror(&x, net->in.input.nhwc);
                        }
                        if (!rs_net_trunk(net, &x, b.n, reads, err))
                                return false;
                        if (!put(c, net, reads, done, b.n, view, staging))
                                return rs_fail(
                                        err, RESECT_IO, "cached features: %s", strerror(errno));
                }
        }
}

static bool
make_room(rs_cache *c, const rs_net *net, const resect_train_options *o, resect_error *err)
{
        c->offset = rs_alloc(c->n_reads, sizeof *c->offset, err);
        if (!c->offset)
                return false;
        for (size_t i = 0; i < c->n_reads; i++) {
                c->offset[i] = c->row;
                if (!rs_add(c->row, net->row[i], &c->row))
                        return rs_fail_nomem(err);
        }
        if (!rs_mul(c->row * sizeof(float), c->views, &c->bytes) ||
                !rs_mul(c->bytes, c->n, &c->bytes))
                return rs_fail_nomem(err);
        if (c->bytes > o->cache_size)
                return open_file(c, o->cache_dir ? o->cache_dir : "/tmp", err);
        return (c->memory = rs_alloc_aligned(c->bytes, err)) != NULL;
}

static bool
map_file(rs_cache *c, resect_error *err)
{
        void *p = mmap(NULL, c->bytes, PROT_READ, MAP_SHARED, c->fd, 0);
        if (p == MAP_FAILED)
                return rs_fail(err, RESECT_IO, "cached features: %s", strerror(errno));
        c->mapped = p;
        return true;
}

rs_cache *
rs_cache_make(rs_net *net, const resect_data *d, resect_split split, const size_t *samples,
        size_t n, bool mirrored, const resect_train_options *o, const resect_train_events *events,
        resect_error *err)
{
        rs_cache *c = rs_alloc(1, sizeof *c, err);
        if (!c)
                return NULL;
        *c = (rs_cache){.n = n, .views = mirrored ? 2 : 1, .n_reads = net->n_reads, .fd = -1};
        resect_loader *loader = NULL;
        float *staging = NULL, *mirror = NULL;
        rs_arena arena = {0};
        resect_tensor *reads = RS_NEW(&arena, net->n_reads, resect_tensor, err);
        bool ok = reads && make_room(c, net, o, err) &&
                  (c->memory || (staging = rs_alloc_aligned(
                                         net->batch * c->views * c->row * sizeof(float), err))) &&
                  (mirror = rs_alloc_aligned(net->in.shape.size, err)) &&
                  (loader = resect_loader_make(d,
                           &(resect_loader_options){.split = split,
                                   .order = samples,
                                   .n = n,
                                   .batch = net->batch,
                                   .input = &net->in.input,
                                   .computes = net->o->threads},
                           err)) &&
                  fill(c, net, loader, events, staging, mirror, reads, err) &&
                  (c->memory || map_file(c, err));
        resect_loader_free(loader);
        rs_free_aligned(staging);
        rs_free_aligned(mirror);
        rs_arena_free(&arena);
        if (ok)
                return c;
        rs_cache_free(c);
        return NULL;
}
