/* SPDX-License-Identifier: 0BSD */
/* A file to a picture: read it whole, tell by its first bytes what it is, and hand it to its
 * decoder. */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pictures that people have and that are not read, so that the message can say what the file is. */
static const struct magic {
        const char *name, *bytes;
        size_t at, size;
} others[] = {
        {"GIF", "GIF8", 0, 4},
        {"WebP", "WEBP", 8, 4},
        {"TIFF", "II*\0", 0, 4},
        {"TIFF", "MM\0*", 0, 4},
        {"HEIF or AVIF", "ftyp", 4, 4},
        {"JPEG XL", "\0\0\0\x0cJXL ", 0, 8},
        {"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8},
        {"BMP", "BM", 0, 2},
};

static bool
begins(rs_span s, size_t at, const char *bytes, size_t n)
{
        return s.size >= at + n && memcmp(s.data + at, bytes, n) == 0;
}

static bool
is_jpeg(rs_span s)
{
        return begins(s, 0, "\xff\xd8\xff", 3);
}

static bool
is_png(rs_span s)
{
        return begins(s, 0, "\x89PNG\r\n\x1a\n", 8);
}

bool
rs_picture_is_known(rs_span bytes)
{
        return is_jpeg(bytes) || is_png(bytes);
}

bool
rs_picture_decode(rs_picture *out, rs_span bytes, int channels, resect_error *err)
{
        *out = (rs_picture){0};
        bool ok;
        if (is_jpeg(bytes))
                ok = rs_jpeg_decode(out, bytes, err);
        else if (is_png(bytes))
                ok = rs_png_decode(out, bytes, err);
        else if (bytes.size == 0)
                return rs_fail(err, RESECT_FORMAT, "an empty file");
        else {
                for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                        if (begins(bytes, others[i].at, others[i].bytes, others[i].size))
                                return rs_fail(err, RESECT_UNSUPPORTED,
                                        "a %s file: only JPEG and PNG are read", others[i].name);
                return rs_fail(err, RESECT_FORMAT, "neither a JPEG nor a PNG file");
        }
        if (ok && rs_picture_to_channels(out, channels, err))
                return true;
        rs_picture_free(out);
        return false;
}

static bool
read_all(int fd, rs_buf *out, size_t size, resect_error *err)
{
        out->data = rs_alloc(size + 1, 1, err);
        if (!out->data)
                return false;
        out->cap = size + 1;
        while (out->size < size) {
                ssize_t n = rs_hooks.read(fd, out->data + out->size, size - out->size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return rs_fail(err, RESECT_IO, "%s", strerror(errno));
                if (n == 0) /* it shrank since fstat */
                        break;
                out->size += (size_t)n;
        }
        return true;
}

bool
rs_file_load(rs_buf *out, const char *path, size_t max, resect_error *err)
{
        *out = (rs_buf){0};
        /* O_NONBLOCK: opening a FIFO must not wait for a writer */
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return rs_fail(err, RESECT_IO, "%s", strerror(errno));
        struct stat st;
        bool ok = fstat(fd, &st) == 0;
        if (!ok)
                rs_fail(err, RESECT_IO, "%s", strerror(errno));
        else if (!S_ISREG(st.st_mode))
                ok = rs_fail(err, RESECT_IO, "%s",
                        S_ISDIR(st.st_mode) ? "is a directory" : "not a regular file");
        else if ((uintmax_t)st.st_size > max)
                ok = rs_fail(err, RESECT_UNSUPPORTED, "%lld bytes: over the limit of %zu MiB",
                        (long long)st.st_size, max >> 20);
        else
                ok = read_all(fd, out, (size_t)st.st_size, err);
        close(fd);
        if (!ok)
                rs_buf_free(out);
        return ok;
}

ssize_t
rs_file_head(const char *path, unsigned char *to, size_t n)
{
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        struct stat st;
        ssize_t got = fstat(fd, &st);
        if (got == 0 && !S_ISREG(st.st_mode)) {
                errno = EINVAL;
                got = -1;
        }
        if (got == 0)
                got = rs_hooks.read(fd, to, n);
        int saved = errno;
        close(fd);
        errno = saved;
        return got;
}

bool
rs_picture_load(rs_picture *out, const char *path, int channels, resect_error *err)
{
        rs_buf file;
        *out = (rs_picture){0};
        if (!rs_file_load(&file, path, RS_PICTURE_FILE, err))
                return rs_fail_at(err, "%s", path);
        bool ok = rs_picture_decode(out, (rs_span){file.data, file.size}, channels, err);
        rs_buf_free(&file);
        return ok || rs_fail_at(err, "%s", path);
}
