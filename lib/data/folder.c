/* SPDX-License-Identifier: 0BSD */
/*
 * DATA/CLASS/picture and DATA/{train,val,test}/CLASS/picture. Entries that begin with a dot do not
 * exist (.ipynb_checkpoints was a class in many a data set). What a file is, its bytes say; a name
 * like a picture's only decides whether a file that is none counts as a bad picture or as something
 * that lies about.
 */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "data/data.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The entries of a folder in byte order. */
struct listing {
        char **names;
        size_t n;
};

static int
by_bytes(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
list(resect_data *d, const char *path, struct listing *out, resect_error *err)
{
        *out = (struct listing){0};
        DIR *dir = opendir(path);
        if (!dir)
                return rs_fail(err, RESECT_IO, "%s: %s", path, strerror(errno));
        size_t cap = 0;
        char **names = NULL;
        bool ok = true;
        for (struct dirent *e; ok && (errno = 0, e = readdir(dir));) {
                if (e->d_name[0] == '.')
                        continue;
                if (out->n == cap) {
                        cap = cap ? cap * 2 : 64;
                        char **p = rs_grow(names, cap, sizeof *p, err);
                        if (!(ok = p != NULL))
                                break;
                        names = p;
                }
                ok = (names[out->n] = rs_arena_strdup(&d->arena, e->d_name, err)) != NULL;
                out->n += ok;
        }
        if (ok && errno)
                ok = rs_fail(err, RESECT_IO, "%s: %s", path, strerror(errno));
        closedir(dir);
        if (out->n)
                qsort(names, out->n, sizeof *names, by_bytes);
        out->names = names;
        return ok;
}

static bool
is_folder(const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
named_like_a_picture(const char *name)
{
        static const char *const ends[] = {"jpg", "jpeg", "jpe", "png", "gif", "bmp", "webp", "tif",
                "tiff", "heic", "avif", "jxl", "jp2", "pgm", "ppm"};
        const char *dot = strrchr(name, '.');
        for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
                if (strcasecmp(dot + 1, ends[i]) == 0)
                        return true;
        return false;
}

static bool
begins_like_a_picture(const char *path)
{
        unsigned char head[8];
        ssize_t n = rs_file_head(path, head, sizeof head);
        return n > 0 && rs_picture_is_known((rs_span){head, (size_t)n});
}

/* prefix is "" or "train/": what stands before the class in a sample's name. */
static bool
add_class(resect_data *d, const char *prefix, const char *class, resect_split split,
        resect_error *err)
{
        char *folder = rs_arena_printf(&d->arena, err, "%s/%s%s", d->path, prefix, class);
        struct listing l = {0};
        bool ok = folder && list(d, folder, &l, err);
        size_t others = 0;
        const char *other = NULL;
        for (size_t i = 0; ok && i < l.n; i++) {
                char *path = rs_arena_printf(&d->arena, err, "%s/%s", folder, l.names[i]);
                if (!(ok = path != NULL))
                        break;
                if (!named_like_a_picture(l.names[i]) &&
                        (is_folder(path) || !begins_like_a_picture(path))) {
                        other = other ? other : l.names[i];
                        others++;
                        continue;
                }
                rs_sample *s = rs_data_add(d, err);
                if (!(ok = s != NULL))
                        break;
                s->path = path;
                s->group = class;
                s->split = split;
                ok = (s->name = rs_arena_printf(
                              &d->arena, err, "%s%s/%s", prefix, class, l.names[i])) != NULL;
        }
        rs_free(l.names);
        if (ok && others)
                ok = rs_data_note(d, err, "%s%s: %zu %s not looked at, first %s", prefix, class,
                        others,
                        others == 1 ? "entry that is no picture" : "entries that are no pictures",
                        other);
        return ok;
}

static bool
add_classes(resect_data *d, const char *prefix, resect_split split, resect_error *err)
{
        char *folder = rs_arena_printf(&d->arena, err, "%s/%s", d->path, prefix);
        struct listing l = {0};
        bool ok = folder && list(d, folder, &l, err);
        size_t before = d->n_samples, classes = 0;
        for (size_t i = 0; ok && i < l.n; i++) {
                char *path = rs_arena_printf(&d->arena, err, "%s/%s", folder, l.names[i]);
                if (!(ok = path != NULL))
                        break;
                if (!is_folder(path))
                        continue;
                size_t first = d->n_samples;
                classes++;
                ok = add_class(d, prefix, l.names[i], split, err);
                if (ok && d->n_samples == first)
                        ok = rs_fail(err, RESECT_FORMAT, "%s/%s%s: a class without pictures",
                                d->path, prefix, l.names[i]);
        }
        rs_free(l.names);
        if (ok && d->n_samples == before)
                ok = rs_fail(err, RESECT_FORMAT,
                        "%s/%s: no folders of pictures, one for each class", d->path, prefix);
        return ok;
}

bool
rs_data_folder(resect_data *d, resect_error *err)
{
        struct listing l;
        size_t splits = 0, others = 0;
        const char *other = NULL;
        bool trains = false;
        resect_split split;
        bool ok = list(d, d->path, &l, err);
        for (size_t i = 0; ok && i < l.n; i++) {
                char *path = rs_arena_printf(&d->arena, err, "%s/%s", d->path, l.names[i]);
                if (!(ok = path != NULL))
                        break;
                if (!is_folder(path))
                        continue;
                bool is_split = rs_split_parse(l.names[i], &split);
                trains = trains || (is_split && split == RESECT_TRAIN);
                splits += is_split;
                others += !is_split;
                other = is_split ? other : l.names[i];
        }
        if (ok && trains && others)
                ok = rs_fail(err, RESECT_FORMAT,
                        "%s: holds train/ and %s/: is it split, or are these classes?", d->path,
                        other);
        d->presplit = splits && !others;
        if (ok && !d->presplit)
                ok = add_classes(d, "", RESECT_ALL, err);
        for (size_t i = 0; ok && d->presplit && i < l.n; i++) {
                char *prefix = rs_arena_printf(&d->arena, err, "%s/", l.names[i]);
                if (!(ok = prefix != NULL))
                        break;
                if (rs_split_parse(l.names[i], &split)) {
                        char *path = rs_arena_printf(&d->arena, err, "%s/%s", d->path, l.names[i]);
                        ok = path && (!is_folder(path) || add_classes(d, prefix, split, err));
                }
        }
        rs_free(l.names);
        return ok;
}
