/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns_file.c - a line that says what it is, and the text. A file that is there and cannot be read is an
 * error: without what it says a value could pass that a rule hides.
 */
#include "cdc/engine/columns_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/file.h"
#include "cdc/engine/state_file.h"

#define KIND "columns"
#define MAGIC "pgcdc columns 1\n"
#define END "end\n"

enum { READ_BYTES = 64 * 1024 };

static const struct columns_file *file_of(const struct sink_memory *memory) {
    return (const struct columns_file *) (const void *) memory;
}

static bool read_bytes(const char *path, struct buffer *text, struct error *err) {
    char bytes[READ_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno == ENOENT ? true : error_errno(err, "%s", path);
    for (size_t size = 0; (size = fread(bytes, 1, sizeof bytes, file)) > 0;)
        buffer_append(text, bytes, size);
    const bool good = ferror(file) == 0 || error_errno(err, "%s", path);
    fclose(file);
    return good && (buffer_ok(text) || error_no_memory(err));
}

static bool columns_read(const struct sink_memory *memory, struct buffer *text, struct error *err) {
    const struct columns_file *of = file_of(memory);
    const struct state_file file = state_file_of(of->directory, of->pipeline, of->sink, KIND);
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = text->bytes_max};
    const size_t frame = strlen(MAGIC) + strlen(END);
    if (!read_bytes(file.path, &bytes, err))
        return false;
    if (bytes.size == 0)
        return true;
    if (bytes.size < frame || memcmp(bytes.data, MAGIC, strlen(MAGIC)) != 0 ||
        memcmp(bytes.data + bytes.size - strlen(END), END, strlen(END)) != 0) {
        error_set(err, ERROR_CONFIG, "%s is not whole, or of another version of pgcdc", file.path);
        return error_remedy(err,
                            "put the file back, or remove it if no column of a rule has got another name "
                            "since the pipeline ran last");
    }
    buffer_append(text, bytes.data + strlen(MAGIC), bytes.size - frame);
    return buffer_ok(text) || error_no_memory(err);
}

static bool columns_write(const struct sink_memory *memory, struct slice text, struct error *err) {
    const struct columns_file *of = file_of(memory);
    const struct state_file file = state_file_of(of->directory, of->pipeline, of->sink, KIND);
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = text.size + sizeof MAGIC + sizeof END};
    buffer_append_text(&bytes, MAGIC);
    buffer_append_slice(&bytes, text);
    buffer_append_text(&bytes, END);
    if (!buffer_ok(&bytes))
        return error_no_memory(err);
    return state_file_write(&file, buffer_slice(&bytes), true, err) && state_file_place(&file, err) &&
           directory_sync(of->directory, err);
}

struct columns_file columns_file_of(const char *directory, const char *pipeline, const char *sink) {
    return (struct columns_file){.memory = {.read = columns_read, .write = columns_write},
                                 .directory = directory,
                                 .pipeline = pipeline,
                                 .sink = sink};
}

bool columns_file_remove(const char *directory, const char *pipeline, const char *sink, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, sink, KIND);
    return state_file_remove(&file, err);
}
