# SPDX-License-Identifier: Apache-2.0
"""One table of the source in a database for each mode, and what must hold: what each mode has is the source's rows."""

import contextlib

MODES = ["append", "soft_delete", "history"]


class Modes:
    """A sink for each mode; a table's name in it ends with the mode."""

    def __init__(self, pipeline, table="goods", modes=MODES):
        self.pipeline = pipeline
        self.source = pipeline.source
        self.engine = pipeline.engine
        self.table = table
        self.of = {}
        sinks = pipeline.engine.configuration["sinks"]
        for mode in modes:
            self.of[mode] = pipeline.target.cluster.create_database("dst") if self.of else pipeline.target
        sinks[1:] = [{**sinks[0], "name": mode, "dsn": self.of[mode].dsn()} for mode in modes[1:]]
        self.sinks = {mode: sink["name"] for mode, sink in zip(modes, sinks)}
        self.engine.configuration["mapping"] = [
            {"match": f"public.{table}", "to": f"kept.{table}_{mode}", "mode": mode, "sinks": [sink]} for mode, sink in self.sinks.items()]

    def drop(self):
        self.pipeline.close()
        for database in list(self.of.values())[1:]:
            database.drop()

    def start(self):
        self.pipeline.start()

    def show_columns(self):
        """A row of the table arrives, so the sinks know its columns as they are; what a start alone knows of them depends on other transactions."""
        self.start()
        self.source.execute(f"update {self.table} set id = id where id = (select min(id) from {self.table})")
        self.wait()
        self.engine.stop()

    def has_reached(self, mode, lsn):
        database = self.of[mode]
        return database.value("select to_regclass('pgcdc.position') is not null") and database.value(
            "select count(*) from pgcdc.position where pipeline = %s and sink = %s and end_lsn >= %s::pg_lsn", (self.pipeline.name, self.sinks[mode], lsn)) == 1

    def wait(self):
        """What is committed at the source is in every sink."""
        lsn = self.pipeline.source_lsn()
        self.pipeline.wait_while_running(lambda: all(self.has_reached(mode, lsn) for mode in self.of), f"all sinks to reach {lsn}")

    def rows(self, mode, columns, order="1"):
        return self.of[mode].execute(f"select {columns} from kept.{self.table}_{mode} order by {order}")

    def assert_verified(self):
        """All that is committed is in every sink, as `pgcdc verify` sees it."""
        self.wait()
        result = self.engine.command("verify")
        assert result.returncode == 0, result.stdout + result.stderr

    def assert_exact(self, key, columns):
        """All that is committed. columns: all but the key."""
        self.wait()
        expected = sorted(self.source.execute(f"select {key}, {columns} from {self.table}"))
        for mode, condition in (("soft_delete", "not _pgcdc_deleted"), ("history", "_pgcdc_current")):
            if mode in self.of:
                assert_same(sorted(self.of[mode].execute(f"select {key}, {columns} from kept.{self.table}_{mode} where {condition}")), expected, mode)
        if "append" not in self.of:
            return
        events = self.rows("append", f"_pgcdc_op, (_pgcdc_lsn::text, _pgcdc_index)::text, {key}, _pgcdc_unchanged, {columns}",
                           "_pgcdc_lsn, _pgcdc_index, _pgcdc_op")
        assert_same(replay([(*event[:4], event[4:]) for event in events], [name.strip() for name in columns.split(",")]), expected, "append")
        if "history" not in self.of:
            return
        versions = self.of["history"].value(f"select count(*) from kept.{self.table}_history")
        assert versions == sum(event[0] in "ruc" for event in events), "the versions are not as many as the changes that make one"


def assert_same(found, expected, what):
    lost, more = [row for row in expected if row not in found], [row for row in found if row not in expected]
    assert found == expected, f"{what}: {len(lost)} rows are missing, such as {str(lost[:3])[:400]}; {len(more)} are wrong, such as {str(more[:3])[:400]}"


@contextlib.contextmanager
def modes_of(pipeline, *arguments):
    modes = Modes(pipeline, *arguments)
    try:
        yield modes
    finally:
        modes.drop()


def replay(events, columns):
    """The rows that the events leave, one after the other. An event: op, place, key, unchanged, values."""
    rows, moved = {}, None
    for op, place, key, unchanged, values in events:
        if op == "t":
            rows.clear()
        elif op == "d":
            moved = (place, rows.pop(key))
        else:
            before = moved[1] if moved is not None and moved[0] == place else rows.get(key)
            assert not unchanged or before is not None, f"the row {key} has unsent values, and there is no row before"
            rows[key] = tuple(before[i] if columns[i] in (unchanged or []) else value for i, value in enumerate(values))
    return sorted((key, *values) for key, values in rows.items())
