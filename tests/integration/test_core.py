# SPDX-License-Identifier: Apache-2.0
"""The main job, on every version: existing rows, then changes, with a stop and a start in between."""

import pytest

TABLES = """
create table customer (id bigint primary key, name text not null, balance numeric(12,2), seen timestamptz, tags text[],
                       extra jsonb);
create table line (customer_id bigint, line int, amount float8, primary key (customer_id, line));
create table journal (seq bigint, v text);
alter table journal replica identity full;
create table document (id int primary key, title text, body text);
"""

ROWS = """
insert into customer select g, 'customer ' || g, g * 1.01, timestamptz '2024-01-01' + g * interval '1 hour',
                            array['a', null, g::text], jsonb_build_object('n', g) from generate_series(1, 500) g;
insert into line select g, l, g / 7.0 from generate_series(1, 500) g, generate_series(1, 3) l;
insert into journal select g, md5(g::text) from generate_series(1, 500) g;
insert into document select g, 'title', (select string_agg(md5(g::text || x), '') from generate_series(1, 400) x)
  from generate_series(1, 20) g;
"""


TRANSACTIONS = [
    "insert into customer (id, name) values (1001, 'new'), (1003, '')",
    "update customer set balance = null, extra = null where id % 7 = 0",
    "update customer set id = id + 10000 where id % 50 = 0",
    "update document set title = 'changed' where id <= 10",
    "update document set body = reverse(body) where id <= 5",
    "update document set id = id + 100 where id > 15",
    "delete from line where line = 2; insert into line select 9999, g, 0 from generate_series(1, 1000) g",
    "begin; insert into customer (id, name) values (5000, 'a'); update customer set name = 'b' where id = 5000;"
    " delete from customer where id = 5000; insert into customer (id, name) values (5000, 'c'); commit",
    "begin; insert into journal values (-1, 'never'); rollback",
    "insert into journal select g, null from generate_series(1, 2000) g",
    "delete from journal where seq < 100",
    "truncate line",
    "insert into line values (1, 1, 'NaN'), (1, 2, 'infinity'), (1, 3, '-0')",
]


def run_core_scenario(pipeline):
    pipeline.source.execute(TABLES + ROWS)
    pipeline.start()
    pipeline.assert_equal()
    for transaction in TRANSACTIONS:
        pipeline.source.execute(transaction)
    pipeline.assert_follows()
    pipeline.engine.stop()
    pipeline.source.execute("update customer set name = name || '!'; delete from document where id < 3")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.threads
@pytest.mark.parametrize("versions", [(15, 15), (14, 18), (18, 14), (16, 17), (17, 16)],
                         ids=lambda versions: f"from_{versions[0]}_to_{versions[1]}")
def test_everything_arrives(new_pipeline, shared_clusters, versions):
    run_core_scenario(new_pipeline(shared_clusters("source", versions[0]), shared_clusters("target", versions[1])))


def test_until_caught_up_ends_at_once_when_there_is_nothing_to_do(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_until_an_lsn_ends_there(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (1)")
    lsn = pipeline.source_lsn()
    result = pipeline.engine.command("run", "--until", lsn)
    assert result.returncode == 0, result.stderr
    assert pipeline.position_reached(lsn)
    pipeline.assert_equal()


@pytest.mark.threads
def test_after_sigterm_the_slot_knows_what_the_target_has(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    pipeline.source.execute("insert into t select generate_series(1, 10000)")
    pipeline.engine.stop()
    assert pipeline.slot()["confirmed_flush_lsn"] == pipeline.position()
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_sigterm_ends_a_loaded_engine_in_time(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.start()
    pipeline.source.execute("insert into t select g, repeat('x', 200) from generate_series(1, 300000) g")
    pipeline.engine.stop()
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_sigterm_ends_an_engine_whose_target_is_blocked(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table public.t in access exclusive mode")
    pipeline.source.execute("insert into t values (1)")
    pipeline.wait_while_running(
        lambda: pipeline.target.execute("select 1 from pg_locks where not granted"), "the engine to be blocked")
    pipeline.engine.stop()
    blocker.close()
    pipeline.engine.catch_up()
    pipeline.assert_equal()
