# SPDX-License-Identifier: Apache-2.0
"""pgcdc with rules of a mapping. `pgcdc verify` says afterwards, untimed, whether the target is what the rules make of the source.

Each is measured beside pgcdc without rules, in the same run: their ratio is what the rules cost.
"""
import os
import subprocess

from . import workload
from .peer import PeerError, log_end
from .peer_pgcdc import CONFIGURATION, Pgcdc
from .peer_pgcdc_kafka import PgcdcKafka

KEY_BYTES = 32
VERIFY_TIMEOUT_S = 600
MAPPED_ONLY = {name: "its rules are for the workload mapped" for name in workload.ORDER if name != workload.MAPPED}

# Another name, a constant, and steps on three columns, one of them a hash.
COLUMNS = """\
      id: {{as: customer_id}}
      first_name: [trim]
      email: {{steps: [trim, lower], mask: {{hash: sha256, key_file: {key_file}, length: 32}}}}
      phone: [trim]
      source: {{const: bank_a}}
"""
TABLE = """
    create schema crm;
    create table crm.customer (customer_id bigint, first_name text, last_name text not null, email text, phone text, balance numeric(12, 2),
        opened_on date, seen_at timestamptz, note text, source text, primary key (customer_id, source));"""

# The same table, made by expressions that PostgreSQL computes.
SQL_COLUMNS = """\
      id: {{as: customer_id}}
      first_name: {{sql: "trim(first_name)"}}
      email: {{sql: "md5(lower(trim(email)))"}}
      phone: {{sql: "trim(phone)"}}
      source: {{const: bank_a}}
"""

HEAD = """\
mapping:
  - match: public.customers
    to: crm.customer
    columns:
"""
RULE = HEAD + COLUMNS
SQL_RULE = HEAD + SQL_COLUMNS


def write_key(run):
    path = run.folder / f"{run.slot}.key"
    path.write_bytes(os.urandom(KEY_BYTES))
    path.chmod(0o600)
    return path


class PgcdcMapped(Pgcdc):
    name = "pgcdc_mapped"
    title = "pgcdc to its Postgres sink, with rules for five columns"
    measure = "mapped"
    applies = False  # the contents are others, and verify compares them
    follows = False
    cannot = MAPPED_ONLY
    table = TABLE
    rule = RULE

    def settings(self, server_version):
        return {**super().settings(server_version), "mapping": "another name, a constant, trim, lower, hash"}

    def prepare(self, run):
        run.target.query(self.table, database=run.target_database)
        super().prepare(run)

    def configuration(self, run):
        return CONFIGURATION + self.rule, {"target": run.target.dsn(run.target_database), "key_file": write_key(run)}

    def verify(self, run):
        for words in (["run", "--until", "caught-up"], ["verify"]):
            with open(self._log(run), "ab") as log:
                done = subprocess.run([str(run.engine), words[0], "-c", str(self._file(run)), *words[1:]], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, timeout=VERIFY_TIMEOUT_S, check=False)
            if done.returncode != 0:
                raise PeerError(f"{self.title}: pgcdc {words[0]} ended with {done.returncode}: {log_end(self._log(run))}")


class PgcdcMappedSql(PgcdcMapped):
    name = "pgcdc_mapped_sql"
    title = "pgcdc to its Postgres sink, with SQL for three columns"
    rule = SQL_RULE

    def settings(self, server_version):
        return {**super().settings(server_version), "mapping": "another name, a constant, sql for three columns"}

    def configuration(self, run):
        return CONFIGURATION + self.rule, {"target": run.target.dsn(run.target_database)}


class PgcdcKafkaMapped(PgcdcKafka):
    name = "pgcdc_kafka_mapped"
    title = "pgcdc to its Kafka sink, with rules for five columns"
    measure = "mapped"
    follows = False
    cannot = MAPPED_ONLY

    def settings(self, server_version):
        return {**super().settings(server_version), "mapping": "as pgcdc_mapped"}

    def configuration(self, run):
        form, values = super().configuration(run)
        return form + RULE, {**values, "key_file": write_key(run)}


ALL = (PgcdcMapped, PgcdcMappedSql, PgcdcKafkaMapped)
