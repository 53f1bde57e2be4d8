/* SPDX-License-Identifier: 0BSD */
/* A training job small enough to run hundreds of times: noisy pictures of three kinds in IDX files,
   and a residual network of a few thousand weights. */
#ifndef SMALL_JOB_H
#define SMALL_JOB_H

#include "resect/data.h"
#include "model/model.h"

enum { JOB_CLASSES = 3, JOB_SIDE = 8 };

/* Writes train-images-idx3-ubyte and train-labels-idx1-ubyte of n pictures into a folder that is
 * there. */
void small_pictures(const char *folder, size_t n);
/* A network for them; dropout before its head when asked. */
resect_model *small_model(bool dropout);
/* The SHA-256 of all initializers. */
void small_digest(resect_model *m, char hex[65]);

#endif
