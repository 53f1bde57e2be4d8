/* SPDX-License-Identifier: 0BSD */
/*
 * Tensors as PyTorch pickles them: views into storages. What a view claims is held against its
 * storage: the offset, the furthest element, and that it has no more elements than there are (a
 * stride of 0 repeats one without end). Views that lie densely are lent where they stand, others
 * are put in order when they are asked for.
 */
#include "weights/torch.h"

#include <string.h>
#include "tensor/dtype.h"

enum { KEY_MAX = 256, WRAPPERS_MAX = 4, REST_AFTER = 8 << 20 };

rs_known
rs_torch_storage_of(int32_t dtype)
{
        for (int k = RS_KNOWN_FLOAT_STORAGE; k <= RS_KNOWN_COMPLEX2_STORAGE; k++)
                if (rs_globals[k].dtype == dtype)
                        return (rs_known)k;
        return RS_KNOWN_NONE;
}

/* Storages
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
put_storage(rs_torch *t, rs_storage *s, resect_error *err)
{
        return rs_map_put(&t->storages, s->key, s, NULL, err);
}

bool
rs_torch_add_storage(rs_torch *t, const char *key, const rs_zip_member *m, resect_error *err)
{
        rs_storage *s = RS_NEW(t->arena, 1, rs_storage, err);
        if (!s)
                return false;
        *s = (rs_storage){.key = key, .member = m, .size = (size_t)m->size};
        return put_storage(t, s, err);
}

static bool
read_key(const rs_py *v, char key[KEY_MAX], resect_error *err)
{
        if (!v || (v->kind != RS_PY_TEXT && v->kind != RS_PY_BYTES) || v->s.size >= KEY_MAX ||
                memchr(v->s.data, '\0', v->s.size))
                return rs_fail(err, RESECT_FORMAT, "a storage's key is %s",
                        v && v->kind == RS_PY_TEXT ? "too long" : rs_py_what(v));
        memcpy(key, v->s.data, v->s.size);
        key[v->s.size] = '\0';
        return true;
}

rs_storage *
rs_torch_find(const rs_torch *t, const rs_py *v, resect_error *err)
{
        char key[KEY_MAX];
        if (!read_key(v, key, err))
                return NULL;
        rs_storage *s = rs_map_get(&t->storages, key);
        return s ? s : RS_FAIL_NULL(err, RESECT_FORMAT, "storage %s is not there", key);
}

/* ("storage", type, key, location, elements[, (view's key, offset, elements)]) */
struct id {
        const rs_py *type, *key;
        int32_t dtype; /* 0: a type that is not known here */
        size_t count, view;
};

static bool
natural(const rs_py *v, size_t *out)
{
        *out = rs_py_is(v, RS_PY_INT) && v->i >= 0 ? (size_t)v->i : 0;
        return rs_py_is(v, RS_PY_INT) && v->i >= 0;
}

static bool
read_id(const rs_py *v, struct id *id, resect_error *err)
{
        const rs_py *t = rs_py_is(v, RS_PY_PERSISTENT) ? v->id : v;
        *id = (struct id){0};
        if (!rs_py_is(t, RS_PY_TUPLE) || t->seq.n < 5 || !rs_py_says(t->seq.items[0], "storage"))
                return rs_fail(err, RESECT_FORMAT, "a tensor's storage is %s", rs_py_what(t));
        id->type = t->seq.items[1];
        id->key = t->seq.items[2];
        id->dtype = id->type->kind == RS_PY_GLOBAL ? rs_globals[id->type->known].dtype : 0;
        if (!natural(t->seq.items[4], &id->count))
                return rs_fail(err, RESECT_FORMAT, "a storage's size is no number");
        const rs_py *view = t->seq.n > 5 ? t->seq.items[5] : NULL;
        if (!view || view->kind == RS_PY_NONE)
                return true;
        return (view->kind == RS_PY_TUPLE && view->seq.n == 3 &&
                       natural(view->seq.items[1], &id->view)) ||
               rs_fail(err, RESECT_FORMAT, "a storage's view is damaged");
}

/* The type and size of a storage, which every tensor that uses it must say alike. */
static bool
agree(rs_storage *s, const struct id *id, resect_error *err)
{
        int64_t dim = (int64_t)id->count;
        size_t count, bytes;
        if (s->dtype)
                return (s->dtype == id->dtype && s->count == id->count) ||
                       rs_fail(err, RESECT_FORMAT, "storage %s is of two types or sizes", s->key);
        if (!rs_tensor_extent(id->dtype, 1, &dim, &count, &bytes, err))
                return rs_fail_at(err, "storage %s", s->key);
        if (s->member && s->size != bytes)
                return rs_fail(err, RESECT_FORMAT,
                        "storage %s has %zu bytes; %zu elements take %zu", s->key, s->size, count,
                        bytes);
        s->dtype = id->dtype;
        s->count = count;
        s->size = bytes;
        return true;
}

bool
rs_torch_declare(rs_torch *t, const rs_py *persistent, resect_error *err)
{
        struct id id;
        char key[KEY_MAX];
        const rs_py *v = persistent->id;
        if (rs_py_is(v, RS_PY_TUPLE) && v->seq.n && rs_py_says(v->seq.items[0], "module"))
                return true; /* a class, with its source */
        if (!read_id(persistent, &id, err) || !read_key(id.key, key, err))
                return false;
        if (!id.dtype)
                return rs_fail(
                        err, RESECT_UNSUPPORTED, "storage %s is a %s", key, rs_py_what(id.type));
        rs_storage *s = rs_map_get(&t->storages, key);
        if (s)
                return agree(s, &id, err);
        if (!(s = RS_NEW(t->arena, 1, rs_storage, err)) ||
                !(s->key = rs_arena_strdup(t->arena, key, err)))
                return false;
        return put_storage(t, s, err) && agree(s, &id, err);
}

/* The storage with its bytes, whose sum is verified once. */
static rs_storage *
use_storage(rs_torch *t, const struct id *id, resect_error *err)
{
        rs_storage *s = rs_torch_find(t, id->key, err);
        if (!s || !agree(s, id, err))
                return NULL;
        if (!s->member)
                return s->bytes.data || !s->size ? s
                                                 : RS_FAIL_NULL(err, RESECT_FORMAT,
                                                           "storage %s is not there", s->key);
        if (!s->checked && !s->member->deflated &&
                !rs_zip_bytes(s->member, t->arena, &s->bytes, err))
                return NULL;
        t->looked_at += s->checked ? 0 : s->size;
        if (t->looked_at > REST_AFTER) {
                rs_input_rest(t->in);
                t->looked_at = 0;
        }
        s->checked = true;
        return s;
}

/* Tensors
 * ----------------------------------------------------------------------------------------------------------------
 */

/* The call that makes the tensor, below what is wrapped around it (Parameter): the function, and
 * its arguments into *args. */
static rs_known
innermost(const rs_py *v, const rs_py **args)
{
        for (int i = 0; i < WRAPPERS_MAX && rs_py_is(v, RS_PY_OBJECT); i++) {
                rs_known k = rs_py_known(v);
                *args = v->object->args;
                if (k == RS_KNOWN_TENSOR || k == RS_KNOWN_TENSOR_V2 || k == RS_KNOWN_TENSOR_V3)
                        return k;
                if (k == RS_KNOWN_FROM_TYPE) { /* (function, type, arguments, state) */
                        const rs_py *f = rs_py_arg(v, 0);
                        *args = rs_py_arg(v, 2);
                        k = rs_py_known(f);
                        return rs_py_is(f, RS_PY_GLOBAL) && rs_py_is(*args, RS_PY_TUPLE) &&
                                               (k == RS_KNOWN_TENSOR_V2 || k == RS_KNOWN_TENSOR_V3)
                                       ? k
                                       : RS_KNOWN_NONE;
                }
                if (k != RS_KNOWN_PARAMETER && k != RS_KNOWN_PARAMETER_STATE)
                        break;
                v = rs_py_arg(v, 0);
        }
        return RS_KNOWN_NONE;
}

bool
rs_torch_is_tensor(const rs_py *v)
{
        const rs_py *args;
        return innermost(v, &args) != RS_KNOWN_NONE;
}

struct view {
        int32_t dtype;
        int rank;
        int64_t dims[RESECT_RANK_MAX], strides[RESECT_RANK_MAX];
        size_t offset, count, bytes;
};

/* A view that is made when asked for. */
struct lazy {
        const rs_zip_member *member; /* deflated; else the storage's bytes are lent */
        rs_span storage;
        size_t offset;
        bool dense;
        int64_t strides[RESECT_RANK_MAX];
};

static bool
is_dense(const struct view *v)
{
        int64_t step = 1;
        for (int i = v->rank - 1; i >= 0; i--) {
                if (v->dims[i] != 1 && v->strides[i] != step)
                        return false;
                step *= v->dims[i];
        }
        return true;
}

static bool
fetch(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct lazy *l = e->ctx;
        size_t width = rs_dtype_bits(e->dtype) / 8;
        rs_span bytes = l->storage;
        if (l->member && !rs_zip_bytes(l->member, scratch, &bytes, err))
                return false;
        *out = (rs_span){bytes.data + l->offset * width, e->bytes};
        if (l->dense)
                return true;
        unsigned char *made = rs_arena_alloc(scratch, e->bytes, 1, err);
        if (!made)
                return false;
        rs_permute(made, out->data, width, e->rank, e->dims, l->strides);
        out->data = made;
        return true;
}

/* (storage, offset, shape, strides, ...); v3 has the type as its seventh. */
static bool
read_view(const rs_py *args, rs_known call, const struct id *id, struct view *v, resect_error *err)
{
        int n;
        v->dtype = id->dtype;
        if (call == RS_KNOWN_TENSOR_V3) {
                const rs_py *type = args->seq.n > 6 ? args->seq.items[6] : NULL;
                v->dtype = rs_py_is(type, RS_PY_GLOBAL) ? rs_globals[type->known].dtype : 0;
                if (!v->dtype)
                        return rs_fail(
                                err, RESECT_UNSUPPORTED, "elements of type %s", rs_py_what(type));
        }
        if (!natural(args->seq.items[1], &v->offset))
                return rs_fail(err, RESECT_FORMAT, "its offset is no number");
        if (!rs_py_dims(args->seq.items[2], &v->rank, v->dims, err) ||
                !rs_py_dims(args->seq.items[3], &n, v->strides, err))
                return false;
        if (n != v->rank)
                return rs_fail(err, RESECT_FORMAT, "%d dimensions and %d strides", v->rank, n);
        return rs_tensor_extent(v->dtype, v->rank, v->dims, &v->count, &v->bytes, err);
}

/* Whether the view lies in its storage, and has no more elements than that. */
static bool
check_view(struct view *v, const rs_storage *s, size_t view, resect_error *err)
{
        size_t count = s->size / (rs_dtype_bits(v->dtype) / 8);
        if (v->count == 0)
                return true;
        if (!rs_add(v->offset, view, &v->offset) || v->offset > count ||
                !rs_strides_fit(v->rank, v->dims, v->strides, count - v->offset))
                return rs_fail(err, RESECT_FORMAT,
                        "it reaches beyond storage %s, which has %zu elements", s->key, count);
        if (v->count > count)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%zu elements out of %zu: an expanded tensor", v->count, count);
        if (s->member && s->member->deflated && v->count != count)
                return rs_fail(err, RESECT_UNSUPPORTED, "a part of a storage that is deflated");
        return true;
}

static bool
add_view(rs_checkpoint *c, const char *name, const struct view *v, const rs_storage *s,
        resect_error *err)
{
        bool dense = is_dense(v), deflated = s->member && s->member->deflated;
        size_t at = v->offset * (rs_dtype_bits(v->dtype) / 8);
        if (v->count == 0 || (dense && !deflated))
                return rs_checkpoint_add(c, name, v->dtype, v->rank, v->dims,
                        v->count ? (rs_span){s->bytes.data + at, v->bytes} : (rs_span){0}, err);
        struct lazy *l = RS_NEW(&c->arena, 1, struct lazy, err);
        if (!l)
                return false;
        *l = (struct lazy){deflated ? s->member : NULL, s->bytes, v->offset, dense, {0}};
        memcpy(l->strides, v->strides, sizeof l->strides);
        return rs_checkpoint_add_lazy(c, name, v->dtype, v->rank, v->dims, fetch, l, err);
}

static bool
take(rs_py_walk *w, const rs_py *args, rs_known call, const char *name, resect_error *err)
{
        struct id id;
        struct view v = {0};
        if (args->seq.n < 4)
                return rs_fail(err, RESECT_FORMAT, "a tensor of %zu arguments", args->seq.n);
        if (!read_id(args->seq.items[0], &id, err))
                return false;
        if (!id.dtype)
                return rs_py_pay(w, strlen(name), err) &&
                       rs_checkpoint_skip(w->c, name, err, "elements of %s", rs_py_what(id.type));
        const rs_storage *s = use_storage(w->own, &id, err);
        return s && read_view(args, call, &id, &v, err) && check_view(&v, s, id.view, err) &&
               rs_py_count_tensor(w, name, v.dtype, v.rank, v.dims, err) &&
               add_view(w->c, name, &v, s, err);
}

rs_taken
rs_torch_take(rs_py_walk *w, const rs_py *v, const char *name, resect_error *err)
{
        const rs_py *args;
        rs_known call = innermost(v, &args);
        if (call == RS_KNOWN_NONE)
                return RS_TAKEN_NOT;
        if (take(w, args, call, name, err))
                return RS_TAKEN;
        rs_fail_at(err, "%s: %s", w->c->path, name);
        return RS_TAKEN_FAILED;
}
