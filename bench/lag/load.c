/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - one thread, some connections in pipeline mode, one statement a transaction.
 *
 * A transaction goes to the connection with the fewest unanswered ones, the first of several, as soon as it
 * is due. So a slow commit holds up no other while a connection is free; after that they wait in line at a
 * connection, and then here, and all of that waiting is in their lag because the due time is in the row.
 */
#include "bench/lag/load.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lag/mark.h"
#include "cdc/base/clock.h"
#include "cdc/pq/session.h"

#define LANES_MAX 64
#define LANE_DEPTH 32     /* unanswered transactions of a connection; bounds libpq's buffers */
#define START_US 20000    /* from the beginning to the first one's due time */
#define WAIT_MAX_US 50000 /* so that a stop is heard */

/* One connection, and the numbers of its unanswered transactions, in order. */
struct lane {
    struct session session;
    int64_t numbers[LANE_DEPTH];
    int first, count;
    bool is_unflushed;
};

struct departure {
    int64_t due_us, sent_us, answered_us;
};

struct load {
    const struct load_options *options;
    struct lane lanes[LANES_MAX];
    struct departure *departures; /* [number - 1] */
    int64_t start_us;
    int64_t next; /* number of the next one to send */
    int64_t answered;
};

static bool lane_open(struct lane *lane, const struct load_options *options, struct error *err) {
    const struct session_options session = {
        .dsn = options->dsn, .peer = "source", .application = "bench_load", .stop = options->stop};
    if (!session_open(&lane->session, &session, err))
        return false;
    PGresult *result = PQprepare(lane->session.conn, "transaction", options->statement, 2, NULL);
    const bool is_prepared =
        PQresultStatus(result) == PGRES_COMMAND_OK || session_error(&lane->session, result, err);
    PQclear(result);
    if (!is_prepared)
        return false;
    return PQenterPipelineMode(lane->session.conn) == 1 || session_error(&lane->session, NULL, err);
}

static bool lane_flush(struct lane *lane, struct error *err) {
    const int left = PQflush(lane->session.conn);
    if (left < 0)
        return session_error(&lane->session, NULL, err);
    lane->is_unflushed = left == 1;
    return true;
}

static bool lane_send(struct lane *lane, const struct mark *mark, struct error *err) {
    assert(lane->count < LANE_DEPTH);
    char number[24], text[MARK_BYTES_MAX];
    snprintf(number, sizeof number, "%" PRId64, mark->number);
    mark_write(text, mark);
    if (PQsendQueryPrepared(lane->session.conn, "transaction", 2, (const char *[]){number, text}, NULL, NULL,
                            0) == 0 ||
        PQpipelineSync(lane->session.conn) == 0)
        return session_error(&lane->session, NULL, err);
    lane->numbers[(lane->first + lane->count++) % LANE_DEPTH] = mark->number;
    return lane_flush(lane, err);
}

/* The implicit transaction of a pipeline ends with the sync, so its answer is the commit's. */
static void note_answer(struct load *load, struct lane *lane) {
    const int64_t number = lane->numbers[lane->first];
    load->departures[number - 1].answered_us = clock_now_us();
    lane->first = (lane->first + 1) % LANE_DEPTH;
    lane->count--;
    load->answered++;
}

static bool lane_receive(struct load *load, struct lane *lane, struct error *err) {
    if (PQconsumeInput(lane->session.conn) == 0)
        return session_error(&lane->session, NULL, err);
    while (lane->count > 0 && PQisBusy(lane->session.conn) == 0) {
        AUTO_PGRESULT PGresult *result = PQgetResult(lane->session.conn);
        if (result == NULL)
            continue; /* the end of one statement's results */
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_PIPELINE_SYNC)
            note_answer(load, lane);
        else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            return session_error(&lane->session, result, err);
    }
    return true;
}

static int64_t due_us(const struct load *load, int64_t number) {
    return load->start_us + (number - 1) * 1000000 / load->options->rate;
}

static struct lane *freest_lane(struct load *load) {
    struct lane *best = &load->lanes[0];
    for (int i = 1; i < load->options->connections && best->count > 0; i++)
        if (load->lanes[i].count < best->count)
            best = &load->lanes[i];
    return best->count < LANE_DEPTH ? best : NULL;
}

static bool is_all_sent(const struct load *load) {
    return load->next > load->options->count;
}

/* Sends what is due. *ret_wait_us: until the next is due, or for answers when no connection is free. */
static bool send_due(struct load *load, int64_t *ret_wait_us, struct error *err) {
    *ret_wait_us = WAIT_MAX_US;
    while (!is_all_sent(load)) {
        const struct mark mark = {.number = load->next, .due_us = due_us(load, load->next)};
        const int64_t now_us = clock_now_us();
        if (mark.due_us > now_us) {
            if (mark.due_us - now_us < WAIT_MAX_US)
                *ret_wait_us = mark.due_us - now_us;
            return true;
        }
        struct lane *lane = freest_lane(load);
        if (lane == NULL)
            return true;
        load->departures[load->next++ - 1] = (struct departure){.due_us = mark.due_us, .sent_us = now_us};
        if (!lane_send(lane, &mark, err))
            return false;
    }
    return true;
}

static bool wait_and_receive(struct load *load, int64_t wait_us, struct error *err) {
    struct pollfd polled[LANES_MAX];
    for (int i = 0; i < load->options->connections; i++)
        polled[i] = (struct pollfd){.fd = PQsocket(load->lanes[i].session.conn),
                                    .events = POLLIN | (load->lanes[i].is_unflushed ? POLLOUT : 0)};
    const struct timespec timeout = {.tv_nsec = wait_us * 1000};
    if (ppoll(polled, (nfds_t) load->options->connections, &timeout, NULL) <= 0)
        return true;
    for (int i = 0; i < load->options->connections; i++) {
        struct lane *lane = &load->lanes[i];
        if ((polled[i].revents & POLLOUT) != 0 && !lane_flush(lane, err))
            return false;
        if ((polled[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0 && !lane_receive(load, lane, err))
            return false;
    }
    return true;
}

static bool drive(struct load *load, struct error *err) {
    const struct load_options *options = load->options;
    load->start_us = clock_now_us() + START_US;
    const int64_t give_up_us = load->start_us + 2 * (due_us(load, options->count + 1) - load->start_us);
    while (load->answered < options->count && !*options->stop) {
        int64_t wait_us = WAIT_MAX_US;
        const bool may_send = clock_now_us() < give_up_us;
        if (!may_send && load->answered == load->next - 1)
            break;
        if (may_send && !send_due(load, &wait_us, err))
            return false;
        if (!wait_and_receive(load, wait_us, err))
            return false;
    }
    for (int64_t number = load->next; number <= options->count; number++)
        load->departures[number - 1].due_us = due_us(load, number);
    return true;
}

static bool save(const struct load *load, struct error *err) {
    FILE *file = fopen(load->options->path, "wb");
    if (file == NULL)
        return error_errno(err, "%s", load->options->path);
    const size_t count = (size_t) load->options->count;
    const bool is_written = fwrite(load->departures, sizeof *load->departures, count, file) == count;
    if (fclose(file) != 0 || !is_written)
        return error_errno(err, "%s", load->options->path);
    return true;
}

static bool open_all(struct load *load, struct error *err) {
    const size_t bytes = (size_t) load->options->count * sizeof *load->departures;
    load->departures = malloc(bytes);
    if (load->departures == NULL)
        return error_no_memory(err);
    memset(load->departures, 0, bytes); /* touched now, not while it is measured */
    for (int i = 0; i < load->options->connections; i++)
        if (!lane_open(&load->lanes[i], load->options, err))
            return false;
    return true;
}

bool load_run(const struct load_options *options, struct error *err) {
    if (options->connections < 1 || options->connections > LANES_MAX)
        return error_set(err, ERROR_CONFIG, "%d connections; 1 to %d are possible", options->connections,
                         LANES_MAX);
    struct load load = {.options = options, .next = 1};
    const bool done = open_all(&load, err) && drive(&load, err) && save(&load, err);
    for (int i = 0; i < options->connections; i++)
        session_close(&load.lanes[i].session);
    free(load.departures);
    return done;
}
