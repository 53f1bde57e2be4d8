/* SPDX-License-Identifier: 0BSD */
/* model_config, what Keras says of a model beside its weights. */
#ifndef RS_WEIGHTS_KERAS_CONFIG_H
#define RS_WEIGHTS_KERAS_CONFIG_H

#include "weights/weights.h"

/* Takes what it says of layers, pictures and preprocessing over to the entries that are there. What is damaged, or of a kind that is
   not known, says nothing: weights can be had without it. False only when memory runs out. */
bool rs_keras_config(rs_checkpoint *c, rs_span json, resect_error *err) RESECT_MUST;

#endif
