# SPDX-License-Identifier: Apache-2.0
"""What pages of the manual say in figures: sessions at each side, files with their modes, what the bench has measured."""

import re
import stat
import time
from pathlib import Path

import pytest

from support.scrape import Served
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "cdc" / "manual"
WORKERS = 3
TABLES = "; ".join(f"create table t{n} (id int primary key, v text)" for n in range(WORKERS))
SESSIONS = """select count(*) filter (where backend_type = 'walsender'), count(*) filter (where backend_type = 'client backend')
    from pg_stat_activity where datname = current_database() and application_name like 'pgcdc:shop%%'"""


def rows_of(page, heading):
    """The cells of the first table after the heading, without its head."""
    text = (MANUAL / page).read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1]
    lines = text.split("\n|---", 1)[1].splitlines()[1:]
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


# Sessions


def promised(when):
    """(at the source, at the target) of the row that begins so."""
    row = next(row for row in rows_of("sizing.md", "Connections") if row[0].startswith(when))
    return tuple(WORKERS if cell.startswith("N") else int(cell.split()[0]) for cell in row[1:3])


def wait_sessions(pipeline, walsenders, source, target):
    """Sessions for a moment, such as those that read the catalog, come between: so it must be so ten times in a row."""
    seen = []

    def are_so():
        seen.append((*pipeline.source.execute(SESSIONS)[0], pipeline.target.execute(SESSIONS)[0][1]))
        time.sleep(0.05)
        return len(seen) >= 10 and set(seen[-10:]) == {(walsenders, source, target)}
    wait_until(are_so, lambda: f"{walsenders} walsender, {source} and {target} sessions; seen: {seen[-10:]}", 60)


@pytest.fixture
def filled(pipeline):
    pipeline.engine.configuration["copy"] = {"workers": WORKERS}
    pipeline.execute_both(TABLES)
    pipeline.source.execute("; ".join(f"insert into t{n} values (1, 'a')" for n in range(WORKERS)))
    return pipeline


@pytest.mark.parametrize("feature", ["streaming", "with `http`", "with `verify.continuous`"])
def test_a_stream_has_as_many_sessions_as_the_page_says(filled, feature):
    walsenders, at_target = promised("streaming")
    more = promised(feature) if feature != "streaming" else (0, 0)
    if "http" in feature:
        Served(filled.engine)
    if "verify" in feature:
        filled.engine.configuration["verify"] = {"continuous": "1MB/s"}
    filled.engine.catch_up()
    filled.start()
    wait_sessions(filled, walsenders, more[0], at_target + more[1])


@pytest.mark.parametrize("mode", ["live", "simple"])
def test_a_copy_has_as_many_sessions_as_the_page_says(filled, mode):
    """Each worker waits for a lock at the target. A simple copy is a part of the start, which has a session of its own."""
    filled.engine.configuration["copy"]["mode"] = mode
    walsenders, at_target = promised("streaming")
    source, target = promised(f"copy with mode `{mode}`")
    holder = filled.target.connect(autocommit=False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("lock table " + ", ".join(f"t{n}" for n in range(WORKERS)) + " in share mode")
        filled.engine.start()
        wait_sessions(filled, walsenders, source + (mode == "simple"), at_target + target)
    finally:
        holder.close()
    filled.wait_streaming()
    filled.assert_follows()


# Files


def kind_of(name):
    """As the page writes it."""
    return name.replace("shop", "NAME", 1).replace("warehouse", "SINK")


def test_the_files_have_the_modes_that_the_page_says(pipeline):
    """With no umask, so that a mode is what pgcdc asked for. No file is seen that the page lacks."""
    modes = {row[0].strip("`"): int(row[1], 8) for row in rows_of("security.md", "Files in the state directory")}
    state = pipeline.state / "made"
    seen = {}

    def look():
        for file in state.iterdir():
            if not file.name.endswith(".new"):
                seen[kind_of(file.name)] = stat.S_IMODE(file.lstat().st_mode)
        return set(seen)

    pipeline.engine.configuration |= {"state": str(state), "verify": {"continuous": "100MB/s"}}
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'a' from generate_series(1, 100) g")
    pipeline.engine.start(wrapper=("sh", "-c", 'umask 0; exec "$@"', "sh"))
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (101, 'b')")
    pipeline.wait_applied()
    for command in ("pause", "resume"):
        assert pipeline.engine.command(command).returncode == 0
        look()
    wait_until(lambda: {"NAME.SINK.verified", "NAME.checkpoint.previous", "NAME.activity"} <= look(), lambda: f"all files, seen: {sorted(seen)}")
    assert stat.S_IMODE(state.stat().st_mode) == 0o750
    pipeline.target.execute("delete from t where id = 1")
    pipeline.source.execute("update t set v = 'c' where id = 1")
    assert pipeline.engine.wait_exit() == 1
    stop = re.findall(r"the transaction that commits at ([0-9A-F]+/[0-9A-F]+)", pipeline.engine.log_text())[-1]
    assert pipeline.engine.command("skip", stop).returncode == 0
    look()
    assert {name: oct(mode) for name, mode in seen.items()} == {name: oct(mode) for name, mode in modes.items() if name in seen}
    unseen = {"NAME.published", "NAME.SINK.verify", "NAME.SINK.columns"}  # of a kafka sink, an interrupted verify, a mapping
    assert set(modes) - set(seen) <= unseen


# The bench


def costs(peer):
    """(processor time as a part of the walsender's, peak in MiB) of each workload, as bench/README.md has them."""
    for line in (ROOT / "bench" / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 11 and cells[1] == peer:
            yield float(cells[2]) / float(cells[4]), float(cells[9])


def test_the_ratios_are_those_of_the_bench():
    """The bench writes its page anew; this page has some of its figures, and is to follow."""
    sizing, bench = (" ".join(page.read_text(encoding="utf-8").split()) for page in (MANUAL / "sizing.md", ROOT / "bench" / "README.md"))
    for figure in ("1.1 to 2.1 times as fast as", "6.0 to 7.7 times as fast as", "22 % to 52 % of the", "1/33 to 1/18 of the", "1/39 to 1/21 of the memory", "at most 41 MiB"):
        assert figure in bench and figure in sizing, figure
    ratios, peaks = zip(*costs("pgcdc_kafka"))
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times as much as the walsender" in sizing
    assert f"and {max(peaks):.0f} into Kafka" in sizing
