/* SPDX-License-Identifier: 0BSD */
/*
 * Models in and out, and the care that a tool in a pipeline owes its neighbours: no model to a
 * terminal, no success without every byte written, no temporary file left behind by a signal, no
 * file that lands in a closed descriptor.
 */
#include "cli.h"
#include "cli_table.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

/* The handler is gone when this runs (SA_RESETHAND), so that the signal raised again ends the
 * process as it would have. */
static void
on_signal(int sig)
{
        resect_abandon_output();
        cli_progress_wipe();
        raise(sig);
}

static void
on_stop(int sig)
{
        (void)sig;
        stopped = 1;
}

/* A mapped file that somebody cuts short is gone under our hands: that is trouble like any other,
   one line and status 2. What a SIGBUS of another kind means is the default's to say. */
static char bus_line[128];

static void
on_bus(int sig, siginfo_t *info, void *context)
{
        (void)context;
        resect_abandon_output();
        cli_progress_wipe();
        if (info->si_code != BUS_ADRERR) {
                raise(sig);
                return;
        }
        (void)!write(STDERR_FILENO, bus_line, strlen(bus_line));
        _exit(2);
}

static void
handle_bus(void)
{
        struct sigaction new = {.sa_sigaction = on_bus, .sa_flags = (int)SA_RESETHAND | SA_SIGINFO};

        snprintf(bus_line, sizeof bus_line,
                "%s: a file that was being read is no longer there in full: it was cut short, or "
                "its disk failed\n",
                cli_program());
        sigemptyset(&new.sa_mask);
        sigaction(SIGBUS, &new, NULL);
}

static void
handle(int sig, void (*handler)(int))
{
        struct sigaction old, new = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};

        sigemptyset(&new.sa_mask);
        /* what the parent made us ignore (nohup) stays ignored */
        if (!sigaction(sig, NULL, &old) && old.sa_handler != SIG_IGN)
                sigaction(sig, &new, NULL);
}

void
cli_standard_files(void)
{
        /* A closed descriptor would be given to the next file that is opened. What stands in for it
           is open the wrong way round, so that using it is an error still. */
        for (int fd = 0; fd < 3; fd++)
                if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
                        open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
                        exit(2);
        handle(SIGINT, on_signal);
        handle(SIGTERM, on_signal);
        handle(SIGHUP, on_signal);
        handle(SIGPIPE, on_signal);
        handle_bus();
        signal(SIGXFSZ, SIG_IGN); /* a file grown too large is EFBIG, with a message */
}

void
cli_catch_stop(void)
{
        handle(SIGINT, on_stop);
        handle(SIGTERM, on_stop);
}

bool
cli_stopped(void)
{
        return stopped;
}

/* --max-size, in bytes; 0 when it was not given. */
static uint64_t
max_size(void)
{
        const char *text = cli_value("max-size");
        char *end;
        unsigned long long v;
        int shift = 0;

        if (!text)
                return 0;
        errno = 0;
        v = strtoull(text, &end, 10);
        if (*end == 'K')
                shift = 10;
        else if (*end == 'M')
                shift = 20;
        else if (*end == 'G')
                shift = 30;
        if (*text < '0' || *text > '9' || errno || (shift ? end[1] : end[0]) || !v ||
                v > UINT64_MAX >> shift)
                cli_die("--max-size: '%s' is not a number of bytes", text);
        return v << shift;
}

resect_read_options
cli_read_options(void)
{
        return (resect_read_options){.base = cli_value("base"),
                .max_size = max_size(),
                .allow_hard_links = cli_given("allow-hard-links")};
}

resect_model *
cli_try_model(const char *path, bool skip_digest, resect_error *err)
{
        resect_read_options options = cli_read_options();
        options.skip_digest = skip_digest;
        bool piped = !path || !strcmp(path, "-");

        if (piped && isatty(0))
                cli_die("standard input is a terminal; name a model file, or pipe one in");
        return resect_model_read(piped ? "-" : path, &options, err);
}

resect_model *
cli_read_model(const char *path)
{
        resect_error err;

        if (path && !*path)
                cli_die("the name of the model is empty");
        resect_model *m = cli_try_model(path, false, &err);
        if (!m)
                cli_fail(!path || !strcmp(path, "-") ? "standard input" : path, &err);
        return m;
}

void
cli_check_output(const char *path)
{
        char folder[PATH_MAX];
        struct stat st;
        const char *slash;

        if (!path) {
                if (isatty(1) && !cli_given("force"))
                        cli_die("standard output is a terminal; use -o FILE, a pipe, or --force");
                return;
        }
        if (!*path)
                cli_die("-o: the name is empty");
        if (!stat(path, &st)) {
                if (S_ISDIR(st.st_mode))
                        cli_die("%s: is a directory", path);
                if (!S_ISREG(st.st_mode))
                        return;
        }
        slash = strrchr(path, '/');
        if (strlen(path) >= sizeof folder)
                cli_die("%s: %s", path, strerror(ENAMETOOLONG));
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1,
                slash ? path : ".");
        if (stat(folder, &st) || access(folder, W_OK | X_OK))
                cli_die("%s: cannot be made: %s: %s", path, folder, strerror(errno));
}

/* A model finds its external data beside itself alone. One that was written somewhere else than
 * they are is sound, and of no use until they follow: that is said. */
static void
say_left_behind(const resect_model *m, const char *path)
{
        const char *slash = strrchr(path, '/'), *missing = NULL;
        resect_tensor_info t;
        size_t n = 0;

        for (size_t i = 0; resect_model_tensor(m, i, &t); i++) {
                struct stat st;
                char *file;

                if (!t.location)
                        continue;
                file = cli_format("%.*s%s", slash ? (int)(slash - path + 1) : 0, path, t.location);
                if (stat(file, &st)) {
                        missing = t.location;
                        n++;
                }
                free(file);
        }
        if (n)
                cli_note("%s: the values of %zu tensor%s are not beside it: move %s there, or make "
                         "one file first (resect-pack --in)",
                        path, n, n == 1 ? "" : "s", missing);
}

void
cli_write_model(resect_model *m)
{
        const char *path = cli_output();
        resect_error err;

        cli_check_output(path);
        if (!cli_given("no-history") && !resect_model_add_history(m, cli_history(), &err))
                cli_fail(NULL, &err);
        if (!resect_model_write(m, path ? path : "-", &err)) {
                if (!path && strstr(err.msg, strerror(EPIPE)))
                        exit(2); /* the reader left; that is its business */
                cli_fail(path ? path : "standard output", &err);
        }
        if (path)
                say_left_behind(m, path);
}

int
cli_finish(int status)
{
        bool failed;

        cli_progress_end();
        errno = 0;
        failed = fflush(stdout) || ferror(stdout);
        if (!failed && close(1) && errno != EBADF)
                failed = true;
        if (!failed)
                return status;
        if (errno == EPIPE)
                return 2;
        cli_die("write error: %s", errno ? strerror(errno) : "standard output failed");
}
