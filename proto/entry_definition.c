/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry_definition.c - a definition's bytes become a relation, in the reader's arena.
 */
#include "proto/entry_definition.h"

#include <stdlib.h>

#include "proto/entry_field.h"
#include "proto/wire_read.h"

enum { RELATIONS_MAX = 50 * 1000 * 1000 }; /* numbers have no gaps, so this many definitions were read */

static bool copy_text(struct arena *arena, struct slice bytes, struct slice *ret_text) {
    ret_text->data = arena_copy(arena, bytes.data != NULL ? bytes : slice_of(""));
    ret_text->size = bytes.size;
    return ret_text->data != NULL;
}

static bool take_column(struct arena *arena, struct slice bytes, struct column *column, struct error *err) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    struct slice name = {0}, schema = {0}, type = {0};
    while (wire_next(&fields, &field)) {
        if (field.number == COLUMN_NAME)
            name = field.bytes;
        else if (field.number == COLUMN_TYPE_OID)
            column->type_oid = (oid_t) field.value;
        else if (field.number == COLUMN_TYPE_MODIFIER)
            column->type_modifier = (int32_t) field.value;
        else if (field.number == COLUMN_KEY)
            column->is_key = field.value != 0;
        else if (field.number == COLUMN_TYPE_SCHEMA)
            schema = field.bytes;
        else if (field.number == COLUMN_TYPE_NAME)
            type = field.bytes;
    }
    if (!wire_end(&fields))
        return entry_refuse(err, "its bytes are not a column");
    return (copy_text(arena, name, &column->name) && copy_text(arena, schema, &column->type_schema) &&
            copy_text(arena, type, &column->type_name)) ||
           error_no_memory(err);
}

static bool identity_is_known(uint64_t identity) {
    return identity == REPLICA_IDENTITY_DEFAULT || identity == REPLICA_IDENTITY_NOTHING ||
           identity == REPLICA_IDENTITY_FULL || identity == REPLICA_IDENTITY_INDEX;
}

static bool check_definition(const struct relation *relation, uint64_t identity, uint64_t certainty,
                             struct error *err) {
    if (!identity_is_known(identity) || certainty > KEY_DOUBTFUL)
        return entry_refuse(err, "a table's definition is not one that this pgcdc knows");
    if (relation->column_count > RELATION_COLUMNS_MAX)
        return entry_refuse(err, "a table has more columns than PostgreSQL allows");
    return true;
}

struct definition_parts {
    struct slice schema;
    struct slice name;
    uint64_t identity;
    uint64_t certainty;
};

/* Also counts the columns. */
static bool take_parts(struct slice bytes, struct relation *relation, struct definition_parts *parts,
                       struct error *err) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    while (wire_next(&fields, &field)) {
        if (field.number == RELATION_SCHEMA)
            parts->schema = field.bytes;
        else if (field.number == RELATION_NAME)
            parts->name = field.bytes;
        else if (field.number == RELATION_OID)
            relation->oid = (oid_t) field.value;
        else if (field.number == RELATION_IDENTITY)
            parts->identity = field.value;
        else if (field.number == RELATION_COLUMNS)
            relation->column_count++;
        else if (field.number == RELATION_IS_TREE)
            relation->is_tree = field.value != 0;
        else if (field.number == RELATION_IS_UNCLEAR)
            relation->is_unclear = field.value != 0;
        else if (field.number == RELATION_NEEDS_OLD)
            relation->needs_old = field.value != 0;
        else if (field.number == RELATION_CERTAINTY)
            parts->certainty = field.value;
    }
    return wire_end(&fields) || entry_refuse(err, "its bytes are not a definition");
}

static bool take_columns(struct arena *arena, struct slice bytes, struct relation *relation,
                         struct error *err) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    uint32_t count = 0;
    relation->columns = arena_alloc_zero(arena, (relation->column_count + 1) * sizeof *relation->columns);
    if (relation->columns == NULL)
        return error_no_memory(err);
    while (wire_next(&fields, &field)) {
        if (field.number != RELATION_COLUMNS)
            continue;
        if (!take_column(arena, field.bytes, &relation->columns[count], err))
            return false;
        relation->key_count += relation->columns[count++].is_key;
    }
    return true;
}

static bool take_definition(struct entry_reader *reader, struct slice bytes,
                            const struct relation **ret_relation, struct error *err) {
    struct definition_parts parts = {0};
    struct relation *relation = arena_alloc_zero(&reader->arena, sizeof *relation);
    if (relation == NULL)
        return error_no_memory(err);
    if (!take_parts(bytes, relation, &parts, err) ||
        !check_definition(relation, parts.identity, parts.certainty, err) ||
        !take_columns(&reader->arena, bytes, relation, err))
        return false;
    relation->identity = (enum replica_identity) parts.identity;
    relation->certainty = (enum key_certainty) parts.certainty;
    *ret_relation = relation;
    return (copy_text(&reader->arena, parts.schema, &relation->schema) &&
            copy_text(&reader->arena, parts.name, &relation->name)) ||
           error_no_memory(err);
}

static bool make_room(struct entry_reader *reader, struct error *err) {
    if (reader->relation_count < reader->relation_capacity)
        return true;
    const uint32_t capacity = reader->relation_capacity == 0 ? 64 : reader->relation_capacity * 2;
    const struct relation **relations = realloc(reader->relations, capacity * sizeof *relations);
    if (relations == NULL)
        return error_no_memory(err);
    reader->relations = relations;
    reader->relation_capacity = capacity;
    return true;
}

bool entry_define_relation(struct entry_reader *reader, uint64_t number, struct slice definition,
                           struct error *err) {
    const struct relation *relation = NULL;
    if (number == 0 || number > reader->relation_count + (uint64_t) 1 || number > RELATIONS_MAX)
        return entry_refuse(err, "a table's definition has a wrong number");
    if (number <= reader->relation_count)
        return true;
    if (!take_definition(reader, definition, &relation, err) || !make_room(reader, err))
        return false;
    reader->relations[reader->relation_count++] = relation;
    return true;
}

bool entry_find_relation(const struct entry_reader *reader, uint64_t number,
                         const struct relation **ret_relation, struct error *err) {
    if (number == 0 || number > reader->relation_count)
        return entry_refuse(err, "a row's table was not defined before it");
    *ret_relation = reader->relations[number - 1];
    return true;
}
