"""docs/security.md has a line for every secret of a stack; it and docs/cases.md name tests that exist."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from components import drawn
from components.config.reference import reference
from tests.unit.components.conftest import ROOT, Program
from tests.unit.stacks import HOSTS, LAB

PAGE = (ROOT / "docs/security.md").read_text()
CASES = (ROOT / "docs/cases.md").read_text()
SECRETS = PAGE.partition("## How each secret is replaced")[2]


def keys_of_secrets() -> Iterator[str]:
    """The stack's keys that hold secrets, as docs/config.md names them."""
    section = ""
    for line in reference().splitlines():
        if found := re.match(r"## `(argus:\w+)`( \(a map by name\))?", line):
            section = found[1] + (".<name>" if found[2] else "")
        elif found := re.match(r"\| `([^`]+)` \| [\w ]*\bsecret \|", line):
            yield f"{section}.{found[1]}"


def generic(name: str) -> str:
    """The name of a secret with placeholders for what there are several of: models, contents, numbers."""
    placeholders = (
        (r"^model-.+(?=-(rpc|secret))", "model-NAME"),
        (r"^kafka-(?!identities-).+", "kafka-NAME"),
        (r"^elasticsearch-.+-identity", "elasticsearch-NAME-identity"),
        (r"-[0-9a-f]{16}$", "-HASH"),
        (r"\d+", "N"),
    )
    for pattern, by in placeholders:
        name = re.sub(pattern, by, name)
    return name


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("key", list(keys_of_secrets()))
def test_every_secret_of_the_stack_s_file_has_a_line(key: str) -> None:
    assert f"`{key}`" in SECRETS


@pytest.mark.parametrize("stack", [LAB, HOSTS], ids=lambda file: file.stem)
def test_every_secret_of_the_cluster_has_a_line(program: Program, stack: Path) -> None:
    made = program(stack).resources
    objects = {generic(each.inputs["metadata"]["name"]) for each in made if each.type.endswith(":Secret")}
    mounted = set(map(generic, re.findall(r'"secretName": "([a-z0-9-]+)"', json.dumps([each.inputs for each in made]))))
    random = {generic(each.name) for each in made if each.inputs.get("create") == drawn._DRAW}
    assert objects
    assert random
    assert ("kedaorg-certs" in mounted) == (stack == HOSTS)
    assert [name for name in sorted(objects | mounted | random) if f"`{name}`" not in SECRETS] == []


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/.]+::\w+)`", PAGE + CASES))))
def test_a_test_that_a_page_names_exists(named: str) -> None:
    file, _, function = named.partition("::")
    assert function in functions_of(file)


def test_every_key_of_a_secret_is_looked_for() -> None:
    assert "argus:cameraCredentials.<name>.password" in set(keys_of_secrets())
    assert len(set(keys_of_secrets())) > 4
