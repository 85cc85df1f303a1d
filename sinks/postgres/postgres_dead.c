/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_dead.c - a command's own session does what the engine would do, under the lock of the position's
 * row.
 *
 * Letters are applied in batches, each a target transaction. Between two batches the engine may add
 * letters; they are later ones, so a later batch has them. A key is free only when its last letter is gone.
 */
#include "sinks/postgres/postgres_dead.h"

#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/dead/dead_list.h"
#include "sinks/postgres/dead/dead_tables.h"
#include "sinks/postgres/postgres.h"
#include "sinks/postgres/target/origin.h"

static struct target *target_behind(struct sink *sink) {
    return &((struct postgres_sink *) (void *) sink)->target;
}

/* *ret_exist: false when the sink never had a letter. */
static bool open_letters(struct sink *sink, bool *ret_exist, struct error *err) {
    return postgres_open_for_command((struct postgres_sink *) (void *) sink, err) &&
           dead_tables_exist(&target_behind(sink)->session, ret_exist, err);
}

static bool list_dead(struct sink *sink, const struct dead_wanted *wanted, dead_letter_fn *take,
                      void *context, struct error *err) {
    struct dead_record_reader reader;
    bool exist = false;
    dead_record_reader_init(&reader);
    const bool listed = open_letters(sink, &exist, err) &&
                        (!exist || dead_list_read(target_behind(sink), wanted, &reader, take, context, err));
    dead_record_reader_release(&reader);
    session_close(&target_behind(sink)->session);
    return listed;
}

/* ---- retry ---- */

struct retrying {
    struct postgres_sink *postgres;
    struct target *target;
    struct apply *apply;
    struct dead_letters letters;
    struct dead_retry retry;
    struct dead_record_reader reader;
    struct dead_batch batch;
    const char *done_by;
};

static bool commit_batch(struct retrying *retrying, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    struct target *target = retrying->target;
    struct pq_pipeline *pipeline = &retrying->apply->pipeline;
    FAULT_POINT("dead-retry-applied");
    if (!pq_pipeline_begin(pipeline, err))
        return false;
    if (!apply_send_release(retrying->apply, err) ||
        !conflict_counts_send(&target->conflicts, target->sink.config, pipeline, err) ||
        !apply_send_triggers_planner(retrying->apply, err) ||
        !pq_pipeline_query(pipeline, "commit", ANY, err) || !pq_pipeline_finish(pipeline, err)) {
        explain_commit_remedy(err);
        return error_wrap(err, "commit of dead letters");
    }
    target->in_transaction = false;
    target->conflicts = (struct conflict_counts){0};
    FAULT_POINT("dead-retry-committed");
    return true;
}

static bool retry_batch(struct retrying *retrying, const struct dead_wanted *wanted, uint64_t *settled,
                        struct error *err) {
    struct dead_batch *batch = &retrying->batch;
    uint64_t count = 0;
    if (!dead_list_begin(retrying->target, err) ||
        !dead_batch_read(batch, retrying->target, wanted, &retrying->reader, err))
        return false;
    retrying->retry.changes = batch->changes;
    retrying->retry.ids = batch->ids;
    retrying->retry.stays = batch->stays;
    if (!apply_changes(retrying->apply, batch->changes, batch->count, NULL, err) ||
        !dead_batch_settle(batch, retrying->target, retrying->done_by, &count, err))
        return false;
    *settled += count;
    return commit_batch(retrying, err);
}

static bool retry_all(struct retrying *retrying, const struct dead_wanted *wanted, struct dead_result *result,
                      struct error *err) {
    do {
        if (!retry_batch(retrying, wanted, &result->settled, err))
            return false;
    } while (retrying->batch.count > 0 && wanted->id == NULL);
    result->failed = retrying->retry.failed;
    result->waiting = retrying->retry.waiting;
    return true;
}

static bool begin_retry(struct retrying *retrying, struct error *err) {
    struct target *target = retrying->target;
    const char *origin = NULL;
    if (!postgres_prepare_command(retrying->postgres, err) ||
        !origin_read_option(target->sink.config, &origin, err))
        return false;
    if (origin != NULL && !origin_set_up(&target->session, origin, err))
        return error_remedy(err, "while the engine runs, its session holds the origin: stop it first");
    target->policy.detects_origin = false; /* the engine counts */
    retrying->apply = apply_new(target);
    if (retrying->apply == NULL)
        return error_no_memory(err);
    target->may_narrow = true;                /* the engine has refused it, or the operator has accepted it */
    retrying->apply->set_rows_min = SIZE_MAX; /* each letter is to succeed or fail by itself */
    retrying->apply->dead = &retrying->letters;
    return true;
}

static bool retry_dead(struct sink *sink, const struct dead_wanted *wanted, const char *done_by,
                       struct dead_result *ret_result, struct error *err) {
    struct retrying retrying = {.postgres = (struct postgres_sink *) (void *) sink,
                                .target = target_behind(sink),
                                .done_by = done_by};
    bool exist = false;
    *ret_result = (struct dead_result){0};
    dead_letters_init(&retrying.letters, retrying.target, SIZE_MAX);
    dead_record_reader_init(&retrying.reader);
    dead_batch_init(&retrying.batch);
    retrying.letters.retry = &retrying.retry;
    const bool done =
        open_letters(sink, &exist, err) &&
        (!exist || (dead_list_find(retrying.target, wanted, err) && begin_retry(&retrying, err) &&
                    retry_all(&retrying, wanted, ret_result, err)));
    apply_free(retrying.apply);
    dead_batch_release(&retrying.batch);
    dead_record_reader_release(&retrying.reader);
    dead_letters_release(&retrying.letters);
    session_close(&retrying.target->session);
    return done;
}

/* ---- skip ---- */

static bool skip_letters(struct target *target, const struct dead_wanted *wanted, bool with_waiting,
                         const char *reason, const char *done_by, struct dead_result *result,
                         struct error *err) {
    if (!dead_list_begin(target, err) || !dead_list_count(target, wanted, result, err) ||
        !dead_list_skip(target, wanted, with_waiting, reason, done_by, &result->settled, err))
        return false;
    result->waiting += result->failed;
    result->failed = 0;
    result->waiting -= result->settled;
    FAULT_POINT("dead-skipped");
    return session_execute(&target->session, "commit", err);
}

static bool skip_dead(struct sink *sink, const struct dead_wanted *wanted, bool with_waiting,
                      const char *reason, const char *done_by, struct dead_result *ret_result,
                      struct error *err) {
    struct target *target = target_behind(sink);
    bool exist = false;
    *ret_result = (struct dead_result){0};
    bool skipped = open_letters(sink, &exist, err);
    if (skipped && !exist)
        skipped = error_set(err, ERROR_CONFIG, "sink %s has no dead letters", sink->config->name);
    skipped = skipped && skip_letters(target, wanted, with_waiting, reason, done_by, ret_result, err);
    target->in_transaction = false;
    session_close(&target->session);
    return skipped;
}

static bool list_skipped(struct sink *sink, dead_skipped_fn *take, void *context, struct error *err) {
    bool exist = false;
    const bool listed = open_letters(sink, &exist, err) &&
                        (!exist || dead_list_read_skipped(target_behind(sink), take, context, err));
    session_close(&target_behind(sink)->session);
    return listed;
}

const struct sink_dead_ops postgres_dead_ops = {
    .list = list_dead, .retry = retry_dead, .skip = skip_dead, .list_skipped = list_skipped};
