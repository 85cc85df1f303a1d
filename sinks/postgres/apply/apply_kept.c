/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_kept.c - what of a span is applied at all: not the changes of tables that neither side has any more,
 * nor a TRUNCATE that the policy of its table ignores.
 */
#include <stdlib.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"

/* See struct sink_facts. */
static bool is_gone(const struct apply *apply, const struct relation *relation) {
    for (size_t i = 0; i < apply->target->sink.facts.gone_count; i++)
        if (apply->target->sink.facts.gone[i] == relation->oid)
            return true;
    return false;
}

static bool stop_truncate(const struct relation *relation, const struct transaction *transaction,
                          struct error *err) {
    error_set(err, ERROR_DATA, "target: table %s.%s was truncated at the source, and truncate is stop",
              relation->schema.data, relation->name.data);
    error_remedy(err,
                 "say truncate: apply or ignore for it in ddl, or in the options of the sink; then start "
                 "again");
    return error_transaction(err, transaction->commit_lsn);
}

/* Said once for each table, counted always. */
static bool tell_ignored(struct apply *apply, const struct relation *relation,
                         const struct transaction *transaction, struct error *err) {
    struct buffer *news = &apply->target->sink.news;
    apply->target->conflicts.pending[CONFLICT_TRUNCATE_IGNORED]++;
    if (map_find_number(&apply->told_truncates, relation->oid) != NULL)
        return true;
    if (!map_put_number(&apply->told_truncates, relation->oid, apply))
        return error_no_memory(err);
    buffer_printf(news,
                  "table %s.%s: was truncated at the source and keeps its rows (truncate: ignore), with the "
                  "transaction that commits at %s\n",
                  relation->schema.data, relation->name.data,
                  lsn_format(transaction_named_lsn(transaction)).text);
    return buffer_ok(news) || error_no_memory(err);
}

/* *ret_ignored is true for a table that keeps its rows. */
static bool settle_truncate(struct apply *apply, const struct relation *in_sink,
                            const struct transaction *transaction, bool *ret_ignored, struct error *err) {
    const struct relation *relation = in_sink->mapped_from != NULL ? in_sink->mapped_from : in_sink;
    struct schema_policy policy;
    *ret_ignored = false;
    if (apply->schema == NULL || !apply->schema->settles_truncate)
        return true;
    if (!schema_policy_of_table(apply->target->sink.config, &apply->schema->policy, relation->schema.data,
                                relation->name.data, &policy, err))
        return false;
    if (policy.actions[DDL_TRUNCATE] == DDL_STOP)
        return stop_truncate(relation, transaction, err);
    *ret_ignored = policy.actions[DDL_TRUNCATE] == DDL_IGNORE;
    return !*ret_ignored || tell_ignored(apply, relation, transaction, err);
}

/* A TRUNCATE of several tables continues for the others. *ret_kept: false when there is none. */
static bool keep_truncated(struct apply *apply, struct change *change, bool *ret_kept, bool *ret_counted,
                           struct error *err) {
    uint32_t count = 0;
    bool is_ignored = false;
    const struct relation **relations =
        arena_alloc(&apply->kept_relations, (change->relation_count + 1) * sizeof *relations);
    if (relations == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        if (is_gone(apply, change->relations[i]))
            continue;
        if (!settle_truncate(apply, change->relations[i], change->transaction, &is_ignored, err))
            return false;
        *ret_counted |= is_ignored;
        if (!is_ignored)
            relations[count++] = change->relations[i];
    }
    *ret_kept = count > 0;
    change->relations = relations;
    change->relation_count = count;
    return true;
}

static bool keep_changes(struct apply *apply, const struct change **changes, size_t *count, bool *ret_counted,
                         struct error *err) {
    struct change *kept = reallocarray(apply->kept, *count, sizeof *kept);
    size_t kept_count = 0;
    arena_reset(&apply->kept_relations);
    if (kept == NULL)
        return error_no_memory(err);
    apply->kept = kept;
    for (size_t i = 0; i < *count; i++) {
        const struct change *change = &(*changes)[i];
        bool is_kept = !change_is_row(change) || !is_gone(apply, change->relation);
        kept[kept_count] = *change;
        if (change->kind == CHANGE_TRUNCATE &&
            !keep_truncated(apply, &kept[kept_count], &is_kept, ret_counted, err))
            return false;
        kept_count += is_kept;
    }
    *changes = kept;
    *count = kept_count;
    return true;
}

static bool has_truncate(const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == CHANGE_TRUNCATE)
            return true;
    return false;
}

/* The count is stored with the position, so it needs a transaction, also when nothing else is done in it. */
static bool begin_counting(struct apply *apply, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    if (!pq_pipeline_begin(pipeline, err) || !target_begin(apply->target, pipeline, err) ||
        !pq_pipeline_finish(pipeline, err))
        return explain_pipeline(apply->target, &pipeline->failure, err);
    FAULT_POINT("truncate-ignored");
    return true;
}

bool apply_keep(struct apply *apply, const struct change **changes, size_t *count, struct error *err) {
    bool is_counted = false;
    const bool settles =
        apply->schema != NULL && apply->schema->settles_truncate && has_truncate(*changes, *count);
    if (*count == 0 || (apply->target->sink.facts.gone_count == 0 && !settles))
        return true;
    return keep_changes(apply, changes, count, &is_counted, err) &&
           (!is_counted || begin_counting(apply, err));
}
