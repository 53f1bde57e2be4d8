/* SPDX-License-Identifier: 0BSD */
/* Folders of pictures for the tests, grown from one line of text, and removed again. */
#ifndef TREES_H
#define TREES_H

#include "pictures.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/random.h"
#include "resect/data.h"

/* A PNG whose pixels depend on seed alone. */
static inline struct bytes
numbered(int seed)
{
        unsigned char rows[12 * 10 * 3];
        for (size_t i = 0; i < sizeof rows; i++)
                rows[i] = (unsigned char)rs_below((uint64_t)seed, 9, i, 256);
        return make_png((struct png_recipe){
                .width = 12, .height = 10, .depth = 8, .colour = PNG_COLOR_TYPE_RGB, .rows = rows});
}

static inline void
make_folders(char *path)
{
        for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
                *s = '\0';
                mkdir(path, 0777);
                *s = '/';
        }
}

/* Words "path=what": a number (a PNG of that seed), jpg, cut (a JPEG without its end), text, empty,
 * dir, fifo, ->target. */
static inline void
grow(const char *root, const char *spec)
{
        char words[4096], *save_at = NULL;
        snprintf(words, sizeof words, "%s", spec);
        for (char *w = strtok_r(words, " ", &save_at); w; w = strtok_r(NULL, " ", &save_at)) {
                char path[512], *what = strchr(w, '=');
                *what++ = '\0';
                snprintf(path, sizeof path, "%s/%s", root, w);
                make_folders(path);
                struct bytes b = {0};
                if (strcmp(what, "dir") == 0)
                        mkdir(path, 0777);
                else if (strcmp(what, "fifo") == 0)
                        ck_assert_int_eq(mkfifo(path, 0666), 0);
                else if (strncmp(what, "->", 2) == 0)
                        ck_assert_int_eq(symlink(what + 2, path), 0);
                else {
                        if (strcmp(what, "jpg") == 0 || strcmp(what, "cut") == 0)
                                b = make_jpeg((struct jpeg_recipe){
                                        .width = 30, .height = 20, .channels = 3});
                        else if (strcmp(what, "text") == 0)
                                b = (struct bytes){(unsigned char *)strdup("hello\n"), 6};
                        else if (strcmp(what, "empty") != 0)
                                b = numbered(atoi(what));
                        if (strcmp(what, "cut") == 0)
                                b.size -= 20;
                        save(path, b);
                        free(b.data);
                }
        }
}

static inline int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *f)
{
        (void)st;
        (void)kind;
        (void)f;
        return remove(path);
}

static inline void
fell(const char *root)
{
        nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new folder below /tmp; text holds its name. */
static inline char *
new_root(char *text /* [64] */)
{
        snprintf(text, 64, "/tmp/resect-data-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(text));
        return text;
}

/* Allocations until one fails. */
static inline size_t *
until_starved(void)
{
        static size_t n;
        return &n;
}

static inline void *
starved_malloc(size_t n)
{
        return __atomic_fetch_sub(until_starved(), 1, __ATOMIC_SEQ_CST) == 0 ? NULL : malloc(n);
}

static inline void *
starved_realloc(void *p, size_t n)
{
        return __atomic_fetch_sub(until_starved(), 1, __ATOMIC_SEQ_CST) == 0 ? NULL : realloc(p, n);
}

/* Opens path with the k-th allocation failing, for every k until none fails: it is out of memory and
   says nothing else, or opens, and look then finds what it finds when nothing fails. */
static inline void
open_starved(const char *path, void (*look)(const resect_data *d))
{
        size_t refused = 0;
        for (size_t k = 0, done = 0; !done; k++) {
                resect_error err = {0};
                *until_starved() = k;
                rs_hooks.malloc = starved_malloc;
                rs_hooks.realloc = starved_realloc;
                resect_data *d =
                        resect_data_open(path, &(resect_data_options){.threads = 1}, &err);
                rs_hooks.malloc = malloc;
                rs_hooks.realloc = realloc;
                done = *until_starved() <= k; /* else it wrapped around */
                ck_assert_msg(d || err.code == RESECT_NOMEM, "allocation %zu: %s", k, err.msg);
                refused += !d;
                if (d)
                        look(d);
                resect_data_free(d);
        }
        ck_assert_uint_gt(refused, 1);
}

#endif
