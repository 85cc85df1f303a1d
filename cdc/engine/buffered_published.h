/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffered_published.h - NAME.published (published.h) of a pipeline that gets a buffer, and of one that loses
 * it: the parts have files of their own.
 */
#pragma once

#include "cdc/config/config.h"

/* Before the parts run: a part without the file gets the pipeline's. */
MUST_CHECK bool buffered_published_give(const struct config *config, struct error *err);

/* After they have ended: the pipeline gets theirs, when all parts with such sinks agree. */
MUST_CHECK bool buffered_published_take(const struct config *config, struct error *err);
