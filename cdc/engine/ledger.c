/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.c - one entry for each table, found by its OID.
 */
#include "cdc/engine/ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"

enum { BLOCK_BYTES = 4096 };
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

void ledger_init(struct ledger *ledger) {
    *ledger = (struct ledger){0};
    arena_init(&ledger->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
}

void ledger_release(struct ledger *ledger) {
    map_release(&ledger->map);
    free(ledger->tables);
    arena_release(&ledger->arena);
    *ledger = (struct ledger){0};
}

const struct ledger_table *ledger_find(const struct ledger *ledger, oid_t oid) {
    return map_find_number(&ledger->map, oid);
}

/* ---- counting ---- */

static struct ledger_table *add_table(struct ledger *ledger, const struct relation *relation) {
    struct ledger_table *table = arena_alloc_zero(&ledger->arena, sizeof *table);
    if (ledger->count == ledger->capacity) {
        const size_t capacity = ledger->capacity == 0 ? 64 : ledger->capacity * 2;
        struct ledger_table **tables = reallocarray(ledger->tables, capacity, sizeof(struct ledger_table *));
        if (tables == NULL)
            return NULL;
        ledger->tables = tables;
        ledger->capacity = capacity;
    }
    if (table == NULL || !map_put_number(&ledger->map, relation->oid, table))
        return NULL;
    table->oid = relation->oid;
    table->schema = arena_copy(&ledger->arena, relation->schema);
    table->name = arena_copy(&ledger->arena, relation->name);
    if (table->schema == NULL || table->name == NULL)
        return NULL;
    ledger->tables[ledger->count++] = table;
    return table;
}

static struct ledger_table *find_table(struct ledger *ledger, const struct relation *relation) {
    if (ledger->last != NULL && ledger->last->oid == relation->oid)
        return ledger->last;
    ledger->last = map_find_number(&ledger->map, relation->oid);
    if (ledger->last == NULL)
        ledger->last = add_table(ledger, relation);
    return ledger->last;
}

static bool post(struct ledger *ledger, enum ledger_side side, const struct relation *relation,
                 uint64_t count, struct error *err) {
    struct ledger_table *table = find_table(ledger, relation);
    if (table == NULL)
        return error_no_memory(err);
    table->counts[side] += count; /* a negative number wraps to the right sum */
    ledger->totals[side] += count;
    return true;
}

static enum table_op op_of(enum change_kind kind) {
    switch (kind) {
    case CHANGE_UPDATE:
        return TABLE_UPDATE;
    case CHANGE_DELETE:
        return TABLE_DELETE;
    case CHANGE_TRUNCATE:
        return TABLE_TRUNCATE;
    case CHANGE_READ:
        return TABLE_READ;
    default:
        return TABLE_INSERT;
    }
}

/* The table of the last post. */
static void note_untold(struct ledger *ledger, const struct change *changes, size_t count) {
    struct ledger_table *table = ledger->last;
    for (size_t i = 0; i < count; i++)
        table->untold[op_of(changes[i].kind)]++;
    if (table->is_untold)
        return;
    table->is_untold = true;
    table->next_untold = ledger->untold;
    ledger->untold = table;
}

void ledger_tell(struct ledger *ledger) {
    struct ledger_table *table = ledger->untold;
    for (; table != NULL; table = table->next_untold) {
        if (table->told == NULL)
            table->told =
                table_counts_find(ledger->tells, table->oid, slice_of(table->schema), slice_of(table->name));
        for (int op = 0; op < TABLE_OPS; op++)
            if (table->untold[op] > 0)
                table_count_add(table->told, (enum table_op) op, table->untold[op]);
        memset(table->untold, 0, sizeof table->untold);
        table->is_untold = false;
    }
    ledger->untold = NULL;
}

/* How many changes from here on are rows of the same relation. */
static size_t run_length(const struct change *changes, size_t count) {
    size_t length = 1;
    while (length < count && change_is_row(&changes[length]) &&
           changes[length].relation == changes[0].relation)
        length++;
    return length;
}

static bool post_all(struct ledger *ledger, enum ledger_side side, const struct change *changes, size_t count,
                     uint64_t sign, struct error *err) {
    const bool tells = ledger->tells != NULL && side == LEDGER_WRITTEN;
    for (size_t i = 0; i < count;) {
        const struct change *change = &changes[i];
        const size_t length = change_is_row(change) ? run_length(change, count - i) : 1;
        if (change_is_row(change) && !post(ledger, side, change->relation, length * sign, err))
            return false;
        if (change_is_row(change) && tells)
            note_untold(ledger, change, length);
        for (uint32_t r = 0; change->kind == CHANGE_TRUNCATE && r < change->relation_count; r++) {
            if (!post(ledger, side, change->relations[r], sign, err))
                return false;
            if (tells)
                note_untold(ledger, change, 1);
        }
        i += length;
    }
    return true;
}

bool ledger_add(struct ledger *ledger, enum ledger_side side, const struct change *changes, size_t count,
                struct error *err) {
    return post_all(ledger, side, changes, count, 1, err);
}

void ledger_subtract(struct ledger *ledger, enum ledger_side side, const struct change *changes,
                     size_t count) {
    struct error ignored = {0}; /* the tables exist */
    const bool found = post_all(ledger, side, changes, count, UINT64_MAX, &ignored);
    assert(found);
    (void) found;
}

/* ---- closing ---- */

static uint64_t sum_out(const uint64_t *counts) {
    uint64_t sum = 0;
    for (int side = LEDGER_IN + 1; side < LEDGER_SIDES; side++)
        sum += counts[side];
    return sum;
}

static bool refuse_open(const struct ledger_table *table, struct error *err) {
    const uint64_t *counts = table->counts;
    error_set(err, ERROR_DIFFERENT,
              "table %s.%s does not close: of %s that came in, %" PRIu64
              " were written, a copy contains %" PRIu64 ", the sink had %" PRIu64 ", and %" PRIu64
              " were skipped",
              table->schema, table->name, amount_count(counts[LEDGER_IN], "change").text,
              counts[LEDGER_WRITTEN], counts[LEDGER_COPIED], counts[LEDGER_PRESENT], counts[LEDGER_SKIPPED]);
    return error_remedy(err,
                        "this is a defect of pgcdc: compare the table with `pgcdc verify`, and report it");
}

bool ledger_check(const struct ledger *ledger, struct error *err) {
    bool closes = ledger->totals[LEDGER_IN] == sum_out(ledger->totals);
    if (closes)
        return true;
    for (size_t i = 0; i < ledger->count; i++)
        if (ledger->tables[i]->counts[LEDGER_IN] != sum_out(ledger->tables[i]->counts))
            return refuse_open(ledger->tables[i], err);
    return true;
}

bool ledger_check_against(const struct ledger *ledger, const struct ledger *sent, struct error *err) {
    for (size_t i = 0; i < sent->count; i++) {
        const struct ledger_table *table = sent->tables[i];
        const struct ledger_table *found = ledger_find(ledger, table->oid);
        const uint64_t came = found != NULL ? found->counts[LEDGER_IN] : 0;
        if (came == table->counts[LEDGER_IN])
            continue;
        error_set(err, ERROR_DIFFERENT, "table %s.%s does not close: %s were read, and %" PRIu64 " came in",
                  table->schema, table->name, amount_count(table->counts[LEDGER_IN], "change").text, came);
        return error_remedy(
            err, "this is a defect of pgcdc: compare the table with `pgcdc verify`, and report it");
    }
    return true;
}
