/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_progress.c - joins what a file has proven with the tables as they are now.
 */
#include "cdc/verify/verify_progress.h"

#include <inttypes.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/source/target_identity.h"

enum { WRITE_INTERVAL_MS = 1000, GROWTH_MAX = 2 };

/* ---- what a proof is about ---- */

/* FNV-1a, over the text and its end. */
static uint64_t hash_text(uint64_t hash, const char *text) {
    for (const char *c = text != NULL ? text : ""; *c != '\0'; c++)
        hash = (hash ^ (unsigned char) *c) * UINT64_C(1099511628211);
    return (hash ^ 255) * UINT64_C(1099511628211);
}

static bool hash_source(struct verify_sides *sides, uint64_t *ret_hash, struct error *err) {
    struct target_identity source;
    char text[32];
    uint64_t hash = UINT64_C(14695981039346656037);
    if (!target_identity_read(&sides->source, &source, err))
        return false;
    snprintf(text, sizeof text, "%" PRIu64, source.system_id);
    *ret_hash = hash_text(hash_text(hash, text), source.database);
    return true;
}

static uint64_t hash_table(uint64_t hash, const struct verify_table *compared) {
    const struct comparison_table *comparison = compared->comparison;
    for (size_t i = 0; i < comparison->definition_count; i++)
        hash = hash_text(hash, comparison->definition[i]);
    return hash_text(hash, compared->where_sql);
}

/* ---- ranges ---- */

static bool divide_as_now(struct verified_table *table, const struct verify_table *compared,
                          struct arena *arena, struct error *err) {
    table->range_count = compared->range_count;
    table->column = compared->ranges != NULL ? compared->ranges[0].column : "";
    table->ranges = arena_alloc_zero(arena, table->range_count * sizeof *table->ranges);
    if (table->ranges == NULL)
        return error_no_memory(err);
    for (size_t i = 0; compared->ranges != NULL && i < table->range_count; i++) {
        table->ranges[i].low = compared->ranges[i].low;
        table->ranges[i].high = compared->ranges[i].high;
    }
    return true;
}

/* The other way: what is compared gets the ranges of the file. */
static bool divide_as_before(const struct verified_table *table, struct verify_table *compared,
                             struct arena *arena, struct error *err) {
    if (compared->ranges == NULL)
        return true;
    struct chunk *ranges = arena_alloc(arena, table->range_count * sizeof *ranges);
    bool *differs = arena_alloc_zero(arena, table->range_count * sizeof *differs);
    if (ranges == NULL || differs == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < table->range_count; i++) {
        ranges[i] = compared->ranges[0];
        ranges[i].low = table->ranges[i].low;
        ranges[i].high = table->ranges[i].high;
    }
    compared->ranges = ranges;
    compared->range_differs = differs;
    compared->range_count = table->range_count;
    return true;
}

/* Do its ranges still say something about the table? */
static bool still_fits(const struct verified_table *before, const struct verify_table *compared,
                       bool divides_anew) {
    const char *column = compared->ranges != NULL ? compared->ranges[0].column : "";
    return strcmp(before->column, column) == 0 &&
           (!divides_anew || compared->range_count <= GROWTH_MAX * before->range_count);
}

static bool take_table(struct verify_progress *progress, const struct verified *before,
                       struct verified_table *table, struct verify_table *compared, bool divides_anew,
                       struct arena *arena, struct error *err) {
    const struct verified_table *found = verified_find(before, compared->table->oid);
    if (found != NULL && found->definition != table->definition)
        found = NULL;
    if (found != NULL) {
        table->equal_us = found->equal_us;
        table->equal_lsn = found->equal_lsn;
    }
    if (found == NULL || !still_fits(found, compared, divides_anew))
        return divide_as_now(table, compared, arena, err);
    table->column = found->column;
    table->ranges = found->ranges;
    table->range_count = found->range_count;
    progress->kept_count += verified_count(table, VERIFIED_EQUAL);
    return divide_as_before(table, compared, arena, err);
}

bool verify_progress_open(struct verify_progress *progress, struct verify_table *tables, size_t count,
                          struct verify_sides *sides, bool reads, bool divides_anew, struct arena *arena,
                          struct error *err) {
    struct verified before = {0};
    uint64_t hash = 0;
    progress->config = sides->config;
    progress->sink = sides->sink->name;
    progress->kept_count = progress->range_count = 0;
    if (reads)
        verified_read(sides->config->state, sides->config->name, progress->sink, progress->kind, arena,
                      &before);
    progress->verified = (struct verified){
        .tables = arena_alloc_zero(arena, (count + 1) * sizeof *before.tables), .count = count};
    if (progress->verified.tables == NULL)
        return error_no_memory(err);
    if (!hash_source(sides, &hash, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct verified_table *table = &progress->verified.tables[i];
        *table = (struct verified_table){.oid = tables[i].table->oid,
                                         .schema = tables[i].table->schema,
                                         .name = tables[i].table->name,
                                         .definition = hash_table(hash, &tables[i])};
        if (!take_table(progress, &before, table, &tables[i], divides_anew, arena, err))
            return false;
        progress->range_count += table->range_count;
    }
    return true;
}

/* ---- what is found ---- */

void verify_progress_note(struct verify_progress *progress, size_t table, const struct verify_table *compared,
                          const struct verified_range *counts) {
    struct verified_range *range = &progress->verified.tables[table].ranges[compared->range];
    const char *low = range->low, *high = range->high;
    *range = *counts;
    range->low = low;
    range->high = high;
    range->lsn = compared->lsn;
    range->at_us = clock_unix_us();
    range->state =
        counts->missing + counts->extra + counts->different > 0 ? VERIFIED_DIFFERENT : VERIFIED_EQUAL;
    verified_conclude(&progress->verified.tables[table]);
    progress->is_changed = true;
}

void verify_progress_save(struct verify_progress *progress, bool at_once) {
    const struct config *config = progress->config;
    const int64_t now_ms = clock_now_ms();
    struct error err = {0};
    if (progress->kind == NULL || !progress->is_changed ||
        (!at_once && now_ms - progress->written_ms < FAULT_INTERVAL_MS(WRITE_INTERVAL_MS)))
        return;
    progress->written_ms = now_ms;
    progress->is_changed = false;
    if (verified_write(config->state, config->name, progress->sink, progress->kind, &progress->verified,
                       &err) ||
        progress->cannot_write)
        return;
    progress->cannot_write = true;
    log_sink(LOG_VERIFY_NOT_STORED, progress->sink, "what was proven equal cannot be stored: %s", err.text);
}
