/* SPDX-License-Identifier: 0BSD */
/* A probe's report read back: what resect-probe --json printed. Figures that are missing or out of
 * place make it FORMAT; members that are not known are left alone. */
#include "probe/probe.h"

#include <jansson.h>
#include <math.h>
#include "io/input.h"

enum { MOST_BYTES = 64 << 20 };

static bool
real(const json_t *o, const char *key, bool nullable, double *out, resect_error *err)
{
        const json_t *v = json_object_get(o, key);
        if (nullable && json_is_null(v)) {
                *out = NAN;
                return true;
        }
        if (!json_is_number(v))
                return rs_fail(err, RESECT_FORMAT, "\"%s\" is no number", key);
        *out = json_number_value(v);
        return true;
}

static bool
natural(const json_t *o, const char *key, uint64_t *out, resect_error *err)
{
        const json_t *v = json_object_get(o, key);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
                return rs_fail(err, RESECT_FORMAT, "\"%s\" is no number of things", key);
        *out = (uint64_t)json_integer_value(v);
        return true;
}

static bool
share(const json_t *o, const char *key, double *out, resect_error *err)
{
        return real(o, key, false, out, err) &&
               ((*out >= 0 && *out <= 1) ||
                       rs_fail(err, RESECT_FORMAT, "\"%s\" is no part of 1", key));
}

static bool
read_row(resect_probe *p, const json_t *o, resect_error *err)
{
        resect_probe_row *r = &p->rows[p->n_rows];
        const char *part = json_string_value(json_object_get(o, "part"));
        uint64_t features = 0, k = 0;
        if (!part)
                return rs_fail(err, RESECT_FORMAT, "a depth has no \"part\"");
        if (!natural(o, "features", &features, err) ||
                !natural(o, "parameters", &r->parameters, err) ||
                !natural(o, "macs", &r->macs, err) || !natural(o, "k", &k, err) ||
                !share(o, "linear", &r->linear, err) ||
                !share(o, "linear_balanced", &r->linear_balanced, err) ||
                !share(o, "knn", &r->knn, err) ||
                !real(o, "linear_loss", false, &r->linear_loss, err) ||
                !real(o, "linear_cv", true, &r->linear_cv, err) ||
                !real(o, "penalty", false, &r->penalty, err) ||
                !real(o, "logme", false, &r->logme, err))
                return rs_fail_at(err, "%s", part);
        r->features = (size_t)features;
        r->k = (size_t)k;
        r->converged = json_is_true(json_object_get(o, "converged"));
        r->part = rs_arena_strdup(&p->arena, part, err);
        p->n_rows++;
        return r->part != NULL;
}

static bool
read_all(resect_probe *p, const json_t *o, resect_error *err)
{
        resect_probe_facts *f = &p->facts;
        const json_t *depths = json_object_get(o, "depths");
        size_t n = json_array_size(depths);
        uint64_t train = 0, held = 0, classes = 0;
        if (!n)
                return rs_fail(err, RESECT_FORMAT, "it has no \"depths\"");
        if (!natural(o, "training_pictures", &train, err) ||
                !natural(o, "held_out_pictures", &held, err) ||
                !natural(o, "classes", &classes, err) ||
                !natural(o, "parameters", &f->parameters, err) ||
                !natural(o, "macs", &f->macs, err) || !share(o, "chance", &f->chance, err) ||
                !real(o, "forward_seconds", false, &f->forward_seconds, err) ||
                !real(o, "judge_seconds", false, &f->judge_seconds, err))
                return false;
        if (!held)
                return rs_fail(err, RESECT_FORMAT, "no picture was held out");
        f->n_train = (size_t)train;
        f->n_held_out = (size_t)held;
        f->classes = (size_t)classes;
        p->rows = RS_NEW(&p->arena, n, resect_probe_row, err);
        for (size_t i = 0; p->rows && i < n; i++)
                if (!read_row(p, json_array_get(depths, i), err))
                        return false;
        if (!p->rows)
                return false;
        rs_probe_choose(p);
        return true;
}

resect_probe *
resect_probe_read(const char *path, resect_error *err)
{
        rs_input *in = rs_input_open(path, MOST_BYTES, err);
        resect_probe *p = in ? rs_alloc(1, sizeof *p, err) : NULL;
        json_error_t why;
        json_t *o = p ? json_loadb((const char *)in->data, in->size, 0, &why) : NULL;
        bool ok = o != NULL;
        if (p && !o)
                rs_fail(err, RESECT_FORMAT, "line %d: %s", why.line, why.text);
        ok = ok && read_all(p, o, err);
        json_decref(o);
        if (in)
                rs_input_free(in);
        if (ok)
                return p;
        if (p)
                rs_fail_at(err, "%s: no report of resect-probe --json", path);
        resect_probe_free(p);
        return NULL;
}
