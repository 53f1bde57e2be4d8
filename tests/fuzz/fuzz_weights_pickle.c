/* SPDX-License-Identifier: 0BSD */
/*
 * libFuzzer over what reads pickles: PyTorch's stream and zip, Paddle's and Detectron's. An input
 * that begins with 'Z' is the data.pkl of a zip, which is put around it with sums that are right.
 * What is accepted must be usable: every tensor gives the bytes that its shape says, and all of
 * them can be written as a .pth.
 */
#include "../unit/pickles.h"
#include "weights/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const rs_format rs_format_torch, rs_format_paddle, rs_format_detectron;

#ifdef FUZZ_ALONE /* without the other formats, and what they stand on */
const rs_format *
rs_format_list(size_t i)
{
        (void)i;
        return NULL;
}
#endif

static void
need(bool ok)
{
        if (!ok)
                abort();
}

static void
use(const rs_checkpoint *c)
{
        unsigned sum = 0;
        for (size_t i = 0; i < c->n_entries; i++) {
                rs_arena scratch = {0};
                rs_span s;
                resect_error err;
                const rs_entry *e = &c->entries[i];
                need(rs_checkpoint_find(c, e->name) == e);
                if (rs_entry_bytes(e, &scratch, &s, &err)) {
                        need(s.size == e->bytes);
                        for (size_t k = 0; k < s.size; k++)
                                sum += s.data[k];
                } else /* a deflated storage's sum is verified when it is asked for */
                        need(err.code == RESECT_FORMAT || err.code == RESECT_NOMEM);
                rs_arena_free(&scratch);
        }
        volatile unsigned sink = sum; /* every byte was read */
        (void)sink;
}

static void
read_as(const rs_format *f, const char *path, const uint8_t *data, size_t size)
{
        resect_error err = {0};
        size_t head = size < 4096 ? size : 4096;
        if (!f->sniff(data, head, path))
                return;
        rs_checkpoint *c = rs_alloc(1, sizeof *c, NULL);
        need(c);
        c->path = path;
        c->format = f;
        rs_input in = {.data = data, .size = size};
        if (f->read(c, &in, &err)) {
                use(c);
                rs_writing w = {
                        .path = "/dev/null", .entries = c->entries, .n_entries = c->n_entries};
                need((w.out = rs_output_open(w.path, &err)) != NULL);
                need(rs_format_torch.write(&w, &err) || err.code == RESECT_UNSUPPORTED ||
                        err.code == RESECT_FORMAT);
                rs_output_abandon(w.out);
        } else
                need(err.code != RESECT_OK && err.msg[0]);
        rs_checkpoint_free(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size && data[0] == 'Z') {
                struct made z = wrap_zip(data + 1, size - 1, sizeof six);
                read_as(&rs_format_torch, "z.pth", z.data, z.n);
                free(z.data);
                return 0;
        }
        read_as(&rs_format_torch, "f.pth", data, size);
        read_as(&rs_format_paddle, "f.pdparams", data, size);
        read_as(&rs_format_detectron, "f.pkl", data, size);
        return 0;
}
