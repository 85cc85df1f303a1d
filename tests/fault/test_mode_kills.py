# SPDX-License-Identifier: Apache-2.0
"""Tables of every mode under load, killed again and again: no change is there twice, and none is missing."""

import random
import threading
import time

import pytest

from support.modes import MODES, modes_of

KILLS = 8
KILLS_LONG = 120

SCHEMA = """
    create table goods (id int primary key, name text not null, n int, big text);
    alter table goods alter column big set storage external;
    insert into goods select g, 'row ' || g, g, case when g % 7 = 0 then repeat(md5(g::text), 100) end from generate_series(1, 300) g;
"""

# Each leaves the key unique; $k and $m are random keys. Several are one transaction.
STATEMENTS = [
    "insert into goods select g, 'new ' || g, g, null from generate_series($k, $k + 5) g on conflict do nothing",
    "insert into goods select g, 'new ' || g, g, repeat(md5(g::text), 100) from generate_series($k, $k + 1) g on conflict do nothing",
    "update goods set n = n + 1 where id = $k",
    "update goods set n = n + 1 where id between $k and $k + 60",
    "update goods set id = $m + 1000 where id = $k and not exists (select from goods where id = $m + 1000)",
    "update goods set id = $k where id = $m + 1000 and not exists (select from goods where id = $k)",
    "delete from goods where id between $k and $k + 8",
    "update goods set big = repeat(md5(n::text), 100) where id = $k",
]


class ModeLoad:
    """A thread that changes rows until the block ends."""

    def __init__(self, source, seed):
        self.source, self.chance, self.stop, self.failure = source, random.Random(seed), threading.Event(), None
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        assert self.failure is None, self.failure

    def _statement(self):
        if self.chance.random() < 0.004:
            return "truncate goods"
        text = self.chance.choice(STATEMENTS)
        return text.replace("$k", str(self.chance.randrange(1, 400))).replace("$m", str(self.chance.randrange(1, 400)))

    def _run(self):
        try:
            with self.source.connect(autocommit=True) as connection, connection.cursor() as cursor:
                while not self.stop.is_set():
                    statements = [self._statement() for _ in range(self.chance.choice([1, 1, 2, 5]))]
                    cursor.execute("begin; " + "; ".join(statements) + "; commit")
        except Exception as failure:  # noqa: BLE001 - the test's thread tells it
            self.failure = failure


GAPS = """
    select count(*) from (
        select _pgcdc_valid_to, lead(_pgcdc_valid_from) over w as next, _pgcdc_current from kept.goods_history
        window w as (partition by id order by _pgcdc_lsn, _pgcdc_index)) v
    where _pgcdc_current <> (_pgcdc_valid_to is null) or next < _pgcdc_valid_to or (_pgcdc_current and next is not null)"""


def kill_often(modes, kills, chance):
    for _ in range(kills):
        modes.engine.start()
        time.sleep(chance.random() * 1.2)
        modes.engine.kill()
        modes.pipeline.wait_slot_free()


def test_every_mode_is_killed_again_and_again(pipeline, request):
    """Of several sinks that were copied in part the pipeline says so and stops, so it is killed once it streams."""
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    pipeline.source.execute(SCHEMA)
    with modes_of(pipeline) as modes:
        modes.start()
        modes.engine.kill()
        modes.pipeline.wait_slot_free()
        with ModeLoad(modes.source, 1):
            kill_often(modes, kills, random.Random(20261130))
        modes.engine.start()
        modes.assert_exact("id", "name, n, big")
        modes.assert_verified()
        assert modes.of["history"].value(GAPS) == 0


@pytest.mark.parametrize("mode", ["soft_delete", "history"])
def test_the_copy_of_a_mode_is_killed(pipeline, mode):
    """Rows and position are one transaction: the next copy begins with nothing."""
    pipeline.source.execute(SCHEMA + "insert into goods select g, 'more', g, null from generate_series(1000, 60000) g;")
    with modes_of(pipeline, "goods", [mode]) as modes:
        with ModeLoad(modes.source, 2):
            kill_often(modes, 4, random.Random(3))
        modes.engine.start()
        modes.assert_exact("id", "name, n, big")
        modes.assert_verified()


@pytest.mark.parametrize("mode", MODES)
def test_a_live_copy_of_a_mode_is_killed(pipeline, mode):
    """Changes are applied meanwhile: each is in a chunk's snapshot or comes after it. Of soft_delete there are several chunks."""
    pipeline.source.execute(SCHEMA + "insert into goods select g, 'more', g, null from generate_series(1000, 60000) g;")
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "1MB", "workers": 2}
    with modes_of(pipeline, "goods", [mode]) as modes:
        with ModeLoad(modes.source, 4):
            kill_often(modes, 6, random.Random(5))
        modes.engine.catch_up()  # the copy has ended
        modes.engine.start()
        modes.assert_exact("id", "name, n, big")
        modes.assert_verified()
        if mode == "history":
            assert modes.of["history"].value(GAPS) == 0
