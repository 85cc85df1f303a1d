# SPDX-License-Identifier: Apache-2.0
"""`pgcdc table`: tables are added, copied again and removed, while the pipeline runs and while it does not."""

import re
import signal
import threading
from pathlib import Path

import pytest

from support.wait import wait_until


@pytest.fixture
def streaming(pipeline):
    """Two tables stream; a third one exists at the source and is not published."""
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'x' from generate_series(1, 20000) g;"
                            "create table u (id int primary key, v text); insert into u select g, 'y' from generate_series(1, 100) g")
    pipeline.engine.configuration["copy"] = {"mode": "simple", "chunk_bytes": "64kB"}
    pipeline.start()
    pipeline.source.execute("create table late (id int primary key, v text, big text);"
                            "insert into late select g, 'z', repeat('b', 50) from generate_series(1, 20000) g")
    return pipeline


def command(pipeline, *words, code=0):
    """`pgcdc table WORD -c FILE ARGUMENTS`."""
    result = pipeline.engine.command("table " + words[0], *words[1:])
    assert result.returncode == code, result.stdout + result.stderr
    return result


def wait_copied(pipeline):
    wait_until(lambda: "copying" not in command(pipeline, "list").stdout, "the copy to end")


def test_a_table_is_added_while_it_is_written(streaming):
    """Its rows are copied and its changes applied; the other tables go on."""
    stop = threading.Event()

    def write():
        connection = streaming.source.connect()
        with connection.cursor() as cursor:
            number = 0
            while not stop.is_set():
                number += 1
                cursor.execute("update late set v = %s where id = %s", (str(number), number * 7919 % 20000 + 1))
                cursor.execute("update late set id = id + 100000 where id = %s", (number * 31 % 20000 + 1,))
                cursor.execute("insert into t values (%s, 'new')", (100000 + number,))
        connection.close()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        said = command(streaming, "add", "public.late").stdout
        wait_copied(streaming)
    finally:
        stop.set()
        writer.join()
    assert "will be copied" in said
    streaming.assert_follows("public.t", "public.u", "public.late")
    assert "streams" in command(streaming, "list").stdout


def test_adding_again_changes_nothing(streaming):
    command(streaming, "add", "public.late")
    command(streaming, "add", "public.late")
    wait_copied(streaming)
    streaming.assert_follows("public.late")


def test_a_table_is_added_while_no_engine_runs(streaming):
    streaming.engine.stop()
    said = command(streaming, "add", "public.late").stdout
    assert "no engine runs here" in said
    streaming.source.execute("update late set v = 'after' where id = 5; delete from late where id = 6")
    streaming.start()
    wait_copied(streaming)
    streaming.assert_follows("public.late")


def test_a_damaged_table_is_copied_again_while_it_is_written(streaming):
    streaming.wait_applied()
    streaming.target.execute("delete from t where id % 3 = 0; update t set v = 'wrong' where id % 5 = 0; insert into t values (-1, 'extra')")
    streaming.source.execute("update t set v = 'right' where id between 100 and 200 and id % 3 <> 0")
    command(streaming, "copy", "public.t")
    streaming.source.execute("update t set v = 'later' where id between 300 and 400")
    wait_copied(streaming)
    streaming.assert_follows("public.t", "public.u")


def test_only_the_chunks_with_such_a_row_are_copied(streaming):
    streaming.wait_applied()
    streaming.target.execute("update t set v = 'wrong' where id in (17, 19000)")
    command(streaming, "copy", "--where", "v = 'wrong'", "public.t")
    wait_copied(streaming)
    streaming.assert_follows("public.t")


def test_a_table_of_a_list_is_added_and_removed_while_the_engine_runs(streaming):
    """The running engine has read source.tables before the operator changed it."""
    streaming.wait_applied()
    streaming.engine.stop()
    streaming.source_configuration["tables"] = ["public.t", "public.u"]
    streaming.start()
    streaming.source_configuration["tables"] = ["public.t", "public.u", "public.late"]
    command(streaming, "add", "public.late")
    streaming.source.execute("insert into late values (-51)")
    wait_copied(streaming)
    streaming.assert_follows("public.t", "public.u", "public.late")
    streaming.source_configuration["tables"] = ["public.t", "public.late"]
    command(streaming, "remove", "public.u")
    streaming.source.execute("insert into late values (-52); insert into t values (2000000, 'after')")
    streaming.assert_follows("public.t", "public.late")


def test_a_table_is_removed(streaming):
    streaming.source.execute("insert into u values (1000, 'before')")
    streaming.wait_applied()
    command(streaming, "remove", "public.u")
    streaming.source.execute("insert into u values (1001, 'after'); insert into t values (1000000, 'after')")
    streaming.assert_follows("public.t")
    assert streaming.target.value("select count(*) from u where id >= 1000") == 1


@pytest.mark.parametrize("words, text", [
    (("add", "nothing.here"), "the source has no table"),
    (("copy", "public.late"), "`pgcdc table add` publishes and copies it"),
    (("add", "a.b.c.d"), "is not a table's name"),
])
def test_a_wrong_table_is_refused(streaming, words, text):
    result = command(streaming, *words, code=2)
    assert text in result.stderr


SOON = {"PGCDC_INTERVAL_MS": "300"}


def live(pipeline):
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB"}
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'x' from generate_series(1, 3000) g")
    return pipeline


def test_a_table_that_was_published_by_hand_is_copied_by_itself(pipeline):
    """The watch finds it, the next attempt copies it; its rows are there although no change ever named them."""
    live(pipeline).start(environment=SOON)
    pipeline.target.execute("create table u (id int primary key, v text)")
    pipeline.source.execute("create table u (id int primary key, v text); insert into u select g, 'old' from generate_series(1, 5000) g;"
                            "alter publication shop add table u")
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from u") == 5000, "the rows of u")
    pipeline.source.execute("update u set v = 'new' where id < 100; insert into t values (-1, 'y')")
    wait_copied(pipeline)
    pipeline.assert_follows("public.t", "public.u")
    assert "copying 1 table whose older rows no change carries (copy.new_tables): public.u" in pipeline.engine.log_text()


def test_a_table_that_a_sink_lacks_is_created_and_copied(pipeline):
    """A publication for all tables sends a new table's changes at once."""
    live(pipeline).publish()
    pipeline.start()
    pipeline.source.execute("create table late (id int primary key, v text); insert into late select g, 'a' from generate_series(1, 500) g")
    pipeline.source.execute("update late set v = 'b' where id < 50; insert into t values (-1, 'y')")
    pipeline.wait_while_running(lambda: pipeline.target.value("select to_regclass('late') is not null"), "the table")
    wait_copied(pipeline)
    pipeline.assert_follows("public.t", "public.late")


def test_a_table_found_at_a_start_is_copied(pipeline):
    live(pipeline).start()
    pipeline.wait_applied()
    wait_copied(pipeline)
    pipeline.engine.stop()
    pipeline.source.execute("create table u (id int primary key, v text); insert into u select g, 'old' from generate_series(1, 700) g;"
                            "alter publication shop add table u; update u set v = 'later' where id = 5")
    pipeline.start()
    pipeline.wait_while_running(lambda: pipeline.target.value("select to_regclass('u') is not null"), "the table")
    wait_copied(pipeline)
    pipeline.assert_follows("public.t", "public.u")


def publish_u(pipeline, rows=3000):
    """By hand: no change ever names its rows."""
    pipeline.source.execute(f"create table u (id int primary key, v text); insert into u select g, repeat('old', 20) from generate_series(1, {rows}) g;"
                            "alter publication shop add table u")


def assert_copied(pipeline, *tables):
    """A run that ended has nothing to copy left."""
    assert "copying" not in command(pipeline, "list").stdout
    pipeline.assert_equal(*tables)


def test_a_run_that_catches_up_ends_after_the_copy_of_new_tables(pipeline):
    """The stream was at its end at once, so it ended before the first chunk."""
    live(pipeline).source.execute("create publication shop for table t")
    pipeline.engine.catch_up()
    publish_u(pipeline)
    log = pipeline.engine.catch_up().stderr
    assert "copying 1 table whose older rows no change carries (copy.new_tables): public.u" in log
    assert_copied(pipeline, "public.t", "public.u")


def test_a_run_that_catches_up_copies_new_tables_beside_an_interrupted_copy(pipeline):
    """Newer tables were not looked for while others were copied."""
    live(pipeline).source.execute("create publication shop for table t")
    pipeline.engine.start(environment={"PGCDC_FAULT": "chunk-committed:1"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    pipeline.target.execute("create table u (id int primary key, v text)")
    publish_u(pipeline)
    log = pipeline.engine.catch_up().stderr
    assert "the copy continues" in log and "copying 1 table whose older rows no change carries (copy.new_tables): public.u" in log
    assert_copied(pipeline, "public.t", "public.u")


def test_a_table_that_is_being_copied_is_named_and_copied_again_after(pipeline):
    """It was left out without a word when another table was copied."""
    live(pipeline).source.execute("create table u (id int primary key, v text); insert into u values (1, 'a'); create publication shop for table t, u")
    pipeline.engine.catch_up()
    assert "already" not in command(pipeline, "copy", "public.u").stdout
    said = command(pipeline, "copy", "public.t", "public.u").stdout
    assert "table public.u is being copied into sink warehouse already, and is not copied again" in said and "public.t is being" not in said
    pipeline.engine.catch_up()
    assert re.search(r"public\.u .* streams", command(pipeline, "list").stdout)
    pipeline.target.execute("delete from u")
    assert "already" not in command(pipeline, "copy", "public.u").stdout
    pipeline.engine.catch_up()
    assert_copied(pipeline, "public.t", "public.u")


def test_a_run_that_ends_at_an_lsn_does_not_begin_a_copy(pipeline):
    """Chunks contain changes from after the LSN."""
    live(pipeline).source.execute("create publication shop for table t")
    pipeline.engine.catch_up()
    publish_u(pipeline)
    result = pipeline.engine.command("run", "--until", pipeline.source.value("select pg_current_wal_flush_lsn()"))
    assert result.returncode == 2 and "run first with `--until caught-up`" in result.stderr, result.stderr
    pipeline.engine.catch_up()
    assert_copied(pipeline, "public.t", "public.u")


def test_a_run_that_catches_up_ends_after_the_copy_of_a_table_that_is_added_meanwhile(pipeline):
    """The command was answered, and the run ended with the table in its plan."""
    live(pipeline).engine.catch_up()
    pipeline.source.execute("update t set v = 'y'; insert into t select g, 'new' from generate_series(10001, 40000) g;"
                            "create table late (id int primary key, v text); insert into late select g, repeat('z', 50) from generate_series(1, 3000) g")
    pipeline.engine.start("--until", "caught-up", environment={"PGCDC_FAULT": "runner-batch:stop"})
    wait_until(lambda: "State:\tT" in Path(f"/proc/{pipeline.engine.process.pid}/status").read_text(), "the engine to stop at its first batch, with the plan read")
    adding = threading.Thread(target=command, args=(pipeline, "add", "public.late"))
    adding.start()
    try:
        wait_until(lambda: pipeline.target.value("select count(*) from pgcdc.chunk") > 0, "the plan of the table")
    finally:
        pipeline.engine.thaw()
        adding.join()
    assert pipeline.engine.wait_exit() == 0
    assert "tables were added, and this run ends once they are copied" in pipeline.engine.log_text()
    assert_copied(pipeline, "public.t", "public.late")


def test_new_tables_can_be_streamed_only(pipeline):
    live(pipeline).engine.configuration["copy"]["new_tables"] = "stream"
    pipeline.target.execute("create table u (id int primary key, v text)")
    pipeline.start(environment=SOON)
    pipeline.source.execute("create table u (id int primary key, v text); insert into u values (1, 'old'); alter publication shop add table u")
    pipeline.source.execute("insert into u values (2, 'new'); insert into t values (-1, 'y')")
    pipeline.wait_applied()
    assert pipeline.target.value("select string_agg(v, ',') from u") == "new"
    assert pipeline.engine.is_running()


def test_a_table_that_was_renamed_while_changes_wait_is_copied_again(pipeline):
    """The waiting changes have a name that the sink lacks, and the copy under the new name contains them."""
    live(pipeline).start()
    wait_copied(pipeline)
    pipeline.engine.stop()
    pipeline.source.execute("update t set v = 'waits' where id = 1; alter table t rename to t2")
    pipeline.target.execute("alter table t rename to t2")
    pipeline.start()
    pipeline.source.execute("update t2 set v = 'later' where id = 2")
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from t2 where v in ('waits', 'later')") == 2, "the changes")
    wait_copied(pipeline)
    pipeline.assert_follows("public.t2")


@pytest.mark.parametrize("point", ["tables-before-add", "tables-added"])
def test_an_engine_killed_while_it_adds_a_table_adds_it_again(pipeline, point):
    live(pipeline).publish()
    pipeline.start(environment={"PGCDC_FAULT": f"{point}:1"})
    pipeline.source.execute("create table late (id int primary key, v text); insert into late select g, 'a' from generate_series(1, 500) g")
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    pipeline.source.execute("update late set v = 'b' where id < 50")
    pipeline.start()
    pipeline.wait_while_running(lambda: pipeline.target.value("select to_regclass('late') is not null"), "the table")
    wait_copied(pipeline)
    pipeline.assert_follows("public.t", "public.late")


def test_a_command_killed_before_it_stores_the_plan_is_repeated(streaming):
    result = streaming.engine.command("table add", "public.late", environment={"PGCDC_FAULT": "add-before-commit:1"})
    assert result.returncode == -signal.SIGKILL
    assert streaming.target.value("select to_regclass('late')") is None
    command(streaming, "add", "public.late")
    wait_copied(streaming)
    streaming.assert_follows("public.late")


def test_a_planned_table_that_is_gone_is_removed(pipeline):
    """`run --until caught-up` waited forever for the publication of a table that the source had no more, and no command took it back."""
    pipeline.source.execute("create table t (id int primary key); create publication shop for table t")
    pipeline.engine.catch_up()
    pipeline.source.execute("create table late (id int primary key); insert into late values (1)")
    assert "alter publication" in command(pipeline, "add", "public.late").stdout
    pipeline.source.execute("drop table late")
    pipeline.engine.start("--until", "caught-up")
    pipeline.engine.wait_log("public.late waits until the table is published: run the statement that `pgcdc table add` printed, or `pgcdc table remove`")
    assert "waits until it is published, or removed" in command(pipeline, "list").stdout
    assert "has no table public.nothing" in command(pipeline, "remove", "public.nothing", code=2).stderr
    command(pipeline, "remove", "public.late")
    assert pipeline.engine.wait_exit() == 0
    assert "late" not in command(pipeline, "list").stdout
    pipeline.assert_equal("public.t")
