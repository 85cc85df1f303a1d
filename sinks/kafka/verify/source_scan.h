/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_scan.h - the rows of a table at the source, one by one, in the session's snapshot, as the rules make
 * them. Rows that a condition leaves out are not given.
 */
#pragma once

#include "sinks/kafka/verify/read_rate.h"
#include "sinks/kafka/verify/topic_table.h"

/* values: of the table's relation, valid until the function returns. */
typedef bool source_row_taker(void *context, const struct value *values, struct error *err);

/* evaluator: where the expressions of the table's rule were proven. */
MUST_CHECK bool source_scan(struct session *source, struct evaluator *evaluator,
                            const struct topic_table *table, struct read_rate *rate, source_row_taker *take,
                            void *context, struct error *err);

/*
 * Locks the table against other definitions until the snapshot ends. *ret_whole: the snapshot shows its rows:
 * it was not rewritten or truncated since.
 */
MUST_CHECK bool source_hold(struct session *source, const struct topic_table *table, bool *ret_whole,
                            struct error *err);
