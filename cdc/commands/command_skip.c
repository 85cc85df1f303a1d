/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_skip.c - pgcdc skip: leaves out the transaction that stopped the pipeline, for the sink that it
 * stopped.
 *
 * Only that transaction: the LSN must be that of the stored failure, and the sink must not be past it. The
 * state directory's lock keeps an engine from running at the same time.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/skip.h"
#include "cdc/engine/state_lock.h"
#include "cdc/engine/stop_place.h"

static bool command_skip_refuse(lsn_t failed, lsn_t lsn, struct error *err) {
    error_set(err, ERROR_REFUSE, "the transaction that commits at %s did not stop this pipeline",
              lsn_format(lsn).text);
    if (failed == 0)
        return error_remedy(err, "no transaction has stopped it: run it, and skip the transaction that it "
                                 "names when it stops");
    return error_remedy(err, "the one that stopped it commits at %s", lsn_format(failed).text);
}

/* Accepts the LSN that the error named, and that of the commit record's beginning. */
static bool is_place(const struct stop_place *place, lsn_t lsn) {
    return place->sink != NULL && place->commit_lsn != 0 && (lsn == place->lsn || lsn == place->commit_lsn);
}

static bool skip_locked(const struct command_line *line, const struct config *config, lsn_t lsn,
                        struct error *err) {
    struct failure failure;
    struct stop_place place;
    struct position position = {0};
    failure_read(config->state, config->name, &failure);
    stop_place_read(config, &failure, &place);
    if (!is_place(&place, lsn))
        return command_skip_refuse(place.sink != NULL && place.commit_lsn != 0 ? place.lsn : 0, lsn, err);
    const struct config_sink *sink = place.sink;
    if (!stop_place_position(&place, config, line->stop, &position, err))
        return error_wrap(err, "sink %s", sink->sink.name);
    const struct skip skip = {.commit_lsn = place.commit_lsn, .lsn = lsn};
    if (!position_exists(&position) || !skip_is_ahead(&skip, &position))
        return error_set(err, ERROR_REFUSE, "sink %s is at %s, past the transaction that commits at %s",
                         sink->sink.name, lsn_format(position.end_lsn).text, lsn_format(lsn).text);
    if (!skip_write(config->state, config->name, sink->sink.name, &skip, err))
        return false;
    printf("sink %s: ", sink->sink.name);
    if (position.index > 0 && position.commit_lsn == place.commit_lsn)
        printf("%s of it %s there already; the rest of ", amount_count(position.index, "change").text,
               position.index == 1 ? "is" : "are");
    printf("the transaction that commits at %s will be left out; start the pipeline again\n",
           lsn_format(lsn).text);
    return true;
}

static bool take_lock(const struct config *config, struct state_lock *lock, struct error *err) {
    if (state_lock_take(lock, config->state, config->name, err))
        return true;
    if (err->kind != ERROR_RUNNING)
        return false;
    err->kind = ERROR_REFUSE;
    return error_wrap(err, "stop it first");
}

static enum exit_code run(const struct command_line *line) {
    struct state_lock lock = {.fd = -1};
    struct error err = {0};
    lsn_t lsn = 0;
    if (line->argument == NULL || !lsn_parse(line->argument, &lsn) || lsn == 0) {
        log_command(LOG_USAGE, "skip", "expected the LSN of a transaction, as the stop printed it");
        return EXIT_USAGE;
    }
    const struct config *config = stop_place_part(line->config);
    const bool done = take_lock(config, &lock, &err) && skip_locked(line, config, lsn, &err);
    state_lock_release(&lock);
    if (done)
        return EXIT_DONE;
    log_command_failure("skip", &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {0},
};

const struct command command_skip = {
    .name = "skip",
    .uses = USES,
    .argument = "LSN",
    .summary = "leave out the transaction that stopped the pipeline",
    .help = "A change that cannot be applied stops the pipeline before its transaction, which the error\n"
            "names: \"the transaction that commits at LSN\". skip makes the next run leave out all changes\n"
            "of that transaction, for the sink that it stopped, and continue after it. The log reports\n"
            "the number of changes left out. They are lost for that sink: compare with `pgcdc verify`\n"
            "afterwards. If a kafka sink has published a part of a large transaction, the rest is left\n"
            "out.\n"
            "\n"
            "Refused (exit 3): any other LSN than the one that stopped the pipeline, and while an engine\n"
            "runs.",
    .run = run,
};
