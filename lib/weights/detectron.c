/* SPDX-License-Identifier: 0BSD */
/*
 * Detectron's .pkl: {"model": {name: array}, "__author__": ...} of Detectron2, {"blobs": {name:
 * array}} of Caffe2 (with the momentum of each blob beside it), or the bare dictionary. Any other
 * pickled dictionary of NumPy arrays is read as one, too.
 */
#include "weights/pickle.h"

#include <string.h>

/* Caffe2 keeps the momentum of "conv1_w" as "conv1_w_momentum". */
static rs_taken
take(rs_py_walk *w, const rs_py *v, const char *name, resect_error *err)
{
        static const char suffix[] = "_momentum";
        size_t n = strlen(name);
        if (!rs_ndarray_is(v) || n < sizeof suffix || strcmp(name + n - sizeof suffix + 1, suffix))
                return RS_TAKEN_NOT;
        return rs_py_pay(w, n, err) &&
                               rs_checkpoint_skip(w->c, name, err, "an optimiser's momentum")
                       ? RS_TAKEN
                       : RS_TAKEN_FAILED;
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_py_walk w = {.take = take};
        rs_py *root = rs_pickle_file(c, in, err);
        if (!root)
                return false;
        if (rs_paddle_is(root)) { /* it came without its name, through a pipe */
                c->format = &rs_format_paddle;
                return rs_paddle_read(c, root, in->size, err);
        }
        rs_py_walk_start(&w, c, in->size);
        return rs_py_flatten(&w, root, err);
}

/* A pickle of protocol 2 or later has a mark of its own; earlier ones are told by their name alone.
 */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        static const char suffix[] = ".pkl";
        size_t n = strlen(path);
        if (!head || size < 4)
                return false;
        if (head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
                return head[2] == '}' || head[2] == 'c' || head[2] == '(' || head[2] == 0x95;
        return n >= sizeof suffix && !strcmp(path + n - sizeof suffix + 1, suffix) &&
               (head[0] == '(' || head[0] == '}' || head[0] == 'c');
}

/* Caffe2's names have no dots, Detectron2's have; Detectron2 translates the names of files that
 * have blobs. */
static bool
is_caffe2(const rs_writing *w)
{
        for (size_t i = 0; i < w->n_entries; i++)
                if (strchr(w->entries[i].name, '.'))
                        return false;
        return true;
}

static bool
write(const rs_writing *w, resect_error *err)
{
        rs_pickling p = {0};
        bool caffe2 = is_caffe2(w);
        if (!rs_arrays_writable(w, false, "a .pkl file", err))
                return false;
        rs_buf_add(&p.b, "\x80\x04}(", 4);
        rs_put_text(&p, caffe2 ? "blobs" : "model");
        rs_buf_str(&p.b, "}(");
        bool ok = rs_put_arrays(&p, w, err);
        rs_buf_str(&p.b, "u");
        if (!caffe2) { /* without an author, Detectron2 takes the file for Caffe2's */
                rs_put_text(&p, "__author__");
                rs_put_text(&p, "resect");
                rs_put_text(&p, "matching_heuristics"); /* "backbone.bottom_up." may be missing from
                                                           the names */
                rs_put_op(&p, 0x88);
        }
        rs_buf_str(&p.b, "u.");
        ok = ok && rs_put_flush(&p, w->out, err);
        rs_buf_free(&p.b);
        return ok;
}

static const char *const suffixes[] = {".pkl", NULL};

const rs_format rs_format_detectron = {
        .name = "detectron",
        .help = "Detectron's and Detectron2's .pkl",
        .suffixes = suffixes,
        .scheme = "detectron",
        .sniff = sniff,
        .read = read,
        .write = write,
};
