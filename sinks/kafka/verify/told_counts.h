/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_counts.h - how many records of a table the sink has counted, by its transaction topic.
 *
 * The record that ends a transaction counts its changes by table, and was published together with them. So
 * it says what was published, whatever has happened to the tables' topics since. Both are summed up in the
 * same way: the number of records, and the sum of a hash of their commit LSNs, which does not depend on an
 * order.
 */
#pragma once

#include "sinks/kafka/verify/row_pass.h"

/* The totals of all tables, for one pin. */
struct told_counts {
    struct topic_table topic;  /* the transaction topic; its name is "" when there is none */
    struct record_range range; /* of the transactions that are counted */
    struct arena arena;
    struct map tables; /* of struct told_table, by name */
    bool is_read;
    bool is_unreadable; /* it has a record of another kind */
};

void told_counts_init(struct told_counts *told, const char *topic);
void told_counts_release(struct told_counts *told);

/* Forgets what belongs to the pin. */
void told_counts_unpin(struct told_counts *told);

/* Reads the topic, once for a pin. end_lsn: the position of the pin. */
MUST_CHECK bool told_counts_read(struct told_counts *told, const struct row_sides *sides, lsn_t end_lsn,
                                 struct error *err);

/* What was counted of the table; zero when nothing was. */
struct record_sum told_counts_find(const struct told_counts *told, const struct table *table);

/* The same for transactions of the range that committed at this LSN or later. Reads the topic once more. */
MUST_CHECK bool told_counts_find_since(const struct told_counts *told, const struct row_sides *sides,
                                       const struct table *table, lsn_t since_lsn, struct record_sum *ret_sum,
                                       struct error *err);
