/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_skipped.c - the dead letters that an operator has left out of a sink, as the sinks' logs have them.
 */
#include <string.h>

#include "cdc/migrate/report/report.h"
#include "cdc/pq/identifier.h"
#include "sinks/dead.h"
#include "sinks/sink.h"

struct skipped_reading {
    struct report *report;
    const char *sink;
};

static struct report_skipped *add_skipped(struct report *report) {
    if (report->skipped_count == report->skipped_capacity) {
        const size_t capacity = report->skipped_capacity == 0 ? 16 : report->skipped_capacity * 2;
        struct report_skipped *more = arena_alloc(&report->arena, capacity * sizeof *more);
        if (more == NULL)
            return NULL;
        if (report->skipped_count > 0)
            memcpy(more, report->skipped, report->skipped_count * sizeof *more);
        report->skipped = more;
        report->skipped_capacity = capacity;
    }
    return &report->skipped[report->skipped_count];
}

static bool take_skipped(void *context, const struct dead_skipped *from, struct error *err) {
    const struct skipped_reading *reading = context;
    struct report *report = reading->report;
    const char *texts[] = {from->id, from->lsn, from->change, from->reason, from->done_by, from->at, NULL};
    struct report_skipped *to = add_skipped(report);
    for (size_t i = 0; texts[i] != NULL; i++)
        if ((texts[i] = arena_copy(&report->arena, slice_of(texts[i]))) == NULL)
            return error_no_memory(err);
    if (to == NULL)
        return error_no_memory(err);
    *to = (struct report_skipped){.sink = reading->sink,
                                  .table = identifier_printable(from->schema, from->table, &report->arena),
                                  .id = texts[0],
                                  .lsn = texts[1],
                                  .change = texts[2],
                                  .reason = texts[3],
                                  .done_by = texts[4],
                                  .at = texts[5]};
    report->skipped_count++;
    return true;
}

/* Letters belong to the sink behind a mapping. */
static bool read_skipped(struct report *report, const struct config_sink *config, struct error *err) {
    const struct sink_ops *ops = config->sink.mapped != NULL ? config->sink.mapped : config->ops;
    const struct sink_dead_ops *dead = sink_admin(ops, dead);
    struct skipped_reading reading = {.report = report, .sink = config->sink.name};
    if (dead == NULL || dead->list_skipped == NULL)
        return true;
    struct sink *sink = sink_new(ops, &config->sink, report->stop);
    if (sink == NULL)
        return error_no_memory(err);
    const bool read = dead->list_skipped(sink, take_skipped, &reading, err);
    sink_free(sink);
    return read;
}

bool report_read_skipped(struct report *report, struct error *err) {
    for (size_t i = 0; i < report->config->sink_count; i++) {
        const struct config_sink *sink = &report->config->sinks[i];
        struct error why = {0};
        if (read_skipped(report, sink, &why))
            continue;
        if (why.kind == ERROR_STOPPED) {
            *err = why;
            return false;
        }
        buffer_printf(&report->open, "sink %s: its skipped dead letters were not listed: %s\n",
                      sink->sink.name, error_line(&why).text);
    }
    return true;
}
