/* SPDX-License-Identifier: 0BSD */
/*
 * Choices between primitives, by a quick timing. They are remembered in
 * $XDG_CACHE_HOME/resect/kernels (~/.cache without that variable), one a line: the machine, the
 * key, the choice. The file is safe to delete; a line that means nothing is passed over, of two for
 * the same key the first counts, and new ones are appended by one write each time.
 */
#include "onednn/choose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include "base/clock.h"
#include "io/fd.h"
#include "io/input.h"

enum { FILE_MAX = 1 << 20, ROUNDS = 4, BUFFERS_MAX = 8 };

struct rs_choices {
        char machine[96];
        char *path;   /* NULL: nowhere */
        rs_map known; /* key -> "0" or "1" */
        rs_arena arena;
        rs_buf fresh; /* lines to be appended */
};

/* The processor's own name and oneDNN's version, without blanks. */
static void
name_machine(char *name, size_t size)
{
        const dnnl_version_t *v = dnnl_version();
        char brand[49] = "cpu";
#ifdef __x86_64__
        unsigned r[12];
        if (__get_cpuid_max(0x80000000, NULL) >= 0x80000004) {
                for (unsigned i = 0; i < 3; i++)
                        __get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2],
                                &r[4 * i + 3]);
                memcpy(brand, r, sizeof r);
        }
#endif
        snprintf(name, size, "%s,%x,%d.%d.%d", brand, (unsigned)dnnl_get_effective_cpu_isa(),
                v->major, v->minor, v->patch);
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

static bool
learn(struct rs_choices *c, const char *key, size_t size, char choice, resect_error *err)
{
        char *k = rs_arena_strndup(&c->arena, key, size, err);
        return k && (rs_map_get(&c->known, k) ||
                            rs_map_put(&c->known, k, (void *)(uintptr_t)(choice == '1' ? "1" : "0"),
                                    NULL, err));
}

static bool
read_lines(struct rs_choices *c, const char *text, size_t size, resect_error *err)
{
        size_t prefix = strlen(c->machine);
        while (size) {
                const char *end = memchr(text, '\n', size);
                size_t n = end ? (size_t)(end - text) : size;
                bool ours = end && n > prefix + 3 && !memcmp(text, c->machine, prefix) &&
                            text[prefix] == ' ' && text[n - 2] == ' ' &&
                            (text[n - 1] == '0' || text[n - 1] == '1');
                if (ours && !learn(c, text + prefix + 1, n - prefix - 3, text[n - 1], err))
                        return false;
                text += n + (end != NULL);
                size -= n + (end != NULL);
        }
        return true;
}

static struct rs_choices *
choices(rs_dnn *d, resect_error *err)
{
        if (d->choices)
                return d->choices;
        resect_error ignored;
        struct rs_choices *c = d->choices = rs_alloc(1, sizeof *c, err);
        if (!c)
                return NULL;
        name_machine(c->machine, sizeof c->machine);
        c->path = find_path(&c->arena, &ignored);
        rs_input *in = c->path && access(c->path, R_OK) == 0
                               ? rs_input_open(c->path, FILE_MAX, &ignored)
                               : NULL;
        bool ok = !in || read_lines(c, (const char *)in->data, in->size, err);
        rs_input_free(in);
        return ok ? c : NULL;
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
                int fd =
                        open(c->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd >= 0) {
                        struct iovec v = {c->fresh.data, c->fresh.size};
                        (void)!rs_fd_write(fd, &v, 1);
                        close(fd);
                }
        }
        rs_buf_free(&c->fresh);
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

int
rs_choose(rs_dnn *d, const char *key, rs_trial *trial, void *ctx, const size_t *sizes, int n,
        resect_error *err)
{
        struct rs_choices *c = choices(d, err);
        if (!c)
                return -1;
        const char *known = rs_map_get(&c->known, key);
        if (known)
                return *known - '0';
        void *buffers[BUFFERS_MAX] = {0};
        double best[2] = {1e30, 1e30};
        bool ok = make_buffers(sizes, n, buffers, err);
        for (int round = 0; ok && round < ROUNDS; round++)
                for (int i = 0; ok && i < 2; i++) {
                        double start = rs_now();
                        ok = trial(ctx, i, buffers, err);
                        double took = rs_now() - start;
                        best[i] = took < best[i] ? took : best[i];
                }
        for (int i = 0; i < n; i++)
                rs_free_aligned(buffers[i]);
        if (!ok)
                return -1;
        int choice = best[1] < best[0];
        rs_buf_printf(&c->fresh, "%s %s %d\n", c->machine, key, choice);
        return learn(c, key, strlen(key), (char)('0' + choice), err) ? choice : -1;
}
