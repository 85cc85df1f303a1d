# SPDX-License-Identifier: Apache-2.0
"""`pgcdc tail`: every change as a line of JSON, next to a pipeline that it does not disturb."""

import json
import subprocess
import time

import pytest
from support.tail import Tail
from support.wait import wait_until

TABLES = """
create table item (id int primary key, big bigint, price numeric, doc jsonb, note text);
alter table item alter note set storage external;
create table journal (v text);
alter table journal replica identity full;
"""


@pytest.fixture
def streaming(pipeline):
    pipeline.source.execute(TABLES)
    pipeline.start()
    return pipeline


def test_every_kind_of_change_is_a_line(streaming):
    with Tail(streaming) as tail:
        for sql in ("insert into item values (1, 9007199254740993, 0.10, '{\"a\": [1]}', 'short')",
                    "update item set note = repeat('long', 3000)",
                    "update item set price = 'NaN'",
                    "update item set id = 2",
                    "delete from item",
                    "insert into journal values (null)",
                    "delete from journal",
                    "truncate item, journal",
                    "select pg_logical_emit_message(true, 'app', 'hello')"):
            streaming.source.execute(sql)
        lines = tail.wait_lines(9)
    assert [line["op"] for line in lines] == ["insert", "update", "update", "update", "delete", "insert", "delete",
                                              "truncate", "message"]
    insert, _, unchanged, key_change, delete, _, full_delete, truncate, message = lines
    assert insert["after"] == {"id": 1, "big": "9007199254740993", "price": "0.10", "doc": {"a": [1]}, "note": "short"}
    assert insert["key"] == {"id": 1} and insert["before"] is None
    assert unchanged["unchanged"] == ["note"] and "note" not in unchanged["after"]
    assert unchanged["after"]["price"] == "NaN"
    assert key_change["before"] == {"id": 1} and key_change["key"] == {"id": 2}
    assert delete["key"] == {"id": 2} and delete["after"] is None
    assert full_delete["key"] is None and full_delete["before"] == {"v": None}
    assert [table["table"] for table in truncate["tables"]] == ["item", "journal"]
    assert message["content"] == "hello"


def test_a_change_is_known_by_its_commit_and_its_index(streaming):
    with Tail(streaming) as tail:
        streaming.source.execute("insert into item (id) select g from generate_series(1, 1000) g")
        streaming.source.execute("insert into item (id) values (1001)")
        lines = tail.wait_lines(1001)
    assert [line["index"] for line in lines] == [*range(1000), 0]
    assert len({line["commit_lsn"] for line in lines}) == 2


def test_the_pipeline_is_not_disturbed(streaming):
    pid = streaming.slot()["active_pid"]
    with Tail(streaming) as tail:
        streaming.source.execute("insert into item (id) select g from generate_series(1, 1000) g")
        tail.wait_lines(1000)
        assert streaming.slot()["active_pid"] == pid
    streaming.assert_follows()


def test_it_leaves_no_slot_behind(streaming):
    with Tail(streaming) as tail:
        slots = streaming.source.execute("select slot_name, temporary from pg_replication_slots where temporary")
        assert len(slots) == 1 and slots[0][0].startswith("pgcdc_tail_")
        tail.process.terminate()
        assert tail.process.wait(10) == 0
    wait_until(lambda: not streaming.source.execute("select 1 from pg_replication_slots where temporary"),
               "the temporary slot to go")


def test_it_ends_when_nobody_reads_any_more(streaming):
    """Also when there is nothing to write: a pager that was closed should not leave a slot at the server."""
    with Tail(streaming, output=subprocess.PIPE) as tail:
        tail.process.stdout.close()
        assert tail.process.wait(10) == 0


def test_a_reader_may_pause_for_longer_than_the_server_waits(own_cluster, shared_clusters, new_pipeline):
    """The server drops a client that says nothing for wal_sender_timeout; a pager open over lunch says nothing."""
    source = own_cluster("pause", settings={"wal_sender_timeout": "2s"})
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute(TABLES)
    pipeline.engine.catch_up()
    with Tail(pipeline, output=subprocess.PIPE) as tail:
        pipeline.source.execute("insert into item (id, note) select g, repeat('x', 500) from generate_series(1, 20000) g")
        time.sleep(6)  # the pause itself
        ids = [json.loads(tail.process.stdout.readline())["after"]["id"] for _ in range(20000)]
        assert ids == list(range(1, 20001))
        assert tail.process.poll() is None
    assert "replication timeout" not in source.log_text()


def test_without_a_publication_it_says_who_makes_one(pipeline):
    pipeline.source.execute(TABLES)
    result = pipeline.engine.command("tail")
    assert result.returncode == 2
    assert "publication shop does not exist" in result.stderr
