/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_survey.h - what an archive holds, segment by segment, and whether it is whole.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/archive/segment_end.h"
#include "cdc/base/error.h"

struct segment_survey {
    struct segment_path path;
    struct segment_head head;
    struct segment_end end;
    uint64_t file_bytes;
    uint64_t plain_bytes; /* of the entries, before compression */
    uint64_t frames;
    /* With checks only. */
    uint64_t changes;
    uint64_t rows_read; /* of copies */
    uint64_t transactions;
    /* ERROR_NONE, or why the segment cannot be read; then only path and what was read before are set */
    struct error damage;
};

/*
 * Surveys one segment. checks: reads every byte of it. True also when it is damaged; false: the survey itself
 * failed, or stop was set.
 */
MUST_CHECK bool segment_survey(const char *directory, const struct segment_list *list, size_t index,
                               bool checks, const atomic_bool *stop, struct segment_survey *ret_survey,
                               struct error *err);
