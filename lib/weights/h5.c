/* SPDX-License-Identifier: 0BSD */
/*
 * HDF5, as Keras keeps weights: legacy .h5 files of weights or of whole models, and Keras 3's
 * .weights.h5. A name is the path of a dataset. Values in one piece are used where they stand in
 * the file; what is in chunks or in another byte order comes through the pipe.
 */
#include "config.h"
#include "weights/h5.h"

#include <stdio.h>
#include <string.h>

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        static const unsigned char magic[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
        (void)path;
        /* at the beginning, or behind a block of the user's, whose size is a power of two */
        for (size_t at = 0; head && at + 8 <= size; at = at ? at * 2 : 512)
                if (!memcmp(head + at, magic, 8))
                        return true;
        return false;
}

#ifdef HAVE_HDF5
enum { SECONDS = 60, BYTES_A_SECOND = 8 << 20, MEMORY = 256 << 20 };

static bool
hear(void *ctx, void *bytes, size_t n)
{
        return rs_confined_hear(ctx, bytes, n);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_confined child;
        rs_h5_answer answer = {.hear = hear, .ctx = &child};
        rs_h5_reading r = {.file = {in->data, in->size}};
        size_t more;
        char what[RESECT_ERROR_MAX];
        if (!rs_mul(in->size, 8, &more) || !rs_add(more, MEMORY, &r.memory))
                return rs_fail_nomem(err);
        if (!rs_confined_start(&child, SECONDS + (unsigned)(in->size / BYTES_A_SECOND),
                    rs_h5_child_read, &r, err))
                return false;
        bool ok = rs_h5_take(&answer, c, r.file, err);
        if (answer.ended) { /* well, or err says why not */
                rs_confined_stop(&child);
                return ok;
        }
        snprintf(what, sizeof what, "%s: libhdf5", c->path);
        return rs_confined_failed(&child, what, err);
}
#else
static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        (void)in;
        return rs_fail(
                err, RESECT_UNSUPPORTED, "%s: this resect was built without libhdf5", c->path);
}

bool
rs_h5_write(const rs_writing *w, resect_error *err)
{
        return rs_fail(
                err, RESECT_UNSUPPORTED, "%s: this resect was built without libhdf5", w->path);
}
#endif

static const char *const suffixes[] = {".h5", ".hdf5", NULL};

const rs_format rs_format_h5 = {
        .name = "h5",
        .help = "HDF5, as Keras keeps weights (.h5; .weights.h5 with Keras 3's names)",
        .suffixes = suffixes,
        .scheme = "keras",
        .sniff = sniff,
        .read = read,
        .write = rs_h5_write,
};
