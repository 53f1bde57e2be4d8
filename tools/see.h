/* SPDX-License-Identifier: 0BSD */
/* What the files of resect-see share. */
#ifndef SEE_H
#define SEE_H

#include "cli.h"

enum { SEE_LAYERS = 256 };

struct see_layer {
        const char *name, *value; /* "layer3.5" and the value that it makes */
};

/* A picture to look at. */
struct see_picture {
        const char *name;
        float *x;      /* as the model wants it */
        int64_t label; /* the output that it should be, or -1 */
};

struct see {
        resect_model *m;
        resect_anatomy *a;
        const resect_summary *s;
        struct see_layer layers[SEE_LAYERS];
        size_t n_layers;
        char *layer_list; /* whose names --layers gave; NULL: none */
        struct see_layer cam; /* where Grad-CAM looks; name NULL: nowhere */
        const char *end;      /* the value of the class scores or features */
        bool classes;         /* they are class scores */
        size_t outputs;
        const char **names;    /* [outputs] */
        char (*numbers)[24];   /* [outputs] names of outputs without a label */
        int64_t *wanted;       /* [n_wanted] outputs asked for */
        size_t n_wanted;
        resect_input in;
        const resect_input *shown; /* what makes a picture visible again: NULL for raw tensors */
        const resect_data *data;   /* NULL: picture files */
        resect_split split;
        int64_t *map; /* [classes of the data] which output each is */
        int patch, stride; /* 0: no occlusion */
        size_t channels, top, show;
        resect_page *page; /* NULL: no page is wanted */
        const char *folder; /* of PNG files, or NULL */
        json_t *json;
};

/* see_out.c: pictures to the page and the folder. rgb is [height, width, 3]. */
void see_open_output(struct see *s, const char *path);
void see_close_output(struct see *s);
/* Gathers pictures until see_grid puts them into the page as one grid. They are copied. */
void see_picture_out(struct see *s, const char *file, const unsigned char *rgb, int height, int width, const char *caption,
        const char *detail);
void see_grid(struct see *s, int side, const char *caption);
/* The picture that a model's input was, enlarged by a whole number to at least `least` pixels. Free the result. */
unsigned char *see_visible(const struct see *s, const float *x, int least, int *height, int *width);
/* Made smaller, by averaging, to at most `most` pixels a side. Frees rgb. */
unsigned char *see_smaller(unsigned char *rgb, int *height, int *width, int most);
void see_frame(unsigned char *rgb, int height, int width, double y, double x, double half);

/* see_picture.c: what fires for these pictures, and what drives their outputs. */
void see_pictures(struct see *s, const struct see_picture *p, size_t n);
/* see_study.c: what the channels do over a data set. */
void see_study(struct see *s);

#endif
