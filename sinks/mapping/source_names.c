/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_names.c - which columns a rule leaves as they are, but for the name.
 */
#include "sinks/mapping/source_names.h"

#include <string.h>

#include "cdc/pq/identifier.h"

#define NAMES_BYTES_MAX 65536u
#define UNDEFINED_COLUMN "42703"
#define UNDEFINED_TABLE "42P01"

static const char *source_name(const struct source_names *names, uint32_t i) {
    const struct mapped_column *column = &names->map->columns[i];
    if (!names->mapped->columns[i].published || column->from == COLUMN_ADDED ||
        mapped_column_is_made(column) || (column->rule != NULL && column->rule->type != NULL))
        return NULL;
    return names->source->columns[column->from].name;
}

void source_names_append(struct buffer *sql, const struct source_names *names) {
    const char *glue = "";
    for (uint32_t i = 0; i < names->map->column_count; i++) {
        const char *name = source_name(names, i);
        if (name == NULL)
            continue;
        buffer_append_text(sql, glue);
        identifier_append(sql, slice_of(names->mapped->columns[i].name));
        buffer_append_text(sql, " as ");
        identifier_append(sql, slice_of(name));
        glue = ", ";
    }
}

const char *source_names_find(const struct source_names *names, const char *column) {
    for (uint32_t i = 0; i < names->map->column_count; i++) {
        const int32_t from = names->map->columns[i].from;
        if (from != COLUMN_ADDED && strcmp(names->source->columns[from].name, column) == 0)
            return names->mapped->columns[i].name;
    }
    return NULL;
}

static void list_names(const struct source_names *names, struct buffer *text) {
    for (uint32_t i = 0; i < names->map->column_count; i++) {
        const char *name = source_name(names, i);
        if (name == NULL)
            continue;
        buffer_append_text(text, text->size > 0 ? ", " : "");
        identifier_append_printable(text, slice_of(name));
    }
}

bool source_names_explain(const struct source_names *names, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    if (strcmp(err->sqlstate, UNDEFINED_COLUMN) != 0 && strcmp(err->sqlstate, UNDEFINED_TABLE) != 0)
        return false;
    list_names(names, &text);
    const char *list = text.size > 0 ? buffer_text(&text) : NULL;
    error_set(err, ERROR_CONFIG,
              "the condition uses more than columns whose values the rule for %s leaves alone, so it cannot "
              "be asked of the rows of sink %s",
              names->map->rule->match, names->sink);
    if (list == NULL)
        return error_remedy(err, "leave the condition out");
    return error_remedy(err, "use only these columns, without the table's name: %s", list);
}
