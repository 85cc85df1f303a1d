/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_repeat_test.c - an hour of the same is a line a minute, and nothing new is lost.
 */
#include "cdc/base/log_repeat.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* What a log would do, with a clock of the test's. */
struct written {
    struct log_repeats repeats;
    int64_t now_ms;
    int lines;     /* written in full */
    int summaries; /* "repeated N times" */
    unsigned long long counted;
    char last[LOG_TEXT_MAX];
};

static void take_due(struct written *written, const struct log_repeat *due) {
    written->summaries++;
    written->counted += due->counted;
    log_repeat_text(due, written->last);
}

static void tick(struct written *written, bool for_all) {
    struct log_repeat due;
    while (log_repeat_due(&written->repeats, written->now_ms, for_all, &due))
        take_due(written, &due);
}

static void say(struct written *written, enum log_event event, const char *sink, const char *text,
                const char *key) {
    const struct log_entry entry = {.event = event, .sink = sink, .text = text};
    struct log_repeat lost;
    tick(written, false);
    if (log_repeat_make_room(&written->repeats, &lost))
        take_due(written, &lost);
    if (!log_repeat_take(&written->repeats, &entry, key, written->now_ms))
        return;
    written->lines++;
    snprintf(written->last, sizeof written->last, "%s", text);
}

Test(log_repeat, a_retry_every_second_for_an_hour_is_a_line_a_minute) {
    static struct written written;
    for (int second = 0; second < 3600; second++) {
        char text[64];
        snprintf(text, sizeof text, "gone; retrying within %d ms", second % 7);
        say(&written, LOG_RETRY, NULL, text, "gone");
        written.now_ms += 1000;
    }
    tick(&written, true);
    cr_assert_eq(written.lines, 1);
    cr_assert(written.summaries >= 59 && written.summaries <= 61, "%d", written.summaries);
    cr_assert_eq(written.counted, 3599);
}

Test(log_repeat, the_summary_says_how_often_and_in_which_time) {
    static struct written written;
    for (int i = 0; i < 4; i++, written.now_ms += 5000)
        say(&written, LOG_RETRY, NULL, "gone", "gone");
    written.now_ms = 60000;
    tick(&written, false);
    cr_assert_str_eq(written.last, "gone; repeated 3 times in 15 s");
}

Test(log_repeat, another_text_event_or_sink_is_new) {
    static struct written written;
    say(&written, LOG_RETRY, NULL, "gone", "gone");
    say(&written, LOG_RETRY, NULL, "refused", "refused");
    say(&written, LOG_RETRY, "a", "gone", "gone");
    say(&written, LOG_RETRY, "b", "gone", "gone");
    say(&written, LOG_SLOT_WAITS, NULL, "gone", "gone");
    cr_assert_eq(written.lines, 5);
}

Test(log_repeat, after_a_quiet_minute_it_is_new) {
    static struct written written;
    say(&written, LOG_RETRY, NULL, "gone", "gone");
    written.now_ms += LOG_REPEAT_WINDOW_MS;
    say(&written, LOG_RETRY, NULL, "gone", "gone");
    cr_assert_eq(written.lines, 2);
    cr_assert_eq(written.summaries, 0);
}

Test(log_repeat, a_state_that_comes_and_goes_is_said_three_times) {
    static struct written written;
    for (int i = 0; i < 100; i++, written.now_ms += 100) {
        say(&written, LOG_CHECKPOINT_NOT_WRITTEN, NULL, "full", "full");
        say(&written, LOG_CHECKPOINT_WRITTEN_AGAIN, NULL, "room", "room");
    }
    cr_assert_eq(written.lines, 4);
    tick(&written, true);
    cr_assert_eq(written.counted, 196);
    cr_assert_eq(strncmp(written.last, "room; repeated", 14), 0, "the last is what is so now: %s",
                 written.last);
}

Test(log_repeat, debug_lines_are_all_written) {
    static struct written written;
    for (int i = 0; i < 10; i++)
        say(&written, LOG_ATTEMPT_FAILED, NULL, "gone", "gone");
    cr_assert_eq(written.lines, 10);
}

Test(log_repeat, more_lines_than_places_lose_no_count) {
    static struct written written;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2 * LOG_REPEATS_MAX; i++) {
            char text[32];
            snprintf(text, sizeof text, "line %d", i);
            for (int again = 0; again < 2; again++, written.now_ms++)
                say(&written, LOG_RETRY, NULL, text, text);
        }
    }
    tick(&written, true);
    cr_assert_eq((unsigned long long) written.lines + written.counted, 3ULL * 2 * LOG_REPEATS_MAX * 2);
}
