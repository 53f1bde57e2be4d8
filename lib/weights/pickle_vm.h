/* SPDX-License-Identifier: 0BSD */
/* The pickle machine's inside, for its two files: pickle.c (values, containers, memo) and pickle_call.c (what would run). */
#ifndef RS_WEIGHTS_PICKLE_VM_H
#define RS_WEIGHTS_PICKLE_VM_H

#include "weights/pickle.h"

typedef struct rs_vm {
        rs_arena *arena;
        const unsigned char *start, *p, *end;
        rs_py **stack;
        size_t *marks;
        rs_py **memo, **persistent;
        size_t n, cap, n_marks, marks_cap, memo_cap, n_memo, n_persistent, persistent_cap;
        size_t purse; /* bytes that may still be made */
        rs_py *none, *yes, *no, *empty;
        unsigned char code; /* the opcode, */
        size_t at;          /* its place, */
        int64_t number;     /* and its operands */
        rs_span text[2];    /* they stand in the input */
        double real;
        bool done;
        resect_error *err;
} rs_vm;

bool rs_vm_bad(rs_vm *vm, const char *why);
void *rs_vm_bytes(rs_vm *vm, size_t count, size_t size); /* zeroed, the arena's, paid for */
/* Room for want elements in an array of the machine's. */
bool rs_vm_room(rs_vm *vm, void *array, size_t *cap, size_t want, size_t width);
bool rs_vm_push(rs_vm *vm, rs_py *v); /* NULL: has failed before */
/* The value on top, taken off or not; NULL with err when there is none above the last mark. */
rs_py *rs_vm_pop(rs_vm *vm);
rs_py *rs_vm_top(rs_vm *vm);
/* What is above the last mark, which goes; the values stay where they are until the next push. */
bool rs_vm_pop_to_mark(rs_vm *vm, rs_py ***items, size_t *n);
rs_py *rs_vm_make(rs_vm *vm, rs_py_kind kind);
rs_py *rs_vm_seq(rs_vm *vm, rs_py_kind kind, rs_py *const *items, size_t n);
bool rs_vm_extend(rs_vm *vm, rs_py *seq, rs_py *const *items, size_t n);

bool rs_vm_op_global(rs_vm *vm);
bool rs_vm_op_stack_global(rs_vm *vm);
bool rs_vm_op_call(rs_vm *vm);
bool rs_vm_op_inst(rs_vm *vm);
bool rs_vm_op_obj(rs_vm *vm);
bool rs_vm_op_build(rs_vm *vm);
bool rs_vm_op_persistent(rs_vm *vm);

#endif
