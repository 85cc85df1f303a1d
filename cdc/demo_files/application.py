#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
application.py ADDRESS STATUS - writes orders from several connections to the database that the file ADDRESS names, until it is stopped.

ADDRESS holds a connection string. When it changes, or a write fails, a connection is opened anew. Each second STATUS gets one line:
WRITES FAILED LONGEST-GAP-MS WHERE, where a gap is a time without any accepted write. At the end it prints how many orders were
accepted, and how many of those the database at ADDRESS has: an order that was accepted and is not there is lost.
"""

import contextlib
import pathlib
import signal
import sys
import threading
import time

import psycopg2

WRITERS = 8
PAUSE_S = 0.005
RETRY_S = 0.02


class Application:
    def __init__(self, address, status):
        self.address = pathlib.Path(address)
        self.status = pathlib.Path(status)
        self.accepted = [0] * WRITERS  # each writer numbers its orders from 1; those up to here were accepted
        self.failed = 0
        self.last_s = time.monotonic()
        self.gap_s = 0.0
        self.ended = threading.Event()
        self.lock = threading.Lock()

    def where(self):
        return self.address.read_text(encoding="utf-8").strip()

    def note_accepted(self, writer):
        with self.lock:
            self.accepted[writer] += 1
            now_s = time.monotonic()
            self.gap_s = max(self.gap_s, now_s - self.last_s)
            self.last_s = now_s

    def note_failed(self):
        with self.lock:
            self.failed += 1

    def write_at(self, writer, where):
        """Over one connection, until that fails or the address is another one."""
        connection = psycopg2.connect(where, connect_timeout=5)
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            while not self.ended.is_set() and self.where() == where:
                number = self.accepted[writer] + 1
                # A write whose answer was lost may have been accepted: the same number is then there already.
                cursor.execute("insert into placed (writer, number) values (%s, %s) on conflict do nothing", (writer, number))
                self.note_accepted(writer)
                time.sleep(PAUSE_S)

    def write(self, writer):
        while not self.ended.is_set():
            try:
                self.write_at(writer, self.where())
            except psycopg2.Error:
                self.note_failed()
                time.sleep(RETRY_S)

    def tell(self):
        line = f"{sum(self.accepted)} {self.failed} {self.gap_s * 1000:.0f} {self.where()}\n"
        new = self.status.with_suffix(".new")
        new.write_text(line, encoding="utf-8")
        new.replace(self.status)

    def run(self):
        writers = [threading.Thread(target=self.write, args=(writer,)) for writer in range(WRITERS)]
        for writer in writers:
            writer.start()
        while not self.ended.wait(0.2):
            self.tell()
        for writer in writers:
            writer.join()
        self.tell()
        return self.judge()

    def judge(self):
        with psycopg2.connect(self.where()) as connection, connection.cursor() as cursor:
            cursor.execute("select writer, count(*) from placed group by writer")
            there = dict(cursor.fetchall())
        lost = sum(max(0, accepted - there.get(writer, 0)) for writer, accepted in enumerate(self.accepted))
        print(f"{sum(self.accepted)} orders accepted, {lost} of them lost; {self.failed} writes refused and tried again;"
              f" longest time without an accepted write {self.gap_s * 1000:.0f} ms")
        return 0 if lost == 0 else 1


def main():
    application = Application(*sys.argv[1:3])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: application.ended.set())
    sys.exit(application.run())


if __name__ == "__main__":
    main()
