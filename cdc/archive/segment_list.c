/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_list.c - reads the directory and sorts.
 */
#include "cdc/archive/segment_list.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".segment"

enum { NUMBER_DIGITS = 8, NUMBER_DIGITS_MAX = 19, LSN_DIGITS = 16 };

struct segment_path segment_path_of(const char *directory, const struct segment_name *name) {
    struct segment_path path;
    snprintf(path.text, sizeof path.text, "%s/%0*" PRIu64 "-%0*" PRIX64 SUFFIX, directory, NUMBER_DIGITS,
             name->number, LSN_DIGITS, name->first_lsn);
    return path;
}

static bool parse_name(const char *text, struct segment_name *ret_name) {
    const size_t digits = strspn(text, "0123456789");
    const char *lsn = text + digits + 1;
    if (digits < NUMBER_DIGITS || digits > NUMBER_DIGITS_MAX || text[digits] != '-' ||
        strspn(lsn, "0123456789ABCDEF") != LSN_DIGITS || strcmp(lsn + LSN_DIGITS, SUFFIX) != 0)
        return false;
    *ret_name =
        (struct segment_name){.number = strtoull(text, NULL, 10), .first_lsn = strtoull(lsn, NULL, 16)};
    return ret_name->number != 0;
}

static int compare_names(const void *a, const void *b) {
    const struct segment_name *left = a;
    const struct segment_name *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

static bool append_name(struct segment_list *list, size_t *capacity, const struct segment_name *name) {
    if (list->count == *capacity) {
        const size_t larger = *capacity == 0 ? 64 : *capacity * 2;
        struct segment_name *names = realloc(list->names, larger * sizeof *names);
        if (names == NULL)
            return false;
        list->names = names;
        *capacity = larger;
    }
    list->names[list->count++] = *name;
    return true;
}

static bool read_names(DIR *stream, struct segment_list *list, struct error *err) {
    size_t capacity = 0;
    struct segment_name name;
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream))
        if (parse_name(entry->d_name, &name) && !append_name(list, &capacity, &name))
            return error_no_memory(err);
    return true;
}

static bool check_order(const char *directory, const struct segment_list *list, struct error *err) {
    for (size_t i = 1; i < list->count; i++) {
        const struct segment_name *before = &list->names[i - 1];
        const struct segment_name *name = &list->names[i];
        if (name->number != before->number + 1)
            return error_set(err, ERROR_REFUSE,
                             "archive %s: segment %" PRIu64 " is missing: there are %" PRIu64 " and %" PRIu64,
                             directory, before->number + 1, before->number, name->number) ||
                   error_remedy(err, "restore the file from a copy");
        if (name->first_lsn < before->first_lsn)
            return error_set(err, ERROR_REFUSE,
                             "archive %s: segment number %" PRIu64
                             " has a smaller LSN than segment number %" PRIu64,
                             directory, name->number, before->number) ||
                   error_remedy(err, "restore the files from a copy");
    }
    return true;
}

bool segment_list_read(const char *directory, struct segment_list *ret_list, struct error *err) {
    *ret_list = (struct segment_list){0};
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return error_set(err, ERROR_CONFIG, "archive %s: %s", directory, strerror(errno)) ||
               error_remedy(err, "name a directory that pgcdc can read");
    const bool is_read = read_names(stream, ret_list, err);
    closedir(stream);
    if (!is_read)
        return false;
    if (ret_list->count > 0)
        qsort(ret_list->names, ret_list->count, sizeof *ret_list->names, compare_names);
    return check_order(directory, ret_list, err);
}

void segment_list_release(struct segment_list *list) {
    free(list->names);
    *list = (struct segment_list){0};
}

size_t segment_list_find(const struct segment_list *list, lsn_t lsn) {
    size_t found = 0;
    for (size_t i = 1; i < list->count && list->names[i].first_lsn <= lsn; i++)
        found = i;
    return found;
}

size_t segment_list_find_before(const struct segment_list *list, lsn_t lsn) {
    return segment_list_find(list, lsn > 0 ? lsn - 1 : 0);
}
