/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warnings.c - a line each.
 */
#include "cdc/http/warnings.h"

#include "cdc/base/amount.h"
#include "cdc/http/health.h"

#define PROOF_OLD_US (INT64_C(7) * 24 * 3600 * 1000000)

const char *warning_level_name(enum warning_level level) {
    static const char *const NAMES[] = {
        [WARNING_STOP] = "stop", [WARNING_COST] = "cost", [WARNING_NOTE] = "note"};
    return NAMES[level];
}

static void say_lag(const struct view *view, struct history *history, size_t sink, struct buffer *words) {
    if (history_grows(history, sink))
        buffer_printf(words, "sink %s: it falls further behind, by %s now\n",
                      view->config->sinks[sink].sink.name, amount_duration(view_lag_ms(view, sink)).text);
}

/* Tables that continuous verification knows; one that differs is said elsewhere. */
static void say_proofs(const struct view *view, size_t sink, struct buffer *words) {
    const struct sink_probe_facts *facts = &view->sinks[sink];
    const char *name = view->config->sinks[sink].sink.name;
    size_t never = 0, old = 0;
    for (size_t t = 0; t < facts->table_count; t++) {
        const struct probe_table *table = &facts->tables[t];
        never += table->equal_us == 0 && !table->differs;
        old += table->equal_us != 0 && view->unix_us - table->equal_us > PROOF_OLD_US;
    }
    if (never > 0)
        buffer_printf(words, "sink %s: not proven equal yet: %s\n", name, amount_count(never, "table").text);
    if (old > 0)
        buffer_printf(words, "sink %s: last proven equal more than a week ago: %s\n", name,
                      amount_count(old, "table").text);
}

bool warnings_put(const struct view *view, struct history *history, struct buffer *words,
                  size_t ret_ends[WARNING_NOTE + 1]) {
    const size_t sink_count = view->config->sink_count;
    const bool is_ready = health_put_reasons(view, words);
    if (view->source.is_lost)
        buffer_append_text(words, "source: the slot is lost, with WAL that it needs (pgcdc status)\n");
    ret_ends[WARNING_STOP] = words->size;
    health_put_degraded(view, words);
    for (size_t i = 0; i < sink_count; i++)
        say_lag(view, history, i, words);
    ret_ends[WARNING_COST] = words->size;
    for (size_t i = 0; i < sink_count && view->config->verify.continuous_bytes > 0; i++)
        say_proofs(view, i, words);
    ret_ends[WARNING_NOTE] = words->size;
    return is_ready;
}
