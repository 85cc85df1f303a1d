/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrowing.h - refuses columns of the target whose type can silently change the source's values.
 */
#pragma once

#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/sink.h"

/* The sink's option narrowing. ERROR_CONFIG for a value other than refuse and allow. */
MUST_CHECK bool narrowing_read_option(const struct sink_config *config, bool *ret_allowed, struct error *err);

/* Called before the copy. ERROR_CONFIG names the first such column of the table and both types. */
MUST_CHECK bool narrowing_check_copy(struct session *session, const struct table *table, struct error *err);

/*
 * Called before the first change of tables that were just looked up. On ERROR_DATA, *ret_failed is the
 * table's index.
 */
MUST_CHECK bool narrowing_check_stream(struct session *session, struct target_table *const *tables,
                                       size_t count, size_t *ret_failed, struct error *err);
