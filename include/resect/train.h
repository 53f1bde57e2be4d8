/* SPDX-License-Identifier: 0BSD */
/*
 * Training. One call fine-tunes a model in memory on the training split of a data set: what is frozen stays as it is to the last byte,
 * and the weights kept are those of the best epoch. The run is a function of the model, the data, the options and the
 * seed: a stop and a resume change no bit of it, nor does, with the reference kernels, the number of threads.
 */
#ifndef RESECT_TRAIN_H
#define RESECT_TRAIN_H

#include "resect/data.h"
#include "resect/plan.h"
#include "resect/study.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum resect_cache {
        RESECT_CACHE_AUTO, /* when all that is left to train reads features, not maps */
        RESECT_CACHE_ON,
        RESECT_CACHE_OFF
} resect_cache;

/* The learning rate of a part of the network ("layer4", "layer3.5", "head"), as a factor of lr. */
typedef struct resect_part_rate {
        const char *part;
        double factor;
} resect_part_rate;

/* Start from resect_train_defaults. "0:" says what a zero means. */
typedef struct resect_train_options {
        /* What is seen, in which order. */
        const resect_input *input;     /* NULL: what resect_input_of says */
        const size_t *samples;         /* [n_samples] train on these of the training split only; NULL: all */
        size_t n_samples;
        size_t epochs, batch;
        bool no_shuffle;               /* the order of the split (or of samples) in every epoch */
        resect_augment augment;
        double mixup;                  /* alpha of Beta(alpha, alpha) (Zhang et al., "mixup", 2018); 0: none */
        bool by_index;                 /* class i of the data is output i, whatever resect.labels says */
        uint64_t seed;

        /* The loss. */
        double label_smoothing;
        bool balanced;                 /* class weights n / (classes * n_class) */
        const double *class_weights;   /* [data's classes] or NULL: all 1; times the balanced ones */

        /* The optimiser. */
        const char *optimizer;         /* "sgd" (NULL), "adamw" */
        double lr, momentum, beta1, beta2, eps, weight_decay;
        bool nesterov;
        bool no_bias_decay;            /* no weight decay on vectors: biases, BatchNormalization */
        double clip;                   /* largest norm of the gradient; 0: no limit */
        const resect_part_rate *part_rates; /* [n_part_rates] the last that names a part counts; 1 elsewhere */
        size_t n_part_rates;
        size_t thaw_every;             /* gradual thaw: the head alone, then one stage more every so many epochs; 0: all at once */
        bool unbiased;                 /* BatchNormalization's running variance by N - 1 (PyTorch), not N (ONNX) */

        /* The schedule. */
        const char *schedule;          /* "cosine" (NULL), "constant", "step", "onecycle", "restarts" */
        double warmup;                 /* epochs; below 0: the schedule's own (5 % of the run for cosine, else none) */
        double lr_floor;               /* where cosine and restarts end, as a part of lr */
        double step_every, step_gamma; /* step: epochs between drops (0: a third of the run), factor of a drop */
        double restart_every, restart_stretch; /* restarts: epochs of the first period (0: a third), factor from one to the next */

        /* Which weights are kept. */
        const char *metric;            /* "top1" (NULL), "loss", "balanced", "macro-f1", on the validation split */
        size_t patience;               /* stop after so many epochs without a better one; 0: never */

        /* How. */
        resect_cache cache;
        uint64_t cache_size;           /* bytes of features to hold in memory; beyond that a temporary file is used */
        const char *cache_dir;         /* where; NULL: /tmp */
        const char *state;             /* file to resume from when it is there, and to save to; NULL: none */
        double save_every;             /* seconds between saves within an epoch; 0: after every step */
        int threads;                   /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact;                    /* as in resect_plan_options */
        int recompute;                 /* likewise */
} resect_train_options;

/* SGD with momentum 0.9, rate 0.01, cosine; 10 epochs of batches of 32; no augmentation. */
RESECT_API void resect_train_defaults(resect_train_options *o);

/* After each step. */
typedef struct resect_train_step {
        size_t epoch, step, steps; /* both from 1; of the epoch's steps */
        size_t total;              /* steps since the beginning of the run */
        double loss, lr, gradient; /* of this batch; norm of the gradient before clipping */
        double images_per_second;
} resect_train_step;

/* After each epoch. Figures on the training split are of the batches as they were seen, augmented. */
typedef struct resect_train_epoch {
        size_t epoch, epochs, total;
        double loss, top1;        /* training */
        bool validated;           /* there is a validation split */
        resect_scores validation;
        bool best;                /* the best so far: these weights are kept */
        double seconds;
} resect_train_epoch;

/* What the caller hears. Any may be NULL. A false from a step or an epoch stops the run: its state is saved and resect_train fails with
   STOPPED. */
typedef struct resect_train_events {
        void *ctx;
        void (*note)(void *ctx, const char *line);  /* "features of 244 pictures cached in 2 MB" */
        void (*resumed)(void *ctx, size_t epoch, size_t total); /* before the first step: the run goes on after step `total` */
        bool (*progress)(void *ctx, const char *what, size_t done, size_t total); /* "caching features", "validation", "timing kernels"
                                                                   (total 0: not known) */
        bool (*step)(void *ctx, const resect_train_step *s);
        bool (*epoch)(void *ctx, const resect_train_epoch *e);
} resect_train_events;

typedef struct resect_train_result {
        size_t epochs, steps;     /* done, those before a resume included */
        bool kept;                /* the model holds weights of this run, of epoch best_epoch */
        size_t best_epoch;        /* from 1 */
        bool validated;
        resect_scores best;
        bool stopped_early;       /* by patience */
} resect_train_result;

/*
 * Trains. On success the model holds the best weights by the metric (the last ones without a validation split). When the run
 * stops (STOPPED) or breaks down (FORMAT: a loss, gradient or weight that is not finite; the message names step and layer) it
 * holds the best so far if there are any (result->kept), else, after a STOPPED, the last ones; otherwise it is
 * unchanged. Fails with ARG for options that make no sense, GRAPH when outputs and classes do not match, UNSUPPORTED when nothing in the model
 * can be trained. Tensors that the file shares between layers become copies of their own, whatever the outcome; the model computes the
 * same with them.
 */
RESECT_API bool resect_train(resect_model *m, const resect_data *d, const resect_train_options *options,
        const resect_train_events *events, resect_train_result *result, resect_error *err) RESECT_MUST;

/*
 * Learning-rate range test (Smith, "Cyclical learning rates", 2017): one run of `points` steps with the rate rising
 * from low to high by equal factors; it ends early when the smoothed loss passes four times its least. The model is not changed.
 * suggestion is the rate where the smoothed loss falls fastest; 0 when it never falls.
 */
typedef struct resect_lr_point {
        double lr, loss, smoothed;
} resect_lr_point;
RESECT_API bool resect_train_find_lr(resect_model *m, const resect_data *d, const resect_train_options *options,
        const resect_train_events *events, double low, double high, resect_lr_point *out /* [*points] */, size_t *points,
        double *suggestion, resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
