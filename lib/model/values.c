/* SPDX-License-Identifier: 0BSD */
/* The values of one initializer, for callers outside the library. */
#include "model/model.h"

#include <string.h>
#include "tensor/dtype.h"

bool
resect_model_tensor_values(
        const resect_model *m, const char *name, resect_tensor *out, resect_error *err)
{
        const rs_tensor *t = NULL;
        *out = (resect_tensor){0};
        for (size_t i = 0; i < m->graph.n_tensors && !t; i++)
                if (!strcmp(m->graph.tensors[i]->name, name))
                        t = m->graph.tensors[i];
        if (!t)
                return rs_fail(err, RESECT_ARG, "the model has no initializer named '%s'", name);
        if (t->rank > RESECT_RANK_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: rank %d is beyond the %d that can be computed with", name, t->rank,
                        RESECT_RANK_MAX);
        rs_arena arena = {0};
        rs_span raw;
        bool ok = rs_tensor_bytes(m, t, &arena, &raw, err) &&
                  resect_tensor_make(out, (resect_dtype)t->dtype, t->rank, t->dims, err);
        if (ok && out->size)
                rs_from_little(out->data, raw.data, t->dtype, t->count);
        rs_arena_free(&arena);
        return ok;
}
