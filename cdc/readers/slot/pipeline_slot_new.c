/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_slot_new.c - what a new pipeline creates at the source: the publication and the slot; or it
 * adopts a slot that exists.
 */
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/readers/slot/pipeline_slot.h"
#include "cdc/source/failover.h"
#include "cdc/source/publication.h"

#define DUPLICATE_OBJECT "42710"

static struct pipeline_slot *slot_of(struct reader *reader) {
    return (struct pipeline_slot *) reader;
}

static void log_blockers(const char *blockers) {
    log_line(LOG_SLOT_WAITS, "creating the slot waits for %s", blockers);
}

static bool prepare_publication(struct reader *reader, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    const struct source_config *source = &reader->config->source;
    bool created = false;
    if (!publication_ensure(&slot->source, source, &created, err))
        return false;
    if (created)
        log_line(LOG_PUBLICATION_CREATED, "created publication %s", source->publication);
    return (created || pipeline_slot_check_scope(slot, SCOPE_NEW, err)) &&
           pipeline_slot_check_filters(slot, reader->config, true, err);
}

/* The slot did not exist a moment ago, so this is not the slot that the phase on disk refers to. */
static bool refuse_foreign(const char *name, struct reader_creation *ret_creation, struct error *err) {
    if (strcmp(err->sqlstate, DUPLICATE_OBJECT) != 0)
        return false;
    ret_creation->is_foreign = true;
    error_set(err, ERROR_REFUSE, "slot %s was created by another session while this pipeline started", name);
    return error_remedy(err, "drop that slot, or give source.slot another name");
}

static bool create_slot(struct reader *reader, bool again, bool copies, struct reader_creation *ret_creation,
                        struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    struct slot_creation creation;
    if ((again && !slot_drop(&slot->source, reader->name, err)) ||
        !uncopied_moment_read(&slot->source, &slot->looked_at, err))
        return false;
    FAULT_POINT("slot-before-create");
    const struct slot_wish wish = {.exports_snapshot = copies,
                                   .is_failover = failover_is_wanted(&slot->source, &reader->config->source)};
    if (!slot_create(&slot->replication, &slot->source, reader->name, &wish, log_blockers, &creation, err))
        return refuse_foreign(reader->name, ret_creation, err);
    slot->is_ours = true;
    slot->our_lsn = creation.consistent_lsn;
    log_about(LOG_SLOT_CREATED, &(struct log_subject){.lsn = creation.consistent_lsn},
              "created slot %s at %s", reader->name, lsn_format(creation.consistent_lsn).text);
    /* A standby may have been promoted while it created the slot. */
    if (!standby_check_timeline(&slot->standby, slot->identity.timeline, err))
        return false;
    ret_creation->lsn = creation.consistent_lsn;
    memcpy(ret_creation->snapshot_name, creation.snapshot_name, sizeof creation.snapshot_name);
    return true;
}

/* The slot's confirmed position proves that it is the one that we created, and that it was never read. */
static void abandon_slot(struct reader *reader) {
    struct pipeline_slot *slot = slot_of(reader);
    const char *name = reader->config->source.slot;
    struct slot_facts facts = {0};
    struct error err = {0};
    if (!slot->is_ours)
        return;
    session_close(&slot->replication);
    bool known = slot_read(&slot->source, name, &facts, &err);
    if (known && !facts.exists)
        return;
    if (known && facts.active_pid == 0 && facts.confirmed_lsn == slot->our_lsn &&
        slot_drop(&slot->source, name, &err))
        log_line(LOG_SLOT_DROPPED, "dropped slot %s, which this run had created", name);
    else
        log_line(LOG_SLOT_REMAINS,
                 "slot %s remains and keeps WAL until the next run, or until `pgcdc drop` removes it", name);
}

static bool adopt_slot(struct reader *reader, struct error *err) {
    struct pipeline_slot *slot = slot_of(reader);
    const struct source_config *source = &reader->config->source;
    bool exists = false;
    if (!publication_exists(&slot->source, source, &exists, err))
        return false;
    if (exists)
        return pipeline_slot_check_scope(slot, SCOPE_NEW, err) &&
               pipeline_slot_check_filters(slot, reader->config, false, err);
    return error_set(err, ERROR_REFUSE,
                     "slot %s exists but publication %s does not, and one created now would be newer "
                     "than the slot; correct "
                     "source.publication, or drop the slot",
                     source->slot, source->publication);
}

const struct reader_creation_ops pipeline_slot_creation = {
    .prepare = prepare_publication,
    .create = create_slot,
    .adopt = adopt_slot,
    .abandon = abandon_slot,
};
