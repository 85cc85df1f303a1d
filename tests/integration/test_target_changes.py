# SPDX-License-Identifier: Apache-2.0
"""
DDL in the target while the engine streams. The sink knows its tables from before: it looks at them again, and continues, or stops
with the fault and continues once that is repaired. Each case is tried by every way to apply: one row in one round trip, rows by
prepared statements, a set by COPY, updates and deletes of both.
"""

from support.wait import wait_until

COLUMNS = "id int primary key, a int, n numeric, v text, w int"
SIZES = [1, 25, 300]
TEXTS = "select id::text, a::text, n::text, v, w::text from {t} t order by t.id"

GOES_ON = {
    "a column more": ["alter table {t} add column more text default 'x'"],
    "a wider type": ["alter table {t} alter column a type bigint"],
    "a type of another family": ["alter table {t} alter column a type text"],
    "a numeric for an int": ["alter table {t} alter column a type numeric"],
    "a smaller integer that takes the values": ["alter table {t} alter column a type smallint"],
    "an index more": ["create index on {t} (v)", "create index on {t} (a, w)"],
    "a new table of that name": ["create table {t}_2 (like {t} including all)", "insert into {t}_2 select * from {t}",
                                 "drop table {t}", "alter table {t}_2 rename to {t}"],
    "columns in another order": ["create table {t}_2 (v text, w int, n numeric, a int, id int primary key)",
                                 "insert into {t}_2 (id, a, n, v, w) select id, a, n, v, w from {t}", "drop table {t}", "alter table {t}_2 rename to {t}"],
    "renamed and back": ["alter table {t} rename to {t}_2", "alter table {t}_2 rename to {t}"],
    "a column dropped and added": ["alter table {t} drop column w", "alter table {t} add column w int", "update {t} set w = id"],
    "rewritten": ["vacuum full {t}", "cluster {t} using {t}_pkey"],
}


class Table:
    """One case's own, so that all of them share a pipeline."""

    def __init__(self, pipeline, number):
        self.pipeline = pipeline
        self.name = f"t{number}"

    def sql(self, text):
        return text.format(t=self.name)

    def create(self):
        self.pipeline.source.execute(self.sql(f"create table {{t}} ({COLUMNS})"))
        self.fill(1, 400)

    def fill(self, first, size):
        self.pipeline.source.execute(self.sql("insert into {t} select g, g, g + 0.25, 'v' || g, g from generate_series(%s, %s) g"),
                                     (first, first + size - 1))

    def change(self, first):
        """Inserts, updates and deletes in transactions of each size."""
        for size in SIZES:
            self.fill(first, size)
            self.pipeline.source.execute(self.sql("update {t} set a = a + 1, w = w where id >= %s and id < %s"), (first, first + size))
            self.pipeline.source.execute(self.sql("delete from {t} where id >= %s and id < %s"), (first, first + (size + 1) // 3))
            first += size

    def warm(self):
        """The engine has applied each way to the table, so that it has statements for all of them."""
        self.change(1000)
        self.pipeline.wait_applied()

    def rows(self, database):
        return database.execute(self.sql(TEXTS))


def tables_of(pipeline, count):
    """In a pipeline that streams."""
    tables = [Table(pipeline, number) for number in range(count)]
    for table in tables:
        table.create()
    start(pipeline)
    return tables


def start(pipeline):
    """The sink looks for triggers and the like once a minute, here all the time."""
    pipeline.start(environment={"PGCDC_INTERVAL_MS": "1"})


def test_the_stream_goes_on(pipeline):
    for case, table in zip(GOES_ON, tables_of(pipeline, len(GOES_ON))):
        table.warm()
        for statement in GOES_ON[case]:
            pipeline.target.execute(table.sql(statement))
        first = 2000
        for size in reversed(SIZES):
            table.fill(first, size)
            pipeline.wait_applied()
            first += size
        table.change(3000)
        pipeline.wait_applied()
        assert table.rows(pipeline.source) == table.rows(pipeline.target), case


def test_a_new_trigger_is_noticed(pipeline):
    """It must see each change in order, which a net effect does not keep: from then on the table's changes are applied one by one."""
    table, = tables_of(pipeline, 1)
    table.warm()
    pipeline.target.execute("create table seen (n serial, what text, id int);"
                            "create function see() returns trigger language plpgsql as $$begin insert into public.seen (what, id) values (tg_op, "
                            "coalesce(new.id, old.id)); return null; end$$; create trigger see after insert or update or delete on t0 for each row execute function see();"
                            "alter table t0 enable always trigger see")
    pipeline.source.execute("begin; insert into t0 (id) select generate_series(5000, 5099); update t0 set a = 1 where id = 5000; "
                            "delete from t0 where id = 5001; commit")
    pipeline.wait_applied()
    seen = pipeline.target.execute("select what, id from seen order by n")
    assert seen == [("INSERT", number) for number in range(5000, 5100)] + [("UPDATE", 5000), ("DELETE", 5001)]
    pipeline.assert_equal("public.t0")


def test_rows_that_a_truncate_took_are_missing(pipeline):
    table, = tables_of(pipeline, 1)
    table.warm()
    pipeline.target.execute("truncate t0")
    table.fill(6000, 300)
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from t0") == 300
    pipeline.source.execute("update t0 set a = 1 where id = 300")
    assert pipeline.engine.wait_exit() == 1
    assert "conflict update_missing: " in pipeline.engine.log_text()


# What is done to the target, what the stop names, what mends it.
STOPS = {
    "a column less": ("alter table {t} drop column w", ['"w"', "alter table"],
                      "alter table {t} add column w int; update {t} set w = id"),
    "a column renamed": ("alter table {t} rename column w to other", ['"w"', "alter table"], "alter table {t} rename column other to w"),
    "a column that must have a value": ("alter table {t} add column must int not null default 1; alter table {t} alter column must drop default",
                                        ["must", "23502"], "alter table {t} drop column must"),
    "a float of the same width": ("alter table {t} alter column a type real", ['column "a"', "real", "integer"], "alter table {t} alter column a type int"),
    "a date of the same width": ("alter table {t} alter column a type date using date '2000-01-01' + a", ['column "a"', "date", "integer"],
                                 "alter table {t} alter column a type int using a - date '2000-01-01'"),
    "fewer decimals": ("alter table {t} alter column n type numeric(20,2)", ['column "n"', "numeric(20,2)"], "alter table {t} alter column n type numeric"),
    "fewer characters": ("alter table {t} alter column v type varchar(10)", ['column "v"', "character varying(10)"],
                         "alter table {t} alter column v type text"),
    "another unique index": ("create unique index {t}_once on {t} ((id > 1999)) where id > 1999", ["23505", "_once"], "drop index {t}_once"),
    "a check": ("alter table {t} add constraint small check (id < 2000)", ["23514", "small"], "alter table {t} drop constraint small"),
    "unlogged": ("alter table {t} set unlogged", ["unlogged", "set logged"], "alter table {t} set logged"),
    "a trigger that takes rows away": ("create function {t}_none() returns trigger language plpgsql as 'begin return null; end';"
                                       "create trigger none before insert on {t} for each row execute function {t}_none();"
                                       "alter table {t} enable always trigger none", ["trigger", "none"],
                                       "drop trigger none on {t}; drop function {t}_none()"),
    "the table renamed": ("alter table {t} rename to {t}_2", ['"public"."t'], "alter table {t}_2 rename to {t}"),
}
STOPS_AT = [(case, 300) for case in STOPS] + [("fewer decimals", 1), ("fewer decimals", 25), ("a column less", 1)]


def test_the_stream_stops(pipeline):
    """A float took the bits of an int, decimals were cut off without a message: the types were looked at only once."""
    for (case, size), table in zip(STOPS_AT, tables_of(pipeline, len(STOPS_AT))):
        table.warm()
        statement, texts, mend = STOPS[case]
        before = table.rows(pipeline.target)
        pipeline.target.execute(table.sql(statement))
        table.fill(2000, size + 1)
        lsn = pipeline.source_lsn()
        wait_until(lambda lsn=lsn: not pipeline.engine.is_running() or pipeline.position_reached(lsn), f"a stop at {case}")
        assert pipeline.engine.wait_exit() in (1, 2), f"{case}\n{pipeline.engine.log_tail()}"
        for text in texts:
            assert text in pipeline.engine.log_text(), f"{case}\n{pipeline.engine.log_tail()}"
        pipeline.target.execute(table.sql(mend))
        assert [row[0] for row in table.rows(pipeline.target)] == [row[0] for row in before], case
        start(pipeline)
        pipeline.wait_applied()
        pipeline.assert_equal(f"public.{table.name}")
