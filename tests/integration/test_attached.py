# SPDX-License-Identifier: Apache-2.0
"""A partition that is attached with rows: no change carries them, so its table is copied again."""

import pytest

from support.server import VERSIONS
from support.wait import wait_until

SOON = {"PGCDC_INTERVAL_MS": "300"}
ROOT = "create table item (id int primary key, v text) partition by range (id);" \
       "create table item_1 partition of item for values from (0) to (1000);"
FILL = "insert into item select g, 'x' from generate_series(1, 900) g"
LOADED = "create table item_2 (id int primary key, v text); insert into item_2 select g, 'old' from generate_series(1000, 1900) g;"
ATTACH = "alter table item attach partition item_2 for values from (1000) to (2000);"
AS_ONE = {True: "as one table", False: "by partition"}


def publish(pipeline, as_one):
    """The target has the partitions already, so that it takes their rows by either name."""
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB"}
    pipeline.source.execute(ROOT + FILL)
    pipeline.target.execute(ROOT + "create table item_2 partition of item for values from (1000) to (2000);"
                                   "create table item_3 partition of item for values from (2000) to (3000)")
    pipeline.source.execute(f"create publication shop for table item with (publish_via_partition_root = {as_one})")


def start(pipeline, **arguments):
    pipeline.start(**arguments)
    wait_until(lambda: pipeline.target.value("select count(*) from item") == 900, "the first copy")


def copies(pipeline):
    return pipeline.engine.log_text().count("(copy.new_tables)")


def follows(pipeline):
    wait_until(lambda: pipeline.target.value("select to_regclass('pgcdc.copy') is null or not exists (select from pgcdc.copy)"), "the copy to end")
    pipeline.source.execute("insert into item select max(id) + 1, 'mark' from item where id < 1000")
    pipeline.wait_applied()
    query = "select * from item order by id"
    assert pipeline.source.execute(query) == pipeline.target.execute(query)


@pytest.mark.parametrize("as_one", AS_ONE, ids=AS_ONE.values())
def test_while_the_pipeline_runs(pipeline, as_one):
    publish(pipeline, as_one)
    start(pipeline, environment=SOON)
    pipeline.source.execute(LOADED)
    pipeline.source.execute(ATTACH)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item") == 1801, "the rows of the partition")
    pipeline.source.execute("update item set v = 'new' where id % 7 = 0; delete from item where id % 100 = 0")
    follows(pipeline)


@pytest.mark.parametrize("as_one", AS_ONE, ids=AS_ONE.values())
def test_while_it_does_not(pipeline, as_one):
    publish(pipeline, as_one)
    pipeline.engine.catch_up()
    pipeline.source.execute(LOADED)
    pipeline.source.execute(ATTACH + "update item set v = 'new' where id % 7 = 0")
    pipeline.start(environment=SOON)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item") == 1801, "the rows of the partition")
    follows(pipeline)


@pytest.mark.parametrize("as_one", AS_ONE, ids=AS_ONE.values())
def test_its_rows_are_written_before_it_is_noticed(pipeline, as_one):
    """The target lacks the row that an update names: the tables are looked at before that is an error."""
    publish(pipeline, as_one)
    start(pipeline)
    pipeline.source.execute(LOADED)
    pipeline.source.execute(ATTACH)
    pipeline.source.execute("update item set v = 'new' where id % 7 = 0; delete from item where id % 100 = 0")
    pipeline.wait_while_running(lambda: copies(pipeline) == 1, "the copy")
    follows(pipeline)


def test_rows_that_were_loaded_in_the_same_transaction(pipeline):
    publish(pipeline, True)
    start(pipeline, environment=SOON)
    pipeline.source.execute(LOADED + ATTACH)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item") == 1801, "the rows of the partition")
    follows(pipeline)


def test_a_partition_of_a_partition(pipeline):
    """Its own place in the middle table is older than its rows; that of the middle table is not."""
    publish(pipeline, True)
    start(pipeline, environment=SOON)
    pipeline.source.execute("create table item_2 (id int primary key, v text) partition by range (id);"
                            "create table item_2_1 partition of item_2 for values from (1000) to (2000)")
    pipeline.source.execute("insert into item_2 select g, 'old' from generate_series(1000, 1900) g")
    pipeline.source.execute(ATTACH)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item") == 1801, "the rows of the partition")
    follows(pipeline)


@pytest.mark.parametrize("as_one", AS_ONE, ids=AS_ONE.values())
def test_what_brings_no_old_rows_copies_nothing(pipeline, as_one):
    """A partition that is made as one, one that is attached empty, and one whose rows are there: detached, and attached again."""
    publish(pipeline, as_one)
    start(pipeline, environment=SOON)
    pipeline.source.execute("create table item_2 partition of item for values from (1000) to (2000);"
                            "create table item_3 (id int primary key, v text);"
                            "alter table item attach partition item_3 for values from (2000) to (3000)")
    pipeline.source.execute("insert into item select g, 'late' from generate_series(1000, 2900) g")
    pipeline.source.execute("alter table item detach partition item_1")
    pipeline.source.execute("alter table item attach partition item_1 for values from (0) to (1000)")
    follows(pipeline)
    pipeline.engine.stop()
    pipeline.start(environment=SOON)
    pipeline.source.execute("insert into item values (2999, 'y')")
    follows(pipeline)
    assert copies(pipeline) == 0


@pytest.mark.parametrize("version", [version if version in (14, 18) else pytest.param(version, marks=pytest.mark.long) for version in VERSIONS])
def test_sources_of_other_versions(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", 15))
    publish(pipeline, True)
    start(pipeline, environment=SOON)
    pipeline.source.execute(LOADED)
    pipeline.source.execute(ATTACH)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item") == 1801, "the rows of the partition")
    pipeline.source.execute("update item set v = 'new' where id % 7 = 0; delete from item where id % 100 = 0")
    follows(pipeline)
    pipeline.engine.stop()
    pipeline.source.execute("create table item_3 (id int primary key, v text); insert into item_3 values (2000, 'old');"
                            "alter table item attach partition item_3 for values from (2000) to (3000)")
    pipeline.start(environment=SOON)
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from item where id = 2000") == 1, "the row of the third partition")
    follows(pipeline)
