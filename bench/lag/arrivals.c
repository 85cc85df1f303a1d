/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrivals.c - an array by number.
 */
#include "bench/lag/arrivals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct arrival {
    int64_t due_us;
    int64_t seen_us; /* 0: not yet */
};

bool arrivals_init(struct arrivals *arrivals, int64_t count, struct error *err) {
    const size_t bytes = ((size_t) count + 1) * sizeof(struct arrival);
    *arrivals = (struct arrivals){.items = malloc(bytes), .count = count};
    if (arrivals->items == NULL)
        return error_no_memory(err);
    memset(arrivals->items, 0, bytes);
    return true;
}

void arrivals_release(struct arrivals *arrivals) {
    free(arrivals->items);
    *arrivals = (struct arrivals){0};
}

static void say_ready(void) {
    puts("ready");
    fflush(stdout);
}

bool arrivals_note(struct arrivals *arrivals, const struct mark *mark, int64_t now_us, struct error *err) {
    if (mark->number > arrivals->count)
        return error_set(err, ERROR_DATA, "transaction %" PRId64 " was never sent, the last is %" PRId64,
                         mark->number, arrivals->count);
    struct arrival *arrival = &arrivals->items[mark->number];
    if (arrival->seen_us != 0) {
        arrivals->repeated++;
        return true;
    }
    *arrival = (struct arrival){.due_us = mark->due_us, .seen_us = now_us};
    arrivals->seen++;
    while (arrivals->below <= arrivals->count && arrivals->items[arrivals->below].seen_us != 0)
        arrivals->below++;
    if (mark->number == 0)
        say_ready();
    return true;
}

bool arrivals_note_all(struct arrivals *arrivals, const char *bytes, size_t size, int64_t now_us,
                       const char **ret_rest, struct error *err) {
    const char *const end = bytes + size;
    struct mark mark;
    for (const char *at; (at = mark_find(bytes, (size_t) (end - bytes), &mark)) != NULL; bytes = at)
        if (!arrivals_note(arrivals, &mark, now_us, err))
            return false;
    *ret_rest = end - bytes < MARK_BYTES_MAX ? bytes : end - MARK_BYTES_MAX;
    return true;
}

bool arrivals_are_complete(const struct arrivals *arrivals) {
    return arrivals->seen == arrivals->count + 1;
}

bool arrivals_save(const struct arrivals *arrivals, const char *path, struct error *err) {
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return error_errno(err, "%s", path);
    for (int64_t number = 0; number <= arrivals->count; number++) {
        const struct arrival *arrival = &arrivals->items[number];
        const int64_t row[] = {number, arrival->due_us, arrival->seen_us};
        if (arrival->seen_us != 0)
            fwrite(row, sizeof row, 1, file);
    }
    const bool is_written = !ferror(file);
    if (fclose(file) != 0 || !is_written)
        return error_errno(err, "%s", path);
    return true;
}
