/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_tally.h - what a source transaction has done so far, table by table, for the transaction topic.
 *
 * The sink starts it at each Begin; a format adds what it encodes, as it counts: protobuf one for each change
 * of a table, debezium-json one for each event, of which a changed key makes two. Relations belong to the
 * session, which is longer than any transaction; there are no more of them than it can hold.
 */
#pragma once

#include "cdc/base/error.h"
#include "decoder/change.h"
#include "proto/transaction_record.h"

struct transaction_tally {
    struct transaction transaction; /* a copy: the change's own goes with its batch */
    bool is_begun;                  /* something of it is published */
    uint64_t change_count;          /* I, U, D and T, whatever they became; counted by the sink */
    uint64_t event_count;           /* what was added */
    struct table_count *tables;     /* in the order of their first additions */
    size_t table_count;
    size_t table_capacity;
    /* a hash by name, open addressing, of numbers in tables plus 1; place_count is a power of two */
    uint32_t *places;
    size_t place_count;
    size_t last; /* the table that was added to last */
};

/* Nothing has happened yet. A zeroed tally is a good one; what it holds is kept for reuse. */
void transaction_tally_start(struct transaction_tally *tally, const struct transaction *transaction);

/* Accepts a zeroed one, and zeroes it. */
void transaction_tally_release(struct transaction_tally *tally);

/* One more of the table; how many it has now. */
MUST_CHECK bool transaction_tally_add(struct transaction_tally *tally, const struct relation *relation,
                                      uint64_t *ret_count, struct error *err);
