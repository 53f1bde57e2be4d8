/* SPDX-License-Identifier: 0BSD */
/* libhdf5, as far as it is used, loaded at run time: in a child alone, so that no tool starts slower for it or needs it. */
#ifndef RS_WEIGHTS_H5_LIB_H
#define RS_WEIGHTS_H5_LIB_H

#define H5_USE_110_API 1
#include <hdf5.h>
#include <stdbool.h>

/* The header's constants would call the library that is not linked. */
#undef H5CHECK
#define H5CHECK
#undef H5OPEN
#define H5OPEN

#define RS_H5_CALLS(X)                                                                                                           \
        X(Aclose) X(Acreate2) X(Aexists) X(Aget_space) X(Aget_storage_size) X(Aget_type) X(Aopen) X(Aread) X(Awrite)             \
        X(Dclose) X(Dcreate2) X(Dget_create_plist) X(Dget_offset) X(Dget_space) X(Dget_storage_size) X(Dget_type)                \
        X(Dopen2) X(Dread) X(Eset_auto2) X(Fclose) X(Fcreate) X(Fflush) X(Fget_file_image) X(Fget_vfd_handle) X(Fopen) X(Gclose) X(Gcreate2) X(Gopen2) X(Iget_type)              \
        X(Lexists) X(Literate) X(Oclose) X(Oopen) X(PLset_loading_state) X(Pclose) X(Pcreate) X(Pget_external_count)             \
        X(Pget_filter2) X(Pget_layout) X(Pget_nfilters) X(Pset_alloc_time) X(Pset_attr_phase_change)                             \
        X(Pset_create_intermediate_group) X(Pset_fapl_core) X(Pset_file_image) X(Pset_file_image_callbacks)                      \
        X(Pset_fill_time) X(Pset_layout) X(Sclose) X(Screate) X(Screate_simple) X(Sget_simple_extent_dims)                       \
        X(Sget_simple_extent_ndims) X(Sget_simple_extent_npoints) X(Sget_simple_extent_type) X(Tclose) X(Tcopy) X(Tequal)        \
        X(Tget_class) X(Tget_size) X(Tis_variable_str) X(Tset_ebias) X(Tset_fields) X(Tset_size) X(Tset_strpad)                  \
        X(get_libversion) X(open)

#define RS_H5_IDS(X)                                                                                                             \
        X(P_CLS_DATASET_CREATE_ID) X(P_CLS_FILE_ACCESS_ID) X(P_CLS_GROUP_CREATE_ID) X(P_CLS_LINK_CREATE_ID)                      \
        X(T_C_S1) X(T_IEEE_F32BE) X(T_IEEE_F32LE) X(T_IEEE_F64BE) X(T_IEEE_F64LE) X(T_STD_I16LE) X(T_STD_I32LE)                  \
        X(T_STD_I64LE) X(T_STD_I8LE) X(T_STD_U16LE) X(T_STD_U32LE) X(T_STD_U64LE) X(T_STD_U8LE)

/* h5.Fopen is H5Fopen; *h5.T_C_S1 is what H5T_C_S1 stands for. */
struct rs_h5_lib {
#define X(name) __typeof__(H5##name) *name;
        RS_H5_CALLS(X)
#undef X
#define X(name) const hid_t *name;
        RS_H5_IDS(X)
#undef X
        hid_t half; /* IEEE binary16, little-endian */
};
extern struct rs_h5_lib rs_h5;

/* Loads it, silent from now on. NULL, or why it cannot be. */
const char *rs_h5_load(void);

/* The HDF5 type of an element; negative when there is none. */
hid_t rs_h5_type(int32_t dtype);

#endif
