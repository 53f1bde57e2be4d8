/* SPDX-License-Identifier: 0BSD */
/*
 * Sorted tables of keys and values, as LevelDB and TensorFlow keep them (leveldb's doc/table_format.md): blocks of entries whose
 * keys share beginnings, each with a checksum; an index of the blocks; a footer of 48 bytes.
 */
#ifndef RS_WEIGHTS_SSTABLE_H
#define RS_WEIGHTS_SSTABLE_H

#include "base/mem.h"

/* A checksum as it is stored: rotated and shifted, so that checksums of checksums stay good. */
uint32_t rs_crc32c_mask(uint32_t crc);

bool rs_is_sstable(rs_span file); /* by its last bytes */

/* Called with every pair, keys ascending. The key is good during the call only, the value as long as the file. */
typedef bool rs_sstable_visit(void *ctx, rs_span key, rs_span value, resect_error *err);
/* Checks every checksum. Refuses compressed blocks, keys out of order or of more than 64 KiB, blocks that overlap. */
bool rs_sstable_walk(rs_span file, rs_sstable_visit *visit, void *ctx, resect_error *err) RESECT_MUST;

/* Writing: {0}; rs_sstable_put with ascending keys; rs_sstable_end; the file is in out. Free with rs_sstable_free. */
typedef struct rs_sstable {
        rs_buf out, block, index, last; /* the file so far, the block that is open, the index block, the last key */
        rs_buf restarts, index_restarts;
        unsigned since; /* entries since the last whole key */
        bool broken;    /* a key that did not ascend */
} rs_sstable;

void rs_sstable_put(rs_sstable *t, rs_span key, rs_span value);
bool rs_sstable_end(rs_sstable *t, resect_error *err) RESECT_MUST;
void rs_sstable_free(rs_sstable *t);

#endif
