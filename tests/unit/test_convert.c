/* SPDX-License-Identifier: 0BSD */
/*
 * Both lists walked: a network with numbers of its own in every tensor goes out in every format
 * under every naming scheme, comes back into a fresh graph, and computes what it did, to the last
 * bit where nothing but places and layouts changed. The networks are cut behind the second stage,
 * which no scheme knows of.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/random.h"
#include "edit/run.h"
#include "scratch.h"
#include "tensor/dtype.h"
#include "unit.h"
#include "weights/convert.h"

/* A network of a variant, cut behind its second stage; drawn once, since a whole one has to be. */
static resect_model *
base(bool bottleneck, const char *variant)
{
        static struct {
                bool bottleneck;
                const char *variant;
                void *bytes;
                size_t size;
        } drawn[6];
        resect_error err;
        size_t i = 0;
        while (drawn[i].bytes &&
                (drawn[i].bottleneck != bottleneck || strcmp(drawn[i].variant, variant) != 0))
                i++;
        if (!drawn[i].bytes) {
                const resect_setting make[] = {{"name", bottleneck ? "resnet50" : "resnet18"},
                        {"classes", "7"}, {"size", "32"}, {"variant", variant}},
                                     cut = {"after", "layer2"};
                resect_model *m = resect_edit_create("new", make, 4, NULL, &err);
                ck_assert_msg(m != NULL, "%s", err.msg);
                CK_OK(resect_edit_run(m, "truncate", &cut, 1, NULL, &err), err);
                drawn[i].bottleneck = bottleneck;
                drawn[i].variant = variant;
                CK_OK(resect_model_write_memory(m, &drawn[i].bytes, &drawn[i].size, &err), err);
                resect_model_free(m);
        }
        resect_model *m = resect_model_read_memory(drawn[i].bytes, drawn[i].size, NULL, &err);
        ck_assert_msg(m != NULL, "%s", err.msg);
        return m;
}

/* A small network as this scheme means it: its variant, its epsilon, biases where it has them. */
static resect_model *
network(const rs_scheme *s, bool bottleneck)
{
        resect_error err;
        resect_model *m = base(bottleneck, s->preactivation               ? "v2"
                                           : s->stride == RS_STRIDE_CONV1 ? "v1"
                                                                          : "v1.5");
        rs_set set;
        CK_OK(rs_set_of_model(&set, m, &err), err);
        rs_variant v = rs_variant_of_scheme(s, &set.net);
        CK_OK(rs_variant_set(m, &set, &v, &err), err);
        rs_set_free(&set);
        return m;
}

/* Numbers that tell slots apart: no two tensors alike, variances positive. */
static void
scramble(resect_model *m, const rs_scheme *s)
{
        resect_error err;
        rs_set set;
        uint64_t n = 0;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_tensor *t = m->graph.tensors[i];
                if (t->dtype != RESECT_FLOAT)
                        continue;
                float *f = rs_alloc(t->count + 1, sizeof *f, &err),
                      scale = t->rank == 4 ? 0.05f : 0.3f;
                bool var = strstr(t->name, "running_var") != NULL,
                     gamma = t->rank == 1 && strstr(t->name, ".weight") != NULL;
                for (size_t k = 0; k < t->count; k++) {
                        float u = (float)((double)(n * 2654435761u % 1000003u) / 1000003.0 - 0.5);
                        n += 7;
                        f[k] = var || gamma ? 1 + u : scale * u;
                }
                CK_OK(rs_tensor_renew(m, t, t->rank, t->dims, &err), err);
                rs_from_little((void *)(uintptr_t)t->data.data, f, RESECT_FLOAT, t->count);
                rs_free(f);
        }
        CK_OK(rs_set_of_model(&set, m, &err), err);
        for (size_t i = 0; i < set.n; i++)
                if (set.units[i].bn_node)
                        CK_OK(rs_node_set_float(
                                      m, set.units[i].bn_node, "epsilon", (float)s->epsilon, &err),
                                err);
        rs_set_free(&set);
}

static resect_tensor
answer_as(resect_model *m, const resect_plan_options *how)
{
        resect_error err;
        resect_value in;
        resect_tensor x, y = {0};
        ck_assert(resect_model_input(m, 0, &in));
        CK_OK(rs_random_input(&in, 1, 64, &x, &err), err);
        const resect_binding b = {in.name, x};
        const char *out = m->graph.outputs[0]->name;
        CK_OK(rs_run(m, how, &b, 1, &out, 1, &y, &err), err);
        resect_tensor_free(&x);
        return y;
}

static resect_tensor
answer(resect_model *m)
{
        return answer_as(m, NULL);
}

static const char *
file_of(const rs_format *f)
{
        char name[64];
        snprintf(name, sizeof name, "w%s", f->suffixes[0] ? f->suffixes[0] : "");
        return scratch(name);
}

/* Whether values are computed on the way, not only moved: where a BatchNormalization has no place
 * of its own. */
static bool
computes(const rs_scheme *s)
{
        return s->folded || (!s->preactivation && !s->modules[RS_DOWN_BN]);
}

/* Out, and, where the format is read, back in. A format may say that it cannot hold another
   framework's tensors (a scalar, a name), but not those that it usually has; true when it held
   these. */
static bool
there_and_back(const rs_format *f, const rs_scheme *s, resect_model *m, const resect_tensor *want,
        bool bottleneck)
{
        resect_error err;
        resect_conversion c;
        const char *path = file_of(f);
        resect_weights *w = resect_weights_of_model(m, &err);
        ck_assert_ptr_nonnull(w);
        bool ok = resect_weights_write(w, path, f->name, s->name, NULL, &c, &err);
        bool own = !f->scheme || !strncmp(f->scheme, s->name, strlen(f->scheme));
        if (!ok && err.code == RESECT_UNSUPPORTED && f->scheme && !own) {
                resect_weights_free(w);
                return false;
        }
        ck_assert_msg(ok, "%s:%s: %s", f->name, s->name, err.msg);
        ck_assert_msg(c.complete && (c.exact || computes(s)), "%s:%s: complete %d, exact %d",
                f->name, s->name, c.complete, c.exact);
        resect_weights_free(w);
        if (!f->read)
                return true;
        w = resect_weights_read(path, NULL, &err);
        ck_assert_msg(w != NULL, "%s:%s: %s", f->name, s->name, err.msg);
        ck_assert_msg(w->info.recognised, "%s:%s: %s", f->name, s->name, w->info.why_not);
        ck_assert_str_eq(w->info.format, f->name);
        resect_model *fresh = network(s, bottleneck);
        const resect_convert_options trust = {.variant = RESECT_VARIANT_MODEL};
        ok = resect_weights_into(w, fresh, &trust, &c, &err);
        ck_assert_msg(ok, "%s:%s: %s", f->name, s->name, err.msg);
        ck_assert_msg(c.complete, "%s:%s, taken for %s: %zu unmatched, %zu missing", f->name,
                s->name, w->info.names, c.unmatched, c.missing);
        resect_tensor got = answer(fresh);
        resect_difference d;
        CK_OK(resect_tensor_compare(&got, want, 0, 0, &d, &err), err);
        ck_assert_msg(d.max_rel <= (computes(s)  ? 1e-4
                                           : own ? 0
                                                 : 1e-6),
                "%s:%s, taken for %s: outputs differ by %g", f->name, s->name, w->info.names,
                d.max_rel);
        resect_tensor_free(&got);
        resect_model_free(fresh);
        resect_weights_free(w);
        resect_weights_remove(path, f->name);
        ck_assert_msg(scratch_count() == 0, "%s: something is left", f->name);
        return true;
}

/* Thousands of small files: that they are on the disk is not what is tested here. */
static int
no_fsync(int fd)
{
        (void)fd;
        return 0;
}

static void
walk(bool bottleneck)
{
        rs_hooks.fsync = no_fsync;
        size_t pairs = 0;
        for (size_t i = 0; rs_scheme_list(i); i++) {
                const rs_scheme *s = rs_scheme_list(i);
                if (s->modules[RS_DATA_BN] && s->preactivation) {
                        /* the graph needs a norm on the picture, which resect_weights_graph adds:
                         * see convert.sh */
                        continue;
                }
                resect_model *m = network(s, bottleneck);
                scramble(m, s);
                resect_tensor want = answer(m);
                for (size_t k = 0; rs_format_list(k); k++) {
                        const rs_format *f = rs_format_list(k);
                        /* of the larger networks each scheme and each format, not each pair */
                        if (!f->write || (bottleneck && i && k))
                                continue;
                        scratch_make();
                        pairs += there_and_back(f, s, m, &want, bottleneck);
                        scratch_done();
                }
                resect_tensor_free(&want);
                resect_model_free(m);
        }
        ck_assert_uint_ge(pairs, 12);
}

START_TEST(bottlenecks)
{
        walk(true);
}
END_TEST
START_TEST(basic_blocks)
{
        walk(false);
}
END_TEST

/* What is said of weights that do not fit, and what is done. */
START_TEST(other_variants)
{
        resect_error err;
        resect_conversion c;
        const rs_scheme *s = rs_scheme_find("torchvision");
        rs_scheme v1 = *s;
        v1.stride = RS_STRIDE_CONV1;
        v1.pool1 = RS_POOL1_END;
        resect_model *m = network(&v1, true), *fresh = network(s, true);
        scramble(m, s);
        resect_tensor want = answer(m);
        resect_weights *w = resect_weights_of_model(m, &err);
        ck_assert_ptr_nonnull(w);
        ck_assert_str_eq(w->info.variant, "stride on conv1 (v1), pool1 padded at its end");
        ck_assert(!resect_weights_into(w, fresh, NULL, &c, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        ck_assert_ptr_nonnull(strstr(err.msg, "--variant-from"));
        ck_assert(!resect_weights_write(
                w, "/dev/null", "safetensors", "torchvision", NULL, &c, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        const resect_convert_options move = {.variant = RESECT_VARIANT_WEIGHTS};
        CK_OK(resect_weights_into(w, fresh, &move, &c, &err), err);
        ck_assert(c.complete && c.exact);
        resect_tensor got = answer(fresh);
        ck_assert(got.size == want.size && !memcmp(got.data, want.data, got.size));
        resect_tensor_free(&got);
        resect_tensor_free(&want);
        resect_weights_free(w);
        resect_model_free(fresh);
        resect_model_free(m);
}
END_TEST

/* Of how a model is run for a proof, training is no part: BatchNormalization would take the batch's
 * statistics. */
START_TEST(proofs_do_not_train)
{
        resect_model *m = base(false, "v1.5");
        resect_plan_options how = {.kernels = RESECT_KERNELS_REFERENCE};
        resect_tensor want = answer_as(m, &how);
        how.training = true;
        resect_tensor got = answer_as(m, &how);
        ck_assert_uint_eq(got.size, want.size);
        ck_assert_mem_eq(got.data, want.data, want.size);
        resect_tensor_free(&want);
        resect_tensor_free(&got);
        resect_model_free(m);
}
END_TEST

/* Strides in the last block of the stage before, and back again. */
START_TEST(slim_strides)
{
        resect_error err;
        resect_conversion c;
        const rs_scheme *s = rs_scheme_find("torchvision");
        rs_scheme slim = *s;
        slim.stride = RS_STRIDE_LAST;
        resect_model *m = network(&slim, true), *other = network(s, true);
        rs_set set;
        CK_OK(rs_set_of_model(&set, m, &err), err);
        rs_variant v = rs_variant_of_model(&set);
        ck_assert_int_eq(v.stride, RS_STRIDE_LAST);
        ck_assert(set.net.blocks[0] == 3 && set.net.blocks[1] == 4);
        rs_set_free(&set);
        scramble(m, s);
        resect_tensor want = answer(m);
        resect_weights *w = resect_weights_of_model(m, &err);
        const resect_convert_options move = {.variant = RESECT_VARIANT_WEIGHTS};
        CK_OK(resect_weights_into(w, other, &move, &c, &err), err);
        resect_tensor got = answer(other);
        ck_assert(got.size == want.size && !memcmp(got.data, want.data, got.size));
        resect_tensor_free(&got);
        CK_OK(rs_set_of_model(&set, other, &err), err);
        v.stride = RS_STRIDE_CONV2;
        CK_OK(rs_variant_set(other, &set, &v, &err), err);
        rs_set_free(&set);
        CK_OK(rs_set_of_model(&set, other, &err), err);
        ck_assert_int_eq(rs_variant_of_model(&set).stride, RS_STRIDE_CONV2);
        rs_set_free(&set);
        resect_tensor_free(&want);
        resect_weights_free(w);
        resect_model_free(other);
        resect_model_free(m);
}
END_TEST

/* ncnn's words carry the epsilon: it goes along, into a graph and into files that have no room for
   it. */
START_TEST(odd_epsilon)
{
        resect_error err;
        resect_conversion c;
        const rs_scheme *s = rs_scheme_find("torchvision");
        rs_scheme odd = *s;
        odd.epsilon = 1e-3;
        scratch_make();
        resect_model *m = network(&odd, false);
        scramble(m, &odd);
        resect_tensor want = answer(m);
        resect_weights *w = resect_weights_of_model(m, &err);
        CK_OK(resect_weights_write(w, scratch("w.param"), "ncnn", NULL, NULL, &c, &err), err);
        resect_weights_free(w);
        for (int by_npz = 0; by_npz < 2; by_npz++) {
                w = resect_weights_read(scratch(by_npz ? "w.npz" : "w.param"), NULL, &err);
                ck_assert_msg(w != NULL, "%s", err.msg);
                resect_model *other = network(s, false);
                const resect_convert_options trust = {.variant = RESECT_VARIANT_MODEL};
                CK_OK(resect_weights_into(w, other, &trust, &c, &err), err);
                ck_assert(c.complete);
                resect_tensor got = answer(other);
                resect_difference d;
                CK_OK(resect_tensor_compare(&got, &want, 0, 0, &d, &err), err);
                ck_assert_msg(d.max_rel <= (by_npz ? 1e-6 : 0), "outputs differ by %g", d.max_rel);
                if (!by_npz)
                        CK_OK(resect_weights_write(
                                      w, scratch("w.npz"), "npz", NULL, NULL, &c, &err),
                                err);
                resect_tensor_free(&got);
                resect_model_free(other);
                resect_weights_free(w);
        }
        resect_tensor_free(&want);
        resect_model_free(m);
        scratch_done();
}
END_TEST

/* What each BatchNormalization's momentum is; all must be the same. */
static float
momentum_of(resect_model *m)
{
        float momentum = -1;
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                if (!strcmp(m->graph.nodes[i]->op, "BatchNormalization")) {
                        float v = rs_node_float(m->graph.nodes[i], "momentum", 0.9f);
                        ck_assert(momentum < 0 || momentum == v);
                        momentum = v;
                }
        return momentum;
}

/* Momentum comes from the file where it has one (Caffe's), else from the framework that the names
 * are of; and from model to model. */
START_TEST(momenta)
{
        static const struct {
                const char *format, *names;
                float momentum; /* 0: as it was */
        } t[] = {{"caffe", "caffe", 0}, {"h5", "keras", 0.99f}, {"npz", "slim", 0.997f},
                {"npz", "torchvision", 0.9f}, {"npz", "flax", 0.9f}, {"onnx", NULL, 0}};
        resect_error err;
        resect_conversion c;
        scratch_make();
        for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
                const rs_scheme *s = rs_scheme_find(t[i].names ? t[i].names : "torchvision");
                resect_model *m = network(s, true), *fresh = network(s, true);
                const resect_convert_options all = {.variant = RESECT_VARIANT_MODEL};
                for (size_t k = 0; k < m->graph.n_nodes; k++)
                        if (!strcmp(m->graph.nodes[k]->op, "BatchNormalization"))
                                CK_OK(rs_node_set_float(
                                              m, m->graph.nodes[k], "momentum", 0.75f, &err),
                                        err);
                resect_weights *w = resect_weights_of_model(m, &err), *back = w;
                CK_OK(w != NULL, err);
                if (t[i].names) {
                        const char *path = scratch("w");
                        if (!resect_weights_write(
                                    w, path, t[i].format, t[i].names, &all, &c, &err)) {
                                ck_assert_msg(
                                        strstr(err.msg, "without libhdf5") != NULL, "%s", err.msg);
                                resect_weights_free(w);
                                resect_model_free(m);
                                resect_model_free(fresh);
                                continue;
                        }
                        const resect_weights_options o = {t[i].format, NULL, {0}};
                        back = resect_weights_read(path, &o, &err);
                        CK_OK(back != NULL, err);
                }
                CK_OK(resect_weights_into(back, fresh, &all, &c, &err), err);
                float want = t[i].momentum > 0 ? t[i].momentum : 0.75f;
                ck_assert_msg(momentum_of(fresh) == want, "%s: %g, not %g", t[i].format,
                        (double)momentum_of(fresh), (double)want);
                if (back != w)
                        resect_weights_free(back);
                resect_model_free(fresh);
                resect_weights_free(w);
                resect_model_free(m);
        }
        scratch_done();
}
END_TEST

/* A disk that keeps something else than it was given: of the writes of a run of values the n-th has
 * an exponent spoilt. */
enum { VALUES = 4096 };
static int spoil_at, writes_of_values;

static ssize_t
spoiling_writev(int fd, const struct iovec *iov, int n)
{
        int i = 0;
        while (i < n && iov[i].iov_len < VALUES)
                i++;
        if (i > 0 && i < n)
                return writev(fd, iov, i); /* the rest comes again */
        if (i == n || ++writes_of_values != spoil_at)
                return writev(fd, iov, n);
        struct iovec one = iov[0];
        char *copy = malloc(one.iov_len);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, one.iov_base, one.iov_len);
        copy[one.iov_len / 8 * 4 + 3] ^= 0x40;
        ssize_t got = write(fd, copy, one.iov_len);
        free(copy);
        return got;
}

struct asked {
        const resect_weights *source;
        bool agree;
        int times;
};

static bool
ask(void *ctx, const resect_weights *copy, const resect_conversion *c, resect_error *err)
{
        struct asked *a = ctx;
        size_t n = 0;
        a->times++;
        if (!a->agree)
                return rs_fail(err, RESECT_GRAPH, "no");
        bool ok = resect_weights_prove(a->source, copy, c->exact ? 0 : 1e-5, &n, err);
        ck_assert(!ok || n > 20);
        return ok;
}

/* What stood at path before stands, and nothing is beside it. */
static void
nothing_happened(const char *path, const rs_format *f)
{
        if (!f->many)
                ck_assert_msg(scratch_is(path, "old", 3), "%s: the old file is gone", f->name);
        ck_assert_msg(scratch_count() == !f->many, "%s: something is left", f->name);
}

START_TEST(what_is_spoilt_on_the_way_never_takes_its_place)
{
        resect_error err;
        resect_conversion c;
        const rs_scheme *s = rs_scheme_find("torchvision");
        resect_model *m = network(s, false);
        scramble(m, s);
        resect_weights *w = resect_weights_of_model(m, &err);
        ck_assert_ptr_nonnull(w);
        rs_hooks.fsync = no_fsync;
        size_t spoilt = 0;
        for (size_t k = 0; rs_format_list(k); k++) {
                const rs_format *f = rs_format_list(k);
                for (int gz = 0; f->write && f->read && gz < (f == rs_format_list(0) ? 2 : 1);
                        gz++) {
                        char path[64];
                        snprintf(path, sizeof path, "w%s%s", f->suffixes[0] ? f->suffixes[0] : "",
                                gz ? ".gz" : "");
                        struct asked a = {w, true, 0};
                        const resect_convert_options o = {
                                .variant = RESECT_VARIANT_MODEL, .prove = ask, .ctx = &a};
                        rs_output_nameless = k % 2;
                        scratch_make();
                        rs_hooks.writev = spoiling_writev;
                        writes_of_values = 0;
                        spoil_at = -1;
                        bool ok =
                                resect_weights_write(w, scratch(path), f->name, NULL, &o, &c, &err);
                        if (!ok && strstr(err.msg, "without libhdf5")) {
                                scratch_done();
                                continue;
                        }
                        CK_OK(ok, err);
                        ck_assert_int_eq(a.times, 1);
                        resect_weights_remove(scratch(path), f->name);
                        int n = writes_of_values;
                        /* HDF5 has gaps between its values: not every byte of it means something */
                        if (!strcmp(f->name, "h5"))
                                n = 0;
                        for (int at = 1; at <= n; at += 1 + n / 3) {
                                if (!f->many)
                                        scratch_write(path, "old", 3);
                                writes_of_values = 0;
                                spoil_at = at;
                                ck_assert_msg(!resect_weights_write(w, scratch(path), f->name, NULL,
                                                      &o, &c, &err),
                                        "%s: write %d was spoilt, and nobody saw it", f->name, at);
                                ck_assert_msg(strstr(err.msg, "nothing is left of it") != NULL,
                                        "%s: %s", f->name, err.msg);
                                nothing_happened(path, f);
                                spoilt++;
                        }
                        spoil_at = -1;
                        a.agree = false;
                        if (!f->many)
                                scratch_write(path, "old", 3);
                        ck_assert(!resect_weights_write(
                                w, scratch(path), f->name, NULL, &o, &c, &err));
                        ck_assert_ptr_nonnull(strstr(err.msg, "nothing is left of it: no"));
                        nothing_happened(path, f);
                        scratch_done();
                }
        }
        ck_assert_uint_gt(spoilt, 20);
        /* what goes into a device cannot be asked */
        struct asked a = {w, false, 0};
        const resect_convert_options o = {.prove = ask, .ctx = &a};
        CK_OK(resect_weights_write(w, "/dev/null", "npz", NULL, &o, &c, &err), err);
        ck_assert_int_eq(a.times, 0);
        resect_weights_free(w);
        resect_model_free(m);
}
END_TEST

/* The n-th call of one kind fails. */
static long countdown;

static void *
failing_malloc(size_t n)
{
        return --countdown == 0 ? NULL : malloc(n);
}
static void *
failing_realloc(void *p, size_t n)
{
        return --countdown == 0 ? NULL : realloc(p, n);
}
static ssize_t
failing_writev(int fd, const struct iovec *iov, int n)
{
        return --countdown == 0 ? -1 : writev(fd, iov, n);
}
static ssize_t
failing_read(int fd, void *p, size_t n)
{
        return --countdown == 0 ? -1 : read(fd, p, n);
}
static int
failing_fsync(int fd)
{
        (void)fd;
        return --countdown == 0 ? -1 : 0;
}
static int
failing_rename(const char *from, const char *to)
{
        return --countdown == 0 ? -1 : rename(from, to);
}

START_TEST(failures_while_it_is_proved)
{
        static const char *const names[] = {"safetensors", "npz", "pth", "safetensors"},
                                 *const paths[] = {"w", "w", "w", "w.gz"};
        resect_error err;
        resect_conversion c;
        const rs_scheme *s = rs_scheme_find("torchvision");
        resect_model *m = network(s, false);
        resect_weights *w = resect_weights_of_model(m, &err);
        ck_assert_ptr_nonnull(w);
        struct asked a = {w, true, 0};
        const resect_convert_options o = {.prove = ask, .ctx = &a};
        const struct rs_hooks sane = rs_hooks;
        for (int run = 0; run < 20; run++) {
                if (run == 15) /* zlib takes its time */
                        continue;
                const char *path = paths[run / 5], *format = names[run / 5];
                bool done = false;
                long failed = 0, step = run % 5 == 0 ? 151 : 17;
                scratch_make();
                rs_output_nameless = run % 2;
                for (long k = 1; !done; k += k < 20 ? 1 : step) {
                        scratch_write(path, "old", 3);
                        countdown = k;
                        errno = EIO;
                        rs_hooks.fsync = no_fsync;
                        switch (run % 5) {
                        case 0:
                                rs_hooks.malloc = failing_malloc;
                                rs_hooks.realloc = failing_realloc;
                                break;
                        case 1:
                                rs_hooks.writev = failing_writev;
                                break;
                        case 2:
                                rs_hooks.read = failing_read;
                                break;
                        case 3:
                                rs_hooks.fsync = failing_fsync;
                                break;
                        default:
                                rs_hooks.rename = failing_rename;
                        }
                        done = resect_weights_write(w, scratch(path), format, NULL, &o, &c, &err);
                        rs_hooks = sane;
                        bool folder = !done && strstr(err.msg, "folder");
                        if (!done && run % 5)
                                ck_assert_int_eq(err.code, RESECT_IO);
                        else if (!done)
                                ck_assert_msg(strstr(err.msg, "memory") != NULL, "%s", err.msg);
                        ck_assert_int_eq(scratch_count(), 1);
                        ck_assert(scratch_is(path, "old", 3) == (!done && !folder));
                        failed += !done;
                }
                /* what is mapped is not read */
                ck_assert(failed > 0 || (run % 5 == 2 && !strstr(path, "gz")));
                scratch_done();
        }
        resect_weights_free(w);
        resect_model_free(m);
}
END_TEST

/* A pool whose pads are of the wrong kind says nothing of where it is padded. */
START_TEST(pads_that_are_no_numbers)
{
        static const float pads[] = {1, 1, 1, 1};
        resect_error err;
        resect_model *m = base(false, "v1.5");
        rs_set set;
        for (size_t i = 0; i < m->graph.n_nodes; i++) {
                rs_node *n = m->graph.nodes[i];
                if (strcmp(n->op, "MaxPool") != 0)
                        continue;
                CK_OK(rs_node_set_int(m, n, "ceil_mode", 1, &err), err);
                CK_OK(rs_node_set_int(m, n, "pads", 1, &err), err);
                rs_attr *a = (rs_attr *)(uintptr_t)rs_node_attr(n, "pads");
                a->type = RS_ATTR_FLOATS;
                a->floats = pads;
                a->n = 4;
        }
        CK_OK(rs_set_of_model(&set, m, &err), err);
        rs_variant v = rs_variant_of_model(&set);
        ck_assert(v.has_pool1);
        ck_assert_int_eq(v.pool1, RS_POOL1_END);
        rs_set_free(&set);
        resect_model_free(m);
}
END_TEST

UNIT_MAIN("convert", what_is_spoilt_on_the_way_never_takes_its_place, failures_while_it_is_proved,
        momenta, bottlenecks, basic_blocks, other_variants, proofs_do_not_train, slim_strides,
        odd_epsilon, pads_that_are_no_numbers)
