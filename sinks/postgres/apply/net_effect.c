/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_effect.c - two passes over a span: which tables it changes and how, then the effect on each row.
 */
#include "sinks/postgres/apply/net_effect.h"

#include <assert.h>
#include <stdlib.h>

#include "sinks/postgres/apply/row_change.h"

#define BLOCK_BYTES (256u * 1024u)
#define BYTES_MAX (64u * 1024u * 1024u)
#define VALUE_BYTES_MAX (1024u * 1024u) /* larger values are not collected in arrays, to save memory */
#define GROUPS_MAX 8u                   /* per table: groups of updates that write different columns */
/*
 * Fewer changes than these in a table without a key are found one by one: hashing a row takes ten times as
 * long as seeing that it differs. With an index, only statements are saved.
 */
#define HASHED_MIN 12u
#define SEARCHED_MIN 4u

void net_effect_init(struct net_effect *net) {
    *net = (struct net_effect){0};
    arena_init(&net->arena, BLOCK_BYTES, BYTES_MAX);
}

void net_effect_release(struct net_effect *net) {
    arena_release(&net->arena);
    free(net->effects);
    effect_index_release(&net->index);
    image_index_release(&net->images);
    *net = (struct net_effect){0};
}

void net_effect_forget(struct net_effect *net) {
    for (struct table_effect *effect = net->tables; effect != NULL; effect = effect->next)
        effect->table->effect = NULL;
    net->tables = NULL;
    net->last_table = NULL;
    net->effect_count = 0;
    net->places = NULL;
    arena_reset(&net->arena);
}

static bool add_table(struct net_effect *net, struct target_table *table, struct error *err) {
    struct table_effect *effect = arena_alloc_zero(&net->arena, sizeof *effect);
    uint8_t *formats = arena_alloc_zero(&net->arena, table->column_count + 1);
    if (effect == NULL || formats == NULL)
        return error_no_memory(err);
    *effect =
        (struct table_effect){.table = table, .formats = formats, .first = EFFECT_NONE, .last = EFFECT_NONE};
    effect->by_rows = table->set_pause > 0 || table->column_count == 0;
    table->set_pause -= table->set_pause > 0;
    if (net->last_table != NULL)
        net->last_table->next = effect;
    else
        net->tables = effect;
    net->last_table = effect;
    table->effect = effect;
    return true;
}

static bool find_images(struct net_effect *net, size_t rows, struct error *err) {
    bool any = false;
    for (struct table_effect *effect = net->tables; effect != NULL; effect = effect->next) {
        uint32_t least = effect->table->searched_count > 0 ? SEARCHED_MIN : HASHED_MIN;
        effect->by_images = effect->table->takes_images && effect->other_count > 0;
        effect->by_rows |= effect->by_images && effect->other_count < least;
        any |= effect->by_images && !effect->by_rows;
    }
    return !any || image_index_reset(&net->images, rows, false, err);
}

/* Finds the tables, the kinds of change in each, and the number of rows. */
static bool find_tables(struct net_effect *net, const struct span *span, size_t *ret_rows,
                        struct error *err) {
    size_t rows = 0;
    for (size_t i = 0; i < span->count; i++) {
        struct target_table *table = span->tables[i];
        if (table == NULL)
            continue;
        if (table->effect == NULL && !add_table(net, table, err))
            return false;
        bool is_insert = span->changes[i].kind == CHANGE_INSERT || span->changes[i].kind == CHANGE_READ;
        table->effect->has_inserts |= is_insert;
        table->effect->other_count += !is_insert;
        rows++;
    }
    *ret_rows = rows;
    return true;
}

static bool make_room(struct net_effect *net, size_t rows, struct error *err) {
    if (rows > net->effect_capacity) {
        struct effect *effects =
            rows < UINT32_MAX / 4 ? reallocarray(net->effects, rows, sizeof *effects) : NULL;
        if (effects == NULL)
            return error_no_memory(err);
        net->effects = effects;
        net->effect_capacity = (uint32_t) rows;
    }
    return effect_index_reset(&net->index, rows, err) && find_images(net, rows, err);
}

static struct effect *append_effect(struct net_effect *net, struct target_table *table,
                                    const struct value *key) {
    struct table_effect *of_table = table->effect;
    uint32_t index = net->effect_count++;
    struct effect *effect = &net->effects[index];
    *effect = (struct effect){.table = table, .key = key, .next = EFFECT_NONE, .next_update = EFFECT_NONE};
    if (of_table->last != EFFECT_NONE)
        net->effects[of_table->last].next = index;
    else
        of_table->first = index;
    of_table->last = index;
    return effect;
}

/*
 * Notes the format of each value. False when a set cannot hold the row, because a value is too large. Sets
 * *ret_unchanged when a value is unchanged.
 */
static bool note_values(struct table_effect *effect, const struct value *values, bool *ret_unchanged) {
    static const uint8_t FORMATS[256] = {[VALUE_TEXT] = FORMAT_TEXT, [VALUE_BINARY] = FORMAT_BINARY};
    uint32_t largest = 0;
    for (uint32_t i = 0; i < effect->table->column_count; i++) {
        effect->formats[i] |= FORMATS[(uint8_t) values[i].kind];
        *ret_unchanged |= values[i].kind == VALUE_UNCHANGED;
        largest = values[i].size > largest ? values[i].size : largest;
    }
    return largest <= VALUE_BYTES_MAX;
}

static bool note_key(struct table_effect *effect, const struct value *key) {
    const struct target_table *table = effect->table;
    for (uint32_t i = 0; i < table->key_count; i++) {
        const struct value *value = &key[table->key_columns[i]];
        if (value->kind == VALUE_NULL || value->kind == VALUE_UNCHANGED || value->size > VALUE_BYTES_MAX)
            return false;
        effect->formats[table->key_columns[i]] |= value->kind == VALUE_TEXT ? FORMAT_TEXT : FORMAT_BINARY;
    }
    return true;
}

/* Values that are unchanged in later come from the earlier values. */
static bool merge(struct net_effect *net, struct effect *effect, const struct value *later,
                  struct error *err) {
    uint32_t count = effect->table->column_count;
    struct value *merged = arena_alloc(&net->arena, count * sizeof *merged);
    if (merged == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < count; i++)
        merged[i] = later[i].kind == VALUE_UNCHANGED ? effect->values[i] : later[i];
    effect->values = merged;
    return true;
}

/* An existing row cannot be inserted, nor a deleted row changed: such a table is applied row by row. */
static bool change_effect(struct net_effect *net, struct effect *effect, const struct change *change,
                          bool has_unchanged, struct error *err) {
    bool is_there = effect->values != NULL;
    if (change->kind == CHANGE_INSERT || change->kind == CHANGE_READ) {
        effect->table->effect->by_rows |= is_there || has_unchanged;
        effect->values = change->new_values;
    } else if (!is_there) {
        effect->table->effect->by_rows = true;
    } else if (change->kind == CHANGE_DELETE) {
        effect->values = NULL;
        effect->was_deleted = true;
    } else if (has_unchanged) {
        return merge(net, effect, change->new_values, err);
    } else {
        effect->values = change->new_values;
    }
    return true;
}

static bool add_keyed(struct net_effect *net, struct target_table *table, const struct change *change,
                      const struct value *key, bool has_unchanged, struct error *err) {
    uint32_t hash = effect_index_hash(table, key);
    uint32_t *slot = effect_index_probe(&net->index, net->effects, table, key, hash);
    if (*slot != EFFECT_NONE)
        return change_effect(net, &net->effects[*slot], change, has_unchanged, err);
    *slot = net->effect_count;
    struct effect *effect = append_effect(net, table, key);
    effect->hash = hash;
    effect->values = change->new_values;
    effect->existed = change->kind != CHANGE_INSERT && change->kind != CHANGE_READ;
    effect->was_deleted = change->kind == CHANGE_DELETE;
    return true;
}

/* Notes every column of the old row, because the search needs all of them. */
static bool note_image(struct table_effect *effect, const struct value *image) {
    bool has_unchanged = false;
    return note_values(effect, image, &has_unchanged) && !has_unchanged;
}

static void add_image(struct net_effect *net, struct effect *effect) {
    effect->hash = image_index_hash(effect->table, effect->values, effect->key);
    image_index_add(&net->images, net->effects, (uint32_t) (effect - net->effects));
}

/* The effect on the row that has these values now; a new one when it has none yet. */
static struct effect *take_image(struct net_effect *net, struct target_table *table,
                                 const struct value *image) {
    const struct effect like = {.table = table, .key = image, .hash = image_index_hash(table, image, image)};
    uint32_t found = image_index_find(&net->images, net->effects, &like, true);
    if (found != EFFECT_NONE)
        return &net->effects[found];
    struct effect *effect = append_effect(net, table, image);
    effect->existed = true;
    return effect;
}

static bool change_image(struct net_effect *net, struct effect *effect, const struct change *change,
                         bool has_unchanged, struct error *err) {
    if (change->kind == CHANGE_DELETE) {
        effect->values = NULL;
        effect->was_deleted = true;
        return true;
    }
    if (!has_unchanged || effect->values == NULL)
        effect->values = change->new_values;
    else if (!merge(net, effect, change->new_values, err))
        return false;
    add_image(net, effect);
    return true;
}

static void insert_image(struct net_effect *net, struct target_table *table, const struct change *change) {
    struct effect *effect = append_effect(net, table, change->new_values);
    effect->values = change->new_values;
    add_image(net, effect);
}

/* In a table with inserts only no row can meet another; the target's unique index would refuse it. */
static void add_unkeyed(struct net_effect *net, struct target_table *table, const struct change *change) {
    append_effect(net, table, change->new_values)->values = change->new_values;
}

/* An identity column that is not the key may have been changed by any update, and cannot be set. */
static bool update_fits_set(const struct target_table *table, const struct change *change) {
    return change->kind != CHANGE_UPDATE ||
           (!row_change_moves_key(table, change) && !row_change_must_replace(table, change));
}

NOT_INLINE static bool add_without_key(struct net_effect *net, struct target_table *table,
                                       const struct change *change, bool has_unchanged, struct error *err) {
    bool is_insert = change->kind == CHANGE_INSERT || change->kind == CHANGE_READ;
    const struct value *image = is_insert ? change->new_values : row_change_key(table, change);
    if (image == NULL || !note_image(table->effect, image) || !update_fits_set(table, change)) {
        table->effect->by_rows = true;
        return true;
    }
    if (!is_insert)
        return change_image(net, take_image(net, table, image), change, has_unchanged, err);
    insert_image(net, table, change);
    return true;
}

static bool add_change(struct net_effect *net, struct target_table *table, const struct change *change,
                       struct error *err) {
    struct table_effect *effect = table->effect;
    bool has_unchanged = false;
    if (change->new_values != NULL && !note_values(effect, change->new_values, &has_unchanged) &&
        effect->other_count > 0) {
        effect->by_rows = true;
        return true;
    }
    if (effect->other_count == 0) {
        effect->by_rows |= has_unchanged;
        add_unkeyed(net, table, change);
        return true;
    }
    if (effect->by_images)
        return add_without_key(net, table, change, has_unchanged, err);
    bool is_insert = change->kind == CHANGE_INSERT || change->kind == CHANGE_READ;
    const struct value *key = is_insert ? change->new_values : row_change_key(table, change);
    if (!table->has_key || (is_insert && has_unchanged) || key == NULL || !note_key(effect, key) ||
        !update_fits_set(table, change)) {
        effect->by_rows = true;
        return true;
    }
    return add_keyed(net, table, change, key, has_unchanged, err);
}

/* Is the row found by this column? */
static bool is_searched(const struct table_effect *effect, uint32_t column) {
    const struct target_column *of_table = &effect->table->columns[column];
    return effect->by_images ? of_table->is_written : of_table->is_key;
}

/* Arrays have no array type, and unnest would expand them to their elements. */
static bool can_unnest(const struct table_effect *effect, const struct column_set *written) {
    for (uint32_t i = 0; i < effect->table->column_count; i++)
        if (effect->table->columns[i].array_oid == 0 &&
            (is_searched(effect, i) || column_set_has(written, i)))
            return false;
    return true;
}

static bool has_mixed_format(const struct table_effect *effect) {
    uint8_t all = 0;
    for (uint32_t i = 0; i < effect->table->column_count; i++) {
        const struct target_column *column = &effect->table->columns[i];
        if (effect->formats[i] == FORMAT_MIXED)
            return true;
        if (column->is_written)
            all |= effect->formats[i] | (column->is_text_only ? FORMAT_TEXT : 0);
    }
    return effect->has_inserts && all == FORMAT_MIXED; /* a COPY uses one format for all columns */
}

static struct update_group *find_group(struct net_effect *net, struct table_effect *effect,
                                       const struct column_set *written) {
    for (struct update_group *group = effect->groups; group != NULL; group = group->next)
        if (column_set_equal(&group->written, written))
            return group;
    if (effect->group_count == GROUPS_MAX || !can_unnest(effect, written))
        return NULL;
    struct update_group *group = arena_alloc(&net->arena, sizeof *group);
    if (group == NULL)
        return NULL;
    *group = (struct update_group){
        .next = effect->groups, .written = *written, .first = EFFECT_NONE, .last = EFFECT_NONE};
    column_set_init(&group->unsent, effect->table->column_count);
    effect->groups = group;
    effect->group_count++;
    return group;
}

static bool is_settable(const struct target_column *column) {
    return column->is_written && !column->is_always && !column->is_key;
}

static void written_by(const struct effect *effect, struct column_set *written) {
    const struct target_table *table = effect->table;
    column_set_init(written, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_settable(&table->columns[i]) && effect->values[i].kind != VALUE_UNCHANGED)
            column_set_add(written, i);
}

static struct update_group *group_of_images(struct net_effect *net, struct table_effect *effect) {
    struct column_set none;
    column_set_init(&none, effect->table->column_count);
    return effect->groups != NULL ? effect->groups : find_group(net, effect, &none);
}

/*
 * All updates of rows without a key are one statement, whatever columns each writes. It finds all rows
 * before it changes the first, so it cannot mistake a row that another update has just made identical. A
 * column that is the same in every old and new row is not sent again.
 */
static void widen_group(struct update_group *group, const struct effect *effect) {
    const struct target_table *table = effect->table;
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct column_set *set = effect->values[i].kind == VALUE_UNCHANGED ? &group->unsent : &group->written;
        if (is_settable(&table->columns[i]) && !column_set_has(set, i) &&
            !value_is_same(&effect->key[i], &effect->values[i]))
            column_set_add(set, i);
    }
}

/* Updates that change nothing still have to find their rows. False: there is no column to set. */
static bool complete_images(const struct table_effect *effect) {
    struct update_group *group = effect->groups;
    for (uint32_t i = 0; group->written.count == 0 && i < effect->table->column_count; i++)
        if (is_settable(&effect->table->columns[i]))
            column_set_add(&group->written, i);
    return group->written.count > 0;
}

NOT_INLINE static struct update_group *group_for_image(struct net_effect *net, struct table_effect *effect,
                                                       uint32_t index) {
    struct update_group *group = group_of_images(net, effect);
    if (group != NULL)
        widen_group(group, &net->effects[index]);
    return group;
}

static struct update_group *group_for(struct net_effect *net, struct table_effect *effect, uint32_t index) {
    struct column_set written;
    if (effect->by_images)
        return group_for_image(net, effect, index);
    written_by(&net->effects[index], &written);
    return written.count > 0 ? find_group(net, effect, &written) : NULL;
}

/* False: too many groups, nothing to set (which a set cannot express), or a value that cannot be unnested. */
static bool add_to_group(struct net_effect *net, struct table_effect *effect, uint32_t index) {
    struct update_group *group = group_for(net, effect, index);
    if (group == NULL)
        return false;
    if (group->last != EFFECT_NONE)
        net->effects[group->last].next_update = index;
    else
        group->first = index;
    group->last = index;
    group->count++;
    return true;
}

static bool sort_effects(struct net_effect *net, struct table_effect *effect) {
    for (uint32_t i = effect->first; i != EFFECT_NONE; i = net->effects[i].next) {
        enum effect_kind kind = effect_kind_of(&net->effects[i]);
        effect->insert_count += kind == EFFECT_INSERT || kind == EFFECT_REPLACE;
        effect->delete_count += kind == EFFECT_DELETE || kind == EFFECT_REPLACE;
        if ((kind == EFFECT_NOTHING && net->shows_conflicts) ||
            (kind == EFFECT_UPDATE && !add_to_group(net, effect, i)))
            return false;
    }
    return !effect->by_images || effect->groups == NULL || complete_images(effect);
}

static void finish_table(struct net_effect *net, struct table_effect *effect) {
    struct column_set none;
    column_set_init(&none, effect->table->column_count);
    effect->by_rows = has_mixed_format(effect) || (effect->other_count > 0 && !can_unnest(effect, &none)) ||
                      !sort_effects(net, effect);
}

static void place_effect(struct net_effect *net, uint32_t index) {
    struct effect *effect = &net->effects[index];
    effect->hash = image_index_hash(effect->table, effect->key, effect->key) ^ (effect->values == NULL);
    uint32_t first = image_index_find(&net->images, net->effects, effect, false);
    if (first == EFFECT_NONE) {
        first = index;
        image_index_add(&net->images, net->effects, index);
    }
    net->places[index].image = first;
    net->places[index].rank = ++net->places[first].count;
}

/* Finds which rows were identical: as many of them must be found as there are changes. */
static bool place_effects(struct net_effect *net, struct error *err) {
    bool any = false;
    for (const struct table_effect *effect = net->tables; effect != NULL; effect = effect->next)
        any |= effect->by_images && !effect->by_rows;
    if (!any)
        return true;
    net->places = arena_alloc_zero(&net->arena, net->effect_count * sizeof(*net->places));
    if (net->places == NULL)
        return error_no_memory(err);
    if (!image_index_reset(&net->images, net->effect_count, true, err))
        return false;
    for (uint32_t i = 0; i < net->effect_count; i++) {
        const struct table_effect *of_table = net->effects[i].table->effect;
        if (of_table->by_images && !of_table->by_rows && net->effects[i].existed)
            place_effect(net, i);
    }
    return true;
}

bool net_effect_build(struct net_effect *net, const struct span *span, struct error *err) {
    size_t rows = 0;
    net_effect_forget(net);
    if (!find_tables(net, span, &rows, err) || !make_room(net, rows, err))
        return false;
    for (size_t i = 0; i < span->count; i++) {
        struct target_table *table = span->tables[i];
        if (table != NULL && !table->effect->by_rows && !add_change(net, table, &span->changes[i], err))
            return false;
    }
    for (struct table_effect *effect = net->tables; effect != NULL; effect = effect->next)
        if (!effect->by_rows)
            finish_table(net, effect);
    return place_effects(net, err);
}
