/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.c - heads in little-endian order, zlib's CRC-32, zstd's frames.
 */
#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* Where the fields of a head are. */
enum {
    AT_MAGIC = 0,
    AT_KIND = 4,
    AT_CODEC = 5,
    AT_FLAGS = 6,
    AT_STORED_BYTES = 8,
    AT_PLAIN_BYTES = 12,
    AT_CHECKSUM = 16,
    AT_RELATION_COUNT = 20,
    AT_FIRST_LSN = 24,
    AT_END_LSN = 32,
    AT_COMMIT_TIME = 40,
    AT_SYNCED_BYTES = 48,
    AT_RESERVED = 56,
    AT_HEAD_CHECKSUM = 60,
};

enum { FLAG_WHOLE = 1, FLAG_COPYING = 2, FLAG_PLAN = 4, FLAGS_KNOWN = 7 };

static const char MAGIC[4] = {'P', 'G', 'C', 'F'};

/* ---- heads ---- */

static void put_u32(char *bytes, size_t at, uint32_t value) {
    value = htole32(value);
    memcpy(bytes + at, &value, sizeof value);
}

static void put_u64(char *bytes, size_t at, uint64_t value) {
    value = htole64(value);
    memcpy(bytes + at, &value, sizeof value);
}

static uint32_t get_u32(const char *bytes, size_t at) {
    uint32_t value;
    memcpy(&value, bytes + at, sizeof value);
    return le32toh(value);
}

static uint64_t get_u64(const char *bytes, size_t at) {
    uint64_t value;
    memcpy(&value, bytes + at, sizeof value);
    return le64toh(value);
}

uint32_t frame_checksum(struct slice stored) {
    return (uint32_t) crc32_z(0, (const unsigned char *) stored.data, stored.size);
}

static bool kind_is_known(char kind) {
    return kind == FRAME_SEGMENT_HEAD || kind == FRAME_ENTRIES || kind == FRAME_INDEX || kind == FRAME_FOOT;
}

static bool codec_is_known(char codec) {
    return codec == FRAME_CODEC_NONE || codec == FRAME_CODEC_ZSTD;
}

enum frame_result frame_read_head(struct slice bytes, struct frame *ret_frame) {
    const char *head = bytes.data;
    if (bytes.size < FRAME_HEAD_BYTES)
        return FRAME_SHORT;
    if (memcmp(head, MAGIC, sizeof MAGIC) != 0 ||
        get_u32(head, AT_HEAD_CHECKSUM) !=
            frame_checksum((struct slice){.data = head, .size = AT_HEAD_CHECKSUM}))
        return FRAME_DAMAGED;
    if (!kind_is_known(head[AT_KIND]) || !codec_is_known(head[AT_CODEC]) ||
        (head[AT_FLAGS] & ~FLAGS_KNOWN) != 0 || head[AT_FLAGS + 1] != 0 || get_u32(head, AT_RESERVED) != 0)
        return FRAME_NEWER;
    *ret_frame = (struct frame){.kind = (enum frame_kind) head[AT_KIND],
                                .codec = (enum frame_codec) head[AT_CODEC],
                                .is_whole = (head[AT_FLAGS] & FLAG_WHOLE) != 0,
                                .is_copying = (head[AT_FLAGS] & FLAG_COPYING) != 0,
                                .has_plan = (head[AT_FLAGS] & FLAG_PLAN) != 0,
                                .stored_bytes = get_u32(head, AT_STORED_BYTES),
                                .plain_bytes = get_u32(head, AT_PLAIN_BYTES),
                                .checksum = get_u32(head, AT_CHECKSUM),
                                .relation_count = get_u32(head, AT_RELATION_COUNT),
                                .first_lsn = get_u64(head, AT_FIRST_LSN),
                                .end_lsn = get_u64(head, AT_END_LSN),
                                .commit_time_us = (int64_t) get_u64(head, AT_COMMIT_TIME),
                                .synced_bytes = get_u64(head, AT_SYNCED_BYTES)};
    return FRAME_GOOD;
}

void frame_write_head(const struct frame *frame, char bytes[FRAME_HEAD_BYTES]) {
    memset(bytes, 0, FRAME_HEAD_BYTES);
    memcpy(bytes + AT_MAGIC, MAGIC, sizeof MAGIC);
    bytes[AT_KIND] = (char) frame->kind;
    bytes[AT_CODEC] = (char) frame->codec;
    bytes[AT_FLAGS] = (char) ((frame->is_whole ? FLAG_WHOLE : 0) | (frame->is_copying ? FLAG_COPYING : 0) |
                              (frame->has_plan ? FLAG_PLAN : 0));
    put_u32(bytes, AT_STORED_BYTES, frame->stored_bytes);
    put_u32(bytes, AT_PLAIN_BYTES, frame->plain_bytes);
    put_u32(bytes, AT_CHECKSUM, frame->checksum);
    put_u32(bytes, AT_RELATION_COUNT, frame->relation_count);
    put_u64(bytes, AT_FIRST_LSN, frame->first_lsn);
    put_u64(bytes, AT_END_LSN, frame->end_lsn);
    put_u64(bytes, AT_COMMIT_TIME, (uint64_t) frame->commit_time_us);
    put_u64(bytes, AT_SYNCED_BYTES, frame->synced_bytes);
    put_u32(bytes, AT_HEAD_CHECKSUM, frame_checksum((struct slice){.data = bytes, .size = AT_HEAD_CHECKSUM}));
}

/* ---- their bytes ---- */

struct frame_packer {
    ZSTD_CCtx *context;
};

struct frame_packer *frame_packer_new(int level) {
    struct frame_packer *packer = calloc(1, sizeof *packer);
    if (packer == NULL)
        return NULL;
    packer->context = ZSTD_createCCtx();
    if (packer->context == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(packer->context, ZSTD_c_compressionLevel, level))) {
        frame_packer_free(packer);
        return NULL;
    }
    return packer;
}

void frame_packer_free(struct frame_packer *packer) {
    if (packer == NULL)
        return;
    ZSTD_freeCCtx(packer->context);
    free(packer);
}

/* Bytes that do not become fewer are stored as they are. */
bool frame_pack(struct frame_packer *packer, struct frame *frame, struct slice plain, struct buffer *file,
                struct error *err) {
    const size_t bound = ZSTD_compressBound(plain.size);
    assert(plain.size <= FRAME_PLAIN_BYTES_MAX);
    if (!buffer_reserve(file, FRAME_HEAD_BYTES + bound))
        return error_no_memory(err);
    char *head = file->data + file->size;
    char *stored = head + FRAME_HEAD_BYTES;
    size_t size = ZSTD_compress2(packer->context, stored, bound, plain.data, plain.size);
    frame->codec = FRAME_CODEC_ZSTD;
    if (ZSTD_isError(size))
        return error_set(err, ERROR_SYSTEM, "zstd: %s", ZSTD_getErrorName(size));
    if (size >= plain.size) {
        frame->codec = FRAME_CODEC_NONE;
        size = plain.size;
        if (size > 0)
            memcpy(stored, plain.data, size);
    }
    frame->plain_bytes = (uint32_t) plain.size;
    frame->stored_bytes = (uint32_t) size;
    frame->checksum = frame_checksum((struct slice){.data = stored, .size = size});
    frame_write_head(frame, head);
    file->size += FRAME_HEAD_BYTES + size;
    return true;
}

bool frame_unpack(const struct frame *frame, struct slice stored, struct buffer *plain, struct error *err) {
    static const char DAMAGED[] = "its bytes are not those that were written";
    assert(stored.size == frame->stored_bytes);
    if (frame_checksum(stored) != frame->checksum)
        return error_set(err, ERROR_PROTOCOL, "%s", DAMAGED);
    if (frame->plain_bytes > FRAME_PLAIN_BYTES_MAX)
        return error_set(err, ERROR_PROTOCOL, "it claims to hold %u bytes", frame->plain_bytes);
    buffer_reset(plain);
    if (!buffer_reserve(plain, frame->plain_bytes))
        return error_no_memory(err);
    size_t size = stored.size;
    if (frame->codec == FRAME_CODEC_ZSTD)
        size = ZSTD_decompress(plain->data, frame->plain_bytes, stored.data, stored.size);
    else if (size > 0 && size <= frame->plain_bytes)
        memcpy(plain->data, stored.data, size);
    if (ZSTD_isError(size) || size != frame->plain_bytes)
        return error_set(err, ERROR_PROTOCOL, "%s", DAMAGED);
    plain->size = size;
    return true;
}
