/* SPDX-License-Identifier: 0BSD */
/*
 * The allocator and I/O table, the arena and the growing buffer. An arena is a list of blocks, each
 * at least as large as what was asked for; the last one is filled from the front.
 */
#include "config.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        BLOCK_SIZE = 32 * 1024,
        ALIGNMENT = 16,
        NUMBER_ALIGNMENT = 64,
        HUGE_PAGE = 2 << 20, /* where pages have this size; elsewhere only an alignment */
        HUGE_FROM = 8 << 20
};

static void *
remap(void *old, size_t old_size, size_t size)
{
        void *p =
                old ? mremap(old, old_size, size, MREMAP_MAYMOVE)
                    : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? NULL : p;
}

struct rs_hooks rs_hooks = {malloc, realloc, free, read, writev, fsync, rename, remap};

struct rs_block {
        struct rs_block *next;
        _Alignas(ALIGNMENT) unsigned char bytes[];
};

void *
rs_alloc(size_t count, size_t size, resect_error *err)
{
        size_t bytes;
        void *p = NULL;
        if (rs_mul(count, size, &bytes))
                p = rs_hooks.malloc(bytes ? bytes : 1);
        if (!p)
                return RS_NOMEM_NULL(err);
        return memset(p, 0, bytes);
}

void *
rs_grow(void *old, size_t count, size_t size, resect_error *err)
{
        size_t bytes;
        void *p = NULL;
        if (rs_mul(count, size, &bytes))
                p = rs_hooks.realloc(old, bytes ? bytes : 1);
        return p ? p : RS_NOMEM_NULL(err);
}

void
rs_free(void *p)
{
        if (p)
                rs_hooks.free(p);
}

/* The address that malloc gave stands just before the aligned one. */
void *
rs_alloc_aligned(size_t bytes, resect_error *err)
{
        size_t total, alignment = bytes >= HUGE_FROM ? HUGE_PAGE : NUMBER_ALIGNMENT;
        char *p = NULL;
        if (rs_add(bytes, alignment + sizeof(void *), &total))
                p = rs_hooks.malloc(total);
        if (!p)
                return RS_NOMEM_NULL(err);
        uintptr_t at =
                ((uintptr_t)p + sizeof(void *) + alignment - 1) & ~(uintptr_t)(alignment - 1);
        ((void **)at)[-1] = p;
        rs_large_pages((void *)at, bytes, true);
        return (void *)at;
}

void
rs_large_pages(void *p, size_t bytes, bool wanted)
{
        if (bytes >= HUGE_FROM)
                (void)madvise(p, bytes & ~(size_t)(HUGE_PAGE - 1),
                        wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void
rs_free_aligned(void *p)
{
        if (p)
                rs_hooks.free(((void **)p)[-1]);
}

void *
rs_arena_alloc(rs_arena *a, size_t count, size_t size, resect_error *err)
{
        size_t bytes;
        if (!rs_mul(count, size, &bytes) || bytes > SIZE_MAX - sizeof(struct rs_block) - ALIGNMENT)
                return RS_NOMEM_NULL(err);
        bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
        if ((size_t)(a->end - a->at) < bytes || !a->at) {
                size_t room = bytes > BLOCK_SIZE / 4 ? bytes : BLOCK_SIZE;
                struct rs_block *b = rs_hooks.malloc(sizeof *b + room);
                if (!b)
                        return RS_NOMEM_NULL(err);
                b->next = a->blocks;
                a->blocks = b;
                if (room != BLOCK_SIZE) /* a large one has a block of its own; the current one goes
                                           on */
                        return memset(b->bytes, 0, bytes);
                a->at = b->bytes;
                a->end = b->bytes + room;
        }
        void *p = memset(a->at, 0, bytes);
        a->at += bytes;
        return p;
}

char *
rs_arena_strndup(rs_arena *a, const char *s, size_t n, resect_error *err)
{
        char *p = n < SIZE_MAX ? rs_arena_alloc(a, n + 1, 1, err) : RS_NOMEM_NULL(err);
        if (p && n)
                memcpy(p, s, n);
        return p;
}

char *
rs_arena_strdup(rs_arena *a, const char *s, resect_error *err)
{
        return rs_arena_strndup(a, s, strlen(s), err);
}

char *
rs_arena_vprintf(rs_arena *a, resect_error *err, const char *fmt, va_list ap)
{
        va_list again;
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, again);
        va_end(again);
        char *p = rs_arena_alloc(a, (size_t)n + 1, 1, err);
        if (p)
                vsnprintf(p, (size_t)n + 1, fmt, ap);
        return p;
}

char *
rs_arena_printf(rs_arena *a, resect_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *p = rs_arena_vprintf(a, err, fmt, ap);
        va_end(ap);
        return p;
}

void
rs_arena_free(rs_arena *a)
{
        for (struct rs_block *b = a->blocks, *next; b; b = next) {
                next = b->next;
                rs_hooks.free(b);
        }
        *a = (rs_arena){0};
}

/* Room for n more bytes and a NUL. */
static bool
reserve(rs_buf *b, size_t n)
{
        size_t need;
        if (b->oom || !rs_add(b->size, n, &need) || !rs_add(need, 1, &need))
                return !(b->oom = true);
        if (need <= b->cap)
                return true;
        size_t cap = b->cap < 128 ? 256 : b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
        if (cap < need)
                cap = need;
        void *p = rs_hooks.realloc(b->data, cap);
        if (!p)
                return !(b->oom = true);
        b->data = p;
        b->cap = cap;
        return true;
}

void
rs_buf_add(rs_buf *b, const void *bytes, size_t n)
{
        if (!reserve(b, n))
                return;
        if (n)
                memcpy(b->data + b->size, bytes, n);
        b->size += n;
        b->data[b->size] = '\0';
}

void
rs_buf_str(rs_buf *b, const char *s)
{
        rs_buf_add(b, s, strlen(s));
}

void
rs_buf_printf(rs_buf *b, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        int n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0 || !reserve(b, (size_t)n))
                return;
        va_start(ap, fmt);
        vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, ap);
        va_end(ap);
        b->size += (size_t)n;
}

void
rs_buf_free(rs_buf *b)
{
        rs_free(b->data);
        *b = (rs_buf){0};
}
