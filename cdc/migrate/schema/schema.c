/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - the calls of the commands.
 */
#include "cdc/migrate/schema/schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/migrate/schema/after.h"
#include "cdc/migrate/schema/before.h"
#include "cdc/migrate/schema/make.h"
#include "cdc/migrate/schema/needs.h"
#include "cdc/migrate/schema/settle.h"

enum { KEPT_MS = 60000 }; /* the source's definitions may change, as they may while indexes are built */

struct schema_kept {
    struct sides sides; /* without sessions */
    int64_t described_ms;
};

bool schema_find_sink(const struct config *config, const char *name, const struct config_sink **ret_sink,
                      struct error *err) {
    const struct config_sink *found = NULL;
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        if ((name != NULL && strcmp(name, sink->sink.name) != 0) || !steps_can(sink))
            continue;
        if (found != NULL) {
            error_set(err, ERROR_CONFIG, "%s: more than one sink is a PostgreSQL database", config->path);
            return error_remedy(err, "name one with --sink");
        }
        found = sink;
    }
    *ret_sink = found;
    if (found != NULL)
        return true;
    return name != NULL
               ? error_set(err, ERROR_CONFIG, "%s: no sink that is a PostgreSQL database has the name %s",
                           config->path, name)
               : error_set(err, ERROR_CONFIG, "%s: no sink is a PostgreSQL database without a mapping",
                           config->path);
}

/* ---- apply ---- */

static const struct object *find_waiting_before(const struct sides *sides) {
    for (size_t i = 0; i < sides->at_source.count; i++) {
        const struct object *object = &sides->at_source.objects[i];
        if (!object->is_left_out && object->stage == SCHEMA_BEFORE_COPY && object->state == OBJECT_WAITING)
            return object;
    }
    return NULL;
}

static bool refuse_after(const struct object *missing, struct error *err) {
    error_set(err, ERROR_CONFIG, "the target lacks %s, which is made before the copy", missing->key);
    return error_remedy(err, "run pgcdc schema apply --before-copy first");
}

static void count_objects(const struct sides *sides, enum schema_stage stage, struct schema_counts *counts) {
    *counts = (struct schema_counts){0};
    for (size_t i = 0; i < sides->at_source.count; i++) {
        const struct object *object = &sides->at_source.objects[i];
        if (stage != SCHEMA_WHOLE && object->stage != stage)
            continue;
        counts->left_out += object->is_left_out;
        counts->present += !object->is_left_out && object->state == OBJECT_DONE;
    }
}

static bool apply_stage(struct sides *sides, enum schema_stage stage, struct steps *steps,
                        struct schema_counts *counts, struct error *err) {
    if (!object_list_derive(&sides->at_source, &sides->arena, err) || !settle_objects(sides, steps, err))
        return false;
    count_objects(sides, stage, counts);
    const struct object *missing = stage == SCHEMA_AFTER_COPY ? find_waiting_before(sides) : NULL;
    if (missing != NULL)
        return refuse_after(missing, err);
    return needs_check(sides, err) &&
           (stage == SCHEMA_AFTER_COPY || before_make(sides, steps, &counts->made, err)) &&
           (stage == SCHEMA_BEFORE_COPY || after_make(sides, steps, &counts->made, err));
}

static bool apply_task(const struct schema_task *task, struct sides *sides, struct schema_counts *counts,
                       struct error *err) {
    return make_await_earlier(&task->steps->session, task->steps->pipeline, err) &&
           sides_open(sides, task->config, task->sink, task->stop, err) &&
           apply_stage(sides, task->stage, task->steps, counts, err);
}

bool schema_apply(const struct schema_task *task, struct schema_kept **ret_kept,
                  struct schema_counts *ret_counts, struct error *err) {
    struct schema_counts counts = {0};
    struct schema_kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return error_no_memory(err);
    kept->described_ms = clock_now_ms();
    const bool is_applied = apply_task(task, &kept->sides, &counts, err);
    sides_disconnect(&kept->sides);
    if (is_applied)
        *ret_counts = counts;
    if (!is_applied || ret_kept == NULL) {
        schema_forget(kept);
        return is_applied;
    }
    assert(task->stage == SCHEMA_BEFORE_COPY);
    *ret_kept = kept;
    return true;
}

void schema_forget(struct schema_kept *kept) {
    if (kept == NULL)
        return;
    sides_close(&kept->sides);
    free(kept);
}

bool schema_apply_kept(struct schema_kept *kept, struct steps *steps, struct schema_counts *ret_counts,
                       struct error *err) {
    struct sides *sides = &kept->sides;
    if (clock_now_ms() - kept->described_ms > KEPT_MS)
        return error_set(err, ERROR_RETRY, "the description is too old");
    count_objects(sides, SCHEMA_AFTER_COPY, ret_counts);
    const bool is_applied =
        sides_connect_both(sides, err) && after_make(sides, steps, &ret_counts->made, err);
    sides_disconnect(sides);
    return is_applied;
}

/* ---- compare ---- */

static bool take_differences(struct schema_comparison *comparison, const struct settle_pair *pairs,
                             size_t count, struct error *err) {
    struct schema_difference *differences =
        arena_alloc_zero(&comparison->arena, (count + 1) * sizeof *differences);
    if (differences == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct object *object = pairs[i].at_source != NULL ? pairs[i].at_source : pairs[i].at_target;
        struct schema_difference *difference = &differences[i];
        difference->fault = pairs[i].at_target == NULL   ? SCHEMA_MISSING
                            : pairs[i].at_source == NULL ? SCHEMA_EXTRA
                                                         : SCHEMA_DIFFERENT;
        difference->kind = arena_copy(&comparison->arena, slice_of(object->kind));
        difference->schema = arena_copy(&comparison->arena, slice_of(object->schema));
        difference->name = arena_copy(&comparison->arena, slice_of(object->name));
        if (difference->kind == NULL || difference->schema == NULL || difference->name == NULL)
            return error_no_memory(err);
        comparison->counts[difference->fault]++;
    }
    comparison->differences = differences;
    comparison->count = count;
    return true;
}

bool schema_compare(const struct config *config, const struct config_sink *sink, const atomic_bool *stop,
                    struct schema_comparison *ret_comparison, struct error *err) {
    struct sides sides = {0};
    struct settle_pair *pairs = NULL;
    size_t count = 0;
    *ret_comparison = (struct schema_comparison){0};
    arena_init(&ret_comparison->arena, 65536, (size_t) 1 << 30);
    const bool is_compared = sides_open(&sides, config, sink, stop, err) &&
                             settle_compare(&sides, &pairs, &count, err) &&
                             take_differences(ret_comparison, pairs, count, err);
    ret_comparison->objects = sides.at_source.count - sides.at_source.left_out;
    sides_close(&sides);
    return is_compared;
}

void schema_comparison_release(struct schema_comparison *comparison) {
    arena_release(&comparison->arena);
}
