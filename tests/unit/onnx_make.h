/* SPDX-License-Identifier: 0BSD */
/*
 * Models made by hand, byte by byte: the tests' own protobuf writer, which shares nothing with the
 * library's, and three small models that between them have everything the schema knows.
 */
#ifndef ONNX_MAKE_H
#define ONNX_MAKE_H

#include <check.h>
#include <stdint.h>
#include <string.h>
#include "base/mem.h"

static inline void
mk_varint(rs_buf *b, uint64_t v)
{
        for (; v >= 128; v >>= 7)
                rs_buf_add(b, &(unsigned char){(unsigned char)(v | 128)}, 1);
        rs_buf_add(b, &(unsigned char){(unsigned char)v}, 1);
}

static inline void
mk_int(rs_buf *b, unsigned field, int64_t v)
{
        mk_varint(b, field << 3);
        mk_varint(b, (uint64_t)v);
}

static inline void
mk_bytes(rs_buf *b, unsigned field, const void *bytes, size_t n)
{
        mk_varint(b, field << 3 | 2);
        mk_varint(b, n);
        rs_buf_add(b, bytes, n);
}

static inline void
mk_text(rs_buf *b, unsigned field, const char *s)
{
        mk_bytes(b, field, s, strlen(s));
}

/* A message as a field; it is used up. */
static inline void
mk_message(rs_buf *b, unsigned field, rs_buf *message)
{
        mk_bytes(b, field, message->data, message->size);
        rs_buf_free(message);
}

static inline void
mk_entry(rs_buf *b, unsigned field, const char *key, const char *value)
{
        rs_buf e = {0};
        mk_text(&e, 1, key);
        mk_text(&e, 2, value);
        mk_message(b, field, &e);
}

static inline void
mk_float(rs_buf *b, unsigned field, float v)
{
        mk_varint(b, field << 3 | 5);
        rs_buf_add(b, &v, 4);
}

static inline void
mk_opset(rs_buf *b, const char *domain, int64_t version)
{
        rs_buf o = {0};
        if (domain)
                mk_text(&o, 1, domain);
        mk_int(&o, 2, version);
        mk_message(b, 8, &o);
}

/* name, dtype, dims; the payload follows by the caller. */
static inline rs_buf
mk_tensor(const char *name, int dtype, int rank, const int64_t *dims)
{
        rs_buf t = {0};
        for (int i = 0; i < rank; i++)
                mk_int(&t, 1, dims[i]);
        mk_int(&t, 2, dtype);
        if (name)
                mk_text(&t, 8, name);
        return t;
}

static inline rs_buf
mk_value(const char *name, int dtype, int rank, const int64_t *dims)
{
        rs_buf v = {0}, type = {0}, tensor = {0}, shape = {0};
        for (int i = 0; i < rank; i++) {
                rs_buf dim = {0};
                if (dims[i] >= 0)
                        mk_int(&dim, 1, dims[i]);
                else
                        mk_text(&dim, 2, "N");
                mk_text(&dim, 3, "DATA_CHANNEL");
                mk_message(&shape, 1, &dim);
        }
        mk_int(&tensor, 1, dtype);
        mk_message(&tensor, 2, &shape);
        mk_message(&type, 1, &tensor);
        mk_text(&type, 6, "IMAGE");
        mk_text(&v, 1, name);
        mk_message(&v, 2, &type);
        mk_text(&v, 3, "a value's doc");
        mk_entry(&v, 4, "vk", "vv");
        return v;
}

static inline rs_buf
mk_node(const char *op, const char *name, const char *in, const char *out)
{
        rs_buf n = {0};
        if (in)
                mk_text(&n, 1, in);
        if (out)
                mk_text(&n, 2, out);
        mk_text(&n, 3, name);
        mk_text(&n, 4, op);
        return n;
}

/* The model around a graph, with the graph where most writers put it: in the middle. */
static inline rs_buf
mk_model(rs_buf *graph)
{
        rs_buf m = {0};
        mk_int(&m, 1, 8);
        mk_text(&m, 2, "mk");
        mk_text(&m, 3, "");
        mk_message(&m, 7, graph);
        mk_opset(&m, "", 17);
        return m;
}

/* A graph of one Relu from x to y over [2]. */
static inline rs_buf
mk_relu_graph(void)
{
        rs_buf g = {0}, part;
        part = mk_node("Relu", "relu", "x", "y");
        mk_message(&g, 1, &part);
        mk_text(&g, 2, "g");
        part = mk_value("x", 1, 1, (const int64_t[]){2});
        mk_message(&g, 11, &part);
        part = mk_value("y", 1, 1, (const int64_t[]){2});
        mk_message(&g, 12, &part);
        return g;
}

/* A model of one node and one given TensorProto as initializer; the tensor is used up. */
static inline rs_buf
mk_tensor_model(rs_buf *tensor)
{
        rs_buf g = mk_relu_graph();
        mk_message(&g, 5, tensor);
        return mk_model(&g);
}

static inline rs_buf
mk_attr(const char *name, int type)
{
        rs_buf a = {0};
        mk_text(&a, 1, name);
        mk_int(&a, 20, type);
        mk_text(&a, 13, "an attribute's doc");
        return a;
}

/* Every kind of attribute and tensor payload, doc strings, unknown fields. */
static inline rs_buf
mk_rich(void)
{
        rs_buf g = {0}, n, a, t;
        const int64_t two[] = {2};
        static const float f[] = {1.5f, -2.25f};
        n = mk_node("Conv", "conv", "x", "h");
        a = mk_attr("strides", 7);
        mk_int(&a, 8, 1);
        mk_int(&a, 8, 2);
        mk_message(&n, 5, &a);
        a = mk_attr("alpha", 1);
        mk_float(&a, 2, 0.5f);
        mk_message(&n, 5, &a);
        a = mk_attr("group", 2);
        mk_int(&a, 3, -1);
        mk_message(&n, 5, &a);
        a = mk_attr("auto_pad", 3);
        mk_text(&a, 4, "NOTSET");
        mk_message(&n, 5, &a);
        a = mk_attr("packed", 6);
        mk_bytes(&a, 7, f, sizeof f);
        mk_message(&n, 5, &a);
        a = mk_attr("words", 8);
        mk_text(&a, 9, "one");
        mk_text(&a, 9, "");
        mk_message(&n, 5, &a);
        mk_text(&n, 6, "a node's doc");
        mk_entry(&n, 9, "nk", "nv");
        mk_text(&n, 99, "a field of the future");
        mk_message(&g, 1, &n);

        n = mk_node("Constant", "constant", NULL, "c");
        a = mk_attr("value", 4);
        t = mk_tensor(NULL, 1, 1, two);
        mk_bytes(&t, 9, f, sizeof f);
        mk_message(&a, 5, &t);
        mk_message(&n, 5, &a);
        mk_message(&g, 1, &n);

        n = mk_node("If", "if", "c", "y");
        a = mk_attr("then_branch", 5);
        t = mk_relu_graph();
        mk_message(&a, 6, &t);
        mk_message(&n, 5, &a);
        mk_text(&n, 7, "ai.onnx");
        mk_message(&g, 1, &n);

        mk_text(&g, 2, "rich");
        t = mk_tensor("raw", 1, 1, two);
        mk_bytes(&t, 9, f, sizeof f);
        mk_text(&t, 12, "a tensor's doc");
        mk_entry(&t, 16, "tk", "tv");
        mk_text(&t, 200, "a field of the future");
        mk_message(&g, 5, &t);
        t = mk_tensor("floats", 1, 1, two);
        mk_bytes(&t, 4, f, sizeof f);
        mk_message(&g, 5, &t);
        t = mk_tensor("loose", 1, 1, two);
        mk_float(&t, 4, 3.0f);
        mk_float(&t, 4, 4.0f);
        mk_message(&g, 5, &t);
        t = mk_tensor("longs", 7, 1, two);
        mk_bytes(&t, 7, "\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
        mk_message(&g, 5, &t);
        t = mk_tensor("halves", 10, 1, two);
        mk_bytes(&t, 5, "\x80\x78\x81\x78", 4);
        mk_message(&g, 5, &t);
        t = mk_tensor("words", 8, 1, two);
        mk_text(&t, 6, "eins");
        mk_text(&t, 6, "zwei");
        mk_message(&g, 5, &t);
        t = mk_tensor("scalar", 11, 0, NULL);
        mk_bytes(&t, 10, &(double){2.5}, 8);
        mk_message(&g, 5, &t);
        t = mk_tensor("none", 1, 1, (const int64_t[]){0});
        mk_message(&g, 5, &t);
        mk_text(&g, 10, "a graph's doc");
        t = mk_value("x", 1, 4, (const int64_t[]){-1, 3, 8, 8});
        mk_message(&g, 11, &t);
        t = mk_value("y", 1, 1, two);
        mk_message(&g, 12, &t);
        t = mk_value("h", 1, 0, NULL);
        mk_message(&g, 13, &t);
        t = (rs_buf){0};
        mk_text(&t, 1, "untyped");
        mk_message(&g, 13, &t);
        mk_entry(&g, 16, "gk", "gv");

        rs_buf m = {0};
        mk_int(&m, 1, 8);
        mk_text(&m, 2, "mk");
        mk_message(&m, 7, &g);
        mk_text(&m, 6, "a model's doc");
        mk_opset(&m, "ai.onnx", 17);
        mk_opset(&m, "com.example", 1);
        mk_entry(&m, 14, "key", "value");
        mk_entry(&m, 14, "empty", "");
        mk_text(&m, 300, "a field of the future");
        return m;
}

/* A TensorProto whose values are in a file. */
static inline rs_buf
mk_external(const char *name, int64_t count, const char *location, const char *offset,
        const char *length)
{
        rs_buf t = mk_tensor(name, 1, 1, &count);
        if (location)
                mk_entry(&t, 13, "location", location);
        if (offset)
                mk_entry(&t, 13, "offset", offset);
        if (length)
                mk_entry(&t, 13, "length", length);
        mk_int(&t, 14, 1);
        return t;
}

/* External data. */
static inline rs_buf
mk_external_model(void)
{
        rs_buf t = mk_external("outside", 2, "weights.bin", "4", "8");
        return mk_tensor_model(&t);
}

/* Functions, training information, sparse initializers, sequences, quantization annotations, device
 * configurations. */
static inline rs_buf
mk_strange(void)
{
        rs_buf g = mk_relu_graph(), s = {0}, t, part = {0}, type = {0}, seq = {0};
        t = mk_tensor("sparse", 1, 1, (const int64_t[]){1});
        mk_bytes(&t, 9, "\0\0\x80\x3f", 4);
        mk_message(&s, 1, &t);
        t = mk_tensor("", 7, 1, (const int64_t[]){1});
        mk_int(&t, 7, 1);
        mk_message(&s, 2, &t);
        mk_int(&s, 3, 2);
        mk_message(&g, 15, &s);
        mk_text(&part, 1, "x");
        mk_entry(&part, 2, "SCALE_TENSOR", "s");
        mk_message(&g, 14, &part);
        t = (rs_buf){0};
        mk_int(&t, 1, 1);
        mk_message(&part, 1, &t);
        mk_message(&seq, 1, &part);
        mk_message(&type, 4, &seq);
        mk_text(&part, 1, "sequence");
        mk_message(&part, 2, &type);
        mk_message(&g, 13, &part);
        rs_buf m = mk_model(&g), f = {0};
        mk_text(&f, 1, "func");
        mk_text(&f, 4, "a");
        mk_text(&f, 5, "b");
        t = mk_node("Relu", "inner", "a", "b");
        mk_message(&f, 7, &t);
        mk_text(&f, 10, "local");
        mk_message(&m, 25, &f);
        t = mk_relu_graph();
        mk_message(&part, 1, &t);
        mk_entry(&part, 3, "x", "y");
        mk_message(&m, 20, &part);
        mk_text(&part, 1, "device");
        mk_int(&part, 2, 4);
        mk_message(&m, 26, &part);
        mk_int(&m, 5, -3);
        mk_text(&m, 4, "org.example");
        return m;
}

#endif
