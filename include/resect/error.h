/* SPDX-License-Identifier: 0BSD */
/*
 * Errors. The library never prints and never exits: a call that can fail returns false or NULL and fills the
 * resect_error on its caller's stack. The message is one line that names the file, the node and the numbers.
 */
#ifndef RESECT_ERROR_H
#define RESECT_ERROR_H

#if defined(__GNUC__)
#define RESECT_API __attribute__((visibility("default")))
#define RESECT_MUST __attribute__((warn_unused_result))
#define RESECT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RESECT_API
#define RESECT_MUST
#define RESECT_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum resect_code {
        RESECT_OK = 0,
        RESECT_NOMEM,       /* memory ran out, or a size does not fit into size_t */
        RESECT_IO,          /* the operating system refused: open, read, write, rename */
        RESECT_FORMAT,      /* the bytes are not what they claim to be */
        RESECT_UNSUPPORTED, /* valid, but not something that this library does */
        RESECT_GRAPH,       /* the model contradicts itself: shapes, names, types */
        RESECT_ARG,         /* the caller's mistake */
        RESECT_STOPPED      /* the caller's own callback asked to stop */
} resect_code;

#define RESECT_ERROR_MAX 512

typedef struct resect_error {
        resect_code code;
        char msg[RESECT_ERROR_MAX]; /* one line, NUL-terminated, control bytes escaped, no final newline */
} resect_error;

/* The name of a code ("FORMAT"), for programs that print it. Never NULL. */
RESECT_API const char *resect_code_name(resect_code code);

/* The library's version, "MAJOR.MINOR.PATCH". */
RESECT_API const char *resect_version(void);

#ifdef __cplusplus
}
#endif
#endif
