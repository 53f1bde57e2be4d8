/* SPDX-License-Identifier: 0BSD */
/*
 * IDX, the format of MNIST (yann.lecun.com/exdb/mnist): two zero bytes, a type, a rank, big-endian
 * sizes, the numbers. Read are bytes of rank 3 [N, H, W] or 4 [N, H, W, C] with labels of rank 1,
 * plain or gzip. Nothing is allocated for a size that the bytes at hand could not hold.
 */
#include "data/data.h"

#include <string.h>
#include "io/gunzip.h"

#define IDX_BYTES ((size_t)4 << 30)
enum { INFLATE_RATIO = 1032, UBYTE = 8, LABELS = 1, HEAD_MOST = 4 + 4 * 4 };

struct idx {
        int rank;
        size_t dims[4], count; /* count: bytes after the header */
        unsigned char *data;
};

/* A file as it comes in: first the four bytes that tell the rank, then the sizes, then room for the
   numbers and one more byte, so that a file that is too long is seen. */
struct reader {
        const char *path;
        rs_span file; /* what is left of it */
        size_t file_size;
        unsigned char head[HEAD_MOST];
        struct idx idx;
};

static uint32_t
be32(const unsigned char *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
check_kind(struct reader *r, resect_error *err)
{
        const unsigned char *h = r->head;
        if (h[0] || h[1])
                return rs_fail(err, RESECT_FORMAT, "%s: not an IDX file", r->path);
        if (h[2] != UBYTE || (h[3] != LABELS && h[3] != 3 && h[3] != 4))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: IDX of type 0x%02x and rank %d; read are bytes (0x08) of rank 1, 3 "
                        "and 4",
                        r->path, h[2], h[3]);
        r->idx.rank = h[3];
        return true;
}

/* most: no more bytes than these can follow. */
static bool
check_sizes(struct reader *r, size_t most, resect_error *err)
{
        struct idx *x = &r->idx;
        x->count = 1;
        for (int i = 0; i < x->rank; i++) {
                x->dims[i] = be32(r->head + 4 + 4 * i);
                if (x->dims[i] == 0)
                        return rs_fail(err, RESECT_FORMAT, "%s: size %d is 0", r->path, i);
                if (!rs_mul(x->count, x->dims[i], &x->count))
                        x->count = SIZE_MAX;
        }
        if (x->count > most || x->count > IDX_BYTES)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: cut short: sizes that make %zu bytes, in a file of %zu", r->path,
                        x->count, r->file_size);
        x->data = rs_alloc(x->count + 1, 1, err);
        return x->data != NULL;
}

static bool
next_piece(void *ctx, rs_span *piece, resect_error *err)
{
        struct reader *r = ctx;
        (void)err;
        *piece = r->file;
        r->file.size = 0;
        return true;
}

static bool
next_room(void *ctx, size_t used, unsigned char **at, size_t *room, resect_error *err)
{
        struct reader *r = ctx;
        size_t most, head = used < 4 ? 4 : 4 + 4 * (size_t)r->head[3];
        if (!rs_mul(r->file_size, INFLATE_RATIO, &most))
                most = SIZE_MAX;
        if (used == 4 && !r->idx.rank && !check_kind(r, err))
                return false;
        if (used < head) {
                *at = r->head + used;
                *room = head - used;
                return true;
        }
        if (!r->idx.data && !check_sizes(r, most, err))
                return false;
        size_t done = used - head;
        *at = r->idx.data + done;
        *room = r->idx.count + 1 - done;
        return *room > 0 || rs_fail(err, RESECT_FORMAT, "%s: longer than its sizes say", r->path);
}

static bool
read_plain(struct reader *r, size_t *size, resect_error *err)
{
        unsigned char *at;
        size_t room;
        *size = 0;
        while (r->file.size) {
                if (!next_room(r, *size, &at, &room, err))
                        return false;
                room = room < r->file.size ? room : r->file.size;
                memcpy(at, r->file.data, room);
                r->file.data += room;
                r->file.size -= room;
                *size += room;
        }
        return true;
}

static bool
read_idx(const char *path, struct idx *out, resect_error *err)
{
        rs_buf file;
        *out = (struct idx){0};
        if (!rs_file_load(&file, path, IDX_BYTES, err))
                return rs_fail_at(err, "%s", path);
        struct reader r = {.path = path, .file = {file.data, file.size}, .file_size = file.size};
        size_t size = 0;
        bool ok = rs_is_gzip(file.data, file.size)
                          ? rs_gunzip(next_piece, next_room, &r, &size, path, err)
                          : read_plain(&r, &size, err);
        rs_buf_free(&file);
        size_t wants = 4 + 4 * (size_t)r.idx.rank + r.idx.count;
        if (ok && (!r.idx.data || size != wants))
                ok = rs_fail(err, RESECT_FORMAT, "%s: %s", path,
                        size > wants ? "longer than its sizes say" : "cut short");
        if (!ok)
                rs_free(r.idx.data);
        else
                *out = r.idx;
        return ok;
}

/* The other spelling of a file: with .gz or without. NULL when neither is there. */
static char *
existing(resect_data *d, const char *path, resect_error *err)
{
        int64_t size, mtime;
        size_t n = strlen(path);
        char *p = rs_arena_strdup(&d->arena, path, err);
        if (!p || rs_file_stamp(p, &size, &mtime))
                return p;
        if (n > 3 && strcmp(p + n - 3, ".gz") == 0)
                p[n - 3] = '\0';
        else if (!(p = rs_arena_printf(&d->arena, err, "%s.gz", path)))
                return NULL;
        return rs_file_stamp(p, &size, &mtime)
                       ? p
                       : RS_FAIL_NULL(
                                 err, RESECT_IO, "%s: not there, nor with or without .gz", path);
}

/* train-images-idx3-ubyte -> train-labels-idx1-ubyte */
static char *
labels_of(resect_data *d, const char *images, resect_error *err)
{
        char *p = rs_arena_strdup(&d->arena, images, err);
        if (!p)
                return NULL;
        char *base = strrchr(p, '/'), *word = strstr(base ? base : p, "images");
        if (!word)
                return RS_FAIL_NULL(err, RESECT_ARG,
                        "%s: a file of IDX images has 'images' in its name, and its labels "
                        "'labels'",
                        images);
        memcpy(word, "labels", 6);
        char *rank = strstr(word, "idx3");
        rank = rank ? rank : strstr(word, "idx4");
        if (rank)
                rank[3] = '1';
        return existing(d, p, err);
}

static bool
add_rows(resect_data *d, const struct idx *labels, size_t first, const char *prefix,
        resect_split split, resect_error *err)
{
        for (size_t i = 0; i < labels->count; i++) {
                rs_sample *s = rs_data_add(d, err);
                if (!s || !(s->name = rs_arena_printf(&d->arena, err, "%s#%zu", prefix, i)))
                        return false;
                s->row = first + i;
                s->label = labels->data[i];
                s->split = split;
        }
        return true;
}

/* Appends the pixels of a second file to those of the first. */
static bool
join(resect_data *d, const struct idx *x, size_t *rows, resect_error *err)
{
        int64_t chw[3] = {
                x->rank == 4 ? (int64_t)x->dims[3] : 1, (int64_t)x->dims[1], (int64_t)x->dims[2]};
        if (*rows && memcmp(chw, d->chw, sizeof chw) != 0)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: pictures of two sizes: %lldx%lld and %lldx%lld", d->path,
                        (long long)d->chw[1], (long long)d->chw[2], (long long)chw[1],
                        (long long)chw[2]);
        if (chw[0] != 1 && chw[0] != 3)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %lld channels; pictures have 1 or 3",
                        d->path, (long long)chw[0]);
        if (!rs_picture_check_size((uint64_t)chw[2], (uint64_t)chw[1], err))
                return rs_fail_at(err, "%s", d->path);
        size_t row = (size_t)(chw[0] * chw[1] * chw[2]), total;
        unsigned char *p = rs_add(*rows * row, x->count, &total) ? rs_grow(d->pixels, total, 1, err)
                                                                 : RS_NOMEM_NULL(err);
        if (!p)
                return false;
        memcpy(p + *rows * row, x->data, x->count);
        d->pixels = p;
        memcpy(d->chw, chw, sizeof chw);
        *rows += x->dims[0];
        return true;
}

static bool
add_pair(resect_data *d, const char *path, const char *prefix, resect_split split, size_t *rows,
        int *most, resect_error *err)
{
        struct idx images = {0}, labels = {0};
        char *labels_path = labels_of(d, path, err);
        size_t first = *rows;
        bool ok =
                labels_path && read_idx(path, &images, err) && read_idx(labels_path, &labels, err);
        if (ok && (images.rank < 3 || labels.rank != LABELS))
                ok = rs_fail(err, RESECT_FORMAT,
                        "%s, %s: rank %d and %d; wants images of rank 3 or 4 and labels of rank 1",
                        path, labels_path, images.rank, labels.rank);
        if (ok && images.dims[0] != labels.dims[0])
                ok = rs_fail(err, RESECT_FORMAT, "%s: %zu images, but %zu labels", path,
                        images.dims[0], labels.dims[0]);
        ok = ok && join(d, &images, rows, err) && add_rows(d, &labels, first, prefix, split, err);
        for (size_t i = 0; ok && i < labels.count; i++)
                *most = labels.data[i] > *most ? labels.data[i] : *most;
        rs_free(images.data);
        rs_free(labels.data);
        return ok;
}

static char *
in_folder(rs_arena *a, const char *folder, const char *part, resect_error *err)
{
        return rs_arena_printf(a, err, "%s/%s-images-idx3-ubyte", folder, part);
}

bool
rs_data_is_idx_folder(const resect_data *d, bool *found, resect_error *err)
{
        static const char *const parts[] = {"train", "t10k"}, *const ends[] = {"", ".gz"};
        rs_arena a = {0};
        bool ok = true;
        int64_t size, mtime;
        *found = false;
        for (int i = 0; i < 4 && ok && !*found; i++) {
                char *p = rs_arena_printf(
                        &a, err, "%s/%s-images-idx3-ubyte%s", d->path, parts[i / 2], ends[i % 2]);
                ok = p != NULL;
                *found = ok && rs_file_stamp(p, &size, &mtime);
        }
        rs_arena_free(&a);
        return ok;
}

bool
rs_data_idx(resect_data *d, bool folder, resect_error *err)
{
        size_t rows = 0;
        int most = 0;
        d->kind = RS_PIXELS;
        if (!folder)
                return add_pair(d, d->path, "", RESECT_ALL, &rows, &most, err) &&
                       rs_data_number_classes(d, d->path, (size_t)most + 1, err);
        static const struct {
                const char *part;
                resect_split split;
        } parts[] = {{"train", RESECT_TRAIN}, {"t10k", RESECT_VAL}};
        const char *last = NULL;
        for (int i = 0; i < 2; i++) {
                char *path = in_folder(&d->arena, d->path, parts[i].part, err);
                resect_error absent;
                if (!path)
                        return false;
                char *there = existing(d, path, &absent);
                if (!there && absent.code == RESECT_NOMEM)
                        return rs_fail_nomem(err);
                if (!there)
                        continue;
                if (!add_pair(d, there, parts[i].part, parts[i].split, &rows, &most, err))
                        return false;
                last = there;
                d->presplit = d->presplit || parts[i].split == RESECT_VAL;
        }
        if (!d->presplit) /* the training half alone may be split */
                for (size_t i = 0; i < d->n_samples; i++)
                        d->samples[i].split = RESECT_ALL;
        return rs_data_number_classes(d, last, (size_t)most + 1, err);
}
