/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - runs the micro benchmarks, one at a time.
 *
 *     micro                 names them
 *     micro NAME time       nanoseconds of processor time a change: the median of several samples
 *     micro NAME once       one pass to warm up, and one in micro_pass, which callgrind counts
 *     micro all once        every one of them, to see that they work
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/micro/micro.h"

enum { SAMPLES = 9 };
#define SAMPLE_NS                                                                                            \
    INT64_C(50000000) /* long beside the clock's grain, short beside a time slice of a neighbour */

static const struct micro *const SETS[] = {MICRO_DECODE,     MICRO_RECORD,     MICRO_RECORD_PROTOBUF_C,
                                           MICRO_NET_EFFECT, MICRO_CHECKPOINT, MICRO_MAPPING};

void micro_must(bool done, const struct error *err) {
    if (done)
        return;
    fprintf(stderr, "micro: %s\n", err->text);
    abort();
}

void *micro_alloc(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Its name is what callgrind is told to count, so it stays a function. */
__attribute__((noinline, noclone)) void micro_pass(const struct micro *micro, void *state);

void micro_pass(const struct micro *micro, void *state) {
    micro->pass(state);
}

static int64_t processor_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void run_once(const struct micro *micro) {
    void *state = micro->open();
    micro->pass(state);
    micro_pass(micro, state);
    micro->close(state);
}

static double sample(const struct micro *micro, void *state) {
    uint64_t passes = 0;
    const int64_t start = processor_ns();
    int64_t spent = 0;
    while (spent < SAMPLE_NS) {
        micro_pass(micro, state);
        passes++;
        spent = processor_ns() - start;
    }
    return (double) spent / (double) passes / micro->changes;
}

static int compare_doubles(const void *a, const void *b) {
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void run_timed(const struct micro *micro) {
    double samples[SAMPLES];
    void *state = micro->open();
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = sample(micro, state);
    micro->close(state);
    qsort(samples, SAMPLES, sizeof *samples, compare_doubles);
    printf("%.1f\n", samples[SAMPLES / 2]);
}

/* Calls run for the benchmark of this name, or for all; how many there were. */
static int each(const char *name, void (*run)(const struct micro *micro)) {
    int found = 0;
    for (size_t i = 0; i < sizeof SETS / sizeof *SETS; i++)
        for (const struct micro *micro = SETS[i]; micro->name != NULL; micro++)
            if (strcmp(name, "all") == 0 || strcmp(name, micro->name) == 0) {
                run(micro);
                found++;
            }
    return found;
}

static void show(const struct micro *micro) {
    printf("%s %u\n", micro->name, micro->changes);
}

int main(int argc, char **argv) {
    if (argc == 1)
        return each("all", show) > 0 ? 0 : 1;
    if (argc == 3 && strcmp(argv[2], "time") == 0 && each(argv[1], run_timed) > 0)
        return 0;
    if (argc == 3 && strcmp(argv[2], "once") == 0 && each(argv[1], run_once) > 0)
        return 0;
    fprintf(stderr, "usage: micro [NAME|all time|once]\n");
    return 2;
}
