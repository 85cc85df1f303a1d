/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_record.h - the plan of a copy in chunks (sinks/chunk.h) as JSON: one record for the plan, and one for
 * each chunk.
 *
 * An unknown field is ignored; a value that is not such a record is an error.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/json_writer.h"
#include "sinks/chunk.h"

/* The value of a record; valid until the writer's next one. */
MUST_CHECK bool plan_record_format(struct json_writer *json, const struct chunk_plan *plan,
                                   struct slice *ret_value, struct error *err);
MUST_CHECK bool chunk_record_format(struct json_writer *json, const struct chunk *chunk,
                                    struct slice *ret_value, struct error *err);

/*
 * The opposite: the texts are in arena. ERROR_PROTOCOL: not such a record. Of the plan, sets everything but
 * the chunks and seen.
 */
MUST_CHECK bool plan_record_parse(struct slice value, struct arena *arena, struct chunk_plan *ret_plan,
                                  struct error *err);
MUST_CHECK bool chunk_record_parse(struct slice value, struct arena *arena, struct chunk *ret_chunk,
                                   struct error *err);
