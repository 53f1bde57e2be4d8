/* SPDX-License-Identifier: 0BSD */
/*
 * What a pickle's tree says, and the walk that finds its tensors. A container is entered once,
 * however many lead to it, so that the walk is no longer than the pickle; names, notes and views
 * are paid from purses of their own, because a few bytes of memo can name the same long key again.
 */
#include "weights/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensor/dtype.h"
#include "weights/json.h"

enum {
        DEPTH_MAX = 64,
        NOTE_MAX = 200, /* longer texts are skipped */
        PURSE = 64 << 20,
        OVERHEAD = 256, /* what an entry, a note or a skipped one takes beside its name */
        VIEWS_MOST = 16 /* tensors may take so many times the file, all together */
};

bool
rs_py_is(const rs_py *v, rs_py_kind kind)
{
        return v && v->kind == kind;
}

bool
rs_py_says(const rs_py *v, const char *text)
{
        return v && (v->kind == RS_PY_TEXT || v->kind == RS_PY_BYTES) &&
               v->s.size == strlen(text) && !memcmp(v->s.data, text, v->s.size);
}

rs_known
rs_py_known(const rs_py *v)
{
        if (rs_py_is(v, RS_PY_OBJECT))
                v = v->object->callable;
        return rs_py_is(v, RS_PY_GLOBAL) ? (rs_known)v->known : RS_KNOWN_NONE;
}

rs_py *
rs_py_arg(const rs_py *v, size_t i)
{
        const rs_py *args = rs_py_is(v, RS_PY_OBJECT) ? v->object->args : NULL;
        return args && i < args->seq.n ? args->seq.items[i] : NULL;
}

rs_py *
rs_py_dict(rs_py *v)
{
        if (rs_py_is(v, RS_PY_OBJECT))
                return v->object->items;
        return rs_py_is(v, RS_PY_DICT) ? v : NULL;
}

rs_py *
rs_py_get(const rs_py *dict, const char *key)
{
        for (size_t i = rs_py_is(dict, RS_PY_DICT) ? dict->seq.n : 0; i >= 2; i -= 2)
                if (rs_py_says(dict->seq.items[i - 2], key))
                        return dict->seq.items[i - 1];
        return NULL;
}

bool
rs_py_called(const rs_py *v, rs_known one, rs_known two)
{
        rs_known k = rs_py_is(v, RS_PY_OBJECT) ? rs_py_known(v) : RS_KNOWN_NONE;
        return k != RS_KNOWN_NONE && (k == one || k == two);
}

const char *
rs_py_what(const rs_py *v)
{
        static const char *const words[] = {"None", "a truth value", "an integer",
                "a large integer", "a number", "bytes", "a text", "a tuple", "a list", "a set",
                "a dictionary", "a global", "an object", "a stored object"};
        const rs_py *named = v;
        if (!v)
                return "nothing";
        if (v->kind == RS_PY_OBJECT) {
                rs_known k = rs_py_known(v);
                bool made = k == RS_KNOWN_RECONSTRUCTOR || k == RS_KNOWN_RECONSTRUCTOR2;
                named = made && rs_py_arg(v, 0) ? rs_py_arg(v, 0) : v->object->callable;
        }
        if (named->kind == RS_PY_PERSISTENT && rs_py_is(named->id, RS_PY_TUPLE) &&
                named->id->seq.n > 1) /* the legacy stream's ("module", class, ...) */
                named = named->id->seq.items[1];
        return named->kind == RS_PY_GLOBAL ? (const char *)named->s.data : words[v->kind];
}

bool
rs_py_dims(const rs_py *v, int *rank, int64_t dims[RESECT_RANK_MAX], resect_error *err)
{
        if (rs_py_known(v) == RS_KNOWN_SIZE)
                v = rs_py_arg(v, 0);
        if (!rs_py_is(v, RS_PY_TUPLE) && !rs_py_is(v, RS_PY_LIST))
                return rs_fail(err, RESECT_FORMAT, "the shape is %s", rs_py_what(v));
        if (v->seq.n > RESECT_RANK_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "%zu dimensions; at most %d are read",
                        v->seq.n, RESECT_RANK_MAX);
        *rank = (int)v->seq.n;
        for (int i = 0; i < *rank; i++) {
                if (v->seq.items[i]->kind != RS_PY_INT)
                        return rs_fail(err, RESECT_FORMAT, "a dimension is %s",
                                rs_py_what(v->seq.items[i]));
                dims[i] = v->seq.items[i]->i;
                if (dims[i] < 0)
                        return rs_fail(err, RESECT_FORMAT, "a dimension or a stride of %lld",
                                (long long)dims[i]);
        }
        return true;
}

rs_py *
rs_pickle_file(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_pickle p;
        if (!rs_pickle_read(&p, (rs_span){in->data, in->size}, &c->arena, err)) {
                rs_fail_at(err, "%s", c->path);
                return NULL;
        }
        if (p.length != in->size)
                return RS_FAIL_NULL(err, RESECT_FORMAT, "%s: %zu bytes follow the pickle", c->path,
                        in->size - p.length);
        return p.root;
}

/* Purses
 * ----------------------------------------------------------------------------------------------------------------
 */

bool
rs_py_pay(rs_py_walk *w, size_t bytes, resect_error *err)
{
        w->spent += bytes + OVERHEAD;
        return w->spent <= w->limit ||
               rs_fail(err, RESECT_UNSUPPORTED, "%s: more names than a file of its size can mean",
                       w->c->path);
}

bool
rs_py_count_tensor(rs_py_walk *w, const char *name, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err)
{
        size_t count, bytes;
        if (!rs_tensor_extent(dtype, rank, dims, &count, &bytes, err))
                return rs_fail_at(err, "%s: %s", w->c->path, name);
        if (bytes > w->most - w->taken)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: %s: tensors that take more than %llu bytes, which the file has not",
                        w->c->path, name, (unsigned long long)w->most);
        w->taken += bytes;
        return rs_py_pay(w, strlen(name), err);
}

/* The name, or a word for the whole when it has none. */
static const char *
name_of(const rs_py_walk *w)
{
        return w->name[0] ? w->name : "(all of it)";
}

static bool
skip(rs_py_walk *w, const char *why, const char *what, resect_error *err)
{
        return rs_py_pay(w, strlen(w->name), err) &&
               rs_checkpoint_skip(w->c, name_of(w), err, "%s%s", why, what);
}

static bool
note(rs_py_walk *w, const char *value, resect_error *err)
{
        return rs_py_pay(w, strlen(w->name), err) &&
               rs_checkpoint_note(w->c, name_of(w), value, err);
}

/* The walk
 * ----------------------------------------------------------------------------------------------------------------
 */

/* torch.optim's state_dict. */
static bool
is_optimiser(const rs_py *dict)
{
        return rs_py_get(dict, "param_groups") && rs_py_get(dict, "state");
}

static const char *const of_module[] = {"_parameters", "_buffers", "_modules"};
enum { OF_MODULE = sizeof of_module / sizeof *of_module };

/* A whole torch.nn.Module: an object of whatever class, whose state has the three dictionaries. */
static rs_py *
module_state(const rs_py *v)
{
        rs_py *state = rs_py_is(v, RS_PY_OBJECT) ? v->object->state : NULL;
        return rs_py_is(state, RS_PY_DICT) && rs_py_get(state, "_parameters") &&
                               rs_py_get(state, "_modules")
                       ? state
                       : NULL;
}

static bool
is_tensor(const rs_py_walk *w, const rs_py *v)
{
        return rs_ndarray_is(v) || (w->is_tensor && w->is_tensor(v));
}

/* Whether a container is come by for the first time in this round. */
static bool
enter(const rs_py_walk *w, rs_py *v)
{
        bool first = v->seen != w->round;
        v->seen = w->round;
        return first;
}

/* Whether there is a tensor anywhere in it. */
static bool
holds(rs_py_walk *w, rs_py *v, int depth)
{
        if (is_tensor(w, v))
                return true;
        rs_py *dict = rs_py_dict(v);
        if (depth == DEPTH_MAX || !enter(w, v) || (dict && is_optimiser(dict)))
                return false;
        rs_py *state = module_state(v);
        for (int i = 0; state && i < OF_MODULE; i++) {
                rs_py *part = rs_py_get(state, of_module[i]);
                if (part && holds(w, part, depth + 1))
                        return true;
        }
        bool list = v->kind == RS_PY_LIST || v->kind == RS_PY_TUPLE;
        const rs_py *in = list ? v : dict;
        for (size_t i = !list; in && i < in->seq.n; i += list ? 1 : 2)
                if (holds(w, in->seq.items[i], depth + 1))
                        return true;
        return false;
}

static bool walk(rs_py_walk *w, rs_py *v, int depth, resect_error *err);

/* A key after the name so far; *length is the new one's, and the old name is w->name cut at the old
 * length. */
static bool
join(rs_py_walk *w, const rs_py *key, size_t *length, const char **why)
{
        size_t n = *length;
        char number[32];
        rs_span s = key->s;
        if (key->kind == RS_PY_INT) {
                int k = snprintf(number, sizeof number, "%lld", (long long)key->i);
                s = (rs_span){(const unsigned char *)number, (size_t)k};
        } else if ((key->kind != RS_PY_TEXT && key->kind != RS_PY_BYTES) ||
                   memchr(s.data, '\0', s.size) || !rs_is_utf8((const char *)s.data, s.size)) {
                *why = "something whose key is no text";
                return false;
        }
        if (s.size >= sizeof w->name - 1 || n + 1 + s.size >= sizeof w->name) {
                *why = "something whose name is too long";
                return false;
        }
        if (n)
                w->name[n++] = '.';
        memcpy(w->name + n, s.data, s.size);
        *length = n + s.size;
        w->name[*length] = '\0';
        return true;
}

static bool
walk_item(rs_py_walk *w, const rs_py *key, rs_py *v, int depth, resect_error *err)
{
        size_t before = strlen(w->name), length = before;
        const char *why = NULL;
        bool ok = join(w, key, &length, &why) ? walk(w, v, depth + 1, err) : skip(w, why, "", err);
        w->name[before] = '\0';
        return ok;
}

static bool
walk_dict(rs_py_walk *w, const rs_py *dict, int depth, resect_error *err)
{
        for (size_t i = 0; i + 1 < dict->seq.n; i += 2)
                if (!walk_item(w, dict->seq.items[i], dict->seq.items[i + 1], depth, err))
                        return false;
        return true;
}

/* Parameters and buffers that are None are those that a module has not (a Conv's bias). */
static bool
walk_module(rs_py_walk *w, const rs_py *state, int depth, resect_error *err)
{
        for (int i = 0; i < OF_MODULE; i++) {
                rs_py *part = rs_py_get(state, of_module[i]),
                      *dict = part ? rs_py_dict(part) : NULL;
                for (size_t k = 0; dict && k + 1 < dict->seq.n; k += 2)
                        if (dict->seq.items[k + 1]->kind != RS_PY_NONE &&
                                !walk_item(
                                        w, dict->seq.items[k], dict->seq.items[k + 1], depth, err))
                                return false;
        }
        return true;
}

static bool
walk_list(rs_py_walk *w, const rs_py *list, int depth, resect_error *err)
{
        bool deep = false;
        for (size_t i = 0; i < list->seq.n && !deep; i++)
                deep = list->seq.items[i]->kind >= RS_PY_TUPLE;
        if (!deep) {
                char what[64];
                snprintf(what, sizeof what, "%s of %zu values",
                        list->kind == RS_PY_LIST ? "a list" : "a tuple", list->seq.n);
                return skip(w, what, "", err);
        }
        for (size_t i = 0; i < list->seq.n; i++) {
                rs_py key = {.kind = RS_PY_INT, .i = (int64_t)i};
                if (!walk_item(w, &key, list->seq.items[i], depth, err))
                        return false;
        }
        return true;
}

/* The shortest text that stands for just this number. */
static bool
note_real(rs_py_walk *w, double f, resect_error *err)
{
        char text[40];
        snprintf(text, sizeof text, "%.15g", f);
        if (strtod(text, NULL) != f)
                snprintf(text, sizeof text, "%.17g", f);
        return note(w, text, err);
}

static bool
walk_plain(rs_py_walk *w, const rs_py *v, resect_error *err)
{
        char text[NOTE_MAX + 1];
        double f;
        switch (v->kind) {
        case RS_PY_NONE:
                return note(w, "None", err);
        case RS_PY_BOOL:
                return note(w, v->truth ? "True" : "False", err);
        case RS_PY_INT:
                snprintf(text, sizeof text, "%lld", (long long)v->i);
                return note(w, text, err);
        case RS_PY_FLOAT:
                return note_real(w, v->f, err);
        case RS_PY_BYTES:
        case RS_PY_TEXT:
                if (v->s.size > NOTE_MAX || memchr(v->s.data, '\0', v->s.size) ||
                        !rs_is_utf8((const char *)v->s.data, v->s.size))
                        return skip(w, "a long text or bytes", "", err);
                memcpy(text, v->s.data, v->s.size);
                text[v->s.size] = '\0';
                return note(w, text, err);
        default:
                if (rs_numpy_scalar(v, &f))
                        return note_real(w, f, err);
                if (v->kind == RS_PY_OBJECT)
                        return skip(w,
                                "an object that is not made, as nothing is run: ", rs_py_what(v),
                                err);
                return skip(w, "no tensor: ", rs_py_what(v), err);
        }
}

static bool
walk(rs_py_walk *w, rs_py *v, int depth, resect_error *err)
{
        const char *name = w->name[0] ? w->name : "tensor";
        rs_taken taken = w->take ? w->take(w, v, name, err) : RS_TAKEN_NOT;
        if (taken != RS_TAKEN_NOT)
                return taken == RS_TAKEN;
        if (rs_ndarray_is(v))
                return rs_ndarray_add(w, v, name, false, err);
        rs_py *dict = rs_py_dict(v), *state = NULL;
        bool list = v->kind == RS_PY_LIST || v->kind == RS_PY_TUPLE;
        bool object = v->kind == RS_PY_OBJECT && rs_py_is(v->object->state, RS_PY_DICT);
        if (!dict && !object && !list)
                return rs_py_known(v) == RS_KNOWN_ORDERED_DICT || walk_plain(w, v, err);
        if (v->kind == RS_PY_TUPLE && v->seq.n == 0)
                return skip(w, "an empty tuple", "", err);
        if (!enter(w, v))
                return skip(w, "the same object as one before it", "", err);
        if (depth == DEPTH_MAX)
                return skip(w, "nested too deeply", "", err);
        if (dict && is_optimiser(dict))
                return skip(w, "an optimiser's state", "", err);
        if (object && !(state = module_state(v)) && !dict)
                return rs_py_known(v) == RS_KNOWN_ORDERED_DICT || walk_plain(w, v, err);
        return state  ? walk_module(w, state, depth, err)
               : dict ? walk_dict(w, dict, depth, err)
                      : walk_list(w, v, depth, err);
}

/* The one item of a dictionary that holds tensors without being one: its place; n when there is
 * none such. */
static size_t
only_holder(rs_py_walk *w, const rs_py *dict)
{
        size_t found = dict->seq.n;
        w->round++;
        for (size_t i = 0; i + 1 < dict->seq.n; i += 2) {
                rs_py *v = dict->seq.items[i + 1];
                if (is_tensor(w, v))
                        return dict->seq.n;
                if (!holds(w, v, 0))
                        continue;
                if (found != dict->seq.n || (!rs_py_dict(v) && !module_state(v)))
                        return dict->seq.n;
                found = i;
        }
        return found;
}

void
rs_py_walk_start(rs_py_walk *w, rs_checkpoint *c, size_t file_size)
{
        w->c = c;
        w->limit = file_size > SIZE_MAX - PURSE ? SIZE_MAX : file_size + PURSE;
        w->most = ((uint64_t)file_size * VIEWS_MOST) + PURSE;
}

bool
rs_py_flatten(rs_py_walk *w, rs_py *root, resect_error *err)
{
        for (int depth = 0; depth < DEPTH_MAX; depth++) {
                rs_py *dict = is_tensor(w, root) ? NULL : rs_py_dict(root);
                size_t at = dict ? only_holder(w, dict) : 0;
                if (!dict || at == dict->seq.n)
                        break;
                w->round++;
                for (size_t i = 0; i + 1 < dict->seq.n; i += 2)
                        if (i != at &&
                                !walk_item(w, dict->seq.items[i], dict->seq.items[i + 1], 0, err))
                                return false;
                root = dict->seq.items[at + 1];
        }
        w->round++;
        return walk(w, root, 0, err);
}
