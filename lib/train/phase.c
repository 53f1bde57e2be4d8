/* SPDX-License-Identifier: 0BSD */
/*
 * Phases. A gradual thaw changes which tensors are trained, and with them plans, slabs and the
 * frontier; so a phase is made anew, and what was trained before is laid over it by name.
 */
#include <string.h>
#include "onednn/onednn.h"
#include "train/run.h"

size_t
rs_phase_of(const rs_run *r, size_t epoch)
{
        if (!r->o.thaw_every)
                return 0;
        size_t last = rs_stages_count(&r->stages) - 1, phase = epoch / r->o.thaw_every;
        return phase < last ? phase : last;
}

void
rs_phase_free(rs_phase *p)
{
        if (!p)
                return;
        rs_feed_free(&p->train);
        rs_feed_free(&p->val);
        rs_cache_free(p->cache);
        rs_cache_free(p->val_cache);
        rs_optim_free(&p->optim);
        rs_free_aligned(p->best_parameters);
        rs_free_aligned(p->best_statistics);
        rs_free_aligned(p->dlogits);
        rs_free(p->reads);
        rs_net_free(&p->net);
        rs_free(p);
}

static bool
room_for_best(rs_phase *p, resect_error *err)
{
        const rs_slab *w = rs_exec_parameters(p->net.train.exec),
                      *s = rs_exec_statistics(p->net.train.exec);
        if (!p->best_parameters)
                p->best_parameters = rs_alloc_aligned(w->count * sizeof(float), err);
        if (p->best_parameters && !p->best_statistics)
                p->best_statistics = rs_alloc_aligned(s->count * sizeof(float), err);
        return p->best_parameters && p->best_statistics;
}

bool
rs_phase_room_for_best(rs_run *r, resect_error *err)
{
        return room_for_best(r->p, err);
}

bool
rs_phase_set_aside(rs_run *r, resect_error *err)
{
        rs_phase *p = r->p;
        if (!r->best_stands)
                return true;
        if (!room_for_best(p, err))
                return false;
        const rs_slab *w = rs_exec_parameters(p->net.train.exec),
                      *s = rs_exec_statistics(p->net.train.exec);
        memcpy(p->best_parameters, w->values, w->count * sizeof(float));
        memcpy(p->best_statistics, s->values, s->count * sizeof(float));
        r->best_stands = false;
        return true;
}

static void
overlay(float *to, const rs_slab *layout, const float *from, const rs_slab *old)
{
        for (size_t i = 0; i < old->n_pieces; i++)
                for (size_t k = 0; k < layout->n_pieces; k++)
                        if (!strcmp(layout->pieces[k].name, old->pieces[i].name))
                                memcpy(to + layout->pieces[k].offset, from + old->pieces[i].offset,
                                        old->pieces[i].count * sizeof(float));
}

/* The new slabs hold the model's values; what the phase before trained goes over them. best: what
 * it kept, too, for which there is room. */
static void
carry_over(rs_phase *to, const rs_phase *from, bool best)
{
        rs_slab *p = rs_exec_parameters(to->net.train.exec),
                *s = rs_exec_statistics(to->net.train.exec);
        rs_slab *p0 = rs_exec_parameters(from->net.train.exec),
                *s0 = rs_exec_statistics(from->net.train.exec);
        if (best) {
                memcpy(to->best_parameters, p->values, p->count * sizeof(float));
                memcpy(to->best_statistics, s->values, s->count * sizeof(float));
                overlay(to->best_parameters, p, from->best_parameters, p0);
                overlay(to->best_statistics, s, from->best_statistics, s0);
        }
        overlay(p->values, p, p0->values, p0);
        overlay(s->values, s, s0->values, s0);
        for (size_t k = 0; k < to->optim.n_slots; k++)
                overlay(to->optim.slots + k * to->optim.count, p,
                        from->optim.slots + k * from->optim.count, p0);
        for (size_t i = 0; i < p->n_pieces; i++)
                for (size_t k = 0; k < p0->n_pieces; k++)
                        if (!strcmp(p->pieces[i].name, p0->pieces[k].name))
                                to->optim.steps[i] = from->optim.steps[k];
}

static bool
make_phase(rs_run *r, rs_phase *p, resect_error *err)
{
        if (!rs_net_make(&p->net, r->m, r->d, &r->o, &r->on, r->batch, r->n % r->batch, &r->choices,
                    err))
                return false;
        rs_slab *w = rs_exec_parameters(p->net.train.exec);
        p->dlogits = rs_alloc_aligned(r->batch * p->net.classes * sizeof(float), err);
        p->reads = rs_alloc(p->net.n_reads, sizeof *p->reads, err);
        if (!p->dlogits || !p->reads || !rs_optim_make(&p->optim, &r->o, w, err))
                return false;
        return !r->o.n_part_rates ||
               rs_stages_rates(&r->stages, w, r->o.part_rates, r->o.n_part_rates,
                       !r->o.thaw_every || r->phase + 1 == rs_stages_count(&r->stages),
                       p->optim.rate, err);
}

bool
rs_phase_enter(rs_run *r, size_t phase, resect_error *err)
{
        rs_phase *old = r->p, *p = rs_alloc(1, sizeof *p, err);
        if (!p)
                return false;
        const bool best = old && r->at.kept && !r->best_stands;
        r->phase = phase;
        if ((r->o.thaw_every && !rs_stages_hold(&r->stages, phase, err)) ||
                !make_phase(r, p, err) || (best && !room_for_best(p, err))) {
                rs_phase_free(p);
                return false;
        }
        if (old)
                carry_over(p, old, best);
        rs_phase_free(old);
        r->p = p;
        return true;
}

bool
rs_phase_rehearse(rs_run *r, resect_error *err)
{
        if (!r->o.thaw_every || !rs_fast_wanted(r->o.kernels))
                return true;
        for (size_t phase = rs_stages_count(&r->stages); phase-- > 0;)
                if (!rs_phase_enter(r, phase, err))
                        return false;
        return true;
}

static bool
make_caches(rs_run *r, resect_error *err)
{
        rs_phase *p = r->p;
        const resect_augment *a = &r->o.augment;
        if (!p->net.trunk.exec) {
                if (r->o.cache == RESECT_CACHE_ON)
                        rs_run_note(r, "nothing is frozen from the input on, so that there are no "
                                       "features to cache");
                return true;
        }
        if (r->o.cache == RESECT_CACHE_OFF || (r->o.cache == RESECT_CACHE_AUTO && p->net.spatial)) {
                rs_run_note(r, "the frozen part is computed afresh for every batch");
                return true;
        }
        p->cache = rs_cache_make(
                &p->net, r->d, RESECT_TRAIN, r->o.samples, r->n, a->flip, &r->o, &r->on, err);
        if (p->cache && r->n_val)
                p->val_cache = rs_cache_make(
                        &p->net, r->d, RESECT_VAL, NULL, r->n_val, false, &r->o, &r->on, err);
        if (!p->cache || (r->n_val && !p->val_cache))
                return false;
        rs_run_note(r,
                "features at the frozen boundary computed once for %zu pictures%s: %.1f MiB in "
                "%s%s",
                r->n + r->n_val, a->flip ? ", mirrored too" : "",
                (double)(p->cache->bytes + (p->val_cache ? p->val_cache->bytes : 0)) / 1048576,
                p->cache->memory ? "memory" : "a temporary file",
                a->crop || a->jitter > 0 || a->pad
                        ? "; crops and colours do not vary (--no-cache lets them)"
                        : "");
        return true;
}

bool
rs_phase_begin(rs_run *r, resect_error *err)
{
        rs_phase *p = r->p;
        const resect_augment *a = &r->o.augment;
        rs_run_note(r, "activations of a batch of %zu take %.1f MiB", r->batch,
                (double)resect_plan_slab_size(p->net.train.plan) / 1048576);
        if (!make_caches(r, err))
                return false;
        p->train = (rs_feed){.net = &p->net,
                .data = r->d,
                .split = RESECT_TRAIN,
                .samples = r->o.samples,
                .n = r->n,
                .map = r->map,
                .cache = p->cache,
                .shuffle = !r->o.no_shuffle,
                .augment = a->crop || a->flip || a->jitter > 0 || a->pad ? a : NULL,
                .mixup = r->o.mixup,
                .seed = r->o.seed};
        p->val = (rs_feed){.net = &p->net,
                .data = r->d,
                .split = RESECT_VAL,
                .n = r->n_val,
                .map = r->map,
                .cache = p->val_cache,
                .seed = r->o.seed};
        return rs_feed_make(&p->train, err) && rs_feed_make(&p->val, err);
}
