/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.h - one source, one slot, one or more sinks, from start to stop.
 *
 * There is one recovery path: after any error everything is stopped and closed, and after a pause started
 * again from the sinks' positions.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/engine/ledger.h"
#include "cdc/engine/live.h"
#include "cdc/engine/pause.h"

struct reader_ops;

/*
 * The configuration, read again while the pipeline runs. The supervisor ends the attempt in order, and the
 * next one opens the sinks with the new options; all else is as it was. Both readings outlive the pipeline.
 */
struct renewal {
    _Atomic(const struct config *) config; /* NULL: nothing is new */
};

struct pipeline_options {
    bool until_caught_up;    /* end when every sink has what the source had on disk at the start */
    lsn_t until_lsn;         /* or when every sink has everything that ends at or before this; 0: no end */
    lsn_t from_lsn;          /* of an archive: where sinks without a position begin; 0: at its beginning */
    int64_t retry_for_ms;    /* give up an error that lasts this long; 0: the default */
    bool take_over;          /* also take the slot from an engine that uses it now */
    atomic_bool *hangup;     /* becomes true: read the configuration again (cdc/control); or NULL */
    const atomic_bool *stop; /* becomes true: stop reading, flush, confirm, end */
    bool until_begun;        /* end once every sink has a position: it is copied on by the next run */
    /*
     * With a buffer, shared by its parts: positions of an idle source are handed on without delay up to this
     * one. The readers of the buffer raise it. NULL: no buffer.
     */
    atomic_ullong *wanted_lsn;
    const struct reader_ops *reader_ops; /* NULL: the configuration's reader */
    const char *new_tables_of; /* a sink whose tables were made for its copy (sink_config.has_new_tables) */
    /*
     * Where it tells other threads what it does; NULL: nowhere. With a buffer, the first of an array: one for
     * each part.
     */
    struct live *live;
    struct pause *pauses;    /* one for each sink of its configuration; NULL: it cannot be paused */
    struct renewal *renewal; /* NULL: never */
    struct config *config;   /* the configuration itself: its source.tables may be read again; NULL: never */
};

/* What a run did, over all attempts and all sinks. The caller releases it. */
struct pipeline_result {
    bool reached;       /* the requested end */
    lsn_t until_lsn;    /* that end; 0: none was requested, or the source was not reached */
    lsn_t position_lsn; /* durable in every sink and on disk; 0: none */
    uint64_t transactions;
    uint64_t changes;
    uint64_t rows_copied; /* by completed initial copies */
    int64_t duration_ms;
    bool copy_interrupted; /* the copied rows were rolled back, and the next run starts the copy again */
    /* what came in for each table and where it went, in the last attempt; one for each sink, or none */
    struct ledger *ledgers;
    size_t ledger_count;
};

void pipeline_result_release(struct pipeline_result *result);

/* Runs until stopped, the end is reached, or an error that waiting cannot cure. Logs what it does. */
MUST_CHECK bool pipeline_run(const struct config *config, const struct pipeline_options *options,
                             struct pipeline_result *ret_result, struct error *err);
