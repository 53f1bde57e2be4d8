/* SPDX-License-Identifier: 0BSD */
/*
 * The malicious files M1 to M21: paths, numbers, sizes, contradictions, names. Each is made here
 * and read from a file and from memory; what is refused is refused by the reader or, for what only
 * using it can show, at its first use.
 */
#include "config.h"
#include "unit.h"

#include "onnx_refuse.h"

#define NINES "999999999999999999999999999999999"
#define NINETY_NINE_NINES NINES NINES NINES

static rs_buf
external_at(const char *location, const char *offset, const char *length)
{
        rs_buf t = mk_external("w", 2, location, offset, length);
        return mk_tensor_model(&t);
}

START_TEST(m01_m02_paths)
{
        static const char *const bad[] = {"../../etc/passwd", "/etc/passwd", "a/../../x", "./..",
                "..", "", "a//../..", "a\\b", "..\\..\\x", ".", "a/", "a/.."};
        scratch_make();
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                refused(external_at(bad[i], NULL, NULL), RESECT_FORMAT, "external data");
        char text[5001];
        memset(text, 'x', sizeof text);
        text[5000] = '\0';
        refused(external_at(text, NULL, NULL), RESECT_FORMAT, "external data");
        rs_buf t = mk_external("w", 2, NULL, NULL, NULL), e = {0};
        mk_text(&e, 1, "location");
        mk_bytes(&e, 2, "a\0b", 3);
        mk_message(&t, 13, &e);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "NUL");
        refused(external_at(NULL, "0", "8"), RESECT_FORMAT, "without a location");
        scratch_done();
}
END_TEST

START_TEST(m05_m07_links)
{
        scratch_make();
        scratch_write("secret", "12345678", 8);
        mkdir(scratch("d"), 0700);
        scratch_write("d/w", "12345678", 8);
        ck_assert_int_eq(symlink("secret", scratch("final")), 0);
        ck_assert_int_eq(symlink("d", scratch("parent")), 0);
        ck_assert_int_eq(symlink("/", scratch("root")), 0);
        refused_at_use(external_at("final", NULL, NULL), "symbolic link");
        refused_at_use(external_at("parent/w", NULL, NULL), "symbolic link");
        refused_at_use(external_at("root/etc/passwd", NULL, NULL), "symbolic link");
        chmod(scratch("secret"), 0600);
        ck_assert_int_eq(link(scratch("secret"), scratch("hard")), 0);
        refused_at_use(external_at("hard", NULL, NULL), "--allow-hard-links");
        rs_buf b = external_at("hard", NULL, NULL);
        resect_error err;
        resect_model *m = resect_model_read_memory(b.data, b.size,
                &(resect_read_options){.base = scratch_dir, .allow_hard_links = true}, &err);
        CK_OK(m != NULL, err);
        rs_arena arena = {0};
        rs_span s;
        CK_OK(rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err), err);
        ck_assert_mem_eq(s.data, "12345678", 8);
        resect_model_free(m);
        /* M6 with a magic link: the folder is /proc/self, the way leads through root */
        rs_buf_free(&b);
        b = external_at("root/etc/passwd", NULL, NULL);
        m = resect_model_read_memory(
                b.data, b.size, &(resect_read_options){.base = "/proc/self"}, &err);
        CK_OK(m != NULL, err);
        ck_assert(!rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err));
        resect_model_free(m);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

START_TEST(m09_m11_keys_and_numbers)
{
        static const char *const keys[] = {"__class__", "Location", "length ", "", "offsets"};
        static const char *const numbers[] = {"-1", " 1", "1 ", "0x10", "1e3", "", "+1", "01",
                "9223372036854775808", "18446744073709551616", "18446744073709551615",
                NINETY_NINE_NINES};
        scratch_make();
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
                rs_buf t = mk_external("w", 2, "w.bin", NULL, NULL);
                mk_entry(&t, 13, keys[i], "1");
                refused(mk_tensor_model(&t), RESECT_FORMAT, "unknown key");
        }
        rs_buf t = mk_external("w", 2, "w.bin", "0", NULL);
        mk_entry(&t, 13, "offset", "0");
        refused(mk_tensor_model(&t), RESECT_FORMAT, "twice");
        t = mk_external("w", 2, "w.bin", "0", "8");
        mk_entry(&t, 13, "checksum", "0123");
        mk_entry(&t, 13, "basepath", "/anything");
        accepted(mk_tensor_model(&t));
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
                refused(external_at("w.bin", numbers[i], NULL), RESECT_FORMAT, "not a number");
                refused(external_at("w.bin", NULL, numbers[i]), RESECT_FORMAT, "not a number");
        }
        refused(external_at("w.bin", NULL, "1125899906842624"), RESECT_FORMAT, "1125899906842624");
        refused(external_at("w.bin", NULL, "4"), RESECT_FORMAT, "want 8 bytes");
        /* M11 and its neighbours, against a file of 16 bytes */
        scratch_write("w.bin", "0123456789abcdef", 16);
        refused_at_use(external_at("w.bin", "9223372036854775807", "8"), "the file w.bin has 16");
        refused_at_use(external_at("w.bin", "9", "8"), "8 bytes at 9");
        refused_at_use(external_at("w.bin", "16", NULL), "8 bytes at 16");
        refused_at_use(external_at("none.bin", NULL, NULL), "No such file");
        scratch_write("empty.bin", "", 0);
        refused_at_use(external_at("empty.bin", NULL, NULL), "has 0");
        rs_buf b = external_at("w.bin", "8", "8");
        resect_error err;
        resect_model *m = read_both(&b, &err);
        CK_OK(m != NULL, err);
        rs_arena arena = {0};
        rs_span s;
        CK_OK(rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err), err);
        ck_assert_mem_eq(s.data, "89abcdef", 8);
        resect_model_free(m);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* M12: one resolver, wherever the TensorProto stands. */
START_TEST(m12_every_tensor)
{
        static const char evil[] = "../evil";
        scratch_make();
        for (int where = 0; where < 7; where++) {
                rs_buf t = mk_external("w", 2, evil, NULL, NULL), g = mk_relu_graph(), part = {0},
                       a, n, m;
                switch (where) {
                case 0: /* sparse initializer, values and indices */
                case 1:
                        mk_message(&part, where ? 2 : 1, &t);
                        mk_message(&g, 15, &part);
                        break;
                case 2: /* attribute: tensor; tensors; sparse tensor */
                case 3:
                case 4:
                        n = mk_node("Constant", "c", NULL, "c");
                        a = mk_attr("value", 4);
                        if (where == 4) {
                                mk_message(&part, 1, &t);
                                mk_message(&a, 22, &part);
                        } else {
                                mk_message(&a, where == 2 ? 5 : 10, &t);
                        }
                        mk_message(&n, 5, &a);
                        mk_message(&g, 1, &n);
                        break;
                case 5: /* subgraph */
                        part = mk_relu_graph();
                        mk_message(&part, 5, &t);
                        n = mk_node("If", "i", "x", "z");
                        a = mk_attr("then_branch", 5);
                        mk_message(&a, 6, &part);
                        mk_message(&n, 5, &a);
                        mk_message(&g, 1, &n);
                        break;
                default:
                        break;
                }
                m = mk_model(&g);
                if (where == 6) { /* function */
                        n = mk_node("Constant", "c", NULL, "c");
                        a = mk_attr("value", 4);
                        mk_message(&a, 5, &t);
                        mk_message(&n, 5, &a);
                        mk_message(&part, 7, &n);
                        mk_message(&m, 25, &part);
                }
                refused(m, RESECT_FORMAT, "external data");
        }
        ck_assert_int_eq(mkfifo(scratch("fifo"), 0600), 0);
        mkdir(scratch("dir"), 0700);
        refused_at_use(external_at("fifo", NULL, NULL), "not a regular file");
        refused_at_use(external_at("dir", NULL, NULL), "");
        rs_buf b = external_at("m.onnx", NULL, NULL);
        resect_error err;
        resect_model *m = read_one_way(&b, false, &err);
        CK_OK(m != NULL, err);
        rs_arena arena = {0};
        rs_span s;
        ck_assert(!rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err));
        ck_assert(strstr(err.msg, "the model itself"));
        resect_model_free(m);
        rs_buf_free(&b);
        b = external_at("null", NULL, NULL);
        m = resect_model_read_memory(b.data, b.size, &(resect_read_options){.base = "/dev"}, &err);
        CK_OK(m != NULL, err);
        ck_assert(!rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err));
        resect_model_free(m);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

/* Functions that call themselves or each other are carried: nothing here expands them. */
START_TEST(m13_function_cycles)
{
        rs_buf g = mk_relu_graph(), m = mk_model(&g);
        static const char *const calls[][2] = {{"self", "self"}, {"a", "b"}, {"b", "a"}};
        scratch_make();
        for (size_t i = 0; i < 3; i++) {
                rs_buf f = {0}, n = mk_node(calls[i][1], "n", "x", "y");
                mk_text(&f, 1, calls[i][0]);
                mk_message(&f, 7, &n);
                mk_text(&f, 10, "local");
                mk_message(&m, 25, &f);
        }
        accepted(m);
        scratch_done();
}
END_TEST

static rs_buf
nested_ifs(int depth)
{
        rs_buf g = mk_relu_graph();
        for (int i = 0; i < depth; i++) {
                rs_buf outer = {0}, a = {0}, n = {0};
                mk_message(&a, 6, &g);
                mk_message(&n, 5, &a);
                mk_message(&outer, 1, &n);
                g = outer;
        }
        return mk_model(&g);
}

START_TEST(m14_nesting)
{
        scratch_make();
        accepted(nested_ifs(30));
        refused(nested_ifs(40), RESECT_FORMAT, "deeper than 100");
        refused(nested_ifs(10000), RESECT_FORMAT, "deeper than 100");
        /* types nest too: a sequence of sequences of ... */
        for (int depth = 10; depth <= 10000; depth *= 1000) {
                rs_buf type = {0}, v = {0}, g = mk_relu_graph();
                for (int i = 0; i < depth; i++) {
                        rs_buf seq = {0}, outer = {0};
                        mk_message(&seq, 1, &type);
                        mk_message(&outer, 4, &seq);
                        type = outer;
                }
                mk_text(&v, 1, "deep");
                mk_message(&v, 2, &type);
                mk_message(&g, 13, &v);
                if (depth == 10)
                        accepted(mk_model(&g));
                else
                        refused(mk_model(&g), RESECT_FORMAT, "deeper than 100");
        }
        scratch_done();
}
END_TEST

static rs_buf
raw_tensor(int dtype, int rank, const int64_t *dims, size_t n)
{
        static const unsigned char zeros[64];
        rs_buf t = mk_tensor("w", dtype, rank, dims);
        mk_bytes(&t, 9, zeros, n);
        return mk_tensor_model(&t);
}

START_TEST(m15_m17_sizes)
{
        scratch_make();
        accepted(raw_tensor(1, 1, (const int64_t[]){2}, 8));
        refused(raw_tensor(1, 1, (const int64_t[]){2}, 7), RESECT_FORMAT,
                "has 7 bytes of data, dtype and dims want 8");
        refused(raw_tensor(1, 1, (const int64_t[]){2}, 9), RESECT_FORMAT, "want 8");
        refused(raw_tensor(1, 1, (const int64_t[]){2}, 0), RESECT_FORMAT, "want 8");
        refused(raw_tensor(11, 0, NULL, 4), RESECT_FORMAT, "want 8");
        /* M16 */
        refused(raw_tensor(1, 2, (const int64_t[]){INT64_C(1) << 62, 8}, 8), RESECT_FORMAT,
                "tensor w");
        refused(raw_tensor(1, 2, (const int64_t[]){INT64_C(1) << 32, INT64_C(1) << 32}, 8),
                RESECT_FORMAT, "tensor w");
        refused(raw_tensor(1, 1, (const int64_t[]){-1}, 8), RESECT_FORMAT, "tensor w");
        refused(raw_tensor(1, 2, (const int64_t[]){0, -1}, 0), RESECT_FORMAT, "tensor w");
        refused(raw_tensor(1, 1, (const int64_t[]){INT64_MIN}, 8), RESECT_FORMAT, "tensor w");
        accepted(raw_tensor(1, 2, (const int64_t[]){0, INT64_MAX}, 0));
        refused(raw_tensor(1, 2, (const int64_t[]){0, INT64_MAX}, 4), RESECT_FORMAT, "want 0");
        int64_t ones[33];
        for (int i = 0; i < 33; i++)
                ones[i] = 1;
        accepted(raw_tensor(1, 32, ones, 4));
        refused(raw_tensor(1, 33, ones, 4), RESECT_UNSUPPORTED, "32 dimensions");
        /* M17 */
        refused(raw_tensor(1, 1, (const int64_t[]){1000000}, 4), RESECT_FORMAT, "want 4000000");
        rs_buf t = mk_tensor("w", 1, 1, (const int64_t[]){1000000});
        mk_float(&t, 4, 1);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "has 1 values, dims want 1000000");
        t = mk_tensor("w", 8, 1, (const int64_t[]){INT64_C(1) << 40});
        mk_text(&t, 6, "one");
        refused(mk_tensor_model(&t), RESECT_FORMAT, "dims want");
        scratch_done();
}
END_TEST

START_TEST(m18_contradictions)
{
        static const int64_t two[] = {2}, three[] = {3};
        static const float f[] = {1, 2};
        scratch_make();
        rs_buf t = mk_tensor("w", 1, 1, two);
        mk_bytes(&t, 9, f, 8);
        mk_bytes(&t, 4, f, 8);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "twice");
        t = mk_tensor("w", 1, 1, two); /* another type's field */
        mk_bytes(&t, 5, "\1\2", 2);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "does not use");
        t = mk_tensor("w", 8, 1, two);
        mk_bytes(&t, 9, f, 8);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "strings");
        t = mk_external("w", 2, "w.bin", NULL, NULL);
        mk_bytes(&t, 9, f, 8);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "external data, and");
        refused(raw_tensor(0, 1, two, 8), RESECT_FORMAT, "tensor w");
        refused(raw_tensor(99, 1, two, 8), RESECT_FORMAT, "tensor w");
        refused(raw_tensor(-1, 1, two, 8), RESECT_FORMAT, "tensor w");
        refused(raw_tensor(INT32_MAX, 1, two, 8), RESECT_FORMAT, "tensor w");
        t = (rs_buf){0}; /* no type at all */
        mk_text(&t, 8, "w");
        refused(mk_tensor_model(&t), RESECT_FORMAT, "tensor w");
        /* int4, odd count: the last byte is half used */
        accepted(raw_tensor(22, 1, three, 2));
        refused(raw_tensor(22, 1, three, 1), RESECT_FORMAT, "want 2");
        refused(raw_tensor(22, 1, three, 3), RESECT_FORMAT, "want 2");
        t = mk_tensor("w", 1, 1, two);
        rs_buf segment = {0};
        mk_int(&segment, 1, 0);
        mk_message(&t, 3, &segment);
        mk_bytes(&t, 9, f, 8);
        refused(mk_tensor_model(&t), RESECT_UNSUPPORTED, "segments");
        t = mk_tensor("w", 1, 1, two);
        mk_bytes(&t, 9, f, 8);
        mk_int(&t, 14, 7);
        refused(mk_tensor_model(&t), RESECT_UNSUPPORTED, "data_location");
        scratch_done();
}
END_TEST

/* Operators that would make 2^60 elements, and shapes of 2^40 dimensions: a reader has no business
 * to compute them. */
START_TEST(m19_m20_amplifiers)
{
        static const char *const ops[] = {"Expand", "Tile", "ConstantOfShape", "Range", "Reshape"};
        scratch_make();
        for (size_t i = 0; i < 5; i++) {
                rs_buf g = mk_relu_graph(), n = mk_node(ops[i], "n", "s", "z"),
                       t = mk_tensor("s", 7, 1, (const int64_t[]){1});
                mk_message(&g, 1, &n);
                mk_bytes(&t, 9, &(int64_t){INT64_C(1) << 60}, 8);
                mk_message(&g, 5, &t);
                t = mk_value("s2", 7, 1, (const int64_t[]){INT64_C(1) << 40});
                mk_message(&g, 13, &t);
                accepted(mk_model(&g));
        }
        /* and a value that really has very many dimensions */
        rs_buf v = {0}, type = {0}, tensor = {0}, shape = {0}, g = mk_relu_graph();
        for (int i = 0; i < 100000; i++)
                mk_bytes(&shape, 1, "\x08\x01", 2);
        mk_message(&tensor, 2, &shape);
        mk_message(&type, 1, &tensor);
        mk_message(&v, 2, &type);
        mk_message(&g, 13, &v);
        refused(mk_model(&g), RESECT_UNSUPPORTED, "100000 dimensions");
        scratch_done();
}
END_TEST

/* Names that collide and graphs that go round: read as they are (a checker must be able to),
 * refused by whoever follows edges. */
START_TEST(m21_names)
{
        resect_error err;
        rs_index ix;
        scratch_make();
        for (int what = 0; what < 4; what++) {
                rs_buf g = mk_relu_graph(), n, t;
                if (what == 0) { /* two nodes make y */
                        n = mk_node("Relu", "again", "x", "y");
                        mk_message(&g, 1, &n);
                } else if (what == 1) { /* a node makes an initializer */
                        t = mk_tensor("y", 1, 0, NULL);
                        mk_float(&t, 4, 1);
                        mk_message(&g, 5, &t);
                } else if (what == 2) { /* a node makes an input */
                        n = mk_node("Relu", "again", "y", "x");
                        mk_message(&g, 1, &n);
                } else { /* a and b need each other */
                        n = mk_node("Relu", "na", "b", "a");
                        mk_message(&g, 1, &n);
                        n = mk_node("Relu", "nb", "a", "b");
                        mk_message(&g, 1, &n);
                }
                rs_buf b = mk_model(&g);
                resect_model *m = read_both(&b, &err);
                CK_OK(m != NULL, err);
                bool ok = rs_index_make(&ix, &m->graph, &err);
                if (ok) {
                        rs_index_free(&ix);
                        ok = rs_graph_sort(m, &err);
                }
                ck_assert_msg(!ok, "case %d", what);
                ck_assert_int_eq(err.code, RESECT_GRAPH);
                resect_model_free(m);
                rs_buf_free(&b);
        }
        scratch_done();
}
END_TEST

UNIT_MAIN("onnx hostile", m01_m02_paths, m05_m07_links, m09_m11_keys_and_numbers, m12_every_tensor,
        m13_function_cycles, m14_nesting, m15_m17_sizes, m18_contradictions, m19_m20_amplifiers,
        m21_names)
