/* SPDX-License-Identifier: 0BSD */
/*
 * safetensors, npz and folders of npy that lie (M27 to M31 and M38 of the list of malicious files):
 * an error that says what is wrong, in little time and memory; and what we write comes back, whole
 * or not at all.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zip.h>
#include "ckpt.h"
#include "scratch.h"
#include "unit.h"
#include "weights/weights.h"

/* A file with this header and n bytes of values. */
static void
put_file(const char *header, size_t length, size_t values)
{
        size_t n = 8 + length + values;
        unsigned char *b = calloc(n, 1);
        for (int i = 0; i < 8; i++)
                b[i] = (unsigned char)((uint64_t)length >> 8 * i);
        memcpy(b + 8, header, length);
        scratch_write("x", b, n);
        free(b);
}

static bool
reads(const rs_format *f, resect_error *err)
{
        rs_checkpoint *c = rs_checkpoint_read(scratch("x"), f, 0, err);
        rs_arena scratch_arena = {0};
        rs_span s;
        bool ok = c;
        for (size_t i = 0; ok && i < c->n_entries; i++)
                ok = rs_entry_bytes(&c->entries[i], &scratch_arena, &s, err);
        rs_arena_free(&scratch_arena);
        rs_checkpoint_free(c);
        return ok;
}

#define T(name, shape, from, to)                                                                   \
        "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]" \
        "}"

START_TEST(headers)
{
        static const struct {
                const char *header;
                size_t values;
                const char *says; /* NULL: it is read */
        } rows[] = {
                {"{}", 0, NULL},
                {"{" T("a", "2,2", "0", "16") "}", 16, NULL},
                {"{" T("a", "2,2", "0", "16") "}     ", 16, NULL},
                {" { \"__metadata__\" : { \"k\" : \"v\" } , " T("a", "", "0", "4") "}", 4, NULL},
                {"{" T("a", "0", "0", "0") "," T("b", "1", "0", "4") "}", 4, NULL},
                {"{" T("\\u00e9\\ud83d\\ude00", "1", "0", "4") "}", 4, NULL},
                {"{" T("a", "4194305,4194305,211106198978564", "0", "16") "}", 16,
                        "a"}, /* wraps to 4 */
                {"{" T("a", "4611686018427387904,8", "0", "0") "}", 0, "a"},
                {"{" T("a", "9223372036854775808", "0", "0") "}", 0, "a"},
                {"{" T("a", "2,2", "0", "12") "}", 12, "shape that takes 16"},
                {"{" T("a", "1", "0", "4") "," T("b", "1", "2", "6") "}", 6, "two tensors"},
                {"{" T("a", "1", "0", "4") "," T("b", "1", "8", "12") "}", 12, "no tensor"},
                {"{" T("a", "1", "0", "4") "," T("b", "0", "2", "2") "}", 4, "two tensors"},
                {"{" T("a", "1", "0", "4") "}", 8, "after the last tensor"},
                {"{" T("a", "1", "4", "8") "}", 8, "no tensor"},
                {"{" T("a", "1", "4", "0") "}", 4, "bytes 4 to 0"},
                {"{" T("a", "1", "0", "8") "}", 4, "bytes 0 to 8"},
                {"{" T("a", "1", "0", "18446744073709551616") "}", 4, "too large"},
                {"{" T("a", "1", "0", "4") "," T("a", "1", "4", "8") "}", 8, "called 'a'"},
                {"{" T("a", "1", "0", "4") "," T("\\u0061", "1", "4", "8") "}", 8, "called 'a'"},
                {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,4]}"
                 "}",
                        4, "twice"},
                {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4,
                        "a key that is not"},
                {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "missing"},
                {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__"},
                {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "twice"},
                {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
                {"{\"__metadata__\":[]}", 0, "no object"},
                {"{" T("a", "1e400", "0", "4") "}", 4, "not a whole one"},
                {"{" T("a", "-0", "0", "4") "}", 4, "whole number is missing"},
                {"{" T("a", "01", "0", "4") "}", 4, "begins with 0"},
                {"{" T("a", "1.0", "0", "4") "}", 4, "not a whole one"},
                {"{" T("a", "true", "0", "4") "}", 4, "whole number is missing"},
                {"{" T("a", "[1]", "0", "4") "}", 4, "whole number is missing"},
                {"{" T("\\ud800", "1", "0", "4") "}", 4, "surrogate"},
                {"{" T("\\u0000", "1", "0", "4") "}", 4, "NUL"},
                {"{" T("\xff", "1", "0", "4") "}", 4, "UTF-8"},
                {"{" T("\xc0\xaf", "1", "0", "4") "}", 4, "UTF-8"},
                {"{" T("a\nb", "1", "0", "4") "}", 4, "control byte"},
                {"{" T("a\\x", "1", "0", "4") "}", 4, "escape"},
                {"{" T("a", "1,", "0", "4") "}", 4, "comma too many"},
                {"{" T("a", "1 1", "0", "4") "}", 4, "comma is missing"},
                {"{" T("a", "1", "0", "4") ",}", 4, "comma too many"},
                {"{" T("a", "1", "0", "4") "}}", 4, "something follows"},
                {"{" T("a", "1", "0", "4") "} x", 4, "something follows"},
                {"{" T("a", "1,1,1,1,1,1,1,1,1", "0", "4") "}", 4, "has 9 dimensions"},
                {"{" T("a", "1,1,1,1,1,1,1,1,1,1,1,1", "0", "4") "}", 4, "has 12 dimensions"},
                {"[]", 0, "no object"},
                {"{\"a\":[]}", 0, "no object"},
                {"{\"a\"}", 0, "damaged"},
                {"{\"a", 0, "ends in a string"},
                {"{", 0, "ends in the middle"},
                {"", 0, "no object"},
        };
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                put_file(rows[i].header, strlen(rows[i].header), rows[i].values);
                bool ok = reads(rs_format_find("safetensors"), &err);
                ck_assert_msg(ok == !rows[i].says, "%s: %s", rows[i].header, ok ? "read" : err.msg);
                ck_assert_msg(ok || strstr(err.msg, rows[i].says), "%s: '%s' does not say '%s'",
                        rows[i].header, err.msg, rows[i].says);
        }
        scratch_done();
}
END_TEST

START_TEST(lengths)
{
        static const uint64_t claims[] = {UINT64_C(1) << 63, UINT64_MAX, 100000001, 100, 3};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
                unsigned char b[10] = "........{}";
                for (int k = 0; k < 8; k++)
                        b[k] = (unsigned char)(claims[i] >> 8 * k);
                scratch_write("x", b, sizeof b);
                ck_assert(!reads(rs_format_find("safetensors"), &err));
                ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        for (size_t n = 0; n < 8; n++) {
                scratch_write("x", "\2\0\0\0\0\0\0\0{}", n);
                ck_assert(!reads(rs_format_find("safetensors"), &err));
        }
        /* 100,000 arrays in each other: nothing recurses */
        char *deep = malloc(200000);
        memset(deep, '[', 200000);
        memcpy(deep, "{\"a\":{\"shape\":", 14);
        put_file(deep, 200000, 0);
        ck_assert(!reads(rs_format_find("safetensors"), &err));
        free(deep);
        scratch_done();
}
END_TEST

/* A million tensors: seconds and memory in proportion. */
START_TEST(very_many)
{
        enum { MANY = 1000000 };
        resect_error err;
        char *header = malloc((size_t)MANY * 64 + 2), *p = header;
        scratch_make();
        for (int i = 0; i < MANY; i++)
                p += sprintf(p,
                        "%c\"t%07d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                        i ? ',' : '{', i);
        *p++ = '}';
        put_file(header, (size_t)(p - header), 0);
        free(header);
        struct timespec t[2];
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[0]);
        rs_checkpoint *c = rs_checkpoint_read(scratch("x"), NULL, 0, &err);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[1]);
        ck_assert_msg(c != NULL, "%s", err.msg);
        ck_assert_uint_eq(c->n_entries, MANY);
        ck_assert_ptr_nonnull(rs_checkpoint_find(c, "t0999999"));
        rs_checkpoint_free(c);
        double seconds =
                (double)(t[1].tv_sec - t[0].tv_sec) + 1e-9 * (double)(t[1].tv_nsec - t[0].tv_nsec);
        ck_assert_msg(seconds < 20, "%g s", seconds); /* quadratic would be hours */
        scratch_done();
}
END_TEST

static const int64_t two_three[] = {2, 3}, five[] = {5}, none[] = {0};
static const unsigned char values[40] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static size_t
write_small(const char *format, unsigned char *out)
{
        static const rs_entry entries[] = {
                {"b", RESECT_UINT8, 1, five, 5, 5, {values, 5}, NULL, NULL, NULL},
                {"w\"\xc3\xa9\n", RESECT_FLOAT, 2, two_three, 6, 24, {values, 24}, NULL, NULL,
                        NULL},
                {"n", RESECT_INT64, 0, five, 1, 8, {values, 8}, NULL, NULL, NULL},
                {"empty", RESECT_FLOAT16, 1, none, 0, 0, {NULL, 0}, NULL, NULL, NULL}};
        resect_error err;
        rs_writing w = {.path = scratch("x"), .entries = entries, .n_entries = 4};
        CK_OK(rs_format_write(rs_format_find(format), &w, &err), err);
        FILE *f = fopen(scratch("x"), "rb");
        size_t n = fread(out, 1, 65536, f);
        fclose(f);
        rs_checkpoint *c = rs_checkpoint_read(scratch("x"), NULL, 0, &err);
        ck_assert_msg(c != NULL, "%s", err.msg);
        ck_assert_str_eq(c->format->name, format);
        ck_assert_uint_eq(c->n_entries, 4);
        for (size_t i = 0; i < 4; i++) {
                const rs_entry *e = rs_checkpoint_find(c, entries[i].name);
                rs_arena a = {0};
                rs_span s;
                ck_assert(e && e->dtype == entries[i].dtype && e->rank == entries[i].rank &&
                          e->bytes == entries[i].bytes);
                CK_OK(rs_entry_bytes(e, &a, &s, &err), err);
                ck_assert(!s.size || !memcmp(s.data, entries[i].data.data, s.size));
                rs_arena_free(&a);
        }
        rs_checkpoint_free(c);
        return n;
}

/* Every prefix of what we write is refused; every flipped bit is an error or a file that can be
 * read, never anything else. */
START_TEST(cut_and_flipped)
{
        static const char *const formats[] = {"safetensors", "npz"};
        static unsigned char good[65536], bad[65536];
        resect_error err;
        for (int f = 0; f < 2; f++) {
                scratch_make();
                size_t n = write_small(formats[f], good);
                for (size_t i = 0; i < n; i++) {
                        scratch_write("x", good, i);
                        ck_assert_msg(!reads(rs_format_find(formats[f]), &err),
                                "%s cut at %zu of %zu is read", formats[f], i, n);
                }
                for (size_t i = 0; i < 8 * n; i++) {
                        memcpy(bad, good, n);
                        bad[i / 8] ^= (unsigned char)(1 << i % 8);
                        scratch_write("x", bad, n);
                        reads(rs_format_find(formats[f]), &err);
                }
                scratch_done();
        }
}
END_TEST

static void *(*real_malloc)(size_t);
static void *(*real_realloc)(void *, size_t);
static long countdown;
static void *
failing_malloc(size_t n)
{
        return countdown-- == 0 ? NULL : real_malloc(n);
}
static void *
failing_realloc(void *p, size_t n)
{
        return countdown-- == 0 ? NULL : real_realloc(p, n);
}

START_TEST(out_of_memory)
{
        static const char *const formats[] = {"safetensors", "npz"};
        static unsigned char good[65536];
        real_malloc = rs_hooks.malloc;
        real_realloc = rs_hooks.realloc;
        for (int f = 0; f < 2; f++) {
                resect_error err;
                bool ok = false;
                scratch_make();
                write_small(formats[f], good);
                for (long k = 0; !ok; k++) {
                        ck_assert_int_lt(k, 1000);
                        countdown = k;
                        rs_hooks.malloc = failing_malloc;
                        rs_hooks.realloc = failing_realloc;
                        ok = reads(rs_format_find(formats[f]), &err);
                        rs_hooks.malloc = real_malloc;
                        rs_hooks.realloc = real_realloc;
                        ck_assert_msg(
                                ok || err.code == RESECT_NOMEM, "%s: %s", formats[f], err.msg);
                }
                scratch_done();
        }
}
END_TEST

static void
zip_up(const char *name, const void *bytes, size_t n, bool deflate)
{
        unlink(scratch("x"));
        zip_t *z = zip_open(scratch("x"), ZIP_CREATE, NULL);
        zip_int64_t at = zip_file_add(z, name, zip_source_buffer(z, bytes, n, 0), 0);
        ck_assert_int_ge(at, 0);
        zip_set_file_compression(z, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 9);
        ck_assert_int_eq(zip_close(z), 0);
}

static void
npy_member(char *b, const char *dict)
{
        memset(b, ' ', 128);
        memcpy(b, "\x93NUMPY\1\0\x76\0", 10);
        memcpy(b + 10, dict, strlen(dict));
        b[127] = '\n';
}

/* M38. */
START_TEST(arrays_that_lie)
{
        enum { BOMB = 20000000 };
        resect_error err;
        char *b = calloc(BOMB, 1);
        scratch_make();
        npy_member(b, "{'descr':'<f4','fortran_order':False,'shape':(2,)}");
        zip_up("x.npy", b, BOMB, true); /* 1000:1, and far more than the shape needs */
        ck_assert(!reads(rs_format_find("npz"), &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "takes 8"));
        npy_member(b, "{'descr':'<f4','fortran_order':False,'shape':(4611686018427387904,8)}");
        zip_up("x.npy", b, 200, true);
        ck_assert(!reads(rs_format_find("npz"), &err));
        npy_member(
                b, "{'descr':'<f4','fortran_order':False,'shape':(__import__('os').system('x'),)}");
        zip_up("x.npy", b, 200, false);
        ck_assert(!reads(rs_format_find("npz"), &err));
        memcpy(b, "\x93NUMPY\2\0\xff\xff\xff\xff", 12); /* a header of 4 GiB */
        zip_up("x.npy", b, 200, true);
        ck_assert(!reads(rs_format_find("npz"), &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "4294967295"));
        npy_member(b, "{'descr':'|O','fortran_order':True,'shape':(1,)}"); /* objects are left out,
                                                                              and it is said */
        zip_up("x.npy", b, 136, true);
        rs_checkpoint *c = rs_checkpoint_read(scratch("x"), NULL, 0, &err);
        ck_assert(c && c->n_entries == 0 && c->n_skipped == 1 && strstr(c->skipped[0].why, "code"));
        rs_checkpoint_free(c);
        npy_member(b, "{'descr':'>f4','fortran_order':True,'shape':(2,3)}"); /* columns first,
                                                                                big-endian */
        for (int i = 0; i < 6; i++) {
                static const unsigned char bits[6][4] = {{0x3f, 0x80}, {0x40, 0x80}, {0x40, 0},
                        {0x40, 0xa0}, {0x40, 0x40}, {0x40, 0xc0}};
                memcpy(b + 128 + 4 * i, bits[i], 4);
        }
        zip_up("x.npy", b, 128 + 24, true);
        c = rs_checkpoint_read(scratch("x"), NULL, 0, &err);
        rs_arena a = {0};
        rs_span s;
        ck_assert_msg(c != NULL, "%s", err.msg);
        CK_OK(rs_entry_bytes(&c->entries[0], &a, &s, &err), err);
        for (int i = 0; i < 6; i++) {
                float f;
                memcpy(&f, s.data + 4 * i, 4);
                ck_assert(f == (float)(i + 1));
        }
        rs_arena_free(&a);
        rs_checkpoint_free(c);
        free(b);
        scratch_done();
}
END_TEST

/* Names that no file can have are spelt so that one can; a folder is whole or not there. */
START_TEST(folders)
{
        static const rs_entry entries[] = {
                {"a/b%", RESECT_UINT8, 1, five, 5, 5, {values, 5}, NULL, NULL, NULL},
                {".c", RESECT_FLOAT, 2, two_three, 6, 24, {values, 24}, NULL, NULL, NULL}};
        resect_error err;
        scratch_make();
        rs_writing w = {.path = scratch("folder/"), .entries = entries, .n_entries = 2};
        const rs_format *npy = rs_format_find("npy");
        CK_OK(rs_format_write(npy, &w, &err), err);
        ck_assert(!access(scratch("folder/a%2Fb%25.npy"), F_OK) &&
                  !access(scratch("folder/%2Ec.npy"), F_OK));
        rs_checkpoint *c = rs_checkpoint_read(scratch("folder"), NULL, 0, &err);
        ck_assert_msg(c != NULL, "%s", err.msg);
        ck_assert_uint_eq(c->n_entries, 2);
        ck_assert(rs_checkpoint_find(c, "a/b%") && rs_checkpoint_find(c, ".c"));
        rs_checkpoint_free(c);
        ck_assert(!rs_format_write(npy, &w, &err)); /* there is one already */
        ck_assert_ptr_nonnull(strstr(err.msg, "something in it"));
        rs_entry bad[2] = {entries[0], entries[1]};
        bad[1].dtype = RESECT_BFLOAT16;
        w.entries = bad;
        w.path = scratch("other");
        ck_assert(!rs_format_write(npy, &w, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert(access(scratch("other"), F_OK) != 0);
        ck_assert_int_eq(symlink("/etc/passwd", scratch("folder/link.npy")), 0);
        ck_assert(!rs_checkpoint_read(scratch("folder"), NULL, 0, &err));
        scratch_done();
}
END_TEST

static size_t accepted;
static const rs_format *replayed;

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("c", bytes, n);
        accepted += ckpt_use(scratch("c"), replayed, &err);
}

/* What the fuzzers began with and found; NumPy's own files among them are taken. */
START_TEST(corpora)
{
        scratch_make();
        accepted = 0;
        replayed = rs_format_find("safetensors");
        ckpt_corpus("weights_safetensors", replay);
        ck_assert_uint_ge(accepted, 4);
        accepted = 0;
        replayed = rs_format_find("npz");
        ckpt_corpus("weights_npz", replay);
        ck_assert_uint_ge(accepted, 8);
        scratch_done();
}
END_TEST

UNIT_MAIN("safetensors", headers, lengths, very_many, cut_and_flipped, out_of_memory,
        arrays_that_lie, folders, corpora)
