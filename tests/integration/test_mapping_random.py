# SPDX-License-Identifier: Apache-2.0
"""Random rules and random rows against a naive model: what is copied, what is streamed and what verify expects are the same."""

import hashlib
import hmac
import random

import pytest

KEY = b"0123456789abcdef-for-tests"
TABLES = 6
COLUMNS = 6
ROWS = 60
WHITE = " \t\n\u00a0\u2003"
PIECES = ["a", "Z", "ß", "ẞ", "é", "Ä", "Σ", "ǆ", "日", "\U0001f600", "\\", "'", '"', "\\N", "0", "17", *WHITE, "  ", "x y"]


def one(character, changed):
    """The simple mapping: a character becomes one character."""
    return changed if len(changed) == 1 else character


def squeezed(text):
    made = ""
    for character in text:
        if character not in WHITE:
            made += character
        elif not made.endswith("\0"):
            made += "\0"
    return made.replace("\0", " ")


def partial(text, first, last, mask):
    hidden = len(text) - first - last
    return mask * len(text) if hidden <= 0 else text[:first] + mask * hidden + text[len(text) - last:]


# Each kind: the step as the configuration has it, and what it makes of a text or None.
def random_step(chance):
    text, number = chance.choice(["", "17", "none"]), chance.randint(1, 5)
    return chance.choice([
        ("trim", lambda v: v and v.strip(WHITE)),
        ("squeeze", lambda v: v and squeezed(v)),
        ("lower", lambda v: v and "".join(one(c, c.lower()) for c in v)),
        ("upper", lambda v: v and "".join(one(c, c.upper()) for c in v)),
        ({"nullif": text}, lambda v: None if v == text else v),
        ({"default": text}, lambda v: text if v is None else v),
        ({"truncate": str(number)}, lambda v: v and v[:number]),
    ])


def random_mask(chance, key_file):
    first, last, length = chance.randint(0, 2), chance.randint(0, 2), chance.randint(4, 64)
    return chance.choice([
        ({"hash": "sha256", "key_file": key_file, "length": str(length)},
         lambda v: None if v is None else hmac.new(KEY, v.encode(), hashlib.sha256).hexdigest()[:length]),
        ({"partial": {"keep_first": str(first), "keep_last": str(last), "with": "*"}}, lambda v: v and partial(v, first, last, "*")),
        ({"fixed": "hidden"}, lambda v: None if v is None else "hidden"),
        ("null", lambda v: None),
    ])


def random_column(chance, name, key_file):
    """The rule of a column, its name in the sink (None: it is dropped), and its model."""
    if chance.random() < 0.15:
        return "drop", None, None
    steps = [random_step(chance) for _ in range(chance.choice([0, 1, 1, 2, 3]))]
    rule = {"as": f"{name} renamed"} if chance.random() < 0.4 else {}
    if steps:
        rule["steps"] = [step for step, _ in steps]
    if chance.random() < 0.3:
        mask = random_mask(chance, key_file)
        rule["mask"] = mask[0]
        steps.append(mask)

    def model(value):
        for _, make in steps:
            value = make(value)
        return value

    return rule, rule.get("as", name), model


def random_text(chance):
    return None if chance.random() < 0.1 else "".join(chance.choice(PIECES) for _ in range(chance.randint(0, 12)))


class Program:
    """A table, its rule, and its model."""

    def __init__(self, chance, number, key_file):
        self.chance, self.name = chance, f"t{number}"
        self.columns = [f"c{i}" for i in range(COLUMNS)]
        made = [random_column(chance, name, key_file) for name in self.columns]
        self.kept = [(name, sink, model) for name, (_, sink, model) in zip(self.columns, made) if sink is not None]
        self.tag = chance.choice([None, "it's a \\ tag"])
        self.rule = {"match": f"public.{self.name}", "to": f"mapped.{self.name}",
                     "columns": {name: rule for name, (rule, _, _) in zip(self.columns, made) if rule} | ({"tag": {"const": self.tag}} if self.tag else {})}

    def create(self, source):
        source.execute(f"create table {self.name} (id int primary key, {', '.join(f'{name} text' for name in self.columns)})")

    def insert(self, source, first, count):
        one_row = f"(%s{', %s' * COLUMNS})"
        rows = [value for number in range(first, first + count) for value in (number, *(random_text(self.chance) for _ in self.columns))]
        source.execute(f"insert into {self.name} values {', '.join([one_row] * count)}", rows)

    def change(self, source, count):
        for _ in range(count):
            row = self.chance.randint(1, 2 * ROWS)
            if self.chance.random() < 0.2:
                source.execute(f"delete from {self.name} where id = %s", (row,))
            else:
                source.execute(f"update {self.name} set {self.chance.choice(self.columns)} = %s where id = %s", (random_text(self.chance), row))

    def assert_right(self, source, target):
        rows = source.execute(f"select id, {', '.join(self.columns)} from {self.name} order by id")
        place = {name: i + 1 for i, name in enumerate(self.columns)}
        expected = [(row[0], *(model(row[place[name]]) for name, _, model in self.kept), *([self.tag] if self.tag else [])) for row in rows]
        names = ["id", *(f'"{sink}"' for _, sink, _ in self.kept), *(["tag"] if self.tag else [])]
        found = target.execute(f"select {', '.join(names)} from mapped.{self.name} order by id")
        assert len(found) == len(expected)
        for have, want in zip(found, expected):
            assert have == want, f"{self.name}: {self.rule}"


@pytest.mark.parametrize("mode, seed", [("simple", 1), ("live", 2)])
def test_random_rules_do_what_the_model_says(pipeline, tmp_path, request, mode, seed):
    if request.config.getoption("--long"):
        seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)
    programs = [Program(chance, number, str(key_file)) for number in range(TABLES)]
    pipeline.target.execute("create schema mapped")
    for program in programs:
        program.create(pipeline.source)
        program.insert(pipeline.source, 1, ROWS)
    pipeline.engine.configuration["copy"] = {"mode": mode}
    pipeline.engine.configuration["mapping"] = [program.rule for program in programs]
    pipeline.start()
    for program in programs:
        program.insert(pipeline.source, ROWS + 1, ROWS)
        program.change(pipeline.source, ROWS)
    pipeline.wait_applied()
    for program in programs:
        program.assert_right(pipeline.source, pipeline.target)
    result = pipeline.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
