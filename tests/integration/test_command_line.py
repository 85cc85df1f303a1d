# SPDX-License-Identifier: Apache-2.0
"""The command line without any server: usage, help, and the errors of a bad configuration file."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.tables import PAGES, TABLE, replace_tables

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
name: shop
source: {dsn: "host=127.0.0.1 port=1 user=u dbname=d"}
state: STATE
sinks: [{name: warehouse, type: postgres, dsn: "host=127.0.0.1 port=1 user=u dbname=d"}]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(CONFIG.replace("STATE", str(tmp_path / "state")))
    return path


@pytest.fixture
def run(program):
    def call(*arguments, **options):
        return subprocess.run([program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=60, check=False, **options)
    return call


USAGE = [
    ([], "pgcdc: a command is required; see: pgcdc help"),
    (["nonsense"], "pgcdc: unknown command nonsense; see: pgcdc help"),
    (["chekc"], "pgcdc: unknown command chekc, did you mean check?; see: pgcdc help"),
    (["run", "-c", "f", "--untl", "caught-up"], "pgcdc run: unknown option --untl, did you mean --until?; see: pgcdc help run"),
    (["skip", "-c", "f"], "pgcdc skip: LSN is missing; see: pgcdc help skip"),
    (["-c"], "pgcdc: unknown command -c; see: pgcdc help"),
    (["run"], "pgcdc run: -c FILE is required; see: pgcdc help run"),
    (["run", "-c"], "pgcdc run: -c needs a value; see: pgcdc help run"),
    (["run", "-c", ""], "pgcdc run: -c: expected the path of a configuration file; see: pgcdc help run"),
    (["tail", "-c", "f", "--repair"], "pgcdc tail: unknown option --repair; see: pgcdc help tail"),
    (["run", "-c", "f", "--timeout", "soon"],
     "pgcdc run: --timeout: expected a duration like 30s, 5m or 2h; see: pgcdc help run"),
    (["verify", "-c", "f", "--keys", "0"], "pgcdc verify: --keys: expected a number from 1 to 10000; see: pgcdc help verify"),
    (["verify", "-c", "f", "--keys", "all"], "pgcdc verify: --keys: expected a number from 1 to 10000; see: pgcdc help verify"),
    (["verify", "-c", "f", "--keys", "5x"], "pgcdc verify: --keys: expected a number from 1 to 10000; see: pgcdc help verify"),
    (["run", "-c", "f", "--retry-for", "0s"],
     "pgcdc run: --retry-for: expected a duration like 30s, 5m or 2h; see: pgcdc help run"),
    (["run", "-c", "f", "more"], "pgcdc run: unexpected argument more; see: pgcdc help run"),
    (["run", "-c", "f", "--until", "soon"],
     "pgcdc run: --until: expected caught-up, an LSN like 16/B374D848 or a time like 2026-02-28T12:00:00Z; see: pgcdc help run"),
    (["run", "-c", "f", "--until", "0/0"],
     "pgcdc run: --until: expected caught-up, an LSN like 16/B374D848 or a time like 2026-02-28T12:00:00Z; see: pgcdc help run"),
    (["run", "-c", "f", "--until"], "pgcdc run: --until needs a value; see: pgcdc help run"),
    (["check", "-c", "f", "--json=yes"], "pgcdc check: --json takes no value; see: pgcdc help check"),
    (["drop", "-c", "f", "--until", "caught-up"], "pgcdc drop: unknown option --until; see: pgcdc help drop"),
    (["version", "more"], "pgcdc version: unexpected argument more; see: pgcdc help version"),
    (["table"], "pgcdc: table is the first word of several commands, which pgcdc help table describes; see: pgcdc help"),
    (["table", "ad"], "pgcdc: table is the first word of several commands, which pgcdc help table describes; see: pgcdc help"),
    (["table", "add", "-c", "f"], "pgcdc table add: TABLE... is missing; see: pgcdc help table add"),
    (["help", "nonsense"], "pgcdc help: unknown command nonsense; see: pgcdc help"),
]


@pytest.mark.parametrize("arguments,expected", USAGE, ids=lambda value: " ".join(value) if value else "")
def test_a_usage_error_is_one_line_with_a_hint(run, arguments, expected):
    result = run(*arguments)
    assert (result.returncode, result.stderr, result.stdout) == (2, expected + "\n", "")


def test_help_names_every_command_and_exit_code(run):
    text = run("help").stdout
    commands = re.findall(r"^  pgcdc ([\w-]+)", text, re.MULTILINE)
    assert {"check", "run", "status", "verify", "tail", "why", "skip", "drop", "help", "version"} <= set(commands)
    for command in commands:
        described = run("help", command)
        assert described.returncode == 0
        assert described.stdout.startswith(f"pgcdc {command}")
        assert run(command, "--help").stdout == described.stdout
    for code in range(5):
        assert f"\n  {code}  " in text


def test_help_describes_the_configuration(run):
    text = run("help", "config").stdout
    for word in ("decoding_work_mem", "password_file", "postgres (exactly once)", "* dsn"):
        assert word in text


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_of_keys_are_those_of_the_program(run, page):
    """When it fails: tests/support/write_tables PROGRAM."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert TABLE.search(text)
    assert replace_tables(text, run("help", "markdown").stdout) == text


def plain(page, *, warnings):
    """The manual page as a terminal shows it, in one line. scdoc itself writes paragraphs that mandoc finds superfluous."""
    roff = subprocess.run(["scdoc"], input=page, capture_output=True, text=True, check=True).stdout
    shown = subprocess.run(["man", "--warnings", "-l", "-"], input=roff, capture_output=True, text=True, check=True,
                           env={**os.environ, "LC_ALL": "C", "MANWIDTH": "1000"})
    warnings.append(shown.stderr)
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=roff, capture_output=True, text=True, check=False)
        warnings.append("\n".join(line for line in lint.stdout.splitlines() if "skipping paragraph macro" not in line))
    return " ".join(re.sub("-\n *", "-", shown.stdout).split())


needs_scdoc = pytest.mark.skipif(not (shutil.which("scdoc") and shutil.which("man")), reason="needs scdoc and man")


@needs_scdoc
def test_the_manual_page_has_every_command_option_and_exit_code(run):
    warnings = []
    page = plain(run("help", "man").stdout, warnings=warnings)
    listed = run("help").stdout
    for command in re.findall(r"^  pgcdc (?!help COMMAND)(\w+)", listed, re.MULTILINE):
        for line in run("help", command).stdout.splitlines():  # usage, summary, help, options
            assert " ".join(line.replace("`", "").split()) in page
    for code, meaning in re.findall(r"^  (\d)  (.*)$", listed, re.MULTILINE):
        assert f" {code} {meaning} " in page
    assert "".join(warnings) == ""


@needs_scdoc
def test_the_manual_page_has_every_key(run):
    warnings = []
    page = plain(run("help", "man-config").stdout, warnings=warnings)
    rows = re.findall(r"^\| `(\S+)` \| (.*) \| (.*) \|$", run("help", "markdown").stdout, re.MULTILINE)
    assert len(rows) > 40
    for key, meaning, fallback in rows:
        expected = f"{key} (required) {meaning}" if fallback == "required" else f"{key} {meaning}"
        if fallback not in ("", "required"):
            expected += f"; default: {fallback}"
        assert " ".join(expected.replace("`", "").replace("\\|", "|").split()) in page
    assert "".join(warnings) == ""


def test_the_manual_page_names_every_file_of_the_state_directory(run):
    """When it fails: the table of files in cdc/commands/manual_page.c."""
    page = run("help", "man").stdout
    written = {match for path in (ROOT / "cdc" / "engine").glob("*.c")
               for match in re.findall(r'state_file_of\([^;]*?"([a-z]+)"\)|"%s/%s\.([a-z]+)"|"/proc.*%s\.([a-z]+)"|define KIND "([a-z]+)"', path.read_text(encoding="utf-8"))}
    written = {name for match in written for name in match if name}
    assert {"activity", "checkpoint", "failure", "lock", "pause", "skip"} <= written
    for name in written:
        assert re.search(rf"^\*NAME(\.SINK)?\.{name}\*$", page, re.MULTILINE), name


def test_a_bad_configuration_ends_with_2_and_says_where(run, tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("name: shop\nsource:\n  dsn: host=a password=secret\n  snapshott: never\n")
    result = run("run", "-c", path)
    assert result.returncode == 2
    assert f"{path}:4: source.snapshott: unknown key" in result.stderr
    assert "secret" not in result.stderr


KAFKA = """name: shop
source: {dsn: "host=127.0.0.1 port=1 user=u dbname=d"}
state: /nowhere
sinks:
  - name: events
    type: kafka
    brokers: 127.0.0.1:1
    SETTING
"""
BAD_VALUES = [
    ("format: avro", "8: sinks[0].format: expected protobuf or debezium-json"),
    ("brokers: 127.0.0.1:port", "7: sinks[0].brokers: expected HOST:PORT"),
    ("topic: '{schema}{table}'", "8: sinks[0].topic: "),
    ("topic: '{tabel}'", "8: sinks[0].topic: "),
    ("headers: perhaps", "8: sinks[0].headers: expected off or on"),
    ("tombstones: perhaps", "8: sinks[0].tombstones: expected true or false"),
    ("partitions: none", "8: sinks[0].partitions: expected a number"),
    ("copy_timeout_ms: soon", "8: sinks[0].copy_timeout_ms: expected a number"),
    ("on_error: drop", "8: sinks[0].on_error: expected stop or dead_letter"),
    ("on_error: dead_letter", "5: sinks[0].dead_letter_topic: expected the topic"),
    ("dead_letter_limit: 5", "8: sinks[0].dead_letter_limit: dead_letter_limit needs on_error: dead_letter"),
    ("oversized: drop", "8: sinks[0].oversized: expected stop or dead-letter"),
    ("oversized: dead-letter", "5: sinks[0].dead_letter_topic: expected the topic"),
    ("position_topic: '{table}'", "8: sinks[0].position_topic: "),
    ("transaction_topic: pgcdc-position-shop", "8: sinks[0].transaction_topic: "),
    ("schemas: inline", "8: sinks[0].schemas: schemas is a key of format debezium-json"),
    ("{format: debezium-json, time.precision.mode: exact}", "8: sinks[0].time.precision.mode: expected"),
    ("{properties: {acks: 1}}", "8: sinks[0].properties.acks: cannot be set: exactly once needs all"),
    ("{properties: {compresion.codec: zstd}}", "8: sinks[0].properties.compresion.codec: No such configuration property"),
    ("{properties: {linger.ms: soon}}", "8: sinks[0].properties.linger.ms: "),
    ("properties: {security.protocol: SASL_SSL, sasl.mechanism: PLAIN}",
     "8: sinks[0].properties.security.protocol: with SASL, sasl.username is missing"),
    ("properties: {security.protocol: sasl_ssl, sasl.mechanisms: SCRAM-SHA-512, sasl.username: u}",
     "8: sinks[0].properties.security.protocol: with SASL, the password (password_file of the sink) is missing"),
    ("{properties: {transaction.timeout.ms: soon}}", "8: sinks[0].properties.transaction.timeout.ms: expected a number"),
]


def kafka_section(setting):
    """The sink's lines with one more; in braces: several keys, one a line."""
    section = KAFKA.replace("    brokers: 127.0.0.1:1\n", "") if setting.startswith("brokers") else KAFKA
    if not setting.startswith("{"):
        return section.replace("SETTING", setting)
    pairs = setting[1:-1].split(", ", 1)
    return section.replace("    SETTING", "\n".join(f"    {pair}" for pair in reversed(pairs)))


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("setting, expected", [("triggers", "replica or fire"), ("narrowing", "refuse or allow"),
                                               ("on_missing", "stop, ignore or insert"), ("on_exists", "stop or overwrite")])
def test_a_bad_value_of_postgres_has_file_line_and_key(run, tmp_path, setting, expected, command):
    file = tmp_path / "shop.yaml"
    file.write_text(KAFKA.replace("kafka", "postgres").replace("brokers: 127.0.0.1:1", "dsn: host=127.0.0.1 port=1")
                    .replace("SETTING", f"{setting}: sometimes"))
    result = run(command, "-c", file)
    assert result.returncode == 2
    assert f"{file}:8: sinks[0].{setting}: expected {expected}" in result.stderr


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("setting, expected", BAD_VALUES)
def test_a_bad_value_of_kafkas_has_file_line_and_key(run, tmp_path, setting, expected, command):
    file = tmp_path / "shop.yaml"
    file.write_text(kafka_section(setting))
    result = run(command, "-c", str(file))
    assert result.returncode == 2 and f"{file}:{expected}" in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("key, expected", [("triggers", "replica or fire"), ("narrowing", "refuse or allow")])
def test_a_bad_value_of_postgres_has_file_line_and_key(run, tmp_path, key, expected):
    file = tmp_path / "shop.yaml"
    file.write_text(CONFIG.replace('}]', f', {key}: perhaps}}]'))
    result = run("check", "-c", str(file))
    assert result.returncode == 2 and f"{file}:5: sinks[0].{key}: expected {expected}" in result.stderr, result.stderr


def test_the_environment_fills_in(run, config):
    config.write_text(config.read_text().replace("port=1 user=u", "port=${PGCDC_TEST_PORT} user=u", 1))
    environment = {key: value for key, value in os.environ.items() if key != "PGCDC_TEST_PORT"}
    missing = run("check", "-c", config, env=environment)
    assert missing.returncode == 2
    assert "source.dsn: the environment variable PGCDC_TEST_PORT is not set" in missing.stderr
    result = run("check", "-c", config, env={**environment, "PGCDC_TEST_PORT": "2"})
    assert "port 2" in result.stdout


def test_no_password_is_shown(run, config, tmp_path):
    config.write_text(config.read_text().replace("user=u", "user=u password=geheim"))
    for command in ("check", "drop"):
        result = run(command, "-c", config)
        assert "geheim" not in result.stdout + result.stderr
    config.write_text(config.read_text().replace("host=127.0.0.1", "host=127.0.0.1 geheim="))
    for command in ("check", "drop"):
        result = run(command, "-c", config)
        assert result.returncode != 0
        assert "geheim" not in result.stdout + result.stderr


def test_output_that_goes_nowhere_is_a_failure(program):
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([program, "help"], stdout=full, stderr=subprocess.PIPE,
                                text=True, check=False)
    assert result.returncode == 1
    assert "standard output" in result.stderr


def test_a_signal_ends_a_wait_for_a_server(program, config):
    """A source that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config.write_text(config.read_text().replace("port=1 ", f"port={silent.getsockname()[1]} "))
        process = subprocess.Popen([program, "run", "-c", config], stderr=subprocess.PIPE, text=True)
        try:
            silent.settimeout(30)
            silent.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


def test_paths_are_relative_to_the_configuration_file(run, tmp_path):
    """A cron job and a shell find the same state, and so the same lock."""
    folder = tmp_path / "etc"
    folder.mkdir()
    password = "source: {password_file: secret/source, "
    (folder / "shop.yaml").write_text(CONFIG.replace("STATE", "state/here").replace("source: {", password))
    (folder / "secret").mkdir()
    (folder / "state").mkdir()
    for working_directory, path in (("/", folder / "shop.yaml"), (tmp_path, "etc/shop.yaml"), (folder, "shop.yaml"), (folder, "../etc/./shop.yaml")):
        (folder / "secret" / "source").unlink(missing_ok=True)
        missing = run("status", "-c", path, cwd=working_directory)
        assert "secret/source" in missing.stdout + missing.stderr
        (folder / "secret" / "source").write_text("x\n")
        result = run("run", "-c", path, "--retry-for", "1ms", cwd=working_directory)
        assert result.returncode == 2 and "secret/source" not in result.stderr, result.stderr
        assert sorted(file.name for file in (folder / "state" / "here").iterdir()) == ["shop.failure", "shop.lock", "shop.sock.lock"]
        for file in (folder / "state" / "here").iterdir():
            file.unlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["etc"]


def test_a_relative_path_of_a_configuration_without_a_folder_is_refused(program):
    result = subprocess.run([program, "status", "-c", "/dev/stdin"], input=CONFIG.replace("STATE", "state"), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "/dev/stdin:4: state: a relative path, but /dev/stdin is not in a folder; use an absolute path" in result.stderr
