# SPDX-License-Identifier: Apache-2.0
"""A table without a key in mode append, copied while it changes: each change is in the copy's snapshot or an event, and never both."""

import json
import random
import threading
import time

import pytest

from support.modes import modes_of

TABLE = """create table log (line text, n int); alter table log replica identity full;
    insert into log select 'line ' || g % 1000, g % 5 from generate_series(1, 30000) g"""
# Many rows are equal, so only the counts tell whether one is there twice.
STATEMENTS = [
    "insert into log select 'new ' || $k, g % 3 from generate_series(1, 5) g",
    "update log set n = n + 1 where ctid in (select ctid from log where line = 'line ' || $k limit 3)",
    "delete from log where ctid in (select ctid from log where line = 'line ' || $k limit 2)",
    "begin; insert into log values ('both', $k); delete from log where line = 'both' and n = $k; insert into log values ('both', $k); commit",
]


class Load:
    """A thread that changes rows until the block ends."""

    def __init__(self, source):
        self.source, self.chance, self.stop, self.failure = source, random.Random(7), threading.Event(), None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        assert self.failure is None, self.failure

    def _run(self):
        try:
            with self.source.connect(autocommit=True) as connection, connection.cursor() as cursor:
                while not self.stop.wait(0.002):
                    cursor.execute(self.chance.choice(STATEMENTS).replace("$k", str(self.chance.randrange(1, 999))))
        except Exception as failure:  # noqa: BLE001 - the test's thread tells it
            self.failure = failure


def assert_rows(modes):
    """Also counted here, without `pgcdc verify`."""
    modes.wait()
    count = "sum(case when _pgcdc_op = 'd' then -1 else 1 end)::bigint"
    found = modes.of["append"].execute(f"select line, n, {count} from kept.log_append group by 1, 2 having {count} <> 0 order by 1, 2")
    expected = modes.source.execute("select line, n, count(*) from log group by 1, 2 order by 1, 2")
    wrong = [row for row in found if row not in set(expected)], [row for row in expected if row not in set(found)]
    assert wrong == ([], []), f"{len(wrong[0])} are wrong, such as {wrong[0][:3]}; {len(wrong[1])} are missing, such as {wrong[1][:3]}"
    modes.assert_verified()


@pytest.mark.parametrize("kills", [0, 5])
def test_the_first_copy(pipeline, kills):
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB", "workers": 2}
    with modes_of(pipeline, "log", ["append"]) as modes:
        chance = random.Random(11)
        with Load(modes.source):
            for _ in range(kills):
                modes.engine.start()
                time.sleep(chance.random())
                modes.engine.kill()
                pipeline.wait_slot_free()
            modes.engine.catch_up()
        modes.start()
        assert_rows(modes)
        assert modes.of["append"].value("select count(*) from kept.log_append where _pgcdc_op = 'r'") > 0


def test_a_new_table_and_a_copy_again(pipeline):
    pipeline.source.execute("create table goods (id int primary key)")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "new_tables": "copy", "chunk_bytes": "64kB"}
    with modes_of(pipeline, "log", ["append"]) as modes:
        log = modes.of["append"]
        modes.start()
        modes.source.execute(TABLE)
        with Load(modes.source):
            pipeline.wait_while_running(lambda: log.value("select to_regclass('kept.log_append') is not null") and
                                        log.value("select count(*) from kept.log_append where _pgcdc_op = 'r'") > 0 and
                                        log.value("select count(*) from pgcdc.copy") == 0, "the copy of the new table")
        assert_rows(modes)
        result = modes.engine.command("table copy", "public.log")
        assert result.returncode == 2 and "would remove what is kept" in result.stderr, result.stderr
        log.execute("delete from kept.log_append")
        result = modes.engine.command("table copy", "public.log")
        assert result.returncode == 0, result.stderr
        with Load(modes.source):
            pipeline.wait_while_running(lambda: log.value("select count(*) from kept.log_append where _pgcdc_op = 'r'") > 0 and
                                        log.value("select count(*) from pgcdc.copy") == 0, "the copy")
        assert_rows(modes)


def test_a_truncate_while_it_is_copied(pipeline):
    """The rows of before are gone, and those of the copy that came after it remain."""
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB"}
    with modes_of(pipeline, "log", ["append"]) as modes:
        modes.engine.start(environment={"PGCDC_FAULT": "chunk-begun"})
        modes.engine.wait_exit()
        pipeline.wait_slot_free()
        modes.source.execute("truncate log; insert into log select 'after', g from generate_series(1, 50) g")
        modes.engine.start()
        modes.source.execute("insert into log values ('last', 1); delete from log where n = 7")
        log = modes.of["append"]
        pipeline.wait_while_running(lambda: log.value("select to_regclass('pgcdc.copy') is not null"), "the plan")
        pipeline.wait_while_running(lambda: log.value("select count(*) from pgcdc.copy") == 0, "the copy to end")
        modes.assert_verified()
        table = json.loads(modes.engine.command("verify", "--json").stdout)["sinks"][0]["tables"][0]
        assert table["target_rows"] == 50, table
