/* SPDX-License-Identifier: 0BSD */
/*
 * What Keras 3 saves a whole model as: a zip of model.weights.h5, config.json, which describes the
 * model (keras_config.c), and metadata.json (keras/src/saving/saving_lib.py). The weights go the
 * way that every HDF5 file goes; names are those that stand in it.
 */
#include <string.h>
#include "io/gunzip.h"
#include "io/zip.h"
#include "weights/json.h"
#include "weights/keras_config.h"

extern const rs_format rs_format_h5;

static const char weights_name[] = "model.weights.h5", config_name[] = "config.json",
                  metadata_name[] = "metadata.json";

enum { TEXT_MAX = 16 << 20 };

static bool
member(const rs_zip_member *m, rs_checkpoint *c, size_t most, rs_span *out, resect_error *err)
{
        bool bomb = m->deflated && rs_is_bomb(m->size, m->packed.size);
        if (bomb || m->size > most || (c->max_size && m->size > c->max_size))
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %llu bytes", m->name,
                        (unsigned long long)m->size);
        return rs_zip_bytes(m, &c->arena, out, err) || rs_fail_at(err, "%s", m->name);
}

/* {"keras_version": "3.4.1", "date_saved": ...}; what is not so says nothing. */
static bool
read_metadata(rs_checkpoint *c, rs_span text, resect_error *err)
{
        rs_json j = {.p = (const char *)text.data, .end = (const char *)text.data + text.size};
        bool first = true, ok = true;
        char key[64], value[256];
        if (text.size && rs_json_eat(&j, '{'))
                while (ok && rs_json_next(&j, '}', &first)) {
                        rs_json_text(&j, key, sizeof key);
                        rs_json_eat(&j, ':');
                        if (strcmp(key, "keras_version") != 0) {
                                rs_json_skip(&j);
                                continue;
                        }
                        rs_json_text(&j, value, sizeof value);
                        ok = !value[0] || rs_checkpoint_note(c, key, value, err);
                }
        ok = ok && (!j.text.oom || rs_fail_nomem(err));
        rs_buf_free(&j.text);
        return ok;
}

static bool
skip_others(rs_checkpoint *c, const rs_zip *z, resect_error *err)
{
        for (size_t i = 0; i < z->n; i++) {
                const char *name = z->members[i].name;
                if (strcmp(name, weights_name) != 0 && strcmp(name, config_name) != 0 &&
                        strcmp(name, metadata_name) != 0 && z->members[i].size &&
                        !rs_checkpoint_skip(c, name, err, "a file of another kind"))
                        return false;
        }
        return true;
}

static bool
find_weights(rs_checkpoint *c, const rs_zip *z, rs_span *out, resect_error *err)
{
        const rs_zip_member *m = rs_zip_find(z, weights_name);
        if (!m && rs_zip_find(z, "model.weights.npz"))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "its weights are in NumPy's format (model.weights.npz), not in HDF5");
        if (!m)
                return rs_fail(err, RESECT_FORMAT, "there is no %s in it", weights_name);
        return member(m, c, SIZE_MAX, out, err);
}

/* What stands beside the weights. */
static bool
read_words(rs_checkpoint *c, const rs_zip *z, resect_error *err)
{
        const rs_zip_member *config = rs_zip_find(z, config_name),
                            *metadata = rs_zip_find(z, metadata_name);
        rs_span text;
        if (metadata &&
                (!member(metadata, c, TEXT_MAX, &text, err) || !read_metadata(c, text, err)))
                return false;
        if (config && (!member(config, c, TEXT_MAX, &text, err) || !rs_keras_config(c, text, err)))
                return false;
        return skip_others(c, z, err);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        rs_zip z;
        rs_span weights;
        if (!in)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: a folder", c->path);
        if (!rs_zip_read(&z, in->data, in->size, &c->arena, err) ||
                !find_weights(c, &z, &weights, err))
                return rs_fail_at(err, "%s", c->path);
        const rs_input inner = {.data = weights.data, .size = weights.size};
        return rs_format_h5.read(c, &inner, err) &&
               (read_words(c, &z, err) || rs_fail_at(err, "%s", c->path));
}

/* A zip that begins with one of the three files, or is called .keras. */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        static const char *const names[] = {weights_name, config_name, metadata_name};
        size_t length = strlen(path);
        if (!head || size < 30 || !rs_is_zip(head, size))
                return false;
        size_t n = head[26] | (size_t)head[27] << 8;
        for (int i = 0; i < 3; i++)
                if (n == strlen(names[i]) && n <= size - 30 && !memcmp(head + 30, names[i], n))
                        return true;
        return length > 6 && !strcmp(path + length - 6, ".keras");
}

static const char *const suffixes[] = {".keras", NULL};

const rs_format rs_format_keras_zip = {
        .name = "keras",
        .help = "Keras 3's .keras: a zip with the weights and the model's description",
        .suffixes = suffixes,
        .scheme = "keras3",
        .sniff = sniff,
        .read = read,
};
