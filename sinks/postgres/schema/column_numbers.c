/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_numbers.c - tries every number of columns that the table may have had when the definition was sent.
 *
 * If it had given the numbers up to n by then: a column up to n that exists now existed, since none comes
 * back. One that does not exist now existed if it was dropped since, which is possible unless it was not
 * there in the known state or was dropped before everything that can come. The rest of the definition's
 * columns are among those. When some but not all of them are needed, it is not known which.
 */
#include "sinks/postgres/schema/column_numbers.h"

#include <string.h>

struct possible {
    const struct relation *relation;
    const struct catalog_table *catalog;
    uint32_t known_max;
    const struct known_column *known[RELATION_COLUMNS_MAX + 1]; /* by number; NULL: it did not exist */
    bool has_same_files;                                        /* as in the known state */
    bool found;
    uint32_t *numbers;
};

static bool exists_now(const struct possible *possible, uint32_t number) {
    return !possible->catalog->columns[number - 1].is_dropped;
}

/* It does not exist now; may it have existed? */
static bool may_have_existed(const struct possible *possible, uint32_t number) {
    return !possible->catalog->columns[number - 1].is_old &&
           (number > possible->known_max || possible->known[number] != NULL);
}

/* No definition before this number can be the one: the column was there before everything that can come. */
static uint32_t first_max(const struct possible *possible) {
    uint32_t first = possible->known_max;
    for (uint32_t number = first + 1; number <= possible->catalog->column_count; number++)
        if (possible->catalog->columns[number - 1].is_old)
            first = number;
    return first;
}

/* Types of which none becomes another one unless the table is written anew, but for text and varchar. */
static bool is_plain_type(oid_t type) {
    static const oid_t TYPES[] = {16, 20, 21, 23, 25, 700, 701, 1043, 1082, 1700, 2950};
    bool found = false;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        found = found || TYPES[i] == type;
    return found;
}

static bool is_text_type(oid_t type) {
    return type == 25 || type == 1043;
}

/* The table has the files that it had, so a column has not become one of another type since. */
static bool keeps_type(const struct possible *possible, uint32_t number, const struct column *sent) {
    const struct catalog_column *now = &possible->catalog->columns[number - 1];
    return now->is_dropped || !possible->has_same_files || sent->type_oid == now->type_oid ||
           !is_plain_type(sent->type_oid) || !is_plain_type(now->type_oid) ||
           (is_text_type(sent->type_oid) && is_text_type(now->type_oid));
}

/* No column gets another name, or type, and then the one back that it had, all before it is seen. */
static bool keeps_name(const struct possible *possible, uint32_t number, const struct column *sent) {
    const struct known_column *known = possible->known[number];
    const struct catalog_column *now = &possible->catalog->columns[number - 1];
    if (known == NULL || now->is_dropped || !slice_equal(known->name, now->name) ||
        known->type_oid != now->type_oid || known->type_modifier != now->type_modifier)
        return true;
    return slice_equal(sent->name, now->name) && sent->type_oid == now->type_oid &&
           sent->type_modifier == now->type_modifier;
}

/* False: not the same columns as those of another possibility. */
static bool take_numbers(struct possible *possible, uint32_t max, bool with_dropped) {
    uint32_t numbers[RELATION_COLUMNS_MAX];
    uint32_t count = 0;
    for (uint32_t number = 1; number <= max; number++)
        if (exists_now(possible, number) || (with_dropped && may_have_existed(possible, number)))
            numbers[count++] = number;
    for (uint32_t i = 0; i < count; i++)
        if (!keeps_name(possible, numbers[i], &possible->relation->columns[i]) ||
            !keeps_type(possible, numbers[i], &possible->relation->columns[i]))
            return true;
    if (possible->found)
        return memcmp(numbers, possible->numbers, count * sizeof *numbers) == 0;
    memcpy(possible->numbers, numbers, count * sizeof *numbers);
    possible->found = true;
    return true;
}

/* False: there is more than one possibility. */
static bool try_max(struct possible *possible, uint32_t max) {
    uint32_t sure = 0, maybe = 0;
    for (uint32_t number = 1; number <= max; number++) {
        sure += exists_now(possible, number);
        maybe += !exists_now(possible, number) && may_have_existed(possible, number);
    }
    const uint32_t count = possible->relation->column_count;
    if (count < sure || count > sure + maybe)
        return true;
    if (count != sure && count != sure + maybe)
        return false;
    return take_numbers(possible, max, count != sure);
}

/*
 * A column that was generated and is plain by now was not sent, and would be taken for another one. Making
 * it wrote the table anew, and left no constant. So where that may have been, a new column must have the
 * name that it has now.
 */
static bool new_ones_agree(const struct possible *possible) {
    for (uint32_t i = 0; i < possible->relation->column_count; i++) {
        const uint32_t number = possible->numbers[i];
        const struct catalog_column *now = &possible->catalog->columns[number - 1];
        if (number > possible->known_max && !now->is_dropped && !possible->has_same_files &&
            now->missing.data == NULL && !slice_equal(possible->relation->columns[i].name, now->name))
            return false;
    }
    return true;
}

static bool take_known(struct possible *possible, const struct known_table *known) {
    possible->known_max = known->columns_max;
    possible->has_same_files = catalog_storage_has_same_files(known->storage, possible->catalog->storage);
    if (known->columns_max > possible->catalog->column_count)
        return false;
    for (uint32_t i = 0; i < known->column_count; i++)
        if (!known->columns[i].is_kept)
            possible->known[known->columns[i].number] = &known->columns[i];
    for (uint32_t number = 1; number <= known->columns_max; number++)
        if (exists_now(possible, number) && possible->known[number] == NULL)
            return false;
    return true;
}

/* ---- what the source's triggers have told ---- */

/*
 * Have they told the columns of this definition, which the table had between the known state and now? Else
 * the message is not about it, or something else altered the table since.
 */
static bool told_fits(const struct relation *relation, const struct known_table *known) {
    const struct catalog_table *now = relation->catalog, *then = now->then;
    uint32_t count = 0;
    if (then == NULL || then->column_count > now->column_count ||
        (known != NULL && known->columns_max > then->column_count))
        return false;
    for (uint32_t i = 0; i < then->column_count; i++) {
        const struct catalog_column *column = &then->columns[i];
        if (column->is_dropped && !now->columns[i].is_dropped)
            return false;
        if (column->is_dropped)
            continue;
        if (count == relation->column_count)
            return false;
        const struct column *sent = &relation->columns[count++];
        if (!slice_equal(sent->name, column->name) || sent->type_oid != column->type_oid ||
            sent->type_modifier != column->type_modifier)
            return false;
    }
    return count == relation->column_count;
}

/* No column that was gone in the known state is there. */
static bool told_continues(const struct known_table *known, const uint32_t *numbers, uint32_t count) {
    for (uint32_t i = 0; known != NULL && i < count && numbers[i] <= known->columns_max; i++) {
        bool was_there = false;
        for (uint32_t k = 0; k < known->column_count; k++)
            was_there = was_there || (!known->columns[k].is_kept && known->columns[k].number == numbers[i]);
        if (!was_there)
            return false;
    }
    return true;
}

static bool find_told(const struct relation *relation, const struct known_table *known,
                      uint32_t *ret_numbers) {
    uint32_t count = 0;
    if (!told_fits(relation, known))
        return false;
    for (uint32_t i = 0; i < relation->catalog->then->column_count; i++)
        if (!relation->catalog->then->columns[i].is_dropped)
            ret_numbers[count++] = i + 1;
    return told_continues(known, ret_numbers, count);
}

/* ---- both ---- */

static bool find_in_catalog(const struct relation *relation, const struct known_table *known,
                            uint32_t *ret_numbers) {
    struct possible possible = {.relation = relation, .catalog = relation->catalog, .numbers = ret_numbers};
    if (possible.catalog->column_count > RELATION_COLUMNS_MAX ||
        (known != NULL && !take_known(&possible, known)))
        return false;
    for (uint32_t max = first_max(&possible); max <= possible.catalog->column_count; max++)
        if (!try_max(&possible, max))
            return false;
    return possible.found && new_ones_agree(&possible);
}

/* Where the catalog leaves one possibility, and it is another one, something is wrong with either. */
bool column_numbers_find(const struct relation *relation, const struct known_table *known,
                         uint32_t *ret_numbers) {
    uint32_t told[RELATION_COLUMNS_MAX];
    const bool found = find_in_catalog(relation, known, ret_numbers);
    if (!find_told(relation, known, told))
        return found;
    const size_t size = relation->column_count * sizeof *told;
    if (found)
        return memcmp(told, ret_numbers, size) == 0;
    memcpy(ret_numbers, told, size);
    return true;
}
