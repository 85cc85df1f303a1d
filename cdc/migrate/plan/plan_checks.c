/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_checks.c - see plan.h: a pooler before the source, and room for WAL and rows.
 */
#include <stdlib.h>

#include "cdc/base/amount.h"
#include "cdc/migrate/plan/plan.h"

/* A pooler gives its clients a process id of its own making. */
void plan_check_pooler(struct plan *plan) {
    struct check *check = plan->check;
    PGresult *rows AUTO_PGRESULT = NULL;
    struct error ignored = {0};
    if (!session_query(&check->source, "select pg_backend_pid()", 0, NULL,
                       &(const struct result_shape){"the process", 1, 1, 1, 0}, &rows, &ignored) ||
        strtol(PQgetvalue(rows, 0, 0), NULL, 10) == PQbackendPID(check->source.conn))
        return;
    findings_add(&check->findings, SEVERITY_WARNING, "pooler",
                 "a connection pooler answers in the place of the source: replication does not pass through "
                 "it, and a session's settings can be lost");
    findings_fix(&check->findings, "let source.dsn name the server itself");
}

static void check_wal(struct plan *plan) {
    const int64_t keep_mb = plan->check->facts.keep_mb;
    const int64_t needed = plan->estimate.wal_bytes;
    if (keep_mb < 0 || needed <= keep_mb << 20)
        return;
    findings_add(
        &plan->check->findings, SEVERITY_WARNING, "wal_room",
        "max_slot_wal_keep_size is %lld MB, and the source writes about %s of WAL while the rows are "
        "copied: the slot would be lost",
        (long long) keep_mb, amount_bytes((double) needed).text);
    findings_fix(
        &plan->check->findings,
        "alter system set max_slot_wal_keep_size = '%lldMB';\nselect pg_reload_conf();  -- as the disk "
        "allows",
        (long long) (needed * 2 / (1 << 20) + 1));
}

void plan_check_room(struct plan *plan) {
    struct findings *findings = &plan->check->findings;
    const uint64_t free_bytes = plan->assumptions.target_disk;
    check_wal(plan);
    if (free_bytes == 0 || free_bytes >= (uint64_t) plan->estimate.disk_bytes)
        return;
    findings_add(findings, SEVERITY_PROBLEM, "target_disk",
                 "the target has %s of free disk, and tables and indexes need about %s, half of it again "
                 "for WAL and sorting included",
                 amount_bytes((double) free_bytes).text,
                 amount_bytes((double) plan->estimate.disk_bytes).text);
    findings_fix(findings, "give the target a larger disk, or leave tables behind (source.tables)");
}
