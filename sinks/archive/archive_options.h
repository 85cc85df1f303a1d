/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_options.h - the keys of an archive sink.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/option.h"
#include "sinks/archive/retention.h"
#include "sinks/sink.h"

struct archive_options {
    const char *path;
    int level;              /* zstd's */
    uint64_t segment_bytes; /* a segment that is larger is closed */
    int64_t segment_ms;     /* likewise one that is older */
    uint64_t bytes_max;     /* a larger archive takes no more changes; 0: no limit */
    struct retention retention;
};

extern const struct option_spec ARCHIVE_OPTIONS[];

/* ERROR_CONFIG names the key. Texts are the configuration's. */
MUST_CHECK bool archive_options_read(const struct sink_config *config, struct archive_options *ret_options,
                                     struct error *err);
