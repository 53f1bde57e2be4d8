/* SPDX-License-Identifier: 0BSD */
/* JSON (RFC 8259), as much of it as headers need: objects, arrays, strings, whole numbers. Nothing
 * recurses. */
#include "weights/json.h"

#include <math.h>
#include <string.h>

static bool
stop(rs_json *j, const char *why)
{
        if (!j->why)
                j->why = why;
        j->p = j->end;
        return false;
}

static void
space(rs_json *j)
{
        while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
                j->p++;
}

bool
rs_json_eat(rs_json *j, char c)
{
        space(j);
        if (j->p == j->end || *j->p != c)
                return false;
        j->p++;
        return true;
}

bool
rs_json_next(rs_json *j, char close, bool *first)
{
        if (j->why || rs_json_eat(j, close))
                return false;
        if (!*first && !rs_json_eat(j, ','))
                return stop(j, j->p == j->end ? "it ends in the middle" : "a comma is missing");
        *first = false;
        space(j);
        if (j->p == j->end)
                return stop(j, "it ends in the middle");
        return *j->p != close || stop(j, "a comma too many");
}

static void
put_utf8(rs_buf *b, uint32_t u)
{
        unsigned char s[4];
        size_t n = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = n; i-- > 1; u >>= 6)
                s[i] = (unsigned char)(0x80 | (u & 0x3f));
        s[0] = (unsigned char)(lead[n] | u);
        rs_buf_add(b, s, n);
}

static bool
hex4(rs_json *j, uint32_t *out)
{
        *out = 0;
        if (j->end - j->p < 4)
                return stop(j, "it ends in an escape");
        for (int i = 0; i < 4; i++) {
                char c = *j->p++;
                int v = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
                if (v < 0)
                        return stop(j, "\\u is not followed by four hexadecimal digits");
                *out = *out << 4 | (uint32_t)v;
        }
        return true;
}

static bool
escape(rs_json *j)
{
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        if (j->p == j->end)
                return stop(j, "it ends in an escape");
        char c = *j->p++;
        if (c == 'u') {
                uint32_t u, low;
                if (!hex4(j, &u))
                        return false;
                if (u >= 0xd800 && u < 0xe000) {
                        if (u >= 0xdc00 || j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u')
                                return stop(j, "half a surrogate pair");
                        j->p += 2;
                        if (!hex4(j, &low))
                                return false;
                        if (low < 0xdc00 || low >= 0xe000)
                                return stop(j, "half a surrogate pair");
                        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
                }
                if (!u)
                        return stop(j, "a NUL in a string");
                put_utf8(&j->text, u);
                return true;
        }
        const char *at = c ? strchr(from, c) : NULL;
        if (!at)
                return stop(j, "an unknown escape");
        rs_buf_add(&j->text, &to[at - from], 1);
        return true;
}

const char *
rs_json_string(rs_json *j)
{
        j->text.size = 0;
        rs_buf_str(&j->text, "");
        if (j->why || !rs_json_eat(j, '"')) {
                stop(j, "a string is missing");
                return NULL;
        }
        for (;;) {
                const char *run = j->p;
                while (j->p < j->end && *j->p != '"' && *j->p != '\\' &&
                        (unsigned char)*j->p >= 0x20)
                        j->p++;
                rs_buf_add(&j->text, run, (size_t)(j->p - run));
                if (j->p == j->end || (unsigned char)*j->p < 0x20) {
                        stop(j, j->p == j->end ? "it ends in a string"
                                               : "a control byte in a string");
                        return NULL;
                }
                if (*j->p++ == '"')
                        break;
                if (!escape(j))
                        return NULL;
        }
        rs_buf_str(&j->text, "");
        if (j->text.oom) {
                stop(j, "out of memory");
                return NULL;
        }
        if (!rs_is_utf8((const char *)j->text.data, j->text.size)) {
                stop(j, "a string that is not UTF-8");
                return NULL;
        }
        return (const char *)j->text.data;
}

void
rs_json_text(rs_json *j, char *out, size_t size)
{
        const char *s = rs_json_string(j);
        out[0] = '\0';
        if (s && strlen(s) < size)
                strcpy(out, s);
}

bool
rs_json_natural(rs_json *j, uint64_t *out)
{
        space(j);
        const char *start = j->p;
        *out = 0;
        for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++)
                if (__builtin_mul_overflow(*out, 10, out) ||
                        __builtin_add_overflow(*out, (uint64_t)(*j->p - '0'), out))
                        return stop(j, "a number too large");
        if (j->p == start)
                return stop(j, "a whole number is missing");
        if (*start == '0' && j->p - start > 1)
                return stop(j, "a number that begins with 0");
        if (j->p < j->end && (*j->p == '.' || *j->p == 'e' || *j->p == 'E'))
                return stop(j, "a number that is not a whole one");
        return !j->why;
}

/* strtod would read a comma or a point as the locale says. */
bool
rs_decimal(const char *s, double *out)
{
        bool minus = *s == '-', digits = false;
        double v = 0;
        int64_t shift = 0, exponent = 0;
        for (s += minus; *s >= '0' && *s <= '9'; s++, digits = true)
                v = v * 10 + (*s - '0');
        if (*s == '.')
                for (s++; *s >= '0' && *s <= '9'; s++, shift--, digits = true)
                        v = v * 10 + (*s - '0');
        if (digits && (*s == 'e' || *s == 'E')) {
                bool less = s[1] == '-', any = false;
                for (s += 1 + (s[1] == '-' || s[1] == '+'); *s >= '0' && *s <= '9'; s++, any = true)
                        if (exponent < 1000)
                                exponent = exponent * 10 + (*s - '0');
                digits = any;
                exponent = less ? -exponent : exponent;
        }
        if (!digits || *s || exponent > 400 || exponent < -400)
                return false;
        shift += exponent;
        v = shift < 0 ? v / pow(10, (double)-shift) : v * pow(10, (double)shift);
        *out = minus ? -v : v;
        return isfinite(v);
}

bool
rs_json_real(rs_json *j, double *out)
{
        char text[64];
        size_t n = 0;
        space(j);
        while (j->p < j->end && *j->p && strchr("+-.0123456789eE", *j->p) && n + 1 < sizeof text)
                text[n++] = *j->p++;
        text[n] = '\0';
        return (!j->why && rs_decimal(text, out)) || stop(j, "a number is missing, or too large");
}

bool
rs_json_skip(rs_json *j)
{
        size_t depth = 0;
        do {
                space(j);
                if (j->why || j->p == j->end)
                        return stop(j, "it ends in the middle");
                char c = *j->p;
                if (c == '"') {
                        if (!rs_json_string(j))
                                return false;
                } else if (c == '{' || c == '[' || c == '}' || c == ']') {
                        if ((c == '}' || c == ']') && depth == 0)
                                return stop(j, "a value is missing");
                        depth = c == '{' || c == '[' ? depth + 1 : depth - 1;
                        j->p++;
                } else if ((c == ',' || c == ':') && depth == 0)
                        return stop(j, "a value is missing");
                else if (c == ',' || c == ':')
                        j->p++;
                else /* a number or a word */
                        while (j->p < j->end && *j->p && !strchr(" \n\t\r,:{}[]\"", *j->p))
                                j->p++;
                if (j->p < j->end && !*j->p)
                        return stop(j, "a NUL");
        } while (depth > 0);
        return true;
}

void
rs_json_quote(rs_buf *b, const char *s)
{
        rs_buf_str(b, "\"");
        for (; *s; s++)
                if (*s == '"' || *s == '\\')
                        rs_buf_printf(b, "\\%c", *s);
                else if ((unsigned char)*s < 0x20 || *s == 0x7f)
                        rs_buf_printf(b, "\\u%04x", (unsigned)*s);
                else
                        rs_buf_add(b, s, 1);
        rs_buf_str(b, "\"");
}

bool
rs_is_utf8(const char *text, size_t n)
{
        const unsigned char *s = (const unsigned char *)text;
        for (size_t i = 0; i < n;) {
                unsigned char c = s[i];
                size_t more = c < 0x80                ? 0
                              : c >= 0xc2 && c < 0xe0 ? 1
                              : c >= 0xe0 && c < 0xf0 ? 2
                              : c >= 0xf0 && c < 0xf5 ? 3
                                                      : 4;
                if (more == 4 || more >= n - i)
                        return false;
                for (size_t k = 1; k <= more; k++)
                        if ((s[i + k] & 0xc0) != 0x80)
                                return false;
                if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] >= 0xa0) ||
                        (c == 0xf0 && s[i + 1] < 0x90) || (c == 0xf4 && s[i + 1] >= 0x90))
                        return false;
                i += more + 1;
        }
        return true;
}
