/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the two ends of a lag measurement; bench/harness/lag.py starts them and reads their files.
 *
 *     lag load     FILE COUNT DSN STATEMENT CONNECTIONS RATE
 *     lag postgres FILE COUNT DSN
 *     lag kafka    FILE COUNT BROKERS TOPIC
 *     lag pipe     FILE COUNT PATH
 *
 * SIGTERM and SIGINT end it early; the file is written then too.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "bench/lag/load.h"
#include "bench/lag/watch.h"

#define COUNT_MAX INT64_C(100000000)

static atomic_bool stop_flag;

static void on_signal(int number) {
    (void) number;
    stop_flag = true;
}

static bool read_count(const char *text, int64_t *ret_count, struct error *err) {
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 1 || value > COUNT_MAX)
        return error_set(err, ERROR_CONFIG, "\"%s\" is not a number from 1 to %lld", text,
                         (long long) COUNT_MAX);
    *ret_count = value;
    return true;
}

static bool run_load(char **arguments, int64_t count, const char *path, struct error *err) {
    int64_t connections, rate;
    if (!read_count(arguments[2], &connections, err) || !read_count(arguments[3], &rate, err))
        return false;
    const struct load_options options = {.dsn = arguments[0],
                                         .statement = arguments[1],
                                         .connections =
                                             connections > INT32_MAX ? INT32_MAX : (int) connections,
                                         .rate = rate,
                                         .count = count,
                                         .path = path,
                                         .stop = &stop_flag};
    return load_run(&options, err);
}

/* What was seen is of use even if the watcher could not go on. */
static bool run_watch(const char *what, char **arguments, int64_t count, const char *path,
                      struct error *err) {
    struct arrivals arrivals;
    if (!arrivals_init(&arrivals, count, err))
        return false;
    bool done;
    if (strcmp(what, "postgres") == 0)
        done = watch_postgres(arguments[0], &arrivals, &stop_flag, err);
    else if (strcmp(what, "kafka") == 0)
        done = watch_kafka(arguments[0], arguments[1], &arrivals, &stop_flag, err);
    else
        done = watch_pipe(arguments[0], &arrivals, &stop_flag, err);
    done = done && arrivals_save(&arrivals, path, err);
    arrivals_release(&arrivals);
    return done;
}

/* How many arguments follow FILE and COUNT, -1 for a word that is none of ours. */
static int argument_count(const char *what) {
    static const struct {
        const char *word;
        int count;
    } WORDS[] = {{"load", 4}, {"postgres", 1}, {"kafka", 2}, {"pipe", 1}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strcmp(WORDS[i].word, what) == 0)
            return WORDS[i].count;
    return -1;
}

int main(int argc, char **argv) {
    if (argc < 4 || argument_count(argv[1]) != argc - 4) {
        fprintf(stderr, "usage: lag load|postgres|kafka|pipe FILE COUNT ...; see bench/lag/main.c\n");
        return EXIT_FAILURE;
    }
    const struct sigaction handle = {.sa_handler = on_signal};
    sigaction(SIGTERM, &handle, NULL);
    sigaction(SIGINT, &handle, NULL);
    prctl(PR_SET_TIMERSLACK, 1UL); /* the default of 50 us would be in every figure */
    struct error err = {0};
    int64_t count;
    const bool done = read_count(argv[3], &count, &err) &&
                      (strcmp(argv[1], "load") == 0 ? run_load(argv + 4, count, argv[2], &err)
                                                    : run_watch(argv[1], argv + 4, count, argv[2], &err));
    if (!done)
        fprintf(stderr, "lag %s: %s\n", argv[1], err.text);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
