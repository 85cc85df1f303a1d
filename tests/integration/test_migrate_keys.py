# SPDX-License-Identifier: Apache-2.0
"""`pgcdc migrate` builds the keys of larger tables after their rows, and analyzes a table once."""

import signal

from integration.test_migrate import migrate, pipeline, report  # pylint: disable=unused-import

ROWS = "select g, repeat('x', 100) from generate_series(1, 12000) g"
TABLES = {
    "plain": "constraint named primary key (id)",
    "included": "primary key (id) include (v)",
    "commented": "primary key (id)",
    "filled": "primary key (id) with (fillfactor = 70)",
    "viewed": "primary key (id)",
    "small": "primary key (id)",
}
MORE = """
    comment on constraint commented_pkey on commented is 'a key';
    create view seen as select id, v from viewed group by id;
    create table part (id int primary key) partition by range (id);
    create table part_1 partition of part for values from (0) to (1000000); insert into part select generate_series(1, 60000);
    create table child (id int primary key, plain int references plain); insert into child values (1, 1);
"""
KEYS = """select c.conrelid::regclass::text, c.conname || ' ' || pg_get_constraintdef(c.oid) || coalesce(' ' || i.reloptions::text, '')
    from pg_constraint c join pg_class i on i.oid = c.conindid where c.contype = 'p' and c.connamespace = 'public'::regnamespace"""
WAITING = "select table_name from pgcdc.chunk where key_sql is not null order by 1"


def test_a_key_that_nothing_depends_on_is_built_after_the_rows_and_is_the_same(pipeline):  # pylint: disable=redefined-outer-name
    for name, key in TABLES.items():
        pipeline.source.execute(f"create table {name} (id int, v text, {key}); insert into {name} {'' if name == 'small' else ROWS}"
                                f"{'values (1, 2)' if name == 'small' else ''}")
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": 2}
    pipeline.source.execute(MORE)
    result = pipeline.engine.command("migrate", "--until", "copied", environment={"PGCDC_FAULT": "chunk-before-commit:1"})
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert pipeline.target.execute(WAITING) == [("included",), ("plain",), ("viewed",)]
    assert {"plain", "included"}.isdisjoint(dict(pipeline.target.execute(KEYS)))
    pipeline.source.execute("insert into plain values (0, 'late'); update included set v = 'x' where id = 1")
    migrate(pipeline, "--until", "verified")
    assert sorted(pipeline.target.execute(KEYS)) == sorted(pipeline.source.execute(KEYS))
    assert report(pipeline, 0)["closes"]
    pipeline.assert_equal()


def test_a_larger_table_has_its_key_after_the_rows_of_all_its_chunks(pipeline):  # pylint: disable=redefined-outer-name
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": 2, "chunk_bytes": "1MB"}
    pipeline.source.execute("create table wide (id bigint primary key, v text); insert into wide select g, repeat('x', 200) from generate_series(1, 20000) g; analyze")
    result = pipeline.engine.command("migrate", "--until", "copied", environment={"PGCDC_FAULT": "chunk-committed:2"})
    assert result.returncode == -signal.SIGKILL, result.stderr
    found = pipeline.target.execute("select method, key_sql is not null, count(*) > 3, count(*) filter (where state = 'copied') from pgcdc.chunk group by 1, 2")
    assert [row[:3] for row in found] == [("pages", True, True)] and found[0][3] >= 2
    pipeline.source.execute("update wide set v = 'late' where id in (1, 20000); delete from wide where id = 2; insert into wide values (0, 'late')")
    migrate(pipeline, "--until", "verified")
    assert pipeline.target.execute(KEYS) == pipeline.source.execute(KEYS)
    pipeline.assert_equal()


def test_a_table_is_analyzed_again_only_for_what_came_after_its_rows(pipeline):  # pylint: disable=redefined-outer-name
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    for name in ("once", "indexed", "related", "whole"):
        pipeline.source.execute(f"create table {name} (id int primary key, a int, b int); insert into {name} select g, g % 7, g % 7 from generate_series(1, 999) g")
    pipeline.source.execute("create index on once (a); create index on indexed (abs(a)); create statistics both_columns on a, b from related")
    migrate(pipeline, "--until", "copied")
    pipeline.target.execute("delete from pg_statistic where starelid = 'whole'::regclass or (starelid = 'once'::regclass and staattnum = 2)")
    migrate(pipeline, "--until", "caught-up")
    assert pipeline.target.execute("select tablename, attname from pg_stats where schemaname = 'public' and attname in ('a', 'abs') order by 1, 2") == [
        ("indexed", "a"), ("indexed_abs_idx", "abs"), ("related", "a"), ("whole", "a")]
    assert pipeline.target.value("select count(*) from pg_stats_ext where statistics_name = 'both_columns' and dependencies is not null") == 1
