# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every state of a cutover and of a rollback: a second call goes on or goes back, and nothing is lost."""

import signal

import pytest

from support import oracle
from support.moving import ROWS, SCHEMA, Address, Writers
from support.wait import wait_until

STATES = ["ready", "fenced", "drained", "sequences", "verified", "armed", "sealed", "flipped"]
# Of each state its begin and its end, then what is between two steps of one.
POINTS = [f"cutover-{state}{end}" for state in STATES for end in ("", "-done")] + [
    "cutover-slot-dropped", "cutover-before-arm", "cutover-before-seal", "cutover-in-seal", "cutover-before-hook", "cutover-hooked", "cutover-before-flipped",
    "sequences-set"]
# The side that is left takes no writes.
SHUT = {"cutover-in-seal", "cutover-sealed-done", "cutover-flipped", "cutover-before-hook", "cutover-hooked", "cutover-before-flipped", "cutover-flipped-done"}
KILLED = -signal.SIGKILL


@pytest.fixture
def moving(new_pipeline, shared_clusters, tmp_path):
    pipeline = new_pipeline(shared_clusters("source", 15), shared_clusters("target", 18))
    pipeline.source.execute(SCHEMA + ROWS)
    pipeline.target.execute(SCHEMA)
    pipeline.publish()
    pipeline.address = Address(tmp_path, pipeline)
    pipeline.engine.configuration["cutover"] = {"on_flip": pipeline.address.hook}
    pipeline.number = 0
    pipeline.engine.catch_up()
    return pipeline


def write(pipeline, database):
    """Committed, so it must be there at the end."""
    pipeline.number += 1
    database.execute("insert into visit (writer, number) values (99, %s)", (pipeline.number,))


def run(pipeline, command, *arguments, code=0, point=None):
    environment = {"PGCDC_FAULT": point} if point else None
    result = pipeline.engine.command(command, *arguments, environment=environment)
    assert result.returncode == code, f"{command} {point}: exit code {result.returncode}\n{result.stderr}"
    return result


def assert_nothing_is_lost(pipeline, database):
    assert database.value("select count(*) from visit where writer = 99") == pipeline.number
    assert pipeline.address.dsn().split()[1] == f"port={database.cluster.port}"


def move_killed_at(pipeline, command, point, side, other):
    write(pipeline, side)
    run(pipeline, command, code=KILLED, point=point)
    if point not in SHUT:
        write(pipeline, side)  # it is open: nobody has left it
    run(pipeline, command, code=3 if point == "cutover-flipped-done" else 0)
    assert_nothing_is_lost(pipeline, other)


def there_and_back(pipeline, points):
    for there, back in points:
        for command, point, side, other in (("cutover", there, pipeline.source, pipeline.target), ("rollback", back, pipeline.target, pipeline.source)):
            if point:
                move_killed_at(pipeline, command, point, side, other)
            else:
                write(pipeline, side)
                run(pipeline, command)
                assert_nothing_is_lost(pipeline, other)
    pipeline.engine.catch_up()
    oracle.assert_equal(pipeline.source, pipeline.target, ["public.visit", "public.basket"])


def test_every_point_is_tried():
    from support.lives import points_of  # pylint: disable=import-outside-toplevel
    written = set(points_of("cdc/migrate/cutover"))
    undo = {"cutover-disarmed", "cutover-unsealed", "cutover-before-forget", "cutover-before-close"}
    assert written - undo <= set(POINTS)


def test_killed_in_a_state_and_called_again(moving):
    """Half of the points on the way there, the other half on the way back."""
    there_and_back(moving, list(zip(POINTS[::2], POINTS[1::2])))


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point_both_ways(moving, point):
    there_and_back(moving, [(point, None), (None, point), (point, point)])


UNDONE = ["cutover-disarmed", "cutover-before-forget", "cutover-unsealed"]


@pytest.mark.parametrize("point", UNDONE)
def test_killed_while_going_back(moving, point):
    """Aborting is repeated, and in the end the source takes writes and the target has nothing of it."""
    run(moving, "cutover", code=KILLED, point="cutover-before-hook")
    run(moving, "cutover", "--abort", code=KILLED, point=point)
    assert run(moving, "cutover", "--abort").stdout == "cutover: undone\n"
    write(moving, moving.source)
    assert moving.target.execute("select 1 from pg_replication_slots where database = %s", (moving.target.name,)) == []
    run(moving, "cutover")
    assert_nothing_is_lost(moving, moving.target)


def test_killed_while_closing(moving):
    run(moving, "cutover")
    run(moving, "cutover", "--close", code=KILLED, point="cutover-before-close")
    run(moving, "cutover", "--close", code=KILLED, point="cutover-slot-dropped")
    run(moving, "cutover", "--close")
    for database in (moving.source, moving.target):
        assert database.execute("select 1 from pg_replication_slots where database = %s", (database.name,)) == []


@pytest.mark.long
@pytest.mark.parametrize("point", POINTS)
def test_killed_under_writers(moving, point):
    """They go on at the side that has them, and none of their commits is missing where they end."""
    with Writers(moving.address, count=10) as writers:
        for command in ("cutover", "rollback"):
            at_begin = writers.count()
            wait_until(lambda: writers.count() > at_begin + 50, "writes")  # pylint: disable=cell-var-from-loop
            run(moving, command, code=KILLED, point=point)
            run(moving, command, code=3 if point == "cutover-flipped-done" else 0)
    assert writers.missing(moving.source) == set()
    moving.engine.catch_up()
    oracle.assert_equal(moving.source, moving.target, ["public.visit", "public.basket"])
