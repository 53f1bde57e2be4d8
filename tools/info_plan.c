/* SPDX-License-Identifier: 0BSD */
/* resect-info --plan: how one picture would be run: the steps in order, what was fused, and where
 * each result lies. */
#include "info.h"

#include <stdlib.h>
#include <string.h>

static resect_plan *
make(const info *x)
{
        resect_binding in[16] = {0};
        size_t n = 0;
        resect_error err;
        while (n < 16 && look_input(x->m, n, 1, &in[n].name, &in[n].tensor))
                n++;
        resect_plan *p = cli_plan(x->m, &(resect_plan_options){.inputs = in, .n_inputs = n}, &err);
        if (!p)
                cli_fail(cli_arg(0), &err);
        return p;
}

static bool
is_view(const resect_step *s)
{
        return !strcmp(s->kernels, "view");
}

/* What runs by the reference kernels, operator by operator. */
struct others {
        struct {
                const char *op;
                size_t n;
        } * list;
        size_t kinds, n;
};

static void
count_other(struct others *o, const char *op)
{
        size_t i = 0;
        while (i < o->kinds && strcmp(o->list[i].op, op) != 0)
                i++;
        if (i == o->kinds) {
                void *list = realloc(o->list, (i + 1) * sizeof *o->list);
                if (!list)
                        cli_die("out of memory");
                o->list = list;
                o->list[o->kinds++].op = op;
                o->list[i].n = 0;
        }
        o->list[i].n++;
        o->n++;
}

static void
print_kernels(const resect_plan *p)
{
        struct others o = {0};
        size_t steps = 0, views = 0;
        resect_step s;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                views += is_view(&s);
                steps += !is_view(&s);
                if (!strcmp(s.kernels, "reference"))
                        count_other(&o, s.op);
        }
        if (!*resect_fast_name())
                printf("a build without fast kernels: all steps by the reference kernels");
        else
                printf("%zu of %zu steps by fast kernels (%s)", steps - o.n, steps,
                        resect_fast_name());
        for (size_t i = 0; *resect_fast_name() && i < o.kinds; i++)
                printf("%s %s x%zu", i ? "," : "; the others:", o.list[i].op, o.list[i].n);
        if (views)
                printf("; %zu view%s of other values not listed", views, views == 1 ? "" : "s");
        putchar('\n');
        free(o.list);
}

void
info_plan(const info *x)
{
        static const char *const headers[] = {">step", "operator", "fused", "node", "part",
                "kernels", "output", ">MACs", ">offset", ">bytes", NULL};
        resect_plan *p = make(x);
        cli_table *t = cli_table_make(headers);
        resect_step s;
        size_t listed = 0;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                const char *part = resect_anatomy_value_part(x->a, s.output);
                if (is_view(&s))
                        continue;
                cli_cell(t, "%zu", listed++);
                cli_cell(t, "%s", s.op);
                cli_cell(t, "%s", s.fused);
                cli_cell(t, "%s", s.node);
                cli_cell(t, "%s", part ? part : "-");
                cli_cell(t, "%s", s.kernels);
                cli_cell(t, "%s", look_shape(s.dtype, s.rank, s.dims, NULL));
                cli_cell(t, "%s", s.macs ? cli_count((double)s.macs) : "-");
                cli_cell(t, "%llu", (unsigned long long)s.offset);
                cli_cell(t, "%llu", (unsigned long long)s.size);
        }
        cli_table_print(t);
        printf("\n%zu steps; activations %s in one slab, weights %s\n", listed,
                cli_bytes((double)resect_plan_slab_size(p)),
                cli_bytes((double)resect_plan_weight_size(p)));
        print_kernels(p);
        resect_plan_free(p);
}

json_t *
info_json_plan(const info *x)
{
        resect_plan *p = make(x);
        json_t *all = json_object(), *steps = json_array();
        resect_step s;
        size_t views = 0;
        for (size_t i = 0; resect_plan_step(p, i, &s); i++) {
                if (is_view(&s)) {
                        views++;
                        continue;
                }
                json_t *o = json_object();
                json_object_set_new(o, "op", cli_json_text(s.op));
                json_object_set_new(o, "fused", cli_json_text(s.fused));
                json_object_set_new(o, "node", cli_json_text(s.node));
                json_object_set_new(
                        o, "part", cli_json_text(resect_anatomy_value_part(x->a, s.output)));
                json_object_set_new(o, "kernels", json_string(s.kernels));
                json_object_set_new(o, "output", cli_json_text(s.output));
                json_object_set_new(o, "dtype", json_string(resect_dtype_name(s.dtype)));
                json_object_set_new(o, "dims", look_json_dims(s.rank, s.dims, NULL));
                json_object_set_new(o, "macs", json_integer((json_int_t)s.macs));
                json_object_set_new(o, "offset", json_integer((json_int_t)s.offset));
                json_object_set_new(o, "bytes", json_integer((json_int_t)s.size));
                json_array_append_new(steps, o);
        }
        json_object_set_new(all, "steps", steps);
        json_object_set_new(all, "views", json_integer((json_int_t)views));
        json_object_set_new(all, "fast_kernels", json_string(resect_fast_name()));
        json_object_set_new(all, "slab_bytes", json_integer((json_int_t)resect_plan_slab_size(p)));
        json_object_set_new(
                all, "weight_bytes", json_integer((json_int_t)resect_plan_weight_size(p)));
        resect_plan_free(p);
        return all;
}
