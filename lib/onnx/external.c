/* SPDX-License-Identifier: 0BSD */
/*
 * One resolver for every tensor. Offsets and lengths come from the model and sizes from the
 * descriptor of what was really opened; they meet only here, in a comparison that cannot wrap.
 */
#include "config.h"
#include "onnx/external.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/beneath.h"
#include "io/input.h"

struct file {
        rs_span bytes; /* mapped; data is NULL for an empty file */
        struct file *next;
};

struct rs_external {
        pthread_mutex_t lock;
        rs_arena arena;
        rs_map files; /* location -> struct file */
        struct file *list;
        size_t count;
};

rs_external *
rs_external_make(resect_error *err)
{
        rs_external *e = rs_alloc(1, sizeof *e, err);
        if (e)
                pthread_mutex_init(&e->lock, NULL);
        return e;
}

void
rs_external_free(rs_external *e)
{
        if (!e)
                return;
        for (struct file *f = e->list; f; f = f->next)
                if (f->bytes.data)
                        munmap((void *)f->bytes.data, f->bytes.size);
        rs_map_free(&e->files);
        rs_arena_free(&e->arena);
        pthread_mutex_destroy(&e->lock);
        rs_free(e);
}

static bool
map_fd(int fd, const resect_model *m, const char *location, rs_span *out, resect_error *err)
{
        struct stat st;
        if (fstat(fd, &st) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", location);
        const rs_input *in = m->input;
        if (in && in->is_file && in->dev == st.st_dev && in->ino == st.st_ino)
                return rs_fail(err, RESECT_FORMAT, "%s: is the model itself", location);
        *out = (rs_span){NULL, 0};
        if (st.st_size == 0)
                return true;
        if ((uint64_t)st.st_size > SIZE_MAX)
                return rs_fail_nomem(err);
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
                return errno == ENOMEM ? rs_fail_nomem(err)
                                       : rs_fail(err, RESECT_IO, "%s: %m", location);
        *out = (rs_span){p, (size_t)st.st_size};
        return true;
}

static bool
open_file(const resect_model *m, rs_external *e, const char *location, struct file **out,
        resect_error *err)
{
        *out = rs_map_get(&e->files, location);
        if (*out)
                return true;
        if (e->count == RS_EXTERNAL_FILES_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "more than %d files of external data",
                        RS_EXTERNAL_FILES_MAX);
        struct file *f = RS_NEW(&e->arena, 1, struct file, err);
        const char *key = f ? rs_arena_strdup(&e->arena, location, err) : NULL;
        if (!key)
                return false;
        int fd = rs_open_beneath(m->base, location, m->allow_hard_links, err);
        if (fd < 0)
                return false;
        bool ok = map_fd(fd, m, location, &f->bytes, err);
        close(fd);
        if (ok && !rs_map_put(&e->files, key, f, NULL, err)) {
                if (f->bytes.data)
                        munmap((void *)f->bytes.data, f->bytes.size);
                ok = false;
        }
        if (!ok)
                return false;
        f->next = e->list;
        e->list = *out = f;
        e->count++;
        return true;
}

bool
rs_external_bytes(const resect_model *m, const rs_tensor *t, rs_span *out, resect_error *err)
{
        if (!m->base)
                return rs_fail(err, RESECT_ARG,
                        "%s: tensor %s: its values are in the file %s, and a model that comes from "
                        "a "
                        "stream has no folder: say which with --base DIR",
                        m->path, t->name, t->location);
        if (!m->external)
                return rs_fail(err, RESECT_ARG,
                        "%s: tensor %s: external data in a model that was not read", m->path,
                        t->name);
        struct file *f;
        pthread_mutex_lock(&m->external->lock);
        bool ok = open_file(m, m->external, t->location, &f, err);
        pthread_mutex_unlock(&m->external->lock);
        if (!ok)
                return rs_fail_at(err, "%s: tensor %s: external data", m->path, t->name);
        if (t->bytes > f->bytes.size || t->offset > f->bytes.size - t->bytes)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: tensor %s: external data: %zu bytes at %llu are wanted, the file %s "
                        "has %zu",
                        m->path, t->name, t->bytes, (unsigned long long)t->offset, t->location,
                        f->bytes.size);
        *out = (rs_span){f->bytes.data ? f->bytes.data + t->offset : NULL, t->bytes};
        return true;
}

bool
rs_external_size(const resect_model *m, const char *location, uint64_t *size, resect_error *err)
{
        struct file *f;
        if (!m->base)
                return rs_fail(err, RESECT_ARG,
                        "a model that comes from a stream has no folder: say which with --base "
                        "DIR");
        if (!m->external)
                return rs_fail(err, RESECT_ARG, "external data in a model that was not read");
        pthread_mutex_lock(&m->external->lock);
        bool ok = open_file(m, m->external, location, &f, err);
        pthread_mutex_unlock(&m->external->lock);
        if (ok)
                *size = f->bytes.size;
        return ok;
}
