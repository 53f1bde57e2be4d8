/* SPDX-License-Identifier: 0BSD */
/*
 * Both sides of the pipe to libhdf5's child. What comes out of it is as hostile as the file: texts
 * are short, shapes are multiplied with care, places must be in the file, and memory grows with the
 * bytes that come, not with those that are promised.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensor/dtype.h"
#include "weights/h5.h"
#include "weights/keras_config.h"

enum { FIRST = 1 << 20 };

void
rs_h5_say_bytes(rs_h5_say *s, const void *bytes, size_t n)
{
        s->failed = s->failed || !rs_confined_say(s->fd, bytes, n);
}

void
rs_h5_say_number(rs_h5_say *s, uint64_t v, unsigned bytes)
{
        unsigned char b[8];
        for (unsigned i = 0; i < bytes; i++)
                b[i] = (unsigned char)(v >> 8 * i);
        rs_h5_say_bytes(s, b, bytes);
}

static void
say_text(rs_h5_say *s, const char *text)
{
        size_t n = strlen(text);
        n = n < RS_H5_TEXT ? n : RS_H5_TEXT;
        rs_h5_say_number(s, n, 4);
        rs_h5_say_bytes(s, text, n);
}

void
rs_h5_say_two(rs_h5_say *s, char letter, const char *a, const char *b)
{
        rs_h5_say_bytes(s, &letter, 1);
        say_text(s, a);
        say_text(s, b);
}

void
rs_h5_say_error(rs_h5_say *s, resect_code code, const char *fmt, ...)
{
        char text[RESECT_ERROR_MAX];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        rs_h5_say_bytes(s, "e", 1);
        rs_h5_say_number(s, code, 4);
        say_text(s, text);
}

/* Bytes that came through the pipe, kept as long as the checkpoint. */
struct kept {
        void *bytes;
        struct kept *next;
};

static void
release(void *own)
{
        for (struct kept *k = own; k; k = k->next)
                rs_free(k->bytes);
}

struct taking {
        rs_h5_answer *a;
        rs_checkpoint *c; /* NULL: places are heard */
        const char *path;
        rs_span file;
        uint64_t room; /* bytes that may still come */
        size_t names;  /* bytes of text that came */
        char one[RS_H5_TEXT + 1], two[RS_H5_TEXT + 1];
        resect_error *err;
};

/* Fills err; then it has not just broken off. */
static bool
damaged(struct taking *t, const char *what)
{
        t->a->ended = true;
        return rs_fail(t->err, RESECT_FORMAT, "%s: libhdf5's answer is damaged: %s", t->path, what);
}

static bool
hear_number(struct taking *t, unsigned bytes, uint64_t *out)
{
        unsigned char b[8];
        if (!t->a->hear(t->a->ctx, b, bytes))
                return false;
        *out = 0;
        for (unsigned i = 0; i < bytes; i++)
                *out |= (uint64_t)b[i] << 8 * i;
        return true;
}

static bool
hear_text(struct taking *t, char out[RS_H5_TEXT + 1])
{
        uint64_t n;
        if (!hear_number(t, 4, &n))
                return false;
        if (n > RS_H5_TEXT)
                return damaged(t, "a long text");
        t->names += (size_t)n + 16;
        if (t->names > RS_H5_NAMES_TOTAL)
                return damaged(t, "too much text");
        if (!t->a->hear(t->a->ctx, out, (size_t)n))
                return false;
        out[n] = '\0';
        return strlen(out) == n || damaged(t, "a NUL in a text");
}

/* So many bytes that follow, into memory that grows as they come. */
static bool
hear_values(struct taking *t, size_t bytes, rs_span *out)
{
        struct kept *k = RS_NEW(&t->c->arena, 1, struct kept, t->err);
        size_t cap = 0, have = 0;
        t->a->ended = true; /* until it is sure that memory was not what failed */
        if (!k)
                return false;
        if (bytes > t->room) /* of a good file, too: deflated, it is smaller than its values */
                return rs_fail(t->err, RESECT_UNSUPPORTED,
                        "%s: its values take more than %llu bytes, which is the limit (--max-size)",
                        t->path,
                        (unsigned long long)(t->c->max_size ? t->c->max_size : RS_INPUT_MAX));
        t->room -= bytes;
        k->next = t->c->own;
        t->c->own = k;
        t->c->release = release;
        while (have < bytes) {
                size_t more = cap ? cap : FIRST;
                cap = bytes - cap < more ? bytes : cap + more;
                void *grown = rs_grow(k->bytes, cap, 1, t->err);
                if (!grown)
                        return false;
                k->bytes = grown;
                if (!t->a->hear(t->a->ctx, (unsigned char *)k->bytes + have, cap - have)) {
                        t->a->ended = false;
                        return false;
                }
                have = cap;
        }
        t->a->ended = false;
        *out = (rs_span){k->bytes, bytes};
        return true;
}

static bool
take_tensor(struct taking *t)
{
        uint64_t dtype, rank, dim, place;
        int64_t dims[RESECT_RANK_MAX];
        size_t count, bytes;
        rs_span values = {NULL, 0};
        if (!hear_text(t, t->one) || !hear_number(t, 4, &dtype) || !hear_number(t, 4, &rank))
                return false;
        if (rank > RESECT_RANK_MAX || dtype > INT32_MAX)
                return damaged(t, "a tensor");
        for (uint64_t i = 0; i < rank; i++) {
                if (!hear_number(t, 8, &dim))
                        return false;
                if (dim > INT64_MAX)
                        return damaged(t, "a dimension");
                dims[i] = (int64_t)dim;
        }
        if (!hear_number(t, 8, &place))
                return false;
        if (!rs_tensor_extent((int32_t)dtype, (int)rank, dims, &count, &bytes, NULL))
                return damaged(t, "a shape");
        if (place == RS_H5_FOLLOW) {
                if (!hear_values(t, bytes, &values))
                        return false;
        } else if (place > t->file.size || bytes > t->file.size - place)
                return damaged(t, "a place outside of the file");
        else
                values = (rs_span){t->file.data + place, bytes};
        t->a->ended = true;
        if (!rs_checkpoint_add(t->c, t->one, (int32_t)dtype, (int)rank, dims, values, t->err))
                return false;
        t->a->ended = false;
        return true;
}

static bool
take_pair(struct taking *t, bool note)
{
        if (!hear_text(t, t->one) || !hear_text(t, t->two))
                return false;
        t->a->ended = true;
        if (!(note ? rs_checkpoint_note(t->c, t->one, t->two, t->err)
                   : rs_checkpoint_skip(t->c, t->one, t->err, "%s", t->two)))
                return false;
        t->a->ended = false;
        return true;
}

static bool
take_config(struct taking *t)
{
        uint64_t n;
        rs_span text;
        if (!hear_number(t, 4, &n))
                return false;
        if (n > RS_H5_CONFIG)
                return damaged(t, "a long description");
        if (!hear_values(t, (size_t)n, &text))
                return false;
        t->a->ended = true;
        if (!rs_keras_config(t->c, text, t->err))
                return false;
        t->a->ended = false;
        return true;
}

static bool
take_error(struct taking *t)
{
        uint64_t code;
        if (!hear_number(t, 4, &code) || !hear_text(t, t->one))
                return false;
        t->a->ended = true;
        if (code != RESECT_UNSUPPORTED && code != RESECT_IO && code != RESECT_NOMEM)
                code = RESECT_FORMAT;
        return rs_fail(t->err, (resect_code)code, "%s: %s", t->path, t->one);
}

bool
rs_h5_take(rs_h5_answer *a, rs_checkpoint *c, rs_span file, resect_error *err)
{
        struct taking t = {.a = a,
                .c = c,
                .path = c->path,
                .file = file,
                .room = c->max_size ? c->max_size : RS_INPUT_MAX,
                .err = err};
        for (;;) {
                char letter;
                bool ok = a->hear(a->ctx, &letter, 1);
                if (!ok)
                        return false;
                if (letter == 'f') {
                        a->ended = true;
                        return true;
                }
                if (letter == 't')
                        ok = take_tensor(&t);
                else if (letter == 'n' || letter == 's')
                        ok = take_pair(&t, letter == 'n');
                else if (letter == 'd')
                        ok = take_config(&t);
                else if (letter == 'e')
                        ok = take_error(&t);
                else
                        ok = damaged(&t, "an unknown message");
                if (!ok)
                        return false;
        }
}

bool
rs_h5_take_places(rs_h5_answer *a, const char *path, size_t n, uint64_t *places, size_t step,
        resect_error *err)
{
        struct taking t = {.a = a, .path = path, .err = err};
        char letter;
        for (size_t i = 0;; i++) {
                if (!a->hear(a->ctx, &letter, 1))
                        return false;
                if (letter == 'e')
                        return take_error(&t);
                if (letter != (i < n ? 'p' : 'f'))
                        return damaged(&t, "an unknown message");
                if (i == n) {
                        a->ended = true;
                        return true;
                }
                if (!hear_number(&t, 8, (uint64_t *)(void *)((char *)places + i * step)))
                        return false;
        }
}
