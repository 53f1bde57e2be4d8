/* SPDX-License-Identifier: 0BSD */
/*
 * What a network looks at: which channels fire, and which part of a picture moves which output. Maps are [channels, height, width] of
 * one picture, at any value of the graph that has such a shape for it (resect_block's and resect_part's `output`).
 */
#ifndef RESECT_SEE_H
#define RESECT_SEE_H

#include "resect/plan.h"
#include "resect/study.h"
#include "resect/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The gradient of one number of an output with respect to a value of the graph, the network running as at inference (BatchNormalization with
 * its stored statistics, no Dropout). What lies before the value is cut off. Free with resect_gradient_free, before the model.
 */
typedef struct resect_gradient resect_gradient;
/* from: the value, of the shape of x, whose data may be NULL; to: a value after it. Fails with GRAPH when `to` does not depend on `from`,
   UNSUPPORTED when an operator between them has no gradient, and as resect_plan_make does. */
RESECT_API resect_gradient *resect_gradient_make(
        resect_model *m, const char *from, const resect_tensor *x, const char *to, int threads, resect_error *err) RESECT_MUST;
/* How many numbers `to` has. */
RESECT_API size_t resect_gradient_outputs(const resect_gradient *g);
/* At x: *value (may be NULL) becomes number `output` of `to`, dx its gradient. Fails with ARG for a shape that is not the planned one or an
   output past the end. */
RESECT_API bool resect_gradient_run(resect_gradient *g, const resect_tensor *x, size_t output, float *dx /* like x */, double *value,
        resect_error *err) RESECT_MUST;
RESECT_API void resect_gradient_free(resect_gradient *g);

/*
 * Grad-CAM (Selvaraju et al., "Grad-CAM: visual explanations from deep networks", ICCV 2017): relu(sum over channels k of a_k A_k), a_k
 * being the mean of the class score's gradient over map A_k. Not normalised.
 */
RESECT_API void resect_gradcam(const float *maps, const float *gradient /* both [channels, height, width] */, size_t channels,
        size_t height, size_t width, float *out /* [height, width] */);

/*
 * Occlusion (Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014): a patch of the colour `fill` is
 * moved over the picture, and out is by how much the softmax probability of a class falls where it lies. Patches stand at 0, stride, 2
 * stride ... and at the far edge, so that all of the picture is covered.
 */
typedef struct resect_occlusion {
        const resect_input *input; /* of the picture; channels, height, width and nhwc are read */
        int patch, stride;         /* pixels */
        const float *fill;         /* [channels] NULL: the mean of each plane of the picture */
        const int64_t *classes;    /* [n_classes] */
        size_t n_classes;
        size_t batch; /* 0: 16; a model of fixed batch is run at its own */
        int threads;
        resect_kernels kernels;
        resect_precision precision;
        bool exact; /* as in resect_plan_options */
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED; total is 0 while kernels
                                                                   are timed, as in resect_plan_options */
        void *ctx;
} resect_occlusion;
/* How many places a patch takes along a side. */
RESECT_API int resect_occlusion_steps(int side, int patch, int stride);
/* Where place i begins. */
RESECT_API int resect_occlusion_at(int side, int patch, int stride, int i);
/* Fails with ARG (a patch larger than the picture, a class past the end) and as resect_predict does. */
RESECT_API bool resect_occlude(resect_model *m, const float *x /* [C, H, W] or [H, W, C] */, const resect_occlusion *o,
        float *out /* [n_classes, steps of the height, steps of the width] */, resect_error *err) RESECT_MUST;

/* Where and how strongly a channel fired. */
typedef struct resect_peak {
        size_t sample;
        float value;  /* its largest activation */
        int row, column; /* there, in the map */
} resect_peak;

/* What the channels of one value do over a data set. All arrays are the study's. */
typedef struct resect_layer_study {
        const char *value;
        size_t channels;
        int height, width;   /* of its maps; 1 x 1 for features */
        const float *means;  /* [classes, channels]: the mean of max(activation, 0), over the pictures of the class and the places */
        const float *selectivity; /* [channels]: (mu_max - mu_rest) / (mu_max + mu_rest), mu_max being the largest of the class means and mu_rest
                                     the mean of the others (Morcos et al., "On the importance of single directions for
                                     generalization", ICLR 2018). 0: it fires for all alike; 1: for one class alone. NAN: it never fires. */
        const size_t *favourite;  /* [channels]: the class of mu_max */
        const resect_peak *peaks; /* [channels, n_peaks], the largest first, one a picture */
        size_t n_peaks;           /* fewer when there are fewer pictures */
} resect_layer_study;

typedef struct resect_channel_study resect_channel_study;
/*
 * Runs all pictures of a split and looks at the named values, which must be [N, C, H, W] or [N, C]. n_peaks: how many pictures to remember for
 * each channel. options->batch 0: 16. Fails as resect_predict does; GRAPH for a value of another shape. Free with
 * resect_channel_study_free.
 */
RESECT_API resect_channel_study *resect_channels(resect_model *m, const resect_data *d, resect_split split,
        const char *const *values /* [n] */, size_t n, size_t n_peaks, const resect_predict_options *options, resect_error *err)
        RESECT_MUST;
RESECT_API const resect_layer_study *resect_channels_of(const resect_channel_study *s, size_t i); /* NULL past the end */
RESECT_API void resect_channel_study_free(resect_channel_study *s);

/* Pictures of maps. */
/* A map enlarged bilinearly to height x width pixels and laid over a picture in colours from blue (0) over green to yellow (1); low and high are the
   values of 0 and 1. opacity 1: the map alone. */
RESECT_API void resect_overlay(const float *map /* [rows, columns] */, int rows, int columns, double low, double high, double opacity,
        const unsigned char *picture /* [height, width, 3] */, int height, int width, unsigned char *out /* [height, width, 3] */);
/*
 * A montage: some channels' maps side by side, `across` in a row, each in the colours of resect_overlay from its own least value (0 when
 * that is positive) to its own largest, `tile` pixels wide, with its number above it. Channels that are the same everywhere stay dark.
 */
RESECT_API void resect_montage_size(size_t n, int rows, int columns, int across, int tile, int *height, int *width);
RESECT_API void resect_montage(const float *maps /* [channels, rows, columns] */, const size_t *channels /* [n] */, size_t n, int rows,
        int columns, int across, int tile, unsigned char *out /* [height, width, 3] */);

#ifdef __cplusplus
}
#endif
#endif
