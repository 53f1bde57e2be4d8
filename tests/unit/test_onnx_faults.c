/* SPDX-License-Identifier: 0BSD */
/*
 * Damage and scarcity: every prefix and thousands of flipped bytes of three models, the k-th
 * allocation failing for every k, once and for ever, and the k-th I/O call failing. The answer is a
 * valid model or a clean error, never a leak or a half-written file.
 */
#include "config.h"
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include "base/random.h"
#include "model/model.h"
#include "onnx_make.h"
#include "scratch.h"

static rs_buf (*const makers[])(void) = {mk_rich, mk_external_model, mk_strange};
enum { N_MODELS = 3, N_FLIPS = 10000 };

static resect_model *
read_bytes(const void *bytes, size_t n, resect_error *err)
{
        err->code = RESECT_OK;
        err->msg[0] = '\0';
        return resect_model_read_memory(bytes, n, NULL, err);
}

/* A model that was accepted must be usable: its values decode, it can be written, what is written
 * is accepted and stable. */
static void
check_usable(resect_model *m)
{
        resect_error err;
        void *one, *two;
        size_t n_one, n_two;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                rs_arena arena = {0};
                rs_span s;
                if (rs_tensor_bytes(m, t, &arena, &s, &err))
                        ck_assert_uint_eq(s.size, t->bytes);
                rs_arena_free(&arena);
        }
        CK_OK(resect_model_write_memory(m, &one, &n_one, &err), err);
        resect_model *again = resect_model_read_memory(one, n_one, NULL, &err);
        CK_OK(again != NULL, err);
        CK_OK(resect_model_write_memory(again, &two, &n_two, &err), err);
        ck_assert_uint_eq(n_one, n_two);
        ck_assert_mem_eq(one, two, n_one);
        resect_model_free(again);
        /* with everything touched it is still a model */
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                m->graph.nodes[i]->touched = true;
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                m->graph.tensors[i]->touched = true;
        for (size_t i = 0; i < m->graph.n_values; i++)
                m->graph.values[i]->touched = true;
        resect_free(two);
        CK_OK(resect_model_write_memory(m, &two, &n_two, &err), err);
        again = resect_model_read_memory(two, n_two, NULL, &err);
        CK_OK(again != NULL, err);
        resect_model_free(again);
        resect_free(one);
        resect_free(two);
}

START_TEST(every_prefix)
{
        for (size_t i = 0; i < N_MODELS; i++) {
                resect_error err;
                rs_buf b = makers[i]();
                for (size_t n = 0; n < b.size; n++) {
                        resect_model *m = read_bytes(b.data, n, &err);
                        if (m)
                                check_usable(m);
                        else
                                ck_assert_msg(err.code == RESECT_FORMAT, "%zu: %s", n, err.msg);
                        resect_model_free(m);
                }
                rs_buf_free(&b);
        }
}
END_TEST

/* Of our own output no prefix is a model: the graph is the last field. */
START_TEST(every_prefix_of_our_own)
{
        for (size_t i = 0; i < N_MODELS; i++) {
                resect_error err;
                void *bytes;
                size_t n;
                rs_buf b = makers[i]();
                resect_model *m = read_bytes(b.data, b.size, &err);
                CK_OK(m != NULL, err);
                CK_OK(resect_model_write_memory(m, &bytes, &n, &err), err);
                resect_model_free(m);
                for (size_t k = 0; k < n; k++) {
                        ck_assert_ptr_null(read_bytes(bytes, k, &err));
                        ck_assert_int_eq(err.code, RESECT_FORMAT);
                }
                resect_free(bytes);
                rs_buf_free(&b);
        }
}
END_TEST

START_TEST(flipped_bytes)
{
        int accepted = 0;
        for (size_t i = 0; i < N_MODELS; i++) {
                rs_buf b = makers[i]();
                uint64_t stream = rs_stream("flip", i, 0);
                for (uint64_t k = 0; k < N_FLIPS; k++) {
                        resect_error err;
                        size_t at = rs_below(1, stream, 2 * k, b.size);
                        unsigned char by = (unsigned char)(1 + rs_below(1, stream, 2 * k + 1, 255));
                        b.data[at] ^= by;
                        resect_model *m = read_bytes(b.data, b.size, &err);
                        if (m) {
                                accepted++;
                                check_usable(m);
                        } else {
                                ck_assert_msg(
                                        err.code == RESECT_FORMAT || err.code == RESECT_UNSUPPORTED,
                                        "%s", err.msg);
                                ck_assert(err.msg[0] && !strchr(err.msg, '\n'));
                        }
                        resect_model_free(m);
                        b.data[at] ^= by;
                }
                rs_buf_free(&b);
        }
        ck_assert_int_gt(accepted,
                N_FLIPS / 10); /* names and values may change, and then it is another model */
}
END_TEST

/* An allocator that fails the k-th call, or all from the k-th on, and counts what is alive. */
static long budget, alive;
static bool for_ever;

static bool
refused(void)
{
        if (budget > 0 && --budget > 0)
                return false;
        if (budget < 0)
                return false;
        if (!for_ever)
                budget = -1;
        return true;
}
static void *
counting_malloc(size_t n)
{
        void *p = refused() ? NULL : malloc(n);
        alive += p != NULL;
        return p;
}
static void *
counting_realloc(void *old, size_t n)
{
        void *p = refused() ? NULL : realloc(old, n);
        alive += p && !old;
        return p;
}
static void
counting_free(void *p)
{
        alive -= p != NULL;
        free(p);
}
static void *
counting_remap(void *old, size_t old_size, size_t size)
{
        if (refused())
                return NULL;
        void *p =
                old ? mremap(old, old_size, size, MREMAP_MAYMOVE)
                    : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
}

/* The whole life of a model: read, sealed, values decoded, touched, written to a file and to
 * memory. */
static bool
whole_life(const char *from, const char *to, resect_error *err)
{
        void *bytes = NULL;
        size_t n;
        resect_model *m = resect_model_read(from, NULL, err);
        if (!m)
                return false;
        bool ok = resect_model_seal(m, err);
        for (size_t i = 0; ok && i < m->graph.n_tensors; i++) {
                rs_arena arena = {0};
                rs_span s;
                m->graph.tensors[i]->touched = true;
                if (m->graph.tensors[i]->dtype != RESECT_STRING)
                        ok = rs_tensor_bytes(m, m->graph.tensors[i], &arena, &s, err);
                rs_arena_free(&arena);
        }
        ok = ok && resect_model_write(m, to, err) && resect_model_write_memory(m, &bytes, &n, err);
        resect_free(bytes);
        resect_model_free(m);
        return ok;
}

static void
fail_each_allocation(const char *from, const char *to)
{
        long k = 0;
        for (bool done = false; !done;) {
                resect_error err = {.code = RESECT_OK};
                scratch_write("out.onnx", "old", 3);
                scratch_write("out.onnx.gz", "old", 3);
                int files = scratch_count();
                budget = ++k;
                alive = 0;
                done = whole_life(scratch(from), scratch(to), &err);
                bool untouched = budget > 0; /* no allocation failed */
                budget = -1;
                ck_assert_msg(alive == 0, "allocation %ld: %ld leaked", k, alive);
                ck_assert_int_eq(scratch_count(), files);
                if (done) {
                        ck_assert_msg(untouched, "allocation %ld: its failure went unnoticed", k);
                        break;
                }
                ck_assert_msg(err.code == RESECT_NOMEM, "allocation %ld: %s: %s", k,
                        resect_code_name(err.code), err.msg);
                /* either the old file or the whole new one */
                if (!scratch_is(to, "old", 3)) {
                        resect_model *m = resect_model_read(scratch(to), NULL, &err);
                        CK_OK(m != NULL, err);
                        resect_model_free(m);
                }
        }
        ck_assert_int_gt(k, 10);
}

START_TEST(every_allocation)
{
        scratch_make();
        scratch_write("weights.bin", "................", 16);
        for (size_t i = 0; i < N_MODELS; i++) {
                rs_buf b = makers[i]();
                resect_error err;
                resect_model *m = read_bytes(b.data, b.size, &err);
                scratch_write("in.onnx", b.data, b.size);
                CK_OK(m && resect_model_write(m, scratch("in.onnx.gz"), &err), err);
                resect_model_free(m);
                budget = -1;
                rs_hooks.malloc = counting_malloc;
                rs_hooks.realloc = counting_realloc;
                rs_hooks.free = counting_free;
                rs_hooks.remap = counting_remap;
                for (int mode = 0; mode < 2; mode++) {
                        for_ever = mode;
                        fail_each_allocation("in.onnx", "out.onnx");
                        fail_each_allocation("in.onnx.gz", "out.onnx.gz");
                }
                rs_hooks.malloc = malloc;
                rs_hooks.realloc = realloc;
                rs_hooks.free = free;
                rs_buf_free(&b);
        }
        scratch_done();
}
END_TEST

static int countdown;
static ssize_t
fail_read(int fd, void *p, size_t n)
{
        if (--countdown == 0) {
                errno = EIO;
                return -1;
        }
        return read(fd, p, n);
}
static ssize_t
fail_writev(int fd, const struct iovec *iov, int n)
{
        if (--countdown == 0) {
                errno = ENOSPC;
                return -1;
        }
        return writev(fd, iov, n);
}

START_TEST(every_read_and_write)
{
        rs_buf b = mk_rich();
        scratch_make();
        scratch_write("in.onnx", b.data, b.size);
        for (int what = 0; what < 2; what++)
                for (int k = 1;; k++) {
                        resect_error err;
                        scratch_write("out.onnx", "old", 3);
                        countdown = k;
                        rs_hooks.read = what ? read : fail_read;
                        rs_hooks.writev = what ? fail_writev : writev;
                        bool ok = whole_life(scratch("in.onnx"), scratch("out.onnx"), &err);
                        ck_assert_int_eq(scratch_count(), 2);
                        if (ok) {
                                ck_assert_int_gt(k, 1);
                                break;
                        }
                        ck_assert_int_eq(err.code, RESECT_IO);
                        ck_assert(scratch_is("out.onnx", "old", 3));
                }
        rs_buf_free(&b);
        scratch_done();
}
END_TEST

UNIT_MAIN("onnx faults", every_prefix, every_prefix_of_our_own, flipped_bytes, every_allocation,
        every_read_and_write)
