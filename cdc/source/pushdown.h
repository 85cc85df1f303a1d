/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pushdown.h - conditions of the mapping as row filters of the publication, so that the source sends no row
 * that no sink wants.
 *
 * Only with source.pushdown: rows, only in a publication that pgcdc created, and only where every sink has
 * the same condition. The mapping evaluates it again, so what is decoded with an older filter is right, too.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

/*
 * For a pipeline without a slot: no change is decoded with it yet, and the copy reads by it. Appends a line
 * to news for each table, with what was pushed, or why not.
 */
MUST_CHECK bool pushdown_apply(struct session *source, const struct config *config, struct buffer *news,
                               struct error *err);

/*
 * ERROR_CONFIG if a filter of the pipeline's own publication is not what its rules say now: rows that the new
 * rule wants would not be sent. Appends a line to news for each filter that no rule speaks of.
 */
MUST_CHECK bool pushdown_check(struct session *source, const struct config *config, struct buffer *news,
                               struct error *err);
