/* SPDX-License-Identifier: 0BSD */
/*
 * The child is forked, not executed: it has the input in its memory already and needs no file. Its
 * rights go in this order: limits, no new privileges, and a filter of system calls (seccomp) that
 * lets pass what memory, time and one pipe need, and refuses the rest with EPERM. A crash ends the
 * child alone, a hang is ended by its limit of processor time or by the parent's patience.
 */
#include "config.h"
#include "io/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "io/fd.h"

#ifdef __linux__
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64 && defined(AUDIT_ARCH_RISCV64)
#define ARCH AUDIT_ARCH_RISCV64
#endif

enum {
        PATIENCE = 60, /* seconds without a byte */
        MOMENT = 200   /* hundredths of a second to end after the last one */
};

bool
rs_confined_say(int fd, const void *bytes, size_t n)
{
        const unsigned char *p = bytes;
        while (n) {
                ssize_t k = write(fd, p, n);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        return false;
                p += k;
                n -= (size_t)k;
        }
        return true;
}

#if defined(__linux__) && defined(ARCH)

#define ALLOW(call)                                      \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), \
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ARGUMENT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
/* The call, but with no bit of `bits` in argument n. */
#define ALLOW_WITHOUT(call, n, bits)                              \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),          \
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(n)),  \
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0), \
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),     \
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static bool
filter_calls(int fd)
{
        struct sock_filter rules[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                /* the pipe, and no other descriptor (there is none) */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 4),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(0)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)fd, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                /* memory, but none that can be executed */
                ALLOW_WITHOUT(SYS_mmap, 2, PROT_EXEC),
                ALLOW_WITHOUT(SYS_mprotect, 2, PROT_EXEC),
                ALLOW(SYS_munmap),
                ALLOW(SYS_mremap),
                ALLOW(SYS_madvise),
                ALLOW(SYS_brk),
                ALLOW(SYS_futex),
                ALLOW(SYS_getrandom),
                ALLOW(SYS_clock_gettime),
                ALLOW(SYS_gettimeofday),
                ALLOW(SYS_rt_sigreturn),
                ALLOW(SYS_rt_sigprocmask),
                ALLOW(SYS_exit),
                ALLOW(SYS_exit_group),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        };
        struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool
limit(int what, rlim_t most)
{
        struct rlimit old;
        if (getrlimit(what, &old) != 0)
                return false;
        if (old.rlim_max != RLIM_INFINITY && old.rlim_max < most)
                most = old.rlim_max;
        return setrlimit(what, &(struct rlimit){most, most}) == 0;
}

/* Bytes of address space that are in use; 0 when that is not known. */
static rlim_t
in_use(void)
{
        unsigned long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");
        if (f && fscanf(f, "%lu", &pages) != 1)
                pages = 0;
        if (f)
                fclose(f);
        return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void
close_all_but(int fd)
{
#ifdef SYS_close_range
        if ((fd == 0 || syscall(SYS_close_range, 0u, (unsigned)fd - 1, 0u) == 0) &&
                syscall(SYS_close_range, (unsigned)fd + 1, ~0u, 0u) == 0)
                return;
#endif
        long most = sysconf(_SC_OPEN_MAX);
        for (int i = 0; i < (most > 0 && most < 65536 ? most : 65536); i++)
                if (i != fd)
                        close(i);
}

bool
rs_confined_drop(int fd, size_t memory)
{
        rlim_t now = in_use();
        close_all_but(fd);
        return now && limit(RLIMIT_AS, now + memory) && limit(RLIMIT_FSIZE, 0) &&
               limit(RLIMIT_NOFILE, 0) && limit(RLIMIT_NPROC, 0) && limit(RLIMIT_CORE, 0) &&
               filter_calls(fd);
}

#else

bool
rs_confined_drop(int fd, size_t memory)
{
        (void)fd;
        (void)memory;
        return false;
}

#endif

/* In the child, before anything else. Handlers of the parent's would remove the parent's files. */
static void
begin(pid_t parent, unsigned seconds)
{
        for (int s = 1; s < NSIG; s++)
                signal(s, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds});
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
        if (getppid() != parent)
                _exit(1);
}

bool
rs_confined_start(rs_confined *c, unsigned seconds, int (*job)(int fd, void *ctx), void *ctx,
        resect_error *err)
{
        int ends[2];
        pid_t parent = getpid();
        if (pipe2(ends, O_CLOEXEC) != 0)
                return rs_fail(err, RESECT_IO, "cannot make a pipe: %s", strerror(errno));
        *c = (rs_confined){.fd = ends[0], .time = seconds};
        c->pid = fork();
        if (c->pid == 0) {
                close(ends[0]);
                begin(parent, seconds);
                _exit(job(ends[1], ctx));
        }
        int why = errno;
        close(ends[1]);
        if (c->pid > 0)
                return true;
        close(ends[0]);
        return rs_fail(err, RESECT_IO, "cannot start a process: %s", strerror(why));
}

bool
rs_confined_hear(rs_confined *c, void *bytes, size_t n)
{
        unsigned char *p = bytes;
        while (n) {
                struct pollfd ready = {.fd = c->fd, .events = POLLIN};
                int k = poll(&ready, 1, PATIENCE * 1000);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k == 0)
                        kill(c->pid, SIGXCPU);
                if (k <= 0)
                        return false;
                ssize_t got = rs_fd_read(c->fd, p, n);
                if (got < 0)
                        c->error = errno;
                if (got <= 0)
                        return false;
                p += got;
                n -= (size_t)got;
        }
        return true;
}

/* What became of it; it gets a moment to become it. */
static int
reap(rs_confined *c, bool now)
{
        int status = 0;
        pid_t got = 0;
        for (int i = 0; i < MOMENT && !now && got == 0; i++) {
                got = waitpid(c->pid, &status, WNOHANG);
                if (got == 0)
                        nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
        if (got == 0)
                kill(c->pid, SIGKILL);
        while (got <= 0 && (got = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
                ;
        close(c->fd);
        return got < 0 ? 0 : status;
}

void
rs_confined_stop(rs_confined *c)
{
        reap(c, true);
}

bool
rs_confined_failed(rs_confined *c, const char *what, resect_error *err)
{
        int status = reap(c, c->error != 0);
        if (c->error)
                return rs_fail(
                        err, RESECT_IO, "%s: cannot read its answer: %s", what, strerror(c->error));
        if (WIFEXITED(status))
                return rs_fail(
                        err, RESECT_FORMAT, "%s broke off (status %d)", what, WEXITSTATUS(status));
        if (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)
                return rs_fail(err, RESECT_FORMAT,
                        "%s came to no end: stopped after %u seconds of work or %d of silence",
                        what, c->time, PATIENCE);
        return rs_fail(err, RESECT_FORMAT, "%s crashed (signal %d)", what, WTERMSIG(status));
}
