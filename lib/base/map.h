/* SPDX-License-Identifier: 0BSD */
/* A hash table from strings to pointers, for names that come from files: the seed is the process's own. */
#ifndef RS_BASE_MAP_H
#define RS_BASE_MAP_H

#include "base/mem.h"

typedef struct rs_map {
        struct rs_map_slot *slots;
        size_t count, cap; /* cap is a power of two */
} rs_map;

/* Sets key to value; the key is borrowed and must outlive the map. *old (may be NULL) becomes the value that stood there
   before, or NULL. value must not be NULL. */
bool rs_map_put(rs_map *m, const char *key, void *value, void **old, resect_error *err) RESECT_MUST;
void *rs_map_get(const rs_map *m, const char *key); /* NULL when absent; key may be NULL */
void rs_map_free(rs_map *m);

#endif
