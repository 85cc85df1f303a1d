/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_source.c - sessions to the server that made the changes.
 */
#include "cdc/readers/archive/archive_source.h"

#include <inttypes.h>

#include "cdc/base/log.h"
#include "cdc/source/source.h"

static bool is_open(const struct archive_source *source) {
    return source->session.conn != NULL;
}

bool archive_source_look(struct archive_source *source, struct reader_facts *facts, struct error *err) {
    struct source_identity server = {0};
    struct source_identity *archived = &facts->identity;
    if (!is_open(source))
        return true;
    if (!source_identify(&source->replication, &server, err))
        return false;
    if (server.system_id != archived->system_id) {
        error_set(err, ERROR_REFUSE,
                  "the source is another cluster: system identifier %" PRIu64
                  ", but the archive has changes of %" PRIu64,
                  server.system_id, archived->system_id);
        return error_remedy(err, "point source.dsn to the right server");
    }
    if (server.flush_lsn > archived->flush_lsn)
        archived->flush_lsn = server.flush_lsn;
    archived->is_standby = server.is_standby;
    return true;
}

bool archive_source_open(struct archive_source *source, struct reader *reader, struct reader_facts *facts,
                         struct error *err) {
    const struct source_config *config = &reader->config->source;
    struct error cause = {0};
    if (config->dsn == NULL)
        return true;
    if (!source_open(&source->session, config, reader->stop, &cause) ||
        !source_open_replication(&source->replication, config, reader->stop, &cause)) {
        archive_source_close(source);
        if (cause.kind != ERROR_RETRY) {
            *err = cause;
            return false;
        }
        log_line(LOG_ARCHIVE_WITHOUT_SOURCE, "the archive is read without the source: %s", cause.text);
        return true;
    }
    source->catalog = (struct reader_catalog){
        .session = &source->session, .warned = source->warned, .looked_at = &source->looked_at};
    reader->catalog = &source->catalog;
    return archive_source_look(source, facts, err);
}

bool archive_source_resume(struct archive_source *source, const struct reader *reader, bool is_copying,
                           struct error *err) {
    return !is_open(source) || reader->has_streamed ||
           (uncopied_moment_read(&source->session, &source->looked_at, err) &&
            (is_copying || uncopied_refuse(reader->config, &source->session, reader->stop, err)));
}

bool archive_source_plan(struct archive_source *source, const struct reader *reader, struct error *err) {
    if (!is_open(source))
        return true;
    if (!scope_read_announced(&source->session, &reader->config->source, &source->sent, err))
        return false;
    source->catalog.sent = source->sent;
    return true;
}

void archive_source_start(struct archive_source *source) {
    session_close(&source->session);
    session_close(&source->replication);
}

void archive_source_close(struct archive_source *source) {
    archive_source_start(source);
    PQclear(source->sent);
    source->sent = NULL;
}
