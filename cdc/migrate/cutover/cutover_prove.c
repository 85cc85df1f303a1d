/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_prove.c - SEQUENCES and VERIFIED: behind the fence neither side changes.
 */
#include <string.h>

#include "cdc/base/amount.h"

#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/migrate/proof/proof.h"
#include "cdc/sequences/sequences.h"
#include "cdc/verify/verify.h"

enum { DRAIN_MS_MAX = 30000 };

/* An application may call nextval behind the fence of locks, so they are set ahead here, too. */
bool cutover_set_sequences(struct cutover *cutover, struct error *err) {
    struct sequences_config config = cutover->config->sequences;
    struct sequence_list list;
    size_t set = 0;
    config.follow = config.follow == SEQUENCES_NONE ? SEQUENCES_TABLES : config.follow;
    const struct sequence_terms terms = {.config = &config,
                                         .publications = cutover->stream->source.publication_array};
    const bool done =
        cutover->options.dry_run
            ? sequences_compare(&cutover->from, &cutover->to, &terms, &cutover->arena, &list, err)
            : sequences_advance(&cutover->from, &cutover->to, &terms, &cutover->arena, &list, &set, err);
    if (!done)
        return false;
    if (cutover->options.dry_run)
        cutover_tell(cutover, CUTOVER_SEQUENCES, "%s, %zu of them behind",
                     amount_count(list.count, "sequence").text, list.counts[SEQUENCE_BEHIND]);
    else
        cutover_tell(cutover, CUTOVER_SEQUENCES, "%s of %zu set ahead", amount_count(set, "sequence").text,
                     list.count);
    return true;
}

static bool is_proven(const struct cutover *cutover, const struct verify *verify) {
    const char *narrowing = sink_config_find(&cutover->sink->sink, "narrowing");
    return verify->result == VERIFY_EQUAL ||
           (verify->result == VERIFY_NARROWED && narrowing != NULL && strcmp(narrowing, "allow") == 0);
}

static bool refuse_unproven(const struct cutover *cutover, const struct verify *verify, struct error *err) {
    for (size_t i = 0; i < verify->count; i++)
        if (verify->tables[i].result != VERIFY_EQUAL) {
            error_set(err, ERROR_DIFFERENT, "table %s.%s is not proven equal on both sides",
                      verify->tables[i].table->schema, verify->tables[i].table->name);
            break;
        }
    if (err->kind == ERROR_NONE)
        error_set(err, ERROR_DIFFERENT, "the sides are not proven equal");
    return error_remedy(err, "`pgcdc verify%s` shows what differs, and repairs it with --repair",
                        cutover->options.is_rollback ? " --reverse" : "");
}

/* For the report, which is about the way there. */
static bool keep_proof(struct cutover *cutover, const struct verify *verify, struct error *err) {
    return cutover->options.is_rollback || cutover->options.dry_run ||
           proof_store_verify(&cutover->steps, cutover->sink, verify, err);
}

static bool compare_sides(struct cutover *cutover, struct verify *verify, struct error *err) {
    const struct verify_options options = {.sink = cutover->sink, .stop = &cutover->stop};
    int64_t took_ms = 0;
    /* What was written since, such as our rows, is not in the target's position, for which verify waits. */
    if (!cutover_drain_now(cutover, cutover_left_ms(cutover, DRAIN_MS_MAX), &took_ms, err))
        return false;
    if (!verify_run(verify, cutover->stream, &options, &cutover->arena, err))
        return error_wrap(err, "comparing the sides");
    if (!is_proven(cutover, verify))
        return refuse_unproven(cutover, verify, err);
    if (!keep_proof(cutover, verify, err))
        return false;
    cutover_tell(cutover, CUTOVER_VERIFIED, "%s equal at %s", amount_count(verify->count, "table").text,
                 lsn_format(verify->last_lsn).text);
    return true;
}

bool cutover_verify(struct cutover *cutover, struct error *err) {
    struct verify verify AUTO(verify_release) = {0};
    if (cutover->config->cutover.verifies)
        return compare_sides(cutover, &verify, err);
    cutover_tell(cutover, CUTOVER_VERIFIED, "not compared (cutover.verify: none)");
    return true;
}
