/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_change.c - see random_change.h.
 *
 * A value is thought of first; then it is written as PostgreSQL's text on one side and put in the tree on the
 * other.
 */
#include "tests/support/random_change.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define POSTGRES_EPOCH_US INT64_C(946684800000000)

enum { COLUMNS_MAX = 12, HUGE_BYTES = 300000 };

typedef Pgcdc__V1__Column *(*make_value_t)(struct random *random, struct arena *arena, struct value *value);

static void *must(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

static void *make(struct arena *arena, size_t size) {
    return must(arena_alloc_zero(arena, size));
}

static char *keep(struct arena *arena, struct slice text) {
    return must(arena_copy(arena, text));
}

/* ---- values ---- */

static Pgcdc__V1__Column *new_column(struct arena *arena, Pgcdc__V1__Column__ValueCase kind) {
    Pgcdc__V1__Column *column = make(arena, sizeof *column);
    pgcdc__v1__column__init(column);
    column->value_case = kind;
    return column;
}

static void set_text(struct arena *arena, struct value *value, struct slice text) {
    *value = (struct value){.kind = VALUE_TEXT, .data = keep(arena, text), .size = (uint32_t) text.size};
}

PRINTF_LIKE(3, 4)
static void print(struct arena *arena, struct value *value, const char *format, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    set_text(arena, value, slice_of(text));
}

static int64_t random_integer(struct random *random, int bits) {
    uint64_t any = random_next(random) >> random_below(random, 64);
    int64_t value = (int64_t) (any << (64 - bits)) >> (64 - bits);
    return random_below(random, 2) ? value : ~value;
}

static Pgcdc__V1__Column *make_integer(struct random *random, struct arena *arena, struct value *value,
                                       int bits) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_INTEGER);
    column->integer = random_integer(random, bits);
    print(arena, value, "%" PRId64, column->integer);
    return column;
}

static Pgcdc__V1__Column *make_int2(struct random *random, struct arena *arena, struct value *value) {
    return make_integer(random, arena, value, 16);
}

static Pgcdc__V1__Column *make_int4(struct random *random, struct arena *arena, struct value *value) {
    return make_integer(random, arena, value, 32);
}

static Pgcdc__V1__Column *make_int8(struct random *random, struct arena *arena, struct value *value) {
    return make_integer(random, arena, value, 64);
}

static Pgcdc__V1__Column *make_oid(struct random *random, struct arena *arena, struct value *value) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_INTEGER);
    column->integer = (int64_t) (random_next(random) >> (32 + random_below(random, 32)));
    print(arena, value, "%" PRId64, column->integer);
    return column;
}

static Pgcdc__V1__Column *make_bool(struct random *random, struct arena *arena, struct value *value) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_BOOLEAN);
    column->boolean = (protobuf_c_boolean) random_below(random, 2);
    set_text(arena, value, slice_of(column->boolean ? "t" : "f"));
    return column;
}

static bool set_special(struct random *random, struct arena *arena, struct value *value,
                        double *ret_special) {
    static const char *const NAMES[] = {"NaN", "Infinity", "-Infinity", "0", "-0"};
    const double specials[] = {(double) NAN, (double) INFINITY, (double) -INFINITY, 0.0, -0.0};
    uint32_t any = random_below(random, 40);
    if (any >= 5)
        return false;
    set_text(arena, value, slice_of(NAMES[any]));
    *ret_special = specials[any];
    return true;
}

static Pgcdc__V1__Column *make_float4(struct random *random, struct arena *arena, struct value *value) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_FLOAT4);
    double special;
    if (set_special(random, arena, value, &special)) {
        column->float4 = (float) special;
        return column;
    }
    do {
        uint32_t bits = (uint32_t) random_next(random);
        memcpy(&column->float4, &bits, sizeof bits);
        if (random_below(random, 2))
            column->float4 = (float) random_integer(random, 32) / 100;
    } while (!isfinite(column->float4));
    print(arena, value, "%.9g", (double) column->float4);
    return column;
}

static Pgcdc__V1__Column *make_float8(struct random *random, struct arena *arena, struct value *value) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_FLOAT8);
    if (set_special(random, arena, value, &column->float8))
        return column;
    do {
        uint64_t bits = random_next(random);
        memcpy(&column->float8, &bits, sizeof bits);
        if (random_below(random, 2))
            column->float8 = (double) random_integer(random, 64) / 100;
    } while (!isfinite(column->float8));
    print(arena, value, "%.17g", column->float8);
    return column;
}

static size_t random_size(struct random *random) {
    if (random_below(random, 1000) == 0)
        return HUGE_BYTES + random_below(random, HUGE_BYTES);
    return random_below(random, random_below(random, 4) == 0 ? 400 : 20);
}

static Pgcdc__V1__Column *make_bytea(struct random *random, struct arena *arena, struct value *value) {
    Pgcdc__V1__Column *column = new_column(arena, PGCDC__V1__COLUMN__VALUE_BYTES);
    size_t size = random_size(random);
    uint8_t *bytes = make(arena, size);
    char *text = make(arena, 2 * size + 3);
    memcpy(text, "\\x", 2);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t) random_next(random);
        snprintf(text + 2 + 2 * i, 3, "%02x", bytes[i]);
    }
    column->bytes = (ProtobufCBinaryData){.data = bytes, .len = size};
    *value = (struct value){.kind = VALUE_TEXT, .data = text, .size = (uint32_t) (2 + 2 * size)};
    return column;
}

/* Words of characters of one to four bytes; now and then with a byte that makes it no UTF-8. */
static struct slice random_text(struct random *random, struct arena *arena, bool *ret_valid) {
    static const char *const CHARACTERS[] = {"a", "0", " ", "\\", "\t", "ü", "€", "😀", "z", "_"};
    size_t count = random_size(random);
    char *text = make(arena, 4 * count + 2), *at = text;
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, CHARACTERS[random_below(random, random_below(random, 2) ? 10 : 2)]);
    *ret_valid = random_below(random, 30) != 0;
    if (!*ret_valid)
        *at++ = (char) 0xff;
    return (struct slice){.data = text, .size = (size_t) (at - text)};
}

static Pgcdc__V1__Column *make_string(struct random *random, struct arena *arena, struct value *value,
                                      Pgcdc__V1__Column__ValueCase kind) {
    bool is_valid;
    struct slice text = random_text(random, arena, &is_valid);
    Pgcdc__V1__Column *column = new_column(arena, is_valid ? kind : PGCDC__V1__COLUMN__VALUE_BYTES);
    set_text(arena, value, text);
    char *kept = keep(arena, text);
    if (!is_valid)
        column->bytes = (ProtobufCBinaryData){.data = (uint8_t *) kept, .len = text.size};
    else if (kind == PGCDC__V1__COLUMN__VALUE_TEXT)
        column->text = kept;
    else
        column->literal = kept;
    return column;
}

static Pgcdc__V1__Column *make_text(struct random *random, struct arena *arena, struct value *value) {
    return make_string(random, arena, value, PGCDC__V1__COLUMN__VALUE_TEXT);
}

static Pgcdc__V1__Column *make_literal(struct random *random, struct arena *arena, struct value *value) {
    return make_string(random, arena, value, PGCDC__V1__COLUMN__VALUE_LITERAL);
}

/* ---- relations ---- */

static const struct type {
    oid_t oid;
    const char *schema;
    const char *name;
    make_value_t make;
} TYPES[] = {
    {16, "pg_catalog", "bool", make_bool},         {17, "pg_catalog", "bytea", make_bytea},
    {18, "pg_catalog", "char", make_text},         {19, "pg_catalog", "name", make_text},
    {20, "pg_catalog", "int8", make_int8},         {21, "pg_catalog", "int2", make_int2},
    {23, "pg_catalog", "int4", make_int4},         {25, "pg_catalog", "text", make_text},
    {26, "pg_catalog", "oid", make_oid},           {114, "pg_catalog", "json", make_literal},
    {700, "pg_catalog", "float4", make_float4},    {701, "pg_catalog", "float8", make_float8},
    {1007, "pg_catalog", "_int4", make_literal},   {1042, "pg_catalog", "bpchar", make_text},
    {1043, "pg_catalog", "varchar", make_text},    {1184, "pg_catalog", "timestamptz", make_literal},
    {1700, "pg_catalog", "numeric", make_literal}, {2950, "pg_catalog", "uuid", make_literal},
    {5069, "pg_catalog", "xid8", make_literal},    {9999, "pg_catalog", "oid:9999", make_literal},
    {16500, "public", "mood", make_literal},       {16501, "pg_catalog", "int4", make_int4},
    {16502, "pg_catalog", "text", make_text},      {16503, "public", "int4", make_literal},
};

#define TYPE_COUNT (sizeof TYPES / sizeof *TYPES)

struct making {
    struct random *random;
    struct arena *arena;
    struct relation *relation;
    const struct type *types[COLUMNS_MAX];
};

static struct slice random_name(struct making *m, const char *kind, uint32_t number) {
    char name[80];
    snprintf(name, sizeof name, "%s%s%u", kind,
             random_below(m->random, 4) ? "" : "_ü_of_a_name_that_is_as_long_as_they_get_", number);
    return (struct slice){.data = keep(m->arena, slice_of(name)), .size = strlen(name)};
}

static bool random_is_key(struct making *m) {
    if (m->relation->identity == REPLICA_IDENTITY_FULL)
        return true;
    return m->relation->identity != REPLICA_IDENTITY_NOTHING && random_below(m->random, 3) == 0;
}

static void add_column(struct making *m) {
    static const int32_t MODIFIERS[] = {-1, -1, 0, 24, 655366, INT32_MAX, -2};
    struct relation *relation = m->relation;
    const struct type *type = &TYPES[random_below(m->random, TYPE_COUNT)];
    m->types[relation->column_count] = type;
    relation->columns[relation->column_count] =
        (struct column){.name = random_name(m, "c", relation->column_count),
                        .type_oid = type->oid,
                        .type_modifier = MODIFIERS[random_below(m->random, 7)],
                        .is_key = random_is_key(m),
                        .type_schema = slice_of(type->schema),
                        .type_name = slice_of(type->name)};
    relation->key_count += relation->columns[relation->column_count++].is_key;
}

static void make_relation(struct making *m) {
    static const enum replica_identity IDENTITIES[] = {REPLICA_IDENTITY_DEFAULT, REPLICA_IDENTITY_DEFAULT,
                                                       REPLICA_IDENTITY_NOTHING, REPLICA_IDENTITY_FULL,
                                                       REPLICA_IDENTITY_INDEX};
    m->relation = make(m->arena, sizeof *m->relation);
    *m->relation = (struct relation){.oid = 16384,
                                     .schema = random_name(m, "s", 0),
                                     .name = random_name(m, "t", 0),
                                     .identity = IDENTITIES[random_below(m->random, 5)],
                                     .columns = make(m->arena, COLUMNS_MAX * sizeof(struct column))};
    for (uint32_t count = random_below(m->random, COLUMNS_MAX + 1); count > 0; count--)
        add_column(m);
}

/* ---- rows ---- */

/* One row, twice. The columns of the tree have values only. */
struct row {
    struct value *values;
    Pgcdc__V1__Column *columns[COLUMNS_MAX];
};

static Pgcdc__V1__Column *make_null(struct making *m, struct value *value) {
    Pgcdc__V1__Column *column = new_column(m->arena, PGCDC__V1__COLUMN__VALUE_NULL);
    column->null = true;
    *value = (struct value){.kind = VALUE_NULL};
    return column;
}

static Pgcdc__V1__Column *make_unchanged(struct making *m, struct value *value) {
    Pgcdc__V1__Column *column = new_column(m->arena, PGCDC__V1__COLUMN__VALUE_UNCHANGED);
    column->unchanged = true;
    *value = (struct value){.kind = VALUE_UNCHANGED};
    return column;
}

static struct row make_row(struct making *m) {
    struct row row = {.values = make(m->arena, (COLUMNS_MAX + 1) * sizeof *row.values)};
    for (uint32_t i = 0; i < m->relation->column_count; i++)
        row.columns[i] = random_below(m->random, 8) == 0
                             ? make_null(m, &row.values[i])
                             : m->types[i]->make(m->random, m->arena, &row.values[i]);
    return row;
}

/* The key's columns of a row: what an old row is that is not whole. */
static void keep_key_only(struct making *m, struct row *row) {
    for (uint32_t i = 0; i < m->relation->column_count; i++)
        if (!m->relation->columns[i].is_key)
            row->columns[i] = make_null(m, &row->values[i]);
}

static Pgcdc__V1__Column *described(struct making *m, const Pgcdc__V1__Column *value, uint32_t i) {
    const struct column *definition = &m->relation->columns[i];
    Pgcdc__V1__Column *column = make(m->arena, sizeof *column);
    *column = *value;
    column->name = keep(m->arena, definition->name);
    column->type = keep(m->arena, definition->type_name);
    if (strcmp(definition->type_schema.data, "pg_catalog") != 0)
        column->type_schema = keep(m->arena, definition->type_schema);
    column->key = definition->is_key && m->relation->identity != REPLICA_IDENTITY_FULL;
    if (definition->type_modifier != -1) {
        column->modifier_case = PGCDC__V1__COLUMN__MODIFIER_TYPE_MODIFIER;
        column->type_modifier = definition->type_modifier;
    }
    return column;
}

static Pgcdc__V1__Column **describe(struct making *m, const struct row *row, bool key_only,
                                    size_t *ret_count) {
    Pgcdc__V1__Column **columns = make(m->arena, (COLUMNS_MAX + 1) * sizeof(Pgcdc__V1__Column *));
    *ret_count = 0;
    for (uint32_t i = 0; i < m->relation->column_count; i++)
        if (!key_only || m->relation->columns[i].is_key)
            columns[(*ret_count)++] = described(m, row->columns[i], i);
    return columns;
}

/* ---- keys ---- */

static Pgcdc__V1__Key *new_key(struct making *m) {
    Pgcdc__V1__Key *key = make(m->arena, sizeof *key);
    pgcdc__v1__key__init(key);
    key->schema = keep(m->arena, m->relation->schema);
    key->table = keep(m->arena, m->relation->name);
    return key;
}

static bool has_key(const struct making *m) {
    return m->relation->key_count > 0 && m->relation->identity != REPLICA_IDENTITY_FULL;
}

/* fallback: for what row has unchanged. */
static Pgcdc__V1__Key *key_of(struct making *m, const struct row *row, const struct row *fallback) {
    if (!has_key(m))
        return NULL;
    Pgcdc__V1__Key *key = new_key(m);
    key->columns = make(m->arena, (COLUMNS_MAX + 1) * sizeof(Pgcdc__V1__Column *));
    for (uint32_t i = 0; i < m->relation->column_count; i++) {
        if (!m->relation->columns[i].is_key)
            continue;
        bool is_unchanged = row->columns[i]->value_case == PGCDC__V1__COLUMN__VALUE_UNCHANGED;
        Pgcdc__V1__Column *column = make(m->arena, sizeof *column);
        *column = is_unchanged ? *fallback->columns[i] : *row->columns[i];
        column->name = keep(m->arena, m->relation->columns[i].name);
        key->columns[key->n_columns++] = column;
    }
    return key;
}

/* ---- changes ---- */

static Pgcdc__V1__Change *new_record(struct making *m, const struct change *change,
                                     Pgcdc__V1__Operation operation) {
    Pgcdc__V1__Change *record = make(m->arena, sizeof *record);
    pgcdc__v1__change__init(record);
    record->operation = operation;
    record->schema = keep(m->arena, m->relation->schema);
    record->table = keep(m->arena, m->relation->name);
    record->replica_identity = m->relation->identity == REPLICA_IDENTITY_DEFAULT   ? 0
                               : m->relation->identity == REPLICA_IDENTITY_NOTHING ? 1
                               : m->relation->identity == REPLICA_IDENTITY_FULL    ? 2
                                                                                   : 3;
    record->commit_lsn = change->transaction->commit_lsn;
    record->index = change->index;
    record->xid = change->transaction->xid;
    record->commit_time_us = change->transaction->commit_time_us + POSTGRES_EPOCH_US;
    return record;
}

static struct random_change begin(struct making *m, enum change_kind kind, Pgcdc__V1__Operation operation) {
    struct transaction *transaction = make(m->arena, sizeof *transaction);
    transaction->commit_lsn = random_next(m->random) >> random_below(m->random, 64);
    transaction->commit_time_us =
        random_below(m->random, 20) ? random_integer(m->random, 56) : -POSTGRES_EPOCH_US;
    transaction->xid = random_below(m->random, 20) ? (xid_t) random_next(m->random) : 0;
    struct random_change made = {.relation = m->relation};
    made.change = (struct change){.kind = kind,
                                  .lsn = transaction->commit_lsn,
                                  .index = random_next(m->random) >> (random_below(m->random, 30) + 34),
                                  .transaction = transaction};
    made.record = new_record(m, &made.change, operation);
    return made;
}

static struct random_change make_new(struct making *m, enum change_kind kind,
                                     Pgcdc__V1__Operation operation) {
    struct random_change made = begin(m, kind, operation);
    struct row row = make_row(m);
    made.change.relation = m->relation;
    made.change.new_values = row.values;
    made.record->after = describe(m, &row, false, &made.record->n_after);
    made.key = key_of(m, &row, NULL);
    return made;
}

static enum old_kind random_old_kind(struct making *m) {
    if (m->relation->identity == REPLICA_IDENTITY_FULL)
        return m->relation->column_count > 0 ? OLD_FULL : OLD_NONE;
    return has_key(m) && random_below(m->random, 2) ? OLD_KEY : OLD_NONE;
}

static struct row make_old(struct making *m, struct random_change *made, enum old_kind kind) {
    struct row row = make_row(m);
    if (kind == OLD_KEY)
        keep_key_only(m, &row);
    made->change.relation = m->relation;
    made->change.old_kind = kind;
    made->change.old_values = row.values;
    made->record->before = describe(m, &row, kind == OLD_KEY, &made->record->n_before);
    return row;
}

static bool key_differs(const struct making *m, const struct row *old, const struct row *row) {
    for (uint32_t i = 0; i < m->relation->column_count; i++) {
        const struct value *a = &old->values[i], *b = &row->values[i];
        if (m->relation->columns[i].is_key && b->kind != VALUE_UNCHANGED &&
            (a->kind != b->kind || a->size != b->size ||
             (a->size > 0 && memcmp(a->data, b->data, a->size) != 0)))
            return true;
    }
    return false;
}

static void make_move(struct making *m, struct random_change *made, const struct row *old,
                      const struct row *row) {
    if (made->key == NULL || !key_differs(m, old, row))
        return;
    made->moved = new_record(m, &made->change, PGCDC__V1__OPERATION__OPERATION_DELETE);
    made->moved->before = describe(m, old, true, &made->moved->n_before);
    made->moved->moved_to = made->key;
    made->old_key = key_of(m, old, NULL);
}

/* The key stays as it is in half of those with an old row. */
static void make_new_row(struct making *m, const struct row *old, struct row *row) {
    const bool keeps_key = old != NULL && random_below(m->random, 2);
    for (uint32_t i = 0; i < m->relation->column_count; i++) {
        const bool is_key = m->relation->columns[i].is_key;
        if (is_key && keeps_key) {
            row->columns[i] = old->columns[i];
            row->values[i] = old->values[i];
        }
        if ((old != NULL || !is_key) && random_below(m->random, 5) == 0)
            row->columns[i] = make_unchanged(m, &row->values[i]);
    }
}

static struct random_change make_update(struct making *m) {
    struct random_change made = begin(m, CHANGE_UPDATE, PGCDC__V1__OPERATION__OPERATION_UPDATE);
    const enum old_kind kind = random_old_kind(m);
    struct row old = {0}, row = make_row(m);
    if (kind != OLD_NONE)
        old = make_old(m, &made, kind);
    make_new_row(m, kind != OLD_NONE ? &old : NULL, &row);
    made.change.relation = m->relation;
    made.change.new_values = row.values;
    made.record->after = describe(m, &row, false, &made.record->n_after);
    made.key = key_of(m, &row, &old);
    if (kind == OLD_KEY)
        make_move(m, &made, &old, &row);
    return made;
}

static struct random_change make_delete(struct making *m) {
    struct random_change made = begin(m, CHANGE_DELETE, PGCDC__V1__OPERATION__OPERATION_DELETE);
    const bool is_full = m->relation->identity == REPLICA_IDENTITY_FULL;
    struct row row = make_old(m, &made, is_full ? OLD_FULL : OLD_KEY);
    made.key = key_of(m, &row, NULL);
    return made;
}

static struct random_change make_truncate(struct making *m) {
    struct random_change made = begin(m, CHANGE_TRUNCATE, PGCDC__V1__OPERATION__OPERATION_TRUNCATE);
    const struct relation **relations = make(m->arena, sizeof *relations);
    relations[0] = m->relation;
    made.change.relations = relations;
    made.change.relation_count = 1;
    made.change.truncate_flags = random_below(m->random, 4);
    made.record->truncate = make(m->arena, sizeof *made.record->truncate);
    pgcdc__v1__truncate__init(made.record->truncate);
    made.record->truncate->cascade = (made.change.truncate_flags & TRUNCATE_CASCADE) != 0;
    made.record->truncate->restart_identity = (made.change.truncate_flags & TRUNCATE_RESTART_IDENTITY) != 0;
    made.key = new_key(m);
    return made;
}

struct random_change random_change_make(struct random *random, struct arena *arena) {
    struct making making = {.random = random, .arena = arena};
    make_relation(&making);
    switch (random_below(random, 10)) {
    case 0:
        return make_truncate(&making);
    case 1:
        return make_new(&making, CHANGE_READ, PGCDC__V1__OPERATION__OPERATION_READ);
    case 2:
    case 3:
        return make_delete(&making);
    case 4:
    case 5:
        return make_new(&making, CHANGE_INSERT, PGCDC__V1__OPERATION__OPERATION_INSERT);
    default:
        return make_update(&making);
    }
}
