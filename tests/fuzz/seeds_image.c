/* SPDX-License-Identifier: 0BSD */
/* Writes small pictures of every kind into a folder, for the fuzzer to begin with. */
#include "../unit/pictures.h"

static void
put(const char *folder, int number, struct bytes b)
{
        char path[512];
        snprintf(path, sizeof path, "%s/%d", folder, number);
        save(path, b);
        free(b.data);
}

int
main(int argc, char **argv)
{
        static const int colours[][2] = {{PNG_COLOR_TYPE_GRAY, 1}, {PNG_COLOR_TYPE_GRAY, 8},
                {PNG_COLOR_TYPE_GRAY, 16}, {PNG_COLOR_TYPE_RGB, 8}, {PNG_COLOR_TYPE_RGB, 16},
                {PNG_COLOR_TYPE_PALETTE, 4}, {PNG_COLOR_TYPE_PALETTE, 8},
                {PNG_COLOR_TYPE_GRAY_ALPHA, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 8},
                {PNG_COLOR_TYPE_RGB_ALPHA, 16}};
        int n = 0;
        if (argc != 2)
                return 2;
        unsigned char exif[32];
        for (int c = 1; c <= 4; c++)
                for (int k = 0; k < 8; k++) {
                        struct jpeg_recipe r = {.width = 19,
                                .height = 13,
                                .channels = c,
                                .quality = 50,
                                .progressive = k & 1,
                                .subsample = k & 2,
                                .ycck = c == 4 && k & 4,
                                .restart = k == 5 ? 2 : 0,
                                .exif = k & 4 ? exif : NULL};
                        r.exif_size = make_exif(exif, k & 1, 1 + k);
                        put(argv[1], n++, make_jpeg(r));
                }
        for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
                for (int k = 0; k < 4; k++) {
                        bool palette = colours[i][0] == PNG_COLOR_TYPE_PALETTE,
                             alpha = colours[i][0] & PNG_COLOR_MASK_ALPHA;
                        put(argv[1], n++,
                                make_png((struct png_recipe){.width = 9,
                                        .height = 7,
                                        .colour = colours[i][0],
                                        .depth = colours[i][1],
                                        .interlaced = k & 1,
                                        .trns = k & 2 && !alpha,
                                        .palette = palette ? 16 : 0,
                                        .exif = k == 3 ? 6 : 0,
                                        .texts = k == 1,
                                        .text_size = 9}));
                }
        return 0;
}
