/* SPDX-License-Identifier: 0BSD */
/* .npy and .npz: what we write is read back; strange headers and lying lengths are refused. NumPy
 * itself is asked in tests/peers. */
#include "unit.h"

#include <string.h>
#include <unistd.h>
#include <zip.h>
#include "tensor/npy.h"

static resect_error err;
static char path[] = "/tmp/resect-npy-XXXXXX";

static void
temporary(void)
{
        int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        close(fd);
}

static void
write_file(const void *bytes, size_t n)
{
        FILE *f = fopen(path, "wb");
        ck_assert(f && fwrite(bytes, 1, n, f) == n);
        fclose(f);
}

START_TEST(round_trip)
{
        temporary();
        static const resect_dtype types[] = {RESECT_FLOAT, RESECT_UINT8, RESECT_INT64, RESECT_BOOL,
                RESECT_FLOAT16, RESECT_DOUBLE, RESECT_COMPLEX64};
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
                for (int rank = 0; rank <= 8; rank++) {
                        resect_tensor a, b;
                        int64_t dims[8] = {2, 1, 3, 1, 2, 1, 1, 2};
                        CK_OK(resect_tensor_make(&a, types[k], rank, dims, &err), err);
                        for (size_t i = 0; i < a.size; i++)
                                ((unsigned char *)a.data)[i] =
                                        types[k] == RESECT_BOOL ? i & 1 : (unsigned char)(i * 7);
                        CK_OK(resect_tensor_write_npy(&a, path, &err), err);
                        CK_OK(resect_tensor_read_npy(&b, path, &err), err);
                        ck_assert(a.dtype == b.dtype && a.rank == b.rank && a.size == b.size &&
                                  !memcmp(a.dims, b.dims, sizeof a.dims));
                        ck_assert(!memcmp(a.data, b.data, a.size));
                        resect_tensor_free(&a);
                        resect_tensor_free(&b);
                }
        resect_tensor t;
        CK_OK(resect_tensor_make(&t, RESECT_BFLOAT16, 1, (int64_t[]){2}, &err), err);
        ck_assert(!resect_tensor_write_npy(&t, path, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        resect_tensor_free(&t);
        unlink(path);
}
END_TEST

/* A version 1 file with that header and data. */
static bool
parse(const char *header, size_t data, resect_tensor *t)
{
        unsigned char b[1024] = "\x93NUMPY\x01";
        size_t n = strlen(header);
        b[7] = 0;
        b[8] = (unsigned char)n;
        b[9] = (unsigned char)(n >> 8);
        memcpy(b + 10, header, n);
        for (size_t i = 0; i < data; i++)
                b[10 + n + i] = (unsigned char)i;
        write_file(b, 10 + n + data);
        return resect_tensor_read_npy(t, path, &err);
}

START_TEST(headers)
{
        temporary();
        resect_tensor t;
        CK_OK(parse("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }  \n", 12, &t), err);
        static const int16_t columns[] = {0x0100, 0x0504, 0x0908, 0x0302, 0x0706, 0x0b0a};
        ck_assert(!memcmp(t.data, columns, 12));
        resect_tensor_free(&t);
        CK_OK(parse("{\"shape\":(2L,),\"descr\":\">i2\",\"fortran_order\":False}", 4, &t), err);
        static const int16_t big[] = {0x0001, 0x0203};
        ck_assert(!memcmp(t.data, big, 4));
        resect_tensor_free(&t);
        CK_OK(parse("{'descr': '|u1', 'fortran_order': False, 'shape': ()}", 1, &t), err);
        ck_assert_int_eq(t.rank, 0);
        resect_tensor_free(&t);
        CK_OK(parse("{'descr': '<f4', 'fortran_order': True, 'shape': (0, 3)}", 0, &t), err);
        resect_tensor_free(&t);
        static const struct {
                const char *header;
                size_t data;
                resect_code code;
        } bad[] = {
                {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, RESECT_UNSUPPORTED},
                {"{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}", 16, RESECT_UNSUPPORTED},
                {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4,
                        RESECT_UNSUPPORTED},
                {"{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}", 4, RESECT_UNSUPPORTED},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5, RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
                        RESECT_UNSUPPORTED},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8)}", 4,
                        RESECT_NOMEM},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4,
                        RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'shape': (1,)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4,
                        RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}", 4,
                        RESECT_FORMAT},
                {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} __import__('os')", 4,
                        RESECT_FORMAT},
                {"{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}", 4, RESECT_FORMAT},
                {"{'descr': '<f4", 0, RESECT_FORMAT},
                {"", 0, RESECT_FORMAT},
        };
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                ck_assert_msg(!parse(bad[i].header, bad[i].data, &t), "%s", bad[i].header);
                ck_assert_msg(err.code == bad[i].code, "%s: %s", bad[i].header, err.msg);
                ck_assert_ptr_null(t.data);
        }
        static const unsigned char liar[] =
                "\x93NUMPY\x02\x00\xff\xff\xff\x7f{'descr'"; /* a header of 2 GiB */
        write_file(liar, sizeof liar - 1);
        ck_assert(!resect_tensor_read_npy(&t, path, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "2147483647"));
        unlink(path);
}
END_TEST

static void
add(zip_t *z, const char *name, const void *bytes, size_t n, int method)
{
        zip_int64_t at = zip_file_add(z, name, zip_source_buffer(z, bytes, n, 0), 0);
        ck_assert_int_ge(at, 0);
        ck_assert_int_eq(zip_set_file_compression(z, (zip_uint64_t)at, method, 0), 0);
}

START_TEST(archives)
{
        temporary();
        unsigned char npy[10 + 64 + 4000] = "\x93NUMPY\x01";
        npy[8] = 64;
        memset(npy + 10, ' ', 64);
        memcpy(npy + 10, "{'descr':'<f4','fortran_order':False,'shape':(1000,)}", 53);
        for (int i = 0; i < 1000; i++)
                memcpy(npy + 74 + i * 4, &(float){(float)i}, 4);
        unlink(path);
        zip_t *z = zip_open(path, ZIP_CREATE, NULL);
        ck_assert_ptr_nonnull(z);
        add(z, "readme.txt", "hello", 5, ZIP_CM_STORE);
        add(z, "x.npy", npy, sizeof npy, ZIP_CM_STORE);
        add(z, "y.npy", npy, sizeof npy, ZIP_CM_DEFLATE);
        add(z, "short.npy", npy, sizeof npy - 4, ZIP_CM_DEFLATE);
        add(z, "text.npy", "hello", 5, ZIP_CM_DEFLATE);
        ck_assert_int_eq(zip_close(z), 0);
        resect_tensor t;
        for (int i = 0; i < 3; i++) {
                CK_OK(resect_tensor_read_npz(&t, path,
                              i == 0   ? NULL
                              : i == 1 ? "x"
                                       : "y",
                              &err),
                        err);
                ck_assert(t.size == 4000 && ((float *)t.data)[999] == 999);
                resect_tensor_free(&t);
        }
        static const char *const bad[] = {"short", "text", "z", "readme.txt", ""};
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                ck_assert(!resect_tensor_read_npz(&t, path, bad[i], &err));
                ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        /* every byte flipped: an error or the right numbers, never others */
        FILE *f = fopen(path, "rb");
        unsigned char file[16384];
        size_t n = fread(file, 1, sizeof file, f);
        fclose(f);
        ck_assert(n > 4000 && n < sizeof file);
        for (size_t i = 0; i < n; i += i < 200 || i > n - 400 ? 1 : 37) {
                file[i] ^= 0x55;
                write_file(file, n);
                if (resect_tensor_read_npz(&t, path, "x", &err)) {
                        ck_assert(t.size == 4000 && !memcmp(t.data, npy + 74, 4000));
                        resect_tensor_free(&t);
                }
                file[i] ^= 0x55;
        }
        for (size_t i = 0; i < n; i += 101) {
                write_file(file, i);
                ck_assert(!resect_tensor_read_npz(&t, path, "x", &err));
        }
        unlink(path);
}
END_TEST

UNIT_MAIN("npy", round_trip, headers, archives)
