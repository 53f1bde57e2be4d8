/* SPDX-License-Identifier: 0BSD */
#include "train/state.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/sha256.h"
#include "io/input.h"
#include "io/output.h"

#define MAGIC "resect state 1\n"
enum { DIGEST = 32, BLOBS = 6 };

/* Numbers of the header, in order. Doubles travel as their bits. */
enum { FIGURES = 20 };

static uint64_t
bits_of(double x)
{
        uint64_t u;
        memcpy(&u, &x, sizeof u);
        return u;
}

static double
double_of(uint64_t u)
{
        double x;
        memcpy(&x, &u, sizeof x);
        return x;
}

static void
pack(const rs_progress *p, uint64_t v[FIGURES])
{
        const uint64_t all[FIGURES] = {p->epoch, p->step, p->total, bits_of(p->loss_sum), p->hits,
                p->seen, p->kept, p->best_epoch, bits_of(p->best_value), p->best.n,
                bits_of(p->best.loss), bits_of(p->best.top1), bits_of(p->best.top5),
                bits_of(p->best.balanced), bits_of(p->best.macro_f1), bits_of(p->best.ece),
                p->waited, p->stopped_early};
        memcpy(v, all, sizeof all);
}

static void
unpack(rs_progress *p, const uint64_t v[FIGURES])
{
        *p = (rs_progress){.epoch = v[0],
                .step = v[1],
                .total = v[2],
                .loss_sum = double_of(v[3]),
                .hits = v[4],
                .seen = v[5],
                .kept = v[6] != 0,
                .best_epoch = v[7],
                .best_value = double_of(v[8]),
                .best = {v[9], double_of(v[10]), double_of(v[11]), double_of(v[12]),
                        double_of(v[13]), double_of(v[14]), double_of(v[15])},
                .waited = v[16],
                .stopped_early = v[17] != 0};
}

static const char *
byte_order(void)
{
        const uint16_t one = 1;
        unsigned char first;
        memcpy(&first, &one, 1);
        return first ? "little" : "big";
}

/* Everything before the numbers, which must be equal for a run to be the same. */
static void
identity(rs_buf *b, const rs_state *s)
{
        rs_buf_printf(b, MAGIC "version %s\nbytes %s\nmodel %s\ndata %s\n%s", resect_version(),
                byte_order(), s->model, s->data, s->options);
}

static void
header(rs_buf *b, const rs_state *s)
{
        uint64_t v[FIGURES] = {0};
        identity(b, s);
        pack(s->progress, v);
        rs_buf_str(b, "progress");
        for (int i = 0; i < FIGURES; i++)
                rs_buf_printf(b, " %" PRIx64, v[i]);
        rs_buf_printf(b, "\nsizes %zx %zx %zx %zx\nchoices\n", s->parameters->count,
                s->statistics->count, s->optim->n_slots, s->optim->n_pieces);
        rs_buf_add(b, s->choices->data, s->choices->size);
        rs_buf_str(b, "\n");
}

/* The slabs in the order of the file; empty spans for what is not there. */
static void
blobs_of(const rs_state *s, rs_span out[BLOBS])
{
        size_t p = s->parameters->count * sizeof(float), t = s->statistics->count * sizeof(float);
        bool kept = s->progress->kept;
        out[0] = (rs_span){(const unsigned char *)s->parameters->values, p};
        out[1] = (rs_span){(const unsigned char *)s->statistics->values, t};
        out[2] = (rs_span){(const unsigned char *)s->optim->slots, s->optim->n_slots * p};
        out[3] = (rs_span){
                (const unsigned char *)s->optim->steps, s->optim->n_pieces * sizeof(uint64_t)};
        out[4] = (rs_span){(const unsigned char *)s->best_parameters, kept ? p : 0};
        out[5] = (rs_span){(const unsigned char *)s->best_statistics, kept ? t : 0};
}

static bool
write_file(const rs_state *s, const char *path, unsigned char digest[DIGEST], resect_error *err)
{
        rs_buf head = {0};
        rs_span spans[BLOBS + 2];
        header(&head, s);
        if (head.oom) {
                rs_buf_free(&head);
                return rs_fail_nomem(err);
        }
        spans[0] = (rs_span){head.data, head.size};
        blobs_of(s, spans + 1);
        rs_sha256 hash;
        rs_sha256_start(&hash);
        for (int i = 0; i <= BLOBS; i++)
                rs_sha256_add(&hash, spans[i].data, spans[i].size);
        rs_sha256_end(&hash, digest);
        spans[BLOBS + 1] = (rs_span){digest, DIGEST};
        rs_output *out = rs_output_open(path, err);
        bool ok = out != NULL;
        if (ok && !(ok = rs_output_put(out, spans, BLOBS + 2, err)))
                rs_output_abandon(out);
        ok = ok && rs_output_close(out, err);
        rs_buf_free(&head);
        return ok;
}

static bool
whole(const rs_input *in, const unsigned char *expected)
{
        unsigned char digest[DIGEST];
        if (in->size < sizeof MAGIC + DIGEST || memcmp(in->data, MAGIC, sizeof MAGIC - 1) != 0)
                return false;
        rs_sha256 hash;
        rs_sha256_start(&hash);
        rs_sha256_add(&hash, in->data, in->size - DIGEST);
        rs_sha256_end(&hash, digest);
        return !memcmp(digest, in->data + in->size - DIGEST, DIGEST) &&
               (!expected || !memcmp(digest, expected, DIGEST));
}

static bool
read_back(const char *path, const unsigned char digest[DIGEST], resect_error *err)
{
        rs_input *in = rs_input_open(path, UINT64_MAX, err);
        bool ok = in && whole(in, digest);
        if (in && !ok)
                rs_fail(err, RESECT_IO, "%s: what was read back is not what was written", path);
        rs_input_free(in);
        return ok;
}

static bool
move(const char *from, const char *to, resect_error *err)
{
        if (rs_hooks.rename(from, to) == 0 || errno == ENOENT)
                return true;
        return rs_fail(
                err, RESECT_IO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
}

bool
rs_state_save(const rs_state *s, const char *path, bool replace, resect_error *err)
{
        rs_arena arena = {0};
        unsigned char digest[DIGEST];
        char *fresh = rs_arena_printf(&arena, err, "%s.new", path);
        char *older = fresh ? rs_arena_printf(&arena, err, "%s.1", path) : NULL;
        bool ok = older && write_file(s, fresh, digest, err) && read_back(fresh, digest, err) &&
                  (replace || move(path, older, err)) && move(fresh, path, err);
        rs_arena_free(&arena);
        return ok;
}

/* Reading
 * ------------------------------------------------------------------------------------------ */

/* The end of the text: after the first empty line. */
static const char *
text_end(const rs_input *in)
{
        const char *p = (const char *)in->data, *end = p + in->size - DIGEST;
        for (; p + 1 < end; p++)
                if (p[0] == '\n' && p[1] == '\n')
                        return p + 2;
        return NULL;
}

/* The first line in which two texts differ, for the message. */
static bool
same_run(const rs_state *run, const char *path, const char *text, size_t length, resect_error *err)
{
        rs_buf want = {0};
        identity(&want, run);
        if (want.oom) {
                rs_buf_free(&want);
                return rs_fail_nomem(err);
        }
        const char *a = text, *b = (const char *)want.data, *stop = text + length;
        bool ok = true;
        while (*b && ok) {
                size_t n = strcspn(b, "\n");
                const char *nl = memchr(a, '\n', (size_t)(stop - a));
                size_t m = nl ? (size_t)(nl - a) : (size_t)(stop - a);
                if (n != m || memcmp(a, b, n) != 0)
                        ok = rs_fail(err, RESECT_ARG,
                                "%s belongs to another run: it has '%.*s', this run '%.*s' (name "
                                "another file, or remove this one to start anew)",
                                path, (int)(m < 120 ? m : 120), a, (int)(n < 120 ? n : 120), b);
                a += nl ? m + 1 : m;
                b += n + (b[n] == '\n');
        }
        rs_buf_free(&want);
        return ok;
}

/* What follows a word at the start of a line, or NULL. */
static const char *
after(const char *text, size_t length, const char *word)
{
        size_t w = strlen(word);
        const char *stop = text + length, *p = text;
        while (p && (size_t)(stop - p) >= w && memcmp(p, word, w) != 0) {
                p = memchr(p, '\n', (size_t)(stop - p));
                p += p != NULL;
        }
        return p && (size_t)(stop - p) >= w ? p + w : NULL;
}

/* " hex hex ..." after a word at the start of a line. */
static bool
numbers(const char *text, size_t length, const char *word, uint64_t *out, int n)
{
        const char *p = after(text, length, word);
        if (!p || p == text + length)
                return false;
        for (int i = 0; i < n; i++) {
                char *end; /* the text ends in a line break, which stops strtoull */
                if (*p != ' ')
                        return false;
                out[i] = strtoull(p + 1, &end, 16);
                if (end == p + 1)
                        return false;
                p = end;
        }
        return *p == '\n';
}

static bool
parse(rs_saved *saved, const rs_state *run, const char *path, resect_error *err)
{
        const rs_input *in = saved->input;
        const char *text = (const char *)in->data, *end = text_end(in);
        uint64_t v[FIGURES], sizes[4];
        if (!end)
                return rs_fail(err, RESECT_FORMAT, "%s: no state of a run", path);
        size_t length = (size_t)(end - text) - 1;
        if (!same_run(run, path, text, length, err))
                return false;
        if (!numbers(text, length, "progress", v, FIGURES) ||
                !numbers(text, length, "sizes", sizes, 4))
                return rs_fail(err, RESECT_FORMAT, "%s: the state's figures cannot be read", path);
        unpack(&saved->progress, v);
        saved->parameters = sizes[0];
        saved->statistics = sizes[1];
        saved->slots = sizes[2];
        saved->pieces = sizes[3];
        saved->blobs = (const unsigned char *)end;
        const char *choices = after(text, length, "choices\n");
        if (choices)
                saved->choices = (rs_span){
                        (const unsigned char *)choices, length - (size_t)(choices - text)};
        size_t weights, total, steps, copies = saved->progress.kept ? 2 : 1;
        bool fits = rs_add(saved->parameters, saved->statistics, &weights) &&
                    rs_mul(weights, copies, &total) &&
                    rs_mul(saved->parameters, saved->slots, &weights) &&
                    rs_add(total, weights, &total) && rs_mul(total, sizeof(float), &total) &&
                    rs_mul(saved->pieces, sizeof(uint64_t), &steps) && rs_add(total, steps, &total);
        if (!fits || total != in->size - DIGEST - (size_t)(end - text))
                return rs_fail(
                        err, RESECT_FORMAT, "%s: the state's sizes do not fit its length", path);
        return true;
}

bool
rs_state_find(rs_saved *saved, const rs_state *run, const char *path, char *note, resect_error *err)
{
        static const char *const endings[] = {"", ".new", ".1"};
        resect_error first = {0};
        *note = '\0';
        *saved = (rs_saved){0};
        for (int i = 0; i < 3; i++) {
                rs_arena arena = {0};
                resect_error why = {0};
                char *name = rs_arena_printf(&arena, err, "%s%s", path, endings[i]);
                if (!name)
                        return false;
                if (access(name, F_OK) == 0) {
                        saved->input = rs_input_open(name, UINT64_MAX, &why);
                        if (saved->input && !whole(saved->input, NULL))
                                rs_fail(&why, RESECT_FORMAT, "%s: damaged or no state of a run",
                                        name);
                        if (!why.code) {
                                saved->damaged = first.code != RESECT_OK;
                                if (i)
                                        snprintf(note, 256, "%.100s is %s: going on from %.100s",
                                                path, first.code ? "damaged" : "missing", name);
                                bool ok = parse(saved, run, name, err);
                                if (!ok)
                                        rs_saved_free(saved);
                                rs_arena_free(&arena);
                                return ok;
                        }
                        rs_saved_free(saved);
                        if (!first.code)
                                first = why;
                }
                rs_arena_free(&arena);
        }
        if (!first.code)
                return true;
        if (err)
                *err = first;
        return false;
}

bool
rs_state_load(const rs_saved *saved, rs_state *run, resect_error *err)
{
        if (saved->parameters != run->parameters->count ||
                saved->statistics != run->statistics->count ||
                saved->slots != run->optim->n_slots || saved->pieces != run->optim->n_pieces)
                return rs_fail(err, RESECT_FORMAT,
                        "the saved state has %zu parameters, the run %zu", saved->parameters,
                        run->parameters->count);
        *run->progress = saved->progress;
        void *const to[BLOBS] = {run->parameters->values, run->statistics->values,
                run->optim->slots, run->optim->steps, run->best_parameters, run->best_statistics};
        rs_span spans[BLOBS];
        blobs_of(run, spans);
        const unsigned char *from = saved->blobs;
        for (int i = 0; i < BLOBS; i++) {
                if (spans[i].size)
                        memcpy(to[i], from, spans[i].size);
                from += spans[i].size;
        }
        return true;
}

void
rs_saved_free(rs_saved *saved)
{
        rs_input_free(saved->input);
        saved->input = NULL;
}
