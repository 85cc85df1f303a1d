/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_lock.c - a lock of the kernel's on archive.lock, which it releases when the process ends.
 */
#include "sinks/archive/archive_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>

bool archive_lock(const char *directory, int *ret_fd, struct error *err) {
    char path[PATH_MAX];
    *ret_fd = -1;
    if (snprintf(path, sizeof path, "%s/archive.lock", directory) >= (int) sizeof path)
        return error_set(err, ERROR_CONFIG, "archive %s: its path is too long", directory);
    *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (*ret_fd < 0) {
        const bool is_full = errno == ENOSPC || errno == EDQUOT;
        error_errno(err, "archive %s", path);
        err->kind = is_full ? ERROR_RETRY : ERROR_CONFIG;
        return error_remedy(err, is_full ? "make room on that disk; the pipeline then goes on by itself"
                                         : "let path name a directory that pgcdc can write");
    }
    if (flock(*ret_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    error_set(err, ERROR_RETRY, "archive %s: another process writes it", directory);
    return error_remedy(err, "stop that process, or let path name another directory");
}
