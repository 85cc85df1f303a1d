/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_sink_test.c - what the Kafka sink does with what is large, old, or of another engine.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "sinks/sink.h"
#include "tests/support/change_builder.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_topics.h"

enum { OPTIONS_MAX = 8, DEADLINE_MS = 60000, LARGE_BYTES = 2 << 20 };

struct harness {
    struct sink_option options[OPTIONS_MAX];
    struct sink_config config;
    char pipeline[64]; /* of this test alone */
    char topic[128];   /* of table t */
    char letters[128]; /* the dead-letter topic */
    char told[128];    /* the transaction topic */
    struct sink *sink;
    struct position opened;
    struct change_builder builder;
    const struct relation *t;
    struct error err;
};

static void add_option(struct harness *harness, const char *key, const char *value) {
    cr_assert_lt(harness->config.option_count, OPTIONS_MAX);
    harness->options[harness->config.option_count++] = (struct sink_option){key, value};
}

static void start(struct harness *harness) {
    if (topics_brokers() == NULL)
        cr_skip_test("PGCDC_TEST_KAFKA is not set: there is no Kafka to test against");
    *harness = (struct harness){.config = {.name = "k", .options = harness->options}};
    harness->config.options = harness->options;
    snprintf(harness->pipeline, sizeof harness->pipeline, "ks_%ld", (long) getpid());
    snprintf(harness->topic, sizeof harness->topic, "%s.public.t", harness->pipeline);
    snprintf(harness->letters, sizeof harness->letters, "%s.letters", harness->pipeline);
    snprintf(harness->told, sizeof harness->told, "%s.transactions", harness->pipeline);
    harness->config.pipeline = harness->pipeline;
    add_option(harness, "brokers", topics_brokers());
    change_builder_init(&harness->builder);
    harness->t =
        change_builder_relation(&harness->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    harness->sink = sink_new(sink_ops_find("kafka"), &harness->config, &NEVER_STOPPED);
    cr_assert_not_null(harness->sink);
}

static void end(struct harness *harness) {
    harness->sink->ops->close(harness->sink);
    sink_free(harness->sink);
    change_builder_release(&harness->builder);
}

static void open_sink(struct harness *harness) {
    cr_assert(harness->sink->ops->open(harness->sink, &harness->opened, &harness->err), "%s",
              harness->err.text);
}

static void reopen(struct harness *harness) {
    harness->sink->ops->close(harness->sink);
    open_sink(harness);
}

static void insert(struct harness *harness, int id, const char *value) {
    char text[16];
    snprintf(text, sizeof text, "%d", id);
    change_builder_insert(&harness->builder, harness->t, ROW(text, value));
}

static void add_transaction(struct harness *harness, int first, int count) {
    change_builder_begin(&harness->builder);
    for (int id = first; id < first + count; id++)
        insert(harness, id, "v");
    change_builder_commit(&harness->builder);
}

static bool write_from(struct harness *harness, size_t first) {
    bool written = sink_write(harness->sink, harness->builder.changes + first, harness->builder.count - first,
                              &harness->err);
    return written;
}

static bool flush(struct harness *harness) {
    const struct position position = change_builder_position(&harness->builder);
    return sink_flush(harness->sink, &position, &harness->err);
}

static void apply(struct harness *harness) {
    cr_assert(write_from(harness, 0) && flush(harness), "%s", harness->err.text);
    change_builder_clear(&harness->builder);
}

static char *large_text(void) {
    char *text = malloc(LARGE_BYTES + 1);
    cr_assert_not_null(text);
    memset(text, 'x', LARGE_BYTES);
    text[LARGE_BYTES] = '\0';
    return text;
}

/* A first transaction of ids 1 and 2, which is there, so that the pipeline has a position. */
static void open_with_position(struct harness *harness) {
    open_sink(harness);
    add_transaction(harness, 1, 2);
    apply(harness);
}

/* ---- large ---- */

Test(kafka_sink, a_large_transaction_is_split_and_goes_on_after_a_crash) {
    struct harness h;
    start(&h);
    add_option(&h, "transaction_changes", "10");
    open_with_position(&h);
    const lsn_t end_lsn = h.builder.end_lsn;
    add_transaction(&h, 100, 25);
    cr_assert(write_from(&h, 0), "%s", h.err.text);
    reopen(&h); /* which undoes the third part: as long as it was open, a reader would wait for its end */
    cr_assert_eq(topics_count_committed(h.topic), 22, "two full parts are there before the commit");
    cr_assert_eq(h.opened.end_lsn, end_lsn);
    cr_assert_eq(h.opened.commit_lsn, h.builder.changes[0].transaction->commit_lsn);
    cr_assert_eq(h.opened.index, 20);
    cr_assert(write_from(&h, 1 + 20), "%s", h.err.text); /* what the runner does not skip */
    cr_assert(flush(&h), "%s", h.err.text);
    cr_assert_eq(topics_count_committed(h.topic), 27);
    reopen(&h);
    cr_assert_eq(h.opened.end_lsn, h.builder.end_lsn);
    end(&h);
}

Test(kafka_sink, whole_transactions_before_a_split_are_whole_in_its_position) {
    struct harness h;
    start(&h);
    add_option(&h, "transaction_changes", "10");
    open_with_position(&h);
    add_transaction(&h, 100, 6);
    const lsn_t end_lsn = h.builder.end_lsn;
    add_transaction(&h, 200, 15);
    cr_assert(write_from(&h, 0), "%s", h.err.text);
    reopen(&h);
    cr_assert_eq(h.opened.end_lsn, end_lsn);
    cr_assert_eq(h.opened.index, 10);
    cr_assert_eq(topics_count_committed(h.topic), 2 + 6 + 10);
    end(&h);
}

/* It once was, when what stood before it in the group came near the limit. */
Test(kafka_sink, a_transaction_within_the_limit_is_never_split) {
    struct harness h;
    start(&h);
    add_option(&h, "transaction_changes", "10");
    open_with_position(&h);
    add_transaction(&h, 100, 6);
    add_transaction(&h, 200, 6);
    const lsn_t end_lsn = h.builder.end_lsn;
    add_transaction(&h, 300, 6);
    cr_assert(write_from(&h, 0), "%s", h.err.text);
    reopen(&h);
    cr_assert_eq(h.opened.end_lsn, end_lsn);
    cr_assert_eq(h.opened.index, 0);
    cr_assert_eq(h.opened.commit_lsn, 0);
    cr_assert_eq(topics_count_committed(h.topic), 2 + 6 + 6);
    end(&h);
}

/* ---- the transaction topic ---- */

/* The last message, as text. */
static void keep_value(void *context, const struct topic_message *message) {
    snprintf(context, 512, "%.*s", (int) message->value_size, message->value);
}

/* As the runner does after a crash: Begin is written, what is there is skipped, the rest is written. */
static void write_behind(struct harness *harness, uint64_t index) {
    const struct change *changes = harness->builder.changes;
    bool good = sink_write(harness->sink, changes, 1, &harness->err);
    for (uint64_t i = 0; i < index && good; i++)
        good = sink_tell_present(harness->sink, &changes[1 + i], 1, &harness->err);
    cr_assert(good && write_from(harness, 1 + index) && flush(harness), "%s", harness->err.text);
}

Test(kafka_sink, the_end_counts_what_was_there_before_a_crash) {
    struct harness h;
    char end_record[512];
    start(&h);
    add_option(&h, "transaction_changes", "10");
    add_option(&h, "transaction_topic", h.told);
    add_option(&h, "format", "debezium-json");
    open_with_position(&h);
    add_transaction(&h, 100, 25);
    cr_assert(write_from(&h, 0), "%s", h.err.text);
    reopen(&h); /* which undoes the open part: a reader would wait for its end */
    cr_assert_eq(topics_count_committed(h.told), 3, "the former transaction's two, and a Begin");
    cr_assert_eq(h.opened.index, 20);
    write_behind(&h, 20);
    cr_assert_eq(topics_read_committed(h.told, keep_value, end_record), 4);
    cr_assert_not_null(strstr(end_record, "\"status\":\"END\""), "%s", end_record);
    cr_assert_not_null(strstr(end_record, "\"event_count\":25,\"data_collections\":[{\"data_collection\":"
                                          "\"public.t\",\"event_count\":25}]"),
                       "%s", end_record);
    end(&h);
}

Test(kafka_sink, a_boundary_that_its_topic_does_not_take_stops_and_is_named) {
    struct harness h;
    char name[16];
    start(&h);
    add_option(&h, "transaction_topic", h.told);
    add_option(&h, "topic", h.topic);
    topics_create_narrow(h.told, "1500");
    open_sink(&h);
    change_builder_begin(&h.builder);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "t%d", i);
        change_builder_insert(
            &h.builder, change_builder_relation(&h.builder, name, REPLICA_IDENTITY_DEFAULT, "id int8 key"),
            ROW("1"));
    }
    change_builder_commit(&h.builder);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_RETRY, "smaller batches: %s", h.err.text);
    reopen(&h);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_DATA, "%s", h.err.text);
    cr_assert_not_null(strstr(h.err.text, "max.message.bytes"), "%s", h.err.text);
    cr_assert_not_null(strstr(h.err.text, h.told), "%s", h.err.text);
    end(&h);
}

Test(kafka_sink, a_table_with_a_topic_of_the_sinks_own_is_refused) {
    struct harness h;
    start(&h);
    add_option(&h, "transaction_topic", h.topic);
    open_sink(&h);
    add_transaction(&h, 1, 1);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_CONFIG, "%s", h.err.text);
    cr_assert_not_null(strstr(h.err.text, "public.t"), "%s", h.err.text);
    cr_assert_not_null(strstr(h.err.text, "transaction_topic"), "%s", h.err.text);
    end(&h);
}

/* ---- messages over the limit ---- */

Test(kafka_sink, a_message_that_its_topic_does_not_take_stops_and_is_named) {
    struct harness h;
    char *large = large_text();
    start(&h);
    open_with_position(&h);
    change_builder_begin(&h.builder);
    insert(&h, 10, "before");
    insert(&h, 11, large);
    change_builder_commit(&h.builder);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_DATA, "%s", h.err.text);
    static const char *const WORDS[] = {"public.t", "key: id", "1048", "max.message.bytes"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        cr_assert_not_null(strstr(h.err.text, WORDS[i]), "%s: %s", WORDS[i], h.err.text);
    cr_assert_null(strstr(h.err.text, "xxxx"), "a value is shown");
    reopen(&h);
    cr_assert_eq(topics_count_committed(h.topic), 2, "nothing of that transaction is there");
    end(&h);
    free(large);
}

Test(kafka_sink, a_dead_letter_is_whole_and_its_neighbours_are_where_they_belong) {
    struct harness h;
    char *large = large_text();
    start(&h);
    add_option(&h, "oversized", "dead-letter");
    add_option(&h, "dead_letter_topic", h.letters);
    open_with_position(&h);
    change_builder_begin(&h.builder);
    insert(&h, 10, "before");
    insert(&h, 11, large);
    insert(&h, 12, "after");
    change_builder_commit(&h.builder);
    apply(&h);
    cr_assert_eq(topics_count_committed(h.topic), 4);
    cr_assert_eq(topics_count_committed(h.letters), 1);
    end(&h);
    free(large);
}

/*
 * A broker refuses a batch that is too large as a whole, so batches must be as small as the narrowest topic.
 */
Test(kafka_sink, batches_fit_a_topic_that_takes_little) {
    struct harness h;
    char value[1001];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    start(&h);
    add_option(&h, "properties.compression.codec", "none");
    topics_create_narrow(h.topic, "20000");
    open_sink(&h);
    change_builder_begin(&h.builder);
    for (int id = 0; id < 500; id++)
        insert(&h, id, value);
    change_builder_commit(&h.builder);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_RETRY, "%s", h.err.text);
    reopen(&h);
    apply(&h);
    cr_assert_eq(topics_count_committed(h.topic), 500);
    end(&h);
}

/* ---- many tables ---- */

enum { MANY_TABLES = 150 };

static void many_topic(const struct harness *harness, int table, char *topic, size_t size) {
    snprintf(topic, size, "%s.public.many_%d", harness->pipeline, table);
}

static void add_row_to_many(struct harness *harness, int id) {
    char name[32], text[16];
    snprintf(text, sizeof text, "%d", id);
    change_builder_begin(&harness->builder);
    for (int table = 0; table < MANY_TABLES; table++) {
        snprintf(name, sizeof name, "many_%d", table);
        const struct relation *relation =
            change_builder_relation(&harness->builder, name, REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
        change_builder_insert(&harness->builder, relation, ROW(text, "v"));
    }
    change_builder_commit(&harness->builder);
}

static void expect_many(const struct harness *harness, long rows) {
    for (int table = 0; table < MANY_TABLES; table += 37) {
        char topic[128];
        many_topic(harness, table, topic, sizeof topic);
        cr_assert_eq(topics_count_committed(topic), rows, "%s", topic);
    }
}

/* More than are looked up in one go, among them one that is there; and again when all are. */
Test(kafka_sink, many_new_tables_have_their_topics_after_one_write) {
    struct harness h;
    char there[128];
    start(&h);
    many_topic(&h, 74, there, sizeof there);
    topics_create_narrow(there, "1048588");
    open_sink(&h);
    add_row_to_many(&h, 1);
    apply(&h);
    expect_many(&h, 1);
    reopen(&h);
    add_row_to_many(&h, 2);
    apply(&h);
    expect_many(&h, 2);
    end(&h);
}

Test(kafka_sink, of_many_topics_one_that_takes_little_decides_how_large_batches_are) {
    struct harness h;
    char narrow[128];
    start(&h);
    many_topic(&h, 111, narrow, sizeof narrow);
    topics_create_narrow(narrow, "20000");
    open_sink(&h);
    add_row_to_many(&h, 1);
    cr_assert_not(write_from(&h, 0));
    cr_assert_eq(h.err.kind, ERROR_RETRY, "%s", h.err.text);
    cr_assert_not_null(strstr(h.err.text, "many_111"), "%s", h.err.text);
    reopen(&h);
    apply(&h);
    expect_many(&h, 1);
    end(&h);
}

/* ---- keys ---- */

/* As Java's org.apache.kafka.common.utils.Utils.murmur2 has it. */
static uint32_t murmur2(const unsigned char *data, size_t size) {
    const uint32_t m = 0x5bd1e995;
    uint32_t hash = UINT32_C(0x9747b28c) ^ (uint32_t) size;
    size_t i = 0;
    for (; i + 4 <= size; i += 4) {
        uint32_t k = (uint32_t) data[i] | (uint32_t) data[i + 1] << 8 | (uint32_t) data[i + 2] << 16 |
                     (uint32_t) data[i + 3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        hash = hash * m ^ k;
    }
    for (size_t left = size - i; left > 0; left--)
        hash ^= (uint32_t) data[i + left - 1] << (8 * (left - 1));
    if (size > i)
        hash *= m;
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

static void expect_java_partition(void *context, const struct topic_message *message) {
    int *partitions_seen = context;
    cr_assert_not_null(message->key);
    uint32_t hash = murmur2((const unsigned char *) message->key, message->key_size);
    cr_assert_eq(message->partition, (int) ((hash & 0x7fffffff) % (uint32_t) message->partition_count));
    *partitions_seen |= 1 << message->partition;
}

Test(kafka_sink, a_key_goes_where_java_would_send_it) {
    struct harness h;
    int partitions_seen = 0;
    cr_assert_eq(murmur2((const unsigned char *) "kafka", 5), UINT32_C(0xd067cf64), "a value of Java's");
    start(&h);
    add_option(&h, "partitions", "5");
    open_sink(&h);
    add_transaction(&h, 1, 200);
    apply(&h);
    cr_assert_eq(topics_read_committed(h.topic, expect_java_partition, &partitions_seen), 200);
    cr_assert_eq(partitions_seen, 0x1f, "every partition got some");
    end(&h);
}

static void expect_no_key(void *context, const struct topic_message *message) {
    (void) context;
    cr_assert_null(message->key);
}

Test(kafka_sink, a_row_without_a_replica_identity_has_no_key) {
    struct harness h;
    start(&h);
    open_sink(&h);
    const struct relation *t =
        change_builder_relation(&h.builder, "t", REPLICA_IDENTITY_NOTHING, "id int8, v text");
    change_builder_begin(&h.builder);
    change_builder_insert(&h.builder, t, ROW("1", "v"));
    change_builder_commit(&h.builder);
    apply(&h);
    cr_assert_eq(topics_read_committed(h.topic, expect_no_key, NULL), 1);
    end(&h);
}

/* ---- fenced, or only old ---- */

static void wait_for_messages(const struct harness *harness, int64_t more_than) {
    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    while (topics_high_watermark(harness->topic) <= more_than)
        cr_assert_lt(clock_now_ms(), deadline_ms, "the messages do not arrive");
}

/* The broker fences its producer, which looks as if another engine had come; but none has. */
Test(kafka_sink, a_transaction_that_grew_too_old_is_begun_again) {
    struct harness h;
    start(&h);
    add_option(&h, "properties.transaction.timeout.ms", "2000");
    open_with_position(&h);
    cr_assert_eq(topics_count_committed(h.topic), 2, "then the marker of their commit is there, too");
    const int64_t before = topics_high_watermark(h.topic);
    add_transaction(&h, 10, 3);
    cr_assert(write_from(&h, 0), "%s", h.err.text);
    wait_for_messages(&h, before);
    cr_assert_eq(topics_count_committed(h.topic), 2,
                 "reading to the end waits until the broker has aborted it");
    cr_assert_not(flush(&h));
    cr_assert_eq(h.err.kind, ERROR_RETRY, "%s", h.err.text);
    reopen(&h);
    apply(&h);
    cr_assert_eq(topics_count_committed(h.topic), 5);
    end(&h);
}

Test(kafka_sink, an_engine_with_a_successor_disturbs_it_no_more) {
    struct harness h;
    struct position position;
    start(&h);
    open_with_position(&h);
    struct sink *successor = sink_new(h.sink->ops, &h.config, &NEVER_STOPPED);
    cr_assert(successor->ops->open(successor, &position, &h.err), "%s", h.err.text);
    for (int i = 0; i < 3; i++) {
        h.sink->ops->close(h.sink);
        cr_assert_not(h.sink->ops->open(h.sink, &position, &h.err));
        cr_assert_eq(h.err.kind, ERROR_REFUSE, "%s", h.err.text);
        add_transaction(&h, 10 + i, 1);
        const struct position next = change_builder_position(&h.builder);
        cr_assert(sink_write(successor, h.builder.changes, h.builder.count, &h.err) &&
                      sink_flush(successor, &next, &h.err),
                  "%s", h.err.text);
        change_builder_clear(&h.builder);
    }
    cr_assert_eq(topics_count_committed(h.topic), 5);
    successor->ops->close(successor);
    sink_free(successor);
    end(&h);
}

/* ---- the plan of a copy ---- */

static struct chunk chunk_of(oid_t oid, const char *low, const char *high) {
    return (struct chunk){.relation_oid = oid,
                          .schema = "public",
                          .table = "t",
                          .method = CHUNK_BY_KEY,
                          .column = "id",
                          .column_type = 20,
                          .key_type = 20,
                          .order_sql = "pg_catalog.int8",
                          .low = low,
                          .high = high,
                          .state = CHUNK_DIRTY,
                          .is_added = true,
                          .snapshot = CHUNK_SNAPSHOT_REPEATED};
}

static void commit_plan(struct harness *harness) {
    const struct sink_ops *ops = harness->sink->ops;
    struct position durable;
    cr_assert(ops->commit(harness->sink, &harness->opened, COMMIT_DURABLE, &durable, &harness->err), "%s",
              harness->err.text);
}

/* The plan, in arena; returns how many chunks it has of the tables 10, 11 and 12: 201 is 2, 0, 1. */
static int load_plan(struct harness *harness, struct arena *arena, struct chunk_plan *ret_plan) {
    static const int WEIGHTS[] = {100, 10, 1};
    int sum = 0;
    arena_reset(arena);
    cr_assert(harness->sink->ops->chunk->load(harness->sink, arena, ret_plan, &harness->err), "%s",
              harness->err.text);
    for (size_t i = 0; i < ret_plan->count; i++) {
        cr_assert(ret_plan->chunks[i].is_added);
        sum += WEIGHTS[ret_plan->chunks[i].relation_oid - 10];
    }
    return sum;
}

Test(kafka_sink, tables_are_added_to_a_plan_and_removed_with_the_next_commit) {
    const struct chunk first[] = {chunk_of(10, NULL, "5"), chunk_of(10, "5", NULL), chunk_of(11, NULL, NULL)};
    const struct chunk second[] = {chunk_of(10, NULL, NULL), chunk_of(12, NULL, NULL)};
    const struct chunk_note finished = {.is_finished = true};
    struct chunk_plan plan;
    struct arena arena;
    struct harness h;
    arena_init(&arena, 4096, 1 << 20);
    start(&h);
    open_with_position(&h);
    reopen(&h);
    const struct sink_chunk_ops *ops = h.sink->ops->chunk;
    cr_assert_eq(load_plan(&h, &arena, &plan), 0);
    cr_assert(ops->extend(h.sink, first, 3, &h.err), "%s", h.err.text);
    reopen(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 0, "without a commit nothing is stored");
    cr_assert(ops->extend(h.sink, first, 3, &h.err), "%s", h.err.text);
    commit_plan(&h);
    reopen(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 210);
    cr_assert_str_eq(plan.chunks[1].low, "5");
    cr_assert(ops->extend(h.sink, second, 2, &h.err) && ops->withdraw(h.sink, 11, &h.err), "%s", h.err.text);
    commit_plan(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 201, "a table that is in the plan is left out");
    struct chunk marked = plan.chunks[0];
    marked.snapshot = "100:100:";
    cr_assert(ops->mark(h.sink, &marked, 7, 0x1000, 42, &h.err), "%s", h.err.text);
    cr_assert(ops->note(h.sink, &finished, &h.err), "%s", h.err.text);
    commit_plan(&h);
    reopen(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 0);
    cr_assert(ops->extend(h.sink, second, 1, &h.err), "%s", h.err.text);
    commit_plan(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 100);
    cr_assert(plan.row_lsn == 0x1000 && plan.row_index == 42, "rows are numbered from where they ended");
    cr_assert(ops->withdraw(h.sink, 10, &h.err), "%s", h.err.text);
    commit_plan(&h);
    cr_assert_eq(load_plan(&h, &arena, &plan), 0);
    arena_release(&arena);
    end(&h);
}
