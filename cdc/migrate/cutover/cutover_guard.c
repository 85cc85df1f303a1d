/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_guard.c - which direction may run, from the rows in the target of the file.
 */
#include "cdc/base/log.h"
#include "cdc/migrate/cutover/cutover_place.h"
#include "cdc/migrate/steps/steps_table.h"
#include "cdc/source/source.h"

#define BLOCK_BYTES ((size_t) 4096)
#define ARENA_BYTES_MAX ((size_t) 1 << 20)

static bool open_rows(const struct config *config, const atomic_bool *stop, struct steps *steps,
                      struct error *err) {
    const struct config_sink *target = NULL;
    struct session_options options = {0};
    steps->pipeline = config->reverse_of != NULL ? config->reverse_of : config->name;
    if (config->reverse_of != NULL)
        return source_open(&steps->session, &config->source, stop, err) &&
               steps_table_exists(&steps->session, &steps->exists, err);
    if (!config_find_target(config, &target, err))
        return false;
    target->ops->admin->target(&target->sink, &options);
    options.stop = stop;
    return session_open(&steps->session, &options, err) &&
           steps_table_exists(&steps->session, &steps->exists, err);
}

static bool judge_place(const struct config *config, enum cutover_place place, struct error *err) {
    static const char *const REMEDIES[] = {
        [PLACE_SOURCE] = "`pgcdc cutover` makes a way back; before it there is none to run",
        [PLACE_FLIPPING] = "run `pgcdc cutover` again, which goes on, or `pgcdc cutover --abort`",
        [PLACE_TARGET] = "`pgcdc run --reverse` brings them back to the source; `pgcdc rollback` moves the "
                         "applications back, and after it this command works again",
        [PLACE_ROLLING_BACK] = "run `pgcdc rollback` again, which goes on",
        [PLACE_CLOSED] = "the migration is closed; `pgcdc drop` removes what is left of the pipeline",
    };
    if (place == (config->reverse_of != NULL ? PLACE_TARGET : PLACE_SOURCE))
        return true;
    error_set(err, ERROR_REFUSE, "pipeline %s does not apply changes now, because the applications write %s",
              config->name,
              place == PLACE_SOURCE                            ? "to the source"
              : place == PLACE_TARGET || place == PLACE_CLOSED ? "to the target"
                                                               : "to neither side or to the other one");
    return error_remedy(err, "%s", REMEDIES[place]);
}

bool cutover_guard(const struct config *config, const atomic_bool *stop, struct error *err) {
    struct steps steps = {0};
    struct error ignored = {0};
    struct arena arena;
    enum cutover_place place = PLACE_SOURCE;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    const bool known =
        open_rows(config, stop, &steps, &ignored) && cutover_place_read(&steps, &arena, &place, &ignored);
    steps_close(&steps);
    arena_release(&arena);
    if (known)
        return judge_place(config, place, err);
    log_line(LOG_CUTOVER_UNKNOWN, "whether there was a cutover is not known: %s", ignored.text);
    return true;
}
