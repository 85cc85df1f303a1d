/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - the objects that wait, given out to several connections in an order that is right.
 *
 * An object is given out when all that it needs is made, and its pass has begun. Of the objects that lock
 * more than one table, one at a time is given out, and only when nothing else can be. Any thread may call all
 * functions but init and release.
 */
#pragma once

#include <pthread.h>

#include "cdc/migrate/schema/object.h"

struct work {
    pthread_mutex_t lock; /* guards all fields, and the objects' states */
    pthread_cond_t changed;
    struct object **objects; /* in the description's order */
    size_t count;
    size_t first; /* all before it are made */
    size_t left;  /* not made yet */
    size_t running;
    bool is_alone; /* one of those that lock more than one table is being made */
    bool has_failed;
    struct error error;
};

/* Of the list's objects of the stage after the copy, those that wait. */
MUST_CHECK bool work_init(struct work *work, struct object_list *list, struct arena *arena,
                          struct error *err);
void work_release(struct work *work);

/* Waits for one; NULL: there is none any more, or another thread has failed. */
struct object *work_take(struct work *work);

void work_done(struct work *work, struct object *object);

/* The first error counts. object: what was taken, or NULL. */
void work_fail(struct work *work, struct object *object, const struct error *error);
