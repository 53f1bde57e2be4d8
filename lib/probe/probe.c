/* SPDX-License-Identifier: 0BSD */
/* The probe as a whole: what must hold before the first picture is looked at, the pass, the judges,
 * the choice. */
#include "probe/probe.h"

#include <math.h>
#include <string.h>

resect_split
rs_probe_held_out(const resect_probe_options *o)
{
        return o->held_out == RESECT_TEST ? RESECT_TEST : RESECT_VAL;
}

void
rs_probe_choose(resect_probe *p)
{
        resect_probe_facts *f = &p->facts;
        f->best = 0;
        for (size_t i = 1; i < p->n_rows; i++)
                if (p->rows[i].linear > p->rows[f->best].linear)
                        f->best = i;
        double a = p->rows[f->best].linear;
        f->standard_error = sqrt(a * (1 - a) / (double)f->n_held_out);
        f->cut = 0;
        while (p->rows[f->cut].linear < a - f->standard_error)
                f->cut++;
}

/* The judges would refuse one class, too, but only after the pass. */
static bool
check(const resect_data *d, const resect_probe_options *o, resect_error *err)
{
        size_t n = resect_data_count(d, RESECT_TRAIN), other = 0;
        if (!n)
                return rs_fail(err, RESECT_ARG, "no picture to learn from");
        if (!resect_data_count(d, rs_probe_held_out(o)))
                return rs_fail(err, RESECT_ARG, "no picture is held out to judge by");
        for (size_t i = 0; i < n; i++)
                other += resect_data_label(d, RESECT_TRAIN, i) !=
                         resect_data_label(d, RESECT_TRAIN, 0);
        if (!other)
                return rs_fail(err, RESECT_ARG,
                        "all %zu pictures to learn from are of one class: there is nothing to tell "
                        "apart",
                        n);
        return true;
}

resect_probe *
resect_probe_run(resect_model *m, const resect_data *d, const resect_probe_options *options,
        resect_error *err)
{
        static const resect_probe_options none;
        const resect_probe_options *o = options ? options : &none;
        rs_depths train = {0}, held = {0};
        resect_probe *p = check(d, o, err) ? rs_alloc(1, sizeof *p, err) : NULL;
        bool ok = p && rs_probe_features(p, m, d, o, &train, &held, err) &&
                  rs_probe_judge(p, d, o, &train, &held, err);
        rs_depths_free(&train);
        rs_depths_free(&held);
        if (ok) {
                rs_probe_choose(p);
                return p;
        }
        resect_probe_free(p);
        return NULL;
}

void
resect_probe_free(resect_probe *p)
{
        if (!p)
                return;
        rs_arena_free(&p->arena);
        rs_free(p);
}

resect_probe_facts
resect_probe_about(const resect_probe *p)
{
        return p->facts;
}

size_t
resect_probe_count(const resect_probe *p)
{
        return p->n_rows;
}

const resect_probe_row *
resect_probe_at(const resect_probe *p, size_t i)
{
        return i < p->n_rows ? &p->rows[i] : NULL;
}

const resect_probe_row *
resect_probe_find(const resect_probe *p, const char *part)
{
        const resect_probe_row *last = NULL;
        size_t n = strlen(part);
        for (size_t i = 0; i < p->n_rows; i++) {
                const resect_probe_row *r = &p->rows[i];
                if (!strcmp(r->part, part))
                        return r;
                if (!strncmp(r->part, part, n) && r->part[n] == '.')
                        last = r;
        }
        return last;
}
