/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_list.h - the segment files of an archive's directory.
 *
 * NUMBER-LSN.segment: the number from 1, eight digits or more, and the first LSN, sixteen hexadecimal digits.
 * Both only increase, so a position is found among the names. A segment is written as a .new file until its
 * head is on disk.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct segment_name {
    uint64_t number;
    lsn_t first_lsn;
};

struct segment_list {
    struct segment_name *names; /* by number */
    size_t count;
};

/*
 * The directory's segments. ERROR_REFUSE when one between two others is missing, ERROR_CONFIG when the
 * directory cannot be read. The caller releases the list, also after an error.
 */
MUST_CHECK bool segment_list_read(const char *directory, struct segment_list *ret_list, struct error *err);
void segment_list_release(struct segment_list *list);

/* The last segment that begins at or before lsn, or the first one; the list is not empty. */
size_t segment_list_find(const struct segment_list *list, lsn_t lsn);
/* The last segment that begins before lsn, or the first one: one that ends at lsn may have a chunk there. */
size_t segment_list_find_before(const struct segment_list *list, lsn_t lsn);

struct segment_path {
    char text[PATH_MAX];
};

struct segment_path segment_path_of(const char *directory, const struct segment_name *name);
