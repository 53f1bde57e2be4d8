/* SPDX-License-Identifier: 0BSD */
/*
 * Labelled data in memory. A source (folder.c, manifest.c, idx.c, npz.c) lists samples; scan.c
 * looks at each one once and takes the hash of its pixels; collect.c drops what cannot be read,
 * splits and sorts; sample.c makes what the model sees. After rs_data_collect nothing changes but
 * the cache, so that any number of threads may read.
 */
#ifndef RS_DATA_DATA_H
#define RS_DATA_DATA_H

#include <pthread.h>
#include "image/image.h"

typedef struct rs_sample {
        const char *name;  /* for people */
        const char *path;  /* of the file; NULL for a row of IDX or .npz */
        const char *group; /* class name, until labels are known */
        size_t row;
        int label;
        resect_split split;          /* RESECT_ALL: not said */
        unsigned char hash[32];      /* of the pixels */
        uint64_t look;               /* dHash; 0 for rows */
        int64_t file_size, mtime;    /* nanoseconds */
        char *why;                   /* from rs_alloc: why it cannot be read; NULL: it can */
        const unsigned char *fitted; /* cached: [H, W, C] as the model wants it */
        const rs_picture *decoded;   /* cached: what augmentation starts from */
} rs_sample;

typedef struct rs_line { /* of a list of texts */
        const char *name, *text;
} rs_line;

struct resect_data {
        rs_arena arena;
        const resect_data *base; /* of a view: whose samples and cache these are; else NULL */
        const char *path;
        enum { RS_FILES, RS_PIXELS, RS_TENSOR } kind;
        const char **classes;
        size_t n_classes;
        rs_sample *samples;
        size_t n_samples, cap_samples;
        size_t *of[4], count[4]; /* samples of a split, by resect_split */
        rs_line *skipped, *notes;
        size_t n_skipped, n_notes;
        bool presplit;         /* the source said which samples are which */
        unsigned char *pixels; /* RS_PIXELS: [rows, H, W, C] */
        resect_tensor x;       /* RS_TENSOR: [rows, C, H, W] */
        int64_t chw[3];
        pthread_mutex_t lock; /* of the cache */
        bool has_lock, has_cache_key;
        resect_input cache_key;
        size_t cached; /* bytes */
};

/* Sources. Each fills samples (and pixels or x); folders and manifests give groups, the others
 * labels and classes. */
bool rs_data_folder(resect_data *d, resect_error *err) RESECT_MUST;
bool rs_data_manifest(resect_data *d, resect_error *err) RESECT_MUST;
bool rs_data_idx(resect_data *d, bool folder, resect_error *err) RESECT_MUST;
/* Fails for want of memory alone. */
bool rs_data_is_idx_folder(const resect_data *d, bool *found, resect_error *err) RESECT_MUST;
bool rs_data_npz(resect_data *d, resect_error *err) RESECT_MUST;

/* build.c: what sources build with. Strings are the arena's. */
rs_sample *rs_data_add(
        resect_data *d, resect_error *err) RESECT_MUST; /* valid until the next one */
bool rs_data_note(resect_data *d, resect_error *err, const char *fmt, ...) RESECT_MUST
        RESECT_PRINTF(3, 4);
bool rs_data_skip(resect_data *d, const char *name, const char *why, resect_error *err) RESECT_MUST;
/* "train", "val", "valid", "validation", "test". */
bool rs_split_parse(const char *name, resect_split *out);
/* Classes 0 .. n-1, named by the lines of a file labels.txt in the folder of path when there is
 * one, else by their numbers. */
bool rs_data_number_classes(
        resect_data *d, const char *path, size_t n, resect_error *err) RESECT_MUST;
bool rs_data_name_classes(
        resect_data *d, const char *what, rs_span text, size_t n, resect_error *err) RESECT_MUST;
/* A file beside another: the folder of path, a slash, name. */
char *rs_path_beside(
        rs_arena *a, const char *path, const char *name, resect_error *err) RESECT_MUST;

/* scan.c: hash, look or why of every sample, in threads. */
bool rs_data_scan(resect_data *d, const resect_data_options *o, resect_error *err) RESECT_MUST;
/* sample.c: what is asked for later (its input has the cache); and a picture that was just decoded, fitted to that and kept. It
   takes the picture and drops its colour where that is not wanted. */
void rs_data_expect(resect_data *d, const resect_input *in);
bool rs_data_keep_fitted(resect_data *d, rs_sample *s, rs_picture *p, resect_error *err) RESECT_MUST;
void rs_picture_hash(const rs_picture *p, unsigned char hash[32]);
bool rs_file_stamp(const char *path, int64_t *size, int64_t *mtime);

/* view.c: the data whose samples, pixels and cache a view uses; itself when it is none. */
resect_data *rs_data_root(const resect_data *d);

/* collect.c */
bool rs_data_choose_classes(
        resect_data *d, const resect_data_options *o, resect_error *err) RESECT_MUST;
bool rs_data_collect(resect_data *d, const resect_data_options *o, resect_error *err) RESECT_MUST;
/* notes.c */
bool rs_data_compare(resect_data *d, resect_error *err) RESECT_MUST;
int rs_compare_hashes(const void *a, const void *b); /* rs_sample **, by hash, then name and row */

const rs_sample *rs_data_at(
        const resect_data *d, resect_split split, size_t i); /* NULL past the end */
/* sample.c: whether an augmentation that flips, and does nothing else, flips a sample in an epoch. */
bool rs_data_flips(
        const resect_data *d, resect_split split, size_t i, uint64_t seed, uint64_t epoch);
/* Whether samples can be made for that input. */
bool rs_data_check_input(
        const resect_data *d, const resect_input *in, resect_error *err) RESECT_MUST;
bool rs_input_check(const resect_input *in, resect_error *err) RESECT_MUST;

#endif
