/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdout.c - prints every change as one line of JSON (change_json.h) to standard output, for pipes and
 * people.
 *
 * A commit prints the lines of its transactions; before it they are held in memory, and beyond a limit in a
 * temporary file. The sink stores no position: open returns none, and the disk checkpoint is its position. So
 * delivery is at least once: after a crash, or an output that failed, lines are printed again, and the
 * identity (commit_lsn, index) in each line tells which. An output that failed may have cut a line; the next
 * one begins on a line of its own.
 *
 * A pipe has what it has accepted. A file has it durably after fdatasync.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/spill.h"
#include "sinks/change_json.h"
#include "sinks/types.h"

enum {
    HELD_BYTES_MAX = 16 * 1024 * 1024, /* lines in memory */
    POLL_MS = 100,                     /* how soon the stop flag is noticed */
};

struct stdout_sink {
    struct sink sink;
    struct json_writer json;
    struct spill held; /* lines since the last commit */
    bool is_file;      /* and not a pipe or a terminal */
    bool is_cut;       /* the last line lacks its end; survives close */
    struct position visible;
    struct position durable;
};

static const struct option_spec STDOUT_OPTIONS[] = {{0}};

/* ---- opening ---- */

/* A file that an earlier process has filled may end in half a line. One that cannot be read might. */
static bool ends_in_half_a_line(const struct stat *file) {
    char last = 0;
    if (!S_ISREG(file->st_mode) || file->st_size == 0)
        return false;
    int fd = open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC);
    const bool is_read = fd >= 0 && pread(fd, &last, 1, file->st_size - 1) == 1;
    if (fd >= 0)
        close(fd);
    return !is_read || last != '\n';
}

static bool stdout_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct stdout_sink *out = (struct stdout_sink *) sink;
    struct stat file;
    out->visible = out->durable = (struct position){0};
    spill_init(&out->held, HELD_BYTES_MAX);
    const int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(STDOUT_FILENO, &file) != 0)
        return error_set(err, ERROR_CONFIG, "standard output is closed") ||
               error_remedy(err, "run pgcdc with its standard output to a file, a pipe or a terminal");
    out->is_file = S_ISREG(file.st_mode);
    out->is_cut = out->is_cut || ends_in_half_a_line(&file);
    *ret_position = out->durable;
    return json_writer_init(&out->json, err);
}

static void stdout_close(struct sink *sink) {
    struct stdout_sink *out = (struct stdout_sink *) sink;
    json_writer_release(&out->json);
    spill_release(&out->held);
}

static bool hold(struct stdout_sink *out, const struct change *change, struct error *err) {
    struct slice line;
    if (!change_json_write(&out->json, change, &line, err)) {
        if (err->kind == ERROR_PROTOCOL)
            err->kind = ERROR_DATA;
        if (change_is_row(change))
            error_wrap(err, "table \"%s\".\"%s\"", change->relation->schema.data,
                       change->relation->name.data);
        return false;
    }
    return spill_append(&out->held, line, err);
}

static bool stdout_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct stdout_sink *out = (struct stdout_sink *) sink;
    for (size_t i = span->present; i < span->count; i++) {
        const enum change_kind kind = span->changes[i].kind;
        if (kind != CHANGE_BEGIN && kind != CHANGE_COMMIT && !hold(out, &span->changes[i], err))
            return false;
    }
    return true;
}

/* ---- commit ---- */

/* Nothing is lost by a full disk: the lines are printed again when there is room. */
static bool output_error(struct error *err) {
    const bool is_full = errno == ENOSPC || errno == EDQUOT;
    error_errno(err, "standard output");
    err->kind = is_full ? ERROR_RETRY : ERROR_SYSTEM;
    return false;
}

/* A pipe that is ready accepts PIPE_BUF bytes at once; so does a terminal. A reader may pause. */
static bool print_bytes(void *context, struct slice left, struct error *err) {
    struct stdout_sink *out = context;
    while (left.size > 0) {
        struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
        const size_t size = out->is_file || left.size < PIPE_BUF ? left.size : PIPE_BUF;
        if (atomic_load_explicit(out->sink.stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (poll(&fd, 1, POLL_MS) <= 0)
            continue;
        const ssize_t done = write(STDOUT_FILENO, left.data, size);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return output_error(err);
        if (done <= 0)
            continue;
        out->is_cut = left.data[done - 1] != '\n';
        left = (struct slice){.data = left.data + done, .size = left.size - (size_t) done};
    }
    return true;
}

static bool print_held(struct stdout_sink *out, struct error *err) {
    if (spill_is_empty(&out->held))
        return true;
    return (!out->is_cut || print_bytes(out, slice_of("\n"), err)) &&
           spill_empty(&out->held, print_bytes, out, err);
}

static bool stdout_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                          struct position *ret_durable, struct error *err) {
    struct stdout_sink *out = (struct stdout_sink *) sink;
    if (wait != COMMIT_ASK) {
        if (!print_held(out, err))
            return false;
        out->visible = *position;
        if (wait == COMMIT_DURABLE && out->is_file && fdatasync(STDOUT_FILENO) != 0)
            return output_error(err);
        if (wait == COMMIT_DURABLE || !out->is_file)
            out->durable = out->visible;
    }
    *ret_durable = out->durable;
    return true;
}

const struct sink_ops sink_stdout = {
    .type = "stdout",
    .options = STDOUT_OPTIONS,
    .size = sizeof(struct stdout_sink),
    .stores_position = false,
    .takes_text_only = true,
    .appends = true,
    .is_single = true,
    .open = stdout_open,
    .write = stdout_write,
    .commit = stdout_commit,
    .close = stdout_close,
};
