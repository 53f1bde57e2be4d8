/* SPDX-License-Identifier: 0BSD */
/*
 * Pickles are written opcode by opcode. Globals are remembered in the memo, which is all of it that
 * is used; what a loader would have to run is the same few calls that NumPy and PyTorch write.
 */
#include "weights/pickle.h"

#include <string.h>
#include "tensor/dtype.h"
#include "tensor/npy.h"
#include "weights/json.h"

void
rs_put_op(rs_pickling *p, int opcode)
{
        rs_buf_add(&p->b, &(unsigned char){(unsigned char)opcode}, 1);
}

static void
put_little(rs_pickling *p, uint64_t v, int n)
{
        for (int i = 0; i < n; i++)
                rs_put_op(p, (int)(v >> 8 * i & 0xff));
}

void
rs_put_int(rs_pickling *p, int64_t v)
{
        if (v >= 0 && v < 256) {
                rs_put_op(p, 'K');
                put_little(p, (uint64_t)v, 1);
        } else if (v >= INT32_MIN && v <= INT32_MAX) {
                rs_put_op(p, 'J');
                put_little(p, (uint64_t)v, 4);
        } else {
                rs_put_op(p, 0x8a); /* LONG1, of 8 bytes */
                rs_put_op(p, 8);
                put_little(p, (uint64_t)v, 8);
        }
}

void
rs_put_text(rs_pickling *p, const char *s)
{
        size_t n = strlen(s);
        rs_put_op(p, 'X');
        put_little(p, n, 4);
        rs_buf_add(&p->b, s, n);
}

void
rs_put_global(rs_pickling *p, rs_known k)
{
        for (int i = 0; i < p->n_slots; i++)
                if (p->slots[i] == k) {
                        rs_put_op(p, 'h');
                        rs_put_op(p, i);
                        return;
                }
        rs_put_op(p, 'c');
        rs_buf_printf(&p->b, "%s\n%s\n", rs_globals[k].module, rs_globals[k].name);
        if (p->n_slots < (int)sizeof p->slots) {
                rs_put_op(p, 'q');
                rs_put_op(p, p->n_slots);
                p->slots[p->n_slots++] = (uint8_t)k;
        }
}

void
rs_put_dims(rs_pickling *p, int rank, const int64_t *dims)
{
        rs_put_op(p, '(');
        for (int i = 0; i < rank; i++)
                rs_put_int(p, dims[i]);
        rs_put_op(p, 't');
}

bool
rs_put_flush(rs_pickling *p, rs_output *out, resect_error *err)
{
        bool ok = !p->b.oom || rs_fail_nomem(err);
        ok = ok && rs_output_bytes(out, p->b.data, p->b.size, err);
        p->b.size = 0;
        return ok;
}

bool
rs_names_are_text(const rs_writing *w, const char *format, resect_error *err)
{
        for (size_t i = 0; i < w->n_entries; i++)
                if (!rs_is_utf8(w->entries[i].name, strlen(w->entries[i].name)))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: %s has no names that are not UTF-8", w->entries[i].name,
                                format);
        return true;
}

bool
rs_arrays_writable(const rs_writing *w, bool as_bfloat, const char *format, resect_error *err)
{
        for (size_t i = 0; i < w->n_entries; i++) {
                int32_t t = w->entries[i].dtype;
                if (!rs_npy_code(t) && !(as_bfloat && t == RESECT_BFLOAT16))
                        return rs_fail(err, RESECT_UNSUPPORTED, "%s: %s has no elements of type %s",
                                w->entries[i].name, format, resect_dtype_name((resect_dtype)t));
        }
        return rs_names_are_text(w, format, err);
}

static void
put_dtype(rs_pickling *p, int32_t dtype)
{
        const char *code = rs_npy_code(dtype == RESECT_BFLOAT16 ? RESECT_UINT16 : dtype);
        rs_put_global(p, RS_KNOWN_NUMPY_DTYPE);
        rs_put_text(p, code);
        rs_buf_add(&p->b, "\x89\x88\x87R(K\x03", 7); /* False, True: no alignment, a copy */
        rs_put_text(p, rs_dtype_bits(dtype) == 8 ? "|" : "<");
        rs_buf_add(&p->b, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", 17);
}

/* _reconstruct(ndarray, (0,), b"b") with the state (1, shape, dtype, False, bytes) */
static bool
put_array(rs_pickling *p, rs_output *out, const rs_entry *e, rs_arena *scratch, resect_error *err)
{
        rs_span bytes;
        if (!rs_entry_bytes(e, scratch, &bytes, err))
                return false;
        rs_put_text(p, e->name);
        rs_put_global(p, RS_KNOWN_RECONSTRUCT);
        rs_put_global(p, RS_KNOWN_NDARRAY);
        rs_buf_add(&p->b,
                "K\x00\x85"
                "C\x01"
                "b"
                "\x87R(K\x01",
                11);
        rs_put_dims(p, e->rank, e->dims);
        put_dtype(p, e->dtype);
        rs_put_op(p, 0x89);
        rs_put_op(p, bytes.size > UINT32_MAX ? 0x8e : 'B');
        put_little(p, bytes.size, bytes.size > UINT32_MAX ? 8 : 4);
        if (!rs_put_flush(p, out, err) || !rs_output_put(out, &bytes, 1, err))
                return false;
        rs_buf_str(&p->b, "tb");
        return true;
}

bool
rs_put_arrays(rs_pickling *p, const rs_writing *w, resect_error *err)
{
        bool ok = true;
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                rs_arena scratch = {0};
                ok = put_array(p, w->out, &w->entries[i], &scratch, err);
                rs_arena_free(&scratch);
        }
        return ok;
}
