/* SPDX-License-Identifier: 0BSD */
/* Parts by name, on top of the anatomy. */
#include "edit/parts.h"

#include <stdio.h>
#include <string.h>

bool
rs_parts_find(rs_surgery *s, rs_parts *p, resect_error *err)
{
        p->anatomy = resect_anatomy_find(s->m, err);
        p->sum = p->anatomy != NULL ? resect_anatomy_summary(p->anatomy) : NULL;
        return p->anatomy != NULL;
}

void
rs_parts_free(rs_parts *p)
{
        resect_anatomy_free(p->anatomy);
        p->anatomy = NULL;
}

/* Digits at *s, five at most. */
static bool
number(const char **s, int *out)
{
        int n = 0, v = 0;
        for (; **s >= '0' && **s <= '9' && n < 5; n++, (*s)++)
                v = v * 10 + (**s - '0');
        *out = v;
        return n > 0;
}

bool
rs_part_read(const char *name, rs_part_id *id)
{
        static const struct {
                const char *name;
                int stage;
        } ends[] = {{"stem", RS_PART_STEM}, {"pool", RS_PART_POOL}, {"head", RS_PART_HEAD}};
        *id = (rs_part_id){0, -1};
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
                const size_t n = strlen(ends[i].name);
                if (strncmp(name, ends[i].name, n) == 0 && (name[n] == '\0' || name[n] == '.')) {
                        id->stage = ends[i].stage;
                        return true;
                }
        }
        if (strncmp(name, "layer", 5) != 0)
                return false;
        name += 5;
        if (!number(&name, &id->stage) || id->stage == 0)
                return false;
        if (*name == '\0')
                return true;
        if (*name++ != '.')
                return false;
        return number(&name, &id->block) && (*name == '\0' || *name == '.');
}

bool
rs_part_parse(
        const rs_parts *p, const char *what, const char *text, rs_part_id *id, resect_error *err)
{
        const char *dots = strchr(text, '.');
        bool plain = rs_part_read(text, id) && (dots == NULL || strchr(dots + 1, '.') == NULL);
        if (plain && id->stage != RS_PART_STEM && id->stage < RS_PART_POOL && p->sum->n_blocks == 0)
                return rs_fail(err, RESECT_GRAPH,
                        "%s: the model is no residual network, so that it has no %s", what, text);
        for (size_t i = 0; plain && i < resect_anatomy_part_count(p->anatomy); i++) {
                const resect_part *part = resect_anatomy_part(p->anatomy, i);
                rs_part_id that;
                if (!rs_part_read(part->name, &that) || that.stage != id->stage)
                        continue;
                if (id->block < part->blocks || id->block < 0)
                        return true;
                return rs_fail(err, RESECT_ARG,
                        "%s: there is no %s; %s has the blocks %s.0 to %s.%d", what, text,
                        part->name, part->name, part->name, part->blocks - 1);
        }
        char list[256] = "";
        size_t at = 0;
        for (size_t i = 0; i < resect_anatomy_part_count(p->anatomy) && at < sizeof list; i++)
                at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "",
                        resect_anatomy_part(p->anatomy, i)->name);
        return rs_fail(err, RESECT_ARG, "%s: there is no %s; the parts are %s", what, text,
                list[0] ? list : "not to be told");
}

bool
rs_part_of_tensor(const rs_parts *p, const char *tensor, rs_part_id *id)
{
        const char *part = resect_anatomy_tensor_part(p->anatomy, tensor);
        return part != NULL && rs_part_read(part, id);
}

int
rs_part_compare(rs_part_id a, rs_part_id b)
{
        if (a.stage != b.stage)
                return a.stage < b.stage ? -1 : 1;
        if (a.block < 0 || b.block < 0 || a.block == b.block)
                return 0;
        return a.block < b.block ? -1 : 1;
}

bool
rs_parts_match(const rs_parts *p, const char *pattern, const char *tensor)
{
        const char *part = resect_anatomy_tensor_part(p->anatomy, tensor);
        const char *canonical = resect_anatomy_tensor_canonical(p->anatomy, tensor);
        return rs_glob(pattern, tensor) || (part != NULL && rs_glob(pattern, part)) ||
               (canonical != NULL && rs_glob(pattern, canonical));
}

const resect_part *
rs_part_named(const rs_parts *p, const char *name)
{
        for (size_t i = 0; i < resect_anatomy_part_count(p->anatomy); i++)
                if (strcmp(resect_anatomy_part(p->anatomy, i)->name, name) == 0)
                        return resect_anatomy_part(p->anatomy, i);
        return NULL;
}
