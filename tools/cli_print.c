/* SPDX-License-Identifier: 0BSD */
/*
 * Words, numbers, tables and progress. Whatever came from a file passes cli_text on its way out, so
 * that a hostile name can neither speak to a terminal nor break a table.
 */
#include "cli.h"
#include "cli_table.h"
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void *
cli_alloc(size_t count, size_t size)
{
        void *p = calloc(count ? count : 1, size);

        if (!p)
                cli_die("out of memory");
        return p;
}

char *
cli_format(const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        int n = vsnprintf(NULL, 0, fmt, args);
        va_end(args);
        char *s = cli_alloc((size_t)n + 1, 1);
        va_start(args, fmt);
        vsnprintf(s, (size_t)n + 1, fmt, args);
        va_end(args);
        return s;
}

/* A buffer of at least size bytes out of a ring of 16, for results that live for a while. */
static char *
ring(size_t size)
{
        static char *slots[16];
        static unsigned next;
        char **slot = &slots[next++ % 16];

        free(*slot);
        *slot = cli_alloc(size, 1);
        return *slot;
}

/* The bytes of the UTF-8 character at s, 0 when there is none; *u becomes its number. */
static int
utf8(const char *s, uint32_t *u)
{
        const unsigned char *c = (const unsigned char *)s;
        int n = c[0] < 0x80   ? 1
                : c[0] < 0xc2 ? 0
                : c[0] < 0xe0 ? 2
                : c[0] < 0xf0 ? 3
                : c[0] < 0xf5 ? 4
                              : 0;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

        if (n < 2) {
                *u = c[0];
                return n;
        }
        *u = c[0] & (0xffu >> (n + 1));
        for (int i = 1; i < n; i++) {
                if ((c[i] & 0xc0) != 0x80)
                        return 0;
                *u = *u << 6 | (c[i] & 0x3fu);
        }
        return *u < least[n] || *u > 0x10ffff || (*u >= 0xd800 && *u < 0xe000) ? 0 : n;
}

/* Controls, and the marks that turn the direction of writing. */
static bool
is_unsafe(uint32_t u)
{
        return u < 0x20 || (u >= 0x7f && u < 0xa0) || (u >= 0x202a && u <= 0x202e) ||
               (u >= 0x2066 && u <= 0x2069);
}

const char *
cli_text(const char *s)
{
        char *out = ring(4 * strlen(s) + 1), *at = out;

        while (*s) {
                uint32_t u;
                int n = utf8(s, &u);

                if (n && !is_unsafe(u)) {
                        memcpy(at, s, (size_t)n);
                        at += n;
                } else {
                        n = n ? n : 1;
                        for (int i = 0; i < n; i++)
                                at += sprintf(at, "\\x%02x", (unsigned char)s[i]);
                }
                s += n;
        }
        *at = 0;
        return out;
}

int
cli_width(const char *s)
{
        int w = 0;

        while (*s) {
                uint32_t u;
                int n = utf8(s, &u);

                if (u >= 0x300 && u < 0x370) /* accents that join what stands before */
                        w += 0;
                else if ((u >= 0x1100 && u < 0x1160) || (u >= 0x2e80 && u < 0xa4d0) ||
                         (u >= 0xac00 && u < 0xd7a4) || (u >= 0xf900 && u < 0xfb00) ||
                         (u >= 0xff00 && u < 0xff61) || (u >= 0x1f300 && u < 0x1fb00))
                        w += 2;
                else
                        w++;
                s += n ? n : 1;
        }
        return w;
}

/* Words on standard error
 * ---------------------------------------------------------------------------------------------- */

static void RESECT_PRINTF(1, 0) say(const char *fmt, va_list args)
{
        char line[2048];

        vsnprintf(line, sizeof line, fmt, args);
        cli_progress_end();
        fprintf(stderr, "%s: %s\n", cli_program(), cli_text(line));
}

void
cli_die(const char *fmt, ...)
{
        va_list args;

        fflush(stdout); /* so that what was found before the trouble stands before it */
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
        exit(2);
}

void
cli_fail(const char *about, const resect_error *err)
{
        if (err->code == RESECT_STOPPED)
                cli_die("stopped");
        if (about && strncmp(err->msg, about, strlen(about)))
                cli_die("%s: %s", about, err->msg);
        cli_die("%s", err->msg);
}

void
cli_note(const char *fmt, ...)
{
        va_list args;

        if (cli_state()->quiet)
                return;
        va_start(args, fmt);
        say(fmt, args);
        va_end(args);
}

void
cli_on_note(void *ctx, const char *line)
{
        (void)ctx;
        cli_note("%s", line);
}

/* Numbers for people
 * ---------------------------------------------------------------------------------------------------
 */

/* Three digits or more, no needless ones: 7, 7.5 M, 25.6 M, 256 M. */
static const char *
scaled(double n, double step, const char *const *units)
{
        char *out = ring(32);
        int i = 0;

        while (fabs(n) >= step * 0.9995 && units[i + 1]) {
                n /= step;
                i++;
        }
        snprintf(out, 32, "%.*f%s%s", i && fabs(n) < 99.95 ? 1 : 0, n, *units[i] ? " " : "",
                units[i]);
        return out;
}

const char *
cli_count(double n)
{
        static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};

        return scaled(n, 1000, units);
}

const char *
cli_bytes(double n)
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", NULL};

        return scaled(n, 1024, units);
}

const char *
cli_seconds(double s)
{
        char *out = ring(32);

        if (s < 0.9995)
                snprintf(out, 32, "%.0f ms", s * 1000);
        else if (s < 59.95)
                snprintf(out, 32, "%.1f s", s);
        else if (s < 3599.5)
                snprintf(out, 32, "%.0f min %02.0f s", floor(round(s) / 60), fmod(round(s), 60));
        else
                snprintf(out, 32, "%.0f h %02.0f min", floor(round(s / 60) / 60),
                        fmod(round(s / 60), 60));
        return out;
}

/* Tables
 * ---------------------------------------------------------------------------------------------------------------
 */

struct cli_table {
        int columns;
        const char *const *headers;
        char **cells;
        size_t n, cap;
};

cli_table *
cli_table_make(const char *const *headers)
{
        cli_table *t = cli_alloc(1, sizeof *t);

        t->headers = headers;
        while (headers[t->columns])
                t->columns++;
        return t;
}

void
cli_cell(cli_table *t, const char *fmt, ...)
{
        char text[1024];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        if (t->n == t->cap) {
                t->cap = t->cap ? 2 * t->cap : 64;
                t->cells = realloc(t->cells, t->cap * sizeof *t->cells);
                if (!t->cells)
                        cli_die("out of memory");
        }
        t->cells[t->n] = strdup(cli_text(text));
        if (!t->cells[t->n++])
                cli_die("out of memory");
}

static void
print_cell(const char *text, int width, bool right, bool last)
{
        int fill = width - cli_width(text);

        if (right)
                printf("%*s", fill, "");
        fputs(text, stdout);
        if (!last)
                printf("%*s", (right ? 0 : fill) + 2, "");
}

void
cli_table_print(cli_table *t)
{
        int *width = cli_alloc((size_t)t->columns, sizeof *width);

        for (int c = 0; c < t->columns; c++)
                width[c] = cli_width(t->headers[c] + (*t->headers[c] == '>'));
        for (size_t i = 0; i < t->n; i++) {
                int *w = &width[i % (size_t)t->columns], cell = cli_width(t->cells[i]);

                *w = cell > *w ? cell : *w;
        }
        for (size_t row = 0; row < t->n + (size_t)t->columns; row += (size_t)t->columns) {
                const char *const *cells =
                        row ? (const char *const *)t->cells + row - t->columns : t->headers;
                int end = t->columns - 1; /* no spaces behind the last cell that has words */

                while (end > 0 && !*cells[end])
                        end--;
                for (int c = 0; c <= end; c++) {
                        bool right = *t->headers[c] == '>';

                        print_cell(cells[c] + (right && !row), width[c], right, c == end);
                }
                putchar('\n');
        }
        for (size_t i = 0; i < t->n; i++)
                free(t->cells[i]);
        free(t->cells);
        free(width);
        free(t);
}

/* Paragraphs
 * ---------------------------------------------------------------------------------------------------------
 */

void
cli_paragraph(const char *mark, const char *s)
{
        enum { WIDTH = 80 };
        const int indent = (int)strlen(mark);
        char *safe = cli_copy(cli_text(s));
        int column = indent;

        fputs(mark, stdout);
        for (const char *at = safe; *at;) {
                const size_t n = strcspn(at, " ");
                char *word = cli_format("%.*s", (int)n, at);
                const int w = cli_width(word);

                if (column > indent && column + 1 + w > WIDTH) {
                        printf("\n%*s", indent, "");
                        column = indent;
                } else if (column > indent) {
                        putchar(' ');
                        column++;
                }
                fputs(word, stdout);
                column += w;
                at += n;
                at += strspn(at, " ");
                free(word);
        }
        putchar('\n');
        free(safe);
}

/* JSON
 * -----------------------------------------------------------------------------------------------------------------
 */

json_t *
cli_json_text(const char *s)
{
        return s ? json_string(cli_text(s)) : json_null();
}

json_t *
cli_json_real(double x)
{
        return isfinite(x) ? json_real(x) : json_null();
}

void
cli_print_json(json_t *value)
{
        if (!value || json_dumpf(value, stdout,
                              JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10))) {
                if (!ferror(stdout))
                        cli_die("out of memory");
        }
        putchar('\n');
        json_decref(value);
}

/* Progress
 * -------------------------------------------------------------------------------------------------------------
 */

static volatile sig_atomic_t progress_shown;

static double
now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void
cli_progress(const char *what, double done, double total, const char *unit)
{
        static double start = -1, last, base, before, whole;
        double t = now();

        if (cli_state()->quiet || !isatty(2))
                return;
        /* what may hold numbers that change; the same work has the same total */
        if (start < 0 || done < before || total != whole) {
                start = t;
                base = done;
        }
        before = done;
        whole = total;
        if ((t - start < 2 && !progress_shown) || t - last < 0.2)
                return;
        last = t;
        progress_shown = 1; /* before there is anything to wipe away: a signal may come any time */
        const double rate = t - start >= 1 ? (done - base) / (t - start) : 0;
        /* a line that is too long for the terminal is cut there, not wrapped: it could not be
           overwritten */
        fputs("\033[?7l\r", stderr);
        if (total > 0)
                fprintf(stderr, "%s  %.0f/%.0f %s", cli_text(what), done, total, unit);
        else
                fprintf(stderr, "timing kernels, once for pictures of this size  %.0f choices",
                        done);
        if (rate > 0 && total > 0)
                fprintf(stderr, rate < 100 ? "  %.3g/s" : "  %.0f/s", rate);
        if (rate > 0 && total > done) {
                const double left = ceil((total - done) / rate);
                if (left < 3600)
                        fprintf(stderr, "  %.0f:%02.0f left", floor(left / 60), fmod(left, 60));
                else
                        fprintf(stderr, "  %.0f:%02.0f:%02.0f left", floor(left / 3600),
                                floor(fmod(left, 3600) / 60), fmod(left, 60));
        }
        fputs("\033[K\033[?7h", stderr);
}

bool
cli_on_timing(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("", (double)done, (double)total, "");
        return true;
}

void
cli_progress_end(void)
{
        if (progress_shown)
                fputs("\r\033[K", stderr);
        progress_shown = 0;
}

void
cli_progress_wipe(void)
{
        static const char wipe[] = "\r\033[K\033[?7h";

        if (progress_shown)
                (void)!write(STDERR_FILENO, wipe, sizeof wipe - 1);
}
