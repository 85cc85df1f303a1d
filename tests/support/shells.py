# SPDX-License-Identifier: Apache-2.0
"""What a shell offers at TAB after a line: bash, zsh and fish themselves are asked.

Each function takes the text of the completion and lines, and returns the set of words that are offered for each line.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")


def is_there(shell):
    return shutil.which(shell) is not None


def offered(shell, completion, lines):
    return {"bash": offered_by_bash, "zsh": offered_by_zsh, "fish": offered_by_fish}[shell](completion, lines)


def offered_by_bash(completion, lines):
    def ask(line):
        words = line.split(" ")
        script = completion + f"""
            COMP_WORDS=({" ".join(word or "''" for word in words)}); COMP_CWORD={len(words) - 1}
            _pgcdc; printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout.split())
    return {line: ask(line) for line in lines}


def offered_by_fish(completion, lines):
    def ask(line):
        result = subprocess.run(["fish", "--no-config", "-c", f"source {file.name}; complete -C '{line}'"], capture_output=True,
                                text=True, check=True, timeout=60)
        assert result.stderr == ""
        return {row.split("\t")[0] for row in result.stdout.splitlines()}
    with tempfile.NamedTemporaryFile("w", suffix=".fish") as file:
        file.write(completion)
        file.flush()
        return {line: ask(line) for line in lines}


# compadd is what every completion of zsh ends in; -O, -A and -D only ask it.
ZSH = r"""
fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; PROMPT=; setopt no_beep
compadd() {{
    if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\ * ]]; then
        local -a words_offered; builtin compadd -O words_offered "$@"; print -rl -- $words_offered >>{folder}/offered
    fi
    builtin compadd "$@"
}}
finish() {{ : >{folder}/done }}
zle -N finish; bindkey '^I' complete-word; bindkey '^X' finish; bindkey '^U' kill-whole-line
: >{folder}/done
"""


def offered_by_zsh(completion, lines):
    answers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "_pgcdc").write_text(completion)
        (folder / "setup").write_text(ZSH.format(folder=folder))
        child, terminal = pty.fork()
        if child == 0:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": name})
        try:
            type_until(terminal, f". {folder}/setup\n", folder / "done")
            for line in lines:
                (folder / "offered").write_text("")
                shown = type_until(terminal, f"\x15{line}\t\x18", folder / "done")
                assert not re.search(rb"_pgcdc.*:\d+:", shown), shown  # an error of the function
                answers[line] = set((folder / "offered").read_text().split())
        finally:
            os.close(terminal)
            os.waitpid(child, 0)
    return answers


def type_until(terminal, keys, file):
    """Types keys, and reads what the terminal shows until the file is there; removes the file."""
    shown = b""
    deadline = time.monotonic() + 60
    os.write(terminal, keys.encode())
    while not file.exists():
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.02)[0]:
            shown += os.read(terminal, 4096)
    file.unlink()
    return shown
