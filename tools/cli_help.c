/* SPDX-License-Identifier: 0BSD */
/*
 * --help and --man: two prints of one table. Running text comes as paragraphs divided by blank
 * lines and is broken to the width; a paragraph that begins with a space is shown as it stands.
 */
#include "cli.h"
#include "cli_table.h"
#include <ctype.h>
#include <string.h>

enum { WIDTH = 79 };

/* Option o's column of --help: "  -o, --output FILE". */
static int
option_label(const resect_option *o, char *out, size_t size)
{
        const char *letter = !strcmp(o->name, "output")  ? "-o, "
                             : !strcmp(o->name, "quiet") ? "-q, "
                             : !strcmp(o->name, "help")  ? "-h, "
                                                         : "";

        return snprintf(out, size, "  %s--%s%s%s", letter, o->name, o->arg ? " " : "",
                o->arg ? o->arg : "");
}

/* Prints words of text from column *at on, broken before WIDTH, with later lines indented. */
static void
print_wrapped(const char *text, int at, int indent)
{
        bool first = true;

        while (*text) {
                size_t n;
                int w;

                text += strspn(text, " \n");
                n = strcspn(text, " \n");
                if (!n)
                        break;
                w = 0;
                for (size_t i = 0; i < n; i++)
                        w += ((unsigned char)text[i] & 0xc0) != 0x80;
                if (!first && at + 1 + w > WIDTH) {
                        printf("\n%*s", indent, "");
                        at = indent;
                } else if (!first) {
                        putchar(' ');
                        at++;
                }
                printf("%.*s", (int)n, text);
                at += w;
                text += n;
                first = false;
        }
        putchar('\n');
}

/* Calls paragraph() for each stretch of text between blank lines. */
static void
each_paragraph(const char *text, void (*paragraph)(const char *))
{
        char piece[4096];

        while (text && *text) {
                const char *end = strstr(text, "\n\n");
                size_t n = end ? (size_t)(end - text) : strlen(text);

                snprintf(piece, sizeof piece, "%.*s",
                        (int)(n < sizeof piece ? n : sizeof piece - 1), text);
                paragraph(piece);
                text = end ? end + 2 : NULL;
        }
}

static void
help_paragraph(const char *text)
{
        putchar('\n');
        if (*text == ' ')
                puts(text);
        else
                print_wrapped(text, 0, 0);
}

static void
help_options(size_t from, size_t to)
{
        enum { COLUMN = 26 };

        for (size_t i = from; i < to; i++) {
                char label[128];
                int at = option_label(&cli_state()->options[i], label, sizeof label);

                printf("%s", label);
                if (at > COLUMN - 2) {
                        printf("\n%*s", COLUMN, "");
                        at = COLUMN;
                } else {
                        printf("%*s", COLUMN - at, "");
                        at = COLUMN;
                }
                print_wrapped(cli_state()->options[i].help, at, COLUMN);
        }
}

/* Calls line() for each line of text. */
static void
each_line(const char *text, void (*line)(const char *, int))
{
        while (text && *text) {
                size_t n = strcspn(text, "\n");

                line(text, (int)n);
                text += n + (text[n] == '\n');
        }
}

static void
help_line(const char *s, int n)
{
        printf("  %.*s\n", n, s);
}

void
cli_print_help(void)
{
        const struct cli_state *s = cli_state();
        const cli_tool *t = s->tool;

        printf("Usage: %s [OPTION]... %s\n", cli_program(), t->usage);
        printf("%c%s%s\n", toupper((unsigned char)t->brief[0]), t->brief + 1,
                t->brief[strlen(t->brief) - 1] == '?' ? "" : ".");
        each_paragraph(t->description, help_paragraph);
        if (s->n_own) {
                puts("\nOptions:");
                help_options(0, s->n_own);
        }
        puts("\nCommon options:");
        help_options(s->n_own, s->n_options);
        if (t->examples) {
                puts("\nExamples:");
                each_line(t->examples, help_line);
        }
        char status[256];
        snprintf(status, sizeof status, "Exit status: 0 done;%s%s%s 2 trouble.",
                t->exit_one ? " 1 " : "", t->exit_one ? t->exit_one : "", t->exit_one ? ";" : "");
        putchar('\n');
        print_wrapped(status, 0, 0);
}

/* Text for roff: nothing in it is taken for a request. Dashes are what one types. */
static void
roff(const char *s, int n)
{
        bool line_start = true;

        for (int i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if (line_start && (c == '.' || c == '\''))
                        fputs("\\&", stdout);
                line_start = c == '\n';
                if (c == '\\')
                        fputs("\\e", stdout);
                else if (c == '-')
                        fputs("\\-", stdout);
                else if (c == '\'')
                        fputs("\\(aq", stdout);
                else if (c == '`')
                        fputs("\\(ga", stdout);
                else if (c == '^')
                        fputs("\\(ha", stdout);
                else if (c == '~')
                        fputs("\\(ti", stdout);
                else if (c >= 0xc0) { /* UTF-8, which older roffs do not read */
                        uint32_t u = c >= 0xf0 ? c & 7u : c >= 0xe0 ? c & 15u : c & 31u;

                        while (i + 1 < n && ((unsigned char)s[i + 1] & 0xc0) == 0x80)
                                u = u << 6 | ((unsigned char)s[++i] & 0x3fu);
                        printf("\\[u%04X]", (unsigned)u);
                } else
                        putchar(c);
        }
}

static void
roff_text(const char *s)
{
        roff(s, (int)strlen(s));
}

static void
man_paragraph(const char *text)
{
        if (*text == ' ') {
                puts(".PP\n.nf");
                roff_text(text);
                puts("\n.fi");
        } else {
                puts(".PP");
                roff_text(text);
                putchar('\n');
        }
}

static void
man_line(const char *s, int n)
{
        roff(s, n);
        puts("\n.br");
}

static void
man_options(size_t from, size_t to)
{
        for (size_t i = from; i < to; i++) {
                const resect_option *o = &cli_state()->options[i];
                char label[128];

                option_label(&(resect_option){o->name, NULL, NULL}, label, sizeof label);
                printf(".TP\n\\fB");
                roff_text(label + 2);
                printf("\\fR");
                if (o->arg) {
                        printf(" \\fI");
                        roff_text(o->arg);
                        printf("\\fR");
                }
                putchar('\n');
                roff_text(o->help);
                putchar('\n');
        }
}

void
cli_print_man(void)
{
        const struct cli_state *s = cli_state();
        const cli_tool *t = s->tool;
        char title[64];

        snprintf(title, sizeof title, "%s", cli_program());
        for (char *c = title; *c; c++)
                *c = (char)toupper((unsigned char)*c);
        printf(".TH ");
        roff_text(title);
        printf(" 1 \"\" \"resect %s\" \"User Commands\"\n.SH NAME\n", resect_version());
        roff_text(cli_program());
        printf(" \\- ");
        roff_text(t->brief);
        printf("\n.SH SYNOPSIS\n.B ");
        roff_text(cli_program());
        printf("\n[\\fIOPTION\\fR]... ");
        roff_text(t->usage);
        putchar('\n');
        if (t->description) {
                puts(".SH DESCRIPTION");
                each_paragraph(t->description, man_paragraph);
        }
        if (s->n_own) {
                puts(".SH OPTIONS");
                man_options(0, s->n_own);
        }
        puts(".SH \"COMMON OPTIONS\"");
        man_options(s->n_own, s->n_options);
        if (t->examples) {
                puts(".SH EXAMPLES\n.nf");
                each_line(t->examples, man_line);
                puts(".fi");
        }
        puts(".SH \"EXIT STATUS\"\n.TP\n.B 0\ndone");
        if (t->exit_one) {
                printf(".TP\n.B 1\n");
                roff_text(t->exit_one);
                putchar('\n');
        }
        puts(".TP\n.B 2\ntrouble: one line on standard error says what and where");
        if (*t->name)
                puts(".SH \"SEE ALSO\"\n.BR resect (1)");
}
