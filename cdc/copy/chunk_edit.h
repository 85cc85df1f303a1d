/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_edit.h - what is added to the plan of a sink with one writer, and which tables are removed from it.
 *
 * Only that writer can store it, so an edit is handed over: to the runner, by a command through NAME.control,
 * or to a sink that the command opens while no engine runs.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/sink.h"

struct chunk_edit {
    struct arena arena; /* everything below */
    struct chunk *chunks;
    size_t count, capacity;
    oid_t *removed; /* tables */
    size_t removed_count, removed_capacity;
    struct chunk_edit *next; /* of a runner */
};

/* On the heap; NULL when memory is exhausted. chunk_edit_free frees those after it too, and accepts NULL. */
MUST_CHECK struct chunk_edit *chunk_edit_new(void);
void chunk_edit_free(struct chunk_edit *edit);

/* Copies the chunk. */
MUST_CHECK bool chunk_edit_add(struct chunk_edit *edit, const struct chunk *chunk, struct error *err);
MUST_CHECK bool chunk_edit_remove(struct chunk_edit *edit, oid_t relation_oid, struct error *err);

/* The sink has loaded its plan; its next commit stores the edit. */
MUST_CHECK bool chunk_edit_apply(const struct chunk_edit *edit, struct sink *sink, struct error *err);
