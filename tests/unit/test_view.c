/* SPDX-License-Identifier: 0BSD */
/* Plots and pages: ticks, escaping, whatever may come as data, well-formed text, memory that runs
 * out. With $RESECT_VIEW_OUT the files stay in that folder, for a real XML parser
 * (tests/peers/view.sh). */
#include "config.h"
#include "unit.h"

#include <math.h>
#include <string.h>
#include "scratch.h"
#include "view/view.h"

static const char *
draw(const resect_plot *p, int width)
{
        static rs_buf b;
        rs_buf_free(&b);
        rs_plot_draw(p, &b, width, "", true);
        ck_assert(!b.oom);
        return (const char *)b.data;
}

static int
times(const char *text, const char *what)
{
        int n = 0;
        for (; (text = strstr(text, what)); text += strlen(what))
                n++;
        return n;
}

/* Tags nest, attributes are quoted, entities are known, no number is "nan" or "inf". */
static void
well_formed(const char *s)
{
        const char *stack[64];
        size_t length[64], depth = 0;
        for (; *s; s++) {
                if (*s == '&') {
                        static const char *const known[] = {
                                "&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
                        bool is = false;
                        for (int i = 0; i < 5; i++)
                                is |= !strncmp(s, known[i], strlen(known[i]));
                        ck_assert_msg(is, "entity: %.20s", s);
                }
                ck_assert_msg((unsigned char)*s >= 0x20 || *s == '\n' || *s == '\t', "control");
                if (*s != '<')
                        continue;
                const char *name = s + 1 + (s[1] == '/');
                size_t n = strcspn(name, " >/\n");
                const char *end = s;
                for (bool quoted = false; quoted || *end != '>'; end++) {
                        ck_assert_msg(*end, "no end: %.40s", s);
                        quoted ^= *end == '"';
                        ck_assert_msg(end == s || *end != '<', "within a tag: %.40s", s);
                }
                const char *bad = strstr(s, "nan");
                ck_assert_msg(!bad || bad > end || !strncmp(name, "text", 4), "%.60s", s);
                if (s[1] == '/') {
                        ck_assert(depth > 0);
                        depth--;
                        ck_assert_msg(n == length[depth] && !strncmp(name, stack[depth], n),
                                "%.20s closes %.20s", name, stack[depth]);
                } else if (end[-1] != '/' && s[1] != '!' && strncmp(name, "meta", 4) != 0) {
                        ck_assert(depth < 64);
                        stack[depth] = name;
                        length[depth++] = n;
                }
                s = end;
        }
        ck_assert_uint_eq(depth, 0);
}

/* Keeps what was drawn where somebody wants to look at it. */
static void
keep(const char *s)
{
        const char *folder = getenv("RESECT_VIEW_OUT");
        static int n;
        char path[4096];
        if (!folder)
                return;
        snprintf(path, sizeof path, "%s/%d-%d.xml", folder, (int)getpid(), n++);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert(fputs(s, f) >= 0 && fclose(f) == 0);
}

static void
drawn_well(const resect_plot *p)
{
        for (int i = 0; i < 2; i++) {
                const char *s = draw(p, i ? RS_NARROW : RS_WIDE);
                keep(s);
                well_formed(s);
        }
}

START_TEST(ticks_are_round)
{
        static const struct {
                double low, high;
                bool log, percent;
                int wanted;
                const char *text;
        } cases[] = {
                {0, 10, false, false, 5, "0 2 4 6 8 10"},
                {0, 1, false, true, 5, "0% 20% 40% 60% 80% 100%"},
                {0.97, 0.99, false, true, 4, "97.0% 97.5% 98.0% 98.5% 99.0%"},
                {-0.3, 0.3, false, false, 4, "-0.2 0.0 0.2"},
                {1, 100, true, false, 6, "1 2 5 10 20 50 100"},
                {1e-6, 1, true, false, 7, "1e-6 1e-5 0.0001 0.001 0.01 0.1 1"},
                {0.1, 1, true, true, 6, "10% 20% 50% 100%"},
                {3.1, 3.9, true, false, 4, "3.2 3.4 3.6 3.8"},
                {0, 12345678, false, false, 4, "0 5M 10M"},
                {7, 7, false, false, 5, "6.8 7.0 7.2"},
                {0, 0, false, false, 5, "0.0 0.2 0.4 0.6 0.8 1.0"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                resect_axis a = {.log = cases[i].log, .percent = cases[i].percent};
                rs_scale s = rs_scale_make(&a, cases[i].low, cases[i].high, cases[i].wanted);
                char got[800] = "";
                size_t at = 0;
                for (int k = 0; k < s.n_ticks; k++) {
                        char t[24];
                        rs_tick_text(&s, k, t);
                        for (const char *c = t; *c; c++) /* without the space before the unit */
                                if ((unsigned char)*c < 0x80)
                                        got[at++] = *c;
                        if (k + 1 < s.n_ticks)
                                got[at++] = ' ';
                        ck_assert(s.tick[k] >= s.min - 1e-9 && s.tick[k] <= s.max + 1e-9 * s.max);
                }
                ck_assert_msg(
                        !strcmp(got, cases[i].text), "case %zu: %s, not %s", i, got, cases[i].text);
                ck_assert(s.min <= cases[i].low && s.max >= cases[i].high && s.min < s.max);
        }
        /* Ends that only a double can have. */
        static const double extreme[][2] = {{-1.7e308, 1.7e308}, {5e-324, 1e-323}, {1e308, 1.7e308},
                {1, 1 + 1e-15}, {-1e-300, 0}};
        for (int i = 0; i < 5; i++)
                for (int log = 0; log < 2; log++) {
                        resect_axis a = {.log = log};
                        if (log && extreme[i][0] <= 0)
                                continue;
                        rs_scale s = rs_scale_make(&a, extreme[i][0], extreme[i][1], 5);
                        s.to = 100;
                        ck_assert(isfinite(s.min) && isfinite(s.max) && s.min < s.max);
                        ck_assert(isfinite(rs_scale_at(&s, extreme[i][1])));
                }
}
END_TEST

START_TEST(numbers_for_people)
{
        static const struct {
                double x;
                bool percent;
                int decimals;
                const char *text;
        } cases[] = {
                {0.25, false, -1, "0.25"},
                {-0.0001, false, 2, "0.00"},
                {0.5, true, 1, "50.0\xc2\xa0%"},
                {25557032, false, -1, "25.6\xc2\xa0M"},
                {9999, false, -1, "9999"},
                {999999, false, -1, "1\xc2\xa0M"},
                {1e-7, false, -1, "1e-7"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                char text[24];
                rs_number_text(text, cases[i].x, cases[i].percent, cases[i].decimals);
                ck_assert_str_eq(text, cases[i].text);
        }
}
END_TEST

START_TEST(text_is_escaped)
{
        rs_buf b = {0};
        rs_xml_text(&b, "a<b>&\"c'\x01\xff\xc3\xa9\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xe2\x82");
        const char *u = "\xef\xbf\xbd";
        ck_assert_int_eq(times((const char *)b.data, u), 13);
        ck_assert(!strncmp((const char *)b.data, "a&lt;b&gt;&amp;&quot;c&#39;", 27));
        ck_assert(strstr((const char *)b.data, "\xc3\xa9") != NULL);
        rs_buf_free(&b);

        resect_error err;
        resect_axis x = {.label = "</svg><script>"};
        resect_plot *p = resect_plot_lines("<&\">", "\x02<", &x, &x, &err);
        ck_assert_ptr_nonnull(p);
        const double v[2] = {1, 2};
        resect_plot_line(p, "]]>&'\"<", 2, v, v, NULL, NULL);
        resect_plot_line(p, NULL, 2, v, v, NULL, NULL);
        resect_plot_reference(p, 1.5, "<r>");
        drawn_well(p);
        ck_assert_ptr_null(strstr(draw(p, RS_WIDE), "<script"));
        resect_plot_free(p);
}
END_TEST

START_TEST(anything_can_be_drawn)
{
        resect_error err;
        const double nan2[2] = {NAN, INFINITY}, one[1] = {3}, same[3] = {2, 2, 2},
                     gap[5] = {1, 2, NAN, 4, 5}, neg[2] = {-1, 0};
        for (int log = 0; log < 2; log++) {
                resect_axis a = {.log = log, .percent = true};
                resect_plot *p = resect_plot_lines("t", NULL, &a, &a, &err);
                drawn_well(p); /* no series */
                ck_assert_int_eq(times(draw(p, RS_WIDE), "no data"), 1);
                resect_plot_line(p, "nothing", 0, one, one, NULL, NULL);
                resect_plot_line(p, "not finite", 2, nan2, nan2, nan2, nan2);
                if (log)
                        resect_plot_line(p, "not positive", 2, neg, neg, NULL, NULL);
                drawn_well(p);
                ck_assert_int_eq(times(draw(p, RS_WIDE), "no data"), 1);
                resect_plot_line(p, "one point", 1, one, one, one, one);
                drawn_well(p);
                ck_assert_int_eq(times(draw(p, RS_WIDE), "no data"), 0);
                resect_plot_line(p, "all the same", 3, same, same, same, same);
                resect_plot_line(p, "with a gap", 5, gap, gap, NULL, NULL);
                for (int i = 0; i < 20; i++)
                        resect_plot_line(p, "one of many with a name that is rather long", 1, one,
                                one, NULL, NULL);
                drawn_well(p);
                resect_plot_free(p);
        }
        resect_axis fixed = {.min = 0, .max = 1}, none = {0};
        resect_plot *p = resect_plot_lines(NULL, NULL, &none, &fixed, &err);
        const double far[4] = {0, 1e300, -1e300, 0.5}, x[4] = {1, 2, 3, 4};
        resect_plot_line(p, NULL, 4, x, far, NULL, NULL);
        drawn_well(p);
        resect_plot_free(p);

        for (int bars = 0; bars < 2; bars++) {
                p = (bars ? resect_plot_bars : resect_plot_intervals)("t", NULL, &none, &err);
                drawn_well(p);
                resect_plot_row(p, "missing", NAN, NAN, NAN);
                drawn_well(p);
                resect_plot_row(p, "no interval", 1, NAN, NAN);
                resect_plot_row(p, NULL, -2, -3, INFINITY);
                resect_plot_row(p, "zero", 0, 0, 0);
                resect_plot_reference(p, 0, "nothing");
                resect_plot_reference(p, NAN, "not drawn");
                drawn_well(p);
                ck_assert_int_eq(times(draw(p, RS_WIDE), "not drawn"), 0);
                resect_plot_free(p);
        }

        const double v[6] = {1, 1, 2, NAN, INFINITY, 10};
        for (size_t n = 0; n <= 6; n++) {
                p = resect_plot_histogram("t", NULL, &none, v, n, n % 2 ? 3 : 0, &err);
                drawn_well(p);
                double sum = 0;
                for (size_t i = 0; i < p->n_bins; i++)
                        sum += p->counts[i];
                ck_assert_double_eq(sum, n < 4 ? (double)n : n < 6 ? 3 : 4);
                resect_plot_free(p);
        }
}
END_TEST

START_TEST(matrices_of_any_size)
{
        static const size_t sizes[] = {0, 1, 2, 10, 30, 33, 129, 1000};
        resect_error err;
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                size_t n = sizes[s];
                double *v = calloc(n * n + 1, sizeof *v);
                char(*names)[24] = calloc(n + 1, sizeof *names);
                const char **labels = calloc(n + 1, sizeof *labels);
                double total = 0;
                for (size_t i = 0; i < n; i++) {
                        snprintf(names[i], sizeof names[i], "class <%zu>", i);
                        labels[i] = names[i];
                        v[i * n + i] = 7;
                        v[i * n + (i * 7 + 3) % n] += 1;
                        total += 8;
                }
                if (n == 10)
                        v[3] = NAN;
                resect_plot *p = resect_plot_matrix("m", "about", "is", "taken for", labels, n,
                        n == 2 ? NULL : labels, n, v, n % 2, false, &err);
                ck_assert_ptr_nonnull(p);
                drawn_well(p);
                ck_assert(strlen(draw(p, RS_WIDE)) < 2000000);
                ck_assert(p->matrix.rows <= RS_GROUPS);
                double sum = 0;
                for (size_t i = 0; i < p->matrix.rows * p->matrix.columns; i++)
                        if (isfinite(p->matrix.values[i]))
                                sum += p->matrix.values[i];
                /* Nothing is lost by adding up. */
                ck_assert_double_eq(sum, n == 10 ? total - 1 : total);
                if (n == 30)
                        ck_assert_int_ge(
                                times(draw(p, RS_NARROW), ">7<") + times(draw(p, RS_NARROW), ">8<"),
                                30);
                resect_plot_free(p);
                free(v);
                free(names);
                free(labels);
        }
}
END_TEST

/* What a small plot says to the last byte: the frame, a line, a mark. */
START_TEST(a_small_plot)
{
        resect_error err;
        resect_axis a = {.min = 0, .max = 2};
        resect_plot *p = resect_plot_intervals("T", "two", &a, &err);
        resect_plot_row(p, "a", 1, 0.5, 1.5);
        const char *s = draw(p, RS_WIDE);
        const char *body = strstr(s, "<text");
        ck_assert_ptr_nonnull(body);
        static const char want[] =
                "<text x=\"0\" y=\"18\" class=\"rv-title\">T</text>\n"
                "<path class=\"rv-grid\" d=\"M0 0M24.2 32.2V62.2M83 32.2V62.2M141.8 "
                "32.2V62.2M200.6 32.2V62.2M259.4 32.2V62.2M318.2 32.2V62.2M377.1 32.2V62.2M435.9 "
                "32.2V62.2M494.7 32.2V62.2M553.5 32.2V62.2M612.3 32.2V62.2\"/>\n"
                "<path class=\"rv-axis\" d=\"M24.2 62.2H612.3\"/>\n"
                "<text x=\"24.2\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">0.0</text>\n"
                "<text x=\"83\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">0.2</text>\n"
                "<text x=\"141.8\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">0.4</text>\n"
                "<text x=\"200.6\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">0.6</text>\n"
                "<text x=\"259.4\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">0.8</text>\n"
                "<text x=\"318.2\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">1.0</text>\n"
                "<text x=\"377.1\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">1.2</text>\n"
                "<text x=\"435.9\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">1.4</text>\n"
                "<text x=\"494.7\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">1.6</text>\n"
                "<text x=\"553.5\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">1.8</text>\n"
                "<text x=\"612.3\" y=\"79.2\" text-anchor=\"middle\" class=\"rv-soft\">2.0</text>\n"
                "<text x=\"8.2\" y=\"49.8\" text-anchor=\"end\">a</text>\n"
                "<text x=\"626.3\" y=\"49.8\" class=\"rv-soft\">1 (0.5 to 1.5)</text>\n"
                "<path class=\"rv-whisker\" d=\"M171.2 45.2H465.3M171.2 41.2v8M465.3 41.2v8\"/>\n"
                "<circle class=\"rv-mark rv-s1\" cx=\"318.2\" cy=\"45.2\" r=\"5\"/>\n"
                "</svg>\n";
        ck_assert_msg(!strcmp(body, want), "it has changed");
        resect_plot_free(p);
}
END_TEST

static resect_page *
full_page(resect_error *err)
{
        resect_page *g = resect_page_make("A <page> & more", err);
        if (!g)
                return NULL;
        resect_page_heading(g, "Heading <1>");
        resect_page_subheading(g, "Sub");
        resect_page_text(g, "One.\n\nTwo & a half.");
        resect_page_lead(g, "The answer");
        resect_page_warning(g, "Beware");
        resect_page_code(g, "resect-see a b >c\n");
        const char *const headers[] = {"name", ">value"}, *const cells[] = {"<a>", "1", NULL, "2"};
        resect_page_table(g, "cap", headers, 2, cells, 2);
        unsigned char grey[6] = {0, 50, 100, 150, 200, 250}, rgb[12] = {255, 0, 0};
        resect_thumb t[2] = {{grey, 3, 2, 1, "grey", NULL}, {rgb, 2, 2, 3, NULL, "a \"detail\""}};
        resect_page_pictures(g, t, 2, 0, "two");
        resect_page_pictures(g, t, 0, 0, NULL);
        resect_axis a = {0};
        resect_plot *p = resect_plot_bars("bars", NULL, &a, err);
        if (!p) {
                resect_page_free(g);
                return NULL;
        }
        resect_plot_row(p, "r", 1, 0, 2);
        resect_page_fold(g, "more");
        resect_page_plot(g, p, "A caption");
        resect_plot_free(p);
        return g; /* the fold is closed by the page */
}

static char *
slurp(const char *path)
{
        FILE *f = fopen(path, "rb");
        ck_assert_ptr_nonnull(f);
        char *s = calloc(1, 1 << 20);
        ck_assert(fread(s, 1, (1 << 20) - 1, f) > 0);
        fclose(f);
        return s;
}

START_TEST(a_page)
{
        scratch_make();
        resect_error err;
        resect_page *g = full_page(&err);
        ck_assert_ptr_nonnull(g);
        CK_OK(resect_page_write(g, scratch("page.html"), &err), err);
        char *s = slurp(scratch("page.html"));
        keep(s);
        well_formed(s);
        ck_assert_int_eq(times(s, "<script"), 0);
        ck_assert_int_eq(times(s, "http://"), 0);
        ck_assert_int_eq(times(s, "data:image/png;base64,iVBORw0KGgo"), 2);
        ck_assert_int_eq(times(s, "<h1>A &lt;page&gt; &amp; more</h1>"), 1);
        ck_assert_int_eq(times(s, "<p>One.</p>\n<p>Two &amp; a half.</p>"), 1);
        ck_assert_int_eq(times(s, "<td>&lt;a&gt;</td><td class=\"num\">1</td>"), 1);
        ck_assert_int_eq(times(s, "<details>"), times(s, "</details>"));
        ck_assert_int_eq(times(s, "rv-wide\" viewBox"), 1);
        ck_assert_int_eq(times(s, "rv-narrow\" viewBox"), 1);
        free(s);
        /* A picture that is none is an error, not a page with a hole. */
        resect_thumb bad = {NULL, 0, 5, 3, NULL, NULL};
        resect_page_pictures(g, &bad, 1, 0, NULL);
        ck_assert(!resect_page_write(g, scratch("page.html"), &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_page_free(g);
        ck_assert(
                !resect_picture_write(scratch("x.png"), (const unsigned char *)"", 1, 1, 2, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        CK_OK(resect_picture_write(scratch("x.png"), (const unsigned char *)"abc", 1, 1, 3, &err),
                err);
        scratch_done();
}
END_TEST

START_TEST(inputs_become_pictures)
{
        const resect_input in = {.channels = 3,
                                   .height = 1,
                                   .width = 2,
                                   .mean = {0.5, 0.4, 0.3},
                                   .std = {0.2, 0.2, 0.2}},
                           bgr = {.bgr = true, .mean = {0, 0, 0}, .std = {1, 1, 1}};
        const float x[6] = {0, 1, 0, -1, 0, 100};
        unsigned char px[6];
        resect_picture_of(x, 3, 1, 2, &in, px);
        const unsigned char want[6] = {128, 102, 76, 178, 51, 255};
        for (int i = 0; i < 6; i++)
                ck_assert_int_le(abs(px[i] - want[i]), 1);
        resect_picture_of(x, 3, 1, 2, &bgr, px);
        ck_assert_int_eq(px[2], 0); /* the first plane is blue */
        ck_assert_int_eq(px[5], 255);
        const float raw[2] = {-3, 5}, flat[2] = {4, NAN};
        resect_picture_of(raw, 1, 1, 2, NULL, px);
        ck_assert(px[0] == 0 && px[2] == 0 && px[3] == 255 && px[5] == 255);
        resect_picture_of(flat, 1, 1, 2, NULL, px);
        ck_assert_int_eq(px[0], 128);
}
END_TEST

static int left;
static void *
failing_malloc(size_t n)
{
        return left-- <= 0 ? NULL : malloc(n);
}
static void *
failing_realloc(void *p, size_t n)
{
        return left-- <= 0 ? NULL : realloc(p, n);
}

/* Memory that runs out at any moment is an error of the last call, and never a part of a page. */
START_TEST(memory_runs_out)
{
        scratch_make();
        struct rs_hooks hooks = rs_hooks;
        bool done = false;
        int n = 0;
        for (; !done && n < 2000; n++) {
                rs_hooks.malloc = failing_malloc;
                rs_hooks.realloc = failing_realloc;
                left = n;
                resect_error err = {0};
                resect_page *g = full_page(&err);
                done = g && resect_page_write(g, scratch("page.html"), &err);
                resect_page_free(g);
                rs_hooks = hooks;
                ck_assert_msg(done || err.code == RESECT_NOMEM, "after %d: %s", n, err.msg);
                ck_assert(done == (access(scratch("page.html"), F_OK) == 0));
        }
        ck_assert(done && n > 10);
        scratch_done();
}
END_TEST

/* A reference's words stand at the end where they hide no point, at the right when both are free.
 */
START_TEST(words_hide_no_points)
{
        resect_error err;
        const resect_axis axis = {.label = "a"};
        const double x[6] = {0, 1, 2, 3, 4, 5};
        static const double y[3][6] = {{0, 1, 2, 3, 8, 9}, {9, 8, 3, 2, 1, 0}, {0, 1, 2, 3, 1, 2}};
        for (int k = 0; k < 3; k++) {
                resect_plot *p = resect_plot_lines("t", NULL, &axis, &axis, &err);
                ck_assert_ptr_nonnull(p);
                resect_plot_line(p, NULL, 6, x, y[k], NULL, NULL);
                resect_plot_reference(p, k < 2 ? 8.5 : 0.5, "the words beside it");
                const char *all = draw(p, RS_WIDE), *words = strstr(all, ">the words beside it<");
                ck_assert_ptr_nonnull(words);
                const char *tag = words;
                while (*tag != '<')
                        tag--;
                const bool right = strstr(tag, "text-anchor=\"end\"") &&
                                   strstr(tag, "text-anchor=\"end\"") < words;
                ck_assert_msg(right == (k > 0), "%d: %.*s", k, (int)(words - tag), tag);
                resect_plot_free(p);
        }
}
END_TEST

UNIT_MAIN("view", words_hide_no_points, ticks_are_round, numbers_for_people, text_is_escaped,
        anything_can_be_drawn, matrices_of_any_size, a_small_plot, a_page, inputs_become_pictures,
        memory_runs_out)
