#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The example consumers of sinks/kafka/consumers, built as their README says, in a copy in the cache folder.

`consumers.py` builds all whose tools are here: `tests/support/install consumers` does it, for Maven and Go fetch what they need.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("sinks/kafka/consumers")
# What git ignores there.
GENERATED = ("__pycache__", "change_pb2.py", "target", "bin", "consume", "pgcdcv1")

# tools that it needs, shell commands that build it, how it is called; all in its own folder.
Consumer = namedtuple("Consumer", "tools steps call")
CONSUMERS = {
    "python": Consumer(["protoc"], ["protoc --proto_path=../../../../proto --python_out=. change.proto"],
                       ["/usr/bin/python3", "consume.py"]),
    "java": Consumer(["mvn", "javac"], ["mvn -B -q package"], ["java", "-jar", "target/consume.jar"]),
    "go": Consumer(["protoc", "go"], [
        "GOBIN=$PWD/bin go install google.golang.org/protobuf/cmd/protoc-gen-go",
        "PATH=$PWD/bin:$PATH protoc --proto_path=../../../../proto --go_out=. --go_opt=module=consume "
        "--go_opt=Mchange.proto=consume/pgcdcv1 change.proto",
        "go build -o consume ."], ["./consume"]),
}


def missing_tools(language):
    return [tool for tool in CONSUMERS[language].tools if shutil.which(tool) is None]


def build(language):
    """The folder to call it in; built unless this very source has been."""
    cache = subprocess.run([ROOT / "tests/support/cache"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    built = Path(cache) / "consumers" / f"{language}-{_digest(language)}"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{language}-part-", dir=built.parent))
        try:
            _build_in(part, language)
            os.rename(part, built)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return built / FOLDER / language


def _sources(language):
    """[path], from the root."""
    files = [ROOT / "proto/change.proto"]
    for folder, folders, names in os.walk(ROOT / FOLDER / language):
        folders[:] = sorted(set(folders) - set(GENERATED))
        files += [Path(folder) / name for name in sorted(set(names) - set(GENERATED))]
    return [file.relative_to(ROOT) for file in files]


def _digest(language):
    digest = hashlib.sha256("\n".join(CONSUMERS[language].steps).encode())
    for path in _sources(language):
        digest.update(f"{path}\n".encode() + (ROOT / path).read_bytes())
    return digest.hexdigest()[:16]


def _build_in(folder, language):
    for path in _sources(language):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    for step in CONSUMERS[language].steps:
        result = subprocess.run(step, shell=True, cwd=folder / FOLDER / language, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode != 0:
            raise AssertionError(f"the consumer in {language}: {step}\n{result.stdout[-4000:]}")


def main():
    failed = False
    for language in CONSUMERS:
        try:
            assert not missing_tools(language), f"the consumer in {language} needs {missing_tools(language)}"
            build(language)
        except AssertionError as error:
            failed = True
            print(error, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
