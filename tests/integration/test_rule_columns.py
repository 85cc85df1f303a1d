# SPDX-License-Identifier: Apache-2.0
"""Columns exchange names at the source, and a sink that alters no tables has rules for them: it stops before a value passes under the other's rule."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.archive import write_into

ROOT = Path(__file__).resolve().parents[2]

SECRET = "hide-this"  # a part of each value that a rule hides
TABLE = """create table people (id int primary key, email text, b text, c text);
    insert into people select g, 'hide-this-' || g, 'b' || g, 'c' || g from generate_series(1, 20) g"""
RULE = {"match": "public.people", "to": "crm.person", "columns": {"email": {"mask": {"fixed": "masked"}}, "c": {"as": "c2"}}}
MORE = "insert into people (id, b) values (nextval('ids'), 'more')"
ANOTHER = "is another column at the source now, and the rule is about its name"
# What becomes of the names, then a row by which a secret would leave.
EXCHANGES = {
    "exchanged": ("alter table people rename email to x; alter table people rename b to email; alter table people rename x to b", "update people set id = id + 1000 where id = 7"),
    "taken": ("alter table people rename email to other; alter table people rename b to email", "update people set id = id + 1000 where id = 7"),
    "made anew": ("alter table people rename email to other; alter table people add email text", "update people set id = id + 1000 where id = 7"),
    "two of the rule": ("alter table people rename email to x; alter table people rename c to email; alter table people rename x to c", "update people set id = id + 1000 where id = 7"),
}


def read_archive(path):
    messages = path.parent / "messages"
    messages.mkdir(exist_ok=True)
    subprocess.run(["protoc", f"--python_out={messages}", f"--proto_path={ROOT / 'proto'}", "archive.proto"], check=True)
    result = subprocess.run([sys.executable, ROOT / "sinks/archive/read_archive.py", path], check=True, capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": str(messages)})
    return result.stdout.splitlines()


class Output:
    """Everything that has left, as one text, and how many changes that is."""

    def __init__(self, pipeline, kind, folder):
        self.pipeline, self.kind, self.path = pipeline, kind, folder / "archive"
        if kind == "archive":
            write_into(pipeline, self.path)
        elif kind == "stdout":
            pipeline.engine.configuration["sinks"] = [{"name": "lines", "type": "stdout"}]
        else:
            pipeline.sink_configuration["format"] = "debezium-json"
        self.lines = []

    def run(self, **arguments):
        result = self.pipeline.engine.command("run", "--until", "caught-up", **arguments)
        if self.kind == "stdout":
            self.lines += result.stdout.splitlines()
        return result

    def texts(self):
        if self.kind == "archive":
            return read_archive(self.path)
        if self.kind == "kafka":
            topic = f"{self.pipeline.name}.crm.person"
            messages = self.pipeline.read_topic(topic) if topic in self.pipeline.topics() else []
            return [((message.key() or b"") + (message.value() or b"")).decode() for message in messages]
        return self.lines

    def check(self):
        """Nothing has left that a rule hides. Returns the number of changes."""
        texts = self.texts()
        assert not [text for text in texts if SECRET in text]
        return len(texts)


@pytest.fixture(params=["kafka", "archive"])
def output(request, tmp_path):
    pipeline = request.getfixturevalue("kafka_pipeline" if request.param == "kafka" else "pipeline")
    pipeline.source.execute(TABLE + "; create sequence ids start 100")
    pipeline.engine.configuration["mapping"] = [RULE]
    return Output(pipeline, request.param, tmp_path)


@pytest.mark.parametrize("output,case", [(kind, case) for kind in ("kafka", "archive") for case in EXCHANGES] + [("stdout", "taken")], indirect=["output"])
def test_a_name_that_is_another_column_stops(output, case):
    """The rows of before pass, and after a restart it stops again."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute(MORE)
    source.execute(EXCHANGES[case][0])
    source.execute(EXCHANGES[case][1])
    for _ in range(2):
        result = output.run()
        assert result.returncode == 1 and ANOTHER in result.stderr, result.stderr
        assert f"remove {output.pipeline.name}.{output.pipeline.sink_configuration['name']}.columns from the state directory" in result.stderr
    assert any("more" in text for text in output.texts())
    output.check()


def test_a_rule_that_is_corrected_goes_on(output):
    """The rule names the column as it is called now; nothing of before or after passes."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute(MORE)
    for sql in EXCHANGES["taken"]:
        source.execute(sql)
    assert output.run().returncode == 1
    columns = RULE["columns"]
    output.pipeline.engine.configuration["mapping"] = [RULE | {"columns": {"other": columns["email"], "c": columns["c"]}}]
    assert output.run().returncode == 0
    source.execute("alter table people add column d int default 3; update people set d = id where id < 5")
    assert output.run().returncode == 0
    assert any('"d":4' in text.replace(" ", "") or '"d":"4"' in text.replace(" ", "") for text in output.texts())
    output.check()


def test_a_rule_that_is_right_as_it_is_goes_on(output):
    """The file is removed, as the message says. The rows of before the change do not pass under the new meaning: they are of before the stop."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute(MORE)
    source.execute("alter table people drop column email")
    source.execute("alter table people add column email text default 'hide-this-too'")
    source.execute("update people set id = id + 1000 where id = 7")
    result = output.run()
    assert result.returncode == 1 and ANOTHER in result.stderr, result.stderr
    sink = output.pipeline.sink_configuration["name"]
    (output.pipeline.state / f"{output.pipeline.name}.{sink}.columns").unlink()
    assert output.run().returncode == 0
    output.check()


OTHER_CHANGES = [
    "alter table people rename b to bee; update people set bee = 'x' where id < 4; alter table people add d int; update people set d = 1 where id < 4; alter table people drop d;"
    "update people set c = 'y' where id < 4; alter table people rename bee to b; insert into people values (201, 'hide-this', 'x', 'y')",
    "alter table people drop column b; update people set c = 'z' where id < 3; alter table people add column b int default 1; update people set b = 2 where id < 3",
    "alter table people alter email type varchar(100); update people set c = 'w' where id < 3; alter table people alter column b type text using b || 'x', add column f int;"
    "update people set c = 'v' where id < 3; alter table people rename b to bb; insert into people (id, email) values (202, 'hide-this')",
]


@pytest.mark.parametrize("output,is_live", [("kafka", True), ("kafka", False), ("archive", False)], indirect=["output"])
def test_other_changes_of_the_table_pass(output, is_live):
    """One statement at a time, while the pipeline runs or all before it does."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    for changes in OTHER_CHANGES:
        for sql in changes.split(";"):
            source.execute(sql)
            if is_live:
                assert output.run().returncode == 0
        result = output.run()
        assert result.returncode == 0, result.stderr
    assert output.check() == 20 + 10 + 4 + 5


@pytest.mark.parametrize("output,point", [("kafka", point) for point in ("mapping-columns-before", "mapping-columns-noted", "kafka-before-commit:2", "kafka-after-commit:2")]
                         + [("archive", "mapping-columns-noted"), ("archive", "runner-copied")], indirect=["output"])
def test_killed_where_the_columns_are_noted(output, point):
    """A kill beside the first note, then an exchange: the copy that begins again, or goes on, stops or has masked rows."""
    source = output.pipeline.source
    killed = output.run(environment={"PGCDC_FAULT": point})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    noted = (output.pipeline.state / f"{output.pipeline.name}.{output.pipeline.sink_configuration['name']}.columns").exists()
    for sql in EXCHANGES["taken"]:
        source.execute(sql)
    result = output.run()
    assert noted == (point != "mapping-columns-before")
    if noted:
        assert result.returncode == 1 and ANOTHER in result.stderr, result.stderr
        output.check()
    else:
        assert result.returncode == 0, result.stderr  # nothing had left, and the rule is about the columns that it met


@pytest.mark.parametrize("output", ["archive"], indirect=True)
def test_a_generated_column(output):
    """What is not sent is in the catalog all the same."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute("alter table people add column g int generated always as (id * 2) stored; update people set c = 'v' where id < 3; alter table people rename b to bb")
    source.execute("insert into people (id, email) values (202, 'hide-this')")
    assert output.run().returncode == 0
    for sql in EXCHANGES["taken"][0].replace("rename b", "rename bb"), EXCHANGES["taken"][1]:
        source.execute(sql)
    result = output.run()
    assert result.returncode == 1 and "of table public.people" in result.stderr, result.stderr
    assert output.check() == 20 + 2 + 1


@pytest.mark.parametrize("output", ["archive"], indirect=True)
def test_columns_that_an_expression_uses(output):
    """where and sql find columns by name too."""
    source = output.pipeline.source
    source.execute("alter table people replica identity full")
    output.pipeline.engine.configuration["mapping"] = [RULE | {"where": "b <> 'b3'", "columns": RULE["columns"] | {"both": {"sql": "b || '!'"}}}]
    assert output.run().returncode == 0
    source.execute("alter table people rename b to x; alter table people rename c to b; alter table people rename x to c; update people set id = 400 where id = 4")
    output.pipeline.engine.configuration["mapping"] = [{"match": "public.people", "to": "crm.person", "where": "b <> 'b3'", "columns": {"email": RULE["columns"]["email"]}}]
    result = output.run()
    assert result.returncode == 1 and '"b" of table public.people is another column at the source now' in result.stderr, result.stderr
    output.check()


@pytest.mark.parametrize("output", ["kafka"], indirect=True)
def test_names_that_are_exchanged_and_exchanged_again(output):
    """The catalog is as it was, the rows between are not."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute(MORE)
    for _ in range(2):
        for sql in EXCHANGES["exchanged"]:
            source.execute(sql)
    result = output.run()
    assert result.returncode == 1 and ANOTHER in result.stderr, result.stderr
    output.check()


@pytest.mark.parametrize("mode", ["append", "history"])
def test_a_mode_of_a_postgres_sink(pipeline, mode):
    """It follows the columns, and so looks after the rules."""
    pipeline.source.execute(TABLE)
    pipeline.target.execute("create schema crm")
    pipeline.engine.configuration["mapping"] = [RULE | {"mode": mode}]
    pipeline.engine.catch_up()
    for sql in EXCHANGES["exchanged"]:
        pipeline.source.execute(sql)
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "is another column at the source now, and a rule of the mapping is about its name" in result.stderr, result.stderr
    assert SECRET not in str(pipeline.target.execute("select * from crm.person"))


@pytest.mark.parametrize("version", [14, 18])
def test_other_versions(new_pipeline, shared_clusters, tmp_path, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target"))
    pipeline.source.execute(TABLE + "; create sequence ids start 100")
    pipeline.engine.configuration["mapping"] = [RULE]
    output = Output(pipeline, "stdout", tmp_path)
    assert output.run().returncode == 0
    for sql in OTHER_CHANGES[0].split(";"):
        pipeline.source.execute(sql)
    assert output.run().returncode == 0
    for sql in EXCHANGES["exchanged"]:
        pipeline.source.execute(sql)
    result = output.run()
    assert result.returncode == 1 and ANOTHER in result.stderr, result.stderr
    assert output.check() == 20 + 10


@pytest.mark.parametrize("output", ["stdout"], indirect=True)
def test_a_column_that_is_renamed_in_the_lag(output):
    """What was written before passes under the rule of before, so that the corrected one meets only what it is for."""
    source = output.pipeline.source
    assert output.run().returncode == 0
    source.execute(MORE)
    source.execute("alter table people rename email to other; update people set id = id + 1000 where id = 7")
    result = output.run()
    assert result.returncode != 0 and "column email of table public.people does not exist" in result.stderr, result.stderr
    columns = RULE["columns"]
    output.pipeline.engine.configuration["mapping"] = [RULE | {"columns": {"other": columns["email"], "c": columns["c"]}}]
    result = output.run()
    assert result.returncode == 0, result.stderr
    assert any("more" in text for text in output.texts())
    assert output.check() == 20 + 1 + 1
