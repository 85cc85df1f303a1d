/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_rows.c - writes the query.
 *
 * A life of a row begins with c or r, or with an u that has moved it here from another key: then a d of that
 * key has the same place. The values of a life are needed only where its last event lacks some; then those of
 * the lives that it has moved from, too, as far back as values were not sent.
 *
 *     events   the keys and places of all events, with the number of their life in the key
 *     lives    of rows whose last event lacks values: this life, and the ones before
 *     places   for each such row and column: the place of the last event that has the value
 *
 * Names that begin with _pgcdc_ are no names of columns of the source.
 */
#include "sinks/postgres/verify/log_rows.h"

#include "cdc/pq/identifier.h"
#include "sinks/row_mode.h"

#define PLACE MODE_NAME_LSN ", " MODE_NAME_INDEX
#define ORDER PLACE ", " MODE_NAME_OP

/* The events that count. */
static void append_events(struct buffer *sql, const struct log_rows *log) {
    const char *owned_sql = log->owned_sql != NULL ? log->owned_sql : "true";
    buffer_printf(sql,
                  "(select * from %s where (%s) and " MODE_NAME_OP " <> 't' and coalesce((" PLACE
                  ") > (select " PLACE " from %s where (%s) and " MODE_NAME_OP
                  " = 't' order by 1 desc, 2 desc limit 1), true))",
                  log->from, owned_sql, log->from, owned_sql);
}

/* For each column of the key: before, its number, middle; and after and the number again, if there is one. */
static void append_for_keys(struct buffer *sql, const struct log_rows *log, const char *separator,
                            const char *before, const char *middle, const char *after) {
    size_t number = 0;
    for (size_t i = 0; i < log->count; i++) {
        if (!log->in_key[i])
            continue;
        buffer_printf(sql, "%s%s%zu%s", number > 0 ? separator : "", before, number, middle);
        if (after != NULL)
            buffer_printf(sql, "%s%zu", after, number);
        number++;
    }
}

static void append_keys(struct buffer *sql, const struct log_rows *log, const char *prefix) {
    append_for_keys(sql, log, ", ", prefix, "", NULL);
}

static void append_same_keys(struct buffer *sql, const struct log_rows *log, const char *one,
                             const char *other) {
    append_for_keys(sql, log, " and ", one, " = ", other);
}

/* ---- the parts ---- */

static void append_key_columns(struct buffer *sql, const struct log_rows *log) {
    size_t number = 0;
    for (size_t i = 0; i < log->count; i++) {
        if (!log->in_key[i])
            continue;
        buffer_append_text(sql, number > 0 ? ", " : "");
        identifier_append(sql, slice_of(log->names[i]));
        buffer_printf(sql, " as _pgcdc_k%zu", number++);
    }
}

static void append_all_events(struct buffer *sql, const struct log_rows *log) {
    buffer_append_text(sql, "_pgcdc_events as materialized (select *, count(*) filter (where " MODE_NAME_OP
                            " in ('c', 'r') or _pgcdc_moved) over _pgcdc_w as _pgcdc_life, lead(" MODE_NAME_OP
                            ") over _pgcdc_w is null as _pgcdc_last from (select ");
    append_key_columns(sql, log);
    buffer_append_text(sql,
                       ", " ORDER ", " MODE_NAME_UNCHANGED ", " MODE_NAME_OP
                       " = 'u' and coalesce(lag(" MODE_NAME_OP ") over _pgcdc_w = 'd' and lag(" MODE_NAME_LSN
                       ") over _pgcdc_w = " MODE_NAME_LSN " and lag(" MODE_NAME_INDEX
                       ") over _pgcdc_w = " MODE_NAME_INDEX ", false) as _pgcdc_moved from ");
    append_events(sql, log);
    buffer_append_text(sql, " _pgcdc_e window _pgcdc_w as (order by " ORDER
                            ")) _pgcdc_e window _pgcdc_w as (partition by ");
    append_keys(sql, log, "_pgcdc_k");
    buffer_append_text(sql, " order by " ORDER "))");
}

/* _pgcdc_r: the key that the row has now. */
static void append_lives(struct buffer *sql, const struct log_rows *log) {
    buffer_append_text(sql, ", _pgcdc_lives as (select ");
    append_for_keys(sql, log, ", ", "_pgcdc_k", " as ", "_pgcdc_r");
    buffer_append_text(sql, ", ");
    append_keys(sql, log, "_pgcdc_k");
    buffer_append_text(sql, ", _pgcdc_life from _pgcdc_events where _pgcdc_last and " MODE_NAME_OP
                            " <> 'd' and " MODE_NAME_UNCHANGED " is not null union all select ");
    append_keys(sql, log, "_pgcdc_l._pgcdc_r");
    buffer_append_text(sql, ", ");
    append_keys(sql, log, "_pgcdc_d._pgcdc_k");
    buffer_append_text(sql,
                       ", _pgcdc_d._pgcdc_life from _pgcdc_lives _pgcdc_l join _pgcdc_events _pgcdc_u on ");
    append_same_keys(sql, log, "_pgcdc_u._pgcdc_k", "_pgcdc_l._pgcdc_k");
    buffer_append_text(sql,
                       " and _pgcdc_u._pgcdc_life = _pgcdc_l._pgcdc_life and _pgcdc_u._pgcdc_moved and "
                       "_pgcdc_u." MODE_NAME_UNCHANGED " is not null join _pgcdc_events _pgcdc_d on "
                       "_pgcdc_d." MODE_NAME_LSN " = _pgcdc_u." MODE_NAME_LSN " and _pgcdc_d." MODE_NAME_INDEX
                       " = _pgcdc_u." MODE_NAME_INDEX " and _pgcdc_d." MODE_NAME_OP " = 'd')");
}

static void append_is_unsent(struct buffer *sql, const char *name, const char *names) {
    literal_append(sql, slice_of(name));
    buffer_printf(sql, " = any (%s)", names);
}

static void append_places(struct buffer *sql, const struct log_rows *log) {
    buffer_append_text(sql, ", _pgcdc_places as (select ");
    append_keys(sql, log, "_pgcdc_l._pgcdc_r");
    for (size_t i = 0; i < log->count; i++) {
        if (log->in_key[i])
            continue;
        buffer_append_text(sql, ", max(array[_pgcdc_e." MODE_NAME_LSN
                                " - '0/0'::pg_catalog.pg_lsn, _pgcdc_e." MODE_NAME_INDEX
                                "::numeric]) filter (where not ");
        append_is_unsent(sql, log->names[i], "coalesce(_pgcdc_e." MODE_NAME_UNCHANGED ", '{}')");
        buffer_printf(sql, ") as _pgcdc_p%zu", i);
    }
    buffer_append_text(sql, " from _pgcdc_lives _pgcdc_l join _pgcdc_events _pgcdc_e on ");
    append_same_keys(sql, log, "_pgcdc_e._pgcdc_k", "_pgcdc_l._pgcdc_k");
    buffer_append_text(sql, " and _pgcdc_e._pgcdc_life = _pgcdc_l._pgcdc_life where _pgcdc_e." MODE_NAME_OP
                            " <> 'd' group by ");
    append_keys(sql, log, "_pgcdc_l._pgcdc_r");
    buffer_append_text(sql, ")");
}

/* ---- the rows ---- */

/* What was not sent is in the event at the place. */
static void append_filled(struct buffer *sql, const struct log_rows *log, size_t i) {
    const char *owned_sql = log->owned_sql != NULL ? log->owned_sql : "true";
    buffer_append_text(sql, "case when ");
    append_is_unsent(sql, log->names[i], "_pgcdc_e." MODE_NAME_UNCHANGED);
    buffer_append_text(sql, " then (select ");
    identifier_append(sql, slice_of(log->names[i]));
    buffer_printf(sql,
                  " from %s where (%s) and " MODE_NAME_LSN
                  " = '0/0'::pg_catalog.pg_lsn + _pgcdc_p%zu[1] and " MODE_NAME_INDEX
                  " = _pgcdc_p%zu[2]::bigint and " MODE_NAME_OP " <> 'd' limit 1) else _pgcdc_e.",
                  log->from, owned_sql, i, i);
    identifier_append(sql, slice_of(log->names[i]));
    buffer_append_text(sql, " end as ");
    identifier_append(sql, slice_of(log->names[i]));
}

static void append_values(struct buffer *sql, const struct log_rows *log) {
    for (size_t i = 0; i < log->count; i++) {
        buffer_append_text(sql, i > 0 ? ", " : "");
        if (!log->in_key[i]) {
            append_filled(sql, log, i);
            continue;
        }
        buffer_append_text(sql, "_pgcdc_e.");
        identifier_append(sql, slice_of(log->names[i]));
    }
}

static void append_last_rows(struct buffer *sql, const struct log_rows *log) {
    buffer_append_text(sql, "(with recursive ");
    append_all_events(sql, log);
    append_lives(sql, log);
    append_places(sql, log);
    buffer_append_text(sql, " select ");
    append_values(sql, log);
    buffer_append_text(sql, " from _pgcdc_events _pgcdc_n join ");
    append_events(sql, log);
    buffer_append_text(sql, " _pgcdc_e on _pgcdc_e." MODE_NAME_LSN " = _pgcdc_n." MODE_NAME_LSN
                            " and _pgcdc_e." MODE_NAME_INDEX " = _pgcdc_n." MODE_NAME_INDEX
                            " and _pgcdc_e." MODE_NAME_OP " = _pgcdc_n." MODE_NAME_OP
                            " left join _pgcdc_places _pgcdc_s on ");
    append_same_keys(sql, log, "_pgcdc_s._pgcdc_r", "_pgcdc_n._pgcdc_k");
    buffer_append_text(sql, " where _pgcdc_n._pgcdc_last and _pgcdc_n." MODE_NAME_OP " <> 'd')");
}

static void append_weighed_rows(struct buffer *sql, const struct log_rows *log) {
    buffer_append_text(sql, "(select *, case " MODE_NAME_OP " when 'd' then -1 else 1 end as " LOG_ROWS_WEIGHT
                            " from ");
    append_events(sql, log);
    buffer_append_text(sql, " _pgcdc_e)");
}

void log_rows_append(struct buffer *sql, const struct log_rows *log) {
    if (log->is_keyed)
        append_last_rows(sql, log);
    else
        append_weighed_rows(sql, log);
    buffer_append_text(sql, " _pgcdc_rows");
}
