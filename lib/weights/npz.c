/* SPDX-License-Identifier: 0BSD */
/*
 * NumPy's arrays by name: .npz, a zip of .npy files (numpy.savez), and a folder of .npy files.
 * Headers are parsed when the checkpoint is opened and the sizes held against what is there; values
 * are taken, and their sums verified, when asked for.
 */
#include "weights/weights.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/zip.h"
#include "tensor/dtype.h"
#include "tensor/npy.h"

/* Where an array's elements are, and how they lie there. */
struct array {
        rs_npy header;
        const rs_zip_member *member; /* NULL: a file of its own, whose elements are */
        rs_span data;
};

static bool
fetch(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct array *a = e->ctx;
        rs_span bytes = a->data;
        if (a->member) {
                if (!rs_zip_bytes(a->member, scratch, &bytes, err))
                        return false;
                bytes.data += a->header.start;
                bytes.size -= a->header.start;
        }
        return rs_npy_little(&a->header, bytes.data, scratch, out, err);
}

/* An array whose first bytes are head and which takes size bytes with its header. */
static bool
take_array(rs_checkpoint *c, const char *name, const unsigned char *head, size_t head_size,
        uint64_t size, struct array *a, resect_error *err)
{
        if (!rs_npy_parse(&a->header, head, head_size, err))
                return false;
        if (size - a->header.start != a->header.bytes)
                return rs_fail(err, RESECT_FORMAT, "%llu bytes of data for a shape that takes %zu",
                        (unsigned long long)(size - a->header.start), a->header.bytes);
        return rs_checkpoint_add_lazy(
                c, name, a->header.dtype, a->header.rank, a->header.dims, fetch, a, err);
}

/* Arrays of text or of Python objects are not taken, and said to be so; whatever else is wrong is
 * an error. */
static bool
skip_or_fail(rs_checkpoint *c, const char *name, resect_error *err)
{
        if (err && err->code == RESECT_UNSUPPORTED) {
                char why[RESECT_ERROR_MAX];
                snprintf(why, sizeof why, "%s", err->msg);
                *err = (resect_error){0};
                return rs_checkpoint_skip(c, name, err, "%s", why);
        }
        return rs_fail_at(err, "%s: %s", c->path, name);
}

static const char suffix[] = ".npy";
enum { SUFFIX = sizeof suffix - 1 };

/* A name without its suffix; NULL when it has not got it. */
static char *
stem_of(rs_arena *a, const char *name, bool *has, resect_error *err)
{
        size_t n = strlen(name);
        *has = n > SUFFIX && !strcmp(name + n - SUFFIX, suffix);
        return *has ? rs_arena_strndup(a, name, n - SUFFIX, err) : NULL;
}

static bool
take_member(rs_checkpoint *c, const rs_zip_member *m, resect_error *err)
{
        unsigned char head[RS_NPY_PREFIX_MAX];
        size_t got;
        bool has;
        char *name = stem_of(&c->arena, m->name, &has, err);
        if (!has)
                return rs_checkpoint_skip(c, m->name, err, "no .npy file");
        struct array *a = name ? RS_NEW(&c->arena, 1, struct array, err) : NULL;
        if (!a)
                return false;
        a->member = m;
        if (!rs_zip_peek(m, head, sizeof head, &got, err))
                return rs_fail_at(err, "%s", c->path);
        return take_array(c, name, head, got, m->size, a, err) || skip_or_fail(c, name, err);
}

static bool
read_npz(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_zip z;
        if (!rs_zip_read(&z, in->data, in->size, &c->arena, err))
                return rs_fail_at(err, "%s", c->path);
        for (size_t i = 0; i < z.n; i++)
                if (!take_member(c, &z.members[i], err))
                        return false;
        return true;
}

static bool
sniff_npz(const unsigned char *head, size_t size, const char *path)
{
        (void)path;
        if (!head || size < 30 || !rs_is_zip(head, size))
                return false;
        size_t name = head[26] | (size_t)head[27] << 8;
        return name >= SUFFIX && name <= size - 30 &&
               !memcmp(head + 30 + name - SUFFIX, suffix, SUFFIX);
}

static bool
npy_header(const rs_entry *e, char header[RS_NPY_WRITTEN_MAX], size_t *size, resect_error *err)
{
        *size = rs_npy_header(header, e->dtype, e->rank, e->dims);
        return *size || rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: NumPy has no type for %s (--dtype float32 makes it one)",
                                e->name, resect_dtype_name((resect_dtype)e->dtype));
}

/* Before the first byte is written. */
static bool
can_write(const rs_writing *w, resect_error *err)
{
        char header[RS_NPY_WRITTEN_MAX];
        size_t size;
        for (size_t i = 0; i < w->n_entries; i++)
                if (!npy_header(&w->entries[i], header, &size, err))
                        return false;
        return true;
}

static bool
put_member(rs_zip_writer *z, const rs_entry *e, rs_arena *scratch, resect_error *err)
{
        char header[RS_NPY_WRITTEN_MAX];
        size_t size;
        rs_span spans[2];
        char *name = rs_arena_printf(scratch, err, "%s%s", e->name, suffix);
        if (!name || !npy_header(e, header, &size, err) ||
                !rs_entry_bytes(e, scratch, &spans[1], err))
                return false;
        spans[0] = (rs_span){(const unsigned char *)header, size};
        return rs_zip_put(z, name, spans, 2, err);
}

static bool
write_npz(const rs_writing *w, resect_error *err)
{
        rs_zip_writer z = {.out = w->out};
        bool ok = can_write(w, err);
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                rs_arena scratch = {0};
                ok = put_member(&z, &w->entries[i], &scratch, err);
                rs_arena_free(&scratch);
        }
        ok = ok && rs_zip_end(&z, err);
        rs_zip_writer_free(&z);
        return ok;
}

static const char *const npz_suffixes[] = {".npz", NULL};

const rs_format rs_format_npz = {
        .name = "npz",
        .help = "NumPy's arrays in a zip, as numpy.savez writes and numpy.load reads",
        .suffixes = npz_suffixes,
        .sniff = sniff_npz,
        .read = read_npz,
        .write = write_npz,
};

/* A folder
 * ----------------------------------------------------------------------------------------------------------------
 */

static int
hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A tensor's name as a file's: '/' and '%' and a first '.' become %2F, %25, %2E. */
static void
put_file_name(rs_buf *b, const char *name)
{
        for (const char *s = name; *s; s++)
                if (*s == '/' || *s == '%' || (*s == '.' && s == name))
                        rs_buf_printf(b, "%%%02X", (unsigned)*s);
                else
                        rs_buf_add(b, s, 1);
        rs_buf_str(b, suffix);
}

static void
undo_escapes(char *name)
{
        char *to = name;
        for (const char *s = name; *s; s++) {
                int high = *s == '%' ? hex(s[1]) : -1, low = high >= 0 ? hex(s[2]) : -1;
                bool escaped = low >= 0 && (high || low);
                *to++ = escaped ? (char)(high << 4 | low) : *s;
                s += escaped ? 2 : 0;
        }
        *to = '\0';
}

static bool
take_file(rs_checkpoint *c, const char *file, resect_error *err)
{
        bool has;
        char *name = stem_of(&c->arena, file, &has, err);
        if (!has)
                return rs_checkpoint_skip(c, file, err, "no .npy file");
        struct array *a = name ? RS_NEW(&c->arena, 1, struct array, err) : NULL;
        const rs_input *in = a ? rs_checkpoint_beneath(c, c->path, file, err) : NULL;
        if (!in)
                return a && rs_fail_at(err, "%s", c->path);
        undo_escapes(name);
        if (!take_array(c, name, in->data, in->size, in->size, a, err))
                return skip_or_fail(c, name, err);
        a->data = (rs_span){in->data + a->header.start, a->header.bytes};
        return true;
}

static int
by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The folder's files in byte order; hidden ones are left out. */
static bool
list_folder(rs_checkpoint *c, char ***names, size_t *n, resect_error *err)
{
        DIR *d = opendir(c->path);
        size_t cap = 0;
        bool ok = d || rs_fail(err, RESECT_IO, "%s: %m", c->path);
        while (ok) {
                errno = 0;
                const struct dirent *e = readdir(d);
                if (!e) { /* the end, or files that would be lost without a word */
                        ok = !errno || rs_fail(err, RESECT_IO, "%s: %m", c->path);
                        break;
                }
                if (e->d_name[0] == '.')
                        continue;
                if (*n == cap) {
                        cap = cap + cap / 2 + 64;
                        char **more = rs_grow(*names, cap, sizeof *more, err);
                        ok = more != NULL;
                        *names = ok ? more : *names;
                }
                ok = ok && ((*names)[*n] = rs_arena_strdup(&c->arena, e->d_name, err)) != NULL;
                *n += ok;
        }
        if (d)
                closedir(d);
        if (ok && *n)
                qsort(*names, *n, sizeof **names, by_name);
        return ok;
}

static bool
read_npy(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        char **names = NULL;
        size_t n = 0;
        if (in)
                return rs_fail(err, RESECT_ARG, "%s: npy is a folder of .npy files; this is a file",
                        c->path);
        bool ok = list_folder(c, &names, &n, err);
        for (size_t i = 0; ok && i < n; i++)
                ok = take_file(c, names[i], err);
        rs_free(names);
        return ok;
}

static bool
sniff_npy(const unsigned char *head, size_t size, const char *path)
{
        (void)size;
        DIR *d = head ? NULL : opendir(path);
        bool found = false;
        for (struct dirent *e; d && !found && (e = readdir(d)) != NULL;) {
                size_t n = strlen(e->d_name);
                found = n > SUFFIX && !strcmp(e->d_name + n - SUFFIX, suffix);
        }
        if (d)
                closedir(d);
        return found;
}

static bool
put_file(const char *folder, const rs_entry *e, rs_arena *scratch, resect_error *err)
{
        char header[RS_NPY_WRITTEN_MAX];
        size_t size;
        rs_span spans[2];
        rs_buf path = {0};
        rs_buf_printf(&path, "%s/", folder);
        put_file_name(&path, e->name);
        rs_output *o = NULL;
        bool ok = !path.oom || rs_fail_nomem(err);
        ok = ok && npy_header(e, header, &size, err) &&
             rs_entry_bytes(e, scratch, &spans[1], err) &&
             (o = rs_output_open((const char *)path.data, err)) != NULL;
        if (ok) {
                spans[0] = (rs_span){(const unsigned char *)header, size};
                if ((ok = rs_output_put(o, spans, 2, err)))
                        ok = rs_output_close(o, err);
                else
                        rs_output_abandon(o);
        }
        rs_buf_free(&path);
        return ok;
}

/* Removes the files that were written so far, and the folder. */
static void
give_up(const char *folder, const rs_writing *w)
{
        for (size_t i = 0; i < w->n_entries; i++) {
                rs_buf path = {0};
                rs_buf_printf(&path, "%s/", folder);
                put_file_name(&path, w->entries[i].name);
                if (!path.oom)
                        unlink((const char *)path.data);
                rs_buf_free(&path);
        }
        rmdir(folder);
}

/* All files are written into a fresh folder beside the wanted one, which takes its place at the
 * end. */
static bool
write_npy(const rs_writing *w, resect_error *err)
{
        rs_arena a = {0};
        size_t n = strlen(w->path);
        while (n > 1 && w->path[n - 1] == '/')
                n--;
        char *temp = rs_arena_printf(&a, err, "%.*s.XXXXXX", (int)n, w->path);
        bool ok = temp && can_write(w, err);
        if (ok && !mkdtemp(temp))
                ok = rs_fail(err, RESECT_IO, "%s: %m", w->path);
        else if (ok) {
                for (size_t i = 0; ok && i < w->n_entries; i++) {
                        rs_arena scratch = {0};
                        ok = put_file(temp, &w->entries[i], &scratch, err);
                        rs_arena_free(&scratch);
                }
                mode_t mask = umask(0);
                umask(mask);
                if (ok && (chmod(temp, 0777 & ~mask) != 0 || rs_hooks.rename(temp, w->path) != 0))
                        ok = rs_fail(err, RESECT_IO, "%s: %s", w->path,
                                errno == ENOTEMPTY || errno == EEXIST
                                        ? "there is a folder with something in it"
                                        : strerror(errno));
                if (!ok)
                        give_up(temp, w);
        }
        rs_arena_free(&a);
        return ok;
}

/* The folder was made by write_npy, or was empty before. */
static void
take_away_npy(const char *path)
{
        DIR *d = opendir(path);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
                size_t n = strlen(e->d_name);
                if (n > SUFFIX && !strcmp(e->d_name + n - SUFFIX, suffix))
                        unlinkat(dirfd(d), e->d_name, 0);
        }
        if (d)
                closedir(d);
        rmdir(path);
}

static const char *const npy_suffixes[] = {NULL};

const rs_format rs_format_npy = {
        .name = "npy",
        .help = "a folder of .npy files, one a tensor",
        .suffixes = npy_suffixes,
        .many = true,
        .sniff = sniff_npy,
        .read = read_npy,
        .write = write_npy,
        .remove = take_away_npy,
};
