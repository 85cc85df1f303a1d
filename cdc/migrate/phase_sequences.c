/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase_sequences.c - the target's sequences are set ahead of the source's; beside the pipeline they are kept
 * so.
 */
#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/migrate/migrate.h"
#include "cdc/sequences/sequences.h"
#include "cdc/source/source.h"

static bool advance(struct migrate *migrate, struct session *source, struct error *err) {
    const struct sequence_terms terms = {.config = &migrate->config->sequences,
                                         .publications = migrate->config->source.publication_array};
    struct sequence_list list;
    size_t set_count = 0;
    if (!source_open(source, &migrate->config->source, migrate->stop, err) ||
        !sequences_advance(source, &migrate->steps.session, &terms, &migrate->arena, &list, &set_count, err))
        return false;
    log_line(LOG_SEQUENCES_AHEAD, "migrate: %zu of %s set ahead", set_count,
             amount_count(list.count, "sequence").text);
    return true;
}

bool phase_sequences(struct migrate *migrate, struct error *err) {
    struct session source = {0};
    if (!migrate_begin(migrate, "sequences", err))
        return false;
    const bool is_good =
        migrate->config->sequences.follow == SEQUENCES_NONE || advance(migrate, &source, err);
    session_close(&source);
    return is_good && migrate_done(migrate, "sequences", NULL, err);
}
