# SPDX-License-Identifier: Apache-2.0
"""What `check` finds of a Kafka sink is brought about and followed to the letter; then it is ready, and the topics equal the source."""

import pytest

ITEM = "create table item (id int primary key, v text)"
CLASH = ("create schema a; create schema a_b; create table a.b_c (id int primary key); create table a_b.c (id int primary key);"
         'create schema a_; create table a."_c" (id int primary key); create table a_.c (id int primary key)')


def findings_of(pipeline, code):
    """A sink's own codes have the name of its type before them."""
    return [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"].endswith(code)]


def on_both(pipeline, sql):
    pipeline.source.execute(sql)
    pipeline.replay.execute(sql)


def assert_goes_on(pipeline):
    report = pipeline.engine.json("check")
    assert report["ready"], report
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_names_that_kafka_cannot_tell_apart(kafka_pipeline):
    """The template that was printed made the names of a."_c" and a_.c equal."""
    on_both(kafka_pipeline, CLASH)
    kafka_pipeline.source_configuration["tables"] = ["*.*"]
    kafka_pipeline.publish()
    found = findings_of(kafka_pipeline, "topic_name")
    assert len(found) >= 1 and all(finding["severity"] == "problem" for finding in found), found
    [fix] = {finding["fix"] for finding in found}
    kafka_pipeline.sink_configuration["topic"] = fix.split("for instance ")[1]
    assert findings_of(kafka_pipeline, "topic_name") == []
    kafka_pipeline.source.execute('insert into a.b_c values (1); insert into a_b.c values (2); insert into a."_c" values (3); insert into a_.c values (4)')
    kafka_pipeline.engine.catch_up()
    assert len(kafka_pipeline.topics()) == 4


@pytest.mark.parametrize("way", ["change topic", "rename the sink's own topic"])
def test_a_table_whose_topic_is_the_sinks_own(kafka_pipeline, way):
    on_both(kafka_pipeline, ITEM)
    kafka_pipeline.source.execute("insert into item values (1, 'a')")
    kafka_pipeline.publish()
    sink = kafka_pipeline.sink_configuration
    own = sink["transaction_topic"] = f"{kafka_pipeline.name}_public.item"
    [finding] = findings_of(kafka_pipeline, "topic_name")
    assert finding["fix"] == "change topic, or rename the sink's own topic" and own.replace("_", ".", 1) in finding["what"]
    if way == "change topic":
        sink["topic"] = "{source}.data.{schema}.{table}"
        assert findings_of(kafka_pipeline, "topic_name") == []
        kafka_pipeline.engine.catch_up()
        assert kafka_pipeline.topics() == {f"{kafka_pipeline.name}.data.public.item": 1}
    else:
        sink["transaction_topic"] = f"{kafka_pipeline.name}-transactions"
        assert findings_of(kafka_pipeline, "topic_name") == []
        assert_goes_on(kafka_pipeline)


def test_a_name_that_is_too_long(kafka_pipeline):
    """Each byte that Kafka does not take becomes three."""
    name = "\u00fc" * 31
    on_both(kafka_pipeline, f'create schema "{name}"; create table "{name}"."{name}" (id int primary key)')
    kafka_pipeline.source_configuration["tables"] = ["*.*"]
    kafka_pipeline.publish()
    [finding] = findings_of(kafka_pipeline, "topic_name")
    assert finding["fix"] == "choose a shorter template in topic"
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    kafka_pipeline.source.execute(f'insert into "{name}"."{name}" values (1)')
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "choose a shorter template in topic" in result.stderr, result.stderr
    kafka_pipeline.sink_configuration["topic"] = "{source}.{table}"
    assert findings_of(kafka_pipeline, "topic_name") == []
    kafka_pipeline.engine.catch_up()
    assert list(kafka_pipeline.topics()) == [f"{kafka_pipeline.name}." + "-c3-bc" * 31]


def test_a_transaction_timeout_that_the_brokers_do_not_allow(own_kafka, new_kafka_pipeline, shared_clusters):
    """Both ways, each for one of the two settings: it is lowered, and the brokers are changed."""
    kafka = own_kafka("impatient", settings={"transaction.max.timeout.ms": "50000"})
    pipeline = new_kafka_pipeline(shared_clusters("source"), kafka)
    on_both(pipeline, ITEM)
    pipeline.source.execute("insert into item values (1, 'a')")
    pipeline.publish()
    fixes = {finding["what"].split(" ")[0]: finding["fix"] for finding in findings_of(pipeline, "transaction_timeout")}
    assert set(fixes) == {"properties.transaction.timeout.ms", "copy_timeout_ms"}, fixes
    result = pipeline.engine.command("run", "--until", "caught-up", "--retry-for", "1s")
    assert result.returncode == 2 and "transaction.max.timeout.ms" in result.stderr, result.stderr
    key, value = fixes["copy_timeout_ms"].split(", or ")[0].removeprefix("lower ").split(" to ")
    pipeline.sink_configuration[key] = value
    assert [finding["fix"] for finding in findings_of(pipeline, "transaction_timeout")] == [fixes["properties.transaction.timeout.ms"]]
    setting = fixes["properties.transaction.timeout.ms"].split("or write ")[1].split(" into every broker's properties file and restart it")[0]
    kafka.stop()
    for broker in kafka.brokers:
        path = broker.folder / "server.properties"
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(setting.split("=")[0] + "=")]
        path.write_text("\n".join([*lines, setting]) + "\n", encoding="utf-8")
    kafka.start()
    assert findings_of(pipeline, "transaction_timeout") == []
    assert_goes_on(pipeline)
