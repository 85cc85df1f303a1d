/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_comparison.h - the comparison of a Postgres sink: a session of the target beside the source's.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/comparison.h"
#include "sinks/postgres/verify/stage.h"
#include "sinks/sink.h"

struct target_comparison {
    struct comparison comparison;
    struct session target;
    struct session *source;
    struct session_options options; /* of the target's sessions; the texts are the caller's */
    struct stage stage;             /* open when a table needs it */
    const struct sink_config *config;
    char identity[128]; /* which database the target is; "" if the role may not ask */
    bool has_hash;      /* hashtextextended gives the same on both sides; otherwise md5 is used */
};

/* options: of a session of the target. Its texts outlive the comparison. */
MUST_CHECK bool target_comparison_open(const struct sink_config *config,
                                       const struct session_options *options, struct session *source,
                                       struct comparison **ret_comparison, struct error *err);
