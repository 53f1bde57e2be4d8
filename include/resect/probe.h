/* SPDX-License-Identifier: 0BSD */
/*
 * Before any training: how much do the features of each depth know of the classes? Of every picture one forward pass; behind the stem, every
 * block and the pool the maps' averages over space (of a pre-activation block: behind the normalisation that follows its sum, which is where
 * resect-truncate --after cuts); and for each depth a linear probe, nearest neighbours and LogME (resect/features.h).
 */
#ifndef RESECT_PROBE_H
#define RESECT_PROBE_H

#include "resect/features.h"
#include "resect/study.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct resect_probe_options {
        const resect_input *input;       /* NULL: what resect_input_of says */
        resect_split held_out;           /* RESECT_TEST, or else RESECT_VAL; the judges learn from RESECT_TRAIN */
        size_t batch;                    /* 0: 32; a model whose batch is fixed is run at its own */
        int threads;                     /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact;                      /* as in resect_plan_options */
        resect_logistic_options linear;  /* its threads are those above */
        resect_knn_options knn;          /* the same */
        bool (*progress)(void *ctx, const char *what, size_t done, size_t total); /* "pictures", then "depths"; may be NULL; false stops
                                                                   with STOPPED; total is 0 while kernels are timed */
        void *ctx;
} resect_probe_options;

/* A depth. Borrowed from the probe. */
typedef struct resect_probe_row {
        const char *part;            /* "stem", "layer3.5", "pool" */
        size_t features;
        uint64_t parameters, macs;   /* of the network up to here, for one picture; macs 0 when unknown */
        double linear;               /* accuracy of the linear probe on the pictures held out */
        double linear_balanced;      /* mean recall of the classes */
        double linear_loss;          /* log loss, nats */
        double linear_cv;            /* accuracy of the cross-validation in the training pictures at the C that it chose; NAN when none could be held out */
        double penalty;              /* that C */
        bool converged;
        double knn;                  /* accuracy of the neighbours' vote on the pictures held out */
        size_t k;                    /* how many vote */
        double logme;                /* of the training pictures */
} resect_probe_row;

typedef struct resect_probe resect_probe;

/* What is true of all depths. Borrowed. */
typedef struct resect_probe_facts {
        size_t n_train, n_held_out, classes;
        size_t best;                 /* the row of the highest linear accuracy, the shallowest of equals */
        size_t cut;                  /* the shallowest row within a standard error of that: sqrt(p (1 - p) / n_held_out) (Breiman et al.,
                                        "Classification and regression trees", 1984, section 3.4.3) */
        double standard_error;
        double chance;               /* accuracy of always saying the class that is most frequent in the pictures held out */
        uint64_t parameters, macs;   /* of the whole trunk: all but the head */
        double forward_seconds, judge_seconds;
} resect_probe_facts;

/*
 * Fails with GRAPH when the model is no residual network, with ARG when a split is empty or the training pictures are of one class, with FORMAT, naming the
 * part, when features are not finite. The model is as before in the end. Free with resect_probe_free.
 */
RESECT_API resect_probe *resect_probe_run(resect_model *m, const resect_data *d, const resect_probe_options *options,
        resect_error *err) RESECT_MUST;
/* What resect-probe --json printed: the rows and the facts. Fails with IO, or FORMAT when it is not that. */
RESECT_API resect_probe *resect_probe_read(const char *path, resect_error *err) RESECT_MUST;
RESECT_API void resect_probe_free(resect_probe *p);
RESECT_API resect_probe_facts resect_probe_about(const resect_probe *p);
RESECT_API size_t resect_probe_count(const resect_probe *p);
RESECT_API const resect_probe_row *resect_probe_at(const resect_probe *p, size_t i); /* from the stem on; NULL past the end */
/* The row behind a part: "stem", "layer3.5", "layer3" (its last block), "pool"; NULL when there is none. */
RESECT_API const resect_probe_row *resect_probe_find(const resect_probe *p, const char *part);

#ifdef __cplusplus
}
#endif
#endif
