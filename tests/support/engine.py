# SPDX-License-Identifier: Apache-2.0
"""The program under test: its configuration file, its processes, what it logs and how it ends."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from support.wait import wait_until

SANITIZERS = {
    "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=1:second_deadlock_stack=1",
    "LSAN_OPTIONS": "exitcode=99",
}
COMMAND_TIMEOUT_S = 180


class Engine:
    """One configuration file, one state directory, at most one `pgcdc run` at a time."""

    def __init__(self, program, folder, configuration):
        self.program = Path(program)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration = configuration
        self.config_path = self.folder / "pipeline.yaml"
        self.log_path = self.folder / "engine.log"
        self.process = None
        self._log_start = 0

    # Commands

    def command(self, name, *arguments, environment=None, timeout_s=COMMAND_TIMEOUT_S):
        """Runs `pgcdc NAME -c FILE ...` to its end: a CompletedProcess with text. NAME may be two words."""
        self.write_configuration()
        result = subprocess.run([self.program, *name.split(), "-c", self.config_path, *arguments], capture_output=True,
                                text=True, stdin=subprocess.DEVNULL, env=self._environment(environment),
                                timeout=timeout_s, check=False)
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write(f"--- pgcdc {name} {' '.join(arguments)}: {result.returncode}\n{result.stdout}{result.stderr}")
        assert "Sanitizer" not in result.stderr, result.stderr
        return result

    def spawn(self, name, *arguments):
        """A command in the background, which the caller ends."""
        return subprocess.Popen([self.program, name, "-c", self.config_path, *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment(None))

    def json(self, name, *arguments):
        result = self.command(name, "--json", *arguments)
        return json.loads(result.stdout)

    def catch_up(self, *more, **arguments):
        """`run --until caught-up`, which must end well."""
        result = self.command("run", "--until", "caught-up", *more, **arguments)
        assert result.returncode == 0, f"run --until caught-up: exit code {result.returncode}\n{result.stderr}"
        return result

    # `pgcdc run` in the background

    def start(self, *arguments, environment=None, wrapper=()):
        """Returns at once. wrapper: a command that runs the program, such as prlimit."""
        assert not self.is_running(), "the engine runs already"
        self.write_configuration()
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *wrapper, self.program, "run", "-c", self.config_path,
                 *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(environment))

    def has_sanitizer(self):
        """Whether it needs an address space without a limit."""
        return b"__asan_init" in self.program.read_bytes() or b"__tsan_init" in self.program.read_bytes()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, deadline_s=60):
        """The exit code; negative: the signal that ended it."""
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the engine still runs after {deadline_s} s\n{self.log_tail()}") from None
        self.assert_sane()
        return code

    def stop(self, deadline_s=10):
        """SIGTERM; it must flush, confirm and end with 0 within 10 s."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit(deadline_s * slowness(self.program))
        assert code == 0, f"exit code {code} after SIGTERM\n{self.log_tail()}"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def wait_log(self, text, deadline_s=90):
        """Waits until this run has logged `text`."""
        def found():
            if text in self.log_text():
                return True
            assert self.is_running(), f"the engine ended before it logged '{text}'\n{self.log_tail()}"
            return False
        wait_until(found, lambda: f"'{text}' in the log:\n{self.log_tail()}", deadline_s)

    # Its log

    def log_text(self):
        """The log of the present or last `run`."""
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def assert_sane(self):
        """No sanitizer's report and no failed assertion in the whole log."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        for sign in ("Sanitizer", "runtime error:", "Assertion `"):
            assert sign not in text, f"{sign} in {self.log_path}:\n{text[max(0, text.find(sign) - 500):][:6000]}"

    def close(self):
        if self.is_running():
            self.kill()

    # Its configuration

    def write_configuration(self):
        """In one step: an engine that is just starting may read it. The file's mode stays."""
        new = self.config_path.with_suffix(".new")
        new.write_text("\n".join(yaml_lines(self.configuration)) + "\n", encoding="utf-8")
        if self.config_path.exists():
            shutil.copymode(self.config_path, new)
        new.replace(self.config_path)

    def _environment(self, more):
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "PGCDC_"))}
        return {**clean, **SANITIZERS, **(more or {})}


def slowness(program):
    """How many times as long as the release build this build may need to end."""
    return 6 if "san" in str(program) else 1


def yaml_lines(value, indent=""):
    """A dict of scalars, dicts and lists as YAML, one key a line."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield f"{indent}{key}:"
            yield from yaml_lines(item, indent + "  ")
        elif isinstance(item, list) and item and all(isinstance(entry, dict) for entry in item):
            yield f"{indent}{key}:"
            for entry in item:
                lines = list(yaml_lines(entry, indent + "    "))
                yield f"{indent}  - {lines[0].strip()}"
                yield from lines[1:]
        else:
            yield f"{indent}{key}: {json.dumps(item, ensure_ascii=False)}"
