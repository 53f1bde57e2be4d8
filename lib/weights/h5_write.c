/* SPDX-License-Identifier: 0BSD */
/*
 * Writing HDF5. A confined child lays the file out in its memory with libhdf5: groups, attributes,
 * and datasets with room for their values. It says where each tensor's room is and what stands
 * between the rooms; here that goes out with the values in their places, one tensor in memory.
 *
 * Names that are LAYER/WEIGHT get Keras's lists of layers and weights (its legacy format); names
 * with /vars/ are Keras 3's, which has no lists.
 */
#include "config.h"
#include "weights/h5.h"

#ifdef HAVE_HDF5
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weights/h5_lib.h"

enum { SECONDS = 300, ATTRIBUTE_MOST = 64000, MEMORY = 256 << 20, PIECE = 65536 };

/* A tensor's room in the file. */
struct place {
        uint64_t at;
        const rs_entry *e;
};

static int
by_place(const void *a, const void *b)
{
        const struct place *p = a, *q = b;
        if (p->at != q->at)
                return p->at < q->at ? -1 : 1;
        return (p->e->bytes > q->e->bytes) - (p->e->bytes < q->e->bytes);
}

/* In the child */

static bool no_memory;

static bool
put_strings(hid_t group, const char *name, const char *const *list, size_t n)
{
        size_t width = 1;
        for (size_t i = 0; i < n; i++)
                width = strlen(list[i]) > width ? strlen(list[i]) : width;
        hsize_t count = n;
        char *all = calloc(n + 1, width);
        hid_t type = rs_h5.Tcopy(*rs_h5.T_C_S1), space = rs_h5.Screate_simple(1, &count, NULL);
        bool ok = all && rs_h5.Tset_size(type, width) >= 0 &&
                  rs_h5.Tset_strpad(type, H5T_STR_NULLPAD) >= 0;
        for (size_t i = 0; ok && i < n; i++)
                memcpy(all + i * width, list[i], strlen(list[i]));
        hid_t a = ok ? rs_h5.Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : -1;
        ok = a >= 0 && rs_h5.Awrite(a, type, all) >= 0 && rs_h5.Aclose(a) >= 0;
        free(all);
        return ok;
}

/* A list of names; one that is too long for an attribute in pieces NAME0, NAME1 ..., as Keras does
 * it. */
static bool
put_names(hid_t group, const char *name, const char *const *list, size_t n)
{
        size_t width = 1, piece;
        for (size_t i = 0; i < n; i++)
                width = strlen(list[i]) > width ? strlen(list[i]) : width;
        piece = ATTRIBUTE_MOST / width;
        if (n <= piece)
                return put_strings(group, name, list, n);
        for (size_t at = 0, k = 0; at < n; at += piece, k++) {
                char numbered[64];
                snprintf(numbered, sizeof numbered, "%s%zu", name, k);
                if (!piece ||
                        !put_strings(group, numbered, list + at, n - at < piece ? n - at : piece))
                        return false;
        }
        return true;
}

static bool
put_text(hid_t group, const char *name, const char *text)
{
        hid_t type = rs_h5.Tcopy(*rs_h5.T_C_S1), space = rs_h5.Screate(H5S_SCALAR);
        if (rs_h5.Tset_size(type, strlen(text)) < 0 || rs_h5.Tset_strpad(type, H5T_STR_NULLPAD) < 0)
                return false;
        hid_t a = rs_h5.Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        return a >= 0 && rs_h5.Awrite(a, type, text) >= 0 && rs_h5.Aclose(a) >= 0;
}

/* A dataset with room for the entry's values; where that is. */
static bool
put_dataset(hid_t file, hid_t links, hid_t how, const rs_entry *e, uint64_t *at)
{
        hsize_t dims[RESECT_RANK_MAX] = {0};
        for (int i = 0; i < e->rank; i++)
                dims[i] = (hsize_t)e->dims[i];
        hid_t space =
                e->rank ? rs_h5.Screate_simple(e->rank, dims, NULL) : rs_h5.Screate(H5S_SCALAR);
        hid_t d =
                rs_h5.Dcreate2(file, e->name, rs_h5_type(e->dtype), space, links, how, H5P_DEFAULT);
        if (d < 0)
                return false;
        haddr_t place = rs_h5.Dget_offset(d);
        *at = place == HADDR_UNDEF ? 0 : place;
        rs_h5.Sclose(space);
        return rs_h5.Dclose(d) >= 0 && (place != HADDR_UNDEF || !e->bytes);
}

/* Keras's lists: layers in the order of their first weights, weights in the order they come. */
static bool
put_lists(hid_t file, const rs_h5_writing *x)
{
        size_t n = x->w->n_entries, layers = 0;
        const char **layer = calloc(n + 1, sizeof *layer), **weight = calloc(n + 1, sizeof *weight);
        size_t *next = calloc(n + 1, sizeof *next), *last = calloc(n + 1, sizeof *last),
               *first = calloc(n + 1, sizeof *first);
        rs_map seen = {0};
        if (!layer || !weight || !next || !last || !first)
                return false;
        /* entries of one layer, chained; n ends a chain */
        for (size_t i = 0; i < n; i++) {
                const char *name = x->w->entries[x->order[i]].name;
                char *own = strndup(name, strcspn(name, "/"));
                size_t k = own ? (size_t)(uintptr_t)rs_map_get(&seen, own) : 0;
                next[i] = n;
                if (!k) {
                        k = ++layers;
                        if (!own || !rs_map_put(&seen, own, (void *)(uintptr_t)k, NULL, NULL)) {
                                no_memory = true;
                                return false;
                        }
                        layer[k - 1] = own;
                        first[k - 1] = i;
                } else
                        next[last[k - 1]] = i;
                last[k - 1] = i;
        }
        for (size_t k = 0; k < layers; k++) {
                hid_t g = rs_h5.Gopen2(file, layer[k], H5P_DEFAULT);
                size_t m = 0;
                for (size_t i = first[k]; i < n; i = next[i])
                        weight[m++] = strchr(x->w->entries[x->order[i]].name, '/') + 1;
                if (g < 0 || !put_names(g, "weight_names", weight, m) || rs_h5.Gclose(g) < 0)
                        return false;
        }
        /* of no version a Keras would think the weights are from before 2 and turn them */
        return put_names(file, "layer_names", layer, layers) &&
               put_text(file, "backend", "tensorflow") && put_text(file, "keras_version", "2.15.0");
}

/* The file, laid out in memory; its handle, or negative. */
static hid_t
put_file(const rs_h5_writing *x, struct place *places)
{
        hid_t access = rs_h5.Pcreate(*rs_h5.P_CLS_FILE_ACCESS_ID),
              links = rs_h5.Pcreate(*rs_h5.P_CLS_LINK_CREATE_ID),
              how = rs_h5.Pcreate(*rs_h5.P_CLS_DATASET_CREATE_ID);
        bool ok = rs_h5.Pset_fapl_core(access, 1 << 20, 0) >= 0 &&
                  rs_h5.Pset_create_intermediate_group(links, 1) >= 0 &&
                  rs_h5.Pset_layout(how, H5D_CONTIGUOUS) >= 0 &&
                  rs_h5.Pset_alloc_time(how, H5D_ALLOC_TIME_EARLY) >= 0 &&
                  rs_h5.Pset_fill_time(how, H5D_FILL_TIME_NEVER) >= 0;
        hid_t file = ok ? rs_h5.Fcreate("resect", H5F_ACC_TRUNC, H5P_DEFAULT, access) : -1;
        for (size_t i = 0; ok && i < x->w->n_entries; i++) {
                places[i].e = &x->w->entries[i];
                ok = file >= 0 && put_dataset(file, links, how, places[i].e, &places[i].at);
        }
        ok = ok && file >= 0 && (!x->lists || put_lists(file, x)) &&
             rs_h5.Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
        return ok ? file : -1;
}

/* Places, in the entries' order; the file's size; what stands between the tensors. */
static bool
say_file(rs_h5_say *say, hid_t file, struct place *places, size_t n)
{
        void *handle = NULL;
        ssize_t size = rs_h5.Fget_file_image(file, NULL, 0);
        uint64_t at = 0;
        if (size <= 0 || rs_h5.Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0)
                return false;
        const unsigned char *image = *(unsigned char **)handle;
        for (size_t i = 0; i < n; i++) {
                rs_h5_say_bytes(say, "p", 1);
                rs_h5_say_number(say, places[i].at, 8);
        }
        rs_h5_say_bytes(say, "p", 1);
        rs_h5_say_number(say, (uint64_t)size, 8);
        rs_h5_say_bytes(say, "f", 1);
        qsort(places, n, sizeof *places, by_place);
        for (size_t i = 0; i < n; i++) {
                if (!places[i].e->bytes)
                        continue;
                rs_h5_say_bytes(say, image + at, (size_t)(places[i].at - at));
                at = places[i].at + places[i].e->bytes;
        }
        rs_h5_say_bytes(say, image + at, (size_t)((uint64_t)size - at));
        return true;
}

int
rs_h5_child_write(int fd, void *ctx)
{
        const rs_h5_writing *x = ctx;
        rs_h5_say say = {.fd = fd};
        const char *why = rs_h5_load();
        struct place *places = calloc(x->w->n_entries + 1, sizeof *places);
        hid_t file;
        if (why)
                rs_h5_say_error(&say, RESECT_UNSUPPORTED, "%s", why);
        else if (!rs_confined_drop(fd, x->memory))
                rs_h5_say_error(&say, RESECT_UNSUPPORTED,
                        "this system cannot confine libhdf5, so HDF5 is not written");
        else if (!places || (file = put_file(x, places)) < 0 ||
                 !say_file(&say, file, places, x->w->n_entries))
                rs_h5_say_error(&say, no_memory ? RESECT_NOMEM : RESECT_UNSUPPORTED,
                        "libhdf5 cannot lay out these names and sizes");
        return say.failed;
}

/* In the parent */

static bool
hear(void *ctx, void *bytes, size_t n)
{
        return rs_confined_hear(ctx, bytes, n);
}

/* The next n bytes of what the child says, into the file. */
static bool
pass_on(rs_confined *child, rs_output *out, uint64_t n, bool *broke, resect_error *err)
{
        unsigned char piece[PIECE];
        while (n) {
                size_t k = n < PIECE ? (size_t)n : PIECE;
                *broke = !rs_confined_hear(child, piece, k);
                if (*broke || !rs_output_bytes(out, piece, k, err))
                        return false;
                n -= k;
        }
        return true;
}

/* The laid out file, as the child says it, with the values in their places. */
static bool
put_out(rs_confined *child, const rs_writing *w, uint64_t size, struct place *places, bool *broke,
        resect_error *err)
{
        uint64_t at = 0;
        for (size_t i = 0; i < w->n_entries; i++)
                places[i].e = &w->entries[i];
        qsort(places, w->n_entries, sizeof *places, by_place);
        for (size_t i = 0; i < w->n_entries; i++) {
                const struct place *p = &places[i];
                rs_arena scratch = {0};
                rs_span bytes;
                if (!p->e->bytes)
                        continue;
                if (p->at < at || p->at > size || p->e->bytes > size - p->at)
                        return rs_fail(err, RESECT_IO, "%s: libhdf5 laid out %s amiss", w->path,
                                p->e->name);
                bool ok = pass_on(child, w->out, p->at - at, broke, err) &&
                          rs_entry_bytes(p->e, &scratch, &bytes, err) &&
                          rs_output_put(w->out, &bytes, 1, err);
                rs_arena_free(&scratch);
                if (!ok)
                        return false;
                at = p->at + p->e->bytes;
        }
        return pass_on(child, w->out, size - at, broke, err);
}

static bool
write_laid_out(rs_h5_writing *x, struct place *places, resect_error *err)
{
        rs_confined child;
        rs_h5_answer answer = {.hear = hear, .ctx = &child};
        char what[RESECT_ERROR_MAX];
        size_t n = x->w->n_entries;
        bool broke = false;
        if (!rs_confined_start(&child, SECONDS, rs_h5_child_write, x, err))
                return false;
        /* the place after the last is the size */
        bool ok = rs_h5_take_places(&answer, x->w->path, n + 1, &places->at, sizeof *places, err);
        if (ok)
                ok = put_out(&child, x->w, places[n].at, places, &broke, err);
        else
                broke = !answer.ended;
        if (!broke) {
                rs_confined_stop(&child);
                return ok;
        }
        snprintf(what, sizeof what, "%s: libhdf5", x->w->path);
        return rs_confined_failed(&child, what, err);
}

/* Whether the names are Keras's legacy ones: LAYER/WEIGHT, and none of Keras 3's. */
static bool
has_lists(const rs_writing *w)
{
        for (size_t i = 0; i < w->n_entries; i++) {
                const char *slash = strchr(w->entries[i].name, '/');
                if (!slash || slash == w->entries[i].name || strstr(slash, "/vars/"))
                        return false;
        }
        return w->n_entries > 0;
}

static bool
has_type(int32_t dtype)
{
        return dtype == RESECT_FLOAT || dtype == RESECT_DOUBLE || dtype == RESECT_FLOAT16 ||
               (dtype >= RESECT_UINT8 && dtype <= RESECT_INT64) || dtype == RESECT_UINT32 ||
               dtype == RESECT_UINT64;
}

bool
rs_h5_write(const rs_writing *w, resect_error *err)
{
        for (size_t i = 0; i < w->n_entries; i++)
                if (!has_type(w->entries[i].dtype) || strlen(w->entries[i].name) > RS_H5_TEXT)
                        return rs_fail(err, RESECT_UNSUPPORTED, "%s: HDF5 has no %s",
                                w->entries[i].name,
                                has_type(w->entries[i].dtype)
                                        ? "such long names"
                                        : resect_dtype_name((resect_dtype)w->entries[i].dtype));
        size_t *order = rs_alloc(w->n_entries + 1, sizeof *order, err);
        struct place *places = rs_alloc(w->n_entries + 1, sizeof *places, err);
        rs_h5_writing x = {.w = w, .order = order, .lists = has_lists(w), .memory = MEMORY};
        bool ok = places && order;
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                order[i] = i;
                /* libhdf5 has the file in memory, and for a moment twice when it grows */
                if (!rs_add(x.memory, w->entries[i].bytes, &x.memory) ||
                        !rs_add(x.memory, w->entries[i].bytes, &x.memory) ||
                        !rs_add(x.memory, 4 * strlen(w->entries[i].name) + 4096, &x.memory))
                        ok = rs_fail_nomem(err);
        }
        ok = ok && (!x.lists || rs_keras_order(w, order, err)) && write_laid_out(&x, places, err);
        rs_free(order);
        rs_free(places);
        return ok;
}
#else
typedef int rs_h5_writes_nothing;
#endif
