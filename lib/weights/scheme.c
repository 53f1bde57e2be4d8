/* SPDX-License-Identifier: 0BSD */
/* Names out of places: the patterns of a scheme, filled in. */
#include "weights/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME(name) extern const rs_scheme rs_scheme_##name;
#include "weights/schemes.h"
#undef SCHEME

static const rs_scheme *const schemes[] = {
#define SCHEME(name) &rs_scheme_##name,
#include "weights/schemes.h"
#undef SCHEME
};

enum { N_SCHEMES = sizeof schemes / sizeof *schemes, VARIABLE_MAX = 32 };

const rs_scheme *
rs_scheme_list(size_t i)
{
        return i < N_SCHEMES ? schemes[i] : NULL;
}

const rs_scheme *
rs_scheme_find(const char *name)
{
        for (size_t i = 0; i < N_SCHEMES; i++)
                if (!strcmp(schemes[i]->name, name))
                        return schemes[i];
        return NULL;
}

int
rs_net_depth(const rs_net *net)
{
        int n = 0;
        for (int i = 0; i < net->n_stages; i++)
                n += net->blocks[i];
        return 2 + n * (net->bottleneck ? 3 : 2);
}

/* What a name is made of. */
struct making {
        const rs_scheme *scheme;
        const rs_net *net;
        const rs_place *at;
        int alternative;    /* of the variables */
        const char *module; /* for {m}: a pattern, and its length */
        size_t module_size;
        char *out;
        size_t used;
        bool varied; /* a variable of the scheme's own was asked for */
};

static bool
put(struct making *m, const char *s, size_t n)
{
        if (n >= RS_NAME_MAX - m->used)
                return false;
        memcpy(m->out + m->used, s, n);
        m->out[m->used += n] = '\0';
        return true;
}

static int
flat_block(const rs_net *net, const rs_place *at)
{
        int n = at->block;
        for (int s = 1; s < at->stage && s <= net->n_stages; s++)
                n += net->blocks[s - 1];
        return n;
}

/* The text of a variable with nothing of the scheme's own: a letter and perhaps a shift. */
static bool
common_variable(const struct making *m, const char *v, char out[VARIABLE_MAX])
{
        int n;
        switch (v[0]) {
        case 's':
                n = m->at->stage;
                break;
        case 'b':
                n = m->at->block;
                break;
        case 'c':
                n = m->at->conv;
                break;
        case 'i':
                n = flat_block(m->net, m->at);
                break;
        case 'd':
                n = rs_net_depth(m->net);
                break;
        case 'a':
                n = m->at->conv;
                break;
        default:
                return false;
        }
        if (v[1] && (v[0] == 'a' || (v[1] != '+' && v[1] != '-') || !v[2] ||
                            strspn(v + 2, "0123456789") != strlen(v + 2)))
                return false;
        if (v[1])
                n += atoi(v + 1);
        if (v[0] == 'a')
                snprintf(out, VARIABLE_MAX, "%c", 'a' + (n - 1) % 26);
        else
                snprintf(out, VARIABLE_MAX, "%d", n);
        return true;
}

static bool fill(struct making *m, const char *pattern, size_t size, bool inner);

static bool
put_variable(struct making *m, const char *v, bool inner)
{
        char text[RS_NAME_MAX];
        if (!strcmp(v, "m"))
                return !inner && fill(m, m->module, m->module_size, true);
        if (common_variable(m, v, text))
                return put(m, text, strlen(text));
        m->varied = true;
        return m->scheme->variable &&
               m->scheme->variable(v, m->net, m->at, m->alternative, text, sizeof text) &&
               put(m, text, strlen(text));
}

static bool
fill(struct making *m, const char *p, size_t size, bool inner)
{
        const char *end = p + size;
        while (p < end) {
                const char *brace = memchr(p, '{', (size_t)(end - p)), *close;
                char v[VARIABLE_MAX];
                if (!brace)
                        return put(m, p, (size_t)(end - p));
                close = memchr(brace, '}', (size_t)(end - brace));
                if (!close || close - brace > VARIABLE_MAX || !put(m, p, (size_t)(brace - p)))
                        return false;
                memcpy(v, brace + 1, (size_t)(close - brace - 1));
                v[close - brace - 1] = '\0';
                if (!put_variable(m, v, inner))
                        return false;
                p = close + 1;
        }
        return true;
}

static int
count_of(const char *pattern)
{
        int n = 1;
        for (; *pattern; pattern++)
                n += *pattern == '|';
        return n;
}

/* Alternative k of a pattern. */
static const char *
pick(const char *pattern, int k, size_t *size)
{
        for (; k > 0; k--)
                pattern = strchr(pattern, '|') + 1;
        *size = strcspn(pattern, "|");
        return pattern;
}

static const char *
module_pattern(const rs_scheme *s, const rs_net *net, const rs_place *at)
{
        bool deep = net->stem > 1;
        if (deep && (at->module == RS_STEM_CONV || at->module == RS_STEM_BN))
                return (at->module == RS_STEM_CONV ? s->deep_conv : s->deep_bn)[(at->conv - 1) % 3];
        if (net->down_pool && at->module == RS_DOWN_CONV && s->pooled_conv)
                return s->pooled_conv;
        if (net->down_pool && at->module == RS_DOWN_BN && s->pooled_bn)
                return s->pooled_bn;
        return s->modules[at->module];
}

bool
rs_scheme_name(const rs_scheme *s, const rs_net *net, const rs_place *at, rs_role role,
        int alternative, char out[RS_NAME_MAX])
{
        const char *module = module_pattern(s, net, at), *slot = s->slots[role];
        if (!module || !slot || alternative < 0)
                return false;
        /* Alternatives of the slot turn fastest, then those of the module, then the variables'. */
        int slots = count_of(slot), modules = count_of(module);
        struct making m = {.scheme = s,
                .net = net,
                .at = at,
                .alternative = alternative / (slots * modules),
                .out = out};
        size_t size;
        slot = pick(slot, alternative % slots, &size);
        m.module = pick(module, alternative / slots % modules, &m.module_size);
        out[0] = '\0';
        if (m.alternative && !s->variable)
                return false;
        return fill(&m, slot, size, false) && (m.varied || !m.alternative);
}

bool
rs_scheme_prefix(const rs_scheme *s, const rs_net *net, char out[RS_NAME_MAX])
{
        const rs_place nowhere = {.conv = 1};
        struct making m = {.scheme = s,
                .net = net,
                .at = &nowhere,
                .out = out,
                .module = "",
                .module_size = 0};
        out[0] = '\0';
        return s->prefix && fill(&m, s->prefix, strlen(s->prefix), false);
}
