/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_state.c - several parts are one service: the worst of them speaks.
 */
#include "cdc/service/service_state.h"

#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/amount.h"
#include "cdc/base/visible.h"

enum { ERROR_SHOWN_MAX = 350 };

static bool has_begun(const struct live_facts *part) {
    return part->exists && (part->phase == LIVE_COPYING || part->phase == LIVE_STREAMING);
}

bool service_is_ready(const struct live_facts *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!has_begun(&parts[i]))
            return false;
    return count > 0;
}

bool service_is_alive(const struct live_facts *parts, size_t count, int64_t now_ms, int64_t quiet_max_ms) {
    for (size_t i = 0; i < count; i++)
        if (!live_turns(&parts[i], now_ms, quiet_max_ms))
            return false;
    return true;
}

/* One that does not stream, or the one whose sinks have least. */
static const struct live_facts *find_worst(const struct live_facts *parts, size_t count) {
    const struct live_facts *worst = &parts[0];
    for (size_t i = 1; i < count; i++)
        if (worst->phase == LIVE_STREAMING &&
            (parts[i].phase != LIVE_STREAMING || parts[i].saved_lsn < worst->saved_lsn))
            worst = &parts[i];
    return worst;
}

static void say_streaming(const struct live_facts *part, char *sentence, size_t size) {
    const uint64_t behind = part->received_lsn > part->saved_lsn ? part->received_lsn - part->saved_lsn : 0;
    const char *copies = part->copy_runs ? ", and a copy goes on" : "";
    if (part->saved_lsn == 0)
        snprintf(sentence, size, "streaming, at no position yet%s", copies);
    else
        snprintf(sentence, size, "streaming: every sink has %s, of what was received it lacks %s%s",
                 lsn_format(part->saved_lsn).text, amount_bytes((double) behind).text, copies);
}

static void say_retrying(const struct live_facts *part, int64_t unix_us, char *sentence, size_t size) {
    const int64_t since_ms = (unix_us - part->failure.since_us) / 1000;
    const struct amount since = amount_duration(since_ms > 0 ? since_ms : 0);
    snprintf(sentence, size, "retrying, for %s, in %s: %.*s", since.text,
             amount_count(part->failure.attempts, "attempt").text, ERROR_SHOWN_MAX,
             part->failure.error.text);
}

void service_sentence(const struct live_facts *parts, size_t count, int64_t unix_us,
                      char sentence[static SERVICE_SENTENCE_MAX]) {
    char text[SERVICE_SENTENCE_MAX] = "source and sinks are being opened";
    const struct live_facts *part = find_worst(parts, count);
    if (part->exists && part->phase == LIVE_COPYING)
        snprintf(text, sizeof text, "copying: %u of %s, %s of about %s", part->copy.tables_done,
                 amount_count(part->copy.table_count, "table").text,
                 amount_bytes((double) part->copy.bytes_done).text,
                 amount_bytes((double) part->copy.bytes_estimate).text);
    else if (part->exists && part->phase == LIVE_STREAMING)
        say_streaming(part, text, sizeof text);
    else if (part->exists && part->phase == LIVE_RETRYING && part->failure.exists)
        say_retrying(part, unix_us, text, sizeof text);
    else if (part->exists && part->phase == LIVE_ENDED)
        snprintf(text, sizeof text, "ending");
    visible_write(sentence, SERVICE_SENTENCE_MAX, slice_of(text));
}
