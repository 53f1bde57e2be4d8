/* SPDX-License-Identifier: 0BSD */
/*
 * Open addressing with linear probing over a power-of-two table, at most half full. The hash is
 * seeded once a process from an address that the loader randomises and from the clock, so that a
 * file cannot be written to collide; no order ever leaves this file, so results stay the same from
 * run to run.
 */
#include "base/map.h"

#include <string.h>
#include <time.h>

struct rs_map_slot {
        const char *key;
        void *value;
        uint64_t hash;
};

static uint64_t
mix(uint64_t h)
{
        h ^= h >> 32;
        h *= UINT64_C(0xd6e8feb86659fd93);
        h ^= h >> 32;
        h *= UINT64_C(0xd6e8feb86659fd93);
        return h ^ h >> 32;
}

static uint64_t
seed(void)
{
        static uint64_t value; /* racing threads would only reseed before any map is filled */
        if (!value) {
                struct timespec t;
                clock_gettime(CLOCK_REALTIME, &t);
                value = mix((uint64_t)(uintptr_t)&value ^ (uint64_t)t.tv_nsec << 20 ^
                                (uint64_t)t.tv_sec) |
                        1;
        }
        return value;
}

static uint64_t
hash_of(const char *s)
{
        uint64_t h = seed();
        size_t n = strlen(s);
        for (; n >= 8; s += 8, n -= 8) {
                uint64_t w;
                memcpy(&w, s, 8);
                h = mix(h ^ w);
        }
        uint64_t w = n;
        for (size_t i = 0; i < n; i++)
                w = w << 8 | (unsigned char)s[i];
        return mix(h ^ w);
}

static struct rs_map_slot *
find(struct rs_map_slot *slots, size_t cap, const char *key, uint64_t hash)
{
        for (size_t i = hash & (cap - 1);; i = (i + 1) & (cap - 1))
                if (!slots[i].key || (slots[i].hash == hash && !strcmp(slots[i].key, key)))
                        return &slots[i];
}

bool
rs_map_put(rs_map *m, const char *key, void *value, void **old, resect_error *err)
{
        if (m->count * 2 >= m->cap) {
                size_t cap = m->cap ? m->cap * 2 : 32;
                struct rs_map_slot *slots = rs_alloc(cap, sizeof *slots, err);
                if (!slots)
                        return false;
                for (size_t i = 0; i < m->cap; i++)
                        if (m->slots[i].key)
                                *find(slots, cap, m->slots[i].key, m->slots[i].hash) = m->slots[i];
                rs_free(m->slots);
                m->slots = slots;
                m->cap = cap;
        }
        uint64_t hash = hash_of(key);
        struct rs_map_slot *s = find(m->slots, m->cap, key, hash);
        if (old)
                *old = s->key ? s->value : NULL;
        m->count += !s->key;
        *s = (struct rs_map_slot){key, value, hash};
        return true;
}

void *
rs_map_get(const rs_map *m, const char *key)
{
        return m->cap && key ? find(m->slots, m->cap, key, hash_of(key))->value : NULL;
}

void
rs_map_free(rs_map *m)
{
        rs_free(m->slots);
        *m = (rs_map){0};
}
