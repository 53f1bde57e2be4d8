/* SPDX-License-Identifier: 0BSD */
/*
 * Both models on the same input. Compared are the outputs, in their order, and the values that both
 * compute: those of the same name, and the outputs of the same blocks. Fusion is off for
 * activations, so that every value is there to be looked at.
 */
#include "diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MAX = 16 };

static bool
ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), k = strlen(end);
        return n >= k && !strcmp(s + n - k, end);
}

static void
read_input(resect_tensor *t, const char *path)
{
        resect_error err;
        bool ok = ends_with(path, ".npz")  ? resect_tensor_read_npz(t, path, NULL, &err)
                  : ends_with(path, ".pb") ? resect_tensor_read_pb(t, path, NULL, 0, &err)
                                           : resect_tensor_read_npy(t, path, &err);
        if (!ok)
                cli_fail(path, &err);
}

/* Normal numbers by Box-Muller from splitmix64 (Steele, Lea and Flood, 2014); of integers small
 * ones. */
static void
randomize(resect_tensor *t, uint64_t seed)
{
        uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        int64_t n = resect_tensor_count(t);
        for (int64_t i = 0; i < n; i++) {
                double u[2];
                for (int k = 0; k < 2; k++) {
                        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
                        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
                        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
                        u[k] = ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
                }
                double normal = sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]);
                if (t->dtype == RESECT_FLOAT)
                        ((float *)t->data)[i] = (float)normal;
                else if (t->dtype == RESECT_DOUBLE)
                        ((double *)t->data)[i] = normal;
                else if (t->dtype == RESECT_UINT8)
                        ((uint8_t *)t->data)[i] = (uint8_t)(u[0] * 256);
                else
                        cli_die("an input is %s: give it with --input",
                                resect_dtype_name(t->dtype));
        }
}

static size_t
make_inputs(diff *d, resect_binding in[INPUTS_MAX])
{
        resect_error err;
        resect_tensor shape;
        size_t n = 0;
        bool given = cli_given("input");
        for (; n < INPUTS_MAX &&
                look_input(d->a.m, n, cli_integer("batch", 1, 1, 100000), &in[n].name, &shape);
                n++) {
                const char *path = cli_value_at("input", (int)n);
                if (given && !path)
                        cli_die("--input: %s has more inputs than were given", d->a.path);
                if (path)
                        read_input(&in[n].tensor, path);
                else if (!resect_tensor_make(
                                 &in[n].tensor, shape.dtype, shape.rank, shape.dims, &err))
                        cli_fail(in[n].name, &err);
                else
                        randomize(&in[n].tensor, cli_seed() + n);
        }
        if (cli_value_at("input", (int)n))
                cli_die("--input: %s has %zu inputs", d->a.path, n);
        if (given)
                snprintf(d->input, sizeof d->input, "%s%s", cli_value_at("input", 0),
                        n > 1 ? " ..." : "");
        else if (n)
                snprintf(d->input, sizeof d->input, "random %s, seed %llu",
                        look_shape(in[0].tensor.dtype, in[0].tensor.rank, in[0].tensor.dims, NULL),
                        (unsigned long long)cli_seed());
        return n;
}

/* The pairs of values. */
static void
pair(diff *d, dictionary *seen, const char *a, const char *b, bool output)
{
        if (dictionary_get(seen, a, NULL))
                return;
        dictionary_put(seen, a, 0);
        matches_add(&d->v, a, b, resect_anatomy_value_part(d->a.a, a))->output = output;
}

static void
pair_activations(diff *d, dictionary *seen)
{
        resect_node n;
        const resect_block *p, *q;
        dictionary *in_b = dictionary_make();
        for (size_t j = 0; resect_model_node(d->b.m, j, &n); j++)
                for (size_t k = 0; k < n.n_outputs; k++)
                        if (*n.outputs[k])
                                dictionary_put(in_b, n.outputs[k], j);
        for (size_t i = 0; resect_model_node(d->a.m, i, &n);
                i++) /* live on the picture, first outputs: BN's others are for training */
                if (n.n_outputs && dictionary_get(in_b, n.outputs[0], NULL) &&
                        resect_anatomy_value_part(d->a.a, n.outputs[0]))
                        pair(d, seen, n.outputs[0], n.outputs[0], false);
        for (size_t i = 0; (p = resect_anatomy_block(d->a.a, i)); i++)
                for (size_t j = 0; (q = resect_anatomy_block(d->b.a, j)); j++)
                        if (!strcmp(p->name, q->name))
                                pair(d, seen, p->output, q->output, false);
        dictionary_free(in_b);
}

static void
pair_outputs(diff *d, dictionary *seen)
{
        resect_value a, b;
        for (size_t i = 0; resect_model_output(d->a.m, i, &a) && resect_model_output(d->b.m, i, &b);
                i++)
                pair(d, seen, a.name, b.name, true);
}

struct machine {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor *out;
};

static struct machine
run(const side *s, const diff *d, const resect_binding *in, size_t n_in, bool second)
{
        struct machine k = {.out = cli_alloc(d->v.n + 1, sizeof *k.out)};
        resect_error err;
        resect_binding bound[INPUTS_MAX];
        resect_tensor tensors[INPUTS_MAX];
        resect_value v;
        const char **wanted = cli_alloc(d->v.n + 1, sizeof *wanted);
        for (size_t i = 0; i < n_in; i++) {
                bound[i] = in[i];
                tensors[i] = in[i].tensor;
                if (!resect_model_input(s->m, i, &v))
                        cli_die("%s has fewer inputs than %s", s->path, d->a.path);
                bound[i].name = v.name;
        }
        for (size_t i = 0; i < d->v.n; i++)
                wanted[i] = second ? d->v.list[i].b : d->v.list[i].a;
        resect_plan_options o = {.inputs = bound,
                .n_inputs = n_in,
                .outputs = wanted,
                .n_outputs = d->v.n,
                .no_fusion = d->activations};
        k.plan = cli_plan(s->m, &o, &err);
        k.exec = k.plan ? resect_exec_make(k.plan, &err) : NULL;
        if (!k.exec || !resect_exec_run(k.exec, tensors, k.out, &err))
                cli_fail(s->path, &err);
        free(wanted);
        return k;
}

static void
stop(struct machine *k)
{
        resect_exec_free(k->exec);
        resect_plan_free(k->plan);
        free(k->out);
}

void
diff_run(diff *d)
{
        resect_binding in[INPUTS_MAX] = {0};
        size_t n_in = make_inputs(d, in);
        dictionary *seen = dictionary_make();
        pair_outputs(d, seen);
        if (d->activations)
                pair_activations(d, seen);
        struct machine a = run(&d->a, d, in, n_in, false), b = run(&d->b, d, in, n_in, true);
        double rtol = cli_real("rtol", 1e-3, 0, 1e300), atol = cli_real("atol", 1e-4, 0, 1e300);
        for (size_t i = 0; i < d->v.n; i++)
                match_compare(&d->v, &d->v.list[i], &a.out[i], &b.out[i], rtol, atol);
        stop(&a);
        stop(&b);
        dictionary_free(seen);
        for (size_t i = 0; i < n_in; i++)
                resect_tensor_free(&in[i].tensor);
}
