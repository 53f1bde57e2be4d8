/* SPDX-License-Identifier: 0BSD */
/*
 * Caffe's .caffemodel: a NetParameter (caffe: src/caffe/proto/caffe.proto), of which the layers'
 * names and blobs are taken. Three generations of layers are one table of field numbers. A blob's
 * values lie in one run in every file that Caffe itself wrote; they stay there. NVIDIA's branch
 * adds raw_data, which is where float16 goes.
 *
 * A tensor is called LAYER/INDEX: a BatchNorm's mean is bn_conv1/0, a Scale's gamma scale_conv1/0.
 */
#include "weights/caffe.h"

#include <stdio.h>
#include <string.h>
#include "onnx/wire.h"
#include "tensor/dtype.h"

static const int32_t raw_types[] = {
        RESECT_DOUBLE, RESECT_FLOAT, RESECT_FLOAT16, RESECT_INT32, RESECT_UINT32};
enum { N_RAW_TYPES = sizeof raw_types / sizeof *raw_types };

/* NetParameter's `layer`, `layers`, and what `layers` held before that. */
static const struct generation {
        uint32_t name, type, blobs, conv, norm; /* 0: it has none */
} v2 = {CAFFE_LAYER_NAME, CAFFE_LAYER_TYPE, CAFFE_LAYER_BLOBS, CAFFE_CONV, CAFFE_NORM},
  v1 = {4, 5, 6, 10, 0}, v0 = {1, 2, 50, 0, 0};

enum { V1_V0_LAYER = 1, V1_CONVOLUTION = 4, V1_DECONVOLUTION = 39 };

static bool
printable(const unsigned char *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (s[i] < 0x20 || s[i] > 0x7e)
                        return false;
        return n > 0;
}

/* A short string field, tag already taken: takes it off the front. */
static bool
short_string(rs_span *s)
{
        if (s->size < 2 || s->data[0] >= 0x80 || s->data[0] + 1u > s->size ||
                !printable(s->data + 1, s->data[0]))
                return false;
        size_t n = s->data[0] + 1u;
        s->data += n;
        s->size -= n;
        return true;
}

static bool
take_tag(rs_span *s, unsigned char tag)
{
        if (s->size == 0 || s->data[0] != tag)
                return false;
        s->data++;
        s->size--;
        return true;
}

/* There is no magic: the name says it, or a net whose first layer begins with a name and a type. */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        static const char suffix[] = ".caffemodel";
        size_t n = strlen(path);
        rs_span s = {head, size};
        uint64_t unused;
        if (!head)
                return false;
        if (n >= sizeof suffix && !strcmp(path + n - (sizeof suffix - 1), suffix))
                return true;
        if (take_tag(&s, 0x0a) && !short_string(&s))
                return false;
        return take_tag(&s, 0xa2) && take_tag(&s, 0x06) && rs_wire_varint(&s, &unused) &&
               take_tag(&s, 0x0a) && short_string(&s) && take_tag(&s, 0x12) && s.size > 1 &&
               s.data[1] >= 'A' && s.data[1] <= 'Z' && short_string(&s);
}

struct reading {
        rs_checkpoint *c;
        const unsigned char *start;
        resect_error *err;
        const struct generation *as; /* the layer's */
        char layer[CAFFE_NAME_BYTES + 1];
        bool convolution;
        unsigned n_blobs;
        rs_says conv, norm; /* what the layer's parameters say */
        bool says_conv, says_norm;
};

static bool
wrong(const struct reading *r, const unsigned char *at, const char *what)
{
        return rs_fail(r->err, RESECT_FORMAT, "%s: offset %zu: %s", r->c->path,
                (size_t)(at - r->start), what);
}

/* The next field of a message: 1, 0 at its end, -1 damaged. */
static int
next(const struct reading *r, rs_span *rest, rs_field *f)
{
        if (rest->size == 0)
                return 0;
        if (rs_wire_next(rest, f))
                return 1;
        wrong(r, rest->data, "no valid field: cut short or damaged");
        return -1;
}

static bool
expect(const struct reading *r, const rs_field *f, enum rs_wire_type type)
{
        return f->type == type || wrong(r, f->whole.data, "a field of the wrong wire type");
}

/* Blobs ---------------------------------------------------------------------------------------- */

struct blob {
        rs_span wire;
        int rank; /* of shape; -1: none */
        int64_t dims[RESECT_RANK_MAX + 1];
        bool legacy;
        int64_t old[4]; /* num, channels, height, width */
        uint32_t field; /* CAFFE_DATA, CAFFE_DOUBLE or CAFFE_RAW: where the values are; 0: none */
        size_t runs;    /* in how many pieces */
        rs_span run;    /* the last of them */
        size_t bytes;   /* of all */
        uint64_t raw_type;
};

static bool
add_dim(const struct reading *r, struct blob *b, const unsigned char *at, uint64_t v)
{
        if (v > INT64_MAX)
                return wrong(r, at, "a negative dimension");
        if (b->rank > RESECT_RANK_MAX)
                return true; /* refused when it is added */
        b->dims[b->rank++] = (int64_t)v;
        return true;
}

static bool
read_shape(const struct reading *r, struct blob *b, rs_span rest)
{
        rs_field f;
        int more;
        uint64_t v;
        if (b->rank >= 0)
                return wrong(r, rest.data, "two shapes in a blob");
        b->rank = 0;
        while ((more = next(r, &rest, &f)) > 0) {
                if (f.number != 1)
                        continue;
                if (f.type == RS_WIRE_VARINT && !add_dim(r, b, f.whole.data, f.value))
                        return false;
                if (f.type == RS_WIRE_VARINT)
                        continue;
                if (!expect(r, &f, RS_WIRE_LEN))
                        return false;
                while (f.body.size > 0)
                        if (!rs_wire_varint(&f.body, &v) || !add_dim(r, b, f.whole.data, v))
                                return wrong(r, f.whole.data, "a shape is damaged");
        }
        return more == 0;
}

static size_t
width_of(uint32_t field)
{
        return field == CAFFE_DATA ? 4 : field == CAFFE_DOUBLE ? 8 : 1;
}

/* A run of values: packed, or a single one. */
static bool
value_run(const rs_field *f, rs_span *out)
{
        size_t width = width_of(f->number);
        if (f->type == RS_WIRE_LEN) {
                *out = f->body;
                return f->body.size % width == 0;
        }
        /* the value is the last bytes of the field */
        *out = (rs_span){f->whole.data + f->whole.size - width, width};
        return (width == 4 && f->type == RS_WIRE_32) || (width == 8 && f->type == RS_WIRE_64);
}

static bool
read_values(const struct reading *r, struct blob *b, const rs_field *f)
{
        rs_span run;
        if (b->field && b->field != f->number)
                return wrong(r, f->whole.data, "values of two types in a blob");
        if (b->field == CAFFE_RAW)
                return wrong(r, f->whole.data, "raw_data twice in a blob");
        if (!value_run(f, &run))
                return wrong(r, f->whole.data, "values of the wrong wire type or size");
        b->field = f->number;
        b->run = run;
        b->runs++;
        b->bytes += run.size; /* at most what is there */
        return true;
}

static bool
read_blob(const struct reading *r, struct blob *b, rs_span wire)
{
        rs_field f;
        int more;
        *b = (struct blob){.wire = wire, .rank = -1};
        while ((more = next(r, &wire, &f)) > 0) {
                bool ok = true;
                if (f.number >= CAFFE_NUM && f.number <= CAFFE_WIDTH) {
                        b->legacy = true;
                        ok = expect(r, &f, RS_WIRE_VARINT) &&
                             (f.value <= INT64_MAX ||
                                     wrong(r, f.whole.data, "a negative dimension"));
                        b->old[f.number - 1] = (int64_t)f.value;
                } else if (f.number == CAFFE_SHAPE) {
                        ok = expect(r, &f, RS_WIRE_LEN) && read_shape(r, b, f.body);
                } else if (f.number == CAFFE_RAW_TYPE) {
                        ok = expect(r, &f, RS_WIRE_VARINT);
                        b->raw_type = f.value;
                } else if (f.number == CAFFE_DATA || f.number == CAFFE_DOUBLE ||
                           f.number == CAFFE_RAW)
                        ok = read_values(r, b, &f);
                if (!ok)
                        return false;
        }
        return more == 0;
}

/* Values in several pieces (unpacked, as parsers older than packed fields wrote them). */
static bool
gather(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const rs_span *wire = e->ctx;
        rs_span rest = *wire, run;
        uint32_t field = e->dtype == RESECT_FLOAT ? CAFFE_DATA : CAFFE_DOUBLE;
        rs_field f;
        unsigned char *to = rs_arena_alloc(scratch, e->bytes, 1, err);
        if (!to)
                return false;
        *out = (rs_span){to, e->bytes};
        while (rs_wire_next(&rest, &f))
                if (f.number == field && value_run(&f, &run) && run.size) {
                        memcpy(to, run.data, run.size);
                        to += run.size;
                }
        return true;
}

/*
 * Before blobs had shapes they had four numbers: a vector is 1 x 1 x 1 x N, a matrix 1 x 1 x N x K.
 * The weight of a convolution has four of its own.
 */
static void
settle_shape(const struct reading *r, struct blob *b)
{
        int from = 0;
        if (b->rank >= 0)
                return;
        if (!b->legacy) {
                b->rank = 1;
                b->dims[0] = (int64_t)(b->bytes / (b->field ? width_of(b->field) : 1));
                return;
        }
        if (!(r->convolution && r->n_blobs == 0) && b->old[0] == 1 && b->old[1] == 1)
                from = b->old[2] == 1 ? 3 : 2;
        b->rank = 4 - from;
        memcpy(b->dims, b->old + from, (size_t)b->rank * sizeof *b->dims);
}

static bool
add_blob(struct reading *r, rs_span wire)
{
        struct blob b;
        char name[CAFFE_NAME_BYTES + 16];
        size_t count, bytes;
        int32_t dtype = RESECT_FLOAT;
        if (!read_blob(r, &b, wire))
                return false;
        settle_shape(r, &b);
        snprintf(name, sizeof name, "%s/%u", r->layer, r->n_blobs++);
        if (!b.field)
                return rs_checkpoint_skip(r->c, name, r->err, "a blob without values");
        if (b.field == CAFFE_RAW && b.raw_type >= N_RAW_TYPES)
                return rs_checkpoint_skip(
                        r->c, name, r->err, "raw_data of type %u", (unsigned)b.raw_type);
        if (b.field == CAFFE_RAW)
                dtype = raw_types[b.raw_type];
        else if (b.field == CAFFE_DOUBLE)
                dtype = RESECT_DOUBLE;
        if (b.runs == 1 || b.rank > RESECT_RANK_MAX)
                return rs_checkpoint_add(r->c, name, dtype, b.rank, b.dims, b.run, r->err);
        if (rs_tensor_extent(dtype, b.rank, b.dims, &count, &bytes, r->err) && bytes != b.bytes)
                return rs_fail(r->err, RESECT_FORMAT,
                        "%s: %s: %zu bytes of data for a shape that takes %zu", r->c->path, name,
                        b.bytes, bytes);
        rs_span *kept = RS_NEW(&r->c->arena, 1, rs_span, r->err);
        if (!kept)
                return false;
        *kept = b.wire;
        return rs_checkpoint_add_lazy(r->c, name, dtype, b.rank, b.dims, gather, kept, r->err);
}

/* Layers --------------------------------------------------------------------------------------- */

static bool
read_layer_name(struct reading *r, const rs_field *f)
{
        if (!expect(r, f, RS_WIRE_LEN))
                return false;
        if (r->layer[0] || f->body.size > CAFFE_NAME_BYTES || memchr(f->body.data, 0, f->body.size))
                return wrong(r, f->whole.data, "a layer's name: twice, too long or with a NUL");
        if (f->body.size)
                memcpy(r->layer, f->body.data, f->body.size);
        r->layer[f->body.size] = '\0';
        return true;
}

static void
read_layer_type(struct reading *r, const rs_field *f)
{
        static const char *const types[] = {"Convolution", "Deconvolution", "conv"};
        if (f->type == RS_WIRE_VARINT)
                r->convolution |= f->value == V1_CONVOLUTION || f->value == V1_DECONVOLUTION;
        for (size_t i = 0; i < 3 && f->type == RS_WIRE_LEN; i++)
                r->convolution |= f->body.size == strlen(types[i]) &&
                                  !memcmp(f->body.data, types[i], f->body.size);
}

/* The stride of a Convolution. */
static bool
read_conv(struct reading *r, const rs_field *f)
{
        rs_span rest = f->body;
        rs_field p;
        uint64_t stride = 1, first;
        int more;
        if (!expect(r, f, RS_WIRE_LEN))
                return false;
        while ((more = next(r, &rest, &p)) > 0) {
                rs_span packed = p.body;
                if (p.number != CAFFE_STRIDE && p.number != CAFFE_STRIDE_H)
                        continue;
                if (p.type == RS_WIRE_VARINT)
                        stride = p.value;
                else if (p.type == RS_WIRE_LEN && rs_wire_varint(&packed, &first))
                        stride = first;
        }
        r->says_conv = true;
        r->conv = (rs_says){.epsilon = -1, .stride = stride < 64 ? (int)stride : 0};
        return more == 0;
}

/* Epsilon and momentum of a BatchNorm, which has Caffe's own where it does not say. */
static bool
read_norm(struct reading *r, const rs_field *f)
{
        rs_span rest = f->body;
        rs_field p;
        int more;
        if (!expect(r, f, RS_WIRE_LEN))
                return false;
        float fraction = 0.999F, eps = 1e-5F;
        while ((more = next(r, &rest, &p)) > 0) {
                uint32_t bits = (uint32_t)p.value;
                if (p.type == RS_WIRE_32 && p.number == CAFFE_MOVING_FRACTION)
                        memcpy(&fraction, &bits, 4);
                else if (p.type == RS_WIRE_32 && p.number == CAFFE_EPS)
                        memcpy(&eps, &bits, 4);
        }
        r->says_norm = true;
        r->norm = (rs_says){.epsilon = eps >= 0 && eps <= 1 ? (double)eps : -1,
                .momentum = fraction > 0 && fraction <= 1 ? (double)fraction : 0};
        return more == 0;
}

static bool
read_layer(struct reading *r, rs_span wire, const struct generation *as)
{
        rs_span rest = wire;
        rs_field f, old = {0};
        int more;
        r->layer[0] = '\0';
        r->convolution = false;
        r->n_blobs = 0;
        r->says_conv = r->says_norm = false;
        while ((more = next(r, &rest, &f)) > 0) {
                if (as == &v1 && f.number == V1_V0_LAYER && f.type == RS_WIRE_LEN)
                        old = f;
                else if (f.number == as->type)
                        read_layer_type(r, &f);
                else if (f.number == as->name && !read_layer_name(r, &f))
                        return false;
                else if (as->conv && f.number == as->conv && !read_conv(r, &f))
                        return false;
                else if (as->norm && f.number == as->norm && !read_norm(r, &f))
                        return false;
        }
        if (more < 0)
                return false;
        if (old.whole.data)
                return read_layer(r, old.body, &v0);
        while ((more = next(r, &wire, &f)) > 0) {
                if (f.number != as->blobs)
                        continue;
                if (!r->layer[0] || r->n_blobs == CAFFE_BLOBS_MAX)
                        return wrong(r, f.whole.data,
                                r->layer[0] ? "more than 16 blobs in a layer"
                                            : "a layer with blobs and without a name");
                size_t before = r->c->n_entries;
                unsigned blob = r->n_blobs;
                if (!expect(r, &f, RS_WIRE_LEN) || !add_blob(r, f.body))
                        return false;
                if (r->c->n_entries == before)
                        continue;
                if (r->says_conv && blob == 0 && !rs_checkpoint_say(r->c, before, &r->conv, r->err))
                        return false;
                if (r->says_norm && blob == 1 && !rs_checkpoint_say(r->c, before, &r->norm, r->err))
                        return false;
        }
        return more == 0;
}

static bool
note_name(struct reading *r, const rs_field *f)
{
        rs_arena scratch = {0};
        char *s = NULL;
        if (f->type != RS_WIRE_LEN || f->body.size > CAFFE_NAME_BYTES || !f->body.size ||
                memchr(f->body.data, 0, f->body.size))
                return true;
        s = rs_arena_strndup(&scratch, (const char *)f->body.data, f->body.size, r->err);
        bool ok = s && rs_checkpoint_note(r->c, "name", s, r->err);
        rs_arena_free(&scratch);
        return ok;
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        struct reading *r = RS_NEW(&c->arena, 1, struct reading, err);
        rs_span rest = {in->data, in->size};
        rs_field f;
        int more;
        size_t layers = 0;
        if (!r)
                return false;
        r->c = c;
        r->start = in->data;
        r->err = err;
        while ((more = next(r, &rest, &f)) > 0) {
                bool layer = f.number == CAFFE_LAYER || f.number == CAFFE_LAYERS;
                if (f.number == CAFFE_NET_NAME && !note_name(r, &f))
                        return false;
                if (!layer)
                        continue;
                layers++;
                if (!expect(r, &f, RS_WIRE_LEN) ||
                        !read_layer(r, f.body, f.number == CAFFE_LAYER ? &v2 : &v1))
                        return false;
        }
        if (more == 0 && layers == 0)
                return rs_fail(err, RESECT_FORMAT, "%s: no layers: not a Caffe model", c->path);
        return more == 0;
}

static const char *const suffixes[] = {".caffemodel", NULL};

const rs_format rs_format_caffe = {
        .name = "caffe",
        .help = "Caffe's .caffemodel (float16 as NVIDIA's branch writes it)",
        .suffixes = suffixes,
        .scheme = "caffe",
        .sniff = sniff,
        .read = read,
        .write = rs_caffe_write,
};
