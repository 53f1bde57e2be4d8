/* SPDX-License-Identifier: 0BSD */
/* The list of formats, and the way out: a stream is opened and closed here, whatever the format. */
#include "weights/weights.h"

#include <string.h>
#include <strings.h>

#define FORMAT(name) extern const rs_format rs_format_##name;
#include "weights/formats.h"
#undef FORMAT

static const rs_format *const formats[] = {
#define FORMAT(name) &rs_format_##name,
#include "weights/formats.h"
#undef FORMAT
};

enum { N_FORMATS = sizeof formats / sizeof *formats };

const rs_format *
rs_format_list(size_t i)
{
        return i < N_FORMATS ? formats[i] : NULL;
}

const rs_format *
rs_format_find(const char *name)
{
        for (size_t i = 0; i < N_FORMATS; i++)
                if (!strcmp(formats[i]->name, name))
                        return formats[i];
        return NULL;
}

const rs_format *
rs_format_by_suffix(const char *path)
{
        size_t n = strlen(path);
        for (size_t i = 0; i < N_FORMATS; i++)
                for (const char *const *s = formats[i]->suffixes; *s; s++)
                        if (n > strlen(*s) && !strcasecmp(path + n - strlen(*s), *s))
                                return formats[i];
        return NULL;
}

bool
rs_format_writes(const rs_format *f, resect_error *err)
{
        return f->write ||
               rs_fail(err, RESECT_UNSUPPORTED, "%s can be read, but not written", f->name);
}

/* What was written, read by the format's own reader and shown to whoever asked for that. */
static bool
proved(const rs_format *f, const rs_writing *w, resect_error *err)
{
        rs_checkpoint *c = NULL;
        if (!w->prove || !f->read || (w->out && rs_output_is_direct(w->out)))
                return true;
        if (w->out) {
                rs_input *in = rs_output_read_back(w->out, w->max_size, err);
                c = in ? rs_checkpoint_of(in, w->path, f, w->max_size, err) : NULL;
        } else
                c = rs_checkpoint_read(w->path, f, w->max_size, err);
        return c ? w->prove(w->ctx, c, err)
                 : rs_fail_at(err, "what was written cannot be read, and nothing is left of it");
}

bool
rs_format_write(const rs_format *f, rs_writing *w, resect_error *err)
{
        if (!rs_format_writes(f, err))
                return false;
        w->out = NULL;
        if (f->many) {
                if (!f->write(w, err))
                        return false;
                if (proved(f, w, err))
                        return true;
                f->remove(w->path);
                return false;
        }
        w->out = rs_output_open(w->path, err);
        if (!w->out)
                return false;
        if (f->write(w, err) && proved(f, w, err))
                return rs_output_close(w->out, err);
        rs_output_abandon(w->out);
        return false;
}
