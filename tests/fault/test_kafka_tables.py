# SPDX-License-Identifier: Apache-2.0
"""`pgcdc table` with a Kafka sink: tables are added and copied again while the pipeline runs and while it does not, whatever dies."""

import signal

import pytest

from support import load, oracle
from support.committed import lsn_number
from support.kafka import Kafka
from support.kafka_copy import check_copied, is_copied, wait_copied
from support.load import Load
from support.wait import wait_until

TABLES = ("public.journal", "public.account", "public.document", "public.seat", "public.part")
ENGINE_POINTS = ("tables-edit-sent", "tables-edit-stored", "runner-chunk-written", "runner-chunk-stored", "runner-before-finish")


@pytest.fixture(scope="module")
def kafka():
    with Kafka("tables") as kafka:
        yield kafka


@pytest.fixture
def streaming(new_kafka_pipeline, source_cluster, kafka):
    """Accounts and parts are published, in a publication that counts as pgcdc's own; not started yet."""
    pipeline = new_kafka_pipeline(source_cluster, kafka)
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    pipeline.source.execute(load.SCHEMA + load.ROWS + "alter table journal replica identity full; analyze")
    pipeline.replay.execute(load.SCHEMA)
    publish(pipeline, f"comment on publication {pipeline.name} is 'created by pgcdc'")
    return pipeline


def publish(pipeline, more=""):
    pipeline.publish_tables("account", "part")
    pipeline.source.execute(more or "select")


def command(pipeline, *words, code=0, **arguments):
    """`pgcdc table WORD -c FILE ARGUMENTS`."""
    result = pipeline.engine.command("table " + words[0], *words[1:], **arguments)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def start(pipeline, **arguments):
    pipeline.engine.start(**arguments)
    wait_copied(pipeline)


def check(pipeline, finished_lsn, tables=TABLES):
    pipeline.engine.stop()
    pipeline.engine.catch_up()
    return check_copied(pipeline, finished_lsn, tables, upserts=True)


def rows_read(checker, table):
    return sum(each.kind == "r" and each.table == table for each in checker.published)


def test_tables_are_added_and_copied_again_while_they_are_written(streaming):
    """One of them has no key: nothing of it was sent before, so its rows and changes can be told apart."""
    with Load(streaming.source, pause_s=0.005):
        start(streaming)
        said = command(streaming, "add", "public.document", "public.seat", "public.journal").stdout
        assert "will be copied" in said and "the running engine copies them now" in said, said
        wait_copied(streaming)
        assert "were published before" in command(streaming, "add", "public.document").stdout
        said = command(streaming, "copy", "public.account").stdout
        assert "as read records, after what it has" in said, said
        finished_lsn = wait_copied(streaming)
    assert "copying" not in command(streaming, "list").stdout
    checker = check(streaming, finished_lsn)
    assert rows_read(checker, "account") >= 2 * 2000 and rows_read(checker, "document") == 50


def test_a_table_without_a_key_is_not_copied_again(streaming):
    start(streaming)
    command(streaming, "add", "public.journal")
    wait_copied(streaming)
    refused = command(streaming, "copy", "public.journal", code=2).stderr
    assert "the messages of table public.journal have no key" in refused and "delete its topic" in refused, refused
    command(streaming, "remove", "public.journal")
    refused = command(streaming, "add", "public.journal", "public.document", code=2).stderr
    assert "public.journal holds records, and the messages of table public.journal have no key" in refused and "delete the topic" in refused, refused
    assert "document" not in command(streaming, "list").stdout
    streaming.kafka.delete_topic(streaming.topic("journal"))
    command(streaming, "add", "public.journal")
    check(streaming, wait_copied(streaming), TABLES[:2] + TABLES[4:])


def test_a_sink_of_tables_gets_them_too(streaming):
    """What one sink refuses is planned in none."""
    streaming.engine.configuration["sinks"].append({"name": "warehouse", "type": "postgres", "dsn": streaming.replay.dsn()})
    start(streaming)
    command(streaming, "add", "public.document", "public.journal")
    streaming.source.execute("update document set title = 'later' where id = 5; delete from document where id = 6")
    wait_copied(streaming)
    wait_until(lambda: "copying" not in command(streaming, "list").stdout, "the copy to end")
    assert "have no key" in command(streaming, "copy", "public.account", "public.journal", code=2).stderr
    assert "copying" not in command(streaming, "list").stdout
    command(streaming, "copy", "public.account")
    wait_copied(streaming)
    wait_until(lambda: "copying" not in command(streaming, "list").stdout, "the copy to end")
    tables = ("public.account", "public.part", "public.document", "public.journal")
    streaming.engine.stop()
    streaming.engine.catch_up()
    oracle.assert_equal(streaming.source, streaming.replay, tables)
    check_copied(streaming, lsn_number(streaming.source_lsn()), tables, upserts=True)


def test_tables_are_added_and_copied_again_while_no_engine_runs(streaming):
    start(streaming)
    streaming.engine.stop()
    said = command(streaming, "add", "public.document", "public.journal").stdout
    assert "no engine runs here: its next start copies them" in said, said
    assert "they are planned already" in command(streaming, "add", "public.document").stdout
    command(streaming, "copy", "--where", "id = 7", "public.account")
    assert "waits" not in command(streaming, "list").stdout
    streaming.source.execute("update document set title = 'later' where id = 5; delete from account where id = 7; delete from document where id = 6")
    streaming.engine.start()
    checker = check(streaming, wait_copied(streaming), ("public.account", "public.part", "public.document", "public.journal"))
    assert 2000 <= rows_read(checker, "account") < 4000, "only the chunks with such a row"


def test_rows_have_numbers_of_their_own_when_nothing_else_happens(streaming, tmp_path):
    """On an idle source the rows of several copies are at the same place of the stream. An engine with another state directory is not disturbed."""
    streaming.engine.configuration["copy"]["mode"] = "simple"
    start(streaming)
    for _ in range(2):
        command(streaming, "copy", "public.account")
        wait_copied(streaming)
    streaming.engine.stop()
    command(streaming, "copy", "public.account")
    streaming.engine.start()
    finished_lsn = wait_copied(streaming)
    streaming.engine.configuration["state"] = str(tmp_path / "elsewhere")
    refused = command(streaming, "copy", "public.account", code=6).stderr
    assert "an engine with another state directory runs this pipeline" in refused, refused
    streaming.engine.configuration["state"] = str(streaming.state)
    checker = check(streaming, finished_lsn, ("public.account", "public.part"))
    assert rows_read(checker, "account") == 4 * 2000


def test_a_planned_table_is_removed(new_kafka_pipeline, source_cluster, kafka):
    pipeline = new_kafka_pipeline(source_cluster, kafka)
    pipeline.source.execute(load.SCHEMA + load.ROWS)
    pipeline.replay.execute(load.SCHEMA)
    publish(pipeline)
    start(pipeline)
    assert "alter publication" in command(pipeline, "add", "public.document", "public.seat").stdout
    assert command(pipeline, "list").stdout.count("waits until it is published, or removed") == 2
    command(pipeline, "remove", "public.document")
    pipeline.engine.stop()
    command(pipeline, "remove", "public.seat")
    assert is_copied(pipeline)
    pipeline.engine.start()
    check(pipeline, wait_copied(pipeline), ("public.account", "public.part"))


def test_an_engine_that_is_killed_loses_nothing(streaming):
    """A command is repeated, or was acknowledged and need not be."""
    added = ("add", "public.document", "public.journal", "public.seat")
    with Load(streaming.source, pause_s=0.02):
        start(streaming)
        for number, point in enumerate(ENGINE_POINTS):
            words = added if number < 2 else ("copy", "public.account")
            streaming.engine.stop()
            streaming.engine.start(environment={"PGCDC_FAULT": f"{point}:1"})
            streaming.wait_while_running(streaming.is_streaming, "the stream to begin")
            result = streaming.engine.command("table " + words[0], *words[1:])
            assert streaming.engine.wait_exit() == -signal.SIGKILL, point
            streaming.engine.start()
            if result.returncode != 0 and point != ENGINE_POINTS[0]:
                command(streaming, *words)
            finished_lsn = wait_copied(streaming)
    check(streaming, finished_lsn)


def test_a_command_that_is_killed_is_repeated(streaming):
    start(streaming)
    streaming.engine.stop()
    for point, table in (("tables-edit-sent", "document"), ("tables-edit-stored", "seat")):
        command(streaming, "add", f"public.{table}", code=-signal.SIGKILL, environment={"PGCDC_FAULT": f"{point}:1"})
        command(streaming, "add", f"public.{table}")
    streaming.engine.start()
    checker = check(streaming, wait_copied(streaming), ("public.account", "public.part", "public.document", "public.seat"))
    assert rows_read(checker, "document") == 50 and rows_read(checker, "seat") == 100


SOON = {"PGCDC_INTERVAL_MS": "300"}


def publish_document(pipeline):
    """By hand; the journal, too, whose messages have no key."""
    pipeline.source.execute(f"alter publication {pipeline.name} add table document, journal")
    pipeline.source.execute("update document set title = 'later' where id = 5; delete from document where id = 6")


def wait_documents(pipeline):
    def is_there():
        return pipeline.topic("document") in pipeline.topics() and len(pipeline.read("document")) >= 49
    pipeline.wait_while_running(is_there, "the rows of document")
    return wait_copied(pipeline)


def test_a_table_that_was_published_by_hand_is_copied_by_itself_and_once(streaming):
    """Kafka cannot be asked for its rows; one whose rows no consumer could tell apart is named and streamed."""
    start(streaming, environment=SOON)
    publish_document(streaming)
    streaming.engine.wait_log("copying 1 table whose older rows no change carries (copy.new_tables): public.document")
    wait_documents(streaming)
    assert "table public.journal was published, and its older rows are not copied" in streaming.engine.log_text()
    streaming.engine.kill()
    streaming.wait_slot_free()
    streaming.source.execute(f"alter publication {streaming.name} add table seat")
    streaming.engine.start(environment=SOON)
    streaming.engine.wait_log("copying 1 table whose older rows no change carries (copy.new_tables): public.seat")
    checker = check(streaming, wait_copied(streaming), ("public.account", "public.part", "public.document", "public.seat"))
    assert rows_read(checker, "document") == 49 and rows_read(checker, "seat") == 100
    assert rows_read(checker, "account") == 2000 and rows_read(checker, "journal") == 0


@pytest.mark.parametrize("as_one, table", [(True, "item"), (False, "item_2")])
def test_a_partition_that_is_attached_with_rows_is_copied_once(streaming, as_one, table):
    """While the engine runs, and not again at its next start."""
    root = "create table item (id int primary key, v text) partition by range (id); create table item_1 partition of item for values from (0) to (10);"
    loaded = "create table item_2 (id int primary key, v text); insert into item_2 select g, 'old' from generate_series(10, 19) g;"
    streaming.source.execute(f"{root} alter publication {streaming.name} add table item;"
                             f"alter publication {streaming.name} set (publish_via_partition_root = {as_one})")
    streaming.replay.execute("create table item (id int primary key, v text); create table item_2 (id int primary key, v text)")
    start(streaming, environment=SOON)
    streaming.source.execute(loaded)
    streaming.source.execute("alter table item attach partition item_2 for values from (10) to (20); update item set v = 'new' where id = 15")
    streaming.engine.wait_log(f"copying 1 table whose older rows no change carries (copy.new_tables): public.{table}")
    wait_copied(streaming)
    streaming.engine.stop()
    start(streaming, environment=SOON)
    streaming.source.execute("update item set v = 'new' where id = 16")
    checker = check(streaming, wait_copied(streaming), (f"public.{table}",))
    assert rows_read(checker, table) == 10


def test_a_table_that_a_command_has_copied_is_not_new(streaming):
    streaming.engine.configuration["copy"]["new_tables"] = "stop"
    start(streaming)
    command(streaming, "add", "public.document")
    wait_documents(streaming)
    streaming.source.execute(f"alter publication {streaming.name} add table seat")
    command(streaming, "copy", "public.seat")
    wait_copied(streaming)
    streaming.engine.stop()
    streaming.engine.start(environment=SOON)
    streaming.wait_while_running(streaming.is_streaming, "the stream to begin")
    checker = check(streaming, wait_copied(streaming), ("public.account", "public.part", "public.document", "public.seat"))
    assert rows_read(checker, "document") == 50 and rows_read(checker, "seat") == 100


def test_a_new_table_stops_the_pipeline_until_a_command_copies_it(streaming):
    streaming.engine.configuration["copy"]["new_tables"] = "stop"
    start(streaming, environment=SOON)
    streaming.source.execute(f"alter publication {streaming.name} add table document")
    assert streaming.engine.wait_exit() == 2
    log = streaming.assert_refused('table "public"."document" has rows that are older than its publication', "`pgcdc table copy -c ", code=2)
    assert "set copy.new_tables: stream" in log
    command(streaming, "copy", "public.document")
    streaming.engine.start(environment=SOON)
    checker = check(streaming, wait_copied(streaming), ("public.account", "public.part", "public.document"))
    assert rows_read(checker, "document") == 50


def test_an_engine_killed_while_it_adds_a_new_table_adds_it_again(streaming):
    streaming.source.execute("create table late (id int primary key); insert into late select generate_series(1, 70)")
    streaming.replay.execute("create table late (id int primary key)")
    start(streaming)
    streaming.engine.stop()
    for point, table in (("tables-before-add", "document"), ("tables-edit-sent", "seat"), ("tables-edit-stored", "late")):
        streaming.source.execute(f"alter publication {streaming.name} add table {table}")
        streaming.engine.start(environment={"PGCDC_FAULT": f"{point}:1"})
        assert streaming.engine.wait_exit() == -signal.SIGKILL
        streaming.engine.catch_up()
        assert streaming.topic(table) in streaming.topics() and is_copied(streaming), "a run that ended has nothing to copy left"
    checker = check_copied(streaming, lsn_number(streaming.source_lsn()), ("public.account", "public.part", "public.document", "public.seat", "public.late"), upserts=True)
    assert [rows_read(checker, table) for table in ("document", "seat", "late")] == [50, 100, 70]
