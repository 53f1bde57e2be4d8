/* SPDX-License-Identifier: 0BSD */
/*
 * The verdict as sentences, for readers who know no statistics: first what to do, then how sure
 * that is, then when it would change. A figure is never without its interval, and what was not
 * found is said with the size that would have been found.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "trial/verdict.h"

/* What is being said, and the memory for it; ok turns false when that runs out. */
typedef struct speech {
        rs_verdict *v;
        resect_error *err;
        bool ok;
} speech;

static const char *say(speech *s, const char *fmt, ...) RESECT_PRINTF(2, 3);

static const char *
say(speech *s, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *copy = s->ok ? rs_arena_vprintf(&s->v->arena, s->err, fmt, ap) : NULL;
        va_end(ap);
        s->ok = copy != NULL;
        return copy ? copy : "";
}

static void
line(speech *s, const char *text)
{
        s->v->lines[s->v->pub.n_lines++] = text;
}

static void
warn(speech *s, const char *text)
{
        s->v->warnings[s->v->pub.n_warnings++] = text;
}

static const char *
share(speech *s, double x)
{
        char t[32];
        return say(s, "%s", resect_say_share(t, x));
}

static const char *
points(speech *s, double x)
{
        char t[32];
        return say(s, "%s", resect_say_points(t, x));
}

/* Without a sign, where the sentence has the direction. */
static const char *
size_of(speech *s, double x)
{
        char t[32];
        resect_say_points(t, fabs(x));
        return say(s, "%s", t + (t[0] == '+'));
}

static const char *
chance(speech *s, double p)
{
        char t[32];
        return say(s, "%s", resect_say_p(t, p));
}

static const char *
name(const speech *s, size_t arm)
{
        return s->v->arm[arm].name;
}

static const resect_verdict_cell *
cell(const speech *s, size_t arm, size_t fraction)
{
        return &s->v->cells[arm * s->v->pub.fractions + fraction];
}

static const resect_verdict_cell *
at_most_data(const speech *s, size_t arm)
{
        return cell(s, arm, s->v->pub.fractions - 1);
}

/* "94.1 % (90.0 % to 97.0 %)" */
static const char *
accuracy(speech *s, const resect_crossed *c)
{
        return say(s, "%s (%s to %s)", share(s, c->value), share(s, c->low), share(s, c->high));
}

/* "+3.2 (+1.1 to +5.2)" */
static const char *
range(speech *s, const resect_crossed *c)
{
        return say(s, "%s (%s to %s)", points(s, c->value), points(s, c->low), points(s, c->high));
}

/* The same the other way round. */
static resect_crossed
turned(resect_crossed c)
{
        resect_crossed t = c;
        t.value = -c.value;
        t.low = -c.high;
        t.high = -c.low;
        return t;
}

static const resect_verdict_pair *
pair_of(const speech *s, size_t a, size_t b)
{
        for (size_t i = 0; i < s->v->pub.n_pairs; i++)
                if (s->v->pairs[i].a == a && s->v->pairs[i].b == b)
                        return &s->v->pairs[i];
        return NULL;
}

static int
proven(const speech *s, const resect_verdict_pair *q)
{
        return q->p > 1 - s->v->pub.level ? 0 : q->difference.value > 0 ? 1 : -1;
}

static const char *
percent_of_level(speech *s)
{
        return say(s, "%g %%", 100 * s->v->pub.level);
}

/* ------------------------------------------------------------------------------------------------
 * the first sentence */

static const char *
cannot_tell(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t w = (size_t)p->winner;
        const resect_crossed *c = &at_most_data(s, w)->test;
        return say(s,
                "Cannot tell: no arm is shown to have learned anything. The best by validation, "
                "%s, gets %s of the test "
                "pictures right (%s interval %s to %s), and whoever always answers the commonest "
                "class gets %s.",
                name(s, w), share(s, c->value), percent_of_level(s), share(s, c->low),
                share(s, c->high), share(s, p->chance));
}

static const char *
beginning(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t c = (size_t)p->chosen;
        const resect_crossed *t = &at_most_data(s, c)->test;
        const char *advice = p->chosen == p->scratch
                                     ? "Train from scratch"
                                     : say(s, "Use %s (%s)", name(s, c), s->v->arm[c].help);
        return say(s, "%s: it gets %s of the test pictures right (%s interval %s to %s)", advice,
                share(s, t->value), percent_of_level(s), share(s, t->low), share(s, t->high));
}

/* "and takes 12 times as long to train", when it does. */
static const char *
dearness(speech *s, size_t dear, size_t cheap)
{
        double ratio = s->v->of[dear].seconds / fmax(s->v->of[cheap].seconds, 1e-9);
        if (!(ratio >= 1.2))
                return "";
        return say(s,
                ratio < 10 ? " and takes %.1f times as long to train"
                           : " and takes %.0f times as long to train",
                ratio);
}

static const char *
headline(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t c = (size_t)p->chosen, w = (size_t)p->winner, r = (size_t)p->reference;
        const resect_verdict_pair *q = pair_of(s, c != r ? c : w, r);
        if (p->kind == RESECT_VERDICT_CANNOT_TELL)
                return cannot_tell(s);
        if (p->kind == RESECT_VERDICT_PROVEN && c != r)
                return say(s,
                        "%s, %s percentage points more than %s, the best %s (%s to %s, p = %s).%s",
                        beginning(s), size_of(s, q->difference.value), name(s, r),
                        p->simple == p->reference ? "arm that only trains a classifier"
                                                  : "by validation",
                        points(s, q->difference.low), points(s, q->difference.high),
                        chance(s, q->p),
                        w == c || w == r
                                ? ""
                                : say(s,
                                          " %s was better on the validation pictures, but is not "
                                          "proven better.",
                                          name(s, w)));
        if (p->kind == RESECT_VERDICT_LEARNED) {
                const resect_crossed *cheap = &at_most_data(s, r)->test;
                return say(s,
                        "%s. %s, which is cheaper, is not shown to have learned anything: %s (%s "
                        "to %s), and whoever always answers the commonest class gets %s.",
                        beginning(s), name(s, r), share(s, cheap->value), share(s, cheap->low),
                        share(s, cheap->high), share(s, p->chance));
        }
        if (p->kind == RESECT_VERDICT_PROVEN)
                return say(s, "%s, and every other arm is proven worse.", beginning(s));
        if (w != r && q)
                return say(s,
                        "%s. %s, the best by validation, is not proven better: %s percentage "
                        "points (%s to %s, p = %s)%s.",
                        beginning(s), name(s, w), points(s, q->difference.value),
                        points(s, q->difference.low), points(s, q->difference.high),
                        chance(s, q->p), dearness(s, w, c));
        return p->n_pairs ? say(s, "%s; no other arm is proven better.", beginning(s))
                          : say(s, "%s.", beginning(s));
}

/* ------------------------------------------------------------------------------------------------
 * pretrained or not */

static void
transfer(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        if (p->transfer == RESECT_TRANSFER_UNKNOWN || p->transfer_pair < 0) {
                line(s, "Whether the pretrained weights are of use cannot be said: it takes a "
                        "scratch arm and another one.");
                return;
        }
        const resect_verdict_pair *q = &s->v->pairs[p->transfer_pair];
        const resect_crossed d = (int)q->a == p->scratch ? turned(q->difference) : q->difference;
        const char *best = name(s, (size_t)p->pretrained), *ci = percent_of_level(s);
        const char *scratch = accuracy(s, &at_most_data(s, (size_t)p->scratch)->test);
        if (p->transfer == RESECT_TRANSFER_ADVANTAGE) {
                line(s, say(s,
                                "The pretrained weights help here: the best pretrained arm, %s, "
                                "gets %s percentage points more than the same "
                                "network from scratch (%s interval %s to %s, p = %s). Scratch gets "
                                "%s.",
                                best, size_of(s, d.value), ci, points(s, d.low), points(s, d.high),
                                chance(s, q->p), scratch));
        } else if (p->transfer == RESECT_TRANSFER_HARM) {
                const resect_crossed t = turned(d);
                line(s, say(s,
                                "No advantage: the pretrained weights do harm here (negative "
                                "transfer). "
                                "Scratch gets %s, %s percentage "
                                "points more than the best pretrained arm, %s (%s interval %s to "
                                "%s, p = "
                                "%s).",
                                scratch, size_of(s, d.value), best, ci, points(s, t.low),
                                points(s, t.high), chance(s, q->p)));
                warn(s, "Negative transfer: on these pictures the pretrained weights are worse "
                        "than fresh ones.");
        } else {
                line(s, say(s,
                                "No advantage of the pretrained weights is shown: the best "
                                "pretrained arm, %s, differs from scratch by %s percentage "
                                "points (%s interval %s to %s, p = %s). This trial would find a "
                                "difference of %s in four of five cases, and smaller ones less "
                                "often.",
                                best, points(s, d.value), ci, points(s, d.low), points(s, d.high),
                                chance(s, q->p), size_of(s, q->difference.detectable)));
        }
}

/* ------------------------------------------------------------------------------------------------
 * the arms among each other */

static const char *
append(speech *s, const char *list, const char *arm, const char *between, const char *figure)
{
        return say(s, "%s%s%s%s%s", list, *list ? ", " : "", arm, between, figure);
}

static void
against_reference(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t r = (size_t)p->reference;
        const char *better = "", *worse = "", *open = "";
        double detectable = 0;
        bool alone = false; /* one would be proven, were it the only one */
        for (size_t i = 0; i < p->n_pairs; i++) {
                const resect_verdict_pair *q = &s->v->pairs[i];
                if (q->b != r || (int)i == p->transfer_pair)
                        continue;
                int sign = proven(s, q);
                const char **list = sign > 0 ? &better : sign < 0 ? &worse : &open;
                *list = append(s, *list, name(s, q->a), " ", range(s, &q->difference));
                if (sign)
                        continue;
                detectable = fmax(detectable, q->difference.detectable);
                alone |= p->family > 1 && (q->difference.low > 0 || q->difference.high < 0);
        }
        if (*better)
                line(s, say(s,
                                "Proven better than %s, in percentage points with their %s "
                                "intervals: %s.",
                                name(s, r), percent_of_level(s), better));
        if (*worse)
                line(s, say(s, "Proven worse than %s, in percentage points: %s.", name(s, r),
                                worse));
        if (*open)
                line(s, say(s,
                                "Too few runs to tell from %s: %s. This trial would find a "
                                "difference of %s percentage points in four of five cases, "
                                "and smaller ones less often.%s",
                                name(s, r), open, size_of(s, detectable),
                                alone ? say(s,
                                                " An interval without 0 is what one comparison "
                                                "would show; among %zu at once it proves nothing.",
                                                p->family)
                                      : ""));
}

/* An arm that makes a smaller network and of which nothing says that it is worse than the chosen
 * one, not even its own interval. */
static void
smaller(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const uint64_t macs = s->v->arm[p->chosen].macs;
        const resect_verdict_pair *least = NULL;
        for (size_t a = 0; a < p->arms && macs && p->chosen == p->reference; a++) {
                const resect_verdict_pair *q = pair_of(s, a, (size_t)p->chosen);
                const uint64_t has = s->v->arm[a].macs;
                if (q && proven(s, q) == 0 && q->difference.high >= 0 && has &&
                        (double)has < 0.9 * (double)macs &&
                        (!least || has < s->v->arm[least->a].macs))
                        least = q;
        }
        if (least)
                line(s, say(s,
                                "Where speed in use matters: %s takes %.0f %% of the "
                                "multiplications and is not told apart from "
                                "%s, %s percentage points.",
                                name(s, least->a),
                                100 * (double)s->v->arm[least->a].macs / (double)macs,
                                name(s, (size_t)p->chosen), range(s, &least->difference)));
}

/* ------------------------------------------------------------------------------------------------
 * when it would change */

static void
crossover(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t last = p->fractions - 1;
        if (!p->lead || !p->lead_seeds[last])
                return;
        const char *best = name(s, (size_t)p->pretrained);
        size_t first = 0;
        while (first < last && !p->lead_seeds[first])
                first++;
        const double most = at_most_data(s, (size_t)p->scratch)->pictures,
                     least = cell(s, (size_t)p->scratch, first)->pictures;
        if (p->caught_up < 0 && first == last)
                line(s, say(s,
                                "Scratch does not catch up within the data: at all %.0f training "
                                "pictures %s leads by %s. Smaller parts were not "
                                "tried, and what more pictures would do is not known.",
                                most, best, range(s, &p->lead[last])));
        else if (p->caught_up < 0)
                line(s, say(s,
                                "Scratch does not catch up within the data: %s leads by %s "
                                "percentage points with %.0f training pictures and by %s "
                                "with %.0f. What more pictures would do is not known.",
                                best, range(s, &p->lead[first]), least, range(s, &p->lead[last]),
                                most));
        else if ((size_t)p->caught_up > first)
                line(s, say(s,
                                "Scratch catches up within the data: with %.0f training pictures "
                                "%s leads by %s percentage points, from %.0f on it "
                                "leads no more for certain (%s with %.0f). With fewer pictures the "
                                "pretrained weights are worth more.",
                                least, best, range(s, &p->lead[first]),
                                cell(s, (size_t)p->scratch, (size_t)p->caught_up)->pictures,
                                range(s, &p->lead[last]), most));
        else if (first < last)
                line(s, say(s,
                                "At no part of the data that was tried (%.0f to %.0f training "
                                "pictures) does %s lead scratch for certain.",
                                least, most, best));
        else
                line(s, say(s,
                                "One part of the data was tried (%.0f training pictures): whether "
                                "fewer or more would change this is not known.",
                                most));
}

/* Other parts of the data that would have chosen another arm. */
static void
other_winners(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const char *list = "";
        for (size_t f = 0; f + 1 < p->fractions; f++) {
                int best = -1;
                for (size_t a = 0; a < p->arms; a++)
                        if (cell(s, a, f)->runs && (best < 0 || rs_cell_better(cell(s, a, f),
                                                                        cell(s, (size_t)best, f))))
                                best = (int)a;
                if (best < 0 || best == p->winner)
                        continue;
                const char *pictures = say(s, "%.0f pictures", cell(s, (size_t)best, f)->pictures);
                list = append(s, list, name(s, (size_t)best), " with ", pictures);
        }
        if (*list)
                line(s, say(s, "Best by validation with fewer training pictures: %s.", list));
}

/* ------------------------------------------------------------------------------------------------
 * overfitting, restarts, cautions */

static void
overfitting(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const char *list = "";
        for (size_t a = 0; a < p->arms; a++)
                if (at_most_data(s, a)->runs && s->v->of[a].overfits)
                        list = append(s, list, name(s, a), " ", range(s, &s->v->of[a].gap));
        line(s, *list ? say(s,
                                "Overfitting: more right on the training pictures than on the test "
                                "pictures, by so many percentage points: %s.",
                                list)
                      : "Overfitting: no arm is more than 10 percentage points better on its "
                        "training pictures than on the test pictures for "
                        "certain.");
        const size_t c = (size_t)p->chosen;
        const resect_verdict_arm *a = &s->v->of[c];
        if (a->rise > 0.1 && a->best_epoch < 0.9 * (double)s->v->arm[c].epochs)
                line(s, say(s,
                                "%s was best after %.1f of %zu passes on average; by the last one "
                                "its validation loss had risen by %.0f %%. The "
                                "best weights are kept, and fewer passes will do.",
                                name(s, c), a->best_epoch, s->v->arm[c].epochs, 100 * a->rise));
        if (a->ece > 0.1)
                line(s, say(s,
                                "Do not take its confidences at face value: they are off by %s on "
                                "average.",
                                share(s, a->ece)));
}

static void
restarts(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        if (!p->restarts || p->restart_arm < 0)
                return;
        const double alpha = 1 - p->level;
        const resect_crossed *start = &p->restart[0], *steady = &p->restart[1];
        const bool than_start = p->restart_p[0] <= alpha, than_steady = p->restart_p[1] <= alpha;
        const char *answer =
                than_start && start->value < 0                   ? "hurt here"
                : than_start && than_steady && steady->value > 0 ? "helped here"
                : than_start ? "helped, but no more than going on at a low rate is proven to"
                : than_steady && steady->value < 0 ? "did worse than going on at a low rate"
                : than_steady ? "did better than going on at a low rate, but are not proven better "
                                "than stopping"
                              : "cannot be told to have helped or hurt";
        line(s, say(s,
                        "Restarts: to raise the learning rate of %s again after it had converged "
                        "%s. Against where it began: %s "
                        "percentage points, p = %s; against as many more passes at a low rate: %s, "
                        "p = %s (%zu seeds; a difference of %s would be "
                        "found in four of five cases).",
                        name(s, (size_t)p->restart_arm), answer, range(s, start),
                        chance(s, p->restart_p[0]), range(s, steady), chance(s, p->restart_p[1]),
                        p->restarts, size_of(s, fmax(start->detectable, steady->detectable))));
}

/* Arms whose best pass was the last, all in one warning. */
static void
still_learning(speech *s)
{
        const char *names = "";
        size_t n = 0;
        for (size_t a = 0; a < s->v->pub.arms; a++) {
                const resect_trial_arm *arm = &s->v->arm[a];
                if (!at_most_data(s, a)->runs || arm->epochs < 3 ||
                        !(s->v->of[a].best_epoch > 0.95 * (double)arm->epochs))
                        continue;
                names = say(s, "%s%s%s (%.1f of %zu)", names, n++ ? ", " : "", arm->name,
                        s->v->of[a].best_epoch, arm->epochs);
        }
        if (n)
                warn(s, say(s,
                                "The best pass was the last one, or nearly: %s; more passes may do "
                                "better.",
                                names));
}

/* Whether a look beforehand would have told as much. */
static void
agreement(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        if (!s->v->o.probe)
                return;
        if (p->depths < 2)
                line(s, "resect-probe's ranking cannot be compared: that takes two arms that end "
                        "at "
                        "different depths and train everything (truncate:K, tune).");
        else if (!isfinite(p->rho))
                line(s, say(s,
                                "resect-probe's ranking cannot be compared: at the %zu depths that "
                                "were "
                                "trained, it or the trial finds no difference.",
                                p->depths));
        else
                line(s, say(s,
                                "resect-probe ranked the %zu depths that were trained %s: "
                                "Spearman's rho "
                                "%.2f, Kendall's tau %.2f.",
                                p->depths,
                                p->rho > 0.5 ? "much as the trial does"
                                : p->rho > 0 ? "a little like the trial"
                                             : "otherwise than the trial",
                                p->rho, p->tau));
}

static void
cautions(speech *s)
{
        const resect_verdict *p = &s->v->pub;
        const size_t want = p->arms * p->fractions * p->seeds;
        if (s->v->n_runs < want)
                warn(s, say(s, "The trial is not finished: %zu of %zu runs are there.",
                                s->v->n_runs, want));
        if (p->seeds == 1)
                warn(s, "One seed: intervals and tests know the luck of the test pictures, not "
                        "that of initialisation, order and division. "
                        "Repeat with three seeds or more before you rely on this.");
        else if (p->seeds == 2)
                warn(s, "Two seeds say little about luck, and the intervals are as wide as that "
                        "demands: three to five narrow them much.");
        if (p->pictures < 50)
                warn(s, say(s,
                                "Only %zu test pictures: intervals are wide whatever the number of "
                                "seeds.",
                                p->pictures));
        const resect_verdict_pair *q = pair_of(s, (size_t)p->winner, (size_t)p->reference);
        if (q && proven(s, q) < 0)
                warn(s, say(s,
                                "%s is best by validation, yet proven worse than %s on the test "
                                "pictures: they are not alike, or the validation part is "
                                "small.",
                                name(s, (size_t)p->winner), name(s, (size_t)p->reference)));
        for (size_t a = 0; a < p->arms; a++) {
                const resect_trial_arm *arm = &s->v->arm[a];
                const resect_verdict_arm *of = &s->v->of[a];
                if (!at_most_data(s, a)->runs)
                        continue;
                if (arm->lr_at_edge)
                        warn(s, say(s,
                                        "%s: the best learning rate, %g, is at the end of those "
                                        "that were tried; another may do better.",
                                        arm->name, arm->lr));
                if (of->diverged)
                        warn(s, say(s,
                                        "%s: %zu of its runs broke down and were judged by what "
                                        "they had kept before.",
                                        arm->name, of->diverged));
        }
        still_learning(s);
}

bool
rs_verdict_words(rs_verdict *v, resect_error *err)
{
        speech s = {v, err, true};
        v->pub.headline = headline(&s);
        transfer(&s);
        against_reference(&s);
        smaller(&s);
        crossover(&s);
        other_winners(&s);
        overfitting(&s);
        restarts(&s);
        agreement(&s);
        cautions(&s);
        return s.ok;
}
