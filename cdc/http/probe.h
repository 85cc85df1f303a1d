/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - what the engine does not ask the servers: a thread for the source, one for each sink.
 *
 * A server that does not answer holds up its own thread only. Each thread has one session, which it opens
 * again after an error; so metrics cost one connection at the source and one at each target.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/config/config.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/live.h"
#include "cdc/engine/watch.h"
#include "sinks/sink.h"

enum { PROBE_TEXT_MAX = 512, PROBE_TABLES_MAX = 256, PROBE_NAME_MAX = 128 };

/* When a server last answered, and what it said instead. */
struct probe_answer {
    int64_t answered_ms;        /* clock_now_ms(); 0: not yet */
    int64_t asked_ms;           /* of a question without an answer so far; 0: there is none */
    char error[PROBE_TEXT_MAX]; /* the last question's; "": none */
};

struct source_probe_facts {
    struct probe_answer answer;
    struct wal_sample sample;
    int64_t sample_ms; /* clock_now_ms() then */
    bool has_slot;
    bool is_lost;
    lsn_t restart_lsn, confirmed_lsn;
    int64_t safe_bytes; /* -1: without a limit */
    uint64_t spill_transactions, spill_bytes;
    /* Of each sink: a time of the source's clock, since 1970, up to which it has everything; 0: not known. */
    int64_t caught_up_us[CHECKPOINT_SINKS_MAX];
};

struct probe_table {
    char name[PROBE_NAME_MAX];
    int64_t equal_us;
    lsn_t equal_lsn;
    bool differs;
};

struct sink_probe_facts {
    struct probe_answer answer;
    bool is_looked_at;
    struct dead_count dead;
    /* "table public.orders is locked, ... by pid 4711"; "": its session waits for no lock */
    char lock[PROBE_TEXT_MAX];
    size_t table_count;
    struct probe_table tables[PROBE_TABLES_MAX]; /* that continuous verification has compared */
};

struct probes;

struct sink_probe {
    struct probes *probes;
    const struct config_sink *sink;
    const struct config *part; /* whose sink it is */
    pthread_t thread;
    bool runs;
    struct sink_probe_facts facts;
    int64_t looked_ms;
};

struct probes {
    const struct config *config;
    struct live *lives; /* one for each part */
    size_t live_count;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards all facts, and is the condition's */
    pthread_cond_t ends;
    pthread_t thread; /* the source's */
    bool runs;
    struct source_probe_facts source;
    struct live_facts *scratch; /* the source's thread's own: one for each part */
    struct sink_probe sinks[CHECKPOINT_SINKS_MAX];
};

/* After an error nothing runs. *probes is zeroed, but for what the caller has set. */
MUST_CHECK bool probes_start(struct probes *probes, struct error *err);
void probes_end(struct probes *probes);

/* For the threads: false when the probes end. */
bool probes_wait(struct probes *probes, int interval_ms);

/* probe_source.c and probe_sink.c. */
void *probe_source_main(void *probes);
void *probe_sink_main(void *sink_probe);
