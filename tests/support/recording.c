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
    recording->cursor = cursor_over((struct slice){.data = bytes, .size = (size_t) size});
    return true;
}

void recording_close(struct recording *recording) {
    free(recording->bytes);
    *recording = (struct recording){0};
}

bool recording_next(struct cursor *cursor, lsn_t *ret_lsn, struct slice *ret_message) {
    if (cursor_left(cursor) == 0)
        return false;
    lsn_t lsn = cursor_u64(cursor);
    uint32_t size = cursor_u32(cursor);
    if (cursor->failed)
        return false;
    size_t left = cursor_left(cursor);
    *ret_lsn = lsn;
    *ret_message = cursor_bytes(cursor, size < left ? size : left);
    return true;
}
