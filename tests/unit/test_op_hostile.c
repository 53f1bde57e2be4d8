/* SPDX-License-Identifier: 0BSD */
/*
 * Inference of every operator of the list on nodes that somebody made up: any number of inputs of
 * any rank and size, attributes of any kind with any number in them; and on good nodes with one
 * thing or another gone wrong. It must say no, or say yes and then run within its buffers (which
 * ASan watches). What it says is one line that names the node.
 */
#include "op_run.h"

static uint64_t state;

static uint32_t
pick(uint32_t n)
{
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t)(state >> 33) % n;
}

static const char *const names[] = {"kernel_shape", "strides", "pads", "dilations", "group",
        "auto_pad", "axis", "axes", "ceil_mode", "storage_order", "count_include_pad",
        "output_padding", "output_shape", "epsilon", "momentum", "training_mode", "spatial",
        "is_test", "alpha", "beta", "transA", "transB", "p", "size", "perm", "keepdims", "to",
        "value", "mode", "blocksize", "allowzero", "starts", "ends", "split", "shape", "broadcast",
        "batch_dims", "exclusive", "num_outputs"};
static const int64_t numbers[] = {0, 1, 1, 1, 2, 2, 3, -1, -2, 5, 7, INT32_MAX, INT64_MAX,
        INT64_MIN, 100000, INT64_C(1) << 40};
static const char *const words[] = {
        "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", "SAME", "constant", "edge", ""};
static const int32_t dtypes[] = {RESECT_FLOAT, RESECT_FLOAT, RESECT_FLOAT, RESECT_DOUBLE,
        RESECT_INT64, RESECT_INT32, RESECT_INT8, RESECT_UINT8, RESECT_BOOL, RESECT_FLOAT16,
        RESECT_BFLOAT16, RESECT_INT64};
static const int64_t sizes[] = {1, 1, 2, 2, 3, 4, 5, 0};

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ANY(a) ((a)[pick((uint32_t)COUNT(a))])

static void
random_attribute(op_run *r)
{
        resect_error err = {0};
        static const int kinds[] = {RS_ATTR_INT, RS_ATTR_INTS, RS_ATTR_INTS, RS_ATTR_FLOAT,
                RS_ATTR_STRING, RS_ATTR_TENSOR};
        rs_attr *a = op_attr(r, ANY(names), ANY(kinds));
        int64_t *v = RS_NEW(&r->arena, 16, int64_t, &err);

        a->i = ANY(numbers);
        a->f = (float)ANY(numbers);
        a->s.data = (const unsigned char *)ANY(words);
        a->s.size = strlen((const char *)a->s.data);
        a->n = pick(9);
        for (size_t i = 0; i < a->n; i++)
                v[i] = pick(3) ? (int64_t)pick(4) : ANY(numbers);
        a->ints = v;
        if (a->type == RS_ATTR_TENSOR && pick(2))
                a->type = RS_ATTR_INT;
        a->t = a->type == RS_ATTR_TENSOR ? RS_NEW(&r->arena, 1, rs_tensor, &err) : NULL;
        if (a->t) {
                a->t->name = "";
                a->t->dtype = RESECT_FLOAT;
                a->t->rank = 1;
                a->t->dims = v;
                v[0] = 1;
                a->t->count = 1;
                a->t->bytes = 4;
                a->t->data = (rs_span){(const unsigned char *)"\0\0\0\0", 4};
        }
}

/* Good nodes: inputs as "dtype dims;", attributes as "name=ints". */
typedef struct good {
        const char *op, *inputs, *attributes;
} good;
static const good goods[] = {
        {"Conv", "f 2 4 5 5;f 6 2 3 3;f 6", "group=2 strides=2,1 pads=1,1,1,1"},
        {"Conv", "f 1 2 7;f 3 2 3;", "auto_pad=SAME_UPPER dilations=2 kernel_shape=3"},
        {"Conv", "d 1 2 3 4 3;d 4 1 2 1 2;", "group=2"},
        {"ConvTranspose", "f 2 4 3 3;f 4 2 3 2;f 4",
                "group=2 strides=2,3 output_padding=1,0 pads=1,0,1,0"},
        {"ConvTranspose", "d 1 1 3 3;d 1 2 3 3;", "output_shape=7,6 strides=2,2"},
        {"ConvInteger", "u 1 2 4 4;b 3 2 2 2;u;b 3", "pads=1,0,0,1"},
        {"QLinearConv", "u 1 2 4 4;f;u;b 3 2 2 2;f 3;b 3;f;u;i 3", "strides=2,1"},
        {"MatMulInteger", "u 2 3 4;b 4 5;u 3;b 5", ""},
        {"QLinearMatMul", "u 2 3 4;f;u;u 4 5;f;u;f;b", ""},
        {"MatMul", "f 2 1 3 4;f 5 4 2", ""},
        {"MatMul", "i 3 4;i 4", ""},
        {"Gemm", "d 3 4;d 5 4;d 5", "transB=1 alpha=2"},
        {"Gemm", "l 4 3;l 4 5;l 3 1", "transA=1"},
        {"BatchNormalization", "f 2 3 4 1;f 3;f 3;f 3;f 3", "momentum=1 training_mode=1"},
        {"BatchNormalization", "d 2 3 2;d 3 2;d 3 2;d 3 2;d 3 2", "spatial=0"},
        {"InstanceNormalization", "f 2 3 4 1;f 3;f 3", ""},
        {"LRN", "f 2 5 3", "size=3"},
        {"MaxPool", "f 2 3 5 6", "kernel_shape=3,2 strides=2,2 pads=1,0,1,1 ceil_mode=1"},
        {"MaxPool", "u 1 2 7", "kernel_shape=3 dilations=2 auto_pad=SAME_LOWER storage_order=1"},
        {"AveragePool", "d 2 3 5 6",
                "kernel_shape=3,2 strides=2,2 pads=1,0,1,1 ceil_mode=1 count_include_pad=1"},
        {"LpPool", "f 1 2 3 4 3", "kernel_shape=2,2,2 p=3"},
        {"GlobalAveragePool", "f 2 3 4 5", ""},
        {"GlobalMaxPool", "d 2 3 4", ""},
        {"GlobalLpPool", "f 2 3 4 5 1", "p=1"},
        {"Softmax", "f 2 3 4", "axis=1"},
        {"LogSoftmax", "d 2 3 4", "axis=-1"},
};

static void
good_attributes(op_run *r, const char *text)
{
        resect_error err = {0};

        for (const char *at = text; *at;) {
                const char *is = strchr(at, '=');
                char *end;
                int64_t *v = RS_NEW(&r->arena, 16, int64_t, &err);
                rs_attr *a = op_attr(
                        r, rs_arena_strndup(&r->arena, at, (size_t)(is - at), &err), RS_ATTR_INT);
                for (at = is + 1, end = NULL; *at && *at != ' '; at = *end == ',' ? end + 1 : end) {
                        v[a->n] = strtoll(at, &end, 10);
                        if (end == at) { /* a word */
                                const size_t n = strcspn(at, " ");
                                a->type = RS_ATTR_STRING;
                                a->s = (rs_span){(const unsigned char *)at, n};
                                end = (char *)(uintptr_t)(at + n);
                                continue;
                        }
                        a->i = v[a->n++];
                        a->f = (float)a->i;
                }
                a->ints = v;
                if (strstr(a->name, "pads") || strstr(a->name, "padding") ||
                        strstr(a->name, "strides") || strstr(a->name, "dilations") ||
                        strstr(a->name, "shape"))
                        a->type = a->type == RS_ATTR_STRING ? RS_ATTR_STRING : RS_ATTR_INTS;
                if (!strcmp(a->name, "alpha") || !strcmp(a->name, "momentum"))
                        a->type = RS_ATTR_FLOAT;
                at += *at == ' ';
        }
}

/* With one chance in three, per input: another size, another rank, another type, or gone. */
static void
good_inputs(op_run *r, const char *text)
{
        static const char letters[] = "fdubil";
        static const int32_t types[] = {
                RESECT_FLOAT, RESECT_DOUBLE, RESECT_UINT8, RESECT_INT8, RESECT_INT32, RESECT_INT64};
        const bool clean = pick(2);

        for (const char *at = text; *at;) {
                int32_t dtype = types[strchr(letters, *at++) - letters];
                int dims[8] = {0}, rank = 0;
                char *end;
                for (; *at == ' '; at = end)
                        dims[rank++] = (int)strtol(at + 1, &end, 10);
                at += *at == ';';
                const uint32_t wrong = clean ? 9 : pick(30);
                if (wrong == 0 && rank)
                        dims[pick((uint32_t)rank)] = (int)ANY(sizes);
                else if (wrong == 1)
                        rank = (int)pick(9);
                else if (wrong == 2)
                        dtype = ANY(dtypes);
                for (int d = 0; d < rank && wrong == 1; d++)
                        dims[d] = (int)ANY(sizes);
                op_in(r, wrong == 3 ? 0 : dtype, rank, dims[0], dims[1], dims[2], dims[3], dims[4],
                        dims[5], dims[6], dims[7]);
        }
        for (uint32_t more = clean ? 0 : pick(20); more >= 18; more--)
                op_in(r, RESECT_FLOAT, 1, 3);
        for (size_t i = 0; i < r->x.n_in; i++) /* variances and scales that are none */
                for (size_t e = 0; r->in[i].data && i && e < (size_t)resect_tensor_count(&r->in[i]);
                        e++)
                        if (r->in[i].dtype == RESECT_FLOAT && pick(50) == 0)
                                rs_store(r->in[i].data, RESECT_FLOAT, e, pick(2) ? NAN : -INFINITY);
}

/* Inputs that often fit together: the sizes are few. */
static void
random_inputs(op_run *r)
{
        resect_error err = {0};
        const size_t n = pick(11);
        const int usual = (int)pick(9);

        for (size_t i = 0; i < n; i++) {
                rs_type *t = &r->types[i];
                const int32_t dtype = pick(4) && i ? r->types[0].dtype : ANY(dtypes);
                if (pick(12) == 0 || !dtype) {
                        op_in(r, 0, 0);
                        continue;
                }
                t->dtype = dtype;
                t->rank = pick(3) ? usual : (int)pick(9);
                size_t count, bytes;
                for (int d = 0; d < t->rank; d++)
                        t->dims[d] = ANY(sizes);
                if (!rs_tensor_extent(dtype, t->rank, t->dims, &count, &bytes, &err)) {
                        op_in(r, 0, 0);
                        continue;
                }
                CK_OK(resect_tensor_make(&r->in[i], (resect_dtype)dtype, t->rank, t->dims, &err),
                        err);
                for (size_t e = 0; e < count; e++)
                        rs_store(r->in[i].data, dtype, e, (double)pick(4));
                if (dtype == RESECT_INT64 || dtype == RESECT_INT32)
                        if (pick(2))
                                CK_OK(rs_type_set_ints(t, &r->arena, r->in[i].data, &err), err);
                r->x.in[i] = t;
                r->call.in[i] = &r->in[i];
                r->x.n_in = r->call.n_in = r->node.n_in = i + 1;
        }
}

/* Forward, and backward where there is one, on whatever infer has agreed to. */
static void
run(op_run *r)
{
        resect_error err = {0};

        r->call.state = r->x.state;
        r->call.training = r->x.training;
        r->call.n_out = r->x.n_out;
        for (size_t i = 0; i < r->x.n_out; i++) {
                const rs_type *t = &r->x.out[i];
                size_t count, bytes;
                if (!r->x.wanted[i] && !(r->x.training && t->dtype))
                        continue;
                ck_assert_msg(
                        t->dtype > 0 && t->rank >= 0, "%s left output %zu unsaid", r->op->name, i);
                if (!rs_tensor_extent(t->dtype, t->rank, t->dims, &count, &bytes, &err) ||
                        bytes > 1u << 24)
                        return; /* a plan would refuse */
                CK_OK(resect_tensor_make(
                              &r->out[i], (resect_dtype)t->dtype, t->rank, t->dims, &err),
                        err);
                r->call.out[i] = &r->out[i];
        }
        if (r->x.scratch > 1u << 26 || r->x.saved > 1u << 26)
                return;
        r->call.scratch = rs_alloc_aligned(r->x.scratch + 1, &err);
        r->call.saved = rs_alloc_aligned(r->x.saved + 1, &err);
        if (r->op->view)
                return;
        r->op->forward(&r->call);
        if (!r->op->backward || !r->x.training ||
                (r->out[0].dtype != RESECT_FLOAT && r->out[0].dtype != RESECT_DOUBLE))
                return;
        for (size_t i = 0; i < r->x.n_in; i++)
                if (r->call.in[i] && r->in[i].dtype == r->out[0].dtype && pick(4)) {
                        CK_OK(resect_tensor_make(&r->din[i], r->in[i].dtype, r->in[i].rank,
                                      r->in[i].dims, &err),
                                err);
                        r->call.din[i] = &r->din[i];
                }
        CK_OK(resect_tensor_make(
                      &r->dout[0], r->out[0].dtype, r->out[0].rank, r->out[0].dims, &err),
                err);
        r->call.dout[0] = &r->dout[0];
        r->op->backward(&r->call);
}

START_TEST(says_no_or_runs)
{
        const rs_op *op = rs_ops[_i];
        size_t yes = 0, no = 0;

        state = (uint64_t)_i + 1;
        for (int round = 0; round < 1500; round++) {
                op_run r;
                resect_error err = {0};
                op_start(&r, "Conv", 11);
                r.op = op;
                r.node.op = op->name;
                r.x.opset = op->since + (int)pick(20);
                r.x.training = pick(3) == 0;
                r.x.frozen = pick(4) == 0;
                r.x.n_out = pick(6) ? 1 : pick(6);
                for (size_t i = 0; i < r.x.n_out; i++)
                        r.x.wanted[i] = i == 0 || pick(2);
                const good *g = NULL;
                for (size_t i = 0, n = 0; i < COUNT(goods); i++)
                        if (!strcmp(goods[i].op, op->name) && pick((uint32_t)++n) == 0)
                                g = &goods[i];
                if (g && round % 4) {
                        good_attributes(&r, g->attributes);
                        good_inputs(&r, g->inputs);
                        if (pick(3) == 0)
                                random_attribute(&r);
                        if (pick(4) == 0 && r.node.n_attrs) { /* a good name, a bad number */
                                rs_attr *a = &r.attrs[pick((uint32_t)r.node.n_attrs)];
                                a->i = ANY(numbers);
                                a->f = (float)a->i;
                                if (a->n)
                                        ((int64_t *)(uintptr_t)a->ints)[pick((uint32_t)a->n)] =
                                                a->i;
                        }
                } else {
                        for (uint32_t i = pick(5); i; i--)
                                random_attribute(&r);
                        random_inputs(&r);
                }
                if (pick(8) == 0) { /* as in a graph whose batch is open */
                        r.x.concrete = false;
                        for (size_t i = 0; i < r.x.n_in; i++)
                                if (r.x.in[i] && r.types[i].rank)
                                        CK_OK(rs_symbol_add(&r.symbols, &r.arena, NULL,
                                                      &r.types[i].dims[pick(
                                                              (uint32_t)r.types[i].rank)],
                                                      &err),
                                                err);
                        (void)!op_infer(&r, &err);
                } else if (op_infer(&r, &err)) {
                        yes++;
                        run(&r);
                } else {
                        no++;
                        ck_assert_int_ne(err.code, RESECT_OK);
                        ck_assert_msg(
                                strstr(err.msg, "node") || err.code == RESECT_NOMEM, "%s", err.msg);
                }
                op_free(&r);
        }
        ck_assert_uint_gt(no, 0);
        for (size_t i = 0; i < COUNT(goods); i++) /* and the good ones are good */
                ck_assert_msg(strcmp(goods[i].op, op->name) || yes > 100, "%s ran only %zu times",
                        op->name, yes);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("op_hostile");
        TCase *c = tcase_create("all");
        int n = 0;

        while (rs_ops[n])
                n++;
        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, says_no_or_runs, 0, n);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
