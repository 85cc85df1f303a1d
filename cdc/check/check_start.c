/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_start.c - state directory, positions and slot: the same decision as run's, without acting on it.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/shell_word.h"
#include "cdc/check/check.h"
#include "cdc/engine/buffered.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/state_lock.h"

#define SLOTS_BYTES_MAX ((size_t) 1 << 17)

enum {
    FREE_MIN_KB = 1024,
    TRANSACTION_LONG_MS = 10000,
};

/* ---- the state directory ---- */

static void parent_of(const char *path, char parent[static PATH_MAX]) {
    snprintf(parent, PATH_MAX, "%s", path);
    size_t length = strlen(parent);
    while (length > 1 && parent[length - 1] == '/')
        parent[--length] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        snprintf(parent, PATH_MAX, ".");
    else
        slash[slash == parent ? 1 : 0] = '\0';
}

/* The step that makes the user that runs pgcdc the directory's owner. */
static void fix_owner(struct check *check, const char *before) {
    const struct passwd *user = getpwuid(geteuid());
    const struct shell_word state = shell_word_of_file(check->config->state);
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned) geteuid());
    findings_fix(&check->findings, "as root: %s%s%schown %s %s && chmod u+rwx %s", before,
                 before[0] != '\0' ? state.text : "", before[0] != '\0' ? " && " : "",
                 user != NULL ? shell_word(user->pw_name).text : number, state.text, state.text);
}

/* run creates the directory itself, but not its parents. */
static void check_missing_directory(struct check *check) {
    char parent[PATH_MAX];
    parent_of(check->config->state, parent);
    if (access(parent, W_OK | X_OK) == 0)
        return;
    const int why = errno;
    findings_add(&check->findings, SEVERITY_PROBLEM, "state", "%s is missing and cannot be created: %s: %s",
                 check->config->state, parent, strerror(why));
    if (why == ENOTDIR)
        findings_fix(&check->findings, "let state in the configuration file name a path of directories");
    else
        fix_owner(check, "mkdir -p ");
}

static void check_space(struct check *check) {
    struct statvfs disk;
    if (statvfs(check->config->state, &disk) != 0)
        return;
    unsigned long long free_kb = (unsigned long long) disk.f_bavail * disk.f_frsize / 1024;
    if (free_kb >= FREE_MIN_KB && (disk.f_favail > 0 || disk.f_files == 0))
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "state_space",
                 "%s: the disk is full; while the checkpoint cannot be written, the slot keeps its WAL",
                 check->config->state);
    findings_fix(&check->findings, "free some space on the disk of %s", check->config->state);
}

/* A parent directory may be closed too, which chown does not change. */
static void fix_unwritable(struct check *check, bool is_there) {
    if (is_there)
        fix_owner(check, "");
    else
        findings_fix(&check->findings,
                     "let the user that runs pgcdc enter the directories above it (chmod o+x)");
}

static void add_state(struct check *check, const char *why) {
    findings_add(&check->findings, SEVERITY_PROBLEM, "state", "%s: %s", check->config->state, why);
}

static void check_directory(struct check *check) {
    struct stat file;
    const char *state = check->config->state;
    const bool is_there = stat(state, &file) == 0;
    const bool is_usable = is_there && S_ISDIR(file.st_mode) && access(state, R_OK | W_OK | X_OK) == 0;
    const int why = errno;
    if (is_usable) {
        check_space(check);
    } else if (!is_there && why == ENOENT) {
        check_missing_directory(check);
    } else if (is_there && !S_ISDIR(file.st_mode)) {
        add_state(check, "it exists but is not a directory");
        findings_fix(&check->findings, "let state in the configuration file name a directory");
    } else {
        add_state(check, strerror(why));
        if (why == EACCES)
            fix_unwritable(check, is_there);
        else
            findings_fix(&check->findings,
                         "let state in the configuration file name a directory that can be written");
    }
}

/* Why the last run stopped or retries; the cause may be gone. */
static void check_failure(struct check *check) {
    struct failure failure;
    failure_read(check->config->state, check->config->name, &failure);
    if (!failure.exists)
        return;
    const int64_t age_ms = (clock_unix_us() - failure.last_us) / 1000;
    const bool retries = state_lock_holder(check->config->state, check->config->name) != 0;
    findings_add(&check->findings, SEVERITY_WARNING, "last_error", "the %s run failed %s ago%s: %s",
                 retries ? "present" : "last", amount_duration(age_ms > 0 ? age_ms : 0).text,
                 retries ? " and retries" : "", failure.error.text);
    if (failure.error.remedy[0] != '\0')
        findings_fix(&check->findings, "if the cause is still there: %s", failure.error.remedy);
}

bool check_state(struct check *check, struct error *err) {
    struct findings *findings = &check->findings;
    check_directory(check);
    check_failure(check);
    pid_t pid = state_lock_holder(check->config->state, check->config->name);
    if (pid != 0)
        findings_add(findings, SEVERITY_NOTE, "running", "pid %ld runs this pipeline now", (long) pid);
    if (!checkpoint_read(check->config->state, check->config->name, &check->checkpoint, err))
        return false;
    if (check->checkpoint.phase != CHECKPOINT_CORRUPT)
        return true;
    findings_add(findings, SEVERITY_WARNING, "checkpoint",
                 "%s/%s.checkpoint is corrupt; the sinks' own positions are used instead",
                 check->config->state, check->config->name);
    return true;
}

/* ---- where run would start ---- */

/* With a buffer, the slot feeds that, and it has the position that must fit. */
static const struct config *fed_by_slot(const struct check *check) {
    struct error ignored = {0};
    bool has_begun = false;
    return check->config->part_count > 0 && buffered_has_begun(check->config, &has_begun, &ignored) &&
                   has_begun
               ? &check->config->parts[0]
               : check->config;
}

/* False: a sink cannot be asked; that sink's own check reports why. */
static bool check_start_look(struct check *check, const struct config *fed, size_t index) {
    const struct config_sink *config = &fed->sinks[index];
    struct error ignored = {0};
    struct sink_view view = {0};
    const bool seen = sink_look(config->ops, &config->sink, check->stop, &view, &ignored);
    check->positions[index] = view.position;
    return seen;
}

static bool look_at_all(struct check *check, const struct config *fed) {
    bool seen = true;
    for (size_t i = 0; i < fed->sink_count; i++)
        seen = check_start_look(check, fed, i) && seen;
    return seen;
}

static bool check_start_decide(struct check *check, const struct config *fed) {
    start_complete(fed, &check->checkpoint, check->positions);
    const struct start_facts facts = {.config = fed,
                                      .checkpoint = &check->checkpoint,
                                      .identity = &check->identity,
                                      .slot = &check->slot,
                                      .positions = check->positions};
    struct error refusal = {0};
    if (start_decide(&facts, &check->action, &refusal))
        return true;
    findings_add_error(&check->findings, SEVERITY_PROBLEM, "refusal", &refusal);
    check->is_refused = true;
    return false;
}

/* Does a sink have changes that a promoted source never had? */
static bool check_forks(struct check *check, const struct config *fed, struct error *err) {
    for (size_t i = 0; i < fed->sink_count; i++) {
        const struct position *position = &check->positions[i];
        struct error refusal = {0};
        lsn_t fork_lsn = 0;
        if (!start_can_fork(position, &check->identity))
            continue;
        bool known =
            source_fork_lsn(&check->replication, &check->identity, position->timeline, &fork_lsn, &refusal);
        if (known &&
            start_check_fork(position, fed->sinks[i].sink.name, fork_lsn, &check->identity, &refusal))
            continue;
        if (refusal.kind != ERROR_REFUSE) {
            *err = refusal;
            return false;
        }
        findings_add_error(&check->findings, SEVERITY_PROBLEM, "refusal", &refusal);
    }
    return true;
}

/* Another program's walsender; our own engine is identified by the lock. */
static void check_active(struct check *check) {
    if (check->slot.active_pid == 0 || state_lock_holder(check->config->state, check->config->name) != 0)
        return;
    findings_add(&check->findings, SEVERITY_PROBLEM, "slot_active",
                 "slot %s is in use by the server's pid %d, but not by an engine with this state directory",
                 check->config->source.slot, check->slot.active_pid);
    findings_fix(&check->findings, "stop the other engine, or give this pipeline a slot of its own");
}

bool check_start(struct check *check, struct error *err) {
    if (!slot_read(&check->source, check->config->source.slot, &check->slot, err))
        return false;
    const struct config *fed = fed_by_slot(check);
    if (check->config->source.archive != NULL)
        return true; /* a part behind a buffer, whose slot another part reads */
    check_active(check);
    check->has_action = look_at_all(check, fed) && check->has_identity && check_start_decide(check, fed);
    return !check->has_action || check_forks(check, fed, err);
}

bool check_expects_slot(const struct check *check) {
    return check->has_action ? check->action == START_NEW || check->action == START_COPY_AGAIN
                             : !check->slot.exists;
}

bool check_expects_copy(const struct check *check) {
    return check->config->source.snapshot == SNAPSHOT_INITIAL && check_expects_slot(check);
}

/* ---- what the creation of the slot needs ---- */

/*
 * How many slots of the file's databases do not exist yet: all of them, so that no restart of the source is
 * needed when some have moved. Slots have names that need no quotes in an array.
 */
static bool count_needed_slots(struct check *check, int *ret_count, struct error *err) {
    static const char SQL[] = "select n from pg_catalog.unnest($1::name[]) n where n not in"
                              " (select slot_name from pg_catalog.pg_replication_slots)";
    const struct config *config = check->config;
    struct buffer array AUTO(buffer_release) = {.bytes_max = SLOTS_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    buffer_printf(&array, "{%s", config->source.slot);
    const bool has_others = config->database != NULL && config->reverse_of == NULL;
    for (size_t i = 0; has_others && i < config->migrate.database_count; i++)
        if (&config->migrate.databases[i] != config->database)
            buffer_printf(&array, ",%s", config->migrate.databases[i].name);
    buffer_append_text(&array, "}");
    const char *names = buffer_text(&array);
    if (names == NULL)
        return error_no_memory(err);
    if (!session_query(&check->source, SQL, 1, &names,
                       &(const struct result_shape){"the query for slots", 0, RESULT_ROWS_ANY, 1, 0}, &rows,
                       err))
        return false;
    *ret_count = PQntuples(rows);
    return true;
}

/* check_replication_connection has already proved that a WAL sender is free. */
static bool check_free_slot(struct check *check, struct error *err) {
    const struct source_facts *facts = &check->facts;
    int needed = 0;
    if (!count_needed_slots(check, &needed, err))
        return false;
    if (facts->slots_used + needed <= facts->slots_max)
        return true;
    if (needed == 1)
        findings_add(&check->findings, SEVERITY_PROBLEM, "max_replication_slots",
                     "all replication slots (%d) are taken", facts->slots_max);
    else
        findings_add(&check->findings, SEVERITY_PROBLEM, "max_replication_slots",
                     "%d replication slots of %d are taken, and the databases of the file need %d more",
                     facts->slots_used, facts->slots_max, needed);
    findings_fix(&check->findings,
                 "alter system set max_replication_slots = %d;  -- then restart the server; or drop an "
                 "unused slot",
                 facts->slots_max + needed + 9);
    return true;
}

/* Only pg_read_all_stats sees the age of other users' transactions. */
static bool check_transactions(struct check *check, struct error *err) {
    static const char SQL[] =
        "select pid, usename, extract(epoch from clock_timestamp() - xact_start)::bigint from "
        "pg_stat_activity"
        " where backend_xid is not null and pid <> pg_backend_pid()"
        " and xact_start < clock_timestamp() - $1::int * interval '1 ms' order by xact_start";
    char age_ms[16];
    const char *parameters[] = {age_ms};
    PGresult *result AUTO_PGRESULT = NULL;
    snprintf(age_ms, sizeof age_ms, "%d", FAULT_INTERVAL_MS(TRANSACTION_LONG_MS));
    if (!session_query(
            &check->source, SQL, 1, parameters,
            &(const struct result_shape){"the query for transactions", 0, RESULT_ROWS_ANY, 3, 1u << 1},
            &result, err))
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        findings_add(
            &check->findings, SEVERITY_WARNING, "long_transaction",
            "a transaction of user %s, pid %s, has been writing for %s s; the slot's creation waits for its "
            "end",
            PQgetvalue(result, row, 1), PQgetvalue(result, row, 0), PQgetvalue(result, row, 2));
        findings_fix(&check->findings, "wait for it, or: select pg_terminate_backend(%s);",
                     PQgetvalue(result, row, 0));
    }
    return true;
}

static bool check_prepared(struct check *check, struct error *err) {
    static const char SQL[] = "select quote_literal(gid), owner, database, date_trunc('second', prepared) "
                              "from pg_prepared_xacts order by prepared";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&check->source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for prepared transactions", 0, RESULT_ROWS_ANY,
                                                    4, 1u << 1 | 1u << 2},
                       &result, err))
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        findings_add(&check->findings, SEVERITY_WARNING, "prepared_transaction",
                     "transaction %s of user %s in database %s has been prepared since %s; the slot's "
                     "creation waits for its end",
                     PQgetvalue(result, row, 0), PQgetvalue(result, row, 1), PQgetvalue(result, row, 2),
                     PQgetvalue(result, row, 3));
        findings_fix(&check->findings, "in database %s: commit prepared %s, or: rollback prepared %s",
                     PQgetvalue(result, row, 2), PQgetvalue(result, row, 0), PQgetvalue(result, row, 0));
    }
    return true;
}

/* A standby does not see its primary's transactions. */
static void add_snapshot_record(struct check *check) {
    findings_add(&check->findings, SEVERITY_NOTE, "standby_snapshot",
                 "the slot's creation on a standby waits for the primary to log its running transactions, "
                 "and for those to end; an idle primary does not log them");
    findings_fix(&check->findings,
                 "when pgcdc run says that it waits, run at the primary: select pg_log_standby_snapshot();");
}

bool check_slot_creation(struct check *check, struct error *err) {
    if (!check_free_slot(check, err))
        return false;
    if (check->facts.in_recovery && check_expects_slot(check)) {
        add_snapshot_record(check);
        return true;
    }
    return !check_expects_slot(check) || (check_transactions(check, err) && check_prepared(check, err));
}
