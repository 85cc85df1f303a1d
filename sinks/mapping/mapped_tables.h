/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_tables.h - tables of a copy: as the engine has them, and as the sink gets them.
 */
#pragma once

#include "sinks/chunk.h"
#include "sinks/mapping/evaluator.h"
#include "sinks/mapping/table_map.h"

struct mapped_tables {
    struct arena arena;
    const struct table *sources; /* the caller's */
    struct table *tables;        /* the sink's; those without a rule share the columns of the source's */
    struct table_map *maps;
    size_t count;
};

void mapped_tables_init(struct mapped_tables *tables);
void mapped_tables_release(struct mapped_tables *tables);

/*
 * Maps the tables, in place of those before. evaluator proves the expressions of rules; NULL: only names and
 * columns matter. ERROR_CONFIG: see table_map.h and table_expressions.h; or two tables would have one name.
 */
MUST_CHECK bool mapped_tables_make(struct mapped_tables *tables, const struct mapping *mapping,
                                   const char *sink, const struct table *sources, size_t count,
                                   struct evaluator *evaluator, struct error *err);

/* The index of a table; count: it is none of these. */
size_t mapped_tables_find(const struct mapped_tables *tables, oid_t oid);

/* Are the rows of table i passed on as they are? */
bool mapped_tables_keep(const struct mapped_tables *tables, size_t i);

/* What the sink has noted in its columns goes to those of the source. */
void mapped_tables_take_columns(const struct mapped_tables *tables);

/*
 * May the rows of the tables arrive in parts? Not when a step makes the values by which they are divided.
 * sources: those of make.
 */
void mapped_tables_take_parts(const struct mapped_tables *tables, struct table *sources);

/* A chunk of table i with the sink's names. */
struct chunk mapped_tables_chunk(const struct mapped_tables *tables, size_t i, const struct chunk *chunk);
