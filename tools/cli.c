/* SPDX-License-Identifier: 0BSD */
/*
 * The command line. One table, made of the tool's own options and of the common ones it asked for,
 * is all there is: the parser takes names from it, --help (cli_help.c) prints it, and a look-up of
 * an option that is not in it is a mistake of the tool's author that the first test run shows.
 */
#include "cli.h"
#include "cli_table.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        unsigned group;
        resect_option option;
} common[] = {
        {CLI_DATA, {"classes", "A,B,...", "these classes of DATA only, in this order"}},
        {CLI_DATA, {"input", "SPEC",
                           "preprocessing, over what the model records: size=HxW resize=N "
                           "mean=r,g,b std=r,g,b channels=rgb|bgr"}},
        {CLI_DATA, {"skip-bad", NULL, "go on when more than 1 % of the pictures cannot be read"}},
        {CLI_WRITE | CLI_OUTPUT,
                {"output", "FILE", "write to FILE, which appears whole or not at all"}},
        {CLI_JSON, {"json", NULL, "print JSON"}},
        {CLI_READ,
                {"base", "DIR", "look for external data below DIR (standard input has no folder)"}},
        {CLI_READ, {"max-size", "BYTES",
                           "let a compressed model grow to BYTES at most (K, M, G; 8G)"}},
        {CLI_READ, {"allow-hard-links", NULL, "open external data that has other names too"}},
        {CLI_RUN | CLI_COMPUTE, {"threads", "N",
                                        "use N threads (0: all processors); bits depend on it with "
                                        "fast kernels alone"}},
        {CLI_THREADS, {"threads", "N", "use N threads (0: all processors)"}},
        {CLI_RUN | CLI_COMPUTE, {"kernels", "WHICH", "auto, fast or reference"}},
        {CLI_RUN, {"precision", "TYPE", "what fast kernels compute in: f32 or bf16 (f32)"}},
        {CLI_RUN, {"exact", NULL,
                          "fast kernels without Winograd's and Strassen's methods, which round "
                          "more"}},
        {CLI_SEED, {"seed", "N", "random numbers come from seed N (0)"}},
        {CLI_VERIFY, {"verify", NULL,
                             "run the model before and after and compare what must not change"}},
        {CLI_WRITE, {"no-history", NULL, "add no line to the model's history"}},
        {CLI_WRITE, {"force", NULL, "write a model even to a terminal"}},
        {0, {"quiet", NULL, "no notes and no progress on standard error"}},
        {0, {"help", NULL, "print this and exit"}},
        {0, {"man", NULL, "print the man page's source and exit"}},
        {0, {"version", NULL, "print the version and exit"}},
};

/* What does not change the result, and so is no history. */
static const char *const plumbing[] = {"output", "json", "base", "max-size", "allow-hard-links",
        "threads", "kernels", "precision", "exact", "recompute", "no-history", "force", "quiet",
        "verify", "log", "state", "save-every", "cache-size", "cache-dir", NULL};

static struct cli_state state;

const struct cli_state *
cli_state(void)
{
        return &state;
}

static const resect_option *
option_find(const char *name, size_t n)
{
        for (size_t i = 0; i < state.n_options; i++)
                if (strlen(state.options[i].name) == n && !memcmp(state.options[i].name, name, n))
                        return &state.options[i];
        return NULL;
}

static void
build_table(const cli_tool *tool)
{
        size_t own = 0, n_common = sizeof common / sizeof *common;

        while (tool->options && tool->options[own].name)
                own++;
        state.options = cli_alloc(own + n_common, sizeof *state.options);
        for (size_t i = 0; i < own; i++)
                state.options[state.n_options++] = tool->options[i];
        state.n_own = own;
        for (size_t i = 0; i < n_common; i++) {
                const resect_option *o = &common[i].option;

                if ((!common[i].group || (common[i].group & tool->common)) &&
                        !option_find(o->name, strlen(o->name)))
                        state.options[state.n_options++] = *o;
        }
}

/* Edit distance of a and b with swaps of neighbours, up to 15 characters. */
static int
distance(const char *a, const char *b)
{
        int d[17][17];
        int n = (int)strlen(a), m = (int)strlen(b);

        if (n > 15 || m > 15)
                return 99;
        for (int i = 0; i <= n; i++)
                for (int j = 0; j <= m; j++) {
                        if (!i || !j) {
                                d[i][j] = i + j;
                                continue;
                        }
                        int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
                        if (d[i - 1][j] + 1 < best)
                                best = d[i - 1][j] + 1;
                        if (d[i][j - 1] + 1 < best)
                                best = d[i][j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                                d[i - 2][j - 2] + 1 < best)
                                best = d[i - 2][j - 2] + 1;
                        d[i][j] = best;
                }
        return d[n][m];
}

const char *
cli_nearest(const char *word, const char *const *names)
{
        const char *near = NULL;
        /* two slips at most, in a short word one, and fewer than it has letters */
        int best = strlen(word) > 4 ? 3 : 2;

        for (; *names; names++) {
                int d = distance(word, *names);

                /* a word left unfinished is near, too */
                if (strlen(word) > 2 && !strncmp(word, *names, strlen(word)))
                        d = 1;
                if (d < best && d < (int)strlen(word)) {
                        best = d;
                        near = *names;
                }
        }
        return near;
}

static _Noreturn void
die_unknown(const char *given, const char *name)
{
        const char **names = cli_alloc(state.n_options + 1, sizeof *names);
        const char *near;

        for (size_t i = 0; i < state.n_options; i++)
                names[i] = state.options[i].name;
        near = cli_nearest(name, names);
        free(names);
        if (near)
                cli_die("unknown option %s; did you mean --%s?", given, near);
        cli_die("unknown option %s; %s --help lists them", given, cli_program());
}

static void
add_setting(const resect_option *o, const char *value)
{
        state.settings[state.n_settings].name = o->name;
        state.settings[state.n_settings++].value = value;
}

void
cli_set(const char *option, const char *value)
{
        add_setting(option_find(option, strlen(option)), value);
}

/* Takes the option at argv[i]; returns the index of the last word it used up. */
static int
take_option(int argc, char **argv, int i)
{
        static const struct {
                char letter;
                const char *name;
        } letters[] = {{'o', "output"}, {'h', "help"}, {'q', "quiet"}};
        const char *word = argv[i], *value = NULL, *name = word + 2;
        size_t n = strcspn(name, "=");
        const resect_option *o = NULL;

        if (word[1] == '-') {
                if (name[n])
                        value = name + n + 1;
        } else {
                name = "";
                for (size_t k = 0; k < sizeof letters / sizeof *letters; k++)
                        if (word[1] == letters[k].letter)
                                name = letters[k].name;
                n = strlen(name);
                if (word[2])
                        value = word + 2;
        }
        o = option_find(name, n);
        if (!o) {
                char bare[32];

                snprintf(bare, sizeof bare, "%.*s", (int)(n < 31 ? n : 31), name);
                die_unknown(word, bare);
        }
        if (!o->arg && value)
                cli_die("option --%s takes no value", o->name);
        if (o->arg && !value) {
                if (i + 1 >= argc)
                        cli_die("option --%s needs a value: %s", o->name, o->arg);
                value = argv[++i];
        }
        add_setting(o, value);
        return i;
}

static void
parse(int argc, char **argv)
{
        bool only_operands = false;

        state.settings = cli_alloc((size_t)argc + 1, sizeof *state.settings);
        state.args = cli_alloc((size_t)argc + 1, sizeof *state.args);
        for (int i = 1; i < argc; i++) {
                if (only_operands || argv[i][0] != '-' || !argv[i][1])
                        state.args[state.n_args++] = argv[i];
                else if (!strcmp(argv[i], "--"))
                        only_operands = true;
                else
                        i = take_option(argc, argv, i);
        }
}

static _Noreturn void
answer(void (*print)(void))
{
        print();
        exit(cli_finish(0));
}

const char *
cli_program(void)
{
        static char name[64];

        snprintf(name, sizeof name, "resect%s%s", state.tool && *state.tool->name ? "-" : "",
                state.tool ? state.tool->name : "");
        return name;
}

/* Once, before anything is computed. */
static void
note_precision(void)
{
        if (cli_precision() != RESECT_PRECISION_BF16 || resect_fast_bf16())
                return;
        if (*resect_fast_name())
                cli_note("--precision bf16: this machine has no bfloat16 instructions (%s); it "
                         "computes in float32",
                        resect_fast_name());
        else
                cli_note("--precision bf16: this build has no fast kernels; it computes in "
                         "float32");
}

static void
print_version(void)
{
        printf("%s (resect) %s\n", cli_program(), resect_version());
}

void
cli_start(const cli_tool *tool, int argc, char **argv)
{
        state.tool = tool;
        cli_standard_files();
        build_table(tool);
        parse(argc, argv);
        state.quiet = cli_given("quiet");
        if (cli_given("help"))
                answer(cli_print_help);
        if (cli_given("man"))
                answer(cli_print_man);
        if (cli_given("version"))
                answer(print_version);
        if (state.n_args < tool->min_args)
                cli_die("too few operands: %s [OPTION]... %s", cli_program(), tool->usage);
        if (tool->max_args >= 0 && state.n_args > tool->max_args)
                cli_die("unexpected operand '%s': %s [OPTION]... %s", state.args[tool->max_args],
                        cli_program(), tool->usage);
        /* Numbers that many tools never look at until late are looked at now. */
        if (tool->common & (CLI_RUN | CLI_COMPUTE | CLI_THREADS))
                cli_threads();
        if (tool->common & (CLI_RUN | CLI_COMPUTE))
                cli_kernels();
        if (tool->common & CLI_RUN)
                note_precision();
        if (tool->common & CLI_SEED)
                cli_seed();
        if (tool->common & (CLI_WRITE | CLI_OUTPUT) && cli_output())
                cli_check_output(cli_output());
}

int
cli_arg_count(void)
{
        return state.n_args;
}

const char *
cli_arg(int i)
{
        return i < state.n_args ? state.args[i] : NULL;
}

const char *
cli_value_at(const char *option, int i)
{
        const resect_option *o = option_find(option, strlen(option));

        if (!o)
                cli_die("internal error: no option --%s in the table", option);
        for (size_t k = 0; k < state.n_settings; k++)
                if (!strcmp(state.settings[k].name, option) && !i--)
                        return state.settings[k].value ? state.settings[k].value : "";
        return NULL;
}

bool
cli_given(const char *option)
{
        return cli_value_at(option, 0);
}

const char *
cli_value(const char *option)
{
        const char *last = NULL, *v;

        for (int i = 0; (v = cli_value_at(option, i)); i++)
                last = v;
        return last;
}

void
cli_belong(const char *option, const char *const *others)
{
        for (; !cli_given(option) && *others; others++)
                if (cli_given(*others))
                        cli_die("--%s belongs to --%s", *others, option);
}

void
cli_exclude(const char *option, const char *const *others)
{
        for (; cli_given(option) && *others; others++)
                if (cli_given(*others))
                        cli_die("--%s has no use for --%s", option, *others);
}

int64_t
cli_integer(const char *option, int64_t fallback, int64_t min, int64_t max)
{
        const char *text = cli_value(option);
        char *end;
        long long v;

        if (!text)
                return fallback;
        errno = 0;
        v = strtoll(text, &end, 10);
        if (end == text || *end || strspn(text, "-0123456789") != strlen(text))
                cli_die("--%s: '%s' is not a whole number", option, text);
        if (errno || v < min || v > max) {
                if (max == INT64_MAX)
                        cli_die("--%s: %s is less than %lld", option, text, (long long)min);
                cli_die("--%s: %s is not in %lld ... %lld", option, text, (long long)min,
                        (long long)max);
        }
        return v;
}

double
cli_real(const char *option, double fallback, double min, double max)
{
        const char *text = cli_value(option);
        char *end;
        double v;

        if (!text)
                return fallback;
        v = strtod(text, &end);
        if (end == text || *end || strspn(text, "+-.0123456789eE") != strlen(text) || !isfinite(v))
                cli_die("--%s: '%s' is not a number", option, text);
        if (v < min || v > max) {
                if (isinf(max))
                        cli_die("--%s: %s is less than %g", option, text, min);
                cli_die("--%s: %s is not in %g ... %g", option, text, min, max);
        }
        return v;
}

int
cli_choice(const char *option, int fallback, const char *choices)
{
        const char *text = cli_value(option), *at = choices;

        if (!text)
                return fallback;
        for (int i = 0; *at; i++) {
                size_t n = strcspn(at, "|");

                if (strlen(text) == n && !memcmp(text, at, n))
                        return i;
                at += n + (at[n] == '|');
        }
        cli_die("--%s: '%s' is not one of %s", option, text, choices);
}

int
cli_threads(void)
{
        return (int)cli_integer("threads", 0, 0, 4096);
}

resect_kernels
cli_kernels(void)
{
        return (resect_kernels)cli_choice("kernels", RESECT_KERNELS_AUTO, "auto|fast|reference");
}

resect_precision
cli_precision(void)
{
        resect_precision p =
                (resect_precision)cli_choice("precision", RESECT_PRECISION_F32, "f32|bf16");
        if (p == RESECT_PRECISION_BF16 && cli_kernels() == RESECT_KERNELS_REFERENCE)
                cli_die("--precision bf16: the reference kernels know float32 alone");
        return p;
}

resect_plan *
cli_plan(resect_model *m, const resect_plan_options *o, resect_error *err)
{
        resect_plan_options how = *o;
        resect_plan *p;

        how.threads = cli_threads();
        how.kernels = cli_kernels();
        how.precision = cli_precision();
        how.exact = cli_given("exact");
        how.progress = cli_on_timing;
        p = resect_plan_make(m, &how, err);
        cli_progress_end();
        return p;
}

uint64_t
cli_seed(void)
{
        return (uint64_t)cli_integer("seed", 0, 0, INT64_MAX);
}

bool
cli_json(void)
{
        return cli_given("json");
}

const char *
cli_output(void)
{
        const char *path = cli_value("output");

        return path && strcmp(path, "-") ? path : NULL;
}

/* Appends a word as a shell would need it to see the same. */
static void
append_quoted(FILE *f, const char *s)
{
        static const char plain[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
        bool control = false;

        if (*s && strspn(s, plain) == strlen(s)) {
                fputs(s, f);
                return;
        }
        for (const char *c = s; *c; c++)
                control = control || (unsigned char)*c < 32 || *c == 127;
        fputs(control ? "$'" : "'", f);
        for (; *s; s++) {
                if (control && ((unsigned char)*s < 32 || *s == 127))
                        fprintf(f, "\\%03o", (unsigned char)*s);
                else if (control && (*s == '\'' || *s == '\\'))
                        fprintf(f, "\\%c", *s);
                else if (*s == '\'')
                        fputs("'\\''", f);
                else
                        fputc(*s, f);
        }
        fputc('\'', f);
}

char *
cli_quoted(const char *s)
{
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                cli_die("out of memory");
        append_quoted(f, s);
        if (fclose(f))
                cli_die("out of memory");
        return text;
}

const char *
cli_history(void)
{
        size_t size;
        FILE *f;

        free(state.history);
        f = open_memstream(&state.history, &size);
        if (!f)
                cli_die("out of memory");
        fputs(cli_program(), f);
        for (size_t i = 0; i < state.n_settings; i++) {
                const resect_setting *s = &state.settings[i];
                bool tells = true;

                for (size_t k = 0; plumbing[k]; k++)
                        tells = tells && strcmp(s->name, plumbing[k]);
                if (!tells)
                        continue;
                fprintf(f, " --%s", s->name);
                if (s->value) {
                        fputc(*s->value == '-' ? '=' : ' ', f);
                        append_quoted(f, s->value);
                }
        }
        if (fclose(f))
                cli_die("out of memory");
        return state.history;
}
