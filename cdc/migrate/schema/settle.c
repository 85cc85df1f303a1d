/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.c - compares the two descriptions, and what the target's rows say that pgcdc made.
 *
 * A row says which definition of the source was made; so an object that has one needs no comparison of words,
 * which differ between versions.
 */
#include "cdc/migrate/schema/settle.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/log.h"
#include "cdc/migrate/schema/names.h"

static bool is_same(const struct object *a, const struct object *b) {
    return strcmp(a->definition, b->definition) == 0;
}

/* Making it once more changes it to what it should be. */
static bool can_repeat(const struct object *object) {
    return object->pass == PASS_RIGHTS || strcmp(object->kind, "COMMENT") == 0;
}

/* A row alone counts: the target may describe it as part of another object, or not at all. */
static bool shows_itself(const struct object *object) {
    return !object->is_derived && !can_repeat(object);
}

/* ---- rows ---- */

static uint64_t key_hash(const char *key) {
    return hash_bytes(0, key, strlen(key));
}

static bool has_object(const void *step, const void *key) {
    return strcmp(((const struct step *) step)->object, key) == 0;
}

static void detail_of(const struct object *object, char detail[64]) {
    snprintf(detail, 64, "{\"definition\": \"%s\"}", object->hash);
}

static bool index_rows(const struct step_list *list, struct map *rows, struct error *err) {
    for (size_t i = 0; i < list->count; i++)
        if (list->steps[i].state == STEP_DONE && !map_put(rows, key_hash(list->steps[i].object), has_object,
                                                          list->steps[i].object, &list->steps[i]))
            return error_no_memory(err);
    return true;
}

static bool has_row(const struct map *rows, const struct object *object) {
    const struct step *step = map_find(rows, key_hash(object->key), has_object, object->key);
    return step != NULL && step->detail != NULL && strstr(step->detail, object->hash) != NULL;
}

static bool write_rows(struct session *session, const char *pipeline, struct names *keys,
                       struct names *details, struct error *err) {
    const char *objects = names_end(keys);
    const char *texts = names_end(details);
    return objects != NULL && texts != NULL
               ? step_write_done(session, pipeline, OBJECT_STEP, objects, texts, err)
               : error_no_memory(err);
}

void settle_append(struct buffer *sql, const char *pipeline, const struct object *object) {
    char detail[64];
    detail_of(object, detail);
    step_append_done(sql, pipeline,
                     &(const struct step){.name = OBJECT_STEP, .object = object->key, .detail = detail});
}

bool settle_write(struct session *session, const char *pipeline, const struct object *const *objects,
                  size_t count, struct error *err) {
    struct names keys AUTO(names_release);
    struct names details AUTO(names_release);
    names_init(&keys);
    names_init(&details);
    for (size_t i = 0; i < count; i++) {
        char detail[64];
        detail_of(objects[i], detail);
        names_add(&keys, slice_of(objects[i]->key));
        names_add(&details, slice_of(detail));
    }
    return write_rows(session, pipeline, &keys, &details, err);
}

/* ---- states ---- */

/* What follows from an object that is made again is done again, too. */
static bool has_waiting_need(const struct object *object) {
    for (size_t i = 0; i < object->need_count; i++)
        if (object->needs[i]->state == OBJECT_WAITING && !object->needs[i]->is_left_out)
            return true;
    return false;
}

/* A foreign key that the target has without NOT VALID was checked. */
static bool is_checked(const struct sides *sides, const struct object *object) {
    if (!object->is_derived || object->pass != PASS_MAIN)
        return false;
    const struct object *found = object_list_find(&sides->at_target, object->needs[0]);
    return found != NULL && is_same(object->needs[0], found);
}

/* False: it differs from the target's. */
static bool settle_object(const struct sides *sides, const struct map *rows, struct object *object) {
    const struct object *found = object_list_find(&sides->at_target, object);
    const bool is_noted = has_row(rows, object) && (shows_itself(object) || !has_waiting_need(object));
    object->state = OBJECT_DONE;
    if (found != NULL ? is_noted || is_same(object, found) : is_noted && !shows_itself(object))
        return true;
    if (is_checked(sides, object))
        return true;
    object->state = OBJECT_WAITING;
    return found == NULL || can_repeat(object);
}

/* *ret_first: the first that differs also in the target's words; NULL: none does. */
static bool find_different(struct sides *sides, const struct object **ret_first, size_t *ret_count,
                           struct error *err) {
    struct settle_pair *pairs = NULL;
    size_t count = 0;
    *ret_first = NULL;
    *ret_count = 0;
    if (!settle_compare(sides, &pairs, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].at_source == NULL || pairs[i].at_target == NULL)
            continue;
        struct object *object = object_list_find(&sides->at_source, pairs[i].at_source);
        if (object == NULL || object->state != OBJECT_RUNNING)
            continue;
        if (object->is_refused) {
            log_sink(LOG_OBJECT_STAYS, sides->sink->sink.name,
                     "the target's version cannot make %s as the source defines it; the one that it "
                     "has stays",
                     object->key);
            continue;
        }
        *ret_first = *ret_first != NULL ? *ret_first : object;
        ++*ret_count;
        object->state = OBJECT_WAITING;
    }
    return true;
}

static bool refuse_different(const struct object *first, size_t count, struct error *err) {
    char more[48] = "";
    if (count > 1)
        snprintf(more, sizeof more, ", and %zu more", count - 1);
    error_set(err, ERROR_CONFIG, "the target has %s, whose definition differs from the source's%s",
              first->key, more);
    return error_remedy(err,
                        "pgcdc schema compare lists what differs; drop or change it at the target, then run "
                        "the command again");
}

/* Objects that seem to differ are RUNNING until the target has been asked. */
static bool settle_different(struct sides *sides, struct error *err) {
    const struct object *first = NULL;
    size_t count = 0;
    if (!find_different(sides, &first, &count, err))
        return false;
    for (size_t i = 0; i < sides->at_source.count; i++)
        if (sides->at_source.objects[i].state == OBJECT_RUNNING)
            sides->at_source.objects[i].state = OBJECT_DONE;
    return count == 0 ? true : refuse_different(first, count, err);
}

bool settle_objects(struct sides *sides, struct steps *steps, struct error *err) {
    struct step_list list;
    struct map rows AUTO(map_release) = {0};
    size_t different = 0;
    if (!steps_list(steps, OBJECT_STEP, &sides->arena, &list, err) || !index_rows(&list, &rows, err))
        return false;
    for (size_t i = 0; i < sides->at_source.count; i++) {
        struct object *object = &sides->at_source.objects[i];
        if (object->is_left_out || settle_object(sides, &rows, object))
            continue;
        object->state = OBJECT_RUNNING;
        different++;
    }
    return different == 0 ? true : settle_different(sides, err);
}

/* ---- differences ---- */

static size_t compare_lists(const struct object_list *source, const struct object_list *target,
                            struct settle_pair *pairs) {
    size_t count = 0;
    for (size_t i = 0; i < source->count; i++) {
        const struct object *object = &source->objects[i];
        const struct object *found = object_list_find(target, object);
        if (!object->is_left_out && (found == NULL || !is_same(object, found)))
            pairs[count++] = (struct settle_pair){.at_source = object, .at_target = found};
    }
    for (size_t i = 0; i < target->count; i++) {
        const struct object *object = &target->objects[i];
        if (!object->is_left_out && object_list_find(source, object) == NULL)
            pairs[count++] = (struct settle_pair){.at_target = object};
    }
    return count;
}

/* One that the target has was extra, because the list in its words lacks it. */
static size_t add_refused(const struct sides *sides, struct settle_pair *pairs, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct object *object =
            pairs[i].at_source == NULL ? object_list_find(&sides->at_source, pairs[i].at_target) : NULL;
        if (object == NULL || !object->is_refused)
            pairs[kept++] = pairs[i];
    }
    for (size_t i = 0; i < sides->at_source.count; i++) {
        const struct object *object = &sides->at_source.objects[i];
        const struct object *found = object_list_find(&sides->at_target, object);
        if (object->is_refused && !object->is_derived && (found == NULL || !is_same(object, found)))
            pairs[kept++] = (struct settle_pair){.at_source = object, .at_target = found};
    }
    return kept;
}

/*
 * Can the same definition have other words at the target? Two versions write a view each in its own way,
 * and a table that inherits has its parents' columns first wherever it is made.
 */
static bool can_have_other_words(const struct sides *sides, const struct settle_pair *pair) {
    return pair->at_source != NULL && pair->at_target != NULL &&
           (sides_differ(sides) || strstr(pair->at_source->definition, "\nINHERITS (") != NULL);
}

static bool have_other_words(const struct sides *sides, const struct settle_pair *pairs, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (can_have_other_words(sides, &pairs[i]))
            return true;
    return false;
}

bool settle_compare(struct sides *sides, struct settle_pair **ret_pairs, size_t *ret_count,
                    struct error *err) {
    const size_t count_max = sides->at_source.count * 2 + sides->at_target.count;
    struct settle_pair *pairs = arena_alloc_zero(&sides->arena, (count_max + 1) * sizeof *pairs);
    if (pairs == NULL)
        return error_no_memory(err);
    *ret_pairs = pairs;
    *ret_count = compare_lists(&sides->at_source, &sides->at_target, pairs);
    if (!have_other_words(sides, pairs, *ret_count))
        return true;
    struct object_list in_words = {0};
    const bool is_normal = sides_normalise(sides, &in_words, err);
    if (is_normal) {
        *ret_count = compare_lists(&in_words, &sides->at_target, pairs);
        *ret_count = add_refused(sides, pairs, *ret_count);
    }
    object_list_release(&in_words);
    return is_normal;
}
