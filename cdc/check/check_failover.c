/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_failover.c - does the slot survive a failover, and for whom does it wait?
 */
#include "cdc/check/check.h"
#include "cdc/source/failover.h"

#define NAMES_BYTES_MAX 65536

/* An entry that never confirms holds every change back. */
static bool check_waits(struct check *check, struct error *err) {
    struct buffer missing AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    if (!failover_read_missing(&check->source, &missing, err))
        return false;
    if (missing.size == 0)
        return true;
    findings_add(&check->findings, SEVERITY_WARNING, "synchronized_standby_slots",
                 "synchronized_standby_slots: %s. The source sends no change of a failover slot until all of "
                 "them have confirmed it",
                 buffer_text(&missing));
    findings_fix(&check->findings,
                 "start the standby that uses the slot; or remove the entry: alter system set "
                 "synchronized_standby_slots, then select pg_reload_conf(). With source.failover: off the "
                 "pipeline does not wait");
    return true;
}

/* Standbys, as far as an ordinary role sees them: physical slots in use. The names are in the arena. */
static bool read_standbys(struct check *check, const char **ret_names, struct error *err) {
    static const char SQL[] = "select coalesce(string_agg(slot_name, ', ' order by slot_name), '') from "
                              "pg_catalog.pg_replication_slots s where slot_type = 'physical' and active"
                              " and slot_name <> all (select trim(both ' \"' from entry) from"
                              " unnest(string_to_array(coalesce(current_setting('synchronized_standby_slots',"
                              " true), ''), ',')) entry)";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&check->source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for standbys", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_names = arena_copy(&check->arena, slice_of(PQgetvalue(result, 0, 0)));
    return *ret_names != NULL ? true : error_no_memory(err);
}

/* Only notes: a standby need not be there for a failover. */
static void add_standbys(struct check *check, const char *names) {
    if (!failover_is_possible(&check->source)) {
        findings_add(
            &check->findings, SEVERITY_NOTE, "failover_slot",
            "standbys follow the source (slots %s), and before PostgreSQL 17 no standby has a copy of "
            "a logical slot: after a failover the pipeline must start over",
            names);
        return;
    }
    if (!check->config->source.fails_over)
        return;
    findings_add(
        &check->findings, SEVERITY_NOTE, "failover_gap",
        "standbys follow the source (slots %s) and are not in synchronized_standby_slots: one that is "
        "promoted may lack changes that a sink has, and then the pipeline refuses to continue",
        names);
    findings_fix(&check->findings,
                 "for a standby that may be promoted: sync_replication_slots = on there, and here "
                 "synchronized_standby_slots with its slot. Then changes wait for that standby");
}

bool check_failover(struct check *check, struct error *err) {
    const char *names = "";
    if (check->facts.in_recovery)
        return true;
    if (!check_waits(check, err) || !read_standbys(check, &names, err))
        return false;
    if (names[0] != '\0')
        add_standbys(check, names);
    return true;
}
