/* SPDX-License-Identifier: 0BSD */
/* Reading settings: numbers with their bounds, lists, patterns, small text files. All of it is what
   a person typed, so that a mistake is answered with what was typed and what would be right. */
#include "edit/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 16 << 20 };

static const resect_setting *
find(const rs_surgery *s, const char *name)
{
        for (size_t i = 0; i < s->n_settings; i++)
                if (strcmp(s->settings[i].name, name) == 0)
                        return &s->settings[i];
        return NULL;
}

const char *
rs_setting(const rs_surgery *s, const char *name)
{
        const resect_setting *t = find(s, name);
        return t != NULL ? t->value : NULL;
}

bool
rs_given(const rs_surgery *s, const char *name)
{
        return find(s, name) != NULL;
}

bool
rs_parse_int(const char *what, const char *text, int64_t least, int64_t most, int64_t *out,
        resect_error *err)
{
        char *end;
        errno = 0;
        long long v = strtoll(text, &end, 10);
        bool digits = (text[0] >= '0' && text[0] <= '9') ||
                      (text[0] == '-' && text[1] >= '0' && text[1] <= '9');
        if (!digits || *end != '\0' || errno != 0 || v < least || v > most)
                return rs_fail(err, RESECT_ARG,
                        "%s: \"%s\" is not a whole number from %lld to %lld", what, text,
                        (long long)least, (long long)most);
        *out = v;
        return true;
}

bool
rs_setting_int(const rs_surgery *s, const char *name, int64_t least, int64_t most,
        int64_t otherwise, int64_t *out, resect_error *err)
{
        const char *text = rs_setting(s, name);
        *out = otherwise;
        char what[64];
        snprintf(what, sizeof what, "--%s", name);
        return text == NULL || rs_parse_int(what, text, least, most, out, err);
}

bool
rs_setting_double(const rs_surgery *s, const char *name, double least, double most,
        double otherwise, double *out, resect_error *err)
{
        const char *text = rs_setting(s, name);
        *out = otherwise;
        if (text == NULL)
                return true;
        /* By hand, because strtod reads a comma or a point as the locale says. */
        double v = 0, unit = 1;
        const char *p = text;
        bool digits = false;
        for (; *p >= '0' && *p <= '9'; p++, digits = true)
                v = v * 10 + (*p - '0');
        if (*p == '.')
                for (p++; *p >= '0' && *p <= '9'; p++, digits = true)
                        v += (unit /= 10) * (*p - '0');
        if (!digits || *p != '\0' || !(v >= least && v <= most))
                return rs_fail(err, RESECT_ARG, "--%s: \"%s\" is not a number from %g to %g", name,
                        text, least, most);
        *out = v;
        return true;
}

bool
rs_split(rs_arena *a, const char *what, const char *text, char at, const char ***items, size_t *n,
        resect_error *err)
{
        size_t count = 1;
        for (const char *p = text; *p != '\0'; p++)
                count += *p == at;
        const char **list = RS_NEW(a, count, const char *, err);
        if (list == NULL)
                return false;
        for (size_t i = 0; i < count; i++) {
                const char *end = strchr(text, at);
                size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
                if (length == 0)
                        return rs_fail(
                                err, RESECT_ARG, "%s: item %zu of the list is empty", what, i + 1);
                list[i] = rs_arena_strndup(a, text, length, err);
                if (list[i] == NULL)
                        return false;
                text += length + 1;
        }
        *items = list;
        *n = count;
        return true;
}

static bool
read_text(const char *path, rs_buf *text, resect_error *err)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return rs_fail(err, RESECT_IO, "%s: %s", path, strerror(errno));
        char piece[16384];
        ssize_t n;
        while ((n = rs_hooks.read(fd, piece, sizeof piece)) != 0 && text->size <= TEXT_MAX) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break;
                rs_buf_add(text, piece, (size_t)n);
        }
        int why = errno;
        close(fd);
        if (n < 0)
                return rs_fail(err, RESECT_IO, "%s: %s", path, strerror(why));
        if (text->oom)
                return rs_fail_nomem(err);
        if (text->size > TEXT_MAX)
                return rs_fail(err, RESECT_FORMAT, "%s: a text file of more than %d bytes", path,
                        TEXT_MAX);
        if (text->size != 0 && memchr(text->data, '\0', text->size) != NULL)
                return rs_fail(err, RESECT_FORMAT, "%s: not a text file (it has a NUL byte)", path);
        return true;
}

bool
rs_read_lines(rs_arena *a, const char *path, const char ***lines, size_t *n, resect_error *err)
{
        rs_buf text = {0};
        bool ok = read_text(path, &text, err);
        size_t count = 0;
        for (size_t i = 0; ok && i < text.size; i++)
                count += text.data[i] == '\n' || i + 1 == text.size;
        const char **list = ok ? RS_NEW(a, count + 1, const char *, err) : NULL;
        const char *p = (const char *)text.data, *end = ok && text.size ? p + text.size : p;
        size_t k = 0;
        for (ok = list != NULL; ok && p < end; k++) {
                const char *stop = memchr(p, '\n', (size_t)(end - p));
                const char *next = stop != NULL ? stop + 1 : end;
                if (stop == NULL)
                        stop = end;
                if (stop > p && stop[-1] == '\r')
                        stop--;
                list[k] = rs_arena_strndup(a, p, (size_t)(stop - p), err);
                ok = list[k] != NULL;
                p = next;
        }
        rs_buf_free(&text);
        *lines = list;
        *n = k;
        return ok;
}

void
rs_note(const rs_surgery *s, const char *fmt, ...)
{
        if (s->to.note == NULL)
                return;
        char line[4096];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        s->to.note(s->to.ctx, line);
}

void
rs_tell(const rs_surgery *s, const char *what, size_t done, size_t total)
{
        if (s->to.progress != NULL)
                s->to.progress(s->to.ctx, what, done, total);
}

/* One bracket expression at *p ("[a-c]", "[!x]") against c; moves *p past it. An unclosed one is a
 * plain '['. */
static bool
bracket(const char **p, char c)
{
        const char *q = *p + 1;
        bool negate = *q == '!' || *q == '^', hit = false;
        q += negate;
        const char *close = *q != '\0' ? strchr(q + 1, ']') : NULL;
        if (close == NULL) {
                (*p)++;
                return c == '[';
        }
        for (; q < close; q++) {
                if (q[1] == '-' && q + 2 < close) {
                        hit |= (unsigned char)c >= (unsigned char)q[0] &&
                               (unsigned char)c <= (unsigned char)q[2];
                        q += 2;
                } else {
                        hit |= *q == c;
                }
        }
        *p = close + 1;
        return hit != negate;
}

/* The usual loop with one place to come back to: linear in the name for each star, without
 * recursion. */
bool
rs_glob(const char *pattern, const char *name)
{
        const char *star = NULL, *resume = NULL;
        while (*name != '\0') {
                const char *p = pattern;
                bool hit = false;
                if (*p == '*') {
                        star = ++pattern;
                        resume = name;
                        continue;
                }
                if (*p == '[')
                        hit = bracket(&p, *name);
                else if (*p != '\0')
                        hit = *p == '?' || *p == *name, p++;
                if (hit) {
                        pattern = p;
                        name++;
                } else if (star != NULL) {
                        pattern = star;
                        name = ++resume;
                } else {
                        return false;
                }
        }
        while (*pattern == '*')
                pattern++;
        return *pattern == '\0';
}
