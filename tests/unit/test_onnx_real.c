/* SPDX-License-Identifier: 0BSD */
/*
 * Against what we did not write: the schema of Debian's libonnx-dev, name by name and number by
 * number, and every model of libonnx-testdata, read and written, equal as a message with payloads
 * in place. Where neither is installed the test says so and is skipped.
 */
#include "config.h"
#include "unit.h"

#include <ctype.h>
#include <ftw.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "onnx.pb-c.h"
#include "resect/model.h"

static const char schema_path[] = "/usr/include/onnx/onnx.proto";
static const char data_path[] = "/usr/share/libonnx-testdata/data";

/* The next word or sign of the text, comments and strings skipped; false at the end. */
static bool
next_token(const char **at, char *out, size_t room)
{
        const char *p = *at;
        for (;;) {
                while (isspace((unsigned char)*p))
                        p++;
                if (p[0] != '/' || p[1] != '/')
                        break;
                while (*p && *p != '\n')
                        p++;
        }
        size_t n = 0;
        if (isalnum((unsigned char)*p) || *p == '_')
                while ((isalnum((unsigned char)*p) || *p == '_' || *p == '.') && n + 1 < room)
                        out[n++] = *p++;
        else if (*p)
                out[n++] = *p++;
        out[n] = '\0';
        *at = p;
        return n > 0;
}

/* Our message of that name ("TensorProto.Segment"), looked for from the roots down. */
static const ProtobufCMessageDescriptor *
find_message(const ProtobufCMessageDescriptor *from, const char *name, int depth)
{
        char full[256];
        snprintf(full, sizeof full, "onnx.%s", name);
        if (!strcmp(from->name, full))
                return from;
        for (unsigned i = 0; depth < 8 && i < from->n_fields; i++) {
                if (from->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
                        continue;
                const ProtobufCMessageDescriptor *m =
                        find_message(from->fields[i].descriptor, name, depth + 1);
                if (m)
                        return m;
        }
        return NULL;
}

static const ProtobufCEnumDescriptor *
find_enum(const ProtobufCMessageDescriptor *m, const char *name)
{
        if (!strcmp(name, "DataType")) /* no field has its type: data_type is an int32 */
                return &onnx__tensor_proto__data_type__descriptor;
        for (unsigned i = 0; m && i < m->n_fields; i++)
                if (m->fields[i].type == PROTOBUF_C_TYPE_ENUM) {
                        const ProtobufCEnumDescriptor *e = m->fields[i].descriptor;
                        if (!strcmp(e->short_name, name))
                                return e;
                }
        return NULL;
}

struct schema {
        char stack[8]
                  [64]; /* names of the messages, oneofs ("" for these) and enums that are open */
        int depth;
        const ProtobufCEnumDescriptor *in_enum;
        bool enum_known;
        int fields, values; /* compared */
};

static const ProtobufCMessageDescriptor *
open_message(const struct schema *s, int depth)
{
        char name[600] = "";
        for (int i = 0; i < depth; i++)
                if (s->stack[i][0]) {
                        strcat(name, name[0] ? "." : "");
                        strcat(name, s->stack[i]);
                }
        return find_message(&onnx__model_proto__descriptor, name, 0);
}

/* label type name = number */
static void
compare_field(
        struct schema *s, const char *label, const char *type, const char *name, unsigned number)
{
        static const struct {
                const char *name;
                ProtobufCType type;
        } types[] = {{"float", PROTOBUF_C_TYPE_FLOAT}, {"double", PROTOBUF_C_TYPE_DOUBLE},
                {"int32", PROTOBUF_C_TYPE_INT32}, {"int64", PROTOBUF_C_TYPE_INT64},
                {"uint64", PROTOBUF_C_TYPE_UINT64}, {"string", PROTOBUF_C_TYPE_STRING},
                {"bytes", PROTOBUF_C_TYPE_BYTES}};
        const ProtobufCMessageDescriptor *m = open_message(s, s->depth);
        ck_assert_msg(
                m != NULL, "%s.%s: its message is not in our schema", s->stack[s->depth - 1], name);
        const ProtobufCFieldDescriptor *f =
                protobuf_c_message_descriptor_get_field_by_name(m, name);
        ck_assert_msg(f != NULL, "%s.%s: not in our schema", m->name, name);
        ck_assert_msg(f->id == number, "%s.%s: %u, and %u in ours", m->name, name, number, f->id);
        ck_assert_msg((f->label == PROTOBUF_C_LABEL_REPEATED) == !strcmp(label, "repeated"),
                "%s.%s: label", m->name, name);
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
                if (!strcmp(type, types[i].name))
                        ck_assert_msg(f->type == types[i].type, "%s.%s: type", m->name, name);
        s->fields++;
}

static void
compare_schema(struct schema *s, const char *text)
{
        char last[4][64] = {""}, t[64]; /* the four tokens before */
        for (const char *at = text; next_token(&at, t, sizeof t);) {
                if (!strcmp(t, "{")) {
                        ck_assert_int_lt(s->depth, 8);
                        bool is_oneof = !strcmp(last[1], "oneof"),
                             is_enum = !strcmp(last[1], "enum");
                        strcpy(s->stack[s->depth++], is_oneof ? "" : last[0]);
                        s->in_enum =
                                is_enum ? find_enum(open_message(s, s->depth - 1), last[0]) : NULL;
                        s->enum_known = is_enum;
                } else if (!strcmp(t, "}")) {
                        s->depth--;
                        s->enum_known = false;
                } else if (s->depth && !strcmp(last[0], "=") && isdigit((unsigned char)t[0])) {
                        unsigned number = (unsigned)strtoul(t, NULL, 10);
                        if (!s->enum_known) {
                                compare_field(s, last[3], last[2], last[1], number);
                        } else if (s->in_enum) { /* Version is an enum that no field uses */
                                const ProtobufCEnumValue *v =
                                        protobuf_c_enum_descriptor_get_value_by_name(
                                                s->in_enum, last[1]);
                                ck_assert_msg(v && v->value == (int)number, "%s.%s",
                                        s->in_enum->name, last[1]);
                                s->values++;
                        }
                }
                memmove(last[1], last[0], sizeof last - sizeof last[0]);
                strcpy(last[0], t);
        }
}

static char *
slurp(const char *path, size_t *n)
{
        FILE *f = fopen(path, "rb");
        if (!f)
                return NULL;
        fseek(f, 0, SEEK_END);
        *n = (size_t)ftell(f);
        rewind(f);
        char *p = malloc(*n + 1);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq(fread(p, 1, *n, f), *n);
        p[*n] = '\0';
        fclose(f);
        return p;
}

START_TEST(schema)
{
        size_t n;
        char *text = slurp(schema_path, &n);
        struct schema s = {.depth = 0};
        if (!text)
                return;
        compare_schema(&s, text);
        ck_assert_int_eq(s.depth, 0);
        ck_assert_int_gt(s.fields, 80);
        ck_assert_int_gt(s.values, 30);
        printf("schema: %d fields and %d enum values compared\n", s.fields, s.values);
        free(text);
}
END_TEST

static int n_models;

/* Unpacked by protobuf-c and packed again, in its own order: the way to see that two messages are
 * equal. */
static bool
same_message(const void *a, size_t na, const void *b, size_t nb)
{
        ProtobufCMessage *ma =
                protobuf_c_message_unpack(&onnx__model_proto__descriptor, NULL, na, a);
        ProtobufCMessage *mb =
                protobuf_c_message_unpack(&onnx__model_proto__descriptor, NULL, nb, b);
        ck_assert(ma && mb);
        size_t size = protobuf_c_message_get_packed_size(ma);
        bool same = size == protobuf_c_message_get_packed_size(mb);
        if (same) {
                uint8_t *pa = malloc(size + 1), *pb = malloc(size + 1);
                protobuf_c_message_pack(ma, pa);
                protobuf_c_message_pack(mb, pb);
                same = memcmp(pa, pb, size) == 0;
                free(pa);
                free(pb);
        }
        protobuf_c_message_free_unpacked(ma, NULL);
        protobuf_c_message_free_unpacked(mb, NULL);
        return same;
}

static int
visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        const char *name = path + ftw->base, *dot = strrchr(name, '.');
        if (type != FTW_F || !dot || strcmp(dot, ".onnx"))
                return 0;
        resect_error err;
        size_t n, n_out;
        void *out;
        char *bytes = slurp(path, &n);
        ck_assert_ptr_nonnull(bytes);
        resect_model *m = resect_model_read(path, NULL, &err);
        CK_OK(m != NULL, err);
        CK_OK(resect_model_write_memory(m, &out, &n_out, &err), err);
        ck_assert_msg(same_message(bytes, n, out, n_out), "%s: another message came out", path);
        resect_model_free(m);
        resect_free(out);
        free(bytes);
        n_models++;
        return 0;
}

START_TEST(test_models)
{
        if (access(data_path, R_OK) != 0)
                return;
        ck_assert_int_eq(nftw(data_path, visit, 16, FTW_PHYS), 0);
        printf("round trip: %d models of libonnx-testdata\n", n_models);
        ck_assert_int_gt(n_models, 100);
}
END_TEST

int
main(void)
{
        bool have_schema = access(schema_path, R_OK) == 0, have_data = access(data_path, R_OK) == 0;
        if (!have_schema)
                printf("SKIP: %s is absent (libonnx-dev)\n", schema_path);
        if (!have_data)
                printf("SKIP: %s is absent (libonnx-testdata)\n", data_path);
        if (!have_schema && !have_data)
                return 77;
        Suite *s = suite_create("onnx real");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 300);
        tcase_add_test(c, schema);
        tcase_add_test(c, test_models);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
