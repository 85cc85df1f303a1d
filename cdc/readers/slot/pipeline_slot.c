/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_slot.c - opens the source, reads the facts, and checks what streaming on requires.
 */
#include "cdc/readers/slot/pipeline_slot.h"

#include <inttypes.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/base/start_over.h"
#include "cdc/pq/settings.h"
#include "cdc/source/catalog.h"
#include "cdc/source/ddl_triggers.h"
#include "cdc/source/failover.h"
#include "cdc/source/publication.h"
#include "cdc/source/pushdown.h"

#define NEWS_BYTES_MAX (1u << 20)

static struct pipeline_slot *slot_of(struct reader *reader) {
    return (struct pipeline_slot *) reader;
}

static const struct source_config *source_of(const struct pipeline_slot *slot) {
    return &slot->stream.reader.config->source;
}

/* ---- opening ---- */

static void say_session(const char *what, const struct session *session, const char *more) {
    const PGconn *conn = session->conn;
    log_line(LOG_SESSION_OPENED,
             "%s: connected to host %s, port %s, database %s as %s, server process %d, PostgreSQL %d, %s%s",
             what, PQhost(conn), PQport(conn), PQdb(conn), PQuser(conn), PQbackendPID(conn),
             PQserverVersion(conn), PQsslInUse((PGconn *) (uintptr_t) conn) ? "encrypted" : "not encrypted",
             more);
}

static void say_source(const struct pipeline_slot *slot) {
    const struct source_identity *identity = &slot->identity;
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    say_session("source", &slot->source, "");
    say_session("source", &slot->replication, ", for replication");
    log_line(LOG_SESSION_SETTINGS,
             "source: options of each session: %s, logical_decoding_work_mem of replication: %s",
             SETTINGS_PINNED, source_of(slot)->decoding_work_mem);
    log_line(LOG_SOURCE_SEEN,
             "source: system identifier %" PRIu64 ", timeline %" PRIu32
             ", WAL flushed to %s, wal_sender_timeout %d ms",
             identity->system_id, identity->timeline, lsn_format(identity->flush_lsn).text,
             slot->sender_timeout_ms);
}

static bool look_at_slot(struct pipeline_slot *slot, struct reader_facts *ret_facts, struct error *err) {
    struct reader_facts facts = {.identity = slot->identity, .has_slot = true};
    if (!slot_read(&slot->source, source_of(slot)->slot, &facts.slot, err))
        return false;
    *ret_facts = facts;
    return true;
}

static bool pipeline_slot_open(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    const struct source_config *source = source_of(slot);
    reader->name = source->slot;
    if (!source_open(&slot->source, source, reader->stop, err) || !source_check_version(&slot->source, err) ||
        !source_open_replication(&slot->replication, source, reader->stop, err) ||
        !source_identify(&slot->replication, &slot->identity, err) ||
        !standby_check_version(&slot->replication, err) ||
        !standby_open(&slot->standby, source, &slot->identity, reader->stop, err) ||
        !source_sender_timeout(&slot->replication, &slot->sender_timeout_ms, err))
        return false;
    slot->catalog = (struct reader_catalog){
        .session = &slot->source, .warned = slot->warned, .looked_at = &slot->looked_at};
    reader->catalog = &slot->catalog;
    say_source(slot);
    return look_at_slot(slot, ret_facts, err);
}

static bool pipeline_slot_look(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    return source_identify(&slot->replication, &slot->identity, err) && look_at_slot(slot, ret_facts, err);
}

static bool pipeline_slot_fork_lsn(struct reader *reader, uint32_t timeline, lsn_t *ret_fork_lsn,
                                   struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    return source_fork_lsn(&slot->replication, &slot->identity, timeline, ret_fork_lsn, err);
}

/* ---- streaming on ---- */

/* Such tables were created after a publication for all tables, or published without a check. */
static bool warn_unusable(struct pipeline_slot *slot, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = 4096};
    const struct source_config *source = source_of(slot);
    if (!publication_name_unusable(&slot->source, source, &names, err))
        return false;
    if (names.size > 0)
        log_line(LOG_IDENTITY_UNUSABLE,
                 "because of publication %s the source refuses updates and deletes of %s: no "
                 "usable replica identity; `pgcdc check` names the remedy",
                 source->publication, buffer_text(&names));
    return true;
}

bool pipeline_slot_check_scope(struct pipeline_slot *slot, enum scope_moment moment, struct error *err) {
    char warning[SCOPE_WARNING_MAX] = "";
    if (!scope_check(&slot->source, source_of(slot), moment, warning, err))
        return false;
    if (warning[0] != '\0' && strcmp(warning, slot->warned) != 0)
        log_line(LOG_TABLES_UNLIKE, "%s", warning);
    memcpy(slot->warned, warning, sizeof warning);
    return warn_unusable(slot, err);
}

static void log_news(struct buffer *news) {
    const char *line = buffer_text(news);
    while (line != NULL && *line != '\0') {
        const size_t size = strcspn(line, "\n");
        log_line(LOG_PUBLICATION_CHANGED, "%.*s", (int) size, line);
        line += size + (line[size] == '\n');
    }
}

bool pipeline_slot_check_filters(struct pipeline_slot *slot, const struct config *config, bool is_new,
                                 struct error *err) {
    struct buffer news AUTO(buffer_release) = {.bytes_max = NEWS_BYTES_MAX};
    if ((is_new && !pushdown_apply(&slot->source, config, &news, err)) ||
        !pushdown_check(&slot->source, config, &news, err))
        return false;
    log_news(&news);
    return true;
}

static bool pipeline_slot_resume(struct reader *reader, bool is_copying, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    const struct source_config *source = source_of(slot);
    bool exists = false;
    if (!publication_exists(&slot->source, source, &exists, err))
        return false;
    if (!exists)
        return error_set(err, ERROR_REFUSE,
                         "publication %s is missing although the pipeline has a position: a new one would be "
                         "newer than the slot and could not decode the changes in it",
                         source->publication) ||
               error_remedy(err, START_OVER);
    return pipeline_slot_check_scope(slot, SCOPE_RUNNING, err) &&
           (reader->has_streamed ||
            (pipeline_slot_check_filters(slot, reader->config, false, err) &&
             uncopied_moment_read(&slot->source, &slot->looked_at, err) &&
             (is_copying || uncopied_refuse(reader->config, &slot->source, reader->stop, err))));
}

/* ---- the stream ---- */

static void say_stream(const struct pipeline_slot *slot) {
    const struct source_config *source = source_of(slot);
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    for (size_t i = 0; i < source->publication_count; i++)
        log_line(LOG_PUBLICATION_USED, "publication %s, one of %zu, which together announce %s",
                 source->publications[i], source->publication_count,
                 amount_count((uint64_t) PQntuples(slot->sent), "table").text);
}

/* Binary values cost both sides less, but only built-in types mean the same on every server. */
static bool pipeline_slot_plan(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    const struct source_config *source = source_of(slot);
    bool is_portable = false;
    slot->is_ours = false;
    if (!catalog_read_portable(&slot->source, source->publication_array, &is_portable, err) ||
        (plan->accepts_bytes && !session_take_bytes(&slot->replication, err)) ||
        !scope_read_announced(&slot->source, source, &slot->sent, err))
        return false;
    reader->is_binary = is_portable && plan->accepts_binary;
    slot->catalog.sent = slot->sent;
    say_stream(slot);
    return true;
}

static bool wants_streams(const struct pipeline_slot *slot) {
    return source_of(slot)->streams && !slot->streams_fail;
}

static void say_triggers(const struct ddl_triggers *triggers) {
    if (triggers->state == DDL_TRIGGERS_OFF || triggers->state == DDL_TRIGGERS_DENIED)
        log_line(
            LOG_TRIGGERS_UNUSABLE,
            "the event triggers of `pgcdc ddl install` are at the source, but cannot be used: `pgcdc ddl "
            "status` says why");
    if (triggers->state == DDL_TRIGGERS_ON)
        log_line(LOG_TRIGGERS_USED, "source: its event triggers tell the columns of changed tables");
}

static bool follow_failover(struct pipeline_slot *slot, struct error *err) {
    struct slot_facts facts;
    return slot_read(&slot->source, source_of(slot)->slot, &facts, err) &&
           failover_follow(&slot->replication, source_of(slot), &facts, err);
}

static bool pipeline_slot_start(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    struct ddl_triggers triggers;
    if (!ddl_triggers_read(&slot->source, &triggers, err) || !follow_failover(slot, err))
        return false;
    say_triggers(&triggers);
    const struct slot_reader_options options = {.session = &slot->replication,
                                                .slot = reader->name,
                                                .sent = slot->sent,
                                                .standby = &slot->standby,
                                                .timeline = slot->identity.timeline,
                                                .start_lsn = plan->from_lsn,
                                                .flush_lsn = slot->identity.flush_lsn,
                                                .has_triggers = triggers.state == DDL_TRIGGERS_ON,
                                                .sender_timeout_ms = slot->sender_timeout_ms,
                                                .until_lsn = plan->until_lsn,
                                                .spool_directory =
                                                    wants_streams(slot) ? reader->config->state : NULL,
                                                .streams_fail = &slot->streams_fail};
    if (!slot_reader_start(&slot->stream, &options, err))
        return false;
    /* It is not used from here on and would only occupy a connection. */
    session_close(&slot->source);
    return true;
}

static void pipeline_slot_close(struct reader *reader) {
    struct pipeline_slot *slot = slot_of(reader);
    slot_reader_close(reader);
    session_close(&slot->source);
    session_close(&slot->replication);
    standby_close(&slot->standby);
    PQclear(slot->sent);
    slot->sent = NULL;
}

const struct reader_ops reader_pipeline_slot = {
    .name = "slot",
    .size = sizeof(struct pipeline_slot),
    .open = pipeline_slot_open,
    .look = pipeline_slot_look,
    .fork_lsn = pipeline_slot_fork_lsn,
    .resume = pipeline_slot_resume,
    .creation = &pipeline_slot_creation,
    .plan = pipeline_slot_plan,
    .start = pipeline_slot_start,
    .read = slot_reader_read,
    .check_history = slot_reader_check_history,
    .tend = slot_reader_tend,
    .finish = slot_reader_finish,
    .close = pipeline_slot_close,
};
