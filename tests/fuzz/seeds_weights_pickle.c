/* SPDX-License-Identifier: 0BSD */
/* Writes small checkpoints of every kind into a folder, for the fuzzer to begin with. */
#include "../unit/pickles.h"

static const char *folder;
static int number;

static void
save(struct made m, const char *before)
{
        char path[512];
        snprintf(path, sizeof path, "%s/%d", folder, number++);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(before, 1, strlen(before), f) != strlen(before) ||
                fwrite(m.data, 1, m.n, f) != m.n || fclose(f))
                exit(2);
        free(m.data);
}

int
main(int argc, char **argv)
{
        static const struct lie lies[] = {{0}, {.rank = 2, .dims = {3, 2}, .strides = {1, 3}},
                {.rank = 1, .dims = {2}, .strides = {2}, .offset = 1},
                {.rank = 1, .dims = {0}, .strides = {1}},
                {.type = "HalfStorage", .declared = 12, .there = 12}, {.call = "_rebuild_tensor"},
                {.rank = 1, .dims = {9}, .strides = {0}}};
        /* protocols 0 and 4, and opcodes that the others do not use */
        static const char *const others[] = {
                "(dp0\nS'a\\x41'\np1\nI1\nsVb\\u00e9\np2\nF1.5\nsS'l'\n(lp3\nL5L\nag1\nas.",
                "\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01"
                "a\x94\x8c\x01"
                "b\x8c\x01"
                "c\x93\x94)\x81\x94s.",
                "\x80\x02(cos\nsystem\nX\x01\x00\x00\x00"
                "xo0(U\x01"
                "aios\nsystem\n}X\x01\x00\x00\x00"
                "kNsb.",
                "\x80\x04\x8f(K\x01K\x02\x90(K\x03\x91\x86\x8b\x01\x00\x00\x00\x05\x86."};
        if (argc != 2)
                return 2;
        folder = argv[1];
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
                struct made m = {0};
                save(make_stream(&lies[i]), "");
                save(make_zip(&lies[i]), "");
                put_objects(&m, &lies[i]);
                save(m, "Z");
        }
        for (int protocol = 2; protocol <= 3; protocol++) {
                struct made m = make_arrays(protocol), z = {0};
                put(&z, m.data, m.n);
                save(m, "");
                save(z, "Z");
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                struct made m = {0};
                put_str(&m, others[i]); /* up to its first NUL: cut ones are seeds, too */
                save(m, "");
        }
        return 0;
}
