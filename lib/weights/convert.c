/* SPDX-License-Identifier: 0BSD */
/* Reading weights and saying what they are; and the account of a conversion. */
#include "weights/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "tensor/dtype.h"

bool
resect_weights_format_at(size_t i, resect_weights_format *out)
{
        const rs_format *f = rs_format_list(i);
        if (!f)
                return false;
        *out = (resect_weights_format){.name = f->name,
                .help = f->help,
                .suffix = f->suffixes[0] ? f->suffixes[0] : "",
                .reads = f->read != NULL,
                .writes = f->write != NULL,
                .many = f->many,
                .graph = f->graph};
        return true;
}

const char *
resect_weights_format_of(const char *path)
{
        const rs_format *f = rs_format_by_suffix(path);
        return f ? f->name : NULL;
}

bool
resect_weights_names_at(size_t i, resect_weights_names *out)
{
        const rs_scheme *s = rs_scheme_list(i);
        if (s)
                *out = (resect_weights_names){s->name, s->help};
        return s;
}

/* "resnet101", or the blocks of each stage. */
static void
name_family(const rs_net *net, char *out, size_t size)
{
        static const struct {
                bool bottleneck;
                int blocks[4];
        } known[] = {{false, {2, 2, 2, 2}}, {false, {3, 4, 6, 3}}, {true, {3, 4, 6, 3}},
                {true, {3, 4, 23, 3}}, {true, {3, 8, 36, 3}}, {true, {3, 24, 36, 3}}};
        bool equal = net->n_stages == 3 && !net->bottleneck && net->blocks[0] == net->blocks[1] &&
                     net->blocks[1] == net->blocks[2];
        for (size_t i = 0; i < sizeof known / sizeof *known && net->n_stages == 4; i++)
                equal |= known[i].bottleneck == net->bottleneck &&
                         !memcmp(known[i].blocks, net->blocks, sizeof known[i].blocks);
        if (equal) {
                snprintf(out, size, "resnet%d", rs_net_depth(net));
                return;
        }
        int n = snprintf(out, size, "residual network");
        for (int i = 0; i < net->n_stages && n > 0 && (size_t)n < size; i++)
                n += snprintf(out + n, size - (size_t)n, "%c%d", i ? '-' : ' ', net->blocks[i]);
}

static void
describe(resect_weights *w)
{
        resect_weights_info *i = &w->info;
        const rs_set *set = &w->set;
        i->recognised = set->n > 0;
        i->why_not = i->recognised ? NULL : w->why.msg;
        if (w->checkpoint) {
                i->path = w->checkpoint->path;
                i->format = w->checkpoint->format->name;
                i->n_tensors = w->checkpoint->n_entries;
                i->n_skipped = w->checkpoint->n_skipped;
        } else {
                i->path = w->model->path ? w->model->path : "-";
                i->format = "onnx";
                i->n_tensors = w->model->graph.n_tensors;
        }
        if (!i->recognised)
                return;
        i->names = w->checkpoint ? set->scheme->name : "onnx";
        i->prefix = set->prefix;
        name_family(&set->net, i->family, sizeof i->family);
        rs_variant_words(&set->variant, &set->net, i->variant);
        i->classes = set->net.head ? set->net.classes : 0;
        i->bn_folded = set->bn_folded;
        i->input = !w->checkpoint         ? resect_model_meta(w->model, "resect.input")
                   : w->checkpoint->input ? w->checkpoint->input
                   : rs_large_stem(set)   ? set->scheme->input
                                          : NULL;
}

/* Weights that nobody recognises are described, too; of all that may go wrong only a lack of memory
 * ends it. */
static resect_weights *
described(resect_weights *w, bool recognised, resect_error *err)
{
        if (!recognised)
                rs_set_free(&w->set);
        if (!recognised && w->why.code == RESECT_NOMEM) {
                resect_weights_free(w);
                return RS_NOMEM_NULL(err);
        }
        describe(w);
        return w;
}

resect_weights *
resect_weights_of_model(resect_model *m, resect_error *err)
{
        resect_weights *w = rs_alloc(1, sizeof *w, err);
        if (!w)
                return NULL;
        w->model = m;
        bool found = rs_set_of_model(&w->set, m, &w->why);
        if (found)
                w->set.variant = rs_variant_of_model(&w->set);
        return described(w, found, err);
}

resect_weights *
rs_weights_of_checkpoint(rs_checkpoint *c, const rs_scheme *scheme, resect_error *err)
{
        resect_weights *w = rs_alloc(1, sizeof *w, err);
        if (!w) {
                rs_checkpoint_free(c);
                return NULL;
        }
        w->checkpoint = c;
        bool found = rs_set_of_checkpoint(&w->set, c, scheme, &w->why);
        if (found) {
                w->set.variant = rs_variant_of_scheme(w->set.scheme, &w->set.net);
                rs_variant_hear(&w->set, &w->set.variant);
        }
        return described(w, found, err);
}

/* An ONNX file has no magic: it is what no checkpoint format claims and the model reader takes. */
static resect_weights *
read_model(const char *path, const resect_weights_options *o, const resect_error *why,
        resect_error *err)
{
        resect_model *m = resect_model_read(path, o ? &o->read : NULL, err);
        if (!m && err && why && err->code == RESECT_FORMAT)
                *err = *why;
        resect_weights *w = m ? resect_weights_of_model(m, err) : NULL;
        if (w)
                w->own_model = true;
        else
                resect_model_free(m);
        return w;
}

static bool
ends_in_onnx(const char *path)
{
        size_t n = strlen(path);
        return (n > 5 && !strcmp(path + n - 5, ".onnx")) ||
               (n > 8 && !strcmp(path + n - 8, ".onnx.gz"));
}

resect_weights *
resect_weights_read(const char *path, const resect_weights_options *o, resect_error *err)
{
        const rs_format *format = NULL;
        const rs_scheme *scheme = NULL;
        resect_error first = {0};
        const char *wanted = o ? o->format : NULL;
        if (o && o->names && !(scheme = rs_scheme_find(o->names)))
                return RS_FAIL_NULL(err, RESECT_ARG, "there are no names called '%s'", o->names);
        if (wanted ? !strcmp(wanted, "onnx") : ends_in_onnx(path))
                return read_model(path, o, NULL, err);
        if (wanted && !(format = rs_format_find(wanted)))
                return RS_FAIL_NULL(err, RESECT_ARG,
                        "there is no format called '%s' (resect-convert --names lists them)",
                        wanted);
        rs_checkpoint *c = rs_checkpoint_read(path, format, o ? o->read.max_size : 0, &first);
        if (c)
                return rs_weights_of_checkpoint(c, scheme, err);
        if (first.code == RESECT_UNSUPPORTED && !format && strcmp(path, "-") != 0)
                return read_model(path, o, &first, err);
        if (err)
                *err = first;
        return NULL;
}

void
resect_weights_free(resect_weights *w)
{
        if (!w)
                return;
        rs_set_free(&w->set);
        rs_checkpoint_free(w->checkpoint);
        if (w->own_model)
                resect_model_free(w->model);
        rs_free(w);
}

const resect_weights_info *
resect_weights_info_of(const resect_weights *w)
{
        return &w->info;
}

bool
resect_weights_tensor(
        const resect_weights *w, size_t i, resect_tensor_info *out, const char **meaning)
{
        static _Thread_local char name[RS_NAME_MAX];
        if (i >= w->info.n_tensors)
                return false;
        if (meaning)
                *meaning = NULL;
        if (w->model) {
                bool ok = resect_model_tensor(w->model, i, out);
                if (ok && meaning && w->set.anatomy)
                        *meaning = resect_anatomy_tensor_canonical(w->set.anatomy, out->name);
                return ok;
        }
        const rs_entry *e = &w->checkpoint->entries[i];
        *out = (resect_tensor_info){.name = e->name,
                .dtype = (resect_dtype)e->dtype,
                .rank = e->rank,
                .dims = e->dims,
                .size = e->bytes};
        const struct rs_taken *t = meaning && w->set.taken ? &w->set.taken[i] : NULL;
        if (t && t->taken) {
                rs_canonical_name(&w->set.net, &t->at, t->role, name);
                *meaning = name[0] ? name : NULL;
        }
        return true;
}

bool
resect_weights_values(const resect_weights *w, size_t i, resect_tensor *out, resect_error *err)
{
        *out = (resect_tensor){0};
        if (i >= w->info.n_tensors)
                return rs_fail(err, RESECT_ARG, "there is no tensor %zu", i);
        if (w->model)
                return resect_model_tensor_values(
                        w->model, w->model->graph.tensors[i]->name, out, err);
        const rs_entry *e = &w->checkpoint->entries[i];
        rs_arena scratch = {0};
        rs_span bytes;
        bool ok = rs_entry_bytes(e, &scratch, &bytes, err) &&
                  resect_tensor_make(out, (resect_dtype)e->dtype, e->rank, e->dims, err);
        if (ok && bytes.size)
                rs_from_little(out->data, bytes.data, e->dtype, e->count);
        rs_arena_free(&scratch);
        return ok;
}

bool
resect_weights_skipped(const resect_weights *w, size_t i, const char **name, const char **why)
{
        if (!w->checkpoint || i >= w->checkpoint->n_skipped)
                return false;
        *name = w->checkpoint->skipped[i].name;
        *why = w->checkpoint->skipped[i].why;
        return true;
}

bool
resect_weights_meta(const resect_weights *w, size_t i, const char **key, const char **value)
{
        if (!w->checkpoint || i >= w->checkpoint->n_meta)
                return false;
        *key = w->checkpoint->meta[i].key;
        *value = w->checkpoint->meta[i].value;
        return true;
}

/* The account
 * --------------------------------------------------------------------------------------------------------------
 */

void
rs_convert_note(const resect_convert_options *o, const char *fmt, ...)
{
        char line[512];
        va_list ap;
        if (!o || !o->note)
                return;
        va_start(ap, fmt);
        vsnprintf(line, sizeof line, fmt, ap);
        va_end(ap);
        o->note(o->ctx, line);
}

bool
rs_ledger_start(rs_ledger *l, const resect_weights *w, resect_conversion *sum, resect_error *err)
{
        *l = (rs_ledger){.w = w, .sum = sum, .err = err};
        *sum = (resect_conversion){.exact = true};
        l->n_source = w->info.n_tensors;
        l->source = RS_NEW(&l->arena, l->n_source + 1, rs_fate, err);
        for (size_t i = 0; l->source && i < l->n_source; i++) {
                l->source[i].tensor = w->model ? w->model->graph.tensors[i]->name
                                               : w->checkpoint->entries[i].name;
                if (w->model &&
                        !rs_map_put(&l->names, l->source[i].tensor, &l->source[i], NULL, err))
                        return false;
        }
        return l->source;
}

/* Which of the source's tensors an entry is; of a model several entries can be one initializer. */
static rs_fate *
fate_of(rs_ledger *l, const rs_entry *e)
{
        const resect_weights *w = l->w;
        if (!e)
                return NULL;
        if (w->checkpoint) {
                size_t i = (size_t)(e - w->checkpoint->entries);
                return i < l->n_source ? &l->source[i] : NULL;
        }
        return rs_map_get(&l->names, ((const struct rs_own_tensor *)e->ctx)->t->name);
}

void
rs_used(rs_ledger *l, const rs_entry *e, const char *where)
{
        rs_fate *f = fate_of(l, e);
        if (f) {
                f->state = "used";
                f->detail = rs_arena_strdup(&l->arena, where ? where : "", NULL);
        }
}

void
rs_dropped(rs_ledger *l, const rs_entry *e, const char *why)
{
        rs_fate *f = fate_of(l, e);
        if (f && !f->state) {
                f->state = "dropped";
                f->detail = rs_arena_strdup(&l->arena, why, NULL);
        }
}

bool
rs_filled(rs_ledger *l, const char *tensor, const char *state, const char *detail)
{
        if (l->n_result == l->cap_result) {
                size_t cap = l->cap_result * 2 + 256;
                rs_fate *more = RS_NEW(&l->arena, cap, rs_fate, l->err);
                if (!more)
                        return false;
                if (l->n_result)
                        memcpy(more, l->result, l->n_result * sizeof *more);
                l->result = more;
                l->cap_result = cap;
        }
        rs_fate *f = &l->result[l->n_result++];
        f->tensor = rs_arena_strdup(&l->arena, tensor, l->err);
        f->detail = rs_arena_strdup(&l->arena, detail ? detail : "", l->err);
        f->state = state;
        return f->tensor && f->detail;
}

void
rs_unit_used(rs_ledger *l, const rs_unit *from, const char *const names[6])
{
        rs_used(l, from->weight, names[0]);
        rs_used(l, from->bias,
                names[1]             ? names[1]
                : names[2 + RS_MEAN] ? names[2 + RS_MEAN]
                                     : names[2 + RS_BETA]);
        for (int i = 0; i < 4; i++)
                rs_used(l, from->norm[i], names[2 + i] ? names[2 + i] : names[1]);
        rs_used(l, from->factor, names[2 + RS_VAR] ? names[2 + RS_VAR] : names[1]);
        rs_dropped(l, from->fixed, "taken as 1, as it was when it was trained (fix_gamma)");
        rs_dropped(l, from->count, "a counter of batches: no part of the function");
}

static void
tell(const resect_convert_options *o, bool result, const rs_fate *f)
{
        const resect_account a = {result, f->tensor, f->state, f->detail ? f->detail : ""};
        if (o && o->account)
                o->account(o->ctx, &a);
}

void
rs_ledger_end(rs_ledger *l, const resect_convert_options *o)
{
        resect_conversion *s = l->sum;
        for (size_t i = 0; l->source && i < l->n_source; i++) {
                rs_fate *f = &l->source[i];
                const rs_tensor *t = l->w->model ? l->w->model->graph.tensors[i] : NULL;
                if (!f->state && t &&
                        (t->dtype == RESECT_INT64 || t->dtype == RESECT_INT32 || t->count <= 1)) {
                        f->state =
                                "dropped"; /* shapes, axes, scalars that the graph computes with */
                        f->detail = "a constant of the graph, not a weight";
                }
                if (!f->state)
                        f->state = "unmatched";
                s->used += !strcmp(f->state, "used");
                s->dropped += !strcmp(f->state, "dropped");
                s->unmatched += !strcmp(f->state, "unmatched");
                tell(o, false, f);
        }
        const rs_checkpoint *c = l->source ? l->w->checkpoint : NULL;
        for (size_t i = 0; c && i < c->n_skipped; i++) {
                const rs_fate f = {c->skipped[i].name, "dropped", c->skipped[i].why};
                s->dropped++;
                tell(o, false, &f);
        }
        for (size_t i = 0; i < l->n_result; i++) {
                s->filled += !strcmp(l->result[i].state, "filled");
                s->defaulted += !strcmp(l->result[i].state, "defaulted");
                s->missing += !strcmp(l->result[i].state, "missing");
                tell(o, true, &l->result[i]);
        }
        s->complete = !s->unmatched && !s->missing;
        rs_map_free(&l->names);
        rs_arena_free(&l->arena);
}
