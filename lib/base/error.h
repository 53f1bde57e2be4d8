/* SPDX-License-Identifier: 0BSD */
/* Filling a resect_error: one call that returns false, so that failing is `return rs_fail(...)`. */
#ifndef RS_BASE_ERROR_H
#define RS_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include "resect/error.h"

/* Fills err (which may be NULL) and returns false. Control bytes and non-ASCII bytes that are not UTF-8 come out
   escaped, so that a name from a hostile file cannot speak to a terminal. */
bool rs_fail(resect_error *err, resect_code code, const char *fmt, ...) RESECT_PRINTF(3, 4);
bool rs_vfail(resect_error *err, resect_code code, const char *fmt, va_list ap) RESECT_PRINTF(3, 0);
bool rs_fail_nomem(resect_error *err);

/* The same for functions that return a pointer. */
#define RS_FAIL_NULL(...) (rs_fail(__VA_ARGS__), (void *)0)
#define RS_NOMEM_NULL(err) (rs_fail_nomem(err), (void *)0)

/* Puts "what: " before the message that err holds, for callers who know where they were. Returns false. */
bool rs_fail_at(resect_error *err, const char *fmt, ...) RESECT_PRINTF(2, 3);

#endif
