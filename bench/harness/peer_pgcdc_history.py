# SPDX-License-Identifier: Apache-2.0
"""pgcdc that keeps all versions of a row (mode history), measured beside pgcdc that keeps the rows as they are.

`pgcdc verify` says afterwards, untimed, whether the current versions are the source's rows.
"""
from . import workload
from .peer_pgcdc import CONFIGURATION
from .peer_pgcdc_mapped import PgcdcMapped

# As pgcdc creates it, with the rows that a copy would have written.
TABLE = """
    create schema kept;
    create table kept.account (id bigint not null, owner text not null, balance numeric(12, 2) not null, state text not null,
        seen_at timestamptz not null, _pgcdc_lsn pg_lsn not null, _pgcdc_index bigint not null, _pgcdc_op text not null,
        _pgcdc_valid_from timestamptz not null, _pgcdc_valid_to timestamptz, _pgcdc_current boolean not null, _pgcdc_source text not null);
    create unique index on kept.account (id) where _pgcdc_current;
    insert into kept.account
    select id, owner, balance, state, seen_at, '0/0', id, 'r', '-infinity', null, true, 'public.account' from account order by id;"""

RULE = """\
mapping:
  - match: public.account
    to: kept.account
    mode: history
"""


class PgcdcHistory(PgcdcMapped):
    name = "pgcdc_history"
    title = "pgcdc to its Postgres sink, which keeps all versions"
    cannot = {name: "it is measured in the workload history" for name in workload.ORDER if name != workload.HISTORY}
    table = TABLE
    rule = RULE

    def settings(self, server_version):
        return {**super().settings(server_version), "mapping": "mode history"}

    def prepare(self, run):
        super().prepare(run)
        run.target.query("vacuum (freeze, analyze) kept.account", database=run.target_database)

    def configuration(self, run):
        return CONFIGURATION + self.rule, {"target": run.target.dsn(run.target_database)}


ALL = (PgcdcHistory,)
