/* SPDX-License-Identifier: 0BSD */
/*
 * The gradient of one output with respect to a value in the middle of the graph: a training plan
 * that begins at the value and trains nothing. The reference kernels compute it: between the last
 * maps and the classes there is next to nothing to compute.
 */
#include <math.h>
#include <string.h>
#include "exec/exec.h"
#include "resect/see.h"

struct resect_gradient {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor x, out; /* shapes; out.data is the gradient that backward begins with */
};

resect_gradient *
resect_gradient_make(resect_model *m, const char *from, const resect_tensor *x, const char *to,
        int threads, resect_error *err)
{
        resect_gradient *g = rs_alloc(1, sizeof *g, err);
        if (!g)
                return NULL;
        g->x = *x;
        g->x.data = NULL;
        resect_binding binding = {from, g->x};
        const resect_plan_options o = {.inputs = &binding,
                .n_inputs = 1,
                .outputs = &to,
                .n_outputs = 1,
                .training = true,
                .by_input = true,
                .threads = threads,
                .kernels = RESECT_KERNELS_REFERENCE};
        const char *name;
        resect_tensor shape;
        bool done =
                x->dtype == RESECT_FLOAT || rs_fail(err, RESECT_ARG, "'%s' is not float32", from);
        done = done && (g->plan = resect_plan_make(m, &o, err)) &&
               (g->exec = resect_exec_make(g->plan, err));
        if (done && !rs_exec_input_gradient(g->exec, 0))
                done = rs_fail(err, RESECT_GRAPH, "'%s' does not depend on '%s'", to, from);
        if (done && (!resect_plan_output(g->plan, 0, &name, &shape) || shape.dtype != RESECT_FLOAT))
                done = rs_fail(err, RESECT_UNSUPPORTED, "'%s' is not float32", to);
        if (done && resect_tensor_make(&g->out, RESECT_FLOAT, shape.rank, shape.dims, err))
                return g;
        resect_gradient_free(g);
        return NULL;
}

size_t
resect_gradient_outputs(const resect_gradient *g)
{
        return (size_t)resect_tensor_count(&g->out);
}

bool
resect_gradient_run(resect_gradient *g, const resect_tensor *x, size_t output, float *dx,
        double *value, resect_error *err)
{
        if (output >= resect_gradient_outputs(g))
                return rs_fail(
                        err, RESECT_ARG, "output %zu of %zu", output, resect_gradient_outputs(g));
        resect_tensor y;
        if (!resect_exec_run(g->exec, x, &y, err))
                return false;
        if (value)
                *value = ((const float *)y.data)[output];
        float *seed = g->out.data;
        memset(seed, 0, g->out.size);
        seed[output] = 1;
        rs_exec_backward(g->exec, &g->out);
        memcpy(dx, rs_exec_input_gradient(g->exec, 0)->data, x->size);
        return true;
}

void
resect_gradient_free(resect_gradient *g)
{
        if (!g)
                return;
        resect_exec_free(g->exec);
        resect_plan_free(g->plan);
        resect_tensor_free(&g->out);
        rs_free(g);
}

void
resect_gradcam(const float *maps, const float *gradient, size_t channels, size_t height,
        size_t width, float *out)
{
        size_t plane = height * width;
        for (size_t i = 0; i < plane; i++)
                out[i] = 0;
        for (size_t k = 0; k < channels; k++) {
                double weight = 0;
                for (size_t i = 0; i < plane; i++)
                        weight += gradient[k * plane + i];
                weight /= (double)plane;
                for (size_t i = 0; i < plane; i++)
                        out[i] += (float)(weight * maps[k * plane + i]);
        }
        for (size_t i = 0; i < plane; i++)
                out[i] = fmaxf(out[i], 0);
}
