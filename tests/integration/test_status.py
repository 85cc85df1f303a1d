# SPDX-License-Identifier: Apache-2.0
"""`pgcdc status`: it tells the truth in every state of a pipeline, and disturbs none."""

import json

TABLE = "create table item (id int primary key, v text); insert into item select g, 'v' from generate_series(1, 100) g"


def status(pipeline, code=0):
    result = pipeline.engine.command("status", "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


def sink(found):
    return found["sinks"][0]


def test_a_pipeline_that_never_ran_is_new(pipeline):
    pipeline.source.execute(TABLE)
    found = status(pipeline)
    assert found["state"] == "new"
    assert found["engine_pid"] is None
    assert not found["slot"]["exists"]
    assert sink(found)["position"] is None
    assert sink(found)["error"] is None, "a target without pgcdc's table is not an error"


def test_looking_creates_nothing(pipeline):
    pipeline.source.execute(TABLE)
    status(pipeline)
    assert pipeline.slot() is None
    assert pipeline.target.value("select to_regnamespace('pgcdc')") is None
    assert not list(pipeline.state.glob("*.checkpoint"))


def test_a_running_pipeline_streams_and_is_not_disturbed(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.start()
    for number in range(20):
        pipeline.source.execute("insert into item values (%s, 'x')", (1000 + number,))
        found = status(pipeline)
        assert found["state"] == "streaming", found
        assert found["engine_pid"] == pipeline.engine.process.pid
        assert found["slot"]["active_pid"] == pipeline.slot()["active_pid"]
    pipeline.assert_follows()
    epoch = pipeline.target.value("select epoch from pgcdc.position")
    status(pipeline)
    assert pipeline.target.value("select epoch from pgcdc.position") == epoch, "a raised epoch would fence the engine"
    assert pipeline.engine.is_running()


def test_a_stopped_pipeline_shows_its_lag_and_its_age(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.assert_follows()
    pipeline.engine.stop()
    position = pipeline.position()
    pipeline.source.execute("insert into item select g, repeat('x', 1000) from generate_series(1000, 3000) g")
    found = status(pipeline)
    assert found["state"] == "stopped"
    assert found["engine_pid"] is None
    assert found["slot"]["active_pid"] is None
    assert sink(found)["position"] == position
    assert sink(found)["lag_bytes"] > 2_000_000
    assert found["slot"]["retained_bytes"] >= sink(found)["lag_bytes"]
    assert 0 <= sink(found)["age_ms"] < 60_000
    assert found["checkpoint"]["phase"] == "streaming"
    assert found["checkpoint"]["sinks"] == {sink(found)["name"]: position}


def test_a_missing_slot_is_said_with_the_remedy(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute("select pg_drop_replication_slot(%s)", (pipeline.slot_name(),))
    found = status(pipeline, code=3)
    assert found["state"] == "missing"
    assert "pgcdc drop" in found["reason"]


def test_a_lost_slot_is_said(own_cluster, shared_clusters, new_pipeline):
    source = own_cluster("lost", settings={"max_slot_wal_keep_size": "1MB"})
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    for number in range(4):
        pipeline.source.execute("create table noise%s as select g from generate_series(1, 90000) g" % number)
        pipeline.source.execute("select pg_switch_wal()")
        pipeline.source.execute("checkpoint")
    assert pipeline.slot()["wal_status"] == "lost"
    assert status(pipeline, code=3)["state"] == "lost"


def test_a_slot_ahead_of_the_sink_is_what_run_would_refuse(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into item values (2000, 'lost')")
    pipeline.source.execute("select pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())",
                            (pipeline.slot_name(),))
    found = status(pipeline, code=3)
    assert found["state"] == "refused"
    assert "ahead of sink" in found["reason"]


def test_an_unreachable_target_does_not_hide_the_rest(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.sink_configuration["dsn"] = "host=127.0.0.1 port=1 user=nobody dbname=nowhere"
    found = status(pipeline, code=1)
    assert found["state"] == "stopped"
    assert "port 1" in sink(found)["error"]


def test_an_unreachable_source_does_not_hide_the_position(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    position = pipeline.position()
    pipeline.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=nobody dbname=nowhere"
    found = status(pipeline, code=1)
    assert found["state"] == "unknown"
    assert found["source"] is None
    assert sink(found)["position"] == position
    assert sink(found)["lag_bytes"] is None


def test_people_get_the_same_in_words(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.assert_follows()
    text = pipeline.engine.command("status").stdout
    for words in ("shop: streaming, engine pid", "warehouse  postgres", "in use by pid", "confirmed to"):
        assert words in text, text
