/* SPDX-License-Identifier: 0BSD */
/* Resizing, cropping, augmentation and normalisation against slow ways of saying the same thing. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "image/image.h"

static rs_picture
noise(int w, int h, int c, uint64_t seed)
{
        resect_error err;
        rs_picture p;
        CK_OK(rs_picture_make(&p, w, h, c, &err), err);
        for (size_t i = 0; i < rs_picture_bytes(&p); i++)
                p.pixels[i] = (unsigned char)rs_below(seed, 1, i, 256);
        return p;
}

static int
at(const rs_picture *p, int x, int y, int c)
{
        return p->pixels[((size_t)y * (size_t)p->width + (size_t)x) * (size_t)p->channels +
                         (size_t)c];
}

/* A pixel of the resized picture by the definition, in double, without rounding between the passes.
 */
static double
by_definition(const rs_picture *p, double fx, double fy, int x, int y, int c)
{
        double sx = fx < 1 ? 1 : fx, sy = fy < 1 ? 1 : fy, cx = (x + 0.5) * fx, cy = (y + 0.5) * fy,
               sum = 0, weights = 0;
        for (int v = 0; v < p->height; v++)
                for (int u = 0; u < p->width; u++) {
                        double a = 1 - fabs((u + 0.5 - cx) / sx), b = 1 - fabs((v + 0.5 - cy) / sy);
                        if (a <= 0 || b <= 0)
                                continue;
                        sum += a * b * at(p, u, v, c);
                        weights += a * b;
                }
        return sum / weights;
}

START_TEST(resize_is_a_triangle_filter)
{
        static const int sizes[][4] = {{20, 14, 7, 9}, {7, 9, 20, 14}, {20, 14, 20, 5},
                {20, 14, 3, 14}, {1, 1, 5, 4}, {33, 1, 4, 1}, {40, 30, 1, 1}};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                for (int c = 1; c <= 3; c += 2) {
                        resect_error err;
                        rs_picture p = noise(sizes[s][0], sizes[s][1], c, s), q;
                        int w = sizes[s][2], h = sizes[s][3];
                        CK_OK(rs_picture_resize(&q, rs_picture_view(&p), w, h, &err), err);
                        for (int y = 0; y < h; y++)
                                for (int x = 0; x < w; x++)
                                        for (int k = 0; k < c; k++)
                                                ck_assert_double_eq_tol(at(&q, x, y, k),
                                                        by_definition(&p, (double)p.width / w,
                                                                (double)p.height / h, x, y, k),
                                                        1.01);
                        rs_picture_free(&p);
                        rs_picture_free(&q);
                }
}
END_TEST

/* Long runs of colours are summed in registers, grey ones by a loop: a colour is what it is by
 * itself, to the bit. White is where sums are largest. */
START_TEST(colours_are_as_if_grey)
{
        static const int sizes[][3] = {{500, 9, 9}, {64, 3, 7}, {161, 2, 20}, {6000, 1, 1},
                {16384, 1, 3}, {33, 5, 4}, {47, 4, 5}};
        for (size_t s = 0; s < 2 * sizeof sizes / sizeof *sizes; s++) {
                resect_error err;
                const int *size = sizes[s / 2];
                rs_picture p = noise(size[0], size[1], 3, s), q, grey, r;
                if (s % 2)
                        memset(p.pixels, 255, rs_picture_bytes(&p));
                CK_OK(rs_picture_resize(&q, rs_picture_view(&p), size[2], size[1], &err), err);
                for (int c = 0; c < 3; c++) {
                        grey = noise(size[0], size[1], 1, 0);
                        for (size_t i = 0; i < rs_picture_bytes(&grey); i++)
                                grey.pixels[i] = p.pixels[3 * i + (size_t)c];
                        CK_OK(rs_picture_resize(&r, rs_picture_view(&grey), size[2], size[1], &err),
                                err);
                        for (size_t i = 0; i < rs_picture_bytes(&r); i++)
                                ck_assert_int_eq(q.pixels[3 * i + (size_t)c], r.pixels[i]);
                        rs_picture_free(&grey);
                        rs_picture_free(&r);
                }
                rs_picture_free(&p);
                rs_picture_free(&q);
        }
}
END_TEST

START_TEST(a_part_is_cut_from_the_whole)
{
        resect_error err;
        rs_picture p = noise(61, 47, 3, 5), whole, part;
        for (int enlarge = 0; enlarge < 2; enlarge++) {
                int W = enlarge ? 100 : 30, H = enlarge ? 90 : 20;
                CK_OK(rs_picture_resize(&whole, rs_picture_view(&p), W, H, &err), err);
                CK_OK(rs_picture_resize_part(&part, rs_picture_view(&p), W, H, 7, 3, 11, 13, &err),
                        err);
                for (int y = 0; y < 13; y++)
                        for (int x = 0; x < 11; x++)
                                for (int c = 0; c < 3; c++)
                                        ck_assert_int_eq(
                                                at(&part, x, y, c), at(&whole, x + 7, y + 3, c));
                rs_picture_free(&whole);
                rs_picture_free(&part);
        }
        rs_picture_free(&p);
}
END_TEST

/* The corner of the crop: Python's round() of half the spare room, so a half goes to the even side.
 */
START_TEST(crop_corners)
{
        static const struct {
                int width, left;
        } rows[] = {{10, 0}, {11, 0}, {12, 1}, {13, 2}, {14, 2}, {15, 2}, {16, 3}, {17, 4}};
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                resect_error err;
                resect_input in = {.channels = 1, .height = 10, .width = 10, .resize = 10};
                rs_picture p, q;
                CK_OK(rs_picture_make(&p, rows[i].width, 10, 1, &err), err);
                for (int x = 0; x < p.width; x++)
                        p.pixels[x] = (unsigned char)x;
                CK_OK(rs_picture_fit(&q, rs_picture_view(&p), &in, &err), err);
                ck_assert_int_eq(at(&q, 0, 0, 0), rows[i].left);
                ck_assert_int_eq(at(&q, 9, 0, 0), rows[i].left + 9);
                rs_picture_free(&p);
                rs_picture_free(&q);
        }
}
END_TEST

START_TEST(a_crop_larger_than_the_picture_is_black_outside)
{
        resect_error err;
        resect_input in = {.channels = 1, .height = 9, .width = 6, .resize = 4};
        rs_picture p = noise(4, 4, 1, 3), q;
        CK_OK(rs_picture_fit(&q, rs_picture_view(&p), &in, &err), err);
        for (int y = 0; y < 9; y++)
                for (int x = 0; x < 6; x++) {
                        bool inside = x >= 1 && x < 5 && y >= 2 && y < 6;
                        ck_assert_int_eq(at(&q, x, y, 0), inside ? at(&p, x - 1, y - 2, 0) : 0);
                }
        rs_picture_free(&p);
        rs_picture_free(&q);
}
END_TEST

/* 16384x1 resized to a short side of 256 would be four million pixels wide; only the crop is made.
 */
START_TEST(a_line_becomes_its_middle)
{
        resect_error err;
        resect_input in = {.channels = 1, .height = 224, .width = 224, .resize = 256};
        rs_picture p, q;
        CK_OK(rs_picture_make(&p, 16384, 1, 1, &err), err);
        memset(p.pixels, 10, 8192);
        memset(p.pixels + 8192, 200, 8192);
        CK_OK(rs_picture_fit(&q, rs_picture_view(&p), &in, &err), err);
        ck_assert_int_eq(at(&q, 0, 0, 0), 10 + (200 - 10) * (0.5 / 256 + 16.0 / 256) + 0.5);
        ck_assert_int_gt(at(&q, 223, 223, 0), at(&q, 0, 0, 0));
        rs_picture_free(&p);
        rs_picture_free(&q);
}
END_TEST

START_TEST(normalise_orders_planes)
{
        rs_picture p = noise(5, 3, 3, 9);
        for (int kind = 0; kind < 4; kind++) {
                resect_input in = {.channels = 3,
                        .height = 3,
                        .width = 5,
                        .mean = {0.1, 0.2, 0.3},
                        .std = {0.5, 0.25, 2},
                        .bgr = kind & 1,
                        .nhwc = kind & 2};
                float out[45];
                rs_picture_normalise(&p, &in, out);
                for (int c = 0; c < 3; c++)
                        for (int i = 0; i < 15; i++) {
                                double v = p.pixels[i * 3 + (in.bgr ? 2 - c : c)] / 255.0;
                                ck_assert_float_eq_tol(out[in.nhwc ? i * 3 + c : c * 15 + i],
                                        (float)((v - in.mean[c]) / in.std[c]), 1e-6f);
                        }
        }
        rs_picture_free(&p);
}
END_TEST

static rs_picture
augmented(const rs_picture *p, const resect_input *in, resect_augment how, bool shift,
        uint64_t epoch, uint64_t sample)
{
        resect_error err;
        rs_picture q;
        CK_OK(rs_picture_augment(&q, rs_picture_view(p), in, &how, shift, 42, epoch, sample, &err),
                err);
        ck_assert(q.width == in->width && q.height == in->height && q.channels == p->channels);
        return q;
}

START_TEST(augmentation_is_a_function_of_its_numbers)
{
        resect_input in = {.channels = 3, .height = 20, .width = 24, .resize = 28};
        resect_augment how = {.crop = true, .flip = true, .jitter = 0.3};
        rs_picture p = noise(50, 40, 3, 2);
        int differ = 0;
        for (uint64_t i = 0; i < 8; i++) {
                rs_picture a = augmented(&p, &in, how, false, 3, i),
                           b = augmented(&p, &in, how, false, 3, i),
                           c = augmented(&p, &in, how, false, 4, i);
                ck_assert_mem_eq(a.pixels, b.pixels, rs_picture_bytes(&a));
                differ += memcmp(a.pixels, c.pixels, rs_picture_bytes(&a)) != 0;
                rs_picture_free(&a);
                rs_picture_free(&b);
                rs_picture_free(&c);
        }
        ck_assert_int_eq(differ, 8);
        rs_picture_free(&p);
}
END_TEST

START_TEST(flips_and_shifts)
{
        resect_input in = {.channels = 1, .height = 12, .width = 12};
        rs_picture p = noise(12, 12, 1, 2);
        for (int i = 0; i < 144; i++)
                p.pixels[i] |= 1; /* so that black is outside */
        int flipped = 0, moved[5][5] = {{0}};
        for (uint64_t i = 0; i < 400; i++) {
                rs_picture a = augmented(&p, &in, (resect_augment){.flip = true}, false, 0, i);
                if (at(&a, 0, 0, 0) == at(&p, 11, 0, 0) && at(&a, 5, 7, 0) == at(&p, 6, 7, 0))
                        flipped++;
                else
                        ck_assert_mem_eq(a.pixels, p.pixels, 144);
                rs_picture_free(&a);
                a = augmented(&p, &in, (resect_augment){.pad = 2, .crop = true}, true, 0, i);
                int hits = 0;
                for (int dy = -2; dy <= 2; dy++)
                        for (int dx = -2; dx <= 2; dx++) {
                                bool same = true;
                                for (int y = 0; y < 12; y++)
                                        for (int x = 0; x < 12; x++) {
                                                int u = x - dx, v = y - dy;
                                                bool in_it = u >= 0 && u < 12 && v >= 0 && v < 12;
                                                same = same &&
                                                       at(&a, x, y, 0) ==
                                                               (in_it ? at(&p, u, v, 0) : 0);
                                        }
                                hits += same;
                                moved[dy + 2][dx + 2] += same;
                        }
                ck_assert_int_eq(hits, 1);
                rs_picture_free(&a);
        }
        ck_assert(flipped > 150 && flipped < 250);
        for (int i = 0; i < 25; i++)
                ck_assert_int_gt(moved[i / 5][i % 5], 2);
        rs_picture_free(&p);
}
END_TEST

/* A ramp tells where a crop was taken and how large it was. */
START_TEST(random_crops_keep_their_bounds)
{
        resect_input in = {.channels = 1, .height = 8, .width = 8};
        rs_picture x = noise(250, 200, 1, 0), y = noise(250, 200, 1, 0);
        for (int i = 0; i < 250 * 200; i++) {
                x.pixels[i] = (unsigned char)(i % 250);
                y.pixels[i] = (unsigned char)(i / 250);
        }
        double least = 1, most = 0;
        for (uint64_t i = 0; i < 300; i++) {
                resect_augment how = {.crop = true, .crop_min = 0.35};
                rs_picture a = augmented(&x, &in, how, false, 0, i),
                           b = augmented(&y, &in, how, false, 0, i);
                double w = (at(&a, 6, 4, 0) - at(&a, 1, 4, 0)) * 8 / 5.0,
                       h = (at(&b, 4, 6, 0) - at(&b, 4, 1, 0)) * 8 / 5.0;
                double area = w * h / (250 * 200), aspect = w / h;
                ck_assert_msg(area > 0.32 && area < 1.03 && aspect > 0.71 && aspect < 1.40, "%g %g",
                        area, aspect);
                least = fmin(least, area);
                most = fmax(most, area);
                rs_picture_free(&a);
                rs_picture_free(&b);
        }
        ck_assert(least < 0.45 && most > 0.85);
        rs_picture_free(&x);
        rs_picture_free(&y);
}
END_TEST

START_TEST(jitter_keeps_grey_grey)
{
        resect_error err;
        resect_input in = {.channels = 3, .height = 6, .width = 6};
        rs_picture p;
        CK_OK(rs_picture_make(&p, 6, 6, 3, &err), err);
        memset(p.pixels, 100, rs_picture_bytes(&p));
        int lo = 255, hi = 0;
        for (uint64_t i = 0; i < 200; i++) {
                rs_picture a = augmented(&p, &in, (resect_augment){.jitter = 0.2}, false, 0, i);
                int v = at(&a, 0, 0, 0);
                for (size_t k = 0; k < rs_picture_bytes(&a); k++)
                        ck_assert_int_eq(a.pixels[k], v);
                lo = v < lo ? v : lo;
                hi = v > hi ? v : hi;
                rs_picture_free(&a);
        }
        ck_assert(lo >= 80 && lo < 85 && hi <= 120 && hi > 115);
        rs_picture_free(&p);
}
END_TEST

UNIT_MAIN("image prepare", resize_is_a_triangle_filter, colours_are_as_if_grey,
        a_part_is_cut_from_the_whole, crop_corners, a_crop_larger_than_the_picture_is_black_outside,
        a_line_becomes_its_middle, normalise_orders_planes,
        augmentation_is_a_function_of_its_numbers, flips_and_shifts, random_crops_keep_their_bounds,
        jitter_keeps_grey_grey)
