/* SPDX-License-Identifier: 0BSD */
/* The lines of protocol 0: numbers and strings as Python's repr spells them. */
#ifndef RS_WEIGHTS_PICKLE_TEXT_H
#define RS_WEIGHTS_PICKLE_TEXT_H

#include "base/mem.h"

typedef enum rs_decimal { RS_DECIMAL_NOT, RS_DECIMAL, RS_DECIMAL_BIG /* a number, but beyond 64 bits */ } rs_decimal;

rs_decimal rs_pickle_decimal(rs_span s, int64_t *out);
/* Python 2's repr of a str, in its quotes, to bytes: out takes s.size of them. */
bool rs_pickle_repr(rs_span s, unsigned char *out, size_t *n);
/* raw-unicode-escape (Latin-1 but for \uXXXX and \UXXXXXXXX) to UTF-8: out takes twice s.size. */
bool rs_pickle_raw_unicode(rs_span s, unsigned char *out, size_t *n);

#endif
