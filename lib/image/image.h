/* SPDX-License-Identifier: 0BSD */
/*
 * Pictures in memory: 8 bits a channel, rows without gaps, 1 channel (grey) or 3 (RGB). Decoders
 * are told apart by the first bytes, never by a file's name; a picture comes out upright (EXIF),
 * opaque (transparency is laid over white) and whole (a file that is cut short is an error, not a
 * picture that is grey below).
 */
#ifndef RS_IMAGE_IMAGE_H
#define RS_IMAGE_IMAGE_H

#include "base/mem.h"
#include "resect/data.h"

/* What is refused before a pixel is decoded. */
enum {
        RS_PICTURE_SIDE = 16384,
        RS_PICTURE_PIXELS = 64 << 20,
        RS_PICTURE_SCANS = 100,
        RS_PICTURE_FILE = 256 << 20
};

typedef struct rs_picture {
        int width, height, channels;
        unsigned char *pixels; /* [height, width, channels] */
} rs_picture;

/* A part of a picture, or of any pixels whose rows are stride bytes apart. */
typedef struct rs_view {
        const unsigned char *pixels; /* [height, width, channels] */
        int width, height, channels;
        size_t stride;
} rs_view;

/* picture.c. The pixels of a new picture are zero. A failed call leaves out empty; rs_picture_free
 * takes an empty one. */
bool rs_picture_make(
        rs_picture *out, int width, int height, int channels, resect_error *err) RESECT_MUST;
void rs_picture_free(rs_picture *p);
size_t rs_picture_bytes(const rs_picture *p);
rs_view rs_picture_view(const rs_picture *p);
rs_view rs_view_part(rs_view v, int left, int top, int width, int height);
/* Fails with ARG when a side or the pixels pass the limits above; the sizes are those that a file
 * declares. */
bool rs_picture_check_size(uint64_t width, uint64_t height, resect_error *err) RESECT_MUST;
/* Grey to RGB, or RGB to grey (ITU-R 601: 0.299 0.587 0.114, as PIL's convert("L")). */
bool rs_picture_to_channels(rs_picture *p, int channels, resect_error *err) RESECT_MUST;
/* Turns and mirrors as EXIF orientation 1 to 8 says. */
bool rs_picture_orient(rs_picture *p, int orientation, resect_error *err) RESECT_MUST;

/* decode.c: bytes or a file to a picture of 1 or 3 channels; channels 0 keeps what the file has.
   Fails with FORMAT (damaged, cut short), UNSUPPORTED (a GIF, a 12-bit JPEG, beyond the limits),
   IO, NOMEM. */
bool rs_picture_decode(rs_picture *out, rs_span bytes, int channels, resect_error *err) RESECT_MUST;
bool rs_picture_load(
        rs_picture *out, const char *path, int channels, resect_error *err) RESECT_MUST;
/* A whole regular file of at most max bytes; nothing that could block or be endless is opened. Free
 * data with rs_buf_free. */
bool rs_file_load(rs_buf *out, const char *path, size_t max, resect_error *err) RESECT_MUST;
/* The first n bytes of a regular file, or as many as it has; -1 (and errno) when it cannot be read
 * or is none. */
ssize_t rs_file_head(const char *path, unsigned char *to /* [n] */, size_t n);
/* Whether the first bytes are those of a JPEG or PNG file. */
bool rs_picture_is_known(rs_span bytes);

/* The two formats. What decode.c calls. */
bool rs_jpeg_decode(rs_picture *out, rs_span bytes, resect_error *err) RESECT_MUST;
bool rs_png_decode(rs_picture *out, rs_span bytes, resect_error *err) RESECT_MUST;
/* Appends a PNG file to out. */
bool rs_png_encode(const rs_picture *p, rs_buf *out, resect_error *err) RESECT_MUST;

/* exif.c: the orientation (1 to 8) in a TIFF block; 1 when there is none or the block makes no
 * sense. */
int rs_exif_orientation(const unsigned char *tiff, size_t size);

/* resize.c: to width x height with a triangle filter as wide as the reduction (antialiased
 * bilinear, PIL's BILINEAR to the bit). */
bool rs_picture_resize(
        rs_picture *out, rs_view from, int width, int height, resect_error *err) RESECT_MUST;
/* The part of such a picture that begins at (left, top), without making the rest. The part must lie
 * inside. */
bool rs_picture_resize_part(rs_picture *out, rs_view from, int full_width, int full_height,
        int left, int top, int width, int height, resect_error *err) RESECT_MUST;

/* prepare.c: preprocessing and augmentation. */
/* Resize and centre crop, exactly as torchvision's Resize(resize) and CenterCrop; what the crop
 * lacks is black. */
bool rs_picture_fit(
        rs_picture *out, rs_view from, const resect_input *in, resect_error *err) RESECT_MUST;
/* What is random in one training picture: a pure function of (seed, epoch, sample). */
bool rs_picture_augment(rs_picture *out, rs_view from, const resect_input *in,
        const resect_augment *how, bool shift, uint64_t seed, uint64_t epoch, uint64_t sample,
        resect_error *err) RESECT_MUST;
/* Whether it flips one that it does nothing else to. */
bool rs_picture_flips(uint64_t seed, uint64_t epoch, uint64_t sample);
/* Pixels to floats in the model's order of planes. p is in->height x in->width x in->channels. */
void rs_picture_normalise(
        const rs_picture *p, const resect_input *in, float *out /* [C, H, W] or [H, W, C] */);

#endif
