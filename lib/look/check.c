/* SPDX-License-Identifier: 0BSD */
/* Is the model valid? The parts in order, the model's own fields, the metadata that resect keeps,
 * and the digest. */
#include "look/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "onnx/digest.h"

enum { IR_NEWEST = 13 };

static void RESECT_PRINTF(4, 0)
        report(rs_check *c, bool fatal, const char *where, const char *fmt, va_list ap)
{
        resect_error safe;
        rs_vfail(&safe, RESECT_GRAPH, fmt, ap); /* makes it one printable line */
        c->errors += fatal;
        if (c->on_finding)
                c->on_finding(c->ctx, &(resect_finding){fatal, where, safe.msg});
}

void
rs_found(rs_check *c, const char *where, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        report(c, true, where, fmt, ap);
        va_end(ap);
}

void
rs_warned(rs_check *c, const char *where, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        report(c, false, where, fmt, ap);
        va_end(ap);
}

const char *
rs_node_where(const rs_node *n)
{
        return n->name[0] ? n->name : n->n_out && n->out[0][0] ? n->out[0] : n->op;
}

static void
check_model(rs_check *c)
{
        const resect_model *m = c->m;
        if (m->ir_version < 1)
                rs_found(c, "", "no IR version");
        else if (m->ir_version > IR_NEWEST)
                rs_warned(c, "", "IR version %lld is newer than %d, the newest that is known here",
                        (long long)m->ir_version, IR_NEWEST);
        if (!m->n_opsets && m->ir_version >= 3)
                rs_found(c, "", "no operator set is imported");
        for (size_t i = 0; i < m->n_opsets; i++)
                for (size_t k = 0; k < i; k++)
                        if (!strcmp(m->opsets[i].domain, m->opsets[k].domain))
                                rs_found(c, "", "operator set \"%s\" is imported twice",
                                        m->opsets[i].domain);
        for (size_t i = 0; i < m->n_props; i++)
                for (size_t k = 0; k < i; k++)
                        if (!strcmp(m->props[i].key, m->props[k].key))
                                rs_found(c, "", "metadata key %s is given twice", m->props[i].key);
}

/* resect's own metadata against the graph. */
static bool
check_metadata(rs_check *c)
{
        const resect_model *m = c->m;
        size_t labels, missing = 0;
        resect_value out;
        if (resect_model_labels(m, &labels) && resect_model_output(m, 0, &out) && out.rank >= 1 &&
                out.dims[out.rank - 1] > 0 && (uint64_t)out.dims[out.rank - 1] != labels)
                rs_warned(c, out.name, "%zu labels for %lld classes", labels,
                        (long long)out.dims[out.rank - 1]);
        const char *frozen = resect_model_meta(m, "resect.frozen"), *first = NULL;
        rs_map names = {0};
        bool ok = true;
        for (size_t i = 0; ok && frozen && i < m->graph.n_tensors; i++)
                ok = rs_map_put(
                        &names, m->graph.tensors[i]->name, m->graph.tensors[i], NULL, c->err);
        while (ok && frozen && *frozen) {
                size_t n = strcspn(frozen, "\n");
                char *name = rs_arena_strndup(&c->arena, frozen, n, c->err);
                ok = name;
                if (ok && n && !rs_map_get(&names, name)) {
                        missing++;
                        first = first ? first : name;
                }
                frozen += n + (frozen[n] == '\n');
        }
        rs_map_free(&names);
        if (missing)
                rs_warned(c, first, "%zu frozen name%s no initializer", missing,
                        missing == 1 ? " is" : "s are");
        return ok;
}

static bool
check_digest(rs_check *c)
{
        resect_error e = {0};
        if (rs_digest_verify(c->m, &e))
                return true;
        if (e.code == RESECT_NOMEM) {
                if (c->err)
                        *c->err = e;
                return false;
        }
        rs_found(c, "", "%s", e.msg);
        return true;
}

bool
resect_model_check(resect_model *m, resect_on_finding *on_finding, void *ctx, size_t *errors,
        resect_error *err)
{
        rs_check c = {.m = m, .on_finding = on_finding, .ctx = ctx, .err = err};
        check_model(&c);
        bool ok = rs_check_names(&c) && rs_check_nodes(&c) && rs_check_types(&c) &&
                  rs_check_external(&c) && check_metadata(&c) && check_digest(&c);
        *errors = c.errors;
        rs_map_free(&c.made);
        rs_arena_free(&c.arena);
        return ok;
}
