/* SPDX-License-Identifier: 0BSD */
/* The one EXIF tag that changes what a picture shows: 0x0112, the orientation, in the first
 * directory (TIFF 6.0, section 2). */
#include "image/image.h"

static unsigned
get(const unsigned char *p, int n, bool big)
{
        unsigned v = 0;
        for (int i = 0; i < n; i++)
                v |= (unsigned)p[i] << 8 * (big ? n - 1 - i : i);
        return v;
}

int
rs_exif_orientation(const unsigned char *tiff, size_t size)
{
        enum { ORIENTATION = 0x0112, SHORT = 3, ENTRY = 12 };
        if (size < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M'))
                return 1;
        bool big = tiff[0] == 'M';
        size_t at = get(tiff + 4, 4, big);
        if (get(tiff + 2, 2, big) != 42 || at > size - 2)
                return 1;
        size_t count = get(tiff + at, 2, big), room = (size - at - 2) / ENTRY;
        const unsigned char *e = tiff + at + 2;
        for (size_t i = 0; i < count && i < room; i++, e += ENTRY) {
                if (get(e, 2, big) != ORIENTATION)
                        continue;
                unsigned v = get(e + 8, 2, big);
                return get(e + 2, 2, big) == SHORT && get(e + 4, 4, big) == 1 && v >= 1 && v <= 8
                               ? (int)v
                               : 1;
        }
        return 1;
}
