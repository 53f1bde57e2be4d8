/* SPDX-License-Identifier: 0BSD */
/*
 * One picture at a time: which channels of each layer fire (a montage), and which part of the
 * picture drives an output (Grad-CAM, occlusion).
 */
#include "see.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 48, ACROSS = 8, SIDE = 224 };

/* The plan that runs a picture: the end, Grad-CAM's maps, then the layers. */
static struct {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor x;
        size_t row; /* floats of a picture */
        resect_gradient *gradient;
} engine;

static void
prepare(struct see *s)
{
        resect_error err;
        resect_value v;
        const char *values[SEE_LAYERS + 2];
        size_t n = 0;
        values[n++] = s->end;
        values[n++] = s->cam.name ? s->cam.value : s->end;
        for (size_t i = 0; i < s->n_layers; i++)
                values[n++] = s->layers[i].value;
        if (!resect_model_input(s->m, 0, &v))
                cli_die("the model has no input");
        int64_t batch = v.rank == 4 && v.dims[0] > 0 ? v.dims[0] : 1;
        int64_t dims[4] = {batch, s->in.channels, s->in.height, s->in.width};
        if (s->in.nhwc) {
                dims[1] = s->in.height;
                dims[2] = s->in.width;
                dims[3] = s->in.channels;
        }
        if (!resect_tensor_make(&engine.x, RESECT_FLOAT, 4, dims, &err))
                cli_fail(NULL, &err);
        engine.row = engine.x.size / sizeof(float) / (size_t)batch;
        resect_binding binding = {v.name, engine.x};
        binding.tensor.data = NULL;
        resect_plan_options o = {
                .inputs = &binding, .n_inputs = 1, .outputs = values, .n_outputs = n};
        if (!(engine.plan = cli_plan(s->m, &o, &err)) ||
                !(engine.exec = resect_exec_make(engine.plan, &err)))
                cli_fail(cli_arg(0), &err);
        resect_tensor t;
        const char *name;
        for (size_t i = 0; i < s->n_layers; i++)
                if (!resect_plan_output(engine.plan, 2 + i, &name, &t) || t.rank != 4 ||
                        t.dtype != RESECT_FLOAT)
                        cli_die("--layers: %s holds no maps", s->layers[i].name);
        if (!s->cam.name)
                return;
        if (!resect_plan_output(engine.plan, 1, &name, &t) || t.rank != 4 ||
                t.dtype != RESECT_FLOAT)
                cli_die("--layer: %s holds no maps", s->cam.name);
        if (!(engine.gradient = resect_gradient_make(
                      s->m, s->cam.value, &t, s->end, cli_threads(), &err)))
                cli_fail(cli_arg(0), &err);
}

struct strength {
        double mean;
        size_t channel;
};

static int
stronger(const void *a, const void *b)
{
        const struct strength *x = a, *y = b;
        if (x->mean > y->mean || x->mean < y->mean)
                return x->mean > y->mean ? -1 : 1;
        return (x->channel > y->channel) - (x->channel < y->channel);
}

/* The maps of one layer, the strongest channels first. */
static json_t *
show_layer(struct see *s, const struct see_layer *layer, const resect_tensor *t, const char *stem)
{
        size_t channels = (size_t)t->dims[1], plane = (size_t)t->dims[2] * (size_t)t->dims[3];
        const float *maps = t->data;
        struct strength *order = cli_alloc(channels, sizeof *order);
        double sum = 0;
        size_t silent = 0, lit = 0;
        for (size_t c = 0; c < channels; c++) {
                double mean = 0;
                bool fires = false;
                for (size_t i = 0; i < plane; i++) {
                        mean += fmax(maps[c * plane + i], 0);
                        fires |= maps[c * plane + i] > 0;
                        lit += maps[c * plane + i] > 0;
                }
                order[c] = (struct strength){mean / (double)plane, c};
                sum += order[c].mean;
                silent += !fires;
        }
        qsort(order, channels, sizeof *order, stronger);
        size_t n = s->channels && s->channels < channels ? s->channels : channels;
        json_t *strongest = json_array();
        size_t *which = cli_alloc(n, sizeof *which);
        for (size_t i = 0; i < n; i++) {
                which[i] = order[i].channel;
                if (i < 10)
                        json_array_append_new(
                                strongest, json_pack("{s:I,s:o}", "channel", (json_int_t)which[i],
                                                   "mean", cli_json_real(order[i].mean)));
        }
        if (s->page) {
                char file[160], caption[160], detail[160];
                int h, w, across = n < ACROSS ? (int)n : n <= 64 ? ACROSS : 16;
                resect_montage_size(n, (int)t->dims[2], (int)t->dims[3], across, TILE, &h, &w);
                unsigned char *rgb = cli_alloc((size_t)h * (size_t)w, 3);
                resect_montage(maps, which, n, (int)t->dims[2], (int)t->dims[3], across, TILE, rgb);
                snprintf(file, sizeof file, "%s-%s", stem, layer->name);
                snprintf(caption, sizeof caption, "%s: %zu of %zu maps of %lld x %lld", layer->name,
                        n, channels, (long long)t->dims[2], (long long)t->dims[3]);
                snprintf(detail, sizeof detail,
                        "%zu of its %zu channels fire here, at %.0f %% of all places",
                        channels - silent, channels,
                        100 * (double)lit / (double)(channels * plane));
                see_picture_out(s, file, rgb, h, w, caption, detail);
                free(rgb);
        }
        free(which);
        free(order);
        return json_pack("{s:s,s:o,s:I,s:I,s:I,s:o,s:I,s:o,s:o}", "name", layer->name, "value",
                cli_json_text(layer->value), "channels", (json_int_t)channels, "height",
                (json_int_t)t->dims[2], "width", (json_int_t)t->dims[3], "mean",
                cli_json_real(sum / (double)channels), "silent", (json_int_t)silent, "active",
                cli_json_real((double)lit / (double)(channels * plane)), "strongest", strongest);
}

static json_t *
rows_json(const float *map, int rows, int columns)
{
        json_t *list = json_array();
        for (int i = 0; i < rows; i++) {
                json_t *row = json_array();
                for (int k = 0; k < columns; k++)
                        json_array_append_new(row, cli_json_real(map[i * columns + k]));
                json_array_append_new(list, row);
        }
        return list;
}

static size_t
largest(const float *map, size_t n)
{
        size_t at = 0;
        for (size_t i = 1; i < n; i++)
                at = map[i] > map[at] ? i : at;
        return at;
}

/* Lays a map over the picture. */
static void
show_overlay(struct see *s, const struct see_picture *p, const float *map, int rows, int columns,
        const char *file, const char *caption, const char *detail)
{
        int h, w;
        if (!s->page)
                return;
        unsigned char *rgb = see_visible(s, p->x, SIDE, &h, &w);
        double high = map[largest(map, (size_t)rows * (size_t)columns)];
        unsigned char *over = cli_alloc((size_t)h * (size_t)w, 3);
        resect_overlay(map, rows, columns, 0, high > 0 ? high : 1, 0.55, rgb, h, w, over);
        see_picture_out(s, file, over, h, w, caption, detail);
        free(over);
        free(rgb);
}

struct target {
        int64_t output;
        double score, probability;
};

static json_t *
grad_cam(struct see *s, const struct see_picture *p, const resect_tensor *maps,
        const struct target *t, const char *stem)
{
        size_t channels = (size_t)maps->dims[1];
        int rows = (int)maps->dims[2], columns = (int)maps->dims[3];
        size_t plane = (size_t)rows * (size_t)columns;
        float *dx = cli_alloc((size_t)resect_tensor_count(maps), sizeof *dx),
              *cam = cli_alloc(plane, sizeof *cam);
        resect_error err;
        double value;
        if (!resect_gradient_run(engine.gradient, maps, (size_t)t->output, dx, &value, &err))
                cli_fail(NULL, &err);
        resect_gradcam(maps->data, dx, channels, (size_t)rows, (size_t)columns, cam);
        size_t peak = largest(cam, plane);
        double sum = 0;
        for (size_t i = 0; i < plane; i++)
                sum += cam[i];
        char file[200], caption[300], detail[160];
        snprintf(file, sizeof file, "%s-gradcam-%s", stem, s->names[t->output]);
        if (s->classes) {
                snprintf(caption, sizeof caption, "Grad-CAM: %s", s->names[t->output]);
                snprintf(detail, sizeof detail, "probability %.1f %%", 100 * t->probability);
        } else {
                snprintf(caption, sizeof caption, "Grad-CAM: feature %s", s->names[t->output]);
                snprintf(detail, sizeof detail, "its value: %.4g", t->score);
        }
        if (sum <= 0)
                snprintf(detail, sizeof detail, "nothing at %s speaks for it", s->cam.name);
        show_overlay(s, p, cam, rows, columns, file, caption, detail);
        json_t *j = json_pack("{s:o,s:I,s:s,s:o,s:{s:o,s:o},s:o}", "class",
                cli_json_text(s->names[t->output]), "output", (json_int_t)t->output, "layer",
                s->cam.name, "score", cli_json_real(value), "peak", "x",
                cli_json_real(((double)(peak % (size_t)columns) + 0.5) / columns * s->in.width),
                "y", cli_json_real(((double)(peak / (size_t)columns) + 0.5) / rows * s->in.height),
                "map", rows_json(cam, rows, columns));
        if (sum <= 0)
                json_object_set_new(j, "peak", json_null());
        free(dx);
        free(cam);
        return j;
}

static bool
on_place(void *ctx, size_t done, size_t total)
{
        cli_progress(ctx, (double)done, (double)total, "places");
        return !cli_stopped();
}

static json_t *
occlusion(struct see *s, const struct see_picture *p, const struct target *t, size_t n,
        const char *stem)
{
        int rows = resect_occlusion_steps(s->in.height, s->patch, s->stride),
            columns = resect_occlusion_steps(s->in.width, s->patch, s->stride);
        size_t places = (size_t)rows * (size_t)columns,
               plane = (size_t)s->in.height * (size_t)s->in.width;
        float *fall = cli_alloc(places * n, sizeof *fall), *map = cli_alloc(plane, sizeof *map);
        int *covered = cli_alloc(plane, sizeof *covered);
        int64_t *classes = cli_alloc(n, sizeof *classes);
        for (size_t i = 0; i < n; i++)
                classes[i] = t[i].output;
        resect_error err;
        resect_occlusion o = {.input = &s->in,
                .patch = s->patch,
                .stride = s->stride,
                .classes = classes,
                .n_classes = n,
                .batch = (size_t)cli_integer("batch", 0, 1, 100000),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_place,
                .ctx = (void *)(uintptr_t) "covering"};
        bool done = resect_occlude(s->m, p->x, &o, fall, &err);
        cli_progress_end();
        if (!done && err.code == RESECT_STOPPED)
                exit(130);
        if (!done)
                cli_fail(cli_arg(0), &err);
        json_t *list = json_array();
        for (size_t k = 0; k < n; k++) {
                const float *f = fall + k * places;
                size_t peak = largest(f, places);
                int top = resect_occlusion_at(
                        s->in.height, s->patch, s->stride, (int)(peak / (size_t)columns));
                int left = resect_occlusion_at(
                        s->in.width, s->patch, s->stride, (int)(peak % (size_t)columns));
                /* A pixel's part: the mean over the patches that cover it. */
                memset(map, 0, plane * sizeof *map);
                memset(covered, 0, plane * sizeof *covered);
                for (size_t i = 0; i < places; i++) {
                        int y = resect_occlusion_at(
                                s->in.height, s->patch, s->stride, (int)(i / (size_t)columns));
                        int x = resect_occlusion_at(
                                s->in.width, s->patch, s->stride, (int)(i % (size_t)columns));
                        for (int a = y; a < y + s->patch; a++)
                                for (int b = x; b < x + s->patch; b++) {
                                        map[a * s->in.width + b] += f[i];
                                        covered[a * s->in.width + b]++;
                                }
                }
                for (size_t i = 0; i < plane; i++)
                        map[i] /= (float)(covered[i] ? covered[i] : 1);
                char file[200], caption[300], detail[160];
                snprintf(file, sizeof file, "%s-occlusion-%s", stem, s->names[classes[k]]);
                snprintf(caption, sizeof caption, "Occlusion: %s", s->names[classes[k]]);
                snprintf(detail, sizeof detail,
                        "covered where it is brightest, the probability falls by %.1f points",
                        100 * (double)f[peak]);
                show_overlay(s, p, map, s->in.height, s->in.width, file, caption, detail);
                json_array_append_new(
                        list, json_pack("{s:o,s:I,s:i,s:i,s:o,s:{s:o,s:o},s:o}", "class",
                                      cli_json_text(s->names[classes[k]]), "output",
                                      (json_int_t)classes[k], "patch", s->patch, "stride",
                                      s->stride, "largest_fall", cli_json_real(f[peak]), "peak",
                                      "x", cli_json_real(left + s->patch / 2.0), "y",
                                      cli_json_real(top + s->patch / 2.0), "falls",
                                      rows_json(f, rows, columns)));
        }
        free(fall);
        free(map);
        free(covered);
        free(classes);
        return list;
}

static void
add_target(struct target *t, size_t *n, int64_t output)
{
        for (size_t i = 0; i < *n; i++)
                if (t[i].output == output)
                        return;
        t[(*n)++].output = output;
}

/* Prints where the maps are brightest: "x 112, y 96". */
static const char *
place_text(json_t *one)
{
        static char text[4][48];
        static int next;
        char *t = text[next++ % 4];
        json_t *peak = one ? json_object_get(one, "peak") : NULL;
        if (!json_is_object(peak))
                return one ? "nowhere" : "";
        snprintf(t, sizeof *text, "%.0f, %.0f", json_number_value(json_object_get(peak, "x")),
                json_number_value(json_object_get(peak, "y")));
        return t;
}

static void
look_at(struct see *s, const struct see_picture *p, size_t number, cli_table *table, json_t *all)
{
        resect_tensor out[SEE_LAYERS + 2];
        resect_error err;
        for (int64_t b = 0; b < engine.x.dims[0]; b++)
                memcpy((float *)engine.x.data + (size_t)b * engine.row, p->x,
                        engine.row * sizeof(float));
        if (!resect_exec_run(engine.exec, &engine.x, out, &err))
                cli_fail(cli_arg(0), &err);
        const float *z = out[0].data;
        int64_t best = 0;
        double sum = 0;
        for (size_t k = 0; k < s->outputs; k++) {
                if (!isfinite(z[k]))
                        cli_die("%s: output %zu is not finite", cli_text(p->name), k);
                best = z[k] > z[best] ? (int64_t)k : best;
        }
        for (size_t k = 0; k < s->outputs; k++)
                sum += exp(z[k] - z[best]);
        struct target *t = cli_alloc(s->n_wanted + 2, sizeof *t);
        size_t n = 0;
        for (size_t i = 0; i < s->n_wanted; i++)
                add_target(t, &n, s->wanted[i]);
        if (s->classes && !s->n_wanted) {
                add_target(t, &n, best);
                if (p->label >= 0)
                        add_target(t, &n, p->label);
        }
        for (size_t i = 0; i < n; i++) {
                t[i].score = z[t[i].output];
                t[i].probability = exp(z[t[i].output] - z[best]) / sum;
        }

        char stem[140], caption[300], detail[300] = "";
        const char *base = strrchr(p->name, '/');
        snprintf(stem, sizeof stem, "%03zu-%s", number, base ? base + 1 : p->name);
        if (s->page)
                resect_page_heading(s->page, p->name);
        if (s->classes)
                snprintf(caption, sizeof caption, "the model says: %s (%.1f %%)", s->names[best],
                        100 / sum);
        else
                snprintf(caption, sizeof caption, "as the model sees it");
        if (p->label >= 0)
                snprintf(detail, sizeof detail, "it is: %s", s->names[p->label]);
        int h, w;
        if (s->page) {
                unsigned char *rgb = see_visible(s, p->x, SIDE, &h, &w);
                see_picture_out(s, stem, rgb, h, w, caption, detail);
                free(rgb);
        }
        json_t *j = json_pack("{s:o}", "name", cli_json_text(p->name));
        if (s->classes)
                json_object_set_new(j, "predicted",
                        json_pack("{s:o,s:I,s:o}", "class", cli_json_text(s->names[best]), "output",
                                (json_int_t)best, "probability", cli_json_real(1 / sum)));
        if (p->label >= 0)
                json_object_set_new(j, "label", cli_json_text(s->names[p->label]));
        json_t *cams = json_array(), *covers = NULL;
        for (size_t i = 0; s->cam.name && i < n; i++)
                json_array_append_new(cams, grad_cam(s, p, &out[1], &t[i], stem));
        if (s->patch && n)
                covers = occlusion(s, p, t, n, stem);
        char under[600];
        snprintf(under, sizeof under,
                "Yellow is what speaks for the class, dark what does not.%s%s%s",
                s->cam.name ? " Grad-CAM looks at the output of " : "",
                s->cam.name ? s->cam.name : "", s->cam.name ? "." : "");
        see_grid(s, 150, n ? under : NULL);
        json_t *layers = json_array();
        for (size_t i = 0; i < s->n_layers; i++)
                json_array_append_new(layers, show_layer(s, &s->layers[i], &out[2 + i], stem));
        see_grid(s, 440,
                "Which channels fire, the strongest first. Each map is coloured from its own least "
                "to its own largest value; the number is "
                "the channel's.");
        for (size_t i = 0; table && (i < n || i < 1); i++) {
                cli_cell(table, "%s", i ? "" : p->name);
                if (s->classes) {
                        cli_cell(table, "%s", i || p->label < 0 ? "" : s->names[p->label]);
                        cli_cell(table, "%s", i ? "" : s->names[best]);
                }
                cli_cell(table, "%s", i < n ? s->names[t[i].output] : "");
                if (s->classes && i < n)
                        cli_cell(table, "%.1f %%", 100 * t[i].probability);
                else if (i < n)
                        cli_cell(table, "%.4g", t[i].score);
                else
                        cli_cell(table, "%s", "");
                cli_cell(table, "%s", place_text(json_array_get(cams, i)));
                if (s->patch) {
                        json_t *one = covers ? json_array_get(covers, i) : NULL;
                        cli_cell(table, "%s", place_text(one));
                        cli_cell(table, "%.1f",
                                one ? 100 * json_number_value(json_object_get(one, "largest_fall"))
                                    : 0.0);
                }
        }
        json_object_set_new(j, "gradcam", cams);
        if (covers)
                json_object_set_new(j, "occlusion", covers);
        json_object_set_new(j, "layers", layers);
        json_array_append_new(all, j);
        free(t);
}

void
see_pictures(struct see *s, const struct see_picture *p, size_t n)
{
        prepare(s);
        const char *headers[12];
        size_t k = 0;
        headers[k++] = "picture";
        if (s->classes) {
                headers[k++] = "is";
                headers[k++] = "the model says";
        }
        headers[k++] = s->classes ? "class" : "feature";
        headers[k++] = s->classes ? ">probability" : ">value";
        headers[k++] = ">Grad-CAM at x, y";
        if (s->patch) {
                headers[k++] = ">occlusion at x, y";
                headers[k++] = ">falls by points";
        }
        headers[k] = NULL;
        cli_table *table = cli_json() ? NULL : cli_table_make(headers);
        json_t *all = json_array();
        for (size_t i = 0; i < n; i++) {
                cli_progress("looking", (double)i, (double)n, "pictures");
                look_at(s, &p[i], i, table, all);
        }
        cli_progress_end();
        json_object_set_new(s->json, "pictures", all);
        if (table)
                cli_table_print(table);
        resect_gradient_free(engine.gradient);
        resect_exec_free(engine.exec);
        resect_plan_free(engine.plan);
        resect_tensor_free(&engine.x);
}
