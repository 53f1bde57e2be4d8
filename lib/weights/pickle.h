/* SPDX-License-Identifier: 0BSD */
/*
 * Python's pickles, protocols 0 to 5, as data. A pickle is a program for a small stack machine; this one has a closed list of
 * opcodes, and those that would call something make a note of what was to be called instead: an object with a callable and its
 * arguments. Nothing is imported, called or evaluated, whatever the callable's name. Names that formats understand are on one
 * closed list (known.h); what such an object means is decided by who reads the tree.
 *
 * A tree is a graph, in truth: the memo makes values shared, and may make them contain themselves. Who walks it bounds the walk
 * (rs_py_flatten does).
 */
#ifndef RS_WEIGHTS_PICKLE_H
#define RS_WEIGHTS_PICKLE_H

#include "weights/weights.h"

typedef enum rs_py_kind {
        RS_PY_NONE,
        RS_PY_BOOL,
        RS_PY_INT,
        RS_PY_BIG, /* an integer beyond 64 bits: its bytes, little-endian two's complement */
        RS_PY_FLOAT,
        RS_PY_BYTES, /* and Python 2's str */
        RS_PY_TEXT,  /* UTF-8, not checked */
        RS_PY_TUPLE,
        RS_PY_LIST,
        RS_PY_SET,
        RS_PY_DICT,
        RS_PY_GLOBAL,    /* a name: module and what in it */
        RS_PY_OBJECT,    /* what a call would have made */
        RS_PY_PERSISTENT /* what stands outside, by its id */
} rs_py_kind;

/* Callables and types that formats know: the closed list. RS_KNOWN_NONE is every other one. */
typedef enum rs_known {
        RS_KNOWN_NONE,
#define KNOWN(id, module, name, dtype) RS_KNOWN_##id,
#include "weights/known.h"
#undef KNOWN
} rs_known;

typedef struct rs_global {
        const char *module, *name;
        int32_t dtype; /* of a storage or a torch dtype; else 0 */
} rs_global;
extern const rs_global rs_globals[]; /* by rs_known */

typedef struct rs_py rs_py;

/* callable(*args), with what was done to the result afterwards. */
typedef struct rs_py_object {
        rs_py *callable, *args;
        rs_py *state; /* of BUILD; NULL */
        rs_py *items; /* of SETITEM: a RS_PY_DICT; NULL */
        rs_py *list;  /* of APPEND: a RS_PY_LIST; NULL */
} rs_py_object;

struct rs_py {
        uint8_t kind;
        uint8_t seen; /* the walk's own: in which of its rounds it came by */
        uint16_t known;
        union {
                bool truth;
                int64_t i;
                double f;
                rs_span s; /* BIG, BYTES, TEXT; of a GLOBAL "module.name", NUL-terminated */
                struct {
                        rs_py **items; /* of a DICT: key, value, key, value ...; n counts both */
                        size_t n, cap;
                } seq;
                rs_py_object *object;
                rs_py *id;
        };
};

typedef struct rs_pickle {
        rs_py *root;
        size_t length;      /* bytes up to and with STOP */
        rs_py **persistent; /* [n_persistent] in the order in which they came; the arena's */
        size_t n_persistent;
} rs_pickle;

/*
 * Reads the pickle that data begins with. Texts are borrowed from data, all else is the arena's. Memory is bounded by 64 MiB and the
 * size of the pickle; a pickle that wants more is UNSUPPORTED. Anything that Python would not load is FORMAT, with the place of the
 * opcode; opcodes that reach outside (extension codes, out-of-band buffers) are refused.
 */
bool rs_pickle_read(rs_pickle *p, rs_span data, rs_arena *arena, resect_error *err) RESECT_MUST;

/* The same of a whole file, behind which nothing may stand; its name comes before the message. */
rs_py *rs_pickle_file(rs_checkpoint *c, const rs_input *in, resect_error *err) RESECT_MUST;

bool rs_py_is(const rs_py *v, rs_py_kind kind); /* false for NULL */
/* Whether v is the result of calling one or the other. */
bool rs_py_called(const rs_py *v, rs_known one, rs_known two);
/* Whether v is text (or Python 2's str) of exactly these characters. */
bool rs_py_says(const rs_py *v, const char *text);
/* An object made by that callable, or the global itself: its known name, else RS_KNOWN_NONE. */
rs_known rs_py_known(const rs_py *v);
/* The i-th argument of an object's call; NULL when there is none. */
rs_py *rs_py_arg(const rs_py *object, size_t i);
/* The items of a dict, or of an object that had items put into it (OrderedDict), as a RS_PY_DICT; NULL when there are none. */
rs_py *rs_py_dict(rs_py *v);
/* The value of a key in a RS_PY_DICT (the last one, as in Python); NULL when there is none. Linear. */
rs_py *rs_py_get(const rs_py *dict, const char *key);
/* What kind of thing it is, for messages: "a list", or the name of what was to be called. */
const char *rs_py_what(const rs_py *v);

/* Dimensions out of a tuple or list of integers (or torch.Size of one). */
bool rs_py_dims(const rs_py *v, int *rank, int64_t dims[RESECT_RANK_MAX], resect_error *err);

/* Walking ---------------------------------------------------------------------------------------------------------------- */

typedef enum rs_taken { RS_TAKEN_NOT, RS_TAKEN, RS_TAKEN_FAILED } rs_taken;

/*
 * Turns the tensors of a tree into entries, wherever they are in dicts, lists and modules: names are the keys, joined with '.'. The one
 * dictionary that holds all the tensors of a file ("state_dict" beside "epoch") gives no name to them. Numbers and texts become notes;
 * an optimiser's state and what is not understood are skipped, and said to be so.
 */
typedef struct rs_py_walk {
        rs_checkpoint *c;
        size_t limit, spent; /* bytes of names and entries */
        uint64_t most;       /* bytes of tensors, all together: views of the same bytes do not multiply without end */
        uint64_t taken;
        uint8_t round;
        char name[1024];
        /* A tensor of the format's own: whether it is one, and what became of it. NULL: NumPy's alone. */
        rs_taken (*take)(struct rs_py_walk *w, const rs_py *v, const char *name, resect_error *err);
        /* Whether v would be taken. */
        bool (*is_tensor)(const rs_py *v);
        void *own;
} rs_py_walk;

/* Sets the limits, which a file of that size earns. */
void rs_py_walk_start(rs_py_walk *w, rs_checkpoint *c, size_t file_size);
bool rs_py_flatten(rs_py_walk *w, rs_py *root, resect_error *err) RESECT_MUST;
/* What take calls before it keeps a name, or anything of that size. */
bool rs_py_pay(rs_py_walk *w, size_t bytes, resect_error *err) RESECT_MUST;
/* What take calls for a tensor it found: counts it against the limits. False with err. */
bool rs_py_count_tensor(rs_py_walk *w, const char *name, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err) RESECT_MUST;

/* NumPy's arrays --------------------------------------------------------------------------------------------------------- */

bool rs_ndarray_is(const rs_py *v);
/* Adds an array as an entry; as_bfloat: elements u2 are bfloat16 (Paddle has no other way to store them). Arrays of objects and texts
   are skipped. */
bool rs_ndarray_add(rs_py_walk *w, const rs_py *v, const char *name, bool as_bfloat, resect_error *err) RESECT_MUST;
/* The same from parts, flat arrays one after the other, at the shape given. */
bool rs_ndarray_join(rs_py_walk *w, const char *name, rs_py *const *parts, size_t n, int rank, const int64_t *dims,
        bool as_bfloat, resect_error *err) RESECT_MUST;
/* A NumPy number (numpy.float64(91.2)): its value. */
bool rs_numpy_scalar(const rs_py *v, double *out);

/* Whether it is a dictionary that Paddle wrote, by its tables; and the reading of one (paddle.c). */
bool rs_paddle_is(const rs_py *root);
bool rs_paddle_read(rs_checkpoint *c, rs_py *root, size_t file_size, resect_error *err) RESECT_MUST;
extern const rs_format rs_format_paddle;

/* Writing ---------------------------------------------------------------------------------------------------------------- */

/* Opcodes into a buffer; it remembers which globals it has written. Set to {0}; b is freed by the caller. */
typedef struct rs_pickling {
        rs_buf b;
        uint8_t slots[16]; /* known numbers, by memo slot */
        int n_slots;
} rs_pickling;

void rs_put_op(rs_pickling *p, int opcode);
void rs_put_int(rs_pickling *p, int64_t v);
void rs_put_text(rs_pickling *p, const char *s);
void rs_put_global(rs_pickling *p, rs_known known);
void rs_put_dims(rs_pickling *p, int rank, const int64_t *dims); /* a tuple */
/* Whether all names are UTF-8, which Python's text must be; UNSUPPORTED if not. */
bool rs_names_are_text(const rs_writing *w, const char *format, resect_error *err) RESECT_MUST;
/* All entries as "name: ndarray" items into the output: opcodes and values alternate, nothing is held but one entry. */
bool rs_put_arrays(rs_pickling *p, const rs_writing *w, resect_error *err) RESECT_MUST;
/* UNSUPPORTED for element types that NumPy has not. */
bool rs_arrays_writable(const rs_writing *w, bool as_bfloat, const char *format, resect_error *err) RESECT_MUST;
/* Sends what is in the buffer on its way, and empties it. */
bool rs_put_flush(rs_pickling *p, rs_output *out, resect_error *err) RESECT_MUST;

#endif
