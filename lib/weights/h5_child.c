/* SPDX-License-Identifier: 0BSD */
/*
 * The child that reads. Of HDF5 it takes what weights are kept in: groups, hard links, datasets in
 * one piece or in chunks, deflated and shuffled or neither; a link to elsewhere, another file's
 * values, another filter are refused by name. Keras's layer_names and weight_names give the order.
 * Memory is freed by ending.
 */
#include "config.h"

#ifdef HAVE_HDF5
#include "weights/h5_lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "resect/tensor.h"
#include "weights/h5.h"

enum { DEPTH_MAX = 32, DATASETS_MAX = 1000000, VISITS_MAX = 4000000, DEFLATE_MOST = 1032 };

struct dataset {
        char *path; /* below the group of weights */
        size_t order;
};

struct walk {
        rs_h5_say say;
        struct dataset *list;
        size_t n, cap, names, visits;
        char path[RS_H5_TEXT + 1];
        size_t length;
        int depth;
        bool state; /* within what an optimiser keeps */
        bool failed;
};

#define FAIL(w, ...) ((w)->failed = true, rs_h5_say_error(&(w)->say, __VA_ARGS__))

/* The file is where it is in memory: libhdf5 is to use it, not a copy, and to free nothing. */
static void *image;
static void *
image_malloc(size_t size, H5FD_file_image_op_t op, void *data)
{
        (void)size, (void)op, (void)data;
        return image;
}
static void *
image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *data)
{
        (void)op, (void)data;
        return to == from ? to : memcpy(to, from, size);
}
static void *
image_realloc(void *p, size_t size, H5FD_file_image_op_t op, void *data)
{
        (void)p, (void)size, (void)op, (void)data;
        return NULL;
}
static herr_t
image_free(void *p, H5FD_file_image_op_t op, void *data)
{
        (void)p, (void)op, (void)data;
        return 0;
}

static hid_t
open_image(rs_span file)
{
        H5FD_file_image_callbacks_t calls = {.image_malloc = image_malloc,
                .image_memcpy = image_copy,
                .image_realloc = image_realloc,
                .image_free = image_free};
        hid_t access = rs_h5.Pcreate(*rs_h5.P_CLS_FILE_ACCESS_ID);
        memcpy(&image, &file.data, sizeof image);
        if (access < 0 || rs_h5.Pset_fapl_core(access, 65536, 0) < 0 ||
                rs_h5.Pset_file_image_callbacks(access, &calls) < 0 ||
                rs_h5.Pset_file_image(access, image, file.size) < 0)
                return -1;
        return rs_h5.Fopen("resect", H5F_ACC_RDONLY, access);
}

/* Text in an attribute: one string or many; NULL when it is not there or no text. */
static char **
texts_of(hid_t object, const char *name, size_t *n)
{
        *n = 0;
        if (rs_h5.Aexists(object, name) <= 0)
                return NULL;
        hid_t a = rs_h5.Aopen(object, name, H5P_DEFAULT);
        hid_t type = rs_h5.Aget_type(a), space = rs_h5.Aget_space(a);
        hssize_t points = rs_h5.Sget_simple_extent_npoints(space);
        size_t width = type < 0 ? 0 : rs_h5.Tget_size(type);
        if (width == 0 || rs_h5.Tget_class(type) != H5T_STRING || points <= 0 ||
                points > DATASETS_MAX || width > (1u << 26) / (size_t)points)
                return NULL;
        bool variable = rs_h5.Tis_variable_str(type) > 0;
        char *raw = calloc((size_t)points, width + 1), **out = calloc((size_t)points, sizeof *out);
        if (!raw || !out || rs_h5.Aread(a, type, raw) < 0)
                return NULL;
        for (hssize_t i = 0; i < points; i++) {
                if (variable)
                        memcpy(&out[i], raw + (size_t)i * sizeof(char *), sizeof(char *));
                else
                        out[i] = strndup(raw + (size_t)i * width, width);
                if (!out[i])
                        out[i] = strdup("");
        }
        rs_h5.Sclose(space);
        rs_h5.Tclose(type);
        rs_h5.Aclose(a);
        *n = (size_t)points;
        return out;
}

static void
keep_dataset(struct walk *w)
{
        if (w->n == w->cap) {
                w->cap = w->cap * 2 + 256;
                w->list = realloc(w->list, w->cap * sizeof *w->list);
        }
        char *path = w->list ? strdup(w->path) : NULL;
        w->names += w->length;
        if (w->n >= DATASETS_MAX || w->names > RS_H5_NAMES_TOTAL)
                FAIL(w, RESECT_UNSUPPORTED, "more than %d datasets or %d MiB of names",
                        DATASETS_MAX, RS_H5_NAMES_TOTAL >> 20);
        else if (!path)
                FAIL(w, RESECT_NOMEM, "%s: out of memory", w->path);
        else
                w->list[w->n++] = (struct dataset){path, SIZE_MAX};
}

static void walk_group(struct walk *w, hid_t group);

static void
visit_object(struct walk *w, hid_t group, const char *name)
{
        hid_t o = rs_h5.Oopen(group, name, H5P_DEFAULT);
        H5I_type_t type = o < 0 ? H5I_BADID : rs_h5.Iget_type(o);
        if (o < 0)
                FAIL(w, RESECT_FORMAT, "%s: damaged", w->path);
        else if (type == H5I_DATASET && w->state)
                rs_h5_say_two(&w->say, 's', w->path, "the optimiser's state");
        else if (type == H5I_DATASET)
                keep_dataset(w);
        else if (type == H5I_GROUP && w->length && !w->depth && !strncmp(w->path, "optimizer", 9) &&
                 (!w->path[9] || !strcmp(w->path + 9, "_weights"))) {
                w->state = true;
                w->depth++;
                walk_group(w, o);
                w->depth--;
                w->state = false;
        } else if (type == H5I_GROUP && w->depth == DEPTH_MAX)
                FAIL(w, RESECT_UNSUPPORTED, "groups more than %d deep", DEPTH_MAX);
        else if (type == H5I_GROUP) {
                w->depth++;
                walk_group(w, o);
                w->depth--;
        } else
                rs_h5_say_two(&w->say, 's', w->path, "no dataset");
        if (o >= 0)
                rs_h5.Oclose(o);
}

static herr_t
visit_link(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
        struct walk *w = ctx;
        size_t before = w->length, n = strlen(name);
        if (before + n + 2 > sizeof w->path)
                FAIL(w, RESECT_UNSUPPORTED, "a name of more than %d bytes", RS_H5_TEXT);
        else if (++w->visits > VISITS_MAX)
                FAIL(w, RESECT_UNSUPPORTED, "too many links");
        else {
                if (before)
                        w->path[w->length++] = '/';
                memcpy(w->path + w->length, name, n + 1);
                w->length += n;
                if (info->type == H5L_TYPE_HARD)
                        visit_object(w, group, name);
                else
                        FAIL(w, RESECT_UNSUPPORTED,
                                "%s: a link to elsewhere, which is not followed", w->path);
                w->path[w->length = before] = '\0';
        }
        return w->failed || w->say.failed ? -1 : 0;
}

static void
walk_group(struct walk *w, hid_t group)
{
        if (rs_h5.Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_link, w) < 0 &&
                !w->failed)
                FAIL(w, RESECT_FORMAT, "%s: a damaged group", w->length ? w->path : "/");
}

static int
by_path(const void *a, const void *b)
{
        return strcmp(((const struct dataset *)a)->path, ((const struct dataset *)b)->path);
}

static int
by_order(const void *a, const void *b)
{
        const struct dataset *p = a, *q = b;
        return p->order != q->order ? (p->order > q->order) - (p->order < q->order) : by_path(a, b);
}

/* The lists that Keras makes of names; what is too long for one attribute is in NAME0, NAME1 ... */
static char **
names_of(hid_t group, const char *what, size_t *n)
{
        char **all = texts_of(group, what, n);
        for (int k = 0; !all || k; k++) {
                char name[64];
                size_t more;
                snprintf(name, sizeof name, "%s%d", what, k);
                char **piece = texts_of(group, name, &more);
                char **grown = piece ? realloc(all, (*n + more) * sizeof *all) : NULL;
                if (!grown)
                        break;
                memcpy(grown + *n, piece, more * sizeof *piece);
                all = grown;
                *n += more;
        }
        return all;
}

/* Datasets in the order in which Keras's attributes name them, the others after them. */
static void
put_in_order(struct walk *w, hid_t base)
{
        size_t layers, weights, next = 0;
        char **layer = names_of(base, "layer_names", &layers), path[2 * RS_H5_TEXT];
        qsort(w->list, w->n, sizeof *w->list, by_path);
        for (size_t i = 0; i < layers && !w->failed; i++) {
                hid_t g = rs_h5.Lexists(base, layer[i], H5P_DEFAULT) > 0
                                  ? rs_h5.Gopen2(base, layer[i], H5P_DEFAULT)
                                  : -1;
                char **weight = g < 0 ? NULL : names_of(g, "weight_names", &weights);
                for (size_t k = 0; weight && k < weights && !w->failed; k++) {
                        snprintf(path, sizeof path, "%s/%s", layer[i], weight[k]);
                        struct dataset key = {path, 0};
                        struct dataset *d = bsearch(&key, w->list, w->n, sizeof key, by_path);
                        if (d)
                                d->order = next++;
                        else
                                FAIL(w, RESECT_FORMAT, "%s: listed, but not there", path);
                }
                if (g >= 0)
                        rs_h5.Gclose(g);
        }
        qsort(w->list, w->n, sizeof *w->list, by_order);
}

struct shape {
        int rank;
        hsize_t dims[RESECT_RANK_MAX];
        uint64_t bytes;
};

/* A dataset's shape, or why it has none that is read. */
static const char *
shape_of(hid_t d, size_t width, struct shape *s)
{
        hid_t space = rs_h5.Dget_space(d);
        H5S_class_t class = space < 0 ? H5S_NO_CLASS : rs_h5.Sget_simple_extent_type(space);
        if (class != H5S_SCALAR && class != H5S_SIMPLE)
                return "no elements";
        s->rank = rs_h5.Sget_simple_extent_ndims(space);
        if (s->rank < 0 || s->rank > RESECT_RANK_MAX)
                return "more than 8 dimensions";
        if (s->rank && rs_h5.Sget_simple_extent_dims(space, s->dims, NULL) < 0)
                return "a damaged shape";
        s->bytes = width;
        for (int i = 0; i < s->rank; i++)
                if (s->dims[i] > INT64_MAX ||
                        __builtin_mul_overflow(s->bytes, s->dims[i], &s->bytes))
                        return "a shape that does not fit";
        rs_h5.Sclose(space);
        return NULL;
}

/* Our number for a type of elements; *direct when the bytes can stay as they are. */
static int32_t
dtype_of(hid_t type, bool *direct)
{
        for (int32_t t = RESECT_FLOAT; t <= RESECT_BFLOAT16; t++)
                if (rs_h5_type(t) >= 0 && rs_h5.Tequal(type, rs_h5_type(t)) > 0) {
                        *direct = true;
                        return t;
                }
        *direct = false;
        if (rs_h5.Tequal(type, *rs_h5.T_IEEE_F32BE) > 0)
                return RESECT_FLOAT;
        return rs_h5.Tequal(type, *rs_h5.T_IEEE_F64BE) > 0 ? RESECT_DOUBLE : 0;
}

/* Whether the values are in this file, by nothing but deflate and shuffle; *deflated. */
static bool
how_kept(struct walk *w, const char *path, hid_t d, H5D_layout_t *layout, bool *deflated)
{
        hid_t p = rs_h5.Dget_create_plist(d);
        *layout = p < 0 ? H5D_LAYOUT_ERROR : rs_h5.Pget_layout(p);
        *deflated = false;
        if (*layout != H5D_CONTIGUOUS && *layout != H5D_COMPACT && *layout != H5D_CHUNKED) {
                FAIL(w, RESECT_UNSUPPORTED, "%s: a virtual dataset", path);
                return false;
        }
        if (rs_h5.Pget_external_count(p) != 0) {
                FAIL(w, RESECT_UNSUPPORTED, "%s: values in another file", path);
                return false;
        }
        int n = *layout == H5D_CHUNKED ? rs_h5.Pget_nfilters(p) : 0;
        for (int i = 0; i < n; i++) {
                unsigned flags, config;
                size_t none = 0;
                H5Z_filter_t f =
                        rs_h5.Pget_filter2(p, (unsigned)i, &flags, &none, NULL, 0, NULL, &config);
                *deflated |= f == H5Z_FILTER_DEFLATE;
                if (f != H5Z_FILTER_DEFLATE && f != H5Z_FILTER_SHUFFLE) {
                        FAIL(w, RESECT_UNSUPPORTED, "%s: packed with filter %d", path, (int)f);
                        return false;
                }
        }
        rs_h5.Pclose(p);
        return true;
}

static void
say_tensor(struct walk *w, const char *path, int32_t dtype, const struct shape *s, uint64_t place)
{
        rs_h5_say_bytes(&w->say, "t", 1);
        rs_h5_say_number(&w->say, strlen(path), 4);
        rs_h5_say_bytes(&w->say, path, strlen(path));
        rs_h5_say_number(&w->say, (uint64_t)dtype, 4);
        rs_h5_say_number(&w->say, (uint64_t)s->rank, 4);
        for (int i = 0; i < s->rank; i++)
                rs_h5_say_number(&w->say, s->dims[i], 8);
        rs_h5_say_number(&w->say, place, 8);
}

static void
say_values(struct walk *w, const char *path, hid_t d, int32_t dtype, const struct shape *s)
{
        void *values = malloc((size_t)s->bytes + 1);
        if (!values)
                FAIL(w, RESECT_NOMEM, "%s: no memory for %llu bytes", path,
                        (unsigned long long)s->bytes);
        else if (s->bytes &&
                 rs_h5.Dread(d, rs_h5_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
                FAIL(w, RESECT_FORMAT, "%s: damaged values", path);
        else {
                say_tensor(w, path, dtype, s, RS_H5_FOLLOW);
                rs_h5_say_bytes(&w->say, values, (size_t)s->bytes);
        }
        free(values);
}

static void
take_dataset(struct walk *w, hid_t base, const char *path)
{
        hid_t d = rs_h5.Dopen2(base, path, H5P_DEFAULT), type = d < 0 ? -1 : rs_h5.Dget_type(d);
        H5D_layout_t layout;
        bool deflated, direct;
        struct shape s;
        if (type < 0) {
                FAIL(w, RESECT_FORMAT, "%s: damaged", path);
                return;
        }
        if (!how_kept(w, path, d, &layout, &deflated))
                return;
        int32_t dtype = dtype_of(type, &direct);
        const char *why = dtype ? shape_of(d, rs_h5.Tget_size(type), &s)
                                : "elements of a type that weights do not have";
        if (why) {
                rs_h5_say_two(&w->say, 's', path, why);
                return;
        }
        uint64_t stored = rs_h5.Dget_storage_size(d);
        if (s.bytes > stored && (!deflated || s.bytes / DEFLATE_MOST > stored)) {
                FAIL(w, RESECT_FORMAT, "%s: its shape takes %llu bytes, and %llu are there", path,
                        (unsigned long long)s.bytes, (unsigned long long)stored);
                return;
        }
        haddr_t at = layout == H5D_CONTIGUOUS && direct ? rs_h5.Dget_offset(d) : HADDR_UNDEF;
        if (at != HADDR_UNDEF)
                say_tensor(w, path, dtype, &s, at);
        else
                say_values(w, path, d, dtype, &s);
        rs_h5.Tclose(type);
        rs_h5.Dclose(d);
}

/* What a file of Keras's says beside the weights. */
static void
say_attributes(struct walk *w, hid_t group)
{
        static const char *const notes[] = {"backend", "keras_version"};
        size_t n;
        for (int i = 0; i < 2; i++) {
                char **text = texts_of(group, notes[i], &n);
                if (text)
                        rs_h5_say_two(&w->say, 'n', notes[i], text[0]);
        }
        if (rs_h5.Aexists(group, "training_config") > 0)
                rs_h5_say_two(&w->say, 's', "training_config", "a description, not weights");
}

/* The model's description; it comes last, for it is about the tensors. */
static void
say_config(struct walk *w, hid_t group)
{
        size_t n;
        char **text = texts_of(group, "model_config", &n);
        if (rs_h5.Aexists(group, "model_config") <= 0)
                return;
        size_t size = text ? strlen(text[0]) : 0;
        if (!text || size > RS_H5_CONFIG) {
                rs_h5_say_two(&w->say, 's', "model_config", "a description that is not read");
                return;
        }
        rs_h5_say_bytes(&w->say, "d", 1);
        rs_h5_say_number(&w->say, size, 4);
        rs_h5_say_bytes(&w->say, text[0], size);
}

/* What an optimiser keeps in a file of a whole model. */
static void
say_state(struct walk *w, hid_t root)
{
        static const char name[] = "optimizer_weights";
        hid_t g = rs_h5.Lexists(root, name, H5P_DEFAULT) > 0 ? rs_h5.Gopen2(root, name, H5P_DEFAULT)
                                                             : -1;
        if (g < 0)
                return;
        memcpy(w->path, name, sizeof name);
        w->length = sizeof name - 1;
        w->depth = 1;
        w->state = true;
        walk_group(w, g);
        w->path[w->length = 0] = '\0';
        w->depth = 0;
        w->state = false;
        rs_h5.Gclose(g);
}

static void
read_file(struct walk *w, hid_t root)
{
        static const char weights[] = "model_weights";
        hid_t base = root;
        if (rs_h5.Lexists(root, weights, H5P_DEFAULT) > 0) {
                base = rs_h5.Gopen2(root, weights, H5P_DEFAULT);
                if (base < 0) {
                        FAIL(w, RESECT_FORMAT, "model_weights: no group");
                        return;
                }
                say_state(w, root);
        }
        say_attributes(w, root);
        if (!w->failed)
                walk_group(w, base);
        if (!w->failed && w->n)
                put_in_order(w, base);
        for (size_t i = 0; i < w->n && !w->failed && !w->say.failed; i++)
                take_dataset(w, base, w->list[i].path);
        if (!w->failed)
                say_config(w, root);
}

int
rs_h5_child_read(int fd, void *ctx)
{
        rs_h5_reading *r = ctx;
        struct walk w = {.say = {.fd = fd}};
        const char *why = rs_h5_load();
        if (why)
                FAIL(&w, RESECT_UNSUPPORTED, "%s", why);
        else if (!rs_confined_drop(fd, r->memory))
                FAIL(&w, RESECT_UNSUPPORTED,
                        "this system cannot confine libhdf5, so HDF5 is not read");
        else {
                hid_t f = open_image(r->file);
                hid_t root = f < 0 ? -1 : rs_h5.Gopen2(f, "/", H5P_DEFAULT);
                if (root < 0)
                        FAIL(&w, RESECT_FORMAT, "no HDF5 file, or a damaged one");
                else
                        read_file(&w, root);
        }
        if (!w.failed)
                rs_h5_say_bytes(&w.say, "f", 1);
        return w.say.failed ? 1 : 0;
}
#else
typedef int rs_h5_reads_nothing;
#endif
