/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failed_table.c - decodes a transaction again up to the row that the server cannot send.
 */
#include "cdc/readers/slot/failed_table.h"

#include <stdio.h>

#include "cdc/base/clock.h"
#include "decoder/decoder.h"

enum { SEARCH_MAX_MS = 30000, STEP_MS = 100, BLOCK_BYTES = 64 * 1024, TABLES_MAX = 3 };

#define ARENA_BYTES_MAX ((size_t) 1 << 30)

struct search {
    struct decoder *decoder;
    struct arena arena;                        /* of one message */
    const struct relation *tables[TABLES_MAX]; /* whose definitions were sent */
    size_t table_count;                        /* may be more than there is room for */
};

static void search_release(struct search *search) {
    decoder_free(search->decoder);
    arena_release(&search->arena);
}

/* Reads the rest of what belongs to the failed command. */
static bool leave_failure(struct session *session, struct error *err) {
    for (;;) {
        PGresult *result AUTO_PGRESULT = NULL;
        if (!session_next_result(session, &result, err))
            return false;
        if (result == NULL)
            return true;
    }
}

static void note_announced(struct search *search) {
    const struct relation *relation = decoder_announced(search->decoder);
    if (relation == NULL)
        return;
    for (size_t i = 0; i < search->table_count && i < TABLES_MAX; i++)
        if (search->tables[i]->oid == relation->oid)
            return;
    if (search->table_count < TABLES_MAX)
        search->tables[search->table_count] = relation;
    search->table_count++;
}

static bool take_data(struct search *search, const struct replication_message *message, struct error *err) {
    struct change *change = NULL;
    if (message->kind != REPLICATION_DATA)
        return true;
    arena_reset(&search->arena);
    if (!decoder_decode(search->decoder, message->lsn, message->payload, &search->arena, &change, err))
        return false;
    note_announced(search);
    return true;
}

/* True: the stream has failed again. */
static bool fails_again(struct search *search, struct session *session, int64_t deadline_ms,
                        struct error *err) {
    while (clock_now_ms() < deadline_ms) {
        struct replication_message message;
        bool got = false, ready = false;
        if (!replication_receive(session, &message, &got, err))
            return err->kind == ERROR_DATA && decoder_in_transaction(search->decoder);
        if (got) {
            const bool taken = take_data(search, &message, err);
            replication_message_release(&message);
            if (!taken)
                return false;
        } else if (!session_wait(session, false, STEP_MS, &ready, err) ||
                   (ready && PQconsumeInput(session->conn) == 0)) {
            return false;
        }
    }
    return false;
}

/* The definition that came last is that of the failed row, unless a row came after it. */
static bool name_tables(const struct search *search, char *names, size_t size) {
    const struct relation *last = decoder_announced(search->decoder);
    if (last == NULL && search->table_count == 1)
        last = search->tables[0];
    if (last != NULL) {
        snprintf(names, size, "table \"%s\".\"%s\"", last->schema.data, last->name.data);
        return true;
    }
    if (search->table_count == 0 || search->table_count > TABLES_MAX)
        return false;
    int used = snprintf(names, size, "one of the tables");
    for (size_t i = 0; i < search->table_count && used >= 0 && (size_t) used < size; i++)
        used += snprintf(names + used, size - (size_t) used, "%s \"%s\".\"%s\"", i > 0 ? "," : "",
                         search->tables[i]->schema.data, search->tables[i]->name.data);
    return used >= 0 && (size_t) used < size;
}

bool failed_table_find(struct session *session, const struct replication_options *options,
                       const atomic_bool *stop, char *names, size_t size) {
    struct search search AUTO(search_release) = {.decoder = decoder_new()};
    struct error ignored = {0};
    arena_init(&search.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    session->stop = stop;
    const bool found = search.decoder != NULL && leave_failure(session, &ignored) &&
                       replication_start(session, options, &ignored) &&
                       fails_again(&search, session, clock_now_ms() + SEARCH_MAX_MS, &ignored) &&
                       name_tables(&search, names, size);
    session->stop = NULL;
    return found;
}
