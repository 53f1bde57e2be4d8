/* SPDX-License-Identifier: 0BSD */
/* Pixels to PNG files, and a model's input back to pixels. */
#include <math.h>
#include "image/image.h"
#include "io/output.h"
#include "view/view.h"

bool
resect_picture_write(const char *path, const unsigned char *pixels, int width, int height,
        int channels, resect_error *err)
{
        if (width < 1 || height < 1 || (channels != 1 && channels != 3))
                return rs_fail(err, RESECT_ARG, "a picture of %d x %d with %d channels", width,
                        height, channels);
        if (!rs_picture_check_size((uint64_t)width, (uint64_t)height, err))
                return false;
        rs_picture p = {width, height, channels, (unsigned char *)(uintptr_t)pixels};
        rs_buf png = {0};
        rs_output *o = NULL;
        bool done = rs_png_encode(&p, &png, err) && (o = rs_output_open(path, err)) &&
                    rs_output_bytes(o, png.data, png.size, err);
        if (done)
                done = rs_output_close(o, err);
        else
                rs_output_abandon(o);
        rs_buf_free(&png);
        return done;
}

static unsigned char
byte_of(double v)
{
        return (unsigned char)(v <= 0 ? 0 : v >= 1 ? 255 : lrint(255 * v));
}

void
resect_picture_of(const float *x, int channels, int height, int width, const resect_input *in,
        unsigned char *pixels)
{
        size_t plane = (size_t)height * (size_t)width, all = plane * (size_t)channels;
        double low = INFINITY, high = -INFINITY;
        for (size_t i = 0; i < all && !in; i++)
                if (isfinite(x[i])) {
                        low = fmin(low, x[i]);
                        high = fmax(high, x[i]);
                }
        bool nhwc = in && in->nhwc;
        for (size_t i = 0; i < plane; i++)
                for (int c = 0; c < 3; c++) {
                        double sum = 0;
                        int from = channels == 3 ? c : 0, to = channels == 3 ? c + 1 : channels;
                        if (channels == 3 && in && in->bgr)
                                from = 2 - c, to = from + 1;
                        for (int k = from; k < to; k++) {
                                double v = x[nhwc ? i * (size_t)channels + (size_t)k
                                                  : (size_t)k * plane + i];
                                if (in && k < 3)
                                        v = v * in->std[k] + in->mean[k];
                                else if (!in)
                                        v = high > low ? (v - low) / (high - low) : 0.5;
                                sum += isfinite(v) ? v : 0;
                        }
                        pixels[3 * i + (size_t)c] = byte_of(sum / (to - from));
                }
}
