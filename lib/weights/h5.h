/* SPDX-License-Identifier: 0BSD */
/*
 * What the parts of the HDF5 format share. libhdf5 is never in this process: it is loaded by name in a child (io/confined), which
 * has given up its rights before it looks at a file, and whose answers are parsed like any other hostile bytes.
 *
 * An answer is a run of messages, little-endian: a letter, and for
 *   'n' a note:     key, value                                      (texts: uint32 length, bytes)
 *   's' skipped:    name, why
 *   't' a tensor:   name, int32 dtype, uint32 rank, int64 dims[rank], uint64 place: the offset of its bytes in the file,
 *                   or RS_H5_FOLLOW, when they come next
 *   'd' Keras's description of the model, after all tensors: text
 *   'p' a place:    uint64 offset of the next tensor's bytes in a file that was laid out; after the last its size; after 'f', then,
 *                   the bytes that stand between the tensors
 *   'e' an error:   uint32 code, text; the end
 *   'f' the end.
 */
#ifndef RS_WEIGHTS_H5_H
#define RS_WEIGHTS_H5_H

#include "io/confined.h"
#include "weights/weights.h"

#define RS_H5_FOLLOW UINT64_MAX

enum { RS_H5_TEXT = 4096, RS_H5_CONFIG = 16 << 20, RS_H5_NAMES_TOTAL = 32 << 20 };

/* The child's side of the pipe; after a failure everything does nothing, so that it is asked once. */
typedef struct rs_h5_say {
        int fd;
        bool failed;
} rs_h5_say;

void rs_h5_say_bytes(rs_h5_say *s, const void *bytes, size_t n);
void rs_h5_say_number(rs_h5_say *s, uint64_t v, unsigned bytes);
void rs_h5_say_two(rs_h5_say *s, char letter, const char *a, const char *b); /* 'n', 's' */
void rs_h5_say_error(rs_h5_say *s, resect_code code, const char *fmt, ...) RESECT_PRINTF(3, 4);

/* The parent's: where the bytes come from, exactly n of them or false. */
typedef bool rs_h5_hear(void *ctx, void *bytes, size_t n);
typedef struct rs_h5_answer {
        rs_h5_hear *hear;
        void *ctx;
        bool ended; /* 'f' or 'e' has come; else it broke off */
} rs_h5_answer;

/* Takes an answer into a checkpoint; file is what was read. False with err filled, or, when it broke off, with err as it was. */
bool rs_h5_take(rs_h5_answer *a, rs_checkpoint *c, rs_span file, resect_error *err) RESECT_MUST;

/* The same for places: n numbers, step bytes apart. */
bool rs_h5_take_places(rs_h5_answer *a, const char *path, size_t n, uint64_t *places, size_t step, resect_error *err) RESECT_MUST;

/* Jobs of the child; both load libhdf5. */
typedef struct rs_h5_reading {
        rs_span file;
        size_t memory;
} rs_h5_reading;
int rs_h5_child_read(int fd, void *ctx /* rs_h5_reading */);

typedef struct rs_h5_writing {
        const rs_writing *w;
        const size_t *order; /* [n_entries]: in which order layers are listed */
        bool lists; /* Keras's legacy lists of names */
        size_t memory;
} rs_h5_writing;
int rs_h5_child_write(int fd, void *ctx /* rs_h5_writing */);

/* The order in which Keras lists the weights of one of its own networks (names_keras.c): positions of entries into order. Others
   stay as they are. */
bool rs_keras_order(const rs_writing *w, size_t *order /* [n_entries] */, resect_error *err) RESECT_MUST;

bool rs_h5_write(const rs_writing *w, resect_error *err) RESECT_MUST;

#endif
