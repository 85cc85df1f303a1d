/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_table.h - a table as it is compared: its columns, its topic, and what was found.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/pq/session.h"
#include "decoder/change.h"
#include "sinks/comparison.h"
#include "sinks/kafka/client/client.h"
#include "sinks/mapping/table_expressions.h"

/* The records of a partition that are compared: offsets below end. */
struct topic_part {
    int32_t partition;
    int64_t begin; /* of the first record that is still there */
    int64_t end;
};

/* A published column that the messages have. */
struct compared_column {
    uint32_t index; /* in the relation */
    uint64_t seed;  /* of its hashes */
    /*
     * What the format writes for a value that an update left unchanged; data NULL: it is read as
     * VALUE_UNCHANGED, or (is_null_unchanged) written as null.
     */
    struct slice placeholder;
    bool is_null_unchanged;
};

/* A column of a mapping with the same value in each row of the table, as messages have it. */
struct topic_constant {
    struct slice column;
    struct slice value;
};

/* What one pass over both sides found. */
struct table_result {
    struct differences differences; /* by key; each key once */
    struct difference rest;         /* those for which there is no room; key 0 */
    uint64_t source_rows;
    uint64_t target_rows;
    struct comparison_faults faults;
    uint64_t unproven; /* rows with a value that no record has */
    uint64_t unusable; /* records that do not say which row they are about */
    uint64_t cut;      /* rows of the source that may have been in records that are deleted */
};

enum { TOPIC_DEFINITION_TEXTS = 4 };

struct topic_table {
    struct comparison_table table; /* first: the caller has a pointer to it */
    const struct table *source;
    struct table_map map;             /* the mapping of its rows; without a rule: none */
    struct table mapped;              /* the source's table as the sink has it */
    struct relation relation;         /* its columns, as messages have them */
    struct topic_constant *constants; /* when rows of other tables may be in the topic */
    size_t constant_count;
    struct column *source_columns; /* names and types, for the mapping */
    char topic[TOPIC_NAME_MAX + 1];
    bool is_shared; /* with other tables */
    bool has_key;
    struct compared_column *columns;
    size_t column_count;
    uint32_t *shown; /* indexes in the relation of table.shown_names */
    const char *definition[TOPIC_DEFINITION_TEXTS];
    const char *unwritten; /* columns that the messages do not have, and why; or NULL */
    bool is_unlisted;      /* the cluster said once that there is no such topic: then the list is enough */

    /* The rest is of the current pin. */
    struct topic_part *parts;
    size_t part_count; /* 0: there is no such topic */
    bool is_compared;
    struct table_result result;
    struct buffer left_out;
    struct topic_table *next;
};

static inline struct topic_table *topic_table_of(const struct comparison_table *table) {
    return (struct topic_table *) (uintptr_t) table;
}

/* With what messages are made and read; used by one thread. */
struct topic_codec {
    const struct format_ops *ops;
    struct format *format;
    struct message_list messages; /* of the last row */
    struct arena arena;           /* of the last message that was read */
};

/*
 * The message of a row of the table, read back: its key, and the values as the topic's messages have them.
 * Valid until the next call for the codec.
 */
MUST_CHECK bool topic_table_read_row(const struct topic_table *table, struct topic_codec *codec,
                                     const struct value *values, struct format_reading *ret_reading,
                                     struct error *err);

/* Everything is in arena, but what belongs to a pin, and expressions, which are the evaluator's. */
MUST_CHECK bool topic_table_new(const struct kafka_options *options, struct topic_codec *codec,
                                struct evaluator *evaluator, const struct table *source, struct arena *arena,
                                struct topic_table **ret_table, struct error *err);

/* Forgets what belongs to the pin. */
void topic_table_unpin(struct topic_table *table);

/* Says in table.left_out what the result does not prove. */
MUST_CHECK bool topic_table_conclude(struct topic_table *table, struct error *err);
