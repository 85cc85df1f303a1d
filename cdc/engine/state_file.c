/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_file.c - after a kill at any line either the old or the new file is there, and it is complete.
 */
#include "cdc/engine/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/file.h"

enum { LINE_BYTES_MAX = ERROR_TEXT_MAX + 64 }; /* an error's text is the longest */

struct state_file state_file_of(const char *directory, const char *pipeline, const char *part,
                                const char *kind) {
    struct state_file file;
    snprintf(file.path, sizeof file.path, "%s/%s%s%s.%s", directory, pipeline, part != NULL ? "." : "",
             part != NULL ? part : "", kind);
    snprintf(file.temporary, sizeof file.temporary, "%s/%s%s%s.%s.new", directory, pipeline,
             part != NULL ? "." : "", part != NULL ? part : "", kind);
    return file;
}

void state_file_read(const struct state_file *file, const char *magic,
                     void (*take)(const char *line, void *context), void *context) {
    char line[LINE_BYTES_MAX];
    FILE *stream = fopen(file->path, "re");
    if (stream == NULL)
        return;
    if (fgets(line, sizeof line, stream) != NULL && strcmp(line, magic) == 0)
        while (fgets(line, sizeof line, stream) != NULL)
            take(line, context);
    fclose(stream);
}

/*
 * Writes a new file each time: after a failed fsync the kernel may mark the lost pages clean, so a retry on
 * the same file would prove nothing.
 */
bool state_file_write(const struct state_file *file, struct slice bytes, bool synced, struct error *err) {
    const char *path = file->temporary;
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return error_errno(err, "%s", path);
    bool good = file_write(fd, bytes) && (!synced || fsync(fd) == 0);
    if (!good)
        error_errno(err, "%s", path);
    if (close(fd) != 0 && good)
        good = error_errno(err, "%s", path);
    if (!good)
        unlink(path);
    return good;
}

bool state_file_place(const struct state_file *file, struct error *err) {
    return rename(file->temporary, file->path) == 0 ? true : error_errno(err, "%s", file->path);
}

bool state_file_unlink(const char *path, struct error *err) {
    return unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR ? true : error_errno(err, "%s", path);
}

bool state_file_remove(const struct state_file *file, struct error *err) {
    return state_file_unlink(file->temporary, err) && state_file_unlink(file->path, err);
}
