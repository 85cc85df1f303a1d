/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_definition.h - a table's columns as JSON. Debezium's connector has no such record for PostgreSQL.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "proto/schema_record.h"

/* Both append. ERROR_DATA when a name is not UTF-8. */
MUST_CHECK bool debezium_definition_write_key(const struct schema_record *record, struct buffer *json,
                                              struct error *err);
MUST_CHECK bool debezium_definition_write(const struct schema_record *record, struct buffer *json,
                                          struct error *err);
