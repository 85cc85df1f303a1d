# SPDX-License-Identifier: Apache-2.0
"""Two pipelines in a circle: each leaves out the other's changes, because they are committed under a replication origin."""

import pytest

from support.cluster import Cluster
from support.engine import Engine
from support.oracle import assert_equal
from support.pipeline import SINK, Pipeline
from support.wait import wait_until

T = "create table t (id int primary key, v text)"


@pytest.fixture
def circle(new_pipeline, shared_clusters, program, tmp_path):
    """Two pipelines between two databases; the second sends changes only. Neither is started yet."""
    there = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18), "there")
    there.source.execute(T + "; insert into t select g, 'a' from generate_series(1, 100) g; create publication there for table t")
    there.target.execute(T + "; create publication back for table t")
    back = Pipeline(program, tmp_path / "back", there.target, there.source, "back")
    back.source_configuration["snapshot"] = "never"
    for pipeline in (there, back):
        pipeline.source_configuration["origin"] = "none"
        pipeline.sink_configuration["origin"] = f"{pipeline.name}_origin"
    yield there, back
    back.close()
    back.engine.assert_sane()
    for pipeline in (there, back):
        pipeline.close()
        pipeline.wait_slot_free()
        pipeline.target.execute("select pg_replication_origin_drop(roname) from pg_replication_origin where roname = %s",
                                (f"{pipeline.name}_origin",))


def write_both(there, first):
    """On both sides, in their own rows and in the other side's."""
    for pipeline, offset in ((there, 0), (there, 1000)):
        database = pipeline.source if offset == 0 else pipeline.target
        start = first + offset
        database.execute(f"insert into t select g, 'new' from generate_series({start}, {start + 99}) g")
        for number in range(5):
            database.execute(f"insert into t values ({start + 100 + number}, 'one')")
        database.execute(f"update t set v = v || '!' where id = {start}; delete from t where id = {start + 1}")
        database.execute(f"update t set v = repeat('x', 9000), id = id + 500 where id = {start + 2}")


def wait_equal(there, back):
    there.wait_applied()
    back.wait_applied()
    assert_equal(there.source, there.target, ["public.t"])


def test_a_row_goes_round_a_circle_once(circle):
    there, back = circle
    there.start()
    back.start()
    write_both(there, 10000)
    wait_equal(there, back)
    there.target.execute("update t set v = 'from b' where id between 10010 and 10060; delete from t where id between 1 and 50")
    wait_equal(there, back)
    for pipeline in circle:
        pipeline.engine.kill()
    write_both(there, 20000)
    for pipeline in circle:
        pipeline.wait_slot_free()
        pipeline.start()
    wait_equal(there, back)
    for pipeline in circle:
        ready = pipeline.engine.json("check")
        assert ready["ready"] and "circle" not in [finding["code"] for finding in ready["findings"]]
        pipeline.engine.stop()
        assert pipeline.engine.command("drop").returncode == 0
        assert pipeline.target.execute("select 1 from pg_replication_origin where roname = %s", (f"{pipeline.name}_origin",)) == []


def test_copied_rows_do_not_go_back(circle):
    """Copiers would need sessions under the same origin, so the copy is simple."""
    there, back = circle
    back.start()
    there.engine.configuration["copy"] = {"mode": "live"}
    there.start()
    there.engine.wait_log("the copy is simple, not live: sink warehouse: only one session can hold its origin")
    write_both(there, 10000)
    wait_equal(there, back)
    refused = there.engine.command("table copy", "public.t")
    assert refused.returncode == 2 and "only one session can hold its origin" in refused.stderr
    copy_by_hand(there, back, refused.stderr)


def copy_by_hand(there, back, refusal):
    """A table joins, by the steps that the refusal names and the manual lists."""
    for database in (there.source, there.target):
        database.execute("create table u (id int primary key, v text)")
    there.source.execute("insert into u select g, 'old' from generate_series(1, 10) g")
    wait_equal(there, back)
    there.engine.stop()
    set_up = "select pg_replication_origin_session_setup('there_origin')"
    assert set_up in refusal
    there.target.execute(f"{set_up}; insert into u select g, 'old' from generate_series(1, 10) g")
    there.source.execute("alter publication there add table u")
    there.target.execute("alter publication back add table u")
    there.start()
    there.source.execute("update u set v = 'a' where id = 1")
    there.target.execute("update u set v = 'b' where id = 2")
    for pipeline in (there, back):
        pipeline.wait_applied()
    assert_equal(there.source, there.target, ["public.t", "public.u"])
    assert there.source.value("select count(*) from u where v in ('a', 'b')") == 2


def test_check_warns_of_a_circle_without_origins(circle):
    there, back = circle
    there.start()
    there.source_configuration["origin"] = "any"
    back.sink_configuration.pop("origin")
    back.start()
    found = there.engine.json("check")
    warning = [finding for finding in found["findings"] if finding["code"] == "circle"]
    assert [(finding["severity"], finding["where"]) for finding in warning] == [("warning", f"sink {SINK}")]
    assert "target of pipeline back" in warning[0]["what"] and "source.origin: none" in warning[0]["fix"]
    there.source_configuration["origin"] = "none"
    assert "circle" in [finding["code"] for finding in there.engine.json("check")["findings"]], "no origin is known at the source"


def test_a_role_without_the_right_is_told_before_and_by_run(circle):
    there, _ = circle
    there.target.cluster.execute("drop role if exists origin_loader; create role origin_loader login")
    there.target.execute(f'grant create on database "{there.target.name}" to origin_loader; alter table t owner to origin_loader')
    there.sink_configuration["dsn"] = there.target.dsn(user="origin_loader")
    problems = [finding for finding in there.engine.json("check")["findings"] if finding["severity"] == "problem"]
    assert [finding["code"] for finding in problems] == ["origin_rights"]
    log = there.assert_refused("origin there_origin", "grant execute on function pg_replication_origin_create(text)", code=2)
    assert "origin_loader" in log
    there.target.execute(problems[0]["fix"])
    try:
        there.start()
        there.assert_follows("public.t")
        there.engine.stop()
        assert there.engine.command("drop").returncode == 0
    finally:
        there.engine.close()
        there.target.execute("drop owned by origin_loader cascade; drop role origin_loader")


def test_a_frozen_engine_does_not_keep_the_origin(circle):
    """The new engine raises the epoch first, so the session that it ends has already lost the pipeline."""
    there, _ = circle
    there.start()
    there.engine.freeze()
    second = Engine(there.engine.program, there.engine.folder / "second", {**there.engine.configuration,
                                                                          "state": str(there.state.parent / "state2")})
    try:
        there.source.execute("insert into t values (5000, 'second')")
        there.source.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = 'there'")
        there.wait_slot_free()
        second.start()
        wait_until(lambda: there.target.execute("select 1 from t where id = 5000"),
                   lambda: f"the second engine to apply\n{second.log_tail()}", 60)
        second.stop()
    finally:
        second.close()
        there.engine.kill()
    second.assert_sane()


def test_an_origin_that_another_session_has_is_named(circle):
    there, _ = circle
    there.start()
    holder = there.target.connect()
    with holder.cursor() as cursor:
        cursor.execute("select pg_replication_origin_create('taken'), pg_replication_origin_session_setup('taken')")
    there.engine.stop()
    there.sink_configuration["origin"] = "taken"
    there.engine.start()
    there.engine.wait_log("origin taken")
    assert "give each sink an origin of its own" in there.engine.log_text()
    holder.close()
    there.wait_streaming()
    there.engine.stop()
    assert there.engine.command("drop").returncode == 0
    assert there.target.execute("select 1 from pg_replication_origin where roname = 'taken'") == []


@pytest.mark.parametrize("name", ["none", "any", "pg_mine"])
def test_a_name_that_postgres_keeps_for_itself_has_file_and_key(pipeline, name):
    pipeline.sink_configuration["origin"] = name
    result = pipeline.engine.command("check")
    assert result.returncode == 2 and "sinks[0].origin: expected a name that is not any, none or pg_..." in result.stderr


@pytest.mark.parametrize("tables", [None, ["public.*"]])
def test_a_target_that_is_a_source_keeps_its_state_to_itself(new_pipeline, shared_clusters, program, tmp_path, tables):
    """A publication for all tables sends pgcdc.position with each transaction; in the next target it is another's."""
    first = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18), "first")
    last = new_pipeline(shared_clusters("target", 18), shared_clusters("source", 18), "last")
    second = Pipeline(program, tmp_path / "second", first.target, last.target, "second")
    second.source_configuration["tables"] = tables or []
    if tables is None:
        del second.source_configuration["tables"]
    first.sink_configuration["on_missing"] = "ignore"
    first.source.execute("create table t (id int primary key)")
    try:
        first.start()
        second.publish()
        found = second.engine.json("check")
        assert found["ready"], found
        second.start()
        first.source.execute("insert into t values (1)")
        first.wait_applied()
        first.target.execute("delete from t")
        first.source.execute("delete from t; insert into t select g from generate_series(2, 100) g")
        first.wait_applied()
        second.wait_applied()
        assert_equal(second.source, second.target, ["public.t"])
        assert second.target.execute("select pipeline from pgcdc.position") == [("second",)]
        assert first.target.value("select sum(count) from pgcdc.conflicts") == 1
        assert second.target.value("select to_regclass('pgcdc.conflicts')") is None
        second.engine.stop()
        assert second.engine.command("verify").returncode == 0
        second.engine.catch_up()
    finally:
        second.close()
        second.wait_slot_free()
        first.close()
        first.wait_slot_free()


@pytest.fixture
def detecting(new_pipeline, shared_clusters):
    """Not started; the first ten rows are copied under the sink's origin."""
    def make(target):
        pipeline = new_pipeline(shared_clusters("source"), target, "detecting")
        pipeline.source.execute(T + "; insert into t select g, 'a' from generate_series(1, 10) g")
        pipeline.sink_configuration.update(origin="detecting_origin", detect_origin="on")
        return pipeline
    return make


def test_changes_of_rows_that_others_have_changed_are_counted(detecting):
    with Cluster("tracked", settings={"track_commit_timestamp": "on"}) as target:
        pipeline = detecting(target)
        pipeline.start()
        pipeline.target.execute("update t set v = 'of another session' where id in (1, 2)")
        pipeline.source.execute("update t set v = 'b' where id = 1; delete from t where id = 2;"
                                "update t set v = 'b' where id = 3; delete from t where id = 4")
        pipeline.source.execute("update t set v = v || 'c'")
        pipeline.assert_follows()
        counted = pipeline.engine.json("status")["sinks"][0]["conflicts"]
        assert {kind: count for kind, count in counted.items() if count} == {"update_origin_differs": 1, "delete_origin_differs": 1}
        pipeline.engine.kill()
        pipeline.wait_slot_free()
        pipeline.start()
        pipeline.target.execute("update t set v = 'again' where id > 5")
        pipeline.source.execute("update t set v = v || 'd'")
        pipeline.assert_follows()
        pipeline.engine.stop()
        assert pipeline.engine.json("status")["sinks"][0]["conflicts"]["update_origin_differs"] == 6
        assert pipeline.engine.command("drop").returncode == 0


def test_a_target_that_does_not_know_who_changed_a_row_is_refused(detecting, shared_clusters):
    pipeline = detecting(shared_clusters("target"))
    problems = [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"] == "origin_untracked"]
    assert len(problems) == 1 and "track_commit_timestamp" in problems[0]["fix"]
    pipeline.assert_refused("track_commit_timestamp is off", "alter system set track_commit_timestamp = on", code=2)
    del pipeline.sink_configuration["origin"]
    assert "detect_origin: on needs origin: NAME" in pipeline.engine.command("check").stderr
