# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks under load, killed again and again: each row is there once, as its last change left it."""

import random
import time

import pytest

from support.chunk_load import ROWS, SCHEMA, ChunkLoad
from support.wait import wait_until

KILLS = 25
KILLS_LONG = 350


@pytest.fixture
def chunked(pipeline):
    """Tables of every kind of key, divided into many small chunks."""
    pipeline.source.execute(SCHEMA)
    pipeline.source.execute(ROWS)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    return pipeline


def copy_is_finished(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and \
        pipeline.target.value("select count(*) from pgcdc.copy") == 0


def finish(pipeline):
    if not pipeline.engine.is_running():
        pipeline.engine.start()
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    pipeline.assert_equal()
    pipeline.engine.stop()


def test_a_copy_under_load_is_exact(chunked):
    with ChunkLoad(chunked.source):
        chunked.start()
        chunked.wait_while_running(lambda: copy_is_finished(chunked), "the copy to end")
    finish(chunked)


def test_killed_again_and_again_under_load(chunked, request):
    """Only what was not committed is read again."""
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261129)
    with ChunkLoad(chunked.source):
        for _ in range(kills):
            chunked.engine.start()
            time.sleep(chance.random() * 0.8)
            if not chunked.engine.is_running():
                raise AssertionError(chunked.engine.log_tail())
            chunked.engine.kill()
            if copy_is_finished(chunked):
                break
    finish(chunked)
