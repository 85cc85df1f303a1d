/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.c - finds the tables of a span of changes and decides how it is applied.
 */
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/catalog/generated.h"
#include "sinks/postgres/catalog/narrowing.h"
#include "sinks/postgres/settle/settle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_BLOCK_BYTES (64u * 1024u)
#define CATALOG_KEPT_BYTES (64u * 1024u * 1024u)  /* 9,000 tables of 100 columns */
#define CATALOG_BYTES_MAX (1024u * 1024u * 1024u) /* one TRUNCATE may name all tables */
#define ARRAY_BYTES_MAX (512u * 1024u * 1024u)    /* a parameter must stay below 1 GiB */
#define KEPT_BYTES_MAX (4u * 1024u * 1024u)
#define SET_ROWS_MIN 32u   /* for fewer rows, one statement per row in one round trip is faster */
#define WHOLE_ROWS_MAX 16u /* for more rows, a second round trip is cheaper than counting on the server */

struct apply *apply_new(struct target *target) {
    struct apply *apply = calloc(1, sizeof *apply);
    if (apply == NULL)
        return NULL;
    apply->target = target;
    apply->pipeline.session = &target->session;
    arena_init(&apply->catalog, CATALOG_BLOCK_BYTES, CATALOG_BYTES_MAX);
    arena_init(&apply->kept_relations, CATALOG_BLOCK_BYTES, CATALOG_BYTES_MAX);
    apply->catalog_kept_bytes = CATALOG_KEPT_BYTES;
    apply->set_rows_min = SET_ROWS_MIN;
    apply->whole_rows_max = WHOLE_ROWS_MAX;
    if (target->policy.detects_origin) { /* each row is asked about, and the counts go with the position */
        apply->set_rows_min = SIZE_MAX;
        apply->whole_rows_max = 0;
    }
    arena_init(&apply->conflict_arena, CATALOG_BLOCK_BYTES, ARRAY_BYTES_MAX);
    statements_init(&apply->statements);
    net_effect_init(&apply->net);
    apply->net.shows_conflicts = conflict_policy_settles(&target->policy);
    copy_in_init(&apply->copy, &target->session);
    buffer_init(&apply->arrays, ARRAY_BYTES_MAX);
    return apply;
}

void apply_free(struct apply *apply) {
    if (apply == NULL)
        return;
    buffer_release(&apply->arrays);
    copy_in_release(&apply->copy);
    net_effect_release(&apply->net);
    statements_release(&apply->statements);
    map_release(&apply->by_target);
    map_release(&apply->by_source);
    map_release(&apply->told_truncates);
    arena_release(&apply->conflict_arena);
    arena_release(&apply->kept_relations);
    arena_release(&apply->catalog);
    free(apply->tables);
    free(apply->kept);
    free(apply->flowing);
    free(apply);
}

static struct target_table *latest_table(const struct apply *apply, const struct relation *relation) {
    return map_find_number(&apply->by_source, relation->oid);
}

struct target_table *apply_table(const struct apply *apply, const struct relation *relation) {
    struct target_table *table = latest_table(apply, relation);
    while (table != NULL && table->relation != relation)
        table = table->previous;
    return table;
}

/* Of the new tables those whose rows are candidates. */
static bool prepare_settled(struct apply *apply, size_t count, size_t *ret_failed, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const struct relation *relation = apply->new_tables[i]->relation;
        *ret_failed = i;
        if (relation->policy != NULL &&
            !settle_prepare(&apply->target->session, apply->target->in_transaction, relation->policy,
                            relation->schema.data, relation->name.data, err))
            return false;
    }
    return true;
}

/* Looks up all new tables at once. */
static bool look_up(struct apply *apply, struct error *err) {
    size_t count = apply->new_count, failed = 0;
    apply->new_count = 0;
    if (count == 0)
        return true;
    if (prepare_settled(apply, count, &failed, err) &&
        target_tables_find(&apply->target->session, apply->new_tables, count, apply->target->role,
                           &apply->catalog, &failed, err) &&
        generated_check(&apply->target->sink, apply->new_tables, count, &failed, err) &&
        (apply->target->may_narrow ||
         narrowing_check_stream(&apply->target->session, apply->new_tables, count, &failed, err)))
        return true;
    if (apply->new_tables[failed]->is_missing)
        apply->target->sink.lack.relation_oid = apply->new_tables[failed]->relation->oid;
    const struct transaction *transaction = apply->new_changes[failed]->transaction;
    error_transaction(err, transaction->commit_lsn);
    return error_wrap(err, "the transaction that commits at %s",
                      lsn_format(transaction_named_lsn(transaction)).text);
}

/* Columns that the target is to have none for. */
static bool note_left_out(struct apply *apply, struct target_table *table, struct error *err) {
    bool left_out[RELATION_COLUMNS_MAX] = {0};
    const uint32_t count = table->relation->column_count;
    if (apply->schema == NULL)
        return true;
    table->left_out_of = schema_left_out(apply->schema, table->relation, left_out);
    if (table->left_out_of == 0)
        return true;
    bool *kept = arena_alloc(&apply->catalog, count);
    if (kept == NULL)
        return error_no_memory(err);
    memcpy(kept, left_out, count);
    table->left_out = kept;
    return true;
}

static bool add_table(struct apply *apply, const struct change *change, const struct relation *relation,
                      struct target_table **ret_table, struct error *err) {
    struct target_table *table = NULL;
    if (apply->new_count == TARGET_TABLES_MAX && !look_up(apply, err))
        return false;
    if (!target_table_new(relation, &apply->catalog, &table, err) || !note_left_out(apply, table, err))
        return false;
    table->previous = latest_table(apply, relation);
    if (!map_put_number(&apply->by_source, relation->oid, table))
        return error_no_memory(err);
    apply->new_tables[apply->new_count] = table;
    apply->new_changes[apply->new_count++] = change;
    *ret_table = table;
    return true;
}

static bool find_table(struct apply *apply, const struct change *change, const struct relation *relation,
                       struct target_table **ret_table, struct error *err) {
    *ret_table = apply_table(apply, relation);
    return *ret_table != NULL || add_table(apply, change, relation, ret_table, err);
}

static bool find_truncated(struct apply *apply, const struct change *change, struct error *err) {
    struct target_table *table = NULL;
    for (uint32_t i = 0; i < change->relation_count; i++)
        if (!find_table(apply, change, change->relations[i], &table, err))
            return false;
    return true;
}

static bool is_full(const struct apply *apply) {
    return apply->catalog.used_bytes >= apply->catalog_kept_bytes;
}

/* Forgets the prepared statements too: only the tables know their names. */
static void forget_tables(struct apply *apply) {
    assert(!apply->pipeline.active);
    net_effect_forget(&apply->net);
    statements_forget(&apply->statements);
    map_release(&apply->by_target);
    map_release(&apply->by_source);
    apply->new_count = 0;
    arena_reset(&apply->catalog);
}

static bool is_newly_different(const struct apply *apply, const struct change *change,
                               const struct relation *relation) {
    return apply->schema != NULL && apply_table(apply, relation) == NULL &&
           schema_differs(apply->schema, relation, change->transaction);
}

/* Everything before the change has been applied. The change of the table is a part of the transaction. */
static bool follow_relation(struct apply *apply, const struct relation *relation,
                            const struct transaction *transaction, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    assert(apply->new_count == 0);
    if (!pq_pipeline_begin(pipeline, err) || !target_begin(apply->target, pipeline, err) ||
        !apply_send_release(apply, err) || !pq_pipeline_finish(pipeline, err))
        return explain_pipeline(apply->target, &pipeline->failure, err);
    if (!schema_follow(apply->schema, relation, transaction, err))
        return false;
    forget_tables(apply);
    return true;
}

bool apply_define(struct apply *apply, const struct relation *relation, const struct transaction *place,
                  struct error *err) {
    return !schema_differs(apply->schema, relation, place) || follow_relation(apply, relation, place, err);
}

/* *ret_waits: a table's columns have changed, and changes before this one must be applied first. */
static bool follow_columns(struct apply *apply, const struct change *change, bool is_first, bool *ret_waits,
                           struct error *err) {
    const uint32_t count = change->kind == CHANGE_TRUNCATE ? change->relation_count : 1;
    const struct relation *const *relations =
        change->kind == CHANGE_TRUNCATE ? change->relations : &change->relation;
    for (uint32_t i = 0; i < count && !*ret_waits; i++) {
        if (!is_newly_different(apply, change, relations[i]))
            continue;
        *ret_waits = !is_first;
        if (is_first && !follow_relation(apply, relations[i], change->transaction, err))
            return false;
    }
    return true;
}

/*
 * Consecutive changes mostly belong to the same table. *ret_count: how many changes have their tables; fewer
 * than count when there is no room for the tables of the rest.
 */
static bool find_tables(struct apply *apply, const struct change *changes, size_t count, size_t *ret_count,
                        struct error *err) {
    struct target_table *last = NULL;
    bool waits = false;
    size_t i = 0;
    for (; i < count && (i == 0 || !is_full(apply)); i++) {
        apply->tables[i] = NULL;
        const bool has_new =
            change_is_row(&changes[i]) && (last == NULL || last->relation != changes[i].relation);
        if ((has_new || changes[i].kind == CHANGE_TRUNCATE) &&
            !follow_columns(apply, &changes[i], i == 0, &waits, err))
            return false;
        if (waits)
            break;
        if (changes[i].kind == CHANGE_TRUNCATE && !find_truncated(apply, &changes[i], err))
            return false;
        if (!change_is_row(&changes[i]))
            continue;
        if ((last == NULL || last->relation != changes[i].relation) &&
            !find_table(apply, &changes[i], changes[i].relation, &last, err))
            return false;
        apply->tables[i] = last;
    }
    *ret_count = i;
    return look_up(apply, err);
}

static bool make_room(struct apply *apply, size_t count, struct error *err) {
    if (count <= apply->table_capacity)
        return true;
    struct target_table **tables = reallocarray(apply->tables, count, sizeof(*tables));
    if (tables == NULL)
        return error_no_memory(err);
    apply->tables = tables;
    apply->table_capacity = count;
    return true;
}

static bool has_work(const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (change_is_row(&changes[i]) || changes[i].kind == CHANGE_TRUNCATE)
            return true;
    return false;
}

/*
 * Changes are applied in runs: either changes that a set can hold, or changes whose order can be observed
 * (TRUNCATE, and tables with triggers). A run also ends where a second definition of a table begins.
 */
static bool is_ordered(const struct change *change, const struct target_table *table) {
    return change->kind == CHANGE_TRUNCATE || (table != NULL && table->is_strict);
}

/*
 * What closes versions, which has fewer columns, and then what adds them: mode_rows.h has put them in an
 * order that sets keep. What closes versions after others were added is for a run of its own.
 */
static bool are_siblings(const struct target_table *before, const struct target_table *table) {
    return before->relation->mode == ROWS_HISTORY && table->relation->mode == ROWS_HISTORY &&
           before->relation->mapped_from == table->relation;
}

/* *ret_joins: false when the run already uses another definition of the same target table. */
static bool joins_run(struct apply *apply, struct target_table *table, bool *ret_joins, struct error *err) {
    const struct target_table *in_use = map_find_number(&apply->by_target, table->oid);
    *ret_joins =
        in_use == NULL || in_use == table || in_use->run != apply->run || are_siblings(in_use, table);
    table->run = apply->run;
    return in_use == table || !*ret_joins || map_put_number(&apply->by_target, table->oid, table)
               ? true
               : error_no_memory(err);
}

struct run {
    size_t end;
    size_t rows;
    bool is_ordered;
};

/* The run that starts at first. */
static bool find_run(struct apply *apply, const struct change *changes, size_t first, size_t count,
                     struct run *ret_run, struct error *err) {
    struct run run = {.end = first, .is_ordered = is_ordered(&changes[first], apply->tables[first])};
    const struct target_table *last = NULL;
    apply->run++;
    for (; run.end < count; run.end++) {
        struct target_table *table = apply->tables[run.end];
        bool joins = is_ordered(&changes[run.end], table) == run.is_ordered;
        if (joins && table != NULL && table != last && !joins_run(apply, table, &joins, err))
            return false;
        if (!joins)
            break;
        last = table;
        run.rows += table != NULL;
    }
    *ret_run = run;
    return true;
}

static bool apply_range(struct apply *apply, const struct change *changes, size_t first, size_t end,
                        bool (*way)(struct apply *, const struct span *, struct error *), struct error *err) {
    const struct span span = {
        .changes = changes + first, .tables = apply->tables + first, .count = end - first};
    return first == end || !has_work(span.changes, span.count) || way(apply, &span, err);
}

static bool has_failed_whole(const struct apply *apply, const struct target_table *table) {
    const struct whole_failures *failures = &apply->target->whole_failures;
    for (uint32_t i = 0; i < failures->count && i < WHOLE_FAILURES_MAX; i++)
        if (failures->tables[i] == table->oid)
            return true;
    return false;
}

/*
 * Tables with rules, late checks or earlier failures take the plain path, which gets an answer to each
 * statement.
 */
static bool wants_answers(const struct apply *apply, const struct target_table *table) {
    return table->has_rules || table->defers_checks || has_failed_whole(apply, table);
}

/* True for few rows in tables without triggers, rules or late checks. */
static bool may_be_whole(const struct apply *apply, const struct change *changes, size_t count) {
    size_t rows = 0;
    if (apply->target->whole_failures.anywhere)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct target_table *table = apply->tables[i];
        if (is_ordered(&changes[i], table) || (table != NULL && wants_answers(apply, table)))
            return false;
        rows += table != NULL;
    }
    assert(apply->whole_rows_max <= PIPELINE_COMMANDS_MAX / 4);
    return rows <= apply->whole_rows_max;
}

static bool apply_runs(struct apply *apply, const struct change *changes, size_t count, struct error *err) {
    size_t waiting = 0; /* changes from here on wait to be applied row by row, together with what follows */
    struct run run = {0};
    for (size_t first = 0; first < count; first = run.end) {
        if (!find_run(apply, changes, first, count, &run, err))
            return false;
        if (run.is_ordered || run.rows < apply->set_rows_min)
            continue;
        if (!apply_range(apply, changes, waiting, first, apply_rows, err) ||
            !apply_range(apply, changes, first, run.end, apply_sets, err))
            return false;
        waiting = run.end;
    }
    return apply_range(apply, changes, waiting, count, apply_rows, err);
}

/* A large value grows the buffer; release the memory, because another may never come. */
static void trim(struct buffer *buffer) {
    if (buffer->capacity > KEPT_BYTES_MAX)
        buffer_release(buffer);
}

static bool apply_found(struct apply *apply, const struct change *changes, size_t count,
                        const struct position *until, struct error *err) {
    const struct span span = {.changes = changes, .tables = apply->tables, .count = count};
    if (until != NULL && !apply->target->in_transaction && may_be_whole(apply, changes, count))
        return apply_whole(apply, &span, until, err);
    return apply_runs(apply, changes, count, err);
}

/* Called between two transactions: a table may have acquired a trigger or become unlogged. */
static bool forget_changed(struct apply *apply, struct error *err) {
    bool has_changed = false;
    if (apply->target->in_transaction || apply->pipeline.active)
        return true;
    if (!target_watch_ask(&apply->watch, &apply->target->session, &has_changed, err))
        return false;
    if (has_changed)
        forget_tables(apply);
    return true;
}

/* Applies the changes in parts when they belong to more tables than are kept. */
static bool apply_parts(struct apply *apply, const struct change *changes, size_t count,
                        const struct position *until, struct error *err) {
    for (size_t first = 0, found = 0; first < count; first += found) {
        if (is_full(apply))
            forget_tables(apply);
        if (!find_tables(apply, changes + first, count - first, &found, err) ||
            !apply_found(apply, changes + first, found, found == count ? until : NULL, err))
            return false;
    }
    return true;
}

bool apply_flowing(struct apply *apply, const struct change *changes, size_t count, struct error *err) {
    return !has_work(changes, count) || apply_parts(apply, changes, count, NULL, err);
}

bool apply_changes(struct apply *apply, const struct change *changes, size_t count,
                   const struct position *until, struct error *err) {
    if (!apply_keep(apply, &changes, &count, err))
        return false;
    if (!has_work(changes, count))
        return true;
    bool applied = make_room(apply, count, err) && forget_changed(apply, err) &&
                   (apply->dead != NULL && apply->dead->retry == NULL && dead_letters_exist(apply->dead)
                        ? apply_beside_dead(apply, changes, count, err)
                        : apply_parts(apply, changes, count, until, err));
    trim(&apply->statements.texts);
    trim(&apply->arrays);
    trim(&apply->copy.buffer);
    return applied;
}
