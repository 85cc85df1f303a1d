/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_topic.h - the compacted topic with the positions: one partition, one key per sink. The sinks of a
 * pipeline share it. Further records of a sink have a key that continues with #.
 *
 * Read by its own consumer, read_committed, up to the high watermark. The end-of-partition event does not
 * mean the end: it comes at the last stable offset, and the commit that matters may follow after a
 * transaction that is still open.
 */
#pragma once

#include "sinks/kafka/client/client.h"
#include "sinks/kafka/position/position_record.h"

struct position_found {
    bool exists;
    struct position_record record;
    int64_t age_ms;  /* since it was written: the difference between the writer's clock and ours */
    bool has_others; /* the topic holds another sink's position; set only when all of it was read */
};

/*
 * Opens and closes a consumer. Without topic or record there is no position. ERROR_RETRY: the end was not
 * reached in time. ERROR_CONFIG: our key has another kind of record.
 */
MUST_CHECK bool position_topic_read(const struct kafka_options *options, const atomic_bool *stop,
                                    struct position_found *ret_found, struct error *err);

/*
 * Gets the sink's further records: name begins with #; value.data NULL: a tombstone. ERROR_PROTOCOL: not such
 * a record.
 */
struct position_reader {
    bool (*take)(void *context, struct slice name, struct slice value, struct error *err);
    void *context;
};

/* Reads from the first record, and passes the further ones in their order. */
MUST_CHECK bool position_topic_read_all(const struct kafka_options *options, const atomic_bool *stop,
                                        const struct position_reader *reader,
                                        struct position_found *ret_found, struct error *err);

/*
 * Creates the topic when missing; refuses one whose settings would delete an idle pipeline's position. Uses
 * the producer's client.
 */
MUST_CHECK bool position_topic_ensure(struct client *client, const struct kafka_options *options,
                                      struct error *err);

/* Uses a client of its own. */
MUST_CHECK bool position_topic_exists(const struct kafka_options *options, const atomic_bool *stop,
                                      bool *ret_exists, struct error *err);
