/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_event.c - the table of events.
 */
#include "cdc/base/log_event.h"

#include <string.h>

static const struct {
    const char *word;
    enum log_level level;
} EVENTS[LOG_EVENTS] = {
    /* every command */
    [LOG_USAGE] = {"usage", LOG_LEVEL_ERROR},
    [LOG_MISCONFIGURED] = {"misconfigured", LOG_LEVEL_ERROR},
    [LOG_REFUSED] = {"refused", LOG_LEVEL_ERROR},
    [LOG_CHANGE_NOT_APPLIED] = {"change_not_applied", LOG_LEVEL_ERROR},
    [LOG_COUNT_DIFFERS] = {"count_differs", LOG_LEVEL_ERROR},
    [LOG_ENGINE_RUNNING] = {"engine_running", LOG_LEVEL_ERROR},
    [LOG_INTERRUPTED] = {"interrupted", LOG_LEVEL_ERROR},
    [LOG_FAILED] = {"failed", LOG_LEVEL_ERROR},
    [LOG_STOP_EXPLAINED] = {"stop_explained", LOG_LEVEL_ERROR},
    [LOG_OUTPUT_LOST] = {"output_lost", LOG_LEVEL_ERROR},
    /* a pipeline */
    [LOG_STREAMING_STARTED] = {"streaming_started", LOG_LEVEL_INFO},
    [LOG_PROGRESS] = {"progress", LOG_LEVEL_INFO},
    [LOG_RUN_ENDED] = {"run_ended", LOG_LEVEL_INFO},
    [LOG_RETRY] = {"retry", LOG_LEVEL_WARNING},
    [LOG_CHECKPOINT_CORRUPT] = {"checkpoint_corrupt", LOG_LEVEL_WARNING},
    [LOG_CHECKPOINT_NOT_WRITTEN] = {"checkpoint_not_written", LOG_LEVEL_ERROR},
    [LOG_CHECKPOINT_WRITTEN_AGAIN] = {"checkpoint_written_again", LOG_LEVEL_INFO},
    [LOG_TRANSACTION_SKIPPED] = {"transaction_skipped", LOG_LEVEL_WARNING},
    [LOG_CONFLICTS_SETTLED] = {"conflicts_settled", LOG_LEVEL_WARNING},
    [LOG_END_IS_AHEAD] = {"end_is_ahead", LOG_LEVEL_INFO},
    [LOG_END_INSIDE_TRANSACTION] = {"end_inside_transaction", LOG_LEVEL_WARNING},
    [LOG_PART_FAILED] = {"part_failed", LOG_LEVEL_ERROR},
    [LOG_NO_REQUESTS] = {"no_requests", LOG_LEVEL_WARNING},
    [LOG_FAILURE_NOT_STORED] = {"failure_not_stored", LOG_LEVEL_WARNING},
    [LOG_FAILURE_NOT_REMOVED] = {"failure_not_removed", LOG_LEVEL_WARNING},
    [LOG_ACTIVITY_NOT_STORED] = {"activity_not_stored", LOG_LEVEL_WARNING},
    [LOG_PUBLISHED_NOT_STORED] = {"published_not_stored", LOG_LEVEL_WARNING},
    [LOG_TAIL_STARTED] = {"tail_started", LOG_LEVEL_INFO},
    [LOG_HTTP_LISTENING] = {"http_listening", LOG_LEVEL_INFO},
    [LOG_SERVICE_NOT_TOLD] = {"service_not_told", LOG_LEVEL_WARNING},
    /* an operator */
    [LOG_SINKS_RENEWED] = {"sinks_renewed", LOG_LEVEL_INFO},
    [LOG_PAUSE_ASKED] = {"pause_asked", LOG_LEVEL_INFO},
    [LOG_RESUME_ASKED] = {"resume_asked", LOG_LEVEL_INFO},
    [LOG_PAUSED] = {"paused", LOG_LEVEL_INFO},
    [LOG_RESUMED] = {"resumed", LOG_LEVEL_INFO},
    [LOG_STARTS_PAUSED] = {"starts_paused", LOG_LEVEL_WARNING},
    [LOG_COPY_PAUSED] = {"copy_paused", LOG_LEVEL_INFO},
    [LOG_RELOADED] = {"reloaded", LOG_LEVEL_INFO},
    [LOG_NOT_RELOADED] = {"not_reloaded", LOG_LEVEL_WARNING},
    [LOG_LEVEL_CHANGED] = {"level_changed", LOG_LEVEL_INFO},
    [LOG_CLIENT_REFUSED] = {"client_refused", LOG_LEVEL_WARNING},
    [LOG_SIGNAL] = {"signal", LOG_LEVEL_INFO},
    [LOG_SIGNAL_IGNORED] = {"signal_ignored", LOG_LEVEL_WARNING},
    /* the source */
    [LOG_PUBLICATION_CREATED] = {"publication_created", LOG_LEVEL_INFO},
    [LOG_PUBLICATION_CHANGED] = {"publication_changed", LOG_LEVEL_INFO},
    [LOG_SLOT_CREATED] = {"slot_created", LOG_LEVEL_INFO},
    [LOG_SLOT_WAITS] = {"slot_waits", LOG_LEVEL_WARNING},
    [LOG_SLOT_IN_USE] = {"slot_in_use", LOG_LEVEL_INFO},
    [LOG_SLOT_FAILOVER_SET] = {"slot_failover_set", LOG_LEVEL_INFO},
    [LOG_STANDBYS_AWAITED] = {"standbys_awaited", LOG_LEVEL_WARNING},
    [LOG_STANDBYS_CONFIRMED] = {"standbys_confirmed", LOG_LEVEL_INFO},
    [LOG_SLOT_DROPPED] = {"slot_dropped", LOG_LEVEL_INFO},
    [LOG_SLOT_REMAINS] = {"slot_remains", LOG_LEVEL_WARNING},
    [LOG_SOURCE_SILENT] = {"source_silent", LOG_LEVEL_WARNING},
    [LOG_IDENTITY_UNUSABLE] = {"identity_unusable", LOG_LEVEL_WARNING},
    [LOG_TABLES_UNLIKE] = {"tables_unlike", LOG_LEVEL_WARNING},
    [LOG_TRIGGERS_UNUSABLE] = {"triggers_unusable", LOG_LEVEL_WARNING},
    [LOG_MESSAGE_UNREADABLE] = {"message_unreadable", LOG_LEVEL_WARNING},
    [LOG_SPOOL_FULL] = {"spool_full", LOG_LEVEL_WARNING},
    [LOG_SPOOL_HAS_ROOM] = {"spool_has_room", LOG_LEVEL_INFO},
    [LOG_ARCHIVE_NEED_NOT_TOLD] = {"archive_need_not_told", LOG_LEVEL_WARNING},
    [LOG_END_INSIDE_COPY] = {"end_inside_copy", LOG_LEVEL_WARNING},
    /* waits at a server */
    [LOG_LOCK_WAIT] = {"lock_wait", LOG_LEVEL_WARNING},
    [LOG_STANDBY_WAIT] = {"standby_wait", LOG_LEVEL_WARNING},
    [LOG_NO_ANSWER] = {"no_answer", LOG_LEVEL_WARNING},
    /* the copy */
    [LOG_COPY_STARTED] = {"copy_started", LOG_LEVEL_INFO},
    [LOG_COPY_CONTINUED] = {"copy_continued", LOG_LEVEL_INFO},
    [LOG_COPY_PROGRESS] = {"copy_progress", LOG_LEVEL_INFO},
    [LOG_COPY_COMPLETE] = {"copy_complete", LOG_LEVEL_INFO},
    [LOG_COPY_INTERRUPTED] = {"copy_interrupted", LOG_LEVEL_INFO},
    [LOG_COPY_ROLLED_BACK] = {"copy_rolled_back", LOG_LEVEL_WARNING},
    [LOG_COPY_IS_SIMPLE] = {"copy_is_simple", LOG_LEVEL_INFO},
    [LOG_COPY_WAITS] = {"copy_waits", LOG_LEVEL_WARNING},
    [LOG_COPY_WAITS_FOR_COMMIT] = {"copy_waits_for_commit", LOG_LEVEL_INFO},
    [LOG_COPY_WAITS_FOR_PUBLICATION] = {"copy_waits_for_publication", LOG_LEVEL_WARNING},
    [LOG_COPY_LEFT_OUT] = {"copy_left_out", LOG_LEVEL_WARNING},
    [LOG_RECORDS_PRESENT] = {"records_present", LOG_LEVEL_INFO},
    [LOG_TABLES_TO_COPY] = {"tables_to_copy", LOG_LEVEL_INFO},
    [LOG_TABLE_NOT_COPIED] = {"table_not_copied", LOG_LEVEL_WARNING},
    [LOG_TABLE_CHANGED] = {"table_changed", LOG_LEVEL_INFO},
    /* verify */
    [LOG_VERIFY_PROGRESS] = {"verify_progress", LOG_LEVEL_INFO},
    [LOG_VERIFY_RESUMED] = {"verify_resumed", LOG_LEVEL_INFO},
    [LOG_VERIFY_STARTS_OVER] = {"verify_starts_over", LOG_LEVEL_INFO},
    [LOG_VERIFY_INTERRUPTED] = {"verify_interrupted", LOG_LEVEL_INFO},
    [LOG_VERIFY_WAITS] = {"verify_waits", LOG_LEVEL_INFO},
    [LOG_VERIFY_WAITS_FOR_SINK] = {"verify_waits_for_sink", LOG_LEVEL_INFO},
    [LOG_VERIFY_UNDECIDED] = {"verify_undecided", LOG_LEVEL_WARNING},
    [LOG_VERIFY_FAILED] = {"verify_failed", LOG_LEVEL_WARNING},
    [LOG_VERIFY_NOT_STORED] = {"verify_not_stored", LOG_LEVEL_WARNING},
    [LOG_VERIFY_WITHOUT_SINK] = {"verify_without_sink", LOG_LEVEL_WARNING},
    [LOG_SINK_NOT_COMPARED] = {"sink_not_compared", LOG_LEVEL_WARNING},
    [LOG_DEAD_LETTERS_PRESENT] = {"dead_letters_present", LOG_LEVEL_WARNING},
    [LOG_TABLE_DIFFERS] = {"table_differs", LOG_LEVEL_WARNING},
    [LOG_TABLE_EQUAL_AGAIN] = {"table_equal_again", LOG_LEVEL_INFO},
    [LOG_REPAIR_PLANNED] = {"repair_planned", LOG_LEVEL_INFO},
    [LOG_REPAIR_STARTED] = {"repair_started", LOG_LEVEL_INFO},
    [LOG_REPAIR_WAITS] = {"repair_waits", LOG_LEVEL_INFO},
    [LOG_REPAIR_NOT_POSSIBLE] = {"repair_not_possible", LOG_LEVEL_WARNING},
    [LOG_NO_ENGINE] = {"no_engine", LOG_LEVEL_WARNING},
    /* sequences */
    [LOG_SEQUENCES_OBSTACLE] = {"sequences_obstacle", LOG_LEVEL_INFO},
    [LOG_SEQUENCES_FAILED] = {"sequences_failed", LOG_LEVEL_WARNING},
    [LOG_SEQUENCES_AHEAD] = {"sequences_ahead", LOG_LEVEL_INFO},
    /* moving a database */
    [LOG_MIGRATE_STEP] = {"migrate_step", LOG_LEVEL_INFO},
    [LOG_MIGRATE_STEP_DONE] = {"migrate_step_done", LOG_LEVEL_INFO},
    [LOG_MIGRATE_STEP_KNOWN] = {"migrate_step_known", LOG_LEVEL_INFO},
    [LOG_MIGRATE_FOLLOWS] = {"migrate_follows", LOG_LEVEL_INFO},
    [LOG_MIGRATE_STOPPED] = {"migrate_stopped", LOG_LEVEL_INFO},
    [LOG_PLAN_WARNING] = {"plan_warning", LOG_LEVEL_WARNING},
    [LOG_PLAN_HAS_PROBLEMS] = {"plan_has_problems", LOG_LEVEL_ERROR},
    [LOG_NOT_PROVEN_EQUAL] = {"not_proven_equal", LOG_LEVEL_ERROR},
    [LOG_SCHEMA_MADE] = {"schema_made", LOG_LEVEL_INFO},
    [LOG_SCHEMA_RETRY] = {"schema_retry", LOG_LEVEL_WARNING},
    [LOG_OBJECT_MADE] = {"object_made", LOG_LEVEL_INFO},
    [LOG_OBJECT_MADE_AGAIN] = {"object_made_again", LOG_LEVEL_INFO},
    [LOG_OBJECT_LEFT_OUT] = {"object_left_out", LOG_LEVEL_WARNING},
    [LOG_OBJECT_FAILED] = {"object_failed", LOG_LEVEL_WARNING},
    [LOG_OBJECT_STAYS] = {"object_stays", LOG_LEVEL_WARNING},
    [LOG_STATEMENT_PRINTED] = {"statement_printed", LOG_LEVEL_INFO},
    [LOG_SCRATCH_REMAINS] = {"scratch_remains", LOG_LEVEL_WARNING},
    [LOG_GAPS_UNKNOWN] = {"gaps_unknown", LOG_LEVEL_WARNING},
    [LOG_CUTOVER_STEP] = {"cutover_step", LOG_LEVEL_INFO},
    [LOG_CUTOVER_FOUND] = {"cutover_found", LOG_LEVEL_INFO},
    [LOG_CUTOVER_APPLIES] = {"cutover_applies", LOG_LEVEL_INFO},
    [LOG_CUTOVER_WAITS] = {"cutover_waits", LOG_LEVEL_INFO},
    [LOG_CUTOVER_UNDONE] = {"cutover_undone", LOG_LEVEL_WARNING},
    [LOG_CUTOVER_STUCK] = {"cutover_stuck", LOG_LEVEL_ERROR},
    [LOG_ENGINE_TOLD] = {"engine_told", LOG_LEVEL_INFO},
    [LOG_HOOK_STARTED] = {"hook_started", LOG_LEVEL_INFO},
    /* several databases */
    [LOG_DATABASE_STARTED] = {"database_started", LOG_LEVEL_INFO},
    [LOG_DATABASE_ENDED] = {"database_ended", LOG_LEVEL_INFO},
    [LOG_DATABASE_FAILED] = {"database_failed", LOG_LEVEL_ERROR},
    [LOG_DATABASE_NOT_STARTED] = {"database_not_started", LOG_LEVEL_ERROR},
    [LOG_DATABASE_KILLED] = {"database_killed", LOG_LEVEL_ERROR},
    [LOG_DATABASES_LOST] = {"databases_lost", LOG_LEVEL_WARNING},
    /* details, with --verbose */
    [LOG_ATTEMPT_FAILED] = {"attempt_failed", LOG_LEVEL_DEBUG},
    [LOG_START_DECIDED] = {"start_decided", LOG_LEVEL_DEBUG},
    [LOG_POSITION_SEEN] = {"position_seen", LOG_LEVEL_DEBUG},
    [LOG_SLOT_SEEN] = {"slot_seen", LOG_LEVEL_DEBUG},
    [LOG_SOURCE_SEEN] = {"source_seen", LOG_LEVEL_DEBUG},
    [LOG_SESSION_OPENED] = {"session_opened", LOG_LEVEL_DEBUG},
    [LOG_SESSION_SETTINGS] = {"session_settings", LOG_LEVEL_DEBUG},
    [LOG_PUBLICATION_USED] = {"publication_used", LOG_LEVEL_DEBUG},
    [LOG_TRIGGERS_USED] = {"triggers_used", LOG_LEVEL_DEBUG},
    [LOG_RELATION_SEEN] = {"relation_seen", LOG_LEVEL_DEBUG},
    [LOG_BATCH_HANDED_ON] = {"batch_handed_on", LOG_LEVEL_DEBUG},
    [LOG_GROUP_APPLIED] = {"group_applied", LOG_LEVEL_DEBUG},
    [LOG_POSITION_REPORTED] = {"position_reported", LOG_LEVEL_DEBUG},
    [LOG_CHECKPOINT_WRITTEN] = {"checkpoint_written", LOG_LEVEL_DEBUG},
    [LOG_READ_AHEAD] = {"read_ahead", LOG_LEVEL_DEBUG},
    [LOG_STATEMENT_RUNS] = {"statement_runs", LOG_LEVEL_DEBUG},
    [LOG_ARCHIVE_WITHOUT_SOURCE] = {"archive_without_source", LOG_LEVEL_DEBUG},
    [LOG_SEQUENCES_SET] = {"sequences_set", LOG_LEVEL_DEBUG},
    [LOG_TABLES_REREAD] = {"tables_reread", LOG_LEVEL_DEBUG},
    [LOG_VERIFY_ENGINE_AWAY] = {"verify_engine_away", LOG_LEVEL_DEBUG},
    [LOG_SCHEMA_READ_AGAIN] = {"schema_read_again", LOG_LEVEL_DEBUG},
    [LOG_OBJECT_BUILT] = {"object_built", LOG_LEVEL_DEBUG},
    [LOG_CUTOVER_UNKNOWN] = {"cutover_unknown", LOG_LEVEL_DEBUG},
};

const char *log_event_word(enum log_event event) {
    return EVENTS[event].word;
}

enum log_level log_event_level(enum log_event event) {
    return EVENTS[event].level;
}

enum log_event log_event_of(enum error_kind kind) {
    switch (kind) {
    case ERROR_CONFIG:
        return LOG_MISCONFIGURED;
    case ERROR_REFUSE:
        return LOG_REFUSED;
    case ERROR_DATA:
        return LOG_CHANGE_NOT_APPLIED;
    case ERROR_STOPPED:
        return LOG_INTERRUPTED;
    case ERROR_RUNNING:
        return LOG_ENGINE_RUNNING;
    case ERROR_DIFFERENT:
        return LOG_COUNT_DIFFERS;
    case ERROR_NONE:
    case ERROR_RETRY:
    case ERROR_PROTOCOL:
    case ERROR_NEEDS_TEXT:
    case ERROR_SYSTEM:
        break;
    }
    return LOG_FAILED;
}

const char *log_level_name(enum log_level level) {
    static const char *const NAMES[] = {"debug", "info", "warning", "error"};
    return NAMES[level];
}

bool log_level_parse(const char *name, enum log_level *ret_level) {
    for (enum log_level level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
        if (strcmp(name, log_level_name(level)) != 0)
            continue;
        *ret_level = level;
        return true;
    }
    return false;
}
