/* SPDX-License-Identifier: 0BSD */
/*
 * pack: values out of the model into a file of their own, and back. The data file is written whole
 * and first (temporary file, fsync, rename), then the tensors are made to point there, and the
 * model itself is written by whoever runs the edit: at no moment does a model point to bytes that
 * are not there. An existing data file is never appended to, and replaced only when asked, because
 * other models may use it. Every tensor begins on a page of 4096 bytes, as ONNX advises for
 * mapping.
 */
#include "edit/edit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/beneath.h"
#include "io/output.h"
#include "onnx/external.h"

enum { PAGE = 4096, WIDEST_PADDING = 65536 };

/* Files
 * -------------------------------------------------------------------------------------------------------------
 */

static int
by_place(const void *a, const void *b)
{
        const rs_tensor *const *x = a, *const *y = b;
        const int file = strcmp((*x)->location, (*y)->location);
        if (file != 0)
                return file;
        if ((*x)->offset != (*y)->offset)
                return (*x)->offset < (*y)->offset ? -1 : 1;
        return (*x)->bytes < (*y)->bytes ? -1 : (*x)->bytes > (*y)->bytes;
}

/* What one file of external data is made of. */
typedef struct account {
        size_t tensors, shared;
        uint64_t size, used, padding, orphaned;
} account;

/* Goes through the tensors of one file, in order of their offsets. Two that share all their bytes
   are fine; two that share some are damage. Space between tensors is padding when the next one is
   aligned, else it is lost. */
static bool
walk_file(rs_tensor *const *t, size_t n, uint64_t size, account *a, resect_error *err)
{
        uint64_t end = 0;
        const rs_tensor *last = NULL;
        *a = (account){.tensors = n, .size = size};
        for (size_t i = 0; i < n; i++) {
                if (t[i]->bytes > size || t[i]->offset > size - t[i]->bytes)
                        return rs_fail(err, RESECT_FORMAT,
                                "%s: tensor %s wants %zu bytes at %llu, the file has %llu",
                                t[i]->location, t[i]->name, t[i]->bytes,
                                (unsigned long long)t[i]->offset, (unsigned long long)size);
                if (t[i]->bytes == 0)
                        continue;
                if (last != NULL && t[i]->offset == last->offset && t[i]->bytes == last->bytes) {
                        a->shared++;
                        continue;
                }
                if (t[i]->offset < end)
                        return rs_fail(err, RESECT_GRAPH,
                                "%s: tensors %s and %s overlap (from byte %llu, %llu of them)",
                                t[i]->location, last->name, t[i]->name,
                                (unsigned long long)t[i]->offset,
                                (unsigned long long)(end - t[i]->offset));
                const uint64_t gap = t[i]->offset - end;
                *(gap < WIDEST_PADDING && t[i]->offset % PAGE == 0 ? &a->padding : &a->orphaned) +=
                        gap;
                a->used += t[i]->bytes;
                end = t[i]->offset + t[i]->bytes;
                last = t[i];
        }
        a->orphaned += size - end;
        return true;
}

/* The tensors whose values are in files, by file and offset. */
static bool
external_tensors(rs_surgery *s, rs_tensor ***out, size_t *n, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        *n = 0;
        *out = RS_NEW(&s->arena, g->n_tensors + 1, rs_tensor *, err);
        if (*out == NULL)
                return false;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (g->tensors[i]->where == RS_EXTERNAL)
                        (*out)[(*n)++] = g->tensors[i];
        qsort(*out, *n, sizeof **out, by_place);
        return true;
}

static bool
check_files(rs_surgery *s, resect_error *err)
{
        rs_tensor **t;
        size_t n, files = 0;
        if (!external_tensors(s, &t, &n, err))
                return false;
        for (size_t i = 0, k; i < n; i = k, files++) {
                account a;
                uint64_t size = 0;
                for (k = i + 1; k < n && strcmp(t[k]->location, t[i]->location) == 0;)
                        k++;
                if (!rs_external_size(s->m, t[i]->location, &size, err))
                        return rs_fail_at(err, "external data");
                if (!walk_file(t + i, k - i, size, &a, err))
                        return false;
                rs_note(s,
                        "%s: %llu bytes: %llu of %zu tensors (%zu of them share), %llu padding, "
                        "%llu that belong to no tensor",
                        t[i]->location, (unsigned long long)size, (unsigned long long)a.used,
                        a.tensors, a.shared, (unsigned long long)a.padding,
                        (unsigned long long)a.orphaned);
        }
        if (files == 0)
                rs_note(s, "no external data");
        return true;
}

/* In
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
into_model(rs_surgery *s, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        size_t n = 0, bytes = 0;
        if (!check_files(s, err))
                return false;
        for (size_t i = 0; i < g->n_tensors; i++) {
                rs_tensor *t = g->tensors[i];
                rs_span raw;
                if (t->where != RS_EXTERNAL)
                        continue;
                if (!rs_tensor_bytes(s->m, t, &s->m->arena, &raw, err))
                        return false;
                t->where = RS_HERE;
                t->data = raw; /* lent by the mapped file, which lives as long as the model */
                t->location = NULL;
                t->offset = t->length = 0;
                t->touched = true;
                n++;
                bytes += raw.size;
        }
        rs_note(s, "took %zu tensor%s (%zu bytes) into the model", n, n == 1 ? "" : "s", bytes);
        return true;
}

/* Out
 * ---------------------------------------------------------------------------------------------------------------
 */

typedef struct parcel { /* a tensor on its way out */
        rs_tensor *tensor;
        rs_span bytes;
        uint64_t offset;
} parcel;

/* What goes where; what stays is copied, since the file that it may be lent from is about to be
 * left. */
static bool
sort_out(rs_surgery *s, int64_t threshold, parcel **parcels, size_t *n, uint64_t *size,
        resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        *parcels = RS_NEW(&s->arena, g->n_tensors + 1, parcel, err);
        *n = 0;
        *size = 0;
        if (*parcels == NULL)
                return false;
        for (size_t i = 0; i < g->n_tensors; i++) {
                rs_tensor *t = g->tensors[i];
                const bool out = t->bytes != 0 && t->bytes >= (size_t)threshold;
                parcel *p = &(*parcels)[*n];
                if (!out && t->where != RS_EXTERNAL)
                        continue;
                if (!rs_tensor_bytes(s->m, t, &s->arena, &p->bytes, err))
                        return false;
                if (out) {
                        p->tensor = t;
                        p->offset = (*size + PAGE - 1) / PAGE * PAGE;
                        *size = p->offset + p->bytes.size;
                        ++*n;
                        continue;
                }
                unsigned char *copy = RS_NEW(&s->m->arena, p->bytes.size + 1, unsigned char, err);
                if (copy == NULL)
                        return false;
                if (p->bytes.size != 0)
                        memcpy(copy, p->bytes.data, p->bytes.size);
                t->where = RS_HERE;
                t->data = (rs_span){copy, p->bytes.size};
                t->location = NULL;
                t->offset = t->length = 0;
                t->touched = true;
        }
        return true;
}

static bool
write_file(const char *path, const parcel *parcels, size_t n, resect_error *err)
{
        static const unsigned char zeros[PAGE];
        rs_output *o = rs_output_open(path, err);
        uint64_t at = 0;
        bool ok = o != NULL;
        for (size_t i = 0; ok && i < n; i++) {
                const rs_span spans[2] = {
                        {zeros, (size_t)(parcels[i].offset - at)}, parcels[i].bytes};
                ok = rs_output_put(o, spans, 2, err);
                at = parcels[i].offset + parcels[i].bytes.size;
        }
        if (ok)
                return rs_output_close(o, err);
        rs_output_abandon(o);
        return false;
}

/* For models that were made, not read. */
static void
release(resect_model *m)
{
        rs_external_free(m->external);
        m->external = NULL;
}

static bool
out_of_model(rs_surgery *s, const char *path, resect_error *err)
{
        resect_model *m = s->m;
        parcel *parcels;
        size_t n;
        uint64_t size;
        int64_t threshold;
        struct stat st;
        const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
        if (!rs_setting_int(s, "threshold", 0, INT64_MAX, 1024, &threshold, err))
                return false;
        if (!rs_beneath_name(name, strlen(name), err))
                return rs_fail_at(err, "--out %s", path);
        const size_t length = strlen(name);
        if (length > 3 && strcmp(name + length - 3, ".gz") == 0)
                return rs_fail(err, RESECT_ARG,
                        "--out %s: external data is read at offsets, so that it cannot be "
                        "compressed",
                        path);
        if (lstat(path, &st) == 0 && !rs_given(s, "replace"))
                return rs_fail(err, RESECT_ARG,
                        "--out %s: the file is there, and models may use it; --replace allows it",
                        path);
        const char *base = slash == NULL ? "."
                           : slash == path
                                   ? "/"
                                   : rs_arena_strndup(&m->arena, path, (size_t)(slash - path), err);
        const char *location = rs_arena_strdup(&m->arena, name, err);
        rs_external *fresh = rs_external_make(err);
        if (base == NULL || location == NULL || fresh == NULL ||
                !sort_out(s, threshold, &parcels, &n, &size, err) ||
                (n != 0 && !write_file(path, parcels, n, err))) {
                rs_external_free(fresh);
                return false;
        }
        for (size_t i = 0; i < n; i++) {
                rs_tensor *t = parcels[i].tensor;
                t->where = RS_EXTERNAL;
                t->data = (rs_span){NULL, 0};
                t->location = location;
                t->offset = parcels[i].offset;
                t->length = t->bytes;
                t->touched = true;
        }
        rs_external_free(m->external); /* a file of the same name may be open there; nothing is lent
                                          from it any more */
        m->external = fresh;
        if (m->release == NULL)
                m->release = release;
        m->base = base;
        if (n == 0)
                rs_note(s, "no tensor has %lld bytes or more; nothing was written",
                        (long long)threshold);
        else
                rs_note(s,
                        "%zu of %zu tensors are in %s (%llu bytes); keep it in the model's folder",
                        n, m->graph.n_tensors, location, (unsigned long long)size);
        return true;
}

static bool
checks_only(const resect_setting *settings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(settings[i].name, "check") == 0)
                        return true;
        return false;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        const char *out = rs_setting(s, "out");
        const bool in = rs_given(s, "in"), check = rs_given(s, "check");
        if ((out != NULL) + in + check != 1)
                return rs_fail(err, RESECT_ARG, "one of --out FILE, --in and --check");
        if (out == NULL && (rs_given(s, "threshold") || rs_given(s, "replace")))
                return rs_fail(err, RESECT_ARG, "--threshold and --replace belong to --out");
        if (check)
                return check_files(s, err);
        s->tolerance = 0;
        return rs_prove_outputs(s, err) && (in ? into_model(s, err) : out_of_model(s, out, err));
}

static const resect_option options[] = {
        {"out", "FILE", "move values out of the model into FILE, which lies beside it"},
        {"threshold", "BYTES", "with --out: only of tensors with so many bytes or more (1024)"},
        {"replace", NULL, "with --out: FILE may be there already, and is replaced"},
        {"in", NULL, "take external data into the model"},
        {"check", NULL,
                "say how the bytes of the external files are used, and write no model; exit 1 when "
                "tensors overlap, or want more than there is"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_pack = {
        .face = {.name = "pack",
                .brief = "move values to external data, or back",
                .description = "--out writes the values of all large tensors to FILE and leaves "
                               "their places in the model: for models of 2 GB and more, "
                               "and for readers that map their weights. FILE is written whole, "
                               "before the model, and never appended to; each tensor "
                               "begins at a multiple of 4096 bytes. A file that is there is "
                               "refused, because other models may point into it. The model "
                               "names FILE without a folder and finds it beside itself.\n\n"
                               "--in makes one file of a model and its external data. --check "
                               "reports, file by file, bytes that belong to tensors, to "
                               "padding and to nobody (what other tools leave behind when they "
                               "append), and tensors that overlap.",
                .example = "resect-pack --out big.data big.onnx -o small.onnx\n"
                           "resect-pack --in small.onnx -o whole.onnx\n"
                           "resect-pack --check small.onnx",
                .options = options,
                .no = "--check found tensors that overlap, or reach past the end of their file"},
        .run = run,
        .reports = checks_only,
};
