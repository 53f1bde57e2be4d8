/* SPDX-License-Identifier: 0BSD */
/*
 * What is read comes back: as equal messages, judged by protobuf-c (both sides unpacked and packed
 * again in its own order), with doc strings and unknown fields, through every way in and out; and
 * what is touched changes and nothing else.
 */
#include "config.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "model/model.h"
#include "onnx.pb-c.h"
#include "onnx/digest.h"
#include "onnx_make.h"
#include "scratch.h"

/* A message in protobuf-c's canonical bytes. */
static rs_buf
canonical(const void *bytes, size_t n)
{
        rs_buf out = {0};
        ProtobufCMessage *m =
                protobuf_c_message_unpack(&onnx__model_proto__descriptor, NULL, n, bytes);
        ck_assert_ptr_nonnull(m);
        out.size = protobuf_c_message_get_packed_size(m);
        out.data = malloc(out.size + 1);
        protobuf_c_message_pack(m, out.data);
        protobuf_c_message_free_unpacked(m, NULL);
        return out;
}

static void
check_equal(const void *a, size_t na, const void *b, size_t nb, const char *what)
{
        rs_buf ca = canonical(a, na), cb = canonical(b, nb);
        ck_assert_msg(ca.size == cb.size && memcmp(ca.data, cb.data, ca.size) == 0,
                "%s: the message changed", what);
        free(ca.data);
        free(cb.data);
}

static resect_model *
must_read(const rs_buf *b)
{
        resect_error err;
        resect_model *m = resect_model_read_memory(b->data, b->size, NULL, &err);
        ck_assert_msg(m != NULL, "%s", err.msg);
        return m;
}

static rs_buf
must_write(const resect_model *m)
{
        resect_error err;
        rs_buf b = {0};
        void *bytes;
        CK_OK(resect_model_write_memory(m, &bytes, &b.size, &err), err);
        b.data = bytes;
        return b;
}

static rs_buf (*const makers[])(void) = {mk_rich, mk_external_model, mk_strange};

START_TEST(made_models)
{
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < 3; i++) {
                rs_buf b = makers[i]();
                resect_model *m = must_read(&b);
                rs_buf out = must_write(m);
                check_equal(b.data, b.size, out.data, out.size, "memory");
                CK_OK(resect_model_write(m, scratch("m.onnx"), &err), err);
                ck_assert(scratch_is("m.onnx", out.data, out.size));
                CK_OK(resect_model_write(m, scratch("m.onnx.gz"), &err), err);
                resect_model_free(m);
                /* what we wrote is written again as the same bytes */
                m = resect_model_read(scratch("m.onnx.gz"), NULL, &err);
                CK_OK(m != NULL, err);
                rs_buf again = must_write(m);
                ck_assert_uint_eq(again.size, out.size);
                ck_assert_mem_eq(again.data, out.data, out.size);
                resect_model_free(m);
                rs_buf_free(&again);
                rs_buf_free(&out);
                rs_buf_free(&b);
        }
        scratch_done();
}
END_TEST

START_TEST(what_is_decoded)
{
        rs_buf b = mk_rich();
        resect_model *m = must_read(&b);
        const rs_graph *g = &m->graph;
        ck_assert_int_eq(m->ir_version, 8);
        ck_assert_str_eq(m->producer, "mk");
        ck_assert_str_eq(m->producer_version, "");
        ck_assert_uint_eq(m->n_opsets, 2);
        ck_assert_str_eq(m->opsets[0].domain, "");
        ck_assert_int_eq(rs_model_opset(m), 17);
        ck_assert_str_eq(resect_model_meta(m, "key"), "value");
        ck_assert_str_eq(resect_model_meta(m, "empty"), "");
        ck_assert_str_eq(g->name, "rich");
        ck_assert_uint_eq(g->n_nodes, 3);
        const rs_node *conv = g->nodes[0];
        ck_assert_str_eq(conv->op, "Conv");
        ck_assert_str_eq(conv->in[0], "x");
        ck_assert_uint_eq(conv->n_attrs, 6);
        const rs_attr *a = rs_node_attr(conv, "strides");
        ck_assert(a->type == RS_ATTR_INTS && a->n == 2 && a->ints[0] == 1 && a->ints[1] == 2);
        ck_assert(rs_node_float(conv, "alpha", 0) == 0.5f);
        ck_assert_int_eq(rs_node_int(conv, "group", 7), -1);
        ck_assert(rs_span_is(rs_node_string(conv, "auto_pad"), "NOTSET"));
        a = rs_node_attr(conv, "packed");
        ck_assert(a->type == RS_ATTR_FLOATS && a->n == 2 && a->floats[1] == -2.25f);
        a = rs_node_attr(conv, "words");
        ck_assert(a->type == RS_ATTR_STRINGS && a->n == 2 && rs_span_is(a->strings[0], "one") &&
                  a->strings[1].size == 0);
        a = rs_node_attr(g->nodes[1], "value");
        ck_assert(a->t && a->t->bytes == 8 && a->t->where == RS_HERE);
        ck_assert_str_eq(g->nodes[2]->domain, ""); /* ai.onnx is ONNX's own */
        ck_assert_uint_eq(g->n_tensors, 8);
        ck_assert_int_eq(g->inputs[0]->rank, 4);
        ck_assert_int_eq(g->inputs[0]->dims[0], -1);
        ck_assert_str_eq(g->inputs[0]->symbols[0], "N");
        ck_assert_int_eq(g->inputs[0]->dims[1], 3);
        ck_assert_int_eq(g->values[0]->rank, 0);
        ck_assert(g->values[1]->is_tensor && g->values[1]->rank == -1 && g->values[1]->dtype == 0);
        resect_model_free(m);
        rs_buf_free(&b);
        b = mk_strange();
        m = must_read(&b);
        ck_assert_uint_eq(m->graph.n_sparse, 1);
        ck_assert_str_eq(m->graph.sparse[0], "sparse");
        ck_assert(!m->graph.values[0]->is_tensor);
        resect_model_free(m);
        rs_buf_free(&b);
}
END_TEST

static void
check_values(const resect_model *m, const char *name, const void *want, size_t n)
{
        resect_error err;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                rs_arena arena = {0};
                rs_span got;
                if (strcmp(t->name, name))
                        continue;
                CK_OK(rs_tensor_bytes(m, t, &arena, &got, &err), err);
                ck_assert_uint_eq(got.size, n);
                if (n)
                        ck_assert_mem_eq(got.data, want, n);
                rs_arena_free(&arena);
                return;
        }
        ck_abort_msg("no tensor %s", name);
}

START_TEST(values)
{
        rs_buf b = mk_rich();
        resect_model *m = must_read(&b);
        check_values(m, "raw", (const float[]){1.5f, -2.25f}, 8);
        check_values(m, "floats", (const float[]){1.5f, -2.25f}, 8);
        check_values(m, "loose", (const float[]){3, 4}, 8);
        check_values(m, "longs", (const int64_t[]){5, -1}, 16);
        check_values(m, "halves", (const uint16_t[]){0x3c00, 0x3c01}, 4);
        check_values(m, "scalar", &(double){2.5}, 8);
        check_values(m, "none", NULL, 0);
        resect_model_free(m);
        rs_buf_free(&b);
}
END_TEST

static bool
has(const rs_buf *b, const char *text)
{
        return memmem(b->data, b->size, text, strlen(text)) != NULL;
}

/* Names and values of everything that is carried over. */
static const char *const carried[] = {"a node's doc", "nk", "nv", "an attribute's doc",
        "a tensor's doc", "tk", "tv", "a value's doc", "vk", "vv", "IMAGE", "DATA_CHANNEL",
        "a graph's doc", "gk", "gv", "a model's doc", "a field of the future", "NOTSET", "eins",
        "zwei"};

/* Touching without changing: the same message. Touching and renaming: nothing else changes. */
START_TEST(touched)
{
        rs_buf b = mk_rich();
        resect_model *m = must_read(&b);
        rs_graph *g = &m->graph;
        for (size_t i = 0; i < g->n_nodes; i++)
                rs_node_touch(g->nodes[i]);
        for (size_t i = 0; i < g->n_tensors; i++)
                g->tensors[i]->touched = true;
        g->nodes[2]->domain = "ai.onnx"; /* it is read as ""; this is how it stood there */
        for (size_t i = 0; i < g->n_inputs; i++)
                g->inputs[i]->touched = true;
        for (size_t i = 0; i < g->n_outputs; i++)
                g->outputs[i]->touched = true;
        for (size_t i = 0; i < g->n_values; i++)
                g->values[i]->touched = true;
        /* a tensor without payload gets an empty raw_data when it is written anew; take that one
         * out of the comparison */
        g->tensors[7]->touched = false;
        rs_buf out = must_write(m);
        check_equal(b.data, b.size, out.data, out.size, "touched");
        g->nodes[0]->name = "renamed-node";
        g->tensors[0]->name = "renamed-tensor";
        g->inputs[0]->name = "renamed-input";
        rs_buf_free(&out);
        out = must_write(m);
        resect_model_free(m);
        for (size_t i = 0; i < sizeof carried / sizeof *carried; i++)
                ck_assert_msg(has(&out, carried[i]), "%s is lost", carried[i]);
        m = must_read(&out);
        ck_assert_str_eq(m->graph.nodes[0]->name, "renamed-node");
        ck_assert_str_eq(m->graph.tensors[0]->name, "renamed-tensor");
        ck_assert_str_eq(m->graph.inputs[0]->name, "renamed-input");
        check_values(m, "renamed-tensor", (const float[]){1.5f, -2.25f}, 8);
        resect_model_free(m);
        rs_buf_free(&out);
        rs_buf_free(&b);
}
END_TEST

/* New things of every kind are written so that protobuf-c and we read them as they were meant. */
START_TEST(made_anew)
{
        resect_error err;
        resect_model *m = rs_model_new(&err);
        CK_OK(m != NULL, err);
        m->ir_version = 9;
        m->producer = "resect";
        m->opsets = RS_NEW(&m->arena, 1, rs_opset, &err);
        m->opsets[m->n_opsets++] = (rs_opset){"", 18};
        m->graph.name = "fresh";
        rs_node *n = rs_model_add_node(
                m, "Conv", "c", (const char *[]){"x", "w", ""}, 3, (const char *[]){"y"}, 1, &err);
        CK_OK(n != NULL, err);
        CK_OK(rs_node_set_int(m, n, "group", -5, &err), err);
        CK_OK(rs_node_set_float(m, n, "alpha", 0.1f, &err), err);
        CK_OK(rs_node_set_ints(
                      m, n, "pads", (const int64_t[]){0, 1, INT64_MAX, INT64_MIN}, 4, &err),
                err);
        rs_tensor *t =
                rs_model_add_tensor(m, "w", RESECT_FLOAT, 2, (const int64_t[]){300, 200}, &err);
        CK_OK(t != NULL, err);
        float *w = (float *)t->data.data;
        for (int i = 0; i < 60000; i++)
                w[i] = (float)i;
        rs_value *v = rs_model_make_value(m, "x", RESECT_FLOAT, 2, (const int64_t[]){-1, 7},
                (const char *[]){"batch", NULL}, &err);
        CK_OK(v != NULL, err);
        CK_OK(rs_array_push(m, (void ***)&m->graph.inputs, &m->graph.n_inputs, v, &err), err);
        CK_OK(resect_model_set_meta(m, "k", "v", &err), err);
        rs_buf out = must_write(m);
        resect_model_free(m);
        Onnx__ModelProto *p = onnx__model_proto__unpack(NULL, out.size, out.data);
        ck_assert_ptr_nonnull(p);
        ck_assert_int_eq(p->ir_version, 9);
        ck_assert_str_eq(p->producer_name, "resect");
        ck_assert_int_eq(p->opset_import[0]->version, 18);
        ck_assert_str_eq(p->metadata_props[0]->value, "v");
        const Onnx__NodeProto *c = p->graph->node[0];
        ck_assert_uint_eq(c->n_input, 3);
        ck_assert_str_eq(c->input[2], "");
        ck_assert_uint_eq(c->n_attribute, 3);
        ck_assert_int_eq(c->attribute[0]->i, -5);
        ck_assert(c->attribute[1]->f == 0.1f);
        ck_assert_int_eq(c->attribute[2]->ints[3], INT64_MIN);
        ck_assert_int_eq(c->attribute[2]->type, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
        ck_assert_uint_eq(p->graph->initializer[0]->raw_data.len, 240000);
        ck_assert_str_eq(p->graph->input[0]->type->tensor_type->shape->dim[0]->dim_param, "batch");
        ck_assert_int_eq(p->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value, 7);
        onnx__model_proto__free_unpacked(p, NULL);
        m = must_read(&out);
        ck_assert_int_eq(rs_node_int(m->graph.nodes[0], "group", 0), -5);
        resect_model_free(m);
        rs_buf_free(&out);
}
END_TEST

/* Metadata changed here and there: the entries beside them stay the bytes they were. */
START_TEST(metadata_changes)
{
        resect_error err;
        rs_buf g = mk_relu_graph(), b = mk_model(&g);
        for (int i = 0; i < 40; i++) {
                char key[8];
                snprintf(key, sizeof key, "k%d", i);
                mk_entry(&b, 14, key, "v");
        }
        resect_model *m = must_read(&b);
        CK_OK(resect_model_set_meta(m, "k3", NULL, &err), err);
        CK_OK(resect_model_set_meta(m, "k10", "other", &err), err);
        CK_OK(resect_model_set_meta(m, "new", "n", &err), err);
        rs_buf out = must_write(m);
        resect_model_free(m);
        m = must_read(&out);
        ck_assert_ptr_null(resect_model_meta(m, "k3"));
        ck_assert_str_eq(resect_model_meta(m, "k10"), "other");
        ck_assert_str_eq(resect_model_meta(m, "k39"), "v");
        ck_assert_str_eq(resect_model_meta(m, "new"), "n");
        ck_assert_uint_eq(m->n_props, 40);
        resect_model_free(m);
        rs_buf_free(&out);
        rs_buf_free(&b);
}
END_TEST

START_TEST(external_values)
{
        resect_error err;
        rs_buf b = mk_external_model();
        static const float weights[] = {9, 1, 2};
        scratch_make();
        scratch_write("weights.bin", weights, sizeof weights);
        scratch_write("m.onnx", b.data, b.size);
        resect_model *m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        check_values(m, "outside", weights + 1, 8);
        check_values(m, "outside", weights + 1, 8); /* from the file that is open already */
        m->graph.tensors[0]->touched = true;
        rs_buf out = must_write(m);
        check_equal(b.data, b.size, out.data, out.size, "external, touched");
        rs_buf_free(&out);
        m->graph.tensors[0]->location = "elsewhere.bin";
        m->graph.tensors[0]->offset = 1234567;
        out = must_write(m);
        resect_model_free(m);
        m = must_read(&out);
        ck_assert_str_eq(m->graph.tensors[0]->location, "elsewhere.bin");
        ck_assert_uint_eq(m->graph.tensors[0]->offset, 1234567);
        /* no folder: the message says what to do */
        rs_arena arena = {0};
        rs_span s;
        ck_assert(!rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err));
        ck_assert(strstr(err.msg, "--base"));
        resect_model_free(m);
        /* memory with a base */
        m = resect_model_read_memory(
                b.data, b.size, &(resect_read_options){.base = scratch_dir}, &err);
        CK_OK(m != NULL, err);
        check_values(m, "outside", weights + 1, 8);
        resect_model_free(m);
        rs_buf_free(&out);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* The digest: made, verified, independent of where values are kept, renewed by the writer, dropped
 * when it cannot be. */
START_TEST(digest)
{
        resect_error err;
        rs_buf b = mk_rich();
        resect_model *m = must_read(&b);
        CK_OK(resect_model_seal(m, &err), err);
        char first[65];
        strcpy(first, resect_model_meta(m, "resect.digest"));
        ck_assert_uint_eq(strlen(first), 64);
        rs_buf sealed = must_write(m);
        resect_model_free(m);

        m = must_read(&sealed);
        /* the same values kept otherwise, in another order: the same digest */
        rs_tensor *t = m->graph.tensors[1], *u = m->graph.tensors[0];
        t->where = RS_HERE;
        t->data = (rs_span){(const unsigned char *)(const float[]){1.5f, -2.25f}, 8};
        t->touched = true;
        m->graph.tensors[0] = t;
        m->graph.tensors[1] = u;
        rs_buf out = must_write(m);
        ck_assert(has(&out, first));
        rs_buf_free(&out);
        /* a value changes: the writer renews, the reader is content */
        CK_OK(rs_tensor_renew(m, u, 1, (const int64_t[]){3}, &err), err);
        out = must_write(m);
        ck_assert(!has(&out, first));
        ck_assert(has(&out, "resect.digest"));
        resect_model_free(m);
        m = must_read(&out);
        ck_assert_str_ne(resect_model_meta(m, "resect.digest"), first);
        resect_model_free(m);
        rs_buf_free(&out);
        /* one tensor less: another digest */
        m = must_read(&sealed);
        m->graph.n_tensors--;
        out = must_write(m);
        ck_assert(!has(&out, first) && has(&out, "resect.digest"));
        resect_model_free(m);
        rs_buf_free(&out);
        /* every bit of a payload counts */
        unsigned char *payload = memmem(sealed.data, sealed.size, (const float[]){3}, 4);
        ck_assert_ptr_nonnull(payload);
        for (int bit = 0; bit < 32; bit++) {
                payload[bit / 8] ^= (unsigned char)(1 << bit % 8);
                m = resect_model_read_memory(sealed.data, sealed.size, NULL, &err);
                ck_assert_ptr_null(m);
                ck_assert_int_eq(err.code, RESECT_FORMAT);
                ck_assert(strstr(err.msg, "sealed"));
                m = resect_model_read_memory(sealed.data, sealed.size,
                        &(resect_read_options){.skip_digest = true}, &err);
                ck_assert_ptr_nonnull(m);
                resect_model_free(m);
                payload[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        rs_buf_free(&sealed);
        rs_buf_free(&b);
}
END_TEST

START_TEST(digest_of_external)
{
        resect_error err;
        rs_buf b = mk_external_model();
        float weights[] = {9, 1, 2};
        scratch_make();
        scratch_write("weights.bin", weights, sizeof weights);
        scratch_write("m.onnx", b.data, b.size);
        resect_model *m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        CK_OK(resect_model_seal(m, &err), err);
        CK_OK(resect_model_write(m, scratch("m.onnx"), &err), err);
        resect_model_free(m);
        m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        resect_model_free(m);
        weights[1] = 7;
        scratch_write("weights.bin", weights, sizeof weights);
        ck_assert_ptr_null(resect_model_read(scratch("m.onnx"), NULL, &err));
        ck_assert(strstr(err.msg, "sealed"));
        /* moved to where no file is yet: the digest stands */
        weights[1] = 1;
        scratch_write("weights.bin", weights, sizeof weights);
        m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        CK_OK(rs_digest_settle(m, &err), err);
        m->graph.tensors[0]->location = "not-yet.bin";
        m->graph.tensors[0]->touched = true;
        rs_buf moved = must_write(m);
        ck_assert(has(&moved, resect_model_meta(m, "resect.digest")));
        rs_buf_free(&moved);
        resect_model_free(m);
        /* without the file it can be read, not verified; a changed tensor then costs the digest */
        unlink(scratch("weights.bin"));
        m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        rs_buf out = must_write(m);
        ck_assert(has(&out, "resect.digest"));
        rs_buf_free(&out);
        m->graph.tensors[0]->touched = true;
        out = must_write(m);
        ck_assert(!has(&out, "resect.digest"));
        rs_buf_free(&out);
        resect_model_free(m);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* Standard output opened on the input itself, for reading and writing: what is read would be
 * overwritten under our hands. */
START_TEST(onto_itself)
{
        resect_error err;
        rs_buf b = mk_rich();
        scratch_make();
        scratch_write("m.onnx", b.data, b.size);
        resect_model *m = resect_model_read(scratch("m.onnx"), NULL, &err);
        CK_OK(m != NULL, err);
        int saved = dup(STDOUT_FILENO), fd = open(scratch("m.onnx"), O_RDWR);
        dup2(fd, STDOUT_FILENO);
        bool ok = resect_model_write(m, "-", &err);
        dup2(saved, STDOUT_FILENO);
        ck_assert(!ok && strstr(err.msg, "very file"));
        ck_assert(scratch_is("m.onnx", b.data, b.size));
        CK_OK(resect_model_write(m, scratch("m.onnx"), &err), err); /* by its name it is replaced */
        resect_model_free(m);
        close(fd);
        close(saved);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* Beyond 2^31 - 1 bytes there is no protobuf. The payload is address space that nothing touches. */
START_TEST(too_large_to_write)
{
        resect_error err;
        static const unsigned char byte;
        rs_buf b = mk_rich();
        resect_model *m = must_read(&b);
        m->graph.tensors[0]->touched = true;
        m->graph.tensors[0]->data = (rs_span){&byte, (size_t)1 << 31};
        scratch_make();
        ck_assert(!resect_model_write(m, scratch("m.onnx"), &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert(strstr(err.msg, "resect-pack"));
        ck_assert_int_eq(scratch_count(), 0);
        resect_model_free(m);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* Through a pipe, a model takes its own size in memory and little more. */
enum { PIPED = 96 << 20, SLACK = 16 << 20 };

static void
feed_large_model(int fd)
{
        rs_buf t = mk_tensor("w", RESECT_UINT8, 1, (const int64_t[]){PIPED}), model = {0},
               g = mk_relu_graph();
        static unsigned char chunk[1 << 16];
        FILE *f = fdopen(fd, "wb");
        /* the headers of a payload that is never there in one piece */
        mk_varint(&t, 9 << 3 | 2);
        mk_varint(&t, PIPED);
        mk_varint(&g, 5 << 3 | 2);
        mk_varint(&g, t.size + PIPED);
        mk_int(&model, 1, 8);
        mk_opset(&model, "", 17);
        mk_varint(&model, 7 << 3 | 2);
        mk_varint(&model, g.size + t.size + PIPED);
        fwrite(model.data, 1, model.size, f);
        fwrite(g.data, 1, g.size, f);
        fwrite(t.data, 1, t.size, f);
        for (size_t n = 0; n < PIPED; n += sizeof chunk)
                fwrite(chunk, 1, sizeof chunk, f);
        fclose(f);
}

START_TEST(piped_memory)
{
        int fds[2], status;
        struct rusage use;
        ck_assert_int_eq(pipe(fds), 0);
        pid_t feeder = fork();
        if (feeder == 0) {
                close(fds[0]);
                feed_large_model(fds[1]);
                _exit(0);
        }
        close(fds[1]);
        pid_t reader = fork();
        if (reader == 0) {
                resect_error err;
                dup2(fds[0], STDIN_FILENO);
                resect_model *m = resect_model_read("-", NULL, &err);
                _exit(!m || m->graph.tensors[0]->bytes != PIPED ||
                        !resect_model_write(m, "/dev/null", &err));
        }
        close(fds[0]);
        ck_assert_int_eq(wait4(reader, &status, 0, &use), reader);
        ck_assert_int_eq(status, 0);
        waitpid(feeder, &status, 0);
#ifndef __SANITIZE_ADDRESS__ /* whose own memory counts too */
        ck_assert_msg((size_t)use.ru_maxrss * 1024 <= PIPED + SLACK, "%ld KiB", use.ru_maxrss);
#endif
}
END_TEST

UNIT_MAIN("onnx round trip", made_models, what_is_decoded, values, touched, made_anew,
        metadata_changes, external_values, digest, digest_of_external, onto_itself,
        too_large_to_write, piped_memory)
