/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c - which object is next.
 */
#include "cdc/migrate/schema/work.h"

#include <assert.h>

bool work_init(struct work *work, struct object_list *list, struct arena *arena, struct error *err) {
    *work = (struct work){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    work->objects = arena_alloc_zero(arena, (list->count + 1) * sizeof *work->objects);
    if (work->objects == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        struct object *object = &list->objects[i];
        if (!object->is_left_out && object->stage == SCHEMA_AFTER_COPY && object->state == OBJECT_WAITING)
            work->objects[work->count++] = object;
    }
    work->left = work->count;
    return true;
}

void work_release(struct work *work) {
    pthread_cond_destroy(&work->changed);
    pthread_mutex_destroy(&work->lock);
}

static bool has_needs(const struct object *object) {
    for (size_t i = 0; i < object->need_count; i++)
        if (object->needs[i]->state != OBJECT_DONE && !object->needs[i]->is_left_out)
            return false;
    return true;
}

static enum object_pass pass_now(const struct work *work) {
    enum object_pass pass = PASS_LAST;
    for (size_t i = work->first; i < work->count; i++)
        if (work->objects[i]->state != OBJECT_DONE && work->objects[i]->pass < pass)
            pass = work->objects[i]->pass;
    return pass;
}

/*
 * The largest that is ready, so that none of the long ones is begun last; one that is made alone only when no
 * other is ready.
 */
static struct object *find_ready(const struct work *work) {
    const enum object_pass pass = pass_now(work);
    struct object *alone = NULL;
    struct object *largest = NULL;
    for (size_t i = work->first; i < work->count; i++) {
        struct object *object = work->objects[i];
        if (object->state != OBJECT_WAITING || object->pass != pass || !has_needs(object))
            continue;
        if (object->is_alone)
            alone = alone == NULL ? object : alone;
        else if (largest == NULL || object->bytes > largest->bytes)
            largest = object;
    }
    return largest != NULL ? largest : work->is_alone ? NULL : alone;
}

/* pg_dump leaves circles only where the order of the description is right. */
static struct object *find_waiting(const struct work *work) {
    for (size_t i = work->first; i < work->count; i++)
        if (work->objects[i]->state == OBJECT_WAITING)
            return work->objects[i];
    return NULL;
}

static struct object *find_next(const struct work *work) {
    struct object *object = find_ready(work);
    return object == NULL && work->running == 0 ? find_waiting(work) : object;
}

struct object *work_take(struct work *work) {
    struct object *object = NULL;
    pthread_mutex_lock(&work->lock);
    while (!work->has_failed && work->left > 0 && (object = find_next(work)) == NULL)
        pthread_cond_wait(&work->changed, &work->lock);
    if (object != NULL) {
        object->state = OBJECT_RUNNING;
        work->is_alone = work->is_alone || object->is_alone;
        work->running++;
    }
    pthread_mutex_unlock(&work->lock);
    return object;
}

static void give_back(struct work *work, struct object *object, enum object_state state) {
    assert(object->state == OBJECT_RUNNING);
    assert(work->running > 0);
    object->state = state;
    work->running--;
    work->is_alone = work->is_alone && !object->is_alone;
}

void work_done(struct work *work, struct object *object) {
    pthread_mutex_lock(&work->lock);
    give_back(work, object, OBJECT_DONE);
    work->left--;
    while (work->first < work->count && work->objects[work->first]->state == OBJECT_DONE)
        work->first++;
    pthread_cond_broadcast(&work->changed);
    pthread_mutex_unlock(&work->lock);
}

void work_fail(struct work *work, struct object *object, const struct error *error) {
    pthread_mutex_lock(&work->lock);
    if (object != NULL)
        give_back(work, object, OBJECT_WAITING);
    if (!work->has_failed)
        work->error = *error;
    work->has_failed = true;
    pthread_cond_broadcast(&work->changed);
    pthread_mutex_unlock(&work->lock);
}
