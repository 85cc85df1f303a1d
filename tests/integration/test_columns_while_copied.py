# SPDX-License-Identifier: Apache-2.0
"""
Columns of a table that is being copied in chunks: a chunk is read once the target's table has the columns that the source's has.

Each life of the engine ends, or is frozen, when it has copied some chunks; then the source's table is altered. So some rows are read before and
some after each change, and in a busy table changes of copied and of waiting chunks come in between.
"""

import re
import signal
from pathlib import Path

import pytest

from support.wait import wait_until

ROWS = 9000
STEPS = {
    "a column with a constant": "alter table t add column d text not null default 'o''ld'",
    "a new name": "alter table t rename column b to bee",
    "two names exchanged": "alter table t rename column a to x; alter table t rename column k to a; alter table t rename column x to k",
    "a column less": "alter table t drop column c",
    "a column of the old name": "alter table t drop column if exists c; alter table t add column c int default 5",
    "a wider type": "alter table t alter column a type bigint",
}
TRAFFIC = """insert into t (id) select coalesce(max(id), 0) + 1 from t; update t set k = k + 1 where id % 500 = 7;
    update t set a = 3 where id in (1, 5900); delete from t where id in (select min(id) from t where id > 10) or id in (select max(id) from t)"""


def prepare(pipeline, rows=ROWS):
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "64kB"}
    pipeline.source.execute("create table t (id int primary key, a int, k int, b text, c numeric(8,2)); create table mark (id serial primary key);"
                            f"insert into t select g, g, -g, repeat('b', 100) || g, g from generate_series(1, {rows}) g; analyze t")
    return pipeline


@pytest.fixture
def shop(pipeline):
    return prepare(pipeline)


def chunks(pipeline, state):
    if not pipeline.target.value("select to_regclass('pgcdc.chunk') is not null"):
        return 0
    return pipeline.target.value("select count(*) from pgcdc.chunk where table_name = 't' and state = %s", (state,))


def copy_some(pipeline, point="chunk-committed:2"):
    """A life that ends after some chunks; others still wait."""
    pipeline.engine.start(environment={"PGCDC_FAULT": point})
    assert pipeline.engine.wait_exit(90) == -signal.SIGKILL, pipeline.engine.log_tail()
    assert chunks(pipeline, "copied") and chunks(pipeline, "waits")


def is_finished(pipeline):
    """A commit makes an idle source write its WAL to disk, for which chunks wait."""
    pipeline.source.execute("insert into mark default values")
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and pipeline.target.value("select count(*) from pgcdc.copy") == 0


def finish(pipeline):
    if not pipeline.engine.is_running():
        pipeline.engine.start()
    pipeline.wait_while_running(lambda: is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    result = pipeline.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr


def values(database, names):
    return database.execute(f"select {names} from t order by id")


@pytest.mark.parametrize("version, traffic", [(15, ""), (18, TRAFFIC), pytest.param(15, TRAFFIC, marks=pytest.mark.long), pytest.param(14, "", marks=pytest.mark.long)],
                         ids=["15-quiet", "18-busy", "15-busy", "14-quiet"])
def test_columns_change_again_and_again(new_pipeline, shared_clusters, version, traffic):
    """Each life is killed; what was read under the columns of before stays right."""
    copied = prepare(new_pipeline(shared_clusters("source", version), shared_clusters("target", version)))
    copy_some(copied)
    for step in STEPS.values():
        copied.source.execute(traffic or "select 1")
        copied.source.execute(step)
        copied.source.execute(traffic or "select 1")
        copy_some(copied)
    finish(copied)
    names = "id, a, k, bee, d, c"
    assert values(copied.source, names) == values(copied.target, names)


@pytest.mark.parametrize("step", ["a column with a constant", "a column less"])
def test_a_column_changes_while_the_engine_runs(shop, step):
    """A transaction with the change in it, rows of copied and of waiting chunks before and after it."""
    shop.engine.start(environment={"PGCDC_FAULT": "chunk-committed:stop"})
    wait_until(lambda: "State:\tT" in Path(f"/proc/{shop.engine.process.pid}/status").read_text(), "the first chunk")
    shop.source.execute(f"begin; {TRAFFIC}; {STEPS[step]}; {TRAFFIC}; commit")
    shop.engine.thaw()
    finish(shop)
    names = shop.source.value("select string_agg(quote_ident(attname), ', ') from pg_attribute where attrelid = 't'::regclass and attnum > 0 and not attisdropped")
    assert values(shop.source, names) == values(shop.target, names)


@pytest.mark.parametrize("point", ["runner-before-define", "runner-defined"])
def test_killed_where_columns_are_told(shop, point):
    """No change brings the column, so the catalog's answer does: in one commit with what is known of it, or not at all."""
    copy_some(shop)
    shop.source.execute(STEPS["a column with a constant"])
    shop.engine.start(environment={"PGCDC_FAULT": point})
    assert shop.engine.wait_exit(90) == -signal.SIGKILL, shop.engine.log_tail()
    assert shop.target.value("select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'd'") == 0
    finish(shop)
    assert 'added column "d" text' in shop.engine.log_text()
    assert values(shop.source, "id, d") == values(shop.target, "id, d")


@pytest.mark.parametrize("option, word", [("add_column", "add column \"d\" text"), ("rename_column", "rename column")])
def test_what_is_not_to_follow_stops_with_its_statement(shop, option, word):
    """It is run at the target, and the copy goes on."""
    shop.sink_configuration[option] = "stop"
    copy_some(shop)
    shop.source.execute(STEPS["a column with a constant" if option == "add_column" else "a new name"])
    log = shop.assert_refused("alter table", word, code=1)
    statement = log[log.index("alter table"):].split("; ")[0].splitlines()[0]
    shop.target.execute(statement)
    finish(shop)


def test_a_column_that_is_left_out_is_not_copied(shop):
    shop.sink_configuration["add_column"] = "ignore"
    copy_some(shop)
    shop.source.execute(STEPS["a column with a constant"])
    finish(shop)
    assert shop.target.value("select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'd'") == 0


@pytest.mark.parametrize("mode", ["merge", "soft_delete"])
def test_names_change_and_no_change_of_the_table_says_so(shop, mode):
    """Under a rule, too. Rows that are read later would have their values in the columns of the old names."""
    shop.engine.configuration["mapping"] = [{"match": "public.t", "to": "public.item", "mode": mode, "columns": {"b": {"as": "bb", "steps": ["upper"]}}}]
    copy_some(shop)
    shop.source.execute(STEPS["two names exchanged"] + ";" + STEPS["a column with a constant"])
    finish(shop)
    names = "id, a, k, d, c"
    assert values(shop.source, names) == shop.target.execute(f"select {names} from item order by id")
    assert shop.target.value("select count(*) from item where bb like 'BBB%'") == ROWS


def test_a_chunk_that_waits_asks_now_and_then(shop):
    """Not as fast as servers answer, and the source's log stays as it is."""
    copy_some(shop)
    shop.source.execute(STEPS["a column with a constant"])
    shop.source.cluster.mark_log()
    commits = "select xact_commit from pg_stat_database where datname = current_database()"

    def is_held():
        shop.source.execute("insert into mark default values")
        return shop.target.value("select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and not granted")

    with shop.target.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("select from t limit 0")  # the sink waits for its lock for 5 s
        shop.engine.start()
        wait_until(is_held, "the sink to wait for a lock")
        before = shop.target.value(commits)
        wait_until(lambda: not is_held(), "the end of that wait", pause_s=0.5)
        asked = shop.target.value(commits) - before
    assert asked < 400, asked
    finish(shop)
    assert "no transaction in progress" not in shop.source.cluster.log_text()


def test_what_is_not_certain_stops_and_its_remedy_copies_all_rows(shop):
    """Followed to the letter: what was copied of the table that is dropped is copied again."""
    copy_some(shop)
    shop.source.execute("""update t set a = a + 1 where id <= 3; alter table t drop column c; alter table t add column z int; update t set z = 7 where id <= 3;
        alter table t drop column z; alter table t add column y int; update t set y = 8 where id = 2""")
    log = shop.assert_refused("cannot be known", code=1)
    dropped, copied = re.search(r"drop table (\S+) at the target and run `pgcdc table copy (\S+)`", log).groups()
    shop.target.execute(f"drop table {dropped}")
    again = shop.engine.command("table copy", copied)
    assert again.returncode == 0 and "will be copied" in again.stdout, again.stdout + again.stderr
    finish(shop)
    assert values(shop.source, "id, a, k, b, y") == values(shop.target, "id, a, k, b, y")


def test_a_table_that_has_lost_all_its_columns(pipeline):
    prepare(pipeline, 10)
    pipeline.source.execute("create table bare (a int); alter table bare replica identity full; alter table bare drop column a; insert into bare select from generate_series(1, 3)")
    finish(pipeline)
    assert pipeline.target.value("select count(*) from bare") == 3
