# SPDX-License-Identifier: Apache-2.0
"""kill -9 of `pgcdc migrate` at each point of each phase: the same command goes on, and the report closes."""

import signal

import pytest

from integration.test_migrate import migrate, pipeline, report, steps  # pylint: disable=unused-import
from support.lives import points_of

SCHEMA = """
    create table item (id int primary key, name text); insert into item select g, 'n' || g from generate_series(1, 2000) g;
    create index item_name on item (name); create sequence numbers owned by item.id;
    create table part (id int primary key, item int references item); insert into part select g, g from generate_series(1, 100) g;
"""

# At which visit of the point each life ends, and the step that it was in. What is done before is skipped; plan and what follows the copy are not.
LIVES = {
    "migrate-begun": [(1, "plan"), (2, "schema"), (3, "plan"), (4, "copy"), (2, "indexes"), (2, "sequences"), (2, "follow"), (3, "verify")],
    "migrate-worked": [(1, "plan"), (2, "plan"), (3, "schema"), (4, "copy"), (2, "indexes"), (2, "sequences"), (2, "follow")],
    "migrate-done": [(1, "plan"), (2, "plan"), (3, "schema"), (2, "copy"), (1, "indexes"), (1, "sequences"), (2, "follow")],
    "migrate-compared": [(1, "verify"), (1, "verify")],
    "proof-written": [(1, "verify"), (1, "verify")],
    "proof-counted": [(1, "follow")],
}
STATES = {"migrate-done": "done"}


def test_every_point_of_a_migration_is_here():
    assert {point for point in points_of("cdc/migrate") if point.startswith(("migrate-", "proof-", "steps-"))} == {*LIVES, "steps-removed"}


def dies(pipeline, command, point, *arguments):  # pylint: disable=redefined-outer-name
    result = pipeline.engine.command(command, *arguments, environment={"PGCDC_FAULT": point})
    assert result.returncode == -signal.SIGKILL, f"{point}: {result.returncode}\n{result.stderr}"


@pytest.mark.parametrize("point", LIVES)
def test_killed_at_a_point_the_same_command_goes_on(pipeline, point):  # pylint: disable=redefined-outer-name
    pipeline.source.execute(SCHEMA)
    if point == "proof-counted":
        migrate(pipeline, "--until", "copied")
    for life, (visit, step) in enumerate(LIVES[point]):
        pipeline.source.execute(f"insert into item values ({10000 + life}, 'late'); update item set name = 'x' where id = {life + 1}")
        dies(pipeline, "migrate", f"{point}:{visit}", "--until", "verified")
        assert steps(pipeline)[step] == STATES.get(point, "started"), (point, visit)
        assert report(pipeline, 4)["open"]
    migrate(pipeline, "--until", "verified")
    found = report(pipeline, 0)
    assert [table["target_rows"] for table in found["tables"]] == [2000 + len(LIVES[point]), 100]
    pipeline.assert_equal()


def test_killed_while_the_steps_are_dropped(pipeline):  # pylint: disable=redefined-outer-name
    pipeline.source.execute(SCHEMA)
    migrate(pipeline, "--until", "copied")
    dies(pipeline, "drop", "steps-removed:1")
    assert pipeline.engine.command("drop").returncode == 0
    assert pipeline.target.value("select to_regclass('pgcdc.migration')") is None
    pipeline.target.execute("truncate item, part")
    migrate(pipeline, "--until", "verified")
    report(pipeline, 0)
