/* SPDX-License-Identifier: 0BSD */
/* A folder for a test's files, in the build tree; and files as byte strings. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_dir[4096];

static inline int
scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

/* Makes the folder empty; every test begins with it. */
static inline void
scratch_make(void)
{
        const char *tmp = getenv("TMPDIR");
        snprintf(scratch_dir, sizeof scratch_dir, "%s/resect-unit-XXXXXX",
                tmp && tmp[0] ? tmp : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(scratch_dir));
}

static inline void
scratch_done(void)
{
        nftw(scratch_dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file there; good until the eighth call after it. */
static inline const char *
scratch(const char *name)
{
        static char paths[8][8192];
        static unsigned next;
        char *p = paths[next++ % 8];
        snprintf(p, sizeof paths[0], "%s/%s", scratch_dir, name);
        return p;
}

static inline void
scratch_write(const char *name, const void *bytes, size_t n)
{
        FILE *f = fopen(scratch(name), "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert(n == 0 || fwrite(bytes, 1, n, f) == n);
        ck_assert_int_eq(fclose(f), 0);
}

/* Whether the file holds exactly these bytes. */
static inline bool
scratch_is(const char *name, const void *bytes, size_t n)
{
        FILE *f = fopen(scratch(name), "rb");
        if (!f)
                return false;
        char *all = malloc(n + 2);
        ck_assert_ptr_nonnull(all);
        size_t got = fread(all, 1, n + 1, f);
        bool same = got == n && memcmp(all, bytes, n) == 0;
        free(all);
        fclose(f);
        return same;
}

/* How many entries the folder has. */
static inline int
scratch_count(void)
{
        int n = 0;
        DIR *d = opendir(scratch_dir);
        ck_assert_ptr_nonnull(d);
        for (struct dirent *e; (e = readdir(d));)
                n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
        closedir(d);
        return n;
}

#endif
