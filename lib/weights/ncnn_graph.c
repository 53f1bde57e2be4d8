/* SPDX-License-Identifier: 0BSD */
/*
 * A residual network in ncnn's words, written from its graph, so that strides, padding and pools
 * are those of the model and of nothing else. BatchNormalization becomes a BatchNorm layer where it
 * still stands in the graph (resect-fold takes it out). A value that several layers read goes
 * through a Split, as ncnn demands. Layers are called after the place that the anatomy gives their
 * weights: layer1.0.conv1.
 */
#include <string.h>
#include <unistd.h>
#include "edit/edit.h"
#include "look/trunk.h"
#include "model/model.h"
#include "resect/look.h"
#include "tensor/dtype.h"
#include "weights/ncnn.h"

enum { NAME_BYTES = 200 };

struct writing {
        resect_model *m;
        rs_index ix;
        resect_anatomy *anatomy;
        rs_arena arena;
        rs_buf text; /* the layers' lines */
        size_t layers, blobs;
        rs_map layer_names, blob_names, values; /* values: ONNX's name -> struct blob */
        rs_output *bin;
        int32_t dtype; /* of weights: what is asked for, or 0 */
        resect_error *err;
};

struct blob {
        const char *name;
        size_t readers, taken; /* more than one reader: through a Split, */
        const char **split;    /* which makes these */
};

static bool
refuse(const struct writing *w, const rs_node *n, const char *what)
{
        return rs_fail(w->err, RESECT_UNSUPPORTED, "%s (%s): %s", n->name[0] ? n->name : n->out[0],
                n->op, what);
}

/* Names ---------------------------------------------------------------------------------------- */

/* A name as ncnn can have it, unlike all in names: no blanks, short. */
static const char *
fresh(struct writing *w, rs_map *names, const char *wish, size_t n)
{
        char clean[NAME_BYTES + 1];
        n = n < NAME_BYTES ? n : NAME_BYTES;
        for (size_t i = 0; i < n; i++)
                clean[i] = (char)(wish[i] > ' ' && wish[i] < 0x7f ? wish[i] : '_');
        clean[n] = '\0';
        const char *name = rs_arena_strdup(&w->arena, clean, w->err);
        for (size_t k = 1; name && rs_map_get(names, name); k++)
                name = rs_arena_printf(&w->arena, w->err, "%s_%zu", clean, k + names->count);
        return name && rs_map_put(names, name, w, NULL, w->err) ? name : NULL;
}

/* What the anatomy calls the weights' place, else what the node is called, else what it is. */
static const char *
layer_name(struct writing *w, const rs_node *n, const rs_tensor *weight)
{
        const char *place = weight ? resect_anatomy_tensor_canonical(w->anatomy, weight->name)
                                   : NULL,
                   *dot = place ? strrchr(place, '.') : NULL;
        if (dot)
                return fresh(w, &w->layer_names, place, (size_t)(dot - place));
        const char *wish = n->name[0] ? n->name : n->op;
        return fresh(w, &w->layer_names, wish, strlen(wish));
}

/* The blob of a value that a layer is about to make. */
static const char *
make_blob(struct writing *w, const char *value)
{
        const rs_link *link = rs_index_find(&w->ix, value);
        struct blob *b = RS_NEW(&w->arena, 1, struct blob, w->err);
        if (!b || !(b->name = fresh(w, &w->blob_names, value, strlen(value))) ||
                !rs_map_put(&w->values, value, b, NULL, w->err))
                return NULL;
        b->readers = link ? link->n_uses : 0;
        w->blobs++;
        return b->name;
}

/* After the layer: a Split for a value of many readers. */
static bool
split_blob(struct writing *w, const char *value)
{
        struct blob *b = rs_map_get(&w->values, value);
        if (b->readers < 2)
                return true;
        if (!(b->split = RS_NEW(&w->arena, b->readers, const char *, w->err)))
                return false;
        rs_buf_printf(&w->text, "Split split.%s 1 %zu %s", b->name, b->readers, b->name);
        for (size_t i = 0; i < b->readers; i++) {
                const char *wish = rs_arena_printf(&w->arena, w->err, "%s.split.%zu", b->name, i);
                if (!wish || !(b->split[i] = fresh(w, &w->blob_names, wish, strlen(wish))))
                        return false;
                rs_buf_printf(&w->text, " %s", b->split[i]);
        }
        rs_buf_str(&w->text, "\n");
        w->layers++;
        w->blobs += b->readers;
        return true;
}

/* Puts the name by which the next reader of a value knows it. */
static bool
put_input(struct writing *w, const rs_node *n, size_t slot)
{
        struct blob *b = slot < n->n_in ? rs_map_get(&w->values, n->in[slot]) : NULL;
        if (!b)
                return refuse(w, n, "an input that is constant or missing");
        rs_buf_printf(
                &w->text, " %s", b->readers > 1 ? b->split[b->taken++ % b->readers] : b->name);
        return true;
}

/* "TYPE NAME inputs 1 IN... OUT": the line up to its parameters. */
static bool
begin(struct writing *w, const rs_node *n, const char *type, const rs_tensor *weight, size_t n_in)
{
        const char *name = layer_name(w, n, weight), *out;
        if (!name)
                return false;
        rs_buf_printf(&w->text, "%s %s %zu 1", type, name, n_in);
        for (size_t i = 0; i < n_in; i++)
                if (!put_input(w, n, i))
                        return false;
        if (!(out = make_blob(w, n->out[0])))
                return false;
        rs_buf_printf(&w->text, " %s", out);
        w->layers++;
        return true;
}

static bool
end(struct writing *w, const rs_node *n)
{
        rs_buf_str(&w->text, "\n");
        return split_blob(w, n->out[0]) && (!w->text.oom || rs_fail_nomem(w->err));
}

static bool
plain(struct writing *w, const rs_node *n, const char *type, size_t n_in, const char *params)
{
        if (!begin(w, n, type, NULL, n_in))
                return false;
        rs_buf_str(&w->text, params);
        return end(w, n);
}

/* Weights -------------------------------------------------------------------------------------- */

static rs_tensor *
constant(const struct writing *w, const rs_node *n, size_t slot)
{
        return slot < n->n_in ? rs_constant(&w->ix, n->in[slot]) : NULL;
}

/* The values of a tensor as dtype, in the order of dims at these strides; bytes in scratch. */
static bool
values(struct writing *w, const rs_tensor *t, int32_t dtype, const int64_t *dims,
        const int64_t *strides, rs_arena *scratch, rs_span *out)
{
        rs_span from;
        size_t width = rs_dtype_bits(dtype) / 8, size;
        if (!rs_tensor_bytes(w->m, t, scratch, &from, w->err))
                return false;
        if (!rs_mul(t->count, width, &size))
                return rs_fail_nomem(w->err);
        if (!strides && t->dtype == dtype) {
                *out = from;
                return true;
        }
        /* as doubles: every element type that a Conv may have goes through one without loss */
        unsigned char *to = rs_arena_alloc(scratch, size ? size : 1, 1, w->err);
        if (!to)
                return false;
        for (size_t i = 0; i < t->count; i++) {
                size_t at = strides ? i / (size_t)dims[1] * (size_t)strides[0] +
                                              i % (size_t)dims[1] * (size_t)strides[1]
                                    : i;
                rs_store(to, dtype, i, rs_load(from.data, t->dtype, at));
        }
        *out = (rs_span){to, size};
        return true;
}

static bool
is_real(const rs_tensor *t)
{
        return t->dtype == RESECT_FLOAT || t->dtype == RESECT_FLOAT16 ||
               t->dtype == RESECT_BFLOAT16 || t->dtype == RESECT_DOUBLE;
}

/* float32 without a flag: biases, and all of a BatchNorm. */
static bool
put_plain(struct writing *w, const rs_node *n, const rs_tensor *t, size_t count)
{
        rs_arena scratch = {0};
        rs_span s;
        if (!t || !is_real(t) || t->count != count)
                return refuse(w, n, "a bias or factor that is no constant of one number a channel");
        bool ok = values(w, t, RESECT_FLOAT, NULL, NULL, &scratch, &s) &&
                  rs_output_put(w->bin, &s, 1, w->err);
        rs_arena_free(&scratch);
        return ok;
}

/* A flag, the weights, and padding to 4 bytes. */
static bool
put_flagged(struct writing *w, const rs_tensor *t, const int64_t *dims, const int64_t *strides)
{
        static const unsigned char zeros[4];
        int32_t dtype = w->dtype ? w->dtype : t->dtype;
        bool half = dtype == RESECT_FLOAT16, bfloat = dtype == RESECT_BFLOAT16;
        uint32_t flag = half ? RS_NCNN_HALF : bfloat ? RS_NCNN_BFLOAT : 0;
        unsigned char head[4];
        rs_arena scratch = {0};
        rs_span s[3] = {{head, 4}};
        for (int i = 0; i < 4; i++)
                head[i] = (unsigned char)(flag >> 8 * i);
        bool ok =
                values(w, t, half || bfloat ? dtype : RESECT_FLOAT, dims, strides, &scratch, &s[1]);
        s[2] = (rs_span){zeros, (4 - s[1].size % 4) % 4};
        ok = ok && rs_output_put(w->bin, s, 3, w->err);
        rs_arena_free(&scratch);
        return ok;
}

/* Operators ------------------------------------------------------------------------------------ */

/* Two or four whole numbers of an attribute; otherwise where it is absent. */
static bool
ints(struct writing *w, const rs_node *n, const char *name, size_t count, int64_t otherwise,
        int64_t *out)
{
        const rs_attr *a = rs_node_attr(n, name);
        if (a && (a->type != RS_ATTR_INTS || a->n != count))
                return refuse(w, n, "not an operation on pictures");
        for (size_t i = 0; i < count; i++)
                out[i] = a ? a->ints[i] : otherwise;
        return true;
}

struct window {
        int64_t kernel[2], strides[2], dilations[2], pads[4]; /* top, left, bottom, right */
        bool same_upper, same_lower;
};

static bool
take_window(struct writing *w, const rs_node *n, struct window *v)
{
        rs_span pad = rs_node_string(n, "auto_pad");
        v->same_upper = rs_span_is(pad, "SAME_UPPER");
        v->same_lower = rs_span_is(pad, "SAME_LOWER");
        return ints(w, n, "kernel_shape", 2, 0, v->kernel) &&
               ints(w, n, "strides", 2, 1, v->strides) &&
               ints(w, n, "dilations", 2, 1, v->dilations) && ints(w, n, "pads", 4, 0, v->pads);
}

static void
put_pads(struct writing *w, const struct window *v, int top_key, int right_key)
{
        rs_buf_printf(&w->text, " 3=%lld %d=%lld %d=%lld", (long long)v->pads[1], top_key,
                (long long)v->pads[0], right_key, (long long)v->pads[3]);
}

static bool
conv(struct writing *w, const rs_node *n)
{
        const rs_tensor *weight = constant(w, n, 1), *bias = constant(w, n, 2);
        int64_t group = rs_node_int(n, "group", 1);
        bool biased = n->n_in > 2 && n->in[2][0];
        struct window v;
        if (!weight || weight->rank != 4 || !is_real(weight))
                return refuse(w, n, "a weight that is no constant with four dimensions");
        if (!take_window(w, n, &v))
                return false;
        const int64_t *d = weight->dims;
        if (v.same_upper || v.same_lower)
                for (int i = 0; i < 4; i++)
                        v.pads[i] = v.same_upper ? RS_NCNN_SAME : RS_NCNN_SAME - 1;
        if (!begin(w, n, group == 1 ? "Convolution" : "ConvolutionDepthWise", weight, 1))
                return false;
        rs_buf_printf(&w->text, " 0=%lld 1=%lld 11=%lld 2=%lld 12=%lld 3=%lld 13=%lld",
                (long long)d[0], (long long)d[3], (long long)d[2], (long long)v.dilations[1],
                (long long)v.dilations[0], (long long)v.strides[1], (long long)v.strides[0]);
        rs_buf_printf(&w->text, " 4=%lld 14=%lld 15=%lld 16=%lld 5=%d 6=%zu", (long long)v.pads[1],
                (long long)v.pads[0], (long long)v.pads[3], (long long)v.pads[2], biased,
                weight->count);
        if (group != 1)
                rs_buf_printf(&w->text, " 7=%lld", (long long)group);
        return put_flagged(w, weight, NULL, NULL) &&
               (!biased || put_plain(w, n, bias, (size_t)d[0])) && end(w, n);
}

static bool
batch_norm(struct writing *w, const rs_node *n)
{
        static const size_t slots[] = {1, 3, 4, 2}; /* ncnn's order: slope, mean, variance, bias */
        const rs_tensor *gamma = constant(w, n, 1);
        if (!gamma || gamma->rank != 1 || n->n_out > 1)
                return refuse(w, n, "not in the form for inference, with constants");
        if (!begin(w, n, "BatchNorm", gamma, 1))
                return false;
        rs_buf_printf(&w->text, " 0=%zu 1=%.9e", gamma->count,
                (double)rs_node_float(n, "epsilon", 1e-5f));
        for (int i = 0; i < 4; i++)
                if (!put_plain(w, n, constant(w, n, slots[i]), gamma->count))
                        return false;
        return end(w, n);
}

static bool
pool(struct writing *w, const rs_node *n)
{
        bool average = !strcmp(n->op, "AveragePool");
        struct window v;
        if (!take_window(w, n, &v))
                return false;
        if (n->n_out > 1 || v.kernel[0] <= 0 || v.dilations[0] != 1 || v.dilations[1] != 1)
                return refuse(w, n, "ncnn's pools have no dilation and no indices");
        if (!begin(w, n, "Pooling", NULL, 1))
                return false;
        rs_buf_printf(&w->text, " 0=%d 1=%lld 11=%lld 2=%lld 12=%lld", average,
                (long long)v.kernel[1], (long long)v.kernel[0], (long long)v.strides[1],
                (long long)v.strides[0]);
        put_pads(w, &v, 13, 14);
        rs_buf_printf(&w->text, " 15=%lld 5=%d", (long long)v.pads[2],
                v.same_upper                          ? 2
                : v.same_lower                        ? 3
                : rs_node_int(n, "ceil_mode", 0) == 0 ? 1
                                                      : 0);
        if (average)
                rs_buf_printf(&w->text, " 6=%d", rs_node_int(n, "count_include_pad", 0) != 0);
        return end(w, n);
}

static bool
global_pool(struct writing *w, const rs_node *n)
{
        return plain(w, n, "Pooling", 1, " 0=1 4=1");
}

/* Of the mean over height and width alone. */
static bool
reduce_mean(struct writing *w, const rs_node *n)
{
        const rs_attr *a = rs_node_attr(n, "axes");
        const rs_tensor *t = constant(w, n, 1);
        rs_arena scratch = {0};
        rs_span s;
        int64_t axes[2] = {0};
        if (a && a->type == RS_ATTR_INTS && a->n == 2) {
                axes[0] = a->ints[0];
                axes[1] = a->ints[1];
        } else if (t && t->count == 2 && t->dtype == RESECT_INT64) {
                bool ok = rs_tensor_bytes(w->m, t, &scratch, &s, w->err);
                for (size_t i = 0; ok && i < 2; i++)
                        axes[i] = rs_load_int(s.data, t->dtype, i);
                rs_arena_free(&scratch);
                if (!ok)
                        return false;
        }
        for (int i = 0; i < 2; i++)
                axes[i] += axes[i] < 0 ? 4 : 0;
        if (!(axes[0] == 2 && axes[1] == 3) && !(axes[0] == 3 && axes[1] == 2))
                return refuse(w, n, "not a mean over height and width");
        return global_pool(w, n);
}

static bool
gemm(struct writing *w, const rs_node *n)
{
        const rs_tensor *weight = constant(w, n, 1), *bias = constant(w, n, 2);
        bool biased = n->n_in > 2 && n->in[2][0], across = rs_node_int(n, "transB", 0) == 0;
        if (!weight || weight->rank != 2 || !is_real(weight) || rs_node_int(n, "transA", 0) ||
                (double)rs_node_float(n, "alpha", 1) != 1 ||
                (double)rs_node_float(n, "beta", 1) != 1)
                return refuse(w, n, "no plain affine map with a constant weight");
        int64_t out = weight->dims[across], in = weight->dims[!across];
        int64_t dims[2] = {out, in}, strides[2] = {1, out};
        if (!begin(w, n, "InnerProduct", weight, 1))
                return false;
        rs_buf_printf(&w->text, " 0=%lld 1=%d 2=%zu", (long long)out, biased, weight->count);
        return put_flagged(w, weight, dims, across ? strides : NULL) &&
               (!biased || put_plain(w, n, bias, (size_t)out)) && end(w, n);
}

static bool
add(struct writing *w, const rs_node *n)
{
        return n->n_in == 2 ? plain(w, n, "BinaryOp", 2, " 0=0")
                            : refuse(w, n, "a sum of other than two");
}

static bool
relu(struct writing *w, const rs_node *n)
{
        return plain(w, n, "ReLU", 1, "");
}

/* Over the channels: to ncnn, which knows of no batch, they are the first axis. */
static bool
softmax(struct writing *w, const rs_node *n)
{
        int64_t axis = rs_node_int(n, "axis", rs_model_opset(w->m) < 13 ? 1 : -1),
                dims[RESECT_RANK_MAX];
        int rank;
        if (axis < 0)
                axis += n->n_in && rs_value_dims(w->anatomy, n->in[0], &rank, dims) ? rank : 2;
        if (axis != 1)
                return refuse(w, n, "not over the channels");
        return plain(w, n, "Softmax", 1, " 0=0 1=1");
}

/* What is behind the pool is a vector to ncnn already. */
static bool
flatten(struct writing *w, const rs_node *n)
{
        const rs_tensor *shape = constant(w, n, 1);
        if (!strcmp(n->op, "Reshape") && (!shape || shape->count != 2))
                return refuse(w, n, "not a reshaping to rows");
        if (!strcmp(n->op, "Flatten") && rs_node_int(n, "axis", 1) != 1)
                return refuse(w, n, "not one row a picture");
        return plain(w, n, "Flatten", 1, "");
}

/* Of initializers too: PyTorch's exporter shares equal ones through them. */
static bool
noop(struct writing *w, const rs_node *n)
{
        if (constant(w, n, 0))
                return true;
        return plain(w, n, "Noop", 1, "");
}

static const struct translation {
        const char *op;
        bool (*write)(struct writing *w, const rs_node *n);
} translations[] = {{"Conv", conv}, {"BatchNormalization", batch_norm}, {"Relu", relu},
        {"Add", add}, {"Sum", add}, {"MaxPool", pool}, {"AveragePool", pool},
        {"GlobalAveragePool", global_pool}, {"ReduceMean", reduce_mean}, {"Flatten", flatten},
        {"Reshape", flatten}, {"Squeeze", flatten}, {"Gemm", gemm}, {"Softmax", softmax},
        {"Identity", noop}, {"Dropout", noop}};

static bool
put_node(struct writing *w, const rs_node *n)
{
        for (size_t i = 0; i < sizeof translations / sizeof *translations; i++)
                if (!n->domain[0] && !strcmp(translations[i].op, n->op))
                        return translations[i].write(w, n);
        return refuse(w, n, "an operator that is not translated for ncnn");
}

static bool
put_input_layer(struct writing *w)
{
        const rs_value *in = NULL;
        for (size_t i = 0; i < w->m->graph.n_inputs; i++) {
                const rs_value *v = w->m->graph.inputs[i];
                if (rs_model_is_initializer(w->m, v->name))
                        continue;
                if (in)
                        return rs_fail(w->err, RESECT_UNSUPPORTED, "more than one input: %s and %s",
                                in->name, v->name);
                in = v;
        }
        if (!in || in->rank != 4)
                return rs_fail(w->err, RESECT_UNSUPPORTED, "no input [N, C, H, W]");
        const char *name = make_blob(w, in->name);
        if (!name)
                return false;
        rs_buf_printf(&w->text, "Input %s 0 1 %s", name, name);
        if (in->dims[1] > 0 && in->dims[2] > 0 && in->dims[3] > 0)
                rs_buf_printf(&w->text, " 0=%lld 1=%lld 2=%lld", (long long)in->dims[3],
                        (long long)in->dims[2], (long long)in->dims[1]);
        rs_buf_str(&w->text, "\n");
        w->layers++;
        return split_blob(w, in->name) && rs_map_put(&w->layer_names, name, w, NULL, w->err);
}

static bool
put_network(struct writing *w, rs_output *param)
{
        rs_buf head = {0};
        bool ok = rs_graph_sort(w->m, w->err) && rs_index_make(&w->ix, &w->m->graph, w->err) &&
                  (w->anatomy = resect_anatomy_find(w->m, w->err)) && put_input_layer(w);
        for (size_t i = 0; ok && i < w->m->graph.n_nodes; i++)
                ok = put_node(w, w->m->graph.nodes[i]);
        rs_buf_printf(&head, "7767517\n%zu %zu\n", w->layers, w->blobs);
        if (ok && (head.oom || w->text.oom))
                ok = rs_fail_nomem(w->err);
        ok = ok && rs_output_bytes(param, head.data, head.size, w->err) &&
             rs_output_bytes(param, w->text.data, w->text.size, w->err);
        rs_buf_free(&head);
        return ok;
}

static void
forget(struct writing *w)
{
        resect_anatomy_free(w->anatomy);
        rs_index_free(&w->ix);
        rs_map_free(&w->layer_names);
        rs_map_free(&w->blob_names);
        rs_map_free(&w->values);
        rs_buf_free(&w->text);
        rs_arena_free(&w->arena);
}

bool
rs_ncnn_write(const rs_writing *writing, resect_error *err)
{
        struct writing w = {.m = writing->model, .dtype = writing->dtype, .err = err};
        rs_output *param = NULL;
        if (!w.m)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: ncnn's files hold the network too: they are written from a model, not "
                        "from weights alone",
                        writing->path);
        char *bin = rs_ncnn_bin(&w.arena, writing->path, err);
        bool ok = bin && (w.bin = rs_output_open(bin, err)) &&
                  (param = rs_output_open(writing->path, err)) && put_network(&w, param);
        if (ok) {
                ok = rs_output_close(w.bin, err);
                w.bin = NULL;
        }
        if (ok) {
                ok = rs_output_close(param, err);
                param = NULL;
                if (!ok)
                        unlink(bin); /* weights without their words */
        }
        rs_output_abandon(w.bin);
        rs_output_abandon(param);
        forget(&w);
        return ok;
}
