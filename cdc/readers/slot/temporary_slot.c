/* SPDX-License-Identifier: Apache-2.0 */
/*
 * temporary_slot.c - creates a slot of its own when it is opened, and streams from there.
 */
#include "cdc/readers/slot/temporary_slot.h"

#include <stdio.h>

#include "cdc/base/log.h"
#include "cdc/source/publication.h"

struct temporary_slot {
    struct slot_reader stream;
    struct session source; /* until start */
    struct session replication;
    char name[64];
    int sender_timeout_ms;
};

static struct temporary_slot *slot_of(struct reader *reader) {
    return (struct temporary_slot *) reader;
}

static void log_blockers(const char *blockers) {
    log_line(LOG_SLOT_WAITS, "creating the slot waits for %s", blockers);
}

static bool require_publication(struct temporary_slot *slot, struct error *err) {
    bool exists = false;
    const struct source_config *source = &slot->stream.reader.config->source;
    if (!publication_exists(&slot->source, source, &exists, err))
        return false;
    return exists
               ? true
               : error_set(err, ERROR_CONFIG, "source: publication %s does not exist; `pgcdc run` creates it",
                           source->publication);
}

static bool temporary_slot_open(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    struct temporary_slot *slot = slot_of(reader);
    const struct source_config *source = &reader->config->source;
    struct reader_facts facts = {0};
    if (!source_open(&slot->source, source, reader->stop, err) || !require_publication(slot, err) ||
        !source_open_replication(&slot->replication, source, reader->stop, err) ||
        !source_sender_timeout(&slot->replication, &slot->sender_timeout_ms, err))
        return false;
    snprintf(slot->name, sizeof slot->name, "pgcdc_tail_%d", PQbackendPID(slot->replication.conn));
    reader->name = slot->name;
    if (!slot_create_temporary(&slot->replication, &slot->source, slot->name, log_blockers, &facts.first_lsn,
                               err))
        return false;
    *ret_facts = facts;
    return true;
}

static bool temporary_slot_start(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    struct temporary_slot *slot = slot_of(reader);
    const struct slot_reader_options options = {.session = &slot->replication,
                                                .slot = slot->name,
                                                .start_lsn = plan->from_lsn,
                                                .flush_lsn = plan->from_lsn,
                                                .messages = true,
                                                .sender_timeout_ms = slot->sender_timeout_ms};
    if (!slot_reader_start(&slot->stream, &options, err))
        return false;
    session_close(&slot->source);
    return true;
}

/* Not on a connection that was lost. */
static bool temporary_slot_finish(struct reader *reader, lsn_t durable_lsn, struct error *err) {
    const struct temporary_slot *slot = slot_of(reader);
    return PQtransactionStatus(slot->replication.conn) != PQTRANS_ACTIVE ||
           slot_reader_finish(reader, durable_lsn, err);
}

static void temporary_slot_close(struct reader *reader) {
    struct temporary_slot *slot = slot_of(reader);
    slot_reader_close(reader);
    session_close(&slot->source);
    session_close(&slot->replication);
}

const struct reader_ops reader_temporary_slot = {
    .name = "temporary slot",
    .size = sizeof(struct temporary_slot),
    .open = temporary_slot_open,
    .start = temporary_slot_start,
    .read = slot_reader_read,
    .tend = slot_reader_tend,
    .finish = temporary_slot_finish,
    .close = temporary_slot_close,
};
