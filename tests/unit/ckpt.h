/* SPDX-License-Identifier: 0BSD */
/* What tests of checkpoint formats share: a sample, comparison, and damage: cut, flipped, short of memory. Include config.h first. */
#ifndef CKPT_H
#define CKPT_H

#include "base/random.h"
#include "scratch.h"
#include "unit.h"
#include "weights/weights.h"

static unsigned char ckpt_values[4096];

static inline void
ckpt_fill(void)
{
        for (size_t i = 0; i < sizeof ckpt_values; i++)
                ckpt_values[i] = (unsigned char)(i * 7 + (i >> 8));
}

/* Thousands of damaged files are best kept in memory. */
__attribute__((constructor)) static void
ckpt_in_memory(void)
{
        if (access("/dev/shm", W_OK) == 0)
                setenv("TMPDIR", "/dev/shm", 0);
}

static inline rs_entry
ckpt_entry(const char *name, int32_t dtype, size_t width, int rank, const int64_t *dims)
{
        rs_entry e = {.name = name, .dtype = dtype, .rank = rank, .dims = dims, .count = 1};
        for (int i = 0; i < rank; i++)
                e.count *= (size_t)dims[i];
        e.bytes = e.count * width;
        e.data = (rs_span){ckpt_values, e.bytes};
        return e;
}

enum { CKPT_N = 6 };

/* Six tensors in folders: ranks 0 to 4, no elements at all, wide and narrow. */
static inline void
ckpt_sample(rs_entry e[CKPT_N])
{
        static const int64_t kernel[] = {3, 3, 2, 4}, four[] = {4}, five[] = {5}, none[] = {0, 3}, many[] = {300};
        ckpt_fill();
        e[0] = ckpt_entry("params/a/kernel", RESECT_FLOAT, 4, 4, kernel);
        e[1] = ckpt_entry("params/a/bias", RESECT_FLOAT, 4, 1, four);
        e[2] = ckpt_entry("params/b/c/d/scale", RESECT_FLOAT16, 2, 1, five);
        e[3] = ckpt_entry("params/b/step", RESECT_INT64, 8, 0, four);
        e[4] = ckpt_entry("params/b/empty", RESECT_FLOAT, 4, 2, none);
        e[5] = ckpt_entry("stats", RESECT_UINT8, 1, 1, many);
}

/* Tests need no disk that has seen everything. */
static inline int
ckpt_fsync(int fd)
{
        (void)fd;
        return 0;
}

static inline bool
ckpt_write(const rs_format *f, const char *path, const rs_entry *e, size_t n, resect_error *err)
{
        rs_hooks.fsync = ckpt_fsync;
        rs_writing w = {.path = path, .entries = e, .n_entries = n};
        return rs_format_write(f, &w, err);
}

/* Every entry is there with the same bytes, and nothing else. */
static inline void
ckpt_same(const rs_checkpoint *c, const rs_entry *e, size_t n)
{
        ck_assert_uint_eq(c->n_entries, n);
        for (size_t i = 0; i < n; i++) {
                resect_error err;
                rs_arena scratch_space = {0};
                rs_span s, want;
                const rs_entry *got = rs_checkpoint_find(c, e[i].name);
                ck_assert_msg(got != NULL, "%s is missing", e[i].name);
                ck_assert_int_eq(got->dtype, e[i].dtype);
                ck_assert_int_eq(got->rank, e[i].rank);
                for (int k = 0; k < e[i].rank; k++)
                        ck_assert_int_eq(got->dims[k], e[i].dims[k]);
                CK_OK(rs_entry_bytes(got, &scratch_space, &s, &err), err);
                CK_OK(rs_entry_bytes(&e[i], &scratch_space, &want, &err), err);
                ck_assert_uint_eq(s.size, want.size);
                ck_assert_msg(!s.size || !memcmp(s.data, want.data, s.size), "%s differs", e[i].name);
                rs_arena_free(&scratch_space);
        }
}

/* Reads and takes every value; what is wrong must be said. */
static inline bool
ckpt_use(const char *path, const rs_format *f, resect_error *err)
{
        *err = (resect_error){0};
        rs_checkpoint *c = rs_checkpoint_read(path, f, 1 << 26, err);
        bool ok = c != NULL;
        for (size_t i = 0; ok && i < c->n_entries; i++) {
                rs_arena scratch_space = {0};
                rs_span s;
                ok = rs_entry_bytes(&c->entries[i], &scratch_space, &s, err);
                unsigned sum = 0;
                for (size_t k = 0; ok && k < s.size; k++)
                        sum += s.data[k];
                volatile unsigned sink = sum; /* every byte was read */
                (void)sink;
                rs_arena_free(&scratch_space);
        }
        rs_checkpoint_free(c);
        if (!ok)
                ck_assert_msg(err->code != RESECT_OK && err->msg[0] && !strchr(err->msg, '\n'), "'%s'", err->msg);
        return ok;
}

/* No beginning of the file, short of the whole, is a checkpoint; at is what to open (file, or what it belongs to). */
static inline void
ckpt_prefixes(const rs_format *f, const char *file, const char *at, const unsigned char *bytes, size_t n, size_t step)
{
        resect_error err;
        for (size_t k = 0; k < n; k += step) {
                scratch_write(file, bytes, k);
                ck_assert_msg(!ckpt_use(scratch(at), f, &err), "the first %zu bytes are taken", k);
                ck_assert_msg(err.code == RESECT_FORMAT || err.code == RESECT_UNSUPPORTED, "%zu: %s: %s", k,
                        resect_code_name(err.code), err.msg);
        }
        scratch_write(file, bytes, n);
        CK_OK(ckpt_use(scratch(at), f, &err), err);
}

/* One to three changed bytes, so many times: a checkpoint or an error. Returns how many were refused. */
static inline size_t
ckpt_flips(const rs_format *f, const char *file, const char *at, const unsigned char *bytes, size_t n, size_t rounds)
{
        resect_error err;
        size_t bad = 0;
        unsigned char *copy = malloc(n);
        ck_assert_ptr_nonnull(copy);
        for (size_t k = 0; k < rounds; k++) {
                memcpy(copy, bytes, n);
                for (uint64_t i = 0; i <= k % 3; i++)
                        copy[rs_below(1, k, 2 * i, n)] = (unsigned char)rs_below(1, k, 2 * i + 1, 256);
                scratch_write(file, copy, n);
                bad += !ckpt_use(scratch(at), f, &err);
        }
        scratch_write(file, bytes, n);
        free(copy);
        return bad;
}

static inline unsigned char *
ckpt_slurp(const char *path, size_t *n)
{
        FILE *f = fopen(path, "rb");
        ck_assert_ptr_nonnull(f);
        unsigned char *all = malloc(1 << 22);
        ck_assert_ptr_nonnull(all);
        *n = fread(all, 1, 1 << 22, f);
        fclose(f);
        return all;
}

/* What a fuzzer began with or found (tests/fuzz/corpus/PART), file by file. */
static inline void
ckpt_corpus(const char *part, void (*take)(const unsigned char *bytes, size_t n))
{
        char folder[4096], path[8192];
        const char *src = getenv("RESECT_SRC");
        size_t files = 0, n;
        snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", src ? src : ".", part);
        DIR *d = opendir(folder);
        ck_assert_msg(d != NULL, "no folder %s", folder);
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
                unsigned char *b = ckpt_slurp(path, &n);
                take(b, n);
                free(b);
                files++;
        }
        closedir(d);
        ck_assert_uint_gt(files, 1);
}

static long ckpt_budget = -1, ckpt_alive;

static inline bool
ckpt_refused(void)
{
        return ckpt_budget >= 0 && ckpt_budget-- == 0;
}
static inline void *
ckpt_malloc(size_t n)
{
        void *p = ckpt_refused() ? NULL : malloc(n);
        ckpt_alive += p != NULL;
        return p;
}
static inline void *
ckpt_realloc(void *old, size_t n)
{
        void *p = ckpt_refused() ? NULL : realloc(old, n);
        ckpt_alive += p && !old;
        return p;
}
static inline void
ckpt_free(void *p)
{
        ckpt_alive -= p != NULL;
        free(p);
}

/* One round with k allocations: what it did, what it says; true when there is no other. */
static inline bool
ckpt_round(bool (*go)(const rs_format *, const char *from, const char *to, resect_error *), const rs_format *f, const char *from,
        const char *to, long k)
{
        resect_error err = {0};
        ckpt_alive = 0;
        ckpt_budget = k;
        bool done = go(f, from, to, &err), hit = ckpt_budget < 0;
        ckpt_budget = -1;
        ck_assert_msg(ckpt_alive == 0, "allocation %ld: %ld leaked", k, ckpt_alive);
        ck_assert_msg(!done || !hit, "allocation %ld: its failure went unnoticed", k);
        ck_assert_msg(done || err.code == RESECT_NOMEM, "allocation %ld: %s", k, err.msg);
        ck_assert(!done || k > 10);
        return done;
}

static inline void
ckpt_rounds(bool (*go)(const rs_format *, const char *from, const char *to, resect_error *), const rs_format *f, const char *from,
        const char *to)
{
        rs_hooks.malloc = ckpt_malloc;
        rs_hooks.realloc = ckpt_realloc;
        rs_hooks.free = ckpt_free;
        for (long k = 0; !ckpt_round(go, f, from, to, k); k++)
                ;
        rs_hooks.malloc = malloc;
        rs_hooks.realloc = realloc;
        rs_hooks.free = free;
}

static inline bool
ckpt_read_and_write(const rs_format *f, const char *from, const char *to, resect_error *err)
{
        rs_checkpoint *c = rs_checkpoint_read(from, f, 0, err);
        bool ok = c && ckpt_write(f, to, c->entries, c->n_entries, err);
        rs_checkpoint_free(c);
        return ok;
}

static inline bool
ckpt_read_all(const rs_format *f, const char *from, const char *to, resect_error *err)
{
        (void)to;
        return ckpt_use(from, f, err);
}

/* Reads every value with the k-th allocation failing, for every k: no leak, and NOMEM is what it is called. */
static inline void
ckpt_reading_allocations(const rs_format *f, const char *from)
{
        ckpt_rounds(ckpt_read_all, f, from, NULL);
}

/* Reads `from` and writes it as `to`, with the k-th allocation failing, for every k: no leak, and NOMEM is what it is called. */
static inline void
ckpt_allocations(const rs_format *f, const char *from, const char *to)
{
        ckpt_rounds(ckpt_read_and_write, f, from, to);
}

#endif
