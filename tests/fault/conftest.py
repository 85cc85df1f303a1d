# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the fault tests: a pipeline that holds the tables of support/load.py."""

import pytest

from support import load
from support.cluster import Cluster


def prepare(pipeline):
    pipeline.source.execute(load.SCHEMA + load.ROWS + "alter table journal replica identity full")
    pipeline.target.execute(load.TARGET_SCHEMA)
    return pipeline


@pytest.fixture
def loaded(pipeline):
    """Not started yet; on clusters that others use too."""
    return prepare(pipeline)


@pytest.fixture(scope="module")
def source_cluster():
    """For copies in chunks: a chunk waits for the WAL writer, so it writes often."""
    with Cluster("source", settings={"wal_writer_delay": "10ms"}) as cluster:
        cluster.is_shared = True
        yield cluster


@pytest.fixture(scope="module")
def sturdy_clusters():
    """
    A source and a target whose servers may be killed, for the tests of one file.

    The walsender gives a silent client up after 3 s. fsync may stay off: what a killed process has written is the kernel's.
    """
    with Cluster("source", settings={"wal_sender_timeout": "3s"}) as source, Cluster("target") as target:
        source.is_shared = target.is_shared = True
        yield source, target


@pytest.fixture
def own_pair(sturdy_clusters, new_pipeline):
    """Not started yet; on clusters that no other test uses at the moment."""
    for cluster in sturdy_clusters:
        cluster.mark_log()
    return prepare(new_pipeline(*sturdy_clusters))


@pytest.fixture
def forgetful_pair(sturdy_clusters, new_pipeline):
    """Not started yet. The target writes its WAL late unless a commit waits for it: what it shows it may lose in a crash."""
    with Cluster("target", settings={"wal_writer_delay": "10s"}) as target:
        yield prepare(new_pipeline(sturdy_clusters[0], target))


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
