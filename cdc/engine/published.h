/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published.h - which tables were published when last looked, for sinks that append and cannot be asked which
 * rows they have: NAME.published in the state directory.
 *
 * A table whose publication the snapshot does not see is new, unless its rows were planned to be copied
 * since. Without the file nothing is new.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/xid_snapshot.h"

struct published {
    struct xid_snapshot snapshot; /* xmax 0: none */
    oid_t *tables;                /* planned since */
    size_t table_count;
};

/* A missing or incomplete file leaves *ret_published empty. False: no memory. */
MUST_CHECK bool published_read(const char *directory, const char *pipeline, struct published *ret_published,
                               struct error *err);
void published_release(struct published *published);

bool published_has(const struct published *published, oid_t oid);
/* Does nothing when it is there. */
MUST_CHECK bool published_note(struct published *published, oid_t oid, struct error *err);
void published_forget(struct published *published, oid_t oid);

/* Atomic and durable. */
MUST_CHECK bool published_write(const char *directory, const char *pipeline,
                                const struct published *published, struct error *err);

/* True also when the file does not exist. */
MUST_CHECK bool published_remove(const char *directory, const char *pipeline, struct error *err);
