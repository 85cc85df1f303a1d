/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording.c - a file in memory, taken apart.
 */
#include "tests/support/recording.h"

#include <stdio.h>
#include <stdlib.h>

bool recording_open(struct recording *recording, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = size >= 0 ? malloc((size_t) size + 1) : NULL;
    bool is_read = bytes != NULL && fread(bytes, 1, (size_t) size, file) == (size_t) size;
    fclose(file);
    if (!is_read) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(bytes);
        return false;
    }
    recording->bytes = bytes;
    recording->reader = reader_over((struct slice){.data = bytes, .size = (size_t) size});
    return true;
}

void recording_close(struct recording *recording) {
    free(recording->bytes);
    *recording = (struct recording){0};
}

bool recording_next(struct reader *reader, lsn_t *ret_lsn, struct slice *ret_message) {
    if (reader_left(reader) == 0)
        return false;
    lsn_t lsn = reader_u64(reader);
    uint32_t size = reader_u32(reader);
    if (reader->failed)
        return false;
    size_t left = reader_left(reader);
    *ret_lsn = lsn;
    *ret_message = reader_bytes(reader, size < left ? size : left);
    return true;
}
