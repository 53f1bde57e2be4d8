/* SPDX-License-Identifier: 0BSD */
/* The parts of the tools' common code that are functions of their arguments: safe text, widths,
   numbers for people, the nearest name; and, in a child each, the parser with its look-ups and its
   refusals. */
#include "unit.h"

#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../../tools/cli.h"

static const resect_option options[] = {
        {"to", "WHAT", "what"},
        {"count", "N", "a number"},
        {"rate", "X", "a number"},
        {"flag", NULL, "a flag"},
        {"quiet", NULL, "hides the common one"},
        {0},
};
static const cli_tool tool = {.name = "toy",
        .brief = "be a toy",
        .usage = "[MODEL]",
        .options = options,
        .common = CLI_SEED | CLI_RUN,
        .max_args = 2};

/* Runs body(argc, argv) in a child whose standard error is closed to the world; its exit status. */
#define CHILD(body, ...) child(body, (const char *[]){"resect-toy", __VA_ARGS__, NULL})
static int
child(int (*body)(void), const char **argv)
{
        int argc = 0, status;
        pid_t pid = fork();

        ck_assert(pid >= 0);
        if (!pid) {
                while (argv[argc])
                        argc++;
                ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
                cli_start(&tool, argc, (char **)argv);
                _exit(body());
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
fine(void)
{
        return 0;
}

static int
all_read(void)
{
        return !(!strcmp(cli_value("to"), "-x y") && !strcmp(cli_value_at("to", 0), "first") &&
                 !cli_value_at("to", 2) && cli_integer("count", 7, 0, 10) == 3 &&
                 cli_real("rate", 0, -1, 1) == -0.5 && cli_given("flag") && !cli_given("quiet") &&
                 cli_arg_count() == 2 && !strcmp(cli_arg(0), "a") &&
                 !strcmp(cli_arg(1), "--flag") && !cli_arg(2) && cli_seed() == 9 &&
                 cli_kernels() == RESECT_KERNELS_REFERENCE);
}

static int
defaults(void)
{
        return !(!cli_value("to") && cli_integer("count", 7, 0, 10) == 7 &&
                 cli_real("rate", 0.25, -1, 1) == 0.25 && !cli_given("flag") && !cli_arg_count() &&
                 cli_seed() == 0 && cli_threads() == 0 && cli_choice("to", 2, "a|b|c") == 2);
}

static int
count(void)
{
        return cli_integer("count", 0, -5, 10) < -5;
}

static int
rate(void)
{
        return cli_real("rate", 0, 0, 1) < 0;
}

static int
choice(void)
{
        return cli_choice("to", 0, "abc|ab|b") != 1;
}

static int
undeclared(void)
{
        return cli_given("no-such");
}

START_TEST(parser)
{
        ck_assert_int_eq(
                CHILD(all_read, "--to", "first", "a", "--count=3", "--rate", "-5e-1", "--to=-x y",
                        "--flag", "--seed", "9", "--kernels", "reference", "--", "--flag"),
                0);
        ck_assert_int_eq(CHILD(defaults, "--"), 0);
        ck_assert_int_eq(CHILD(choice, "--to", "ab"), 0);
        ck_assert_int_eq(CHILD(choice, "--to", "a"), 2);
        ck_assert_int_eq(CHILD(undeclared, "-"), 2);
        ck_assert_int_eq(CHILD(fine, "-", "b"), 0);
        ck_assert_int_eq(CHILD(fine, "a", "b", "c"), 2);
        ck_assert_int_eq(CHILD(fine, "--flag=1"), 2);
        ck_assert_int_eq(CHILD(fine, "--fla"), 2);
        ck_assert_int_eq(CHILD(fine, "--to"), 2);
        ck_assert_int_eq(CHILD(fine, "-x"), 2);
        ck_assert_int_eq(CHILD(fine, "--json"), 2);
        ck_assert_int_eq(CHILD(fine, "--threads", "-1"), 2);
        ck_assert_int_eq(CHILD(fine, "--kernels", "fats"), 2);
        ck_assert_int_eq(CHILD(fine, "--seed", "18446744073709551616"), 2);
}
END_TEST

START_TEST(numbers)
{
        static const char *const good[] = {"-5", "10", "0", "007"};
        static const char *const bad[] = {"", " 1", "1 ", "+1", "0x1", "1e3", "-6", "11",
                "9223372036854775808", "1.0", "--1"};
        static const char *const good_real[] = {"0", "1", "0.5", ".5", "5e-1", "1e-300"};
        static const char *const bad_real[] = {
                "", " 1", "0x1p-1", "nan", "inf", "-0.1", "1.1", "1,0", "1e999", "1e", "0.5x"};

        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                ck_assert_msg(CHILD(count, "--count", good[i]) == 0, "%s", good[i]);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                ck_assert_msg(CHILD(count, "--count", bad[i]) == 2, "%s", bad[i]);
        for (size_t i = 0; i < sizeof good_real / sizeof *good_real; i++)
                ck_assert_msg(CHILD(rate, "--rate", good_real[i]) == 0, "%s", good_real[i]);
        for (size_t i = 0; i < sizeof bad_real / sizeof *bad_real; i++)
                ck_assert_msg(CHILD(rate, "--rate", bad_real[i]) == 2, "%s", bad_real[i]);
}
END_TEST

/* What a shell makes of the history line must be what was given. */
static int
history(void)
{
        char command[512], back[256] = "";
        FILE *f;

        snprintf(command, sizeof command,
                "bash -c 'resect-toy() { printf \"<%%s>\" \"$@\"; }; eval \"$0\"' \"$LINE\"");
        if (setenv("LINE", cli_history(), 1) || !(f = popen(command, "r")))
                return 1;
        if (!fgets(back, sizeof back, f))
                return 1;
        pclose(f);
        return strcmp(back, "<--to><it's a $HOME `x` \\ "
                            "\"q\"><--to=-dash><--to><a\tb'\\c><--to><><--flag><--seed><4>") != 0;
}

START_TEST(history_line)
{
        ck_assert_int_eq(
                CHILD(history, "--to", "it's a $HOME `x` \\ \"q\"", "--threads", "1", "--to=-dash",
                        "--to", "a\tb'\\c", "--to", "", "model.onnx", "--flag", "--seed", "4"),
                0);
}
END_TEST

START_TEST(text)
{
        ck_assert_str_eq(cli_text("plain caf\xc3\xa9 \xe6\x97\xa5\xf0\x9f\x98\x80"),
                "plain caf\xc3\xa9 \xe6\x97\xa5\xf0\x9f\x98\x80");
        ck_assert_str_eq(cli_text("\033[2J\n\t\x7f"), "\\x1b[2J\\x0a\\x09\\x7f");
        ck_assert_str_eq(cli_text("\xff\xc0\xaf\xed\xa0\x80"),
                "\\xff\\xc0\\xaf\\xed\\xa0\\x80"); /* not UTF-8 */
        ck_assert_str_eq(cli_text("\xc2\x9b"
                                  "31m"),
                "\\xc2\\x9b31m");                                      /* an 8-bit escape */
        ck_assert_str_eq(cli_text("\xe2\x80\xae"), "\\xe2\\x80\\xae"); /* right to left from here */
        ck_assert_str_eq(cli_text("cut \xe6\x97"), "cut \\xe6\\x97");
        ck_assert_int_eq(cli_width("caf\xc3\xa9"), 4);
        ck_assert_int_eq(cli_width("e\xcc\x81"), 1);
        ck_assert_int_eq(cli_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
}
END_TEST

START_TEST(for_people)
{
        ck_assert_str_eq(cli_count(0), "0");
        ck_assert_str_eq(cli_count(999), "999");
        ck_assert_str_eq(cli_count(1000), "1.0 k");
        ck_assert_str_eq(cli_count(25557032), "25.6 M");
        ck_assert_str_eq(cli_count(256e6), "256 M");
        ck_assert_str_eq(cli_count(999999), "1.0 M");
        ck_assert_str_eq(cli_bytes(1023), "1023 B");
        ck_assert_str_eq(cli_bytes(1024), "1.0 KiB");
        ck_assert_str_eq(cli_bytes(97.8 * 1048576), "97.8 MiB");
        ck_assert_str_eq(cli_seconds(0.0123), "12 ms");
        ck_assert_str_eq(cli_seconds(0.9999), "1.0 s");
        ck_assert_str_eq(cli_seconds(59.99), "1 min 00 s");
        ck_assert_str_eq(cli_seconds(125), "2 min 05 s");
        ck_assert_str_eq(cli_seconds(7290), "2 h 02 min");
}
END_TEST

START_TEST(nearest)
{
        static const char *const names[] = {"strip", "head", "truncate", "to", NULL};

        ck_assert_str_eq(cli_nearest("stirp", names), "strip");
        ck_assert_str_eq(cli_nearest("trunc", names), "truncate");
        ck_assert_str_eq(cli_nearest("haed", names), "head");
        ck_assert_ptr_null(cli_nearest("q", names));
        ck_assert_ptr_null(cli_nearest("", names));
        ck_assert_ptr_null(cli_nearest("unrelated", names));
        ck_assert_ptr_null(cli_nearest("hood", names)); /* two slips in four letters */
        ck_assert_ptr_null(cli_nearest("a-name-longer-than-any-that-is-known", names));
}
END_TEST

/* On a terminal progress is seen from the third second on, whatever numbers its words hold; less
   done or another total begins anew without hiding it; and neither its end nor Ctrl-C leaves
   anything. */
START_TEST(progress)
{
        int master, slave, at = 0;
        char seen[4096];

        if (openpty(&master, &slave, NULL, NULL, NULL)) {
                puts("SKIP: no pseudo-terminal can be made here");
                return;
        }
        pid_t pid = fork();
        ck_assert(pid >= 0);
        if (!pid) {
                const struct timespec pause = {0, 300000000};
                dup2(slave, 2);
                for (int i = 1; i <= 10; i++) {
                        char what[40];
                        snprintf(what, sizeof what, "loss %.4f", 1.0 / i);
                        cli_progress(what, i, 100, "steps");
                        nanosleep(&pause, NULL);
                }
                cli_progress("a second epoch", 1, 100, "steps");
                nanosleep(&pause, NULL);
                cli_progress("predicting", 7, 0, "pictures");
                pid_t interrupted = fork();
                if (!interrupted) {
                        cli_standard_files();
                        raise(SIGINT);
                        _exit(0);
                }
                int how = 0;
                bool killed = waitpid(interrupted, &how, 0) == interrupted && WIFSIGNALED(how);
                cli_progress_end();
                _exit(killed && WTERMSIG(how) == SIGINT ? 0 : 1);
        }
        close(slave);
        for (ssize_t n; at < 4000 && (n = read(master, seen + at, 4000 - (size_t)at)) > 0;)
                at += (int)n;
        seen[at] = '\0';
        close(master);
        int how;
        ck_assert_int_eq(waitpid(pid, &how, 0), pid);
        ck_assert_int_eq(how, 0);
        ck_assert_ptr_null(strstr(seen, " 2/100"));
        const char *first = strstr(seen, "\rloss 0.1250  8/100 steps  "), *second;
        ck_assert_msg(first && strstr(first, "/s  0:") && strstr(first, " left"), "%s", seen);
        ck_assert_msg((second = strstr(first, "\ra second epoch  1/100 steps\033[K")), "%s", seen);
        ck_assert_msg(
                strstr(second, "\rtiming kernels, once for pictures of this size  7 choices\033[K"),
                "%s", seen);
        static const char end[] = "\r\033[K\033[?7h" /* of who was interrupted */ "\r\033[K";
        ck_assert_int_gt(at, (int)sizeof end);
        ck_assert_str_eq(seen + at - (sizeof end - 1), end);
}
END_TEST

UNIT_MAIN("cli", progress, parser, numbers, history_line, text, for_people, nearest)
