/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_contract_test.c - what sinks/sink.h promises, asked of every registered sink.
 *
 * A subject says how a type of sink is configured here and how its rows are seen from outside. A new sink is
 * one more line in SUBJECTS; a type of the registry without one fails the first test.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "cdc/archive/archive_cursor.h"
#include "sinks/sink.h"
#include "tests/support/archive_folder.h"
#include "tests/support/change_builder.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_database.h"
#include "tests/support/sink_topics.h"

struct subject {
    const char *type;
    const char *(*server)(void); /* where it is, or NULL: not here */
    const char *server_variable; /* that names it */
    const char *option_key;      /* under which the sink wants to know */
    const char *nowhere;         /* a server that is not there */
    void (*reset)(void);         /* no table but an empty "contract" (id int8 key, v text) */
    /*
     * rows anybody can see, perhaps while a transaction of the sink is open, or NULL when the sink keeps
     * nothing
     */
    long (*visible_rows)(const char *pipeline, bool is_open);
    /* files of this machine: an open sink locks them, so no older one must be fenced; it has no splits */
    bool locks;
};

static void postgres_reset(void) {
    PGconn *conn = database_connect();
    database_execute(conn, "drop schema if exists pgcdc cascade");
    database_execute(conn,
                     "drop table if exists contract; create table contract (id int8 primary key, v text)");
    PQfinish(conn);
}

static long postgres_visible_rows(const char *pipeline, bool is_open) {
    (void) pipeline;
    (void) is_open;
    PGconn *conn = database_connect();
    long rows = database_number(conn, "select count(*) from contract");
    PQfinish(conn);
    return rows;
}

static long kafka_visible_rows(const char *pipeline, bool is_open) {
    char topic[128];
    snprintf(topic, sizeof topic, "%s.public.contract", pipeline);
    return is_open ? topics_count_before_open(topic) : topics_count_committed(topic);
}

/* Its lines are in a file without a name, which is this process's standard output from here on. */
static void stdout_reset(void) {
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    cr_assert_eq(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
    fclose(file);
}

static long stdout_visible_rows(const char *pipeline, bool is_open) {
    char bytes[65536];
    long lines = 0;
    (void) pipeline;
    (void) is_open;
    const ssize_t size = pread(STDOUT_FILENO, bytes, sizeof bytes, 0);
    cr_assert(size >= 0 && size < (ssize_t) sizeof bytes);
    for (ssize_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static char archive_directory[64];

static const char *archive_path(void) {
    return archive_directory;
}

/* In a folder that the last test of the process removes. */
static void archive_reset(void) {
    snprintf(archive_directory, sizeof archive_directory, "/tmp/pgcdc_contract_%ld", (long) getpid());
    remove_archive(archive_directory);
}

static long archive_visible_rows(const char *pipeline, bool is_open) {
    (void) pipeline;
    (void) is_open;
    struct archive_cursor cursor;
    struct arena arena;
    struct error err = {0};
    enum archive_step step = ARCHIVE_CHANGE;
    struct change change;
    lsn_t lsn;
    long rows = 0;
    arena_init(&arena, 64 * 1024, (size_t) 64 << 20);
    cr_assert(archive_cursor_open(&cursor, archive_directory, 0, &err), "%s", err.text);
    while (step != ARCHIVE_DRAINED) {
        cr_assert(archive_cursor_next(&cursor, &arena, &step, &change, &lsn, &err), "%s", err.text);
        rows += step == ARCHIVE_CHANGE && change_is_row(&change);
    }
    archive_cursor_close(&cursor);
    arena_release(&arena);
    return rows;
}

static const char *needs_none(void) {
    return "";
}

static void nothing_to_reset(void) {
}

static const struct subject SUBJECTS[] = {
    {"postgres", database_dsn, "PGCDC_TEST_DSN", "dsn", "host=127.0.0.1 port=1 dbname=nowhere",
     postgres_reset, postgres_visible_rows},
    {"kafka", topics_brokers, "PGCDC_TEST_KAFKA", "brokers", "127.0.0.1:1", nothing_to_reset,
     kafka_visible_rows},
    {"null", needs_none, "", "none", NULL, nothing_to_reset, NULL},
    {"stdout", needs_none, "", "none", NULL, stdout_reset, stdout_visible_rows},
    {"archive", archive_path, "", "path", NULL, archive_reset, archive_visible_rows, .locks = true},
};

#define SUBJECT_COUNT (sizeof SUBJECTS / sizeof *SUBJECTS)

struct harness {
    const struct subject *subject;
    const struct sink_ops *ops;
    struct sink_option option;
    struct sink_config config;
    char pipeline[64]; /* of this claim alone: topics of one that is gone would still be there */
    struct change_builder builder;
    const struct relation *relation;
};

static void harness_init(struct harness *harness, const struct subject *subject) {
    subject->reset();
    *harness = (struct harness){
        .subject = subject,
        .ops = sink_ops_find(subject->type),
        .option = {subject->option_key, subject->server()},
        .config = {.name = subject->type, .option_count = 1},
    };
    snprintf(harness->pipeline, sizeof harness->pipeline, "contract_%ld", (long) getpid());
    harness->config.pipeline = harness->pipeline;
    harness->config.options = &harness->option;
    change_builder_init(&harness->builder);
    harness->relation = change_builder_relation(&harness->builder, "contract", REPLICA_IDENTITY_DEFAULT,
                                                "id int8 key, v text");
}

static struct sink *open_sink(struct harness *harness, struct position *ret_position) {
    struct error err = {0};
    struct sink *sink = sink_new(harness->ops, &harness->config, &NEVER_STOPPED);
    cr_assert_not_null(sink);
    cr_assert(sink->ops->open(sink, ret_position, &err), "%s: %s", harness->subject->type, err.text);
    return sink;
}

static void close_sink(struct sink *sink) {
    sink->ops->close(sink);
    sink_free(sink);
}

/* A transaction that inserts count rows from id first on. */
static void add_inserts(struct harness *harness, int first, int count) {
    change_builder_begin(&harness->builder);
    for (int id = first; id < first + count; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_insert(&harness->builder, harness->relation, ROW(text, "v"));
    }
    change_builder_commit(&harness->builder);
}

static void write_all(struct harness *harness, struct sink *sink) {
    struct error err = {0};
    cr_assert(sink_write(sink, harness->builder.changes, harness->builder.count, &err), "%s: %s",
              harness->subject->type, err.text);
    change_builder_clear(&harness->builder);
}

static void flush(struct harness *harness, struct sink *sink) {
    struct error err = {0};
    const struct position position = change_builder_position(&harness->builder);
    cr_assert(sink_flush(sink, &position, &err), "%s: %s", harness->subject->type, err.text);
}

static void expect_visible(const struct harness *harness, bool is_open, long expected, const char *when) {
    if (harness->subject->visible_rows != NULL)
        cr_assert_eq(harness->subject->visible_rows(harness->pipeline, is_open), expected,
                     "%s: rows visible %s", harness->subject->type, when);
}

static void expect_rows(const struct harness *harness, long expected, const char *when) {
    expect_visible(harness, false, expected, when);
}

typedef void claim(struct harness *harness);

static void each_sink(claim *check) {
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        struct harness harness;
        if (SUBJECTS[i].server() == NULL) {
            fprintf(stderr, "%s is left out: %s is not set\n", SUBJECTS[i].type, SUBJECTS[i].server_variable);
            continue;
        }
        harness_init(&harness, &SUBJECTS[i]);
        check(&harness);
        change_builder_release(&harness.builder);
        if (SUBJECTS[i].locks)
            remove_archive(archive_directory);
    }
}

Test(sink_contract, every_registered_type_is_tested_here) {
    for (size_t i = 0; sink_ops_at(i) != NULL; i++) {
        bool found = false;
        for (size_t s = 0; s < SUBJECT_COUNT; s++)
            found |= strcmp(SUBJECTS[s].type, sink_ops_at(i)->type) == 0;
        cr_assert(found, "sink type %s has no line in SUBJECTS", sink_ops_at(i)->type);
    }
}

static void check_fresh(struct harness *harness) {
    struct position position = {.end_lsn = 1};
    struct sink *sink = open_sink(harness, &position);
    cr_assert_not(position_exists(&position), "%s", harness->subject->type);
    close_sink(sink);
}

Test(sink_contract, a_new_pipeline_has_no_position) {
    each_sink(check_fresh);
}

static void check_invisible(struct harness *harness) {
    struct position position;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    write_all(harness, sink);
    expect_visible(harness, true, 0, "before flush");
    flush(harness, sink);
    expect_rows(harness, 3, "after flush");
    close_sink(sink);
}

Test(sink_contract, nothing_written_is_visible_before_flush) {
    each_sink(check_invisible);
}

static void check_undone(struct harness *harness) {
    struct position position;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    write_all(harness, sink);
    close_sink(sink);
    sink = open_sink(harness, &position);
    cr_assert_not(position_exists(&position));
    add_inserts(harness, 1, 1);
    write_all(harness, sink);
    flush(harness, sink);
    expect_rows(harness, 1, "after a close without flush and a flush");
    close_sink(sink);
}

Test(sink_contract, close_without_flush_undoes_what_was_written) {
    each_sink(check_undone);
}

static void check_position(struct harness *harness) {
    const bool splits = !harness->subject->locks;
    const struct position stored = {.end_lsn = UINT64_C(0xFFFFFFFF12345678),
                                    .commit_lsn = splits ? UINT64_C(0xFFFFFFFF12345000) : 0,
                                    .index = splits ? INT64_MAX : 0,
                                    .system_id = UINT64_MAX,
                                    .timeline = UINT32_MAX};
    struct position position;
    struct error err = {0};
    struct sink *sink = open_sink(harness, &position);
    cr_assert(sink_flush(sink, &stored, &err), "%s", err.text);
    close_sink(sink);
    sink = open_sink(harness, &position);
    close_sink(sink);
    cr_assert_eq(position_exists(&position), harness->ops->stores_position);
    if (!harness->ops->stores_position)
        return;
    cr_assert_eq(position.end_lsn, stored.end_lsn);
    cr_assert_eq(position.commit_lsn, stored.commit_lsn);
    cr_assert_eq(position.index, stored.index);
    cr_assert_eq(position.system_id, stored.system_id);
    cr_assert_eq(position.timeline, stored.timeline);
}

Test(sink_contract, an_idle_flush_stores_every_part_of_the_position) {
    each_sink(check_position);
}

static void check_position_with_data(struct harness *harness) {
    struct position position;
    struct sink *sink = open_sink(harness, &position);
    for (int i = 0; i < 3; i++) {
        add_inserts(harness, i * 10, 10);
        write_all(harness, sink);
        flush(harness, sink);
    }
    close_sink(sink);
    sink = open_sink(harness, &position);
    close_sink(sink);
    expect_rows(harness, 30, "after three flushes");
    if (harness->ops->stores_position)
        cr_assert_eq(position.end_lsn, harness->builder.end_lsn);
}

Test(sink_contract, the_position_is_that_of_the_last_flush) {
    each_sink(check_position_with_data);
}

/* Writes a few rows, knowing of the flush. */
static struct position write_whole(struct harness *harness, struct sink *sink, int first) {
    struct error err = {0};
    add_inserts(harness, first, 3);
    const struct position position = change_builder_position(&harness->builder);
    cr_assert(sink_write_until(sink, harness->builder.changes, harness->builder.count, &position, &err),
              "%s: %s", harness->subject->type, err.text);
    return position;
}

static void check_whole(struct harness *harness) {
    struct position position;
    struct error err = {0};
    struct sink *sink = open_sink(harness, &position);
    const struct position first = write_whole(harness, sink, 1);
    expect_visible(harness, true, 0, "before the flush that was to follow");
    cr_assert(sink_flush(sink, &first, &err), "%s: %s", harness->subject->type, err.text);
    change_builder_clear(&harness->builder);
    expect_rows(harness, 3, "after it");
    bool durable = false;
    const struct position second = write_whole(harness, sink, 11);
    cr_assert(sink_commit(sink, &second, &durable, &err), "%s: %s", harness->subject->type, err.text);
    change_builder_clear(&harness->builder);
    expect_rows(harness, 6, "after a commit that followed");
    const struct position stored = change_builder_position(&harness->builder);
    write_whole(harness, sink, 21);
    change_builder_clear(&harness->builder);
    close_sink(sink);
    sink = open_sink(harness, &position);
    close_sink(sink);
    expect_rows(harness, 6, "after a close instead of a commit");
    if (harness->ops->stores_position)
        cr_assert_eq(position.end_lsn, stored.end_lsn);
}

Test(sink_contract, a_write_that_knows_of_its_flush_waits_for_it) {
    each_sink(check_whole);
}

/* Seen by everybody at once, told to nobody before it is durable. */
static void check_commit(struct harness *harness) {
    struct position position, settled = {0};
    struct error err = {0};
    bool durable = false;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    write_all(harness, sink);
    const struct position first = change_builder_position(&harness->builder);
    cr_assert(sink_commit(sink, &first, &durable, &err), "%s", err.text);
    expect_rows(harness, 3, "after commit");
    cr_assert(sink_settled(sink, &settled, &err), "%s", err.text);
    cr_assert(settled.end_lsn == 0 || settled.end_lsn == first.end_lsn);
    add_inserts(harness, 11, 3);
    write_all(harness, sink);
    const struct position second = change_builder_position(&harness->builder);
    cr_assert(sink_settled(sink, &settled, &err), "in a transaction: %s", err.text);
    cr_assert_leq(settled.end_lsn, first.end_lsn, "%s: what is not committed is settled",
                  harness->subject->type);
    flush(harness, sink);
    cr_assert(sink_settled(sink, &settled, &err), "%s", err.text);
    cr_assert_eq(settled.end_lsn, second.end_lsn, "%s: a flush settles everything", harness->subject->type);
    expect_rows(harness, 6, "after flush");
    close_sink(sink);
}

Test(sink_contract, a_commit_is_visible_and_a_flush_settles_it) {
    each_sink(check_commit);
}

static void check_commit_reopened(struct harness *harness) {
    struct position position;
    struct error err = {0};
    bool durable = false;
    if (!harness->ops->stores_position)
        return;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    write_all(harness, sink);
    const struct position next = change_builder_position(&harness->builder);
    cr_assert(sink_commit(sink, &next, &durable, &err), "%s", err.text);
    close_sink(sink);
    sink = open_sink(harness, &position);
    cr_assert_eq(position.end_lsn, next.end_lsn, "%s", harness->subject->type);
    close_sink(sink);
    expect_rows(harness, 3, "after commit and close");
}

Test(sink_contract, a_close_does_not_undo_what_was_committed) {
    each_sink(check_commit_reopened);
}

static void check_going_back(struct harness *harness) {
    if (!harness->ops->stores_position)
        return;
    struct position position;
    struct error err = {0};
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 1);
    flush(harness, sink);
    const struct position back = {.end_lsn = harness->builder.end_lsn - 1, .system_id = 7, .timeline = 1};
    cr_assert_not(sink_flush(sink, &back, &err));
    close_sink(sink);
}

Test(sink_contract, a_position_does_not_go_back) {
    each_sink(check_going_back);
}

/* The kernel releases the lock of a dead one. */
static void check_lock(struct harness *harness) {
    struct position position;
    struct error err = {0};
    struct sink *older = open_sink(harness, &position);
    struct sink *newer = sink_new(harness->ops, &harness->config, &NEVER_STOPPED);
    cr_assert_not(newer->ops->open(newer, &position, &err), "%s", harness->subject->type);
    cr_assert_eq(err.kind, ERROR_RETRY, "%s", err.text);
    close_sink(newer);
    close_sink(older);
    newer = open_sink(harness, &position);
    close_sink(newer);
}

/* The older engine was thought dead; it must not be able to commit, with changes or without. */
static void check_fence(struct harness *harness) {
    if (harness->subject->locks)
        check_lock(harness);
    if (!harness->ops->stores_position || harness->subject->locks)
        return;
    struct position position;
    struct error err = {0};
    struct sink *older = open_sink(harness, &position);
    struct sink *idle = open_sink(harness, &position);
    struct sink *newer = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    const struct position next = change_builder_position(&harness->builder);
    bool done = sink_write(older, harness->builder.changes, harness->builder.count, &err) &&
                sink_flush(older, &next, &err);
    cr_assert_not(done, "%s: a fenced sink could commit", harness->subject->type);
    cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
    cr_assert_not(sink_flush(idle, &next, &err), "%s: a fenced sink could flush", harness->subject->type);
    cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
    expect_rows(harness, 0, "of a fenced sink");
    write_all(harness, newer);
    flush(harness, newer);
    expect_rows(harness, 3, "of the newer one");
    close_sink(older);
    close_sink(idle);
    close_sink(newer);
}

Test(sink_contract, opening_fences_the_one_that_was_open) {
    each_sink(check_fence);
}

/*
 * The older engine is frozen in the middle of a group; awake again, it can neither end the group nor open
 * again.
 */
static void check_takeover(struct harness *harness) {
    if (!harness->ops->stores_position || harness->subject->locks)
        return;
    struct position position;
    struct error err = {0};
    struct sink *older = open_sink(harness, &position);
    add_inserts(harness, 1, 3);
    const struct position next = change_builder_position(&harness->builder);
    cr_assert(sink_write(older, harness->builder.changes, harness->builder.count, &err), "%s", err.text);
    struct sink *newer = open_sink(harness, &position);
    cr_assert_not(position_exists(&position), "%s: what was never flushed has a position",
                  harness->subject->type);
    cr_assert_not(sink_flush(older, &next, &err), "%s: a fenced sink could flush", harness->subject->type);
    older->ops->close(older);
    cr_assert_not(older->ops->open(older, &position, &err));
    cr_assert_eq(err.kind, ERROR_REFUSE, "%s", err.text);
    expect_rows(harness, 0, "of a fenced sink");
    write_all(harness, newer);
    flush(harness, newer);
    expect_rows(harness, 3, "of the newer one");
    close_sink(older);
    close_sink(newer);
}

Test(sink_contract, opening_takes_over_from_one_that_is_frozen) {
    each_sink(check_takeover);
}

static void check_two_sinks(struct harness *harness) {
    if (!harness->ops->stores_position || harness->subject->locks)
        return;
    struct position position;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 1);
    write_all(harness, sink);
    flush(harness, sink);
    char another[80];
    snprintf(another, sizeof another, "%s_too", harness->pipeline);
    harness->config.pipeline = another;
    struct sink *other = open_sink(harness, &position);
    cr_assert_not(position_exists(&position), "another pipeline has a position of its own");
    add_inserts(harness, 2, 1);
    write_all(harness, sink);
    flush(harness, sink);
    close_sink(other);
    close_sink(sink);
}

Test(sink_contract, pipelines_do_not_share_positions) {
    each_sink(check_two_sinks);
}

static void check_drop(struct harness *harness) {
    struct position position;
    struct error err = {0};
    if (sink_admin(harness->ops, drop) == NULL)
        return;
    struct sink *sink = open_sink(harness, &position);
    add_inserts(harness, 1, 1);
    write_all(harness, sink);
    flush(harness, sink);
    close_sink(sink);
    sink = sink_new(harness->ops, &harness->config, &NEVER_STOPPED);
    cr_assert_not_null(sink);
    cr_assert(sink->ops->admin->drop(sink, &err), "%s", err.text);
    cr_assert(sink->ops->admin->drop(sink, &err), "dropping twice: %s", err.text);
    sink_free(sink);
    sink = open_sink(harness, &position);
    cr_assert_not(position_exists(&position));
    close_sink(sink);
    if (!harness->subject->locks) /* its data is in another folder then */
        expect_rows(harness, 1, "after drop, which forgets the position and not the data");
}

Test(sink_contract, drop_forgets_the_position) {
    each_sink(check_drop);
}

static void check_messages(struct harness *harness) {
    struct position position;
    struct sink *sink = open_sink(harness, &position);
    change_builder_begin(&harness->builder);
    change_builder_commit(&harness->builder);
    write_all(harness, sink);
    flush(harness, sink);
    close_sink(sink);
    sink = open_sink(harness, &position);
    if (harness->ops->stores_position)
        cr_assert_eq(position.end_lsn, harness->builder.end_lsn);
    close_sink(sink);
}

Test(sink_contract, an_empty_transaction_moves_the_position) {
    each_sink(check_messages);
}

static void check_failed_open(struct harness *harness) {
    if (harness->subject->nowhere == NULL)
        return;
    struct position position;
    struct error err = {0};
    harness->option.value = harness->subject->nowhere;
    struct sink *sink = sink_new(harness->ops, &harness->config, &NEVER_STOPPED);
    cr_assert_not_null(sink);
    cr_assert_not(sink->ops->open(sink, &position, &err));
    cr_assert_eq(err.kind, ERROR_RETRY, "%s", err.text);
    close_sink(sink);
}

Test(sink_contract, close_follows_a_failed_open) {
    each_sink(check_failed_open);
}
