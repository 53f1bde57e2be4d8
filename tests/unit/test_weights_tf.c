/* SPDX-License-Identifier: 0BSD */
/*
 * TensorFlow's checkpoints: CRC-32C against RFC 3720's vectors, sorted tables there and back, and
 * bundles whose table is sound but whose entries lie. tests/peers/weights_tf.sh compares with
 * LevelDB's own tables.
 */
#include "config.h"
#include "ckpt.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/crc32c.h"
#include "weights/sstable.h"

extern const rs_format rs_format_tf;

START_TEST(crc32c_vectors)
{
        unsigned char b[4096];
        for (int i = 0; i < 32; i++)
                b[i] = (unsigned char)i;
        ck_assert_uint_eq(rs_crc32c(0, b, 32), 0x46dd794e);
        ck_assert_uint_eq(rs_crc32c(0, memset(b, 0, 32), 32), 0x8a9136aa);
        ck_assert_uint_eq(rs_crc32c(0, memset(b, 0xff, 32), 32), 0x62a8ab43);
        ck_assert_uint_eq(rs_crc32c(0, "123456789", 9), 0xe3069283);
        for (size_t i = 0; i < sizeof b; i++)
                b[i] = (unsigned char)(i * i >> 3);
        for (size_t n = 0; n < 300; n++) {
                uint32_t whole = rs_crc32c_table(0, b + n % 9, n * 13);
                ck_assert_uint_eq(rs_crc32c(0, b + n % 9, n * 13), whole);
                ck_assert_uint_eq(
                        rs_crc32c(rs_crc32c(0, b + n % 9, n), b + n % 9 + n, n * 12), whole);
        }
}
END_TEST

struct seen {
        size_t n, stop;
        char last[64];
};

static bool
count(void *ctx, rs_span key, rs_span value, resect_error *err)
{
        struct seen *s = ctx;
        ck_assert_uint_eq(value.size, s->n % 900);
        ck_assert_uint_lt(key.size, sizeof s->last);
        memcpy(s->last, key.data, key.size);
        s->last[key.size] = '\0';
        if (++s->n == s->stop)
                return rs_fail(err, RESECT_STOPPED, "enough");
        return true;
}

START_TEST(tables)
{
        resect_error err;
        for (size_t n = 0; n < 5000; n = n * 3 + 1) {
                rs_sstable t = {0};
                struct seen s = {0};
                char key[64] = "";
                for (size_t i = 0; i < n; i++) {
                        if (i)
                                snprintf(key, sizeof key, "some/folder/%08zu/weights", i * 7);
                        rs_sstable_put(&t, (rs_span){(unsigned char *)key, strlen(key)},
                                (rs_span){ckpt_values, i % 900});
                }
                CK_OK(rs_sstable_end(&t, &err), err);
                rs_span file = {t.out.data, t.out.size};
                ck_assert(rs_is_sstable(file));
                CK_OK(rs_sstable_walk(file, count, &s, &err), err);
                ck_assert_uint_eq(s.n, n);
                ck_assert_str_eq(s.last, key);
                s = (struct seen){.stop = 1};
                ck_assert(n == 0 ||
                          (!rs_sstable_walk(file, count, &s, &err) && err.code == RESECT_STOPPED));
                rs_sstable_free(&t);
        }
        rs_sstable t = {0};
        rs_sstable_put(&t, (rs_span){(unsigned char *)"b", 1}, (rs_span){0});
        rs_sstable_put(&t, (rs_span){(unsigned char *)"a", 1}, (rs_span){0});
        ck_assert(!rs_sstable_end(&t, &err));
        rs_sstable_free(&t);
}
END_TEST

START_TEST(round_trip)
{
        resect_error err;
        rs_entry e[CKPT_N];
        scratch_make();
        ckpt_sample(e);
        CK_OK(ckpt_write(&rs_format_tf, scratch("m.ckpt-7.index"), e, CKPT_N, &err), err);
        ck_assert_int_eq(scratch_count(), 2);
        static const char *const names[] = {
                "m.ckpt-7.index", "m.ckpt-7.data-00000-of-00001", "m.ckpt-7"};
        for (int i = 0; i < 3; i++) {
                rs_checkpoint *c = rs_checkpoint_read(
                        scratch(names[i]), i == 2 ? &rs_format_tf : NULL, 0, &err);
                CK_OK(c != NULL, err);
                ck_assert_ptr_eq(c->format, &rs_format_tf);
                ckpt_same(c, e, CKPT_N);
                rs_checkpoint_free(c);
        }
        ck_assert(!rs_checkpoint_read(scratch("m.ckpt"), NULL, 0, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        /* written by the prefix; from standard input it cannot be read */
        CK_OK(ckpt_write(&rs_format_tf, scratch("p"), e, CKPT_N, &err), err);
        ck_assert_int_eq(scratch_count(), 4);
        ck_assert(!ckpt_write(&rs_format_tf, "-", e, CKPT_N, &err));
        scratch_done();
}
END_TEST

/* Calls of the system that are counted, and of which one may fail. */
static long call_at = -1, call_n;
static const char *call_which;

static bool
call_fails(const char *which)
{
        bool now = !strcmp(which, call_which) && call_n++ == call_at;
        if (now)
                errno = EIO;
        return now;
}

static ssize_t
failing_writev(int fd, const struct iovec *iov, int n)
{
        return call_fails("writev") ? -1 : writev(fd, iov, n);
}

static int
failing_fsync(int fd)
{
        (void)fd;
        return call_fails("fsync") ? -1 : 0;
}

static int
failing_rename(const char *from, const char *to)
{
        return call_fails("rename") ? -1 : rename(from, to);
}

/* Both files or none, whichever write, flush or rename fails: those of the values, and those of the
 * index, when the values have their name already. */
START_TEST(both_or_none)
{
        static const char *const which[] = {"writev", "fsync", "rename"};
        static const rs_writing empty;
        rs_entry e[CKPT_N];
        ckpt_sample(e);
        for (size_t k = 0; k < sizeof which / sizeof *which; k++) {
                long n = 0;
                for (bool done = false; !done; n++) {
                        resect_error err = {0};
                        rs_writing w = empty;
                        scratch_make();
                        w.path = scratch("m.index");
                        w.entries = e;
                        w.n_entries = CKPT_N;
                        rs_hooks.writev = failing_writev;
                        rs_hooks.fsync = failing_fsync;
                        rs_hooks.rename = failing_rename;
                        call_which = which[k];
                        call_n = 0;
                        call_at = n;
                        done = rs_format_write(&rs_format_tf, &w, &err);
                        rs_hooks.writev = writev;
                        rs_hooks.fsync = ckpt_fsync;
                        rs_hooks.rename = rename;
                        ck_assert_msg(done == (call_n <= n), "%s %ld: %s", which[k], n,
                                done ? "its failure went unnoticed" : err.msg);
                        ck_assert_msg(
                                done || err.code == RESECT_IO, "%s %ld: %s", which[k], n, err.msg);
                        /* the last flush is of a folder that has both names */
                        int files = scratch_count();
                        bool named = strstr(err.msg, "in place") && strstr(err.msg, ".index");
                        ck_assert_msg(files == (done || named ? 2 : 0), "%s %ld: %d files: %s",
                                which[k], n, files, err.msg);
                        scratch_done();
                }
                /* one at least for each file */
                ck_assert_msg(n > 2, "%s: %ld", which[k], n);
        }
}
END_TEST

/* A checkpoint whose table is sound: header, then one entry called name. data is 64 bytes. */
static void
bundle(const char *header, size_t header_size, const char *name, const char *entry,
        size_t entry_size)
{
        resect_error err;
        rs_sstable t = {0};
        rs_sstable_put(&t, (rs_span){(unsigned char *)"", 0},
                (rs_span){(const unsigned char *)header, header_size});
        if (name)
                rs_sstable_put(&t, (rs_span){(const unsigned char *)name, strlen(name)},
                        (rs_span){(const unsigned char *)entry, entry_size});
        CK_OK(rs_sstable_end(&t, &err), err);
        scratch_write("h.index", t.out.data, t.out.size);
        scratch_write("h.data-00000-of-00001", ckpt_values, 64);
        rs_sstable_free(&t);
}

#define HEADER "\x08\x01\x1a\x02\x08\x01"
#define BUNDLE(header, entry) bundle(header, sizeof(header) - 1, "w", entry, sizeof(entry) - 1)

static void
refused(resect_code code, const char *word)
{
        resect_error err;
        ck_assert_msg(!ckpt_use(scratch("h.index"), NULL, &err), "not refused: %s", word);
        ck_assert_msg(err.code == code && strstr(err.msg, word), "%s: %s, wanted '%s'",
                resect_code_name(err.code), err.msg, word);
}

static void
skipped(const char *why)
{
        resect_error err;
        rs_checkpoint *c = rs_checkpoint_read(scratch("h.index"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_entries, 0);
        ck_assert_uint_eq(c->n_skipped, 1);
        ck_assert_str_eq(c->skipped[0].why, why);
        rs_checkpoint_free(c);
}

#define TWO "\x12\x04\x12\x02\x08\x02" /* shape [2] */

START_TEST(lies)
{
        scratch_make();
        resect_error err;
        BUNDLE("\x0a\x06\x0a\x04\x0a\x02vv", "");
        ck_assert(!ckpt_use(scratch("h.index"), &rs_format_tf, &err));
        ck_assert_msg(strstr(err.msg, "of version 1 (--format tf-v1)"), "%s", err.msg);
        BUNDLE("\x08\x01\x10\x01\x1a\x02\x08\x01", "");
        refused(RESECT_UNSUPPORTED, "big-endian");
        BUNDLE("\x08\xff\xff\xff\xff\x0f\x1a\x02\x08\x01", "");
        refused(RESECT_UNSUPPORTED, "files of data");
        BUNDLE("\x08\x01\x1a\x04\x08\x01\x10\x07", "");
        refused(RESECT_UNSUPPORTED, "later TensorFlow");
        /* past the end of the data, by a little, by 2^64; more bytes than the shape; another file
         */
        BUNDLE(HEADER, "\x08\x01" TWO "\x20\x39\x28\x08");
        refused(RESECT_FORMAT, "bytes 57 to 57 + 8, but the file of data has 64");
        BUNDLE(HEADER, "\x08\x01" TWO "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\x08");
        refused(RESECT_FORMAT, "but the file of data has 64");
        BUNDLE(HEADER, "\x08\x01" TWO "\x28\x09");
        refused(RESECT_FORMAT, "9 bytes of data for a shape that takes 8");
        BUNDLE(HEADER, "\x08\x01" TWO "\x18\x01\x28\x08");
        refused(RESECT_FORMAT, "file 1 of 1");
        BUNDLE(HEADER,
                "\x08\x01\x12\x0d\x12\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\x08");
        refused(RESECT_FORMAT, "damaged");
        BUNDLE(HEADER, "\x08\x01\x12\x18\x12\x0a\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x12\x0a"
                       "\x08\x80\x80\x80\x80"
                       "\x80\x80\x80\x80\x40\x28\x08");
        refused(RESECT_FORMAT, "does not fit");
        BUNDLE(HEADER, "\x08\x01" TWO "\x28\x08\x35zzzz");
        refused(RESECT_FORMAT, "checksum");
        BUNDLE(HEADER, "\x08\x01" TWO "\x28");
        refused(RESECT_FORMAT, "damaged");
        BUNDLE(HEADER, "\x08\x07" TWO "\x28\x08");
        skipped("text");
        BUNDLE(HEADER, "\x08\x15" TWO "\x28\x08");
        skipped("elements of TensorFlow's type 21");
        BUNDLE(HEADER, "\x08\x01\x12\x02\x18\x01\x28\x08");
        skipped("of an unknown shape");
        BUNDLE(HEADER, "\x08\x01" TWO "\x3a\x00");
        refused(RESECT_FORMAT, "a part of it is damaged"); /* of no axes, where there is one */
        bundle(HEADER, 6, "global_step", "\x08\x09\x12\x00\x28\x08", 6);
        skipped("a count of steps");
        bundle(HEADER, 6, "a/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE",
                "\x08\x01\x12\x00\x28\x04", 6);
        skipped("the optimiser's state");
        bundle("", 0, NULL, NULL, 0);
        refused(RESECT_UNSUPPORTED, "0 files of data");
        bundle(HEADER, 6, "w", "\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08", 10);
        remove(scratch("h.data-00000-of-00001"));
        refused(RESECT_IO, "h.data-00000-of-00001");
        scratch_done();
}
END_TEST

/* Entries with a few bytes changed, in a table whose checksums are right. */
START_TEST(lies_by_chance)
{
        static const char entry[] =
                "\x08\x01\x12\x08\x12\x02\x08\x02\x12\x02\x08\x03\x20\x08\x28\x18\x35zzzz";
        resect_error err;
        char copy[sizeof entry];
        scratch_make();
        for (size_t k = 0; k < 3000; k++) {
                memcpy(copy, entry, sizeof entry);
                for (uint64_t i = 0; i <= k % 3; i++)
                        copy[rs_below(9, k, 2 * i, sizeof entry - 1)] =
                                (char)rs_below(9, k, 2 * i + 1, 256);
                bundle(HEADER, 6, "w", copy, sizeof entry - 1);
                bool ok = ckpt_use(scratch("h.index"), NULL, &err);
                (void)ok;
        }
        scratch_done();
}
END_TEST

/* What Keras saves: the graph of objects knows that a/kernel is called conv1_conv/kernel. */
START_TEST(names_of_objects)
{
        static const char graph[] =
                "\x4d"
                "cccc"
                "\x0a\x4b\x12\x49\x0a\x0eVARIABLE_VALUE\x12\x11"
                "conv1_conv/kernel\x1a\x24"
                "layer-1/kernel/.ATTRIBUTES/VARIABLE_VALUE" /* cut to 36 below */;
        static const char key[] = "layer-1/kernel/.ATTRIBUTES/VARIABLE_";
        static const char entry[] = "\x08\x01" TWO "\x28\x08";
        static const char graph_entry[] = "\x08\x07\x12\x00\x20\x10\x28\x52";
        unsigned char data[256] = {0}, value[64];
        resect_error err;
        rs_sstable t = {0};
        scratch_make();
        memcpy(data + 16, graph, 0x52);
        memcpy(value, entry, sizeof entry - 1);
        uint32_t crc = rs_crc32c_mask(rs_crc32c(0, data, 8));
        value[sizeof entry - 1] = 0x35;
        memcpy(value + sizeof entry,
                &(unsigned char[4]){(unsigned char)crc, (unsigned char)(crc >> 8),
                        (unsigned char)(crc >> 16), (unsigned char)(crc >> 24)},
                4);
#define PUT(k, v, n)                                                       \
        rs_sstable_put(&t, (rs_span){(const unsigned char *)k, strlen(k)}, \
                (rs_span){(const unsigned char *)v, n})
        PUT("", HEADER, 6);
        PUT("_CHECKPOINTABLE_OBJECT_GRAPH", graph_entry, sizeof graph_entry - 1);
        PUT(key, value, sizeof entry + 4);
        CK_OK(rs_sstable_end(&t, &err), err);
        scratch_write("k.index", t.out.data, t.out.size);
        scratch_write("k.data-00000-of-00001", data, sizeof data);
        rs_sstable_free(&t);
        rs_checkpoint *c = rs_checkpoint_read(scratch("k"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_entries, 1);
        ck_assert_str_eq(c->entries[0].name, "conv1_conv/kernel");
        rs_checkpoint_free(c);
        CK_OK(ckpt_use(scratch("k"), NULL, &err), err);
        scratch_done();
}
END_TEST

START_TEST(damaged)
{
        static const char index[] = "d.index", data[] = "d.data-00000-of-00001";
        rs_entry e[CKPT_N];
        resect_error err;
        size_t n, m;
        scratch_make();
        ckpt_sample(e);
        CK_OK(ckpt_write(&rs_format_tf, scratch("d"), e, CKPT_N, &err), err);
        unsigned char *b = ckpt_slurp(scratch(index), &n), *v = ckpt_slurp(scratch(data), &m);
        ckpt_prefixes(&rs_format_tf, index, index, b, n, 1);
        ckpt_prefixes(&rs_format_tf, data, index, v, m, 7);
        /* every byte of either is under a checksum, but for restart points and the footer's filling
         */
        ck_assert_uint_gt(ckpt_flips(&rs_format_tf, index, index, b, n, 2000), 1800);
        ck_assert_uint_gt(ckpt_flips(&rs_format_tf, data, index, v, m, 500), 490);
        ckpt_allocations(&rs_format_tf, scratch("d"), scratch("o"));
        free(b);
        free(v);
        scratch_done();
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("h.index", bytes, n);
        bool ok = ckpt_use(scratch("h.index"), &rs_format_tf, &err);
        (void)ok; /* either; a failure without words fails inside */
}

START_TEST(corpus)
{
        scratch_make();
        scratch_write("h.data-00000-of-00001", ckpt_values, 256);
        ckpt_corpus("weights_tf", replay);
        scratch_done();
}
END_TEST

/* A table of entries, each with the checksum of its bytes in the data appended. */
struct line {
        const char *key;
        size_t key_size;
        const char *entry;
        size_t entry_size;
        size_t at, size; /* in the data; 0: no checksum */
};

static void
table_of(const struct line *l, size_t n, const unsigned char *data, size_t data_size)
{
        resect_error err;
        rs_sstable t = {0};
        rs_sstable_put(
                &t, (rs_span){(unsigned char *)"", 0}, (rs_span){(const unsigned char *)HEADER, 6});
        for (size_t i = 0; i < n; i++) {
                unsigned char e[128];
                uint32_t crc = rs_crc32c_mask(rs_crc32c(0, data + l[i].at, l[i].size));
                memcpy(e, l[i].entry, l[i].entry_size);
                e[l[i].entry_size] = 6 << 3 | 5;
                for (int k = 0; k < 4; k++)
                        e[l[i].entry_size + 1 + (size_t)k] = (unsigned char)(crc >> 8 * k);
                rs_sstable_put(&t, (rs_span){(const unsigned char *)l[i].key, l[i].key_size},
                        (rs_span){e, l[i].entry_size + (l[i].size ? 5 : 0)});
        }
        CK_OK(rs_sstable_end(&t, &err), err);
        scratch_write("h.index", t.out.data, t.out.size);
        scratch_write("h.data-00000-of-00001", data, data_size);
        rs_sstable_free(&t);
}

#define LINE(key, entry, at, size)                                       \
        {                                                                \
                key, sizeof(key) - 1, entry, sizeof(entry) - 1, at, size \
        }

/* Variables that were saved in parts: w [100, 2] as rows 0 to 63 and 64 to 99, and v [2, 3] as
 * columns 0 and 1 to 2. The keys of slices were put together by hand from TensorFlow's
 * ordered_code.cc. */
START_TEST(parts)
{
        static const struct line good[] = {
                LINE("\0v\0\1\1\2\x80\x7f\x80\x81",
                        "\x08\x01\x12\x08\x12\x02\x08\x02\x12\x02\x08\x01\x20\xa0\x06\x28\x08", 800,
                        8),
                LINE("\0v\0\1\1\2\x80\x7f\x81\x82",
                        "\x08\x01\x12\x08\x12\x02\x08\x02\x12\x02\x08\x02\x20\xa8\x06\x28\x10", 808,
                        16),
                LINE("\0w\0\1\1\2\x80\xa4\x80\x7f", "", 0, 0),
                LINE("\0w\0\1\1\2\x80\xc0\x40\x80\x7f",
                        "\x08\x01\x12\x08\x12\x02\x08\x40\x12\x02\x08\x02\x28\x80\x04", 0, 512),
                LINE("\0w\0\1\1\2\xc0\x40\xa4\x80\x7f",
                        "\x08\x01\x12\x08\x12\x02\x08\x24\x12\x02\x08\x02\x20\x80\x04\x28\xa0\x02",
                        512, 288),
                LINE("v",
                        "\x08\x01\x12\x08\x12\x02\x08\x02\x12\x02\x08\x03\x3a\x06\x0a\x00\x0a\x02"
                        "\x10\x01"
                        "\x3a\x08\x0a\x00\x0a\x04\x08\x01\x10\x02",
                        0, 0),
                LINE("w", /* the later part first, as w/part_10 is sorted before w/part_2 */
                        "\x08\x01\x12\x08\x12\x02\x08\x64\x12\x02\x08\x02"
                        "\x3a\x08\x0a\x04\x08\x40\x10\x24\x0a\x00"
                        "\x3a\x06\x0a\x02\x10\x40\x0a\x00",
                        0, 0)};
        enum { N = sizeof good / sizeof *good };
        struct line l[N];
        unsigned char data[824], want[24];
        resect_error err;
        rs_arena scratch_space = {0};
        rs_span s;
        for (size_t i = 0; i < sizeof data; i++)
                data[i] = (unsigned char)(i * 5 + (i >> 8));
        scratch_make();
        table_of(good, N, data, sizeof data);
        rs_checkpoint *c = rs_checkpoint_read(scratch("h.index"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_entries, 2);
        CK_OK(rs_entry_bytes(rs_checkpoint_find(c, "w"), &scratch_space, &s, &err), err);
        ck_assert(s.size == 800 && !memcmp(s.data, data, 800));
        for (size_t row = 0; row < 2; row++) {
                memcpy(want + row * 12, data + 800 + row * 4, 4);
                memcpy(want + row * 12 + 4, data + 808 + row * 8, 8);
        }
        CK_OK(rs_entry_bytes(rs_checkpoint_find(c, "v"), &scratch_space, &s, &err), err);
        ck_assert(s.size == 24 && !memcmp(s.data, want, 24));
        rs_arena_free(&scratch_space);
        rs_checkpoint_free(c);
        /* a changed value, a part that is not there, one of another shape, one that is too long for
         * its variable */
        data[600] ^= 1;
        scratch_write("h.data-00000-of-00001", data, sizeof data);
        refused(RESECT_FORMAT, "checksum");
        data[600] ^= 1;
        memcpy(l, good, sizeof l);
        l[4].key = "\0w\0\1\1\2\xc0\x41\xa4\x80\x7f";
        table_of(l, N, data, sizeof data);
        refused(RESECT_FORMAT, "a part of it is missing");
        l[4] = good[4];
        l[4].entry = good[3].entry;
        l[4].entry_size = good[3].entry_size;
        table_of(l, N, data, sizeof data);
        refused(RESECT_FORMAT, "another shape");
        l[4] = good[4];
        l[6].entry =
                "\x08\x01\x12\x08\x12\x02\x08\x65\x12\x02\x08\x02\x3a\x06\x0a\x02\x10\x40\x0a\x00"
                "\x3a\x08\x0a\x04\x08\x40\x10\x24\x0a\x00"; /* 101 rows */
        table_of(l, N, data, sizeof data);
        refused(RESECT_UNSUPPORTED, "beside each other");
        scratch_done();
}
END_TEST

UNIT_MAIN("tf", parts, crc32c_vectors, tables, round_trip, both_or_none, lies, lies_by_chance,
        names_of_objects, damaged, corpus)
