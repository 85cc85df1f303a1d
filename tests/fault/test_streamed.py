# SPDX-License-Identifier: Apache-2.0
"""kill -9 while large transactions are streamed: nothing of the spool is needed again."""

import random
import signal
import threading
import time

import pytest

from support.load import Load

KILLS = 8
KILLS_LONG = 300


class LargeTransactions:
    """One after the other, some of which roll back, in whole or in part."""

    def __init__(self, database):
        self.database = database
        self.commits = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        chance = random.Random(20261129)
        connection = self.database.connect(autocommit=False)
        seq = 10_000_000
        while not self._stop.is_set():
            cursor = connection.cursor()
            for part in range(chance.randrange(1, 4)):
                cursor.execute("savepoint part")
                cursor.execute("insert into journal (seq, v) select g, repeat('l', 100) from generate_series(%s, %s) g", (seq, seq + 1499))
                cursor.execute("update document set title = title || '.' where id <= 20")
                seq += 1500
                if chance.random() < 0.3:
                    cursor.execute("rollback to part")
                time.sleep(0.01 * part)
            if chance.random() < 0.2:
                connection.rollback()
            else:
                connection.commit()
                self.commits += 1
        connection.close()


@pytest.fixture
def streamed(loaded):
    loaded.source_configuration.update({"streaming": "on", "decoding_work_mem": "64kB"})
    return loaded


def was_streamed(pipeline):
    return pipeline.source.value("select coalesce(max(stream_txns), 0) from pg_stat_replication_slots where slot_name = 'shop'")


def test_killed_while_transactions_are_streamed(streamed, finish, request):
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(7)
    with Load(streamed.source), LargeTransactions(streamed.source) as large:
        for life in range(kills):
            streamed.engine.start()
            if life % 2 == 0:
                lsn = streamed.source_lsn()
                streamed.wait_while_running(lambda: streamed.position_reached(lsn), "something to be applied")  # pylint: disable=cell-var-from-loop
            time.sleep(chance.random() * 0.4)
            assert streamed.engine.is_running(), streamed.engine.log_tail()
            streamed.engine.kill()
    assert large.commits > 0
    finish(streamed)
    assert was_streamed(streamed) > 0, "nothing was streamed, so nothing was tested"


def test_killed_where_one_commits(streamed, finish):
    with Load(streamed.source), LargeTransactions(streamed.source):
        for visit in (1, 2, 5):
            streamed.engine.start(environment={"PGCDC_FAULT": f"streamed-commit:{visit}"})
            code = streamed.engine.wait_exit(120)
            assert code == -signal.SIGKILL, f"exit code {code}\n{streamed.engine.log_tail()}"
    finish(streamed)
