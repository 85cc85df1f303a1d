/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rule_columns.h - which column of the source each name of a rule is.
 *
 * A rule finds its columns by name, and columns can exchange names. Then each would get the other's rule, and
 * a value that is to be hidden would leave as it is. So the numbers of a rule's columns (catalog_table.h) are
 * noted when the rule meets its table first, and stored before a row passes. A definition in which a name of
 * the rule is another column, or may be one, stops the sink before a row of it.
 *
 * What is stored says what the rules mean, not how far the stream is. So after a kill it may be newer than
 * the position, and is as right then; and what was not stored has let no row pass.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "decoder/change.h"
#include "sinks/mapping/table_map.h"
#include "sinks/sink.h"

struct rule_columns {
    const struct sink_config *config;
    const struct sink_memory *memory; /* NULL: there is none, and nothing is noted or refused */
    struct arena arena;
    struct map tables; /* of struct ruled_table, by OID */
    bool is_read;
};

void rule_columns_init(struct rule_columns *columns, const struct sink_config *config);
/* Accepts a zeroed one. */
void rule_columns_release(struct rule_columns *columns);

/*
 * Before the first write: notes the columns of rules that are new, as the catalog has them, and forgets names
 * of which no rule is any more. An operator who corrects a rule looks at the catalog too.
 */
MUST_CHECK bool rule_columns_learn(struct rule_columns *columns, const struct catalog_tables *tables,
                                   struct error *err);

/*
 * Before rows of a chunk are read, with the names of now; map and mapped: of its table. Reads the memory
 * anew, so in any thread. ERROR_DATA as in rule_columns_check.
 */
MUST_CHECK bool rule_columns_check_chunk(const struct sink_config *config, const struct sink_memory *memory,
                                         const struct table_map *map, const struct table *mapped,
                                         struct error *err);

/*
 * Before a row of the relation passes, which is the source's; map: of it. ERROR_DATA: a name of the rule is
 * another column than before. ERROR_RETRY: a transaction that may have altered the table is not visible yet.
 */
MUST_CHECK bool rule_columns_check(struct rule_columns *columns, const struct table_map *map,
                                   const struct relation *relation, const struct change *change,
                                   struct error *err);
