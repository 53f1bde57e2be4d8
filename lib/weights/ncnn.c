/* SPDX-License-Identifier: 0BSD */
/*
 * ncnn: the network as text in NAME.param, the weights without names in NAME.bin, in the order of
 * the text's layers (ncnn: docs/developer-guide/param-and-model-file-structure.md,
 * operation-param-weight-table.md, src/modelbin.cpp). So every layer must be understood, at least
 * how many weights it has; a layer that is not known is an error, since all behind it would be read
 * from the wrong place. Tensors are called as PyTorch would: LAYER.weight, LAYER.bias,
 * LAYER.running_mean.
 *
 * A network is written by ncnn_graph.c.
 */
#include "weights/ncnn.h"

#include <stdio.h>
#include <string.h>
#include "onnx/wire.h"
#include "tensor/dtype.h"
#include "weights/json.h"

enum { PARAMS = 32, TOKEN_MAX = 255, LAYERS_MAX = 1000000 };

static const char magic[] = "7767517";

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        (void)path;
        return head && size > sizeof magic && !memcmp(head, magic, sizeof magic - 1) &&
               (head[sizeof magic - 1] == '\n' || head[sizeof magic - 1] == '\r');
}

struct reading {
        rs_checkpoint *c;
        const char *text; /* the .param's name, for messages */
        rs_span rest;     /* of the text */
        rs_span bin;      /* what no layer has taken yet */
        size_t line;
        resect_error *err;
};

struct layer {
        char type[TOKEN_MAX + 1], name[TOKEN_MAX + 1];
        int64_t p[PARAMS];
        uint32_t set;   /* bit k: p[k] is given */
        double epsilon; /* key 1 as a fraction: a BatchNorm's */
};

static bool
wrong(const struct reading *r, const char *what)
{
        return rs_fail(r->err, RESECT_FORMAT, "%s: line %zu: %s", r->text, r->line, what);
}

/* The next line without its end; false at the end of the text. */
static bool
next_line(struct reading *r, rs_span *line)
{
        if (r->rest.size == 0)
                return false;
        const unsigned char *end = memchr(r->rest.data, '\n', r->rest.size);
        size_t n = end ? (size_t)(end - r->rest.data) : r->rest.size;
        *line = (rs_span){r->rest.data, n};
        r->rest.data += n + (end != NULL);
        r->rest.size -= n + (end != NULL);
        r->line++;
        return true;
}

/* The next word of a line, into s; 0 at the end, -1 too long or with a NUL. */
static int
next_word(rs_span *line, char s[TOKEN_MAX + 1])
{
        size_t n = 0;
        while (line->size && (*line->data == ' ' || *line->data == '\t' || *line->data == '\r')) {
                line->data++;
                line->size--;
        }
        for (; line->size && *line->data != ' ' && *line->data != '\t' && *line->data != '\r';
                line->data++, line->size--) {
                if (n == TOKEN_MAX || !*line->data)
                        return -1;
                s[n++] = (char)*line->data;
        }
        s[n] = '\0';
        return n > 0;
}

/* A whole decimal number of at most 18 digits. */
static bool
integer(const char *s, int64_t *out)
{
        bool minus = *s == '-';
        size_t n = strspn(s + minus, "0123456789");
        int64_t v = 0;
        if (n == 0 || n > 18 || s[minus + n])
                return false;
        for (s += minus; *s; s++)
                v = v * 10 + (*s - '0');
        *out = minus ? -v : v;
        return true;
}

/* KEY=VALUE. Only whole numbers say how many weights there are, and one fraction what they mean;
 * the other fractions, lists and text are passed over. */
static bool
take_param(struct reading *r, struct layer *l, char *word)
{
        char *equal = strchr(word, '=');
        int64_t key, value;
        if (equal)
                *equal = '\0';
        if (!equal || !integer(word, &key))
                return wrong(r, "a word that is no KEY=VALUE");
        if (key < 0 || key >= PARAMS)
                return key <= -23300 || wrong(r, "a key that does not exist");
        if (l->set >> key & 1)
                return wrong(r, "a key is given twice");
        if (integer(equal + 1, &value)) {
                l->p[key] = value;
                l->set |= UINT32_C(1) << key;
        }
        if (key == 1 && !strcmp(l->type, "BatchNorm")) {
                if (!rs_decimal(equal + 1, &l->epsilon) || l->epsilon < 0)
                        return wrong(r, "an epsilon that is no positive number");
                l->epsilon = (double)(float)l->epsilon; /* which is what ncnn holds */
        }
        return true;
}

static bool
take_layer(struct reading *r, rs_span line, struct layer *l)
{
        char word[TOKEN_MAX + 1];
        int64_t n[2];
        int more;
        *l = (struct layer){0};
        if (next_word(&line, l->type) <= 0 || next_word(&line, l->name) <= 0)
                return wrong(r, "no layer: type and name are missing");
        for (int i = 0; i < 2; i++)
                if (next_word(&line, word) <= 0 || !integer(word, &n[i]) || n[i] < 0 ||
                        n[i] > LAYERS_MAX)
                        return wrong(r, "how many blobs come in and go out?");
        for (int64_t i = 0; i < n[0] + n[1]; i++)
                if (next_word(&line, word) <= 0)
                        return wrong(r, "fewer blobs than it says");
        while ((more = next_word(&line, word)) > 0)
                if (!take_param(r, l, word))
                        return false;
        return more == 0 || wrong(r, "a word of more than 255 bytes");
}

static int64_t
param(const struct layer *l, int key, int64_t otherwise)
{
        return l->set >> key & 1 ? l->p[key] : otherwise;
}

/* Weights -------------------------------------------------------------------------------------- */

static bool
take(struct reading *r, const struct layer *l, size_t n, rs_span *out)
{
        *out = (rs_span){r->bin.data, n};
        if (n > r->bin.size)
                return rs_fail(r->err, RESECT_FORMAT,
                        "%s: line %zu: %s wants %zu bytes of weights, %zu are left", r->text,
                        r->line, l->name, n, r->bin.size);
        r->bin.data += n;
        r->bin.size -= n;
        return true;
}

static bool
add(struct reading *r, const struct layer *l, const char *field, int32_t dtype, int rank,
        const int64_t *dims, rs_span data)
{
        char name[TOKEN_MAX + 32];
        size_t n = strlen(l->name);
        memcpy(name, l->name, n);
        strcpy(name + n, field);
        return rs_checkpoint_add(r->c, name, dtype, rank, dims, data, r->err);
}

/* float32 without a flag. */
static bool
take_plain(struct reading *r, const struct layer *l, const char *field, int64_t n)
{
        size_t count, bytes;
        rs_span data;
        if (!rs_tensor_extent(RESECT_FLOAT, 1, &n, &count, &bytes, NULL))
                return wrong(r, "a number of weights that no file can hold");
        return take(r, l, bytes, &data) && add(r, l, field, RESECT_FLOAT, 1, &n, data);
}

/* A flag that tells the storage, then the values, padded to 4 bytes. */
static bool
take_flagged(struct reading *r, const struct layer *l, int rank, const int64_t *dims)
{
        size_t count, bytes;
        int32_t dtype = RESECT_FLOAT;
        rs_span s;
        if (!take(r, l, 4, &s))
                return false;
        uint32_t flag = rs_wire_load32(s.data);
        if (flag == RS_NCNN_HALF)
                dtype = RESECT_FLOAT16;
        else if (flag == RS_NCNN_BFLOAT)
                dtype = RESECT_BFLOAT16;
        else if (flag != 0 && flag != RS_NCNN_PLAIN)
                return rs_fail(r->err, RESECT_UNSUPPORTED,
                        "%s: line %zu: %s: weights in storage 0x%08x (8-bit integers or a table)",
                        r->text, r->line, l->name, (unsigned)flag);
        if (!rs_tensor_extent(dtype, rank, dims, &count, &bytes, NULL))
                return wrong(r, "a number of weights that no file can hold");
        if (!take(r, l, bytes, &s) || !add(r, l, ".weight", dtype, rank, dims, s))
                return false;
        return take(r, l, (4 - bytes % 4) % 4, &s);
}

/* The weights of a Convolution or an InnerProduct, whose number is given apart from the shape. */
static bool
take_product(struct reading *r, const struct layer *l, int rank, int64_t *dims, int size_key,
        int bias_key)
{
        int64_t size = param(l, size_key, 0), each = 1;
        if (param(l, 8, 0) != 0)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "%s: line %zu: %s has 8-bit weights",
                        r->text, r->line, l->name);
        for (int i = 0; i < rank; i++)
                if (i != 1) {
                        if (dims[i] <= 0 || dims[i] > size || each > size / dims[i])
                                return wrong(r, "a shape that its weights do not fill");
                        each *= dims[i];
                }
        if (size % each)
                return wrong(r, "a shape that its weights do not fill");
        dims[1] = size / each;
        if (!take_flagged(r, l, rank, dims))
                return false;
        return param(l, bias_key, 0) == 0 || take_plain(r, l, ".bias", dims[0]);
}

static bool
convolution(struct reading *r, const struct layer *l)
{
        int64_t width = param(l, 1, 0);
        int64_t dims[4] = {param(l, 0, 0), 0, param(l, 11, width), width}, stride = param(l, 3, 1);
        size_t weight = r->c->n_entries;
        const rs_says says = {.epsilon = -1,
                .stride = stride > 0 && stride < 64 ? (int)stride : 0,
                .end = stride > 1 && width > 1 &&
                       (param(l, 4, 0) == RS_NCNN_SAME ||
                               (param(l, 4, 0) == 0 && param(l, 15, param(l, 4, 0)) > 0))};
        return take_product(r, l, 4, dims, 6, 5) && rs_checkpoint_say(r->c, weight, &says, r->err);
}

static bool
inner_product(struct reading *r, const struct layer *l)
{
        int64_t dims[2] = {param(l, 0, 0), 0};
        return take_product(r, l, 2, dims, 2, 1);
}

static bool
batch_norm(struct reading *r, const struct layer *l)
{
        static const char *const fields[] = {".weight", ".running_mean", ".running_var", ".bias"};
        for (int i = 0; i < 4; i++)
                if (!take_plain(r, l, fields[i], param(l, 0, 0)))
                        return false;
        /* the variance's */
        return rs_checkpoint_say(
                r->c, r->c->n_entries - 2, &(rs_says){.epsilon = l->epsilon}, r->err);
}

static bool
scale(struct reading *r, const struct layer *l)
{
        int64_t n = param(l, 0, 0);
        if (n == -233) /* the factors are its second blob */
                return true;
        return take_plain(r, l, ".weight", n) &&
               (param(l, 1, 0) == 0 || take_plain(r, l, ".bias", n));
}

static bool
vector(struct reading *r, const struct layer *l)
{
        return take_plain(r, l, ".weight", param(l, 0, 0));
}

static bool
padding(struct reading *r, const struct layer *l)
{
        return param(l, 6, 0) == 0 || take_plain(r, l, ".weight", param(l, 6, 0));
}

static bool
nothing(struct reading *r, const struct layer *l)
{
        (void)r;
        (void)l;
        return true;
}

static const struct kind {
        const char *type;
        bool (*weights)(struct reading *r, const struct layer *l);
} kinds[] = {{"Convolution", convolution}, {"ConvolutionDepthWise", convolution},
        {"InnerProduct", inner_product}, {"BatchNorm", batch_norm}, {"Scale", scale},
        {"PReLU", vector}, {"Bias", vector}, {"Padding", padding}, {"Input", nothing},
        {"ReLU", nothing}, {"Pooling", nothing}, {"Eltwise", nothing}, {"BinaryOp", nothing},
        {"UnaryOp", nothing}, {"Softmax", nothing}, {"Split", nothing}, {"Concat", nothing},
        {"Flatten", nothing}, {"Dropout", nothing}, {"Reshape", nothing}, {"Permute", nothing},
        {"Sigmoid", nothing}, {"Swish", nothing}, {"Clip", nothing}, {"Noop", nothing},
        {"Crop", nothing}, {"Interp", nothing}, {"Reduction", nothing}, {"Squeeze", nothing},
        {"ExpandDims", nothing}, {"AbsVal", nothing}, {"TanH", nothing}, {"HardSwish", nothing},
        {"HardSigmoid", nothing}, {"ELU", nothing}, {"GELU", nothing}, {"Mish", nothing},
        {"LRN", nothing}, {"Slice", nothing}, {"Packing", nothing}, {"ShuffleChannel", nothing},
        {"PixelShuffle", nothing}, {"Power", nothing}, {"Exp", nothing}, {"Log", nothing},
        {"SELU", nothing}, {"BNLL", nothing}, {"ArgMax", nothing}};

static bool
take_weights(struct reading *r, const struct layer *l)
{
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
                if (!strcmp(kinds[i].type, l->type))
                        return kinds[i].weights(r, l);
        return rs_fail(r->err, RESECT_UNSUPPORTED,
                "%s: line %zu: layers of type %s are not known here, nor how many weights they "
                "have",
                r->text, r->line, l->type);
}

/* The text, whose layers take their weights off the front of bin. */
static bool
read_both(struct reading *r)
{
        struct layer l;
        rs_span line;
        char word[TOKEN_MAX + 1];
        int64_t count;
        if (!next_line(r, &line) || !next_line(r, &line) || next_word(&line, word) <= 0 ||
                !integer(word, &count) || count < 0 || count > LAYERS_MAX)
                return wrong(r, "how many layers?");
        for (int64_t i = 0; i < count; i++)
                if (!next_line(r, &line))
                        return rs_fail(r->err, RESECT_FORMAT, "%s: %lld layers of %lld", r->text,
                                (long long)i, (long long)count);
                else if (!take_layer(r, line, &l) || !take_weights(r, &l))
                        return false;
        while (next_line(r, &line))
                if (next_word(&line, word) != 0)
                        return wrong(r, "more layers than it says");
        return r->bin.size == 0 ||
               rs_fail(r->err, RESECT_FORMAT, "%s: %zu bytes of weights that no layer takes",
                       r->text, r->bin.size);
}

bool
rs_ncnn_read(rs_checkpoint *c, const char *name, rs_span text, rs_span bin, resect_error *err)
{
        struct reading r = {.c = c, .text = name, .rest = text, .bin = bin, .err = err};
        return read_both(&r);
}

/* path with one suffix in place of another; NULL when it does not end so. */
static char *
other_name(rs_arena *a, const char *path, const char *from, const char *to, resect_error *err)
{
        size_t n = strlen(path), m = strlen(from);
        if (n <= m || strcmp(path + n - m, from) != 0)
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        "%s: ncnn's other file is looked for in place of %s, which this is not",
                        path, from);
        return rs_arena_printf(a, err, "%.*s%s", (int)(n - m), path, to);
}

char *
rs_ncnn_bin(rs_arena *a, const char *param_path, resect_error *err)
{
        return other_name(a, param_path, ".param", ".bin", err);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        bool text = sniff(in->data, in->size, c->path);
        char *name = text ? rs_ncnn_bin(&c->arena, c->path, err)
                          : other_name(&c->arena, c->path, ".bin", ".param", err);
        const rs_input *other = name ? rs_checkpoint_open(c, name, err) : NULL;
        if (!other)
                return false;
        if (!text && !sniff(other->data, other->size, name))
                return rs_fail(err, RESECT_FORMAT, "%s: not an ncnn network in text", name);
        const rs_input *words = text ? in : other, *bin = text ? other : in;
        return rs_ncnn_read(c, text ? c->path : name, (rs_span){words->data, words->size},
                (rs_span){bin->data, bin->size}, err);
}

static void
take_away(const char *path)
{
        rs_arena a = {0};
        const char *bin = rs_ncnn_bin(&a, path, NULL);
        if (bin) {
                remove(path);
                remove(bin);
        }
        rs_arena_free(&a);
}

static const char *const suffixes[] = {".param", NULL};

const rs_format rs_format_ncnn = {
        .name = "ncnn",
        .help = "ncnn's .param and .bin, the network in words and the weights",
        .suffixes = suffixes,
        .scheme = "ncnn",
        .graph = true,
        .many = true,
        .sniff = sniff,
        .read = read,
        .write = rs_ncnn_write,
        .remove = take_away,
};
