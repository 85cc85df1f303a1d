/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_table.c - the columns that messages have, learned from the message of a row.
 */
#include "sinks/kafka/verify/topic_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/hash.h"

enum { LEFT_OUT_BYTES_MAX = 4096 };

/* ---- a row as a message ---- */

bool topic_table_read_row(const struct topic_table *table, struct topic_codec *codec,
                          const struct value *values, struct format_reading *ret_reading, struct error *err) {
    const struct transaction transaction = {.commit_lsn = 0};
    const struct change change = {.kind = CHANGE_READ,
                                  .lsn = 1,
                                  .transaction = &transaction,
                                  .relation = &table->relation,
                                  .new_values = values};
    struct message_list *list = &codec->messages;
    if (codec->ops->reads_text && !table->has_key) {
        *ret_reading = (struct format_reading){.change = change};
        return true;
    }
    if (!codec->ops->encode(codec->format, &change, 0, 0, list, err))
        return false;
    const struct slice key = message_slice(&list->bytes, &list->messages[0].key);
    if (codec->ops->reads_text) { /* the source's own texts, not those that were encoded */
        *ret_reading = (struct format_reading){.key = key, .change = change};
        return true;
    }
    arena_reset(&codec->arena);
    return codec->ops->read(codec->format, key, message_slice(&list->bytes, &list->messages[0].value),
                            &codec->arena, ret_reading, err);
}

/* ---- columns ---- */

static bool fill_relation(struct topic_table *table, struct arena *arena, struct error *err) {
    const struct table *source = &table->mapped;
    struct column *columns = arena_alloc_zero(arena, (source->column_count + 1) * sizeof *columns);
    struct relation *relation = &table->relation;
    if (columns == NULL)
        return error_no_memory(err);
    *relation = (struct relation){.oid = source->oid,
                                  .schema = slice_of(source->schema),
                                  .name = slice_of(source->name),
                                  .identity = (enum replica_identity) source->identity,
                                  .columns = columns};
    for (uint32_t i = 0; i < source->column_count; i++) {
        const struct table_column *column = &source->columns[i];
        if (!table_column_is_copied(column))
            continue;
        columns[relation->column_count++] = (struct column){.name = slice_of(column->name),
                                                            .type_oid = column->type_oid,
                                                            .type_modifier = column->type_modifier,
                                                            .is_key = column->in_identity,
                                                            .type_schema = slice_of(column->type_schema),
                                                            .type_name = slice_of(column->type_name)};
        relation->key_count += column->in_identity;
    }
    table->has_key = relation->key_count > 0 && relation->identity != REPLICA_IDENTITY_FULL;
    return true;
}

static int find_column(const struct relation *relation, struct slice name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, name))
            return (int) i;
    return -1;
}

static void note_unwritten(struct buffer *unwritten, struct slice name) {
    if (unwritten->size + name.size + 64 < LEFT_OUT_BYTES_MAX)
        buffer_printf(unwritten, "%s%.*s", unwritten->size > 0 ? ", " : "", (int) name.size, name.data);
}

/* unchanged: the message of a row all of whose values are unchanged; NULL: the format reads text. */
static bool add_column(struct topic_table *table, uint32_t index, const struct format_reading *unchanged,
                       struct arena *arena, struct error *err) {
    const struct slice name = table->relation.columns[index].name;
    struct compared_column *column = &table->columns[table->column_count];
    *column = (struct compared_column){.index = index, .seed = hash_bytes(0, name.data, name.size)};
    if (unchanged != NULL) {
        const struct relation *relation = unchanged->change.relation;
        const struct value *value = &unchanged->change.new_values[find_column(relation, name)];
        const char *text = value->kind == VALUE_TEXT ? arena_copy(arena, value_slice(value)) : "";
        if (text == NULL)
            return error_no_memory(err);
        column->is_null_unchanged = value->kind == VALUE_NULL;
        if (value->kind == VALUE_TEXT)
            column->placeholder = (struct slice){.data = text, .size = value->size};
    }
    ((const char **) (uintptr_t) table->table.column_names)[table->column_count++] = name.data;
    return true;
}

/* The constant that a mapping adds as column i; NULL: it is no such column. */
static const char *constant_of(const struct topic_table *table, uint32_t i) {
    const struct mapped_column *column = table->map.rule != NULL ? &table->map.columns[i] : NULL;
    if (column == NULL || column->from != COLUMN_ADDED || column->expression != 0 ||
        mapped_column_is_of_change(column))
        return NULL;
    return column->rule->source == COLUMN_CONST ? column->rule->text : table->map.source_name;
}

/* message: of a row with the constant. */
static bool add_constant(struct topic_table *table, uint32_t index, const struct format_reading *message,
                         struct arena *arena, struct error *err) {
    const struct slice name = table->relation.columns[index].name;
    struct slice text = slice_of(constant_of(table, index));
    if (table->map.owned_sql == NULL)
        return true;
    if (message != NULL)
        text = value_slice(&message->change.new_values[find_column(message->change.relation, name)]);
    const char *kept = arena_copy(arena, text);
    if (kept == NULL)
        return error_no_memory(err);
    table->constants[table->constant_count++] =
        (struct topic_constant){.column = name, .value = {.data = kept, .size = text.size}};
    return true;
}

static struct value value_of_model(const struct topic_table *table, uint32_t i) {
    const char *constant = constant_of(table, i);
    if (constant == NULL)
        return (struct value){.kind = VALUE_UNCHANGED};
    return (struct value){.data = constant, .size = (uint32_t) strlen(constant), .kind = VALUE_TEXT};
}

/* message: of a row all of whose other values are unchanged; a constant never is. */
static bool take_column(struct topic_table *table, uint32_t index, const struct format_reading *message,
                        struct arena *arena, struct error *err) {
    if (constant_of(table, index) == NULL)
        return add_column(table, index, message, arena, err);
    return add_constant(table, index, message, arena, err) && add_column(table, index, NULL, arena, err);
}

/* What messages look like is learned from that of a row whose values are unchanged. */
static bool find_columns(struct topic_table *table, struct topic_codec *codec, struct arena *arena,
                         struct error *err) {
    const struct relation *relation = &table->relation;
    struct buffer unwritten AUTO(buffer_release) = {.bytes_max = LEFT_OUT_BYTES_MAX};
    struct format_reading reading = {0};
    struct value *values = arena_alloc(arena, (relation->column_count + 1) * sizeof *values);
    const char **names = arena_alloc_zero(arena, (relation->column_count + 1) * sizeof *names);
    table->columns = arena_alloc(arena, (relation->column_count + 1) * sizeof *table->columns);
    table->constants = arena_alloc(arena, (relation->column_count + 1) * sizeof *table->constants);
    if (values == NULL || names == NULL || table->columns == NULL || table->constants == NULL)
        return error_no_memory(err);
    table->table.column_names = names;
    for (uint32_t i = 0; i < relation->column_count; i++)
        values[i] = value_of_model(table, i);
    if (!codec->ops->reads_text && !topic_table_read_row(table, codec, values, &reading, err))
        return false;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct slice name = relation->columns[i].name;
        if (table->map.rule != NULL && mapped_column_is_of_change(&table->map.columns[i]))
            continue;
        if (!codec->ops->reads_text && find_column(reading.change.relation, name) < 0)
            note_unwritten(&unwritten, name);
        else if (!take_column(table, i, codec->ops->reads_text ? NULL : &reading, arena, err))
            return false;
    }
    table->table.column_count = table->column_count;
    if (unwritten.size == 0)
        return true;
    buffer_append_text(&unwritten, ": not in messages of this format");
    table->unwritten = arena_copy(arena, buffer_slice(&unwritten));
    return table->unwritten != NULL || error_no_memory(err);
}

/* ---- names of rows ---- */

/* The primary key; without one the replica identity; without that all that is compared. */
static bool names_row(const struct topic_table *table, const struct column *column) {
    const struct table *source = &table->mapped;
    bool has_primary = false, is_primary = false;
    for (uint32_t i = 0; i < source->column_count; i++) {
        const bool is_key = source->columns[i].key_index > 0;
        has_primary |= is_key;
        is_primary |= is_key && strcmp(source->columns[i].name, column->name.data) == 0;
    }
    return has_primary ? is_primary : column->is_key || table->relation.key_count == 0;
}

static bool find_shown(struct topic_table *table, struct arena *arena, struct error *err) {
    const char **names = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *names);
    table->shown = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *table->shown);
    if (names == NULL || table->shown == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < table->column_count; i++) {
        const uint32_t index = table->columns[i].index;
        if (!names_row(table, &table->relation.columns[index]))
            continue;
        table->shown[table->table.shown_count] = index;
        names[table->table.shown_count++] = table->relation.columns[index].name.data;
    }
    table->table.shown_names = names;
    return true;
}

/* ---- the mapping ---- */

/* As the stream's relation has it, whatever type the rule gives a table of another sink. */
static void type_computed(struct topic_table *table) {
    for (uint32_t i = 0; i < table->map.column_count && table->map.expressions != NULL; i++) {
        const struct mapped_column *mapped = &table->map.columns[i];
        struct table_column *column = &table->mapped.columns[i];
        if (mapped->expression == 0 || mapped->rule->step_count > 0)
            continue;
        const struct expression *made = &table->map.expressions->items[mapped->expression - 1];
        if (strcmp(made->type_schema, "pg_catalog") != 0)
            continue;
        column->type_oid = made->type_oid;
        column->type_modifier = -1;
        column->type_schema = made->type_schema;
        column->type_name = made->type_name;
    }
}

/* The source computes them, as for the stream. */
static bool prove_expressions(struct topic_table *table, struct evaluator *evaluator, struct error *err) {
    if (!table_expressions_of_table(evaluator, table->source, &table->map, &table->mapped, err))
        return false;
    type_computed(table);
    return true;
}

static bool describe_rule(struct topic_table *table, struct arena *arena, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = LEFT_OUT_BYTES_MAX};
    const struct table *source = table->source;
    table->source_columns = arena_alloc_zero(arena, (source->column_count + 1) * sizeof(struct column));
    if (table->source_columns == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < source->column_count; i++)
        table->source_columns[i] = (struct column){.name = slice_of(source->columns[i].name),
                                                   .type_oid = source->columns[i].type_oid};
    table->table.sink_table = &table->mapped;
    table_map_name_changes(&table->map, &names);
    if (names.size == 0)
        return true;
    table->table.about_changes = buffer_ok(&names) ? arena_copy(arena, buffer_slice(&names)) : NULL;
    return table->table.about_changes != NULL || error_no_memory(err);
}

static bool map_source(struct topic_table *table, const struct sink_config *config,
                       struct evaluator *evaluator, struct arena *arena, struct error *err) {
    static const struct mapping NONE = {0};
    if (!table_map_table(config->mapping != NULL ? config->mapping : &NONE, config->name, table->source,
                         arena, &table->map, &table->mapped, err))
        return false;
    return table->map.rule == NULL ||
           (prove_expressions(table, evaluator, err) && describe_rule(table, arena, err));
}

/* ---- the table ---- */

bool topic_table_new(const struct kafka_options *options, struct topic_codec *codec,
                     struct evaluator *evaluator, const struct table *source, struct arena *arena,
                     struct topic_table **ret_table, struct error *err) {
    struct topic_table *table = arena_alloc_zero(arena, sizeof *table);
    if (table == NULL)
        return error_no_memory(err);
    table->source = table->table.table = source;
    if (!map_source(table, options->config, evaluator, arena, err))
        return false;
    const struct topic_subject subject = {.source = slice_of(options->config->pipeline),
                                          .schema = slice_of(table->mapped.schema),
                                          .table = slice_of(table->mapped.name)};
    table->left_out.bytes_max = LEFT_OUT_BYTES_MAX;
    table->is_shared = strstr(options->topic_template, "{table}") == NULL ||
                       strstr(options->topic_template, "{schema}") == NULL;
    if (!topic_name_build(options->topic_template, &subject, table->topic, err) ||
        !fill_relation(table, arena, err) || !find_columns(table, codec, arena, err) ||
        !find_shown(table, arena, err))
        return error_wrap(err, "%s.%s", source->schema, source->name);
    table->definition[0] = table->topic;
    table->definition[1] = options->format->name;
    table->definition[2] = source->row_filter_sql != NULL ? source->row_filter_sql : "";
    table->definition[3] = table->unwritten != NULL ? table->unwritten : "";
    table->table.definition = table->definition;
    table->table.definition_count = TOPIC_DEFINITION_TEXTS;
    *ret_table = table;
    return true;
}

void topic_table_unpin(struct topic_table *table) {
    free(table->parts);
    table->parts = NULL;
    table->part_count = 0;
    table->is_compared = false;
    differences_release(&table->result.differences);
    table->result = (struct table_result){0};
}

/* ---- what is not proven ---- */

static void add_reason(struct topic_table *table, uint64_t count, const char *noun, const char *reason) {
    if (count == 0)
        return;
    buffer_printf(&table->left_out, "%s%s %s", table->left_out.size > 0 ? "; " : "",
                  amount_count(count, noun).text, reason);
}

static bool is_cut(const struct topic_table *table) {
    for (size_t i = 0; i < table->part_count; i++)
        if (table->parts[i].begin > 0)
            return true;
    return false;
}

bool topic_table_conclude(struct topic_table *table, struct error *err) {
    const struct table_result *result = &table->result;
    buffer_reset(&table->left_out);
    if (table->unwritten != NULL)
        buffer_append_text(&table->left_out, table->unwritten);
    if (is_cut(table))
        buffer_printf(&table->left_out,
                      "%sthe first records of topic %s are deleted: %s of the source may have been in them",
                      table->left_out.size > 0 ? "; " : "", table->topic,
                      amount_count(result->cut, "row").text);
    add_reason(table, result->unproven, "row",
               "with a large value that an update left unchanged, in no record");
    add_reason(table, result->unusable, "record",
               "without the row's identity: the table's replica identity was another one");
    table->table.left_out = table->left_out.size > 0 ? buffer_text(&table->left_out) : NULL;
    return buffer_ok(&table->left_out) || error_no_memory(err);
}
