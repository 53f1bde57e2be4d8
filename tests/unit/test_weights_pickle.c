/* SPDX-License-Identifier: 0BSD */
/*
 * Pickles made by hand: sound ones, ones that lie about their storages, ones that would run
 * something, and bombs. Each is also given to the fuzzer's harness, which uses whatever is
 * accepted. Real files and Python's own are in test_weights_files.c and
 * tests/peers/weights_torch.sh.
 */
#include "unit.h"

#include <time.h>
#include <unistd.h>
#include "../fuzz/fuzz_weights_pickle.c"
#include "tensor/dtype.h"
#include "weights/pickle.h"

static resect_error err;

static rs_checkpoint *
read_bytes(const rs_format *f, const void *data, size_t size)
{
        err = (resect_error){0};
        rs_checkpoint *c = rs_alloc(1, sizeof *c, &err);
        if (!c)
                return NULL;
        c->path = "file";
        c->format = f;
        rs_input in = {.data = data, .size = size};
        if (f->read(c, &in, &err))
                return c;
        rs_checkpoint_free(c);
        return NULL;
}

/* It must fail with this code, and say so. */
static void
refuses(const rs_format *f, const void *data, size_t size, resect_code code, const char *words)
{
        rs_checkpoint *c = read_bytes(f, data, size);
        ck_assert_msg(!c, "accepted, and should say '%s'", words);
        ck_assert_msg(err.code == code && strstr(err.msg, words), "%s: %s, not '%s'",
                resect_code_name(err.code), err.msg, words);
        LLVMFuzzerTestOneInput(data, size);
}

static void
refuses_made(const rs_format *f, struct made m, resect_code code, const char *words)
{
        refuses(f, m.data, m.n, code, words);
        free(m.data);
}

#define REFUSES(bytes, code, words) \
        refuses(&rs_format_detectron, bytes, sizeof bytes - 1, code, words)

static void
has_floats(const rs_checkpoint *c, const char *name, size_t n, const float *want)
{
        rs_arena scratch = {0};
        rs_span s;
        const rs_entry *e = rs_checkpoint_find(c, name);
        ck_assert_msg(e && e->dtype == RESECT_FLOAT, "%s", name);
        CK_OK(rs_entry_bytes(e, &scratch, &s, &err), err);
        ck_assert_uint_eq(s.size, n * sizeof *want);
        ck_assert(!memcmp(s.data, want, s.size));
        rs_arena_free(&scratch);
}

static const char *
why_skipped(const rs_checkpoint *c, const char *name)
{
        for (size_t i = 0; i < c->n_skipped; i++)
                if (!strcmp(c->skipped[i].name, name))
                        return c->skipped[i].why;
        return "";
}

START_TEST(sound)
{
        static const struct lie plain, turned = {.rank = 2, .dims = {3, 2}, .strides = {1, 3}},
                                       part = {.rank = 1, .dims = {2}, .strides = {2}, .offset = 1};
        static const float columns[] = {1, 4, 2, 5, 3, 6}, two[] = {2, 4};
        for (int zip = 0; zip < 2; zip++) {
                struct made (*make)(const struct lie *) = zip ? make_zip : make_stream;
                struct made m[] = {make(&plain), make(&turned), make(&part)};
                const float *want[] = {six, columns, two};
                for (int i = 0; i < 3; i++) {
                        rs_checkpoint *c = read_bytes(&rs_format_torch, m[i].data, m[i].n);
                        ck_assert_msg(c, "%s", err.msg);
                        ck_assert_uint_eq(c->n_entries, 1);
                        ck_assert_uint_eq(c->n_meta, 1);
                        ck_assert_str_eq(c->meta[0].value, "3");
                        has_floats(c, "w", i == 2 ? 2 : 6, want[i]);
                        rs_checkpoint_free(c);
                        LLVMFuzzerTestOneInput(m[i].data, m[i].n);
                        free(m[i].data);
                }
        }
        for (int protocol = 2; protocol <= 3; protocol++) {
                struct made m = make_arrays(protocol);
                rs_checkpoint *c = read_bytes(&rs_format_detectron, m.data, m.n);
                ck_assert_msg(c, "%s", err.msg);
                has_floats(c, "w", 6, six);
                rs_checkpoint_free(c);
                LLVMFuzzerTestOneInput(m.data, m.n);
                free(m.data);
        }
}
END_TEST

/* What a view or a storage claims is held against what is there. */
START_TEST(lies)
{
        static const struct {
                struct lie lie;
                resect_code code;
                const char *words;
        } cases[] = {
                {{.offset = 1}, RESECT_FORMAT, "beyond storage 0"},
                {{.offset = INT64_MAX}, RESECT_FORMAT, "beyond storage 0"},
                {{.offset = -1}, RESECT_FORMAT, "offset"},
                {{.rank = 2, .dims = {2, 3}, .strides = {3, 2}}, RESECT_FORMAT, "beyond storage 0"},
                {{.rank = 2, .dims = {2, 3}, .strides = {-3, 1}}, RESECT_FORMAT, "-3"},
                {{.rank = 2, .dims = {2, 3}, .strides = {INT64_MAX, 1}}, RESECT_FORMAT,
                        "beyond storage 0"},
                {{.rank = 3,
                         .dims = {4194305, 4194305, INT64_C(211106198978564)},
                         .strides = {1, 1, 1}},
                        RESECT_FORMAT, ""},
                {{.rank = 1, .dims = {-6}, .strides = {1}}, RESECT_FORMAT, ""},
                {{.rank = 1, .dims = {7}, .strides = {0}}, RESECT_UNSUPPORTED, "expanded"},
                {{.rank = 1, .dims = {INT64_C(1) << 40}, .strides = {0}}, RESECT_UNSUPPORTED,
                        "expanded"},
                {{.declared = 7}, RESECT_FORMAT, "storage 0 has"},
                {{.declared = 5}, RESECT_FORMAT, "storage 0 has"},
                {{.declared = INT64_C(1) << 61}, RESECT_FORMAT, "storage 0"},
                {{.declared = -6}, RESECT_FORMAT, "size"},
                {{.type = "DoubleStorage"}, RESECT_FORMAT, ""},
                {{.cut = 4}, RESECT_FORMAT, "storage 0"},
                {{.call = "_rebuild_qtensor"}, RESECT_OK, "_rebuild_qtensor"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                for (int zip = 0; zip < 2; zip++) {
                        struct made m = zip ? make_zip(&cases[i].lie) : make_stream(&cases[i].lie);
                        if (cases[i].code != RESECT_OK) {
                                resect_code code = cases[i].code;
                                rs_checkpoint *c = read_bytes(&rs_format_torch, m.data, m.n);
                                /* a number of elements that no memory has is NOMEM or FORMAT */
                                ck_assert_msg(
                                        !c && (err.code == code || (err.code == RESECT_NOMEM &&
                                                                           strstr(err.msg, "fit"))),
                                        "%zu %d: %s", i, zip, err.msg);
                                ck_assert_msg(strstr(err.msg, cases[i].words), "%zu %d: %s", i, zip,
                                        err.msg);
                        } else {
                                rs_checkpoint *c = read_bytes(&rs_format_torch, m.data, m.n);
                                ck_assert_msg(c, "%s", err.msg);
                                ck_assert_uint_eq(c->n_entries, 0);
                                ck_assert_ptr_nonnull(strstr(why_skipped(c, "w"), cases[i].words));
                                rs_checkpoint_free(c);
                        }
                        LLVMFuzzerTestOneInput(m.data, m.n);
                        free(m.data);
                }
}
END_TEST

/* Each way that a pickle has to call os.system. Nothing happens, and the name is told. */
START_TEST(nothing_is_run)
{
        char dir[] = "/tmp/resect-pickle-XXXXXX", path[64], line[128];
        static const char *const ways[] = {
                "cos\nsystem\n(V%s\ntR",                                          /* REDUCE */
                "V__main__\n0V_\n0\x8c\x02os\x8c\x06system\x93(V%s\ntR",          /* STACK_GLOBAL */
                "(V%s\nios\nsystem\n",                                            /* INST */
                "(cos\nsystem\nV%s\no",                                           /* OBJ */
                "cos\nsystem\n(V%s\nt\x81",                                       /* NEWOBJ */
                "cos\nsystem\n(V%s\nt}\x92",                                      /* NEWOBJ_EX */
                "cos\nsystem\n(V%s\ntR}V__setstate__\ncos\nsystem\nsb",           /* BUILD */
                "cbuiltins\ngetattr\n(c__builtin__\neval\nV__call__\ntR(V%s\ntR", /* a call of a
                                                                                     call */
        };
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/pwned", dir);
        snprintf(line, sizeof line, "touch %s", path);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                for (int format = 0; format < 3; format++) {
                        struct made m = {0};
                        const char *here = strstr(ways[i], "%s");
                        put_str(&m, "\x80\x04}(");
                        put_text(&m, "w");
                        put_array(&m, 3, 2, "f4");
                        put_text(&m, "x");
                        put(&m, ways[i], (size_t)(here - ways[i]));
                        put_str(&m, line);
                        put_str(&m, here + 2);
                        put_str(&m, "u.");
                        const rs_format *f =
                                format ? format == 1 ? &rs_format_paddle : &rs_format_torch
                                       : &rs_format_detectron;
                        struct made file = format == 2 ? wrap_zip(m.data, m.n, sizeof six) : m;
                        rs_checkpoint *c = read_bytes(f, file.data, file.n);
                        ck_assert_msg(c, "%zu: %s", i, err.msg);
                        has_floats(c, "w", 6, six);
                        const char *why = why_skipped(c, "x");
                        ck_assert_msg(strstr(why, "os.system") || strstr(why, "an object"),
                                "%zu: %s", i, why);
                        rs_checkpoint_free(c);
                        LLVMFuzzerTestOneInput(file.data, file.n);
                        if (file.data != m.data)
                                free(file.data);
                        free(m.data);
                }
        ck_assert_int_ne(access(path, F_OK), 0);
        ck_assert_int_eq(rmdir(dir), 0);
        REFUSES("\x80\x02\x82\x01)R.", RESECT_UNSUPPORTED, "reaches outside"); /* EXT1 */
        REFUSES("\x80\x05\x97.", RESECT_UNSUPPORTED, "reaches outside");       /* NEXT_BUFFER */
}
END_TEST

START_TEST(damage)
{
        REFUSES("\x80\x02R.", RESECT_FORMAT, "nothing is on the stack");
        REFUSES("\x80\x02(NR.", RESECT_FORMAT, "nothing is on the stack"); /* a mark is the floor */
        REFUSES("\x80\x02t.", RESECT_FORMAT, "no mark");
        REFUSES("\x80\x02N", RESECT_FORMAT, "ends without STOP");
        REFUSES("\x80\x02.", RESECT_FORMAT, "more or less than one value");
        REFUSES("\x80\x02NN.", RESECT_FORMAT, "more or less than one value");
        REFUSES("\x80\x02(N.", RESECT_FORMAT, "more or less than one value");
        REFUSES("\x80\x02Nr\x00\x00\x00\x80.", RESECT_FORMAT, "memo beyond");
        REFUSES("\x80\x02Np4294967296\n.", RESECT_FORMAT, "memo beyond");
        REFUSES("\x80\x02j\xff\xff\xff\xff.", RESECT_FORMAT, "nothing was stored");
        REFUSES("\x80\x02Nq\x00h\x01.", RESECT_FORMAT, "nothing was stored");
        REFUSES("\x80\x02g-1\n.", RESECT_FORMAT, "no number");
        REFUSES("\x80\x02\x8b\xff\xff\xff\xff.", RESECT_FORMAT, "negative");
        REFUSES("\x80\x02X\xff\xff\xff\xff"
                "a.",
                RESECT_FORMAT, "ends inside");
        REFUSES("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                "a.",
                RESECT_FORMAT, "ends inside");
        REFUSES("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", RESECT_FORMAT, "frame");
        REFUSES("\x80\x02}Na.", RESECT_FORMAT, "no container");
        REFUSES("\x80\x02](Nu.", RESECT_FORMAT, "without a value");
        REFUSES("\x80\x02(Nd.", RESECT_FORMAT, "without a value");
        REFUSES("\x80\x02N)R.", RESECT_FORMAT, "cannot be called");
        REFUSES("\x80\x02"
                "ca\nb\n]R.",
                RESECT_FORMAT, "no tuple");
        REFUSES("\x80\x02}}b.", RESECT_FORMAT, "no object");
        REFUSES("\x80\x02"
                "ca\n\n.",
                RESECT_FORMAT, "global");
        REFUSES("\x80\x02NN\x93.", RESECT_FORMAT, "global");
        REFUSES("\x80\x02I1x\n.", RESECT_FORMAT, "no number");
        REFUSES("\x80\x02"
                "F1,5\n.",
                RESECT_FORMAT, "no number");
        REFUSES("\x80\x02S'a\n.", RESECT_FORMAT, "string");
        REFUSES("\x80\x02S'\\x1'\n.", RESECT_FORMAT, "string");
        REFUSES("\x80\x02V\\u12\n.", RESECT_FORMAT, "string");
        REFUSES("\x80\x02\xff.", RESECT_FORMAT, "no such opcode");
        REFUSES("\x80\x06N.", RESECT_UNSUPPORTED, "protocol 6");
        REFUSES("\x80\x02}.x", RESECT_FORMAT, "follow the pickle");
        REFUSES("\x80\x02"
                "ccollections\nOrderedDict\n(](NetR.",
                RESECT_FORMAT, "no pair");
        refuses(&rs_format_paddle, "\x80\x02].", 4, RESECT_FORMAT, "not a dictionary");
        struct made two = {0};
        put_str(&two, "\x80\x02}(");
        for (int i = 0; i < 2; i++) {
                put_text(&two, "w");
                put_array(&two, 2, 2, "f4");
        }
        put_str(&two, "u.");
        refuses_made(&rs_format_detectron, two, RESECT_FORMAT, "two tensors are called 'w'");
        struct made short_one = {0};
        put_str(&short_one, "\x80\x02");
        put_array(&short_one, 3, 3, "f4");
        put_str(&short_one, ".");
        refuses_made(&rs_format_detectron, short_one, RESECT_FORMAT,
                "24 bytes of data for a shape that takes 36");
}
END_TEST

/* The values of protocols 0 and 1, as Python reads them. */
START_TEST(old_spellings)
{
        static const struct {
                const char *pickle;
                rs_py_kind kind;
                int64_t i;
                const char *s;
        } cases[] = {
                {"I01\n.", RS_PY_BOOL, 1, NULL},
                {"I-7\n.", RS_PY_INT, -7, NULL},
                {"L9223372036854775807L\n.", RS_PY_INT, INT64_MAX, NULL},
                {"L-9223372036854775808L\n.", RS_PY_INT, INT64_MIN, NULL},
                {"L9223372036854775808L\n.", RS_PY_BIG, 0, "9223372036854775808"},
                {"S'a\\'\\\\\\n\\x41\\101\\q'\n.", RS_PY_BYTES, 0, "a'\\\nAA\\q"},
                {"S\"it's\"\n.", RS_PY_BYTES, 0, "it's"},
                {"V\\u00e9\\\\\xe9\\U0001f600\n.", RS_PY_TEXT, 0,
                        "\xc3\xa9\\\\\xc3\xa9\xf0\x9f\x98\x80"},
                {"\x8a\x01\xff.", RS_PY_INT, -1, NULL},
                {"\x8a\x02\xff\x7f.", RS_PY_INT, 32767, NULL},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                rs_arena a = {0};
                rs_pickle p;
                rs_span s = {(const unsigned char *)cases[i].pickle, strlen(cases[i].pickle)};
                CK_OK(rs_pickle_read(&p, s, &a, &err), err);
                ck_assert_int_eq(p.root->kind, cases[i].kind);
                if (cases[i].s)
                        ck_assert_msg(p.root->s.size == strlen(cases[i].s) &&
                                              !memcmp(p.root->s.data, cases[i].s, p.root->s.size),
                                "%zu: %.*s", i, (int)p.root->s.size, (const char *)p.root->s.data);
                else if (cases[i].kind == RS_PY_INT)
                        ck_assert_int_eq(p.root->i, cases[i].i);
                else
                        ck_assert(p.root->truth);
                rs_arena_free(&a);
        }
}
END_TEST

/* Reads it in less time than anything quadratic or exponential would take. */
static void
quickly(struct made m, bool accepted, const char *words)
{
        clock_t start = clock();
        rs_checkpoint *c = read_bytes(&rs_format_detectron, m.data, m.n);
        ck_assert_msg(!!c == accepted, "%s", err.msg);
        if (words && c) {
                bool said = false;
                for (size_t i = 0; i < c->n_skipped; i++)
                        said |= strstr(c->skipped[i].why, words) != NULL;
                ck_assert_msg(said, "nothing was skipped as '%s'", words);
        } else if (words)
                ck_assert_msg(strstr(err.msg, words), "%s", err.msg);
        rs_checkpoint_free(c);
        ck_assert_msg((double)(clock() - start) / CLOCKS_PER_SEC < 20, "it took too long");
        free(m.data);
}

START_TEST(bombs)
{
        struct made m = {0};
        put_str(&m, "\x80\x02"); /* each dictionary has the one before it twice: 2^60 ways down */
        put_str(&m, "}");
        for (int i = 0; i < 60; i++) {
                put_str(&m, "q\x01"
                            "0}(U\x01"
                            "ah\x01U\x01"
                            "bh\x01u");
        }
        put_str(&m, ".");
        quickly(m, true, "the same object");

        m = (struct made){0};
        put_str(&m, "\x80\x02"); /* 10^5 tuples, each in the next */
        put_str(&m, ")");
        for (int i = 0; i < 100000; i++)
                put_str(&m, "\x85");
        put_str(&m, ".");
        quickly(m, true, "too deeply");

        m = (struct made){0};
        put_str(&m, "\x80\x02N"); /* 10^6 marks, and back */
        for (int i = 0; i < 1000000; i++)
                put_str(&m, "(");
        for (int i = 0; i < 1000000; i++)
                put_str(&m, "1");
        put_str(&m, ".");
        quickly(m, true, NULL);

        m = (struct made){0};
        put_str(&m, "\x80\x02}q\x01U\x01"
                    "ah\x01sU\x01"
                    "b]q\x02h\x02"
                    "as."); /* they contain themselves */
        quickly(m, true, "the same object");

        m = (struct made){0};
        put_str(&m, "\x80\x02"); /* 25 MB of marks would be 200 MB of places */
        for (int i = 0; i < 25000000; i++)
                put_str(&m, "(");
        quickly(m, false, "more objects than");

        m = (struct made){0};
        put_str(&m, "\x80\x02(X"); /* a long key, named again and again below itself */
        put_le(&m, 900, 4);
        for (int i = 0; i < 900; i++)
                put_str(&m, "k");
        put_str(&m, "q\x01"
                    "0}q\x02(");
        for (int i = 0; i < 300000; i++) {
                put_str(&m, "M");
                put_le(&m, (uint64_t)i & 0xffff, 2);
                put_str(&m, "K\x01");
        }
        put_str(&m, "u0}h\x01h\x02s1}h\x01h\x02s.");
        quickly(m, false, "more names than");
}
END_TEST

/* The same six floats seen from many tensors: the file is not worth that many bytes. */
START_TEST(views_do_not_multiply)
{
        struct made big = {0}, m = {0};
        const size_t n = 1 << 20;
        put_str(&m, "\x80\x02}(");
        struct lie l = {.declared = (int64_t)n, .rank = 1, .dims = {(int64_t)n}, .strides = {1}};
        for (int i = 0; i < 100; i++) {
                char name[16];
                snprintf(name, sizeof name, "w%d", i);
                put_text(&m, name);
                put_tensor(&m, "0", &l);
        }
        put_str(&m, "u.");
        put_stream_start(&big);
        put(&big, m.data, m.n);
        put_str(&big, "\x80\x02](");
        put_text(&big, "0");
        put_str(&big, "e.");
        put_le(&big, n, 8);
        for (size_t i = 0; i < n; i++)
                put(&big, "\0\0\0\0", 4);
        rs_checkpoint *c = read_bytes(&rs_format_torch, big.data, big.n);
        ck_assert_msg(
                !c && err.code == RESECT_UNSUPPORTED && strstr(err.msg, "which the file has not"),
                "%s", err.msg);
        free(big.data);
        free(m.data);
}
END_TEST

static size_t
small_files(struct made files[4])
{
        static const struct lie plain;
        files[0] = make_stream(&plain);
        files[1] = make_zip(&plain);
        files[2] = make_arrays(2);
        files[3] = make_arrays(3);
        return 4;
}

static const rs_format *const small_formats[] = {
        &rs_format_torch, &rs_format_torch, &rs_format_detectron, &rs_format_paddle};

/* Cut anywhere, and with any byte another one: no prefix is a file, and nothing breaks. */
START_TEST(every_prefix_and_byte)
{
        struct made files[4];
        size_t n = small_files(files);
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < files[i].n; k++) {
                        unsigned char *cut = malloc(
                                k ? k : 1); /* of its own, so that the sanitizer sees its end */
                        memcpy(cut, files[i].data, k);
                        rs_checkpoint *c = read_bytes(small_formats[i], cut, k);
                        ck_assert_msg(
                                !c, "%zu of %zu bytes of file %zu were accepted", k, files[i].n, i);
                        ck_assert(err.code == RESECT_FORMAT || err.code == RESECT_UNSUPPORTED);
                        LLVMFuzzerTestOneInput(cut, k);
                        free(cut);
                }
                for (size_t k = 0; k < files[i].n; k++)
                        for (int bit = 0; bit < 9; bit++) {
                                unsigned char old = files[i].data[k];
                                files[i].data[k] ^= (unsigned char)(bit < 8 ? 1 << bit : 0xff);
                                LLVMFuzzerTestOneInput(files[i].data, files[i].n);
                                files[i].data[k] = old;
                        }
                free(files[i].data);
        }
}
END_TEST

static long countdown;

static void *
failing_malloc(size_t n)
{
        return countdown-- == 0 ? NULL : malloc(n);
}

static void *
failing_realloc(void *p, size_t n)
{
        return countdown-- == 0 ? NULL : realloc(p, n);
}

/* Reads a file, asks for all bytes and writes them in each format. */
static bool
read_and_write(const rs_format *f, const struct made *m)
{
        static const rs_format *const out[] = {
                &rs_format_torch, &rs_format_paddle, &rs_format_detectron};
        rs_checkpoint *c = read_bytes(f, m->data, m->n);
        bool ok = c != NULL;
        for (size_t i = 0; ok && i < 3; i++) {
                rs_writing w = {
                        .path = "/dev/null", .entries = c->entries, .n_entries = c->n_entries};
                w.out = rs_output_open(w.path, &err);
                ok = w.out && out[i]->write(&w, &err);
                rs_output_abandon(w.out);
        }
        rs_checkpoint_free(c);
        return ok;
}

START_TEST(no_memory)
{
        struct made files[5];
        static const struct lie turned = {.rank = 2, .dims = {3, 2}, .strides = {1, 3}};
        size_t n = small_files(files);
        files[n++] = make_zip(&turned);
        struct rs_hooks old = rs_hooks;
        for (size_t i = 0; i < n; i++) {
                bool done = false;
                for (long k = 0; !done; k++) {
                        ck_assert_int_lt(k, 1000);
                        countdown = k;
                        rs_hooks.malloc = failing_malloc;
                        rs_hooks.realloc = failing_realloc;
                        done = read_and_write(
                                i < 4 ? small_formats[i] : &rs_format_torch, &files[i]);
                        bool reached = countdown < 0;
                        rs_hooks = old;
                        ck_assert_msg(done || (reached && err.code == RESECT_NOMEM),
                                "file %zu, allocation %ld: %s", i, k, err.msg);
                        ck_assert(!done || !reached);
                }
                free(files[i].data);
        }
}
END_TEST

/* What we write we read, with every type that both know. */
START_TEST(round_trip)
{
        static const int32_t types[] = {RESECT_FLOAT, RESECT_FLOAT16, RESECT_BFLOAT16,
                RESECT_DOUBLE, RESECT_INT64, RESECT_INT32, RESECT_INT16, RESECT_INT8, RESECT_UINT8,
                RESECT_BOOL, RESECT_COMPLEX64, RESECT_COMPLEX128, RESECT_UINT16, RESECT_UINT32,
                RESECT_UINT64};
        static unsigned char bytes[96] = {1, 0, 1};
        static const int64_t dims[] = {1, 2, 3};
        static const rs_format *const formats[] = {
                &rs_format_torch, &rs_format_paddle, &rs_format_detectron};
        char path[] = "/tmp/resect-pickle-XXXXXX";
        int fd = mkstemp(path);
        ck_assert_int_ge(fd, 0);
        close(fd);
        int written = 0;
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
                for (size_t f = 0; f < 3; f++) {
                        rs_entry e = {.name = "a.b", .dtype = types[t], .rank = 3, .dims = dims};
                        ck_assert(rs_tensor_extent(types[t], 3, dims, &e.count, &e.bytes, &err));
                        e.data = (rs_span){bytes, e.bytes};
                        rs_writing w = {.path = path, .entries = &e, .n_entries = 1};
                        w.out = rs_output_open(path, &err);
                        ck_assert_ptr_nonnull(w.out);
                        if (!formats[f]->write(&w, &err)) {
                                ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
                                rs_output_abandon(w.out);
                                continue;
                        }
                        written++;
                        CK_OK(rs_output_close(w.out, &err), err);
                        rs_checkpoint *c = rs_checkpoint_read(path, formats[f], 0, &err);
                        ck_assert_msg(c, "%s", err.msg);
                        rs_arena scratch = {0};
                        rs_span s;
                        const rs_entry *got = rs_checkpoint_find(c, "a.b");
                        ck_assert_ptr_nonnull(got);
                        /* Paddle's uint16 is bfloat16 */
                        bool paddled = f == 1 && types[t] == RESECT_UINT16;
                        ck_assert_int_eq(got->dtype, paddled ? RESECT_BFLOAT16 : types[t]);
                        ck_assert(got->rank == 3 && got->bytes == e.bytes &&
                                  !memcmp(got->dims, dims, sizeof dims));
                        CK_OK(rs_entry_bytes(got, &scratch, &s, &err), err);
                        ck_assert(!memcmp(s.data, bytes, e.bytes));
                        rs_arena_free(&scratch);
                        rs_checkpoint_free(c);
                }
        ck_assert_int_eq(written, 12 + 15 + 14);
        unlink(path);
}
END_TEST

UNIT_MAIN("weights_pickle", sound, lies, nothing_is_run, damage, old_spellings, bombs,
        views_do_not_multiply, every_prefix_and_byte, no_memory, round_trip)
