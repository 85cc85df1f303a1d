/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.c - the checkpoint's text, and how it is written: after a kill or a power cut at any line one
 * complete file exists.
 *
 *     pgcdc checkpoint 1
 *     generation 42
 *     phase streaming
 *     system 7312345678901234567
 *     timeline 1
 *     slot shop
 *     sink warehouse 0/16B3748 0/0 0 7312345678901234567 1
 *     crc32 89abcdef
 *
 * A sink's numbers: end_lsn, commit_lsn and index of a split transaction, system identifier, timeline. Then
 * the stream, if it is not the slot's: without one the file is what a pgcdc before streams wrote, and can
 * read. To such a pgcdc a file with a stream is corrupt.
 */
#include "cdc/engine/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/base/file.h"
#include "cdc/engine/state_file.h"

#define FILE_BYTES_MAX 65536
#define MAGIC "pgcdc checkpoint "
#define VERSION "1"

static uint32_t checksum(const char *data, size_t size) {
    return (uint32_t) crc32(crc32(0, NULL, 0), (const unsigned char *) data, (unsigned) size);
}

static struct state_file file_of(const char *directory, const char *pipeline) {
    return state_file_of(directory, pipeline, NULL, "checkpoint");
}

/* The generation before. */
static struct state_file previous_of(const char *directory, const char *pipeline) {
    return state_file_of(directory, pipeline, NULL, "checkpoint.previous");
}

/* ---- text ---- */

static const char *phase_name(enum checkpoint_phase phase) {
    return phase == CHECKPOINT_COPYING ? "copying" : "streaming";
}

static void format_sink(struct buffer *text, const struct checkpoint_sink *sink) {
    assert(strpbrk(sink->stream, " \t\r\n") == NULL);
    buffer_printf(text, "sink %s %s %s %" PRIu64 " %" PRIu64 " %" PRIu32, sink->name,
                  lsn_format(sink->position.end_lsn).text, lsn_format(sink->position.commit_lsn).text,
                  sink->position.index, sink->position.system_id, sink->position.timeline);
    if (sink->stream[0] != '\0')
        buffer_printf(text, " %s", sink->stream);
    buffer_append_text(text, "\n");
}

static bool format(const struct checkpoint *checkpoint, struct buffer *text, struct error *err) {
    buffer_printf(text,
                  MAGIC VERSION "\ngeneration %" PRIu64 "\nphase %s\nsystem %" PRIu64 "\ntimeline %" PRIu32
                                "\nslot %s\n",
                  checkpoint->generation, phase_name(checkpoint->phase), checkpoint->system_id,
                  checkpoint->timeline, checkpoint->slot);
    for (size_t i = 0; i < checkpoint->sink_count; i++)
        format_sink(text, &checkpoint->sinks[i]);
    if (buffer_ok(text))
        buffer_printf(text, "crc32 %08" PRIx32 "\n", checksum(text->data, text->size));
    return buffer_ok(text) ? true : error_no_memory(err);
}

/* The rest of a sink's line: nothing, or a space and a name. */
static bool parse_stream(const char *rest, char stream[static CHECKPOINT_STREAM_MAX]) {
    const size_t size = strlen(rest);
    if (size > 0 &&
        (rest[0] != ' ' || size == 1 || size > CHECKPOINT_STREAM_MAX || strpbrk(rest + 1, " \t\r") != NULL))
        return false;
    memcpy(stream, size > 0 ? rest + 1 : "", size > 0 ? size : 1);
    return true;
}

static bool parse_sink(const char *line, struct checkpoint *checkpoint) {
    if (checkpoint->sink_count == CHECKPOINT_SINKS_MAX)
        return false;
    struct checkpoint_sink *sink = &checkpoint->sinks[checkpoint->sink_count++];
    char end[32], commit[32];
    int consumed = 0;
    int count = sscanf(line, "%63s %31s %31s %" SCNu64 " %" SCNu64 " %" SCNu32 "%n", sink->name, end, commit,
                       &sink->position.index, &sink->position.system_id, &sink->position.timeline, &consumed);
    return count == 6 && parse_stream(line + consumed, sink->stream) &&
           lsn_parse(end, &sink->position.end_lsn) && lsn_parse(commit, &sink->position.commit_lsn);
}

static bool parse_phase(const char *name, enum checkpoint_phase *ret_phase) {
    if (strcmp(name, "copying") == 0)
        *ret_phase = CHECKPOINT_COPYING;
    else if (strcmp(name, "streaming") == 0)
        *ret_phase = CHECKPOINT_STREAMING;
    else
        return false;
    return true;
}

static bool parse_line(const char *line, struct checkpoint *checkpoint) {
    char word[CHECKPOINT_NAME_MAX];
    if (strcmp(line, MAGIC VERSION) == 0)
        return true;
    if (sscanf(line, "generation %" SCNu64, &checkpoint->generation) == 1)
        return true;
    if (sscanf(line, "phase %63s", word) == 1)
        return parse_phase(word, &checkpoint->phase);
    if (sscanf(line, "system %" SCNu64, &checkpoint->system_id) == 1)
        return true;
    if (sscanf(line, "timeline %" SCNu32, &checkpoint->timeline) == 1)
        return true;
    if (sscanf(line, "slot %63s", checkpoint->slot) == 1)
        return true;
    return strncmp(line, "sink ", 5) == 0 && parse_sink(line + 5, checkpoint);
}

/* The last line must be the checksum of everything before it. Removes that line from text. */
static bool checksum_holds(char *text, size_t size) {
    static const char LAST[] = "crc32 89abcdef\n";
    if (size < sizeof LAST - 1 || strlen(text) != size)
        return false;
    char *last = text + size - (sizeof LAST - 1);
    char expected[sizeof LAST];
    snprintf(expected, sizeof expected, "crc32 %08" PRIx32 "\n", checksum(text, (size_t) (last - text)));
    bool holds = strcmp(last, expected) == 0;
    *last = '\0';
    return holds;
}

/* Where the checksum holds, nothing is damaged: a line that we do not know is a newer pgcdc's. */
static enum checkpoint_phase checkpoint_parse(char *text, size_t size, struct checkpoint *checkpoint) {
    if (strncmp(text, MAGIC, sizeof MAGIC - 1) != 0 || !checksum_holds(text, size))
        return CHECKPOINT_CORRUPT;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        if (!parse_line(line, checkpoint))
            return CHECKPOINT_NEWER;
    const bool is_whole = checkpoint->phase != CHECKPOINT_NONE && checkpoint->slot[0] != '\0';
    return is_whole ? checkpoint->phase : CHECKPOINT_CORRUPT;
}

/* ---- reading ---- */

/* Phase CHECKPOINT_NONE: no such file; CHECKPOINT_CORRUPT: the file is incomplete or damaged. */
static bool read_file(const char *path, struct checkpoint *checkpoint, struct error *err) {
    *checkpoint = (struct checkpoint){0};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT || errno == ENOTDIR ? true : error_errno(err, "%s", path);
    char *text = malloc(FILE_BYTES_MAX + 1);
    if (text == NULL) {
        fclose(file);
        return error_no_memory(err);
    }
    size_t size = fread(text, 1, FILE_BYTES_MAX, file);
    text[size] = '\0';
    bool read = ferror(file) == 0;
    fclose(file);
    enum checkpoint_phase phase = read ? checkpoint_parse(text, size, checkpoint) : CHECKPOINT_CORRUPT;
    if (phase == CHECKPOINT_CORRUPT || phase == CHECKPOINT_NEWER)
        *checkpoint = (struct checkpoint){.phase = phase};
    free(text);
    return read ? true : error_set(err, ERROR_SYSTEM, "%s cannot be read", path);
}

bool checkpoint_read(const char *directory, const char *pipeline, struct checkpoint *ret_checkpoint,
                     struct error *err) {
    const struct state_file current = file_of(directory, pipeline);
    const struct state_file previous = previous_of(directory, pipeline);
    if (!read_file(current.path, ret_checkpoint, err))
        return false;
    if (ret_checkpoint->phase != CHECKPOINT_NONE && ret_checkpoint->phase != CHECKPOINT_CORRUPT)
        return true;
    bool was_corrupt = ret_checkpoint->phase == CHECKPOINT_CORRUPT;
    if (!read_file(previous.path, ret_checkpoint, err))
        return false;
    if (ret_checkpoint->phase == CHECKPOINT_NONE && was_corrupt)
        ret_checkpoint->phase = CHECKPOINT_CORRUPT;
    return true;
}

/* ---- writing ---- */

/*
 * Between the two renames only the previous generation exists, and checkpoint_read falls back to it. The next
 * write overwrites a temporary file that a kill left.
 */
static bool put_in_place(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file current = file_of(directory, pipeline);
    const struct state_file previous = previous_of(directory, pipeline);
    if (rename(current.path, previous.path) != 0 && errno != ENOENT)
        return error_errno(err, "%s", previous.path);
    FAULT_POINT("checkpoint-renamed-previous");
    if (!state_file_place(&current, err))
        return false;
    FAULT_POINT("checkpoint-renamed");
    return directory_sync(directory, err);
}

bool checkpoint_write(const char *directory, const char *pipeline, struct checkpoint *checkpoint,
                      struct error *err) {
    assert(checkpoint->phase == CHECKPOINT_COPYING || checkpoint->phase == CHECKPOINT_STREAMING);
    const struct state_file file = file_of(directory, pipeline);
    struct buffer text AUTO(buffer_release) = {.bytes_max = FILE_BYTES_MAX};
    checkpoint->generation++;
    if (!format(checkpoint, &text, err) || !state_file_write(&file, buffer_slice(&text), true, err))
        return false;
    FAULT_POINT("checkpoint-written");
    return put_in_place(directory, pipeline, err);
}

bool checkpoint_remove(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file current = file_of(directory, pipeline);
    const struct state_file previous = previous_of(directory, pipeline);
    return state_file_remove(&current, err) && state_file_unlink(previous.path, err);
}

/* ---- asking ---- */

const struct checkpoint_sink *checkpoint_find(const struct checkpoint *checkpoint,
                                              const struct sink_config *sink) {
    for (size_t i = 0; i < checkpoint->sink_count; i++)
        if (strcmp(checkpoint->sinks[i].name, sink->name) == 0 &&
            strcmp(checkpoint->sinks[i].stream, sink_stream(sink)) == 0)
            return &checkpoint->sinks[i];
    return NULL;
}

lsn_t checkpoint_confirmed_lsn(const struct checkpoint *checkpoint) {
    lsn_t confirmed_lsn = 0;
    for (size_t i = 0; i < checkpoint->sink_count; i++) {
        lsn_t end_lsn = checkpoint->sinks[i].position.end_lsn;
        if (i == 0 || end_lsn < confirmed_lsn)
            confirmed_lsn = end_lsn;
    }
    return confirmed_lsn;
}
