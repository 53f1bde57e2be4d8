/* SPDX-License-Identifier: 0BSD */
/*
 * The pickle machine: a stack, marks, a memo, and one row an opcode. Operands are decoded by the
 * row's kind in one place, where every length is held against the bytes that are left. No opcode
 * recurses, and all memory is paid from one purse.
 */
#include "weights/pickle_vm.h"

#include <stdlib.h>
#include <string.h>
#include "weights/pickle_text.h"

enum { PROTOCOL_MAX = 5, PURSE = 64 << 20 };

bool
rs_vm_bad(rs_vm *vm, const char *why)
{
        return rs_fail(vm->err, RESECT_FORMAT,
                "the pickle is damaged at byte %zu (opcode 0x%02x): %s", vm->at, vm->code, why);
}

static bool
pay(rs_vm *vm, size_t count, size_t size)
{
        size_t bytes;
        if (!rs_mul(count, size, &bytes) || bytes > vm->purse)
                return rs_fail(vm->err, RESECT_UNSUPPORTED,
                        "the pickle makes more objects than its %zu bytes are worth",
                        (size_t)(vm->end - vm->start));
        vm->purse -= bytes;
        return true;
}

void *
rs_vm_bytes(rs_vm *vm, size_t count, size_t size)
{
        return pay(vm, count, size) ? rs_arena_alloc(vm->arena, count, size, vm->err) : NULL;
}

/* Room for want elements in an array of the machine's. */
bool
rs_vm_room(rs_vm *vm, void *array, size_t *cap, size_t want, size_t width)
{
        void *old, *grown;
        size_t more = *cap + *cap / 2 + 64;
        if (want <= *cap)
                return true;
        if (more < want)
                more = want;
        memcpy(&old, array, sizeof old);
        if (!pay(vm, more - *cap, width) || !(grown = rs_grow(old, more, width, vm->err)))
                return false;
        memset((unsigned char *)grown + *cap * width, 0, (more - *cap) * width);
        memcpy(array, &grown, sizeof grown);
        *cap = more;
        return true;
}

bool
rs_vm_push(rs_vm *vm, rs_py *v)
{
        if (!v || !rs_vm_room(vm, &vm->stack, &vm->cap, vm->n + 1, sizeof(rs_py *)))
                return false;
        vm->stack[vm->n++] = v;
        return true;
}

rs_py *
rs_vm_make(rs_vm *vm, rs_py_kind kind)
{
        rs_py *v = rs_vm_bytes(vm, 1, sizeof *v);
        if (v)
                v->kind = (uint8_t)kind;
        return v;
}

static size_t
floor_of(const rs_vm *vm)
{
        return vm->n_marks ? vm->marks[vm->n_marks - 1] : 0;
}

rs_py *
rs_vm_pop(rs_vm *vm)
{
        if (vm->n == floor_of(vm)) {
                rs_vm_bad(vm, "nothing is on the stack");
                return NULL;
        }
        return vm->stack[--vm->n];
}

rs_py *
rs_vm_top(rs_vm *vm)
{
        rs_py *v = rs_vm_pop(vm);
        vm->n += v != NULL;
        return v;
}

bool
rs_vm_pop_to_mark(rs_vm *vm, rs_py ***items, size_t *n)
{
        *items = NULL;
        *n = 0;
        if (!vm->n_marks)
                return rs_vm_bad(vm, "there is no mark");
        size_t at = vm->marks[--vm->n_marks];
        *items = vm->stack + at;
        *n = vm->n - at;
        vm->n = at;
        return true;
}

bool
rs_vm_extend(rs_vm *vm, rs_py *seq, rs_py *const *items, size_t n)
{
        size_t want = seq->seq.n + n;
        if (n == 0)
                return true;
        if (want > seq->seq.cap) {
                size_t cap = want < seq->seq.cap * 2 ? seq->seq.cap * 2 : want;
                rs_py **grown = rs_vm_bytes(vm, cap, sizeof *grown);
                if (!grown)
                        return false;
                if (seq->seq.n)
                        memcpy(grown, seq->seq.items, seq->seq.n * sizeof *grown);
                seq->seq.items = grown;
                seq->seq.cap = cap;
        }
        memcpy(seq->seq.items + seq->seq.n, items, n * sizeof *items);
        seq->seq.n = want;
        return true;
}

rs_py *
rs_vm_seq(rs_vm *vm, rs_py_kind kind, rs_py *const *items, size_t n)
{
        rs_py *v = rs_vm_make(vm, kind);
        return v && rs_vm_extend(vm, v, items, n) ? v : NULL;
}

/* Marks and the stack
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
op_mark(rs_vm *vm)
{
        if (!rs_vm_room(vm, &vm->marks, &vm->marks_cap, vm->n_marks + 1, sizeof *vm->marks))
                return false;
        vm->marks[vm->n_marks++] = vm->n;
        return true;
}

static bool
op_stop(rs_vm *vm)
{
        if (vm->n != 1 || vm->n_marks)
                return rs_vm_bad(vm, "it ends with more or less than one value");
        vm->done = true;
        return true;
}

static bool
op_pop_mark(rs_vm *vm)
{
        rs_py **items;
        size_t n;
        return rs_vm_pop_to_mark(vm, &items, &n);
}

static bool
op_pop(rs_vm *vm)
{
        if (vm->n_marks && vm->n == floor_of(vm))
                return op_pop_mark(vm);
        return rs_vm_pop(vm) != NULL;
}

static bool
op_dup(rs_vm *vm)
{
        return rs_vm_push(vm, rs_vm_top(vm));
}

static bool
op_protocol(rs_vm *vm)
{
        return vm->number <= PROTOCOL_MAX ||
               rs_fail(vm->err, RESECT_UNSUPPORTED, "a pickle of protocol %d; at most %d is read",
                       (int)vm->number, PROTOCOL_MAX);
}

static bool
op_frame(rs_vm *vm)
{
        return (vm->number >= 0 && vm->number <= vm->end - vm->p) ||
               rs_vm_bad(vm, "a frame reaches beyond the end");
}

static bool
op_refused(rs_vm *vm)
{
        return rs_fail(vm->err, RESECT_UNSUPPORTED,
                "opcode 0x%02x at byte %zu reaches outside of the pickle: refused", vm->code,
                vm->at);
}

/* Values
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
op_none(rs_vm *vm)
{
        return rs_vm_push(vm, vm->none);
}

static bool
op_truth(rs_vm *vm)
{
        return rs_vm_push(vm, vm->code == 0x88 ? vm->yes : vm->no);
}

static bool
push_int(rs_vm *vm, int64_t i)
{
        rs_py *v = rs_vm_make(vm, RS_PY_INT);
        if (v)
                v->i = i;
        return rs_vm_push(vm, v);
}

static bool
op_int(rs_vm *vm)
{
        return push_int(vm, vm->number);
}

static bool
push_span(rs_vm *vm, rs_py_kind kind, rs_span s)
{
        rs_py *v = rs_vm_make(vm, kind);
        if (v)
                v->s = s;
        return rs_vm_push(vm, v);
}

/* I and L: decimal digits on a line; 00 and 01 are the truth values of protocol 1. */
static bool
op_decimal(rs_vm *vm)
{
        rs_span s = vm->text[0];
        int64_t v = 0;
        if (vm->code == 'I' && s.size == 2 && s.data[0] == '0' && (s.data[1] | 1) == '1')
                return rs_vm_push(vm, s.data[1] == '1' ? vm->yes : vm->no);
        if (vm->code == 'L' && s.size && s.data[s.size - 1] == 'L')
                s.size--;
        switch (rs_pickle_decimal(s, &v)) {
        case RS_DECIMAL:
                return push_int(vm, v);
        case RS_DECIMAL_BIG:
                return push_span(vm, RS_PY_BIG, s);
        default:
                return rs_vm_bad(vm, "no number");
        }
}

static bool
op_long(rs_vm *vm)
{
        rs_span s = vm->text[0];
        uint64_t v = 0;
        if (s.size > 8)
                return push_span(vm, RS_PY_BIG, s);
        for (size_t i = 0; i < 8; i++)
                v |= (uint64_t)(i < s.size                            ? s.data[i]
                                : s.size && s.data[s.size - 1] & 0x80 ? 0xff
                                                                      : 0)
                     << 8 * i;
        return push_int(vm, (int64_t)v);
}

static bool
push_real(rs_vm *vm, double f)
{
        rs_py *v = rs_vm_make(vm, RS_PY_FLOAT);
        if (v)
                v->f = f;
        return rs_vm_push(vm, v);
}

static bool
op_float(rs_vm *vm)
{
        return push_real(vm, vm->real);
}

static bool
op_float_line(rs_vm *vm)
{
        char digits[64], *end;
        rs_span s = vm->text[0];
        if (!s.size || s.size >= sizeof digits || memchr(s.data, '\0', s.size))
                return rs_vm_bad(vm, "no number");
        memcpy(digits, s.data, s.size);
        digits[s.size] = '\0';
        double f = strtod(digits, &end);
        return *end ? rs_vm_bad(vm, "no number") : push_real(vm, f);
}

static bool
op_bytes(rs_vm *vm)
{
        return push_span(vm, RS_PY_BYTES, vm->text[0]);
}

static bool
op_text(rs_vm *vm)
{
        return push_span(vm, RS_PY_TEXT, vm->text[0]);
}

/* S and V: a line with escapes, which never becomes more than twice as long. */
static bool
op_escaped(rs_vm *vm)
{
        rs_span s = vm->text[0];
        bool text = vm->code == 'V';
        unsigned char *out = rs_vm_bytes(vm, s.size + 1, text ? 2 : 1);
        if (!out)
                return false;
        size_t n = 0;
        if (!(text ? rs_pickle_raw_unicode(s, out, &n) : rs_pickle_repr(s, out, &n)))
                return rs_vm_bad(vm, "a damaged string");
        return push_span(vm, text ? RS_PY_TEXT : RS_PY_BYTES, (rs_span){out, n});
}

/* Containers
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
op_empty(rs_vm *vm)
{
        return vm->code == ')' ? rs_vm_push(vm, vm->empty)
                               : rs_vm_push(vm, rs_vm_make(vm, vm->code == ']'   ? RS_PY_LIST
                                                               : vm->code == '}' ? RS_PY_DICT
                                                                                 : RS_PY_SET));
}

static bool
op_from_mark(rs_vm *vm)
{
        rs_py **items;
        size_t n;
        if (!rs_vm_pop_to_mark(vm, &items, &n))
                return false;
        if (vm->code == 'd' && n % 2)
                return rs_vm_bad(vm, "a key without a value");
        rs_py_kind kind = vm->code == 't'   ? RS_PY_TUPLE
                          : vm->code == 'l' ? RS_PY_LIST
                          : vm->code == 'd' ? RS_PY_DICT
                                            : RS_PY_SET;
        return rs_vm_push(vm, rs_vm_seq(vm, kind, items, n));
}

static bool
op_tuple(rs_vm *vm)
{
        size_t n = (size_t)(vm->code - 0x84);
        if (vm->n - floor_of(vm) < n)
                return rs_vm_bad(vm, "nothing is on the stack");
        vm->n -= n;
        return rs_vm_push(vm, rs_vm_seq(vm, RS_PY_TUPLE, vm->stack + vm->n, n));
}

/* Puts items into what is on top: a container of that kind, or an object, which has one of its own.
 */
static bool
put_items(rs_vm *vm, rs_py_kind kind, rs_py *const *items, size_t n)
{
        rs_py *to = rs_vm_top(vm);
        if (!to)
                return false;
        if (kind == RS_PY_DICT && n % 2)
                return rs_vm_bad(vm, "a key without a value");
        if (to->kind == RS_PY_OBJECT) {
                rs_py **own = kind == RS_PY_DICT ? &to->object->items : &to->object->list;
                if (!*own && !(*own = rs_vm_make(vm, kind)))
                        return false;
                to = *own;
        }
        return to->kind == kind ? rs_vm_extend(vm, to, items, n)
                                : rs_vm_bad(vm, "items for what is no container of this kind");
}

static bool
op_items(rs_vm *vm)
{
        rs_py **items;
        size_t n;
        rs_py_kind kind = vm->code == 'e' ? RS_PY_LIST : vm->code == 'u' ? RS_PY_DICT : RS_PY_SET;
        return rs_vm_pop_to_mark(vm, &items, &n) && put_items(vm, kind, items, n);
}

static bool
op_item(rs_vm *vm)
{
        size_t n = vm->code == 's' ? 2 : 1;
        if (vm->n - floor_of(vm) < n)
                return rs_vm_bad(vm, "nothing is on the stack");
        vm->n -= n;
        return put_items(vm, n == 2 ? RS_PY_DICT : RS_PY_LIST, vm->stack + vm->n, n);
}

/* The memo
 * ----------------------------------------------------------------------------------------------------------------
 */

static bool
line_number(rs_vm *vm)
{
        return (rs_pickle_decimal(vm->text[0], &vm->number) == RS_DECIMAL && vm->number >= 0) ||
               rs_vm_bad(vm, "no number");
}

/* Every real pickle counts its memo up from 0, so that no number is beyond the opcodes that came
 * before. */
static bool
memoize(rs_vm *vm, uint64_t at)
{
        rs_py *v = rs_vm_top(vm);
        if (!v)
                return false;
        if (at >= (uint64_t)(vm->p - vm->start))
                return rs_vm_bad(vm, "a memo beyond what can have been stored");
        if (!rs_vm_room(vm, &vm->memo, &vm->memo_cap, (size_t)at + 1, sizeof(rs_py *)))
                return false;
        vm->n_memo += !vm->memo[at];
        vm->memo[at] = v;
        return true;
}

static bool
op_put(rs_vm *vm)
{
        return (vm->code != 'p' || line_number(vm)) && memoize(vm, (uint64_t)vm->number);
}

static bool
op_memoize(rs_vm *vm)
{
        return memoize(vm, vm->n_memo);
}

static bool
op_get(rs_vm *vm)
{
        if (vm->code == 'g' && !line_number(vm))
                return false;
        uint64_t at = (uint64_t)vm->number;
        return at < vm->memo_cap && vm->memo[at]
                       ? rs_vm_push(vm, vm->memo[at])
                       : rs_vm_bad(vm, "a memo that nothing was stored under");
}

/* The list of opcodes
 * ----------------------------------------------------------------------------------------------------------------
 */

/* What follows an opcode: a number of so many bytes, bytes behind a length of so many bytes, lines.
 */
enum operand { NOTHING, U1, U2, U4, I4, I8, F8, BYTES1, BYTES4, LONG4, BYTES8, LINE, LINES };

static const struct {
        unsigned char operand;
        bool (*run)(rs_vm *);
} ops[256] = {
#define OP(code, operand, run) [code] = {operand, run},
#include "weights/pickle_ops.h"
#undef OP
};

static bool
take(rs_vm *vm, uint64_t n, rs_span *out)
{
        if (n > (uint64_t)(vm->end - vm->p))
                return rs_vm_bad(vm, "it ends inside");
        *out = (rs_span){vm->p, (size_t)n};
        vm->p += n;
        return true;
}

static bool
take_little(rs_vm *vm, size_t n, uint64_t *out)
{
        rs_span s = {0};
        if (!take(vm, n, &s))
                return false;
        *out = 0;
        for (size_t i = 0; i < n; i++)
                *out |= (uint64_t)s.data[i] << 8 * i;
        return true;
}

static bool
take_line(rs_vm *vm, rs_span *out)
{
        const unsigned char *end = memchr(vm->p, '\n', (size_t)(vm->end - vm->p));
        if (!end)
                return rs_vm_bad(vm, "it ends inside");
        *out = (rs_span){vm->p, (size_t)(end - vm->p)};
        vm->p = end + 1;
        if (out->size && end[-1] == '\r') /* written on Windows in text mode */
                out->size--;
        return true;
}

static bool
take_operand(rs_vm *vm, enum operand kind)
{
        static const unsigned char widths[] = {0, 1, 2, 4, 4, 8, 8, 1, 4, 4, 8};
        uint64_t v;
        if (kind == LINE || kind == LINES)
                return take_line(vm, &vm->text[0]) && (kind == LINE || take_line(vm, &vm->text[1]));
        if (!take_little(vm, widths[kind], &v))
                return false;
        if (kind == LONG4 && v > INT32_MAX)
                return rs_vm_bad(vm, "a negative length");
        if (kind == F8) {
                v = __builtin_bswap64(v);
                memcpy(&vm->real, &v, sizeof v);
        }
        vm->number = kind == I4 ? (int32_t)(uint32_t)v : (int64_t)v;
        return kind < BYTES1 || take(vm, v, &vm->text[0]);
}

static bool
step(rs_vm *vm)
{
        vm->at = (size_t)(vm->p - vm->start);
        vm->code = 0;
        if (vm->p == vm->end)
                return rs_vm_bad(vm, "it ends without STOP");
        vm->code = *vm->p++;
        if (!ops[vm->code].run)
                return rs_vm_bad(vm, "no such opcode");
        return take_operand(vm, (enum operand)ops[vm->code].operand) && ops[vm->code].run(vm);
}

static bool
run(rs_vm *vm)
{
        vm->none = rs_vm_make(vm, RS_PY_NONE);
        vm->yes = rs_vm_make(vm, RS_PY_BOOL);
        vm->no = rs_vm_make(vm, RS_PY_BOOL);
        vm->empty = rs_vm_make(vm, RS_PY_TUPLE);
        if (!vm->none || !vm->yes || !vm->no || !vm->empty ||
                !rs_vm_room(vm, &vm->stack, &vm->cap, 1, sizeof(rs_py *)))
                return false;
        vm->yes->truth = true;
        while (!vm->done)
                if (!step(vm))
                        return false;
        return true;
}

bool
rs_pickle_read(rs_pickle *p, rs_span data, rs_arena *arena, resect_error *err)
{
        rs_vm vm = {.arena = arena,
                .start = data.data,
                .p = data.data,
                .end = data.data + data.size,
                .purse = data.size > SIZE_MAX - PURSE ? SIZE_MAX : data.size + PURSE,
                .err = err};
        *p = (rs_pickle){0};
        bool ok = run(&vm);
        if (ok) {
                p->root = vm.stack[0];
                p->length = (size_t)(vm.p - vm.start);
                p->n_persistent = vm.n_persistent;
                p->persistent = RS_NEW(arena, vm.n_persistent + 1, rs_py *, err);
                ok = p->persistent != NULL;
                for (size_t i = 0; ok && i < vm.n_persistent; i++)
                        p->persistent[i] = vm.persistent[i];
        }
        rs_free(vm.stack);
        rs_free(vm.marks);
        rs_free(vm.memo);
        rs_free(vm.persistent);
        return ok;
}
