/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_check.h - would the directory take this pipeline's archive?
 */
#pragma once

#include "sinks/sink.h"

/* See struct sink_admin_ops. */
MUST_CHECK bool archive_check(struct sink *sink, const struct sink_check *check, struct error *err);
