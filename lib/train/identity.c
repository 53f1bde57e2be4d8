/* SPDX-License-Identifier: 0BSD */
/*
 * What makes two runs the same: the model with its weights, the list of pictures and labels, and
 * every option that changes a bit of the result. A state of another run is refused.
 */
#include <stdio.h>
#include <string.h>
#include "base/sha256.h"
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
        return true;
}

static void
data_digest(rs_run *r)
{
        rs_sha256 h;
        rs_sha256_start(&h);
        for (size_t i = 0; i < resect_data_class_count(r->d); i++)
                add_text(&h, resect_data_class(r->d, i));
        static const resect_split splits[] = {RESECT_TRAIN, RESECT_VAL};
        for (int s = 0; s < 2; s++)
                for (size_t i = 0; i < resect_data_count(r->d, splits[s]); i++) {
                        int label = resect_data_label(r->d, splits[s], i);
                        add_text(&h, resect_data_name(r->d, splits[s], i));
                        rs_sha256_add(&h, &label, sizeof label);
                }
        if (r->o.samples)
                rs_sha256_add(&h, r->o.samples, r->n * sizeof *r->o.samples);
        finish(&h, r->data_digest);
}

/* Threads, kernels' threads, where the cache lies and how often is saved change nothing and are
 * left out. */
static void
options_text(rs_run *r)
{
        const resect_train_options *o = &r->o;
        const resect_input *in = &r->p->net.in.input;
        rs_buf *b = &r->options;
        rs_buf_printf(b, "epochs %zu\nbatch %zu\nshuffle %d\nseed %llu\n", o->epochs, r->batch,
                !o->no_shuffle, (unsigned long long)o->seed);
        rs_buf_printf(b,
                "input %dx%dx%d resize %d mean %.17g %.17g %.17g std %.17g %.17g %.17g bgr %d nhwc "
                "%d\n",
                in->channels, in->height, in->width, in->resize, in->mean[0], in->mean[1],
                in->mean[2], in->std[0], in->std[1], in->std[2], in->bgr, in->nhwc);
        rs_buf_printf(b, "augment crop %d %.17g flip %d jitter %.17g pad %d\nmixup %.17g\n",
                o->augment.crop, o->augment.crop_min, o->augment.flip, o->augment.jitter,
                o->augment.pad, o->mixup);
        rs_buf_printf(b,
                "label-smoothing %.17g\noptimizer %s\nlr %.17g\nmomentum %.17g\nnesterov %d\n",
                o->label_smoothing, o->optimizer ? o->optimizer : "sgd", o->lr, o->momentum,
                o->nesterov);
        rs_buf_printf(b,
                "betas %.17g %.17g\neps %.17g\nweight-decay %.17g\nno-bias-decay %d\nclip %.17g\n",
                o->beta1, o->beta2, o->eps, o->weight_decay, o->no_bias_decay, o->clip);
        rs_buf_printf(b,
                "schedule %s\nwarmup %.17g\nlr-floor %.17g\nstep %.17g %.17g\nrestart %.17g "
                "%.17g\n",
                o->schedule ? o->schedule : "cosine", o->warmup, o->lr_floor, o->step_every,
                o->step_gamma, o->restart_every, o->restart_stretch);
        rs_buf_printf(b,
                "metric %s\npatience %zu\nthaw-every %zu\nbn-unbiased %d\ncache %d\nkernels %d\n",
                o->metric ? o->metric : "top1", o->patience, o->thaw_every, o->unbiased,
                (int)o->cache, (int)o->kernels);
        for (size_t i = 0; i < o->n_part_rates; i++)
                rs_buf_printf(
                        b, "lr-stage %s %.17g\n", o->part_rates[i].part, o->part_rates[i].factor);
        for (size_t i = 0; r->weights && i < r->classes; i++)
                rs_buf_printf(b, "class-weight %.17g\n", r->weights[i]);
}

bool
rs_run_identify(rs_run *r, resect_error *err)
{
        options_text(r);
        if (r->options.oom)
                return rs_fail_nomem(err);
        data_digest(r);
        return model_digest(r, err);
}
