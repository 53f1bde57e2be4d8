/* SPDX-License-Identifier: 0BSD */
/* resect-info --tensors: what each initializer is. */
#include "info.h"

#include <string.h>

void
info_tensors(const info *x)
{
        static const char *const plain[] = {"tensor", "type", ">bytes", "part", "canonical name",
                NULL},
                                 *const more[] = {"tensor", "type", ">bytes", "part",
                                         "canonical name", "", NULL};
        resect_tensor_info t;
        bool notes = x->n_frozen > 0;
        for (size_t i = 0; !notes && resect_model_tensor(x->m, i, &t); i++)
                notes = t.location != NULL;
        cli_table *table = cli_table_make(notes ? more : plain);
        for (size_t i = 0; resect_model_tensor(x->m, i, &t); i++) {
                const char *part = resect_anatomy_tensor_part(x->a, t.name),
                           *canonical = resect_anatomy_tensor_canonical(x->a, t.name);
                cli_cell(table, "%s", t.name);
                cli_cell(table, "%s", look_shape(t.dtype, t.rank, t.dims, NULL));
                cli_cell(table, "%llu", (unsigned long long)t.size);
                cli_cell(table, "%s", part ? part : "-");
                cli_cell(table, "%s",
                        !canonical                   ? "-"
                        : !strcmp(canonical, t.name) ? "(the same)"
                                                     : canonical);
                if (notes)
                        cli_cell(table, "%s%s%s", t.frozen ? "frozen" : "",
                                t.frozen && t.location ? ", " : "", t.location ? t.location : "");
        }
        cli_table_print(table);
}

json_t *
info_json_tensors(const info *x)
{
        json_t *all = json_array();
        resect_tensor_info t;
        for (size_t i = 0; resect_model_tensor(x->m, i, &t); i++) {
                json_t *o = json_object();
                json_object_set_new(o, "name", cli_json_text(t.name));
                json_object_set_new(o, "dtype", json_string(resect_dtype_name(t.dtype)));
                json_object_set_new(o, "dims", look_json_dims(t.rank, t.dims, NULL));
                json_object_set_new(o, "bytes", json_integer((json_int_t)t.size));
                json_object_set_new(
                        o, "part", cli_json_text(resect_anatomy_tensor_part(x->a, t.name)));
                json_object_set_new(o, "canonical",
                        cli_json_text(resect_anatomy_tensor_canonical(x->a, t.name)));
                json_object_set_new(o, "frozen", json_boolean(t.frozen));
                json_object_set_new(o, "file", cli_json_text(t.location));
                json_array_append_new(all, o);
        }
        return all;
}
