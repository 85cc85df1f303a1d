/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_result.h - what differs in a table, found once and asked for in several ways.
 */
#pragma once

#include "sinks/kafka/account/accounts.h"
#include "sinks/kafka/verify/row_pass.h"

/*
 * Compares the table, unless it was compared since the pin. account: what the sink has counted; NULL: there
 * is no account, or it proves nothing.
 */
MUST_CHECK bool table_result_find(struct topic_table *table, const struct row_sides *sides,
                                  const struct table_account *account, struct error *err);

/* The differences by key & mask, of those keys that the question is about. */
MUST_CHECK bool table_result_fold(const struct topic_table *table, const struct comparison_question *question,
                                  struct differences *ret_differences, struct error *err);

/* The columns in which rows with these keys differ, by the index of column_names. */
MUST_CHECK bool table_result_find_columns(const struct topic_table *table, const struct row_sides *sides,
                                          const struct comparison_keys *keys, bool *differs,
                                          struct error *err);
