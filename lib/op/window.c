/* SPDX-License-Identifier: 0BSD */
/* Sliding windows, after the text of Conv-22, MaxPool-22 and AveragePool-22 in ONNX's operator
 * reference. */
#include "op/window.h"

#include <string.h>

enum { NUMBER_MAX = INT32_MAX };

/* An attribute of so many numbers, each in least..2^31-1. */
static bool
numbers(const rs_infer *x, const char *name, int count, int64_t least, int64_t *out, bool *given,
        resect_error *err)
{
        const int64_t *v;
        size_t n;

        if (!rs_op_ints(x, name, &v, &n, err))
                return false;
        *given = v != NULL;
        if (!v)
                return true;
        if (n != (size_t)count)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "%s has %zu numbers, wants %d", name, n, count);
        for (int i = 0; i < count; i++) {
                if (v[i] < least || v[i] > NUMBER_MAX)
                        return rs_op_fail(x, err, RESECT_GRAPH, "%s has %lld, outside %lld..%lld",
                                name, (long long)v[i], (long long)least, (long long)NUMBER_MAX);
                out[i] = v[i];
        }
        return true;
}

static bool
read_auto_pad(const rs_infer *x, rs_window *w, resect_error *err)
{
        static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
        rs_span s;

        if (!rs_op_string(x, "auto_pad", &s, err))
                return false;
        w->automatic = RS_PAD_NOTSET;
        if (!s.data || !s.size)
                return true;
        for (int i = 0; i < 4; i++)
                if (rs_span_is(s, names[i])) {
                        w->automatic = i;
                        return true;
                }
        return rs_op_fail(x, err, RESECT_GRAPH, "auto_pad is \"%.*s\"",
                (int)(s.size < 40 ? s.size : 40), (const char *)s.data);
}

bool
rs_window_read(const rs_infer *x, int axes, const int64_t *kernel, rs_window *w, resect_error *err)
{
        int64_t own[RS_WINDOW_AXES] = {0}, pads[2 * RS_WINDOW_AXES] = {0};
        bool given;

        memset(w, 0, sizeof *w);
        w->axes = axes;
        for (int i = 0; i < axes; i++)
                w->stride[i] = w->dilation[i] = 1;
        if (!numbers(x, "kernel_shape", axes, 1, own, &given, err))
                return false;
        if (!given && !kernel)
                return rs_op_fail(x, err, RESECT_GRAPH, "kernel_shape is missing");
        for (int i = 0; i < axes; i++) {
                w->kernel[i] = given ? own[i] : kernel[i];
                if (given && kernel && !rs_size_equal(own[i], kernel[i], &w->kernel[i]))
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "kernel_shape has %lld, the weight %lld", (long long)own[i],
                                (long long)kernel[i]);
                if (!rs_is_symbol(w->kernel[i]) && (w->kernel[i] < 1 || w->kernel[i] > NUMBER_MAX))
                        return rs_op_fail(x, err, RESECT_GRAPH, "the kernel's size is %lld",
                                (long long)w->kernel[i]);
        }
        if (!numbers(x, "strides", axes, 1, w->stride, &given, err) ||
                !numbers(x, "dilations", axes, 1, w->dilation, &given, err) ||
                !read_auto_pad(x, w, err) || !numbers(x, "pads", 2 * axes, 0, pads, &given, err))
                return false;
        for (int i = 0; i < axes && w->automatic == RS_PAD_NOTSET; i++) {
                w->before[i] = pads[i];
                w->after[i] = pads[axes + i];
        }
        return true;
}

/* One axis whose sizes are numbers. */
static bool
size_known(const rs_infer *x, rs_window *w, int i, bool round_up, int64_t in, int64_t *out,
        resect_error *err)
{
        const int64_t s = w->stride[i], reach = (w->kernel[i] - 1) * w->dilation[i] + 1;

        if (w->automatic == RS_PAD_SAME_UPPER || w->automatic == RS_PAD_SAME_LOWER) {
                *out = in / s + (in % s != 0);
                const int64_t total = *out > 0 ? (*out - 1) * s + reach - in : 0;
                w->before[i] = total <= 0                          ? 0
                               : w->automatic == RS_PAD_SAME_UPPER ? total / 2
                                                                   : (total + 1) / 2;
                w->after[i] = total <= 0 ? 0 : total - w->before[i];
                return true;
        }
        const int64_t room = in + w->before[i] + w->after[i] - reach;
        if (room < 0)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "a window of %lld (kernel %lld, dilation %lld) is larger than the input, "
                        "%lld with padding",
                        (long long)reach, (long long)w->kernel[i], (long long)w->dilation[i],
                        (long long)(room + reach));
        *out = room / s + 1;
        if (round_up && w->automatic == RS_PAD_NOTSET && room % s && *out * s < in + w->before[i])
                ++*out;
        return true;
}

bool
rs_window_sizes(rs_infer *x, rs_window *w, bool round_up, const int64_t *in, int64_t *out,
        resect_error *err)
{
        for (int i = 0; i < w->axes; i++) {
                const bool same =
                        w->automatic == RS_PAD_SAME_UPPER || w->automatic == RS_PAD_SAME_LOWER;
                if (!rs_is_symbol(in[i]) && in[i] > (INT64_C(1) << 40))
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "an input size is %lld", (long long)in[i]);
                if (!rs_is_symbol(in[i]) && !rs_is_symbol(w->kernel[i])) {
                        if (!size_known(x, w, i, round_up, in[i], &out[i], err))
                                return false;
                } else if (w->stride[i] == 1 &&
                           (same || (!rs_is_symbol(w->kernel[i]) &&
                                            w->before[i] + w->after[i] ==
                                                    (w->kernel[i] - 1) * w->dilation[i]))) {
                        out[i] = in[i];
                } else if (!rs_op_size_new(x, &out[i], err)) {
                        return false;
                }
        }
        return true;
}
