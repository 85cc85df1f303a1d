/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_letters.h - changes that do not fit the target: rows of pgcdc.dead, stored with the transaction's
 * rows and position. Those of the engine; what commands do is dead_list.h.
 *
 * A letter has failed, or waits behind one that has: its key is that of an earlier letter. Commands settle
 * letters beside a running engine. Both hold the lock of the position's row while they do, and a command
 * adds a row to pgcdc.dead_log. So an engine that knows of letters looks at the log in each target
 * transaction, after it has the lock, and reads its keys again when the log has grown.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/postgres/dead/dead_keys.h"
#include "sinks/postgres/dead/dead_record.h"
#include "sinks/postgres/target/target.h"

/* A letter that a command applies again. */
struct dead_retry {
    const struct change *changes;
    const char *const *ids;   /* of the changes, in pgcdc.dead */
    bool *stays;              /* of each: it failed again, or waits behind one that did */
    uint64_t failed, waiting; /* how many, over all batches */
};

struct dead_letters {
    struct target *target;
    size_t keys_max;
    struct dead_keys keys;
    struct dead_record_writer writer;
    struct buffer scratch;    /* of the place */
    int64_t log_id;           /* the last row of pgcdc.dead_log that the keys know of */
    uint64_t checked_in;      /* the target transaction in which the log was read */
    uint64_t prepared;        /* see struct position_row */
    struct dead_retry *retry; /* NULL in an engine */
};

/* ERROR_CONFIG for a wrong value. *ret_keys_max is 0 when a change that does not fit stops the pipeline. */
MUST_CHECK bool dead_letters_read_options(const struct sink_config *config, size_t *ret_keys_max,
                                          struct error *err);

void dead_letters_init(struct dead_letters *letters, struct target *target, size_t keys_max);
void dead_letters_release(struct dead_letters *letters);

/*
 * Creates the tables where they are missing, and reads the keys; outside a transaction. Without keys_max
 * there must be no letter: ERROR_CONFIG.
 */
MUST_CHECK bool dead_letters_open(struct dead_letters *letters, struct error *err);

static inline bool dead_letters_exist(const struct dead_letters *letters) {
    return letters->keys.count > 0;
}

/* Once in each target transaction, which holds the lock: what a command has settled waits no more. */
MUST_CHECK bool dead_letters_check(struct dead_letters *letters, struct error *err);

/* Does this change of a row wait behind a letter? */
MUST_CHECK bool dead_letters_have(struct dead_letters *letters, const struct change *change, bool *ret_waits,
                                  struct error *err);

/*
 * Puts the change among the letters, in the open pipeline. failure: why it failed; NULL: it waits.
 * ERROR_DATA when there would be more than keys_max keys.
 */
MUST_CHECK bool dead_letters_send(struct dead_letters *letters, struct pq_pipeline *pipeline,
                                  const struct change *change, const struct error *failure,
                                  struct error *err);

/*
 * Of a letter that is applied again: it stays. failure: it failed again, which is stored; NULL: it waits
 * behind one that did. In the target transaction, outside a pipeline.
 */
MUST_CHECK bool dead_letters_stay(struct dead_letters *letters, const struct change *change,
                                  const struct error *failure, struct error *err);

/* A table was emptied: its letters are moot. In the target transaction, outside a pipeline. */
MUST_CHECK bool dead_letters_forget(struct dead_letters *letters, const struct relation *relation,
                                    uint64_t *ret_count, struct error *err);
