/* SPDX-License-Identifier: 0BSD */
/*
 * Every operator against nodes that nobody sane writes: any number of inputs and outputs, any rank
 * and dtype, sizes of 0, attributes at random and of the wrong kind. infer must refuse in words or
 * describe outputs that are possible; what it accepts must run, forward and backward, within its
 * buffers (which a sanitizer watches). The nodes are the same in every run.
 */
#include "op_cases.h"
#include "op/util.h"

#include "base/random.h"

static const struct {
        const char *name;
        int kind;
        int64_t low, high;
} attributes[] = {
        {"axis", RS_ATTR_INT, -4, 4},
        {"axes", RS_ATTR_INTS, -3, 3},
        {"keepdims", RS_ATTR_INT, 0, 1},
        {"perm", RS_ATTR_INTS, 0, 3},
        {"shape", RS_ATTR_INTS, -1, 4},
        {"pads", RS_ATTR_INTS, -1, 2},
        {"kernel_shape", RS_ATTR_INTS, 0, 3},
        {"strides", RS_ATTR_INTS, 0, 2},
        {"dilations", RS_ATTR_INTS, 0, 2},
        {"group", RS_ATTR_INT, 0, 2},
        {"auto_pad", RS_ATTR_STRING, 0, 0},
        {"mode", RS_ATTR_STRING, 0, 0},
        {"ceil_mode", RS_ATTR_INT, 0, 1},
        {"count_include_pad", RS_ATTR_INT, 0, 1},
        {"epsilon", RS_ATTR_FLOAT, 0, 1},
        {"momentum", RS_ATTR_FLOAT, 0, 1},
        {"training_mode", RS_ATTR_INT, 0, 1},
        {"alpha", RS_ATTR_FLOAT, 0, 2},
        {"beta", RS_ATTR_FLOAT, 0, 2},
        {"transA", RS_ATTR_INT, 0, 1},
        {"transB", RS_ATTR_INT, 0, 1},
        {"to", RS_ATTR_INT, 0, 18},
        {"blocksize", RS_ATTR_INT, 0, 3},
        {"size", RS_ATTR_INT, 0, 4},
        {"p", RS_ATTR_INT, 0, 3},
        {"starts", RS_ATTR_INTS, -3, 3},
        {"ends", RS_ATTR_INTS, -3, 5},
        {"split", RS_ATTR_INTS, 0, 3},
        {"num_outputs", RS_ATTR_INT, 0, 4},
        {"allowzero", RS_ATTR_INT, 0, 1},
        {"noop_with_empty_axes", RS_ATTR_INT, 0, 1},
        {"broadcast", RS_ATTR_INT, 0, 1},
        {"block_size", RS_ATTR_INT, 0, 3},
        {"output_dtype", RS_ATTR_INT, 0, 5},
        {"value", RS_ATTR_TENSOR, 0, 0},
        {"value_int", RS_ATTR_INT, 0, 5},
        {"value_ints", RS_ATTR_INTS, 0, 5},
        {"value_float", RS_ATTR_FLOAT, 0, 5},
        {"min", RS_ATTR_FLOAT, -1, 1},
        {"max", RS_ATTR_FLOAT, -1, 1},
        {"ratio", RS_ATTR_FLOAT, 0, 1},
        {"start", RS_ATTR_INT, -3, 3},
        {"end", RS_ATTR_INT, -3, 5},
        {"select_last_index", RS_ATTR_INT, 0, 1},
        {"fmod", RS_ATTR_INT, 0, 1},
        {"output_padding", RS_ATTR_INTS, 0, 2},
        {"output_shape", RS_ATTR_INTS, 0, 6},
        {"storage_order", RS_ATTR_INT, 0, 1},
        {"is_test", RS_ATTR_INT, 0, 1},
        {"approximate", RS_ATTR_STRING, 0, 0},
        {"spatial", RS_ATTR_INT, 0, 1},
        {"channels_last", RS_ATTR_INT, 0, 1},
};
enum { N_ATTRIBUTES = sizeof attributes / sizeof *attributes };

static const char *const strings[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "constant",
        "reflect", "edge", "wrap", "DCR", "CRD", "none", "tanh", "", "nonsense"};

struct dice {
        uint64_t stream, at;
        int64_t length; /* that most lists of a node have */
};

static int64_t
roll(struct dice *d, int64_t low, int64_t high)
{
        return low + (int64_t)rs_below(2024, d->stream, d->at++, (uint64_t)(high - low + 1));
}

/* Now and then a number from the far ends. */
static int64_t
roll_wild(struct dice *d, int64_t low, int64_t high)
{
        static const int64_t wild[] = {INT64_MIN, INT64_MAX, INT32_MAX, INT32_MIN,
                -(INT64_C(1) << 62), INT64_C(1) << 40, -1, 0};
        return roll(d, 0, 39) ? roll(d, low, high) : wild[roll(d, 0, 7)];
}

static void
throw_attribute(op_run *r, struct dice *d, rs_tensor *tensor)
{
        size_t k = (size_t)roll(d, 0, N_ATTRIBUTES - 1);
        if (rs_node_attr(&r->node, attributes[k].name))
                return;
        int kind = roll(d, 0, 19) ? attributes[k].kind : (int)roll(d, 1, 8);
        rs_attr *a = op_attr(r, attributes[k].name, kind);
        resect_error err;
        int64_t *ints = RS_NEW(&r->arena, 10, int64_t, &err);
        float *floats = RS_NEW(&r->arena, 10, float, &err);
        a->n = (size_t)(roll(d, 0, 4) ? d->length : roll(d, 0, 9));
        for (int i = 0; i < 10; i++) {
                ints[i] = roll_wild(d, attributes[k].low, attributes[k].high);
                floats[i] = (float)roll(d, -2, 2) / 2;
        }
        a->i = ints[0];
        a->f = roll(d, 0, 19) ? floats[0] : NAN;
        a->ints = ints;
        a->floats = floats;
        const char *s = strings[roll(d, 0, 13)];
        a->s = (rs_span){(const unsigned char *)s, strlen(s)};
        a->t = roll(d, 0, 9) ? tensor : NULL;
}

static void
throw_input(op_run *r, struct dice *d, size_t i)
{
        static const int32_t dtypes[] = {RESECT_FLOAT, RESECT_FLOAT, RESECT_FLOAT, RESECT_DOUBLE,
                RESECT_INT64, RESECT_INT64, RESECT_UINT8, RESECT_INT8, RESECT_INT32, RESECT_BOOL,
                RESECT_BOOL, RESECT_FLOAT16, RESECT_BFLOAT16, RESECT_UINT64, RESECT_UINT16,
                RESECT_INT16, RESECT_UINT32};
        resect_error err;
        resect_tensor *t = &r->in[i];
        if (!roll(d, 0, 9))
                return; /* absent */
        bool again = i && r->x.in[0] &&
                     roll(d, 0, 2); /* of the first one's dtype or shape: more of it fits */
        int32_t dtype = again ? r->types[0].dtype : dtypes[roll(d, 0, 16)];
        int rank = again && roll(d, 0, 3) ? r->types[0].rank
                                          : (int)(roll(d, 0, 9) ? roll(d, 0, 4) : roll(d, 0, 8));
        if (i && !roll(d, 0, 4)) { /* a list of integers, as shapes and axes are */
                dtype = RESECT_INT64;
                rank = 1;
        }
        int64_t dims[RESECT_RANK_MAX];
        for (int k = 0; k < rank; k++)
                dims[k] = again && k < r->types[0].rank && roll(d, 0, 7) ? r->types[0].dims[k]
                          : roll(d, 0, 30) ? roll(d, 1, rank > 5 ? 2 : 4)
                                           : 0;
        if (i && rank == 1 && dtype == RESECT_INT64 && roll(d, 0, 4))
                dims[0] = d->length;
        CK_OK(resect_tensor_make(t, (resect_dtype)dtype, rank, dims, &err), err);
        for (int64_t e = 0; e < resect_tensor_count(t); e++) {
                double v = (double)roll(d, -2, 4);
                rs_store(t->data, dtype, (size_t)e,
                        rs_dtype_bits(dtype) > 8 && dtype != RESECT_INT64 && roll(d, 0, 1)
                                ? v * 0.37
                                : v);
                if (dtype == RESECT_INT64)
                        ((int64_t *)t->data)[e] = roll_wild(d, -2, 4);
        }
        r->types[i] = (rs_type){.dtype = dtype, .rank = rank};
        memcpy(r->types[i].dims, t->dims, sizeof t->dims);
        if (roll(d, 0, 9))
                CK_OK(rs_type_set_ints(&r->types[i], &r->arena, t->data, &err), err);
        r->x.in[i] = &r->types[i];
        r->call.in[i] = t;
}

/* Sizes become symbols, and elements too: shapes may be anything before a plan is made. */
static void
loosen(op_run *r, struct dice *d)
{
        resect_error err;
        int64_t symbols[4];
        r->x.concrete = false;
        for (int i = 0; i < 4; i++)
                CK_OK(rs_symbol_add(&r->symbols, &r->arena, NULL, &symbols[i], &err), err);
        for (size_t i = 0; i < r->x.n_in; i++) {
                rs_type *t = &r->types[i];
                for (int k = 0; k < t->rank; k++)
                        if (!roll(d, 0, 2) && (!t->ints || k))
                                t->dims[k] = symbols[roll(d, 0, 3)];
                for (size_t k = 0; t->ints && k < t->n_ints; k++)
                        if (!roll(d, 0, 3))
                                ((int64_t *)t->ints)[k] = symbols[roll(d, 0, 3)];
        }
}

static bool
check_types(const op_run *r)
{
        bool small = true;
        for (size_t i = 0; i < r->x.n_out; i++) {
                const rs_type *t = &r->x.out[i];
                if (!t->dtype && !r->x.wanted[i])
                        continue;
                ck_assert_msg(t->dtype > 0 && t->rank >= -1 && t->rank <= RESECT_RANK_MAX,
                        "%s: output %zu", r->node.op, i);
                ck_assert_int_ge(t->rank, r->x.concrete ? 0 : -1);
                for (int k = 0; k < t->rank; k++)
                        ck_assert_msg(
                                t->dims[k] >= 0 ||
                                        (!r->x.concrete && rs_is_symbol(t->dims[k]) &&
                                                rs_symbol_index(t->dims[k]) < r->symbols.count),
                                "%s: output %zu has size %lld", r->node.op, i,
                                (long long)t->dims[k]);
                int64_t n = r->x.concrete ? rs_type_count(t) : 0;
                ck_assert_int_ge(n, 0);
                ck_assert_int_le(n, INT64_C(1) << 40);
                ck_assert_msg(!t->ints || !r->x.concrete || (int64_t)t->n_ints == n, "%s: %zu ints",
                        r->node.op, t->n_ints);
                small &= n < 100000;
        }
        return small && r->x.scratch < 1 << 24 && r->x.saved < 1 << 24;
}

/* What the plan gives a gradient to. */
static bool
is_real(const resect_tensor *t)
{
        return t->dtype == RESECT_FLOAT || t->dtype == RESECT_DOUBLE;
}

/* For whoever hunts: HOSTILE_PRINT=1 shows each node before it runs. */
static void
print_it(const op_run *r)
{
        printf("%s-%d training %d:", r->node.op, (int)r->x.opset, r->x.training);
        for (size_t i = 0; i < r->x.n_in + r->x.n_out; i++) {
                const rs_type *t = i < r->x.n_in ? r->x.in[i] : &r->x.out[i - r->x.n_in];
                printf("%s", i == r->x.n_in ? " ->" : "");
                if (t) {
                        printf(" %s[", resect_dtype_name((resect_dtype)t->dtype));
                        for (int k = 0; k < t->rank; k++)
                                printf("%s%lld", k ? "," : "", (long long)t->dims[k]);
                        printf("]");
                        for (size_t k = 0; t->ints && k < t->n_ints; k++)
                                printf("%c%lld", k ? ',' : '=', (long long)t->ints[k]);
                } else
                        printf(" -");
        }
        for (size_t i = 0; i < r->node.n_attrs; i++)
                printf(" %s:%d=%lld", r->node.attrs[i].name, (int)r->node.attrs[i].type,
                        (long long)r->node.attrs[i].i);
        printf("\n");
        fflush(stdout);
}

static void
run_it(op_run *r)
{
        resect_error err;
        if (getenv("HOSTILE_PRINT"))
                print_it(r);
        r->call.state = r->x.state;
        r->call.training = r->x.training;
        r->call.n_out = r->x.n_out;
        r->call.threads = r->x.threads;
        bool updates = r->op->statistics && r->x.training; /* writes new statistics unasked */
        for (size_t i = 0; i < (updates ? 3 : r->x.n_out); i++) {
                const rs_type *t = &r->x.out[i];
                if (!t->dtype || (!r->x.wanted[i] && !updates))
                        continue;
                CK_OK(resect_tensor_make(
                              &r->out[i], (resect_dtype)t->dtype, t->rank, t->dims, &err),
                        err);
                r->call.out[i] = &r->out[i];
        }
        r->call.scratch = rs_alloc_aligned(r->x.scratch, &err);
        r->call.saved = rs_alloc_aligned(r->x.saved, &err);
        r->op->forward(&r->call);
        if (!r->x.training || !r->op->backward || !r->out[0].data || !is_real(&r->out[0]))
                return;
        CK_OK(resect_tensor_make(
                      &r->dout[0], r->out[0].dtype, r->out[0].rank, r->out[0].dims, &err),
                err);
        r->call.dout[0] = &r->dout[0];
        for (size_t i = 0; i < r->x.n_in; i++) {
                if (!r->call.in[i] || !is_real(r->call.in[i]))
                        continue;
                CK_OK(resect_tensor_make(
                              &r->din[i], r->in[i].dtype, r->in[i].rank, r->in[i].dims, &err),
                        err);
                r->call.din[i] = &r->din[i];
        }
        r->op->backward(&r->call);
}

/* infer, and what follows from it; whether it ran. */
static bool
judge(op_run *r)
{
        resect_error err = {0};
        bool took = r->op->infer(&r->x, &err);
        ck_assert_msg(took || (err.code != RESECT_OK && *err.msg), "%s refuses without a word",
                r->op->name);
        if (!took || !check_types(r) || !r->x.concrete)
                return false;
        run_it(r);
        return true;
}

/* A node thrown at random; whether it ran. */
static bool
throw_node(const rs_op *op, uint64_t k)
{
        struct dice d = {rs_stream(op->name, k, 0), 0, 0};
        d.length = roll(&d, 1, 4);
        op_run *r = rs_alloc(1, sizeof *r, NULL);
        int64_t dims[] = {roll(&d, 1, 3)};
        static const unsigned char bytes[64] = {1, 0, 0, 0, 2};
        rs_tensor tensor = {.name = "",
                .dtype = roll(&d, 0, 1) ? RESECT_FLOAT : RESECT_INT64,
                .rank = (int)roll(&d, 0, 1),
                .dims = dims};
        tensor.count = tensor.rank ? (size_t)dims[0] : 1;
        tensor.bytes = tensor.count * rs_dtype_bits(tensor.dtype) / 8;
        tensor.data = (rs_span){bytes, tensor.bytes};
        op_start_in(r, op->domain, op->name,
                (int)roll(&d, op->since,
                        op->until        ? op->until
                        : op->since > 23 ? op->since
                                         : 23));
        size_t n_in = (size_t)(roll(&d, 0, 29) ? roll(&d, 0, 3) + roll(&d, 0, 1) * roll(&d, 0, 5)
                                               : roll(&d, 0, RS_IN_MAX));
        static const char *names[RS_IN_MAX];
        for (size_t i = 0; i < RS_IN_MAX; i++)
                names[i] = "v";
        r->node.in = r->node.out = names;
        r->x.n_in = r->node.n_in = r->call.n_in = n_in;
        for (size_t i = 0; i < n_in; i++)
                throw_input(r, &d, i);
        r->x.n_out = r->node.n_out = (size_t)(roll(&d, 0, 4) ? 1 : roll(&d, 0, RS_OUT_MAX));
        for (size_t i = 0; i < r->x.n_out; i++)
                r->x.wanted[i] = !i || roll(&d, 0, 3);
        for (int64_t i = roll(&d, 0, 9); i > 0; i--)
                throw_attribute(r, &d, &tensor);
        r->x.training = !roll(&d, 0, 1);
        r->x.threads = (int)roll(&d, 1, 2);
        if (!roll(&d, 0, 2))
                loosen(r, &d);
        bool ran = judge(r);
        op_free(r);
        rs_free(r);
        return ran;
}

/* Another tensor for input i. */
static void
replace_input(op_run *r, struct dice *d, size_t i, int32_t dtype, int rank, const int64_t *dims)
{
        resect_error err = {0};
        resect_tensor *t = &r->in[i];
        resect_tensor_free(t);
        CK_OK(resect_tensor_make(t, (resect_dtype)dtype, rank, dims, &err), err);
        for (int64_t e = 0; e < resect_tensor_count(t); e++)
                rs_store(t->data, dtype, (size_t)e, (double)roll(d, -2, 4));
        r->types[i] = (rs_type){.dtype = dtype, .rank = rank};
        memcpy(r->types[i].dims, t->dims, sizeof t->dims);
        CK_OK(rs_type_set_ints(&r->types[i], &r->arena, t->data, &err), err);
}

/* One thing about a valid call becomes another. */
static void
spoil(op_run *r, struct dice *d)
{
        size_t i = (size_t)roll(d, 0, (int64_t)r->x.n_in - 1);
        rs_type *t = &r->types[i];
        rs_attr *a = r->node.n_attrs ? &r->attrs[roll(d, 0, (int64_t)r->node.n_attrs - 1)] : NULL;
        int64_t dims[RESECT_RANK_MAX];
        resect_error err = {0};
        int rank = t->rank, at = rank ? (int)roll(d, 0, rank - 1) : 0;
        memcpy(dims, t->dims, sizeof dims);
        switch (roll(d, 0, 7)) {
        case 0:
                r->x.in[i] = NULL;
                r->call.in[i] = NULL;
                break;
        case 1:
                r->x.n_in = r->node.n_in = r->call.n_in = (size_t)roll(d, 0, (int64_t)r->x.n_in);
                break;
        case 2:
        case 3: /* another size, or one axis more or less */
                dims[at] = roll(d, 0, 6);
                if (!roll(d, 0, 2))
                        rank += rank && roll(d, 0, 1) ? -1 : rank < RESECT_RANK_MAX;
                dims[rank ? rank - 1 : 0] = roll(d, 0, 4);
                if (r->x.in[i])
                        replace_input(r, d, i, t->dtype, rank, dims);
                break;
        case 4:
                if (r->x.in[i])
                        replace_input(r, d, i, (int32_t)roll(d, 1, 7), rank, dims);
                break;
        case 5:
                if (r->x.in[i] && t->ints && t->n_ints && t->dtype == RESECT_INT64) {
                        size_t e = (size_t)roll(d, 0, (int64_t)t->n_ints - 1);
                        ((int64_t *)r->in[i].data)[e] = roll_wild(d, -4, 6);
                        CK_OK(rs_type_set_ints(t, &r->arena, r->in[i].data, &err), err);
                }
                break;
        case 6:
                r->x.opset = roll(d, r->op->since, 23);
                break;
        default:
                if (!a)
                        break;
                if (!roll(d, 0, 5))
                        a->type = (int32_t)roll(d, 1, 8);
                a->i = roll_wild(d, -3, 5);
                a->f = (float)roll(d, -2, 2);
                if (a->n && a->ints)
                        ((int64_t *)a->ints)[roll(d, 0, (int64_t)a->n - 1)] = roll_wild(d, -3, 5);
                a->n = a->n && !roll(d, 0, 2) ? a->n - 1 : a->n;
        }
}

static bool
spoil_case(const op_case *k, uint64_t trial)
{
        struct dice d = {rs_stream(k->op, trial, (uint64_t)(k - op_cases)), 0, 2};
        op_run *r = rs_alloc(1, sizeof *r, NULL);
        static const char *names[RS_IN_MAX];
        for (size_t i = 0; i < RS_IN_MAX; i++)
                names[i] = "v";
        op_case_start(r, k, roll(&d, 0, 2) ? RESECT_FLOAT : RESECT_DOUBLE);
        r->node.in = r->node.out = names;
        r->node.n_out = r->x.n_out;
        r->x.training = roll(&d, 0, 1);
        for (int64_t n = roll(&d, 1, 2); n > 0 && r->x.n_in; n--)
                spoil(r, &d);
        if (!roll(&d, 0, 4))
                loosen(r, &d);
        bool ran = judge(r);
        op_free(r);
        rs_free(r);
        return ran;
}

START_TEST(any_node_at_all)
{
        int ran = 0, all = 0;
        for (const rs_op *const *op = rs_ops; *op; op++)
                for (uint64_t k = 0; k < 400; k++, all++)
                        ran += throw_node(*op, k);
        printf("%d random nodes, %d ran\n", all, ran);
        ck_assert_int_gt(ran, all / 200); /* else the dice are loaded so that nothing is tested */
}
END_TEST

START_TEST(spoilt_nodes)
{
        for (size_t k = 0; k < N_OP_CASES; k++) {
                int ran = 0;
                for (uint64_t trial = 0; trial < 300; trial++)
                        ran += spoil_case(&op_cases[k], trial);
                ck_assert_msg(ran > 0 && ran < 300, "%s: %d of 300 spoilt nodes ran",
                        op_cases[k].op, ran);
        }
}
END_TEST

UNIT_MAIN("op_spoilt", any_node_at_all, spoilt_nodes)
