/* SPDX-License-Identifier: 0BSD */
/* PREFIX-symbol.json, the network that stands beside MXNet's PREFIX-0000.params. */
#ifndef RS_WEIGHTS_MXNET_SYMBOL_H
#define RS_WEIGHTS_MXNET_SYMBOL_H

#include "weights/weights.h"

/* Takes what the file beside c->path says of layers over to the entries that are there, when there is such a file. One that cannot be
   understood is noted as left out. False when memory runs out or the file cannot be read. */
bool rs_mxnet_symbol(rs_checkpoint *c, resect_error *err) RESECT_MUST;
/* The same of a text; *why is set when it cannot be understood. */
bool rs_mxnet_symbol_take(rs_checkpoint *c, rs_span json, const char **why, resect_error *err) RESECT_MUST;

#endif
