/* SPDX-License-Identifier: 0BSD */
/*
 * Names of networks, and what they stand for. ResNets of ImageNet and of CIFAR: He et al.
 * (arXiv:1512.03385, tables 1 and 6); ResNeXt: Xie et al. (arXiv:1611.05431); wide ones: Zagoruyko
 * and Komodakis (arXiv:1605.07146), as torchvision has them; c, d and s stems: He et al., "Bag of
 * tricks" (arXiv:1812.01187), as timm has them.
 */
#include "edit/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct net {
        const char *name;
        int blocks[4];
        bool bottleneck;
        int groups, group_width;
} nets[] = {
        {"resnet18", {2, 2, 2, 2}, false, 1, 64},
        {"resnet34", {3, 4, 6, 3}, false, 1, 64},
        {"resnet50", {3, 4, 6, 3}, true, 1, 64},
        {"resnet101", {3, 4, 23, 3}, true, 1, 64},
        {"resnet152", {3, 8, 36, 3}, true, 1, 64},
        {"resnext50_32x4d", {3, 4, 6, 3}, true, 32, 4},
        {"resnext101_32x8d", {3, 4, 23, 3}, true, 32, 8},
        {"resnext101_64x4d", {3, 4, 23, 3}, true, 64, 4},
        {"wide_resnet50_2", {3, 4, 6, 3}, true, 1, 128},
        {"wide_resnet101_2", {3, 4, 23, 3}, true, 1, 128},
};

int64_t
rs_recipe_inner(const rs_recipe *r, int64_t width)
{
        return width * r->group_width / 64 * r->groups;
}

/* CIFAR's: 6n + 2 layers in three stages of n blocks. */
static bool
small_net(const char *name, rs_recipe *r)
{
        static const int depths[] = {20, 32, 44, 56, 110};
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
                char own[16];
                snprintf(own, sizeof own, "resnet%d", depths[i]);
                if (strcmp(own, name) != 0)
                        continue;
                r->n_stages = 3;
                for (int s = 0; s < 3; s++)
                        r->blocks[s] = (depths[i] - 2) / 6;
                r->width = 16;
                r->stem = RS_STEM_SMALL;
                r->size[0] = r->size[1] = 32;
                return true;
        }
        return false;
}

/* c, d or s behind a plain ResNet's name. */
static void
take_letter(rs_recipe *r, char letter)
{
        r->stem = RS_STEM_DEEP;
        r->skip = letter == 'd' ? RS_SKIP_POOL : RS_SKIP_CONV;
        if (letter == 's') {
                r->stem_width[0] = r->stem_width[1] = 64;
                r->stem_width[2] = 128;
        }
}

static bool
take_name(const char *name, rs_recipe *r, resect_error *err)
{
        size_t n = strlen(name);
        char letter = n ? name[n - 1] : '\0';
        bool lettered = letter == 'c' || letter == 'd' || letter == 's';
        *r = (rs_recipe){.width = 64, .groups = 1, .group_width = 64, .size = {224, 224}};
        snprintf(r->name, sizeof r->name, "%s", name);
        if (small_net(name, r))
                return true;
        for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
                const struct net *net = &nets[i];
                bool plain = net->groups == 1 && net->group_width == 64,
                     whole = !strcmp(net->name, name);
                if (!whole && !(plain && lettered && n == strlen(net->name) + 1 &&
                                      !strncmp(net->name, name, n - 1)))
                        continue;
                r->n_stages = 4;
                memcpy(r->blocks, net->blocks, sizeof net->blocks);
                r->bottleneck = net->bottleneck;
                r->groups = net->groups;
                r->group_width = net->group_width;
                if (!whole)
                        take_letter(r, letter);
                return true;
        }
        return rs_fail(err, RESECT_ARG,
                "%s is not a network that is made here: resnet18, 34, 50, 101 or 152 (with c, d or "
                "s for timm's), resnet20, 32, "
                "44, 56 or 110 for CIFAR, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d, "
                "wide_resnet50_2, "
                "wide_resnet101_2",
                name);
}

/* "A,B,C" into at most most numbers; how many there are into *n. */
static bool
numbers(rs_surgery *s, const char *what, size_t most, int64_t least, int64_t top, int64_t *out,
        size_t *n, resect_error *err)
{
        const char **item, *given = rs_setting(s, what);
        char option[32];
        snprintf(option, sizeof option, "--%s", what);
        *n = 0;
        if (given == NULL)
                return true;
        if (!rs_split(&s->arena, option, given, ',', &item, n, err))
                return false;
        if (*n > most)
                return rs_fail(err, RESECT_ARG, "%s: \"%s\" is more than %zu numbers", option,
                        given, most);
        for (size_t i = 0; i < *n; i++)
                if (!rs_parse_int(option, item[i], least, top, &out[i], err))
                        return false;
        return true;
}

/* One of the words, into *out as its number; as it was when the option is absent. */
static bool
word(const rs_surgery *s, const char *what, const char *const *words, int *out, resect_error *err)
{
        const char *given = rs_setting(s, what);
        char all[128] = "";
        if (given == NULL)
                return true;
        for (int i = 0; words[i] != NULL; i++) {
                if (strcmp(words[i], given) == 0) {
                        *out = i;
                        return true;
                }
                size_t used = strlen(all);
                snprintf(all + used, sizeof all - used, "%s%s",
                        i == 0                 ? ""
                        : words[i + 1] != NULL ? ", "
                                               : " or ",
                        words[i]);
        }
        return rs_fail(err, RESECT_ARG, "--%s: \"%s\" is not %s", what, given, all);
}

static bool
take_stem(rs_surgery *s, rs_recipe *r, resect_error *err)
{
        static const char *const stems[] = {"large", "small", "deep", NULL};
        int stem = (int)r->stem;
        size_t n, want;
        int64_t widths[3];
        if (!word(s, "stem", stems, &stem, err) ||
                !numbers(s, "stem-width", 3, 1, 1 << 16, widths, &n, err))
                return false;
        r->stem = (rs_stem_kind)stem;
        want = r->stem == RS_STEM_DEEP ? 3 : 1;
        if (n > 0 && n != want)
                return rs_fail(err, RESECT_ARG, "--stem-width: a %s stem has %zu width%s",
                        stems[stem], want, want == 1 ? "" : "s");
        if (n == 0 && r->stem_width[0] == 0) {
                r->stem_width[0] = r->stem == RS_STEM_DEEP ? (r->width + 1) / 2 : r->width;
                r->stem_width[1] = r->stem_width[0];
                r->stem_width[2] = r->width;
        }
        for (size_t i = 0; i < n; i++)
                r->stem_width[i] = widths[i];
        return true;
}

static bool
take_blocks(rs_surgery *s, rs_recipe *r, resect_error *err)
{
        int64_t blocks[RS_RECIPE_STAGES];
        size_t n;
        if (!numbers(s, "blocks", RS_RECIPE_STAGES, 1, 1000, blocks, &n, err))
                return false;
        if (n == 0)
                return true;
        r->n_stages = (int)n;
        for (size_t i = 0; i < n; i++)
                r->blocks[i] = (int)blocks[i];
        snprintf(r->name, sizeof r->name, "resnet");
        return true;
}

bool
rs_recipe_read(rs_surgery *s, rs_recipe *r, resect_error *err)
{
        static const char *const kinds[] = {"v1", "v1.5", "v2", NULL}, *const skips[] = {"conv",
                                                                               "pool", "bare",
                                                                               "pad", NULL};
        const char *name = rs_setting(s, "name");
        int kind = RS_V15, skip;
        size_t n;
        if (name == NULL)
                return rs_fail(err, RESECT_ARG,
                        "which network? resnet18, resnet34, resnet50, resnet101, resnet152 (--help "
                        "lists all)");
        if (!take_name(name, r, err) || !take_blocks(s, r, err) ||
                !word(s, "variant", kinds, &kind, err) ||
                !rs_setting_int(s, "width", 1, 1 << 16, r->width, &r->width, err) ||
                !rs_setting_int(s, "groups", 1, 1 << 16, r->groups, &r->groups, err) ||
                !rs_setting_int(
                        s, "group-width", 1, 1 << 16, r->group_width, &r->group_width, err) ||
                !take_stem(s, r, err))
                return false;
        skip = (int)r->skip;
        if (!word(s, "shortcut", skips, &skip, err))
                return false;
        r->kind = (rs_recipe_kind)kind;
        r->skip = (rs_skip)skip;
        r->skip_first = rs_given(s, "shortcut-first");
        if (r->skip_first && r->skip == RS_SKIP_PAD)
                return rs_fail(err, RESECT_ARG,
                        "--shortcut-first is of shortcuts with a Conv, --shortcut pad has none");
        if (!r->bottleneck && (r->groups != 1 || r->group_width != 64))
                return rs_fail(err, RESECT_ARG,
                        "--groups and --group-width are of bottlenecks; %s has basic blocks", name);
        if (r->width * r->group_width % 64 != 0 || (r->width << (r->n_stages - 1)) > 1 << 20)
                return rs_fail(err, RESECT_ARG,
                        "--width %lld, --group-width %lld: no whole number of channels, or too "
                        "many",
                        (long long)r->width, (long long)r->group_width);
        if (r->kind == RS_V2 && r->skip == RS_SKIP_BARE)
                return rs_fail(err, RESECT_ARG,
                        "--shortcut bare: a v2 network's shortcuts have no norm in any case");
        if (!numbers(s, "size", 2, 1, 1 << 16, r->size, &n, err))
                return false;
        if (n == 1)
                r->size[1] = r->size[0];
        return true;
}
