/* SPDX-License-Identifier: 0BSD */
/*
 * JSON as it is pulled: for headers of files that nobody vouches for, where a tree of a million objects would take many times the
 * file. The caller says what must come next; anything else stops the pen for good, and why says what was wrong.
 */
#ifndef RS_WEIGHTS_JSON_H
#define RS_WEIGHTS_JSON_H

#include "base/mem.h"

typedef struct rs_json {
        const char *p, *end;
        const char *why; /* NULL while all is well */
        rs_buf text;     /* the last string; free with rs_buf_free */
} rs_json;

/* Whether the next byte that is no space is c; it is then past. */
bool rs_json_eat(rs_json *j, char c);
/* The next string, with its escapes undone, NUL-terminated, in j->text until the next call. NUL bytes in it and what is not UTF-8
   are refused. NULL: see why. */
const char *rs_json_string(rs_json *j);
/* The same into out; empty where there is no string, or none that fits. */
void rs_json_text(rs_json *j, char *out, size_t size);
/* The next number, which must be a whole one, not negative and without exponent. */
bool rs_json_natural(rs_json *j, uint64_t *out);
/* A number as RFC 8259 has it, whatever the locale; and the same of a text that is nothing else, for words of other formats. */
bool rs_json_real(rs_json *j, double *out);
bool rs_decimal(const char *s, double *out);
/* Past one value of any kind, however deep. Of what is in it only strings are looked at closely. */
bool rs_json_skip(rs_json *j);
/* An object or an array: while (rs_json_next(j, '}', &first)) { one member }. first begins as true. */
bool rs_json_next(rs_json *j, char close, bool *first);
/* Writes a string with quotes and escapes. */
void rs_json_quote(rs_buf *b, const char *s);
bool rs_is_utf8(const char *s, size_t n);

#endif
