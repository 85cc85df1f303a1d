/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_change.c - reads one message of a transaction, and the definitions needed to decode it.
 *
 * The server decodes the slot's WAL up to the transaction and sends its Begin, the definitions before the
 * change, and the change. So memory here does not depend on the backlog.
 */
#include "cdc/status/stopped_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/pq/identifier.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"
#include "cdc/source/table_key.h"

#define ARENA_BYTES_MAX ((size_t) 1 << 30)
#define NAMES_BYTES_MAX (1u << 20)

enum { BLOCK_BYTES = 64 * 1024 };

/*
 * $4: where the commit record begins, as in the messages; $5: the change's index. A Commit is "C", flags,
 * where its record begins, and where it ends. A row directly after a definition is selected too, because it
 * tells the decoder whose leaf the definition is.
 */
static const char SQL[] =
    "with peeked as materialized (select p.n, p.lsn, p.xid::text as xid, p.data, get_byte(p.data, 0) as "
    "letter,"
    "  lag(get_byte(p.data, 0)) over (order by p.n) as letter_before"
    "  from pg_logical_slot_peek_binary_changes($1::name, $2::pg_lsn, null, 'proto_version', '1',"
    "    'publication_names', $3%s) with ordinality p (lsn, xid, data, n)),"
    " found as (select xid from peeked where letter = 67"
    "   and substr(data, 3, 8) = decode($4, 'hex') limit 1),"
    " changes as (select n, row_number() over (order by n) - 1 as index from peeked join found using (xid)"
    "   where letter in (73, 85, 68, 84)),"
    " stopped as (select n from changes where index = $5::bigint)"
    " select p.lsn, p.data from peeked p, stopped s"
    "  where (p.n < s.n and (letter in (82, 89) or (letter in (73, 85, 68) and letter_before = 82))) or p.n "
    "= s.n"
    "    or (letter = 66 and p.xid = (select xid from found))"
    "  order by letter <> 66, p.n";

static const struct result_shape SHAPE = {"the look into the slot", 0, RESULT_ROWS_ANY, 2, 0};

static bool names_append(struct buffer *names, const struct source_config *source) {
    for (size_t i = 0; i < source->publication_count; i++) {
        buffer_append_text(names, i == 0 ? "" : ",");
        identifier_append(names, slice_of(source->publications[i]));
    }
    return buffer_text(names) != NULL;
}

static bool refuse_active(const struct slot_facts *facts, const struct source_config *source,
                          struct error *err) {
    if (!facts->exists)
        return error_set(err, ERROR_REFUSE, "source: slot %s does not exist, so the change cannot be read",
                         source->slot);
    if (facts->active_pid != 0)
        return error_set(err, ERROR_REFUSE,
                         "source: slot %s is in use by pid %d: stop the engine that reads from it",
                         source->slot, facts->active_pid);
    return true;
}

static bool peek(struct stopped_change *stopped, const struct source_config *source,
                 const struct stop_place *place, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    char sql[sizeof SQL + 32], hex[17], index[21];
    snprintf(sql, sizeof sql, SQL, source->origin_is_none ? ", 'origin', 'none'" : "");
    snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t) place->commit_lsn);
    snprintf(index, sizeof index, "%" PRIu64, place->index);
    if (!names_append(&names, source))
        return error_no_memory(err);
    const struct lsn_text upto =
        lsn_format(place->commit_lsn + 1); /* the record that begins there is included */
    const char *const values[] = {source->slot, upto.text, names.data, hex, index};
    const struct session_parameters parameters = {
        .count = 5, .types = (const oid_t[]){0, 0, 25, 0, 0}, .values = values, .result_format = 1};
    return session_query_typed(&stopped->source, sql, &parameters, &SHAPE, &stopped->messages, err)
               ? true
               : error_wrap(err, "looking into slot %s", source->slot);
}

static bool stopped_change_decode(struct stopped_change *stopped, struct error *err) {
    for (int row = 0; row < PQntuples(stopped->messages); row++) {
        struct change *change = NULL;
        uint64_t lsn = 0;
        if (PQgetlength(stopped->messages, row, 0) != sizeof lsn)
            return error_set(err, ERROR_PROTOCOL, "source: a change's LSN is not of 8 bytes");
        memcpy(&lsn, PQgetvalue(stopped->messages, row, 0), sizeof lsn);
        const struct slice message = {.data = PQgetvalue(stopped->messages, row, 1),
                                      .size = (size_t) PQgetlength(stopped->messages, row, 1)};
        if (!decoder_decode(stopped->decoder, be64toh(lsn), message, &stopped->arena, &change, err))
            return false;
        if (change != NULL && change->kind != CHANGE_BEGIN)
            stopped->change = change;
    }
    return stopped->change != NULL
               ? true
               : error_set(err, ERROR_REFUSE,
                           "the change that stopped the pipeline is not in the slot: run the pipeline "
                           "again, and run `pgcdc why` after it has stopped");
}

static bool read_keys(struct stopped_change *stopped, const char *slot, struct error *err) {
    struct table_keys keys = {0};
    lsn_t lsn = 0;
    if (!table_keys_are_needed(stopped->source.server_version))
        return true;
    if (!table_keys_read(&stopped->source, slot, 0, &stopped->arena, &keys, &lsn, err))
        return false;
    decoder_set_table_keys(stopped->decoder, keys);
    return true;
}

/* ---- an archive ---- */

static bool take_archived(struct stopped_change *stopped, const struct change *change, struct error *err) {
    struct change *copy = arena_alloc(&stopped->arena, sizeof *copy);
    if (copy == NULL)
        return error_no_memory(err);
    *copy = *change;
    stopped->change = copy;
    return true;
}

/* *ret_is_over: the change was found, or is not there. */
static bool look_at_archived(struct stopped_change *stopped, const struct stop_place *place,
                             bool *ret_is_over, struct error *err) {
    enum archive_step step;
    struct change change;
    lsn_t lsn = 0;
    if (!archive_cursor_next(&stopped->cursor, &stopped->arena, &step, &change, &lsn, err))
        return false;
    *ret_is_over = step == ARCHIVE_DRAINED;
    if (step == ARCHIVE_POSITION)
        arena_reset(&stopped->arena);
    if (step != ARCHIVE_CHANGE || change.transaction == NULL ||
        change.transaction->commit_lsn != place->commit_lsn)
        return true;
    if (!change_is_row(&change) && change.kind != CHANGE_TRUNCATE)
        return true;
    *ret_is_over = change.index == place->index;
    return !*ret_is_over || take_archived(stopped, &change, err);
}

static bool read_archive(struct stopped_change *stopped, const char *directory,
                         const struct stop_place *place, lsn_t from_lsn, const atomic_bool *stop,
                         struct error *err) {
    bool is_over = false;
    if (!archive_cursor_open(&stopped->cursor, directory, from_lsn, err))
        return false;
    while (!is_over) {
        if (atomic_load_explicit(stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (!look_at_archived(stopped, place, &is_over, err))
            return false;
    }
    return stopped->change != NULL ||
           error_set(err, ERROR_REFUSE, "the change that stopped the pipeline is not in archive %s",
                     directory);
}

static bool open_archive(struct stopped_change *stopped, const struct config *config,
                         const struct stop_place *place, const atomic_bool *stop, struct error *err) {
    struct position position = {0};
    stopped->cursor = (struct archive_cursor){.segment = {.fd = -1}};
    return stop_place_position(place, config, stop, &position, err) &&
           read_archive(stopped, config->source.archive, place, position.end_lsn, stop, err);
}

bool stopped_change_read(struct stopped_change *stopped, const struct config *config,
                         const struct stop_place *place, const atomic_bool *stop, struct error *err) {
    const struct source_config *source = &config->source;
    struct slot_facts facts;
    arena_init(&stopped->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    stopped->is_archive = source->archive != NULL;
    if (stopped->is_archive)
        return open_archive(stopped, config, place, stop, err);
    stopped->decoder = decoder_new();
    if (stopped->decoder == NULL)
        return error_no_memory(err);
    if (!source_open(&stopped->source, source, stop, err) || !session_take_bytes(&stopped->source, err) ||
        !slot_read(&stopped->source, source->slot, &facts, err) || !refuse_active(&facts, source, err) ||
        !read_keys(stopped, source->slot, err))
        return false;
    return peek(stopped, source, place, err) && stopped_change_decode(stopped, err);
}

void stopped_change_release(struct stopped_change *stopped) {
    if (stopped->is_archive)
        archive_cursor_close(&stopped->cursor);
    session_close(&stopped->source);
    decoder_free(stopped->decoder);
    PQclear(stopped->messages);
    arena_release(&stopped->arena);
}
