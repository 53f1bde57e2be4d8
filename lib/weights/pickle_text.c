/* SPDX-License-Identifier: 0BSD */
/* Escapes are undone as Python undoes them; what it would refuse is refused. */
#include "weights/pickle_text.h"

#include <string.h>

rs_decimal
rs_pickle_decimal(rs_span s, int64_t *out)
{
        bool minus = s.size && s.data[0] == '-', fits = true;
        size_t i = minus;
        int64_t v = 0; /* of the negative, which reaches further */
        for (; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
                fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
                       !__builtin_sub_overflow(v, s.data[i] - '0', &v);
        if (i != s.size || i == minus)
                return RS_DECIMAL_NOT;
        if (!fits || (!minus && v == INT64_MIN))
                return RS_DECIMAL_BIG;
        *out = minus ? v : -v;
        return RS_DECIMAL;
}

static int
digit(unsigned char c)
{
        return c >= '0' && c <= '9'                     ? c - '0'
               : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                        : 99;
}

/* Up to most digits; the value, or -1 when there are fewer than least. */
static long
digits(const unsigned char **p, const unsigned char *end, int base, int least, int most)
{
        long v = 0;
        int n = 0;
        for (; n < most && *p < end && digit(**p) < base; n++, ++*p)
                v = v * base + digit(**p);
        return n >= least ? v : -1;
}

/* One character after its backslash; false when damaged. An unknown escape stands for itself. */
static bool
unescape(const unsigned char **p, const unsigned char *end, unsigned char **to)
{
        static const char letters[] = "abfnrtv\\'\"", meant[] = "\a\b\f\n\r\t\v\\'\"";
        if (*p == end)
                return false;
        const char *l = **p ? strchr(letters, **p) : NULL;
        if (l) {
                ++*p;
                *(*to)++ = (unsigned char)meant[l - letters];
                return true;
        }
        bool hex = **p == 'x';
        *p += hex;
        long v = digits(p, end, hex ? 16 : 8, hex ? 2 : 1, hex ? 2 : 3);
        *(*to)++ = v < 0 ? '\\' : (unsigned char)v;
        return v >= 0 || !hex;
}

bool
rs_pickle_repr(rs_span s, unsigned char *out, size_t *n)
{
        unsigned char *to = out;
        if (s.size < 2 || s.data[0] != s.data[s.size - 1] ||
                (s.data[0] != '\'' && s.data[0] != '"'))
                return false;
        const unsigned char *p = s.data + 1, *end = s.data + s.size - 1;
        while (p < end)
                if (*p != '\\')
                        *to++ = *p++;
                else if (p++, !unescape(&p, end, &to))
                        return false;
        *n = (size_t)(to - out);
        return true;
}

static unsigned char *
put_utf8(unsigned char *to, unsigned long c)
{
        static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
        int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (int i = n - 1; i > 0; i--, c >>= 6)
                to[i] = (unsigned char)(0x80 | (c & 0x3f));
        to[0] = (unsigned char)(n == 1 ? c : first[n] | c);
        return to + n;
}

bool
rs_pickle_raw_unicode(rs_span s, unsigned char *out, size_t *n)
{
        const unsigned char *p = s.data, *end = s.data + s.size;
        unsigned char *to = out;
        while (p < end) {
                int most = *p != '\\' || end - p < 2 ? 0 : p[1] == 'u' ? 4 : p[1] == 'U' ? 8 : 0;
                long c = *p++;
                if (most) {
                        p++;
                        c = digits(&p, end, 16, most, most);
                        if (c < 0 || c > 0x10ffff)
                                return false;
                }
                to = put_utf8(to, (unsigned long)c);
        }
        *n = (size_t)(to - out);
        return true;
}
