/* SPDX-License-Identifier: 0BSD */
/*
 * What stands beside weights and says what they mean: Keras's model_config, MXNet's symbol, the
 * parameters of Caffe's layers. Whole, in the forms of all ages, damaged, and short of memory.
 */
#include "config.h"
#include "ckpt.h"

#include <math.h>
#include "weights/json.h"
#include "weights/keras_config.h"
#include "weights/mxnet_symbol.h"

extern const rs_format rs_format_caffe, rs_format_mxnet;

static rs_checkpoint *
entries(const char *const *names)
{
        static const int64_t one = 1;
        resect_error err;
        rs_checkpoint *c = rs_alloc(1, sizeof *c, &err);
        ck_assert_ptr_nonnull(c);
        c->path = "test";
        for (size_t i = 0; names[i]; i++)
                CK_OK(rs_checkpoint_add(
                              c, names[i], RESECT_FLOAT, 1, &one, (rs_span){ckpt_values, 4}, &err),
                        err);
        return c;
}

static const rs_says *
says(const rs_checkpoint *c, const char *name)
{
        const rs_entry *e = rs_checkpoint_find(c, name);
        ck_assert_ptr_nonnull(e);
        return e->says;
}

static rs_span
text(const char *s)
{
        return (rs_span){(const unsigned char *)s, strlen(s)};
}

static const char *const of_keras[] = {
        "conv/conv/kernel:0", "inner/deep/kernel:0", "bn/gamma:0", "bn/moving_variance:0", NULL};

static const char config[] =
        "{\"class_name\": \"Functional\", \"config\": {\"name\": \"m\", \"layers\": ["
        "{\"class_name\": \"InputLayer\", \"config\": {\"batch_input_shape\": [null, 48, 40, 3], "
        "\"dtype\": {\"a\": [1.5, {}]}}},"
        "{\"class_name\": \"Rescaling\", \"config\": {\"scale\": 0.00784313725490196, \"offset\": "
        "-1.0}},"
        "{\"config\": {\"strides\": [2, 2], \"padding\": \"same\", \"kernel_size\": [3, 3], "
        "\"name\": \"conv\", \"kernel_initializer\":"
        " {\"class_name\": \"HeNormal\", \"config\": {\"seed\": null}}}, \"class_name\": "
        "\"Conv2D\"},"
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [{\"class_name\": \"Conv2D\", "
        "\"config\": {\"name\": \"deep\","
        " \"strides\": 1, \"padding\": \"valid\"}}]}},"
        "{\"class_name\": \"BatchNormalization\", \"config\": {\"name\": \"bn\", \"epsilon\": "
        "0.002, \"momentum\": 9.5e-1}}]}}";

START_TEST(keras)
{
        resect_error err;
        rs_checkpoint *c = entries(of_keras);
        CK_OK(rs_keras_config(c, text(config), &err), err);
        const rs_says *conv = says(c, "conv/conv/kernel:0"), *deep = says(c, "inner/deep/kernel:0"),
                      *bn = says(c, "bn/moving_variance:0");
        ck_assert(conv && conv->stride == 2 && conv->end && conv->epsilon < 0);
        ck_assert(deep && deep->stride == 1 && !deep->end);
        ck_assert(bn && bn->epsilon == 0.002 && fabs(bn->momentum - 0.95) < 1e-15);
        ck_assert_int_eq(c->picture[0], 48);
        ck_assert_int_eq(c->picture[1], 40);
        ck_assert_str_eq(c->input, "size=48x40 mean=0.5,0.5,0.5 std=0.5,0.5,0.5");
        rs_checkpoint_free(c);
        /* the layers of old Sequential models are the config itself */
        c = entries(of_keras);
        CK_OK(rs_keras_config(c,
                      text("{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":"
                           "\"BatchNormalization\",\"config\":{\"name\":"
                           "\"bn\",\"epsilon\":1}}]}"),
                      &err),
                err);
        bn = says(c, "bn/moving_variance:0");
        ck_assert(bn && bn->epsilon == 1 && bn->momentum == 0);
        ck_assert_ptr_null(c->input);
        rs_checkpoint_free(c);
}
END_TEST

/* Keras 3 keeps weights by the layers' classes and how many of each stand before: in the model, and
 * in each model within it. What other classes are between does not count. */
START_TEST(keras_three)
{
        static const char *const names[] = {"layers/batch_normalization/vars/3",
                "layers/batch_normalization_1/vars/3", "layers/conv2d/vars/0",
                "layers/conv2d_1/vars/0", "layers/functional/layers/batch_normalization/vars/3",
                "layers/functional/layers/conv2d/vars/0",
                "layers/functional_1/layers/batch_normalization/vars/3",
                "layers/functional/layers/sequential/layers/conv2d/vars/0",
                "layers/batch_normalization_2/vars/3", NULL};
        /* quotes are put in below */
        char json[] = "{'module':'keras','class_name':'Functional','config':{'layers':["
                      "{'class_name':'InputLayer','config':{'batch_shape':[null,64,64,3]}},"
                      "{'class_name':'Conv2D','config':{'name':'c','strides':[2,2]}},"
                      "{'class_name':'BatchNormalization','config':{'name':'b','epsilon':0.5}},"
                      "{'class_name':'ReLU','config':{}},"
                      "{'class_name':'Functional','config':{'layers':["
                      "{'class_name':'BatchNormalization','config':{'name':'b','epsilon':0.25}},"
                      "{'class_name':'Conv2D','config':{'name':'c','strides':[4,4]}},"
                      "{'class_name':'Sequential','config':{'layers':["
                      "{'class_name':'Conv2D','config':{'name':'c','strides':[5,5]}}]}}]}},"
                      "{'class_name':'BatchNormalization','config':{'name':'b','epsilon':0.125}},"
                      "{'class_name':'Conv2D','config':{'name':'c','strides':[3,3]}},"
                      "{'class_name':'Functional','config':{'layers':["
                      "{'class_name':'BatchNormalization','config':{'name':'b','epsilon':1}}]}}]}}";
        resect_error err;
        for (char *q = json; (q = strchr(q, '\'')) != NULL;)
                *q = '"';
        rs_checkpoint *c = entries(names);
        CK_OK(rs_keras_config(c, text(json), &err), err);
        ck_assert(says(c, names[0])->epsilon == 0.5);
        ck_assert(says(c, names[1])->epsilon == 0.125);
        ck_assert_int_eq(says(c, names[2])->stride, 2);
        ck_assert_int_eq(says(c, names[3])->stride, 3);
        ck_assert(says(c, names[4])->epsilon == 0.25);
        ck_assert_int_eq(says(c, names[5])->stride, 4);
        ck_assert(says(c, names[6])->epsilon == 1);
        ck_assert_int_eq(says(c, names[7])->stride, 5);
        ck_assert_ptr_null(says(c, names[8]));
        ck_assert_int_eq(c->picture[0], 64);
        rs_checkpoint_free(c);
}
END_TEST

/* Cut anywhere it says nothing at all, and never fails. */
START_TEST(keras_damaged)
{
        resect_error err;
        static const char *const bad[] = {"", "[]", "7", "{\"config\":7}",
                "{\"config\":{\"layers\":7}}", "{\"config\":{\"layers\":[7,[],{\"config\":[]}]}}",
                "{\"config\":{\"layers\":[{\"class_name\":\"Conv2D\"}]}}",
                "{\"config\":{\"layers\":[{\"class_name\":\"BatchNormalization\",\"config\":{"
                "\"name\":\"bn\",\"epsilon\":-1}}]}}",
                "{\"config\":{\"layers\":[{\"class_name\":\"BatchNormalization\",\"config\":{"
                "\"name\":\"bn\",\"epsilon\":1e999}}]}}"};
        for (size_t n = 0; n < sizeof config - 1; n += 3) {
                rs_checkpoint *c = entries(of_keras);
                char *copy = strndup(config, n);
                CK_OK(rs_keras_config(c, text(copy), &err), err);
                for (size_t i = 0; i < c->n_entries; i++)
                        ck_assert_ptr_null(c->entries[i].says);
                ck_assert_int_eq(c->picture[0], 0);
                ck_assert_ptr_null(c->input);
                /* and it is said, unless there is none */
                ck_assert_uint_eq(c->n_skipped, n != 0);
                ck_assert(n == 0 || strstr(c->skipped[0].why, "not understood") != NULL);
                rs_checkpoint_free(c);
                free(copy);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                rs_checkpoint *c = entries(of_keras);
                CK_OK(rs_keras_config(c, text(bad[i]), &err), err);
                const rs_says *bn = says(c, "bn/moving_variance:0");
                ck_assert_msg(!bn || bn->epsilon < 0, "%s", bad[i]);
                rs_checkpoint_free(c);
        }
        /* models within models within models */
        enum { DEEP = 50000 };
        static const char open[] = "{\"config\":{\"layers\":[";
        char *deep = malloc(DEEP * sizeof open + 1);
        ck_assert_ptr_nonnull(deep);
        deep[0] = '\0';
        for (size_t i = 0; i < DEEP; i++)
                memcpy(deep + i * (sizeof open - 1), open, sizeof open);
        rs_checkpoint *c = entries(of_keras);
        CK_OK(rs_keras_config(c, text(deep), &err), err);
        rs_checkpoint_free(c);
        free(deep);
}
END_TEST

static const char *const of_mxnet[] = {"w", "bn_gamma", "bn_beta", "mean", "var", NULL};

START_TEST(mxnet)
{
        resect_error err;
        const char *why;
        static const char modern[] =
                "{\"nodes\": [{\"op\": \"null\", \"name\": \"data\", \"inputs\": []}, {\"op\": "
                "\"null\", \"name\": \"w\", \"attrs\": "
                "{\"__dtype__\": \"0\"}, \"inputs\": []}, {\"op\": \"Convolution\", \"name\": "
                "\"c\", \"attrs\": {\"stride\": \"(2, 2)\", "
                "\"kernel\": \"(3, 3)\"}, \"inputs\": [[0, 0, 0], [1, 0, 0]]}, {\"op\": \"null\", "
                "\"name\": \"bn_gamma\", \"inputs\": []}, "
                "{\"op\": \"null\", \"name\": \"bn_beta\", \"inputs\": []}, {\"op\": \"null\", "
                "\"name\": \"mean\", \"inputs\": []}, {\"op\": "
                "\"null\", \"name\": \"var\", \"inputs\": []}, {\"op\": \"BatchNorm\", \"name\": "
                "\"bn\", \"attrs\": {\"eps\": \"2e-05\", "
                "\"fix_gamma\": \"False\", \"momentum\": \"0.8\"}, \"inputs\": [[2, 0], [3, 0], "
                "[4, 0], [5, 0, 1], [6, 0, 1]]}], "
                "\"arg_nodes\": [0, 1], \"attrs\": {\"mxnet_version\": [\"int\", 10500]}}";
        static const char old[] = "{\"nodes\": [{\"op\": \"null\", \"param\": {}, \"name\": "
                                  "\"bn_gamma\", \"inputs\": [], \"backward_source_id\": "
                                  "-1}, {\"op\": \"BatchNorm\", \"param\": {}, \"name\": \"bn\", "
                                  "\"inputs\": [[9, 0], [0, 0]]}], \"heads\": []}";
        rs_checkpoint *c = entries(of_mxnet);
        CK_OK(rs_mxnet_symbol_take(c, text(modern), &why, &err), err);
        ck_assert_ptr_null(why);
        const rs_says *w = says(c, "w"), *var = says(c, "var");
        ck_assert(w && w->stride == 2 && w->epsilon < 0);
        ck_assert(var && var->epsilon == 2e-5 && var->momentum == 0.8);
        ck_assert(!says(c, "bn_gamma"));
        /* cut anywhere it is not understood, and nothing of it is believed */
        for (size_t n = 0; n < sizeof modern - 2; n += 3) {
                char *copy = strndup(modern, n);
                CK_OK(rs_mxnet_symbol_take(c, text(copy), &why, &err), err);
                ck_assert_msg(why != NULL, "the first %zu bytes", n);
                for (size_t i = 0; i < c->n_entries; i++)
                        ck_assert_ptr_null(c->entries[i].says);
                free(copy);
        }
        rs_checkpoint_free(c);
        /* what is not said is MXNet's own: eps 1e-3, momentum 0.9, and the scale is fixed */
        static const char *const names[] = {"bn_gamma", "bn_moving_var", NULL};
        c = entries(names);
        CK_OK(rs_mxnet_symbol_take(c, text(old), &why, &err), err);
        ck_assert_ptr_null(why);
        var = says(c, "bn_moving_var");
        ck_assert(var && var->epsilon == 1e-3 && var->momentum == 0.9);
        ck_assert(says(c, "bn_gamma") && says(c, "bn_gamma")->fixed);
        rs_checkpoint_free(c);
        /* beside the arrays, with and without an epoch in their name */
        rs_entry e[2] = {ckpt_entry("bn_gamma", RESECT_FLOAT, 4, 1, (const int64_t[]){3}),
                ckpt_entry("bn_moving_var", RESECT_FLOAT, 4, 1, (const int64_t[]){3})};
        static const char *const files[] = {"net-0012.params", "net.params", "net-012.params"};
        scratch_make();
        ckpt_fill();
        scratch_write("net-symbol.json", old, sizeof old - 1);
        for (size_t i = 0; i < 3; i++) {
                CK_OK(ckpt_write(&rs_format_mxnet, scratch(files[i]), e, 2, &err), err);
                c = rs_checkpoint_read(scratch(files[i]), NULL, 0, &err);
                CK_OK(c != NULL, err);
                ck_assert_int_eq(says(c, "bn_gamma") != NULL, i < 2);
                ck_assert_uint_eq(c->n_skipped, 0);
                rs_checkpoint_free(c);
        }
        scratch_write("net-symbol.json", old, 30);
        c = rs_checkpoint_read(scratch("net.params"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_skipped, 1);
        ck_assert_msg(strstr(c->skipped[0].why, "not understood") != NULL, "%s", c->skipped[0].why);
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

START_TEST(caffe)
{
        resect_error err;
        static const int64_t three = 3, one = 1, kernel[] = {1, 3, 1, 1};
        const rs_says own = {.epsilon = 2e-3, .momentum = 0.75};
        rs_entry e[4] = {ckpt_entry("bn/0", RESECT_FLOAT, 4, 1, &three),
                ckpt_entry("bn/1", RESECT_FLOAT, 4, 1, &three),
                ckpt_entry("bn/2", RESECT_FLOAT, 4, 1, &one),
                ckpt_entry("conv/0", RESECT_FLOAT, 4, 4, kernel)};
        scratch_make();
        ckpt_fill();
        e[1].says = &own;
        CK_OK(ckpt_write(&rs_format_caffe, scratch("w.caffemodel"), e, 4, &err), err);
        rs_checkpoint *c = rs_checkpoint_read(scratch("w.caffemodel"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        const rs_says *var = says(c, "bn/1");
        ck_assert(var && (float)var->epsilon == 2e-3F && (float)var->momentum == 0.75F);
        ck_assert(!says(c, "bn/0") && !says(c, "bn/2") && !says(c, "conv/0"));
        rs_checkpoint_free(c);
        /* layer { name: "c" type: "Convolution" convolution_param { stride: 2 } blobs { data: 1.0 }
           }, both generations, stride packed or as stride_h */
        static const char v2[] = "\xa2\x06\x1d\x0a\x01"
                                 "c\x12\x0b"
                                 "Convolution\xd2\x06\x02\x30\x02\x3a\x06\x2a\x04\0\0\x80\x3f",
                          packed[] =
                                  "\xa2\x06\x1e\x0a\x01"
                                  "c\x12\x0b"
                                  "Convolution\xd2\x06\x03\x32\x01\x02\x3a\x06\x2a\x04\0\0\x80\x3f",
                          tall[] = "\xa2\x06\x1d\x0a\x01"
                                   "c\x12\x0b"
                                   "Convolution\xd2\x06\x02\x68\x02\x3a\x06\x2a\x04\0\0\x80\x3f",
                          v1[] = "\x12\x11\x22\x01"
                                 "c\x28\x04\x52\x02\x30\x02\x32\x06\x2a\x04\0\0\x80\x3f";
        const struct {
                const char *bytes;
                size_t n;
        } t[] = {{v2, sizeof v2 - 1}, {packed, sizeof packed - 1}, {tall, sizeof tall - 1},
                {v1, sizeof v1 - 1}};
        for (size_t i = 0; i < 4; i++) {
                scratch_write("c.caffemodel", t[i].bytes, t[i].n);
                c = rs_checkpoint_read(scratch("c.caffemodel"), &rs_format_caffe, 0, &err);
                ck_assert_msg(c != NULL, "%zu: %s", i, err.msg);
                ck_assert_msg(says(c, "c/0") && says(c, "c/0")->stride == 2, "%zu", i);
                rs_checkpoint_free(c);
        }
        scratch_done();
}
END_TEST

START_TEST(numbers)
{
        static const struct {
                const char *s;
                double v; /* NAN: none */
        } t[] = {{"1", 1}, {"-2.5", -2.5}, {"1e-3", 1e-3}, {"2E+2", 200}, {".5", 0.5}, {"", NAN},
                {"-", NAN}, {"1e", NAN}, {"1e+", NAN}, {"1x", NAN}, {"1e999", NAN},
                {"1e99999999999999999999", NAN}, {"nan", NAN}, {"0x1", NAN}, {"1e-400", 0}};
        for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
                double v = 7;
                bool ok = rs_decimal(t[i].s, &v);
                ck_assert_msg(ok == !isnan(t[i].v), "%s", t[i].s);
                ck_assert_msg(!ok || v == t[i].v, "%s is %g", t[i].s, v);
        }
        static const struct {
                const char *s;
                size_t rest; /* bytes behind it; SIZE_MAX: none */
        } skips[] = {{"{\"a\":[1,{}],\"b\":\"]\"},", 1}, {" 12 ,", 2}, {"true}", 1},
                {"\"a\\\"\"]", 1}, {"", SIZE_MAX}, {"]", SIZE_MAX}, {",", SIZE_MAX},
                {"[1", SIZE_MAX}, {"[\"a", SIZE_MAX}};
        for (size_t i = 0; i < sizeof skips / sizeof *skips; i++) {
                rs_json j = {.p = skips[i].s, .end = skips[i].s + strlen(skips[i].s)};
                bool ok = rs_json_skip(&j);
                ck_assert_msg(ok == (skips[i].rest != SIZE_MAX), "%s", skips[i].s);
                ck_assert_msg(!ok || (size_t)(j.end - j.p) == skips[i].rest, "%s", skips[i].s);
                rs_buf_free(&j.text);
        }
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        const char *why;
        rs_checkpoint *c = entries(of_keras);
        CK_OK(rs_keras_config(c, (rs_span){bytes, n}, &err), err);
        rs_checkpoint_free(c);
        c = entries(of_mxnet);
        if (!rs_mxnet_symbol_take(c, (rs_span){bytes, n}, &why, &err))
                ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        rs_checkpoint_free(c);
}

START_TEST(corpus)
{
        ckpt_corpus("weights_said", replay);
}
END_TEST

/* The k-th allocation fails: an error, and nothing is lost. */
START_TEST(no_memory)
{
        resect_error err;
        const char *why;
        void *(*kept)(size_t) = rs_hooks.malloc;
        for (int job = 0; job < 2; job++)
                for (long k = 0;; k++) {
                        rs_checkpoint *c = entries(job ? of_keras : of_mxnet);
                        static const char symbol[] =
                                "{\"nodes\":[{\"op\":\"Convolution\",\"name\":\"x\",\"inputs\":[[0,"
                                "0]]},{\"op\":"
                                "\"BatchNorm\",\"name\":\"bn\",\"inputs\":[]}]}";
                        ckpt_budget = k;
                        rs_hooks.malloc = ckpt_malloc;
                        rs_hooks.realloc = ckpt_realloc;
                        bool ok = job ? rs_keras_config(c, text(config), &err)
                                      : rs_mxnet_symbol_take(c, text(symbol), &why, &err);
                        rs_hooks.malloc = kept;
                        rs_hooks.realloc = realloc;
                        bool refused = ckpt_budget < 0;
                        ckpt_budget = -1;
                        ck_assert_msg(ok || (refused && err.code == RESECT_NOMEM), "%ld: %s", k,
                                ok ? "" : err.msg);
                        rs_checkpoint_free(c);
                        if (!refused)
                                break;
                        ck_assert_int_lt(k, 1000);
                }
}
END_TEST

UNIT_MAIN("said", keras, keras_three, keras_damaged, mxnet, caffe, numbers, corpus, no_memory)
