/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_drop.c - an archive is history: a drop deletes nothing of it.
 */
#include "sinks/archive/archive_drop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/segment_list.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "sinks/archive/archive_lock.h"

enum { MICROSECONDS = 1000000 };

static bool move_segment(const char *directory, const char *folder, const struct segment_name *name,
                         struct error *err) {
    const struct segment_path from = segment_path_of(directory, name);
    const struct segment_path to = segment_path_of(folder, name);
    if (rename(from.text, to.text) != 0)
        return error_errno(err, "archive %s", from.text);
    FAULT_POINT("drop-archive-moved");
    return true;
}

static bool drop_locked(const char *directory, struct error *err) {
    char folder[PATH_MAX];
    struct segment_list list = {0};
    if (snprintf(folder, sizeof folder, "%s/dropped-%" PRId64, directory, clock_unix_us() / MICROSECONDS) >=
        (int) sizeof folder)
        return error_set(err, ERROR_CONFIG, "archive %s: its path is too long", directory);
    bool is_dropped = segment_list_read(directory, &list, err);
    if (is_dropped && list.count > 0 && mkdir(folder, 0750) != 0 && errno != EEXIST)
        is_dropped = error_errno(err, "archive %s", folder);
    for (size_t i = 0; is_dropped && i < list.count; i++)
        is_dropped = move_segment(directory, folder, &list.names[i], err);
    segment_list_release(&list);
    return is_dropped;
}

bool archive_drop_segments(const char *directory, struct error *err) {
    struct stat file;
    int lock_fd = -1;
    if (stat(directory, &file) != 0 && errno == ENOENT)
        return true;
    const bool is_dropped = archive_lock(directory, &lock_fd, err) && drop_locked(directory, err);
    if (lock_fd >= 0)
        close(lock_fd);
    return is_dropped;
}
