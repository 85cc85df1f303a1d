/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle_sql.c - one statement settles all places that a statement on the candidates has touched:
 *
 *     changed  what the statement has written and removed
 *     touched  their keys
 *     groups   with dedupe: the values of the expressions that concern them
 *     affected all keys whose rows may have to give way, or may come back
 *     ranked   the candidates of these, in the policy's order
 *     rivals   the best of each key; with dedupe, in the order of their group
 *     losers   what is kept in pgcdc.rejected
 *
 * Each of these is joined with tables only, row by row and by an index ("offset 0" leaves no other way): the
 * planner cannot estimate them, and the session keeps the plan for statements on any number of rows.
 */
#include "sinks/postgres/settle/settle_sql.h"

#include "cdc/pq/identifier.h"
#include "sinks/postgres/settle/settle_parts.h"
#include "sinks/row_mode.h"

#define META                                                                                                 \
    "'{" MODE_NAME_SOURCE "," MODE_NAME_LSN "," MODE_NAME_INDEX "," MODE_NAME_COMMIT_TIME                    \
    ",_pgcdc_holds,_pgcdc_touched,_pgcdc_in_group,_pgcdc_rank,_pgcdc_place"

/* The statement that a trigger is for, and its transition tables. */
struct event {
    const char *name;
    const char *referencing;
    const char *rows; /* the table by which its rows are counted */
    bool has_new;
    bool has_old;
};

static const struct event EVENTS[] = {
    {"insert", "new table as new_rows", "new_rows", true, false},
    {"update", "old table as old_rows new table as new_rows", "new_rows", true, true},
    {"delete", "old table as old_rows", "old_rows", false, true},
};

/* ---- orders ---- */

static void append_list(struct buffer *sql, const struct row_policy *policy) {
    buffer_append_text(sql, "array[");
    for (size_t i = 0; i < policy->source_count; i++) {
        buffer_append_text(sql, i > 0 ? ", " : "");
        literal_append(sql, slice_of(policy->sources[i]));
    }
    buffer_append_text(sql, "]::text[]");
}

/* The mapping writes texts. */
#define LSN "c." MODE_NAME_LSN "::pg_lsn"
#define INDEX "c." MODE_NAME_INDEX "::bigint"
#define TIME "c." MODE_NAME_COMMIT_TIME "::timestamptz"

#define OLDEST_FIRST                                                                                         \
    TIME " nulls first, c." MODE_NAME_SOURCE " collate \"C\", " LSN " nulls first, " INDEX " nulls first"
#define NEWEST_FIRST                                                                                         \
    TIME " desc nulls last, c." MODE_NAME_SOURCE " collate \"C\" desc, " LSN " desc nulls last, " INDEX      \
         " desc nulls last"
#define HOLDS "coalesce(t." MODE_NAME_SOURCE " = c." MODE_NAME_SOURCE ", false)"

/* Of the candidates c of a key, whose place t is. A row that was copied is older than all others. */
static void append_clash_order(struct buffer *sql, const struct row_policy *policy) {
    switch (policy->on_clash) {
    case CLASH_FIRST:
        buffer_append_text(sql, HOLDS " desc, " OLDEST_FIRST);
        break;
    case CLASH_LAST_COMMIT:
        buffer_append_text(sql, NEWEST_FIRST);
        break;
    case CLASH_BY_SOURCE:
        buffer_append_text(sql, "array_position(");
        append_list(sql, policy);
        buffer_append_text(sql, ", c." MODE_NAME_SOURCE ") nulls last, c." MODE_NAME_SOURCE " collate \"C\"");
        break;
    case CLASH_STOPS:
    case CLASH_ORDERS:
        buffer_append_text(sql, "c." MODE_NAME_SOURCE " collate \"C\"");
        break;
    }
}

static void append_group_order(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql,
                       settled->policy->keeps_last ? NEWEST_FIRST : "c._pgcdc_holds desc, " OLDEST_FIRST);
    for (int row = 0; row < PQntuples(settled->columns); row++)
        if (settled_is_key(settled, row)) {
            buffer_append_text(sql, ", ");
            settle_append_column(sql, settled, row, "c.");
            buffer_append_text(sql, settled->policy->keeps_last ? " desc" : "");
        }
}

/* ---- the statement ---- */

static void append_changed(struct buffer *sql, const struct settled *settled, const struct event *event) {
    static const char *const ROWS[] = {"new_rows", "old_rows"};
    const bool has[] = {event->has_new, event->has_old};
    const char *glue = "with changed as materialized (select ";
    for (size_t i = 0; i < 2; i++) {
        if (!has[i])
            continue;
        buffer_append_text(sql, glue);
        settle_append_keys(sql, settled, "");
        buffer_append_text(sql, settled_has_groups(settled) ? ", " : "");
        settle_append_by(sql, settled, "", "", ", ");
        buffer_append_text(sql, " from ");
        settle_append_rows(sql, settled, ROWS[i]);
        buffer_append_text(sql, " c");
        glue = " union all select ";
    }
    buffer_append_text(sql, "), touched as materialized (select distinct ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, " from changed)");
    if (settled_has_groups(settled))
        return;
    buffer_append_text(sql, ", affected as materialized (select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ", true as touched, null::text[] as members from touched)");
}

static void append_groups(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, ", groups as materialized (select distinct ");
    settle_append_by(sql, settled, "", "", ", ");
    buffer_append_text(sql, " from (select ");
    settle_append_by(sql, settled, "", "", ", ");
    buffer_append_text(sql, " from changed union all select ");
    settle_append_by(sql, settled, "c.", "", ", ");
    buffer_append_text(sql, " from touched k");
    settle_append_lookup(sql, settled, false);
    buffer_append_text(sql, ") x where ");
    settle_append_by(sql, settled, "", " is not null", " and ");
    buffer_append_text(sql, "), affected as materialized (select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ", bool_or(touched) as touched, array_agg(member) as members from (select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ", true as touched, null as member from touched union all select ");
    settle_append_keys(sql, settled, "c.");
    buffer_append_text(sql, ", false, c." MODE_NAME_SOURCE " from groups g");
    settle_append_lookup(sql, settled, true);
    buffer_append_text(sql, ") x group by ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ")");
}

static void append_ranked(struct buffer *sql, const struct settled *settled) {
    const bool asks_place = row_policy_is_ordered(settled->policy);
    buffer_printf(sql,
                  ", ranked as materialized (select c.*, %s as _pgcdc_holds, k.touched as _pgcdc_touched,"
                  " coalesce(c." MODE_NAME_SOURCE " = any (k.members), false) as _pgcdc_in_group,"
                  " row_number() over (partition by ",
                  asks_place ? HOLDS : "false");
    settle_append_keys(sql, settled, "c.");
    buffer_append_text(sql, " order by ");
    append_clash_order(sql, settled->policy);
    buffer_append_text(sql, ") as _pgcdc_rank from affected k");
    settle_append_lookup(sql, settled, false);
    if (asks_place) {
        buffer_append_text(sql, " left join lateral ");
        settle_append_place(sql, settled);
        buffer_append_text(sql, " on true");
    }
    buffer_append_text(sql, ")");
}

static void append_rivals(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, ", rivals as materialized (select c.*, ");
    if (settled_has_groups(settled)) {
        buffer_append_text(sql, "case when ");
        settle_append_by(sql, settled, "c.", " is not null", " and ");
        buffer_append_text(sql, " then row_number() over (partition by ");
        settle_append_by(sql, settled, "c.", "", ", ");
        buffer_append_text(sql, " order by ");
        append_group_order(sql, settled);
        buffer_append_text(sql, ") else 1 end");
    } else {
        buffer_append_text(sql, "1");
    }
    buffer_append_text(sql, " as _pgcdc_place from ranked c where c._pgcdc_rank = 1 and (c._pgcdc_touched or"
                            " c._pgcdc_in_group))");
}

static void append_lost(struct buffer *sql, const struct settled *settled, const char *reason,
                        const char *from) {
    buffer_append_text(sql, "select ");
    settle_append_key_object(sql, settled, "c.");
    buffer_printf(sql, " as key, c." MODE_NAME_SOURCE " as source, '%s' as reason, to_jsonb(c) - " META,
                  reason);
    settle_append_by(sql, settled, ",", "", "");
    buffer_printf(sql, "}'::text[] as row, " LSN " as lsn, " INDEX " as index, " TIME " as time from %s",
                  from);
}

static void append_losers(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, ", losers as materialized (");
    append_lost(sql, settled, "clash", "ranked c where c._pgcdc_rank > 1 and c._pgcdc_touched");
    if (settled_has_groups(settled)) {
        buffer_append_text(sql, " union all ");
        append_lost(sql, settled, "duplicate", "rivals c where c._pgcdc_place > 1");
    }
    buffer_append_text(sql, ")");
}

static void append_of_table(struct buffer *sql, const struct settled *settled, const char *alias) {
    buffer_printf(sql, "%sschema_name = ", alias);
    literal_append(sql, slice_of(settled->schema));
    buffer_printf(sql, " and %stable_name = ", alias);
    literal_append(sql, slice_of(settled->table));
}

/* Of a key that was not touched, only its best row can come back: one that a group had set aside. */
static void append_returned(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql,
                       ", coming as materialized (select r.ctid as place from (select key, bool_or(whole) "
                       "as whole, array_agg(loser) as losers from (select ");
    settle_append_key_object(sql, settled, "c.");
    buffer_append_text(sql, " as key, true as whole, null as loser from changed c union all select ");
    settle_append_key_object(sql, settled, "c.");
    buffer_append_text(sql, ", c._pgcdc_touched, null from ranked c where c._pgcdc_touched or"
                            " (c._pgcdc_rank = 1 and c._pgcdc_in_group)"
                            " union all select l.key, false, l.source from losers l) x"
                            " where (select exists (select from pgcdc.rejected where ");
    append_of_table(sql, settled, "");
    buffer_append_text(sql, ")) group by key) s cross join lateral (select r.ctid, r.reason, r.source from "
                            "pgcdc.rejected r where ");
    append_of_table(sql, settled, "r.");
    buffer_append_text(sql, " and r.key = s.key offset 0) r where (s.whole or r.reason = 'duplicate')"
                            " and not coalesce(r.source = any (s.losers), false)), returned as (delete from "
                            "pgcdc.rejected r where r.ctid = any (array(select place from coming)))");
}

static void append_set_aside(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql,
                       ", set_aside as (insert into pgcdc.rejected (schema_name, table_name, key, source, "
                       "reason, row, commit_lsn, commit_index, commit_time) select ");
    literal_append(sql, slice_of(settled->schema));
    buffer_append_text(sql, ", ");
    literal_append(sql, slice_of(settled->table));
    buffer_append_text(sql, ", l.key, l.source, l.reason, l.row, l.lsn, l.index, l.time from losers l"
                            " on conflict (schema_name, table_name, key, source) do update set reason = "
                            "excluded.reason, row = excluded.row, commit_lsn = excluded.commit_lsn,"
                            " commit_index = excluded.commit_index, commit_time = excluded.commit_time)");
}

static void append_gone(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, ", leaving as materialized (select t.ctid as place from (select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, " from (select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ", false as stays from touched union all select ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ", _pgcdc_place = 1 from rivals) x group by ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, " having not bool_or(stays)) k cross join lateral ");
    settle_append_place(sql, settled);
    buffer_append_text(sql, "), gone as (delete from ");
    settle_append_table(sql, settled);
    buffer_append_text(sql, " t where t.ctid = any (array(select place from leaving)) returning 1)");
}

static void append_conflict(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, " on conflict (");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, ") do update set (");
    settle_append_all(sql, settled, "");
    buffer_append_text(sql, ") = row(");
    settle_append_all(sql, settled, "excluded.");
    buffer_append_text(sql, ") where row(");
    settle_append_all(sql, settled, "t.");
    buffer_append_text(sql, ")::record *<> row(");
    settle_append_all(sql, settled, "excluded.");
    buffer_append_text(sql, ")::record");
}

static void append_insert(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, " insert into ");
    settle_append_table(sql, settled);
    buffer_append_text(sql, " as t (");
    settle_append_all(sql, settled, "");
    buffer_append_text(sql, ") select ");
    settle_append_all(sql, settled, "v.");
}

/* Rows that go are gone before others take their place: the table may have more unique indexes. */
static void append_upsert(struct buffer *sql, const struct settled *settled, bool has_gone) {
    append_insert(sql, settled);
    buffer_append_text(sql, " from rivals v where v._pgcdc_place = 1");
    if (has_gone)
        buffer_append_text(sql, " and (select count(*) from gone) >= 0");
    append_conflict(sql, settled);
}

static void append_settling(struct buffer *sql, const struct settled *settled, const struct event *event) {
    const bool has_gone = event->has_old || settled_has_groups(settled);
    append_changed(sql, settled, event);
    if (settled_has_groups(settled))
        append_groups(sql, settled);
    append_ranked(sql, settled);
    append_rivals(sql, settled);
    append_losers(sql, settled);
    append_returned(sql, settled);
    append_set_aside(sql, settled);
    if (has_gone)
        append_gone(sql, settled);
    append_upsert(sql, settled, has_gone);
}

/* ---- what stops ---- */

static void append_stop(struct buffer *sql, const char *sqlstate, const char *problem) {
    buffer_printf(sql, " raise exception using errcode = '%s', message = '%s'; end if;\n", sqlstate, problem);
}

static void append_own_row(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, "if exists (select from (select distinct ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, " from new_rows) k cross join lateral ");
    settle_append_place(sql, settled);
    buffer_append_text(sql, " where t." MODE_NAME_SOURCE " is null) then");
    append_stop(sql, "PC002", "the target has a row of its own with this key");
}

static void append_clash(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, "if exists (select from (select distinct ");
    settle_append_keys(sql, settled, "");
    buffer_append_text(sql, " from new_rows) k where (select count(*) from ");
    settle_append_candidates(sql, settled);
    buffer_append_text(sql, " c where ");
    settle_append_same_key(sql, settled, "c.", "k.");
    buffer_append_text(sql, ") > 1) then");
    append_stop(sql, "PC001", "two sources have a row with this key");
}

/* ---- rows without rivals ---- */

/* "(select ... from new_rows union all select ... from old_rows)", with the source. */
static void append_written(struct buffer *sql, const struct settled *settled, const struct event *event) {
    static const char *const ROWS[] = {"new_rows", "old_rows"};
    const bool has[] = {event->has_new, event->has_old};
    const char *glue = "(select ";
    for (size_t i = 0; i < 2; i++) {
        if (!has[i])
            continue;
        buffer_append_text(sql, glue);
        settle_append_keys(sql, settled, "");
        settle_append_by(sql, settled, ", ", "", "");
        buffer_append_text(sql, ", " MODE_NAME_SOURCE " from ");
        settle_append_rows(sql, settled, ROWS[i]);
        buffer_append_text(sql, " c");
        glue = " union all select ";
    }
    buffer_append_text(sql, ")");
}

/*
 * No row of another source has one of the keys, and no other row is in one of the groups. Rows of a statement
 * must not have been rivals either: they are of one source, or with dedupe one row.
 */
static void append_is_alone(struct buffer *sql, const struct settled *settled, const struct event *event) {
    buffer_printf(sql,
                  settled_has_groups(settled) ? "(select count(*) from (select from %s limit 2) x) = 1"
                                              : "(select min(" MODE_NAME_SOURCE ") = max(" MODE_NAME_SOURCE
                                                ") from %s)",
                  event->rows);
    buffer_append_text(sql, " and not exists (select from ");
    append_written(sql, settled, event);
    buffer_append_text(sql, " k");
    settle_append_lookup(sql, settled, false);
    buffer_append_text(sql, " where c." MODE_NAME_SOURCE " <> k." MODE_NAME_SOURCE ")");
    if (!settled_has_groups(settled))
        return;
    buffer_append_text(sql, " and not exists (select from ");
    append_written(sql, settled, event);
    buffer_append_text(sql, " g");
    settle_append_lookup(sql, settled, true);
    buffer_append_text(sql, " where not (");
    settle_append_same_key(sql, settled, "c.", "g.");
    buffer_append_text(sql, "))");
}

/* They are what the table has, and nothing of them is rejected. */
static void append_alone(struct buffer *sql, const struct settled *settled, const struct event *event) {
    buffer_append_text(sql, "if ");
    append_is_alone(sql, settled, event);
    buffer_append_text(sql, " then\n");
    if (event->has_old) {
        buffer_append_text(sql, "delete from ");
        settle_append_table(sql, settled);
        buffer_append_text(sql,
                           " t where t.ctid = any (array(select t.ctid from old_rows k cross join lateral ");
        settle_append_place(sql, settled);
        buffer_append_text(sql, " where (select count(*) from ");
        settle_append_candidates(sql, settled);
        buffer_append_text(sql, " c where ");
        settle_append_same_key(sql, settled, "c.", "k.");
        buffer_append_text(sql, ") = 0));\n");
    }
    if (event->has_new) {
        append_insert(sql, settled);
        buffer_append_text(sql, " from new_rows v");
        append_conflict(sql, settled);
        buffer_append_text(sql, ";\n");
    }
    buffer_append_text(sql, "return null;\nend if;\n");
}

/* ---- the function ---- */

static void append_event(struct buffer *sql, const struct settled *settled, const struct event *event) {
    buffer_printf(sql,
                  "if lower(tg_op) = '%s' then\n"
                  "if not exists (select from %s) then return null; end if;\n"
                  "perform pg_advisory_xact_lock(7165066, tg_relid::int4);\n",
                  event->name, event->rows);
    if (event->has_new)
        append_own_row(sql, settled);
    append_alone(sql, settled, event);
    if (event->has_new && settled->policy->on_clash == CLASH_STOPS)
        append_clash(sql, settled);
    append_settling(sql, settled, event);
    buffer_append_text(sql, ";\nend if;\n");
}

void settle_sql_head(struct buffer *sql, const struct settled *settled) {
    const struct row_policy *policy = settled->policy;
    buffer_printf(sql, "\n-- %s", clash_order_word(policy->on_clash));
    for (size_t i = 0; i < policy->source_count; i++) {
        buffer_append_text(sql, " ");
        identifier_append_printable(sql, slice_of(policy->sources[i]));
    }
    for (size_t i = 0; i < policy->by_count; i++) {
        buffer_append_text(sql, i == 0 ? " by " : ", ");
        identifier_append_printable(sql, slice_of(policy->by[i]));
    }
    buffer_printf(sql, " %s\n", policy->by_count == 0 ? "" : policy->keeps_last ? "last_commit" : "first");
}

void settle_sql_body(struct buffer *sql, const struct settled *settled) {
    settle_sql_head(sql, settled);
    buffer_append_text(sql, "begin\n");
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
        append_event(sql, settled, &EVENTS[i]);
    buffer_append_text(sql, "return null;\nend\n");
}

void settle_sql_key(struct buffer *sql, const struct settled *settled) {
    settle_append_keys(sql, settled, "");
}

static bool is_repeated_schema(const struct settled *settled, int row) {
    const char *schema = PQgetvalue(settled->columns, row, SETTLED_TYPE_SCHEMA);
    bool is_there = strcmp(schema, "pg_catalog") == 0;
    for (int before = 0; before < row; before++)
        is_there = is_there || strcmp(PQgetvalue(settled->columns, before, SETTLED_TYPE_SCHEMA), schema) == 0;
    return is_there;
}

/* Operators are found by their names: those of a type are in its schema. */
void settle_sql_function(struct buffer *sql, const struct settled *settled, struct slice body) {
    buffer_append_text(sql, "create or replace function ");
    settle_append_candidates(sql, settled);
    buffer_append_text(sql, "() returns trigger language plpgsql set search_path = pg_catalog");
    for (int row = 0; row < PQntuples(settled->columns); row++)
        if (!is_repeated_schema(settled, row)) {
            buffer_append_text(sql, ", ");
            identifier_append(sql, slice_of(PQgetvalue(settled->columns, row, SETTLED_TYPE_SCHEMA)));
        }
    buffer_append_text(sql, " set enable_hashjoin = off set enable_mergejoin = off set enable_nestloop = on"
                            " set enable_indexscan = on set enable_seqscan = off set jit = off as ");
    literal_append(sql, body);
}

void settle_sql_triggers(struct buffer *sql, const struct settled *settled) {
    const bool is_ordered = row_policy_is_ordered(settled->policy);
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++) {
        const char *const names[] = {"_pgcdc_settle_", "_pgcdc_order_"};
        for (size_t k = 0; k < 2; k++) {
            buffer_printf(sql, "drop trigger if exists %s%s on ", names[k], EVENTS[i].name);
            settle_append_candidates(sql, settled);
            buffer_append_text(sql, "; ");
        }
        buffer_printf(sql, "create trigger %s%s after %s on ", names[is_ordered], EVENTS[i].name,
                      EVENTS[i].name);
        settle_append_candidates(sql, settled);
        buffer_printf(sql, " referencing %s for each statement execute function ", EVENTS[i].referencing);
        settle_append_candidates(sql, settled);
        buffer_append_text(sql, "(); alter table ");
        settle_append_candidates(sql, settled);
        buffer_printf(sql, " enable always trigger %s%s; ", names[is_ordered], EVENTS[i].name);
    }
}
