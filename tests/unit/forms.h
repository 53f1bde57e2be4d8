/* SPDX-License-Identifier: 0BSD */
/*
 * Small residual networks in the forms that exporters write, for the tests of everything that looks
 * at or cuts a model. A form of all zeros (form_default) is a torchvision-like ResNet with
 * BatchNormalization, GlobalAveragePool, Flatten and Gemm.
 */
#ifndef FORMS_H
#define FORMS_H

#include "model/model.h"

enum form_stride { STRIDE_V15, STRIDE_V1, STRIDE_SLIM };
enum form_bn {
        BN_KEPT,
        BN_FOLDED,
        BN_KEPT_ZERO_BIAS /* one shared zero bias for all Convs of a width */
};
enum form_stem { STEM_IMAGENET, STEM_CIFAR, STEM_DEEP /* c */, STEM_DEEP_WIDE /* s */ };
enum form_shortcut {
        SHORTCUT_CONV,
        SHORTCUT_AVGPOOL /* d */,
        SHORTCUT_A /* Slice, Pad */,
        SHORTCUT_CONCAT /* AveragePool, Concat of zeros */
};
enum form_pool { POOL_GLOBAL, POOL_AVERAGE, POOL_MEAN_ATTR, POOL_MEAN_INPUT, POOL_NONE /* maps */ };
enum form_squeeze {
        SQUEEZE_FLATTEN,
        SQUEEZE_RESHAPE,
        SQUEEZE_RESHAPE_ZERO,
        SQUEEZE_DYNAMIC,
        SQUEEZE_SQUEEZE,
        SQUEEZE_NONE
};
enum form_affine {
        AFFINE_GEMM,
        AFFINE_GEMM_PLAIN /* transB 0 */,
        AFFINE_MATMUL,
        AFFINE_CONV,
        AFFINE_NONE /* features */
};
enum form_quant { QUANT_NONE, QUANT_QDQ_RELU, QUANT_QDQ, QUANT_QLINEAR, QUANT_QGEMM }; /* 8 bits: see forms_int8.c */
enum form_end { END_LOGITS, END_SOFTMAX, END_LOG_SOFTMAX };

typedef struct form {
        int blocks[5]; /* blocks of each stage; 0 ends */
        bool bottleneck, v2;
        int width;         /* channels of the stem, 0: 8 (64 in the real ones) */
        int inner;         /* width of the first bottleneck over the stem's, 0: 1 (wide: 2) */
        int groups;        /* of the middle Conv, 0: 1 */
        int size, classes; /* of the picture, 0: 32; 0: 10 */
        int opset;         /* 0: 17 */
        enum form_stride stride;
        enum form_bn bn;
        enum form_stem stem;
        enum form_shortcut shortcut;
        enum form_pool pool;
        enum form_squeeze squeeze;
        enum form_affine affine;
        enum form_end end;
        enum form_quant quant; /* of a form with BN_FOLDED, without what else is below */
        bool dropout;  /* before the affine map */
        bool sum;      /* Caffe2: Sum for Add */
        bool nhwc;     /* input [N, H, W, C] and a Transpose */
        bool pads;     /* Pad nodes before strided Convs and pools */
        bool identity; /* equal BatchNormalization tensors are one initializer behind Identity nodes
                        */
        bool listed;   /* IR 3: initializers are inputs too */
        bool se;       /* squeeze and excitation */
        bool data_bn;  /* MXNet: BatchNormalization on the picture */
        bool fixed_batch; /* N is 1; else symbolic */
        bool unsorted;    /* nodes backwards */
} form;

/* Weights are drawn from the seed; all sizes fit, and numbers stay near 1 all the way. Aborts the
 * test on failure. */
resect_model *form_make(const form *f, uint64_t seed);

/* n grey pictures of side x side, of three classes, in IDX files in a folder that is there. */
void form_pictures(const char *folder, unsigned n, unsigned side);

void form_quantise(resect_model *m, enum form_quant how);

#endif
