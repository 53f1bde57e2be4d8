/* SPDX-License-Identifier: 0BSD */
/*
 * Checkpoints as files. Without arguments: the real ones in $RESECT_REAL against their table
 * (tensors.tsv: file, tensor, dtype, shape, digest), for every file whose format is known here.
 * With arguments, for the tests in tests/peers: test_weights_files list FILE             name,
 * dtype, shape and digest of each tensor test_weights_files pack FORMAT IN OUT    the same tensors
 * in another format
 */
#include "unit.h"

#include <string.h>
#include "base/sha256.h"
#include "weights/weights.h"

static void
digest_of(const rs_entry *e, char hex[65])
{
        resect_error err = {0};
        rs_arena scratch = {0};
        rs_sha256 s;
        rs_span bytes;
        unsigned char digest[32];
        if (!rs_entry_bytes(e, &scratch, &bytes, &err)) {
                fprintf(stderr, "%s: %s\n", e->name, err.msg);
                exit(1);
        }
        rs_sha256_start(&s);
        rs_sha256_add(&s, bytes.data, bytes.size);
        rs_sha256_end(&s, digest);
        rs_sha256_hex(digest, hex);
        rs_arena_free(&scratch);
}

/* One line as in tensors.tsv, without the file. */
static void
describe(const rs_entry *e, char *line, size_t size)
{
        char hex[65];
        digest_of(e, hex);
        int n = snprintf(
                line, size, "%s\t%s\t", e->name, resect_dtype_name((resect_dtype)e->dtype));
        for (int i = 0; i < e->rank; i++)
                n += snprintf(
                        line + n, size - (size_t)n, "%s%lld", i ? "x" : "", (long long)e->dims[i]);
        snprintf(line + n, size - (size_t)n, "\t%.16s", hex);
}

static int
list(const char *path)
{
        resect_error err = {0};
        char line[4096];
        rs_checkpoint *c = rs_checkpoint_read(path, NULL, 0, &err);
        if (!c) {
                fprintf(stderr, "%s\n", err.msg);
                return 1;
        }
        for (size_t i = 0; i < c->n_entries; i++) {
                describe(&c->entries[i], line, sizeof line);
                printf("%s\n", line);
        }
        for (size_t i = 0; i < c->n_skipped; i++)
                fprintf(stderr, "skipped\t%s\t%s\n", c->skipped[i].name, c->skipped[i].why);
        for (size_t i = 0; i < c->n_meta; i++)
                fprintf(stderr, "note\t%s\t%s\n", c->meta[i].key, c->meta[i].value);
        rs_checkpoint_free(c);
        return 0;
}

static int
pack(const char *format, const char *in, const char *out)
{
        resect_error err = {0};
        const rs_format *f = rs_format_find(format);
        rs_checkpoint *c = f ? rs_checkpoint_read(in, NULL, 0, &err) : NULL;
        bool ok =
                c && rs_format_write(f,
                             &(rs_writing){
                                     .path = out, .entries = c->entries, .n_entries = c->n_entries},
                             &err);
        if (!ok)
                fprintf(stderr, "%s\n", f ? err.msg : "no such format");
        rs_checkpoint_free(c);
        return !ok;
}

/* The table's lines of one file, which must be in it in the file's own order. */
static void
check_file(const char *folder, const char *file, const char *table)
{
        resect_error err = {0};
        char path[4096], line[4096], want[5000];
        size_t lines = 0;
        snprintf(path, sizeof path, "%s/%s", folder, file);
        rs_checkpoint *c = rs_checkpoint_read(path, NULL, 0, &err);
        ck_assert_msg(c, "%s", err.msg);
        for (const char *p = table; (p = strstr(p, file)); p++)
                lines += (p == table || p[-1] == '\n') && p[strlen(file)] == '\t';
        ck_assert_uint_eq(lines, c->n_entries);
        for (size_t i = 0; i < c->n_entries; i++) {
                describe(&c->entries[i], line, sizeof line);
                snprintf(want, sizeof want, "\n%s\t%s\n", file, line);
                ck_assert_msg(strstr(table, want), "not in the table: %s", want);
        }
        printf("%s: %zu tensors of %s\n", file, lines, c->format->name);
        rs_checkpoint_free(c);
}

static char *
read_table(const char *folder)
{
        char path[4096];
        snprintf(path, sizeof path, "%s/tensors.tsv", folder);
        FILE *f = fopen(path, "rb");
        char *text = f ? calloc(1, 1 << 22) : NULL;
        if (text && fread(text, 1, (1 << 22) - 1, f) == 0)
                text[0] = '\0';
        if (f)
                fclose(f);
        return text;
}

static char folder[4096], *table;

START_TEST(real_files)
{
        /* those of formats that come later are taken as they come */
        static const char *const files[] = {"resnet20-12fca82f.th", "resnet56-4bfd9763.th",
                "resnet2b-model_best.pth", "resnet20.pdparams"};
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
                check_file(folder, files[i], table);
}
END_TEST

START_TEST(a_cut_tar)
{
        resect_error err = {0};
        char path[4200];
        snprintf(path, sizeof path, "%s/truncated-tar-resnet18-5c106cde.pth", folder);
        ck_assert_ptr_null(rs_checkpoint_read(path, NULL, 0, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.msg, "a tar"));
}
END_TEST

static int
real_main(void)
{
        Suite *s = suite_create("weights_files");
        TCase *t = tcase_create("all");
        tcase_set_timeout(t, 300);
        tcase_add_test(t, real_files);
        tcase_add_test(t, a_cut_tar);
        suite_add_tcase(s, t);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
        const char *real = getenv("RESECT_REAL");
        if (argc == 3 && !strcmp(argv[1], "list"))
                return list(argv[2]);
        if (argc == 5 && !strcmp(argv[1], "pack"))
                return pack(argv[2], argv[3], argv[4]);
        if (argc > 1) {
                fprintf(stderr, "usage: %s [list FILE | pack FORMAT IN OUT]\n", argv[0]);
                return 2;
        }
        snprintf(folder, sizeof folder, "%s/checkpoints", real ? real : "");
        table = real ? read_table(folder) : NULL;
        if (!table) {
                printf("SKIPPED: no checkpoints/tensors.tsv in $RESECT_REAL\n");
                return 77;
        }
        int status = real_main();
        free(table);
        return status;
}
