/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_read.h - the reverse of transaction_record.h: from the bytes of a Transaction.
 */
#pragma once

#include "cdc/base/arena.h"
#include "proto/transaction_record.h"

struct table_count_reading {
    struct slice schema;
    struct slice table;
    uint64_t change_count;
};

struct transaction_reading {
    enum transaction_status status;
    lsn_t commit_lsn;
    uint64_t change_count;
    const struct table_count_reading *tables;
    size_t table_count;
};

/*
 * Unpacks the record into arena. ERROR_PROTOCOL for bytes that are not a record, and for an unknown status.
 */
MUST_CHECK bool transaction_read(struct slice bytes, struct arena *arena,
                                 struct transaction_reading *ret_reading, struct error *err);
