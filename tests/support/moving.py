# SPDX-License-Identifier: Apache-2.0
"""Applications that write while their database moves: they go where the hook says, and know what was committed."""

import threading
import time

import psycopg2

SCHEMA = """
    create table visit (id bigserial primary key, writer int not null, number int not null, note text, unique (writer, number));
    create table basket (id int primary key, total bigint not null);
"""
ROWS = "insert into basket select g, 0 from generate_series(1, 50) g; insert into visit (writer, number) select 0, g from generate_series(1, 100) g"


class Address:
    """A file that cutover.on_flip writes, as a pooler's configuration would be."""

    def __init__(self, folder, pipeline):
        self.path = folder / "address"
        self.point_to(pipeline.source)
        self.hook = f"echo $PGCDC_HOST $PGCDC_PORT $PGCDC_DATABASE > {self.path}.new && mv {self.path}.new {self.path}"

    def point_to(self, database):
        self.path.write_text(f"127.0.0.1 {database.cluster.port} {database.name}\n")

    def dsn(self):
        host, port, database = self.path.read_text().split()
        return f"host={host} port={port} dbname={database} user=postgres connect_timeout=10"


class Writers:
    """Each counts what it has committed; a COMMIT without an answer counts neither way."""

    def __init__(self, address, count=20, first=1, pause_s=0.005):
        self.address = address
        self.pause_s = pause_s
        self.committed = set()
        self.failures = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(first + number,)) for number in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer):
        number = 0
        while not self._stop.is_set():
            try:
                connection = psycopg2.connect(self.address.dsn())
            except psycopg2.OperationalError:
                self._stop.wait(0.05)
                continue
            try:
                while not self._stop.is_set():
                    number += 1
                    with connection.cursor() as cursor:
                        cursor.execute("insert into visit (writer, number) values (%s, %s)", (writer, number))
                        cursor.execute("update basket set total = total + 1 where id = %s", (writer % 50 + 1,))
                    connection.commit()
                    with self._lock:
                        self.committed.add((writer, number))
                    time.sleep(self.pause_s)
            except psycopg2.Error:
                with self._lock:
                    self.failures += 1
                self._stop.wait(0.02)
            finally:
                connection.close()

    def count(self):
        with self._lock:
            return len(self.committed)

    def missing(self, database):
        """What was committed and is not in the database."""
        with self._lock:
            committed = set(self.committed)
        return committed - set(database.execute("select writer, number from visit"))
