/* SPDX-License-Identifier: 0BSD */
/* Readers and writers, against pipes that trickle, gzip that lies and disks that fail. */
#include "config.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <zlib.h>
#include "io/bulk.h"
#include "io/fd.h"
#include "io/input.h"
#include "io/output.h"
#include "resect/model.h"
#include "scratch.h"

static unsigned char *
noise(size_t n)
{
        unsigned char *p = malloc(n ? n : 1);
        uint32_t x = 12345;
        ck_assert_ptr_nonnull(p);
        for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)((x = x * 1664525 + 1013904223) >> 24);
        return p;
}

static void
check_input(rs_input *in, const void *bytes, size_t n, const resect_error *err)
{
        ck_assert_msg(in != NULL, "%s", err->msg);
        ck_assert_uint_eq(in->size, n);
        if (n)
                ck_assert_mem_eq(in->data, bytes, n);
        rs_input_free(in);
}

START_TEST(files_of_all_sizes)
{
        static const size_t sizes[] = {
                0, 1, 2, 4095, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5000001};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                unsigned char *p = noise(sizes[i]);
                scratch_write("f", p, sizes[i]);
                check_input(rs_input_open(scratch("f"), 0, &err), p, sizes[i], &err);
                /* as large as allowed, and one byte too large */
                if (sizes[i] > 1) {
                        check_input(rs_input_open(scratch("f"), sizes[i], &err), p, sizes[i], &err);
                        ck_assert_ptr_null(rs_input_open(scratch("f"), sizes[i] - 1, &err));
                        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
                }
                free(p);
        }
        ck_assert_ptr_null(rs_input_open(scratch_dir, 0, &err));
        ck_assert(strstr(err.msg, "is a directory"));
        ck_assert_ptr_null(rs_input_open(scratch("none"), 0, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        ck_assert(strstr(err.msg, "No such file"));
        scratch_done();
}
END_TEST

struct feed {
        int fd;
        const unsigned char *p;
        size_t n, step;
        unsigned pause;
};

static void *
feed_main(void *arg)
{
        struct feed *f = arg;
        while (f->n > 0) {
                ssize_t k = write(f->fd, f->p, f->n < f->step ? f->n : f->step);
                if (k < 0)
                        break;
                f->p += k;
                f->n -= (size_t)k;
                if (f->pause)
                        usleep(f->pause);
        }
        close(f->fd);
        return NULL;
}

static rs_input *
through_pipe(const unsigned char *p, size_t n, size_t step, unsigned pause, bool nonblocking,
        uint64_t max, resect_error *err)
{
        int fds[2];
        pthread_t thread;
        ck_assert_int_eq(pipe(fds), 0);
        if (nonblocking)
                fcntl(fds[0], F_SETFL, O_NONBLOCK);
        struct feed f = {fds[1], p, n, step, pause};
        signal(SIGPIPE, SIG_IGN);
        ck_assert_int_eq(pthread_create(&thread, NULL, feed_main, &f), 0);
        rs_input *in = rs_input_read_fd(fds[0], "pipe", max, err);
        close(fds[0]);
        pthread_join(thread, NULL);
        return in;
}

START_TEST(pipes)
{
        resect_error err;
        unsigned char *p = noise(9000000);
        check_input(through_pipe(p, 0, 1, 0, false, 0, &err), p, 0, &err);
        check_input(through_pipe(p, 3000, 1, 0, false, 0, &err), p, 3000, &err);
        check_input(through_pipe(p, 300, 7, 200, true, 0, &err), p, 300, &err);
        check_input(through_pipe(p, 9000000, 65536, 0, false, 0, &err), p, 9000000, &err);
        check_input(through_pipe(p, 9000000, 999, 0, true, 9000000, &err), p, 9000000, &err);
        ck_assert_ptr_null(through_pipe(p, 9000000, 65536, 0, false, 8999999, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        free(p);
}
END_TEST

/* Reads are interrupted and cut short as the system may do it at any time. */
static unsigned calls;
static ssize_t
awkward_read(int fd, void *buf, size_t n)
{
        if (++calls % 3 == 0) {
                errno = EINTR;
                return -1;
        }
        return read(fd, buf, n > 3 ? 3 : n);
}
static ssize_t
awkward_writev(int fd, const struct iovec *iov, int n)
{
        (void)n;
        if (++calls % 3 == 0) {
                errno = EINTR;
                return -1;
        }
        return write(fd, iov->iov_base, iov->iov_len > 2 ? 2 : iov->iov_len);
}

START_TEST(short_and_interrupted)
{
        resect_error err;
        unsigned char *p = noise(5000);
        rs_span spans[600];
        scratch_make();
        rs_hooks.read = awkward_read;
        rs_hooks.writev = awkward_writev;
        for (size_t i = 0; i < 600; i++)
                spans[i] = (rs_span){p + i * 8, i % 7 ? 8 : 0};
        rs_output *o = rs_output_open(scratch("f"), &err);
        CK_OK(o != NULL, err);
        CK_OK(rs_output_put(o, spans, 600, &err), err);
        CK_OK(rs_output_close(o, &err), err);
        unsigned char want[5000];
        size_t n = 0;
        for (size_t i = 0; i < 600; i++) {
                memcpy(want + n, spans[i].data, spans[i].size);
                n += spans[i].size;
        }
        check_input(rs_input_open(scratch("f"), 0, &err), want, n, &err);
        check_input(through_pipe(p, 5000, 4096, 0, false, 0, &err), p, 5000, &err);
        free(p);
        scratch_done();
}
END_TEST

/* One gzip member into out; returns its size. */
static size_t
gzip(unsigned char *out, size_t room, const unsigned char *p, size_t n)
{
        z_stream z = {0};
        ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
        z.next_in = (unsigned char *)p;
        z.avail_in = (unsigned)n;
        z.next_out = out;
        z.avail_out = (unsigned)room;
        ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        size_t size = room - z.avail_out;
        deflateEnd(&z);
        return size;
}

/* The same bytes as memory, file and pipe: all three are of one mind. */
static void
check_gzip(const unsigned char *z, size_t nz, const unsigned char *p, size_t n, uint64_t max,
        resect_code code)
{
        resect_error err;
        scratch_write("z", z, nz);
        for (int way = 0; way < 3; way++) {
                rs_input *in =
                        way == 0   ? rs_input_copy(z, nz, "memory", max, &err)
                        : way == 1 ? rs_input_open(scratch("z"), max, &err)
                                   : through_pipe(z, nz, nz > 5000 ? 4096 : 1, 0, false, max, &err);
                if (code == RESECT_OK) {
                        check_input(in, p, n, &err);
                } else {
                        ck_assert_msg(in == NULL, "way %d: accepted", way);
                        ck_assert_msg(err.code == code, "way %d: %s", way, err.msg);
                }
        }
}

START_TEST(gzipped)
{
        enum { N = 3000000 };
        unsigned char *p = noise(N), *z = malloc(N * 2);
        size_t nz = gzip(z, N * 2, p, N), two;
        scratch_make();
        check_gzip(z, nz, p, N, 0, RESECT_OK);
        check_gzip(z, nz, p, N, N, RESECT_OK);
        check_gzip(z, nz, p, N, N - 1, RESECT_UNSUPPORTED);
        /* a small one, at every length; then with each of its bytes changed in each bit: header
           flags aside, never accepted with other contents */
        nz = gzip(z, 1000, p, 50);
        for (size_t cut = 2; cut < nz; cut++)
                check_gzip(z, cut, NULL, 0, 0, RESECT_FORMAT);
        for (size_t bit = 16; bit < nz * 8; bit++) {
                resect_error err;
                z[bit / 8] ^= (unsigned char)(1 << bit % 8);
                rs_input *in = rs_input_copy(z, nz, "memory", 0, &err);
                z[bit / 8] ^= (unsigned char)(1 << bit % 8);
                if (in)
                        check_input(in, p, 50, &err);
                else
                        ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        /* two members are one text; what is no member after one is rubbish */
        two = nz + gzip(z + nz, 1000, p + 50, 70);
        check_gzip(z, two, p, 120, 0, RESECT_OK);
        check_gzip(z, two, p, 120, 119, RESECT_UNSUPPORTED);
        z[two] = 0;
        check_gzip(z, two + 1, NULL, 0, 0, RESECT_FORMAT);
        memcpy(z + two, "rubbish", 7);
        check_gzip(z, two + 7, NULL, 0, 0, RESECT_FORMAT);
        /* an empty member */
        nz = gzip(z, 1000, p, 0);
        check_gzip(z, nz, p, 0, 0, RESECT_OK);
        /* a bomb: 1000 to 1, stopped at the limit */
        memset(p, 0, N);
        nz = gzip(z, N, p, N);
        ck_assert_uint_lt(nz, N / 500);
        check_gzip(z, nz, NULL, 0, 100000, RESECT_UNSUPPORTED);
        free(p);
        free(z);
        scratch_done();
}
END_TEST

static bool
put_file(const char *path, const char *text, resect_error *err)
{
        rs_output *o = rs_output_open(path, err);
        if (!o)
                return false;
        if (!rs_output_bytes(o, text, strlen(text), err)) {
                rs_output_abandon(o);
                return false;
        }
        return rs_output_close(o, err);
}

static unsigned
mode_of(const char *path)
{
        struct stat st;
        ck_assert_int_eq(stat(path, &st), 0);
        return st.st_mode & 07777;
}

START_TEST(written_whole)
{
        resect_error err;
        for (int named = 0; named < 2; named++) {
                rs_output_nameless = !named;
                scratch_make();
                umask(027);
                CK_OK(put_file(scratch("new"), "one", &err), err);
                ck_assert(scratch_is("new", "one", 3));
                ck_assert_uint_eq(mode_of(scratch("new")), 0640);
                chmod(scratch("new"), 0604);
                CK_OK(put_file(scratch("new"), "three", &err), err);
                ck_assert(scratch_is("new", "three", 5));
                ck_assert_uint_eq(mode_of(scratch("new")), 0604);
                /* a link stays a link */
                ck_assert_int_eq(symlink("new", scratch("link")), 0);
                CK_OK(put_file(scratch("link"), "four", &err), err);
                ck_assert(scratch_is("new", "four", 4));
                struct stat st;
                ck_assert(lstat(scratch("link"), &st) == 0 && S_ISLNK(st.st_mode));
                /* forgotten half-way */
                rs_output *o = rs_output_open(scratch("new"), &err);
                CK_OK(o && rs_output_bytes(o, "half", 4, &err), err);
                rs_output_abandon(o);
                ck_assert(scratch_is("new", "four", 4));
                ck_assert_int_eq(scratch_count(), 2);
                /* into the current folder, without a slash */
                ck_assert_int_eq(chdir(scratch_dir), 0);
                CK_OK(put_file("here", "five", &err), err);
                ck_assert(scratch_is("here", "five", 4));
                ck_assert_int_eq(chdir("/"), 0);
                scratch_done();
        }
}
END_TEST

START_TEST(refused_targets)
{
        resect_error err;
        scratch_make();
        ck_assert(!put_file(scratch_dir, "x", &err));
        ck_assert(strstr(err.msg, "not a regular file"));
        ck_assert_int_eq(mkfifo(scratch("fifo"), 0600), 0);
        ck_assert(!put_file(scratch("fifo"), "x", &err));
        ck_assert(strstr(err.msg, "not a regular file"));
        ck_assert_int_eq(symlink("nothing", scratch("dangling")), 0);
        ck_assert(!put_file(scratch("dangling"), "x", &err));
        ck_assert(strstr(err.msg, "link to nothing"));
        ck_assert(!put_file(scratch("no/such/folder"), "x", &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        ck_assert_int_eq(scratch_count(), 2);
        CK_OK(put_file("/dev/null", "x", &err), err);
        ck_assert(!put_file("/dev/full", "x", &err));
        ck_assert(strstr(err.msg, "No space left"));
        if (geteuid() != 0) { /* root may write anything */
                scratch_write("locked", "old", 3);
                chmod(scratch("locked"), 0444);
                ck_assert(!put_file(scratch("locked"), "x", &err));
        }
        scratch_done();
}
END_TEST

START_TEST(gzip_by_name)
{
        enum { N = 500000 };
        resect_error err;
        unsigned char *p = noise(N);
        scratch_make();
        rs_output *o = rs_output_open(scratch("f.gz"), &err);
        CK_OK(o != NULL, err);
        for (size_t i = 0; i < N; i += 1000)
                CK_OK(rs_output_bytes(o, p + i, 1000, &err), err);
        CK_OK(rs_output_close(o, &err), err);
        /* zlib's own reader is the judge */
        gzFile g = gzopen(scratch("f.gz"), "rb");
        unsigned char *back = malloc(N + 1);
        ck_assert_int_eq(gzread(g, back, N + 1), N);
        ck_assert_int_eq(gzdirect(g), 0);
        gzclose(g);
        ck_assert_mem_eq(back, p, N);
        check_input(rs_input_open(scratch("f.gz"), 0, &err), p, N, &err);
        free(back);
        free(p);
        scratch_done();
}
END_TEST

/* The k-th call fails. */
static int countdown;
static ssize_t
fail_writev(int fd, const struct iovec *iov, int n)
{
        if (--countdown == 0) {
                errno = ENOSPC;
                return -1;
        }
        return writev(fd, iov, n);
}
static int
fail_fsync(int fd)
{
        if (--countdown == 0) {
                errno = EIO;
                return -1;
        }
        return fsync(fd);
}
static int
fail_rename(const char *a, const char *b)
{
        if (--countdown == 0) {
                errno = EDQUOT;
                return -1;
        }
        return rename(a, b);
}

START_TEST(failures_leave_the_old_file)
{
        static const char *const names[] = {"f", "f.gz"};
        resect_error err;
        for (int run = 0; run < 12; run++) {
                const char *name = names[run / 2 % 2];
                int k = 0;
                bool done = false;
                rs_output_nameless = run % 2;
                scratch_make();
                while (!done) {
                        scratch_write(name, "old", 3);
                        countdown = ++k;
                        rs_hooks.writev = run / 4 == 0 ? fail_writev : writev;
                        rs_hooks.fsync = run / 4 == 1 ? fail_fsync : fsync;
                        rs_hooks.rename = run / 4 == 2 ? fail_rename : rename;
                        done = put_file(scratch(name), "new", &err);
                        ck_assert_int_eq(scratch_count(), 1);
                        bool folder = !done && strstr(err.msg, "folder");
                        if (!done)
                                ck_assert_int_eq(err.code, RESECT_IO);
                        ck_assert(scratch_is(name, "old", 3) == (!done && !folder));
                        ck_assert_int_lt(k, 20);
                }
                ck_assert_int_gt(k, 1); /* something did fail */
                scratch_done();
        }
}
END_TEST

/* What a tool does when it is killed while writing: the handler cleans up, the signal kills. */
static void
on_signal(int sig)
{
        resect_abandon_output();
        signal(sig, SIG_DFL);
        raise(sig);
}

START_TEST(killed_while_writing)
{
        resect_error err;
        for (int named = 0; named < 2; named++) {
                int fds[2];
                char c;
                scratch_make();
                scratch_write("f", "old", 3);
                rs_output_nameless = !named;
                ck_assert_int_eq(pipe(fds), 0);
                pid_t child = fork();
                if (child == 0) {
                        signal(SIGTERM, on_signal);
                        rs_output *o = rs_output_open(scratch("f"), &err);
                        if (o && rs_output_bytes(o, "new", 3, &err) && write(fds[1], "x", 1) == 1)
                                for (;;)
                                        pause();
                        _exit(9);
                }
                ck_assert_int_eq(read(fds[0], &c, 1), 1);
                ck_assert_int_eq(scratch_count(), 1 + named);
                kill(child, SIGTERM);
                int status;
                waitpid(child, &status, 0);
                ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
                ck_assert_int_eq(scratch_count(), 1);
                ck_assert(scratch_is("f", "old", 3));
                scratch_done();
        }
}
END_TEST

START_TEST(standard_descriptors_stay)
{
        resect_error err;
        scratch_make();
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        ck_assert(!put_file("-", "x", &err));
        ck_assert(strstr(err.msg, "standard output"));
        CK_OK(put_file(scratch("f"), "new", &err), err);
        ck_assert(scratch_is("f", "new", 3));
        ck_assert_ptr_null(rs_input_open("-", 0, &err));
        ck_assert(strstr(err.msg, "standard input"));
        scratch_done();
}
END_TEST

/* Runs that several threads look at: every length about the pieces they are cut into (512 KiB, 64
 * at a time), one byte wrong anywhere, and zlib's sum. */
START_TEST(long_runs)
{
        enum { PIECE = 512 << 10, MOST = 66 * PIECE };
        static const size_t sizes[] = {0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 5 * PIECE + 77,
                64 * PIECE, 64 * PIECE + 1, MOST - 1};
        unsigned char *a = noise(MOST), *b = noise(MOST);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                size_t n = sizes[i];
                ck_assert_uint_eq(rs_bulk_crc32(0, (rs_span){a, n}), crc32_z(0, a, n));
                ck_assert_uint_eq(rs_bulk_crc32(rs_bulk_crc32(0, (rs_span){a, n / 3}),
                                          (rs_span){a + n / 3, n - n / 3}),
                        crc32_z(0, a, n));
                ck_assert(rs_bulk_same(a, b, n));
                b[n]++; /* the byte behind it */
                ck_assert(rs_bulk_same(a, b, n));
                b[n]--;
                for (size_t at = 0; at < n; at += n / 5 + 1) {
                        b[n - 1 - at] ^= 1;
                        ck_assert_msg(!rs_bulk_same(a, b, n), "%zu of %zu", n - 1 - at, n);
                        b[n - 1 - at] ^= 1;
                }
        }
        free(a);
        free(b);
}
END_TEST

/* More than what is sent on its way to the disk at once: read back before it is there, closed,
 * forgotten, and with writes and fsync that fail. */
START_TEST(large_outputs)
{
        enum { SIZE = 20 << 20, STEP = 1 << 20 };
        resect_error err;
        unsigned char *bytes = noise(SIZE);
        scratch_make();
        for (int run = 0; run < 12; run++) {
                const char *path = run % 2 ? "f" : "f.gz";
                rs_output_nameless = run % 4 < 2;
                scratch_write(path, "old", 3);
                rs_output *o = rs_output_open(scratch(path), &err);
                ck_assert_ptr_nonnull(o);
                countdown = run / 4 == 1 ? 15 : run / 4 == 2 ? 1 : 0;
                rs_hooks.writev = run / 4 == 1 ? fail_writev : writev;
                rs_hooks.fsync = run / 4 == 2 ? fail_fsync : fsync;
                bool ok = true;
                for (size_t at = 0; ok && at < SIZE; at += STEP)
                        ok = rs_output_bytes(o, bytes + at, STEP, &err);
                ck_assert(ok == (run / 4 != 1));
                if (ok) {
                        rs_input *in = rs_output_read_back(o, 0, &err);
                        check_input(in, bytes, SIZE, &err);
                        ck_assert(scratch_is(path, "old", 3)); /* still */
                        ck_assert(rs_output_close(o, &err) == (run / 4 == 0));
                } else
                        rs_output_abandon(o);
                rs_hooks.writev = writev;
                rs_hooks.fsync = fsync;
                ck_assert_int_eq(scratch_count(), 1);
                ck_assert(scratch_is(path, "old", 3) == (run / 4 != 0));
                if (run / 4 == 0)
                        check_input(rs_input_open(scratch(path), 0, &err), bytes, SIZE, &err);
                unlink(scratch(path));
        }
        scratch_done();
        free(bytes);
}
END_TEST

UNIT_MAIN("io", long_runs, large_outputs, files_of_all_sizes, pipes, short_and_interrupted, gzipped,
        written_whole, refused_targets, gzip_by_name, failures_leave_the_old_file,
        killed_while_writing, standard_descriptors_stay)
