# SPDX-License-Identifier: Apache-2.0
"""`pgcdc status`: it tells the truth in every state of a pipeline, and disturbs none."""

import json
import re
import time

from support.wait import wait_until

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


def test_counts_and_lag_in_seconds_are_the_sinks(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.start()
    for number in range(3):
        pipeline.source.execute("insert into item values (%s, 'x'), (%s, 'x')", (1000 + number, 2000 + number))
    pipeline.assert_follows()

    def told():
        found = status(pipeline)
        return found if sink(found)["transactions"] == 3 and sink(found)["lag_ms"] == 0 and sink(found)["lag_bytes"] == 0 else None
    found = wait_until(told, "the engine to tell what it did, and the sink to have all that the source has")
    assert sink(found)["changes"] == 6
    assert found["activity"]["is_current"] and found["activity"]["engine_pid"] == pipeline.engine.process.pid
    assert found["activity"]["rows_copied"] == 100
    assert found["copy"] is None
    wait_until(lambda: sink(status(pipeline))["changes_per_s"] is not None, "a rate")
    pipeline.engine.stop()
    stopped = time.time()
    pipeline.source.execute("insert into item values (9, 'not there') on conflict (id) do update set v = 'late'")
    found = status(pipeline)
    assert not found["activity"]["is_current"]
    assert sink(found)["transactions"] == 3, "of the last run"
    assert sink(found)["changes_per_s"] is None
    assert 0 < sink(found)["lag_ms"] < (time.time() - stopped + 120) * 1000
    text = pipeline.engine.command("status").stdout
    assert "last run    took" in text and "warehouse: 3 transactions, 6 changes" in text, text


def test_a_killed_engines_numbers_are_not_current(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.engine.kill()
    found = status(pipeline)
    assert found["activity"]["is_current"] is False
    assert found["copy"] is None
    pipeline.engine.catch_up()
    assert status(pipeline)["activity"]["rows_copied"] == 0, "counts are of the last engine"


def test_a_copy_shows_its_progress(pipeline):
    pipeline.source.execute(TABLE + "; create table slow (id int primary key); insert into slow select generate_series(1, 100)")
    pipeline.target.execute("create table item (id int primary key, v text); create table slow (id int primary key);"
                            "create function slowly(int) returns bool language plpgsql as 'begin perform pg_sleep(0.1); return true; end';"
                            "alter table slow add check (slowly(id))")
    pipeline.engine.start()

    def shown():
        copy = status(pipeline)["copy"]
        return copy if copy and copy["tables_done"] == 1 else None
    copy = pipeline.wait_while_running(shown, "the second table's copy")
    assert copy["table"] == "public.slow" and copy["table_count"] == 2
    assert copy["rows"] >= 100 and copy["bytes"] > 0
    assert 0 < copy["bytes_done"] <= copy["bytes_estimate"]
    text = pipeline.engine.command("status").stdout
    assert "copy        public.slow, 1 of 2 tables" in text, text
    pipeline.engine.stop()


def test_a_line_a_minute_tells_lag_against_the_source(pipeline):
    """Not against what was received: that a stopped target receives nothing is what is to be seen."""
    pipeline.source.execute(TABLE)
    pipeline.start(environment={"PGCDC_INTERVAL_MS": "1000"})
    pipeline.source.execute("insert into item values (1000, 'x'), (1001, 'x')")
    pipeline.engine.wait_log("sink warehouse: 1 transaction, 2 changes in ")
    assert "with all that the source has" in pipeline.engine.log_text()
    lock = pipeline.target.connect(autocommit=False)
    lock.cursor().execute("lock table item in access exclusive mode")
    pipeline.source.execute("update item set v = repeat('x', 2000)")
    pipeline.engine.wait_log(" behind the source")
    assert re.search(r"sink warehouse: 0 transactions, 0 changes in .* \(0.0 changes/s\), at \S+, \d+.* of WAL and .* s behind the source",
                     pipeline.engine.log_text()), pipeline.engine.log_tail()
    lock.close()
    pipeline.assert_follows()
