/* SPDX-License-Identifier: 0BSD */
/*
 * A .caffemodel written: one layer for all entries that are called LAYER/INDEX. Protocol buffers
 * say how long a thing is before they say it, so that all is sized first, and then written with one
 * entry's values in memory at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "onnx/wire.h"
#include "weights/caffe.h"

enum { MESSAGE_MAX = 0x7fffffff };

struct part { /* an entry: a blob of a layer */
        const rs_entry *e;
        size_t layer; /* in the order in which layers first come */
        unsigned index;
        size_t name; /* length of the layer's name */
};

static bool
split_name(struct part *p, resect_error *err)
{
        const char *slash = strrchr(p->e->name, '/');
        size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
        if (!slash || slash == p->e->name || digits == 0 || digits > 4 || slash[1 + digits] ||
                (slash[1] == '0' && digits > 1) || slash - p->e->name > CAFFE_NAME_BYTES)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: Caffe's tensors are called LAYER/INDEX, conv1/0", p->e->name);
        p->name = (size_t)(slash - p->e->name);
        p->index = (unsigned)atoi(slash + 1);
        if (p->e->dtype != RESECT_FLOAT && p->e->dtype != RESECT_DOUBLE &&
                p->e->dtype != RESECT_FLOAT16)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: Caffe has no elements of type %s",
                        p->e->name, resect_dtype_name((resect_dtype)p->e->dtype));
        return true;
}

static int
by_layer(const void *a, const void *b)
{
        const struct part *p = a, *q = b;
        if (p->layer != q->layer)
                return p->layer < q->layer ? -1 : 1;
        return (p->index > q->index) - (p->index < q->index);
}

/* The entries, layer by layer and blob by blob. */
static bool
sort_parts(const rs_writing *w, rs_arena *a, struct part *parts, resect_error *err)
{
        rs_map layers = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                struct part *p = &parts[i];
                p->e = &w->entries[i];
                ok = split_name(p, err);
                char *name = ok ? rs_arena_strndup(a, p->e->name, p->name, err) : NULL;
                p->layer = (size_t)(uintptr_t)rs_map_get(&layers, name);
                if (name && !p->layer) {
                        p->layer = layers.count + 1;
                        ok = rs_map_put(&layers, name, (void *)(uintptr_t)p->layer, NULL, err);
                }
                ok = ok && name;
        }
        rs_map_free(&layers);
        if (ok && w->n_entries)
                qsort(parts, w->n_entries, sizeof *parts, by_layer);
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                bool first = i == 0 || parts[i].layer != parts[i - 1].layer;
                if (parts[i].index != (first ? 0 : parts[i - 1].index + 1))
                        ok = rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: a blob of that layer is missing or there twice",
                                parts[i].e->name);
        }
        return ok;
}

/* The kind of layer, as far as its blobs tell; Caffe itself goes by the prototxt. */
static const char *
type_of(const struct part *p, size_t n)
{
        int rank = p->e->rank;
        if (rank == 1 && n == 3 && p[2].e->count == 1)
                return "BatchNorm";
        return rank == 1   ? (n == 1 ? "PReLU" : "Scale")
               : rank == 2 ? "InnerProduct"
                           : "Convolution";
}

static void
put_varint(rs_buf *b, uint64_t v)
{
        unsigned char s[10];
        rs_buf_add(b, s, rs_wire_put_varint(s, v));
}

static void
put_length(rs_buf *b, uint32_t field, uint64_t size)
{
        put_varint(b, (uint64_t)field << 3 | RS_WIRE_LEN);
        put_varint(b, size);
}

static void
put_float(rs_buf *b, uint32_t field, float v)
{
        unsigned char s[4];
        uint32_t bits;
        memcpy(&bits, &v, 4);
        for (int i = 0; i < 4; i++)
                s[i] = (unsigned char)(bits >> 8 * i);
        put_varint(b, (uint64_t)field << 3 | RS_WIRE_32);
        rs_buf_add(b, s, 4);
}

static void
put_string(rs_buf *b, uint32_t field, const char *s, size_t n)
{
        put_length(b, field, n);
        rs_buf_add(b, s, n);
}

/* What stands before a blob's values: within its message, shape first. */
static void
blob_head(const rs_entry *e, rs_buf *b)
{
        rs_buf dims = {0};
        for (int i = 0; i < e->rank; i++)
                put_varint(&dims, (uint64_t)e->dims[i]);
        rs_buf shape = {0};
        put_length(&shape, 1, dims.size);
        rs_buf_add(&shape, dims.data, dims.size);
        put_string(b, CAFFE_SHAPE, (const char *)shape.data, shape.size);
        b->oom |= dims.oom || shape.oom;
        rs_buf_free(&dims);
        rs_buf_free(&shape);
        if (e->dtype == RESECT_FLOAT16) {
                put_varint(b, CAFFE_RAW_TYPE << 3 | RS_WIRE_VARINT);
                put_varint(b, CAFFE_FLOAT16);
        }
        put_length(b,
                e->dtype == RESECT_FLOAT    ? CAFFE_DATA
                : e->dtype == RESECT_DOUBLE ? CAFFE_DOUBLE
                                            : CAFFE_RAW,
                e->bytes);
}

/* A layer up to its blobs, and how long all of it is within NetParameter. */
static bool
layer_head(const struct part *p, size_t n, rs_buf *head, uint64_t *size, resect_error *err)
{
        rs_buf inner = {0}, blob = {0}, param = {0};
        const char *type = type_of(p, n);
        put_string(&inner, CAFFE_LAYER_NAME, p->e->name, p->name);
        put_string(&inner, CAFFE_LAYER_TYPE, type, strlen(type));
        const rs_says *says = !strcmp(type, "BatchNorm") ? p[1].e->says : NULL;
        if (says) { /* batch_norm_param */
                if (says->momentum > 0)
                        put_float(&param, CAFFE_MOVING_FRACTION, (float)says->momentum);
                if (says->epsilon >= 0)
                        put_float(&param, CAFFE_EPS, (float)says->epsilon);
                put_string(&inner, CAFFE_NORM, (const char *)param.data, param.size);
        }
        uint64_t body = inner.size;
        for (size_t i = 0; i < n; i++) {
                unsigned char unused[10];
                blob.size = 0;
                blob_head(p[i].e, &blob);
                uint64_t whole = blob.size + (uint64_t)p[i].e->bytes;
                body += 1 + rs_wire_put_varint(unused, whole) + whole;
                if (whole > MESSAGE_MAX || body > MESSAGE_MAX)
                        break;
        }
        put_length(head, CAFFE_LAYER, body);
        *size = head->size + body;
        rs_buf_add(head, inner.data, inner.size);
        bool oom = inner.oom || blob.oom || param.oom || head->oom;
        rs_buf_free(&param);
        rs_buf_free(&inner);
        rs_buf_free(&blob);
        if (oom)
                return rs_fail_nomem(err);
        return body <= MESSAGE_MAX ||
               rs_fail(err, RESECT_UNSUPPORTED, "%s: a layer of more than 2 GiB", p->e->name);
}

static bool
put_blob(const rs_writing *w, const rs_entry *e, resect_error *err)
{
        rs_buf inner = {0}, b = {0};
        rs_arena scratch = {0};
        rs_span bytes[2];
        blob_head(e, &inner);
        put_length(&b, CAFFE_LAYER_BLOBS, inner.size + (uint64_t)e->bytes);
        rs_buf_add(&b, inner.data, inner.size);
        bool ok = inner.oom || b.oom ? rs_fail_nomem(err)
                                     : rs_entry_bytes(e, &scratch, &bytes[1], err);
        bytes[0] = (rs_span){b.data, b.size};
        ok = ok && rs_output_put(w->out, bytes, 2, err);
        rs_arena_free(&scratch);
        rs_buf_free(&inner);
        rs_buf_free(&b);
        return ok;
}

/* Layer by layer: sized, and written when out is set. */
static bool
each_layer(
        const rs_writing *w, const struct part *parts, bool out, uint64_t *total, resect_error *err)
{
        for (size_t i = 0, n; i < w->n_entries; i += n) {
                rs_buf head = {0};
                uint64_t size = 0;
                for (n = 1; i + n < w->n_entries && parts[i + n].layer == parts[i].layer;)
                        n++;
                bool ok = layer_head(&parts[i], n, &head, &size, err);
                *total += size;
                ok = ok && (!out || rs_output_bytes(w->out, head.data, head.size, err));
                rs_buf_free(&head);
                for (size_t k = 0; ok && out && k < n; k++)
                        ok = put_blob(w, parts[i + k].e, err);
                if (!ok)
                        return false;
        }
        return true;
}

bool
rs_caffe_write(const rs_writing *w, resect_error *err)
{
        rs_arena arena = {0};
        rs_buf head = {0};
        char name[64];
        uint64_t total = 0;
        snprintf(name, sizeof name, "ResNet-%d", w->net ? rs_net_depth(w->net) : 0);
        if (w->net)
                put_string(&head, CAFFE_NET_NAME, name, strlen(name));
        struct part *parts = RS_NEW(&arena, w->n_entries + 1, struct part, err);
        bool ok = parts && sort_parts(w, &arena, parts, err) &&
                  each_layer(w, parts, false, &total, err);
        if (ok && total > MESSAGE_MAX)
                ok = rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: %llu bytes; protocol buffers end at 2 GiB", w->path,
                        (unsigned long long)total);
        ok = ok && (!head.oom || rs_fail_nomem(err)) &&
             (!head.size || rs_output_bytes(w->out, head.data, head.size, err)) &&
             each_layer(w, parts, true, &total, err);
        rs_buf_free(&head);
        rs_arena_free(&arena);
        return ok;
}
