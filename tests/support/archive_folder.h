/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_folder.h - the folder of an archive that a test has made.
 */
#pragma once

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static inline int remove_entry(const char *path, const struct stat *file, int kind, struct FTW *place) {
    (void) file;
    (void) kind;
    (void) place;
    return remove(path);
}

/* Removes it with everything in it; nothing to do when it does not exist. */
static inline void remove_archive(const char *directory) {
    if (access(directory, F_OK) == 0)
        cr_assert_eq(nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}
