/* SPDX-License-Identifier: 0BSD */
/* Shapes, for people, for JSON, and for running a model whose sizes are open. */
#include "look.h"

#include <stdlib.h>

bool
look_input(resect_model *m, size_t i, int64_t batch, const char **name, resect_tensor *out)
{
        resect_value v;
        resect_input in;
        resect_error err;
        if (!resect_model_input(m, i, &v))
                return false;
        if (v.rank < 0)
                cli_die("input %s has no shape", v.name);
        if (!resect_input_of(m, &in, NULL, &err))
                cli_fail(NULL, &err);
        int64_t picture[4] = {batch, in.channels, in.height, in.width};
        if (in.nhwc) {
                picture[1] = in.height;
                picture[2] = in.width;
                picture[3] = in.channels;
        }
        *name = v.name;
        *out = (resect_tensor){.dtype = v.dtype ? v.dtype : RESECT_FLOAT, .rank = v.rank};
        for (int d = 0; d < v.rank; d++) {
                int64_t open = v.rank == 4 ? picture[d] : d == 0 ? batch : 1;
                out->dims[d] = v.dims[d] >= 0 ? v.dims[d] : open;
        }
        return true;
}

const char *
look_shape(resect_dtype dtype, int rank, const int64_t *dims, const char *const *symbols)
{
        static char ring[4][256];
        static int next;
        char *out = ring[next++ % 4];
        size_t size = sizeof ring[0],
               n = (size_t)snprintf(out, size, "%s", dtype ? resect_dtype_name(dtype) : "?");
        if (rank < 0)
                return out;
        for (int i = 0; i <= rank && n < size; i++) {
                const char *mark = i == rank ? rank ? "]" : " []" : i ? ", " : " [";
                n += (size_t)snprintf(out + n, size - n, "%s", mark);
                if (i == rank || n >= size)
                        break;
                if (dims[i] >= 0)
                        n += (size_t)snprintf(out + n, size - n, "%lld", (long long)dims[i]);
                else
                        n += (size_t)snprintf(out + n, size - n, "%.40s",
                                symbols && symbols[i] ? symbols[i] : "?");
        }
        return out;
}

json_t *
look_json_dims(int rank, const int64_t *dims, const char *const *symbols)
{
        if (rank < 0)
                return json_null();
        json_t *a = json_array();
        for (int i = 0; i < rank; i++)
                json_array_append_new(a, dims[i] >= 0            ? json_integer(dims[i])
                                         : symbols && symbols[i] ? cli_json_text(symbols[i])
                                                                 : json_null());
        return a;
}
