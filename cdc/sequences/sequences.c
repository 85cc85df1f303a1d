/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequences.c - joins both sides by name, decides each state, and sets what is not far enough ahead.
 */
#include "cdc/sequences/sequences.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "cdc/sequences/sequence_side.h"

#define GROUP_MAX 200
#define SQL_BYTES_MAX ((size_t) 1 << 20)

enum { NAMED_MAX = 12 };

const char *sequence_state_name(enum sequence_state state) {
    static const char *const NAMES[] = {
        [SEQUENCE_EQUAL] = "equal",           [SEQUENCE_AHEAD] = "ahead",   [SEQUENCE_BEHIND] = "behind",
        [SEQUENCE_MISSING] = "missing",       [SEQUENCE_LOCKED] = "locked", [SEQUENCE_UNFIT] = "unfit",
        [SEQUENCE_UNREADABLE] = "unreadable",
    };
    return NAMES[state];
}

void sequences_name(const struct sequence_list *list, enum sequence_state state, struct buffer *names) {
    size_t named = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].state != state)
            continue;
        if (named < NAMED_MAX) {
            buffer_append_text(names, named > 0 ? ", " : "");
            identifier_append_printable_qualified(names, slice_of(list->items[i].schema),
                                                  slice_of(list->items[i].name));
        }
        named++;
    }
    if (named > NAMED_MAX)
        buffer_printf(names, " and %zu more", named - NAMED_MAX);
}

/* ---- comparing ---- */

static int compare_names(const struct sequence_entry *a, const struct sequence_entry *b) {
    const int schemas = strcmp(a->schema, b->schema);
    return schemas != 0 ? schemas : strcmp(a->name, b->name);
}

static struct sequence_entry *find_entry(struct sequence_side *side, const struct sequence_entry *entry,
                                         size_t *from) {
    while (*from < side->count && compare_names(&side->entries[*from], entry) < 0)
        ++*from;
    return *from < side->count && compare_names(&side->entries[*from], entry) == 0 ? &side->entries[*from]
                                                                                   : NULL;
}

static bool range_contains(const struct sequence_range *range, int64_t value) {
    return range->min <= value && value <= range->max;
}

static enum sequence_state judge_place(const struct sequence *sequence, uint64_t headroom) {
    const struct sequence_range *range = &sequence->range;
    const int order = sequence_place_compare(range, sequence->target, sequence->source);
    if (order == 0)
        return SEQUENCE_EQUAL;
    const bool is_ahead =
        range->cycles ? sequence_place_is_shortly_after(range, sequence->target, sequence->source, headroom)
                      : order > 0;
    if (is_ahead)
        return SEQUENCE_AHEAD;
    const bool has_direction = (range->increment > 0) == (sequence->target_range.increment > 0);
    return has_direction && range_contains(&sequence->target_range, sequence->source.last_value)
               ? SEQUENCE_BEHIND
               : SEQUENCE_UNFIT;
}

static enum sequence_state judge_sequence(struct sequence *sequence, const struct sequence_entry *source,
                                          const struct sequence_entry *target, uint64_t headroom) {
    *sequence = (struct sequence){
        .schema = source->schema, .name = source->name, .range = source->range, .source = source->place};
    if (target == NULL)
        return SEQUENCE_MISSING;
    sequence->target_range = target->range;
    if (!source->is_readable)
        return SEQUENCE_UNREADABLE;
    if (!target->is_readable)
        return SEQUENCE_LOCKED;
    sequence->target = target->place;
    return judge_place(sequence, headroom);
}

static void set_state(struct sequence_list *list, struct sequence *sequence, enum sequence_state state) {
    if (list->counts[sequence->state] > 0)
        list->counts[sequence->state]--;
    sequence->state = state;
    list->counts[state]++;
}

/* What the target lacks is not read at the source either. */
static void match_sides(struct sequence_side *source, struct sequence_side *target) {
    size_t from = 0;
    for (size_t i = 0; i < source->count; i++) {
        struct sequence_entry *entry = find_entry(target, &source->entries[i], &from);
        source->entries[i].is_wanted = entry != NULL;
        if (entry != NULL)
            entry->is_wanted = source->entries[i].is_readable;
    }
}

/*
 * The source is read first, so that a target which follows another engine is not taken for one behind; the
 * source's lead that comes of it is made up by the next round, or there is none behind a fence.
 */
bool sequences_compare(struct session *source, struct session *target, const struct sequence_terms *terms,
                       struct arena *arena, struct sequence_list *ret_list, struct error *err) {
    struct sequence_side there, here;
    if (!sequence_side_list_source(source, terms, arena, &there, err) ||
        !sequence_side_list_target(target, arena, &here, err))
        return false;
    match_sides(&there, &here);
    if (!sequence_side_read_places(source, &there, err) || !sequence_side_read_places(target, &here, err))
        return false;
    *ret_list = (struct sequence_list){
        .items = arena_alloc_zero(arena, there.count * sizeof *ret_list->items), .count = there.count};
    if (ret_list->items == NULL)
        return error_no_memory(err);
    size_t from = 0;
    for (size_t i = 0; i < there.count; i++) {
        struct sequence *sequence = &ret_list->items[i];
        sequence->state =
            judge_sequence(sequence, &there.entries[i], find_entry(&here, &there.entries[i], &from),
                           terms->config->headroom);
        ret_list->counts[sequence->state]++;
    }
    return true;
}

/* ---- setting ---- */

/* Also ahead of what is equal, and of what is ahead by less than the headroom. */
static bool wants_set(const struct sequence *sequence, uint64_t headroom, struct sequence_place *ret_place) {
    const struct sequence_range *range = &sequence->range;
    if (sequence->state > SEQUENCE_BEHIND)
        return false;
    *ret_place = sequence_place_ahead(range, sequence->source, headroom);
    /* a target with a smaller range gets what it can take */
    if (!range_contains(&sequence->target_range, ret_place->last_value))
        *ret_place = sequence->source;
    if (!range_contains(&sequence->target_range, ret_place->last_value))
        return false;
    const int order = sequence_place_compare(range, *ret_place, sequence->target);
    return range->cycles ? order != 0 : order > 0;
}

/*
 * The condition is read again by the statement that sets, so that a value which the target has used in the
 * meantime is not set back. A cycle has no such order.
 */
static void append_set(const struct sequence *sequence, struct sequence_place place, struct buffer *sql) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    identifier_append_qualified(&name, slice_of(sequence->schema), slice_of(sequence->name));
    sql->failed = sql->failed || !buffer_ok(&name);
    buffer_append_text(sql, "select setval(");
    literal_append(sql, buffer_slice(&name));
    buffer_printf(sql, ", %" PRId64 ", %s) from ", place.last_value, place.is_called ? "true" : "false");
    buffer_append_slice(sql, buffer_slice(&name));
    if (!sequence->range.cycles)
        buffer_printf(sql, " where last_value %s%s %" PRId64, sequence->range.increment > 0 ? "<" : ">",
                      place.is_called ? "=" : "", place.last_value);
    buffer_append_text(sql, ";");
}

static bool flush_group(struct session *target, struct buffer *sql, struct error *err) {
    if (!buffer_ok(sql))
        return error_no_memory(err);
    const char *text = buffer_text(sql);
    if (text == NULL)
        return error_no_memory(err);
    if (sql->size > 0 && !session_execute(target, text, err))
        return false;
    buffer_reset(sql);
    FAULT_POINT("sequences-set");
    return true;
}

bool sequences_advance(struct session *source, struct session *target, const struct sequence_terms *terms,
                       struct arena *arena, struct sequence_list *ret_list, size_t *ret_set,
                       struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    size_t set = 0;
    if (!sequences_compare(source, target, terms, arena, ret_list, err))
        return false;
    for (size_t i = 0; i < ret_list->count; i++) {
        struct sequence *sequence = &ret_list->items[i];
        struct sequence_place place;
        if (!wants_set(sequence, terms->config->headroom, &place))
            continue;
        append_set(sequence, place, &sql);
        sequence->target = place;
        set_state(ret_list, sequence,
                  sequence_place_compare(&sequence->range, place, sequence->source) == 0 ? SEQUENCE_EQUAL
                                                                                         : SEQUENCE_AHEAD);
        if (++set % GROUP_MAX == 0 && !flush_group(target, &sql, err))
            return false;
    }
    if (!flush_group(target, &sql, err))
        return false;
    *ret_set = set;
    return true;
}
