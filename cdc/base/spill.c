/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill.c - appends to memory, and moves memory to the file when it is full.
 */
#include "cdc/base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

void spill_init(struct spill *spill, size_t memory_bytes_max) {
    *spill = (struct spill){.memory_bytes_max = memory_bytes_max, .fd = -1};
    buffer_init(&spill->memory, SIZE_MAX / 2);
}

static void close_file(struct spill *spill) {
    if (spill->fd > 0)
        close(spill->fd);
    spill->fd = -1;
}

void spill_release(struct spill *spill) {
    buffer_release(&spill->memory);
    close_file(spill);
}

static bool spill_error(const char *what, struct error *err) {
    const bool is_full = errno == ENOSPC || errno == EDQUOT;
    error_errno(err, "%s", what);
    err->kind = is_full ? ERROR_RETRY : err->kind;
    return false;
}

static bool open_file(struct spill *spill, struct error *err) {
    char path[PATH_MAX];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/pgcdc_XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    spill->fd = mkostemp(path, O_CLOEXEC);
    return spill->fd >= 0 && unlink(path) == 0 ? true : spill_error(path, err);
}

static bool move_to_file(struct spill *spill, struct error *err) {
    if (spill->fd < 0 && !open_file(spill, err))
        return false;
    for (size_t at = 0; at < spill->memory.size;) {
        const ssize_t done = write(spill->fd, spill->memory.data + at, spill->memory.size - at);
        if (done < 0 && errno != EINTR)
            return spill_error("a temporary file", err);
        at += done > 0 ? (size_t) done : 0;
    }
    buffer_reset(&spill->memory);
    return true;
}

bool spill_append(struct spill *spill, struct slice bytes, struct error *err) {
    if (!spill_is_empty(spill) && spill->memory.size + bytes.size > spill->memory_bytes_max &&
        !move_to_file(spill, err))
        return false;
    buffer_append_slice(&spill->memory, bytes);
    return buffer_ok(&spill->memory) ? true : error_no_memory(err);
}

bool spill_empty(struct spill *spill, bool (*take)(void *context, struct slice bytes, struct error *err),
                 void *context, struct error *err) {
    char bytes[READ_BYTES];
    ssize_t size = 0;
    for (off_t at = 0; spill->fd >= 0 && (size = pread(spill->fd, bytes, sizeof bytes, at)) > 0; at += size)
        if (!take(context, (struct slice){.data = bytes, .size = (size_t) size}, err))
            return false;
    if (size < 0)
        return spill_error("a temporary file", err);
    if (!take(context, buffer_slice(&spill->memory), err))
        return false;
    buffer_reset(&spill->memory);
    close_file(spill);
    return true;
}
