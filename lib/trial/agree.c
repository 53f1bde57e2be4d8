/* SPDX-License-Identifier: 0BSD */
/*
 * Did the look beforehand see what the trial found? resect-probe ranks depths by what a linear
 * classifier reads there; the trial has trained networks that end at some of them. Compared are the
 * arms that train everything: truncate:K ends behind layerK, tune behind the last stage.
 */
#include <string.h>
#include "resect/probe.h"
#include "trial/trial.h"
#include "trial/verdict.h"

/* The part that an arm ends behind; 0: it is none of those compared. */
static int
depth_of(const rs_verdict *v, size_t arm)
{
        int k = 0;
        if (!strcmp(v->arm[arm].name, "tune"))
                return v->t->stages;
        return sscanf(v->arm[arm].name, "truncate:%d", &k) == 1 ? k : 0;
}

bool
rs_verdict_agree(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        if (!v->o.probe)
                return true;
        double *probe = RS_NEW(&v->arena, 2 * p->arms + 1, double, err), *trial = probe + p->arms;
        if (!probe)
                return false;
        for (size_t a = 0; a < p->arms; a++) {
                const resect_verdict_cell *c = &v->cells[(a + 1) * p->fractions - 1];
                const int k = depth_of(v, a);
                char part[32];
                snprintf(part, sizeof part, "layer%d", k);
                const resect_probe_row *row =
                        k && c->runs ? resect_probe_find(v->o.probe, part) : NULL;
                if (!row)
                        continue;
                probe[p->depths] = row->linear;
                trial[p->depths++] = c->test.value;
        }
        if (p->depths < 2)
                return true;
        return resect_rank_correlation(probe, trial, p->depths, &p->rho, &p->tau, err);
}
