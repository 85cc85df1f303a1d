/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sides.c - the sessions of both sides and the descriptions of their databases.
 */
#include "cdc/migrate/schema/sides.h"

#include <pthread.h>
#include <string.h>

#include "cdc/pq/dsn_database.h"
#include "cdc/source/source.h"

enum {
    BLOCK_BYTES = 1 << 20,
    DSN_BYTES_MAX = 1 << 16,
};

#define ARENA_BYTES_MAX ((size_t) 4 << 30) /* a description, each text a few times */

static int major_of_session(const struct session *session) {
    return session->server_version / 10000;
}

bool sides_differ(const struct sides *sides) {
    return major_of_session(&sides->source) != major_of_session(&sides->target);
}

bool sides_connect(const struct sides *sides, const char *database, struct session *session,
                   struct error *err) {
    struct session_options options = {.stop = sides->stop};
    struct buffer dsn AUTO(buffer_release);
    buffer_init(&dsn, DSN_BYTES_MAX);
    sides->sink->ops->admin->target(&sides->sink->sink, &options);
    if (database != NULL) {
        if (!dsn_replace_database(options.dsn, database, &dsn, err))
            return false;
        /* a session keeps its dsn, to connect again for an explanation */
        options.dsn = arena_copy((struct arena *) (uintptr_t) &sides->arena, buffer_slice(&dsn));
        if (options.dsn == NULL)
            return error_no_memory(err);
    }
    return session_open(session, &options, err);
}

/* ---- both described at once ---- */

struct side {
    struct sides *sides;
    const struct session *session;
    struct describer describer; /* with an arena that no other thread uses */
    struct object_list *list;
    struct error error;
    bool is_described;
};

static bool describe_side(struct side *side, struct error *err) {
    struct toc toc;
    return describer_read(&side->describer, side->session, NULL, &toc, err) &&
           object_list_make(&toc, side->sides->config, side->describer.arena, side->list, err);
}

static void *side_main(void *argument) {
    struct side *side = argument;
    side->is_described = describe_side(side, &side->error);
    return NULL;
}

static bool describe_sides(struct sides *sides, struct error *err) {
    struct side source = {sides, &sides->source, sides->describer, &sides->at_source, {0}, false};
    struct side target = {sides, &sides->target, sides->describer, &sides->at_target, {0}, false};
    pthread_t thread;
    target.describer.arena = &sides->target_arena;
    if (pthread_create(&thread, NULL, side_main, &target) != 0)
        return error_errno(err, "a thread for a description");
    const bool is_described = describe_side(&source, err);
    pthread_join(thread, NULL);
    if (is_described && !target.is_described)
        *err = target.error;
    return is_described && target.is_described;
}

bool sides_connect_both(struct sides *sides, struct error *err) {
    return source_open(&sides->source, &sides->config->source, sides->stop, err) &&
           sides_connect(sides, NULL, &sides->target, err);
}

void sides_disconnect(struct sides *sides) {
    session_close(&sides->source);
    session_close(&sides->target);
}

bool sides_open(struct sides *sides, const struct config *config, const struct config_sink *sink,
                const atomic_bool *stop, struct error *err) {
    sides->config = config;
    sides->sink = sink;
    sides->stop = stop;
    arena_init(&sides->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    arena_init(&sides->target_arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    sides->describer = (struct describer){.arena = &sides->arena, .stop = stop};
    if (!sides_connect_both(sides, err))
        return false;
    const int source = major_of_session(&sides->source);
    const int target = major_of_session(&sides->target);
    return describer_find(&sides->describer, &config->schema, source > target ? source : target, err) &&
           describe_sides(sides, err);
}

void sides_close(struct sides *sides) {
    sides_disconnect(sides);
    object_list_release(&sides->at_source);
    object_list_release(&sides->at_target);
    arena_release(&sides->arena);
    arena_release(&sides->target_arena);
}
