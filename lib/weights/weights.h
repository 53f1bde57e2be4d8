/* SPDX-License-Identifier: 0BSD */
/*
 * Weights to and from other frameworks. Three nouns:
 *
 * A checkpoint is what a file holds, under the names that the file gives: no meaning yet. A format is one const struct in one
 * file of this folder, and one row in formats.h: it turns bytes into a checkpoint's entries, entries into bytes, or both. It
 * knows containers and element types; it knows nothing of residual networks.
 *
 * A scheme is how one framework names and lays out the tensors of a residual network: one table in one file, and one row in
 * schemes.h. Names are only ever made from places, never parsed: to recognise a checkpoint, the names that a scheme would
 * give are looked up in it, stage by stage and block by block (recognise.c), so that one table serves both directions.
 *
 * Between the two stands the canonical set: places and roles, OIHW, [out, in], as resect_anatomy_tensor_canonical spells them.
 */
#ifndef RS_WEIGHTS_WEIGHTS_H
#define RS_WEIGHTS_WEIGHTS_H

#include "base/map.h"
#include "base/mem.h"
#include "io/input.h"
#include "io/output.h"
#include "resect/tensor.h"

/* Checkpoints ------------------------------------------------------------------------------------------------------------ */

/*
 * What a file says of the layer that a tensor belongs to, beside its values: of a BatchNormalization with its variance, of a Conv with
 * its weight. momentum is the share of the old statistics that a step of training keeps, as ONNX, Keras, MXNet and Caffe
 * (moving_average_fraction) count; PyTorch's is one less that.
 */
typedef struct rs_says {
        double epsilon;  /* below 0: not said */
        double momentum; /* 0: not said */
        int stride;      /* 0: not said */
        bool end;        /* padded at its end alone (SAME, with a stride) */
        bool fixed;      /* of a scale: it is taken as 1, whatever its values (MXNet's fix_gamma) */
} rs_says;

/*
 * A tensor of a checkpoint, read or to be written: dense, row-major, little-endian. The bytes either stand somewhere (data), in
 * the input or in the checkpoint's arena, or are made when they are asked for (fetch): a member that must be inflated, a tensor
 * that must be transposed. Ask with rs_entry_bytes alone.
 */
typedef struct rs_entry {
        const char *name; /* as the file spells it; nested dictionaries joined with '.', folders (HDF5, msgpack, TF) with '/' */
        int32_t dtype;
        int rank;
        const int64_t *dims; /* [rank] */
        size_t count, bytes; /* elements, and bytes: always what dtype and dims say */
        rs_span data;        /* data.data is NULL when fetch makes them (or bytes is 0) */
        bool (*fetch)(const struct rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err);
        const void *ctx; /* fetch's own */
        const rs_says *says; /* NULL: nothing; what the scheme knows holds */
} rs_entry;

/* The entry's bytes: e->bytes of them, borrowed from the checkpoint or made in scratch, which the caller empties when it has done
   with them (after each entry, if memory is to stay bounded). */
bool rs_entry_bytes(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err) RESECT_MUST;

typedef struct rs_pair {
        const char *key, *value;
} rs_pair;

/* What was in the file and is no tensor that can be taken: an optimiser's state, a Python number, a quantised blob. */
typedef struct rs_skipped {
        const char *name, *why;
} rs_skipped;

typedef struct rs_checkpoint {
        rs_arena arena;   /* everything that a reader makes for the checkpoint's life */
        const char *path; /* as given; "-" is standard input */
        const struct rs_format *format;
        rs_entry *entries; /* in the file's order */
        size_t n_entries;
        rs_pair *meta; /* text that the file carries: epoch, architecture, framework version */
        size_t n_meta;
        rs_skipped *skipped;
        size_t n_skipped;
        const char *input;  /* what the file says of its pictures, as resect.input; NULL: nothing */
        int64_t picture[2]; /* their height and width; 0: not said */
        /* checkpoint.c's own */
        size_t entries_cap, meta_cap, skipped_cap;
        rs_map names;
        struct rs_kept_input *inputs;
        uint64_t max_size;
        void *own;                /* a reader's state beyond the arena (a library's handle), */
        void (*release)(void *own); /* and its end */
} rs_checkpoint;

/* For readers. Names, dims and texts are copied into the arena. A name that is there already, a negative dim, an extent that does
   not fit or is not data.size, a dtype without a size, a rank over RESECT_RANK_MAX: FORMAT or UNSUPPORTED, with the name. */
bool rs_checkpoint_add(rs_checkpoint *c, const char *name, int32_t dtype, int rank, const int64_t *dims, rs_span data,
        resect_error *err) RESECT_MUST;
/* The same when the bytes are made on demand. The reader has checked that they can be: that the file is large enough for
   rs_tensor_extent's bytes, or would inflate to them. */
bool rs_checkpoint_add_lazy(rs_checkpoint *c, const char *name, int32_t dtype, int rank, const int64_t *dims,
        bool (*fetch)(const rs_entry *, rs_arena *, rs_span *, resect_error *), const void *ctx, resect_error *err) RESECT_MUST;
/* What the file says of the layer of entry i; copied. */
bool rs_checkpoint_say(rs_checkpoint *c, size_t i, const rs_says *says, resect_error *err) RESECT_MUST;
bool rs_checkpoint_note(rs_checkpoint *c, const char *key, const char *value, resect_error *err) RESECT_MUST;
bool rs_checkpoint_skip(rs_checkpoint *c, const char *name, resect_error *err, const char *why, ...) RESECT_MUST
        RESECT_PRINTF(4, 5);
/* Another file of the same checkpoint (TF's .data, ncnn's .bin), kept as long as the checkpoint. name is what the command line
   named or differs from it in its suffix only; a name out of the file's own bytes goes through rs_checkpoint_beneath. */
const rs_input *rs_checkpoint_open(rs_checkpoint *c, const char *path, resect_error *err) RESECT_MUST;
/* The same for a name that the checkpoint's own bytes (or a folder's listing) give: below folder, no links (io/beneath). */
const rs_input *rs_checkpoint_beneath(rs_checkpoint *c, const char *folder, const char *name, resect_error *err) RESECT_MUST;

const rs_entry *rs_checkpoint_find(const rs_checkpoint *c, const char *name); /* NULL when there is none */

/* Reads a file or folder ("-": standard input). format NULL: sniffed from its first bytes and its name. max_size as for
   rs_input_open. Free with rs_checkpoint_free. */
rs_checkpoint *rs_checkpoint_read(
        const char *path, const struct rs_format *format, uint64_t max_size, resect_error *err) RESECT_MUST;
/* The same of an input that is there already, which c then owns (it is freed when this fails, too); path is for messages and for
   what a reader looks for beside it. */
rs_checkpoint *rs_checkpoint_of(
        rs_input *in, const char *path, const struct rs_format *format, uint64_t max_size, resect_error *err) RESECT_MUST;
void rs_checkpoint_free(rs_checkpoint *c); /* NULL is fine */
/* Gives the memory of its mapped files back until it is looked at again. */
void rs_checkpoint_rest(const rs_checkpoint *c);

/* permute.c: dst[i0][i1]... = src[i0 * strides[0] + i1 * strides[1] + ...]: dims are dst's, strides are src's, in elements of width
   bytes. For every layout, Fortran order and PyTorch's strides alike. The caller has checked that src reaches that far
   (rs_strides_fit). */
void rs_permute(void *dst, const void *src, size_t width, int rank, const int64_t *dims, const int64_t *strides);
/* Whether every element of dims at these strides (none negative) lies within count elements. */
bool rs_strides_fit(int rank, const int64_t *dims, const int64_t *strides, size_t count);

/* Networks and places ---------------------------------------------------------------------------------------------------- */

enum { RS_STAGES_MAX = 8, RS_BLOCKS_MAX = 1024 };

/* Which residual network a set of weights is of, as far as names and shapes tell. */
typedef struct rs_net {
        int n_stages;
        int blocks[RS_STAGES_MAX];
        bool down[RS_STAGES_MAX]; /* the stage's first block has a Conv in its shortcut */
        bool bottleneck;
        bool preactivation; /* v2: bn1 stands before conv1; norm after the last block */
        int stem;           /* convolutions of the stem: 1, or 3 (c, d, s) */
        bool down_pool;     /* d: an average pool stands before the shortcut's Conv */
        bool data_norm;     /* a BatchNormalization on the picture (Gluon v2) */
        bool head;
        int64_t classes; /* of the head; 0 without one */
} rs_net;

/* 18, 50, 101 ...: 2 + 2 (basic) or 3 (bottleneck) a block. */
int rs_net_depth(const rs_net *net);

typedef enum rs_module {
        RS_STEM_CONV, /* conv 1; 1 .. 3 of a deep stem */
        RS_STEM_BN,
        RS_CONV, /* stage, block, conv */
        RS_BN,
        RS_DOWN_CONV, /* stage; block is 0 */
        RS_DOWN_BN,
        RS_NORM,    /* v2's last */
        RS_DATA_BN, /* on the picture */
        RS_HEAD,
        RS_MODULES
} rs_module;

typedef enum rs_role {
        RS_CONV_WEIGHT,
        RS_CONV_BIAS,
        RS_BN_GAMMA,
        RS_BN_BETA,
        RS_BN_MEAN,
        RS_BN_VAR,
        RS_BN_COUNT,  /* PyTorch's num_batches_tracked: dropped when read, an int64 0 when written */
        RS_BN_FACTOR, /* Caffe's third blob: mean and variance are divided by it when read (0 gives 0), 1 when written */
        RS_HEAD_WEIGHT,
        RS_HEAD_BIAS,
        RS_ROLES
} rs_role;

typedef struct rs_place {
        rs_module module;
        int stage; /* from 1 */
        int block; /* from 0 */
        int conv;  /* from 1 */
} rs_place;

/* Schemes ---------------------------------------------------------------------------------------------------------------- */

typedef enum rs_kernel { RS_OIHW, RS_HWIO, RS_OHWI } rs_kernel;

/* Where a stage's stride is. Basic blocks have it on conv1 in RS_STRIDE_CONV1 and RS_STRIDE_CONV2 alike. */
typedef enum rs_stride {
        RS_STRIDE_CONV2, /* v1.5: the 3x3 of the first block */
        RS_STRIDE_CONV1, /* v1: its first 1x1 */
        RS_STRIDE_LAST   /* slim: the 3x3 of the LAST block of stages 1 to 3, whose shortcut is a 1x1 MaxPool */
} rs_stride;

typedef enum rs_pool1 {
        RS_POOL1_EVEN, /* 3x3, stride 2, padded by 1 on every side */
        RS_POOL1_END,  /* padded at the end alone: TensorFlow's SAME, Caffe's ceil mode */
        RS_POOL1_ZERO  /* as EVEN, but with zeros: after no ReLU that is another thing (Keras v2) */
} rs_pool1;

enum { RS_BIAS_STEM = 1, RS_BIAS_CONV1 = 2, RS_BIAS_CONV2 = 4, RS_BIAS_CONV3 = 8, RS_BIAS_DOWN = 16, RS_BIAS_ALL = 31 };

/*
 * One framework's names for one kind of residual network (v2 is another scheme than v1 where the names differ).
 *
 * A tensor's name is prefix + slots[role] with {m} replaced by modules[module]; both are patterns in which
 *   {s} {b} {c}       are stage (from 1), block (from 0) and conv (from 1); {s-1}, {s+1}, {b+1}, {c-1} ... shift them,
 *   {i}               counts the blocks of all stages, from 0 ({i+1} from 1),
 *   {d}               is the network's depth (101),
 *   {a}               is conv as a letter: a, b, c,
 *   {anything else}   is asked of variable(),
 * and '|' separates alternatives, of which the first is what is written and all are understood. A slot of NULL: the framework
 * stores no such tensor. A module of NULL: the scheme has no such part (a network that has one cannot be written with it).
 * When read, anything may stand before the name ("module.", "state_dict.", "resnetv10_"), the same for all tensors; prefix
 * is what is written.
 */
typedef struct rs_scheme {
        const char *name, *help; /* "torchvision", one line */
        const char *prefix;      /* NULL: none */
        const char *modules[RS_MODULES];
        const char *deep_conv[3], *deep_bn[3]; /* of a deep stem (c, d, s), one by one; NULL: the scheme has none */
        const char *pooled_conv, *pooled_bn;   /* of a shortcut behind an average pool (d); NULL: as RS_DOWN_CONV, RS_DOWN_BN */
        bool deep_pools;                       /* PaddleClas: a deep stem and such a pool come together, under the same names */
        bool first_down;                       /* in basic networks the first block has a Conv in its shortcut, too */
        const char *slots[RS_ROLES];
        rs_kernel kernel;
        bool head_in_out; /* the dense weight is [in, out] */
        bool head_conv;   /* the head is a 1x1 Conv: rank 4, in the kernel's layout (head_in_out is then no matter) */
        bool preactivation;
        bool folded;                    /* there are no BatchNormalizations: all is in Conv's weight and bias */
        unsigned biases, biases_basic;  /* RS_BIAS_...: which Convs store a bias, in bottleneck and in basic networks; a bias that
                                           stands before a BatchNormalization is absorbed when read and 0 when written */
        double epsilon;                 /* of its BatchNormalizations */
        double momentum;                /* likewise, as rs_says counts it; 0: unknown */
        rs_stride stride;               /* what weights under these names were trained with */
        rs_pool1 pool1;
        bool convs_end;                 /* 3x3 Convs with a stride pad at the end alone, too (SAME): Flax's example */
        int label_offset;               /* 1: class 0 of 1001 is the background */
        bool fixed_gamma_data;          /* the data BatchNormalization's gamma is to be taken as 1 (MXNet's fix_gamma) */
        const char *input;              /* as resect.input: "size=224x224 resize=256 mean=... std=... channels=bgr"; NULL: unknown */
        /* A variable that is none of the above: its text into out. False: this alternative (0, 1 ...) does not exist here. net may
           be only known so far as it has been found when a checkpoint is being recognised (blocks of later stages are 0). */
        bool (*variable)(const char *variable, const rs_net *net, const rs_place *at, int alternative, char *out, size_t size);
} rs_scheme;

enum { RS_NAME_MAX = 512, RS_ALTERNATIVES_MAX = 16 };

/* The name of a place's tensor; alternative 0 is what is written, without the prefix. False when the scheme has no such tensor or no
   so many alternatives. */
bool rs_scheme_name(const rs_scheme *s, const rs_net *net, const rs_place *at, rs_role role, int alternative,
        char out[RS_NAME_MAX]);

/* The scheme's prefix, filled in for the network; false when it has none. */
bool rs_scheme_prefix(const rs_scheme *s, const rs_net *net, char out[RS_NAME_MAX]);

const rs_scheme *rs_scheme_list(size_t i); /* NULL past the end */
const rs_scheme *rs_scheme_find(const char *name);

/* Formats ---------------------------------------------------------------------------------------------------------------- */

/* What a writer is given. Entries come in the network's order (stem, blocks, head; of a BN gamma, beta, mean, variance). */
typedef struct rs_writing {
        const char *path;
        rs_output *out; /* of a format that is one file; NULL: the writer opens path (and what belongs to it) itself */
        const rs_entry *entries;
        size_t n_entries;
        const rs_pair *meta;
        size_t n_meta;
        const rs_net *net;       /* of the network that is written; NULL: a checkpoint is only re-packed */
        const rs_scheme *scheme; /* NULL likewise */
        struct resect_model *model; /* of a format with graph set: the network, whose nodes it may sort; entries are not looked at */
        int32_t dtype;              /* likewise: of the weights, where the format has it; 0: as they are */
        /* What to ask of what was written, as the format's own reader sees it, before it takes its place; false: it never does. NULL:
           nothing. copy is its own to free. */
        bool (*prove)(void *ctx, rs_checkpoint *copy, resect_error *err);
        void *ctx;
        uint64_t max_size; /* of what is read then, as for rs_input_open */
} rs_writing;

typedef struct rs_format {
        const char *name, *help;
        const char *const *suffixes; /* ".safetensors", ends with NULL; the first is the usual one */
        const char *scheme;          /* what is written when none is asked for; NULL: torchvision */
        const char *stem;            /* NAME, where there is none, stands for NAME.index: ".index"; NULL: not so */
        bool graph;                  /* it holds the network too: written from rs_writing.model (ncnn) */
        bool many;                   /* more than one file, or a folder: no pipe, and the writer opens its outputs */
        /* Whether it is such a file, from its first bytes (up to 4096; NULL for a folder) and its name. True beyond doubt only: by
           magic and structure where the format has them, by the name where it has none. */
        bool (*sniff)(const unsigned char *head, size_t size, const char *path);
        /* Reads into an empty checkpoint. in is kept by c, and NULL when path is a folder. NULL: cannot be read. */
        bool (*read)(rs_checkpoint *c, const rs_input *in, resect_error *err);
        /* Writes, one entry's bytes in memory at a time. Says UNSUPPORTED, before the first byte, for an element type that the
           format has not. Does not close w->out. NULL: cannot be written. */
        bool (*write)(const rs_writing *w, resect_error *err);
        /* Takes away all that write made at path, of a format with many set. */
        void (*remove)(const char *path);
} rs_format;

const rs_format *rs_format_list(size_t i); /* NULL past the end */
const rs_format *rs_format_find(const char *name);
/* The format that a name's ending stands for, NULL when none. */
const rs_format *rs_format_by_suffix(const char *path);

/* Whether it can be written. */
bool rs_format_writes(const rs_format *f, resect_error *err) RESECT_MUST;
/* Writes a checkpoint's entries as another format, atomically. What is written straight into a pipe or a device cannot be read again,
   and is not proved; the files of a format with many set are in place when they are, and are removed again. */
bool rs_format_write(const rs_format *f, rs_writing *w, resect_error *err) RESECT_MUST;

#endif
