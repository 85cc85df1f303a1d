# SPDX-License-Identifier: Apache-2.0
"""One statement in a database, again and again, beside a test."""

import threading

PAUSE_S = 0.15


class Repeated:
    def __init__(self, database, sql):
        self.database, self.sql = database, sql
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        connection = self.database.connect()
        with connection.cursor() as cursor:
            while not self.stop.is_set():
                cursor.execute(self.sql)
                self.stop.wait(PAUSE_S)
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
