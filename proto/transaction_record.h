/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_record.h - where a transaction begins, is split and ends: the bytes of change.proto's
 * Transaction, written in one pass as in record.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/change.h"

/* The numbers of change.proto. */
enum transaction_status { TRANSACTION_BEGIN = 1, TRANSACTION_SPLIT = 2, TRANSACTION_END = 3 };

struct table_count {
    const struct relation *relation;
    uint64_t change_count;
};

struct transaction_record {
    enum transaction_status status;
    const struct transaction *transaction;
    uint64_t change_count; /* 0 at the beginning */
    const struct table_count *tables;
    size_t table_count; /* 0 except at the end */
};

/* Appends the bytes of the TransactionKey, the same for all records of a transaction. */
MUST_CHECK bool transaction_record_write_key(const struct transaction_record *record, struct buffer *buffer,
                                             struct error *err);

/* Appends the record. ERROR_DATA when a table's name is not UTF-8 or the buffer has no room. */
MUST_CHECK bool transaction_record_write(const struct transaction_record *record, struct buffer *buffer,
                                         struct error *err);
