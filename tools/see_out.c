/* SPDX-License-Identifier: 0BSD */
/* Where resect-see's pictures go: PNG files in a folder, and grids in a page. */
#include "see.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
        resect_thumb *list;
        size_t n, cap;
        char page[4096];
} out;

static bool
ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), k = strlen(end);
        return n >= k && !strcmp(s + n - k, end);
}

void
see_open_output(struct see *s, const char *path)
{
        resect_error err;
        char title[512];
        if (!path)
                return;
        if (ends_with(path, ".html") || ends_with(path, ".htm")) {
                cli_check_output(path);
                snprintf(out.page, sizeof out.page, "%s", path);
        } else {
                if (!*path)
                        cli_die("-o: the name is empty");
                if (mkdir(path, 0777) != 0 && errno != EEXIST)
                        cli_die("%s: %s", cli_text(path), strerror(errno));
                if (snprintf(out.page, sizeof out.page, "%s/index.html", path) >=
                        (int)sizeof out.page)
                        cli_die("%s: %s", cli_text(path), strerror(ENAMETOOLONG));
                cli_check_output(out.page);
                s->folder = path;
        }
        const char *name = strrchr(cli_arg(0), '/');
        name = name ? name + 1 : cli_arg(0);
        snprintf(title, sizeof title, "What %s looks at", strcmp(name, "-") ? name : "the model");
        if (!(s->page = resect_page_make(title, &err)))
                cli_fail(NULL, &err);
}

void
see_close_output(struct see *s)
{
        resect_error err;
        if (!s->page)
                return;
        if (!resect_page_write(s->page, out.page, &err))
                cli_fail(out.page, &err);
        cli_note("%s", out.page);
        resect_page_free(s->page);
        free(out.list);
}

static char *
copy_text(const char *s)
{
        char *c = s ? cli_alloc(strlen(s) + 1, 1) : NULL;
        return c ? strcpy(c, s) : NULL;
}

/* A name for a file: what is no letter, digit, dot or dash becomes an underscore. */
static void
safe_name(char *to, size_t size, const char *from)
{
        size_t n = 0;
        for (; *from && n + 1 < size; from++, n++) {
                char c = *from;
                bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == '-' || (c == '.' && n);
                to[n] = plain ? c : '_';
        }
        to[n] = '\0';
}

void
see_picture_out(struct see *s, const char *file, const unsigned char *rgb, int height, int width,
        const char *caption, const char *detail)
{
        resect_error err;
        if (s->folder) {
                char name[200], path[4608];
                safe_name(name, sizeof name, file);
                snprintf(path, sizeof path, "%s/%s.png", s->folder, name);
                if (!resect_picture_write(path, rgb, width, height, 3, &err))
                        cli_fail(path, &err);
        }
        if (!s->page)
                return;
        if (out.n == out.cap) {
                out.cap = out.cap ? 2 * out.cap : 16;
                if (!(out.list = realloc(out.list, out.cap * sizeof *out.list)))
                        cli_die("out of memory");
        }
        size_t size = 3 * (size_t)height * (size_t)width;
        unsigned char *copy = cli_alloc(size, 1);
        memcpy(copy, rgb, size);
        out.list[out.n++] =
                (resect_thumb){copy, width, height, 3, copy_text(caption), copy_text(detail)};
}

void
see_grid(struct see *s, int side, const char *caption)
{
        if (s->page && out.n)
                resect_page_pictures(s->page, out.list, out.n, side, caption);
        for (size_t i = 0; i < out.n; i++) {
                free((void *)(uintptr_t)out.list[i].pixels);
                free((void *)(uintptr_t)out.list[i].caption);
                free((void *)(uintptr_t)out.list[i].detail);
        }
        out.n = 0;
}

unsigned char *
see_visible(const struct see *s, const float *x, int least, int *height, int *width)
{
        int h = s->in.height, w = s->in.width, scale = (least + w - 1) / w;
        unsigned char *small = cli_alloc((size_t)h * (size_t)w, 3);
        resect_picture_of(x, s->in.channels, h, w, s->shown, small);
        *height = h * scale;
        *width = w * scale;
        unsigned char *big = cli_alloc((size_t)*height * (size_t)*width, 3);
        for (int i = 0; i < *height; i++)
                for (int k = 0; k < *width; k++)
                        memcpy(big + 3 * ((size_t)i * (size_t)*width + (size_t)k),
                                small + 3 * ((size_t)(i / scale) * (size_t)w + (size_t)(k / scale)),
                                3);
        free(small);
        return big;
}

unsigned char *
see_smaller(unsigned char *rgb, int *height, int *width, int most)
{
        int side = *height > *width ? *height : *width, by = (side + most - 1) / most;
        int h = *height / by, w = *width / by;
        if (by < 2 || !h || !w)
                return rgb;
        unsigned char *small = cli_alloc((size_t)h * (size_t)w, 3);
        for (int i = 0; i < h; i++)
                for (int k = 0; k < w; k++)
                        for (int c = 0; c < 3; c++) {
                                int sum = 0;
                                for (int y = i * by; y < (i + 1) * by; y++)
                                        for (int x = k * by; x < (k + 1) * by; x++)
                                                sum += rgb[3 * ((size_t)y * (size_t)*width +
                                                                       (size_t)x) +
                                                           (size_t)c];
                                small[3 * ((size_t)i * (size_t)w + (size_t)k) + (size_t)c] =
                                        (unsigned char)((sum + by * by / 2) / (by * by));
                        }
        free(rgb);
        *height = h;
        *width = w;
        return small;
}

/* A white square with a black edge around a place. */
void
see_frame(unsigned char *rgb, int height, int width, double y, double x, double half)
{
        for (int i = 0; i < height; i++)
                for (int k = 0; k < width; k++) {
                        double dy = i + 0.5 - y, dx = k + 0.5 - x;
                        double far = dy * dy > dx * dx ? (dy < 0 ? -dy : dy) : (dx < 0 ? -dx : dx);
                        if (far > half + 1.5 || far < half - 1.5)
                                continue;
                        bool white = far < half + 0.5 && far > half - 0.5;
                        memset(rgb + 3 * ((size_t)i * (size_t)width + (size_t)k), white ? 255 : 0,
                                3);
                }
}
