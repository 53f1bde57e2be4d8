/* SPDX-License-Identifier: 0BSD */
/* ncnn's text and its weights: by hand, hostile, and networks written and read again. */
#include "config.h"
#include "ckpt.h"

#include "forms.h"
#include "model/model.h"
#include "tensor/dtype.h"

extern const rs_format rs_format_ncnn;

static const char text[] = "7767517\n"
                           "9 9\n"
                           "Input            data    0 1 data 0=4 1=4 2=2\n"
                           "Convolution      conv    1 1 data a 0=2 1=2 11=1 5=1 6=8 -23310=1,0.5\n"
                           "PReLU            prelu   1 1 a b 0=2\n"
                           "BatchNorm        bn      1 1 b c 0=2 1=1.000000e-05\n"
                           "ConvolutionDepthWise dw  1 1 c d 0=2 1=1 5=0 6=2 7=2\n"
                           "Scale            scale   1 1 d e 0=2 1=1\n"
                           "Split            split   1 2 e f g\n"
                           "InnerProduct     fc      1 1 f h 0=3 1=1 2=6\n"
                           "Softmax          prob    1 1 h i 0=0\n";

static void
put(rs_buf *b, uint32_t v)
{
        for (int i = 0; i < 4; i++)
                rs_buf_add(b, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}

static void
put_floats(rs_buf *b, int n)
{
        for (int i = 0; i < n; i++) {
                float f = (float)b->size;
                uint32_t bits;
                memcpy(&bits, &f, 4);
                put(b, bits);
        }
}

/* The weights of text: plain, half (3 of 2 bytes each are padded), bfloat16. */
static void
make_bin(rs_buf *b)
{
        put(b, 0);
        put_floats(b, 8 + 2); /* conv */
        put_floats(b, 2);     /* prelu */
        put_floats(b, 8);     /* bn */
        put(b, 0x01348b83);   /* dw */
        put(b, 0x40003f80);
        put_floats(b, 4);   /* scale */
        put(b, 0x01306b47); /* fc */
        put_floats(b, 3);
        put_floats(b, 3);
}

static rs_checkpoint *
read_pair(const char *words, const rs_buf *bin, resect_error *err)
{
        *err = (resect_error){0};
        scratch_write("n.param", words, strlen(words));
        scratch_write("n.bin", bin->data, bin->size);
        return rs_checkpoint_read(scratch("n.param"), NULL, 0, err);
}

START_TEST(by_hand)
{
        static const struct {
                const char *name;
                int dtype, rank;
                int64_t dims[4];
                size_t at;
        } want[] = {{"conv.weight", RESECT_FLOAT, 4, {2, 2, 1, 2}, 4},
                {"conv.bias", RESECT_FLOAT, 1, {2}, 36}, {"prelu.weight", RESECT_FLOAT, 1, {2}, 44},
                {"bn.weight", RESECT_FLOAT, 1, {2}, 52},
                {"bn.running_mean", RESECT_FLOAT, 1, {2}, 60},
                {"bn.running_var", RESECT_FLOAT, 1, {2}, 68}, {"bn.bias", RESECT_FLOAT, 1, {2}, 76},
                {"dw.weight", RESECT_BFLOAT16, 4, {2, 1, 1, 1}, 88},
                {"scale.weight", RESECT_FLOAT, 1, {2}, 92},
                {"scale.bias", RESECT_FLOAT, 1, {2}, 100},
                {"fc.weight", RESECT_FLOAT16, 2, {3, 2}, 112},
                {"fc.bias", RESECT_FLOAT, 1, {3}, 124}};
        enum { N = sizeof want / sizeof *want };
        resect_error err;
        rs_buf b = {0};
        scratch_make();
        make_bin(&b);
        for (int way = 0; way < 2; way++) { /* by either of the two files */
                rs_checkpoint *c = read_pair(text, &b, &err);
                if (way) {
                        rs_checkpoint_free(c);
                        c = rs_checkpoint_read(scratch("n.bin"), &rs_format_ncnn, 0, &err);
                }
                CK_OK(c != NULL, err);
                ck_assert_ptr_eq(c->format, &rs_format_ncnn);
                ck_assert_uint_eq(c->n_entries, N);
                for (size_t i = 0; i < N; i++) {
                        const rs_entry *e = &c->entries[i];
                        ck_assert_str_eq(e->name, want[i].name);
                        ck_assert_int_eq(e->dtype, want[i].dtype);
                        ck_assert_int_eq(e->rank, want[i].rank);
                        for (int k = 0; k < e->rank; k++)
                                ck_assert_int_eq(e->dims[k], want[i].dims[k]);
                        ck_assert_mem_eq(e->data.data, b.data + want[i].at, e->bytes);
                        bool norm = !strcmp(e->name, "bn.running_var");
                        ck_assert(norm ? e->says && (float)e->says->epsilon == 1e-5f
                                       : !e->says || e->says->epsilon < 0);
                }
                rs_checkpoint_free(c);
        }
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

static void
refused(const char *words, const rs_buf *bin, const char *expected)
{
        resect_error err;
        rs_checkpoint *c = read_pair(words, bin, &err);
        ck_assert_msg(!c, "accepted, not refused for: %s", expected);
        ck_assert_msg(strstr(err.msg, expected), "%s, expected: %s", err.msg, expected);
        ck_assert(err.code == RESECT_FORMAT || err.code == RESECT_UNSUPPORTED);
}

START_TEST(hostile)
{
        static const struct {
                const char *line, *words;
        } lines[] = {{"Convolution c 1 1 a b 0=1 1=1 6=4611686018427387904", "c"},
                {"Convolution c 1 1 a b 0=1 1=1 6=999999999999999999", "c"},
                {"Convolution c 1 1 a b 0=3 1=1 6=4", "do not fill"},
                {"Convolution c 1 1 a b 0=-1 1=1 6=4", "do not fill"},
                {"Convolution c 1 1 a b 0=100000000 1=100000000 6=999999999999999999",
                        "do not fill"},
                {"Convolution c 1 1 a b 0=0 1=1 6=0", "do not fill"},
                {"Convolution c 1 1 a b 0=1 1=1 6=2", "weights that no layer takes"},
                {"Convolution c 1 1 a b 0=1 1=1 6=5", "c wants 20 bytes"},
                {"Convolution c 1 1 a b 0=1 1=1 6=4 8=1", "8-bit"},
                {"BatchNorm c 1 1 a b 0=-4", "no file can hold"},
                {"BatchNorm c 1 1 a b 0=1 1=-1e-5", "epsilon"},
                {"BatchNorm c 1 1 a b 0=1 1=1e-", "epsilon"},
                {"BatchNorm c 1 1 a b 0=1 1=1e999", "epsilon"},
                {"BatchNorm c 1 1 a b 0=1 1=x", "epsilon"},
                {"PReLU c 1 1 a b 0=500000000000000000", "c wants 2000000000000000000 bytes"},
                {"LSTM c 1 1 a b 0=4", "layers of type LSTM"}, {"ReLU", "type and name"},
                {"ReLU c 1", "how many blobs"}, {"ReLU c 1 x", "how many blobs"},
                {"ReLU c -1 1 a b", "how many blobs"}, {"ReLU c 9 1 a b", "fewer blobs"},
                {"ReLU c 999999999999999999 1", "how many blobs"},
                {"ReLU c 1 1 a b x", "KEY=VALUE"}, {"ReLU c 1 1 a b 0=1 0=2", "given twice"},
                {"ReLU c 1 1 a b 32=1", "does not exist"},
                {"ReLU c 1 1 a b -1=1", "does not exist"},
                {"ReLU c 1 1 a b\nReLU d 1 1 b c", "more layers than it says"}};
        resect_error err;
        rs_buf bin = {0}, table = {0};
        char words[4096];
        scratch_make();
        put(&bin, 0);
        put_floats(&bin, 4);
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                snprintf(words, sizeof words, "7767517\n1 1\n%s\n", lines[i].line);
                refused(words, &bin, lines[i].words);
        }
        refused("7767517\n\n", &bin, "how many layers");
        refused("7767517\n1000001 1\nReLU c 1 1 a b\n", &bin, "how many layers");
        refused("7767517\n1000000 1\nReLU c 1 1 a b\n", &bin, "1 layers of 1000000");
        put(&table, 0x12345678);
        put_floats(&table, 4);
        refused("7767517\n1 1\nInnerProduct c 1 1 a b 0=1 2=4\n", &table, "storage 0x12345678");
        memset(words, 'a', sizeof words);
        memcpy(words, "7767517\n1 1\nReLU ", 17);
        words[sizeof words - 1] = '\0';
        refused(words, &bin, "type and name");
        scratch_write("n.txt", text, sizeof text - 1);
        ck_assert_ptr_null(rs_checkpoint_read(scratch("n.txt"), NULL, 0, &err));
        ck_assert(strstr(err.msg, "in place of .param"));
        ck_assert_ptr_null(rs_checkpoint_read(scratch("absent.param"), &rs_format_ncnn, 0, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        unlink(scratch("n.bin"));
        ck_assert_ptr_null(rs_checkpoint_read(scratch("n.param"), NULL, 0, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        rs_buf_free(&bin);
        rs_buf_free(&table);
        scratch_done();
}
END_TEST

START_TEST(damage)
{
        resect_error err;
        rs_buf b = {0};
        scratch_make();
        make_bin(&b);
        rs_checkpoint_free(read_pair(text, &b, &err));
        ckpt_prefixes(&rs_format_ncnn, "n.bin", "n.param", b.data, b.size, 1);
        for (size_t n = 0; n < sizeof text - 3;
                n++) { /* its last line may lack its end, or an option */
                scratch_write("n.param", text, n);
                bool whole = ckpt_use(scratch("n.param"), &rs_format_ncnn, &err);
                ck_assert_msg(!whole || strstr(text + n, "0=0") == NULL || n > sizeof text - 8,
                        "the first %zu bytes are taken", n);
        }
        ckpt_flips(&rs_format_ncnn, "n.param", "n.param", (const unsigned char *)text,
                sizeof text - 1, 20000);
        ckpt_flips(&rs_format_ncnn, "n.bin", "n.param", b.data, b.size, 2000);
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

static bool
write_model(resect_model *m, int32_t dtype, resect_error *err)
{
        rs_writing w = {.path = scratch("o.param"), .model = m, .dtype = dtype};
        return rs_format_write(&rs_format_ncnn, &w, err);
}

/* Every initializer of the model that is no shape, by value: in the file under the name of its
 * place. */
static void
check_values(resect_model *m, const rs_checkpoint *c, bool halves)
{
        resect_error err;
        size_t same = 0;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                rs_arena arena = {0};
                rs_span s;
                if (t->dtype != RESECT_FLOAT)
                        continue;
                CK_OK(rs_tensor_bytes(m, t, &arena, &s, &err), err);
                for (size_t k = 0; k < c->n_entries; k++) {
                        const rs_entry *e = &c->entries[k];
                        if (e->count != t->count || e->rank != t->rank)
                                continue;
                        bool equal = true;
                        for (size_t j = 0; equal && j < e->count; j++) {
                                double want = rs_load(s.data, RESECT_FLOAT, j);
                                if (halves && e->rank > 1)
                                        want = (double)rs_half_to_float(
                                                rs_float_to_half((float)want));
                                equal = rs_load(e->data.data, e->dtype, j) == want;
                        }
                        if (equal) {
                                same++;
                                break;
                        }
                }
                rs_arena_free(&arena);
        }
        ck_assert_uint_eq(same, c->n_entries);
}

START_TEST(networks)
{
        static const form forms[] = {{.blocks = {2, 2}}, {.blocks = {1, 2}, .bottleneck = true},
                {.blocks = {1, 1}, .v2 = true}, {.blocks = {1, 1}, .bn = BN_FOLDED},
                {.blocks = {1, 1}, .stem = STEM_DEEP, .shortcut = SHORTCUT_AVGPOOL},
                {.blocks = {1, 1}, .bottleneck = true, .groups = 2, .stride = STRIDE_V1},
                {.blocks = {1, 1}, .pool = POOL_MEAN_INPUT, .opset = 18, .end = END_SOFTMAX}};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
                for (int half = 0; half < 2; half++) {
                        resect_model *m = form_make(&forms[i], i + 1);
                        CK_OK(write_model(m, half ? RESECT_FLOAT16 : 0, &err), err);
                        rs_checkpoint *c = rs_checkpoint_read(scratch("o.param"), NULL, 0, &err);
                        CK_OK(c != NULL, err);
                        check_values(m, c, half);
                        ck_assert_ptr_nonnull(rs_checkpoint_find(c, "layer1.0.conv1.weight"));
                        ck_assert_ptr_nonnull(rs_checkpoint_find(c, "fc.bias"));
                        ck_assert_int_eq(rs_checkpoint_find(c, "fc.weight")->dtype,
                                half ? RESECT_FLOAT16 : RESECT_FLOAT);
                        rs_checkpoint_free(c);
                        resect_model_free(m);
                }
        scratch_done();
}
END_TEST

START_TEST(not_written)
{
        resect_error err;
        scratch_make();
        ck_assert(!ckpt_write(&rs_format_ncnn, scratch("o.param"), NULL, 0, &err));
        ck_assert(strstr(err.msg, "from a model"));
        resect_model *m = form_make(&(form){.blocks = {1, 1}, .se = true}, 1);
        ck_assert(!write_model(m, 0, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_msg(strstr(err.msg, "not translated"), "%s", err.msg);
        rs_writing w = {.path = scratch("o.txt"), .model = m};
        ck_assert(!rs_format_write(&rs_format_ncnn, &w, &err));
        ck_assert_int_eq(scratch_count(), 0);
        resect_model_free(m);
        scratch_done();
}
END_TEST

static rs_node *
node_of(resect_model *m, const char *op)
{
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                if (!strcmp(m->graph.nodes[i]->op, op))
                        return m->graph.nodes[i];
        ck_abort_msg("no %s", op);
}

/* What ncnn's words would not say, and attributes of the wrong kind. */
START_TEST(odd_nodes)
{
        static const float ones[] = {1, 1, 1, 1};
        static const struct {
                const char *op, *attribute;
                size_t floats; /* so many of them; 0: a whole number that is none of ncnn's */
                const char *word;
        } odd[] = {{"Conv", "dilations", 2, "not an operation on pictures"},
                {"Conv", "pads", 4, "not an operation on pictures"},
                {"MaxPool", "strides", 2, "not an operation on pictures"},
                {"ReduceMean", "axes", 2, "not a mean over height and width"},
                {"Softmax", "axis", 0, "not over the channels"},
                {"Flatten", "axis", 0, "not one row a picture"}};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
                resect_model *m =
                        form_make(&(form){.blocks = {1, 1},
                                          .end = END_SOFTMAX,
                                          .pool = strcmp(odd[i].op, "ReduceMean") ? POOL_GLOBAL
                                                                                  : POOL_MEAN_ATTR},
                                1);
                rs_node *n = node_of(m, odd[i].op);
                CK_OK(rs_node_set_int(m, n, odd[i].attribute, 2, &err), err);
                rs_attr *a = (rs_attr *)(uintptr_t)rs_node_attr(n, odd[i].attribute);
                if (odd[i].floats) {
                        a->type = RS_ATTR_FLOATS;
                        a->floats = ones;
                        a->ints = NULL;
                        a->n = odd[i].floats;
                }
                ck_assert_msg(!write_model(m, 0, &err), "%s", odd[i].op);
                ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
                ck_assert_msg(strstr(err.msg, odd[i].word), "%s", err.msg);
                ck_assert_int_eq(scratch_count(), 0);
                resect_model_free(m);
        }
        /* numbers whose sum does not fit */
        resect_model *m = form_make(&(form){.blocks = {1, 1}, .pool = POOL_MEAN_ATTR}, 1);
        CK_OK(rs_node_set_ints(m, node_of(m, "ReduceMean"), "axes",
                      (int64_t[]){INT64_MAX, INT64_MAX}, 2, &err),
                err);
        ck_assert(!write_model(m, 0, &err));
        ck_assert_msg(strstr(err.msg, "not a mean over height and width"), "%s", err.msg);
        resect_model_free(m);
        scratch_done();
}
END_TEST

/* Every blob is made once and read once, also when a value of the model is called as the blobs that
 * a Split makes are. */
START_TEST(blobs)
{
        resect_error err;
        scratch_make();
        resect_model *m = form_make(&(form){.blocks = {1, 1}}, 1);
        rs_node *pool = node_of(m, "MaxPool"); /* its output goes into a block and around it */
        char wish[300];
        size_t renamed = 0, n, layers = 0;
        snprintf(wish, sizeof wish, "%s.split.0", pool->out[0]);
        const char *old = NULL;
        for (size_t i = 0; i < m->graph.n_nodes; i++) {
                rs_node *x = m->graph.nodes[i];
                if (!old && !strcmp(x->op, "Conv") && strcmp(x->out[0], pool->in[0]) != 0)
                        old = x->out[0];
                for (size_t k = 0; old && k < x->n_out; k++)
                        if (!strcmp(x->out[k], old))
                                x->out[k] = wish, renamed++;
                for (size_t k = 0; old && k < x->n_in; k++)
                        if (!strcmp(x->in[k], old))
                                x->in[k] = wish, renamed++;
        }
        ck_assert_uint_ge(renamed, 2);
        CK_OK(write_model(m, 0, &err), err);
        char *words = (char *)ckpt_slurp(scratch("o.param"), &n), *rest = NULL;
        words[n] = '\0';
        rs_map made = {0};
        size_t outs = 0, ins = 0, asked_layers = 0, asked_blobs = 0;
        strtok_r(words, "\n", &rest);
        ck_assert_int_eq(
                sscanf(strtok_r(NULL, "\n", &rest), "%zu %zu", &asked_layers, &asked_blobs), 2);
        for (char *at; (at = strtok_r(NULL, "\n", &rest)); layers++) {
                char *tail = NULL;
                strtok_r(at, " ", &tail);
                strtok_r(NULL, " ", &tail);
                size_t in = strtoul(strtok_r(NULL, " ", &tail), NULL, 10),
                       out = strtoul(strtok_r(NULL, " ", &tail), NULL, 10);
                for (; in; in--, ins++) {
                        const char *blob = strtok_r(NULL, " ", &tail);
                        ck_assert_msg(rs_map_get(&made, blob) == words, "%s", blob);
                        CK_OK(rs_map_put(&made, blob, &made, NULL, &err), err);
                }
                for (; out; out--, outs++) {
                        const char *blob = strtok_r(NULL, " ", &tail);
                        ck_assert_msg(!rs_map_get(&made, blob), "%s is made twice", blob);
                        CK_OK(rs_map_put(&made, blob, words, NULL, &err), err);
                }
        }
        ck_assert_uint_eq(layers, asked_layers);
        ck_assert_uint_eq(outs, asked_blobs);
        ck_assert_uint_eq(ins + 1, outs); /* all but the result */
        rs_map_free(&made);
        free(words);
        resect_model_free(m);
        scratch_done();
}
END_TEST

/* The k-th allocation of a writing fails: NOMEM and no file; or it could be done without (the
   anatomy's look-ups), and the files are the same. */
START_TEST(allocations)
{
        resect_error err = {0};
        size_t n[2];
        unsigned char *want[2];
        scratch_make();
        resect_model *m = form_make(&(form){.blocks = {1, 1}}, 1);
        CK_OK(write_model(m, RESECT_FLOAT16, &err), err);
        want[0] = ckpt_slurp(scratch("o.param"), &n[0]);
        want[1] = ckpt_slurp(scratch("o.bin"), &n[1]);
        rs_hooks.malloc = ckpt_malloc;
        rs_hooks.realloc = ckpt_realloc;
        rs_hooks.free = ckpt_free;
        long refusals = 0;
        for (long k = 0;; k++) {
                unlink(scratch("o.param"));
                unlink(scratch("o.bin"));
                ckpt_budget = k;
                bool done = write_model(m, RESECT_FLOAT16, &err), hit = ckpt_budget < 0;
                ckpt_budget = -1;
                refusals += !done;
                ck_assert_msg(done || err.code == RESECT_NOMEM, "allocation %ld: %s", k, err.msg);
                ck_assert(done || scratch_count() == 0);
                ck_assert(!done || (scratch_is("o.param", want[0], n[0]) &&
                                           scratch_is("o.bin", want[1], n[1])));
                if (!hit)
                        break;
        }
        ck_assert_int_gt(refusals, 20);
        rs_hooks.malloc = malloc;
        rs_hooks.realloc = realloc;
        rs_hooks.free = free;
        free(want[0]);
        free(want[1]);
        resect_model_free(m);
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        const unsigned char *end =
                memchr(bytes, 0, n); /* as tests/fuzz/fuzz_weights_ncnn.c cuts it */
        size_t text_size = end ? (size_t)(end - bytes) : n;
        scratch_write("c.param", bytes, text_size);
        scratch_write("c.bin", bytes + text_size + (end != NULL), n - text_size - (end != NULL));
        (void)ckpt_use(scratch("c.param"), &rs_format_ncnn, &err);
}

START_TEST(corpus)
{
        scratch_make();
        ckpt_corpus("weights_ncnn", replay);
        scratch_done();
}
END_TEST

UNIT_MAIN("ncnn", by_hand, hostile, damage, networks, not_written, odd_nodes, blobs, allocations,
        corpus)
