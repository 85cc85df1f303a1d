/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_tables.h - the parts of status_json.h that have a row for each table.
 */
#pragma once

#include "cdc/base/json_writer.h"
#include "cdc/http/view.h"

/* "tables": what the sink has committed of each, and what was proven; "*": of those without a place. */
void status_tables_put(const struct view *view, size_t sink, struct json_writer *json);

/* "copy": the one that runs, or what the last one in chunks has left. */
void status_copy_put(const struct view *view, struct json_writer *json);
