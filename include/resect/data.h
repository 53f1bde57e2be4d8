/* SPDX-License-Identifier: 0BSD */
/* Pictures and labels: what a model wants as input, where the data is, how it is split, and batches of it. */
#ifndef RESECT_DATA_H
#define RESECT_DATA_H

#include "resect/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Preprocessing: resize the short side to resize, crop the centre to height x width, x = (pixel / 255 - mean) / std, planes in
 * the given order. Written in resect.input as "size=HxW resize=256 mean=r,g,b std=r,g,b channels=rgb layout=nchw".
 */
typedef struct resect_input {
        int channels;       /* 3, or 1 for grey */
        int height, width;  /* of the picture that enters the model */
        int resize;         /* short side before the crop; 0: resize straight to height x width */
        double mean[3], std[3]; /* in 0..1, in the order of the planes */
        bool bgr;           /* planes in blue, green, red order */
        bool nhwc;
} resect_input;

/* What the model wants: from resect.input, else its input's shape with ImageNet's mean and std (0.485 0.456 0.406, 0.229 0.224
   0.225) and resize = size * 256 / 224; a size that the model leaves open becomes 224. *recorded (may be NULL) tells which. */
RESECT_API bool resect_input_of(const resect_model *m, resect_input *out, bool *recorded, resect_error *err) RESECT_MUST;
/* Parses "size=...", every key optional, over what is in *io. */
RESECT_API bool resect_input_parse(resect_input *io, const char *text, resect_error *err) RESECT_MUST;
/* Writes resect.input. */
RESECT_API bool resect_input_record(resect_model *m, const resect_input *in, resect_error *err) RESECT_MUST;

typedef enum resect_split { RESECT_TRAIN, RESECT_VAL, RESECT_TEST, RESECT_ALL } resect_split;

typedef struct resect_data_options {
        double val;             /* --val: part of an unsplit DATA that is validation, chosen by content hash; 0: none */
        const char *const *classes; /* [n_classes] keep only these, in this order; NULL: all, in byte order */
        size_t n_classes;
        size_t per_class;       /* at most so many training samples a class (the first by content hash); 0: all */
        bool skip_bad;          /* go on when more than 1 % of the pictures cannot be read */
        int threads;            /* for the scan; 0: all processors */
        const resect_input *input; /* what the pictures will be asked for: fitted to it while they are looked at and kept, so
                                      far as the cache reaches, so that a first pass decodes nothing again; NULL: not known.
                                      Without meaning for IDX and .npz */
        bool (*progress)(void *ctx, size_t done, size_t total); /* pictures looked at, called by the thread that opens; may be NULL;
                                                                   false stops with STOPPED */
        void *ctx;
        bool no_training;       /* nothing is trained on it: a class may have pictures, and none to train on (else FORMAT) */
} resect_data_options;

typedef struct resect_data resect_data;

/*
 * Opens DATA: a folder DATA/CLASS/(*.jpg|*.png), a folder DATA/{train,val[,test]}/CLASS/..., an IDX pair (the images file, a folder
 * that holds train-images-idx3-ubyte[.gz] and friends), a manifest (.tsv: path, label[, split]), or .npz with x [N, C, H, W] float32 and
 * y [N] int64 (used as is). Pictures are looked at once: what cannot be decoded is skipped and counted. Free with
 * resect_data_free.
 */
RESECT_API resect_data *resect_data_open(const char *path, const resect_data_options *options, resect_error *err) RESECT_MUST;
RESECT_API void resect_data_free(resect_data *d);
RESECT_API size_t resect_data_class_count(const resect_data *d);
RESECT_API const char *resect_data_class(const resect_data *d, size_t i);
RESECT_API size_t resect_data_count(const resect_data *d, resect_split split);
RESECT_API bool resect_data_is_raw(const resect_data *d);      /* .npz: tensors that take no preprocessing */
RESECT_API bool resect_data_raw_shape(const resect_data *d, int64_t chw[3]); /* C, H, W of raw or IDX data */
/* Sample i of a split: its label and a name for people ("ants/0013035.jpg", "#17"). Order: byte order of the names for files, the
   order in the file for IDX and .npz. RESECT_ALL is all splits together. */
RESECT_API int resect_data_label(const resect_data *d, resect_split split, size_t i);
RESECT_API const char *resect_data_name(const resect_data *d, resect_split split, size_t i);
/* Files that were skipped, each with its reason. */
RESECT_API size_t resect_data_skipped_count(const resect_data *d);
RESECT_API bool resect_data_skipped(const resect_data *d, size_t i, const char **name, const char **why);
/* What a person should know about the data, one line each: the same picture in two classes or on both sides of the split, pictures that
   look alike across it, classes of very different sizes, files that are no pictures. NULL past the end. */
RESECT_API const char *resect_data_note(const resect_data *d, size_t i);
/* SHA-256 over classes, names, labels, splits and contents, in hexadecimal: the same data, or not? */
RESECT_API bool resect_data_digest(const resect_data *d, char hex[65], resect_error *err) RESECT_MUST;

/*
 * The same samples under other splits: a view, which shares pictures and the cache of decoded ones with d, and of which d must outlive
 * the use. train, val and test are sample numbers of d's RESECT_ALL; a sample may stand in one split at most, once (ARG otherwise).
 * What augmentation makes of a sample is what it makes of it in d. A view of a view is one of the data behind it. It has no
 * notes and no skipped files. Free with resect_data_free.
 */
RESECT_API resect_data *resect_data_resplit(const resect_data *d, const size_t *train /* [n_train] */, size_t n_train,
        const size_t *val /* [n_val] */, size_t n_val, const size_t *test /* [n_test] */, size_t n_test, resect_error *err) RESECT_MUST;

/* Augmentation of training pictures. All zero is none. Of it raw tensors (.npz) know flip and pad. */
typedef struct resect_augment {
        bool crop;              /* RandomResizedCrop: area 0.35..1, aspect 3/4..4/3 */
        double crop_min;        /* least area, 0: 0.35 */
        bool flip;              /* left-right, probability 1/2 */
        double jitter;          /* brightness, contrast and saturation by a factor in 1 - j .. 1 + j */
        int pad;                /* raw and IDX pictures: shift by up to so many pixels (0 outside) instead of the crop */
} resect_augment;

/* Sample i of a split as the model wants it: C*H*W floats into out. (seed, epoch) choose the augmentation; NULL augment: none.
   Safe from several threads. Fails with FORMAT when the file changed since it was opened. */
RESECT_API bool resect_data_sample(const resect_data *d, resect_split split, size_t i, const resect_input *in,
        const resect_augment *augment, uint64_t seed, uint64_t epoch, float *out /* [C, H, W] */, resect_error *err) RESECT_MUST;

/* One picture file as the model wants it. */
RESECT_API bool resect_picture_read(const char *path, const resect_input *in, float *out /* [C, H, W] */, resect_error *err)
        RESECT_MUST;

/*
 * A loader decodes batches ahead of the compute in threads of its own. order names the samples (NULL: 0..count-1); the last
 * batch may be short. Every batch is the same bytes whatever the number of threads. Free with resect_loader_free, at any time.
 */
typedef struct resect_loader resect_loader;
typedef struct resect_loader_options {
        resect_split split;
        const size_t *order; /* [n]; copied */
        size_t n;
        size_t batch;
        const resect_input *input;
        const resect_augment *augment;
        uint64_t seed, epoch;
        int threads;  /* that make batches ahead of time; 0: as many as computing leaves over */
        int computes; /* threads that compute between two calls; 0: one for every processor */
} resect_loader_options;
typedef struct resect_batch {
        resect_tensor x;      /* [n, C, H, W] float32 (or [n, H, W, C]); borrowed until the next call */
        const int64_t *y;     /* [n] */
        const size_t *samples; /* [n] their numbers in the split */
        size_t n;
} resect_batch;
RESECT_API resect_loader *resect_loader_make(const resect_data *d, const resect_loader_options *options, resect_error *err) RESECT_MUST;
/* The next batch; n is 0 at the end. */
RESECT_API bool resect_loader_next(resect_loader *l, resect_batch *out, resect_error *err) RESECT_MUST;
RESECT_API void resect_loader_free(resect_loader *l);

#ifdef __cplusplus
}
#endif
#endif
