# SPDX-License-Identifier: Apache-2.0
"""Two pipelines that write two shared tables, each in another order: a deadlock is tried again, and does no harm."""

import threading

import pytest

from support.wait import wait_until

TABLES = ("account", "card")


@pytest.fixture
def banks(new_pipeline, shared_clusters):
    both = [new_pipeline(shared_clusters("source"), shared_clusters("target"), name) for name in ("north", "south")]
    both[1].target = both[0].target
    both[1].sink_configuration["dsn"] = both[0].target.dsn()
    both[0].target.execute(f"alter database \"{both[0].target.name}\" set deadlock_timeout = '20ms'")
    for bank in both:
        bank.source.execute(";".join(f"create table {table} (id int primary key, n int); insert into {table} select g, 0 from generate_series(1, 20) g" for table in TABLES))
        bank.engine.configuration["mapping"] = [{"match": f"public.{table}", "to": f"public.{table}s", "source": bank.name,
                                                 "on_clash": {"by_source": ["south", "north"]}} for table in TABLES]
    return both


def write(bank, tables, stop, failures):
    """Rows of both tables in each transaction, the tables in this order."""
    try:
        with bank.source.connect(autocommit=True) as connection, connection.cursor() as cursor:
            number = 0
            while not stop.wait(0.002):
                number += 1
                cursor.execute("begin;" + ";".join(f"update {table} set n = n + 1 where id % 3 = {number % 3}" for table in tables) + "; commit")
    except Exception as failure:  # noqa: BLE001 - the test's thread tells it
        failures.append(failure)


def test_the_tables_in_another_order(banks):
    failures, stop = [], threading.Event()
    log = banks[0].target.cluster.log_text
    before = log().count("deadlock detected")
    for bank in banks:
        bank.start()
    threads = [threading.Thread(target=write, args=(bank, tables, stop, failures)) for bank, tables in zip(banks, (TABLES, TABLES[::-1]))]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: log().count("deadlock detected") > before, "a deadlock", 90)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failures
    for bank in banks:
        bank.wait_applied()
    north, south = banks
    for table in TABLES:
        assert north.target.execute(f"select id, n, _pgcdc_source from {table}s order by 1") == south.source.execute(f"select id, n, 'south' from {table} order by 1")
        assert north.target.execute("select (row->>'id')::int, (row->>'n')::int, source from pgcdc.rejected where table_name = %s order by 1", (table + "s",)) == \
            north.source.execute(f"select id, n, 'north' from {table} order by 1")
    for bank in banks:
        result = bank.engine.command("verify")
        assert result.returncode == 0, result.stdout + result.stderr
