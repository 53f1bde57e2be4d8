/* SPDX-License-Identifier: 0BSD */
/*
 * Memory and the system: the one table of allocator and I/O calls (so that a test can make the n-th one fail), checked
 * size arithmetic, the arena that holds one object, and a growing byte buffer.
 */
#ifndef RS_BASE_MEM_H
#define RS_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/error.h"

/* Every allocation and every read or write of the library goes through this table. It is written by tests alone, before
   they start a thread. */
struct rs_hooks {
        void *(*malloc)(size_t);
        void *(*realloc)(void *, size_t);
        void (*free)(void *);
        ssize_t (*read)(int, void *, size_t);
        ssize_t (*writev)(int, const struct iovec *, int);
        int (*fsync)(int);
        int (*rename)(const char *, const char *);
        void *(*remap)(void *old, size_t old_size, size_t size); /* anonymous pages, moved without copying; old NULL: new ones */
};
extern struct rs_hooks rs_hooks;

/* Heap memory for buffers whose life is no arena's. rs_alloc's bytes are zero; both return NULL and fill err. */
void *rs_alloc(size_t count, size_t size, resect_error *err) RESECT_MUST;
void *rs_grow(void *old, size_t count, size_t size, resect_error *err) RESECT_MUST; /* as realloc; old survives failure */
void rs_free(void *p);

/* Memory for numbers: 64-byte aligned, not zeroed; freed with rs_free_aligned. */
void *rs_alloc_aligned(size_t bytes, resect_error *err) RESECT_MUST;
void rs_free_aligned(void *p);
/* A wish, for all of what rs_alloc_aligned gave. Large pages, which it asks for itself, spare the processor looking addresses
   up; but a virtual machine often has to ask for each of them, since its host takes back free memory that is large enough for
   one (virtio's free page reporting), and then 2 MiB take 3 ms and not 0.2. Asked for only after the memory was filled, they
   are brought about in the background. */
void rs_large_pages(void *p, size_t bytes, bool wanted);

/* Checked arithmetic: false when the result does not fit (the result is then undefined). */
static inline bool
rs_mul(size_t a, size_t b, size_t *out)
{
        return !__builtin_mul_overflow(a, b, out);
}
static inline bool
rs_add(size_t a, size_t b, size_t *out)
{
        return !__builtin_add_overflow(a, b, out);
}

/* An arena: everything allocated from it is zeroed, 16-byte aligned and freed at once. An arena set to {0} is empty. */
typedef struct rs_arena {
        struct rs_block *blocks;
        unsigned char *at, *end;
} rs_arena;

void *rs_arena_alloc(rs_arena *a, size_t count, size_t size, resect_error *err) RESECT_MUST;
char *rs_arena_strndup(rs_arena *a, const char *s, size_t n, resect_error *err) RESECT_MUST;
char *rs_arena_strdup(rs_arena *a, const char *s, resect_error *err) RESECT_MUST;
char *rs_arena_vprintf(rs_arena *a, resect_error *err, const char *fmt, va_list ap) RESECT_MUST RESECT_PRINTF(3, 0);
char *rs_arena_printf(rs_arena *a, resect_error *err, const char *fmt, ...) RESECT_MUST RESECT_PRINTF(3, 4);
void rs_arena_free(rs_arena *a);

/* p = RS_NEW(arena, count, type, err): count zeroed objects */
#define RS_NEW(arena, count, type, err) ((type *)rs_arena_alloc((arena), (count), sizeof(type), (err)))

/* A growing run of bytes. After a failed append oom is set and later appends do nothing, so that a writer of many small
   pieces asks once, at its end. Set to {0} it is empty; free with rs_buf_free. data is NUL-terminated after appends of
   text. */
typedef struct rs_buf {
        unsigned char *data;
        size_t size, cap;
        bool oom;
} rs_buf;

void rs_buf_add(rs_buf *b, const void *bytes, size_t n);
void rs_buf_str(rs_buf *b, const char *s);
void rs_buf_printf(rs_buf *b, const char *fmt, ...) RESECT_PRINTF(2, 3);
void rs_buf_free(rs_buf *b);

/* A run of bytes somewhere else. */
typedef struct rs_span {
        const unsigned char *data;
        size_t size;
} rs_span;

#endif
