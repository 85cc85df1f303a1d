/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_tally.h - counts the changes of a source transaction by table, for the transaction topic.
 *
 * The sink starts it at each Begin. A format adds what it encodes: protobuf one for each change of a table,
 * debezium-json one for each event, so two for a changed key. Relations belong to the session, which
 * outlives every transaction and bounds their number.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "decoder/change.h"
#include "proto/transaction_record.h"

struct transaction_tally {
    struct transaction transaction; /* a copy, because the change's own is released with its batch */
    bool is_begun;                  /* at least one change of it is published */
    uint64_t change_count;          /* I, U, D and T, however they are encoded; counted by the sink */
    uint64_t event_count;           /* the sum of what was added */
    struct table_count *tables;     /* in the order of their first additions */
    size_t table_count;
    size_t table_capacity;
    struct map by_name; /* of struct table_count */
    size_t last;        /* the table that was added to last */
};

/* Resets the counts; keeps the memory. Accepts a zeroed tally. */
void transaction_tally_start(struct transaction_tally *tally, const struct transaction *transaction);

/* Accepts a zeroed one, and zeroes it. */
void transaction_tally_release(struct transaction_tally *tally);

/* Adds one to the table's count and returns the new count. */
MUST_CHECK bool transaction_tally_add(struct transaction_tally *tally, const struct relation *relation,
                                      uint64_t *ret_count, struct error *err);
