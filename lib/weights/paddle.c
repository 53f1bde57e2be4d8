/* SPDX-License-Identifier: 0BSD */
/*
 * PaddlePaddle's .pdparams (python/paddle/framework/io.py, io_utils.py): a pickled dictionary of
 * NumPy arrays, or of tuples (the parameter's own name, array). Beside them stand a table from
 * structured to own names, and in protocols 2 and 3 a table of arrays that were cut into slices.
 * bfloat16 is stored as uint16, which Paddle has no other use for.
 */
#include "weights/pickle.h"

#include <string.h>

static const char name_table[] = "StructuredToParameterName@@";
static const char slices_table[] = "UnpackBigParamInfor@@";

/* The array in whatever Paddle wraps around it; NULL when there is none. */
static rs_py *
unwrap(rs_py *v)
{
        if (rs_py_called(v, RS_KNOWN_TUPLE, RS_KNOWN_TUPLE2))
                v = rs_py_arg(v, 0);
        if (rs_py_called(v, RS_KNOWN_EVAL, RS_KNOWN_EVAL2) && rs_py_says(rs_py_arg(v, 0), "data"))
                v = rs_py_get(rs_py_arg(v, 1), "data");
        if (rs_py_called(v, RS_KNOWN_PADDLE_TENSOR, RS_KNOWN_PADDLE_TENSOR))
                v = rs_py_arg(v, 0);
        if (rs_py_is(v, RS_PY_TUPLE) && v->seq.n == 2 &&
                (v->seq.items[0]->kind == RS_PY_TEXT || v->seq.items[0]->kind == RS_PY_BYTES))
                v = v->seq.items[1];
        return rs_ndarray_is(v) ? v : NULL;
}

static bool
is_tensor(const rs_py *v)
{
        return unwrap((rs_py *)(uintptr_t)v) != NULL;
}

static rs_taken
take(rs_py_walk *w, const rs_py *v, const char *name, resect_error *err)
{
        const rs_py *array = unwrap((rs_py *)(uintptr_t)v);
        if (!array)
                return RS_TAKEN_NOT;
        return rs_ndarray_add(w, array, name, true, err) ? RS_TAKEN : RS_TAKEN_FAILED;
}

/* A key as a string; NULL when it is no text or longer than any name, or with err when memory ends.
 */
static char *
key_of(const rs_py *key, rs_arena *a, resect_error *err)
{
        bool text = key->kind == RS_PY_TEXT || key->kind == RS_PY_BYTES;
        return text && key->s.size < RS_NAME_MAX && !memchr(key->s.data, '\0', key->s.size)
                       ? rs_arena_strndup(a, (const char *)key->s.data, key->s.size, err)
                       : NULL;
}

/* "name": {"OriginShape": (...), "slices": ["name@@.0", ...]}; slices is of key to value. */
static bool
join_slices(rs_py_walk *w, const char *name, const rs_py *info, const rs_map *slices,
        rs_arena *scratch, resect_error *err)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        const rs_py *list = rs_py_get(info, "slices"), *shape = rs_py_get(info, "OriginShape");
        if (!rs_py_is(list, RS_PY_LIST) || !list->seq.n || !shape)
                return rs_fail(err, RESECT_FORMAT, "%s: the table of its slices is damaged", name);
        if (!rs_py_dims(shape, &rank, dims, err))
                return rs_fail_at(err, "%s", name);
        rs_py **parts = RS_NEW(scratch, list->seq.n, rs_py *, err);
        for (size_t i = 0; parts && i < list->seq.n; i++) {
                resect_error none = {0};
                char *key = key_of(list->seq.items[i], scratch, &none);
                if (none.code)
                        return rs_fail_nomem(err);
                if (!(parts[i] = rs_map_get(slices, key)) || !(parts[i] = unwrap(parts[i])))
                        return rs_fail(err, RESECT_FORMAT, "%s: slice %zu is not there", name, i);
        }
        return parts && rs_ndarray_join(w, name, parts, list->seq.n, rank, dims, true, err);
}

/* The dictionary's items that are slices, by name; they leave it. */
static bool
find_slices(rs_py_walk *w, rs_py *dict, rs_map *slices, rs_arena *scratch, resect_error *err)
{
        size_t kept = 0;
        for (size_t i = 0; i + 1 < dict->seq.n; i += 2) {
                resect_error none = {0};
                char *key = key_of(dict->seq.items[i], scratch, &none);
                if (none.code || (key && !rs_py_pay(w, strlen(key), err)))
                        return none.code ? rs_fail_nomem(err) : false;
                if (key && strstr(key, "@@.")) {
                        if (!rs_map_put(slices, key, dict->seq.items[i + 1], NULL, err))
                                return false;
                        continue;
                }
                dict->seq.items[kept++] = dict->seq.items[i];
                dict->seq.items[kept++] = dict->seq.items[i + 1];
        }
        dict->seq.n = kept;
        return true;
}

static bool
join_all(rs_py_walk *w, rs_py *dict, const rs_py *table, resect_error *err)
{
        rs_arena scratch = {0};
        rs_map slices = {0};
        bool ok = find_slices(w, dict, &slices, &scratch, err);
        for (size_t i = 0; ok && i + 1 < table->seq.n; i += 2) {
                resect_error none = {0};
                char *name = key_of(table->seq.items[i], &scratch, &none);
                if (!name)
                        ok = none.code ? rs_fail_nomem(err)
                                       : rs_fail(err, RESECT_FORMAT, "%s is damaged", slices_table);
                else
                        ok = join_slices(w, name, table->seq.items[i + 1], &slices, &scratch, err);
        }
        rs_map_free(&slices);
        rs_arena_free(&scratch);
        return ok || rs_fail_at(err, "%s", w->c->path);
}

/* Takes a key out of the dictionary. */
static rs_py *
remove_key(rs_py *dict, const char *key)
{
        rs_py *value = NULL;
        size_t kept = 0;
        for (size_t i = 0; i + 1 < dict->seq.n; i += 2) {
                if (rs_py_says(dict->seq.items[i], key)) {
                        value = dict->seq.items[i + 1];
                        continue;
                }
                dict->seq.items[kept++] = dict->seq.items[i];
                dict->seq.items[kept++] = dict->seq.items[i + 1];
        }
        dict->seq.n = kept;
        return value;
}

bool
rs_paddle_is(const rs_py *root)
{
        return rs_py_get(root, name_table) || rs_py_get(root, slices_table);
}

bool
rs_paddle_read(rs_checkpoint *c, rs_py *root, size_t file_size, resect_error *err)
{
        rs_py_walk w = {.take = take, .is_tensor = is_tensor};
        rs_py *dict = rs_py_dict(root);
        if (!dict)
                return rs_fail(err, RESECT_FORMAT, "%s: not a dictionary of weights, but %s",
                        c->path, rs_py_what(root));
        rs_py_walk_start(&w, c, file_size);
        if (remove_key(dict, name_table) &&
                !rs_checkpoint_skip(c, name_table, err, "a table of Paddle's own names"))
                return false;
        rs_py *slices = remove_key(dict, slices_table);
        slices = slices ? rs_py_dict(slices) : NULL;
        if (slices && !join_all(&w, dict, slices, err))
                return false;
        return rs_py_flatten(&w, root, err);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_py *root = rs_pickle_file(c, in, err);
        return root && rs_paddle_read(c, root, in->size, err);
}

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        static const char suffix[] = ".pdparams";
        size_t n = strlen(path);
        return head && size > 2 && head[0] == 0x80 && head[1] <= 5 && n >= sizeof suffix &&
               !strcmp(path + n - sizeof suffix + 1, suffix);
}

/* Paddle turns arrays into tensors for the names that are in its table. */
static bool
write(const rs_writing *w, resect_error *err)
{
        rs_pickling p = {0};
        if (!rs_arrays_writable(w, true, "a .pdparams file", err))
                return false;
        rs_buf_add(&p.b, "\x80\x04}(", 4);
        bool ok = rs_put_arrays(&p, w, err);
        rs_put_text(&p, name_table);
        rs_buf_str(&p.b, "}(");
        for (size_t i = 0; i < w->n_entries; i++) {
                rs_put_text(&p, w->entries[i].name);
                rs_put_text(&p, w->entries[i].name);
        }
        rs_buf_str(&p.b, "uu.");
        ok = ok && rs_put_flush(&p, w->out, err);
        rs_buf_free(&p.b);
        return ok;
}

static const char *const suffixes[] = {".pdparams", NULL};

const rs_format rs_format_paddle = {
        .name = "paddle",
        .help = "PaddlePaddle's .pdparams",
        .suffixes = suffixes,
        .scheme = "paddle",
        .sniff = sniff,
        .read = read,
        .write = write,
};
