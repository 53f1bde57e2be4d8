/* SPDX-License-Identifier: 0BSD */
/* Zip against libzip in both directions; and files that two readers could take for different things
 * are refused. */
#include "config.h"
#include "io/zip.h"

#include <zip.h>
#include "scratch.h"
#include "unit.h"

static unsigned char big[300000];

static void
add(zip_t *z, const char *name, const void *bytes, size_t n, int method)
{
        zip_int64_t at = zip_file_add(z, name, zip_source_buffer(z, bytes, n, 0), 0);
        ck_assert_int_ge(at, 0);
        ck_assert_int_eq(zip_set_file_compression(z, (zip_uint64_t)at, method, 0), 0);
}

static unsigned char *
slurp(const char *name, size_t *n)
{
        FILE *f = fopen(scratch(name), "rb");
        ck_assert_ptr_nonnull(f);
        unsigned char *all = malloc(1 << 20);
        *n = fread(all, 1, 1 << 20, f);
        fclose(f);
        return all;
}

static unsigned char *
theirs(size_t *n)
{
        scratch_make();
        for (size_t i = 0; i < sizeof big; i++)
                big[i] = (unsigned char)(i * i >> 7);
        zip_t *z = zip_open(scratch("a.zip"), ZIP_CREATE, NULL);
        ck_assert_ptr_nonnull(z);
        add(z, "one", "hello", 5, ZIP_CM_STORE);
        add(z, "none", "", 0, ZIP_CM_STORE);
        add(z, "sub/two", big, sizeof big, ZIP_CM_DEFLATE);
        ck_assert_int_eq(zip_close(z), 0);
        return slurp("a.zip", n);
}

/* Whether the file is read, and everything that can be taken from it is what was put there. */
static bool
reads(const unsigned char *file, size_t n, resect_error *err)
{
        rs_arena a = {0};
        rs_zip z;
        bool ok = rs_zip_read(&z, file, n, &a, err);
        for (size_t i = 0; ok && i < z.n; i++) {
                rs_span s;
                unsigned char head[100];
                size_t got = 0;
                ok = rs_zip_bytes(&z.members[i], &a, &s, err);
                if (!ok)
                        break;
                if (!strcmp(z.members[i].name, "one"))
                        ck_assert(s.size == 5 && !memcmp(s.data, "hello", 5));
                if (!strcmp(z.members[i].name, "sub/two"))
                        ck_assert(s.size == sizeof big && !memcmp(s.data, big, s.size));
                CK_OK(rs_zip_peek(&z.members[i], head, sizeof head, &got, err), *err);
                ck_assert_uint_eq(got, s.size < sizeof head ? s.size : sizeof head);
                ck_assert(got == 0 || !memcmp(head, s.data, got));
        }
        rs_arena_free(&a);
        return ok;
}

START_TEST(reads_libzip)
{
        size_t n;
        resect_error err;
        unsigned char *file = theirs(&n), *copy = malloc(n);
        CK_OK(reads(file, n, &err), err);
        for (size_t i = 0; i < n;
                i +=
                i < 300 || i > n - 400 ? 1 : 997) { /* flipped: an error, or the same contents */
                memcpy(copy, file, n);
                copy[i] ^= 0x55;
                reads(copy, n, &err);
        }
        for (size_t i = 0; i < n; i += i < 300 || i > n - 400 ? 1 : 997) { /* cut short: an error */
                unsigned char *cut = malloc(i + 1);
                memcpy(cut, file, i);
                ck_assert(!reads(cut, i, &err));
                ck_assert_int_eq(err.code, RESECT_FORMAT);
                free(cut);
        }
        free(copy);
        free(file);
        scratch_done();
}
END_TEST

static unsigned char *
ours(size_t *n)
{
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < sizeof big; i++)
                big[i] = (unsigned char)(i * i >> 7);
        rs_output *o = rs_output_open(scratch("b.zip"), &err);
        ck_assert_ptr_nonnull(o);
        rs_zip_writer z = {.out = o};
        const rs_span one = {(const unsigned char *)"hello", 5},
                      two[2] = {{big, 1000}, {big + 1000, sizeof big - 1000}};
        CK_OK(rs_zip_put(&z, "one", &one, 1, &err), err);
        CK_OK(rs_zip_put(&z, "sub/two", two, 2, &err), err);
        CK_OK(rs_zip_put(&z, "none", NULL, 0, &err), err);
        CK_OK(rs_zip_end(&z, &err), err);
        rs_zip_writer_free(&z);
        CK_OK(rs_output_close(o, &err), err);
        return slurp("b.zip", n);
}

START_TEST(read_by_libzip)
{
        size_t n;
        resect_error err;
        unsigned char *file = ours(&n), *got = malloc(sizeof big);
        CK_OK(reads(file, n, &err), err);
        int e = 0;
        zip_t *z = zip_open(scratch("b.zip"), ZIP_RDONLY | ZIP_CHECKCONS, &e);
        ck_assert_msg(z != NULL, "libzip: error %d", e);
        ck_assert_int_eq(zip_get_num_entries(z, 0), 3);
        zip_file_t *f = zip_fopen(z, "sub/two", 0);
        ck_assert_int_eq(zip_fread(f, got, sizeof big), sizeof big);
        ck_assert(!memcmp(got, big, sizeof big));
        zip_fclose(f);
        zip_discard(z);
        for (size_t i = 0; i + 4 < n; i++) /* the values begin at multiples of 64 */
                if (!memcmp(file + i, "hello", 5))
                        ck_assert_uint_eq(i % 64, 0);
        free(got);
        free(file);
        scratch_done();
}
END_TEST

static size_t
find(const unsigned char *file, size_t n, const char *magic, int nth)
{
        for (size_t i = 0; i + 4 <= n; i++)
                if (!memcmp(file + i, magic, 4) && nth-- == 0)
                        return i;
        ck_abort_msg("no %s", magic);
        return 0;
}

/* M36, M37: each a small change of a good file. */
START_TEST(refused)
{
        size_t n;
        resect_error err;
        unsigned char *file = ours(&n), *copy = malloc(2 * n + 100);
        size_t entry = find(file, n, "PK\1\2", 0), second = find(file, n, "PK\1\2", 1),
               end = find(file, n, "PK\5\6", 0);
        const struct {
                const char *what;
                size_t at;
                unsigned char value;
                resect_code code;
        } rows[] = {
                {"another name before the member", 30, 'O', RESECT_FORMAT},
                {"a flag in the directory alone", entry + 8, 8, RESECT_FORMAT},
                {"encrypted", entry + 8, 1, RESECT_UNSUPPORTED},
                {"a strange flag", entry + 9, 0x20, RESECT_UNSUPPORTED},
                {"bzip2", entry + 10, 12, RESECT_UNSUPPORTED},
                {"deflated, says the directory", entry + 10, 8, RESECT_FORMAT},
                {"another sum", entry + 16, (unsigned char)(file[entry + 16] + 1), RESECT_FORMAT},
                {"another size", entry + 24, 4, RESECT_FORMAT},
                {"another packed size", entry + 20, 4, RESECT_FORMAT},
                {"zip64 without its field", entry + 27, 0xff, RESECT_FORMAT},
                {"a second member at the first one's place", second + 42, 0, RESECT_FORMAT},
                {"a name of 0 bytes", entry + 28, 0, RESECT_FORMAT},
                {"a NUL in a name", entry + 47, 0, RESECT_FORMAT},
                {"more members than there are", end + 10, 4, RESECT_UNSUPPORTED},
                {"fewer members than there are", end + 8, 2, RESECT_UNSUPPORTED},
                {"a second disk", end + 4, 1, RESECT_UNSUPPORTED},
                {"a directory elsewhere", end + 16, (unsigned char)(file[end + 16] + 1),
                        RESECT_FORMAT},
                {"a comment that is not there", end + 20, 1, RESECT_FORMAT},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                memcpy(copy, file, n);
                copy[rows[i].at] = rows[i].value;
                if (rows[i].what == rows[13].what || rows[i].what == rows[14].what)
                        rows[i].at == end + 10 ? (copy[end + 8] = 4) : (copy[end + 10] = 2);
                ck_assert_msg(!reads(copy, n, &err), "%s: read", rows[i].what);
                ck_assert_msg(err.code == RESECT_FORMAT || err.code == rows[i].code, "%s: %s",
                        rows[i].what, err.msg);
        }
        memcpy(copy + 7, file, n); /* something before it */
        memset(copy, 'x', 7);
        ck_assert(!reads(copy, n + 7, &err));
        memcpy(copy, file, n); /* a comment with a second end in it */
        copy[end + 20] = 22;
        memcpy(copy + n, file + end, n - end);
        ck_assert(!reads(copy, n + 22, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "two ends"));
        memcpy(copy, file, n); /* a member damaged */
        copy[64] ^= 1;
        ck_assert(!reads(copy, n, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "CRC-32"));
        free(copy);
        free(file);
        scratch_done();
}
END_TEST

UNIT_MAIN("zip", reads_libzip, read_by_libzip, refused)
