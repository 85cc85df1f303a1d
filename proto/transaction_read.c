/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_read.c - protobuf-c unpacks into the arena.
 */
#include "proto/transaction_read.h"

#include "proto/change.pb-c.h"

static void *transaction_read_allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

/* The arena releases everything. */
static void transaction_read_release(void *arena, void *memory) {
    (void) arena, (void) memory;
}

static bool is_status(Pgcdc__V1__TransactionStatus status) {
    return (int) status == TRANSACTION_BEGIN || (int) status == TRANSACTION_SPLIT ||
           (int) status == TRANSACTION_END;
}

bool transaction_read(struct slice bytes, struct arena *arena, struct transaction_reading *ret_reading,
                      struct error *err) {
    ProtobufCAllocator allocator = {
        .alloc = transaction_read_allocate, .free = transaction_read_release, .allocator_data = arena};
    const Pgcdc__V1__Transaction *message =
        pgcdc__v1__transaction__unpack(&allocator, bytes.size, (const uint8_t *) bytes.data);
    if (message == NULL || !is_status(message->status))
        return error_set(err, ERROR_PROTOCOL, "%zu bytes are no record of a transaction", bytes.size);
    struct table_count_reading *tables = arena_alloc(arena, (message->n_tables + 1) * sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < message->n_tables; i++)
        tables[i] = (struct table_count_reading){.schema = slice_of(message->tables[i]->schema),
                                                 .table = slice_of(message->tables[i]->table),
                                                 .change_count = message->tables[i]->change_count};
    *ret_reading = (struct transaction_reading){.status = (enum transaction_status) message->status,
                                                .commit_lsn = message->commit_lsn,
                                                .change_count = message->change_count,
                                                .tables = tables,
                                                .table_count = message->n_tables};
    return true;
}
