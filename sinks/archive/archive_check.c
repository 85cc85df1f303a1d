/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_check.c - the directory, whose archive is in it, and the room on its disk.
 */
#include "sinks/archive/archive_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cdc/archive/segment.h"
#include "sinks/archive/archive_options.h"

static void complain_directory(const struct sink_check *check, const char *path, const char *reason) {
    sink_check_add(check, SINK_PROBLEM, "archive_directory", "archive %s: %s", path, reason);
    sink_check_fix(check, "let path name a directory that pgcdc can write, or can create in its parent");
}

/* *ret_exists: what is in it can be read. present: it, or the parent in which it will be. */
static bool check_directory(const struct sink_check *check, const char *path, char present[PATH_MAX],
                            bool *ret_exists) {
    struct stat file;
    snprintf(present, PATH_MAX, "%s", path);
    *ret_exists = stat(path, &file) == 0;
    if (!*ret_exists && errno == ENOENT) {
        char *name = strrchr(present, '/');
        if (name == NULL)
            snprintf(present, PATH_MAX, ".");
        else
            name[name == present ? 1 : 0] = '\0';
    }
    const bool is_good = stat(present, &file) == 0 && (S_ISDIR(file.st_mode) || (errno = ENOTDIR, false)) &&
                         access(present, R_OK | W_OK | X_OK) == 0;
    if (!is_good)
        complain_directory(check, present, strerror(errno));
    return is_good;
}

static void check_owner(const struct sink *sink, const struct sink_check *check, const char *path,
                        const struct segment_head *head) {
    if (strcmp(head->pipeline, sink->config->pipeline) == 0 && strcmp(head->sink, sink->config->name) == 0)
        return;
    sink_check_add(check, SINK_PROBLEM, "archive_owner", "archive %s: it belongs to sink %s of pipeline %s",
                   path, head->sink, head->pipeline);
    sink_check_fix(check, "let path name another directory");
}

static void check_last(const struct sink *sink, const struct sink_check *check, const char *path) {
    struct segment_list list = {0};
    struct segment segment = {.fd = -1};
    struct error problem = {0};
    bool is_read = segment_list_read(path, &list, &problem);
    if (is_read && list.count > 0) {
        is_read = segment_open(path, &list.names[list.count - 1], true, &segment, &problem);
        if (is_read)
            check_owner(sink, check, path, &segment.head);
        segment_close(&segment);
    }
    if (!is_read) {
        sink_check_add(check, SINK_PROBLEM, "archive_damaged", "%s", problem.text);
        sink_check_fix(check, "%s", problem.remedy);
    }
    segment_list_release(&list);
}

static void check_room(const struct sink_check *check, const struct archive_options *options,
                       const char *present) {
    struct statvfs disk;
    if (statvfs(present, &disk) != 0)
        return;
    const uint64_t free_bytes = (uint64_t) disk.f_bavail * disk.f_frsize;
    if (free_bytes >= 2 * options->segment_bytes)
        return;
    sink_check_add(check, SINK_WARNING, "archive_room",
                   "archive %s: its disk has %" PRIu64 " MB left, less than two segment files", options->path,
                   free_bytes >> 20);
    sink_check_fix(check, "make room on that disk, or let keep_bytes delete old segment files");
}

bool archive_check(struct sink *sink, const struct sink_check *check, struct error *err) {
    struct archive_options options;
    char present[PATH_MAX];
    bool exists = false;
    if (!archive_options_read(sink->config, &options, err))
        return false;
    if (!check_directory(check, options.path, present, &exists))
        return true;
    if (exists)
        check_last(sink, check, options.path);
    check_room(check, &options, present);
    return true;
}
