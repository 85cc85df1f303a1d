# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools must be able to fail: an oracle that sees no difference would prove nothing."""

import pytest

from support.oracle import assert_equal, subtract
from support.server import VERSIONS


@pytest.fixture
def databases(shared_clusters):
    cluster = shared_clusters("source")
    pair = [cluster.create_database("oracle"), cluster.create_database("oracle")]
    for database in pair:
        database.execute("create table t (id int, v text); insert into t values (1, 'one'), (2, null), (2, null)")
    yield pair
    for database in pair:
        database.drop()


def test_the_oracle_passes_equal_tables(databases):
    assert_equal(*databases, ["public.t"])


@pytest.mark.parametrize("change", [
    "insert into t values (2, null)",
    "delete from t where ctid in (select ctid from t where id = 2 limit 1)",
    "update t set v = '' where v is null",
    "update t set v = 'One' where id = 1",
])
def test_the_oracle_sees(databases, change):
    databases[1].execute(change)
    with pytest.raises(AssertionError, match="public.t"):
        assert_equal(*databases, ["public.t"])


def test_multisets_are_subtracted_with_their_repeats():
    assert subtract(["a", "a", "b"], ["a", "c"]) == ["a", "b"]
    assert subtract(["a"], ["a", "a"]) == []


def test_a_killed_cluster_comes_back_with_what_was_committed(own_cluster):
    cluster = own_cluster("killed")
    cluster.execute("create table t as select 1 as id")
    cluster.kill()
    assert not list(cluster.processes())
    cluster.start()
    assert cluster.execute("select id from t") == [(1,)]
    cluster.restart("immediate")
    assert cluster.execute("select id from t") == [(1,)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_starts(shared_clusters, version):
    number = shared_clusters("source", version).execute("show server_version_num")[0][0]
    assert int(number) // 10000 == version
