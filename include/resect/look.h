/* SPDX-License-Identifier: 0BSD */
/* Looking at a model: is it valid, and which residual network is it? */
#ifndef RESECT_LOOK_H
#define RESECT_LOOK_H

#include "resect/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One finding of the checker. */
typedef struct resect_finding {
        bool fatal;        /* an error; else a warning */
        const char *where; /* node, tensor or value; "" for the model */
        const char *what;
} resect_finding;
typedef void resect_on_finding(void *ctx, const resect_finding *f);

/*
 * Checks structure, types and shapes, names, payload sizes, external data and the digest; calls on_finding for each thing
 * wrong. Returns true when the check could be made, whatever it found; *errors counts the fatal ones.
 */
RESECT_API bool resect_model_check(
        resect_model *m, resect_on_finding *on_finding, void *ctx, size_t *errors, resect_error *err) RESECT_MUST;

/*
 * Anatomy: the parts of a residual network, found by structure (additions of two branches, the last reduction over space,
 * the affine map after it) and never by names. Parts are called stem, layer1 ... layerN, layer3.5 (a block, counted from 0),
 * layer3.5.conv2, layer3.0.downsample, pool, head.
 */
typedef struct resect_anatomy resect_anatomy;

typedef enum resect_block_kind { RESECT_BASIC, RESECT_BOTTLENECK } resect_block_kind;

typedef struct resect_block {
        const char *name; /* "layer3.5" */
        int stage, index; /* stage counts from 1, index from 0 */
        resect_block_kind kind;
        bool preactivation;      /* v2 */
        bool downsample;         /* the shortcut is a Conv (or a pool and a Conv) */
        int stride;              /* of the whole block */
        int64_t in_channels, out_channels;
        int64_t height, width;   /* of its output; -1 unknown */
        uint64_t parameters, macs, activation_bytes; /* for one picture; macs and bytes 0 when sizes are unknown */
        const char *input, *output; /* value names: what the block reads and what it makes */
} resect_block;

typedef struct resect_part { /* stem, a stage, pool, head */
        const char *name;
        int64_t channels, height, width; /* of its output; -1 unknown */
        int blocks;                      /* of a stage */
        uint64_t parameters, macs, activation_bytes;
        const char *input, *output;
} resect_part;

typedef struct resect_summary {
        char family[64];      /* "resnet101", "resnet20", "wide_resnet101_2", "resnext101_32x8d", "residual network" */
        char variant[16];     /* "v1", "v1.5", "v1-slim", "v2", with c, d or s added: "v1.5-d" */
        char exporter[64];    /* "pytorch 1.13.1", "MXNet", "tf2onnx", ... from producer and habits */
        const char *input;    /* name of the picture input */
        int64_t in_channels, in_height, in_width; /* -1 unknown */
        bool nhwc;            /* the input is [N, H, W, C] */
        bool bn_folded;       /* BatchNormalization was folded into Conv */
        bool trainable;       /* every operator on the path has a backward */
        bool has_head, has_softmax, has_pool;
        const char *features; /* value that enters the head, or the output when there is none; NULL unknown */
        const char *logits;   /* value before any Softmax; NULL without a head */
        int64_t n_features, n_classes; /* -1 unknown */
        uint64_t parameters, macs, activation_bytes;
        size_t n_conv, n_bn, n_blocks, n_stages;
} resect_summary;

/* Finds the anatomy. A model that is no residual network gives an anatomy with n_blocks 0, not an error. Borrowed strings live
   as long as the model and the anatomy. Free with resect_anatomy_free. */
RESECT_API resect_anatomy *resect_anatomy_find(resect_model *m, resect_error *err) RESECT_MUST;
/* The same as if the picture had that size, where the model leaves its size open: so that there are sizes to count with. */
RESECT_API resect_anatomy *resect_anatomy_find_at(resect_model *m, int64_t height, int64_t width, resect_error *err) RESECT_MUST;
RESECT_API void resect_anatomy_free(resect_anatomy *a);
RESECT_API const resect_summary *resect_anatomy_summary(const resect_anatomy *a);
RESECT_API size_t resect_anatomy_part_count(const resect_anatomy *a);
RESECT_API const resect_part *resect_anatomy_part(const resect_anatomy *a, size_t i);
RESECT_API const resect_block *resect_anatomy_block(const resect_anatomy *a, size_t i); /* NULL past the end */
/* The part an initializer belongs to, as exactly as the structure tells ("layer3.5.conv2", "layer3.5.bn2", "stem.conv1", "head");
   NULL when none. And the canonical torchvision name it should have ("layer3.5.conv2.weight", "fc.bias"), or NULL. */
RESECT_API const char *resect_anatomy_tensor_part(const resect_anatomy *a, const char *tensor);
RESECT_API const char *resect_anatomy_tensor_canonical(const resect_anatomy *a, const char *tensor);

/* The part whose node makes a value, in the same words; NULL when none. */
RESECT_API const char *resect_anatomy_value_part(const resect_anatomy *a, const char *value);

#ifdef __cplusplus
}
#endif
#endif
