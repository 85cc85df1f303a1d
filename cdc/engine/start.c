/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - the decisions and refusals of a start, one function each.
 */
#include "cdc/engine/start.h"

#include "cdc/base/start_over.h"

#include <inttypes.h>
#include <string.h>

lsn_t start_lsn(const struct position *positions, size_t count) {
    lsn_t lsn = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || positions[i].end_lsn < lsn)
            lsn = positions[i].end_lsn;
    return lsn;
}

static const char *sink_name(const struct start_facts *facts, size_t i) {
    return facts->config->sinks[i].sink.name;
}

static size_t count_positions(const struct start_facts *facts) {
    size_t count = 0;
    for (size_t i = 0; i < facts->config->sink_count; i++)
        count += position_exists(&facts->positions[i]);
    return count;
}

void start_complete(const struct config *config, const struct checkpoint *checkpoint,
                    struct position *positions) {
    if (checkpoint->phase != CHECKPOINT_STREAMING)
        return;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct checkpoint_sink *on_disk = checkpoint_find(checkpoint, &config->sinks[i].sink);
        if (!config->sinks[i].ops->stores_position && on_disk != NULL)
            positions[i] = on_disk->position;
    }
}

static bool check_version(const struct start_facts *facts, struct error *err) {
    if (facts->checkpoint->phase != CHECKPOINT_NEWER)
        return true;
    return error_set(err, ERROR_REFUSE,
                     "%s/%s.checkpoint was written by a newer pgcdc: it contains something that this version "
                     "does not know",
                     facts->config->state, facts->config->name) ||
           error_remedy(err, "run that version, or " START_OVER);
}

/* A position in another stream says nothing about this one, and the next checkpoint would not have it. */
static bool check_streams(const struct start_facts *facts, struct error *err) {
    const struct config *config = facts->config;
    for (size_t i = 0; i < facts->checkpoint->sink_count; i++) {
        const struct checkpoint_sink *on_disk = &facts->checkpoint->sinks[i];
        bool is_read = on_disk->stream[0] == '\0';
        for (size_t j = 0; j < config->sink_count; j++)
            is_read = is_read || checkpoint_find(facts->checkpoint, &config->sinks[j].sink) == on_disk;
        if (!is_read)
            return error_set(err, ERROR_REFUSE,
                             "%s/%s.checkpoint has a position of sink %s in stream %s, which this pipeline "
                             "does not read",
                             config->state, config->name, on_disk->name, on_disk->stream) ||
                   error_remedy(err, "run the version and the configuration that wrote it, or " START_OVER);
    }
    return true;
}

/*
 * The disk is never ahead of a sink. If it is, the sink lost changes: it was restored or emptied, or it is
 * another target.
 */
static bool check_disk(const struct start_facts *facts, size_t i, struct error *err) {
    const struct checkpoint_sink *on_disk = checkpoint_find(facts->checkpoint, &facts->config->sinks[i].sink);
    const struct position *position = &facts->positions[i];
    if (facts->checkpoint->phase != CHECKPOINT_STREAMING || on_disk == NULL ||
        on_disk->position.end_lsn <= position->end_lsn)
        return true;
    if (!position_exists(position))
        return error_set(err, ERROR_REFUSE,
                         "sink %s has no position although it had %s according to %s/%s.checkpoint: it was "
                         "emptied, or it is another "
                         "target",
                         sink_name(facts, i), lsn_format(on_disk->position.end_lsn).text,
                         facts->config->state, facts->config->name) ||
               error_remedy(err, "point to the right one, or " START_OVER);
    return error_set(err, ERROR_REFUSE,
                     "sink %s is at %s but was at %s before: it lost changes (restored from a backup?)",
                     sink_name(facts, i), lsn_format(position->end_lsn).text,
                     lsn_format(on_disk->position.end_lsn).text) ||
           error_remedy(err, "restore a newer one, or " START_OVER);
}

static bool check_source(const struct start_facts *facts, size_t i, struct error *err) {
    const struct position *position = &facts->positions[i];
    if (position->system_id != facts->identity->system_id)
        return error_set(err, ERROR_REFUSE,
                         "the source is another cluster: system identifier %" PRIu64
                         ", but sink %s has a position of "
                         "%" PRIu64,
                         facts->identity->system_id, sink_name(facts, i), position->system_id) ||
               error_remedy(err, "point source.dsn to the right server, or " START_OVER);
    if (position->end_lsn > facts->identity->flush_lsn && facts->identity->is_standby)
        return error_set(err, ERROR_RETRY,
                         "sink %s is at %s, but the standby that is the source has WAL only "
                         "up to %s: waiting until it has received more",
                         sink_name(facts, i), lsn_format(position->end_lsn).text,
                         lsn_format(facts->identity->flush_lsn).text);
    if (position->end_lsn > facts->identity->flush_lsn && facts->slot == NULL)
        return error_set(
            err, ERROR_RETRY,
            "sink %s is at %s, but the archive has changes only up to %s: waiting until it has more",
            sink_name(facts, i), lsn_format(position->end_lsn).text,
            lsn_format(facts->identity->flush_lsn).text);
    if (position->end_lsn > facts->identity->flush_lsn)
        return error_set(err, ERROR_REFUSE,
                         "sink %s is at %s, beyond the end of the source's WAL at %s: the source went back "
                         "(restored from a backup, or a standby was promoted that lacked changes?) and would "
                         "silently send nothing",
                         sink_name(facts, i), lsn_format(position->end_lsn).text,
                         lsn_format(facts->identity->flush_lsn).text) ||
               error_remedy(err, START_OVER);
    return true;
}

static bool check_gap(const struct start_facts *facts, size_t i, struct error *err) {
    const struct position *position = &facts->positions[i];
    lsn_t confirmed_lsn = facts->slot->confirmed_lsn;
    if (confirmed_lsn <= position->end_lsn)
        return true;
    return error_set(err, ERROR_REFUSE,
                     "slot %s is at %s, ahead of sink %s at %s: %" PRIu64
                     " bytes of WAL in between are gone (the slot was advanced or "
                     "created again, or the sink went back)",
                     facts->config->source.slot, lsn_format(confirmed_lsn).text, sink_name(facts, i),
                     lsn_format(position->end_lsn).text, confirmed_lsn - position->end_lsn) ||
           error_remedy(err, START_OVER);
}

/* Why the server invalidated the slot, in the server's words, and how to prevent that. */
static const struct loss {
    const char *reason;
    const char *meaning;
    const char *remedy;
} LOSSES[] = {
    {"wal_removed", "the server removed WAL that it needs",
     "raise max_slot_wal_keep_size at the source (select pg_reload_conf() afterwards), then "},
    {"idle_timeout", "it was not read for longer than idle_replication_slot_timeout",
     "raise idle_replication_slot_timeout at the source or set it to 0 (select pg_reload_conf() afterwards), "
     "then "},
    {"rows_removed", "the server removed catalog rows that it needs",
     "set hot_standby_feedback = on where the slot is on a standby, then "},
    {"wal_level_insufficient", "wal_level was lowered below logical",
     "set wal_level = logical at the source and restart it, then "},
    {"conflict", "a recovery conflict invalidated it",
     "keep wal_level = logical on the primary and hot_standby_feedback = on on the standby, then "},
    {"restart_lsn is null", "it no longer holds any WAL", ""},
    {NULL, "the server invalidated it", "see the server's log for the cause, then "},
};

static const struct loss *loss_of(const char *reason) {
    const struct loss *loss = LOSSES;
    while (loss->reason != NULL && strcmp(loss->reason, reason) != 0)
        loss++;
    return loss;
}

/* Whatever the positions: a slot that cannot be used. */
static bool check_slot(const struct start_facts *facts, struct error *err) {
    const struct slot_facts *slot = facts->slot;
    const char *name = facts->config->source.slot;
    if (!slot->exists)
        return true;
    if (!slot->is_logical || !slot->is_pgoutput)
        return error_set(err, ERROR_REFUSE, "slot %s is not a logical slot with plugin pgoutput", name) ||
               error_remedy(err, "give source.slot another name, or drop that slot");
    if (slot->is_two_phase)
        return error_set(err, ERROR_REFUSE,
                         "slot %s was created with two_phase, which would send a transaction before it has "
                         "committed",
                         name) ||
               error_remedy(err, "create it without, or give source.slot another name");
    if (strcmp(slot->database, facts->identity->database) != 0)
        return error_set(err, ERROR_REFUSE, "slot %s belongs to database %s, but source.dsn connects to %s",
                         name, slot->database, facts->identity->database) ||
               error_remedy(err, "correct source.dsn, or give source.slot another name");
    if (slot->is_synced && facts->identity->is_standby)
        return error_set(
                   err, ERROR_RETRY,
                   "slot %s on this standby is the server's copy of its primary's slot, which can be read "
                   "only after a promotion",
                   name) ||
               error_remedy(err, "let source.dsn list the servers of the cluster, with "
                                 "target_session_attrs=read-write");
    if (slot->is_lost)
        return error_set(err, ERROR_REFUSE, "slot %s is lost (%s): %s", name, slot->reason,
                         loss_of(slot->reason)->meaning) ||
               error_remedy(err, "%s" START_OVER, loss_of(slot->reason)->remedy);
    return true;
}

/* As check_gap, for a reader without a slot. */
static bool check_first(const struct start_facts *facts, size_t i, struct error *err) {
    const struct position *position = &facts->positions[i];
    if (facts->first_lsn <= position->end_lsn)
        return true;
    return error_set(err, ERROR_REFUSE,
                     "the source's changes begin at %s, after sink %s at %s: those in between are gone",
                     lsn_format(facts->first_lsn).text, sink_name(facts, i),
                     lsn_format(position->end_lsn).text) ||
           error_remedy(err, START_OVER);
}

static bool check_begins(const struct start_facts *facts, struct error *err) {
    for (size_t i = 0; i < facts->config->sink_count; i++)
        if (facts->slot != NULL ? !check_gap(facts, i, err) : !check_first(facts, i, err))
            return false;
    return true;
}

/* Every sink has a position, so the slot must fit them. */
static bool check_positions(const struct start_facts *facts, struct error *err) {
    if (facts->slot == NULL)
        return check_begins(facts, err);
    if (!facts->slot->exists && facts->identity->is_standby)
        return error_set(err, ERROR_REFUSE,
                         "slot %s is missing on this standby although sink %s has position %s: another "
                         "server of the cluster may have it",
                         facts->config->source.slot, sink_name(facts, 0),
                         lsn_format(facts->positions[0].end_lsn).text) ||
               error_remedy(err, "let source.dsn point to that one (the primary: "
                                 "target_session_attrs=read-write); when the slot is gone, " START_OVER);
    if (!facts->slot->exists)
        return error_set(err, ERROR_REFUSE,
                         "slot %s is missing although sink %s has position %s: changes since then cannot be "
                         "recovered (slot dropped, or a failover without its slots?)",
                         facts->config->source.slot, sink_name(facts, 0),
                         lsn_format(facts->positions[0].end_lsn).text) ||
               error_remedy(err, START_OVER);
    return check_begins(facts, err);
}

static bool refuse_newcomer(const struct start_facts *facts, struct error *err) {
    size_t without = 0;
    while (position_exists(&facts->positions[without]))
        without++;
    return error_set(
               err, ERROR_REFUSE,
               "sink %s has no position but others of pipeline %s have: it would miss all earlier changes",
               sink_name(facts, without), facts->config->name) ||
           error_remedy(err, "give it a pipeline of its own, or " START_OVER);
}

/* No sink has a position. */
static bool decide_new(const struct start_facts *facts, enum start_action *ret_action, struct error *err) {
    const char *slot = facts->config->source.slot;
    if (facts->checkpoint->phase == CHECKPOINT_CORRUPT)
        return error_set(err, ERROR_REFUSE,
                         "%s/%s.checkpoint is corrupt, and no sink has a position: "
                         "the pipeline's position is unknown",
                         facts->config->state, facts->config->name) ||
               error_remedy(err, START_OVER);
    if (facts->config->source.archive != NULL && facts->config->source.dsn != NULL)
        return error_set(err, ERROR_REFUSE,
                         "sink %s has no position, and buffer %s does not have the rows from before it",
                         sink_name(facts, 0), facts->config->source.archive) ||
               error_remedy(err, "point to the right target, or " START_OVER);
    if (facts->slot == NULL || !facts->slot->exists) {
        *ret_action = START_NEW;
        return true;
    }
    if (facts->checkpoint->phase == CHECKPOINT_COPYING && strcmp(facts->checkpoint->slot, slot) == 0) {
        *ret_action = START_COPY_AGAIN;
        return true;
    }
    if (!check_slot(facts, err))
        return false;
    if (facts->config->source.snapshot == SNAPSHOT_NEVER) {
        *ret_action = START_ADOPT;
        return true;
    }
    return error_set(err, ERROR_REFUSE,
                     "slot %s exists but no sink has a position: it is unknown which pipeline created it",
                     slot) ||
           error_remedy(err, "if it is left over from this pipeline, run `pgcdc drop`; to continue "
                             "from it without a copy, set source.snapshot to never");
}

bool start_decide(const struct start_facts *facts, enum start_action *ret_action, struct error *err) {
    size_t count = count_positions(facts);
    if (!check_version(facts, err) || !check_streams(facts, err))
        return false;
    for (size_t i = 0; i < facts->config->sink_count; i++) {
        if (!check_disk(facts, i, err))
            return false;
        if (position_exists(&facts->positions[i]) && !check_source(facts, i, err))
            return false;
    }
    if (count == 0)
        return decide_new(facts, ret_action, err);
    if (facts->slot != NULL && !check_slot(facts, err))
        return false;
    if (count < facts->config->sink_count)
        return refuse_newcomer(facts, err);
    *ret_action = START_STREAM;
    return check_positions(facts, err);
}

bool start_can_fork(const struct position *position, const struct source_identity *identity) {
    return position_exists(position) && position->system_id == identity->system_id;
}

bool start_check_fork(const struct position *position, const char *sink, lsn_t fork_lsn,
                      const struct source_identity *identity, struct error *err) {
    if (fork_lsn == 0 || position->end_lsn <= fork_lsn)
        return true;
    return error_set(err, ERROR_REFUSE,
                     "sink %s is at %s on timeline %" PRIu32 ", but the source is on timeline %" PRIu32
                     ", which left that one at %s: the "
                     "sink has changes that the source never had",
                     sink, lsn_format(position->end_lsn).text, position->timeline, identity->timeline,
                     lsn_format(fork_lsn).text) ||
           error_remedy(err, START_OVER);
}
