/* SPDX-License-Identifier: 0BSD */
/* External data: every file is there and long enough, ranges do not overlap, and no bytes are left
 * over that nobody reads. */
#include "look/check.h"

#include <stdlib.h>
#include <string.h>
#include "onnx/external.h"

/* Between two ranges exporters pad to a page at most. */
enum { PADDING_MAX = 65536 };

static int
by_place(const void *p, const void *q)
{
        const rs_tensor *a = *(rs_tensor *const *)p, *b = *(rs_tensor *const *)q;
        int files = strcmp(a->location, b->location);
        if (files)
                return files;
        if (a->offset != b->offset)
                return a->offset < b->offset ? -1 : 1;
        return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* The tensors of one file, by offset. */
static bool
check_file(rs_check *c, rs_tensor **t, size_t n)
{
        const char *location = t[0]->location;
        uint64_t size, end = 0, orphans = 0;
        bool cut = false;
        resect_error e = {0};
        if (!rs_external_size(c->m, location, &size, &e)) {
                if (e.code == RESECT_NOMEM) {
                        if (c->err)
                                *c->err = e;
                        return false;
                }
                size_t skip = strlen(location); /* the message begins with the name that stands
                                                   before it already */
                bool named = !strncmp(e.msg, location, skip) && !strncmp(e.msg + skip, ": ", 2);
                rs_found(c, location, "external data of %zu tensor%s: %s", n, n == 1 ? "" : "s",
                        e.msg + (named ? skip + 2 : 0));
                return true;
        }
        for (size_t i = 0; i < n; i++) {
                bool same = i && t[i]->offset == t[i - 1]->offset && t[i]->bytes == t[i - 1]->bytes;
                if (t[i]->bytes > size || t[i]->offset > size - t[i]->bytes) {
                        rs_found(c, t[i]->name,
                                "external data: %zu bytes at %llu are wanted, the file %s has %llu",
                                t[i]->bytes, (unsigned long long)t[i]->offset, location,
                                (unsigned long long)size);
                        cut = true;
                        continue;
                }
                if (t[i]->bytes && t[i]->offset < end && !same)
                        rs_found(c, t[i]->name,
                                "external data: its bytes in %s overlap those of %s", location,
                                t[i - 1]->name);
                if (t[i]->offset > end && t[i]->offset - end >= PADDING_MAX)
                        orphans += t[i]->offset - end;
                if (t[i]->offset + t[i]->bytes > end)
                        end = t[i]->offset + t[i]->bytes;
        }
        if (size > end)
                orphans += size - end;
        if (orphans && !cut)
                rs_warned(c, location, "%llu of its %llu bytes belong to no tensor",
                        (unsigned long long)orphans, (unsigned long long)size);
        return true;
}

bool
rs_check_external(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        size_t n = 0;
        rs_tensor **t = rs_alloc(g->n_tensors, sizeof *t, c->err);
        if (!t)
                return false;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (g->tensors[i]->where == RS_EXTERNAL && g->tensors[i]->location)
                        t[n++] = g->tensors[i];
        qsort(t, n, sizeof *t, by_place);
        bool ok = true;
        for (size_t i = 0, k; ok && i < n; i = k) {
                for (k = i + 1; k < n && !strcmp(t[k]->location, t[i]->location);)
                        k++;
                ok = check_file(c, t + i, k - i);
        }
        rs_free(t);
        return ok;
}
