/* SPDX-License-Identifier: 0BSD */
/*
 * The opcodes that would import, call or build. A global becomes its name, a call becomes an object
 * with the callable and the arguments: what it would have made, had it been made.
 */
#include "weights/pickle_vm.h"

#include <string.h>

const rs_global rs_globals[] = {
        {"", "", 0},
#define KNOWN(id, module, name, dtype) {module, name, dtype},
#include "weights/known.h"
#undef KNOWN
};

enum { N_GLOBALS = sizeof rs_globals / sizeof *rs_globals, NAME_MAX_BYTES = 255 };

static bool
span_is(rs_span s, const char *text)
{
        return s.size == strlen(text) && !memcmp(s.data, text, s.size);
}

static rs_py *
make_global(rs_vm *vm, rs_span module, rs_span name)
{
        if (module.size > NAME_MAX_BYTES || name.size > NAME_MAX_BYTES || !name.size ||
                memchr(module.data, '\0', module.size) || memchr(name.data, '\0', name.size)) {
                rs_vm_bad(vm, "a global's name is empty or too long");
                return NULL;
        }
        rs_py *v = rs_vm_make(vm, RS_PY_GLOBAL);
        size_t n = module.size + 1 + name.size;
        unsigned char *full = v ? rs_vm_bytes(vm, n + 1, 1) : NULL;
        if (!full)
                return NULL;
        memcpy(full, module.data, module.size);
        full[module.size] = '.';
        memcpy(full + module.size + 1, name.data, name.size);
        v->s = (rs_span){full, n};
        for (size_t i = 1; i < N_GLOBALS && !v->known; i++)
                if (span_is(name, rs_globals[i].name) && span_is(module, rs_globals[i].module))
                        v->known = (uint16_t)i;
        return v;
}

bool
rs_vm_op_global(rs_vm *vm)
{
        return rs_vm_push(vm, make_global(vm, vm->text[0], vm->text[1]));
}

bool
rs_vm_op_stack_global(rs_vm *vm)
{
        rs_py *name = rs_vm_pop(vm), *module = name ? rs_vm_pop(vm) : NULL;
        if (!module)
                return false;
        if (name->kind != RS_PY_TEXT || module->kind != RS_PY_TEXT)
                return rs_vm_bad(vm, "a global's name is no text");
        return rs_vm_push(vm, make_global(vm, module->s, name->s));
}

/* Python 2 hands an OrderedDict its items as an argument: OrderedDict([[key, value], ...]). */
static bool
take_pairs(rs_vm *vm, rs_py_object *o)
{
        const rs_py *pairs = o->args->seq.n == 1 ? o->args->seq.items[0] : NULL;
        if (!pairs || pairs->kind != RS_PY_LIST)
                return true;
        if (!(o->items = rs_vm_make(vm, RS_PY_DICT)))
                return false;
        for (size_t i = 0; i < pairs->seq.n; i++) {
                const rs_py *pair = pairs->seq.items[i];
                if ((pair->kind != RS_PY_LIST && pair->kind != RS_PY_TUPLE) || pair->seq.n != 2)
                        return rs_vm_bad(vm, "an OrderedDict's item that is no pair");
                if (!rs_vm_extend(vm, o->items, pair->seq.items, 2))
                        return false;
        }
        return true;
}

static bool
push_call(rs_vm *vm, rs_py *callable, rs_py *args)
{
        if (!callable || !args)
                return false;
        if (args->kind != RS_PY_TUPLE)
                return rs_vm_bad(vm, "arguments that are no tuple");
        if (callable->kind != RS_PY_GLOBAL && callable->kind != RS_PY_OBJECT &&
                callable->kind != RS_PY_PERSISTENT)
                return rs_vm_bad(vm, "a call of what cannot be called");
        rs_py *v = rs_vm_make(vm, RS_PY_OBJECT);
        if (!v || !(v->object = rs_vm_bytes(vm, 1, sizeof *v->object)))
                return false;
        v->object->callable = callable;
        v->object->args = args;
        return (callable->known != RS_KNOWN_ORDERED_DICT || take_pairs(vm, v->object)) &&
               rs_vm_push(vm, v);
}

/* REDUCE, NEWOBJ: callable and arguments; NEWOBJ_EX has named ones besides, which no known callable
 * has. */
bool
rs_vm_op_call(rs_vm *vm)
{
        rs_py *named = vm->code == 0x92 ? rs_vm_pop(vm) : vm->none;
        rs_py *args = named ? rs_vm_pop(vm) : NULL;
        return push_call(vm, args ? rs_vm_pop(vm) : NULL, args);
}

bool
rs_vm_op_inst(rs_vm *vm)
{
        rs_py **items;
        size_t n;
        if (!rs_vm_pop_to_mark(vm, &items, &n))
                return false;
        rs_py *args = rs_vm_seq(vm, RS_PY_TUPLE, items, n);
        return push_call(vm, args ? make_global(vm, vm->text[0], vm->text[1]) : NULL, args);
}

bool
rs_vm_op_obj(rs_vm *vm)
{
        rs_py **items;
        size_t n;
        if (!rs_vm_pop_to_mark(vm, &items, &n))
                return false;
        return n == 0 ? rs_vm_bad(vm, "nothing to make an object of")
                      : push_call(vm, items[0], rs_vm_seq(vm, RS_PY_TUPLE, items + 1, n - 1));
}

bool
rs_vm_op_build(rs_vm *vm)
{
        rs_py *state = rs_vm_pop(vm), *to = state ? rs_vm_top(vm) : NULL;
        if (!to)
                return false;
        if (to->kind != RS_PY_OBJECT)
                return rs_vm_bad(vm, "a state for what is no object");
        to->object->state = state;
        return true;
}

static bool
push_persistent(rs_vm *vm, rs_py *id)
{
        rs_py *v = id ? rs_vm_make(vm, RS_PY_PERSISTENT) : NULL;
        if (!v || !rs_vm_room(vm, &vm->persistent, &vm->persistent_cap, vm->n_persistent + 1,
                          sizeof(rs_py *)))
                return false;
        v->id = id;
        vm->persistent[vm->n_persistent++] = v;
        return rs_vm_push(vm, v);
}

bool
rs_vm_op_persistent(rs_vm *vm)
{
        rs_py *id = NULL;
        if (vm->code == 'Q')
                id = rs_vm_pop(vm);
        else if ((id = rs_vm_make(vm, RS_PY_TEXT)) != NULL)
                id->s = vm->text[0];
        return push_persistent(vm, id);
}
