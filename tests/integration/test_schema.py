# SPDX-License-Identifier: Apache-2.0
"""`pgcdc schema`: the source's objects are made at the target and compared, whatever dies on the way."""

import json
from pathlib import Path

import pytest

from support.server import newest_pg_dump, server_programs

SHOP = (Path(__file__).parent / "schema_shop.sql").read_text(encoding="utf-8")
ROLES = ("shop_owner", "shop reader")


@pytest.fixture(name="clusters")
def clusters_fixture(shared_clusters):
    """clusters(source version, target version): both have the shop's roles."""
    if newest_pg_dump() is None:
        pytest.skip("pg_dump of 18 is not here (tests/support/install servers)")

    def get(source, target):
        pair = shared_clusters("source", source), shared_clusters("target", target)
        for cluster in pair:
            for role in ROLES:
                cluster.execute(f"""do $$ begin create role "{role}"; exception when duplicate_object then end $$""")
        return pair

    return get


@pytest.fixture(name="shop")
def shop_fixture(new_pipeline, clusters):
    """shop(source version, target version): the shop at the source, an empty target."""

    def make(source=15, target=15, sql=SHOP):
        pipeline = new_pipeline(*clusters(source, target))
        pipeline.engine.configuration["schema"] = {"pg_dump": str(newest_pg_dump()), "jobs": 3}
        del pipeline.source_configuration["tables"]
        if sql:
            pipeline.source.execute(sql)
        return pipeline

    return make


def apply(pipeline, *arguments, code=0, **more):
    result = pipeline.engine.command("schema apply", *arguments, **more)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def compare(pipeline):
    """(exit code, the differences as "missing INDEX public.t_a")."""
    result = pipeline.engine.command("schema compare", "--json")
    assert result.returncode in (0, 4), result.stderr
    found = json.loads(result.stdout)
    return result.returncode, [f"{one['fault']} {one['kind']} {one['schema']}.{one['name']}" for one in found["differences"]]


@pytest.mark.parametrize("source,target", [(14, 18), (15, 18), (15, 15), (18, 15)])
def test_every_class_of_objects_moves(shop, source, target):
    pipeline = shop(source, target)
    apply(pipeline)
    assert compare(pipeline) == (0, [])
    assert "0 objects made" in apply(pipeline).stdout


POINTS = [("before", "schema-before-object:40"), ("before", "schema-before-commit"), ("before", "schema-before-done"),
          ("after", "schema-object-commit:3"), ("after", "schema-object-done:9"), ("after", "schema-object-commit:25")]


def test_a_killed_apply_goes_on(shop):
    """At a point before the commit nothing of the object is there, and the next run makes it; after it, nothing is made twice."""
    pipeline = shop()
    for stage, point in POINTS:
        killed = pipeline.engine.command("schema apply", f"--{stage}-copy", environment={"PGCDC_FAULT": point})
        assert killed.returncode == -9, killed.stdout + killed.stderr
    apply(pipeline)
    assert compare(pipeline) == (0, [])
