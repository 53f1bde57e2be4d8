/* SPDX-License-Identifier: 0BSD */
/*
 * A page is its body's text as it grows; the head, whose style sheets are the plots' and the
 * page's, is put before it when the page is written.
 */
#include <string.h>
#include "image/image.h"
#include "io/output.h"
#include "view/view.h"

struct resect_page {
        char *title;
        rs_buf body;
        resect_error trouble; /* the first thing that went wrong, but for memory */
        int folds;
};

resect_page *
resect_page_make(const char *title, resect_error *err)
{
        resect_page *p = rs_alloc(1, sizeof *p, err);
        size_t n = strlen(title) + 1;
        if (!p || !(p->title = rs_alloc(n, 1, err))) {
                rs_free(p);
                return NULL;
        }
        memcpy(p->title, title, n);
        return p;
}

void
resect_page_free(resect_page *p)
{
        if (!p)
                return;
        rs_buf_free(&p->body);
        rs_free(p->title);
        rs_free(p);
}

static void
element(resect_page *p, const char *open, const char *text, const char *close)
{
        rs_buf_str(&p->body, open);
        rs_xml_text(&p->body, text);
        rs_buf_str(&p->body, close);
}

void
resect_page_heading(resect_page *p, const char *text)
{
        element(p, "<h2>", text, "</h2>\n");
}

void
resect_page_subheading(resect_page *p, const char *text)
{
        element(p, "<h3>", text, "</h3>\n");
}

/* Paragraphs are separated by empty lines. */
static void
paragraphs(resect_page *p, const char *open, const char *text)
{
        for (const char *end; text && *text; text = end) {
                end = strstr(text, "\n\n");
                size_t n = end ? (size_t)(end - text) : strlen(text);
                rs_buf_str(&p->body, open);
                rs_xml_textn(&p->body, text, n);
                rs_buf_str(&p->body, "</p>\n");
                end = text + n;
                end += strspn(end, "\n");
        }
}

void
resect_page_text(resect_page *p, const char *text)
{
        paragraphs(p, "<p>", text);
}

void
resect_page_lead(resect_page *p, const char *text)
{
        paragraphs(p, "<p class=\"lead\">", text);
}

void
resect_page_warning(resect_page *p, const char *text)
{
        paragraphs(p, "<p class=\"warn\">", text);
}

void
resect_page_code(resect_page *p, const char *text)
{
        element(p, "<pre>", text, "</pre>\n");
}

void
resect_page_table(resect_page *p, const char *caption, const char *const *headers, size_t columns,
        const char *const *cells, size_t rows)
{
        rs_buf *b = &p->body;
        rs_buf_str(b, "<div class=\"scroll\" tabindex=\"0\"><table>\n");
        if (caption)
                element(p, "<caption>", caption, "</caption>\n");
        rs_buf_str(b, "<thead><tr>");
        for (size_t k = 0; k < columns; k++) {
                bool right = headers[k][0] == '>';
                element(p, right ? "<th scope=\"col\" class=\"num\">" : "<th scope=\"col\">",
                        headers[k] + right, "</th>");
        }
        rs_buf_str(b, "</tr></thead>\n<tbody>\n");
        for (size_t i = 0; i < rows; i++) {
                rs_buf_str(b, "<tr>");
                for (size_t k = 0; k < columns; k++) {
                        const char *cell = cells[i * columns + k];
                        const char *open = headers[k][0] == '>'        ? "<td class=\"num\">"
                                           : cell && strlen(cell) > 48 ? "<td class=\"long\">"
                                                                       : "<td>";
                        element(p, open, cell, "</td>");
                }
                rs_buf_str(b, "</tr>\n");
        }
        rs_buf_str(b, "</tbody></table></div>\n");
}

static void
figcaption(resect_page *p, const char *caption)
{
        if (caption)
                element(p, "<figcaption>", caption, "</figcaption>");
        rs_buf_str(&p->body, "</figure>\n");
}

void
resect_page_plot(resect_page *p, const resect_plot *plot, const char *caption)
{
        rs_buf_str(&p->body, "<figure><div class=\"scroll\">\n");
        rs_plot_draw(plot, &p->body, RS_WIDE, "rv-wide", false);
        rs_plot_draw(plot, &p->body, RS_NARROW, "rv-narrow", false);
        rs_buf_str(&p->body, "</div>");
        figcaption(p, caption);
}

void
resect_page_fold(resect_page *p, const char *title)
{
        element(p, "<details><summary>", title, "</summary>\n");
        p->folds++;
}

void
resect_page_unfold(resect_page *p)
{
        if (p->folds > 0) {
                rs_buf_str(&p->body, "</details>\n");
                p->folds--;
        }
}

static void
base64(rs_buf *b, const unsigned char *s, size_t n)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (size_t i = 0; i < n; i += 3) {
                uint32_t v = (uint32_t)s[i] << 16;
                v |= i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0;
                v |= i + 2 < n ? s[i + 2] : 0;
                char out[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        i + 1 < n ? digits[v >> 6 & 63] : '=', i + 2 < n ? digits[v & 63] : '='};
                rs_buf_add(b, out, 4);
        }
}

static void
thumb(resect_page *p, const resect_thumb *t, int side)
{
        rs_buf *b = &p->body;
        if (t->width < 1 || t->height < 1 || (t->channels != 1 && t->channels != 3)) {
                if (p->trouble.code == RESECT_OK)
                        rs_fail(&p->trouble, RESECT_ARG, "a picture of %d x %d with %d channels",
                                t->width, t->height, t->channels);
                return;
        }
        rs_picture picture = {
                t->width, t->height, t->channels, (unsigned char *)(uintptr_t)t->pixels};
        rs_buf png = {0};
        resect_error err;
        if (!rs_png_encode(&picture, &png, &err)) {
                if (err.code == RESECT_NOMEM)
                        b->oom = true;
                else if (p->trouble.code == RESECT_OK)
                        p->trouble = err;
        }
        rs_buf_printf(b, "<figure class=\"thumb\"><img%s width=\"%d\" height=\"%d\" alt=\"",
                t->width < side ? " class=\"crisp\"" : "", t->width, t->height);
        rs_xml_text(b, t->caption ? t->caption : "picture");
        rs_buf_str(b, "\" src=\"data:image/png;base64,");
        base64(b, png.data, png.size);
        rs_buf_str(b, "\"/><figcaption>");
        rs_xml_text(b, t->caption);
        if (t->detail)
                element(p, "<br/><small>", t->detail, "</small>");
        rs_buf_str(b, "</figcaption></figure>\n");
        rs_buf_free(&png);
}

void
resect_page_pictures(resect_page *p, const resect_thumb *t, size_t n, int side, const char *caption)
{
        side = side > 0 ? side : 160;
        rs_buf_printf(&p->body, "<figure><div class=\"grid\" style=\"--side:%dpx\">\n", side);
        for (size_t i = 0; i < n; i++)
                thumb(p, &t[i], side);
        rs_buf_str(&p->body, "</div>");
        figcaption(p, caption);
}

bool
resect_page_write(const resect_page *p, const char *path, resect_error *err)
{
        if (p->trouble.code != RESECT_OK) {
                if (err)
                        *err = p->trouble;
                return false;
        }
        rs_buf head = {0}, foot = {0};
        rs_buf_str(&head,
                "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>");
        rs_xml_text(&head, p->title);
        rs_buf_str(&head, "</title>\n<style>\n");
        rs_buf_str(&head, rs_style_colours);
        rs_buf_str(&head, rs_style_plot);
        rs_buf_str(&head, rs_style_page);
        rs_buf_str(&head, "</style></head>\n<body><main>\n<h1>");
        rs_xml_text(&head, p->title);
        rs_buf_str(&head, "</h1>\n");
        for (int i = 0; i < p->folds; i++)
                rs_buf_str(&foot, "</details>\n");
        rs_buf_str(&foot, "</main></body></html>\n");
        bool done = !head.oom && !foot.oom && !p->body.oom;
        if (!done)
                rs_fail_nomem(err);
        rs_output *o = done ? rs_output_open(path, err) : NULL;
        rs_span spans[] = {
                {head.data, head.size}, {p->body.data, p->body.size}, {foot.data, foot.size}};
        done = o && rs_output_put(o, spans, 3, err);
        if (done)
                done = rs_output_close(o, err);
        else
                rs_output_abandon(o);
        rs_buf_free(&head);
        rs_buf_free(&foot);
        return done;
}
