/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_conflicts_test.c - on_missing and on_exists: by rows, by sets and in one round trip they end the
 * same, and count the same.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "sinks/postgres/postgres.h"
#include "tests/support/random.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_session.h"

typedef struct sink_session session_t;

enum way { BY_ROWS, BY_SETS, WHOLE, WAYS };

static const char *const WAY_NAMES[] = {"by rows", "by sets", "whole"};

static void start(session_t *s, const char *on_missing, const char *on_exists, enum way way,
                  const char *ddl) {
    sink_session_init(s, ddl);
    s->options[1] = (struct sink_option){"on_missing", on_missing};
    s->options[2] = (struct sink_option){"on_exists", on_exists};
    s->config.option_count = 3;
    sink_session_open(s);
    struct apply *apply = ((struct postgres_sink *) s->sink)->apply;
    apply->set_rows_min = way == BY_SETS ? 1 : SIZE_MAX;
    apply->whole_rows_max = PIPELINE_COMMANDS_MAX / 4;
}

static bool apply_way(session_t *s, enum way way) {
    return way == WHOLE ? sink_session_apply_whole(s) : sink_session_apply(s);
}

static const char COUNTS[] =
    "select coalesce(string_agg(kind || ' ' || count, ', ' order by kind), '') from pgcdc.conflicts";
static const char ROWS[] =
    "select coalesce(string_agg(id || '=' || coalesce(v, '-'), ' ' order by id), '') from t";

/* ---- what stops ---- */

/* One change each, of t (id int8 primary key, v text unique) with rows 1=a and 2=b. */
static void add_taken_value(session_t *s, const struct relation *t) {
    change_builder_insert(&s->builder, t, ROW("3", "a"));
}

static void add_row_that_clashes_twice(session_t *s, const struct relation *t) {
    change_builder_insert(&s->builder, t, ROW("1", "b"));
}

static void add_update_to_taken_value(session_t *s, const struct relation *t) {
    change_builder_update(&s->builder, t, NULL, ROW("1", "b"));
}

static void add_unchanged(session_t *s, const struct relation *t) {
    change_builder_update(&s->builder, t, NULL, ROW("9", UNCHANGED_TEXT));
}

static void add_update(session_t *s, const struct relation *t) {
    change_builder_update(&s->builder, t, NULL, ROW("9", "z"));
}

static void add_delete(session_t *s, const struct relation *t) {
    change_builder_delete(&s->builder, t, ROW("9", NULL));
}

static void add_insert(session_t *s, const struct relation *t) {
    change_builder_insert(&s->builder, t, ROW("1", "z"));
}

static const struct stop {
    const char *on_missing;
    const char *on_exists;
    void (*add)(session_t *, const struct relation *);
    const char *words;
} STOPS[] = {
    {"ignore", "overwrite", add_taken_value, "23505"},
    {"ignore", "overwrite", add_row_that_clashes_twice, "23505"},
    {"ignore", "overwrite", add_update_to_taken_value, "23505"},
    {"insert", "overwrite", add_unchanged, "did not send column \"v\""},
    {"stop", "overwrite", add_update, "pgcdc verify"},
    {"stop", "overwrite", add_delete, "pgcdc verify"},
    {"insert", "stop", add_insert, "23505"},
    {"stop", "stop", add_update, "pgcdc verify"},
};

Test(postgres_conflicts, what_the_policy_does_not_settle_stops_before_its_transaction, .timeout = 300) {
    for (size_t i = 0; i < sizeof STOPS / sizeof *STOPS; i++)
        for (int way = 0; way < WAYS; way++) {
            session_t s;
            start(&s, STOPS[i].on_missing, STOPS[i].on_exists, (enum way) way,
                  "create table t (id int8 primary key, v text unique); insert into t values (1, 'a'), (2, "
                  "'b')");
            const struct relation *t = sink_session_plain(&s);
            change_builder_begin(&s.builder);
            change_builder_insert(&s.builder, t, ROW("50", "before"));
            STOPS[i].add(&s, t);
            change_builder_insert(&s.builder, t, ROW("51", "behind"));
            change_builder_commit(&s.builder);
            cr_expect_not(apply_way(&s, (enum way) way), "%zu %s", i, WAY_NAMES[way]);
            sink_session_expect(&s, ERROR_DATA, WORDS("\"public\".\"t\"", "change 1", STOPS[i].words));
            s.sink->ops->close(s.sink);
            sink_session_expect_text(&s, ROWS, "1=a 2=b");
            sink_session_expect_text(&s, "select end_lsn from pgcdc.position", "0/0");
            if (((struct postgres_sink *) s.sink)->target.policy.on_exists == ON_EXISTS_OVERWRITE)
                sink_session_expect_text(&s, COUNTS, "");
            sink_session_release(&s);
        }
}

/* ---- what goes on ---- */

#define IDS 40u
#define TEXT_BYTES 8

struct rows {
    bool there[IDS];
    char v[IDS][TEXT_BYTES];
};

struct model {
    struct rows source;
    struct rows target;
    uint64_t counts[CONFLICT_KINDS];
    bool inserts; /* on_missing: insert */
};

static void put(struct rows *rows, uint32_t id, const char *v) {
    rows->there[id] = true;
    memmove(rows->v[id], v, TEXT_BYTES);
}

static void do_insert(struct model *model, uint32_t id, const char *v) {
    model->counts[CONFLICT_INSERT_EXISTS] += model->target.there[id];
    put(&model->target, id, v);
}

/* v NULL: unchanged. */
static void do_update(struct model *model, uint32_t id, uint32_t to, const char *v) {
    struct rows *target = &model->target;
    const bool is_missing = !target->there[id];
    model->counts[CONFLICT_UPDATE_MISSING] += is_missing;
    if (is_missing && !model->inserts)
        return;
    model->counts[CONFLICT_UPDATE_EXISTS] += to != id && target->there[to];
    char kept[TEXT_BYTES];
    memcpy(kept, target->v[id], TEXT_BYTES);
    target->there[id] = false;
    put(target, to, v != NULL ? v : kept);
}

static void do_delete(struct model *model, uint32_t id) {
    model->counts[CONFLICT_DELETE_MISSING] += !model->target.there[id];
    model->target.there[id] = false;
}

/* One change that the source could make, into the builder and into the model. */
static void add_change(struct model *model, session_t *s, const struct relation *t, struct random *random) {
    char key[16], to_key[16], v[TEXT_BYTES];
    const uint32_t id = random_below(random, IDS), to = random_below(random, IDS);
    snprintf(key, sizeof key, "%u", id);
    snprintf(to_key, sizeof to_key, "%u", to);
    snprintf(v, sizeof v, "v%u", random_below(random, 10000));
    if (!model->source.there[id]) {
        change_builder_insert(&s->builder, t, ROW(key, v));
        do_insert(model, id, v);
        model->source.there[id] = true;
    } else if (random_below(random, 3) == 0) {
        change_builder_delete(&s->builder, t, ROW(key, NULL));
        do_delete(model, id);
        model->source.there[id] = false;
    } else if (!model->source.there[to] && random_below(random, 4) == 0) {
        change_builder_update(&s->builder, t, ROW(key, NULL), ROW(to_key, v));
        do_update(model, id, to, v);
        model->source.there[id] = false;
        model->source.there[to] = true;
    } else {
        const bool unchanged = model->target.there[id] && random_below(random, 3) == 0;
        change_builder_update(&s->builder, t, NULL, ROW(key, unchanged ? UNCHANGED_TEXT : v));
        do_update(model, id, id, unchanged ? NULL : v);
    }
}

static void fill(struct rows *rows, struct random *random) {
    for (uint32_t id = 0; id < IDS; id++) {
        rows->there[id] = random_below(random, 2) == 0;
        snprintf(rows->v[id], TEXT_BYTES, "t%u", id);
    }
}

static void insert_rows(session_t *s, const struct rows *rows) {
    char sql[128];
    for (uint32_t id = 0; id < IDS; id++)
        if (rows->there[id]) {
            snprintf(sql, sizeof sql, "insert into t values (%u, '%s')", id, rows->v[id]);
            database_execute(s->conn, sql);
        }
}

static void expect_model(session_t *s, const struct model *model) {
    char text[4096] = "";
    size_t size = 0;
    for (uint32_t id = 0; id < IDS; id++)
        if (model->target.there[id])
            size += (size_t) snprintf(text + size, sizeof text - size, "%s%u=%s", size > 0 ? " " : "", id,
                                      model->target.v[id]);
    sink_session_expect_text(s, ROWS, text);
    struct sink_view view;
    cr_assert(s->sink->ops->admin->look(s->sink, &view, &s->err), "%s", s->err.text);
    for (size_t i = 0; i < CONFLICT_KINDS; i++)
        cr_expect_eq(view.conflicts[i], model->counts[i], "%s: %llu, should be %llu",
                     conflict_kind_name((enum conflict_kind) i), (unsigned long long) view.conflicts[i],
                     (unsigned long long) model->counts[i]);
}

static void run_program(struct random *random, enum way way, bool inserts) {
    session_t s;
    struct model model = {.inserts = inserts};
    start(&s, inserts ? "insert" : "ignore", "overwrite", way,
          "create table t (id int8 primary key, v text)");
    const struct relation *t = sink_session_plain(&s);
    fill(&model.source, random);
    fill(&model.target, random);
    insert_rows(&s, &model.target);
    for (uint32_t transactions = 1 + random_below(random, 6); transactions > 0; transactions--) {
        change_builder_begin(&s.builder);
        for (uint32_t changes = 1 + random_below(random, 60); changes > 0; changes--)
            add_change(&model, &s, t, random);
        change_builder_commit(&s.builder);
        cr_assert(apply_way(&s, way), "%s: %s", WAY_NAMES[way], s.err.text);
    }
    s.sink->ops->close(s.sink);
    expect_model(&s, &model);
    sink_session_release(&s);
}

Test(postgres_conflicts, random_programs_end_and_count_as_the_model_does, .timeout = 600) {
    struct random random = random_start("conflicts");
    for (int program = 0; program < 8; program++)
        for (int way = 0; way < WAYS; way++)
            for (int inserts = 0; inserts < 2; inserts++)
                run_program(&random, (enum way) way, inserts != 0);
}

/* ---- single rules ---- */

Test(postgres_conflicts, an_overwritten_row_keeps_what_only_the_target_has) {
    session_t s;
    start(&s, "stop", "overwrite", BY_ROWS,
          "create table t (id int8 primary key, v text, extra int default 7);"
          "insert into t values (1, 'old', 8)");
    change_builder_begin(&s.builder);
    change_builder_insert(&s.builder, sink_session_plain(&s), ROW("1", "new"));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select v || extra from t", "new8");
    sink_session_expect_text(&s, COUNTS, "insert_exists 1");
    sink_session_release(&s);
}

/* The net effect of such a row is nothing, which a set would leave undone. */
Test(postgres_conflicts, a_row_that_comes_and_goes_overwrites_and_deletes_what_was_there) {
    for (int way = 0; way < WAYS; way++) {
        session_t s;
        start(&s, "stop", "overwrite", (enum way) way,
              "create table t (id int8 primary key, v text); insert into t values (1, 'old')");
        const struct relation *t = sink_session_plain(&s);
        change_builder_begin(&s.builder);
        change_builder_insert(&s.builder, t, ROW("1", "new"));
        change_builder_insert(&s.builder, t, ROW("2", "new"));
        change_builder_delete(&s.builder, t, ROW("1", NULL));
        change_builder_commit(&s.builder);
        cr_assert(apply_way(&s, (enum way) way), "%s: %s", WAY_NAMES[way], s.err.text);
        sink_session_expect_text(&s, ROWS, "2=new");
        sink_session_expect_text(&s, COUNTS, "insert_exists 1");
        sink_session_release(&s);
    }
}

/* A trigger may have taken the update away: then the row is there, and nothing may be inserted or ignored. */
Test(postgres_conflicts, a_change_that_a_trigger_took_away_is_no_missing_row) {
    session_t s;
    start(&s, "ignore", "overwrite", BY_ROWS,
          "create table t (id int8 primary key, v text); insert into t values (1, 'a');"
          "create function take() returns trigger language plpgsql as 'begin return null; end';"
          "create trigger taker before update on t for each row execute function take();"
          "alter table t enable always trigger taker");
    change_builder_begin(&s.builder);
    change_builder_update(&s.builder, sink_session_plain(&s), NULL, ROW("1", "b"));
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("taker"));
    sink_session_release(&s);
}

Test(postgres_conflicts, without_a_key_a_missing_row_is_inserted_or_ignored) {
    for (int inserts = 0; inserts < 2; inserts++) {
        session_t s;
        start(&s, inserts ? "insert" : "ignore", "stop", BY_ROWS, "create table t (id int8, v text)");
        const struct relation *t =
            change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_FULL, "id int8, v text");
        change_builder_begin(&s.builder);
        change_builder_update(&s.builder, t, ROW("1", "kept"), ROW("2", UNCHANGED_TEXT));
        change_builder_delete(&s.builder, t, ROW("5", "gone"));
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
        sink_session_expect_text(&s, ROWS, inserts ? "2=kept" : "");
        sink_session_expect_text(&s, COUNTS, "delete_missing 1, update_missing 1");
        sink_session_release(&s);
    }
}

Test(postgres_conflicts, an_option_of_another_value_is_refused) {
    session_t s;
    struct position position;
    sink_session_init(&s, "select 1");
    s.options[1] = (struct sink_option){"on_missing", "skip"};
    s.config.option_count = 2;
    cr_assert_not(s.sink->ops->open(s.sink, &position, &s.err));
    sink_session_expect(&s, ERROR_CONFIG, WORDS("on_missing: expected", "stop, ignore or insert"));
    sink_session_release(&s);
}

/* Both tables go, and pgcdc's schema with them. */
Test(postgres_conflicts, drop_takes_the_counts_along) {
    session_t s;
    start(&s, "ignore", "overwrite", BY_ROWS, "create table t (id int8 primary key, v text)");
    change_builder_begin(&s.builder);
    change_builder_delete(&s.builder, sink_session_plain(&s), ROW("5", NULL));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    s.sink->ops->close(s.sink);
    cr_assert(s.sink->ops->admin->drop(s.sink, &s.err), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) from pg_namespace where nspname = 'pgcdc'", "0");
    sink_session_release(&s);
}
