"""Tests have the same names in every process that runs them: pytest-xdist refuses to start otherwise."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
CHANGING = frozenset(
    {"time", "time_ns", "monotonic", "monotonic_ns", "now", "utcnow", "today", "uuid4", "getpid", "urandom"}
    | {"random", "randint", "randbytes", "token_hex", "token_bytes", "token_urlsafe", "gettempdir", "mkdtemp"}
)
"""Functions that return something else in each process."""


def changes(node: ast.AST, names: set[str]) -> bool:
    """Whether the value of an expression calls one of CHANGING or uses one of the names."""
    called = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    functions = {getattr(each, "attr", getattr(each, "id", "")) for each in called}
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return bool(functions & CHANGING or used & names)


def parameters(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parametrize":
            yield node


def unsteady(source: str) -> list[int]:
    """The lines of the parametrizations whose values differ between processes."""
    tree = ast.parse(source)
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and changes(node.value, names):
            names |= {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return [call.lineno for call in parameters(tree) if changes(call, names)]


def test_no_parameter_differs_between_processes() -> None:
    found = {str(path.relative_to(TESTS)): unsteady(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("@pytest.mark.parametrize('at', [int(time.time()) + 5])\ndef test() -> None: ...", [1]),
        ("NOW = datetime.now(UTC)\nLATER = NOW + DAY\n@mark.parametrize('at', [LATER])\ndef test() -> None: ...", [3]),
        ("@mark.parametrize('at', [timedelta(1), 'time()'])\ndef test() -> None: time.time()", []),
    ],
)
def test_such_a_parameter_is_found(source: str, lines: list[int]) -> None:
    assert unsteady(source) == lines
