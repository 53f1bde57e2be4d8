/* SPDX-License-Identifier: 0BSD */
/*
 * Writing a model: a list of spans over the bytes that were read and a few new ones, handed to
 * writev. The graph comes last, so that no cut-off stream is a valid smaller model. A digest that
 * edits have made stale is renewed here, in passing: the model itself is not changed by being
 * written.
 */
#include "config.h"

#include <string.h>
#include "io/input.h"
#include "io/output.h"
#include "onnx/digest.h"
#include "onnx/encode.h"
#include "onnx/wire.h"

enum { IR_VERSION = 1, PRODUCER = 2, PRODUCER_VERSION = 3, GRAPH = 7, OPSET = 8, PROPS = 14 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2, PROP_KEY = 1, PROP_VALUE = 2, LOOK_AHEAD = 16 };
#define MESSAGE_MAX ((uint64_t)INT32_MAX)

static bool
text_is(rs_span s, const char *text)
{
        size_t n = strlen(text);
        return s.size == n && (n == 0 || memcmp(s.data, text, n) == 0);
}

static bool
opset_is(rs_span body, const rs_opset *o)
{
        rs_span domain = {NULL, 0};
        int64_t version = 0;
        for (rs_field f; rs_wire_next(&body, &f);) {
                if (f.number == OPSET_DOMAIN)
                        domain = f.body;
                if (f.number == OPSET_VERSION)
                        version = (int64_t)f.value;
        }
        return version == o->version &&
               (text_is(domain, o->domain) || (!o->domain[0] && text_is(domain, "ai.onnx")));
}

static bool
prop_is(rs_span body, const rs_prop *p)
{
        rs_span key = {NULL, 0}, value = {NULL, 0};
        for (rs_field f; rs_wire_next(&body, &f);) {
                if (f.number == PROP_KEY)
                        key = f.body;
                if (f.number == PROP_VALUE)
                        value = f.body;
        }
        return text_is(key, p->key) && text_is(value, p->value);
}

/* Scalars: the old field when it says the same (a default that was written out stays written out),
   else a new one unless it would say the default. */
static const rs_span *
known_scalar(const resect_model *m, uint32_t number, rs_field *f)
{
        for (size_t i = 0; i < m->n_known; i++) {
                rs_span rest = m->known[i];
                if (rs_wire_next(&rest, f) && f->number == number)
                        return &m->known[i];
        }
        return NULL;
}

static void
encode_version(rs_encoder *e, const resect_model *m)
{
        rs_field f;
        const rs_span *old = known_scalar(m, IR_VERSION, &f);
        if (old && (int64_t)f.value == m->ir_version)
                rs_encode_span(e, *old);
        else if (m->ir_version)
                rs_encode_number(e, IR_VERSION, m->ir_version);
}

static void
encode_producer(rs_encoder *e, const resect_model *m, uint32_t number, const char *text)
{
        rs_field f;
        const rs_span *old = known_scalar(m, number, &f);
        if (!text)
                text = "";
        if (old && text_is(f.body, text))
                rs_encode_span(e, *old);
        else if (text[0])
                rs_encode_text(e, number, text);
}

/* The old field of a repeated one that still says what is wanted: looked for from *from on, which
 * moves past it. */
static const rs_span *
known_entry(const resect_model *m, uint32_t number, bool (*is)(rs_span, const void *),
        const void *wanted, size_t *from)
{
        size_t looked = 0;
        for (size_t i = *from; i < m->n_known && looked < LOOK_AHEAD; i++) {
                rs_span rest = m->known[i];
                rs_field f;
                if (!rs_wire_next(&rest, &f) || f.number != number)
                        continue;
                if (is(f.body, wanted)) {
                        *from = i + 1;
                        return &m->known[i];
                }
                looked++;
        }
        return NULL;
}

static bool
is_opset(rs_span body, const void *wanted)
{
        return opset_is(body, wanted);
}

static bool
is_prop(rs_span body, const void *wanted)
{
        return prop_is(body, wanted);
}

static void
encode_opsets(rs_encoder *e, const resect_model *m)
{
        size_t from = 0;
        for (size_t i = 0; i < m->n_opsets; i++) {
                const rs_span *old = known_entry(m, OPSET, is_opset, &m->opsets[i], &from);
                if (old) {
                        rs_encode_span(e, *old);
                        continue;
                }
                rs_mark mark = rs_encode_begin(e);
                rs_encode_text(e, OPSET_DOMAIN, m->opsets[i].domain);
                rs_encode_number(e, OPSET_VERSION, m->opsets[i].version);
                rs_encode_end(e, OPSET, mark);
        }
}

/* digest: what resect.digest becomes; NULL leaves it, "" drops it. */
static void
encode_props(rs_encoder *e, const resect_model *m, const char *digest)
{
        size_t from = 0;
        for (size_t i = 0; i < m->n_props; i++) {
                rs_prop p = m->props[i];
                if (digest && strcmp(p.key, RS_DIGEST_KEY) == 0) {
                        if (!digest[0])
                                continue;
                        p.value = digest;
                }
                const rs_span *old = known_entry(m, PROPS, is_prop, &p, &from);
                if (old) {
                        rs_encode_span(e, *old);
                        continue;
                }
                rs_mark mark = rs_encode_begin(e);
                rs_encode_text(e, PROP_KEY, p.key);
                rs_encode_text(e, PROP_VALUE, p.value);
                rs_encode_end(e, PROPS, mark);
        }
}

/* The digest for a model whose tensors have changed: NULL when it stands, "" when it cannot be
 * made. */
static bool
renew_digest(const resect_model *m, char hex[65], const char **out, resect_error *err)
{
        *out = NULL;
        if (!resect_model_meta(m, RS_DIGEST_KEY) || !rs_digest_is_stale(m))
                return true;
        resect_error why = {0};
        *out = hex;
        if (rs_digest_make(m, hex, &why))
                return true;
        hex[0] = '\0';
        return why.code != RESECT_NOMEM || rs_fail_nomem(err);
}

static bool
encode_model(rs_encoder *e, const resect_model *m, resect_error *err)
{
        char hex[65];
        const char *digest;
        if (!renew_digest(m, hex, &digest, err))
                return false;
        if (m->input)
                e->source = (rs_span){m->input->data, m->input->size};
        encode_version(e, m);
        encode_producer(e, m, PRODUCER, m->producer);
        encode_producer(e, m, PRODUCER_VERSION, m->producer_version);
        encode_opsets(e, m);
        encode_props(e, m, digest);
        for (size_t i = 0; i < m->n_rest; i++)
                rs_encode_span(e, m->rest[i]);
        rs_encode_graph(e, GRAPH, &m->graph);
        if (e->failed)
                return rs_fail_nomem(err);
        if (e->total > MESSAGE_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: the model has %llu bytes, and a protobuf message at most %llu: move "
                        "its weights out with resect-pack",
                        m->path, (unsigned long long)e->total, (unsigned long long)MESSAGE_MAX);
        return true;
}

static bool
write_spans(const rs_encoder *e, const resect_model *m, const char *path, resect_error *err)
{
        rs_output *o = rs_output_open(path, err);
        if (!o)
                return false;
        const rs_input *in = m->input;
        bool ok = !in || !in->is_file || !rs_output_is(o, in->dev, in->ino) ||
                  rs_fail(err, RESECT_IO, "%s: is the very file that the model is read from", path);
        if (ok && rs_output_put(o, e->spans, e->n, err))
                return rs_output_close(o, err);
        rs_output_abandon(o);
        return false;
}

bool
resect_model_write(const resect_model *m, const char *path, resect_error *err)
{
        rs_encoder e = {.failed = false};
        bool ok = encode_model(&e, m, err) && write_spans(&e, m, path, err);
        rs_encoder_free(&e);
        return ok;
}

bool
rs_model_size(const resect_model *m, uint64_t *bytes, resect_error *err)
{
        rs_encoder e = {.failed = false};
        bool ok = encode_model(&e, m, err);
        *bytes = e.total;
        rs_encoder_free(&e);
        return ok;
}

bool
resect_model_write_memory(const resect_model *m, void **bytes, size_t *size, resect_error *err)
{
        rs_encoder e = {.failed = false};
        *bytes = NULL;
        *size = 0;
        if (encode_model(&e, m, err)) {
                unsigned char *p = rs_alloc((size_t)e.total, 1, err), *at = p;
                for (size_t i = 0; p && i < e.n; i++) {
                        memcpy(at, e.spans[i].data, e.spans[i].size);
                        at += e.spans[i].size;
                }
                *bytes = p;
                *size = p ? (size_t)e.total : 0;
        }
        rs_encoder_free(&e);
        return *bytes;
}

void
resect_free(void *p)
{
        rs_free(p);
}

void
resect_abandon_output(void)
{
        rs_output_abandon_all();
}
