/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_tables.h - the definitions of tables that consumers were told in the schema topic. Pure.
 *
 * The last one of each table is a record of the position topic too, written in the same Kafka transaction:
 *
 *     key    PIPELINE/SINK#schema/OID
 *     value  change.proto's TableSchema
 *
 * So after a kill it is known what consumers have, and nothing is told twice. A column is followed by its
 * number: of a name that has changed it is certain that it is the same column, or nothing is said.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/map.h"
#include "decoder/change.h"
#include "proto/schema_record.h"

#define TOLD_NAME_PREFIX "#schema/"

struct told_tables {
    struct arena arena; /* begun with the first table */
    bool has_arena;
    struct map tables; /* of struct told_table, by OID; in arena */
};

/* Accepts zeroed ones. */
void told_tables_release(struct told_tables *told);

/*
 * For struct position_reader; context: a struct told_tables. Takes its records, and passes over others.
 * ERROR_PROTOCOL: not such a record.
 */
MUST_CHECK bool told_tables_take(void *context, struct slice name, struct slice value, struct error *err);

/*
 * The definition with which the change's record is written, as it is to be told; its columns are in arena.
 * *ret_is_new false: it was told. ERROR_RETRY: the transaction that may have altered the table is not visible
 * at the source yet, so its numbers cannot be known.
 */
MUST_CHECK bool told_tables_compare(struct told_tables *told, const struct change *change,
                                    const struct relation *relation, struct arena *arena,
                                    struct schema_record *ret_record, bool *ret_is_new, struct error *err);

/* It was told. */
MUST_CHECK bool told_tables_note(struct told_tables *told, const struct schema_record *record,
                                 const struct relation *relation, struct error *err);

/* Of the table in this slot of the map; 0: none. */
oid_t told_tables_oid_at(const struct told_tables *told, size_t slot);
