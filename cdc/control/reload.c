/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.c - the two readings are compared key by key; the option tables say which key may change.
 */
#include "cdc/control/reload.h"

#include <string.h>

#include "cdc/base/log.h"
#include "cdc/base/visible.h"

enum { WORDS_MAX = 4096, VALUE_SHOWN_MAX = 80 };

struct changes {
    struct buffer taken;   /* keys whose new values are in force */
    struct buffer refused; /* those that need a restart */
    bool opens_again;      /* a sink reads one of them */
    bool sets_level;       /* the least level that is logged */
};

static void put_value(struct buffer *words, const struct config_difference *difference, const char *value) {
    char shown[VALUE_SHOWN_MAX + 1];
    if (value == NULL)
        buffer_append_text(words, "not set");
    else if (!difference->is_shown)
        buffer_append_text(words, "a value that is not shown");
    else
        buffer_append(words, shown, visible_write(shown, sizeof shown, slice_of(value)));
}

static void note_difference(const struct config_difference *difference, void *context) {
    struct changes *changes = context;
    struct buffer *words = difference->reloads ? &changes->taken : &changes->refused;
    buffer_printf(words, "%s%s (from ", words->size > 0 ? ", " : "", difference->path);
    put_value(words, difference, difference->before);
    buffer_append_text(words, " to ");
    put_value(words, difference, difference->after);
    buffer_append_text(words, ")");
    if (strncmp(difference->path, "sinks[", 6) == 0 || strncmp(difference->path, "buffer.", 7) == 0)
        changes->opens_again = true;
    if (strcmp(difference->path, "log_level") == 0)
        changes->sets_level = true;
}

static bool read_again(const struct console *console, struct config **ret_config, struct error *err) {
    struct config *again = NULL;
    if (!config_read_again(console->config, &again, err))
        return false;
    if (console->config->reverse_of != NULL && !config_reverse(again, err)) {
        config_free(again);
        return false;
    }
    *ret_config = again;
    return true;
}

static bool refuse_changes(struct changes *changes, struct error *err) {
    const char *keys = buffer_text(&changes->refused);
    error_set(err, ERROR_REFUSE, "nothing is changed, because these keys need a restart: %s",
              keys != NULL ? keys : "many");
    return error_remedy(err, "restart the engine, or take them back in the file and reload again");
}

/* Every reading is kept: a sink that is open may use an older one. */
static void put_in_force(struct console *console, struct config *newer, const struct changes *changes) {
    const size_t part_count = newer->part_count;
    config_keep(newer, console->newest);
    console->newest = newer;
    atomic_store(&console->stalled_ms, newer->http.stalled_ms);
    if (changes->sets_level)
        log_set_level(newer->log_level);
    if (!changes->opens_again)
        return;
    for (size_t i = 0; i < part_count; i++)
        atomic_store(&console->renewals[i].config, &newer->parts[i]);
    if (part_count == 0)
        atomic_store(&console->renewals[0].config, newer);
}

bool console_reload(struct console *console, struct buffer *words, struct error *err) {
    struct config *newer = NULL;
    struct changes changes = {.taken = {.bytes_max = WORDS_MAX}, .refused = {.bytes_max = WORDS_MAX}};
    if (!read_again(console, &newer, err))
        return false;
    config_compare(console->newest != NULL ? console->newest : console->config, newer, note_difference,
                   &changes);
    const bool is_accepted = changes.refused.size == 0 || refuse_changes(&changes, err);
    if (is_accepted && changes.taken.size > 0) {
        const char *keys = buffer_text(&changes.taken);
        buffer_printf(words, "changed: %s", keys != NULL ? keys : "many keys");
        put_in_force(console, newer, &changes);
    } else {
        if (is_accepted)
            buffer_append_text(words, "nothing has changed");
        config_free(newer);
    }
    buffer_release(&changes.taken);
    buffer_release(&changes.refused);
    return is_accepted;
}
