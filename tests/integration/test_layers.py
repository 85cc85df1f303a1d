# SPDX-License-Identifier: Apache-2.0
"""The layers go one way: a folder includes only folders below it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# folder: the other folders that its files may include
LAYERS = {
    "cdc/base": [],
    "cdc/pq": ["cdc/base"],
    "decoder": ["cdc/base"],
    "proto": ["cdc/base", "decoder"],
    "cdc/archive": ["cdc/base", "decoder", "proto"],
    "sinks": ["cdc/base", "cdc/pq", "decoder"],
    "sinks/archive": ["cdc/base", "cdc/archive", "proto", "sinks"],
    "sinks/formats": ["cdc/base", "decoder", "proto", "sinks"],
    "sinks/formats/debezium": ["cdc/base", "decoder", "proto", "sinks", "sinks/formats"],
    "sinks/kafka/client": ["cdc/base", "sinks", "sinks/formats"],
    "sinks/kafka/topics": ["cdc/base", "decoder", "sinks/kafka/client"],
    "sinks/kafka/position": ["cdc/base", "sinks/kafka/client"],
    "sinks/kafka/account": ["cdc/base", "sinks/formats", "sinks/kafka/client", "sinks/kafka/topics"],
    "sinks/kafka/definitions": ["cdc/base", "decoder", "proto", "sinks/mapping"],
    "sinks/kafka/letters": ["cdc/base", "sinks/formats"],
    "sinks/kafka/verify": [
        "cdc/base", "cdc/pq", "decoder", "sinks", "sinks/mapping", "sinks/kafka/client", "sinks/kafka/position", "sinks/kafka/account",
    ],
    "sinks/kafka": [
        "cdc/base", "sinks", "sinks/kafka/client", "sinks/kafka/topics", "sinks/kafka/position", "sinks/kafka/account",
        "sinks/kafka/definitions", "sinks/kafka/letters", "sinks/kafka/verify",
    ],
    "sinks/postgres/catalog": ["cdc/base", "cdc/pq", "decoder", "sinks"],
    "sinks/postgres/target": ["cdc/base", "cdc/pq", "decoder", "sinks", "sinks/postgres/catalog"],
    "sinks/postgres/dead": ["cdc/base", "cdc/pq", "decoder", "proto", "sinks", "sinks/postgres/catalog", "sinks/postgres/target"],
    "sinks/postgres/schema": ["cdc/base", "cdc/pq", "decoder", "sinks", "sinks/mapping", "sinks/postgres/catalog", "sinks/postgres/target"],
    "sinks/postgres/settle": ["cdc/base", "cdc/pq", "sinks", "sinks/postgres/target"],
    "sinks/postgres/apply": [
        "cdc/base", "cdc/pq", "decoder", "sinks", "sinks/postgres/catalog", "sinks/postgres/dead", "sinks/postgres/schema", "sinks/postgres/settle",
        "sinks/postgres/target",
    ],
    "sinks/postgres/copy": [
        "cdc/base", "cdc/pq", "decoder", "sinks", "sinks/postgres/catalog", "sinks/postgres/dead", "sinks/postgres/schema", "sinks/postgres/settle",
        "sinks/postgres/target",
    ],
    "sinks/postgres/check": ["cdc/base", "cdc/pq", "sinks", "sinks/mapping", "sinks/postgres/catalog", "sinks/postgres/schema"],
    "sinks/postgres/verify": [
        "cdc/base", "cdc/pq", "decoder", "sinks", "sinks/mapping", "sinks/postgres/catalog", "sinks/postgres/schema", "sinks/postgres/target",
    ],
    "sinks/postgres": [
        "cdc/base", "cdc/pq", "sinks", "sinks/postgres/apply", "sinks/postgres/catalog", "sinks/postgres/check", "sinks/postgres/copy", "sinks/postgres/dead",
        "sinks/postgres/schema", "sinks/postgres/settle", "sinks/postgres/target", "sinks/postgres/verify",
    ],
    "sinks/mapping": ["cdc/base", "cdc/pq", "decoder", "sinks"],
    "cdc/config": ["cdc/base", "cdc/pq", "sinks", "sinks/mapping"],
    "cdc/source": ["cdc/base", "cdc/pq", "decoder", "sinks", "sinks/mapping", "cdc/config"],
    "cdc/readers": ["cdc/base", "cdc/pq", "decoder", "proto", "cdc/archive", "cdc/config", "cdc/source"],
    "cdc/copy": ["cdc/base", "cdc/pq", "decoder", "sinks", "sinks/mapping", "cdc/config", "cdc/source"],
    "cdc/engine": [
        "cdc/base", "cdc/pq", "decoder", "cdc/archive", "sinks", "sinks/mapping", "cdc/config", "cdc/source", "cdc/readers", "cdc/copy",
    ],
    "cdc/status": ["cdc/base", "cdc/pq", "decoder", "cdc/archive", "sinks", "cdc/config", "cdc/source", "cdc/readers", "cdc/copy", "cdc/engine"],
    "cdc/check": ["cdc/base", "cdc/pq", "decoder", "sinks", "cdc/config", "cdc/source", "cdc/copy", "cdc/engine"],
    "cdc/verify": ["cdc/base", "cdc/pq", "decoder", "sinks", "cdc/config", "cdc/source", "cdc/copy", "cdc/engine"],
    "cdc/sequences": ["cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source"],
    "cdc/http": ["cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source", "cdc/copy", "cdc/engine"],
    "cdc/service": ["cdc/base", "cdc/config", "cdc/engine"],
    "cdc/control": ["cdc/base", "cdc/config", "cdc/engine"],
    "cdc/run": ["cdc/base", "cdc/config", "cdc/engine", "cdc/verify", "cdc/sequences", "cdc/http", "cdc/service", "cdc/control"],
    "cdc/migrate/plan": ["cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/check"],
    "cdc/migrate/globals": ["cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source", "cdc/migrate/steps"],
    "cdc/migrate/steps": ["cdc/base", "cdc/pq", "sinks", "cdc/config"],
    "cdc/migrate/cutover": [
        "cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source", "cdc/engine", "cdc/verify", "cdc/sequences", "cdc/migrate/proof", "cdc/migrate/steps",
    ],
    "cdc/migrate/schema": ["cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source", "cdc/migrate/steps"],
    "cdc/migrate/proof": ["cdc/base", "cdc/pq", "sinks", "cdc/engine", "cdc/verify", "cdc/migrate/steps"],
    "cdc/migrate/report": [
        "cdc/base", "cdc/pq", "sinks", "cdc/config", "cdc/source", "cdc/engine", "cdc/check", "cdc/sequences", "cdc/migrate/globals", "cdc/migrate/proof", "cdc/migrate/schema",
        "cdc/migrate/steps",
    ],
    "cdc/migrate": [
        "cdc/base", "cdc/pq", "cdc/config", "cdc/source", "cdc/engine", "cdc/verify", "cdc/sequences", "cdc/run", "cdc/migrate/globals", "cdc/migrate/plan", "cdc/migrate/proof",
        "cdc/migrate/schema", "cdc/migrate/steps",
    ],
    "cdc/commands": [
        "cdc", "cdc/base", "cdc/pq", "decoder", "cdc/archive", "sinks", "sinks/mapping", "cdc/config", "cdc/source", "cdc/copy", "cdc/engine", "cdc/status", "cdc/check", "cdc/verify", "cdc/http", "cdc/run", "cdc/control",
        "cdc/migrate", "cdc/migrate/cutover", "cdc/migrate/globals", "cdc/migrate/plan", "cdc/migrate/report", "cdc/migrate/schema", "cdc/migrate/steps",
    ],
    "cdc": ["cdc/base", "cdc/config"],
}
# The decoder can be fuzzed, benched and golden-tested because it does none of these.
IMPURE = ["cdc/base/clock.h", "cdc/base/log.h", "pthread.h", "stdio.h", "time.h", "unistd.h", "libpq-fe.h"]
# These report to their callers and do not log.
SILENT = [layer for layer in LAYERS if layer in ("cdc/base", "cdc/pq", "decoder", "proto", "cdc/archive") or layer.startswith("sinks")]


def layer_of(path):
    return max((layer for layer in LAYERS if path.startswith(layer + "/")), key=len)


def includes(file):
    return re.findall(r'#include ["<]([^">]+)[">]', file.read_text(encoding="utf-8"))


def sources():
    for folder in ("cdc", "decoder", "proto", "sinks"):
        for file in sorted((ROOT / folder).rglob("*.[ch]")):
            yield file, str(file.relative_to(ROOT))


def test_no_include_runs_up_the_layers():
    faults = []
    for file, path in sources():
        layer = layer_of(path)
        for included in includes(file):
            if not (ROOT / included).is_file():
                continue
            if layer_of(included) != layer and layer_of(included) not in LAYERS[layer]:
                faults.append(f"{path} includes {included}")
    assert not faults


def test_the_decoder_is_pure():
    faults = [f"{path} includes {included}" for file, path in sources() if path.startswith("decoder/")
              for included in includes(file) if included in IMPURE]
    assert not faults


def test_no_answer_is_read_before_its_shape_is_checked():
    """session_query does it; code that takes results by hand must check them by hand."""
    faults = []
    for file, path in sources():
        text = file.read_text(encoding="utf-8")
        takes = re.search(r"\b(session_next_result|PQgetResult|PQexec\w*)\(", text) and path != "cdc/pq/session.c"
        if takes and re.search(r"\bPQgetvalue\(", text) and "result_check(" not in text and "session_query(" not in text:
            faults.append(path)
        if path != "cdc/pq/session.c" and re.search(r"\bPQexec\w*\(", text):
            faults.append(path)
    assert not faults


def test_only_the_program_logs():
    faults = [path for file, path in sources()
              if layer_of(path) in SILENT and path not in ("cdc/base/log.c", "cdc/pq/lock_wait.c") and "log_line(" in file.read_text(encoding="utf-8")
              and path != "cdc/base/log.h"]
    assert not faults


def test_only_a_sink_names_its_type():
    """What a type of sink can do is a field of its operations; so a new type needs no change in cdc/."""
    types = re.findall(r"sink_(\w+);", (ROOT / "sinks/types.h").read_text(encoding="utf-8"))
    named = re.compile("|".join(f'type, "{one}"' for one in types))
    assert len(types) > 3
    assert [path for file, path in sources() if path.startswith("cdc/") and named.search(file.read_text(encoding="utf-8"))] == []
