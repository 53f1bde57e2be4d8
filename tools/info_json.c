/* SPDX-License-Identifier: 0BSD */
/* resect-info --json. Sizes that are unknown are null. */
#include "info.h"

#include <stdlib.h>
#include <string.h>

static json_t *
known(int64_t v)
{
        return v < 0 ? json_null() : json_integer(v);
}

static json_t *
counted(uint64_t v)
{
        return v ? json_integer((json_int_t)v) : json_null();
}

static void
counts(json_t *o, uint64_t parameters, uint64_t macs, uint64_t bytes, bool sized)
{
        json_object_set_new(o, "parameters", json_integer((json_int_t)parameters));
        json_object_set_new(o, "macs", sized ? json_integer((json_int_t)macs) : json_null());
        json_object_set_new(
                o, "activation_bytes", sized ? json_integer((json_int_t)bytes) : json_null());
}

static json_t *
parts(const info *x)
{
        json_t *all = json_array();
        for (size_t i = 0; i < resect_anatomy_part_count(x->a); i++) {
                const resect_part *p = resect_anatomy_part(x->a, i);
                json_t *o = json_object();
                json_object_set_new(o, "name", cli_json_text(p->name));
                json_object_set_new(o, "blocks", json_integer(p->blocks));
                json_object_set_new(o, "channels", known(p->channels));
                json_object_set_new(o, "height", known(p->height));
                json_object_set_new(o, "width", known(p->width));
                counts(o, p->parameters, p->macs, p->activation_bytes, x->s->macs != 0);
                json_object_set_new(o, "input", cli_json_text(p->input));
                json_object_set_new(o, "output", cli_json_text(p->output));
                json_array_append_new(all, o);
        }
        return all;
}

static json_t *
blocks(const info *x)
{
        json_t *all = json_array();
        const resect_block *b;
        for (size_t i = 0; (b = resect_anatomy_block(x->a, i)); i++) {
                json_t *o = json_object();
                json_object_set_new(o, "name", cli_json_text(b->name));
                json_object_set_new(o, "kind",
                        json_string(b->kind == RESECT_BOTTLENECK ? "bottleneck" : "basic"));
                json_object_set_new(o, "preactivation", json_boolean(b->preactivation));
                json_object_set_new(o, "downsample", json_boolean(b->downsample));
                json_object_set_new(o, "stride", json_integer(b->stride));
                json_object_set_new(o, "in_channels", known(b->in_channels));
                json_object_set_new(o, "out_channels", known(b->out_channels));
                json_object_set_new(o, "height", known(b->height));
                json_object_set_new(o, "width", known(b->width));
                counts(o, b->parameters, b->macs, b->activation_bytes, x->s->macs != 0);
                json_object_set_new(o, "input", cli_json_text(b->input));
                json_object_set_new(o, "output", cli_json_text(b->output));
                json_array_append_new(all, o);
        }
        return all;
}

static json_t *
value(const resect_value *v)
{
        json_t *o = json_object();
        json_object_set_new(o, "name", cli_json_text(v->name));
        json_object_set_new(
                o, "dtype", v->dtype ? json_string(resect_dtype_name(v->dtype)) : json_null());
        json_object_set_new(o, "dims", look_json_dims(v->rank, v->dims, v->symbols));
        return o;
}

static void
interface(json_t *o, const info *x)
{
        json_t *in = json_array(), *out = json_array(), *opsets = json_object();
        resect_value v;
        const char *domain;
        int64_t version;
        for (size_t i = 0; resect_model_input(x->m, i, &v); i++)
                json_array_append_new(in, value(&v));
        for (size_t i = 0; resect_model_output(x->m, i, &v); i++)
                json_array_append_new(out, value(&v));
        for (size_t i = 0; resect_model_opset(x->m, i, &domain, &version); i++)
                json_object_set_new(
                        opsets, *domain ? cli_text(domain) : "ai.onnx", json_integer(version));
        json_object_set_new(o, "ir_version", json_integer(resect_model_ir_version(x->m)));
        json_object_set_new(o, "opsets", opsets);
        json_object_set_new(o, "inputs", in);
        json_object_set_new(o, "outputs", out);
}

static json_t *
pictures(const info *x)
{
        const resect_input *in = &x->input;
        json_t *o = json_object(), *mean = json_array(), *std = json_array();
        for (int i = 0; i < 3; i++) {
                json_array_append_new(mean, cli_json_real(in->mean[i]));
                json_array_append_new(std, cli_json_real(in->std[i]));
        }
        json_object_set_new(o, "recorded", json_boolean(x->recorded));
        json_object_set_new(o, "channels", json_integer(in->channels));
        json_object_set_new(o, "height", json_integer(in->height));
        json_object_set_new(o, "width", json_integer(in->width));
        json_object_set_new(o, "resize", json_integer(in->resize));
        json_object_set_new(o, "mean", mean);
        json_object_set_new(o, "std", std);
        json_object_set_new(o, "bgr", json_boolean(in->bgr));
        json_object_set_new(o, "nhwc", json_boolean(in->nhwc));
        return o;
}

static json_t *
lines(const char *text)
{
        json_t *all = json_array();
        while (text && *text) {
                size_t n = strcspn(text, "\n");
                char *copy = cli_alloc(n + 1, 1);
                memcpy(copy, text, n);
                json_array_append_new(all, cli_json_text(copy));
                free(copy);
                text += n + (text[n] == '\n');
        }
        return all;
}

json_t *
info_json(const info *x)
{
        const resect_summary *s = x->s;
        json_t *o = json_object(), *labels = json_array();
        for (size_t i = 0; i < x->n_labels; i++)
                json_array_append_new(labels, cli_json_text(x->labels[i]));
        json_object_set_new(o, "family", cli_json_text(s->family));
        json_object_set_new(o, "variant", cli_json_text(s->variant));
        json_object_set_new(o, "exporter", cli_json_text(s->exporter));
        interface(o, x);
        json_object_set_new(o, "pictures", pictures(x));
        json_object_set_new(o, "bn_folded", json_boolean(s->bn_folded));
        json_object_set_new(o, "trainable", json_boolean(s->trainable));
        json_object_set_new(o, "head", json_boolean(s->has_head));
        json_object_set_new(o, "softmax", json_boolean(s->has_softmax));
        json_object_set_new(o, "features", cli_json_text(s->features));
        json_object_set_new(o, "n_features", known(s->n_features));
        json_object_set_new(o, "logits", cli_json_text(s->logits));
        json_object_set_new(o, "n_classes", known(s->n_classes));
        json_object_set_new(o, "labels", labels);
        json_object_set_new(o, "n_tensors", json_integer((json_int_t)x->n_tensors));
        json_object_set_new(o, "n_frozen", json_integer((json_int_t)x->n_frozen));
        json_object_set_new(o, "tensor_bytes", json_integer((json_int_t)x->bytes));
        json_object_set_new(o, "parameters", json_integer((json_int_t)s->parameters));
        json_object_set_new(o, "macs", counted(s->macs));
        json_object_set_new(o, "activation_bytes", counted(s->activation_bytes));
        json_object_set_new(o, "n_conv", json_integer((json_int_t)s->n_conv));
        json_object_set_new(o, "n_bn", json_integer((json_int_t)s->n_bn));
        json_object_set_new(o, "history", lines(resect_model_meta(x->m, "resect.history")));
        json_object_set_new(o, "parts", parts(x));
        json_object_set_new(o, "blocks", blocks(x));
        return o;
}
