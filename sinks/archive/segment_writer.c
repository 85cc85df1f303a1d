/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_writer.c - a new segment gets its name after its head is on disk; the one before it was closed, and
 * is on disk by then.
 *
 * After a failed sync the kernel may call pages clean that are lost. So the file is cut to what was synced
 * before the error is reported, and is written again from there.
 */
#include "sinks/archive/segment_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/fault.h"
#include "cdc/base/file.h"
#include "sinks/archive/archive_lock.h"

#define FILE_BYTES_MAX (FRAME_PLAIN_BYTES_MAX + (size_t) 64 * 1024 * 1024)
#define PLACE_BYTES ((uint64_t) 1024 * 1024) /* of the file, between two places of the index */

/* ---- errors ---- */

/* Nothing is lost by a full disk: the changes come again when there is room. */
static bool writer_errno(const char *path, struct error *err) {
    const bool is_full = errno == ENOSPC || errno == EDQUOT;
    error_errno(err, "archive %s", path);
    if (!is_full)
        return false;
    err->kind = ERROR_RETRY;
    return error_remedy(err, "make room on that disk; the pipeline then goes on by itself");
}

/* ---- files ---- */

static bool write_all(int fd, struct slice bytes, uint64_t offset) {
    while (bytes.size > 0) {
        const ssize_t written = pwrite(fd, bytes.data, bytes.size, (off_t) offset);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            offset += (uint64_t) written;
            bytes.data += written;
            bytes.size -= (size_t) written;
        }
    }
    return true;
}

/* ---- the directory ---- */

/* Its name must survive a power cut, too. */
static bool sync_parent(const char *directory, struct error *err) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s/..", directory);
    return directory_sync(parent, err);
}

static bool make_directory(const char *directory, struct error *err) {
    if (mkdir(directory, 0750) == 0)
        return sync_parent(directory, err);
    if (errno == EEXIST)
        return true;
    const bool is_full = errno == ENOSPC || errno == EDQUOT;
    if (is_full)
        return writer_errno(directory, err);
    error_errno(err, "archive %s", directory);
    err->kind = ERROR_CONFIG;
    error_option(err, "path");
    return error_remedy(err, "let path name a directory that pgcdc can write, or can create in its parent");
}

/* ---- what is there ---- */

static bool note_place(struct segment_writer *writer, uint64_t offset, const struct frame *frame,
                       struct error *err) {
    if (writer->place_count > 0 && offset - writer->places[writer->place_count - 1].offset < PLACE_BYTES)
        return true;
    if (writer->place_count == writer->place_capacity) {
        const size_t capacity = writer->place_capacity == 0 ? 256 : writer->place_capacity * 2;
        struct segment_place *places = realloc(writer->places, capacity * sizeof *places);
        if (places == NULL)
            return error_no_memory(err);
        writer->places = places;
        writer->place_capacity = capacity;
    }
    writer->places[writer->place_count++] = (struct segment_place){
        .offset = offset, .first_lsn = frame->first_lsn, .commit_time_us = writer->commit_time_us};
    return true;
}

/* What a frame leaves for those after it. */
static bool note_frame(struct segment_writer *writer, uint64_t offset, const struct frame *frame,
                       struct error *err) {
    if (writer->ends_whole && !note_place(writer, offset, frame, err))
        return false;
    writer->ends_whole = frame->is_whole;
    writer->commit_time_us = frame->commit_time_us;
    return true;
}

struct recovery {
    struct segment_writer *writer;
    struct segment *segment;
    struct entry_writer *entries;
    struct buffer plain;
};

static bool know_definition(void *context, uint32_t number, struct slice definition, struct error *err) {
    struct entry_writer *entries = context;
    return number <= entries->relation_count || entry_writer_know(entries, number, definition, err);
}

static bool recover_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct recovery *recovery = context;
    if (frame->kind != FRAME_ENTRIES)
        return true;
    if (!note_frame(recovery->writer, offset, frame, err))
        return false;
    if (frame->relation_count == recovery->entries->relation_count)
        return true;
    if (!segment_read(recovery->segment, offset, frame, &recovery->plain, err))
        return false;
    if (!entry_find_definitions(buffer_slice(&recovery->plain), know_definition, recovery->entries, err))
        return segment_refuse(recovery->segment, offset, frame->first_lsn, frame->end_lsn, err->text, err);
    return true;
}

static bool check_owner(const struct segment_writer *writer, const struct segment_head *head,
                        const struct segment *segment, struct error *err) {
    if (strcmp(segment->head.pipeline, head->pipeline) == 0 && strcmp(segment->head.sink, head->sink) == 0)
        return true;
    error_set(err, ERROR_CONFIG, "archive %s: it belongs to sink %s of pipeline %s", writer->directory,
              segment->head.sink, segment->head.pipeline);
    error_option(err, "path");
    return error_remedy(err, "let path name another directory");
}

/* Cuts off what does not count, so that everything in the file is on disk and counts. */
static bool adopt_segment(struct segment_writer *writer, const struct segment *segment,
                          const struct segment_end *end, struct error *err) {
    writer->path = segment->path;
    writer->head = segment->head;
    writer->last_number = segment->head.number;
    writer->end_lsn = end->end_lsn;
    if (end->is_closed)
        return true;
    writer->fd = open(segment->path.text, O_RDWR | O_CLOEXEC);
    if (writer->fd < 0)
        return writer_errno(segment->path.text, err);
    if ((end->extra_bytes > 0 && ftruncate(writer->fd, (off_t) end->whole_bytes) != 0) ||
        fsync(writer->fd) != 0)
        return writer_errno(segment->path.text, err);
    writer->size = writer->synced = end->whole_bytes;
    return true;
}

static bool recover_end(struct segment_writer *writer, const struct segment_name *name,
                        const struct segment_head *head, struct entry_writer *entries, struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end;
    struct recovery recovery = {.writer = writer, .segment = &segment, .entries = entries};
    buffer_init(&recovery.plain, FRAME_PLAIN_BYTES_MAX);
    writer->ends_whole = true;
    const bool is_recovered = segment_open(writer->directory, name, true, &segment, err) &&
                              check_owner(writer, head, &segment, err) &&
                              segment_find_end(&segment, recover_frame, &recovery, &end, err) &&
                              adopt_segment(writer, &segment, &end, err);
    buffer_release(&recovery.plain);
    segment_close(&segment);
    return is_recovered;
}

bool segment_writer_open(struct segment_writer *writer, const char *directory,
                         const struct segment_head *head, int level, struct entry_writer *entries,
                         struct error *err) {
    struct segment_list list = {0};
    *writer = (struct segment_writer){.directory = directory, .lock_fd = -1, .fd = -1, .ends_whole = true};
    buffer_init(&writer->file, FILE_BYTES_MAX);
    writer->packer = frame_packer_new(level);
    if (writer->packer == NULL)
        return error_no_memory(err);
    bool is_open = make_directory(directory, err) && archive_lock(directory, &writer->lock_fd, err) &&
                   segment_list_read(directory, &list, err);
    if (is_open && list.count > 0)
        is_open = recover_end(writer, &list.names[list.count - 1], head, entries, err);
    segment_list_release(&list);
    return is_open;
}

void segment_writer_close(struct segment_writer *writer) {
    if (writer->fd > 0)
        close(writer->fd);
    if (writer->lock_fd > 0)
        close(writer->lock_fd);
    frame_packer_free(writer->packer);
    buffer_release(&writer->file);
    free(writer->places);
    *writer = (struct segment_writer){.lock_fd = -1, .fd = -1};
}

/* ---- a new segment ---- */

/* The file's head is on disk; it has a name that no reader looks for. */
static bool create_file(struct segment_writer *writer, const char *path, struct error *err) {
    unlink(path);
    writer->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (writer->fd < 0)
        return writer_errno(path, err);
    if (!write_all(writer->fd, buffer_slice(&writer->file), 0) || fsync(writer->fd) != 0)
        return writer_errno(path, err);
    writer->size = writer->synced = writer->file.size;
    return true;
}

static bool pack_head(struct segment_writer *writer, struct error *err) {
    struct buffer plain AUTO(buffer_release) = {.bytes_max = FRAME_PLAIN_BYTES_MAX};
    struct frame frame = {
        .kind = FRAME_SEGMENT_HEAD, .first_lsn = writer->head.first_lsn, .end_lsn = writer->head.first_lsn};
    buffer_reset(&writer->file);
    return segment_head_write(&writer->head, &plain, err) &&
           frame_pack(writer->packer, &frame, buffer_slice(&plain), &writer->file, err);
}

bool segment_writer_begin(struct segment_writer *writer, const struct segment_head *head, struct error *err) {
    char path[PATH_MAX + sizeof ".new"];
    writer->head = *head;
    writer->head.number = writer->last_number + 1;
    writer->head.first_lsn = writer->end_lsn;
    const struct segment_name name = {.number = writer->head.number, .first_lsn = writer->head.first_lsn};
    writer->path = segment_path_of(writer->directory, &name);
    snprintf(path, sizeof path, "%s.new", writer->path.text);
    if (!pack_head(writer, err) || !create_file(writer, path, err))
        return false;
    FAULT_POINT("archive-segment-created");
    if (rename(path, writer->path.text) != 0)
        return writer_errno(writer->path.text, err);
    FAULT_POINT("archive-segment-renamed");
    if (!directory_sync(writer->directory, err))
        return false;
    writer->last_number = writer->head.number;
    writer->ends_whole = true;
    writer->commit_time_us = 0;
    writer->place_count = 0;
    return true;
}

/* ---- frames ---- */

static bool write_frame(struct segment_writer *writer, struct frame *frame, struct slice plain,
                        struct error *err) {
    frame->synced_bytes = writer->synced;
    buffer_reset(&writer->file);
    if (!frame_pack(writer->packer, frame, plain, &writer->file, err))
        return false;
    if (!write_all(writer->fd, buffer_slice(&writer->file), writer->size))
        return writer_errno(writer->path.text, err);
    writer->size += writer->file.size;
    return true;
}

bool segment_writer_append(struct segment_writer *writer, struct frame *frame, struct slice plain,
                           struct error *err) {
    const uint64_t offset = writer->size;
    frame->kind = FRAME_ENTRIES;
    if (!write_frame(writer, frame, plain, err) || !note_frame(writer, offset, frame, err))
        return false;
    if (frame->is_whole)
        writer->end_lsn = frame->end_lsn;
    FAULT_POINT("archive-frame-written");
    return true;
}

bool segment_writer_sync(struct segment_writer *writer, struct error *err) {
    if (writer->fd < 0 || writer->synced == writer->size)
        return true;
    FAULT_POINT("archive-before-sync");
    if (fdatasync(writer->fd) != 0) {
        writer_errno(writer->path.text, err);
        if (ftruncate(writer->fd, (off_t) writer->synced) != 0)
            err->kind = ERROR_SYSTEM;
        return false;
    }
    writer->synced = writer->size;
    FAULT_POINT("archive-synced");
    return true;
}

/* The foot tells where the index is. Both are nothing until both are there. */
bool segment_writer_end(struct segment_writer *writer, struct slice definitions, struct error *err) {
    struct buffer plain AUTO(buffer_release) = {.bytes_max = FRAME_PLAIN_BYTES_MAX};
    struct frame index = {.kind = FRAME_INDEX, .first_lsn = writer->end_lsn, .end_lsn = writer->end_lsn};
    struct frame foot = {.kind = FRAME_FOOT,
                         .codec = FRAME_CODEC_NONE,
                         .first_lsn = writer->end_lsn,
                         .end_lsn = writer->end_lsn,
                         .synced_bytes = writer->size};
    char bytes[FRAME_HEAD_BYTES];
    foot.checksum = frame_checksum((struct slice){.data = "", .size = 0});
    frame_write_head(&foot, bytes);
    if (!segment_index_write(writer->places, writer->place_count, definitions, &plain, err) ||
        !write_frame(writer, &index, buffer_slice(&plain), err))
        return false;
    FAULT_POINT("archive-index-written");
    if (!write_all(writer->fd, (struct slice){.data = bytes, .size = sizeof bytes}, writer->size))
        return writer_errno(writer->path.text, err);
    writer->size += sizeof bytes;
    if (!segment_writer_sync(writer, err))
        return false;
    FAULT_POINT("archive-segment-ended");
    close(writer->fd);
    writer->fd = -1;
    return true;
}
