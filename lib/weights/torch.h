/* SPDX-License-Identifier: 0BSD */
/* Storages and tensors of PyTorch, from either of its two containers. */
#ifndef RS_WEIGHTS_TORCH_H
#define RS_WEIGHTS_TORCH_H

#include "io/input.h"
#include "io/zip.h"
#include "weights/pickle.h"

typedef struct rs_storage {
        const char *key;
        const rs_zip_member *member; /* in a zip */
        int32_t dtype;               /* 0 until a tensor has said it */
        size_t count, size;          /* elements, bytes */
        rs_span bytes;               /* where they are; of a deflated member nowhere yet */
        bool checked;                /* the sum of its bytes */
} rs_storage;

typedef struct rs_torch {
        rs_arena *arena;
        const rs_input *in;
        size_t looked_at; /* bytes that were summed since its memory was given back */
        rs_map storages; /* by key */
} rs_torch;

/* A storage of the zip; its key stands in the member's name. */
bool rs_torch_add_storage(rs_torch *t, const char *key, const rs_zip_member *m, resect_error *err) RESECT_MUST;
/* A storage of the stream, as a persistent id declares it: type and elements. */
bool rs_torch_declare(rs_torch *t, const rs_py *persistent, resect_error *err) RESECT_MUST;
/* By a key out of a pickle; NULL with err when there is none such. */
rs_storage *rs_torch_find(const rs_torch *t, const rs_py *key, resect_error *err) RESECT_MUST;

bool rs_torch_is_tensor(const rs_py *v);
/* For rs_py_walk, whose own is the rs_torch. */
rs_taken rs_torch_take(rs_py_walk *w, const rs_py *v, const char *name, resect_error *err);

/* torch.FloatStorage for float32, ...: RS_KNOWN_NONE when PyTorch has no storage of that type. */
rs_known rs_torch_storage_of(int32_t dtype);

#endif
