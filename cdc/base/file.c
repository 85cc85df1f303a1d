/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - writes are repeated after a signal.
 */
#include "cdc/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool file_write(int fd, struct slice bytes) {
    while (bytes.size > 0) {
        const ssize_t written = write(fd, bytes.data, bytes.size);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            bytes.data += written;
            bytes.size -= (size_t) written;
        }
    }
    return true;
}

bool directory_sync(const char *path, struct error *err) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", path);
    const bool is_synced = fsync(fd) == 0 || error_errno(err, "%s", path);
    close(fd);
    return is_synced;
}
