/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_slot.h - the reader of a pipeline's slot, before its stream starts: sessions to the source, the
 * facts, and what a new pipeline creates there. slot_reader.h is its stream.
 *
 * Its positions are LSNs of the source's WAL, and the slot is confirmed to them. A crash of the source can
 * set the slot back; then the source sends more again.
 */
#pragma once

#include "cdc/readers/slot/slot_reader.h"
#include "cdc/source/scope.h"
#include "cdc/source/uncopied.h"

struct pipeline_slot {
    struct slot_reader stream;

    /* from open to close */
    struct session source; /* until start, for queries */
    struct session replication;
    struct source_identity identity;
    struct standby standby; /* watched when the source is a standby */
    int sender_timeout_ms;
    PGresult *sent; /* scope_read_announced at the start of the stream */
    struct reader_catalog catalog;

    /* lives on */
    char warned[SCOPE_WARNING_MAX];
    struct uncopied_moment looked_at;
    bool is_ours;      /* this process created the slot, and no sink has a position yet */
    lsn_t our_lsn;     /* where that slot begins */
    bool streams_fail; /* the server cannot decode one of the transactions before its commit */
};

extern const struct reader_ops reader_pipeline_slot;

/* pipeline_slot_new.c */
extern const struct reader_creation_ops pipeline_slot_creation;

/* Does the publication send what source.tables lists? Logs a warning for a difference that can wait. */
MUST_CHECK bool pipeline_slot_check_scope(struct pipeline_slot *slot, enum scope_moment moment,
                                          struct error *err);

/* Are the row filters those of the mapping? is_new: there is no slot yet, so they are made so. */
MUST_CHECK bool pipeline_slot_check_filters(struct pipeline_slot *slot, const struct config *config,
                                            bool is_new, struct error *err);
