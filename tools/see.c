/* SPDX-License-Identifier: 0BSD */
/*
 * resect-see: which channels fire for which picture, which part of a picture drives which output,
 * and which channels of a layer stand for which class.
 */
#include "see.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const resect_option options[] = {
        {"output", "DIR|PAGE.html", "write PNG files and index.html to DIR, or one page"},
        {"layers", "NAME,...",
                "the layers whose channels are shown (default: stem and every stage)"},
        {"layer", "NAME", "where Grad-CAM looks (default: the last maps)"},
        {"classes", "NAME,...",
                "classes, by label or number, to find the places of (default: what the model says, "
                "and what is right)"},
        {"feature", "N,...", "the same for features, of a model that ends in them"},
        {"occlude", "PATCH[,STRIDE]",
                "cover a square of PATCH pixels, moved by STRIDE (default: half of it), and see "
                "how the probability falls"},
        {"channels", "N", "channels in a montage, 0: all (default 48)"},
        {"pictures", "N",
                "of DATA: pictures to look at one by one, a class after the other (default 4)"},
        {"top", "N", "of DATA: pictures that fire a channel most (default 6)"},
        {"show", "N", "of DATA: channels of a layer to show them for (default 6)"},
        {"split", "NAME", "of DATA: train, val, test or all (default: val, else test, else all)"},
        {"val", "PART",
                "of an unsplit DATA: part that is the validation split, as in resect-tune "
                "(default: all is taken)"},
        {"by-index", NULL, "class i of DATA is output i, whatever the model's labels say"},
        {"batch", "N", "pictures at once for DATA and --occlude (default 16)"},
        {0},
};

static const cli_tool tool = {
        .name = "see",
        .brief = "show what a network looks at",
        .usage = "MODEL PICTURE... | MODEL DATA",
        .description = "For each PICTURE: which channels of each layer fire (a montage of their "
                       "maps, the strongest first); which part of the picture "
                       "speaks for a class by Grad-CAM (Selvaraju et al., 2017: the class score's "
                       "gradient with respect to the last maps); and, with "
                       "--occlude, by how much the class's probability falls when a grey patch "
                       "covers a place (Zeiler and Fergus, 2014). The two "
                       "methods fail in different ways: where they agree there is something.\n\n"
                       "For labelled DATA, as resect-tune takes it, besides: the class selectivity "
                       "of every channel (Morcos et al., 2018: 0 when it "
                       "fires alike for all classes, 1 when for a single one), how many channels "
                       "prefer which class, and the pictures and places that "
                       "fire the most selective ones.\n\n"
                       "Layers are called by structure: stem, layer1, layer3.5, ... -o writes "
                       "pictures; the numbers go to standard output as a table, "
                       "or with --json in full. Gradients are computed by the reference kernels, "
                       "the rest as --kernels says.",
        .examples = "resect-see model.onnx photo.jpg -o photo.html --occlude 32\n"
                    "resect-see model.onnx photos/ -o seen/\n"
                    "resect-see model.onnx photo.jpg --classes ants,bees --layer layer3 -o seen/\n"
                    "resect-see features.onnx photo.jpg --feature 17 --json",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_JSON | CLI_RUN,
        .min_args = 2,
        .max_args = -1,
};

static bool
is_picture(const char *path)
{
        const char *dot = strrchr(path, '.');
        return dot &&
               (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png"));
}

/* The value that a part or block makes; NULL when there is none of that name. */
static const char *
value_of(const struct see *s, const char *name)
{
        for (size_t i = 0; i < resect_anatomy_part_count(s->a); i++) {
                const resect_part *p = resect_anatomy_part(s->a, i);
                if (!strcmp(p->name, name))
                        return p->output;
        }
        const resect_block *b;
        for (size_t i = 0; (b = resect_anatomy_block(s->a, i)) != NULL; i++)
                if (!strcmp(b->name, name))
                        return b->output;
        return NULL;
}

static struct see_layer
layer_called(const struct see *s, const char *option, const char *name)
{
        const char *value = strcmp(name, "pool") && strcmp(name, "head") ? value_of(s, name) : NULL;
        char last[32] = "";
        for (size_t i = 0; i < resect_anatomy_part_count(s->a); i++)
                if (!strncmp(resect_anatomy_part(s->a, i)->name, "layer", 5))
                        snprintf(last, sizeof last, "%s", resect_anatomy_part(s->a, i)->name);
        if (!value)
                cli_die("--%s: the model has no layer '%s' with maps: there are stem, layer1 to "
                        "%s, and blocks as %s.0",
                        option, cli_text(name), last, last);
        return (struct see_layer){name, value};
}

static void
choose_layers(struct see *s)
{
        if (cli_given("layers")) {
                s->layer_list = cli_copy(cli_value("layers"));
                for (char *save = NULL, *name = strtok_r(s->layer_list, ",", &save); name;
                        name = strtok_r(NULL, ",", &save)) {
                        if (s->n_layers == SEE_LAYERS)
                                cli_die("--layers: too many");
                        s->layers[s->n_layers++] = layer_called(s, "layers", name);
                }
                if (!s->n_layers)
                        cli_die("--layers: no layer is named");
                return;
        }
        for (size_t i = 0; i < resect_anatomy_part_count(s->a); i++) {
                const resect_part *p = resect_anatomy_part(s->a, i);
                bool maps = !strcmp(p->name, "stem") || !strncmp(p->name, "layer", 5);
                if (maps && p->output && s->n_layers < SEE_LAYERS)
                        s->layers[s->n_layers++] = (struct see_layer){p->name, p->output};
        }
}

/* Where the network ends, and where its last maps are. */
static void
find_ends(struct see *s)
{
        resect_error err;
        resect_value v;
        s->classes = s->s->has_head;
        if (s->classes)
                s->end = resect_model_logits(s->m, &err);
        else
                s->end = resect_model_output(s->m, 0, &v) ? v.name : NULL;
        if (!s->end)
                cli_die("%s: the model has no output", cli_arg(0));
        for (size_t i = 0; i < resect_anatomy_part_count(s->a); i++) {
                const resect_part *p = resect_anatomy_part(s->a, i);
                if (!strcmp(p->name, "pool") && p->input)
                        s->cam = (struct see_layer){"the last maps", p->input};
        }
        bool maps = !s->classes && !s->s->has_pool;
        if (maps && (cli_given("feature") || cli_given("layer")))
                cli_die("%s: the model ends in maps, without a pool: Grad-CAM wants one number for "
                        "the picture",
                        cli_arg(0));
        if (!s->classes && (cli_given("classes") || cli_given("occlude")))
                cli_die("%s: the model ends in %s, not in classes: --%s has nothing to look at%s",
                        cli_arg(0), maps ? "maps" : "features",
                        cli_given("classes") ? "classes" : "occlude",
                        maps ? "" : " (--feature N finds the places of a feature)");
        if (s->classes && cli_given("feature"))
                cli_die("--feature: the model ends in classes: say --classes");
        if (cli_given("layer"))
                s->cam = layer_called(s, "layer", cli_value("layer"));
        if (maps || (!s->classes && !cli_given("feature")))
                s->cam = (struct see_layer){NULL, NULL};
        else if (!s->cam.name)
                cli_die("%s: no pool was found, so --layer must say which maps Grad-CAM looks at",
                        cli_arg(0));
        if (s->cam.name && !s->s->trainable)
                cli_note(
                        "an operator of the model has no gradient (resect-info): Grad-CAM may find "
                        "nothing; --occlude needs none");
        if (!s->classes && !s->cam.name)
                cli_note("the model ends in %s, not in classes: Grad-CAM is left out%s",
                        maps ? "maps" : "features",
                        maps ? "" : " (--feature N finds the places of a feature)");
}

/* The number of outputs, from a plan that computes them for one picture. */
static void
count_outputs(struct see *s)
{
        resect_error err;
        resect_value v;
        resect_tensor t;
        const char *name;
        if (!resect_model_input(s->m, 0, &v) || resect_model_input_count(s->m) != 1)
                cli_die("%s: pictures go into a model with one input", cli_arg(0));
        int64_t batch = v.rank == 4 && v.dims[0] > 0 ? v.dims[0] : 1;
        resect_binding b = {v.name, {.dtype = RESECT_FLOAT, .rank = 4}};
        int64_t nchw[4] = {batch, s->in.channels, s->in.height, s->in.width},
                nhwc[4] = {batch, s->in.height, s->in.width, s->in.channels};
        memcpy(b.tensor.dims, s->in.nhwc ? nhwc : nchw, sizeof nchw);
        b.tensor.size = (size_t)resect_tensor_count(&b.tensor) * sizeof(float);
        resect_plan *p = resect_plan_make(s->m,
                &(resect_plan_options){.inputs = &b,
                        .n_inputs = 1,
                        .outputs = &s->end,
                        .n_outputs = 1,
                        .kernels = RESECT_KERNELS_REFERENCE},
                &err);
        if (!p)
                cli_fail(cli_arg(0), &err);
        if (!resect_plan_output(p, 0, &name, &t) || t.dtype != RESECT_FLOAT || t.rank < 2)
                cli_die("%s: output '%s' is no row of numbers for each picture", cli_arg(0),
                        cli_text(s->end));
        s->outputs = (size_t)(resect_tensor_count(&t) / batch);
        resect_plan_free(p);
}

static void
name_outputs(struct see *s)
{
        size_t labels;
        resect_error err;
        const char *const *given = resect_model_labels(s->m, &labels);
        s->names = cli_alloc(s->outputs + 1, sizeof *s->names);
        s->numbers = cli_alloc(s->outputs + 1, sizeof *s->numbers);
        for (size_t i = 0; i < s->outputs; i++) {
                snprintf(s->numbers[i], sizeof s->numbers[i], "%zu", i);
                s->names[i] = s->classes && labels == s->outputs ? given[i] : s->numbers[i];
        }
        if (!s->data || !s->classes)
                return;
        s->map = cli_alloc(resect_data_class_count(s->data) + 1, sizeof *s->map);
        if (!resect_class_map(s->m, s->data, s->outputs, cli_given("by-index"), s->map, &err))
                cli_fail(NULL, &err);
        for (size_t i = 0; labels != s->outputs && i < resect_data_class_count(s->data); i++)
                s->names[s->map[i]] = resect_data_class(s->data, i);
}

static void
choose_outputs(struct see *s)
{
        const char *option = s->classes ? "classes" : "feature";
        if (!cli_given(option))
                return;
        char *list = cli_copy(cli_value(option));
        s->wanted = cli_alloc(strlen(list) + 1, sizeof *s->wanted);
        for (char *save = NULL, *name = strtok_r(list, ",", &save); name;
                name = strtok_r(NULL, ",", &save)) {
                int64_t found = -1;
                for (size_t i = 0; i < s->outputs && found < 0; i++)
                        if (!strcmp(s->names[i], name) || !strcmp(s->numbers[i], name))
                                found = (int64_t)i;
                if (found < 0)
                        cli_die("--%s: the model has no %s '%s' among its %zu", option,
                                s->classes ? "class" : "feature", cli_text(name), s->outputs);
                s->wanted[s->n_wanted++] = found;
        }
        if (!s->n_wanted)
                cli_die("--%s: none is named", option);
        free(list);
}

static void
read_patch(struct see *s)
{
        const char *text = cli_value("occlude");
        char *end;
        if (!text)
                return;
        long patch = strtol(text, &end, 10), stride = (patch + 1) / 2;
        bool good = end != text && patch >= 1 && patch <= 16384;
        if (good && *end == ',') {
                const char *second = end + 1;
                stride = strtol(second, &end, 10);
                good = end != second && stride >= 1 && stride <= 16384;
        }
        if (!good || *end)
                cli_die("--occlude %s: want PATCH or PATCH,STRIDE in pixels", cli_text(text));
        s->patch = (int)patch;
        s->stride = (int)stride;
}

static void
open_data(struct see *s, const char *path)
{
        static const resect_split splits[] = {RESECT_TRAIN, RESECT_VAL, RESECT_TEST, RESECT_ALL};
        resect_data *d = cli_open_pictures(path,
                (resect_data_options){.val = cli_real("val", 0, 0, 0.9), .no_training = true});
        cli_say_skipped(d);
        int choice = cli_choice("split", -1, "train|val|test|all");
        if (choice < 0)
                choice = resect_data_count(d, RESECT_VAL)    ? 1
                         : resect_data_count(d, RESECT_TEST) ? 2
                                                             : 3;
        s->data = d;
        s->split = splits[choice];
        if (!resect_data_count(d, s->split))
                cli_die("%s: no picture is in that split", path);
        int64_t chw[3];
        if (!resect_data_is_raw(d))
                return;
        if (cli_given("input"))
                cli_die("--input: an .npz is used as it is");
        if (!resect_data_raw_shape(d, chw))
                cli_die("%s: raw data without a shape", path);
        s->in = (resect_input){.channels = (int)chw[0],
                .height = (int)chw[1],
                .width = (int)chw[2],
                .std = {1, 1, 1}};
        s->shown = NULL;
}

/* Pictures of DATA, a class after the other. */
static size_t
pick(const struct see *s, struct see_picture *list, size_t most)
{
        size_t count = resect_data_count(s->data, s->split),
               classes = resect_data_class_count(s->data), n = 0;
        size_t *next = cli_alloc(classes + 1, sizeof *next),
               size = (size_t)s->in.channels * (size_t)s->in.height * (size_t)s->in.width;
        for (bool more = true; more && n < most;) {
                more = false;
                for (size_t c = 0; c < classes && n < most; c++) {
                        while (next[c] < count &&
                                resect_data_label(s->data, s->split, next[c]) != (int)c)
                                next[c]++;
                        if (next[c] == count)
                                continue;
                        size_t i = next[c]++;
                        resect_error err;
                        float *x = cli_alloc(size, sizeof *x);
                        if (!resect_data_sample(s->data, s->split, i, &s->in, NULL, 0, 0, x, &err))
                                cli_fail(resect_data_name(s->data, s->split, i), &err);
                        list[n++] = (struct see_picture){
                                resect_data_name(s->data, s->split, i), x, s->map ? s->map[c] : -1};
                        more = true;
                }
        }
        free(next);
        return n;
}

static size_t
read_files(const struct see *s, struct see_picture *list)
{
        size_t n = 0, size = (size_t)s->in.channels * (size_t)s->in.height * (size_t)s->in.width;
        for (int i = 1; i < cli_arg_count(); i++) {
                resect_error err;
                float *x = cli_alloc(size, sizeof *x);
                if (!resect_picture_read(cli_arg(i), &s->in, x, &err))
                        cli_fail(cli_arg(i), &err);
                list[n++] = (struct see_picture){cli_arg(i), x, -1};
        }
        return n;
}

/* Options of DATA mean nothing for picture files. */
static void
refuse_data_options(void)
{
        static const char *const names[] = {
                "pictures", "top", "show", "split", "val", "by-index", "batch", "skip-bad", NULL};
        for (const char *const *name = names; *name; name++)
                if (cli_given(*name))
                        cli_die("--%s: is for DATA, not for single pictures", *name);
}

int
main(int argc, char **argv)
{
        struct see s = {0};
        resect_error err;
        cli_start(&tool, argc, argv);
        cli_catch_stop();
        bool files = is_picture(cli_arg(1));
        for (int i = 2; i < cli_arg_count(); i++)
                if (!files || !is_picture(cli_arg(i)))
                        cli_die("%s: several pictures, or one DATA",
                                cli_text(cli_arg(is_picture(cli_arg(i)) ? 1 : i)));
        if (files)
                refuse_data_options();
        read_patch(&s);
        s.channels = (size_t)cli_integer("channels", 48, 0, 1000000);
        s.top = (size_t)cli_integer("top", 6, 1, 1000);
        s.show = (size_t)cli_integer("show", 6, 0, 1000000);
        size_t most = (size_t)cli_integer("pictures", 4, 0, 1000000);

        s.m = cli_read_model(cli_arg(0));
        if (!resect_input_of(s.m, &s.in, NULL, &err))
                cli_fail(cli_arg(0), &err);
        if (cli_given("input") && !resect_input_parse(&s.in, cli_value("input"), &err))
                cli_fail("--input", &err);
        s.shown = &s.in;
        if (!files)
                open_data(&s, cli_arg(1));
        if (!(s.a = resect_anatomy_find_at(s.m, s.in.height, s.in.width, &err)))
                cli_fail(cli_arg(0), &err);
        s.s = resect_anatomy_summary(s.a);
        if (!s.s->n_blocks)
                cli_die("%s: no residual network was found in it, so that there are no layers to "
                        "look at",
                        cli_arg(0));
        if (s.patch >= s.in.height && s.patch >= s.in.width)
                cli_die("--occlude: a patch of %d pixels covers all of a picture of %d x %d",
                        s.patch, s.in.width, s.in.height);
        if (s.patch && !resect_occlusion_steps(s.in.height < s.in.width ? s.in.height : s.in.width,
                               s.patch, s.stride))
                cli_die("--occlude: a patch of %d pixels does not fit on a picture of %d x %d",
                        s.patch, s.in.width, s.in.height);
        choose_layers(&s);
        find_ends(&s);
        count_outputs(&s);
        name_outputs(&s);
        choose_outputs(&s);
        see_open_output(&s, cli_value("output"));
        s.json = json_pack("{s:o,s:s}", "model", cli_json_text(cli_arg(0)), "family", s.s->family);

        size_t room = files ? (size_t)cli_arg_count() : most + 1;
        struct see_picture *list = cli_alloc(room < 1000000 ? room : 1000000, sizeof *list);
        size_t n = files ? read_files(&s, list) : pick(&s, list, most);
        if (!files)
                see_study(&s);
        if (n)
                see_pictures(&s, list, n);
        see_close_output(&s);
        if (cli_json())
                cli_print_json(s.json);
        else
                json_decref(s.json);
        for (size_t i = 0; i < n; i++)
                free(list[i].x);
        free(list);
        free(s.names);
        free(s.numbers);
        free(s.wanted);
        free(s.layer_list);
        free(s.map);
        resect_anatomy_free(s.a);
        resect_data_free((resect_data *)(uintptr_t)s.data);
        resect_model_free(s.m);
        return cli_finish(0);
}
