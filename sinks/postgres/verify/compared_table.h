/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compared_table.h - a table of the source as the sink has it, column by column.
 *
 * Without a rule of a mapping that is the source's table. With one, the columns have the sink's names. A
 * value that steps have made cannot be written in SQL; then the rows are mapped by the function of the copy
 * (stage.h).
 */
#pragma once

#include "sinks/mapping/table_map.h"
#include "sinks/row_mode.h"
#include "sinks/sink.h"

struct compared_column {
    const struct table_column *column; /* with the sink's name */
    const char *source_sql;            /* its value at the source, without steps: a name, or a constant */
    const char *source_type_sql;
    const char *constant; /* the text that it has in each row; NULL: it is a column of the source */
    bool is_made;         /* the rule makes its values or chooses its type, so it cannot be narrowed */
};

/* Everything is in the arena with which it was made. */
struct compared_table {
    const struct table *source; /* with left_to_sink set of columns that the target is to have none for */
    struct table table;         /* the sink's; only columns that have a value at the source are published */
    struct table_map map;
    struct compared_column *columns;
    size_t count;
    const struct table_column
        *divider;              /* the sink's of the source's divider; NULL: steps change its values */
    bool needs_rows;           /* the rows and values are known only when they are mapped */
    const char *about_changes; /* columns of the sink that no row of the source has; or NULL */
    const char *steps;         /* all that changes values, as a text; or NULL */
    bool is_log;               /* the sink's rows are events (log_rows.h) */
    bool log_is_keyed;         /* the key says which row an event is about: key_index of the sink's columns */
};

/* target: to ask what the sink leaves out. */
MUST_CHECK bool compared_table_make(struct compared_table *compared, const struct sink_config *config,
                                    const struct table *source, struct session *target, struct arena *arena,
                                    struct error *err);
