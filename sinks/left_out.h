/* SPDX-License-Identifier: Apache-2.0 */
/*
 * left_out.h - how many rows conditions of the mapping have left out of a sink, by rule and table.
 *
 * A sink's own list belongs to the configuration, and so to the process: attempts come and go. Handles of the
 * sink, in several threads, add to it what they have committed. Lists of one thread hold what is not
 * committed yet.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

struct left_out {
    const char *rule; /* its match; lives as long as the configuration */
    char *table;      /* schema.table at the source */
    uint64_t changes; /* of the stream */
    uint64_t copied;  /* rows of copies; those of a part that is copied again count again */
};

struct left_out_list {
    pthread_mutex_t lock; /* guards the rest of a list that threads share */
    struct left_out *items;
    size_t count, capacity;
};

/* NULL: no memory. */
struct left_out_list *left_out_new(void);
void left_out_free(struct left_out_list *list);

void left_out_init(struct left_out_list *list);
void left_out_release(struct left_out_list *list);

/* Of a list that one thread has. rule lives as long as the list; table is copied. */
MUST_CHECK bool left_out_add(struct left_out_list *list, const char *rule, const char *table,
                             uint64_t changes, uint64_t copied, struct error *err);

/* What a list of one thread has was committed, or is lost; it becomes empty. to: shared; NULL: none. */
MUST_CHECK bool left_out_move(struct left_out_list *from, struct left_out_list *to, struct error *err);
void left_out_forget(struct left_out_list *list);

/* Item i of a shared list into *ret_item; false: there is none. Its texts live as long as the list. */
bool left_out_at(struct left_out_list *list, size_t i, struct left_out *ret_item);
