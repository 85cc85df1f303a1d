# SPDX-License-Identifier: Apache-2.0
"""Schedulers and transformation: `pgcdc dbt sources`, and the examples for dbt and Airflow with the real ones."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.cache import cached_program

EXAMPLES = Path(__file__).resolve().parents[2] / "cdc" / "packaging" / "examples"
PROJECT = EXAMPLES / "dbt"
AIRFLOW = EXAMPLES / "airflow" / "pgcdc_shop.py"

ORDERS = """create table orders (id int primary key, placed_at timestamptz not null default now(), total int not null);
    insert into orders select g, timestamptz '2026-01-01' + g * interval '1 hour', g from generate_series(1, 100) g;
    create table plain (id int primary key)"""


def sources_of(pipeline, *arguments):
    printed = pipeline.engine.command("dbt sources", *arguments)
    assert printed.returncode == 0, printed.stderr
    return printed.stdout, {source["name"]: {table["name"]: table for table in source["tables"]} for source in yaml.safe_load(printed.stdout)["sources"]}


def test_each_mode_has_its_freshness(pipeline):
    pipeline.source.execute("""create table a (id int primary key, v text); create table b (id int primary key); create table c (id int primary key);
        create table d (id int primary key); create table e (id int primary key)""")
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.a", "to": "kept.a", "mode": "append", "columns": {"v": {"steps": ["trim", "lower"], "as": "w"}}},
        {"match": "public.b", "to": "kept.b", "mode": "soft_delete"}, {"match": "public.c", "to": "kept.c", "mode": "history"},
        {"match": "public.d", "to": "public.d", "columns": {"at": {"meta": "commit_time"}}}]
    _, sources = sources_of(pipeline)
    assert {name: {table: declared.get("loaded_at_field") for table, declared in tables.items()} for name, tables in sources.items()} == {
        "kept": {"a": '"_pgcdc_commit_time"', "b": '"_pgcdc_commit_time"', "c": "nullif(_pgcdc_valid_from, '-infinity')"},
        "public": {"d": '"at"', "e": None}}
    columns = {column["name"]: column.get("description") for column in sources["kept"]["a"]["columns"]}
    assert columns["w"] == "v of public.a, trim, lower" and "_pgcdc_op" in columns and "v" not in columns
    assert "columns" not in sources["public"]["e"] and "freshness" not in sources["public"]["e"]


def test_tables_of_one_target_are_declared_once(pipeline):
    pipeline.source.execute("create table bank_a (id int primary key); create table bank_b (id int primary key)")
    pipeline.engine.configuration["mapping"] = [{"match": "/public\\.bank_(.)/", "to": "public.customer", "key": ["bank", "id"], "columns": {"bank": {"meta": "table"}}}]
    _, sources = sources_of(pipeline)
    assert list(sources["public"]) == ["customer"]
    assert sources["public"]["customer"]["description"] == "public.bank_a and others, mode merge"


def test_names_cannot_leave_their_place(pipeline):
    """Quotes, line breaks and what dbt would run as a template."""
    pipeline.source.execute('create table "a\n  - name: ""x" (id int primary key); create table "{{ env_var(\'HOME\') }}{% set a %}" (id int primary key)')
    _, sources = sources_of(pipeline)
    assert set(sources["public"]) == {'a\n  - name: "x', "{{ '{' }}{{ '{' }} env_var('HOME') }}{{ '{' }}% set a %}"}


def test_what_has_no_tables_for_dbt_says_so(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.configuration["sinks"] = [{"name": "nothing", "type": "null"}]
    refused = pipeline.engine.command("dbt sources")
    assert refused.returncode == 2 and "sink nothing is not a database" in refused.stderr


@pytest.mark.long
def test_airflow_runs_the_example(pipeline, program, tmp_path):
    """The graph with the engine behind it: the summary is the task's result, and a refusal is not tried again."""
    airflow = cached_program("airflow", "airflow")
    pipeline.source.execute(ORDERS)
    pipeline.engine.write_configuration()
    dags, home, bin_folder = tmp_path / "dags", tmp_path / "airflow", tmp_path / "bin"
    for folder in (dags, home, bin_folder):
        folder.mkdir()
    (bin_folder / "pgcdc").symlink_to(program)
    (bin_folder / "dbt").write_text("#!/bin/sh\necho built\n")
    (bin_folder / "dbt").chmod(0o755)
    text = AIRFLOW.read_text(encoding="utf-8").replace("/etc/pgcdc/shop.yaml", str(pipeline.engine.config_path))
    (dags / "pgcdc_shop.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                   "PATH": f"{bin_folder}:{Path(airflow).parent}:{os.environ['PATH']}"}

    def run(*arguments):
        result = subprocess.run([airflow, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result.stdout + result.stderr

    run("db", "migrate")
    run("dags", "test", "pgcdc_shop")
    assert pipeline.target.value("select count(*) from orders") == 100
    pipeline.wait_slot_free()
    pipeline.source.execute("select pg_drop_replication_slot('shop')")
    refused = run("tasks", "test", "pgcdc_shop", "catch_up")
    assert "refuses (exit code 3)" in refused and "new_state=failed" in refused


@pytest.mark.long
def test_dbt_builds_the_example_on_what_pgcdc_keeps(pipeline, tmp_path):
    dbt = cached_program("dbt", "dbt")
    pipeline.source.execute(ORDERS)
    pipeline.engine.configuration["mapping"] = [{"match": "public.orders", "mode": "soft_delete"}]
    pipeline.start()
    pipeline.source.execute("delete from orders where id = 1; update orders set total = 1000 where id = 100")
    pipeline.wait_applied()
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    printed, _ = sources_of(pipeline)
    (project / "models" / "sources.yml").write_text(printed, encoding="utf-8")
    target = pipeline.target
    environment = {**os.environ, "PGHOST": str(target.cluster.folder), "PGPORT": str(target.cluster.port), "PGUSER": "postgres",
                   "PGDATABASE": target.name, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

    def run(*arguments):
        result = subprocess.run([dbt, "--no-use-colors", *arguments, "--profiles-dir", project], cwd=project, env=environment,
                                capture_output=True, text=True, check=False, timeout=300)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    assert "PASS freshness of public.orders" in run("source", "freshness")
    run("build")
    assert target.value("select sum(orders) from analytics.daily_orders") == 99
    assert target.value("select sum(total) from analytics.daily_orders") == sum(range(2, 100)) + 1000
