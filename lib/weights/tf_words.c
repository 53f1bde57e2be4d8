/* SPDX-License-Identifier: 0BSD */
/* What TensorFlow's checkpoints of both versions call things by: element types, files, and the
 * variables that are none of a network's. */
#include <string.h>
#include "weights/tf.h"

/* DataType of tensorflow/core/framework/types.proto. */
static const struct {
        uint64_t code;
        int32_t dtype;
} types[] = {{1, RESECT_FLOAT}, {2, RESECT_DOUBLE}, {3, RESECT_INT32}, {4, RESECT_UINT8},
        {5, RESECT_INT16}, {6, RESECT_INT8}, {8, RESECT_COMPLEX64}, {9, RESECT_INT64},
        {10, RESECT_BOOL}, {14, RESECT_BFLOAT16}, {17, RESECT_UINT16}, {18, RESECT_COMPLEX128},
        {19, RESECT_FLOAT16}, {22, RESECT_UINT32}, {23, RESECT_UINT64}, {24, RESECT_FLOAT8E5M2},
        {25, RESECT_FLOAT8E4M3FN}};
enum { N_TYPES = sizeof types / sizeof *types };

int32_t
rs_tf_dtype(uint64_t type)
{
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].code == type)
                        return types[i].dtype;
        return 0;
}

uint64_t
rs_tf_type(int32_t dtype)
{
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].dtype == dtype)
                        return types[i].code;
        return 0;
}

size_t
rs_tf_prefix(const char *path)
{
        size_t n = strlen(path), i = sizeof RS_TF_INDEX - 1, d = sizeof RS_TF_DATA - 1;
        if (n > i && !strcmp(path + n - i, RS_TF_INDEX))
                return n - i;
        if (n <= d)
                return n;
        for (size_t k = 0; k < d; k++) {
                char want = RS_TF_DATA[k], got = path[n - d + k];
                if (want >= '0' && want <= '9' ? got < '0' || got > '9' : got != want)
                        return n;
        }
        return n - d;
}

const char *
rs_tf_no_weight(const rs_checkpoint *c, const char *name)
{
        static const char *const slots[] = {"Momentum", "Adam", "Adam_1", "RMSProp", "RMSProp_1",
                "Adagrad", "Ftrl", "Ftrl_1", "ExponentialMovingAverage",
                "AdamWeightDecayOptimizer"};
        const char *last = strrchr(name, '/');
        char base[RS_TF_NAME_MAX + 1];
        if (strstr(name, "/.OPTIMIZER_SLOT/") || !strncmp(name, "optimizer/", 10))
                return "the optimiser's state";
        if (!strncmp(name, "save_counter/", 13) || !strcmp(name, "global_step"))
                return "a count of steps";
        if (!strcmp(last ? last + 1 : name, "mean_rgb"))
                return "the pictures' mean";
        for (size_t i = 0; last && i < sizeof slots / sizeof *slots; i++)
                if (!strcmp(last + 1, slots[i])) {
                        memcpy(base, name, (size_t)(last - name));
                        base[last - name] = '\0';
                        return rs_checkpoint_find(c, base) ? "the optimiser's state" : NULL;
                }
        return NULL;
}

bool
rs_tf_skip(rs_checkpoint *c, const char *name, uint64_t type, bool known, resect_error *err)
{
        if (known)
                return rs_checkpoint_skip(c, name, err, "of an unknown shape");
        if (type == RS_TF_STRING)
                return rs_checkpoint_skip(c, name, err, "text");
        return rs_checkpoint_skip(
                c, name, err, "elements of TensorFlow's type %llu", (unsigned long long)type);
}
