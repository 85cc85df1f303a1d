/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffered_published.c - copies the file. An older one makes a table be copied once more, and no file makes
 * nothing new, so neither loses a row that the other would have.
 */
#include "cdc/engine/buffered_published.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cdc/engine/published.h"

static bool has_file(const struct published *published) {
    return published->snapshot.xmax != 0 || published->table_count > 0;
}

static bool has_same(const struct published *a, const struct published *b) {
    bool same = a->snapshot.xmin == b->snapshot.xmin && a->snapshot.xmax == b->snapshot.xmax &&
                a->snapshot.open_count == b->snapshot.open_count && a->table_count == b->table_count;
    for (size_t i = 0; same && i < a->snapshot.open_count; i++)
        same = a->snapshot.open[i] == b->snapshot.open[i];
    for (size_t i = 0; same && i < a->table_count; i++)
        same = published_has(b, a->tables[i]);
    return same;
}

static bool give_to(const struct published *published, const struct config *part, struct error *err) {
    struct published present = {0};
    if (!published_read(part->state, part->name, &present, err))
        return false;
    const bool is_there = has_file(&present);
    published_release(&present);
    if (is_there)
        return true;
    if (mkdir(part->state, 0750) != 0 && errno != EEXIST)
        return error_errno(err, "state directory %s", part->state);
    return published_write(part->state, part->name, published, err);
}

bool buffered_published_give(const struct config *config, struct error *err) {
    struct published published = {0};
    bool good = published_read(config->state, config->name, &published, err);
    for (size_t i = 1; good && has_file(&published) && i < config->part_count; i++)
        if (config->sinks[i - 1].ops->appends)
            good = give_to(&published, &config->parts[i], err);
    published_release(&published);
    return good;
}

/* *ret_agreed is empty when they do not agree. */
static bool find_agreed(const struct config *config, struct published *ret_agreed, struct error *err) {
    *ret_agreed = (struct published){0};
    for (size_t i = 1; i < config->part_count; i++) {
        const struct config *part = &config->parts[i];
        struct published published = {0};
        if (!config->sinks[i - 1].ops->appends)
            continue;
        if (!published_read(part->state, part->name, &published, err))
            return false;
        const bool is_first = !has_file(ret_agreed);
        const bool agrees = has_file(&published) && (is_first || has_same(&published, ret_agreed));
        if (agrees && is_first)
            *ret_agreed = published;
        else
            published_release(&published);
        if (!agrees) {
            published_release(ret_agreed);
            return true;
        }
    }
    return true;
}

bool buffered_published_take(const struct config *config, struct error *err) {
    struct published agreed = {0};
    bool good = find_agreed(config, &agreed, err);
    if (good && has_file(&agreed))
        good = published_write(config->state, config->name, &agreed, err);
    published_release(&agreed);
    return good;
}
