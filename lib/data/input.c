/* SPDX-License-Identifier: 0BSD */
/*
 * What a model wants to see: resect.input where a model has it, else what its input's shape says
 * and ImageNet's constants. Numbers are read and written with a point whatever the locale of the
 * program is.
 */
#include "data/data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const resect_input usual = {
        .channels = 3,
        .height = 224,
        .width = 224,
        .resize = 256,
        .mean = {0.485, 0.456, 0.406},
        .std = {0.229, 0.224, 0.225},
};

bool
rs_input_check(const resect_input *in, resect_error *err)
{
        if (in->channels != 1 && in->channels != 3)
                return rs_fail(
                        err, RESECT_ARG, "input: %d channels; pictures have 1 or 3", in->channels);
        if (in->height < 1 || in->width < 1 || in->height > RS_PICTURE_SIDE ||
                in->width > RS_PICTURE_SIDE || (int64_t)in->height * in->width > RS_PICTURE_PIXELS)
                return rs_fail(err, RESECT_ARG, "input: %dx%d is no size for a picture", in->height,
                        in->width);
        if (in->resize < 0 || in->resize > RS_PICTURE_SIDE)
                return rs_fail(err, RESECT_ARG, "input: resize=%d is not in 0 .. %d", in->resize,
                        RS_PICTURE_SIDE);
        for (int c = 0; c < in->channels; c++)
                if (!isfinite(in->mean[c]) || !isfinite(in->std[c]) || in->std[c] <= 0)
                        return rs_fail(err, RESECT_ARG, "input: mean %g, std %g of channel %d",
                                in->mean[c], in->std[c], c);
        return true;
}

/* A decimal number; exact for up to 15 digits. Returns past its end, NULL when there is none. */
static const char *
take_number(const char *s, double *out)
{
        bool minus = *s == '-', digits = false;
        int shift = 0, count = 0;
        double v = 0, power = 1;
        s += minus;
        for (bool point = false; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
                if (*s == '.') {
                        point = true;
                        continue;
                }
                digits = true;
                if (count < 17) {
                        v = v * 10 + (*s - '0');
                        shift -= point;
                        count += v > 0;
                } else
                        shift += !point;
        }
        if (!digits)
                return NULL;
        if (*s == 'e' || *s == 'E') {
                bool down = *++s == '-';
                int e = 0;
                s += down || *s == '+';
                if (*s < '0' || *s > '9')
                        return NULL;
                for (; *s >= '0' && *s <= '9'; s++)
                        e = e < 1000 ? e * 10 + (*s - '0') : e;
                shift += down ? -e : e;
        }
        for (int i = 0; i < (shift < 0 ? -shift : shift); i++)
                power *= 10;
        v = shift < 0 ? v / power : v * power;
        *out = minus ? -v : v;
        return s;
}

static bool
take_size(const char *s, int *out, char end, const char **rest)
{
        int v = 0;
        if (*s < '0' || *s > '9')
                return false;
        for (; *s >= '0' && *s <= '9'; s++)
                if ((v = v * 10 + (*s - '0')) > RS_PICTURE_SIDE)
                        return false;
        if (*s && *s != end)
                return false;
        *out = v;
        *rest = *s ? s + 1 : NULL;
        return true;
}

/* "0.485,0.456,0.406", or one number for all. */
static bool
take_three(const char *s, double out[3])
{
        double v[3];
        int n = 0;
        for (;;) {
                s = n < 3 ? take_number(s, &v[n]) : NULL;
                if (!s || (*s && *s != ','))
                        return false;
                n++;
                if (!*s)
                        break;
                s++;
        }
        if (n == 2)
                return false;
        for (int c = 0; c < 3; c++)
                out[c] = v[n == 1 ? 0 : c];
        return true;
}

static bool
set(resect_input *io, const char *key, const char *value)
{
        const char *rest;
        if (strcmp(key, "size") == 0) {
                if (!take_size(value, &io->height, 'x', &rest))
                        return false;
                io->width = io->height;
                return !rest || (take_size(rest, &io->width, 'x', &rest) && !rest);
        }
        if (strcmp(key, "resize") == 0)
                return take_size(value, &io->resize, '\0', &rest);
        if (strcmp(key, "mean") == 0)
                return take_three(value, io->mean);
        if (strcmp(key, "std") == 0)
                return take_three(value, io->std);
        if (strcmp(key, "channels") == 0) {
                bool rgb = strcmp(value, "rgb") == 0, bgr = strcmp(value, "bgr") == 0,
                     grey = strcmp(value, "grey") == 0;
                io->channels = grey ? 1 : 3;
                io->bgr = bgr;
                return rgb || bgr || grey;
        }
        if (strcmp(key, "layout") == 0) {
                io->nhwc = strcmp(value, "nhwc") == 0;
                return io->nhwc || strcmp(value, "nchw") == 0;
        }
        return false;
}

bool
resect_input_parse(resect_input *io, const char *text, resect_error *err)
{
        resect_input in = *io;
        for (const char *s = text + strspn(text, " \t\n"); *s; s += strspn(s, " \t\n")) {
                char word[128], *equal;
                size_t n = strcspn(s, " \t\n");
                if (n >= sizeof word)
                        return rs_fail(err, RESECT_ARG, "input: '%.40s...' is too long", s);
                memcpy(word, s, n);
                word[n] = '\0';
                s += n;
                equal = strchr(word, '=');
                if (equal)
                        *equal = '\0';
                if (!equal || !set(&in, word, equal + 1))
                        return rs_fail(err, RESECT_ARG,
                                "input: '%s%s%s' is not one of size=HxW resize=N mean=R,G,B "
                                "std=R,G,B channels=rgb|bgr|grey "
                                "layout=nchw|nhwc",
                                word, equal ? "=" : "", equal ? equal + 1 : "");
        }
        if (!rs_input_check(&in, err))
                return false;
        *io = in;
        return true;
}

static void
put_three(rs_buf *b, const char *key, const double *v, int n)
{
        for (int c = 0; c < n; c++) {
                char number[40];
                snprintf(number, sizeof number, "%.15g", v[c]);
                for (char *p = number; *p; p++)
                        *p = *p == ',' ? '.' : *p;
                rs_buf_printf(b, "%s%s", c ? "," : key, number);
        }
}

bool
resect_input_record(resect_model *m, const resect_input *in, resect_error *err)
{
        if (!rs_input_check(in, err))
                return false;
        rs_buf b = {0};
        rs_buf_printf(&b, "size=%dx%d resize=%d", in->height, in->width, in->resize);
        put_three(&b, " mean=", in->mean, in->channels);
        put_three(&b, " std=", in->std, in->channels);
        rs_buf_printf(&b, " channels=%s layout=%s",
                in->channels == 1 ? "grey"
                : in->bgr         ? "bgr"
                                  : "rgb",
                in->nhwc ? "nhwc" : "nchw");
        bool ok = b.oom ? rs_fail_nomem(err)
                        : resect_model_set_meta(m, "resect.input", (const char *)b.data, err);
        rs_buf_free(&b);
        return ok;
}

/* What the first input of rank 4 fixes; 0 for what it leaves open. */
struct shape {
        const char *name;
        int channels, height, width;
        bool nhwc;
};

static bool
find_shape(const resect_model *m, struct shape *out, resect_error *err)
{
        resect_value v;
        size_t i = 0;
        while (resect_model_input(m, i, &v) && v.rank != 4 && v.rank != -1)
                i++;
        if (!resect_model_input(m, i, &v))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "the model has no input of rank 4 that a picture could enter");
        *out = (struct shape){.name = v.name};
        if (v.rank == -1)
                return true;
        const int64_t *d = v.dims;
        bool first = d[1] == 1 || d[1] == 3, last = d[3] == 1 || d[3] == 3;
        if (!first && !last && d[1] > 0)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "input %s has %lld channels; pictures have 1 or 3", v.name,
                        (long long)d[1]);
        out->nhwc = last && !first;
        int64_t c = d[out->nhwc ? 3 : 1], h = d[out->nhwc ? 1 : 2], w = d[out->nhwc ? 2 : 3];
        if (h > RS_PICTURE_SIDE || w > RS_PICTURE_SIDE)
                return rs_fail(err, RESECT_UNSUPPORTED, "input %s is %lldx%lld", v.name,
                        (long long)h, (long long)w);
        out->channels = c > 0 ? (int)c : 0;
        out->height = h > 0 ? (int)h : 0;
        out->width = w > 0 ? (int)w : 0;
        return true;
}

static resect_input
from_shape(const struct shape *s)
{
        resect_input in = usual;
        in.channels = s->channels ? s->channels : in.channels;
        in.height = s->height ? s->height : s->width ? s->width : in.height;
        in.width = s->width ? s->width : in.height;
        in.nhwc = s->nhwc;
        int64_t side = in.height < in.width ? in.height : in.width;
        side = (side * 256 + 112) / 224;
        in.resize = side > RS_PICTURE_SIDE ? RS_PICTURE_SIDE : (int)side;
        if (in.channels == 1) { /* the mean over the three */
                in.mean[0] = 0.449;
                in.std[0] = 0.226;
        }
        return in;
}

/* Where the graph has been resized since resect.input was written, the graph is right about the
   size, and the resize before the crop keeps its proportion. Channels cannot be mended so. */
static bool
reconcile(resect_input *in, const struct shape *s, resect_error *err)
{
        if (s->channels && (in->channels != s->channels || in->nhwc != s->nhwc))
                return rs_fail(err, RESECT_GRAPH,
                        "resect.input says %d channels, %s; input %s has %d, %s", in->channels,
                        in->nhwc ? "nhwc" : "nchw", s->name, s->channels,
                        s->nhwc ? "nhwc" : "nchw");
        int old = in->height < in->width ? in->height : in->width;
        in->height = s->height ? s->height : in->height;
        in->width = s->width ? s->width : in->width;
        int side = in->height < in->width ? in->height : in->width;
        in->resize = (int)(((int64_t)in->resize * side + old / 2) / old);
        return true;
}

bool
resect_input_of(const resect_model *m, resect_input *out, bool *recorded, resect_error *err)
{
        struct shape shape = {0};
        if (!find_shape(m, &shape, err))
                return false;
        resect_input in = from_shape(&shape);
        const char *text = resect_model_meta(m, "resect.input");
        if (recorded)
                *recorded = text != NULL;
        if (text && !resect_input_parse(&in, text, err))
                return rs_fail_at(err, "resect.input");
        if (text && !reconcile(&in, &shape, err))
                return false;
        if (!rs_input_check(&in, err))
                return false;
        *out = in;
        return true;
}
