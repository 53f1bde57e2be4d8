/* SPDX-License-Identifier: 0BSD */
/* libhdf5 by name. It runs in a child of this process and never in this process itself. */
#include "config.h"

#ifdef HAVE_HDF5
#include "weights/h5_lib.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include "resect/tensor.h"

#define QUOTED(x) #x
#define NAME_OF(x) QUOTED(x) /* what it is called when the header's macros have renamed it */

struct rs_h5_lib rs_h5;

static const struct {
        const char *name;
        size_t at;
} parts[] = {
#define X(name) {NAME_OF(H5##name), offsetof(struct rs_h5_lib, name)},
        RS_H5_CALLS(X)
#undef X
#define X(name) {"H5" #name "_g", offsetof(struct rs_h5_lib, name)},
                RS_H5_IDS(X)
#undef X
};

static bool
make_half(void)
{
        rs_h5.half = rs_h5.Tcopy(*rs_h5.T_IEEE_F32LE);
        return rs_h5.half >= 0 && rs_h5.Tset_fields(rs_h5.half, 15, 10, 5, 0, 10) >= 0 &&
               rs_h5.Tset_size(rs_h5.half, 2) >= 0 && rs_h5.Tset_ebias(rs_h5.half, 15) >= 0;
}

const char *
rs_h5_load(void)
{
        unsigned major, minor, release;
        void *lib = dlopen(HDF5_SONAME, RTLD_NOW | RTLD_LOCAL);
        if (!lib)
                return HDF5_SONAME " is not installed";
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                void *p = dlsym(lib, parts[i].name);
                if (!p)
                        return HDF5_SONAME " lacks functions";
                memcpy((char *)&rs_h5 + parts[i].at, &p, sizeof p);
        }
        if (rs_h5.get_libversion(&major, &minor, &release) < 0 || major != H5_VERS_MAJOR ||
                minor != H5_VERS_MINOR)
                return HDF5_SONAME " is of another version than its headers were";
        rs_h5.PLset_loading_state(0);
        if (rs_h5.open() < 0 || rs_h5.Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || !make_half())
                return HDF5_SONAME " does not start";
        return NULL;
}

hid_t
rs_h5_type(int32_t dtype)
{
        switch (dtype) {
        case RESECT_FLOAT:
                return *rs_h5.T_IEEE_F32LE;
        case RESECT_DOUBLE:
                return *rs_h5.T_IEEE_F64LE;
        case RESECT_FLOAT16:
                return rs_h5.half;
        case RESECT_INT8:
                return *rs_h5.T_STD_I8LE;
        case RESECT_INT16:
                return *rs_h5.T_STD_I16LE;
        case RESECT_INT32:
                return *rs_h5.T_STD_I32LE;
        case RESECT_INT64:
                return *rs_h5.T_STD_I64LE;
        case RESECT_UINT8:
                return *rs_h5.T_STD_U8LE;
        case RESECT_UINT16:
                return *rs_h5.T_STD_U16LE;
        case RESECT_UINT32:
                return *rs_h5.T_STD_U32LE;
        case RESECT_UINT64:
                return *rs_h5.T_STD_U64LE;
        default:
                return -1;
        }
}
#else
typedef int rs_h5_is_absent;
#endif
