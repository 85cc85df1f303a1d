/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_place.c - parses the text of an error that a sink wrote.
 */
#include "cdc/engine/stop_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/engine/checkpoint.h"

static const char NAMED[] = "the transaction that commits at ";
static const char CHANGE[] = "change ";

static const struct config_sink *sink_of(const struct config *config, const char *text) {
    for (size_t i = 0; i < config->sink_count; i++) {
        const char *name = config->sinks[i].sink.name;
        const size_t length = strlen(name);
        if (strncmp(text, "sink ", 5) == 0 && strncmp(text + 5, name, length) == 0 &&
            strncmp(text + 5 + length, ": ", 2) == 0)
            return &config->sinks[i];
    }
    return NULL;
}

/* Parses the text before "of the transaction ...": "change 7 ". */
static bool index_before(const char *text, const char *named, uint64_t *ret_index) {
    const char *at = named;
    while (at > text && strncmp(at, CHANGE, strlen(CHANGE)) != 0)
        at--;
    char of[4] = "";
    int length = 0;
    return sscanf(at, "change %" SCNu64 " %3s %n", ret_index, of, &length) == 2 && strcmp(of, "of") == 0 &&
           at + length == named;
}

void stop_place_read(const struct config *config, const struct failure *failure,
                     struct stop_place *ret_place) {
    char lsn[32];
    const char *text = failure->error.text, *named = strstr(text, NAMED);
    *ret_place = (struct stop_place){.sink = sink_of(config, text), .commit_lsn = failure->error.commit_lsn};
    if (named == NULL)
        return;
    snprintf(lsn, sizeof lsn, "%.*s", (int) strspn(named + strlen(NAMED), "0123456789ABCDEFabcdef/"),
             named + strlen(NAMED));
    if (!lsn_parse(lsn, &ret_place->lsn))
        ret_place->lsn = 0;
    ret_place->has_index = index_before(text, named, &ret_place->index);
}

const struct config *stop_place_part(const struct config *config) {
    for (size_t i = 1; i < config->part_count; i++) {
        const struct config *part = &config->parts[i];
        struct failure failure;
        struct stop_place place;
        failure_read(part->state, part->name, &failure);
        stop_place_read(part, &failure, &place);
        if (failure.exists && place.sink != NULL && place.commit_lsn != 0)
            return part;
    }
    return config->part_count > 0 ? &config->parts[1] : config;
}

bool stop_place_position(const struct stop_place *place, const struct config *config, const atomic_bool *stop,
                         struct position *ret_position, struct error *err) {
    struct sink_view view = {0};
    struct checkpoint checkpoint;
    const struct config_sink *of = place->sink;
    if (sink_admin(of->ops, look) == NULL) {
        if (!checkpoint_read(config->state, config->name, &checkpoint, err))
            return false;
        const struct checkpoint_sink *stored = checkpoint_find(&checkpoint, &of->sink);
        *ret_position = stored != NULL ? stored->position : (struct position){0};
        return true;
    }
    if (!sink_look(of->ops, &of->sink, stop, &view, err))
        return false;
    *ret_position = view.position;
    return true;
}
