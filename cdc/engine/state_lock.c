/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_lock.c - flock on a file. Only `drop` removes the file, while it holds the lock.
 */
#include "cdc/engine/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/fault.h"

static void lock_path(char path[static PATH_MAX], const char *directory, const char *pipeline) {
    snprintf(path, PATH_MAX, "%s/%s.lock", directory, pipeline);
}

static pid_t read_pid(int fd) {
    char text[32] = {0};
    return pread(fd, text, sizeof text - 1, 0) > 0 ? (pid_t) strtol(text, NULL, 10) : 0;
}

/* For people and for the text of the refusal; the lock does not need it, so a full disk may make it fail. */
static void write_pid(int fd) {
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long) getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t) length, 0) < 0)
        errno = 0;
}

/* False: the file was removed between open and flock, and another engine may lock a new file of that name. */
static bool is_still_there(int fd, const char *path) {
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/* The directory cannot be used until an operator changes something; a full disk may get room by itself. */
static bool refuse_path(const char *what, const char *path, struct error *err) {
    static const int KINDS[] = {EACCES, EPERM, ENOENT, ENOTDIR, EROFS, ENAMETOOLONG, ELOOP, EISDIR};
    const int why = errno;
    error_errno(err, "%s%s", what, path);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (why == KINDS[i])
            err->kind = ERROR_CONFIG;
    return error_finding(err, "state");
}

bool state_lock_take(struct state_lock *lock, const char *directory, const char *pipeline,
                     struct error *err) {
    char path[PATH_MAX];
    lock->fd = -1;
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return refuse_path("state directory ", directory, err);
    lock_path(path, directory, pipeline);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return refuse_path("", path, err);
    FAULT_POINT("lock-opened");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            error_set(err, ERROR_RUNNING, "pipeline %s is already run by pid %ld (state directory %s)",
                      pipeline, (long) read_pid(fd), directory);
        else
            error_errno(err, "%s", path);
        close(fd);
        return false;
    }
    if (!is_still_there(fd, path)) {
        close(fd);
        return error_set(err, ERROR_RUNNING, "pipeline %s is being dropped (state directory %s)", pipeline,
                         directory);
    }
    write_pid(fd);
    lock->fd = fd;
    return true;
}

void state_lock_release(struct state_lock *lock) {
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}

pid_t state_lock_holder(const char *directory, const char *pipeline) {
    char path[PATH_MAX];
    lock_path(path, directory, pipeline);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    pid_t pid = 0;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        pid = read_pid(fd);
    close(fd);
    return pid;
}
