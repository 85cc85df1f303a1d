/* SPDX-License-Identifier: Apache-2.0 */
/*
 * before.c - the stage before the copy.
 */
#include "cdc/migrate/schema/before.h"

#include "cdc/base/fault.h"
#include "cdc/migrate/schema/make.h"
#include "cdc/migrate/schema/settle.h"

static bool is_wanted(const struct object *object) {
    return !object->is_left_out && object->stage == SCHEMA_BEFORE_COPY && object->state == OBJECT_WAITING;
}

struct made {
    const struct object **objects;
    size_t count;
};

static bool make_pass(struct sides *sides, enum object_pass pass, struct made *made, struct error *err) {
    for (size_t i = 0; i < sides->at_source.count; i++) {
        struct object *object = &sides->at_source.objects[i];
        if (object->pass != pass || !is_wanted(object))
            continue;
        if (!make_object(&sides->target, object, err))
            return false;
        made->objects[made->count++] = object;
        FAULT_POINT("schema-before-object");
    }
    return true;
}

static bool make_passes(struct sides *sides, const char *pipeline, struct made *made, struct error *err) {
    for (enum object_pass pass = PASS_MAIN; pass < PASSES; pass++)
        if (!make_pass(sides, pass, made, err))
            return false;
    return settle_write(&sides->target, pipeline, made->objects, made->count, err);
}

static void undo_all(struct session *session) {
    struct error ignored = {0};
    const bool is_back = session_execute(session, "rollback", &ignored);
    (void) is_back;
}

bool before_make(struct sides *sides, const struct steps *steps, size_t *made, struct error *err) {
    struct session *target = &sides->target;
    struct made all = {
        .objects = arena_alloc_zero(&sides->arena, (sides->at_source.count + 1) * sizeof *all.objects)};
    if (all.objects == NULL)
        return error_no_memory(err);
    if (!session_notice_our_end(target, err) || !make_begin(target, steps->pipeline, err))
        return false;
    if (!make_passes(sides, steps->pipeline, &all, err)) {
        undo_all(target);
        return false;
    }
    FAULT_POINT("schema-before-commit");
    if (!session_execute(target, "commit", err))
        return false;
    FAULT_POINT("schema-before-done");
    for (size_t i = 0; i < sides->at_source.count; i++)
        if (is_wanted(&sides->at_source.objects[i]))
            sides->at_source.objects[i].state = OBJECT_DONE;
    *made += all.count;
    return true;
}
