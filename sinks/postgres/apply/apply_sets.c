/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_sets.c - applies the net effect of a span: for each table delete by keys, update by keys, COPY new
 * rows.
 *
 * The order between tables and rows is not kept. That is correct as long as nothing on the target depends on
 * it. A unique index other than the key can: then a statement fails or reports a wrong row count, everything
 * since the savepoint is rolled back, and the span is applied row by row. For such a table sets are not
 * tried again for a while.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/apply/array_encoder.h"
#include "sinks/postgres/apply/copy_rows.h"
#include "sinks/postgres/apply/key_order.h"
#include "sinks/postgres/apply/row_match.h"

#define COPY_ROWS_MIN 64u /* for fewer rows the round trips of a COPY cost more than they save */
#define PAUSE_BITS_MAX                                                                                       \
    10u /* 2^10: a table is applied row by row for at most 1024 spans before sets are tried again */

static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};

/* The rows of one table that one statement changes. */
struct effect_list {
    const struct effect **effects;
    uint32_t count;
};

/* Sent before and after the statements for rows without a key, whose plan must be hash joins only. */
static bool send_hash_joins(struct apply *apply, bool on, struct error *err) {
    return pq_pipeline_query(&apply->pipeline,
                             on ? "set local enable_hashjoin = on" : "set local enable_hashjoin = off", ANY,
                             err) &&
           pq_pipeline_query(&apply->pipeline,
                             on ? "set local enable_nestloop = off" : "set local enable_nestloop to default",
                             ANY, err);
}

static struct value number_value(const uint32_t *big_endian) {
    return (struct value){
        .kind = VALUE_BINARY, .data = (const char *) big_endian, .size = sizeof *big_endian};
}

/* Encodes which rows were identical, and each row's ordinal among them. */
static void encode_places(struct apply *apply, enum parameter_kind kind, const struct effect_list *list) {
    static const struct target_column INT4 = {.type_oid = 23, .delimiter = ','};
    struct array_encoder array;
    array_encoder_begin(&array, &apply->arrays, &INT4, true, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct image_place *place = &apply->net.places[list->effects[i] - apply->net.effects];
        uint32_t number = htonl(kind == PARAMETER_IMAGE ? place->image : place->rank);
        const struct value value = number_value(&number);
        array_encoder_add(&array, &value);
    }
    array_encoder_end(&array);
}

/* Bits are in the order of get_bit. */
static void encode_written(struct apply *apply, uint32_t columns, const struct effect_list *list) {
    static const struct target_column BYTEA = {.type_oid = 17, .delimiter = ','};
    uint8_t bits[COLUMN_SET_WORDS * sizeof(uint64_t)];
    const struct value value = {.kind = VALUE_BINARY, .data = (const char *) bits, .size = (columns + 7) / 8};
    struct array_encoder array;
    array_encoder_begin(&array, &apply->arrays, &BYTEA, true, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        memset(bits, 0, value.size);
        for (uint32_t c = 0; c < columns; c++)
            if (list->effects[i]->values[c].kind != VALUE_UNCHANGED)
                bits[c / 8] |= (uint8_t) (1u << c % 8);
        array_encoder_add(&array, &value);
    }
    array_encoder_end(&array);
}

static void encode_column(struct apply *apply, const struct table_effect *of_table,
                          const struct statement_parameter *parameter, const struct effect_list *list) {
    static const struct value NOTHING = {.kind = VALUE_NULL}; /* for rows that do not set the column */
    struct array_encoder array;
    uint32_t column = parameter->column;
    array_encoder_begin(&array, &apply->arrays, &of_table->table->columns[column],
                        of_table->formats[column] == FORMAT_BINARY, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct value *values = parameter->is_old ? list->effects[i]->key : list->effects[i]->values;
        array_encoder_add(&array, values[column].kind != VALUE_UNCHANGED ? &values[column] : &NOTHING);
    }
    array_encoder_end(&array);
}

static bool is_binary_parameter(const struct table_effect *of_table,
                                const struct statement_parameter *parameter) {
    return parameter->kind != PARAMETER_VALUE || of_table->formats[parameter->column] == FORMAT_BINARY;
}

static void encode_parameter(struct apply *apply, const struct table_effect *of_table,
                             const struct statement_parameter *parameter, const struct effect_list *list) {
    switch (parameter->kind) {
    case PARAMETER_VALUE:
        encode_column(apply, of_table, parameter, list);
        break;
    case PARAMETER_IMAGE:
    case PARAMETER_RANK:
        encode_places(apply, parameter->kind, list);
        break;
    case PARAMETER_WRITTEN:
        encode_written(apply, of_table->table->column_count, list);
        break;
    }
}

/* All arrays are in one buffer; pointers into it are taken once it no longer grows. */
static bool encode_parameters(struct apply *apply, const struct table_effect *of_table,
                              const struct statement *statement, const struct effect_list *list,
                              struct error *err) {
    struct statements *scratch = &apply->statements;
    buffer_reset(&apply->arrays);
    for (int i = 0; i < statement->parameter_count; i++) {
        size_t start = apply->arrays.size;
        encode_parameter(apply, of_table, &statement->parameters[i], list);
        scratch->sizes[i] = (int) (apply->arrays.size - start);
        scratch->formats[i] = is_binary_parameter(of_table, &statement->parameters[i]);
    }
    if (!buffer_ok(&apply->arrays))
        return error_no_memory(err);
    const char *next = apply->arrays.data;
    for (int i = 0; i < statement->parameter_count; i++) {
        scratch->values[i] = next;
        next += scratch->sizes[i];
    }
    return true;
}

/* Finds which columns of an index are NULL in all rows to be found, and which in some. */
static void find_nulls(const struct table_effect *of_table, const struct effect_list *list,
                       struct statement_form *form) {
    uint32_t some = 0;
    form->nulls = UINT32_MAX;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t nulls = row_match_nulls(of_table->table, list->effects[i]->key);
        some |= nulls;
        form->nulls &= nulls;
    }
    form->mixed = some & ~form->nulls;
}

static bool send_set(struct apply *apply, const struct table_effect *of_table, struct statement_form form,
                     const struct effect_list *list, struct error *err) {
    const struct statement *statement = NULL;
    struct statements *scratch = &apply->statements;
    if (of_table->by_images)
        find_nulls(of_table, list, &form);
    if (!apply_look(apply, of_table->table, err) ||
        !statement_find(scratch, &apply->pipeline, of_table->table, &form, &statement, err) ||
        !encode_parameters(apply, of_table, statement, list, err))
        return false;
    const struct pq_pipeline_note note = {.rows_expected = list->count, .table = of_table->table};
    const struct pq_pipeline_parameters parameters = {.count = statement->parameter_count,
                                                      .values = scratch->values,
                                                      .sizes = scratch->sizes,
                                                      .formats = scratch->formats};
    return pq_pipeline_execute(&apply->pipeline, statement->name, &parameters, note, err);
}

static bool is_deleted(const struct effect *effect) {
    enum effect_kind kind = effect_kind_of(effect);
    return kind == EFFECT_DELETE || kind == EFFECT_REPLACE;
}

static bool is_inserted(const struct effect *effect) {
    enum effect_kind kind = effect_kind_of(effect);
    return kind == EFFECT_INSERT || kind == EFFECT_REPLACE;
}

static bool new_list(struct apply *apply, uint32_t count, struct effect_list *ret_list, struct error *err) {
    ret_list->count = 0;
    ret_list->effects = arena_alloc(&apply->net.arena, (size_t) count * sizeof(*ret_list->effects));
    return ret_list->effects != NULL ? true : error_no_memory(err);
}

static bool send_deletes(struct apply *apply, const struct table_effect *of_table, struct error *err) {
    struct effect_list list;
    if (of_table->delete_count == 0)
        return true;
    if (!new_list(apply, of_table->delete_count, &list, err))
        return false;
    for (uint32_t i = of_table->first; i != EFFECT_NONE; i = apply->net.effects[i].next)
        if (is_deleted(&apply->net.effects[i]))
            list.effects[list.count++] = &apply->net.effects[i];
    assert(list.count == of_table->delete_count);
    const struct statement_form form = {.kind = of_table->by_images ? STATEMENT_IMAGE_DELETE
                                                                    : STATEMENT_SET_DELETE};
    return send_set(apply, of_table, form, &list, err);
}

/*
 * A history has many versions of a key, and each update changes two of them: in the order of keys they lie
 * together. With random keys this takes a fifth of the target's time.
 */
static bool is_sorted(const struct table_effect *of_table) {
    return of_table->table->relation->mode == ROWS_HISTORY;
}

static bool send_group(struct apply *apply, const struct table_effect *of_table,
                       const struct update_group *group, struct error *err) {
    struct effect_list list;
    if (!new_list(apply, group->count, &list, err))
        return false;
    for (uint32_t i = group->first; i != EFFECT_NONE; i = apply->net.effects[i].next_update)
        list.effects[list.count++] = &apply->net.effects[i];
    assert(list.count == group->count);
    if (is_sorted(of_table) && !key_order_sort(list.effects, list.count, &apply->net.arena, err))
        return false;
    struct column_set written = group->written;
    struct statement_form form = {.kind = STATEMENT_SET_UPDATE, .written = &written};
    if (of_table->by_images) {
        statements_widen(&apply->statements, of_table->table, &written);
        form.kind = STATEMENT_IMAGE_UPDATE;
        form.is_partial = column_set_meets(&written, &group->unsent);
    }
    return send_set(apply, of_table, form, &list, err);
}

static bool send_updates(struct apply *apply, const struct table_effect *of_table, struct error *err) {
    for (const struct update_group *group = of_table->groups; group != NULL; group = group->next)
        if (!send_group(apply, of_table, group, err))
            return false;
    return true;
}

static bool send_few_inserts(struct apply *apply, const struct table_effect *of_table, struct error *err) {
    if (of_table->insert_count >= COPY_ROWS_MIN)
        return apply_look(apply, of_table->table, err);
    for (uint32_t i = of_table->first; i != EFFECT_NONE; i = apply->net.effects[i].next) {
        const struct effect *effect = &apply->net.effects[i];
        if (is_inserted(effect) && !apply_send_insert(apply, of_table->table, NULL, effect->values, err))
            return false;
    }
    return true;
}

static bool send_table(struct apply *apply, const struct table_effect *of_table, struct error *err) {
    bool by_images = of_table->by_images;
    return (!by_images || send_hash_joins(apply, true, err)) && send_deletes(apply, of_table, err) &&
           send_updates(apply, of_table, err) && (!by_images || send_hash_joins(apply, false, err)) &&
           send_few_inserts(apply, of_table, err);
}

static bool send_sets(struct apply *apply, struct error *err) {
    for (const struct table_effect *of_table = apply->net.tables; of_table != NULL; of_table = of_table->next)
        if (!of_table->by_rows && !send_table(apply, of_table, err))
            return false;
    return true;
}

bool apply_send_release(struct apply *apply, struct error *err) {
    if (!apply->in_savepoint)
        return true;
    apply->in_savepoint = false;
    return pq_pipeline_query(&apply->pipeline, "release savepoint pgcdc", ANY, err);
}

bool apply_send_savepoint(struct apply *apply, struct error *err) {
    if (!apply_send_release(apply, err))
        return false;
    apply->in_savepoint = true;
    return pq_pipeline_query(&apply->pipeline, "savepoint pgcdc", ANY, err);
}

/* Everything but COPY, which cannot be pipelined. */
static bool run_pipeline(struct apply *apply, const struct span *span, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    return pq_pipeline_begin(pipeline, err) && target_begin(apply->target, pipeline, err) &&
           apply_send_savepoint(apply, err) && send_sets(apply, err) &&
           apply_send_left_rows(apply, span, err) && pq_pipeline_finish(pipeline, err);
}

static bool is_binary(const struct table_effect *of_table) {
    for (uint32_t i = 0; i < of_table->table->column_count; i++)
        if (of_table->formats[i] == FORMAT_BINARY && of_table->table->columns[i].is_written)
            return true;
    return false;
}

static bool copy_effect(struct apply *apply, const struct effect *effect, bool binary, struct error *err) {
    if (!copy_rows_add(&apply->copy, effect->table, effect->values, binary, err))
        return false;
    FAULT_POINT("postgres-in-copy");
    return true;
}

static bool copy_sorted(struct apply *apply, const struct table_effect *of_table, bool binary,
                        struct error *err) {
    struct effect_list list;
    if (!new_list(apply, of_table->insert_count, &list, err))
        return false;
    for (uint32_t i = of_table->first; i != EFFECT_NONE; i = apply->net.effects[i].next)
        if (is_inserted(&apply->net.effects[i]))
            list.effects[list.count++] = &apply->net.effects[i];
    if (!key_order_sort(list.effects, list.count, &apply->net.arena, err))
        return false;
    for (uint32_t i = 0; i < list.count; i++)
        if (!copy_effect(apply, list.effects[i], binary, err))
            return false;
    return true;
}

static bool copy_effects(struct apply *apply, const struct table_effect *of_table, bool binary,
                         struct error *err) {
    if (is_sorted(of_table))
        return copy_sorted(apply, of_table, binary, err);
    for (uint32_t i = of_table->first; i != EFFECT_NONE; i = apply->net.effects[i].next) {
        const struct effect *effect = &apply->net.effects[i];
        if (is_inserted(effect) && !copy_effect(apply, effect, binary, err))
            return false;
    }
    return true;
}

static bool copy_inserts(struct apply *apply, const struct table_effect *of_table, struct error *err) {
    bool binary = is_binary(of_table);
    uint64_t rows = 0;
    if (!copy_rows_begin(&apply->copy, of_table->table, binary, err) ||
        !copy_effects(apply, of_table, binary, err) || !copy_rows_end(&apply->copy, binary, &rows, err))
        return false;
    if (rows != of_table->insert_count)
        return error_set(err, ERROR_DATA, "target: a COPY into %s stored fewer rows than were sent",
                         of_table->table->name);
    return true;
}

static bool run_copies(struct apply *apply, struct target_table **ret_failed, struct error *err) {
    for (const struct table_effect *of_table = apply->net.tables; of_table != NULL;
         of_table = of_table->next) {
        if (of_table->by_rows || of_table->insert_count < COPY_ROWS_MIN)
            continue;
        if (!copy_inserts(apply, of_table, err)) {
            *ret_failed = of_table->table;
            return false;
        }
    }
    return true;
}

/* *ret_failed: the table whose set failed, when it is known. */
static bool try_sets(struct apply *apply, const struct span *span, struct target_table **ret_failed,
                     struct error *err) {
    if (!run_pipeline(apply, span, err)) {
        *ret_failed = apply->pipeline.failure.note.table;
        return explain_pipeline(apply->target, &apply->pipeline.failure, err);
    }
    FAULT_POINT("postgres-before-copy");
    return run_copies(apply, ret_failed, err);
}

/* Can the row path succeed after this error? Any other error does not concern these changes. */
static bool may_fall_back(const struct error *err) {
    return err->kind == ERROR_DATA || err->kind == ERROR_CONFIG;
}

static void note_failure(struct target_table *table) {
    if (table == NULL)
        return;
    table->set_failures += table->set_failures < PAUSE_BITS_MAX;
    table->set_pause = UINT32_C(1) << table->set_failures;
}

static void note_success(struct apply *apply) {
    for (const struct table_effect *of_table = apply->net.tables; of_table != NULL; of_table = of_table->next)
        if (!of_table->by_rows)
            of_table->table->set_failures = 0;
}

/*
 * Statements after the failure were not prepared, so all are forgotten; settings made for the rows are
 * rolled back too.
 */
bool apply_undo(struct apply *apply, struct error *err) {
    struct error broken;
    if (apply->pipeline.active)
        (void) !pq_pipeline_finish(&apply->pipeline, &broken);
    statements_forget(&apply->statements);
    FAULT_POINT("postgres-before-undo");
    apply->in_savepoint = false;
    apply->ordinary_role = false;
    apply->planner_is_theirs = false;
    apply->target->transaction_count++; /* the savepoint's locks are released too */
    if (!session_execute(&apply->target->session, "rollback to savepoint pgcdc; release savepoint pgcdc",
                         err))
        return false;
    FAULT_POINT("postgres-after-undo");
    return true;
}

/* Binary values are sent only to columns of the same type. */
static bool check_binary(struct apply *apply, struct error *err) {
    for (const struct table_effect *of_table = apply->net.tables; of_table != NULL; of_table = of_table->next)
        for (uint32_t i = 0; i < of_table->table->column_count; i++)
            if ((of_table->formats[i] & FORMAT_BINARY) != 0 && !of_table->table->columns[i].takes_binary)
                return apply_needs_text(of_table->table, i, err);
    return true;
}

bool apply_sets(struct apply *apply, const struct span *span, struct error *err) {
    struct error failure = {0};
    struct target_table *failed = NULL;
    if (!net_effect_build(&apply->net, span, err) || !check_binary(apply, err))
        return false;
    if (try_sets(apply, span, &failed, &failure)) {
        note_success(apply);
        return true;
    }
    if (!may_fall_back(&failure)) {
        *err = failure;
        return false;
    }
    apply->fallback_count++;
    note_failure(failed);
    return apply_undo(apply, err) && apply_rows(apply, span, err);
}
