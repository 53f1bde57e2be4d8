/* SPDX-License-Identifier: 0BSD */
/*
 * What every reader shares: entries that are checked as they are added, inputs that live as long as
 * the checkpoint, and the way in, which asks each format whether the first bytes are its own.
 */
#include "weights/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/beneath.h"
#include "tensor/dtype.h"

enum { SNIFFED = 4096 };

struct rs_kept_input {
        rs_input *in;
        struct rs_kept_input *next;
};

/* Room for one more in an array of the checkpoint. */
static bool
room(void **array, size_t n, size_t *cap, size_t width, resect_error *err)
{
        size_t more;
        if (n < *cap)
                return true;
        if (!rs_add(*cap, *cap / 2 + 64, &more))
                return rs_fail_nomem(err);
        void *grown = rs_grow(*array, more, width, err);
        if (!grown)
                return false;
        *array = grown;
        *cap = more;
        return true;
}

static rs_entry *
add(rs_checkpoint *c, const char *name, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err)
{
        rs_entry e = {.dtype = dtype, .rank = rank};
        if (rank < 0 || rank > RESECT_RANK_MAX)
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        "%s: %s has %d dimensions; at most %d are read", c->path, name, rank,
                        RESECT_RANK_MAX);
        if (!rs_tensor_extent(dtype, rank, dims, &e.count, &e.bytes, err)) {
                rs_fail_at(err, "%s: %s", c->path, name);
                if (err && err->code != RESECT_UNSUPPORTED)
                        err->code = RESECT_FORMAT; /* the file says so, not the caller, and nothing
                                                      was allocated */
                return NULL;
        }
        if (rs_map_get(&c->names, name))
                return RS_FAIL_NULL(
                        err, RESECT_FORMAT, "%s: two tensors are called '%s'", c->path, name);
        int64_t *copy = RS_NEW(&c->arena, (size_t)rank + 1, int64_t, err);
        e.name = rs_arena_strdup(&c->arena, name, err);
        if (!copy || !e.name)
                return NULL;
        for (int i = 0; i < rank; i++)
                copy[i] = dims[i];
        e.dims = copy;
        if (!room((void **)&c->entries, c->n_entries, &c->entries_cap, sizeof e, err) ||
                !rs_map_put(&c->names, e.name, (void *)(uintptr_t)(c->n_entries + 1), NULL, err))
                return NULL;
        c->entries[c->n_entries] = e;
        return &c->entries[c->n_entries++];
}

bool
rs_checkpoint_add(rs_checkpoint *c, const char *name, int32_t dtype, int rank, const int64_t *dims,
        rs_span data, resect_error *err)
{
        rs_entry *e = add(c, name, dtype, rank, dims, err);
        if (!e)
                return false;
        e->data = data;
        return e->bytes == data.size ||
               rs_fail(err, RESECT_FORMAT, "%s: %s: %zu bytes of data for a shape that takes %zu",
                       c->path, name, data.size, e->bytes);
}

bool
rs_checkpoint_add_lazy(rs_checkpoint *c, const char *name, int32_t dtype, int rank,
        const int64_t *dims, bool (*fetch)(const rs_entry *, rs_arena *, rs_span *, resect_error *),
        const void *ctx, resect_error *err)
{
        rs_entry *e = add(c, name, dtype, rank, dims, err);
        if (!e)
                return false;
        e->fetch = fetch;
        e->ctx = ctx;
        return true;
}

bool
rs_entry_bytes(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        *out = e->data;
        if (e->data.data || !e->bytes)
                return true;
        if (!e->fetch(e, scratch, out, err))
                return false;
        return out->size == e->bytes ||
               rs_fail(err, RESECT_FORMAT, "%s: %zu bytes came for a shape that takes %zu", e->name,
                       out->size, e->bytes);
}

bool
rs_checkpoint_say(rs_checkpoint *c, size_t i, const rs_says *says, resect_error *err)
{
        rs_says *copy = RS_NEW(&c->arena, 1, rs_says, err);
        if (!copy)
                return false;
        *copy = *says;
        c->entries[i].says = copy;
        return true;
}

bool
rs_checkpoint_note(rs_checkpoint *c, const char *key, const char *value, resect_error *err)
{
        rs_pair p = {rs_arena_strdup(&c->arena, key, err), NULL};
        if (!p.key || !(p.value = rs_arena_strdup(&c->arena, value, err)) ||
                !room((void **)&c->meta, c->n_meta, &c->meta_cap, sizeof p, err))
                return false;
        c->meta[c->n_meta++] = p;
        return true;
}

bool
rs_checkpoint_skip(rs_checkpoint *c, const char *name, resect_error *err, const char *why, ...)
{
        char text[256];
        va_list ap;
        va_start(ap, why);
        vsnprintf(text, sizeof text, why, ap);
        va_end(ap);
        rs_skipped s = {rs_arena_strdup(&c->arena, name, err), NULL};
        if (!s.name || !(s.why = rs_arena_strdup(&c->arena, text, err)) ||
                !room((void **)&c->skipped, c->n_skipped, &c->skipped_cap, sizeof s, err))
                return false;
        c->skipped[c->n_skipped++] = s;
        return true;
}

const rs_entry *
rs_checkpoint_find(const rs_checkpoint *c, const char *name)
{
        size_t at = (size_t)(uintptr_t)rs_map_get(&c->names, name);
        return at ? &c->entries[at - 1] : NULL;
}

static const rs_input *
keep(rs_checkpoint *c, rs_input *in, resect_error *err)
{
        struct rs_kept_input *kept = in ? RS_NEW(&c->arena, 1, struct rs_kept_input, err) : NULL;
        if (!kept) {
                rs_input_free(in);
                return NULL;
        }
        *kept = (struct rs_kept_input){in, c->inputs};
        c->inputs = kept;
        return in;
}

const rs_input *
rs_checkpoint_open(rs_checkpoint *c, const char *path, resect_error *err)
{
        return keep(c, rs_input_open(path, c->max_size, err), err);
}

const rs_input *
rs_checkpoint_beneath(rs_checkpoint *c, const char *folder, const char *name, resect_error *err)
{
        if (!rs_beneath_name(name, strlen(name), err))
                return NULL;
        int fd = rs_open_beneath(folder, name, false, err);
        if (fd < 0)
                return NULL;
        rs_input *in = rs_input_read_fd(fd, name, c->max_size, err);
        close(fd);
        return keep(c, in, err);
}

/* The format that says the bytes are its own. */
static const rs_format *
sniff(const rs_checkpoint *c, const rs_input *in)
{
        size_t size = !in ? 0 : in->size < SNIFFED ? in->size : SNIFFED;
        for (size_t i = 0; rs_format_list(i); i++)
                if (rs_format_list(i)->sniff(in ? in->data : NULL, size, c->path))
                        return rs_format_list(i);
        return NULL;
}

/* A name that is only what the names of several files begin with becomes the first file's. */
static bool
complete(rs_checkpoint *c, resect_error *err)
{
        struct stat st;
        const rs_format *f;
        if (!strcmp(c->path, "-") || stat(c->path, &st) == 0)
                return true;
        for (size_t i = 0; (f = rs_format_list(i)); i++) {
                if (!f->stem || (c->format && c->format != f))
                        continue;
                char *path = rs_arena_printf(&c->arena, err, "%s%s", c->path, f->stem);
                if (!path)
                        return false;
                if (stat(path, &st) == 0) {
                        c->path = path;
                        break;
                }
        }
        return true;
}

static bool
read_into(rs_checkpoint *c, resect_error *err)
{
        struct stat st;
        const rs_input *in = NULL;
        if (!complete(c, err))
                return false;
        bool folder = strcmp(c->path, "-") != 0 && stat(c->path, &st) == 0 && S_ISDIR(st.st_mode);
        if (!folder && !(in = rs_checkpoint_open(c, c->path, err)))
                return false;
        if (!c->format && !(c->format = sniff(c, in)))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %s", c->path,
                        folder          ? "a folder without .npy files"
                        : in->size == 0 ? "the file is empty"
                                        : "not a checkpoint of any format that is known here");
        if (!c->format->read)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %s can be written, but not read",
                        c->path, c->format->name);
        return c->format->read(c, in, err);
}

static rs_checkpoint *
make(const char *path, const rs_format *format, uint64_t max_size, resect_error *err)
{
        rs_checkpoint *c = rs_alloc(1, sizeof *c, err);
        if (!c)
                return NULL;
        c->format = format;
        c->max_size = max_size;
        if (!(c->path = rs_arena_strdup(&c->arena, path, err))) {
                rs_checkpoint_free(c);
                return NULL;
        }
        return c;
}

rs_checkpoint *
rs_checkpoint_read(const char *path, const rs_format *format, uint64_t max_size, resect_error *err)
{
        rs_checkpoint *c = make(path, format, max_size, err);
        if (!c || read_into(c, err))
                return c;
        rs_checkpoint_free(c);
        return NULL;
}

rs_checkpoint *
rs_checkpoint_of(rs_input *in, const char *path, const rs_format *format, uint64_t max_size,
        resect_error *err)
{
        rs_checkpoint *c = make(path, format, max_size, err);
        if (!c) {
                rs_input_free(in);
                return NULL;
        }
        if (keep(c, in, err) && format->read(c, in, err))
                return c;
        rs_checkpoint_free(c);
        return NULL;
}

void
rs_checkpoint_rest(const rs_checkpoint *c)
{
        for (struct rs_kept_input *k = c->inputs; k; k = k->next)
                rs_input_rest(k->in);
}

void
rs_checkpoint_free(rs_checkpoint *c)
{
        if (!c)
                return;
        if (c->release)
                c->release(c->own);
        for (struct rs_kept_input *k = c->inputs; k; k = k->next)
                rs_input_free(k->in);
        rs_free(c->entries);
        rs_free(c->meta);
        rs_free(c->skipped);
        rs_map_free(&c->names);
        rs_arena_free(&c->arena);
        rs_free(c);
}
