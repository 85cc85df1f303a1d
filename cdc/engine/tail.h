/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.h - changes as lines of JSON: those of the pipeline's publication from now on, or those of an archive.
 *
 * A publication is read through a temporary slot of its own, which the server drops with the session: the
 * pipeline is not touched, and nothing remains. Changes made while no tail runs are not seen.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "sinks/sink.h"

/* Which changes are printed; zeroed: all. */
struct tail_filter {
    const char *const *tables; /* schema.table */
    size_t table_count;
    const char *key;       /* "COLUMN=VALUE": the old or the new row has it; NULL: all rows */
    lsn_t transaction_lsn; /* of this transaction: its commit_lsn or its end; 0: of all */
};

struct tail_options {
    /* The rest for an archive only: config->source.archive. */
    lsn_t from_lsn;  /* after it; 0: from the beginning */
    lsn_t until_lsn; /* 0: the end of the archive at the start */
    bool follows;    /* goes on with what is written later, without an end */
    struct tail_filter filter;
    const struct sink_config *sink; /* changes as this sink gets them by its mapping; NULL: the source's */
};

/*
 * Writes to output_fd until *stop becomes true, the output is closed or the end is reached; all are
 * success. The reader of the output may pause for any time: the server still gets its answers, and memory
 * does not grow.
 */
MUST_CHECK bool tail_run(const struct config *config, const struct tail_options *options, int output_fd,
                         const atomic_bool *stop, struct error *err);
