/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.c - each reason is a line; the head comes before them.
 */
#include "cdc/http/health.h"

#include <inttypes.h>

#include "cdc/base/amount.h"
#include "cdc/base/utf8.h"
#include "cdc/http/lag.h"

#define LEFT_MIN_PART 4 /* a slot in danger has less than this part of what it retains left */

static const char *name_of(const struct view *view, size_t sink) {
    return view->config->sinks[sink].sink.name;
}

/* A server's message can be in any encoding until the session has agreed on one. */
static const char *shown(const char *text) {
    return utf8_is_valid(slice_of(text)) ? text : "a message that is not UTF-8";
}

static const char *ago(int64_t ms, struct amount *ret_amount) {
    *ret_amount = amount_duration(ms > 0 ? ms : 0);
    return ret_amount->text;
}

/* ---- live ---- */

bool health_is_live(const struct view *view, struct buffer *words) {
    struct amount amount;
    bool is_live = true;
    for (size_t i = 0; i < view->part_count; i++) {
        const struct live_facts *part = &view->parts[i];
        if (live_turns(part, view->now_ms, LIVE_QUIET_MAX_MS))
            continue;
        buffer_printf(words, "engine: its supervisor has not looked at its threads for %s\n",
                      ago(view->now_ms - part->turned_ms, &amount));
        is_live = false;
    }
    return is_live;
}

/* ---- ready ---- */

static void say_copy(const struct live_facts *part, struct buffer *words) {
    const struct progress_total *copy = &part->copy;
    buffer_printf(words, "copy: %u of %s, %s of about %s\n", copy->tables_done,
                  amount_count(copy->table_count, "table").text, amount_bytes((double) copy->bytes_done).text,
                  amount_bytes((double) copy->bytes_estimate).text);
}

static void say_retry(const struct view *view, const struct live_facts *part, struct buffer *words) {
    struct amount amount;
    const struct failure *failure = &part->failure;
    if (!failure->exists)
        return;
    buffer_printf(words, "engine: it has failed for %s, in %s: %s\n",
                  ago((view->unix_us - failure->since_us) / 1000, &amount),
                  amount_count(failure->attempts, "attempt").text, error_line(&failure->error).text);
}

/* True: the part streams. */
static bool judge_phase(const struct view *view, const struct live_facts *part, struct buffer *words) {
    struct amount amount;
    if (!part->exists || part->phase == LIVE_STARTING)
        buffer_printf(words, "engine: source and sinks are being opened, since %s\n",
                      ago(part->exists ? view->now_ms - part->phase_ms : 0, &amount));
    else if (part->phase == LIVE_COPYING)
        say_copy(part, words);
    else if (part->phase == LIVE_RETRYING)
        say_retry(view, part, words);
    else if (part->phase == LIVE_ENDED)
        buffer_append_text(words, part->failure.exists ? "engine: it has ended with an error\n"
                                                       : "engine: it has ended\n");
    return part->exists && part->phase == LIVE_STREAMING;
}

/* The sinks go on, but the source keeps all WAL until the disk takes the checkpoint. */
static bool judge_disk(const struct live_facts *part, struct buffer *words) {
    if (part->phase != LIVE_STREAMING || !part->disk_fails)
        return true;
    buffer_printf(words, "engine: the checkpoint cannot be written, so the slot keeps its WAL: %s\n",
                  shown(part->disk_error.text));
    return false;
}

/* Why the target does not answer, if that is known. */
static void say_target(const struct view *view, size_t sink, struct buffer *words) {
    struct amount amount;
    const struct sink_probe_facts *probe = &view->sinks[sink];
    const int64_t asked_ms = probe->answer.asked_ms;
    if (probe->lock[0] != '\0')
        buffer_printf(words, "; %s", shown(probe->lock));
    else if (probe->answer.error[0] != '\0')
        buffer_printf(words, "; the target cannot be asked why: %s", shown(probe->answer.error));
    else if (asked_ms != 0 && view->now_ms - asked_ms > view->stalled_ms)
        buffer_printf(words, "; its server has not answered for %s", ago(view->now_ms - asked_ms, &amount));
}

static bool say_stalled(const struct view *view, const struct live_sink *sink, const char *name,
                        struct buffer *words) {
    struct amount amount;
    const int64_t still_ms = view->now_ms - sink->moved_ms;
    if (!sink->is_busy || still_ms <= view->stalled_ms)
        return false;
    buffer_printf(words, "sink %s: it has taken nothing for %s, at %s, while changes wait", name,
                  ago(still_ms, &amount), lsn_format(sink->durable_lsn).text);
    return true;
}

static bool judge_sinks(const struct view *view, struct buffer *words) {
    bool is_ready = true;
    if (view->part_count > 1 && say_stalled(view, &view->parts[0].sinks[0], "buffer", words)) {
        buffer_append_text(words, "\n");
        is_ready = false;
    }
    for (size_t i = 0; i < view->config->sink_count; i++) {
        if (lag_part(view->parts, view->part_count, i)->phase != LIVE_STREAMING ||
            !say_stalled(view, lag_sink(view->parts, view->part_count, i), name_of(view, i), words))
            continue;
        say_target(view, i, words);
        buffer_append_text(words, "\n");
        is_ready = false;
    }
    return is_ready;
}

/* A source that refuses our question, but streams, is no reason. */
static bool judge_source(const struct view *view, struct buffer *words) {
    struct amount amount;
    const struct probe_answer *answer = &view->source.answer;
    if (answer->asked_ms == 0 || view->now_ms - answer->asked_ms <= view->stalled_ms)
        return true;
    buffer_printf(words, "source: its server has not answered for %s\n",
                  ago(view->now_ms - answer->asked_ms, &amount));
    return false;
}

void health_put_degraded(const struct view *view, struct buffer *words) {
    const struct source_probe_facts *source = &view->source;
    if (source->answer.error[0] != '\0')
        buffer_printf(words, "source: it cannot be asked for metrics: %s\n", shown(source->answer.error));
    if (source->has_slot && source->safe_bytes >= 0 && source->sample.end_lsn > source->restart_lsn &&
        (uint64_t) source->safe_bytes < (source->sample.end_lsn - source->restart_lsn) / LEFT_MIN_PART)
        buffer_printf(words, "source: the slot is lost after %s more of WAL (max_slot_wal_keep_size)\n",
                      amount_bytes((double) source->safe_bytes).text);
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const struct sink_probe_facts *sink = &view->sinks[i];
        if (sink->dead.failed + sink->dead.waiting > 0)
            buffer_printf(words, "sink %s: %s did not fit and %" PRIu64 " wait behind (pgcdc dead)\n",
                          name_of(view, i), amount_count(sink->dead.failed, "change").text,
                          sink->dead.waiting);
        for (size_t t = 0; t < sink->table_count; t++)
            if (sink->tables[t].differs)
                buffer_printf(words, "sink %s: table %s differs from the source (pgcdc verify)\n",
                              name_of(view, i), shown(sink->tables[t].name));
    }
}

/* Its changes do not arrive, so it is not ready; the reason names who has paused it. */
static bool judge_pauses(const struct view *view, struct buffer *words) {
    struct amount amount;
    bool is_ready = true;
    for (size_t i = 0; i < view->config->sink_count; i++) {
        const struct pause_facts *pause = &view->paused[i];
        if (!pause->is_wanted)
            continue;
        buffer_printf(words, "sink %s: paused for %s by %s (pgcdc resume)\n", name_of(view, i),
                      ago((view->unix_us - pause->since_us) / 1000, &amount), shown(pause->by));
        is_ready = false;
    }
    return is_ready;
}

bool health_put_reasons(const struct view *view, struct buffer *words) {
    bool is_ready = judge_pauses(view, words);
    for (size_t i = 0; i < view->part_count; i++)
        is_ready =
            judge_phase(view, &view->parts[i], words) && judge_disk(&view->parts[i], words) && is_ready;
    is_ready = health_is_live(view, words) && is_ready;
    is_ready = judge_sinks(view, words) && is_ready;
    return judge_source(view, words) && is_ready;
}

bool health_is_ready(const struct view *view, struct buffer *words) {
    const bool is_ready = health_put_reasons(view, words);
    health_put_degraded(view, words);
    return is_ready;
}

/* ---- started ---- */

bool health_has_started(const struct view *view, struct buffer *words) {
    bool has_started = true;
    for (size_t i = 0; i < view->part_count && !view->has_started; i++) {
        const struct live_facts *part = &view->parts[i];
        if (!judge_phase(view, part, words)) {
            has_started = false;
        } else if (part->copy_runs) {
            say_copy(part, words);
            has_started = false;
        }
    }
    return has_started;
}
