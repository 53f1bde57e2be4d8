/* SPDX-License-Identifier: 0BSD */
/* Figures as words. One place, so that a sentence, a table and a test agree to the last digit. */
#include <math.h>
#include <stdio.h>
#include "trial/report.h"

const char *
resect_say_share(char out[32], double x)
{
        snprintf(out, 32, isfinite(x) ? "%.1f %%" : "?", 100 * x);
        return out;
}

const char *
resect_say_points(char out[32], double x)
{
        if (!isfinite(x))
                return snprintf(out, 32, "?"), out;
        double points = 100 * x;
        if (fabs(points) < 0.05) /* neither +0.0 nor -0.0 */
                return snprintf(out, 32, "0.0"), out;
        snprintf(out, 32, "%+.1f", points);
        return out;
}

const char *
resect_say_p(char out[32], double x)
{
        snprintf(out, 32, isfinite(x) ? "%.4f" : "?", x);
        return out;
}

const char *
resect_say_seconds(char out[32], double x)
{
        snprintf(out, 32, isfinite(x) ? "%.1f s" : "?", x);
        return out;
}

const char *
resect_say_count(char out[32], double x)
{
        static const char *const unit[] = {"", " k", " M", " G", " T"};
        size_t u = 0;
        if (!isfinite(x))
                return snprintf(out, 32, "?"), out;
        while (x >= (u ? 999.5 : 1000) && u < 4) { /* of 999.6 k three digits are 1 M */
                x /= 1000;
                u++;
        }
        snprintf(out, 32, u ? "%.3g%s" : "%.0f%s", x, unit[u]);
        return out;
}
