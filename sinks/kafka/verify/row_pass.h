/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_pass.h - reads a table at the source and its topic once, and pairs their rows.
 */
#pragma once

#include "sinks/kafka/verify/read_rate.h"
#include "sinks/kafka/verify/row_merge.h"

/* Both sides of a comparison. */
struct row_sides {
    struct session *source;
    struct evaluator *evaluator; /* of the rules' expressions */
    struct client *reader;       /* a consumer that reads committed */
    struct topic_codec *codec;
    struct read_rate *rate;
};

struct row_pass {
    const struct row_sides *sides;
    const struct topic_table *table;
    const struct image_layout *layout;
    const struct comparison_keys *only; /* sorted: these keys alone; NULL: all */
    struct partition_account *found;    /* of the caller, see struct record_rows; NULL: none are counted */
    row_pair_taker *take;
    void *context;
};

/* What is wrong with the records, whatever the rows are. */
struct row_pass_faults {
    struct comparison_faults faults;
    uint64_t unusable; /* records that do not say which row they are about */
};

MUST_CHECK bool row_pass_run(const struct row_pass *pass, struct row_pass_faults *ret_faults,
                             struct error *err);
