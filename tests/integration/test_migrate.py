# SPDX-License-Identifier: Apache-2.0
"""`pgcdc migrate`: from the plan to the proof, from wherever it is."""

import hashlib
import json
import re

import pytest

from integration.test_schema import clusters_fixture, shop_fixture  # pylint: disable=unused-import
from support.server import newest_pg_dump

T = "create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 1000) g"


@pytest.fixture
def pipeline(new_pipeline, shared_clusters):
    """Schemas are moved too, by pg_dump."""
    if newest_pg_dump() is None:
        pytest.skip("pg_dump of 18 is not here (tests/support/install servers)")
    made = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    made.engine.configuration["schema"] = {"pg_dump": str(newest_pg_dump())}
    return made


def migrate(pipeline, *arguments, code=0):
    """Standard error, and what it printed."""
    result = pipeline.engine.command("migrate", *arguments)
    assert result.returncode == code, result.stderr + result.stdout
    return result.stderr + result.stdout


def report(pipeline, code):
    """The report, and the hash beside it, which is that of its bytes."""
    result = pipeline.engine.command("report", "--json")
    assert result.returncode == code, result.stdout + result.stderr
    body, said = re.fullmatch(r'{"report":(.*),"sha256":"([0-9a-f]{64})"}\n', result.stdout).groups()
    assert hashlib.sha256(body.encode()).hexdigest() == said
    return json.loads(body)


def steps(pipeline, where="object = ''"):
    return dict(pipeline.target.execute(f"select step || coalesce(nullif(' ' || object, ' '), ''), state from pgcdc.migration where {where}"))


def done(*names):
    return dict.fromkeys(names, "done")


def test_each_end_is_reached_and_the_next_command_goes_on(pipeline):
    pipeline.source.execute(T)
    migrate(pipeline, "--until", "copied")
    assert pipeline.target.value("select count(*) from t") == 1000
    assert steps(pipeline) == done("plan", "schema", "copy")
    pipeline.source.execute("insert into t values (0, 'late')")
    migrate(pipeline, "--until", "caught-up")
    assert pipeline.target.value("select v from t where id = 0") == "late"
    assert steps(pipeline) == done("plan", "schema", "copy", "indexes", "sequences", "follow")
    said = migrate(pipeline, "--until", "verified")
    assert "migrate: copy was done before" in said and "equal at LSN" in said
    assert steps(pipeline, "true")["verify"] == steps(pipeline, "true")['verify "public"."t"'] == "done"
    pipeline.assert_equal()


# What a plan of the shop says is against it.
SHOP_FIXED = """
    alter table child replica identity full; alter table stock.booking replica identity full;
    alter table scratch set logged; alter table scratch replica identity full
"""
SHOP_ACCEPTED = ["no_key:*", "not_valid:*"]


def test_a_shop_of_every_object_class_moves_to_another_version(shop):
    pipeline = shop(15, 18)
    said = migrate(pipeline, "--until", "verified", code=2)
    assert "have no usable replica identity" in said and "no row is copied" in said
    assert pipeline.target.execute("select from pg_class where relname = 'item'") == [] and pipeline.slot() is None
    pipeline.source.execute(SHOP_FIXED)
    pipeline.engine.configuration["accept"] = SHOP_ACCEPTED
    said = migrate(pipeline, "--until", "verified")
    assert "stays open in the report" not in said
    found = report(pipeline, 0)
    assert found["closes"] and found["open"] == [] and found["not_accepted"] == []
    assert [server["version"].split(".")[0] for server in found["servers"]] == ["15", "18"]
    assert {finding["code"] for finding in found["accepted"]} == {"no_key", "not_valid"}
    assert found["schema"]["missing"] == 0 and found["schema"]["objects"] > 50 and found["sequences"]
    tables = {table["table"]: table for table in found["tables"]}
    sale = tables['"public"."sale"']
    assert sale["source_rows"] == sale["target_rows"] == 400
    assert sale["source_hash"] == sale["target_hash"] != "0" * 16
