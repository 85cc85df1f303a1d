# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the fault tests: a pipeline that holds the tables of support/load.py."""

import pytest

from support import load


def prepare(pipeline):
    pipeline.source.execute(load.SCHEMA + load.ROWS)
    pipeline.target.execute(load.TARGET_SCHEMA)
    return pipeline


@pytest.fixture
def loaded(pipeline):
    """Not started yet; on clusters that others use too."""
    return prepare(pipeline)


@pytest.fixture
def own_pair(own_cluster, new_pipeline):
    """Not started yet; on two clusters of its own, whose servers may be killed. The walsender gives up after 3 s."""
    source = own_cluster("source", settings={"fsync": "on", "wal_sender_timeout": "3s"})
    target = own_cluster("target", settings={"fsync": "on"})
    return prepare(new_pipeline(source, target))


def repeats(database):
    """Rows of the journal that came more than once."""
    return database.value("select count(*) - count(distinct (seq, at)) from journal")


def finish(pipeline):
    """The engine has ended, the load too: the rest arrives, everything is equal, nothing came twice."""
    pipeline.engine.catch_up()
    assert repeats(pipeline.source) == 0
    assert repeats(pipeline.target) == 0
    pipeline.assert_equal()


@pytest.fixture(name="finish")
def finish_fixture():
    return finish
