/* SPDX-License-Identifier: 0BSD */
/* lib/base against published vectors: SHA-256 (FIPS 180-4 examples), Philox (Random123's known
 * answers), and its own contracts. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/sha256.h"

START_TEST(sha256_vectors)
{
        static const struct {
                const char *text, *hex;
        } v[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
        for (size_t i = 0; i < 3; i++) {
                rs_sha256 s;
                unsigned char d[32];
                char hex[65];
                rs_sha256_start(&s);
                for (const char *p = v[i].text; *p; p++)
                        rs_sha256_add(&s, p, 1);
                rs_sha256_end(&s, d);
                rs_sha256_hex(d, hex);
                ck_assert_str_eq(hex, v[i].hex);
        }
        rs_sha256 s; /* a million a's, in pieces that straddle blocks */
        unsigned char d[32];
        char hex[65], as[1000];
        memset(as, 'a', sizeof as);
        rs_sha256_start(&s);
        for (int i = 0; i < 1000; i++)
                rs_sha256_add(&s, as, sizeof as);
        rs_sha256_end(&s, d);
        rs_sha256_hex(d, hex);
        ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(philox_vectors)
{
        uint32_t r[4];
        rs_philox(0, 0, 0, r);
        ck_assert_uint_eq(r[0], 0x6627e8d5);
        ck_assert_uint_eq(r[1], 0xe169c58d);
        ck_assert_uint_eq(r[2], 0xbc57ac4c);
        ck_assert_uint_eq(r[3], 0x9b00dbd8);
        rs_philox(UINT64_MAX, UINT64_MAX, UINT64_MAX, r);
        ck_assert_uint_eq(r[0], 0x408f276d);
        ck_assert_uint_eq(r[1], 0x41c83b0e);
        ck_assert_uint_eq(r[2], 0xa20bc7c6);
        ck_assert_uint_eq(r[3], 0x6d5451fd);
        double sum = 0, square = 0;
        for (uint64_t i = 0; i < 100000; i++) {
                double x = rs_normal(1, 2, i);
                sum += x;
                square += x * x;
        }
        ck_assert_double_eq_tol(sum / 1e5, 0, 0.02);
        ck_assert_double_eq_tol(square / 1e5, 1, 0.02);
}
END_TEST

START_TEST(shuffle_is_a_permutation)
{
        size_t order[100], seen[100] = {0}, fixed = 0;
        rs_shuffle(7, rs_stream("order", 1, 2), order, 100);
        for (size_t i = 0; i < 100; i++) {
                seen[order[i]]++;
                fixed += order[i] == i;
        }
        for (size_t i = 0; i < 100; i++)
                ck_assert_uint_eq(seen[i], 1);
        ck_assert_uint_lt(fixed, 10);
}
END_TEST

START_TEST(map_holds_what_was_put)
{
        rs_map m = {0};
        resect_error err;
        static char keys[5000][16];
        void *old;
        for (size_t i = 0; i < 5000; i++) {
                snprintf(keys[i], sizeof keys[i], "key%zu", i);
                CK_OK(rs_map_put(&m, keys[i], keys[i], &old, &err), err);
                ck_assert_ptr_null(old);
        }
        CK_OK(rs_map_put(&m, "key17", keys[3], &old, &err), err);
        ck_assert_ptr_eq(old, keys[17]);
        ck_assert_ptr_eq(rs_map_get(&m, "key17"), keys[3]);
        ck_assert_ptr_eq(rs_map_get(&m, "key4999"), keys[4999]);
        ck_assert_ptr_null(rs_map_get(&m, "key5000"));
        ck_assert_uint_eq(m.count, 5000);
        rs_map_free(&m);
}
END_TEST

START_TEST(arena_and_buf_refuse_what_wraps)
{
        rs_arena a = {0};
        resect_error err = {0};
        ck_assert_ptr_null(rs_arena_alloc(&a, SIZE_MAX / 2, 3, &err));
        ck_assert_int_eq(err.code, RESECT_NOMEM);
        ck_assert_ptr_null(rs_arena_alloc(&a, SIZE_MAX - 8, 1, &err));
        char *p = rs_arena_strdup(&a, "text", &err);
        ck_assert_str_eq(p, "text");
        ck_assert_uint_eq((uintptr_t)rs_arena_alloc(&a, 3, 1, &err) % 16, 0);
        rs_arena_free(&a);
        rs_buf b = {0};
        rs_buf_str(&b, "ab");
        rs_buf_printf(&b, "%d", 12);
        ck_assert_str_eq((char *)b.data, "ab12");
        rs_buf_add(&b, "x", SIZE_MAX - 2);
        ck_assert(b.oom);
        rs_buf_free(&b);
}
END_TEST

START_TEST(messages_are_safe_to_print)
{
        resect_error err;
        ck_assert(!rs_fail(&err, RESECT_FORMAT, "a\033[2Jb\nc\xff\xc3\xa9\xe2\x80\xae"));
        ck_assert_str_eq(err.msg, "a\\x1b[2Jb\\x0ac\\xff\xc3\xa9\\xe2\\x80\\xae");
        char longest[70000];
        memset(longest, 'n', sizeof longest - 1);
        longest[sizeof longest - 1] = '\0';
        rs_fail(&err, RESECT_FORMAT, "%s", longest);
        ck_assert_uint_lt(strlen(err.msg), RESECT_ERROR_MAX);
        rs_fail(&err, RESECT_FORMAT, "inner");
        rs_fail_at(&err, "file %d", 3);
        ck_assert_str_eq(err.msg, "file 3: inner");
}
END_TEST

UNIT_MAIN("base", sha256_vectors, philox_vectors, shuffle_is_a_permutation, map_holds_what_was_put,
        arena_and_buf_refuse_what_wraps, messages_are_safe_to_print)
