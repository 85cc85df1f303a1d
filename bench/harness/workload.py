# SPDX-License-Identifier: Apache-2.0
"""A workload is one file, bench/workloads/NAME.sql.

Its first comment lines say what it imitates; `-- key: value` lines give its sizes; `-- [part]` lines begin its parts:

    [schema]   run at the source and at the target
    [rows]     likewise: what is there before the recording, the same on both sides (setseed for random values)
    [traffic]  psql, at the source, recorded; :rows and :batch are set
    [pgbench]  a pgbench script, at the source, recorded: rows / batch transactions by `clients` clients
"""
import dataclasses
import pathlib
import re
import subprocess
import tempfile

from .cluster import ClusterError

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "workloads"
ORDER = ("insert_one_transaction", "pgbench", "insert_one_row", "update_one_transaction", "insert_wide", "insert_every_type",
         "update_hot", "update_documents", "update_without_key", "update_by_index", "delete_rows", "many_tables", "mix", "bursts", "mapped", "history", "idle",
         "lag", "copy_one_table", "copy_fifty_tables", "clone_fifty_tables")
# Of different kinds, and short: what a quick look is taken at when no workload is named.
QUICK = ("insert_one_transaction", "pgbench", "insert_one_row", "insert_wide", "mix", "idle", "lag", "copy_one_table")
MAPPED = "mapped"
HISTORY = "history"
MIN_ROWS = 1000
PUBLICATION = "bench"
RECORDED_SLOT = "bench_recorded"
MARKER_SCHEMA = "create table bench_marker (id integer primary key);"


@dataclasses.dataclass
class Counts:
    changes: int  # rows inserted, updated and deleted
    deletes: int  # of these
    transactions: int  # that changed a row
    wal_bytes: int  # all WAL that was written in that time


class Workload:
    def __init__(self, path):
        self.name = path.stem
        head, *parts = re.split(r"^-- \[(\w+)\]$", path.read_text(encoding="utf-8"), flags=re.M)
        self.parts = dict(zip(parts[::2], parts[1::2]))
        lines = [line[3:] for line in head.splitlines() if line.startswith("-- ")]
        options = dict(match.groups() for match in map(re.compile(r"(\w+): (\S+)$").match, lines) if match)
        self.imitates = " ".join(line for line in lines if not re.match(r"\w+: \S+$", line))
        self.measure = options.get("measure", "drain")
        self.rows = int(options.get("rows", 0))
        self.quick_rows = int(options.get("quick", 0))
        self.megabytes = int(options.get("megabytes", 0))
        self.batch = int(options.get("batch", 1))
        self.clients = int(options.get("clients", 1))

    @property
    def summary(self):
        return self.imitates.split(". ")[0].removeprefix("Imitates ").rstrip(".")

    @property
    def kinds_of_peers(self):
        """Those that take part: "copy", or "stream", and "mapped" where rules are measured."""
        if self.measure == "copy":
            return ("copy",)
        return ("stream", "mapped") if self.name in (MAPPED, HISTORY) else ("stream",)

    def shrink(self):
        if self.measure == "copy":
            self.megabytes = self.quick_rows
        else:
            self.rows = self.quick_rows

    def resize(self, rows):
        if rows < MIN_ROWS:
            raise ClusterError(f"a workload of {rows} rows is too small to measure; --rows needs {MIN_ROWS} or more")
        self.rows = rows

    def prepare(self, cluster, database):
        """Schema and rows in a new database, tidied up as a server has them that has been running for a while."""
        cluster.query(f"create database {database}")
        cluster.script(MARKER_SCHEMA + self.parts["schema"], database)
        cluster.script(self.parts.get("rows", ""), database, rows=self.rows, megabytes=self.megabytes)
        cluster.query("vacuum (analyze)", database=database)
        cluster.query("checkpoint")

    def record(self, source, database):
        """Leaves a slot that holds the traffic's WAL; the LSN at which it ends."""
        source.query(f"create publication {PUBLICATION} for all tables", database=database)
        source.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", (RECORDED_SLOT,), database)
        if "traffic" in self.parts:
            source.script(self.parts["traffic"], database, rows=self.rows, batch=self.batch)
        if "pgbench" in self.parts:
            self._pgbench(source, database)
        source.query("insert into bench_marker values (1)", database=database)
        end_lsn = source.value("select pg_current_wal_insert_lsn()")
        source.query("checkpoint")  # flushes what asynchronous commits left behind, and the end with it
        return end_lsn

    @staticmethod
    def count(source, database, end_lsn):
        """The contents of the recording."""
        kinds = dict(source.query(
            "select chr(get_byte(data, 0)), count(*) from pg_logical_slot_peek_binary_changes(%s, null, null, 'proto_version', "
            "'1', 'publication_names', %s) group by 1", (RECORDED_SLOT, PUBLICATION), database))
        wal_bytes = source.value("select (%s::pg_lsn - confirmed_flush_lsn)::bigint from pg_replication_slots where slot_name = %s",
                                 (end_lsn, RECORDED_SLOT))
        return Counts(sum(kinds.get(kind, 0) for kind in "IUD"), kinds.get("D", 0), kinds.get("C", 0), wal_bytes)

    def _pgbench(self, source, database):
        transactions = self.rows // self.batch // self.clients
        with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as script:
            script.write(self.parts["pgbench"])
            script.flush()
            command = [source.binaries / "pgbench", "-n", "-M", "prepared", "-c", self.clients, "-j", self.clients,
                       "-t", transactions, "-D", f"batch={self.batch}", "-f", script.name, source.dsn(database)]
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"pgbench for {self.name} said: {done.stderr.strip()[-500:]}")


def load(names):
    """The workloads of these names, or all, in the order in which they are always shown."""
    known = {path.stem: path for path in sorted(FOLDER.glob("*.sql"))}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ClusterError(f"no workload {', '.join(unknown)} (known: {', '.join(known)})")
    ordered = [name for name in ORDER if name in known] + [name for name in known if name not in ORDER]
    return [Workload(known[name]) for name in ordered if name in names or not names]
