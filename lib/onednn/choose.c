/* SPDX-License-Identifier: 0BSD */
/*
 * Choices between primitives, by a quick timing. Within a plan a choice is made once; those that
 * the caller brought come first. Across plans they are remembered in $XDG_CACHE_HOME/resect/kernels
 * (~/.cache without that variable), one a line: machine and build, the key, the choice. The file is
 * safe to delete; a line that means nothing is passed over, of two for the same key the first
 * counts, and new ones are appended by one write each time. One that has grown out of all
 * proportion is not read, and begun anew.
 *
 * A run from which the system took the processor away does not count as long as there is another;
 * it is tried again more often then, but not for long: on a machine that has other work no run may
 * be left alone.
 */
#include "onednn/choose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include "base/clock.h"
#include "io/fd.h"
#include "io/input.h"

/* Raised whenever a kernel of ours gets faster or slower, so that what was timed before is not
 * believed. */
#define KERNELS "k7"
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILD KERNELS "-checked"
#elif defined(__OPTIMIZE__)
#define BUILD KERNELS
#else
#define BUILD KERNELS "-slow"
#endif

enum {
        FILE_MAX = 1 << 20,
        LINE_MAX_BYTES = 400,
        ROUNDS = 4,
        ROUNDS_MOST = 12,
        ROUNDS_BUSY = 40,
        BUFFERS_MAX = 8
};

struct rs_choices {
        char machine[96];
        char *path;            /* NULL: nowhere */
        bool anew;             /* the file is too large */
        rs_map settled, known; /* key -> "0" or "1": in this plan; in the file */
        rs_arena arena;
        rs_buf text;  /* what is settled, as lines */
        rs_buf fresh; /* lines to be appended to the file */
        size_t timed; /* of this plan */
        bool (*progress)(void *ctx, size_t done, size_t total);
        void *ctx;
};

/* The processor's own name, oneDNN's version and ours, without blanks. */
static void
name_machine(char *name, size_t size)
{
        const dnnl_version_t *v = dnnl_version();
        char brand[49] = "cpu";
#ifdef __x86_64__
        unsigned r[12];
        if ((unsigned)__get_cpuid_max(0x80000000, NULL) >= 0x80000004u) {
                for (unsigned i = 0; i < 3; i++)
                        __get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2],
                                &r[4 * i + 3]);
                memcpy(brand, r, sizeof r);
        }
#endif
        snprintf(name, size, "%s,%x,%d.%d.%d,%s", brand, (unsigned)dnnl_get_effective_cpu_isa(),
                v->major, v->minor, v->patch, BUILD);
        for (char *c = name; *c; c++)
                if ((unsigned char)*c <= ' ')
                        *c = '_';
}

static char *
find_path(rs_arena *arena, resect_error *err)
{
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        if (cache && *cache == '/')
                return rs_arena_printf(arena, err, "%s/resect/kernels", cache);
        if (home && *home == '/')
                return rs_arena_printf(arena, err, "%s/.cache/resect/kernels", home);
        return NULL;
}

/* The first choice for a key counts. *fresh (may be NULL): this is it. */
static bool
learn(struct rs_choices *c, rs_map *map, const char *key, size_t size, char choice, bool *fresh,
        resect_error *err)
{
        char *k = rs_arena_strndup(&c->arena, key, size, err);
        bool new = k && !rs_map_get(map, k);
        if (fresh)
                *fresh = new;
        return k && (!new || rs_map_put(map, k, (void *)(uintptr_t)(choice == '1' ? "1" : "0"),
                                     NULL, err));
}

static bool
settle(struct rs_choices *c, const char *key, size_t size, char choice, resect_error *err)
{
        bool fresh;
        if (!learn(c, &c->settled, key, size, choice, &fresh, err))
                return false;
        if (fresh)
                rs_buf_printf(&c->text, "%.*s %c\n", (int)size, key, choice);
        return !c->text.oom || rs_fail_nomem(err);
}

/* Lines "KEY 0" or "KEY 1"; with a machine before it in the file. */
static bool
read_lines(struct rs_choices *c, bool file, const char *text, size_t size, resect_error *err)
{
        size_t machine = file ? strlen(c->machine) : 0, prefix = machine + file;
        while (size) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t)(end - text) : size;
                bool ours = end && n > prefix + 2 && n < LINE_MAX_BYTES &&
                            !memcmp(text, c->machine, machine) && (!file || text[machine] == ' ') &&
                            !memchr(text + prefix, '\0', n - prefix) && text[n - 2] == ' ' &&
                            (text[n - 1] == '0' || text[n - 1] == '1');
                const char *key = text + prefix;
                if (ours &&
                        !(file ? learn(c, &c->known, key, n - prefix - 2, text[n - 1], NULL, err)
                               : settle(c, key, n - prefix - 2, text[n - 1], err)))
                        return false;
                text += n + (end != NULL);
                size -= n + (end != NULL);
        }
        return true;
}

/* A file that cannot be read is as good as none. */
static bool
read_file(struct rs_choices *c, resect_error *err)
{
        resect_error ignored;
        struct stat st;
        /* O_NONBLOCK: a FIFO without a writer would be waited for */
        int fd = c->path ? open(c->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
        bool regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
        c->anew = regular && st.st_size > FILE_MAX;
        rs_input *in =
                regular && !c->anew ? rs_input_read_fd(fd, c->path, FILE_MAX, &ignored) : NULL;
        bool ok = !in || read_lines(c, true, (const char *)in->data, in->size, err);
        rs_input_free(in);
        if (fd >= 0)
                close(fd);
        return ok;
}

bool
rs_choices_make(rs_dnn *d, const resect_plan_options *o, resect_error *err)
{
        resect_error ignored;
        struct rs_choices *c = d->choices = rs_alloc(1, sizeof *c, err);
        if (!c)
                return false;
        name_machine(c->machine, sizeof c->machine);
        c->path = find_path(&c->arena, &ignored);
        c->progress = o->progress;
        c->ctx = o->ctx;
        return (!o->choices || read_lines(c, false, o->choices, strlen(o->choices), err)) &&
               read_file(c, err);
}

bool
rs_choices_text(const rs_dnn *d, rs_arena *arena, const char **text, resect_error *err)
{
        const rs_buf *b = &d->choices->text;
        *text = rs_arena_strndup(arena, b->size ? (const char *)b->data : "", b->size, err);
        return *text != NULL;
}

/* The cache's folder, and ours in it. */
static void
make_folders(char *path)
{
        char *ours = strrchr(path, '/');
        *ours = '\0';
        char *cache = strrchr(path, '/');
        *cache = '\0';
        (void)mkdir(path, 0700);
        *cache = '/';
        (void)mkdir(path, 0700);
        *ours = '/';
}

void
rs_choices_keep(rs_dnn *d)
{
        struct rs_choices *c = d ? d->choices : NULL;
        if (!c)
                return;
        if (c->path && c->fresh.size && !c->fresh.oom) {
                make_folders(c->path);
                if (c->anew)
                        (void)unlink(c->path);
                int fd = open(c->path,
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
                if (fd >= 0) {
                        struct iovec v = {c->fresh.data, c->fresh.size};
                        (void)!rs_fd_write(fd, &v, 1);
                        close(fd);
                }
        }
        rs_buf_free(&c->fresh);
        rs_buf_free(&c->text);
        rs_map_free(&c->settled);
        rs_map_free(&c->known);
        rs_arena_free(&c->arena);
        rs_free(c);
        d->choices = NULL;
}

/* Filled: pages that nobody wrote would all be one page. */
static bool
make_buffers(const size_t *sizes, int n, void **buffers, resect_error *err)
{
        for (int i = 0; i < n; i++) {
                if (!(buffers[i] = rs_alloc_aligned(sizes[i], err)))
                        return false;
                float *f = buffers[i];
                for (size_t k = 0; k < sizes[i] / sizeof *f; k++)
                        f[k] = 1.0f / (float)(1 + k % 1024);
        }
        return true;
}

/* Out of the caches: where weights are when their layer's turn comes. */
static void
put_away(const void *buffer, size_t size)
{
#ifdef __x86_64__
        for (size_t i = 0; i < size; i += 64)
                __builtin_ia32_clflush((const char *)buffer + i);
        __builtin_ia32_mfence();
#else
        (void)buffer, (void)size;
#endif
}

/* How often the system has taken the processor away from one of our threads. */
static long
interruptions(void)
{
        struct rusage r;
        return getrusage(RUSAGE_SELF, &r) == 0 ? r.ru_nivcsw : 0;
}

/* The shortest run of each of two methods; quiet: of those that nothing interrupted. */
typedef struct timing {
        double any[2], quiet[2];
} timing;
#define NEVER 1e30
#define ENOUGH 0.5 /* seconds for a choice, unless the fewest rounds take longer */

static bool
is_quiet(const timing *t)
{
        return t->quiet[0] < NEVER && t->quiet[1] < NEVER;
}

static const double *
best_of(const timing *t)
{
        return is_quiet(t) ? t->quiet : t->any;
}

typedef struct contest {
        rs_trial *trial;
        void *ctx, *buffers[BUFFERS_MAX];
        const size_t *sizes;
        int n;
        uint32_t far;
} contest;

static bool
time_once(timing *t, int method, const contest *c, resect_error *err)
{
        for (int i = 0; i < c->n; i++)
                if (c->far >> i & 1)
                        put_away(c->buffers[i], c->sizes[i]);
        const long before = interruptions();
        const double start = rs_now();
        if (!c->trial(c->ctx, method, c->buffers, err))
                return false;
        const double took = rs_now() - start;
        if (took < t->any[method])
                t->any[method] = took;
        if (took < t->quiet[method] && interruptions() == before)
                t->quiet[method] = took;
        return true;
}

/* What is near takes more rounds to tell apart. */
static bool
is_settled(const timing *t)
{
        const double *best = best_of(t);
        return is_quiet(t) && (best[0] >= 1.15 * best[1] || best[1] >= 1.15 * best[0]);
}

int
rs_choose(rs_dnn *d, const char *key, rs_trial *trial, void *ctx, const size_t *sizes, int n,
        uint32_t far, resect_error *err)
{
        struct rs_choices *c = d->choices;
        const char *known = rs_map_get(&c->settled, key);
        if (!known)
                known = rs_map_get(&c->known, key);
        if (known)
                return settle(c, key, strlen(key), *known, err) ? *known - '0' : -1;
        contest k = {trial, ctx, {0}, sizes, n, far};
        timing t = {{NEVER, NEVER}, {NEVER, NEVER}};
        bool ok = make_buffers(sizes, n, k.buffers, err);
        const double start = rs_now();
        for (int round = 0; ok && round < (is_quiet(&t) ? ROUNDS_MOST : ROUNDS_BUSY) &&
                            (round < ROUNDS || (!is_settled(&t) && rs_now() - start < ENOUGH));
                round++)
                ok = time_once(&t, 0, &k, err) && time_once(&t, 1, &k, err);
        for (int i = 0; i < n; i++)
                rs_free_aligned(k.buffers[i]);
        if (!ok)
                return -1;
        const double *best = best_of(&t);
        int choice = best[1] < best[0];
        rs_buf_printf(&c->fresh, "%s %s %d\n", c->machine, key, choice);
        if (c->progress && !c->progress(c->ctx, ++c->timed, 0))
                return (void)rs_fail(err, RESECT_STOPPED, "stopped while kernels were timed"), -1;
        return settle(c, key, strlen(key), (char)('0' + choice), err) ? choice : -1;
}
