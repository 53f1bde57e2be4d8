/* SPDX-License-Identifier: 0BSD */
/*
 * HDF5: there and back, damaged, short of memory; the child that reads it has no rights; what comes
 * out of its pipe is believed in nothing. tests/peers/weights_h5.sh compares with h5py.
 */
#include "config.h"
#include "ckpt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "io/zip.h"
#include "weights/h5.h"

extern const rs_format rs_format_h5;

#ifdef HAVE_HDF5
START_TEST(round_trip)
{
        resect_error err;
        rs_entry e[CKPT_N];
        scratch_make();
        ckpt_sample(e);
        for (int lists = 0; lists < 2; lists++) {
                e[5].name = lists ? "stats/mean" : "stats";
                CK_OK(ckpt_write(&rs_format_h5, scratch("o.h5"), e, CKPT_N, &err), err);
                rs_checkpoint *c = rs_checkpoint_read(scratch("o.h5"), NULL, 0, &err);
                CK_OK(c != NULL, err);
                ck_assert_ptr_eq(c->format, &rs_format_h5);
                ckpt_same(c, e, CKPT_N);
                ck_assert_uint_eq(c->n_meta, lists ? 2 : 0);
                /* the lists keep the order, which else is that of names */
                ck_assert_str_eq(c->entries[0].name, lists ? "params/a/kernel" : "params/a/bias");
                rs_checkpoint_free(c);
        }
        CK_OK(ckpt_write(&rs_format_h5, scratch("none.h5"), e, 0, &err), err);
        CK_OK(ckpt_use(scratch("none.h5"), NULL, &err), err);
        e[0].dtype = RESECT_BFLOAT16;
        ck_assert(!ckpt_write(&rs_format_h5, scratch("p.h5"), e, 1, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        e[0].dtype = RESECT_FLOAT;
        e[1].name = "params/a/kernel/b"; /* below a dataset */
        ck_assert(!ckpt_write(&rs_format_h5, scratch("p.h5"), e, 2, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_int_eq(scratch_count(), 2);
        scratch_done();
}
END_TEST

/* More names than an attribute holds. */
START_TEST(long_lists)
{
        enum { N = 1500 };
        static rs_entry e[N];
        static char names[N][96];
        static const int64_t one[] = {1};
        resect_error err;
        scratch_make();
        for (size_t i = 0; i < N; i++) {
                snprintf(names[i], sizeof names[i],
                        "a_layer_whose_name_is_rather_long_%06zu/and_then_some_weight:0",
                        (i * 7919) % N);
                e[i] = ckpt_entry(names[i], RESECT_FLOAT, 4, 1, one);
                e[i].data.data = ckpt_values + i * 2;
        }
        CK_OK(ckpt_write(&rs_format_h5, scratch("o.h5"), e, N, &err), err);
        rs_checkpoint *c = rs_checkpoint_read(scratch("o.h5"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ckpt_same(c, e, N);
        for (size_t i = 0; i < N; i++)
                ck_assert_str_eq(c->entries[i].name, names[i]);
        rs_checkpoint_free(c);
        scratch_done();
}
END_TEST

/* .keras: the same in a zip, with words beside it. */
struct part {
        const char *name;
        rs_span bytes;
};

static rs_span
words(const char *s)
{
        return (rs_span){(const unsigned char *)s, strlen(s)};
}

static void
zip(const char *name, const struct part *parts, size_t n)
{
        resect_error err;
        rs_output *out = rs_output_open(scratch(name), &err);
        CK_OK(out != NULL, err);
        rs_zip_writer z = {.out = out};
        for (size_t i = 0; i < n; i++)
                CK_OK(rs_zip_put(&z, parts[i].name, &parts[i].bytes, 1, &err), err);
        CK_OK(rs_zip_end(&z, &err), err);
        rs_zip_writer_free(&z);
        CK_OK(rs_output_close(out, &err), err);
}

static void
refused(const char *file, resect_code code, const char *word)
{
        resect_error err;
        ck_assert_msg(!ckpt_use(scratch(file), NULL, &err), "not refused: %s", word);
        ck_assert_msg(err.code == code && strstr(err.msg, word), "%s, wanted '%s'", err.msg, word);
}

START_TEST(keras_zip)
{
        static const char config[] =
                "{\"class_name\":\"Functional\",\"config\":{\"layers\":[{\"class_name\":"
                "\"BatchNormalization\",\"config\":{\"name\":\"x\",\"epsilon\":0.25,"
                "\"momentum\":0.5}}]}}";
        rs_entry e[CKPT_N];
        resect_error err;
        size_t n;
        scratch_make();
        ckpt_sample(e);
        e[1].name = "layers/batch_normalization/vars/3";
        CK_OK(ckpt_write(&rs_format_h5, scratch("w.h5"), e, CKPT_N, &err), err);
        unsigned char *b = ckpt_slurp(scratch("w.h5"), &n);
        const struct part all[] = {
                {"metadata.json", words("{\"date_saved\":[1,{}],\"keras_version\":\"3.4.1\"}")},
                {"config.json", words(config)}, {"model.weights.h5", {b, n}},
                {"assets/words.txt", words("one")}};
        zip("m.keras", all, 4);
        rs_checkpoint *c = rs_checkpoint_read(scratch("m.keras"), NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_str_eq(c->format->name, "keras");
        ckpt_same(c, e, CKPT_N);
        const rs_says *says = rs_checkpoint_find(c, e[1].name)->says;
        ck_assert(says && says->epsilon == 0.25 && says->momentum == 0.5);
        ck_assert_uint_eq(c->n_meta, 1);
        ck_assert_str_eq(c->meta[0].value, "3.4.1");
        ck_assert_uint_eq(c->n_skipped, 1);
        ck_assert_str_eq(c->skipped[0].name, "assets/words.txt");
        rs_checkpoint_free(c);
        /* weights alone; words that are damaged say nothing */
        const struct part alone[] = {{"model.weights.h5", {b, n}}, {"config.json", words("{\"cl")},
                {"metadata.json", words("7")}};
        zip("a.keras", alone, 3);
        CK_OK(ckpt_use(scratch("a.keras"), NULL, &err), err);
        const struct part npz[] = {{"config.json", words("{}")}, {"model.weights.npz", words("x")}};
        zip("n.keras", npz, 2);
        refused("n.keras", RESECT_UNSUPPORTED, "NumPy");
        zip("c.keras", npz, 1);
        refused("c.keras", RESECT_FORMAT, "no model.weights.h5");
        const struct part bad[] = {{"model.weights.h5", words("no HDF5 at all")}};
        zip("b.keras", bad, 1);
        refused("b.keras", RESECT_FORMAT, "b.keras");
        free(b);
        b = ckpt_slurp(scratch("m.keras"), &n);
        const rs_format *f = rs_format_find("keras");
        ckpt_prefixes(f, "m.keras", "m.keras", b, n, 97);
        ckpt_flips(f, "m.keras", "m.keras", b, n, 150);
        ckpt_reading_allocations(f, scratch("m.keras"));
        free(b);
        scratch_done();
}
END_TEST

START_TEST(damaged)
{
        rs_entry e[CKPT_N];
        resect_error err;
        size_t n;
        scratch_make();
        ckpt_sample(e);
        e[5].name = "stats/mean";
        CK_OK(ckpt_write(&rs_format_h5, scratch("d.h5"), e, CKPT_N, &err), err);
        unsigned char *b = ckpt_slurp(scratch("d.h5"), &n);
        ckpt_prefixes(&rs_format_h5, "d.h5", "d.h5", b, n, 211);
        ckpt_flips(&rs_format_h5, "d.h5", "d.h5", b, n, 100);
        ckpt_allocations(&rs_format_h5, scratch("d.h5"), scratch("out.h5"));
        free(b);
        scratch_done();
}
END_TEST
#else
START_TEST(absent)
{
        resect_error err;
        scratch_make();
        scratch_write("f.h5", "\x89HDF\r\n\x1a\n", 8);
        ck_assert(!ckpt_use(scratch("f.h5"), NULL, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_msg(strstr(err.msg, "without libhdf5") != NULL, "%s", err.msg);
        scratch_done();
}
END_TEST
#endif

/* The child */

static int
crash(int fd, void *ctx)
{
        (void)fd, (void)ctx;
        raise(SIGILL);
        return 0;
}

static int
hang(int fd, void *ctx)
{
        (void)fd, (void)ctx;
        for (volatile int i = 1; i;)
                ;
        return 0;
}

/* Each thing that must not work, as a bit. */
static int
misbehave(int fd, void *ctx)
{
        (void)ctx;
        unsigned char done = 0;
        int other = dup(fd);
        if (!rs_confined_drop(fd, 1 << 24))
                return 1;
        done |= (unsigned char)((open("/etc/passwd", O_RDONLY) >= 0) << 0);
        done |= (unsigned char)((open("/tmp/resect-confined", O_WRONLY | O_CREAT, 0600) >= 0) << 1);
        done |= (unsigned char)((socket(AF_INET, SOCK_STREAM, 0) >= 0) << 2);
        done |= (unsigned char)((fork() >= 0) << 3);
        done |= (unsigned char)((execl("/bin/true", "true", (char *)NULL) == 0) << 4);
        done |= (unsigned char)((write(other, "x", 1) == 1) << 5);
        done |= (unsigned char)((kill(getppid(), 0) == 0) << 6);
        void *code = mmap(
                NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        void *much =
                mmap(NULL, 1 << 26, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        done |= (unsigned char)((code != MAP_FAILED || much != MAP_FAILED) << 7);
        return !rs_confined_say(fd, &done, 1);
}

START_TEST(confined)
{
        resect_error err;
        rs_confined c;
        unsigned char done = 0xff;
        CK_OK(rs_confined_start(&c, 5, misbehave, NULL, &err), err);
        ck_assert_msg(rs_confined_hear(&c, &done, 1), "rights could not be dropped");
        rs_confined_stop(&c);
        ck_assert_msg(done == 0, "the child could do %#x", done);
        CK_OK(rs_confined_start(&c, 5, crash, NULL, &err), err);
        ck_assert(!rs_confined_hear(&c, &done, 1));
        ck_assert(!rs_confined_failed(&c, "lib", &err));
        ck_assert_str_eq(err.msg, "lib crashed (signal 4)");
        CK_OK(rs_confined_start(&c, 1, hang, NULL, &err), err);
        ck_assert(!rs_confined_hear(&c, &done, 1));
        ck_assert(!rs_confined_failed(&c, "lib", &err));
        ck_assert_msg(strstr(err.msg, "came to no end") != NULL, "%s", err.msg);
}
END_TEST

/* Its answer */

struct memory {
        const unsigned char *at, *end;
};

static bool
hear(void *ctx, void *bytes, size_t n)
{
        struct memory *m = ctx;
        if (n > (size_t)(m->end - m->at))
                return false;
        memcpy(bytes, m->at, n);
        m->at += n;
        return true;
}

/* 1: taken; 0: refused with a message; -1: broke off. */
static int
answer(const char *bytes, size_t n, resect_error *err)
{
        struct memory m = {(const unsigned char *)bytes, (const unsigned char *)bytes + n};
        rs_h5_answer a = {.hear = hear, .ctx = &m};
        rs_checkpoint *c = rs_alloc(1, sizeof *c, NULL);
        *err = (resect_error){0};
        c->path = "f";
        c->max_size = 1 << 20;
        bool ok = rs_h5_take(&a, c, (rs_span){ckpt_values, 64}, err);
        ck_assert(!ok || a.ended);
        ck_assert_msg(a.ended == (ok || err->code), "%s", err->msg);
        for (size_t i = 0; ok && i < c->n_entries; i++)
                ck_assert(c->entries[i].data.size == c->entries[i].bytes);
        rs_checkpoint_free(c);
        return ok ? 1 : a.ended ? 0 : -1;
}

#define NAME "\1\0\0\0w"
#define SHAPE "\1\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0" /* float32 [2] */
#define FOLLOW "\xff\xff\xff\xff\xff\xff\xff\xff"

START_TEST(answers)
{
        static const char good[] =
                "n" NAME NAME "s\1\0\0\0x" NAME "t" NAME SHAPE "\x38\0\0\0\0\0\0\0"
                "t\1\0\0\0v" SHAPE FOLLOW "12345678f";
        static const struct {
                const char *bytes;
                size_t n;
                const char *word;
        } bad[] = {
#define BAD(bytes, word) {bytes, sizeof(bytes) - 1, word}
                BAD("q", "an unknown message"),
                BAD("t" NAME SHAPE "\x39\0\0\0\0\0\0\0", "outside of the file"),
                BAD("t" NAME SHAPE "\xfe\xff\xff\xff\xff\xff\xff\xff", "outside of the file"),
                BAD("t" NAME "\1\0\0\0\x09\0\0\0", "a tensor"),
                BAD("t" NAME "\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\x80", "a dimension"),
                BAD("t" NAME "\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\x7f\0\0\0\0\0\0\0\0", "a shape"),
                BAD("t" NAME "\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\1" FOLLOW,
                        "f: its values take more than 1048576 bytes, which is the limit "
                        "(--max-size)"),
                BAD("t" NAME "\x63\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0" FOLLOW, "a shape"),
                BAD("n\xff\xff\xff\xff", "a long text"), BAD("n\1\0\0\0\0", "a NUL"),
                BAD("e\x04\0\0\0\3\0\0\0why", "f: why"), BAD("e\0\0\0\0\3\0\0\0why", "f: why")};
        resect_error err;
        ck_assert_int_eq(answer(good, sizeof good - 1, &err), 1);
        for (size_t n = 0; n < sizeof good - 1; n++)
                ck_assert_int_eq(answer(good, n, &err), -1);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                ck_assert_int_eq(answer(bad[i].bytes, bad[i].n, &err), 0);
                ck_assert_msg(strstr(err.msg, bad[i].word) != NULL, "%s, wanted %s", err.msg,
                        bad[i].word);
        }
        char copy[sizeof good];
        for (size_t k = 0; k < 20000; k++) {
                memcpy(copy, good, sizeof good);
                for (uint64_t i = 0; i <= k % 3; i++)
                        copy[rs_below(4, k, 2 * i, sizeof good)] =
                                (char)rs_below(4, k, 2 * i + 1, 256);
                int what = answer(copy, sizeof good - 1, &err);
                ck_assert(what >= -1);
        }
        /* texts without end */
        char *many = malloc(9 * 3000000);
        for (size_t i = 0; i < 3000000; i++)
                memcpy(many + 9 * i, "s\0\0\0\0\0\0\0\0", 9);
        ck_assert_int_eq(answer(many, 9 * 3000000, &err), 0);
        ck_assert_msg(strstr(err.msg, "too much text") != NULL, "%s", err.msg);
        free(many);
}
END_TEST

static void
replay(const unsigned char *bytes, size_t n)
{
        resect_error err;
        int what = answer((const char *)bytes, n, &err);
        ck_assert_int_ge(what, -1);
}

static void
replay_zip(const unsigned char *bytes, size_t n)
{
        resect_error err;
        scratch_write("z", bytes, n);
        bool ok = ckpt_use(scratch("z"), rs_format_find("keras"), &err);
        (void)ok; /* either; a failure without words fails inside */
}

START_TEST(corpus)
{
        ckpt_corpus("weights_h5", replay);
        scratch_make();
        ckpt_corpus("weights_keras_zip", replay_zip);
        scratch_done();
}
END_TEST

#ifdef HAVE_HDF5
UNIT_MAIN("h5", round_trip, long_lists, keras_zip, damaged, confined, answers, corpus)
#else
UNIT_MAIN("h5", absent, confined, answers, corpus)
#endif
