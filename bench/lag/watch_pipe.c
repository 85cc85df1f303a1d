/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_pipe.c - a raw receiver: what pg_recvlogical writes is seen as soon as it is received.
 *
 * pgoutput sends a transaction whole after its commit, so a row that is here is a commit that is here.
 */
#include "bench/lag/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"

#define CHUNK_BYTES ((size_t) 256 << 10)
#define STOP_INTERVAL_MS 100

static bool read_some(int fd, char *into, size_t size, size_t *ret_size, struct error *err) {
    const ssize_t had = read(fd, into, size);
    if (had < 0 && errno != EAGAIN && errno != EINTR)
        return error_errno(err, "the pipe");
    *ret_size = had < 0 ? 0 : (size_t) had;
    return true;
}

static bool watch(int fd, struct arrivals *arrivals, const atomic_bool *stop, struct error *err) {
    static char chunk[CHUNK_BYTES];
    size_t kept = 0;
    while (!*stop && !arrivals_are_complete(arrivals)) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, STOP_INTERVAL_MS) <= 0)
            continue;
        size_t had = 0;
        if (!read_some(fd, chunk + kept, sizeof chunk - kept, &had, err))
            return false;
        if (had == 0 && (readable.revents & POLLIN) == 0)
            return error_set(err, ERROR_RETRY, "the receiver ended");
        const char *rest;
        if (!arrivals_note_all(arrivals, chunk, kept + had, clock_now_us(), &rest, err))
            return false;
        kept = (size_t) (chunk + kept + had - rest);
        memmove(chunk, rest, kept);
    }
    return true;
}

bool watch_pipe(const char *path, struct arrivals *arrivals, const atomic_bool *stop, struct error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", path);
    const bool done = watch(fd, arrivals, stop, err);
    close(fd);
    if (done)
        printf("{\"repeated\": %lld}\n", (long long) arrivals->repeated);
    return done;
}
