/* SPDX-License-Identifier: 0BSD */
/*
 * The digest depends on the values alone: not on where they are kept (raw, typed, external), not on
 * the order of the initializers, not on anything else in the file, so that it survives packing,
 * sorting and renaming of nodes.
 */
#include "onnx/digest.h"

#include <stdlib.h>
#include <string.h>
#include "base/sha256.h"
#include "onnx/scan.h"
#include "onnx/wire.h"

static void
add_number(rs_sha256 *h, uint64_t v, size_t width)
{
        unsigned char b[8];
        for (size_t i = 0; i < width; i++)
                b[i] = (unsigned char)(v >> (8 * i));
        rs_sha256_add(h, b, width);
}

static void
hash_strings(const rs_tensor *t, rs_sha256 *h)
{
        rs_span rest = t->wire;
        for (rs_field f; rs_wire_next(&rest, &f);)
                if (f.number == RS_TENSOR_STRING_DATA) {
                        add_number(h, f.body.size, 8);
                        rs_sha256_add(h, f.body.data, f.body.size);
                }
}

static bool
hash_tensor(const resect_model *m, const rs_tensor *t, rs_sha256 *all, resect_error *err)
{
        rs_sha256 h;
        unsigned char digest[32];
        rs_sha256_start(&h);
        if (t->dtype == RESECT_STRING) {
                hash_strings(t, &h);
        } else {
                rs_arena arena = {0}; /* a decoded tensor goes before the next one comes */
                rs_span bytes;
                bool ok = rs_tensor_bytes(m, t, &arena, &bytes, err);
                if (ok && bytes.size)
                        rs_sha256_add(&h, bytes.data, bytes.size);
                rs_arena_free(&arena);
                if (!ok)
                        return false;
        }
        rs_sha256_end(&h, digest);
        rs_sha256_add(all, t->name, strlen(t->name) + 1);
        add_number(all, (uint32_t)t->dtype, 4);
        add_number(all, (uint32_t)t->rank, 4);
        for (int i = 0; i < t->rank; i++)
                add_number(all, (uint64_t)t->dims[i], 8);
        rs_sha256_add(all, digest, sizeof digest);
        return true;
}

/* Tensors of one name stay in file order. */
struct entry {
        const rs_tensor *t;
        size_t at;
};

static int
by_name(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int c = strcmp(x->t->name, y->t->name);
        return c ? c : (x->at > y->at) - (x->at < y->at);
}

bool
rs_digest_make(const resect_model *m, char hex[65], resect_error *err)
{
        const rs_graph *g = &m->graph;
        struct entry *order = rs_alloc(g->n_tensors, sizeof *order, err);
        if (!order)
                return false;
        for (size_t i = 0; i < g->n_tensors; i++)
                order[i] = (struct entry){g->tensors[i], i};
        if (g->n_tensors)
                qsort(order, g->n_tensors, sizeof *order, by_name);
        rs_sha256 h;
        unsigned char digest[32];
        bool ok = true;
        rs_sha256_start(&h);
        for (size_t i = 0; ok && i < g->n_tensors; i++)
                ok = hash_tensor(m, order[i].t, &h, err);
        rs_free(order);
        rs_sha256_end(&h, digest);
        rs_sha256_hex(digest, hex);
        return ok;
}

static const char *
recorded(const resect_model *m)
{
        for (size_t i = 0; i < m->n_props; i++)
                if (strcmp(m->props[i].key, RS_DIGEST_KEY) == 0)
                        return m->props[i].value;
        return NULL;
}

bool
rs_digest_verify(const resect_model *m, resect_error *err)
{
        const char *want = recorded(m);
        char hex[65];
        resect_error why = {0};
        if (!want)
                return true;
        if (!rs_digest_make(m, hex, &why)) {
                bool absent = why.code == RESECT_IO ||
                              why.code == RESECT_ARG; /* no such file, or no folder to look in */
                return absent || rs_fail(err, why.code, "%s", why.msg);
        }
        return strcmp(hex, want) == 0 || rs_fail(err, RESECT_FORMAT,
                                                 "the values are not those that were sealed: %s "
                                                 "says %.16s..., they make %.16s...",
                                                 RS_DIGEST_KEY, want, hex);
}

bool
rs_digest_is_stale(const resect_model *m)
{
        const rs_graph *g = &m->graph;
        if (m->digest_stands)
                return false;
        if (g->n_tensors != m->n_sealed)
                return true;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (g->tensors[i]->touched || g->tensors[i]->wire.size == 0)
                        return true;
        return false;
}

bool
resect_model_seal(resect_model *m, resect_error *err)
{
        char hex[65];
        if (!rs_digest_make(m, hex, err) || !resect_model_set_meta(m, RS_DIGEST_KEY, hex, err))
                return false;
        m->n_sealed = m->graph.n_tensors;
        return true;
}

bool
rs_digest_settle(resect_model *m, resect_error *err)
{
        if (recorded(m) && rs_digest_is_stale(m) && !resect_model_seal(m, err))
                return false;
        m->digest_stands = true;
        return true;
}
