/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c - a table of the kinds of steps, and the chain.
 */
#include "sinks/mapping/step.h"

#include <assert.h>

#include "cdc/base/utf8.h"
#include "sinks/mapping/characters.h"
#include "sinks/mapping/mask.h"

/* 64 bits. With a thousand million keys, two become equal with a chance of 3 %; with 8 digits, surely. */
enum { HASH_DIGITS_LIKELY = 16 };

/* The value between two steps; data NULL: null. */
struct working {
    struct slice value;
    struct arena *arena;
};

static bool run_trim(const struct step *step, struct working *working, struct error *err) {
    (void) step, (void) err;
    working->value = characters_trim(working->value);
    return true;
}

static bool run_squeeze(const struct step *step, struct working *working, struct error *err) {
    (void) step;
    return characters_squeeze(working->value, working->arena, &working->value, err);
}

static bool run_lower(const struct step *step, struct working *working, struct error *err) {
    (void) step;
    return characters_lower(working->value, working->arena, &working->value, err);
}

static bool run_upper(const struct step *step, struct working *working, struct error *err) {
    (void) step;
    return characters_upper(working->value, working->arena, &working->value, err);
}

static bool run_nullif(const struct step *step, struct working *working, struct error *err) {
    (void) err;
    if (slice_equal(working->value, slice_of(step->text)))
        working->value = (struct slice){0};
    return true;
}

static bool run_default(const struct step *step, struct working *working, struct error *err) {
    (void) err;
    if (working->value.data == NULL)
        working->value = slice_of(step->text);
    return true;
}

static bool run_truncate(const struct step *step, struct working *working, struct error *err) {
    (void) err;
    if (step->number > 0)
        working->value = characters_first(working->value, step->number);
    return true;
}

/* The text, as often as there are hidden characters. */
static char *write_covers(char *out, struct slice cover, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memcpy(out, cover.data, cover.size);
        out += cover.size;
    }
    return out;
}

static bool run_partial(const struct step *step, struct working *working, struct error *err) {
    const struct slice cover = slice_of(step->text);
    const size_t count = characters_count(working->value), shown = (size_t) step->first + step->last;
    const size_t hidden = count > shown ? count - shown : count;
    const struct slice head = characters_first(working->value, hidden < count ? step->first : 0);
    const struct slice tail = characters_after(working->value, hidden < count ? step->first + hidden : count);
    const size_t size = head.size + hidden * cover.size + tail.size;
    char *text = arena_alloc(working->arena, size);
    if (text == NULL)
        return error_no_memory(err);
    memcpy(text, head.data, head.size);
    memcpy(write_covers(text + head.size, cover, hidden), tail.data, tail.size);
    working->value = (struct slice){text, size};
    return true;
}

static bool run_hash(const struct step *step, struct working *working, struct error *err) {
    return mask_hash(step->key, working->value, step->number, working->arena, &working->value, err);
}

static bool run_digits(const struct step *step, struct working *working, struct error *err) {
    return mask_digits(step->key, working->value, working->arena, &working->value, err);
}

static bool run_null(const struct step *step, struct working *working, struct error *err) {
    (void) step, (void) err;
    working->value = (struct slice){0};
    return true;
}

static bool run_fixed(const struct step *step, struct working *working, struct error *err) {
    (void) err;
    working->value = slice_of(step->text);
    return true;
}

struct step_operation {
    const char *name;
    bool (*run)(const struct step *step, struct working *working, struct error *err);
    enum uniqueness uniqueness;
    bool takes_null; /* otherwise null stays null */
};

static const struct step_operation OPERATIONS[] = {
    [STEP_TRIM] = {"trim", run_trim, UNIQUENESS_LOST},
    [STEP_SQUEEZE] = {"squeeze", run_squeeze, UNIQUENESS_LOST},
    [STEP_LOWER] = {"lower", run_lower, UNIQUENESS_LOST},
    [STEP_UPPER] = {"upper", run_upper, UNIQUENESS_LOST},
    /* One key at most is the text; and null, which it becomes, is no key and equals nothing. */
    [STEP_NULLIF] = {"nullif", run_nullif, UNIQUENESS_PRESERVED},
    [STEP_DEFAULT] = {"default", run_default, UNIQUENESS_LOST, .takes_null = true},
    [STEP_TRUNCATE] = {"truncate", run_truncate, UNIQUENESS_LOST},
    [STEP_HASH] = {"hash", run_hash, UNIQUENESS_LIKELY},
    [STEP_PARTIAL] = {"partial", run_partial, UNIQUENESS_LOST},
    [STEP_DIGITS] = {"digits", run_digits, UNIQUENESS_PRESERVED},
    [STEP_NULL] = {"null", run_null, UNIQUENESS_LOST, .takes_null = true},
    [STEP_FIXED] = {"fixed", run_fixed, UNIQUENESS_LOST},
};

static const struct step_operation *operation_of(enum step_kind kind) {
    assert((size_t) kind < sizeof OPERATIONS / sizeof *OPERATIONS);
    assert(OPERATIONS[kind].name != NULL);
    return &OPERATIONS[kind];
}

enum uniqueness step_uniqueness(const struct step *step) {
    const bool is_short_hash =
        step->kind == STEP_HASH && step->number > 0 && step->number < HASH_DIGITS_LIKELY;
    return is_short_hash ? UNIQUENESS_LOST : operation_of(step->kind)->uniqueness;
}

const char *step_name(enum step_kind kind) {
    return operation_of(kind)->name;
}

static bool refuse_encoding(struct error *err) {
    error_set(err, ERROR_DATA, "the text is not UTF-8, which steps require");
    return error_remedy(err, "take the steps off this column, or convert the source's database to UTF8");
}

bool steps_run(const struct step *steps, size_t count, struct slice value, struct arena *arena,
               struct slice *ret_value, struct error *err) {
    struct working working = {.value = value, .arena = arena};
    if (count > 0 && value.data != NULL && !utf8_is_valid(value))
        return refuse_encoding(err);
    for (size_t i = 0; i < count; i++) {
        const struct step_operation *operation = operation_of(steps[i].kind);
        if ((working.value.data != NULL || operation->takes_null) &&
            !operation->run(&steps[i], &working, err))
            return error_wrap(err, "step %s", operation->name);
    }
    *ret_value = working.value;
    return true;
}
