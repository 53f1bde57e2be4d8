/* SPDX-License-Identifier: 0BSD */
/*
 * Reading a model: the guard walks everything, then the ModelProto and its graph are taken apart
 * field by field. Small leaf messages go through protobuf-c with the arena as its allocator;
 * payloads are never copied, and what is not decoded is kept as spans. The memory that decoding may
 * take is bounded by the bytes that are there, so that a file of a million empty nodes does not
 * become a gigabyte.
 */
#include "config.h"
#include "onnx/read.h"

#include <string.h>
#include "io/input.h"
#include "onnx.pb-c.h"
#include "onnx/digest.h"
#include "onnx/external.h"
#include "onnx/guard.h"
#include "onnx/scan.h"

enum { BUDGET = 48 << 20 };
#define MESSAGE_MAX ((uint64_t)INT32_MAX) /* protobuf's own limit */

/* ModelProto's fields, by number. */
enum { IR_VERSION = 1, PRODUCER = 2, PRODUCER_VERSION = 3, GRAPH = 7, OPSET = 8, PROPS = 14 };

static bool
spend(rs_reader *r, size_t bytes)
{
        if (bytes > r->left) {
                r->over = true;
                return rs_fail(r->err, RESECT_UNSUPPORTED,
                        "the graph has more parts than its bytes allow for (decoding would take "
                        "over %d MiB and the file's size)",
                        BUDGET >> 20);
        }
        r->left -= bytes;
        return true;
}

void *
rs_reader_take(rs_reader *r, size_t count, size_t size)
{
        size_t bytes;
        if (!rs_mul(count, size, &bytes) || !spend(r, bytes))
                return NULL;
        return rs_arena_alloc(&r->m->arena, count, size, r->err);
}

char *
rs_reader_text(rs_reader *r, rs_span s)
{
        char *p = rs_reader_take(r, s.size + 1, 1);
        if (p && s.size)
                memcpy(p, s.data, s.size);
        return p;
}

/* protobuf-c's allocator. */
static void *
unpack_alloc(void *ctx, size_t size)
{
        rs_reader *r = ctx;
        void *p = rs_reader_take(r, size, 1);
        r->nomem |= !p && !r->over;
        return p;
}

static void
unpack_free(void *ctx, void *p)
{
        (void)ctx;
        (void)p; /* the arena goes as a whole */
}

void *
rs_reader_unpack(
        rs_reader *r, const ProtobufCMessageDescriptor *type, rs_span body, uint64_t without)
{
        rs_span rest = body, kept = body;
        bool all = true;
        r->scratch.size = 0;
        for (rs_field f; rs_wire_next(&rest, &f);) {
                bool skip = !protobuf_c_message_descriptor_get_field(type, f.number) ||
                            (f.number < 64 && without >> f.number & 1);
                if (all && skip) {
                        all = false;
                        rs_buf_add(&r->scratch, body.data, (size_t)(f.whole.data - body.data));
                } else if (!all && !skip) {
                        rs_buf_add(&r->scratch, f.whole.data, f.whole.size);
                }
        }
        if (r->scratch.oom)
                return RS_NOMEM_NULL(r->err);
        if (!all)
                kept = (rs_span){r->scratch.data, r->scratch.size};
        void *message = protobuf_c_message_unpack(type, &r->allocator, kept.size, kept.data);
        if (!message && !r->over && !r->nomem)
                return RS_FAIL_NULL(
                        r->err, RESECT_FORMAT, "%s: protobuf-c cannot read it", type->short_name);
        return message;
}

/* The guard's callback: every tensor, wherever it stands. */
static bool
check_message(void *ctx, const ProtobufCMessageDescriptor *type, rs_span body, resect_error *err)
{
        (void)ctx;
        rs_scan s;
        return type != &onnx__tensor_proto__descriptor || rs_scan_tensor(body, &s, err);
}

static bool
read_opset(rs_reader *r, rs_opset *out, rs_span body)
{
        const Onnx__OperatorSetIdProto *p =
                rs_reader_unpack(r, &onnx__operator_set_id_proto__descriptor, body, 0);
        if (!p)
                return false;
        out->domain = p->domain && strcmp(p->domain, "ai.onnx") ? p->domain : "";
        out->version = p->version;
        for (const rs_opset *o = r->m->opsets; o < out; o++)
                if (strcmp(o->domain, out->domain) == 0 && o->version != out->version)
                        return rs_fail(r->err, RESECT_FORMAT,
                                "operator set \"%s\" is imported twice, as %lld and as %lld",
                                out->domain, (long long)o->version, (long long)out->version);
        return out->version >= 0 ||
               rs_fail(r->err, RESECT_FORMAT, "operator set \"%s\" has version %lld", out->domain,
                       (long long)out->version);
}

static bool
read_prop(rs_reader *r, rs_prop *out, rs_span body)
{
        const Onnx__StringStringEntryProto *p =
                rs_reader_unpack(r, &onnx__string_string_entry_proto__descriptor, body, 0);
        if (!p)
                return false;
        *out = (rs_prop){p->key ? p->key : "", p->value ? p->value : ""};
        return true;
}

static bool
read_field(rs_reader *r, const rs_field *f, rs_span *graph)
{
        resect_model *m = r->m;
        if (f->number == GRAPH) {
                *graph = f->body;
                return true;
        }
        bool known = f->number == IR_VERSION || f->number == PRODUCER ||
                     f->number == PRODUCER_VERSION || f->number == OPSET || f->number == PROPS;
        if (!known) {
                m->rest[m->n_rest++] = f->whole;
                return true;
        }
        m->known[m->n_known++] = f->whole;
        switch (f->number) {
        case IR_VERSION:
                m->ir_version = (int64_t)f->value;
                return true;
        case PRODUCER:
                return (m->producer = rs_reader_text(r, f->body)) != NULL;
        case PRODUCER_VERSION:
                return (m->producer_version = rs_reader_text(r, f->body)) != NULL;
        case OPSET:
                return read_opset(r, &m->opsets[m->n_opsets++], f->body);
        default:
                return read_prop(r, &m->props[m->n_props++], f->body);
        }
}

static bool
read_model(rs_reader *r, rs_span bytes)
{
        resect_model *m = r->m;
        size_t n = 0, n_opsets = 0, n_props = 0;
        rs_field f;
        for (rs_span rest = bytes; rs_wire_next(&rest, &f); n++) {
                n_opsets += f.number == OPSET;
                n_props += f.number == PROPS;
        }
        if (n_opsets > 1000)
                return rs_fail(
                        r->err, RESECT_UNSUPPORTED, "%zu operator sets are imported", n_opsets);
        m->known = RS_TAKE(r, n, rs_span);
        m->rest = m->known ? RS_TAKE(r, n, rs_span) : NULL;
        m->opsets = m->rest ? RS_TAKE(r, n_opsets, rs_opset) : NULL;
        m->props = m->opsets ? RS_TAKE(r, n_props, rs_prop) : NULL;
        if (!m->props)
                return false;
        rs_span graph = {NULL, 0};
        for (rs_span rest = bytes; rs_wire_next(&rest, &f);)
                if (!read_field(r, &f, &graph))
                        return false;
        if (!graph.data)
                return rs_fail(r->err, RESECT_FORMAT,
                        "there is no graph: not an ONNX model, or one cut short");
        return rs_reader_graph(r, graph);
}

/* A few words, a table, a script: it begins with nothing but letters and line ends. */
static bool
is_text(rs_span s)
{
        for (size_t i = 0; i < s.size && i < 64; i++)
                if ((s.data[i] < ' ' && !memchr("\t\n\r", s.data[i], 3)) || s.data[i] > '~')
                        return false;
        return true;
}

/* What people hand over in place of a model, told by its first bytes; NULL when these say nothing.
 */
static const char *
something_else(rs_span s)
{
        static const struct {
                size_t at;
                const char *bytes, *what;
        } kinds[] = {{0, "version https://git-lfs",
                             "a Git LFS pointer, not the file it stands for (git lfs pull)"},
                {0, "PK\x03\x04", "a zip archive (PyTorch's or NumPy's, perhaps)"},
                {0, "\x80\x02", "a Python pickle (PyTorch's, perhaps)"},
                {0, "\x89HDF\r\n", "an HDF5 file (Keras's, perhaps)"},
                {0, "\x93NUMPY", "a NumPy array"}, {0, "\x89PNG\r\n", "a PNG picture"},
                {0, "\xff\xd8\xff", "a JPEG picture"}, {0, "<", "a web page, or XML"},
                {4, "ORTM", "ONNX Runtime's own format (.ort)"},
                {8, "{", "a safetensors file, perhaps"}};
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
                size_t n = strlen(kinds[i].bytes);
                if (s.size >= kinds[i].at + n &&
                        memcmp(s.data + kinds[i].at, kinds[i].bytes, n) == 0)
                        return kinds[i].what;
        }
        return is_text(s) ? "text" : NULL;
}

static void
release(resect_model *m)
{
        rs_external_free(m->external);
        rs_input_free(m->input);
}

/* The folder that external data lie in: as told, else the model's own; none for a stream or memory.
 */
static bool
set_base(resect_model *m, const char *path, const char *base, resect_error *err)
{
        if (base) {
                m->base = rs_arena_strdup(&m->arena, base, err);
                return m->base;
        }
        if (!path || strcmp(path, "-") == 0)
                return true;
        const char *slash = strrchr(path, '/');
        m->base = slash ? rs_arena_strndup(&m->arena, path, (size_t)(slash - path) + 1, err) : ".";
        return m->base;
}

static bool
read_bytes(rs_reader *r, rs_span bytes, bool verify)
{
        if (bytes.size > MESSAGE_MAX)
                return rs_fail(r->err, RESECT_UNSUPPORTED,
                        "%zu bytes, more than a protobuf message may have", bytes.size);
        if (bytes.size == 0)
                return rs_fail(r->err, RESECT_FORMAT, "is empty");
        if (!rs_guard(bytes, &onnx__model_proto__descriptor, check_message, NULL, r->err)) {
                const char *what =
                        r->err && r->err->code == RESECT_FORMAT ? something_else(bytes) : NULL;
                return what ? rs_fail(r->err, RESECT_FORMAT, "not an ONNX model, but %s", what)
                            : false;
        }
        return read_model(r, bytes) && (!verify || rs_digest_verify(r->m, r->err));
}

/* Makes the model of an input, which it owns from now on. path is NULL for memory. */
static resect_model *
make(rs_input *in, const char *path, const char *shown, const resect_read_options *o,
        resect_error *err)
{
        resect_model *m = rs_model_new(err);
        if (!m) {
                rs_input_free(in);
                return NULL;
        }
        m->input = in;
        m->release = release;
        m->allow_hard_links = o->allow_hard_links;
        m->external = rs_external_make(err);
        m->path = m->external ? rs_arena_strdup(&m->arena, path ? path : shown, err) : NULL;
        rs_reader r = {.m = m, .err = err, .allocator = {unpack_alloc, unpack_free, &r}};
        r.left = in->size < SIZE_MAX - BUDGET ? in->size + BUDGET : SIZE_MAX;
        bool ok = m->path && set_base(m, path, o->base, err);
        if (ok && !read_bytes(&r, (rs_span){in->data, in->size}, !o->skip_digest))
                ok = rs_fail_at(err, "%s", shown);
        rs_buf_free(&r.scratch);
        m->n_sealed = m->graph.n_tensors;
        if (ok)
                return m;
        resect_model_free(m);
        return NULL;
}

/* The limit on reading: what can be no message need not be read to its end. */
static uint64_t
limit(const resect_read_options *o)
{
        return o->max_size && o->max_size < MESSAGE_MAX ? o->max_size : MESSAGE_MAX;
}

static resect_model *
make_if_read(rs_input *in, const char *path, const char *shown, const resect_read_options *o,
        resect_error *err)
{
        if (in)
                return make(in, path, shown, o, err);
        if (err && err->code == RESECT_UNSUPPORTED && limit(o) == MESSAGE_MAX)
                rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: more than %llu bytes, which no ONNX model in one piece may have",
                        shown, (unsigned long long)MESSAGE_MAX);
        return NULL;
}

resect_model *
resect_model_read(const char *path, const resect_read_options *options, resect_error *err)
{
        static const resect_read_options none;
        const resect_read_options *o = options ? options : &none;
        return make_if_read(rs_input_open(path, limit(o), err), path,
                strcmp(path, "-") ? path : "standard input", o, err);
}

resect_model *
resect_model_read_memory(
        const void *bytes, size_t size, const resect_read_options *options, resect_error *err)
{
        static const resect_read_options none;
        const resect_read_options *o = options ? options : &none;
        return make_if_read(
                rs_input_copy(bytes, size, "model", limit(o), err), NULL, "model", o, err);
}
