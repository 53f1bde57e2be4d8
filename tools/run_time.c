/* SPDX-License-Identifier: 0BSD */
/* resect-run --random: how long does the model take, and where does the time go? */
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double
now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int
by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

/* Numbers that look like normalised pixels: an even spread over -2..2 (xorshift64*, seeded). */
static void
fill(resect_tensor *t, uint64_t seed)
{
        uint64_t s = seed * 2654435769u + 88172645463325252u;
        float *x = t->data;
        for (int64_t i = 0; t->dtype == RESECT_FLOAT && i < resect_tensor_count(t); i++) {
                s ^= s >> 12;
                s ^= s << 25;
                s ^= s >> 27;
                x[i] = (float)((double)(s * 2685821657736338717u >> 11) * 0x1p-51 - 2);
        }
}

static bool
is_view(const resect_step *s)
{
        return !strcmp(s->kernels, "view");
}

/* The part of the time that the reference kernels take. */
static double
reference_share(const resect_plan *p, const resect_exec *e)
{
        double total = 0, reference = 0;
        resect_step s;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                double seconds = resect_exec_step_seconds(e, i);
                total += seconds;
                reference += strcmp(s.kernels, "reference") ? 0 : seconds;
        }
        return total > 0 ? reference / total : 0;
}

static json_t *
profile_json(const resect_plan *p, const resect_exec *e, double runs)
{
        json_t *steps = json_array();
        resect_step s;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++)
                if (!is_view(&s))
                        json_array_append_new(
                                steps, json_pack("{s:o, s:s, s:s, s:s, s:I, s:f}", "node",
                                               cli_json_text(s.node), "op", s.op, "fused", s.fused,
                                               "kernels", s.kernels, "macs", (json_int_t)s.macs,
                                               "ms", resect_exec_step_seconds(e, i) / runs * 1e3));
        return steps;
}

static void
profile_table(const resect_plan *p, const resect_exec *e, double runs)
{
        static const char *const headers[] = {
                "node", "op", "fused", "kernels", "shape", ">ms", ">%", ">GMAC/s", NULL};
        cli_table *t = cli_table_make(headers);
        resect_step s;
        double total = 0;
        size_t views = 0;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++)
                total += resect_exec_step_seconds(e, i) / runs;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                double seconds = resect_exec_step_seconds(e, i) / runs;
                if (is_view(&s)) {
                        views++;
                        continue;
                }
                char shape[128] = "";
                for (int d = 0, at = 0; d < s.rank; d++)
                        at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld",
                                d ? "x" : "", (long long)s.dims[d]);
                cli_cell(t, "%s", s.node);
                cli_cell(t, "%s", s.op);
                cli_cell(t, "%s", s.fused);
                cli_cell(t, "%s", s.kernels);
                cli_cell(t, "%s", shape);
                cli_cell(t, "%.3f", seconds * 1e3);
                cli_cell(t, "%.1f", total > 0 ? 100 * seconds / total : 0);
                if (s.macs)
                        cli_cell(t, "%.1f", (double)s.macs / seconds * 1e-9);
                else
                        cli_cell(t, "%s", "");
        }
        cli_table_print(t);
        printf("\nreference kernels: %.1f %% of the time", 100 * reference_share(p, e));
        if (*resect_fast_name())
                printf(" (fast ones: %s)", resect_fast_name());
        if (views)
                printf("; %zu view%s of other values not listed", views, views == 1 ? "" : "s");
        putchar('\n');
}

int
run_time(resect_model *m)
{
        resect_error err;
        int64_t pictures = cli_integer("random", 1, 1, 65536),
                repeat = cli_integer("repeat", 5, 1, 100000),
                batch = cli_integer("batch", pictures, 1, 65536),
                n = batch < pictures ? batch : pictures;
        size_t count = resect_model_input_count(m);
        resect_binding *in = cli_alloc(count, sizeof *in);
        resect_tensor *tensors = cli_alloc(count, sizeof *tensors);
        for (size_t i = 0; i < count; i++) {
                resect_value v;
                resect_tensor shape;
                resect_model_input(m, i, &v);
                run_input_shape(m, i, n, &shape);
                if (!resect_tensor_make(&tensors[i], shape.dtype, shape.rank, shape.dims, &err))
                        cli_fail(v.name, &err);
                fill(&tensors[i], cli_seed() + i);
                in[i] = (resect_binding){.name = v.name, .tensor = tensors[i]};
        }
        if (count && tensors[0].rank > 0)
                n = tensors[0].dims[0]; /* a model with a batch of its own */
        const int64_t batches = cli_given("batch") ? (pictures + n - 1) / n : 1; /* of a run */
        pictures = batches * n;
        resect_plan_options o = {.inputs = in, .n_inputs = count};
        resect_plan *p = cli_plan(m, &o, &err);
        resect_exec *e = p ? resect_exec_make(p, &err) : NULL;
        if (!e || !resect_exec_run(e, tensors, NULL, &err)) /* a run to warm up */
                cli_fail(cli_arg(0), &err);
        double *seconds = cli_alloc((size_t)repeat, sizeof *seconds), macs = 0;
        for (int64_t i = 0; i < repeat; i++) {
                double start = now();
                for (int64_t k = 0; k < batches; k++)
                        if (!resect_exec_run(e, tensors, NULL, &err))
                                cli_fail(cli_arg(0), &err);
                seconds[i] = (now() - start) / (double)pictures;
                cli_progress("timing", (double)(i + 1), (double)repeat, "runs");
        }
        cli_progress_end();
        resect_step s;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++)
                macs += (double)s.macs / (double)n;
        qsort(seconds, (size_t)repeat, sizeof *seconds, by_value);
        double median = seconds[repeat / 2], runs = (double)(repeat * batches) + 1;
        if (cli_json()) {
                json_t *j = json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "batch",
                        (json_int_t)n, "pictures", (json_int_t)pictures, "repeat",
                        (json_int_t)repeat, "ms_per_image_median", median * 1e3, "ms_per_image_min",
                        seconds[0] * 1e3, "ms_per_image_max", seconds[repeat - 1] * 1e3,
                        "gmacs_per_image", macs * 1e-9, "gflops", 2 * macs / median * 1e-9,
                        "slab_bytes", (json_int_t)resect_plan_slab_size(p), "weight_bytes",
                        (json_int_t)resect_plan_weight_size(p));
                if (cli_given("profile")) {
                        json_object_set_new(j, "steps", profile_json(p, e, runs));
                        json_object_set_new(
                                j, "reference_share", cli_json_real(reference_share(p, e)));
                        json_object_set_new(j, "fast_kernels", json_string(resect_fast_name()));
                }
                cli_print_json(j);
        } else {
                if (cli_given("profile"))
                        profile_table(p, e, runs);
                char together[48] = "";
                if (batches > 1)
                        snprintf(together, sizeof together, ", %lld at a time", (long long)n);
                printf("%.2f ms an image (median of %lld runs of %lld%s; %.2f to %.2f), %.1f "
                       "GFLOP/s, activations %s, weights %s\n",
                        median * 1e3, (long long)repeat, (long long)pictures, together,
                        seconds[0] * 1e3, seconds[repeat - 1] * 1e3, 2 * macs / median * 1e-9,
                        cli_bytes((double)resect_plan_slab_size(p)),
                        cli_bytes((double)resect_plan_weight_size(p)));
        }
        resect_exec_free(e);
        resect_plan_free(p);
        for (size_t i = 0; i < count; i++)
                resect_tensor_free(&tensors[i]);
        free(tensors);
        free(in);
        free(seconds);
        return 0;
}
