/* SPDX-License-Identifier: 0BSD */
/*
 * What makes two runs the same: the model with its weights, the list of pictures and labels, and
 * every option that changes a bit of the result. A state of another run is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/sha256.h"
#include "io/input.h"
#include "model/model.h"
#include "onednn/onednn.h"
#include "train/run.h"

static void
add_text(rs_sha256 *h, const char *text)
{
        rs_sha256_add(h, text, strlen(text) + 1);
}

static void
finish(rs_sha256 *h, char hex[65])
{
        unsigned char digest[32];
        rs_sha256_end(h, digest);
        rs_sha256_hex(digest, hex);
}

static bool
model_digest(rs_run *r, resect_error *err)
{
        rs_sha256 h;
        rs_sha256_start(&h);
        const rs_graph *g = &r->m->graph;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *node = g->nodes[i];
                add_text(&h, node->op);
                for (size_t k = 0; k < node->n_in; k++)
                        add_text(&h, node->in[k]);
                for (size_t k = 0; k < node->n_out; k++)
                        add_text(&h, node->out[k]);
        }
        for (size_t i = 0; i < g->n_tensors; i++) {
                const rs_tensor *t = g->tensors[i];
                rs_arena scratch = {0};
                rs_span bytes;
                if (!rs_tensor_bytes(r->m, t, &scratch, &bytes, err)) {
                        rs_arena_free(&scratch);
                        return false;
                }
                add_text(&h, t->name);
                add_text(&h, rs_model_is_frozen(r->m, t->name) ? "frozen" : "free");
                rs_sha256_add(&h, t->dims, (size_t)t->rank * sizeof *t->dims);
                rs_sha256_add(&h, bytes.data, bytes.size);
                rs_arena_free(&scratch);
        }
        finish(&h, r->model_digest);
        rs_input_rest(r->m->input); /* all weights were read: their pages need not stay */
        return true;
}

/* The pictures by their contents, and which of them are used. */
static bool
data_digest(rs_run *r, resect_error *err)
{
        char contents[65];
        if (!resect_data_digest(r->d, contents, err))
                return false;
        rs_sha256 h;
        rs_sha256_start(&h);
        add_text(&h, contents);
        if (r->o.samples)
                rs_sha256_add(&h, r->o.samples, r->n * sizeof *r->o.samples);
        finish(&h, r->data_digest);
        return true;
}

/* The shortest decimal that reads back as x. */
static void
add_real(rs_buf *b, double x)
{
        char text[40];
        for (int digits = 15; digits <= 17; digits++) {
                snprintf(text, sizeof text, "%.*g", digits, x);
                if (strtod(text, NULL) == x)
                        break;
        }
        rs_buf_printf(b, " %s", text);
}

static void
add_reals(rs_buf *b, const char *name, const double *x, size_t n)
{
        rs_buf_str(b, name);
        for (size_t i = 0; i < n; i++)
                add_real(b, x[i]);
        rs_buf_str(b, "\n");
}
#define REALS(b, name, ...)                               \
        add_reals(b, name, (const double[]){__VA_ARGS__}, \
                sizeof((double[]){__VA_ARGS__}) / sizeof(double))

/* What computes. The bits of fast kernels depend on the machine and on the number of threads, those
   of the reference kernels on neither. */
static void
kernels_text(rs_run *r)
{
        if (!rs_fast_wanted(r->o.kernels))
                rs_buf_str(&r->options, "kernels reference\n");
        else
                rs_buf_printf(&r->options, "kernels %s\nthreads %d\nprecision %s\nexact %d\n",
                        rs_fast_name(), r->threads,
                        r->o.precision == RESECT_PRECISION_BF16 && rs_fast_bf16() ? "bf16" : "f32",
                        r->o.exact);
}

/* Where the cache lies, how often is saved and what is recomputed change nothing and are left out.
 */
static void
options_text(rs_run *r)
{
        const resect_train_options *o = &r->o;
        const resect_augment *a = &o->augment;
        const resect_input *in = &r->p->net.in.input;
        rs_buf *b = &r->options;
        rs_buf_printf(b, "epochs %zu\nbatch %zu\nshuffle %d\nseed %llu\n", o->epochs, r->batch,
                !o->no_shuffle, (unsigned long long)o->seed);
        rs_buf_printf(b, "input %d channels, %d x %d, resize %d, bgr %d, nhwc %d\n", in->channels,
                in->height, in->width, in->resize, in->bgr, in->nhwc);
        add_reals(b, "mean", in->mean, 3);
        add_reals(b, "std", in->std, 3);
        rs_buf_printf(b, "augment crop %d, flip %d, pad %d\n", a->crop, a->flip, a->pad);
        REALS(b, "crop-min, jitter", a->crop_min, a->jitter);
        REALS(b, "mixup", o->mixup);
        REALS(b, "label-smoothing", o->label_smoothing);
        rs_buf_printf(b, "optimizer %s\nnesterov %d\nno-bias-decay %d\n",
                o->optimizer ? o->optimizer : "sgd", o->nesterov, o->no_bias_decay);
        REALS(b, "lr", o->lr);
        REALS(b, "momentum", o->momentum);
        REALS(b, "betas, eps", o->beta1, o->beta2, o->eps);
        REALS(b, "weight-decay", o->weight_decay);
        REALS(b, "clip", o->clip);
        rs_buf_printf(b, "schedule %s\n", o->schedule ? o->schedule : "cosine");
        REALS(b, "warmup, lr-floor", o->warmup, o->lr_floor);
        REALS(b, "step", o->step_every, o->step_gamma);
        REALS(b, "restart", o->restart_every, o->restart_stretch);
        rs_buf_printf(b, "metric %s\npatience %zu\nthaw-every %zu\nbn-unbiased %d\ncache %d\n",
                o->metric ? o->metric : "top1", o->patience, o->thaw_every, o->unbiased,
                (int)o->cache);
        kernels_text(r);
        for (size_t i = 0; i < o->n_part_rates; i++) {
                rs_buf_printf(b, "lr-stage %s", o->part_rates[i].part);
                REALS(b, "", o->part_rates[i].factor);
        }
        if (r->weights)
                add_reals(b, "class-weights", r->weights, r->classes);
}

bool
rs_run_identify(rs_run *r, resect_error *err)
{
        options_text(r);
        if (r->options.oom)
                return rs_fail_nomem(err);
        return data_digest(r, err) && model_digest(r, err);
}
