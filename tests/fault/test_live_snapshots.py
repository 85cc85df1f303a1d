# SPDX-License-Identifier: Apache-2.0
"""
A commit that waits for a synchronous standby: the slot sends it, and no snapshot sees it.

Its LSN is below the end of the WAL that a chunk's snapshot finds, so a copy that compares LSNs loses its rows.
"""

import os
import signal
import threading

import pytest

from support.wait import wait_until

ROWS = 6000
SCHEMA = f"""
create table large (id int primary key, pad text);
create table item (id int primary key, n int, pad text);
insert into large select g, repeat('l', 400) from generate_series(1, {ROWS}) g;
insert into item select g, 0, repeat('i', 60) from generate_series(1, {ROWS}) g;
analyze;
"""


@pytest.fixture
def synchronous(sturdy_clusters, new_pipeline):
    """Commits at the source wait for a standby that does not exist, except those of the test's own sessions."""
    pipeline = new_pipeline(*sturdy_clusters)
    pipeline.source.execute(SCHEMA)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "64kB"}
    demand_standby(pipeline, "nobody")
    yield pipeline
    demand_standby(pipeline, "")


def demand_standby(pipeline, name):
    pipeline.source.cluster.configure({"synchronous_standby_names": name})
    pipeline.source.cluster.reload()
    wait_until(lambda: pipeline.source.value("show synchronous_standby_names") == name, "the setting")


class Hanging:
    """A transaction whose COMMIT does not return."""

    def __init__(self, database, *statements):
        self.database = database
        self.connection = database.connect(autocommit=False)
        self.pid = self.connection.get_backend_pid()
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("select pg_current_xact_id()::text")
            self.xid = cursor.fetchone()[0]
        self._thread = threading.Thread(target=self._commit)

    def commit(self):
        self._thread.start()
        wait_until(lambda: self.database.execute("select 1 from pg_stat_activity where pid = %s and wait_event = 'SyncRep'", (self.pid,)),
                   "the commit to wait for a standby")

    def _commit(self):
        self.connection.commit()

    def release(self):
        """The commit stands; only the wait ends."""
        self.database.value("select pg_cancel_backend(%s)", (self.pid,))
        self._thread.join()
        self.connection.close()


class Blocker:
    """An open transaction, which ends by a rollback, because a commit would wait."""

    def __init__(self, database, statement="select pg_current_xact_id()"):
        self.connection = database.connect(autocommit=False)
        self.cursor = self.connection.cursor()
        self.cursor.execute(statement)

    def xid(self):
        self.cursor.execute("select pg_current_xact_id()::text")
        return self.cursor.fetchone()[0]

    def end(self):
        self.connection.rollback()
        self.connection.close()


def start_held(pipeline):
    """The plan is stored, the stream runs, and the one copier waits for a lock with the first of its chunks."""
    pipeline.engine.start(environment={"PGCDC_FAULT": "chunk-accepted:1"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    blocker = Blocker(pipeline.target, "lock table large in share mode")
    pipeline.start()
    wait_until(lambda: pipeline.target.execute("select 1 from pg_locks where relation = 'large'::regclass and not granted"), "the copier to wait")
    assert pipeline.target.value("select count(*) from pgcdc.chunk where table_name = 'item'") > 3
    return blocker


def copy_is_finished(pipeline):
    return pipeline.target.value("select count(*) from pgcdc.copy") == 0


def chunks_are_refused(pipeline):
    """The copier takes one snapshot after the other, and says what it waits for."""
    def items_copied():
        return pipeline.target.value("select count(*) from pgcdc.chunk where state = 'copied' and table_name = 'item'")
    pipeline.wait_while_running(lambda: "waits for a transaction" in pipeline.engine.log_text() or copy_is_finished(pipeline) or items_copied(),
                                "the copier to wait")
    assert not copy_is_finished(pipeline)
    assert items_copied() == 0


def finish(pipeline):
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.assert_follows()
    pipeline.engine.stop()


CHANGES = ("update item set n = 1 where id in (5, 3000)", f"insert into item values ({ROWS + 1}, 1, 'late')", "delete from item where id = 70")


def test_a_chunk_waits_until_it_sees_what_was_streamed(synchronous):
    """Its chunk waits, so the change is left out, and the stream does not send it again."""
    blocker = start_held(synchronous)
    hanging = Hanging(synchronous.source, *CHANGES)
    hanging.commit()
    synchronous.wait_applied()
    blocker.end()
    chunks_are_refused(synchronous)
    hanging.release()
    finish(synchronous)


def test_a_new_engine_remembers_what_was_streamed(synchronous):
    """The same, with a kill -9 after the position has passed the transaction."""
    blocker = start_held(synchronous)
    hanging = Hanging(synchronous.source, *CHANGES)
    hanging.commit()
    synchronous.wait_applied()
    synchronous.engine.kill()
    synchronous.start()
    blocker.end()
    chunks_are_refused(synchronous)
    hanging.release()
    finish(synchronous)


def test_a_change_that_no_chunk_sees_is_applied(synchronous):
    """The chunks are copied while it hangs and the stream stands still; then it comes, with an LSN below those of the chunks."""
    blocker = start_held(synchronous)
    sender = synchronous.slot()["active_pid"]
    os.kill(sender, signal.SIGSTOP)
    try:
        hanging = Hanging(synchronous.source, *CHANGES)
        hanging.commit()
        blocker.end()
        synchronous.wait_while_running(lambda: synchronous.target.value("select bool_and(state = 'copied') from pgcdc.chunk"), "all chunks")
        assert synchronous.target.value("select not bool_or(pg_visible_in_snapshot(%s::xid8, snapshot::pg_snapshot)) from pgcdc.chunk", (hanging.xid,))
    finally:
        os.kill(sender, signal.SIGCONT)
    synchronous.wait_while_running(lambda: synchronous.target.execute("select 1 from item where n = 1 and id > %s", (ROWS,)), "the row")
    assert not synchronous.source.execute("select 1 from item where n = 1"), "the source shows the row, so nothing was tried"
    hanging.release()
    finish(synchronous)


def wait_for_slot(pipeline, xid):
    wait_until(lambda: pipeline.source.execute("select 1 from pg_locks where not granted and transactionid = %s::xid", (xid,)),
               "the slot's creation to wait for a transaction")


@pytest.mark.parametrize("is_killed", [False, True], ids=["undisturbed", "killed"])
def test_a_chunk_waits_until_it_sees_what_the_slot_saw(synchronous, is_killed):
    """A transaction that hangs while the slot is made: the slot's snapshot sees it, so the slot does not send it; an ordinary one does not."""
    first = Blocker(synchronous.source)
    synchronous.engine.start()
    wait_for_slot(synchronous, first.xid())
    second = Blocker(synchronous.source)
    first.end()
    wait_for_slot(synchronous, second.xid())
    hanging = Hanging(synchronous.source, *CHANGES)
    hanging.commit()
    second.end()
    synchronous.wait_streaming()
    seen, = synchronous.target.execute("select pg_visible_in_snapshot(%s::xid8, snapshot::pg_snapshot) from pgcdc.copy", (hanging.xid,))
    assert seen == (True,)
    if is_killed:
        synchronous.engine.kill()
        synchronous.start()
    chunks_are_refused(synchronous)
    synchronous.wait_applied()
    assert not synchronous.source.execute("select 1 from item where n = 1")
    hanging.release()
    finish(synchronous)
