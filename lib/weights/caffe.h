/* SPDX-License-Identifier: 0BSD */
/* What Caffe's reader and its writer share: the numbers of caffe.proto's fields. */
#ifndef RS_WEIGHTS_CAFFE_H
#define RS_WEIGHTS_CAFFE_H

#include "weights/weights.h"

enum { CAFFE_NET_NAME = 1, CAFFE_LAYERS = 2, CAFFE_LAYER = 100 };             /* NetParameter */
enum { CAFFE_LAYER_NAME = 1, CAFFE_LAYER_TYPE = 2, CAFFE_LAYER_BLOBS = 7, CAFFE_CONV = 106, CAFFE_NORM = 139 }; /* LayerParameter */
enum { CAFFE_STRIDE = 6, CAFFE_STRIDE_H = 13 }; /* ConvolutionParameter */
enum { CAFFE_MOVING_FRACTION = 2, CAFFE_EPS = 3 }; /* BatchNormParameter */
enum { /* BlobProto */
        CAFFE_NUM = 1,
        CAFFE_WIDTH = 4,
        CAFFE_DATA = 5,
        CAFFE_SHAPE = 7,
        CAFFE_DOUBLE = 8,
        CAFFE_RAW_TYPE = 10, /* this and the next are NVIDIA's */
        CAFFE_RAW = 12
};
enum { CAFFE_FLOAT16 = 2 }; /* a raw_data_type */

/* Of a layer, so that a small file cannot make a large list. Caffe's own layers have at most 8 blobs. */
enum { CAFFE_NAME_BYTES = 256, CAFFE_BLOBS_MAX = 16 };

bool rs_caffe_write(const rs_writing *w, resect_error *err) RESECT_MUST;

#endif
