/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrowing.h - columns of the target whose type can change the source's values silently are refused.
 */
#pragma once

#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/sink.h"

/* The sink's option narrowing: is it wanted? Anything but refuse and allow is ERROR_CONFIG. */
MUST_CHECK bool narrowing_read_option(const struct sink_config *config, bool *ret_allowed, struct error *err);

/* Before the copy: ERROR_CONFIG, naming the first such column of the table and both types. */
MUST_CHECK bool narrowing_check_copy(struct session *session, const struct table *table, struct error *err);

/*
 * Before the first change of tables that were just looked up: ERROR_DATA; *ret_failed is the table's index.
 */
MUST_CHECK bool narrowing_check_stream(struct session *session, struct target_table *const *tables,
                                       size_t count, size_t *ret_failed, struct error *err);
