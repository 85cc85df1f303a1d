/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_comparison.c - a pin is the stored position and the ends of all topics at that moment.
 *
 * The caller takes a pin while the engine holds, so that what is below the ends is what the position says.
 * The records are read later, up to those ends.
 */
#include "sinks/kafka/verify/topic_comparison.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/position/position_topic.h"
#include "sinks/kafka/verify/shown_rows.h"
#include "sinks/kafka/verify/source_scan.h"
#include "sinks/kafka/verify/table_result.h"
#include "sinks/kafka/verify/topic_ends.h"

enum { BLOCK_BYTES = 256 * 1024 };

#define MESSAGES_BYTES_MAX ((size_t) 2 << 30)
#define MESSAGE_BYTES_MAX ((size_t) 4 << 30)

struct topic_comparison {
    struct comparison comparison;
    struct kafka_options options;
    const atomic_bool *stop;
    struct client asker; /* reads uncommitted, for the ends */
    struct client reader;
    struct topic_codec codec;
    struct evaluator evaluator;
    struct read_rate rate;
    struct row_sides sides;
    struct topic_table *tables;
    struct accounts accounts; /* of the pin */
};

static struct topic_comparison *comparison_of(struct comparison *comparison) {
    return (struct topic_comparison *) comparison;
}

/* ---- open and close ---- */

static bool open_reader(struct client *client, const struct kafka_options *options, const char *isolation,
                        const atomic_bool *stop, struct error *err) {
    const struct client_setting settings[] = {
        {"isolation.level", isolation},
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "error"},
        {"fetch.wait.max.ms", "50"},
        {"queued.max.messages.kbytes", "1024"},
        {"fetch.message.max.bytes", "1048576"},
        {NULL, NULL},
    };
    const struct client_options client_options = {
        .type = RD_KAFKA_CONSUMER, .settings = settings, .stop = stop};
    return client_open(client, options, &client_options, err);
}

static bool open_codec(struct topic_codec *codec, const struct kafka_options *options, struct error *err) {
    const struct format_options format_options = {.config = options->config};
    codec->ops = options->format;
    buffer_init(&codec->messages.bytes, MESSAGES_BYTES_MAX);
    arena_init(&codec->arena, BLOCK_BYTES, MESSAGE_BYTES_MAX);
    return codec->ops->create(&format_options, &codec->format, err);
}

/* Such topics are not meant to have the source's rows. */
static bool refuse_skipped(const struct topic_codec *codec, struct error *err) {
    static const enum change_kind KINDS[] = {CHANGE_INSERT, CHANGE_UPDATE, CHANGE_DELETE};
    for (size_t i = 0; codec->ops->skips != NULL && i < sizeof KINDS / sizeof *KINDS; i++)
        if (codec->ops->skips(codec->format, KINDS[i]))
            return error_set(err, ERROR_CONFIG,
                             "skipped.operations leaves changes out, so the topics do not have the source's "
                             "rows: there is nothing to compare");
    return true;
}

static void topic_comparison_close(struct comparison *comparison) {
    struct topic_comparison *of = comparison_of(comparison);
    for (struct topic_table *table = of->tables; table != NULL; table = table->next) {
        topic_table_unpin(table);
        buffer_release(&table->left_out);
    }
    accounts_release(&of->accounts);
    evaluator_close(&of->evaluator);
    if (of->codec.ops != NULL)
        of->codec.ops->free(of->codec.format);
    buffer_release(&of->codec.messages.bytes);
    arena_release(&of->codec.arena);
    client_close(&of->reader);
    client_close(&of->asker);
    free(of);
}

/* ---- the contract's functions ---- */

static bool topic_comparison_prepare(struct comparison *comparison, const struct table *source,
                                     struct arena *arena, const struct comparison_table **ret_table,
                                     struct error *err) {
    struct topic_comparison *of = comparison_of(comparison);
    struct topic_table *table = NULL;
    if (!topic_table_new(&of->options, &of->codec, &of->evaluator, source, arena, &table, err))
        return false;
    table->next = of->tables;
    of->tables = table;
    *ret_table = &table->table;
    return true;
}

static bool topic_comparison_ping(struct comparison *comparison, struct error *err) {
    int broker = -1;
    return admin_find_broker(&comparison_of(comparison)->asker, &broker, err);
}

static void topic_comparison_forget(struct topic_comparison *of) {
    accounts_release(&of->accounts);
    for (struct topic_table *table = of->tables; table != NULL; table = table->next)
        topic_table_unpin(table);
}

static bool topic_comparison_pin(struct comparison *comparison, lsn_t *ret_lsn, struct error *err) {
    struct topic_comparison *of = comparison_of(comparison);
    const struct position_reader reader = {.take = accounts_take, .context = &of->accounts};
    struct position_found found = {0};
    topic_comparison_forget(of);
    if (!position_topic_read_all(&of->options, of->stop, &reader, &found, err) ||
        !topic_ends_find(&of->asker, of->tables, err))
        return false;
    *ret_lsn = found.exists ? found.record.position.end_lsn : 0;
    return true;
}

static bool topic_comparison_unpin(struct comparison *comparison, struct error *err) {
    (void) err;
    topic_comparison_forget(comparison_of(comparison));
    return true;
}

static bool topic_comparison_hold(struct comparison *comparison, const struct comparison_table *table,
                                  bool *ret_whole, struct error *err) {
    return source_hold(comparison_of(comparison)->sides.source, topic_table_of(table), ret_whole, err);
}

/*
 * Compaction removes records that were counted, and so does an age or a size, which shows in a partition's
 * first offset. Without the right to read the setting nothing is known.
 */
static bool keeps_all(struct topic_comparison *of, const struct topic_table *table, bool *ret_keeps,
                      struct error *err) {
    struct admin_setting policy = {.name = "cleanup.policy"};
    *ret_keeps = true;
    if (table->part_count == 0)
        return true;
    if (!admin_read_settings(&of->asker, RD_KAFKA_RESOURCE_TOPIC, table->topic, &policy, 1, ret_keeps, err))
        return false;
    *ret_keeps = *ret_keeps && strcmp(policy.value, "delete") == 0;
    return true;
}

static bool find_result(struct topic_comparison *of, struct topic_table *table, struct error *err) {
    bool keeps = false;
    if (table->is_compared)
        return true;
    return keeps_all(of, table, &keeps, err) &&
           table_result_find(table, &of->sides,
                             keeps ? accounts_look_up(&of->accounts, table->topic, table->source->oid) : NULL,
                             err);
}

static bool topic_comparison_sum(struct comparison *comparison, const struct comparison_question *question,
                                 struct comparison_answer *ret_answer, struct error *err) {
    struct topic_comparison *of = comparison_of(comparison);
    struct topic_table *table = topic_table_of(question->part.table);
    *ret_answer = (struct comparison_answer){0};
    if (question->part.where_sql != NULL || question->part.range != NULL)
        return error_set(err, ERROR_CONFIG, "topics can only be compared as a whole, without --where");
    if (!find_result(of, table, err) || !table_result_fold(table, question, &ret_answer->differences, err))
        return false;
    ret_answer->source_rows = table->result.source_rows;
    ret_answer->target_rows = table->result.target_rows;
    ret_answer->faults = table->result.faults;
    return true;
}

static bool topic_comparison_count_narrowed(struct comparison *comparison, const struct comparison_part *part,
                                            uint64_t *ret_rows, struct error *err) {
    (void) comparison, (void) part, (void) err;
    *ret_rows = 0;
    return true;
}

static bool topic_comparison_find_columns(struct comparison *comparison, const struct comparison_part *part,
                                          const struct comparison_keys *keys, bool *differs,
                                          struct error *err) {
    return table_result_find_columns(topic_table_of(part->table), &comparison_of(comparison)->sides, keys,
                                     differs, err);
}

static bool topic_comparison_read_rows(struct comparison *comparison, const struct comparison_part *part,
                                       const struct comparison_keys *keys, struct arena *arena,
                                       struct comparison_row *ret_rows, struct error *err) {
    const struct shown_rows rows = {.table = topic_table_of(part->table),
                                    .sides = &comparison_of(comparison)->sides,
                                    .keys = keys,
                                    .arena = arena,
                                    .rows = ret_rows};
    return shown_rows_read(&rows, err);
}

static const struct comparison_ops TOPIC_COMPARISON = {
    .prepare = topic_comparison_prepare,
    .ping = topic_comparison_ping,
    .pin = topic_comparison_pin,
    .unpin = topic_comparison_unpin,
    .hold = topic_comparison_hold,
    .sum = topic_comparison_sum,
    .count_narrowed = topic_comparison_count_narrowed,
    .find_columns = topic_comparison_find_columns,
    .read_rows = topic_comparison_read_rows,
    .close = topic_comparison_close,
};

bool topic_comparison_open(const struct sink_config *config, const struct comparison_terms *terms,
                           struct comparison **ret_comparison, struct error *err) {
    struct topic_comparison *of = calloc(1, sizeof *of);
    if (of == NULL)
        return error_no_memory(err);
    of->comparison.ops = &TOPIC_COMPARISON;
    of->stop = terms->stop;
    of->rate = (struct read_rate){.bytes_max = terms->rate_bytes, .stop = terms->stop};
    evaluator_init(&of->evaluator, config, terms->stop);
    of->sides = (struct row_sides){.source = terms->source,
                                   .evaluator = &of->evaluator,
                                   .reader = &of->reader,
                                   .codec = &of->codec,
                                   .rate = &of->rate};
    if (!kafka_options_read(&of->options, config, err) || !open_codec(&of->codec, &of->options, err) ||
        !refuse_skipped(&of->codec, err) ||
        !open_reader(&of->asker, &of->options, "read_uncommitted", terms->stop, err) ||
        !open_reader(&of->reader, &of->options, "read_committed", terms->stop, err)) {
        topic_comparison_close(&of->comparison);
        return false;
    }
    *ret_comparison = &of->comparison;
    return true;
}
