/* SPDX-License-Identifier: 0BSD */
/* Odd folder trees and manifests, one row each, and the exact report that must come of them. */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "unit.h"
#include "trees.h"

#include "data/data.h"
#include "resect/data.h"

static void
add_split(rs_buf *b, const resect_data *d, const char *title, resect_split split)
{
        size_t n = resect_data_count(d, split);
        if (!n)
                return;
        rs_buf_printf(b, "%s", title);
        for (size_t i = 0; i < n; i++)
                rs_buf_printf(
                        b, " %s:%d", resect_data_name(d, split, i), resect_data_label(d, split, i));
        rs_buf_str(b, "\n");
}

/* All that the library tells about DATA, as text; the root's own name is left out. */
static char *
report(const char *path, const char *root, resect_data_options o)
{
        resect_error err = {0};
        rs_buf b = {0};
        resect_data *d = resect_data_open(path, &o, &err);
        if (!d)
                rs_buf_printf(&b, "%s %s\n", resect_code_name(err.code), err.msg);
        else {
                rs_buf_str(&b, "classes");
                for (size_t i = 0; i < resect_data_class_count(d); i++)
                        rs_buf_printf(&b, " %s", resect_data_class(d, i));
                rs_buf_str(&b, "\n");
                add_split(&b, d, "train", RESECT_TRAIN);
                add_split(&b, d, "val", RESECT_VAL);
                add_split(&b, d, "test", RESECT_TEST);
                const char *name, *why, *note;
                for (size_t i = 0; resect_data_skipped(d, i, &name, &why); i++)
                        rs_buf_printf(&b, "skipped %s: %s\n", name, why);
                for (size_t i = 0; (note = resect_data_note(d, i)); i++)
                        rs_buf_printf(&b, "note %s\n", note);
                ck_assert_uint_eq(resect_data_count(d, RESECT_ALL),
                        resect_data_count(d, RESECT_TRAIN) + resect_data_count(d, RESECT_VAL) +
                                resect_data_count(d, RESECT_TEST));
        }
        resect_data_free(d);
        char *text = strdup(b.data ? (char *)b.data : ""), *at;
        rs_buf_free(&b);
        while ((at = strstr(text, root))) {
                memcpy(at, "DATA", 4);
                memmove(at + 4, at + strlen(root), strlen(at + strlen(root)) + 1);
        }
        return text;
}

struct row {
        const char *name, *spec, *manifest, *wants;
        resect_data_options o;
};

static const char *const bees_first[] = {"bees", "ants"}, *const one_class[] = {"ants"},
                         *const no_class[] = {"wasps"}, *const twice[] = {"ants", "ants"};

static const struct row rows[] = {
        {"plain", "bees/2.png=2 ants/1.png=1 ants/0.png=3", NULL,
                "classes ants bees\ntrain ants/0.png:0 ants/1.png:0 bees/2.png:1\n", {.val = 0}},
        {"byte order, not the locale's", "b/x.png=1 B/x.png=2 a/x.png=3 _/x.png=4 \xc3\xa4/x.png=5",
                NULL,
                "classes B _ a b \xc3\xa4\ntrain B/x.png:0 _/x.png:1 a/x.png:2 b/x.png:3 "
                "\xc3\xa4/x.png:4\n",
                {.val = 0}},
        {"entries that begin with a dot",
                "ants/1.png=1 ants/.2.png=2 .ipynb_checkpoints/3.png=3 .DS_Store=text bees/4.png=4",
                NULL, "classes ants bees\ntrain ants/1.png:0 bees/4.png:1\n", {.val = 0}},
        {"a class without pictures", "ants/1.png=1 bees=dir", NULL,
                "FORMAT DATA/bees: a class without pictures\n", {.val = 0}},
        {"a class of other files", "ants/1.png=1 bees/readme.txt=text", NULL,
                "FORMAT DATA/bees: a class without pictures\n", {.val = 0}},
        {"no classes", "1.png=1 2.png=2", NULL,
                "FORMAT DATA/: no folders of pictures, one for each class\n", {.val = 0}},
        {"nothing", "", NULL, "FORMAT DATA/: no folders of pictures, one for each class\n",
                {.val = 0}},
        {"the bytes say what a file is", "ants/1.txt=1 ants/2=2 ants/3.gif=3 bees/4.JPG=4", NULL,
                "classes ants bees\ntrain ants/1.txt:0 ants/2:0 ants/3.gif:0 bees/4.JPG:1\n",
                {.val = 0}},
        {"other files lie about", "ants/1.png=1 ants/Thumbs.db=text ants/more/2.png=2 bees/2.png=3",
                NULL,
                "classes ants bees\ntrain ants/1.png:0 bees/2.png:1\n"
                "note ants: 2 entries that are no pictures not looked at, first Thumbs.db\n",
                {.val = 0}},
        {"too many bad pictures", "ants/1.png=1 ants/2.jpg=cut bees/3.png=3", NULL,
                "FORMAT DATA: 1 of 3 pictures cannot be read (--skip-bad goes on without them); "
                "the first is ants/2.jpg: JPEG: cut "
                "short or damaged\n",
                {.val = 0}},
        {"bad pictures, gone on",
                "ants/1.png=1 ants/2.jpg=cut ants/3.jpg=empty ants/4.jpg=text ants/5.jpg=fifo "
                "ants/6.jpg=dir "
                "ants/7.jpg=->7.jpg ants/8.jpg=->nowhere bees/3.png=3",
                NULL,
                "classes ants bees\ntrain ants/1.png:0 bees/3.png:1\n"
                "skipped ants/2.jpg: JPEG: cut short or damaged\nskipped ants/3.jpg: an empty "
                "file\n"
                "skipped ants/4.jpg: neither a JPEG nor a PNG file\nskipped ants/5.jpg: not a "
                "regular file\n"
                "skipped ants/6.jpg: is a directory\nskipped ants/7.jpg: Too many levels of "
                "symbolic links\n"
                "skipped ants/8.jpg: No such file or directory\n",
                {.skip_bad = true}},
        {"nothing good in a class", "ants/1.png=1 bees/3.png=text", NULL,
                "FORMAT DATA: class bees has no readable picture\n", {.skip_bad = true}},
        {"links to pictures and folders",
                "ants/1.png=1 ants/2.png=->1.png wasps=->ants bees/3.png=3 loop=->loop", NULL,
                "classes ants bees wasps\ntrain ants/1.png:0 ants/2.png:0 bees/3.png:1 "
                "wasps/1.png:2 wasps/2.png:2\n"
                "note the same picture in two classes: ants/1.png (ants) and wasps/1.png (wasps)\n"
                "note 3 of 5 samples are doubles of another, pixel by pixel\n",
                {.val = 0}},
        {"a class that links to its parent", "ants/1.png=1 up=->..", NULL,
                "FORMAT DATA/up: a class without pictures\n", {.val = 0}},
        {"split by folders",
                "train/ants/1.png=1 train/bees/2.png=2 val/ants/3.png=3 val/bees/4.png=4 "
                "test/ants/5.png=5",
                NULL,
                "classes ants bees\ntrain train/ants/1.png:0 train/bees/2.png:1\nval "
                "val/ants/3.png:0 val/bees/4.png:1\n"
                "test test/ants/5.png:0\n",
                {.val = 0}},
        {"other names for val; --val has no say", "train/ants/1.png=1 validation/ants/3.png=3",
                NULL,
                "classes ants\ntrain train/ants/1.png:0\nval validation/ants/3.png:0\n"
                "note DATA has a validation part of its own; --val is not used\n",
                {.val = 0.5}},
        {"only val", "val/ants/3.png=3 val/bees/4.png=4", NULL,
                "classes ants bees\nval val/ants/3.png:0 val/bees/4.png:1\n", {.val = 0}},
        {"train beside classes", "train/ants/1.png=1 bees/2.png=2", NULL,
                "FORMAT DATA: holds train/ and bees/: is it split, or are these classes?\n",
                {.val = 0}},
        {"a class called test", "test/1.png=1 other/2.png=2", NULL,
                "classes other test\ntrain other/2.png:0 test/1.png:1\n", {.val = 0}},
        {"a class that is never trained", "train/ants/1.png=1 val/ants/3.png=3 val/bees/4.png=4",
                NULL, "FORMAT DATA: class bees has 1 picture, but none to train on\n", {.val = 0}},
        {"two that are never trained", "train/a/1.png=1 val/b/3.png=3 val/b/4.png=4", NULL,
                "FORMAT DATA: class b has 2 pictures, but none to train on\n", {.val = 0}},
        {"which is no matter where nothing is trained", "train/a/1.png=1 val/b/3.png=3", NULL,
                "classes a b\ntrain train/a/1.png:0\nval val/b/3.png:1\n",
                {.val = 0, .no_training = true}},
        {"the same picture on both sides", "train/ants/1.png=1 train/ants/2.png=2 val/ants/x.png=1",
                NULL,
                "classes ants\ntrain train/ants/1.png:0 train/ants/2.png:0\nval val/ants/x.png:0\n"
                "note the same picture on both sides of the split: train/ants/1.png and "
                "val/ants/x.png\n"
                "note 1 of 3 samples are doubles of another, pixel by pixel\n",
                {.val = 0}},
        {"the same picture in two classes", "ants/1.png=1 bees/2.png=1 bees/3.png=3", NULL,
                "classes ants bees\ntrain ants/1.png:0 bees/2.png:1 bees/3.png:1\n"
                "note the same picture in two classes: ants/1.png (ants) and bees/2.png (bees)\n"
                "note 1 of 3 samples are doubles of another, pixel by pixel\n",
                {.val = 0}},
        {"very different sizes",
                "ants/1.png=1 bees/01.png=101 bees/02.png=102 bees/03.png=103 bees/04.png=104 "
                "bees/05.png=105 bees/06.png=106 "
                "bees/07.png=107 bees/08.png=108 bees/09.png=109 bees/10.png=110 bees/11.png=111",
                NULL,
                "classes ants bees\ntrain ants/1.png:0 bees/01.png:1 bees/02.png:1 bees/03.png:1 "
                "bees/04.png:1 bees/05.png:1 "
                "bees/06.png:1 bees/07.png:1 bees/08.png:1 bees/09.png:1 bees/10.png:1 "
                "bees/11.png:1\n"
                "note classes are of very different sizes: bees has 11 training samples, ants has "
                "1\n",
                {.val = 0}},
        {"classes in another order", "ants/1.png=1 bees/2.png=2 wasps/3.png=3", NULL,
                "classes bees ants\ntrain ants/1.png:1 bees/2.png:0\n",
                {.classes = bees_first, .n_classes = 2}},
        {"one class", "ants/1.png=1 bees/2.jpg=cut", NULL, "classes ants\ntrain ants/1.png:0\n",
                {.classes = one_class, .n_classes = 1}},
        {"a class that is not there", "ants/1.png=1", NULL, "ARG DATA: no class wasps\n",
                {.classes = no_class, .n_classes = 1}},
        {"a class twice", "ants/1.png=1", NULL, "ARG class ants is wanted twice\n",
                {.classes = twice, .n_classes = 2}},
        {"a part that is no part", "ants/1.png=1", NULL,
                "ARG a validation part of 1.5 is not in 0 .. 1\n", {.val = 1.5}},
        {"a class with one picture cannot be split", "ants/1.png=1 ants/2.png=2 bees/3.png=3", NULL,
                NULL, {.val = 0.5}},

        {"manifest", "pictures/1.png=1 2.png=2 3.png=3", "# flowers\npath\tlabel\tsplit\n",
                "FORMAT DATA/m.tsv:2: split 'split' is none of train, val, test\n", {.val = 0}},
        {"manifest, heading", "pictures/1.png=1 2.png=2 3.png=3",
                "path\tlabel\tsplit\r\npictures/1.png\trose\ttrain\r\n\r\n# "
                "no\r\n2.png\tlily\t\r\n3.png\trose\tval", /* no newline */
                "classes lily rose\ntrain 2.png:0 pictures/1.png:1\nval 3.png:1\n", {.val = 0}},
        {"manifest, no splits", "1.png=1 2.png=2", "2.png\tb\n1.png\ta\n",
                "classes a b\ntrain 1.png:0 2.png:1\n", {.val = 0}},
        {"manifest, a line without a label", "1.png=1", "1.png\ta\n1.png\n",
                "FORMAT DATA/m.tsv:2: wants path, label and perhaps a split, with tabs between "
                "them\n",
                {.val = 0}},
        {"manifest, four columns", "1.png=1", "1.png\ta\ttrain\tmore\n",
                "FORMAT DATA/m.tsv:1: wants path, label and perhaps a split, with tabs between "
                "them\n",
                {.val = 0}},
        {"manifest of nothing", "1.png=1", "# nothing\n\n",
                "FORMAT DATA/m.tsv: names no pictures\n", {.val = 0}},
        {"manifest, missing picture", "1.png=1", "1.png\ta\n2.png\ta\n",
                "FORMAT DATA: 1 of 2 pictures cannot be read (--skip-bad goes on without them); "
                "the first is 2.png: No such file or "
                "directory\n",
                {.val = 0}},
        {"manifest, only other classes", "1.png=1 2.png=2", "1.png\tants\n2.png\tbees\n",
                "classes ants\ntrain 1.png:0\n", {.classes = one_class, .n_classes = 1}},
};

START_TEST(trees)
{
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char root[64], path[128];
                snprintf(path, sizeof path, "%s", new_root(root));
                grow(root, rows[i].spec);
                if (rows[i].manifest) {
                        snprintf(path, sizeof path, "%s/m.tsv", root);
                        save(path, (struct bytes){(unsigned char *)(uintptr_t)rows[i].manifest,
                                           strlen(rows[i].manifest)});
                }
                resect_data_options o = rows[i].o;
                o.threads = 1 + (int)(i % 3);
                char *text = report(path, root, o);
                const char *wants = rows[i].wants;
                if (wants && strstr(wants, "DATA: 1 of 2")) /* a manifest's own name */
                        ck_assert_msg(strstr(text, "DATA/m.tsv: 1 of 2") != NULL, "%s: %s",
                                rows[i].name, text);
                else if (wants)
                        ck_assert_msg(strcmp(text, wants) == 0, "%s:\n%s", rows[i].name, text);
                free(text);
                fell(root);
        }
}
END_TEST

START_TEST(not_data)
{
        char root[64], path[96];
        resect_error err;
        static const struct {
                const char *bytes;
                size_t size;
                const char *says;
        } files[] = {{"", 0, "an empty file"}, {"abc\0def", 7, "not a data set"},
                {"\0\0\x09\x03\0\0\0\1", 8, "'images' in its name"},
                {"\x1f\x8b\x08", 3, "'images' in its name"}};
        new_root(root);
        snprintf(path, sizeof path, "%s/file", root);
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                save(path,
                        (struct bytes){(unsigned char *)(uintptr_t)files[i].bytes, files[i].size});
                ck_assert_ptr_null(resect_data_open(path, NULL, &err));
                ck_assert_msg(
                        strstr(err.msg, files[i].says) && strstr(err.msg, path), "%s", err.msg);
        }
        remove(path);
        ck_assert_ptr_null(resect_data_open(path, NULL, &err));
        ck_assert_msg(err.code == RESECT_IO && strstr(err.msg, "No such file"), "%s", err.msg);
        ck_assert_int_eq(mkfifo(path, 0666), 0);
        ck_assert_ptr_null(resect_data_open(path, NULL, &err));
        ck_assert_msg(err.code == RESECT_IO && strstr(err.msg, "neither a folder"), "%s", err.msg);
        fell(root);
}
END_TEST

static resect_data *
open_ok(const char *path, resect_data_options o)
{
        resect_error err;
        resect_data *d = resect_data_open(path, &o, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        return d;
}

/* The side of a name, -1 when it is not there. */
static int
side_of(const resect_data *d, const char *name)
{
        for (int k = RESECT_TRAIN; k <= RESECT_VAL; k++)
                for (size_t i = 0; i < resect_data_count(d, (resect_split)k); i++)
                        if (strcmp(resect_data_name(d, (resect_split)k, i), name) == 0)
                                return k;
        return -1;
}

START_TEST(pictures_that_are_added_move_no_others)
{
        char root[64], spec[64], name[32];
        new_root(root);
        for (int i = 0; i < 60; i++) {
                snprintf(spec, sizeof spec, "%s/%d.png=%d", i % 2 ? "ants" : "bees", i, i);
                grow(root, spec);
        }
        resect_data *d = open_ok(root, (resect_data_options){.val = 0.25});
        size_t val = resect_data_count(d, RESECT_VAL);
        ck_assert_msg(val >= 6 && val <= 26, "%zu of 60 are validation", val);
        for (int i = 60; i < 120; i++) {
                snprintf(spec, sizeof spec, "%s/%d.png=%d", i % 2 ? "ants" : "bees", i, i);
                grow(root, spec);
        }
        grow(root, "ants/copy1.png=1 ants/copy3.png=3 ants/copy5.png=5 bees/copy0.png=0 "
                   "bees/copy2.png=2");
        resect_data *e = open_ok(root, (resect_data_options){.val = 0.25});
        for (int i = 0; i < 60; i++) {
                snprintf(name, sizeof name, "%s/%d.png", i % 2 ? "ants" : "bees", i);
                ck_assert_int_eq(side_of(d, name), side_of(e, name));
        }
        for (int i = 0; i < 6; i++) {
                char copy[32];
                snprintf(name, sizeof name, "%s/%d.png", i % 2 ? "ants" : "bees", i);
                snprintf(copy, sizeof copy, "%s/copy%d.png", i % 2 ? "ants" : "bees", i);
                if (i != 4)
                        ck_assert_int_eq(side_of(e, name), side_of(e, copy));
        }
        char a[65], b[65];
        resect_error err;
        CK_OK(resect_data_digest(d, a, &err), err);
        CK_OK(resect_data_digest(e, b, &err), err);
        ck_assert_str_ne(a, b);
        resect_data_free(e);
        e = open_ok(root, (resect_data_options){.val = 0.25, .threads = 3});
        CK_OK(resect_data_digest(e, a, &err), err);
        ck_assert_str_eq(a, b);
        resect_data_free(d);
        resect_data_free(e);
        fell(root);
}
END_TEST

/* Whatever the hashes: a class with two different pictures is on both sides, and so is every copy
 * with its original. */
START_TEST(small_classes_are_on_both_sides)
{
        for (int k = 0; k < 30; k++) {
                char root[64], spec[128];
                new_root(root);
                snprintf(spec, sizeof spec,
                        "ants/1.png=%d ants/2.png=%d bees/1.png=%d bees/2.png=%d bees/3.png=%d",
                        k * 4, k * 4 + 1, k * 4 + 2, k * 4 + 3, k * 4 + 2);
                grow(root, spec);
                resect_data *d = open_ok(root, (resect_data_options){.val = k % 2 ? 0.01 : 0.99});
                int sides[2][2] = {{0}};
                for (int s = RESECT_TRAIN; s <= RESECT_VAL; s++)
                        for (size_t i = 0; i < resect_data_count(d, (resect_split)s); i++)
                                sides[resect_data_label(d, (resect_split)s, i)][s]++;
                ck_assert(sides[0][0] == 1 && sides[0][1] == 1 && sides[1][0] && sides[1][1]);
                ck_assert_int_eq(side_of(d, "bees/1.png"), side_of(d, "bees/3.png"));
                resect_data_free(d);
                fell(root);
        }
}
END_TEST

START_TEST(a_limit_for_each_class)
{
        char root[64], spec[64];
        new_root(root);
        for (int i = 0; i < 30; i++) {
                snprintf(spec, sizeof spec, "%s/%d.png=%d", i % 3 ? "ants" : "bees", i, i);
                grow(root, spec);
        }
        resect_data *all = open_ok(root, (resect_data_options){.val = 0.3}),
                    *few = open_ok(root, (resect_data_options){.val = 0.3, .per_class = 3});
        ck_assert_uint_eq(resect_data_count(few, RESECT_TRAIN), 6);
        ck_assert_uint_eq(resect_data_count(few, RESECT_VAL), resect_data_count(all, RESECT_VAL));
        for (size_t i = 0; i < 6; i++)
                ck_assert_int_eq(
                        side_of(all, resect_data_name(few, RESECT_TRAIN, i)), RESECT_TRAIN);
        resect_data_free(all);
        resect_data_free(few);
        fell(root);
}
END_TEST

/* A picture with one other pixel looks the same, but is not equal. */
START_TEST(lookalikes_are_reported)
{
        char root[64], path[96];
        resect_error err;
        rs_picture p;
        rs_buf file = {0};
        new_root(root);
        grow(root, "train/ants/1.png=1 train/ants/x.png=3 val/ants/2.png=2");
        struct bytes b = numbered(3);
        CK_OK(rs_picture_decode(&p, (rs_span){b.data, b.size}, 3, &err), err);
        p.pixels[7] ^= 1;
        CK_OK(rs_png_encode(&p, &file, &err), err);
        snprintf(path, sizeof path, "%s/val/ants/y.png", root);
        save(path, (struct bytes){file.data, file.size});
        rs_picture_free(&p);
        rs_buf_free(&file);
        free(b.data);
        resect_data *d = open_ok(root, (resect_data_options){.val = 0});
        ck_assert_ptr_nonnull(resect_data_note(d, 0));
        ck_assert_str_eq(resect_data_note(d, 0),
                "1 of 2 pictures that are not trained on look like one that is; the first: "
                "val/ants/y.png and train/ants/x.png");
        ck_assert_ptr_null(resect_data_note(d, 1));
        resect_data_free(d);
        fell(root);
}
END_TEST

/* The search by parts against comparing each with each. */
START_TEST(lookalikes_by_brute_force)
{
        enum { N = 3000 };
        for (uint64_t round = 0; round < 4; round++) {
                static rs_sample samples[N];
                const char *classes[] = {"ants"};
                resect_error err;
                resect_data d = {
                        .samples = samples, .n_samples = N, .classes = classes, .n_classes = 1};
                size_t found = 0, others = 0;
                for (size_t i = 0; i < N;
                        i++) { /* half of them near an earlier one, at a distance of 0 to 7 bits */
                        uint64_t r = rs_below(round, 1, i, UINT64_MAX),
                                 near = rs_below(round, 2, i, 8);
                        if (i && i % 2)
                                for (r = samples[rs_below(round, 3, i, i)].look; near; near--)
                                        r ^= UINT64_C(1) << rs_below(round, 4 + near, i, 64);
                        samples[i] = (rs_sample){.name = "x",
                                .look = r,
                                .row = i,
                                .split = i % 3 ? RESECT_TRAIN : RESECT_VAL};
                        memcpy(samples[i].hash, &i, sizeof i);
                }
                for (size_t i = 0; i < N; i++) {
                        bool hit = false;
                        for (size_t k = 0; k < N; k++)
                                hit = hit || (samples[k].split == RESECT_TRAIN &&
                                                     __builtin_popcountll(samples[i].look ^
                                                                          samples[k].look) <= 4);
                        found += hit && samples[i].split == RESECT_VAL;
                        others += samples[i].split == RESECT_VAL;
                }
                CK_OK(rs_data_compare(&d, &err), err);
                unsigned long told = 0, of = 0;
                ck_assert(d.n_notes == 1 &&
                          sscanf(d.notes[0].text, "%lu of %lu pictures", &told, &of) == 2);
                ck_assert(found > 100 && told == found && of == others);
                rs_arena_free(&d.arena);
        }
}
END_TEST

/* 123 ants, 121 bees, and a GIF that is called .jpg: under one in a hundred, so it is skipped and
 * counted. */
START_TEST(real_pictures)
{
        char path[1024];
        const char *real = getenv("RESECT_REAL");
        snprintf(path, sizeof path, "%s/pictures/hymenoptera", real ? real : "");
        if (access(path, R_OK) != 0) {
                fprintf(stderr, "SKIPPED: no pictures in %s\n", path);
                return;
        }
        resect_data *d = open_ok(path, (resect_data_options){0});
        size_t count[2][2] = {{0}};
        for (int s = RESECT_TRAIN; s <= RESECT_VAL; s++)
                for (size_t i = 0; i < resect_data_count(d, (resect_split)s); i++)
                        count[s][resect_data_label(d, (resect_split)s, i)]++;
        ck_assert(
                count[0][0] == 123 && count[0][1] == 121 && count[1][0] == 70 && count[1][1] == 83);
        const char *name, *why;
        ck_assert_uint_eq(resect_data_skipped_count(d), 1);
        ck_assert(resect_data_skipped(d, 0, &name, &why) && strstr(name, "train/ants/") &&
                  strstr(why, "a GIF file"));
        resect_data_free(d);
}
END_TEST

UNIT_MAIN("data trees", trees, not_data, pictures_that_are_added_move_no_others,
        small_classes_are_on_both_sides, a_limit_for_each_class, lookalikes_are_reported,
        lookalikes_by_brute_force, real_pictures)
