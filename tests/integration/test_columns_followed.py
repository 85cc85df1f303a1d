# SPDX-License-Identifier: Apache-2.0
"""The target's tables follow the columns of the source's, in the transaction of the change; or the pipeline stops and says what to do."""

import random
import re

import pytest

from support.server import VERSIONS
from support.wait import wait_until

TABLE = """create table t (id int primary key, a int, b text, c numeric(8,2));
    insert into t select g, g, 'b' || g, g from generate_series(1, 50) g"""
# Where the row of each says what the columns are
CHANGES = {
    "a column more": "alter table t add column d text; insert into t values (100, 1, 'x', 2, 'd'); update t set d = 'e' where id < 10",
    "a column with a constant": "alter table t add column d text default 'o''ld'; insert into t values (100, 1, 'x', 2, 'd'); update t set a = 0 where id < 10",
    "a constant that is another one by now": "alter table t add column d text default 'old'; alter table t alter column d set default 'new'; insert into t (id) values (100)",
    "a time": "alter table t add column d timestamptz not null default now(); insert into t (id) values (100)",
    "arrays and odd values": """alter table t add column d int[] default '{1,NULL,3}', add column e text[] default '{"a b","c\\"d",null}', add column f jsonb default '{"a": [1]}',
        add column g bytea default '\\x00ff', add column h text default E'back\\\\slash\\nline'; insert into t (id) values (100)""",
    "odd names": 'alter table t add column "D ""d; drop" int default 5; insert into t (id) values (100)',
    "a collation": 'alter table t add column d text collate "C" default \'c\'; insert into t (id) values (100)',
    "two at once": "alter table t add column d int default 1, add column e int; insert into t values (100, 1, 'x', 2, 3, 4)",
    "a new name": "alter table t rename column b to bee; update t set bee = 'n' where id < 10",
    "two names exchanged": "alter table t rename column a to x; alter table t rename column b to a; alter table t rename column x to b; insert into t values (100, 1, 'x', 2)",
    "names passed on": "alter table t rename column c to d; alter table t rename column b to c; insert into t values (100, 1, 'x', 2)",
    "a new name, and a column of the old one": "alter table t rename column b to d; alter table t add column b int default 7; insert into t values (100, 1, 'x', 2, 8)",
    "a wider integer": "alter table t alter column a type bigint; insert into t values (100, 5000000000, 'x', 2)",
    "a wider numeric": "alter table t alter column c type numeric(12,4); insert into t values (100, 1, 'x', 12345678.1234)",
    "a column that is made wider in the same transaction": """begin; alter table t add column d varchar(3) default 'new'; insert into t values (100, 1, 'x', 2, 'abc');
        alter table t alter column d type varchar(9); insert into t values (101, 1, 'x', 2, 'abcdefgh'); alter table t alter column d type text; update t set d = repeat('e', 20) where id = 5; commit""",
    "a type and a name": "alter table t alter column a type bigint; alter table t rename column a to big; insert into t values (100, 5000000000, 'x', 2)",
    "inside a function": """create function migrate_t() returns void language plpgsql as $$ begin alter table t add column d int default 9; insert into t values (100, 1, 'x', 2, 3);
        alter table t rename column d to e; insert into t values (101, 1, 'x', 2, 4); end $$; select migrate_t()""",
    "in the middle of a transaction": """begin; insert into t values (100, 1, 'x', 2); alter table t add column d int default 9; update t set d = id where id < 20;
        alter table t rename column d to e; delete from t where id < 5; alter table t add column f text; insert into t values (101, 1, 'x', 2, 3, 'f'); commit""",
    "under a savepoint": """begin; insert into t values (100, 1, 'x', 2); savepoint s; alter table t add column gone int; insert into t values (101, 1, 'x', 2, 3); rollback to s;
        alter table t add column d int default 9; insert into t values (102, 1, 'x', 2, 3); commit""",
    "many rows of each": """insert into t select g, g, 'x', g from generate_series(1000, 2000) g; alter table t add column d int default 9;
        insert into t select g, g, 'x', g, g from generate_series(3000, 4000) g; update t set d = -d; alter table t rename column d to e; update t set e = 1 where id % 2 = 0""",
}
DROPS = {
    "a column less": "alter table t drop column b; insert into t values (100, 1, 2)",
    "less, a row, and more": "alter table t drop column b; insert into t values (100, 1, 2); alter table t add column b text default 'new'; insert into t values (101, 1, 2, 'x')",
    "the usual exchange": "alter table t add column b_new int default 3; update t set b_new = a; alter table t drop column b; alter table t rename column b_new to b; insert into t values (100, 1, 2, 3)",
}


def columns(database, table="t"):
    return database.execute("select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by 1", (table,))


def settles(pipeline):
    """Everything arrives, or the engine stops at a change that it cannot apply."""
    lsn = pipeline.source_lsn()
    wait_until(lambda: not pipeline.engine.is_running() or pipeline.position_reached(lsn), "the target to follow, or a stop", 120)
    return pipeline.engine.is_running()


def renamed(sql, table):
    """The statements of this page are about t."""
    return re.sub(r"\bt\b(?! int| text)", table, sql)


def assert_same(pipeline, *tables):
    for table in tables:
        pipeline.assert_equal(f"public.{table}")
        assert columns(pipeline.target, table) == columns(pipeline.source, table), table


def test_changes_are_followed(pipeline):
    """Each in a table of its own, all while the pipeline runs."""
    tables = {f"t{number}": sql for number, sql in enumerate(CHANGES.values())}
    for table in tables:
        pipeline.source.execute(renamed(TABLE, table))
    pipeline.start()
    for table, sql in tables.items():
        pipeline.source.execute(renamed(sql, table))
    pipeline.wait_applied()
    assert_same(pipeline, *tables)


@pytest.mark.parametrize("version", [version if version in (14, 18) else pytest.param(version, marks=pytest.mark.long) for version in VERSIONS])
def test_all_changes_with_lag_on_every_version(new_pipeline, shared_clusters, version):
    """The pipeline is away while all of it happens, in tables that are changed once and in one that is changed often."""
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    pipeline.sink_configuration["drop_column"] = "apply"
    tables = {f"t{number}": sql for number, sql in enumerate(CHANGES.values())}
    for table in ("t", *tables):
        pipeline.source.execute(renamed(TABLE, table))
    pipeline.engine.catch_up()
    for table, sql in tables.items():
        pipeline.source.execute(renamed(sql, table))
    for sql in ("alter table t add column d int default 4; insert into t values (100, 1, 'x', 2, 3)",
                "alter table t rename column a to z; update t set z = 0 where id = 3", "alter table t drop column b; insert into t values (101, 1, 2, 3)",
                "alter table t add column e int[] default '{1}'; delete from t where id = 5"):
        pipeline.source.execute(sql)
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t alter column d type bigint; update t set d = 5000000000 where id = 6")
    pipeline.engine.catch_up()
    assert_same(pipeline, "t", *tables)


@pytest.mark.parametrize("sql", DROPS.values(), ids=DROPS.keys())
def test_a_dropped_column_is_dropped(pipeline, sql):
    pipeline.sink_configuration["drop_column"] = "apply"
    pipeline.source.execute(TABLE)
    pipeline.start()
    for statement in sql.split(";"):
        pipeline.source.execute(statement)
    pipeline.wait_applied()
    assert_same(pipeline, "t")


@pytest.mark.parametrize("sql", DROPS.values(), ids=DROPS.keys())
def test_a_dropped_column_is_kept_until_its_name_is_used_again(pipeline, sql):
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.target.execute("alter table t alter column b set not null, alter column b set default 'never'")
    for statement in sql.split(";"):
        pipeline.source.execute(statement)
    pipeline.assert_follows()
    if sql == DROPS["a column less"]:
        assert pipeline.target.execute("select b from t where id in (1, 100) order by id") == [("b1",), (None,)]
    else:
        assert columns(pipeline.target) == columns(pipeline.source)


def test_what_is_not_certain_stops_and_the_remedy_holds(pipeline):
    """Nothing tells a column that was renamed, and then dropped and added, from one that was dropped and added at once."""
    pipeline.sink_configuration["drop_column"] = "apply"
    pipeline.source.execute("create table t (id int primary key, v int); insert into t select g, g from generate_series(1, 50) g")
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t drop column v; alter table t add column v int default 7; insert into t values (100, 1)")
    log = pipeline.assert_refused("cannot be known", "drop table public.t at the target and run `pgcdc table copy public.t`", code=1)
    assert "rename column" not in log
    pipeline.target.execute("drop table t")
    assert pipeline.engine.command("table copy", "public.t").returncode == 0
    pipeline.start()
    pipeline.source.execute("insert into t values (101, 2); update t set v = 0 where id = 1")
    pipeline.assert_follows()


def test_a_table_written_anew_stops(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t add column d float8 default random(); alter table t alter column d drop default; insert into t (id) values (100)")
    pipeline.assert_refused("only the source has the values", "pgcdc table copy public.t", code=1)
    pipeline.target.execute("drop table t")
    assert pipeline.engine.command("table copy", "public.t").returncode == 0
    pipeline.start()
    pipeline.source.execute("insert into t values (101, 2)")
    pipeline.assert_follows()


@pytest.mark.parametrize("policy,sql,statement", [
    ("add_column", "alter table t add column d int default 3", 'alter table public.t add column "d" integer default \'3\''),
    ("drop_column", "alter table t drop column c", 'alter table public.t drop column "c"'),
    ("rename_column", "alter table t rename column b to bee", 'alter table public.t rename column "b" to "bee"'),
    ("widen_type", "alter table t alter column a type bigint", 'alter table public.t alter column "a" type bigint'),
    ("other_type", "alter table t alter column a type text", 'alter table public.t alter column "a" type text'),
    ("no_type", "create type mood as enum ('sad', 'ok'); alter table t add column d mood default 'ok'", "create at the target what is missing there")])
def test_a_stop_says_which_statement_to_run(pipeline, policy, sql, statement):
    if policy.endswith(("column", "widen_type")):
        pipeline.sink_configuration[policy] = "stop"
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute(f"{sql}; insert into t (id) values (100)")
    pipeline.assert_refused(statement, code=1)
    pipeline.target.execute("create type mood as enum ('sad', 'ok')" if policy == "no_type" else statement)
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_new_column_of_a_type_that_is_gone_stops(pipeline):
    """What the printed remedy says helps."""
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t add column d numeric(6,2) default 1.25; insert into t values (100, 1, 'x', 2, 1234.56);"
                            "alter table t alter column d type numeric(9,0); insert into t values (101, 1, 'x', 2, 7)")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode != 0 and 'add column "d" to table public.t at the target, with a type that holds its values; then start again' in result.stderr, result.stderr
    pipeline.target.execute("alter table t add column d numeric")
    pipeline.engine.command("run", "--until", "caught-up")
    assert pipeline.target.execute("select d::text from t where id = 100") in ([("1234.56",)], [])


@pytest.mark.parametrize("seed", [0, 1] + [pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20)])
def test_a_random_program_is_followed_or_stops(pipeline, seed):
    """Rows and changes of columns in any order, with and without lag. A stop is followed, and never is a value in the wrong column."""
    chance = random.Random(seed)
    pipeline.sink_configuration["drop_column"] = chance.choice(["keep", "apply"])
    pipeline.source.execute("create table t (id int primary key, c1 int, c2 int); insert into t select g, g, -g from generate_series(1, 20) g")
    pipeline.engine.catch_up()
    model, names, last = ["c1", "c2"], 2, 20
    for _ in range(12):
        for _ in range(chance.choice([1, 1, 2, 3])):
            what = chance.choice(["add", "add", "drop", "rename", "swap", "row", "row", "again"])
            if what == "add":
                names += 1
                name = f"c{names}" if chance.random() < 0.7 else f"c{chance.randint(1, names)}"
                if name not in model:
                    pipeline.source.execute(f"alter table t add column {name} int" + chance.choice(["", f" default {chance.randint(1000, 2000)}"]))
                    model.append(name)
            elif what == "drop" and len(model) > 1:
                pipeline.source.execute(f"alter table t drop column {model.pop(chance.randrange(len(model)))}")
            elif what == "again" and len(model) > 1:
                name = model.pop(chance.randrange(len(model)))
                pipeline.source.execute(f"alter table t drop column {name}; alter table t add column {name} int default {chance.randint(1, 9)}")
                model.append(name)
            elif what == "rename":
                names, place = names + 1, chance.randrange(len(model))
                pipeline.source.execute(f"alter table t rename column {model[place]} to c{names}")
                model[place] = f"c{names}"
            elif what == "swap" and len(model) > 1:
                one, other = chance.sample(range(len(model)), 2)
                pipeline.source.execute(f"begin; alter table t rename column {model[one]} to x; alter table t rename column {model[other]} to {model[one]};"
                                        f" alter table t rename column x to {model[other]}; commit")
                model[one], model[other] = model[other], model[one]
            elif what == "row":
                last += 1
                pipeline.source.execute(f"insert into t (id, {', '.join(model)}) values ({last}, {', '.join(str(chance.randint(1, 99)) for _ in model)});"
                                        f" update t set {chance.choice(model)} = {chance.randint(100, 199)} where id % 5 = {chance.randrange(5)}")
        last += 1
        pipeline.source.execute(f"insert into t (id) values ({last})")
        if chance.random() < 0.6:
            follow_or_copy(pipeline)
    follow_or_copy(pipeline)


def follow_or_copy(pipeline):
    result = pipeline.engine.command("run", "--until", "caught-up")
    if result.returncode != 0:
        assert result.returncode == 1 and ("pgcdc table copy public.t" in result.stderr or "has no column" in result.stderr), result.stderr
        pipeline.target.execute("drop table t")
        assert pipeline.engine.command("table copy", "public.t").returncode == 0
        pipeline.start()
        pipeline.wait_applied()
        pipeline.engine.stop()
        pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_column_that_is_gone_and_of_which_nothing_is_known(pipeline, mode):
    """`pgcdc check` knows no statement for it; what the message says works to the letter."""
    if mode == "append":
        pipeline.engine.configuration["mapping"] = [{"match": "public.t", "mode": "append"}]
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from pgcdc.columns")
    pipeline.source.execute("alter table t add column d text; insert into t values (100, 1, 'x', 2, 'd'); alter table t drop column d; insert into t values (101, 1, 'x', 2)")
    stopped = pipeline.engine.command("run", "--until", "caught-up")
    assert stopped.returncode == 1, stopped.stderr
    said = stopped.stderr.splitlines()[-1]
    assert "pgcdc check" not in said, said
    if mode == "append":
        assert re.search(r'table public\.t has no column "d", which the source had and has no more.*add column "d" to table public\.t at the target, with a type', said), said
        pipeline.target.execute('alter table public.t add column "d" text')
        pipeline.engine.catch_up()
        assert pipeline.target.execute("select d from t where id >= 100 order by id") == [("d",), (None,)]
        return
    table, copied = re.search(r"drop table (\S+) at the target and run `pgcdc table copy (\S+)`", said).groups()
    pipeline.target.execute(f"drop table {table}")
    copy = pipeline.engine.command("table copy", copied)
    assert copy.returncode == 0, copy.stderr
    pipeline.engine.catch_up()
    assert_same(pipeline, "t")
