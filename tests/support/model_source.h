/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_source.h - a source with what matters of PostgreSQL to a copy beside the stream.
 *
 * A transaction gets its xid when it begins, writes to the stream when it commits, is visible only some time
 * later (a commit may wait for a standby), and until then no other transaction can change its rows.
 */
#pragma once

#include "tests/support/change_builder.h"
#include "tests/support/random.h"

enum {
    MODEL_TABLES = 3, /* the second one with identity full */
    MODEL_ROWS = 40,
    MODEL_XIDS_MAX = 4000,
    MODEL_CHANGES_MAX = 40000,
};

#define MODEL_XID_BASE (((uint64_t) 7 << 32) + 4294967200u) /* the stream's 32 bits wrap soon */

enum xid_state { XID_UNUSED, XID_OPEN, XID_HANGS, XID_VISIBLE, XID_ABORTED };

/* Without padding: rows are compared by their bytes. */
struct model_row {
    uint32_t exists;
    uint32_t n, body; /* the versions that wrote them */
};

struct model_rows {
    struct model_row row[MODEL_TABLES][MODEL_ROWS];
};

struct model_source {
    struct random *random; /* not owned */
    struct change_builder stream;
    const struct relation *relations[MODEL_TABLES];
    struct model_row met[MODEL_CHANGES_MAX]; /* the version that a change was made on */
    size_t first[MODEL_XIDS_MAX];            /* a transaction's Begin in the stream */
    enum xid_state xids[MODEL_XIDS_MAX];
    uint32_t xid_count;
    uint32_t version;
    struct model_rows current, visible;
    uint32_t writers[MODEL_TABLES][MODEL_ROWS]; /* whose change of it is not visible yet; 0: none */
    uint32_t truncaters[MODEL_TABLES];
};

/* With some transactions in it. Release source->stream. */
void model_source_init(struct model_source *source, struct random *random);

/* One of: a transaction begins, aborts, commits, or becomes visible. */
void model_source_step(struct model_source *source);

/* As pg_current_snapshot() has it; of_slot: as the slot does, which sees all that has committed. */
void model_source_snapshot(const struct model_source *source, bool of_slot, char text[static MODEL_XIDS_MAX]);

/* What is open aborts, and everything that has committed is visible. */
void model_source_settle(struct model_source *source);

/* The version that a change of the stream was made on. */
const struct model_row *model_source_met(const struct model_source *source, const struct change *change);
