/* SPDX-License-Identifier: 0BSD */
/* The path opener, against names and links that lead away, also while they change. */
#include "config.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include "io/beneath.h"
#include "scratch.h"

START_TEST(names_beneath)
{
        static const char *const good[] = {
                "a", "a/b", "./a", "a//b", "a/./b", "..a", "a..b/c", ".hidden"};
        static const char *const bad[] = {"", "/", "/a", "..", ".", "./", "../a", "a/..", "a/../b",
                "./..", "a//../..", "a/", "a\\b", "..\\a", "a/../../x", "./../x"};
        resect_error err;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                CK_OK(rs_beneath_name(good[i], strlen(good[i]), &err), err);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                ck_assert_msg(!rs_beneath_name(bad[i], strlen(bad[i]), &err), "%s", bad[i]);
        ck_assert(!rs_beneath_name("a\0b", 3, &err));
        char text[5001];
        memset(text, 'x', sizeof text);
        ck_assert(!rs_beneath_name(text, 5000, &err));
        ck_assert(!rs_beneath_name(text, 256, &err));
        ck_assert(rs_beneath_name(text, 255, &err));
}
END_TEST

/* Opens by the kernel's way and by ours: they must agree. */
static bool
opens(const char *name, bool allow, const char *want)
{
        resect_error err;
        int fd = rs_open_beneath(scratch_dir, name, allow, &err);
        bool ok = fd >= 0;
        if (ok) {
                char text[16];
                ssize_t n = read(fd, text, sizeof text);
                ck_assert(n == (ssize_t)strlen(want) && memcmp(text, want, (size_t)n) == 0);
                close(fd);
        }
        int folder = open(scratch_dir, O_PATH | O_DIRECTORY);
        int walked = rs_open_beneath_walk(folder, name);
        if (ok)
                ck_assert_int_ge(walked, 0);
        if (walked >= 0) {
                struct stat st;
                ck_assert(
                        fstat(walked, &st) == 0 && (ok || !S_ISREG(st.st_mode) || st.st_nlink > 1));
                close(walked);
        }
        close(folder);
        return ok;
}

START_TEST(links_beneath)
{
        scratch_make();
        scratch_write("f", "data", 4);
        mkdir(scratch("d"), 0700);
        scratch_write("d/g", "more", 4);
        ck_assert_int_eq(symlink("f", scratch("final")), 0);
        ck_assert_int_eq(symlink("d", scratch("parent")), 0);
        ck_assert_int_eq(symlink("/proc/self/root", scratch("root")), 0);
        ck_assert_int_eq(mkfifo(scratch("fifo"), 0600), 0);
        ck_assert(opens("f", false, "data"));
        ck_assert(opens("./d//g", false, "more"));
        ck_assert(!opens("final", false, ""));
        ck_assert(!opens("parent/g", false, ""));
        ck_assert(!opens("root/etc/passwd", false, ""));
        ck_assert(!opens("fifo", false, "")); /* and does not hang */
        ck_assert(!opens("d", false, ""));
        ck_assert(!opens("f/x", false, ""));
        ck_assert(!opens("none", false, ""));
        resect_error err;
        ck_assert_int_lt(rs_open_beneath("/proc/self", "root/etc/passwd", true, &err), 0);
        ck_assert_int_lt(rs_open_beneath("/dev", "null", true, &err), 0);
        ck_assert_int_lt(rs_open_beneath(scratch("nowhere"), "f", true, &err), 0);
        /* hard links, with the flag named */
        ck_assert_int_eq(link(scratch("f"), scratch("hard")), 0);
        ck_assert_int_lt(rs_open_beneath(scratch_dir, "hard", false, &err), 0);
        ck_assert(strstr(err.msg, "--allow-hard-links"));
        ck_assert(opens("hard", true, "data"));
        scratch_done();
}
END_TEST

/* M8: somebody swaps the file for a link to a secret, again and again. What opens is the file,
 * always. */
static void *
swap_main(void *arg)
{
        volatile bool *stop = arg;
        while (!*stop) {
                rename(scratch("link"), scratch("f"));
                rename(scratch("file"), scratch("f"));
                if (symlink("secret", scratch("link")) != 0)
                        continue;
                scratch_write("file", "data", 4);
        }
        return NULL;
}

START_TEST(link_swapped)
{
        volatile bool stop = false;
        pthread_t thread;
        scratch_make();
        scratch_write("secret", "secret", 6);
        scratch_write("file", "data", 4);
        scratch_write("f", "data", 4);
        ck_assert_int_eq(symlink("secret", scratch("link")), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, swap_main, (void *)&stop), 0);
        int opened = 0, folder = open(scratch_dir, O_PATH | O_DIRECTORY);
        char dir[4096];
        strcpy(dir, scratch_dir);
        for (int i = 0; i < 10000 || opened < 100; i++) {
                char text[16];
                int fd = i % 2 ? rs_open_beneath(dir, "f", true, NULL)
                               : rs_open_beneath_walk(folder, "f");
                if (fd < 0) {
                        sched_yield(); /* the other thread has left the link in place: let it go on
                                        */
                        continue;
                }
                opened++;
                ck_assert_int_eq(read(fd, text, sizeof text), 4);
                ck_assert_mem_eq(text, "data", 4);
                close(fd);
        }
        stop = true;
        pthread_join(thread, NULL);
        close(folder);
        scratch_done();
}
END_TEST

UNIT_MAIN("beneath", names_beneath, links_beneath, link_swapped)
