/* SPDX-License-Identifier: 0BSD */
/*
 * Text in SVG and HTML. Bytes that are not UTF-8, and characters that XML does not have, become
 * U+FFFD, so that whatever a file is called, the page is well-formed. Nobody here knows the
 * reader's font: widths are those of a common sans-serif, a little generous.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "view/view.h"

/* The next character of s[0..n) into *c; returns its length. Overlong forms, surrogates and what
 * XML forbids count as a bad byte: 1, with *c 0xfffd. */
static size_t
next(const char *text, size_t n, uint32_t *c)
{
        const unsigned char *s = (const unsigned char *)text;
        size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
        *c = 0xfffd;
        if (s[0] > 0xf4 || length == 0 || length > n)
                return 1;
        uint32_t v = length == 1 ? s[0] : s[0] & (0x7fU >> length);
        for (size_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 1;
                v = v << 6 | (s[i] & 0x3f);
        }
        static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
        bool control = v < 0x20 && v != '\t' && v != '\n';
        if (v < least[length] || control || v == 0x7f || (v >= 0xd800 && v < 0xe000) ||
                v > 0x10ffff || (v & 0xfffe) == 0xfffe)
                return 1;
        *c = v;
        return length;
}

void
rs_xml_textn(rs_buf *b, const char *s, size_t n)
{
        for (size_t i = 0; i < n;) {
                uint32_t c;
                size_t length = next(s + i, n - i, &c);
                switch (c) {
                case '&':
                        rs_buf_str(b, "&amp;");
                        break;
                case '<':
                        rs_buf_str(b, "&lt;");
                        break;
                case '>':
                        rs_buf_str(b, "&gt;");
                        break;
                case '"':
                        rs_buf_str(b, "&quot;");
                        break;
                case '\'':
                        rs_buf_str(b, "&#39;");
                        break;
                case 0xfffd:
                        rs_buf_str(b, "\xef\xbf\xbd");
                        break;
                default:
                        rs_buf_add(b, s + i, length);
                }
                i += length;
        }
}

void
rs_xml_text(rs_buf *b, const char *s)
{
        if (s)
                rs_xml_textn(b, s, strlen(s));
}

/* In parts of the font's size: those of DejaVu Sans, the widest of the fonts that are asked for. */
static double
char_width(uint32_t c)
{
        if (c >= 0x1100 &&
                (c <= 0x115f || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                        (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) ||
                        (c >= 0xff00 && c <= 0xff60) || c >= 0x1f000))
                return 1.05;
        if (c < 0x80 && strchr("ijl.,:;'|!ftI()[] ", (int)c))
                return 0.39;
        if (c < 0x80 && strchr("mwMW@%", (int)c))
                return 0.97;
        if ((c >= 'A' && c <= 'Z') || c >= 0x2000) /* dashes, signs */
                return 0.76;
        return 0.63;
}

static double
width_of(const char *s, size_t n, double size)
{
        double sum = 0;
        for (size_t i = 0; i < n;) {
                uint32_t c;
                i += next(s + i, n - i, &c);
                sum += char_width(c);
        }
        return sum * size;
}

double
rs_text_width(const char *s, double size)
{
        return s ? width_of(s, strlen(s), size) : 0;
}

/* The bytes of s that fit into room, whole characters. */
static size_t
fitting(const char *s, size_t n, double size, double room)
{
        double sum = 0;
        for (size_t i = 0; i < n;) {
                uint32_t c;
                size_t length = next(s + i, n - i, &c);
                sum += char_width(c) * size;
                if (sum > room)
                        return i;
                i += length;
        }
        return n;
}

void
rs_svg_number(rs_buf *b, double x)
{
        char text[40];
        snprintf(text, sizeof text, "%.1f", fabs(x) < 0.05 ? 0 : x);
        size_t n = strlen(text);
        if (n > 2 && text[n - 1] == '0')
                text[n - 2] = '\0';
        rs_buf_str(b, text);
}

void
rs_svg_at(rs_buf *b, const char *attribute, double x)
{
        rs_buf_printf(b, " %s=\"", attribute);
        rs_svg_number(b, x);
        rs_buf_str(b, "\"");
}

static void
open_text(rs_buf *b, double x, double y, enum rs_anchor anchor, const char *classes)
{
        rs_buf_str(b, "<text");
        rs_svg_at(b, "x", x);
        rs_svg_at(b, "y", y);
        if (anchor != RS_START)
                rs_buf_printf(b, " text-anchor=\"%s\"", anchor == RS_MIDDLE ? "middle" : "end");
        if (*classes)
                rs_buf_printf(b, " class=\"%s\"", classes);
        rs_buf_str(b, ">");
}

void
rs_svg_text(rs_buf *b, double x, double y, enum rs_anchor anchor, const char *classes,
        const char *s, double size, double room)
{
        if (!s || !*s)
                return;
        open_text(b, x, y, anchor, classes);
        if (rs_text_width(s, size) <= room) {
                rs_xml_text(b, s);
        } else {
                rs_buf_str(b, "<title>");
                rs_xml_text(b, s);
                rs_buf_str(b, "</title>");
                rs_xml_textn(b, s, fitting(s, strlen(s), size, room - 0.9 * size));
                rs_buf_str(b, "\xe2\x80\xa6");
        }
        rs_buf_str(b, "</text>\n");
}

int
rs_svg_wrapped(
        rs_buf *b, double x, double y, const char *classes, const char *s, double size, double room)
{
        int lines = 0;
        for (size_t n = s ? strlen(s) : 0; n;) {
                size_t fit = fitting(s, n, size, room), end = fit;
                if (fit < n) {
                        while (end > 0 && s[end] != ' ')
                                end--;
                        if (end == 0) /* one word wider than the room is cut */
                                end = fit ? fit : 1;
                }
                if (b) {
                        open_text(b, x, y + lines * 1.35 * size, RS_START, classes);
                        rs_xml_textn(b, s, end);
                        rs_buf_str(b, "</text>\n");
                }
                lines++;
                while (end < n && s[end] == ' ')
                        end++;
                s += end;
                n -= end;
        }
        return lines;
}

void
rs_number_text(char out[24], double x, bool percent, int decimals)
{
        double size = fabs(x);
        const char *unit = "";
        if (percent) {
                x *= 100;
                unit = "\xc2\xa0%";
        } else if (size >= 9999.5) {
                static const char *const units[] = {"", "k", "M", "G", "T", "P"};
                int i = 0;
                while (i < 5 && fabs(x) >= 999.5) {
                        x /= 1000;
                        i++;
                }
                char digits[16];
                snprintf(digits, sizeof digits, "%.3g", x);
                snprintf(out, 24, "%s\xc2\xa0%s", digits, units[i]);
                if (fabs(x) < 999.5)
                        return;
                decimals = -1;
        }
        char digits[20];
        if (decimals < 0)
                snprintf(digits, sizeof digits, "%.*g", decimals == -1 ? 4 : 3, x);
        else
                snprintf(digits, sizeof digits, "%.*f", decimals > 12 ? 12 : decimals, x);
        char *e = strchr(digits, 'e');
        if (e && (e[2] == '0')) /* 1e-06 is 1e-6 */
                memmove(e + 2, e + 3, strlen(e + 2));
        if (!strncmp(digits, "-0", 2) && strspn(digits + 1, "0.") == strlen(digits + 1))
                memmove(digits, digits + 1, strlen(digits)); /* -0.00 is 0.00 */
        snprintf(out, 24, "%s%s", digits, unit);
}
