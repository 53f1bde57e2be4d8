/* SPDX-License-Identifier: 0BSD */
/* What the reader and the writer of Flax's msgpack share. */
#ifndef RS_WEIGHTS_FLAX_H
#define RS_WEIGHTS_FLAX_H

#include "weights/weights.h"

enum { RS_FLAX_ARRAY = 1, RS_FLAX_COMPLEX = 2, RS_FLAX_SCALAR = 3 }; /* types of extensions */
enum { RS_FLAX_DEPTH = 100, RS_FLAX_NAME = 4096 };

#define RS_FLAX_CHUNKED "__msgpack_chunked_array__"

/* NumPy's name of an element type, or ml_dtypes'; NULL when they have none. */
const char *rs_flax_name(int32_t dtype);

bool rs_flax_write(const rs_writing *w, resect_error *err) RESECT_MUST;

/* Arrays of more bytes are written in pieces: 1 GiB, as Flax does; a test makes it less. */
extern size_t rs_flax_chunk_max;

#endif
