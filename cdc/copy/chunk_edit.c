/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_edit.c - two lists in one arena.
 */
#include "cdc/copy/chunk_edit.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/fault.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

struct chunk_edit *chunk_edit_new(void) {
    struct chunk_edit *edit = calloc(1, sizeof *edit);
    if (edit != NULL)
        arena_init(&edit->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    return edit;
}

void chunk_edit_free(struct chunk_edit *edit) {
    while (edit != NULL) {
        struct chunk_edit *next = edit->next;
        arena_release(&edit->arena);
        free(edit);
        edit = next;
    }
}

/* The list with room for one more; *capacity is raised. NULL when memory is exhausted. */
static void *with_room(struct arena *arena, void *list, size_t count, size_t *capacity, size_t item_bytes) {
    if (count < *capacity)
        return list;
    const size_t raised = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = arena_alloc(arena, raised * item_bytes);
    if (larger == NULL)
        return NULL;
    if (count > 0)
        memcpy(larger, list, count * item_bytes);
    *capacity = raised;
    return larger;
}

/* NULL stays NULL. */
static bool keep(struct arena *arena, const char **text) {
    if (*text != NULL && (*text = arena_copy(arena, slice_of(*text))) == NULL)
        return false;
    return true;
}

bool chunk_edit_add(struct chunk_edit *edit, const struct chunk *chunk, struct error *err) {
    struct chunk copy = *chunk;
    struct chunk *chunks =
        with_room(&edit->arena, edit->chunks, edit->count, &edit->capacity, sizeof *edit->chunks);
    if (chunks == NULL || !keep(&edit->arena, &copy.schema) || !keep(&edit->arena, &copy.table) ||
        !keep(&edit->arena, &copy.column) || !keep(&edit->arena, &copy.order_sql) ||
        !keep(&edit->arena, &copy.low) || !keep(&edit->arena, &copy.high) ||
        !keep(&edit->arena, &copy.snapshot))
        return error_no_memory(err);
    edit->chunks = chunks;
    edit->chunks[edit->count++] = copy;
    return true;
}

bool chunk_edit_remove(struct chunk_edit *edit, oid_t relation_oid, struct error *err) {
    oid_t *removed = with_room(&edit->arena, edit->removed, edit->removed_count, &edit->removed_capacity,
                               sizeof *edit->removed);
    if (removed == NULL)
        return error_no_memory(err);
    edit->removed = removed;
    edit->removed[edit->removed_count++] = relation_oid;
    return true;
}

bool chunk_edit_apply(const struct chunk_edit *edit, struct sink *sink, struct error *err) {
    const struct sink_chunk_ops *ops = sink->ops->chunk;
    for (size_t i = 0; i < edit->removed_count; i++)
        if (!ops->withdraw(sink, edit->removed[i], err))
            return false;
    if (edit->count > 0 && !ops->extend(sink, edit->chunks, edit->count, err))
        return false;
    FAULT_POINT("tables-edit-sent");
    return true;
}
