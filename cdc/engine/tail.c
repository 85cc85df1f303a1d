/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.c - reads a temporary slot or an archive and prints a line per change, in one thread.
 *
 * The output never blocks us: it is written in pieces that a ready pipe accepts at once, so that a paused
 * pager does not cost the connection.
 */
#include "cdc/engine/tail.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/position.h"
#include "cdc/readers/archive/archive_reader.h"
#include "cdc/readers/slot/temporary_slot.h"
#include "sinks/change_json.h"
#include "sinks/mapping/mapped_view.h"

enum {
    OUTPUT_PENDING_MAX = 64 * 1024, /* read no more while this much output waits for its reader */
    WAIT_MAX_MS = 100,              /* how soon the stop flag is noticed */
};

struct tail {
    const struct config *config;
    const struct tail_options *options;
    const atomic_bool *stop;
    struct reader *reader;
    struct batch batch;
    struct mapped_view view; /* without a sink when changes are printed as at the source */
    struct json_writer json;
    struct buffer output;
    size_t output_done; /* bytes of output that are written */
    int output_fd;
    lsn_t from_lsn;     /* transactions that end at or before it are not printed */
    bool is_past;       /* the transaction that was asked for comes no more */
    bool output_closed; /* the reader of the output has closed it */
    bool is_streaming;
};

static size_t output_pending(const struct tail *tail) {
    return tail->output.size - tail->output_done;
}

static bool is_over(const struct tail *tail) {
    return tail->output_closed || atomic_load_explicit(tail->stop, memory_order_relaxed) ||
           ((tail->is_past || reader_has_ended(tail->reader)) && output_pending(tail) == 0);
}

/* ---- which changes ---- */

static bool has_name(const struct relation *relation, const char *name) {
    const size_t length = relation->schema.size;
    return strncmp(name, relation->schema.data, length) == 0 && name[length] == '.' &&
           strcmp(name + length + 1, relation->name.data) == 0;
}

static bool is_named(const struct tail_filter *filter, const struct relation *relation) {
    for (size_t i = 0; i < filter->table_count; i++)
        if (has_name(relation, filter->tables[i]))
            return true;
    return filter->table_count == 0;
}

static bool has_value(const struct relation *relation, const struct value *values, const char *key) {
    const char *value = strchr(key, '=') + 1;
    const struct slice column = {.data = key, .size = (size_t) (value - key) - 1};
    for (uint32_t i = 0; values != NULL && i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, column) && values[i].kind == VALUE_TEXT &&
            slice_equal(value_slice(&values[i]), slice_of(value)))
            return true;
    return false;
}

static bool takes_truncate(const struct tail_filter *filter, const struct change *change) {
    for (uint32_t i = 0; i < change->relation_count; i++)
        if (is_named(filter, change->relations[i]))
            return true;
    return false;
}

static bool is_of_transaction(const struct tail_filter *filter, const struct change *change) {
    const struct transaction *transaction = change->transaction;
    return filter->transaction_lsn == 0 ||
           (transaction != NULL && (transaction->commit_lsn == filter->transaction_lsn ||
                                    transaction->end_lsn == filter->transaction_lsn));
}

static bool is_wanted(const struct tail_filter *filter, const struct change *change) {
    if (!is_of_transaction(filter, change))
        return false;
    if (change->kind == CHANGE_TRUNCATE)
        return filter->key == NULL && takes_truncate(filter, change);
    if (!change_is_row(change))
        return filter->key == NULL && filter->table_count == 0;
    return is_named(filter, change->relation) &&
           (filter->key == NULL || has_value(change->relation, change->new_values, filter->key) ||
            has_value(change->relation, change->old_values, filter->key));
}

/* ---- changes to lines ---- */

/* A reader may begin before the position that was asked for. */
static bool is_before(const struct tail *tail, const struct change *change) {
    const struct position from = {.end_lsn = tail->from_lsn};
    return change->transaction != NULL ? position_has_begin(&from, change->transaction->commit_lsn)
                                       : position_has_message(&from, change->lsn);
}

static bool write_change(struct tail *tail, const struct change *change, struct error *err) {
    struct slice line;
    if (change->kind == CHANGE_BEGIN || change->kind == CHANGE_COMMIT || is_before(tail, change) ||
        !is_wanted(&tail->options->filter, change))
        return true;
    if (!change_json_write(&tail->json, change, &line, err))
        return false;
    buffer_append_slice(&tail->output, line);
    return buffer_ok(&tail->output) ? true : error_no_memory(err);
}

static bool write_changes(void *context, const struct change *changes, size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++)
        if (!write_change(context, &changes[i], err))
            return false;
    return true;
}

/* Transactions come in the order of their commits, so the one that was asked for comes no more. */
static bool is_past(const struct tail *tail, const struct change *change) {
    const lsn_t wanted_lsn = tail->options->filter.transaction_lsn;
    return wanted_lsn != 0 && change->kind == CHANGE_BEGIN && change->transaction->commit_lsn > wanted_lsn;
}

static size_t count_wanted(struct tail *tail) {
    size_t count = 0;
    while (count < tail->batch.change_count && !is_past(tail, &tail->batch.changes[count]))
        count++;
    tail->is_past = count < tail->batch.change_count;
    return count;
}

static bool read_changes(struct tail *tail, bool *ret_drained, struct error *err) {
    struct reader *reader = tail->reader;
    if (!reader->ops->read(reader, &tail->batch, ret_drained, err))
        return false;
    const size_t count = count_wanted(tail);
    if (tail->view.sink != NULL ? !mapped_view_write(&tail->view, tail->batch.changes, count, err)
                                : !write_changes(tail, tail->batch.changes, count, err))
        return false;
    batch_empty(&tail->batch);
    return true;
}

/* ---- the output ---- */

/* A pipe that is ready accepts PIPE_BUF bytes without blocking; so does a terminal. A file never blocks. */
static bool write_some(struct tail *tail, struct error *err) {
    size_t size = output_pending(tail) < PIPE_BUF ? output_pending(tail) : PIPE_BUF;
    ssize_t done = write(tail->output_fd, tail->output.data + tail->output_done, size);
    if (done < 0 && errno == EPIPE)
        tail->output_closed = true;
    else if (done < 0 && errno != EINTR && errno != EAGAIN)
        return error_errno(err, "standard output");
    if (done > 0)
        tail->output_done += (size_t) done;
    if (output_pending(tail) == 0) {
        buffer_reset(&tail->output);
        tail->output_done = 0;
    }
    return true;
}

/* Writes as long as the output accepts bytes. */
static bool push_output(struct tail *tail, struct error *err) {
    while (!is_over(tail) && output_pending(tail) > 0) {
        struct pollfd fd = {.fd = tail->output_fd, .events = POLLOUT};
        if (poll(&fd, 1, 0) <= 0)
            return true;
        if (!write_some(tail, err))
            return false;
    }
    return true;
}

/* ---- the loop ---- */

/* A closed output shows as an error on its descriptor, also when there is nothing to write. */
static bool wait_events(struct tail *tail, const struct reader_wait *wait, struct error *err) {
    struct pollfd fds[] = {
        {.fd = wait->fd, .events = wait->events},
        {.fd = tail->output_fd, .events = output_pending(tail) > 0 ? POLLOUT : 0},
    };
    if (poll(fds, 2, wait->timeout_ms < WAIT_MAX_MS ? wait->timeout_ms : WAIT_MAX_MS) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    if ((fds[1].revents & (POLLERR | POLLNVAL)) != 0)
        tail->output_closed = true;
    tail->reader->revents = fds[0].revents;
    return true;
}

/* What was received counts as confirmed: the slot ends with the session. */
static bool follow_once(struct tail *tail, struct error *err) {
    struct reader *reader = tail->reader;
    struct reader_wait wait = {.fd = -1};
    struct reader_tending tending = {.is_blocked = output_pending(tail) >= OUTPUT_PENDING_MAX};
    bool drained = true;
    if (!tending.is_blocked && !read_changes(tail, &drained, err))
        return false;
    tending.now_ms = clock_now_ms();
    tending.durable_lsn = atomic_load(&reader->received_lsn);
    if (!push_output(tail, err) || !reader->ops->tend(reader, &tending, &wait, err))
        return false;
    if (!drained)
        wait.timeout_ms = 0; /* the reader has more already */
    return wait_events(tail, &wait, err);
}

static bool follow(struct tail *tail, struct error *err) {
    while (!is_over(tail))
        if (!follow_once(tail, err))
            return false;
    return true;
}

/* ---- start and end ---- */

static struct reader_plan tail_plan(const struct tail *tail, const struct reader_facts *facts) {
    const struct tail_options *options = tail->options;
    struct reader_plan plan = {.from_lsn = facts->first_lsn};
    if (tail->config->source.archive == NULL)
        return plan;
    if (options->from_lsn > plan.from_lsn)
        plan.from_lsn = options->from_lsn;
    if (options->filter.transaction_lsn > plan.from_lsn + 1)
        plan.from_lsn = options->filter.transaction_lsn - 1; /* before its commit record, or inside it */
    if (!options->follows)
        plan.until_lsn = options->until_lsn != 0 && options->until_lsn < facts->identity.flush_lsn
                             ? options->until_lsn
                             : facts->identity.flush_lsn;
    return plan;
}

/* A slot begins now: its first position is where the stream starts. */
static bool start(struct tail *tail, struct error *err) {
    struct reader *reader = tail->reader;
    struct reader_facts facts;
    if (!reader->ops->open(reader, &facts, err))
        return false;
    const struct reader_plan plan = tail_plan(tail, &facts);
    tail->from_lsn = facts.first_lsn > tail->options->from_lsn ? facts.first_lsn : tail->options->from_lsn;
    tail->is_streaming = reader->ops->start(reader, &plan, err);
    if (tail->is_streaming && tail->config->source.archive == NULL)
        log_line(LOG_TAIL_STARTED, "the changes of publication %s after %s", tail->config->source.publication,
                 lsn_format(plan.from_lsn).text);
    return tail->is_streaming;
}

static bool init(struct tail *tail, struct error *err) {
    buffer_init(&tail->output, SIZE_MAX / 2);
    const bool is_archive = tail->config->source.archive != NULL;
    tail->reader =
        reader_new(is_archive ? &reader_archive : &reader_temporary_slot, tail->config, tail->stop);
    if (tail->reader == NULL)
        return error_no_memory(err);
    const struct sink_config *sink = tail->options->sink;
    if (sink != NULL && sink->mapping != NULL &&
        !mapped_view_open(&tail->view, sink, write_changes, tail, tail->stop, err))
        return false;
    return batch_init(&tail->batch, err) && json_writer_init(&tail->json, err);
}

static void tail_release(struct tail *tail) {
    struct reader *reader = tail->reader;
    struct error ignored;
    if (tail->is_streaming)
        (void) !reader->ops->finish(reader, atomic_load(&reader->received_lsn), &ignored);
    if (reader != NULL)
        reader->ops->close(reader);
    mapped_view_close(&tail->view);
    reader_free(reader);
    batch_release(&tail->batch);
    json_writer_release(&tail->json);
    buffer_release(&tail->output);
}

bool tail_run(const struct config *config, const struct tail_options *options, int output_fd,
              const atomic_bool *stop, struct error *err) {
    struct tail tail AUTO(tail_release) = {
        .config = config, .options = options, .stop = stop, .output_fd = output_fd};
    return init(&tail, err) && start(&tail, err) && follow(&tail, err);
}
