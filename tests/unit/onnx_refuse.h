/* SPDX-License-Identifier: 0BSD */
/*
 * Hostile models, read from a file and from memory, with time and memory watched: what is refused
 * is refused both ways, with the words it should have.
 */
#ifndef ONNX_REFUSE_H
#define ONNX_REFUSE_H

#include <malloc.h>
#include "base/clock.h"
#include "model/model.h"
#include "onnx_make.h"
#include "scratch.h"

static size_t in_use, peak;

static inline void *
measured_malloc(size_t n)
{
        void *p = malloc(n);
        in_use += p ? malloc_usable_size(p) : 0;
        peak = in_use > peak ? in_use : peak;
        return p;
}
static inline void *
measured_realloc(void *old, size_t n)
{
        size_t before = old ? malloc_usable_size(old) : 0;
        void *p = realloc(old, n);
        if (p) {
                in_use += malloc_usable_size(p) - before;
                peak = in_use > peak ? in_use : peak;
        }
        return p;
}
static inline void
measured_free(void *p)
{
        in_use -= p ? malloc_usable_size(p) : 0;
        free(p);
}

static inline resect_model *
read_one_way(const rs_buf *b, bool memory, resect_error *err)
{
        err->code = RESECT_OK;
        if (memory)
                return resect_model_read_memory(
                        b->data, b->size, &(resect_read_options){.base = scratch_dir}, err);
        scratch_write("m.onnx", b->data, b->size);
        return resect_model_read(scratch("m.onnx"), NULL, err);
}

/* Reads both ways, with the limits watched; returns what memory gave. */
static inline resect_model *
read_both(const rs_buf *b, resect_error *err)
{
        resect_model *m[2];
        resect_error errs[2];
        rs_hooks.malloc = measured_malloc;
        rs_hooks.realloc = measured_realloc;
        rs_hooks.free = measured_free;
        for (int memory = 0; memory < 2; memory++) {
                double start = rs_now();
                peak = in_use;
                size_t before = in_use;
                m[memory] = read_one_way(b, memory, &errs[memory]);
                ck_assert_msg(rs_now() - start < 5, "%.3f s",
                        rs_now() - start); /* 1 s where nothing else runs */
                ck_assert_msg(peak - before <= ((size_t)64 << 20) + 2 * b->size,
                        "%zu bytes of memory", peak - before);
        }
        ck_assert_msg(!m[0] == !m[1], "a file and memory are read differently");
        if (!m[0])
                ck_assert_int_eq(errs[0].code, errs[1].code);
        else
                resect_model_free(m[0]);
        *err = errs[1];
        return m[1];
}

/* The reader says no, with one of these words; b is used up. */
static inline void
refused(rs_buf b, resect_code code, const char *words)
{
        resect_error err;
        resect_model *m = read_both(&b, &err);
        ck_assert_msg(m == NULL, "accepted, not refused for: %s", words);
        ck_assert_msg(err.code == code && strstr(err.msg, words), "%s: %s, expected: %s",
                resect_code_name(err.code), err.msg, words);
        for (const char *p = err.msg; *p; p++)
                ck_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
        rs_buf_free(&b);
}

/* Accepted and written again; b is used up. */
static inline void
accepted(rs_buf b)
{
        resect_error err;
        void *bytes;
        size_t n;
        resect_model *m = read_both(&b, &err);
        CK_OK(m != NULL, err);
        CK_OK(resect_model_write_memory(m, &bytes, &n, &err), err);
        resect_free(bytes);
        resect_model_free(m);
        rs_buf_free(&b);
}

/* The reader may take it, but the values cannot be had. */
static inline void
refused_at_use(rs_buf b, const char *words)
{
        resect_error err;
        for (int memory = 0; memory < 2; memory++) {
                resect_model *m = read_one_way(&b, memory, &err);
                CK_OK(m != NULL, err);
                rs_arena arena = {0};
                rs_span s;
                ck_assert(!rs_tensor_bytes(m, m->graph.tensors[0], &arena, &s, &err));
                ck_assert_msg(strstr(err.msg, words), "%s, expected: %s", err.msg, words);
                resect_model_free(m);
        }
        rs_buf_free(&b);
}

#endif
