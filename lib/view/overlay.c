/* SPDX-License-Identifier: 0BSD */
/*
 * Maps as pixels. The colours run from dark blue over green to yellow, as matplotlib's viridis (van
 * der Walt and Smith, 2015): lightness grows with the value, so that they read the same in grey and
 * to those who do not tell red from green. The stops are viridis' at 0, 1/8 ... 1.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "resect/see.h"

static const unsigned char stops[9][3] = {{68, 1, 84}, {71, 44, 122}, {59, 81, 139}, {44, 113, 142},
        {33, 144, 141}, {39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37}};

static double
part_of(double v, double low, double high)
{
        double part = high > low ? (v - low) / (high - low) : 0;
        return isfinite(part) ? fmin(fmax(part, 0), 1) : 0;
}

/* The map between the middles of its places. */
static double
between(const float *map, int rows, int columns, double y, double x)
{
        y = fmin(fmax(y, 0), rows - 1);
        x = fmin(fmax(x, 0), columns - 1);
        int i = (int)y, k = (int)x, below = i + 1 < rows ? i + 1 : i,
            right = k + 1 < columns ? k + 1 : k;
        double fy = y - i, fx = x - k;
        const float *upper = map + (size_t)i * (size_t)columns,
                    *lower = map + (size_t)below * (size_t)columns;
        return (1 - fy) * ((1 - fx) * upper[k] + fx * upper[right]) +
               fy * ((1 - fx) * lower[k] + fx * lower[right]);
}

static void
colour_of(double v, double low, double high, unsigned char *rgb)
{
        double at = 8 * part_of(v, low, high);
        int stop = at < 7 ? (int)at : 7;
        for (int c = 0; c < 3; c++)
                rgb[c] = (unsigned char)lrint(
                        stops[stop][c] + (at - stop) * (stops[stop + 1][c] - stops[stop][c]));
}

void
resect_overlay(const float *map, int rows, int columns, double low, double high, double opacity,
        const unsigned char *picture, int height, int width, unsigned char *out)
{
        for (int i = 0; i < height; i++)
                for (int k = 0; k < width; k++) {
                        unsigned char rgb[3];
                        size_t p = 3 * ((size_t)i * (size_t)width + (size_t)k);
                        colour_of(between(map, rows, columns, (i + 0.5) * rows / height - 0.5,
                                          (k + 0.5) * columns / width - 0.5),
                                low, high, rgb);
                        for (size_t c = 0; c < 3; c++) {
                                double under = opacity < 1 ? picture[p + c] : 0;
                                out[p + c] = (unsigned char)lrint(
                                        opacity * rgb[c] + (1 - opacity) * under);
                        }
                }
}

enum { GAP = 3, DIGIT_W = 4, DIGIT_H = 5, LINE = 2 * DIGIT_H + 3 };

/* 0 to 9, 3 x 5: a row is three bits. */
static const unsigned short digits[10] = {
        075557, 026227, 071747, 071717, 055711, 074717, 074757, 071111, 075757, 075717};

/* A number in digits of 6 x 10 pixels, light grey. */
static void
put_number(unsigned char *out, size_t width, size_t y, size_t x, size_t number)
{
        char text[24];
        int n = snprintf(text, sizeof text, "%zu", number);
        for (int d = 0; d < n; d++)
                for (size_t i = 0; i < (size_t)(2 * DIGIT_H); i++)
                        for (size_t k = 0; k < 6; k++) {
                                unsigned bits = digits[text[d] - '0'] >> 3 * (4 - i / 2);
                                if (!(bits >> (2 - k / 2) & 1))
                                        continue;
                                size_t at = (y + i) * width + x + (size_t)d * 2 * DIGIT_W + k;
                                memset(out + 3 * at, 215, 3);
                        }
}

static int
tile_height(int rows, int columns, int tile)
{
        int h = (int)lrint((double)tile * rows / columns);
        return h > 0 ? h : 1;
}

void
resect_montage_size(size_t n, int rows, int columns, int across, int tile, int *height, int *width)
{
        int lines = (int)((n + (size_t)across - 1) / (size_t)across);
        int most = n < (size_t)across ? (int)n : across;
        *height = lines * (tile_height(rows, columns, tile) + LINE + GAP) + GAP;
        *width = most * (tile + GAP) + GAP;
}

void
resect_montage(const float *maps, const size_t *channels, size_t n, int rows, int columns,
        int across, int tile, unsigned char *out)
{
        int height, width, th = tile_height(rows, columns, tile);
        resect_montage_size(n, rows, columns, across, tile, &height, &width);
        memset(out, 24, (size_t)height * (size_t)width * 3);
        size_t plane = (size_t)rows * (size_t)columns;
        for (size_t i = 0; i < n; i++) {
                const float *map = maps + channels[i] * plane;
                double low = 0, high = 0;
                for (size_t k = 0; k < plane; k++) {
                        low = fmin(low, map[k]);
                        high = k ? fmax(high, map[k]) : map[k];
                }
                size_t y = GAP + i / (size_t)across * (size_t)(th + LINE + GAP);
                size_t x = GAP + i % (size_t)across * (size_t)(tile + GAP);
                put_number(out, (size_t)width, y, x, channels[i]);
                for (int r = 0; r < th; r++)
                        for (int k = 0; k < tile; k++)
                                colour_of(between(map, rows, columns, (r + 0.5) * rows / th - 0.5,
                                                  (k + 0.5) * columns / tile - 0.5),
                                        low, high,
                                        out + 3 * ((y + LINE + (size_t)r) * (size_t)width + x +
                                                          (size_t)k));
        }
}
