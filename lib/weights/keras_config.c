/* SPDX-License-Identifier: 0BSD */
/*
 * Keras describes a model in JSON (model_config): class and settings of every layer, models within
 * models. Taken from it are what weights cannot tell: BatchNormalization's epsilon and momentum,
 * strides and padding of Convs, the pictures' size, and what is done to them in the model
 * (Rescaling). A layer is known by its name, which is the folder that its weights are in; in Keras
 * 3's files by its class in small letters and how many of that stand before it in its model's list
 * (layers/conv2d_3, layers/functional/layers/conv2d: keras/src/saving/saving_lib.py).
 */
#include "weights/keras_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/map.h"
#include "weights/json.h"

enum { DEEPEST = 8, NAME = 256, LAYERS_MAX = 20000 };

/* What a layer's description may hold, whatever its class. */
struct layer {
        char class[64], name[NAME], path[NAME], padding[16];
        double epsilon, momentum, scale, offset;
        double strides, kernel;
        double input[4]; /* batch, height, width, channels; -1: open */
        int n_input;
        bool has_scale;
};

/* The classes that are counted: those that say something, and those that hold others. */
static const char *const counted[][2] = {{"Conv2D", "conv2d"},
        {"BatchNormalization", "batch_normalization"}, {"Functional", "functional"},
        {"Sequential", "sequential"}};
enum { COUNTED = sizeof counted / sizeof *counted };

struct describing {
        rs_checkpoint *c;
        rs_json j;
        char path[NAME]; /* of the model whose layers are looked at: "", "layers/functional/" */
        rs_map layers;   /* name -> rs_says */
        double scale, offset;
        bool has_scale;
        resect_error *err;
};

static bool
at(rs_json *j, char c)
{
        while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
                j->p++;
        return j->p < j->end && *j->p == c;
}

/* A number, or null and others, which leave it as it was. */
static void
number(rs_json *j, double *out)
{
        at(j, ' ');
        if (j->p < j->end && *j->p && strchr("-0123456789", *j->p))
                rs_json_real(j, out);
        else
                rs_json_skip(j);
}

/* A list of numbers, or one; how many there are. */
static int
numbers(rs_json *j, double *out, int most)
{
        bool first = true;
        int n = 0;
        double over;
        if (!rs_json_eat(j, '[')) {
                number(j, out);
                return 1;
        }
        while (rs_json_next(j, ']', &first)) {
                number(j, n < most ? &out[n] : &over);
                n += n < most;
        }
        return n;
}

static bool describe_layers(struct describing *d, int depth);

/* Where Keras 3 keeps the layer's weights, once its class is known; empty when it is not counted.
 */
static void
find_path(const struct describing *d, struct layer *l, int counts[COUNTED])
{
        for (int i = 0; counts && i < COUNTED; i++) {
                char number[16] = "";
                if (strcmp(l->class, counted[i][0]) != 0)
                        continue;
                if (counts[i])
                        snprintf(number, sizeof number, "_%d", counts[i]);
                counts[i]++;
                int n = snprintf(
                        l->path, sizeof l->path, "%slayers/%s%s", d->path, counted[i][1], number);
                if (n < 0 || (size_t)n >= sizeof l->path)
                        l->path[0] = '\0';
        }
}

static bool
describe_config(struct describing *d, struct layer *l, int depth)
{
        rs_json *j = &d->j;
        bool first = true;
        char key[NAME];
        if (at(j, '[')) /* Sequential models of old have their layers here */
                return describe_layers(d, depth + 1);
        if (!rs_json_eat(j, '{'))
                return rs_json_skip(j) || true;
        while (rs_json_next(j, '}', &first)) {
                rs_json_text(j, key, sizeof key);
                rs_json_eat(j, ':');
                if (!strcmp(key, "name") && at(j, '"'))
                        rs_json_text(j, l->name, sizeof l->name);
                else if (!strcmp(key, "padding") && at(j, '"'))
                        rs_json_text(j, l->padding, sizeof l->padding);
                else if (!strcmp(key, "epsilon"))
                        number(j, &l->epsilon);
                else if (!strcmp(key, "momentum"))
                        number(j, &l->momentum);
                else if (!strcmp(key, "offset"))
                        number(j, &l->offset);
                else if (!strcmp(key, "scale")) {
                        l->has_scale =
                                at(j, '-') || (j->p < j->end && *j->p >= '0' && *j->p <= '9');
                        number(j, &l->scale);
                } else if (!strcmp(key, "strides"))
                        numbers(j, &l->strides, 1);
                else if (!strcmp(key, "kernel_size"))
                        numbers(j, &l->kernel, 1);
                else if (!strcmp(key, "batch_input_shape") || !strcmp(key, "batch_shape"))
                        l->n_input = numbers(j, l->input, 4);
                else if (!strcmp(key, "layers")) {
                        if (!describe_layers(d, depth + 1))
                                return false;
                } else
                        rs_json_skip(j);
        }
        return true;
}

/* What a layer of a class that matters says, by its name. */
static bool
settle(struct describing *d, const struct layer *l)
{
        rs_says says = {.epsilon = -1};
        if (l->n_input == 4 && l->input[1] > 0 && l->input[2] > 0 && l->input[1] < 1e6 &&
                l->input[2] < 1e6 && (l->input[3] == 3 || l->input[3] == 1) && !d->c->picture[0]) {
                d->c->picture[0] = (int64_t)l->input[1];
                d->c->picture[1] = (int64_t)l->input[2];
        }
        if (!strcmp(l->class, "Rescaling") && l->has_scale && l->scale > 0 && !d->has_scale) {
                d->has_scale = true;
                d->scale = l->scale;
                d->offset = l->offset;
        }
        if (!strcmp(l->class, "Conv2D") || !strcmp(l->class, "Convolution2D")) {
                says.stride = l->strides >= 1 && l->strides < 64 ? (int)l->strides : 1;
                says.end = !strcmp(l->padding, "same") && says.stride > 1 && l->kernel > 1;
        } else if (strstr(l->class, "BatchNormalization")) {
                says.epsilon = l->epsilon >= 0 && l->epsilon <= 1 ? l->epsilon : -1;
                says.momentum = l->momentum > 0 && l->momentum <= 1 ? l->momentum : 0;
        } else
                return true;
        if (!l->name[0] || d->layers.count >= LAYERS_MAX)
                return true;
        char *name = rs_arena_strdup(&d->c->arena, l->name, d->err);
        char *path = rs_arena_strdup(&d->c->arena, l->path, d->err);
        rs_says *kept = RS_NEW(&d->c->arena, 1, rs_says, d->err);
        void *old;
        if (!name || !path || !kept)
                return false;
        *kept = says;
        return rs_map_put(&d->layers, name, kept, &old, d->err) &&
               (!path[0] || rs_map_put(&d->layers, path, kept, &old, d->err));
}

/* A model within the model: its layers are below it. */
static bool
describe_inside(struct describing *d, struct layer *l, int depth)
{
        char before[NAME];
        strcpy(before, d->path);
        if (depth &&
                (l->path[0] == '\0' || snprintf(d->path, sizeof d->path, "%s/", l->path) >= NAME))
                strcpy(d->path, "?/"); /* nothing is there */
        bool ok = describe_config(d, l, depth);
        strcpy(d->path, before);
        return ok;
}

/* {"class_name": ..., "config": {...}, ...}; a whole model has this form, too. */
static bool
describe_layer(struct describing *d, int depth, int counts[COUNTED])
{
        rs_json *j = &d->j;
        struct layer l = {.epsilon = -1, .strides = 1, .kernel = 1, .input = {-1, -1, -1, -1}};
        bool first = true;
        char key[NAME];
        if (depth > DEEPEST || !rs_json_eat(j, '{'))
                return rs_json_skip(j) || true;
        while (rs_json_next(j, '}', &first)) {
                rs_json_text(j, key, sizeof key);
                rs_json_eat(j, ':');
                if (!strcmp(key, "class_name") && at(j, '"')) {
                        rs_json_text(j, l.class, sizeof l.class);
                        find_path(d, &l, counts);
                } else if (!strcmp(key, "config")) {
                        if (!describe_inside(d, &l, depth))
                                return false;
                } else
                        rs_json_skip(j);
        }
        return j->why || settle(d, &l);
}

static bool
describe_layers(struct describing *d, int depth)
{
        bool first = true;
        int counts[COUNTED] = {0};
        if (!rs_json_eat(&d->j, '['))
                return rs_json_skip(&d->j) || true;
        while (rs_json_next(&d->j, ']', &first))
                if (!describe_layer(d, depth, counts))
                        return false;
        return true;
}

/* What is said of each entry: by the name of the folder it is in; by the way to that when it is
 * Keras 3's vars. */
static bool
tell_entries(struct describing *d)
{
        for (size_t i = 0; i < d->c->n_entries; i++) {
                const char *name = d->c->entries[i].name, *end = strrchr(name, '/'), *from = end;
                char folder[NAME];
                while (from && from > name && from[-1] != '/')
                        from--;
                if (from && from > name && end - from == 4 && !memcmp(from, "vars", 4)) {
                        end = from - 1;
                        from = name;
                }
                if (!end || (size_t)(end - from) >= sizeof folder)
                        continue;
                memcpy(folder, from, (size_t)(end - from));
                folder[end - from] = '\0';
                const rs_says *says = rs_map_get(&d->layers, folder);
                if (says && !rs_checkpoint_say(d->c, i, says, d->err))
                        return false;
        }
        return true;
}

/* What Rescaling does to pictures of 0 to 255 as a mean and a deviation of pictures of 0 to 1. */
static bool
tell_input(struct describing *d)
{
        double std = 1 / (d->scale * 255), mean = -d->offset * std;
        if (!d->has_scale || d->c->picture[0] == 0 || !isfinite(std) || !isfinite(mean))
                return true;
        return (d->c->input = rs_arena_printf(&d->c->arena, d->err,
                        "size=%lldx%lld mean=%.9g,%.9g,%.9g std=%.9g,%.9g,%.9g",
                        (long long)d->c->picture[0], (long long)d->c->picture[1], mean, mean, mean,
                        std, std, std));
}

bool
rs_keras_config(rs_checkpoint *c, rs_span json, resect_error *err)
{
        struct describing d = {.c = c, .err = err};
        if (!json.size)
                return true;
        d.j = (rs_json){.p = (const char *)json.data, .end = (const char *)json.data + json.size};
        bool ok = describe_layer(&d, 0, NULL);
        if (ok && d.j.why) { /* what came before the damage is not believed either */
                c->picture[0] = c->picture[1] = 0;
                ok = d.j.text.oom ? rs_fail_nomem(err)
                                  : rs_checkpoint_skip(c, "the model's description", err,
                                            "it is not understood: %s", d.j.why);
        } else
                ok = ok && tell_entries(&d) && tell_input(&d);
        rs_buf_free(&d.j.text);
        rs_map_free(&d.layers);
        return ok;
}
