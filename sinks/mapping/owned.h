/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned.h - which rows of a sink's table are those of one table of the source.
 *
 * A column of the key that has one value in all rows of the source's table, a constant or the table's name,
 * tells them from rows of other tables and other pipelines. Only they are removed and counted, and so several
 * tables can become one.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/mapping/rule.h"

/* Has this column of the rule, which is added, a place in the key? */
bool owned_is_in_key(const struct rule *rule, const struct column_rule *column);

/* Has the key a column with the name of the source's table? Then all tables of the rule can become one. */
bool owned_has_table(const struct rule *rule);

/* source_name: schema.table. NULL, when all rows of the sink's table are its. ret_sql is in arena. */
MUST_CHECK bool owned_sql(const struct rule *rule, const char *source_name, struct arena *arena,
                          const char **ret_sql, struct error *err);

/* Can no row of one be a row of the other? Rules may be NULL. */
bool owned_apart(const struct rule *one, const char *one_name, const struct rule *other,
                 const char *other_name);
