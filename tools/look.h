/* SPDX-License-Identifier: 0BSD */
/* What info and diff share. */
#ifndef LOOK_H
#define LOOK_H

#include "cli.h"

/* The shape that input i gets: open sizes become the batch, and the picture's height and width as
   the model records them or as usual. data is NULL. False past the end. */
bool look_input(resect_model *m, size_t i, int64_t batch, const char **name, resect_tensor *out);
/* "float32 [N, 3, 224, 224]" */
const char *look_shape(
        resect_dtype dtype, int rank, const int64_t *dims, const char *const *symbols);
json_t *look_json_dims(int rank, const int64_t *dims, const char *const *symbols);

#endif
