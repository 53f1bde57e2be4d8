/* SPDX-License-Identifier: 0BSD */
/* Flax's msgpack: files made by hand after the two specifications, and what they must not be. */
#include "config.h"
#include "ckpt.h"

#include "weights/flax.h"

extern const rs_format rs_format_flax;

/* {"p": {"w": array [2] float32, "n": 3}, "name": "r", "s": NumPy scalar int32, "none": None} */
static const unsigned char small[] = "\x84\xa1p\x82\xa1w\xc7\x15\x01\x93\x91\x02\xa7"
                                     "float32\xc4\x08\x00\x00\x80?\x00\x00\x00@\xa1n\x03"
                                     "\xa4name\xa1r"
                                     "\xa1s\xc7\x0e\x03\x93\x90\xa5int32\xc4\x04\x05\0\0\0"
                                     "\xa4none\xc0";
enum { SMALL = sizeof small - 1 };

static rs_checkpoint *
read_bytes(const void *bytes, size_t n, resect_error *err)
{
        *err = (resect_error){0};
        scratch_write("f.msgpack", bytes, n);
        return rs_checkpoint_read(scratch("f.msgpack"), NULL, 0, err);
}

START_TEST(by_hand)
{
        resect_error err;
        scratch_make();
        rs_checkpoint *c = read_bytes(small, SMALL, &err);
        CK_OK(c != NULL, err);
        ck_assert_ptr_eq(c->format, &rs_format_flax);
        ck_assert_uint_eq(c->n_entries, 2);
        ck_assert_str_eq(c->entries[0].name, "p/w");
        ck_assert_mem_eq(c->entries[0].data.data, "\x00\x00\x80?\x00\x00\x00@", 8);
        ck_assert_str_eq(c->entries[1].name, "s");
        ck_assert_int_eq(c->entries[1].rank, 0);
        ck_assert_uint_eq(c->n_meta, 1);
        ck_assert_str_eq(c->meta[0].key, "name");
        ck_assert_str_eq(c->meta[0].value, "r");
        ck_assert_uint_eq(c->n_skipped, 2);
        ck_assert_str_eq(c->skipped[0].name, "p/n");
        ck_assert_str_eq(c->skipped[0].why, "the number 3");
        ck_assert_str_eq(c->skipped[1].why, "None");
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

START_TEST(round_trip)
{
        resect_error err;
        rs_entry e[CKPT_N];
        size_t whole = rs_flax_chunk_max;
        scratch_make();
        ckpt_sample(e);
        for (int pieces = 0; pieces < 2; pieces++) {
                rs_flax_chunk_max = pieces ? 30 : whole;
                CK_OK(ckpt_write(&rs_format_flax, scratch("o.msgpack"), e, CKPT_N, &err), err);
                rs_checkpoint *c = rs_checkpoint_read(scratch("o.msgpack"), NULL, 0, &err);
                CK_OK(c != NULL, err);
                ckpt_same(c, e, CKPT_N);
                ck_assert_uint_eq(c->n_skipped, 0);
                rs_checkpoint_free(c);
        }
        rs_flax_chunk_max = whole;
        CK_OK(ckpt_write(&rs_format_flax, scratch("o.msgpack"), e, 0, &err), err);
        ck_assert(scratch_is("o.msgpack", "\x80", 1));
        scratch_done();
}
END_TEST

/* More than 15 and 65535 keys, names of every length class. */
START_TEST(wide)
{
        enum { N = 70000 };
        static rs_entry e[N];
        static char names[N][320];
        static const int64_t one[] = {1};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < N; i++) {
                snprintf(names[i], sizeof names[i], "%s/%05zu%.*s", i < 20 ? "few" : "many", i,
                        i % 1000 ? 0 : (int)(i / 250),
                        "llllllllllllllllllllllllllllllllllllllllll"
                        "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
                        "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll"
                        "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll");
                e[i] = ckpt_entry(names[i], RESECT_INT16, 2, 1, one);
                e[i].data.data = ckpt_values + i % 4000;
        }
        CK_OK(ckpt_write(&rs_format_flax, scratch("o.msgpack"), e, N, &err), err);
        rs_checkpoint *c = rs_checkpoint_read(scratch("o.msgpack"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ckpt_same(c, e, N);
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

static void
refused(const void *bytes, size_t n, resect_code code, const char *word)
{
        resect_error err;
        scratch_write("f.msgpack", bytes, n);
        ck_assert_msg(
                !ckpt_use(scratch("f.msgpack"), &rs_format_flax, &err), "not refused: %s", word);
        ck_assert_msg(err.code == code && strstr(err.msg, word), "%s: %s, wanted '%s'",
                resect_code_name(err.code), err.msg, word);
}
#define REFUSED(bytes, code, word) refused(bytes, sizeof(bytes) - 1, code, word)

#define ARRAY(n, dims, type, size) "\xc7" n "\x01\x93" dims type "\xc4" size

START_TEST(hostile)
{
        scratch_make();
        REFUSED("\x81\xa1w\xc1", RESECT_FORMAT, "no MessagePack");
        REFUSED("\x82\xa1w\xc0\xa1w\xc0", RESECT_FORMAT, "the same key twice");
        REFUSED("\x81\xa1p\x82\xa1w\xc0", RESECT_FORMAT, ": p: more keys than there are bytes");
        REFUSED("\x81\xa1p\x82\xa1w\xc0\xc0", RESECT_FORMAT, ": p: a key that is no text");
        REFUSED("\x82\xa1w\x81\xa1v\xc0\xa3w/v\xc0", RESECT_FORMAT, "the same key twice");
        REFUSED("\x81\xa1w\xc0\xc0", RESECT_FORMAT, "bytes after the end");
        REFUSED("\x81\xa2w\0\xc0", RESECT_FORMAT, "no text");
        REFUSED("\x81\xa2w\xff\xc0", RESECT_FORMAT, "no text");
        REFUSED("\x81\xc3\xc0", RESECT_FORMAT, "no text");
        REFUSED("\xdf\xff\xff\xff\xff\xa1w\xc0", RESECT_FORMAT, "more keys than");
        REFUSED("\x81\xa1w\xdd\xff\xff\xff\xff\xc0", RESECT_FORMAT, "more keys than");
        REFUSED("\x81\xa1w\xdb\xff\xff\xff\xff\xc0", RESECT_FORMAT, "ends here");
        /* a shape that wraps, one that lies, one with a negative dim, a rank that is not read */
        REFUSED("\x81\xa1w" ARRAY("\x22", "\x92\xcf\x40\0\0\0\0\0\0\0\xcf\0\0\0\0\0\0\0\x08",
                        "\xa7"
                        "float32",
                        "\x04"
                        "1234"),
                RESECT_FORMAT, "does not fit");
        REFUSED("\x81\xa1w" ARRAY("\x11", "\x91\x03",
                        "\xa7"
                        "float32",
                        "\x04"
                        "1234"),
                RESECT_FORMAT, "4 bytes");
        REFUSED("\x81\xa1w" ARRAY("\x11", "\x91\xff",
                        "\xa7"
                        "float32",
                        "\x04"
                        "1234"),
                RESECT_FORMAT, "damaged array");
        REFUSED("\x81\xa1w" ARRAY("\x19", "\x99\1\1\1\1\1\1\1\1\1",
                        "\xa7"
                        "float32",
                        "\x04"
                        "1234"),
                RESECT_UNSUPPORTED, "9 dimensions");
        /* pieces: of other sizes, missing, twice, of another shape */
#define PIECES                                                      \
        "\x81\xa1w\x83\xb9" RS_FLAX_CHUNKED "\xc3\xa5shape\x81\xa1" \
        "0\x04\xa6"                                                 \
        "chunks"
#define PIECE                                      \
        "\xc7\x0c\x01\x93\x91\x02\xa4int8\xc4\x02" \
        "12"
        REFUSED(PIECES "\x82\xa1"
                       "0" PIECE "\xa1"
                       "0" PIECE,
                RESECT_FORMAT, "in pieces");
        REFUSED(PIECES "\x82\xa1"
                       "0" PIECE "\xa1"
                       "2" PIECE,
                RESECT_FORMAT, "in pieces");
        REFUSED(PIECES "\x81\xa1"
                       "0" PIECE,
                RESECT_FORMAT, "do not make up");
        REFUSED(PIECES "\xdf\xff\xff\xff\xff\xa1"
                       "0" PIECE,
                RESECT_FORMAT, "in pieces");
        resect_error err;
        rs_checkpoint *c = read_bytes(PIECES "\x82\xa1"
                                             "1" PIECE "\xa1"
                                             "0" PIECE,
                sizeof(PIECES "\x82\xa1"
                              "1" PIECE "\xa1"
                              "0" PIECE) -
                        1,
                &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->entries[0].bytes, 4);
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

/* Maps in maps, a hundred deep and ten thousand; short keys behind a long name. */
START_TEST(deep)
{
        enum { N = 400000 };
        unsigned char *b = malloc(N);
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < N; i++)
                b[i] = i % 3 == 0 ? 0x81 : i % 3 == 1 ? 0xa1 : 'k';
        refused(b, N, RESECT_UNSUPPORTED, "maps more than 100 deep");
        b[99 * 3] = 0xc0;
        scratch_write("f.msgpack", b, 99 * 3 + 1);
        CK_OK(ckpt_use(scratch("f.msgpack"), &rs_format_flax, &err), err);
        memcpy(b, "\x81\xda\x0f\xf0", 4);
        memset(b + 4, 'n', 0xff0);
        size_t at = 4 + 0xff0, k = 0;
        memcpy(b + at, "\xdf\x00\x00\xff\xff", 5);
        for (at += 5; k < 65535; k++, at += 5) {
                static const char digits[] = "0123456789abcdef";
                b[at] = 0xa3;
                b[at + 1] = (unsigned char)digits[k >> 12];
                b[at + 2] = (unsigned char)(0x20 + (k >> 6 & 0x3f));
                b[at + 3] = (unsigned char)(0x20 + (k & 0x3f));
                b[at + 4] = 0xc0;
        }
        refused(b, at, RESECT_UNSUPPORTED, "names of more than");
        free(b);
        scratch_done();
}
END_TEST

START_TEST(not_writable)
{
        static const int64_t two[] = {2};
        resect_error err;
        rs_entry e[] = {ckpt_entry("a/b", RESECT_FLOAT, 4, 1, two),
                ckpt_entry("a", RESECT_FLOAT, 4, 1, two)};
        scratch_make();
        ck_assert(!ckpt_write(&rs_format_flax, scratch("o.msgpack"), e, 2, &err));
        ck_assert_msg(strstr(err.msg, "a folder of others"), "%s", err.msg);
        e[1].dtype = RESECT_FLOAT8E5M2FNUZ;
        ck_assert(!ckpt_write(&rs_format_flax, scratch("o.msgpack"), e, 2, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_int_eq(scratch_count(), 0);
        scratch_done();
}
END_TEST

START_TEST(damaged)
{
        rs_entry e[CKPT_N];
        resect_error err;
        size_t n;
        scratch_make();
        ckpt_prefixes(&rs_format_flax, "s.msgpack", "s.msgpack", small, SMALL, 1);
        ckpt_sample(e);
        rs_flax_chunk_max = 40;
        CK_OK(ckpt_write(&rs_format_flax, scratch("d.msgpack"), e, CKPT_N, &err), err);
        unsigned char *b = ckpt_slurp(scratch("d.msgpack"), &n);
        ckpt_prefixes(&rs_format_flax, "d.msgpack", "d.msgpack", b, n, 1);
        ck_assert_uint_gt(ckpt_flips(&rs_format_flax, "d.msgpack", "d.msgpack", b, n, 3000), 300);
        ckpt_allocations(&rs_format_flax, scratch("d.msgpack"), scratch("out.msgpack"));
        rs_flax_chunk_max = (size_t)1 << 30;
        free(b);
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("f.msgpack", bytes, n);
        bool ok = ckpt_use(scratch("f.msgpack"), &rs_format_flax, &err);
        (void)ok; /* either; a failure without words fails inside */
}

START_TEST(corpus)
{
        scratch_make();
        ckpt_corpus("weights_flax", replay);
        scratch_done();
}
END_TEST

UNIT_MAIN("flax", by_hand, round_trip, wide, hostile, deep, not_writable, damaged, corpus)
