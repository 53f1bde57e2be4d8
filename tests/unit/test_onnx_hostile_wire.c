/* SPDX-License-Identifier: 0BSD */
/* The malicious files M22 to M26, damage to the wire itself, and many small things in few bytes. */
#include "config.h"
#include "unit.h"

#include "onnx_refuse.h"

/* The bytes of a hand-written tail after a valid model. */
static rs_buf
with_tail(const void *tail, size_t n)
{
        rs_buf g = mk_relu_graph(), m = mk_model(&g);
        rs_buf_add(&m, tail, n);
        return m;
}
#define TAIL(s) with_tail(s, sizeof(s) - 1)

START_TEST(m22_lengths)
{
        scratch_make();
        for (unsigned field = 1; field < 40; field++)
                for (int k = 0; k < 6; k++) {
                        static const uint64_t lengths[] = {INT32_MAX, UINT64_C(1) << 31, UINT32_MAX,
                                UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
                        rs_buf b = with_tail("", 0);
                        mk_varint(&b, field << 3 | 2);
                        mk_varint(&b, lengths[k]);
                        rs_buf_add(&b, "abc", 3);
                        refused(b, RESECT_FORMAT, "offset");
                }
        refused((rs_buf){0}, RESECT_FORMAT, "empty");
        refused(with_tail("\x3a", 1), RESECT_FORMAT, "offset");
        rs_buf none = {0};
        mk_int(&none, 1, 8);
        refused(none, RESECT_FORMAT, "no graph");
        none = (rs_buf){0};
        rs_buf_str(&none, "\x89PNG\r\n\x1a\n");
        refused(none, RESECT_FORMAT, "a PNG picture");
        none = (rs_buf){0};
        rs_buf_str(&none, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
        refused(none, RESECT_FORMAT, "git lfs pull");
        none = (rs_buf){0};
        rs_buf_add(&none, "\x18\0\0\0ORTM", 8);
        refused(none, RESECT_FORMAT, ".ort");
        scratch_done();
}
END_TEST

START_TEST(m23_groups)
{
        rs_buf b = with_tail("", 0);
        scratch_make();
        for (int i = 0; i < 1000000; i++)
                rs_buf_add(&b, "\xa3\x06", 2); /* START_GROUP of field 100 */
        refused(b, RESECT_FORMAT, "groups");
        refused(TAIL("\xa4\x06"), RESECT_FORMAT, "groups");
        scratch_done();
}
END_TEST

START_TEST(m24_varints)
{
        scratch_make();
        accepted(TAIL("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); /* model_version = -1 */
        accepted(TAIL(
                "\x28\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00")); /* padded to 10 bytes: still 1 */
        refused(TAIL("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), RESECT_FORMAT,
                "64 bits"); /* 65 bits */
        refused(TAIL("\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), RESECT_FORMAT,
                "64 bits"); /* 11 bytes */
        refused(TAIL("\x28\xff\xff\xff"), RESECT_FORMAT, "cut short");
        refused(TAIL("\xa8\x80\x00\x01"), RESECT_FORMAT, "overlong"); /* a tag with a zero byte */
        refused(TAIL("\xa8\x80\x80\x80\x80\x80\x01\x01"), RESECT_FORMAT, "overlong");
        refused(TAIL("\x32\x81\x80\x80\x80\x80\x00x"), RESECT_FORMAT,
                "overlong");                         /* a length of six bytes */
        accepted(TAIL("\x32\x81\x80\x80\x80\x00x")); /* of five */
        refused(TAIL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), RESECT_FORMAT, "tag");
        /* packed numbers within a tensor */
        rs_buf t = mk_tensor("w", 7, 1, (const int64_t[]){1});
        mk_bytes(&t, 7, "\xff\xff", 2);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "int64_data");
        t = mk_tensor("w", 1, 1, (const int64_t[]){1});
        mk_bytes(&t, 4, "abc", 3);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "float_data");
        /* a 32-bit field of 33 bits */
        t = (rs_buf){0};
        mk_int(&t, 2, INT64_C(1) << 32 | 1);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "32 bits");
        scratch_done();
}
END_TEST

START_TEST(m25_tags)
{
        scratch_make();
        refused(TAIL("\x00\x00"), RESECT_FORMAT, "number 0");
        refused(TAIL("\x02\x00"), RESECT_FORMAT, "number 0");
        for (unsigned char type = 3; type < 8; type++) {
                unsigned char tail[] = {(unsigned char)(5 << 3 | type), 1, 0, 0, 0, 0, 0, 0, 0};
                refused(with_tail(tail, sizeof tail), RESECT_FORMAT,
                        type == 5  ? "wire type"
                        : type < 5 ? "groups"
                                   : "exist");
        }
        refused(TAIL("\x3d\x00\x00\x00\x00"), RESECT_FORMAT,
                "wire type");                                   /* graph as a 32-bit number */
        refused(TAIL("\x0a\x01x"), RESECT_FORMAT, "wire type"); /* ir_version as bytes */
        refused(TAIL("\x30\x01"), RESECT_FORMAT, "wire type");  /* doc_string as a number */
        accepted(TAIL("\xa0\x06\x01\xa9\x06"
                      "12345678"
                      "\xad\x06"
                      "1234")); /* unknown fields of all honest types */
        scratch_done();
}
END_TEST

START_TEST(m26_twice_and_strange)
{
        scratch_make();
        rs_buf g = mk_relu_graph(), b = with_tail("", 0);
        mk_message(&b, 7, &g);
        refused(b, RESECT_FORMAT, "graph: is set twice");
        b = with_tail("", 0);
        mk_int(&b, 1, 9);
        refused(b, RESECT_FORMAT, "ir_version: is set twice");
        b = with_tail("", 0);
        mk_opset(&b, "", 9);
        refused(b, RESECT_FORMAT, "imported twice");
        b = with_tail("", 0);
        mk_opset(&b, "ai.onnx", 9);
        refused(b, RESECT_FORMAT, "imported twice");
        /* both sides of a oneof */
        rs_buf v = {0}, type = {0}, tensor = {0}, shape = {0}, dim = {0};
        mk_int(&dim, 1, 3);
        mk_text(&dim, 2, "N");
        mk_message(&shape, 1, &dim);
        mk_message(&tensor, 2, &shape);
        mk_message(&type, 1, &tensor);
        mk_message(&v, 2, &type);
        g = mk_relu_graph();
        mk_message(&g, 13, &v);
        refused(mk_model(&g), RESECT_FORMAT, "one of several");
        /* an unknown field of 100 MB is carried, and not copied */
        enum { BIG = 100 << 20 };
        unsigned char *big = calloc(BIG, 1);
        b = with_tail("", 0);
        mk_bytes(&b, 999, big, BIG);
        free(big);
        accepted(b);
        /* names that are no UTF-8, or speak to terminals: carried as they are, escaped when printed
         * (see refused) */
        rs_buf t = mk_tensor("\xff\xfe\x1b[2J\x1b]0;owned\x07", 1, 1, (const int64_t[]){1});
        mk_float(&t, 4, 1);
        accepted(mk_tensor_model(&t));
        t = mk_tensor("\xff\xfe\x1b[2J\x1b]0;owned\x07", 1, 1, (const int64_t[]){2});
        mk_float(&t, 4, 1);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "\\xff\\xfe\\x1b[2J");
        /* names of 0, 1 and 64 Ki bytes in an error */
        static char name[65537];
        memset(name, 'n', 65536);
        t = mk_tensor(name, 1, 1, (const int64_t[]){2});
        refused(mk_tensor_model(&t), RESECT_FORMAT, "tensor nnn");
        t = mk_tensor("", 1, 1, (const int64_t[]){2});
        refused(mk_tensor_model(&t), RESECT_FORMAT, "tensor:");
        /* NUL in a name */
        t = mk_tensor(NULL, 1, 1, (const int64_t[]){0});
        mk_bytes(&t, 8, "a\0b", 3);
        refused(mk_tensor_model(&t), RESECT_FORMAT, "NUL");
        scratch_done();
}
END_TEST

/* Two bytes a node, or a name: what would take a hundred times that in memory is refused. */
START_TEST(many_small_things)
{
        scratch_make();
        for (int count = 900000; count <= 1000001; count += 100001) {
                rs_buf g = mk_relu_graph(), n = mk_node("Concat", "n", NULL, "z");
                for (int i = 0; i < count; i++)
                        mk_bytes(&g, 1, "", 0);
                refused(mk_model(&g), count > 1000000 ? RESECT_FORMAT : RESECT_UNSUPPORTED,
                        count > 1000000 ? "more than" : "parts");
                g = mk_relu_graph();
                for (int i = 0; i < count; i++)
                        mk_bytes(&n, 1, "", 0);
                mk_message(&g, 1, &n);
                if (count > 1000000)
                        refused(mk_model(&g), RESECT_FORMAT, "more than");
                else
                        accepted(mk_model(&g));
        }
        scratch_done();
}
END_TEST

UNIT_MAIN("onnx hostile wire", m22_lengths, m23_groups, m24_varints, m25_tags,
        m26_twice_and_strange, many_small_things)
