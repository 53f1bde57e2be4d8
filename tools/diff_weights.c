/* SPDX-License-Identifier: 0BSD */
/* The weights: by name, then by canonical name. */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

static void
compare(diff *d, const char *a, const char *b)
{
        resect_tensor x, y;
        resect_error err;
        match *m = matches_add(&d->w, a, b, resect_anatomy_tensor_part(d->a.a, a));
        if (!resect_model_tensor_values(d->a.m, a, &x, &err))
                cli_fail(d->a.path, &err);
        if (!resect_model_tensor_values(d->b.m, b, &y, &err))
                cli_fail(d->b.path, &err);
        match_compare(
                &d->w, m, &x, &y, cli_real("rtol", 0, 0, 1e300), cli_real("atol", 0, 0, 1e300));
        resect_tensor_free(&x);
        resect_tensor_free(&y);
}

void
diff_weights(diff *d)
{
        resect_tensor_info t;
        size_t n_b = resect_model_tensor_count(d->b.m), n_a = resect_model_tensor_count(d->a.m), at;
        bool *used = cli_alloc(n_b, sizeof *used);
        dictionary *by_name = dictionary_make(), *by_part = dictionary_make();
        for (size_t j = 0; resect_model_tensor(d->b.m, j, &t); j++)
                dictionary_put(by_name, t.name, j);
        for (size_t i = 0; resect_model_tensor(d->a.m, i, &t); i++)
                if (dictionary_get(by_name, t.name, &at))
                        used[at] = true;
        for (size_t j = 0; resect_model_tensor(d->b.m, j, &t); j++) {
                const char *canonical =
                        used[j] ? NULL : resect_anatomy_tensor_canonical(d->b.a, t.name);
                if (canonical)
                        dictionary_put(by_part, canonical, j);
        }
        for (size_t i = 0; resect_model_tensor(d->a.m, i, &t); i++) {
                const char *name = t.name,
                           *canonical = resect_anatomy_tensor_canonical(d->a.a, name);
                if (t.dtype == RESECT_STRING || t.rank > RESECT_RANK_MAX)
                        continue;
                cli_progress("weights", (double)i, (double)n_a, "tensors");
                if (dictionary_get(by_name, name, &at)) {
                        compare(d, name, name);
                } else if (canonical && dictionary_get(by_part, canonical, &at) && !used[at]) {
                        used[at] = true;
                        resect_model_tensor(d->b.m, at, &t);
                        compare(d, name, t.name);
                } else {
                        names_add(&d->tensors_a, "%s", name);
                }
        }
        cli_progress_end();
        for (size_t j = 0; resect_model_tensor(d->b.m, j, &t); j++)
                if (!used[j])
                        names_add(&d->tensors_b, "%s", t.name);
        free(used);
        dictionary_free(by_name);
        dictionary_free(by_part);
}
