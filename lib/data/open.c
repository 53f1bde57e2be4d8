/* SPDX-License-Identifier: 0BSD */
/* Opening DATA, whatever it is, and asking it simple things. */
#include "data/data.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/sha256.h"

/* What a file is, by its first bytes. A text is a manifest. */
static bool
read_file_source(resect_data *d, resect_error *err)
{
        unsigned char head[4] = {0};
        ssize_t n = rs_file_head(d->path, head, sizeof head);
        if (n < 0)
                return rs_fail(err, RESECT_IO, "%s: %s", d->path, strerror(errno));
        if (n == 0)
                return rs_fail(err, RESECT_FORMAT, "%s: an empty file", d->path);
        if (memcmp(head, "PK\3\4", 4) == 0)
                return rs_data_npz(d, err);
        if ((head[0] == 0x1f && head[1] == 0x8b) || (n == 4 && head[0] == 0 && head[1] == 0))
                return rs_data_idx(d, false, err);
        return rs_data_manifest(d, err);
}

static bool
read_source(resect_data *d, resect_error *err)
{
        struct stat st;
        if (stat(d->path, &st) != 0)
                return rs_fail(err, RESECT_IO, "%s: %s", d->path, strerror(errno));
        if (S_ISDIR(st.st_mode)) {
                bool idx;
                return rs_data_is_idx_folder(d, &idx, err) &&
                       (idx ? rs_data_idx(d, true, err) : rs_data_folder(d, err));
        }
        if (!S_ISREG(st.st_mode))
                return rs_fail(err, RESECT_IO, "%s: neither a folder nor a regular file", d->path);
        return read_file_source(d, err);
}

static char *
without_final_slash(rs_arena *a, const char *path, resect_error *err)
{
        size_t n = strlen(path);
        while (n > 1 && path[n - 1] == '/')
                n--;
        return rs_arena_strndup(a, path, n, err);
}

resect_data *
resect_data_open(const char *path, const resect_data_options *options, resect_error *err)
{
        static const resect_data_options none;
        const resect_data_options *o = options ? options : &none;
        if (!(o->val >= 0 && o->val < 1))
                return RS_FAIL_NULL(
                        err, RESECT_ARG, "a validation part of %g is not in 0 .. 1", o->val);
        if (o->classes && o->n_classes == 0)
                return RS_FAIL_NULL(err, RESECT_ARG, "an empty list of classes");
        if (o->input && !rs_input_check(o->input, err))
                return NULL;
        resect_data *d = rs_alloc(1, sizeof *d, err);
        if (!d)
                return NULL;
        if (o->input)
                rs_data_expect(d, o->input);
        d->has_lock = pthread_mutex_init(&d->lock, NULL) == 0;
        if (d->has_lock && (d->path = without_final_slash(&d->arena, path, err)) &&
                read_source(d, err) && rs_data_choose_classes(d, o, err) &&
                rs_data_scan(d, o, err) && rs_data_collect(d, o, err))
                return d;
        if (!d->has_lock)
                rs_fail_nomem(err);
        resect_data_free(d);
        return NULL;
}

void
resect_data_free(resect_data *d)
{
        if (!d)
                return;
        if (d->base) { /* a view owns its lists alone */
                rs_arena_free(&d->arena);
                rs_free(d);
                return;
        }
        for (size_t i = 0; i < d->n_samples; i++) {
                rs_sample *s = &d->samples[i];
                rs_free(s->why);
                rs_free((void *)(uintptr_t)s->fitted);
                if (s->decoded)
                        rs_picture_free((rs_picture *)(uintptr_t)s->decoded);
                rs_free((void *)(uintptr_t)s->decoded);
        }
        rs_free(d->samples);
        rs_free(d->pixels);
        resect_tensor_free(&d->x);
        if (d->has_lock)
                pthread_mutex_destroy(&d->lock);
        rs_arena_free(&d->arena);
        rs_free(d);
}

size_t
resect_data_class_count(const resect_data *d)
{
        return d->n_classes;
}

const char *
resect_data_class(const resect_data *d, size_t i)
{
        return i < d->n_classes ? d->classes[i] : NULL;
}

size_t
resect_data_count(const resect_data *d, resect_split split)
{
        return split >= RESECT_TRAIN && split <= RESECT_ALL ? d->count[split] : 0;
}

bool
resect_data_is_raw(const resect_data *d)
{
        return d->kind == RS_TENSOR;
}

bool
resect_data_raw_shape(const resect_data *d, int64_t chw[3])
{
        if (d->kind == RS_FILES)
                return false;
        memcpy(chw, d->chw, sizeof d->chw);
        return true;
}

const rs_sample *
rs_data_at(const resect_data *d, resect_split split, size_t i)
{
        return i < resect_data_count(d, split) ? &d->samples[d->of[split][i]] : NULL;
}

int
resect_data_label(const resect_data *d, resect_split split, size_t i)
{
        const rs_sample *s = rs_data_at(d, split, i);
        return s ? s->label : -1;
}

const char *
resect_data_name(const resect_data *d, resect_split split, size_t i)
{
        const rs_sample *s = rs_data_at(d, split, i);
        return s ? s->name : NULL;
}

size_t
resect_data_skipped_count(const resect_data *d)
{
        return d->n_skipped;
}

bool
resect_data_skipped(const resect_data *d, size_t i, const char **name, const char **why)
{
        if (i >= d->n_skipped)
                return false;
        *name = d->skipped[i].name;
        *why = d->skipped[i].text;
        return true;
}

const char *
resect_data_note(const resect_data *d, size_t i)
{
        return i < d->n_notes ? d->notes[i].text : NULL;
}

static void
add_sample(rs_sha256 *sha, const rs_sample *s, resect_split split)
{
        unsigned char head[5] = {(unsigned char)split};
        for (int k = 0; k < 4; k++)
                head[k + 1] = (unsigned char)((unsigned)s->label >> 8 * k);
        rs_sha256_add(sha, head, sizeof head);
        rs_sha256_add(sha, s->name, strlen(s->name) + 1);
        rs_sha256_add(sha, s->hash, sizeof s->hash);
}

/* Strings go in with their NUL, so that "a" "bc" and "ab" "c" differ. A view's samples go in split
   by split, data's own in their order. */
bool
resect_data_digest(const resect_data *d, char hex[65], resect_error *err)
{
        rs_sha256 sha;
        unsigned char digest[32];
        (void)err;
        rs_sha256_start(&sha);
        for (size_t i = 0; i < d->n_classes; i++)
                rs_sha256_add(&sha, d->classes[i], strlen(d->classes[i]) + 1);
        for (size_t i = 0; !d->base && i < d->n_samples; i++)
                add_sample(&sha, &d->samples[i], d->samples[i].split);
        for (int k = RESECT_TRAIN; d->base && k <= RESECT_TEST; k++)
                for (size_t i = 0; i < d->count[k]; i++)
                        add_sample(&sha, rs_data_at(d, (resect_split)k, i), (resect_split)k);
        rs_sha256_end(&sha, digest);
        rs_sha256_hex(digest, hex);
        return true;
}
