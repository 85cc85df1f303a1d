/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover.c - failover slots: made, and what they wait for.
 */
#include "cdc/source/failover.h"

#include "cdc/base/log.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/result.h"

enum { FAILOVER_VERSION_MIN = 170000 };

/* ---- the slot ---- */

static bool knows_failover(const struct session *source) {
    return source->server_version >= FAILOVER_VERSION_MIN;
}

bool failover_is_possible(const struct session *source) {
    return knows_failover(source) && !session_is_standby(source);
}

bool failover_is_wanted(const struct session *source, const struct source_config *config) {
    return config->fails_over && failover_is_possible(source);
}

static bool alter_slot(struct session *replication, const struct source_config *config, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "ALTER_REPLICATION_SLOT ");
    identifier_append(&sql, slice_of(config->slot));
    buffer_append_text(&sql, config->fails_over ? " (FAILOVER true)" : " (FAILOVER false)");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_execute(replication, sql.data, err) || error_wrap(err, "slot %s", config->slot);
}

bool failover_follow(struct session *replication, const struct source_config *config,
                     const struct slot_facts *slot, struct error *err) {
    if (!failover_is_possible(replication) || !slot->exists || slot->is_failover == config->fails_over)
        return true;
    if (!alter_slot(replication, config, err))
        return false;
    log_line(LOG_SLOT_FAILOVER_SET, "slot %s is %s a failover slot", config->slot,
             config->fails_over ? "now" : "no longer");
    return true;
}

/* ---- the standbys that it waits for ---- */

/* An entry can be in double quotes. */
#define MISSING_SQL                                                                                          \
    "select coalesce(string_agg(entry || case"                                                               \
    "   when s.slot_name is null then ' does not exist'"                                                     \
    "   when s.slot_type <> 'physical' then ' is not a physical slot'"                                       \
    "   when s.wal_status = 'lost' or to_jsonb(s)->>'invalidation_reason' is not null then ' is lost'"       \
    "   when not s.active then ' is not in use'"                                                             \
    "   else ' has confirmed ' || coalesce(s.restart_lsn::text, 'nothing') end, ', ' order by n), '')"       \
    " from unnest(string_to_array(current_setting('synchronized_standby_slots', true), ','))"                \
    "   with ordinality as list (quoted, n)"                                                                 \
    " cross join lateral trim(both ' \"' from quoted) as entry"                                              \
    " left join pg_catalog.pg_replication_slots s on s.slot_name = entry"                                    \
    " where entry <> ''"

static bool ask(struct session *source, const char *sql, const char *parameter, struct buffer *text,
                struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!knows_failover(source))
        return true;
    if (!session_query(source, sql, parameter != NULL ? 1 : 0, &parameter,
                       &(const struct result_shape){"the query for standbys", 1, 1, 1, 0}, &result, err))
        return false;
    buffer_append_text(text, PQgetvalue(result, 0, 0));
    return buffer_text(text) != NULL || error_no_memory(err);
}

bool failover_read_missing(struct session *source, struct buffer *text, struct error *err) {
    static const char SQL[] =
        MISSING_SQL " and (s.active and s.slot_type = 'physical' and s.restart_lsn is not null) is not true";
    return ask(source, SQL, NULL, text, err);
}

bool failover_read_waits(struct session *source, const char *slot, struct buffer *text, struct error *err) {
    static const char SQL[] =
        MISSING_SQL " and exists (select from pg_catalog.pg_replication_slots l"
                    " join pg_catalog.pg_stat_activity a on a.pid = l.active_pid"
                    " where l.slot_name = $1 and a.wait_event = 'WaitForStandbyConfirmation')"
                    " and (s.active and s.slot_type = 'physical' and s.restart_lsn >= (select "
                    "pg_catalog.pg_current_wal_flush_lsn())) is not true";
    return ask(source, SQL, slot, text, err);
}
