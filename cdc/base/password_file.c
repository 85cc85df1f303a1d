/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_file.c - reads without stdio, which would keep a copy of the password in memory that is not wiped.
 */
#include "cdc/base/password_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool password_file_refuse(const char *path, const char *why, struct error *err) {
    return error_set(err, ERROR_CONFIG, "password_file %s: %s", path, why);
}

/* Reads up to the end of the line or the file, or until the room is full; -1: errno holds the reason. */
static ssize_t read_some(int fd, char *text, size_t room) {
    size_t size = 0;
    while (size < room && memchr(text, '\n', size) == NULL) {
        ssize_t got = read(fd, text + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t) got;
    }
    return (ssize_t) size;
}

static bool take_line(const char *path, const char *text, size_t size,
                      char ret_password[PASSWORD_BYTES_MAX + 1], struct error *err) {
    size_t length = 0;
    while (length < size && text[length] != '\n')
        length++;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (length == 0)
        return password_file_refuse(path, size == 0 ? "it is empty" : "its first line is empty", err);
    if (length > PASSWORD_BYTES_MAX)
        return password_file_refuse(path, "its first line is too long for a password", err);
    if (memchr(text, '\0', length) != NULL)
        return password_file_refuse(path, "its first line is no text", err);
    memcpy(ret_password, text, length);
    ret_password[length] = '\0';
    return true;
}

bool password_file_read(const char *path, char ret_password[PASSWORD_BYTES_MAX + 1], struct error *err) {
    char text[PASSWORD_BYTES_MAX + 1]; /* one byte more than fits, to detect a line that is too long */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return password_file_refuse(path, strerror(errno), err);
    ssize_t size = read_some(fd, text, sizeof text);
    bool taken = size < 0 ? password_file_refuse(path, strerror(errno), err)
                          : take_line(path, text, (size_t) size, ret_password, err);
    close(fd);
    explicit_bzero(text, sizeof text);
    return taken;
}
