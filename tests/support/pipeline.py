# SPDX-License-Identifier: Apache-2.0
"""A pipeline under test: a source database, a target database, an engine between them, and the oracle."""

from support import oracle
from support.engine import Engine
from support.wait import wait_until

SINK = "warehouse"


class Pipeline:
    def __init__(self, program, folder, source, target, name="shop"):
        self.source = source
        self.target = target
        self.name = name
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.engine = Engine(program, folder, {
            "name": name,
            "source": {"dsn": source.dsn(), "tables": ["public.*"]},
            "state": str(self.state),
            "copy": {"mode": "simple"},  # most tests begin with an equal target
            "sinks": [{"name": SINK, "type": "postgres", "dsn": target.dsn()}],
        })

    @property
    def source_configuration(self):
        return self.engine.configuration["source"]

    @property
    def sink_configuration(self):
        return self.engine.configuration["sinks"][0]

    def servers(self):
        """Whose logs go with a failure."""
        return [self.source.cluster, self.target.cluster]

    # Both sides

    def execute_both(self, sql):
        self.source.execute(sql)
        self.target.execute(sql)

    def publish(self):
        """The publication, made by hand: the engine makes none for tables whose updates the source would then refuse."""
        self.source.execute(f"create publication {self.name} for all tables with (publish_via_partition_root = true)")

    def start(self, **arguments):
        """`pgcdc run`, and waits until it has a position: from here on it streams."""
        self.engine.start(**arguments)
        self.wait_streaming()

    def wait_streaming(self):
        self.wait_while_running(self.is_streaming, "the stream to begin")
        self.wait_while_running(self.position, "a position in the target")

    def wait_while_running(self, condition, what, deadline_s=120):
        def checked():
            value = condition()
            assert value or self.engine.is_running(), \
                f"the engine ended while the test waited for {what}\n{self.engine.log_tail()}"
            return value
        return wait_until(checked, lambda: f"{what}\n{self.engine.log_tail()}", deadline_s)

    def wait_applied(self, deadline_s=120):
        """Waits until everything that is committed at the source now is durable in the target."""
        lsn = self.source_lsn()
        self.wait_while_running(lambda: self.position_reached(lsn), f"the target to reach {lsn}", deadline_s)

    def source_lsn(self):
        """The present end of the source's WAL, after everything committed so far: of its last record, not of a page's header after it."""
        return self.source.value("select (lsn - case when place <= 40 then place else 0 end)::text from (select lsn, (lsn - '0/0') % 8192 as place"
                                 " from pg_current_wal_insert_lsn() lsn) here")

    def position_reached(self, lsn):
        position = self.position()
        return position and self.target.value("select %s::pg_lsn >= %s::pg_lsn", (position, lsn))

    def position(self):
        """end_lsn in the target, or None."""
        if self.target.value("select to_regclass('pgcdc.position')") is None:
            return None
        rows = self.target.execute(
            "select end_lsn from pgcdc.position where pipeline = %s and sink = %s and end_lsn > '0/0'",
            (self.name, SINK))
        return rows[0][0] if rows else None

    # The slot

    def slot(self):
        """The slot's row as a dict, or None."""
        connection = self.source.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("select * from pg_replication_slots where slot_name = %s", (self.slot_name(),))
                row = cursor.fetchone()
                return dict(zip([column.name for column in cursor.description], row)) if row else None
        finally:
            connection.close()

    def slot_name(self):
        return self.source_configuration.get("slot", self.name)

    def slot_is_active(self):
        slot = self.slot()
        return slot is not None and slot["active"]

    def is_streaming(self):
        """More than active, which a slot is while it is made, too."""
        return bool(self.source.execute("select 1 from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid"
                                        " where s.slot_name = %s and r.state in ('catchup', 'streaming')", (self.slot_name(),)))

    def wait_slot_free(self):
        wait_until(lambda: not self.slot_is_active(), "the slot to be free")

    # The oracle

    def assert_equal(self, *tables):
        """The tables named, or all that are published."""
        tables = tables or oracle.published_tables(self.source, self.source_configuration.get("publication", self.name))
        assert tables, "nothing is published, so nothing would be compared"
        oracle.assert_equal(self.source, self.target, tables)

    def assert_follows(self, *tables):
        """All changes committed so far arrive, and both sides are equal."""
        self.wait_applied()
        self.assert_equal(*tables)

    def assert_refused(self, *texts, code=3, deadline_s=60):
        """A run ends with the code, in time, and its log has every text; the target's data is untouched by it."""
        self.engine.start()
        ended = self.engine.wait_exit(deadline_s)
        log = self.engine.log_text()
        assert ended == code, f"exit code {ended}, expected {code}\n{log}"
        for text in texts:
            assert text.lower() in log.lower(), f"'{text}' is not in the log\n{log}"
        return log

    def close(self):
        self.engine.close()
