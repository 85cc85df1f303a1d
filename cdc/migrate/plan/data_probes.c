/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_probes.c - which tables could have rows that the target refuses.
 */
#include "cdc/migrate/plan/data.h"
#include "cdc/migrate/plan/inventory_sql.h"

/* clang-format off */
/* A name that a terminal would not show as it is becomes U&"a\000ab", as identifier_append_printable does. */
#define QUOTED(NAME)                                                                                         \
    "(case when " NAME "::text ~ '[\\x01-\\x1f\\x7f]' then 'U&\"' || (select string_agg(case when"           \
    " ascii(ch) < 32"                                                                                        \
    " or ascii(ch) = 127 then '\\' || lpad(to_hex(ascii(ch)), 4, '0') when ch in ('\"', '\\') then ch || ch" \
    " else ch end, '' order by o) from regexp_split_to_table(" NAME "::text, '') with ordinality r (ch, o))" \
    " || '\"' else '\"' || replace(" NAME "::text, '\"', '\"\"') || '\"' end)"
#define COLUMN(NAME) "'t.' || " QUOTED(NAME)
#define MOVED                                                                                                \
    "unnest($1::oid[]) moved join pg_class c on c.oid = moved join pg_namespace n on n.oid = c.relnamespace"
/* A partition is examined with its root. */
#define OF_ROOT "not (c.relispartition and pg_partition_root(c.oid)::oid = any($1::oid[]))"
#define COLUMNS_OF(RELATION, NUMBERS, ALIAS)                                                                 \
    "unnest(" NUMBERS ") with ordinality " ALIAS " (number, place) join pg_attribute " ALIAS "a on "         \
    ALIAS "a.attrelid = " RELATION " and " ALIAS "a.attnum = " ALIAS ".number"

static const char ORPHANS[] =
    "select n.nspname, c.relname, o.conname, (select string_agg(" COLUMN("ka.attname") " || ' is not null',"
    " ' and ')"
    " from " COLUMNS_OF("c.oid", "o.conkey", "k") ") || ' and not exists (select from ' || "
    QUOTED("fn.nspname")
    " || '.' || " QUOTED("f.relname") " || ' f where ' || (select string_agg('f.' || " QUOTED("fa.attname")
    " || ' = ' || " COLUMN("ka.attname") ", ' and ') from " COLUMNS_OF("c.oid", "o.conkey", "k")
    " join unnest(o.confkey) with ordinality fk (number, place) on fk.place = k.place join pg_attribute fa"
    " on fa.attrelid = f.oid and fa.attnum = fk.number) || ')', null from " MOVED
    " join pg_constraint o on o.conrelid = c.oid and o.contype = 'f' and not o.convalidated"
    " join pg_class f on f.oid = o.confrelid join pg_namespace fn on fn.oid = f.relnamespace order by 1, 2,"
    " 3";

static const char BROKEN_CHECKS[] =
    "select n.nspname, c.relname, o.conname, 'not (' || pg_get_expr(o.conbin, c.oid) || ')', null from " MOVED
    " join pg_constraint o on o.conrelid = c.oid and o.contype = 'c' and not o.convalidated"
    " and o.conparentid = 0 order by 1, 2, 3";

#define NOT_NULL(NAME, FROM) "(select string_agg(" COLUMN(NAME) " || ' is not null', ' and ') from " FROM ")"

/* An index that was not built, as with create index concurrently: the target builds it anew. */
static const char UNBUILT_KEYS[] =
    "select n.nspname, c.relname, x.relname, " NOT_NULL("ka.attname", COLUMNS_OF("c.oid",
    "i.indkey::int2[]", "k"))
    ", (select string_agg(" COLUMN("ka.attname") ", ', ' order by k.place) from "
    COLUMNS_OF("c.oid", "i.indkey::int2[]", "k") " where k.place <= i.indnkeyatts) from " MOVED
    " join pg_index i on i.indrelid = c.oid and i.indisunique and not i.indisvalid and i.indpred is null"
    " and i.indexprs is null join pg_class x on x.oid = i.indexrelid and x.relkind = 'i' order by 1, 2, 3";

static const char TARGET_KEYS[] =
    "select coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'key', x.relname,"
    " 'columns', (select jsonb_agg(ka.attname order by k.place) from "
    COLUMNS_OF("c.oid", "i.indkey::int2[]", "k") " where k.place <= i.indnkeyatts))), '[]')::text"
    " from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace"
    " join pg_class x on x.oid = i.indexrelid where i.indisunique and i.indpred is null"
    " and i.indexprs is null and " IS_USER_SCHEMA("n");

/* Those of whose columns no key of the source makes the values unique already. */
static const char NEW_KEYS[] =
    "select n.nspname, c.relname, g.key, (select string_agg(" COLUMN("v") " || ' is not null', ' and ')"
    " from jsonb_array_elements_text(g.columns) v), (select string_agg(" COLUMN("v") ", ', ')"
    " from jsonb_array_elements_text(g.columns) v) from " MOVED
    " join jsonb_to_recordset($2::jsonb) g (schema name, name name, key name, columns jsonb)"
    " on g.schema = n.nspname and g.name = c.relname where " OF_ROOT
    " and not exists (select from jsonb_array_elements_text(g.columns) v where not exists (select from"
    "  pg_attribute a where a.attrelid = c.oid and a.attname = v and a.attnum > 0 and not a.attisdropped))"
    " and not exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid"
    "  and i.indpred is null and i.indexprs is null and not exists (select from "
    COLUMNS_OF("c.oid", "i.indkey::int2[]", "k") " where k.place <= i.indnkeyatts"
    "  and not g.columns ? ka.attname::text)) order by 1, 2, 3";

static const char TARGET_COLUMNS[] =
    "select coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'column',"
    " a.attname,"
    " 'type', t.typname, 'size', a.atttypmod - 4, 'required', a.attnotnull)), '[]')::text"
    " from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace"
    " join pg_type t on t.oid = a.atttypid where c.relkind in ('r', 'p') and a.attnum > 0 and not"
    " a.attisdropped"
    " and (a.attnotnull or t.oid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)"
    "  or t.oid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod > 4) and " IS_USER_SCHEMA("n");

#define GIVEN_COLUMNS                                                                                        \
    MOVED " join jsonb_to_recordset($2::jsonb) g (schema name, name name, \"column\" name, type name,"       \
    " size int, required bool) on g.schema = n.nspname and g.name = c.relname join pg_attribute a"           \
    " on a.attrelid = c.oid and a.attname = g.column and not a.attisdropped where " OF_ROOT

static const char NULLS[] =
    "select n.nspname, c.relname, a.attname, " COLUMN("a.attname") " || ' is null', null from " GIVEN_COLUMNS
    " and g.required and not a.attnotnull order by 1, 2, 3";

#define BETWEEN(LEAST, MOST) COLUMN("a.attname") " || ' not between " LEAST " and " MOST "'"

static const char RANGES[] =
    "select n.nspname, c.relname, a.attname, case g.type when 'int2' then " BETWEEN("-32768", "32767")
    " when 'int4' then " BETWEEN("-2147483648", "2147483647")
    " when 'int8' then " BETWEEN("-9223372036854775808", "9223372036854775807")
    " else 'char_length(' || " COLUMN("a.attname") " || ') > ' || g.size end, null from " GIVEN_COLUMNS
    " and case g.type when 'int2' then a.atttypid in ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype)"
    "  when 'int4' then a.atttypid in ('int8'::regtype, 'numeric'::regtype)"
    "  when 'int8' then a.atttypid = 'numeric'::regtype"
    "  when 'varchar' then a.atttypid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)"
    "   and (a.atttypmod < 4 or a.atttypmod - 4 > g.size)"
    "  when 'bpchar' then a.atttypid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)"
    "   and (a.atttypmod < 4 or a.atttypmod - 4 > g.size) end order by 1, 2, 3";

static const char TARGET_ENCODING[] =
    "select pg_encoding_to_char(encoding)::text from pg_database where datname = current_database()";

/* UTF-8 in hexadecimal digits. */
#define IS_UTF8                                                                                              \
    "^([0-7].|(c[2-9a-f]|d.)[89ab].|e0[ab].[89ab].|(e[1-9a-cef]([89ab].){2})|ed[89].[89ab]."                 \
    "|f0[9ab].([89ab].){2}|f[1-3]([89ab].){3}|f48.([89ab].){2})*$"
#define WIN1252_ALONE                                                                                        \
    "\\u20AC\\u201A\\u0192\\u201E\\u2026\\u2020\\u2021\\u02C6\\u2030\\u0160\\u2039\\u0152\\u017D\\u2018"     \
    "\\u2019"                                                                                                \
    "\\u201C\\u201D\\u2022\\u2013\\u2014\\u02DC\\u2122\\u0161\\u203A\\u0153\\u017E\\u0178"
#define LATIN9_ALONE "\\u20AC\\u0160\\u0161\\u017D\\u017E\\u0152\\u0153\\u0178"

/* One condition a table: any of its columns of text has a character that the target's encoding lacks. */
static const char CHARACTERS[] =
    "select n.nspname, c.relname, a.names, a.condition, null from " MOVED ", lateral (select"
    " min(a.attname::text) || case when count(*) > 1 then ', ' || max(a.attname::text) else '' end,"
    " string_agg(replace(g.condition, 't.c', " COLUMN("a.attname") "), ' or ' order by a.attnum)"
    " from pg_attribute a join pg_type y on y.oid = a.atttypid left join pg_type e on e.oid = y.typelem,"
    " lateral (select case"
    "  when s.encoding = 'SQL_ASCII' and $2::text <> 'SQL_ASCII' then"
    "   'encode(convert_to(t.c::text, ''SQL_ASCII''), ''hex'') !~ ''" IS_UTF8 "'''"
    "  when s.encoding = 'UTF8' and $2::text = 'LATIN1' then 't.c::text ~ ''[^\\u0001-\\u00FF]'''"
    "  when s.encoding = 'UTF8' and $2::text = 'WIN1252' then"
    "   't.c::text ~ ''[^\\u0001-\\u007F\\u00A0-\\u00FF" WIN1252_ALONE "]'''"
    "  when s.encoding = 'UTF8' and $2::text = 'LATIN9' then"
    "   't.c::text ~"
    " ''[^\\u0001-\\u00A3\\u00A5\\u00A7\\u00A9-\\u00B3\\u00B5-\\u00B7\\u00B9-\\u00BB\\u00BF-\\u00FF"
    LATIN9_ALONE "]'''"
    "  end from (select pg_encoding_to_char(d.encoding) from pg_database d"
    "   where d.datname = current_database()) s (encoding)) g (condition)"
    " where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and (y.typcategory = 'S'"
    "  or y.oid in ('json'::regtype, 'jsonb'::regtype, 'xml'::regtype) or e.typcategory = 'S')) a (names,"
    " condition)"
    " where a.condition is not null and " OF_ROOT " order by 1, 2";

const struct data_probe DATA_PROBES[] = {
    {"orphans", SEVERITY_WARNING, "table {1q} has rows without the row that its foreign key {3i} refers to",
     ORPHANS, NULL},
    {"broken_check", SEVERITY_WARNING, "table {1q} has rows against its constraint {3i}", BROKEN_CHECKS,
     NULL},
    {"duplicates", SEVERITY_PROBLEM,
     "table {1q} has values more than once that its index {3i}, which is not built, allows once",
     UNBUILT_KEYS, NULL},
    {"duplicates", SEVERITY_PROBLEM,
     "table {1q} has values more than once that the target's key {3i} allows once", NEW_KEYS, TARGET_KEYS},
    {"null_values", SEVERITY_PROBLEM, "table {1q} has nulls in column {3i}, which is not null at the target",
     NULLS, TARGET_COLUMNS},
    {"out_of_range", SEVERITY_PROBLEM,
     "table {1q} has values in column {3i} that do not fit the target's type", RANGES, TARGET_COLUMNS},
    {"characters", SEVERITY_PROBLEM,
     "table {1q} has text with characters that the target's encoding lacks", CHARACTERS, TARGET_ENCODING},
    {0},
};
/* clang-format on */
