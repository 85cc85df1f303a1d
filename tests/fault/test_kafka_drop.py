# SPDX-License-Identifier: Apache-2.0
"""`pgcdc drop` of a pipeline to Kafka, killed wherever it may be: the next one leaves nothing, and a new pipeline can begin."""

import re
import signal
from pathlib import Path

from support.wait import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
POINT = re.compile(r'FAULT_POINT\("(drop-[^"]+)"\)')
# The sink's: it takes the pipeline over, with a claim; then it forgets the position, with a tombstone; then its topic goes.
OF_THE_SINK = ["kafka-before-init", "kafka-before-claim", "kafka-before-commit:1", "kafka-after-commit:1", "kafka-before-commit:2",
               "kafka-after-commit:2"]


def points():
    of_the_command = sorted({name for path in (ROOT / "cdc").rglob("*.c") for name in POINT.findall(path.read_text(encoding="utf-8"))})
    assert of_the_command, "no point was found"
    return of_the_command + OF_THE_SINK


def assert_nothing_left(pipeline):
    assert pipeline.slot() is None
    assert pipeline.source.execute("select pubname from pg_publication") == []
    assert list(pipeline.state.iterdir()) == []
    wait_until(lambda: pipeline.position_topic not in pipeline.kafka.topics(), "the position's topic to go")


def test_killed_while_dropping(kafka_pipeline):
    pipeline = kafka_pipeline
    pipeline.source.execute("create table item (id int primary key); insert into item values (1)")
    copies = 0
    for point in points():
        pipeline.engine.catch_up()
        copies += 1
        result = pipeline.engine.command("drop", environment={"PGCDC_FAULT": point})
        assert result.returncode == -signal.SIGKILL, f"{point}: {result.stdout}{result.stderr}"
        result = pipeline.engine.command("drop")
        assert result.returncode == 0, f"{point}: {result.stdout}{result.stderr}"
        assert_nothing_left(pipeline)
    assert len(pipeline.read("item")) == copies, "each new pipeline has copied the row once, and what was published stays"
