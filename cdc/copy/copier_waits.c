/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier_waits.c - what a chunk waits for, while others go on.
 */
#include "cdc/copy/copier_work.h"

#include <stdio.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/pq/lock_wait.h"

enum {
    REPORT_MS = 5000,
    REPORT_MAX_MS = 60000,
    PUBLISHED_PAUSE_MS = 200,
    AWAIT_PAUSE_MS = 100, /* between two questions whether the sink has the columns, when all work waits */
};

static bool is_published(struct copier *copier, oid_t oid, bool *ret_published, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.unnest($1::name[]) p, lateral pg_catalog.pg_get_publication_tables(p::text) t"
        " where t.relid = $2::oid limit 1";
    PGresult *result AUTO_PGRESULT = NULL;
    char text[16];
    snprintf(text, sizeof text, "%u", oid);
    const char *const values[] = {copier->copiers->config->source.publication_array, text};
    if (!session_query(&copier->source, SQL, 2, values,
                       &(const struct result_shape){"the query for a published table", 0, 1, 0, 0}, &result,
                       err))
        return false;
    *ret_published = PQntuples(result) == 1;
    return true;
}

/*
 * The plan of an added table is stored before the table is published, so that no change of it finds the sink
 * without the plan. The next attempt reads its definition.
 */
bool copier_await_publication(struct copier *copier, const struct chunk *chunk, struct error *err) {
    bool published = false;
    int64_t report_ms = clock_now_ms() + REPORT_MS;
    while (!atomic_load_explicit(&copier->copiers->stop, memory_order_relaxed)) {
        if (!is_published(copier, chunk->relation_oid, &published, err))
            return false;
        if (published)
            return error_set(err, ERROR_RETRY, "table %s.%s was published; reading its definition",
                             chunk->schema, chunk->table);
        if (clock_now_ms() >= report_ms) {
            log_about(LOG_COPY_WAITS_FOR_PUBLICATION,
                      &(struct log_subject){
                          .sink = copier->sink->config->name, .schema = chunk->schema, .table = chunk->table},
                      "the copy of table %s.%s waits until the table is published: run the statement "
                      "that `pgcdc table add` printed, or `pgcdc table remove`",
                      chunk->schema, chunk->table);
            report_ms = clock_now_ms() + REPORT_MAX_MS;
        }
        clock_pause_ms(PUBLISHED_PAUSE_MS);
    }
    return error_set(err, ERROR_STOPPED, "stopped");
}

static void say_awaits(struct copier *copier) {
    const int64_t now_ms = clock_now_ms();
    if (copier->says_awaits_ms == 0)
        copier->says_awaits_ms = now_ms + REPORT_MS;
    if (now_ms < copier->says_awaits_ms)
        return;
    log_line(LOG_COPY_WAITS,
             "sink %s: the copy of table %s.%s waits, and others go on: the stream has yet to come to the "
             "columns that it has now",
             copier->sink->config->name, copier->chunk->chunk.schema, copier->chunk->chunk.table);
    copier->says_awaits_ms = now_ms + REPORT_MAX_MS;
}

static void say_locked(struct copier *copier, const struct error *err) {
    struct error locked = *err;
    if (copier->said_locked_ms == 0 || clock_now_ms() >= copier->said_locked_ms + REPORT_MAX_MS) {
        lock_wait_explain(&copier->source, &locked);
        log_about(LOG_COPY_WAITS,
                  &(struct log_subject){.sink = copier->sink->config->name,
                                        .schema = copier->chunk->chunk.schema,
                                        .table = copier->chunk->chunk.table,
                                        .error = &locked},
                  "the copy of table %s.%s waits, and others go on: %s", copier->chunk->chunk.schema,
                  copier->chunk->chunk.table, locked.text);
        copier->said_locked_ms = clock_now_ms();
    }
}

/* The source's session is in no transaction, and has waited for nothing. */
static void put_off_awaiting(struct copier *copier) {
    say_awaits(copier);
    if (chunk_map_put_off(copier->copiers->map, copier->chunk))
        clock_pause_ms(AWAIT_PAUSE_MS);
}

/*
 * ALTER TABLE and the like may hold a table for long, and the sink's table gets new columns when the stream
 * has come to them. Other tables go on; nothing of the chunk was read yet. False: it is another error.
 */
bool copier_put_off(struct copier *copier, const struct error *err) {
    struct error ignored = {0};
    if (copier->awaits) {
        put_off_awaiting(copier);
        return true;
    }
    if (!copier->is_locked || !session_execute(&copier->source, "rollback", &ignored))
        return false;
    say_locked(copier, err);
    chunk_map_put_off(copier->copiers->map, copier->chunk);
    return true;
}
