/* SPDX-License-Identifier: 0BSD */
/*
 * PyTorch's .pth, as torch/serialization.py writes it: since 1.6 a zip (ARCHIVE/data.pkl, and one
 * member a storage under ARCHIVE/data/), before that a stream (five pickles, then the storages). A
 * tensor is a call of _rebuild_tensor_v2 with a storage, an offset, a shape and strides; both forms
 * come to one table of storages and one reading of tensors (torch_tensor.c).
 */
#include "weights/torch.h"

#include <stdio.h>
#include <string.h>
#include "io/zip.h"
#include "tensor/dtype.h"

enum { PICKLE_MAX = 64 << 20 /* what data.pkl may inflate to */, PROTOCOL = 1001 };

static const char magic[] =
        "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"; /* LONG1, its length, 10 bytes */
enum { MAGIC = sizeof magic - 1 };

static bool
is_tar(const unsigned char *head, size_t size)
{
        return size >= 512 && !memcmp(head + 257, "ustar", 5);
}

/* The first pickle is the magic number: behind PROTO, or, from protocol 4 on, behind PROTO and
 * FRAME. */
static bool
is_stream(const unsigned char *head, size_t size)
{
        size_t at = size > 2 && head[0] == 0x80 && head[1] >= 4 ? 11 : 2;
        return size >= at + MAGIC && head[0] == 0x80 && !memcmp(head + at, magic, MAGIC);
}

static const char *const suffixes[] = {".pth", ".pt", ".th", ".bin", ".pth.tar", NULL};

static bool
ends_with(const char *s, size_t n, const char *end)
{
        size_t k = strlen(end);
        return n >= k && !memcmp(s + n - k, end, k);
}

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        if (!head || size < 30 || !rs_is_zip(head, size))
                return head && (is_stream(head, size) || is_tar(head, size));
        size_t n = head[26] | (size_t)head[27] << 8;
        const char *first = (const char *)head + 30;
        if (n > size - 30 || ends_with(first, n, ".npy"))
                return false;
        if (ends_with(first, n, "data.pkl") || ends_with(first, n, "/version"))
                return true;
        for (const char *const *s = suffixes; *s; s++)
                if (ends_with(path, strlen(path), *s))
                        return true;
        return false;
}

static bool
flatten(rs_torch *t, rs_checkpoint *c, rs_py *root, size_t size, resect_error *err)
{
        rs_py_walk w = {.take = rs_torch_take, .is_tensor = rs_torch_is_tensor, .own = t};
        rs_py_walk_start(&w, c, size);
        return rs_py_flatten(&w, root, err);
}

/* The zip
 * ----------------------------------------------------------------------------------------------------------------
 */

/* The folder of data.pkl in the zip, with its slash: what stands before it in the members' names.
 */
static bool
find_root(const rs_zip *z, const rs_zip_member **pickle, size_t *root, resect_error *err)
{
        static const char name[] = "data.pkl";
        *pickle = NULL;
        for (size_t i = 0; i < z->n; i++) {
                const char *m = z->members[i].name, *slash = strchr(m, '/');
                const char *base = slash ? slash + 1 : m;
                if (strcmp(base, name) != 0)
                        continue;
                if (*pickle)
                        return rs_fail(err, RESECT_FORMAT, "there are two data.pkl: %s and %s",
                                (*pickle)->name, m);
                *pickle = &z->members[i];
                *root = (size_t)(base - m);
        }
        return *pickle || rs_fail(err, RESECT_UNSUPPORTED,
                                  "a zip without data.pkl: not what torch.save writes");
}

/* Every member of ARCHIVE/data/ is a storage; what else is there is looked at for what it says of
 * the file. */
static bool
list_members(rs_torch *t, const rs_zip *z, const char *root, size_t n, resect_error *err)
{
        for (size_t i = 0; i < z->n; i++) {
                const rs_zip_member *m = &z->members[i];
                const char *rest = m->name + n;
                rs_span bytes;
                if (strncmp(m->name, root, n) != 0)
                        continue;
                if (!strcmp(rest, "constants.pkl") || !strncmp(rest, "code/", 5))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "a TorchScript archive (torch.jit.save); save the module's "
                                "state_dict with torch.save");
                if (!strcmp(rest, "byteorder") && m->size < 16) {
                        if (!rs_zip_bytes(m, t->arena, &bytes, err))
                                return false;
                        if (bytes.size != 6 || memcmp(bytes.data, "little", 6) != 0)
                                return rs_fail(
                                        err, RESECT_UNSUPPORTED, "written on a big-endian machine");
                }
                if (!strncmp(rest, "data/", 5) && !rs_torch_add_storage(t, rest + 5, m, err))
                        return false;
        }
        return true;
}

static bool
read_zip(rs_checkpoint *c, rs_torch *t, const rs_input *in, rs_pickle *p, resect_error *err)
{
        rs_zip z;
        const rs_zip_member *pickle;
        size_t root = 0;
        rs_span bytes;
        if (!rs_zip_read(&z, in->data, in->size, &c->arena, err) ||
                !find_root(&z, &pickle, &root, err) ||
                !list_members(t, &z, pickle->name, root, err))
                return false;
        if (pickle->deflated && pickle->size > PICKLE_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s inflates to %llu bytes", pickle->name,
                        (unsigned long long)pickle->size);
        if (!rs_zip_bytes(pickle, &c->arena, &bytes, err))
                return false;
        return rs_pickle_read(p, bytes, &c->arena, err) || rs_fail_at(err, "%s", pickle->name);
}

/* The stream
 * ----------------------------------------------------------------------------------------------------------------
 */

/* The next pickle of the stream; at moves behind it. */
static bool
next(rs_torch *t, const rs_input *in, size_t *at, const char *what, rs_pickle *p, resect_error *err)
{
        if (!rs_pickle_read(p, (rs_span){in->data + *at, in->size - *at}, t->arena, err))
                return rs_fail_at(err, "%s, from byte %zu on", what, *at);
        *at += p->length;
        return true;
}

static bool
read_start(rs_torch *t, const rs_input *in, size_t *at, resect_error *err)
{
        rs_pickle p;
        if (!next(t, in, at, "the magic number", &p, err))
                return false;
        if (p.root->kind != RS_PY_BIG || p.root->s.size != MAGIC - 2 ||
                memcmp(p.root->s.data, magic + 2, MAGIC - 2) != 0)
                return rs_fail(err, RESECT_FORMAT, "its magic number is another");
        if (!next(t, in, at, "the version", &p, err))
                return false;
        if (p.root->kind != RS_PY_INT || p.root->i != PROTOCOL)
                return rs_fail(
                        err, RESECT_UNSUPPORTED, "a stream that is not of version %d", PROTOCOL);
        if (!next(t, in, at, "the machine's description", &p, err))
                return false;
        const rs_py *little = rs_py_get(rs_py_dict(p.root), "little_endian");
        if (rs_py_is(little, RS_PY_BOOL) && little->truth)
                return true;
        return rs_fail(err, RESECT_UNSUPPORTED, "written on a big-endian machine");
}

/* The storages' bytes, each behind its number of elements, in the order of the list of keys. */
static bool
read_storages(rs_torch *t, const rs_py *keys, const rs_input *in, size_t *at, resect_error *err)
{
        if (!rs_py_is(keys, RS_PY_LIST))
                return rs_fail(err, RESECT_FORMAT, "the list of storages is %s", rs_py_what(keys));
        for (size_t i = 0; i < keys->seq.n; i++) {
                rs_storage *s = rs_torch_find(t, keys->seq.items[i], err);
                uint64_t n = 0;
                size_t bytes;
                if (!s)
                        return false;
                if (s->bytes.data)
                        return rs_fail(err, RESECT_FORMAT, "storage %s is there twice", s->key);
                if (in->size - *at < 8)
                        return rs_fail(
                                err, RESECT_FORMAT, "the file ends before storage %s", s->key);
                for (int k = 0; k < 8; k++)
                        n |= (uint64_t)in->data[*at + (size_t)k] << 8 * k;
                *at += 8;
                if (n != s->count)
                        return rs_fail(err, RESECT_FORMAT, "storage %s has %llu elements, not %zu",
                                s->key, (unsigned long long)n, s->count);
                bytes = s->size;
                if (bytes > in->size - *at)
                        return rs_fail(err, RESECT_FORMAT,
                                "the file ends inside storage %s: %zu bytes of %zu are there",
                                s->key, in->size - *at, bytes);
                s->bytes = (rs_span){in->data + *at, bytes};
                *at += bytes;
        }
        return true;
}

static bool
read_stream(rs_torch *t, const rs_input *in, rs_pickle *p, resect_error *err)
{
        rs_pickle keys;
        size_t at = 0;
        if (!read_start(t, in, &at, err) || !next(t, in, &at, "the objects", p, err))
                return false;
        for (size_t i = 0; i < p->n_persistent; i++)
                if (!rs_torch_declare(t, p->persistent[i], err))
                        return false;
        if (!next(t, in, &at, "the list of storages", &keys, err) ||
                !read_storages(t, keys.root, in, &at, err))
                return false;
        return at == in->size ||
               rs_fail(err, RESECT_FORMAT, "%zu bytes follow the last storage", in->size - at);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_torch t = {.arena = &c->arena, .in = in};
        rs_pickle p = {0};
        bool ok = false;
        if (is_tar(in->data, in->size))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: a tar: what PyTorch wrote before its release 0.2 (2017) is read by "
                        "PyTorch itself (torch.load, then torch.save)",
                        c->path);
        if (rs_is_zip(in->data, in->size))
                ok = read_zip(c, &t, in, &p, err);
        else if (is_stream(in->data, in->size))
                ok = read_stream(&t, in, &p, err);
        else
                ok = rs_fail(err, RESECT_FORMAT, "neither a zip nor a stream of torch.save");
        ok = ok ? flatten(&t, c, p.root, in->size, err) : rs_fail_at(err, "%s", c->path);
        rs_map_free(&t.storages);
        return ok;
}

/* Writing
 * ----------------------------------------------------------------------------------------------------------------
 */

/* ("storage", torch.FloatStorage, "7", "cpu", elements), by its id */
static void
put_storage(rs_pickling *p, const rs_entry *e, size_t i)
{
        rs_put_op(p, '(');
        rs_put_text(p, "storage");
        rs_put_global(p, rs_torch_storage_of(e->dtype));
        char key[32];
        snprintf(key, sizeof key, "%zu", i);
        rs_put_text(p, key);
        rs_put_text(p, "cpu");
        rs_put_int(p, (int64_t)e->count);
        rs_buf_str(&p->b, "tQ");
}

static void
put_empty_dict(rs_pickling *p)
{
        rs_put_global(p, RS_KNOWN_ORDERED_DICT);
        rs_buf_str(&p->b, ")R");
}

static void
put_tensor(rs_pickling *p, const rs_entry *e, size_t i)
{
        int64_t strides[RESECT_RANK_MAX], step = 1;
        for (int k = e->rank - 1; k >= 0; k--) {
                strides[k] = step;
                step *= e->dims[k] ? e->dims[k] : 1;
        }
        rs_put_text(p, e->name);
        rs_put_global(p, RS_KNOWN_TENSOR_V2);
        rs_put_op(p, '(');
        put_storage(p, e, i);
        rs_put_int(p, 0);
        rs_put_dims(p, e->rank, e->dims);
        rs_put_dims(p, e->rank, strides);
        rs_put_op(p, 0x89); /* no gradient */
        put_empty_dict(p);  /* no hooks */
        rs_buf_str(&p->b, "tR");
}

/* Protocol 2, and no opcode that torch.load(weights_only=True) does not know. */
static bool
put_pickle(rs_zip_writer *z, const rs_writing *w, resect_error *err)
{
        rs_pickling p = {0};
        rs_buf_str(&p.b, "\x80\x02");
        put_empty_dict(&p);
        rs_buf_str(&p.b, "(");
        for (size_t i = 0; i < w->n_entries; i++)
                put_tensor(&p, &w->entries[i], i);
        rs_buf_str(&p.b, "u.");
        bool ok = !p.b.oom || rs_fail_nomem(err);
        ok = ok && rs_zip_put(z, "archive/data.pkl", &(rs_span){p.b.data, p.b.size}, 1, err);
        rs_buf_free(&p.b);
        return ok;
}

static bool
put_text_member(rs_zip_writer *z, const char *name, const char *text, resect_error *err)
{
        return rs_zip_put(z, name, &(rs_span){(const unsigned char *)text, strlen(text)}, 1, err);
}

static bool
put_values(rs_zip_writer *z, const rs_entry *e, size_t i, resect_error *err)
{
        rs_arena scratch = {0};
        rs_span bytes;
        char name[64];
        snprintf(name, sizeof name, "archive/data/%zu", i);
        bool ok = rs_entry_bytes(e, &scratch, &bytes, err) && rs_zip_put(z, name, &bytes, 1, err);
        rs_arena_free(&scratch);
        return ok;
}

static bool
write(const rs_writing *w, resect_error *err)
{
        rs_zip_writer z = {.out = w->out};
        for (size_t i = 0; i < w->n_entries; i++)
                if (!rs_torch_storage_of(w->entries[i].dtype))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: a .pth file has no elements of type %s", w->entries[i].name,
                                resect_dtype_name((resect_dtype)w->entries[i].dtype));
        if (!rs_names_are_text(w, "a .pth file", err))
                return false;
        bool ok = put_pickle(&z, w, err) && put_text_member(&z, "archive/byteorder", "little", err);
        for (size_t i = 0; ok && i < w->n_entries; i++)
                ok = put_values(&z, &w->entries[i], i, err);
        ok = ok && put_text_member(&z, "archive/version", "3\n", err) && rs_zip_end(&z, err);
        rs_zip_writer_free(&z);
        return ok;
}

const rs_format rs_format_torch = {
        .name = "pth",
        .help = "PyTorch's state_dict, as torch.save writes and torch.load reads",
        .suffixes = suffixes,
        .sniff = sniff,
        .read = read,
        .write = write,
};
