/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generated.c - compares what the target generates with what the source does.
 *
 * A Relation message does not say which columns are generated; before PostgreSQL 18 it never contains
 * generated columns.
 */
#include "sinks/postgres/catalog/generated.h"

#include <stdio.h>
#include <string.h>

static bool is_generated_at_source(const struct sink *sink, oid_t oid, struct slice name) {
    for (size_t i = 0; i < sink->facts.generated_count; i++)
        if (sink->facts.generated[i].relation_oid == oid &&
            slice_equal(slice_of(sink->facts.generated[i].name), name))
            return true;
    return false;
}

static bool generated_refuse(struct sink *sink, const struct target_table *table, uint32_t column,
                             struct error *err) {
    const struct slice name = table->relation->columns[column].name;
    sink->lack.column = (struct sink_column){.relation_oid = table->relation->oid};
    snprintf(sink->lack.column.name, sizeof sink->lack.column.name, "%.*s", (int) name.size, name.data);
    error_set(err, ERROR_DATA,
              "target: column %s of table %s is generated at the target only, so the source's values would "
              "be lost",
              table->columns[column].name, table->name);
    return error_remedy(err,
                        "pgcdc check prints the statement that makes it a plain column; then start again");
}

static bool check_table(struct sink *sink, const struct target_table *table, struct error *err) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].is_written && !table->columns[i].is_left_out &&
            !is_generated_at_source(sink, table->relation->oid, table->relation->columns[i].name))
            return generated_refuse(sink, table, i, err);
    return true;
}

bool generated_check(struct sink *sink, struct target_table *const *tables, size_t count, size_t *ret_failed,
                     struct error *err) {
    for (*ret_failed = 0; *ret_failed < count; ++*ret_failed)
        if (!check_table(sink, tables[*ret_failed], err))
            return false;
    return true;
}
