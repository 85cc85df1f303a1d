# SPDX-License-Identifier: Apache-2.0
"""Traffic that continues during faults: inserts, updates, deletes, key changes, unchanged TOAST, unique swaps."""

import random
import threading
import time

import psycopg2

SCHEMA = """
create table journal (seq bigint, at timestamptz default clock_timestamp(), v text);
create table account (id int primary key, n bigint not null, pad text);
create table document (id int primary key, title text, body text);
create table seat (id int primary key, place bigint not null unique, was bigint);
create table part (id int, version int, v jsonb, primary key (id, version));
"""
ROWS = """
insert into journal (seq, v) select -g, 'first' from generate_series(1, 2000) g;
insert into account select g, 0, repeat('p', 50) from generate_series(1, 2000) g;
insert into document select g, 't', (select string_agg(md5(g::text || x), '') from generate_series(1, 150) x) from generate_series(1, 50) g;
insert into seat (id, place) select g, g from generate_series(1, 100) g;
insert into part select g, 1, '{}' from generate_series(1, 500) g;
"""
# The target checks the swapped column too, so that a set of changes fails there and must be applied in order.
TARGET_SCHEMA = "create table seat (id int primary key, place bigint not null unique, was bigint)"


class Load:
    """Threads that write to a database until stopped; a server that goes away is tried again."""

    def __init__(self, database, threads=2, pause_s=0.004, seed=0):
        self.database = database
        self.pause_s = pause_s
        self.commits = 0
        self.errors = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number, random.Random(seed * 1000 + number)))
                         for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors[0]

    def _run(self, number, chance):
        seq = number
        while not self._stop.is_set():
            try:
                connection = self.database.connect()
                with connection.cursor() as cursor:
                    cursor.execute("set statement_timeout = '20s'")
                    while not self._stop.is_set():
                        seq += len(self._threads)
                        cursor.execute(transaction(seq, chance))
                        with self._lock:
                            self.commits += 1
                        time.sleep(self.pause_s)
                connection.close()
            except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.UniqueViolation):
                time.sleep(0.05)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)
                return


def transaction(seq, chance):
    """
    One transaction of one to a few statements; seq is written down, in a table without a key.

    A block of rows is large enough for a COPY, whatever it meets in a batch.
    """
    account, part, document = chance.randint(1, 2000), chance.randint(1, 500), chance.randint(1, 50)
    seat = chance.randint(1, 99)
    statements = chance.choice([
        f"update account set n = n + 1 where id = {account}",
        f"update account set n = n - 1, pad = null where id between {account} and {account + 30}",
        f"delete from account where id = {account}; insert into account values ({account}, {seq}, 'again')"
        " on conflict (id) do nothing",
        f"update account set id = id + 100000 where id = {account}",
        f"update account set id = id - 100000 where id = {account + 100000} and not exists "
        f"(select from account where id = {account})",
        f"insert into account select g, 0, 'block' from generate_series({1000000 + seq * 100}, {1000000 + seq * 100 + 80}) g",
        f"delete from account where id between {1000000 + (seq - 50) * 100} and {1000000 + seq * 100}",
        f"update document set title = 'seq {seq}' where id = {document}",
        f"update document set body = reverse(body), title = 'reversed' where id = {document}",
        f"select from seat where id in ({seat}, {seat + 1}) order by id for update;"
        f"update seat set place = -place where id = {seat};"
        f"update seat set was = place, place = -(select place from seat where id = {seat}) where id = {seat + 1};"
        f"update seat set place = (select was from seat where id = {seat + 1}) where id = {seat}",
        f"insert into part values ({part}, {seq + 10}, '{{\"seq\": {seq}}}'); delete from part where id = {part} and version < {seq}",
        f"savepoint a; delete from part where id = {part}; rollback to a; update part set v = v || '{{\"b\": 1}}' where id = {part}",
    ])
    return f"begin; insert into journal (seq, v) values ({seq}, 'x'); {statements}; commit"
