/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_topic.h - the compacted topic that holds the positions, one partition, one key a sink. The sinks
 * of a pipeline share it.
 *
 * Read by a consumer of its own, read_committed, up to the high watermark. The end-of-partition event alone
 * is no end: it comes at the last stable offset, and behind a transaction that is still open there may be the
 * commit that matters.
 */
#pragma once

#include "sinks/kafka/client/client.h"
#include "sinks/kafka/position/position_record.h"

struct position_found {
    bool exists;
    struct position_record record;
    int64_t age_ms;  /* since it was written, by the clocks of then and now */
    bool has_others; /* the topic holds another sink's position as well; only when all of it was read */
};

/*
 * Opens and closes a consumer. No topic and no record is no position. whole: from its first record on.
 * ERROR_RETRY: the end was not reached in time. ERROR_CONFIG: something else stands under our key.
 */
MUST_CHECK bool position_topic_read(const struct kafka_options *options, const atomic_bool *stop, bool whole,
                                    struct position_found *ret_found, struct error *err);

/*
 * Creates it when it is missing; refuses one that would forget an idle pipeline's position. Through the
 * producer's client.
 */
MUST_CHECK bool position_topic_ensure(struct client *client, const struct kafka_options *options,
                                      struct error *err);

/* Through a client of its own. */
MUST_CHECK bool position_topic_exists(const struct kafka_options *options, const atomic_bool *stop,
                                      bool *ret_exists, struct error *err);
