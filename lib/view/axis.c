/* SPDX-License-Identifier: 0BSD */
/*
 * Scales and ticks. Linear ticks are multiples of 1, 2 or 5 times a power of ten; a log axis has
 * ticks at 1, 2 and 5 of each decade while there are few decades, else at powers of ten. An axis
 * whose ends are chosen from the data ends a little outside them, or at 0 when they come near it.
 */
#include <math.h>
#include <stdio.h>
#include "view/view.h"

bool
rs_axis_takes(const resect_axis *a, double v)
{
        return isfinite(v) && (!a->log || v > 0);
}

static void
add_tick(rs_scale *s, double v, bool minor)
{
        if (s->n_ticks == RS_TICKS)
                return;
        s->minor[s->n_ticks] = minor;
        s->tick[s->n_ticks++] = v;
}

/* The step of 1, 2 or 5 times a power of ten that gives about `wanted` intervals, by a sixth more
 * at most. */
static double
step_for(double span, int wanted, int *decimals)
{
        double raw = span / wanted, power = floor(log10(raw)), base = pow(10, power);
        double part = raw / base, step = part <= 1.15 ? 1 : part <= 2.3 ? 2 : part <= 5.75 ? 5 : 10;
        if (step == 10) {
                step = 1;
                power += 1;
        }
        *decimals = power < 0 ? (int)-power : 0;
        return step * pow(10, power);
}

static void
linear_ticks(rs_scale *s, int wanted)
{
        double span = s->max - s->min;
        int decimals;
        double step = step_for(s->percent ? 100 * span : span, wanted, &decimals);
        double unit = s->percent ? step / 100 : step;
        s->decimals = decimals;
        /* From whole numbers, so that 3 * 0.1 is not 0.30000000000000004's neighbour in every tick
         */
        double first = ceil(s->min / unit - 1e-9);
        for (int i = 0; i < RS_TICKS && (first + i) * unit <= s->max + 1e-9 * span; i++)
                add_tick(s, (first + i) * unit, false);
}

static void
log_ticks(rs_scale *s, int wanted)
{
        double from = log10(s->min), to = log10(s->max), decades = to - from;
        s->decimals = -1;
        if (decades * 3 <= wanted + 2) {
                static const double at[3] = {1, 2, 5};
                for (int d = (int)floor(from); d <= (int)floor(to); d++)
                        for (int i = 0; i < 3; i++) {
                                double v = at[i] * pow(10, d);
                                if (v >= s->min * (1 - 1e-9) && v <= s->max * (1 + 1e-9))
                                        add_tick(s, v, false);
                        }
        }
        if (s->n_ticks >= 2)
                return;
        s->n_ticks = 0;
        if (decades < 1) { /* less than a decade without two of 1, 2, 5: as a linear axis */
                linear_ticks(s, wanted);
                s->decimals = -1;
                return;
        }
        int each = (int)ceil(decades / wanted);
        for (int d = (int)ceil(from - 1e-9); d <= (int)floor(to + 1e-9); d++)
                add_tick(s, pow(10, d), (d % each + each) % each != 0);
}

rs_scale
rs_scale_make(const resect_axis *a, double low, double high, int wanted)
{
        rs_scale s = {.log = a->log, .percent = a->percent};
        bool given =
                a->min < a->max && isfinite(a->min) && isfinite(a->max) && (!a->log || a->min > 0);
        if (given) {
                s.min = a->min;
                s.max = a->max;
        } else if (low > high) {
                s.min = a->log ? 1 : 0;
                s.max = a->log ? 10 : 1;
        } else if (a->log) {
                double room = low < high ? pow(high / low, 0.04) : 1.5;
                s.min = low / room;
                s.max = high * room;
                if (!(s.min > 0) || !isfinite(s.max)) { /* at the ends of what a double can be */
                        s.min = low;
                        s.max = high > low ? high : low * 2;
                }
        } else {
                double span = high - low;
                if (!(span > 1e-12 * fmax(fabs(low), fabs(high)))) {
                        span = low != 0 ? fabs(low) : 1;
                        high = low != 0 ? high : 1;
                }
                s.min = low - 0.05 * span;
                s.max = high + 0.05 * span;
                if (low >= 0 && s.min < 0.25 * span)
                        s.min = 0;
                if (low < 0 && high <= 0 && s.max > -0.25 * span)
                        s.max = 0;
                if (a->percent && low >= 0 && high <= 1 && s.max > 1)
                        s.max = 1;
                if (a->percent && s.max <= s.min)
                        s.min = s.max - 0.1;
                if (!isfinite(s.min) || !isfinite(s.max)) {
                        s.min = -1e300;
                        s.max = 1e300;
                }
        }
        if (wanted < 2)
                wanted = 2;
        if (s.log)
                log_ticks(&s, wanted);
        else
                linear_ticks(&s, wanted);
        return s;
}

double
rs_scale_at(const rs_scale *s, double v)
{
        double part =
                s->log ? log(v / s->min) / log(s->max / s->min) : (v - s->min) / (s->max - s->min);
        /* Far outside is outside: the drawing clips, and numbers stay short. */
        part = part < -4 ? -4 : part > 5 ? 5 : part;
        return s->from + part * (s->to - s->from);
}

void
rs_tick_text(const rs_scale *s, int i, char out[24])
{
        rs_number_text(out, s->tick[i], s->percent, s->decimals);
}
