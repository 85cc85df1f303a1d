# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the engine around a change of columns: the ALTER, the rows and the position are there together, or none of them is."""

import signal

import pytest

from support.modes import modes_of

TABLE = "create table t (id int primary key, a int, b text); insert into t select g, g, 'b' || g from generate_series(1, 50) g"
CHANGES = ["begin; insert into t values (100, 1, 'x'); alter table t add column d int default 9; update t set d = id where id < 20; commit",
           "alter table t rename column a to x; alter table t rename column b to a; alter table t rename column x to b; insert into t values (101, 2, 'y', 3); update t set b = -b",
           "alter table t drop column d; insert into t values (102, 3, 'z')",
           "alter table t add column d text default 'new'; insert into t values (103, 4, 'w', 'v'); update t set d = 'u' where id = 4"]
POINTS = ["columns-before-alter", "columns-altered", "postgres-before-commit", "postgres-after-commit", "postgres-after-write"]
COLUMNS = "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attnum > 0 and not attisdropped order by 1"


@pytest.mark.parametrize("point", POINTS)
def test_killed_around_a_change(pipeline, point):
    """At the first visit of the point, then at later ones, until a life comes to the end. The catalog has moved on by then."""
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    for change in CHANGES:
        pipeline.source.execute(change)
    died = 0
    for visit in (1, 1, 2, 2, 3):
        ended = pipeline.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": f"{point}:{visit}"})
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        died += ended.returncode == -signal.SIGKILL
    assert died > 0, f"no life came to {point}"
    pipeline.engine.catch_up()
    pipeline.assert_equal()
    assert pipeline.target.execute(COLUMNS) == pipeline.source.execute(COLUMNS)


MODE_CHANGES = [CHANGES[0], CHANGES[1] + "; update t set id = 202 where id = 2; delete from t where id = 3", "alter table t drop column d; insert into t values (102, 3, 'z')",
                "alter table t rename column a to d; insert into t values (103, 4, 'w'); update t set d = 17 where id = 4"]


@pytest.mark.parametrize("point", POINTS[:4])
def test_killed_around_a_change_of_modes(pipeline, point):
    """Of three sinks that follow, one comes to the point first."""
    pipeline.source.execute(TABLE)
    with modes_of(pipeline, "t") as modes:
        modes.show_columns()
        for change in MODE_CHANGES:
            pipeline.source.execute(change)
        died = 0
        for visit in (1, 1, 2, 3, 4):
            ended = pipeline.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": f"{point}:{visit}"})
            assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
            died += ended.returncode == -signal.SIGKILL
        assert died > 0, f"no life came to {point}"
        modes.start()
        modes.assert_exact("id", "d, b")
        for mode, database in modes.of.items():
            assert database.value(f"select count(*) from kept.t_{mode} where d_dropped_4 = 9") > 0, mode
