/* SPDX-License-Identifier: 0BSD */
/*
 * Error messages. They are formatted on the stack, so that reporting a failed allocation allocates
 * nothing, and they are made safe to print: a tensor name comes from a file, and a file may be
 * hostile.
 */
#include "base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "config.h"

/* The length of the UTF-8 sequence at s (n bytes are there), or 0 when it is not well-formed or a
 * control character. */
static size_t
printable_length(const unsigned char *s, size_t n)
{
        if (s[0] < 0x80)
                return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
        size_t len = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
        if (s[0] >= 0xf5 || len == 0 || len > n)
                return 0;
        uint32_t code = s[0] & (0x7f >> len);
        for (size_t i = 1; i < len; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (s[i] & 0x3f);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        bool odd = code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
        bool control = code < 0xa0 || (code >= 0x200b && code <= 0x200f) ||
                       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
                       code == 0xfeff;
        return odd || control ? 0 : len;
}

static void
escape(char *dst, size_t cap, const char *src)
{
        size_t used = 0, n = strlen(src);
        for (size_t i = 0; i < n;) {
                size_t len = printable_length((const unsigned char *)src + i, n - i);
                if (used + (len ? len : 4) >= cap)
                        break;
                if (len) {
                        memcpy(dst + used, src + i, len);
                        used += len;
                        i += len;
                } else {
                        used += (size_t)snprintf(
                                dst + used, cap - used, "\\x%02x", (unsigned char)src[i]);
                        i++;
                }
        }
        dst[used] = '\0';
}

bool
rs_vfail(resect_error *err, resect_code code, const char *fmt, va_list ap)
{
        if (!err)
                return false;
        char raw[RESECT_ERROR_MAX * 2];
        vsnprintf(raw, sizeof raw, fmt, ap);
        err->code = code;
        escape(err->msg, sizeof err->msg, raw);
        return false;
}

bool
rs_fail(resect_error *err, resect_code code, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        rs_vfail(err, code, fmt, ap);
        va_end(ap);
        return false;
}

bool
rs_fail_nomem(resect_error *err)
{
        return rs_fail(err, RESECT_NOMEM, "out of memory");
}

bool
rs_fail_at(resect_error *err, const char *fmt, ...)
{
        if (!err)
                return false;
        char where[RESECT_ERROR_MAX], raw[RESECT_ERROR_MAX * 2 + 4];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(where, sizeof where, fmt, ap);
        va_end(ap);
        snprintf(raw, sizeof raw, "%s: %s", where, err->msg);
        escape(err->msg, sizeof err->msg, raw);
        return false;
}

const char *
resect_code_name(resect_code code)
{
        static const char *const names[] = {
                "OK", "NOMEM", "IO", "FORMAT", "UNSUPPORTED", "GRAPH", "ARG", "STOPPED"};
        return (size_t)code < sizeof names / sizeof *names ? names[code] : "?";
}

const char *
resect_version(void)
{
        return PACKAGE_VERSION;
}
