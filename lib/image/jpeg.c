/* SPDX-License-Identifier: 0BSD */
/*
 * JPEG by libjpeg. The library's own habit is to warn about damage on stderr, fill the rest with
 * grey and report success; here a warning about the pixels is an error. The slow integer DCT and
 * smooth chroma are asked for, as PIL has them, and no DCT scaling is used: a large picture decodes
 * slower, but is what every other tool sees.
 */
#include "image/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>

struct reader {
        struct jpeg_decompress_struct jpeg; /* first: libjpeg hands back a pointer to it */
        struct jpeg_error_mgr errors;
        struct jpeg_progress_mgr progress;
        jmp_buf jump;
        rs_picture picture;
        unsigned char *row; /* of CMYK */
        int damage;         /* code of the first warning about the pixels, 0 none */
        char why[JMSG_LENGTH_MAX];
        resect_error *err;
};

static void
fail(j_common_ptr jpeg)
{
        struct reader *r = (struct reader *)jpeg;
        int code = r->errors.msg_code;
        char why[JMSG_LENGTH_MAX];
        r->errors.format_message(jpeg, why);
        if (code == JERR_OUT_OF_MEMORY)
                rs_fail_nomem(r->err);
        else
                rs_fail(r->err,
                        code == JERR_SOF_UNSUPPORTED || code == JERR_BAD_PRECISION ||
                                        code == JERR_CONVERSION_NOTIMPL ||
                                        code == JERR_ARITH_NOTIMPL
                                ? RESECT_UNSUPPORTED
                                : RESECT_FORMAT,
                        "JPEG: %s", why);
        longjmp(r->jump, 1);
}

/* Warnings have level -1. Some are about the wrapping and not the pixels; a few stray bytes before
   the end marker are what many cameras write. */
static void
note(j_common_ptr jpeg, int level)
{
        struct reader *r = (struct reader *)jpeg;
        int code = r->errors.msg_code;
        if (level >= 0 || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM || r->damage)
                return;
        if (code == JWRN_EXTRANEOUS_DATA && r->errors.msg_parm.i[0] <= 8 &&
                r->errors.msg_parm.i[1] == JPEG_EOI)
                return;
        r->damage = code;
        r->errors.format_message(jpeg, r->why);
}

static void
ignore(j_common_ptr jpeg)
{
        (void)jpeg;
}

/* A legal file may have 80,000 scans, each a pass over the whole picture ("Two issues with the JPEG
 * standard", 2016). */
static void
count_scans(j_common_ptr jpeg)
{
        struct reader *r = (struct reader *)jpeg;
        if (r->jpeg.input_scan_number <= RS_PICTURE_SCANS)
                return;
        rs_fail(r->err, RESECT_UNSUPPORTED, "JPEG: over %d scans", RS_PICTURE_SCANS);
        longjmp(r->jump, 1);
}

static int
orientation(const struct jpeg_decompress_struct *jpeg)
{
        for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
                if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 &&
                        memcmp(m->data, "Exif\0\0", 6) == 0)
                        return rs_exif_orientation(m->data + 6, m->data_length - 6);
        return 1;
}

/* Adobe's programs store 255 for no ink; without their marker 0 is no ink. */
static void
ink_to_light(const unsigned char *ink, unsigned char *rgb, size_t width, bool inverted)
{
        for (size_t x = 0; x < width; x++, ink += 4, rgb += 3) {
                unsigned k = inverted ? ink[3] : 255u - ink[3];
                for (int c = 0; c < 3; c++) {
                        unsigned v = (inverted ? ink[c] : 255u - ink[c]) * k + 128;
                        rgb[c] = (unsigned char)((v + (v >> 8)) >> 8); /* v / 255, rounded */
                }
        }
}

static bool
start(struct reader *r, rs_span bytes)
{
        struct jpeg_decompress_struct *j = &r->jpeg;
        jpeg_mem_src(j, bytes.data, bytes.size);
        jpeg_save_markers(j, JPEG_APP0 + 1, 0xffff);
        jpeg_read_header(j, TRUE);
        if (!rs_picture_check_size(j->image_width, j->image_height, r->err))
                return false;
        /* A block takes two bits or more in a baseline file, one in a progressive one, and an MCU
           is at most 1024 pixels; nothing is allocated for a size that the bytes cannot hold. */
        if ((uint64_t)j->image_width * j->image_height / 8192 > bytes.size)
                return rs_fail(r->err, RESECT_FORMAT, "JPEG: %zu bytes cannot hold %ux%u pixels",
                        bytes.size, j->image_width, j->image_height);
        bool ink = j->jpeg_color_space == JCS_CMYK || j->jpeg_color_space == JCS_YCCK;
        if (!ink && j->num_components != 1 && j->num_components != 3)
                return rs_fail(
                        r->err, RESECT_UNSUPPORTED, "JPEG: %d components", j->num_components);
        j->out_color_space = ink ? JCS_CMYK : j->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
        j->dct_method = JDCT_ISLOW;
        j->do_fancy_upsampling = TRUE;
        return true;
}

static bool
decode(struct reader *r, rs_span bytes)
{
        struct jpeg_decompress_struct *j = &r->jpeg;
        if (setjmp(r->jump))
                return false;
        if (!start(r, bytes))
                return false;
        bool ink = j->out_color_space == JCS_CMYK;
        jpeg_start_decompress(j);
        if (!rs_picture_make(&r->picture, (int)j->output_width, (int)j->output_height,
                    ink ? 3 : j->output_components, r->err))
                return false;
        if (ink && !(r->row = rs_alloc(j->output_width, 4, r->err)))
                return false;
        size_t stride = j->output_width * (size_t)r->picture.channels;
        while (j->output_scanline < j->output_height) {
                unsigned char *to = r->picture.pixels + j->output_scanline * stride;
                JSAMPROW row = ink ? r->row : to;
                jpeg_read_scanlines(j, &row, 1);
                if (ink)
                        ink_to_light(r->row, to, j->output_width, j->saw_Adobe_marker);
                if (r->damage)
                        break;
        }
        int turn = orientation(j); /* the end drops the markers */
        if (!r->damage)
                jpeg_finish_decompress(j);
        if (r->damage)
                return rs_fail(r->err, RESECT_FORMAT, "JPEG: %s",
                        r->damage == JWRN_JPEG_EOF || r->damage == JWRN_HIT_MARKER
                                ? "cut short or damaged"
                                : r->why);
        return rs_picture_orient(&r->picture, turn, r->err);
}

bool
rs_jpeg_decode(rs_picture *out, rs_span bytes, resect_error *err)
{
        struct reader r = {.err = err};
        *out = (rs_picture){0};
        r.jpeg.err = jpeg_std_error(&r.errors);
        r.errors.error_exit = fail;
        r.errors.emit_message = note;
        r.errors.output_message = ignore;
        if (setjmp(r.jump)) {
                jpeg_destroy_decompress(&r.jpeg);
                return false;
        }
        jpeg_create_decompress(&r.jpeg);
        r.progress.progress_monitor = count_scans;
        r.jpeg.progress = &r.progress;
        bool ok = decode(&r, bytes);
        jpeg_destroy_decompress(&r.jpeg);
        rs_free(r.row);
        if (!ok)
                rs_picture_free(&r.picture);
        *out = r.picture;
        return ok;
}
