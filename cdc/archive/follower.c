/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower.c - a line of text, written beside and renamed.
 */
#include "cdc/archive/follower.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".follower"

enum { LINE_MAX_BYTES = 64, MICROSECONDS = 1000000, NANOSECONDS = 1000 };

struct follower_path {
    char text[PATH_MAX];
};

static struct follower_path follower_path_of(const char *directory, const char *name, const char *more) {
    struct follower_path path;
    snprintf(path.text, sizeof path.text, "%s/%s" SUFFIX "%s", directory, name, more);
    return path;
}

bool follower_write(const char *directory, const char *name, lsn_t lsn, struct error *err) {
    const struct follower_path path = follower_path_of(directory, name, "");
    const struct follower_path new = follower_path_of(directory, name, ".new");
    char line[LINE_MAX_BYTES];
    const int size = snprintf(line, sizeof line, "%s\n", lsn_format(lsn).text);
    const int fd = open(new.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return error_errno(err, "%s", new.text);
    bool is_written = write(fd, line, (size_t) size) == size || error_errno(err, "%s", new.text);
    close(fd);
    if (is_written && rename(new.text, path.text) != 0)
        is_written = error_errno(err, "%s", path.text);
    return is_written;
}

bool follower_remove(const char *directory, const char *name, struct error *err) {
    const struct follower_path path = follower_path_of(directory, name, "");
    return unlink(path.text) == 0 || errno == ENOENT || error_errno(err, "%s", path.text);
}

/* ---- all of them ---- */

/* 0: it cannot be read. */
static lsn_t read_lsn(const char *path, int64_t *ret_written_us) {
    char line[LINE_MAX_BYTES];
    lsn_t lsn = 0;
    struct stat file;
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return 0;
    if (fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (!lsn_parse(line, &lsn))
            lsn = 0;
    }
    if (fstat(fileno(stream), &file) == 0)
        *ret_written_us = (int64_t) file.st_mtim.tv_sec * MICROSECONDS + file.st_mtim.tv_nsec / NANOSECONDS;
    fclose(stream);
    return lsn;
}

static bool take_file(const char *directory, const char *file, struct follower_list *list,
                      struct error *err) {
    const size_t length = strlen(file);
    const size_t suffix = strlen(SUFFIX);
    if (length <= suffix || strcmp(file + length - suffix, SUFFIX) != 0 ||
        length - suffix >= sizeof list->followers->name)
        return true;
    struct follower *followers = reallocarray(list->followers, list->count + 1, sizeof *followers);
    if (followers == NULL)
        return error_no_memory(err);
    list->followers = followers;
    struct follower *follower = &followers[list->count++];
    *follower = (struct follower){0};
    memcpy(follower->name, file, length - suffix);
    const struct follower_path path = follower_path_of(directory, follower->name, "");
    follower->lsn = read_lsn(path.text, &follower->written_us);
    return true;
}

bool follower_list_read(const char *directory, struct follower_list *ret_list, struct error *err) {
    *ret_list = (struct follower_list){0};
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return error_errno(err, "archive %s", directory);
    bool is_read = true;
    for (const struct dirent *entry = readdir(stream); entry != NULL && is_read; entry = readdir(stream))
        is_read = take_file(directory, entry->d_name, ret_list, err);
    closedir(stream);
    return is_read;
}

void follower_list_release(struct follower_list *list) {
    free(list->followers);
    *list = (struct follower_list){0};
}

lsn_t follower_list_first(const struct follower_list *list) {
    lsn_t first_lsn = UINT64_MAX;
    for (size_t i = 0; i < list->count; i++)
        if (list->followers[i].lsn < first_lsn)
            first_lsn = list->followers[i].lsn;
    return first_lsn;
}
