"""Only certain modules use internals of Pulumi's SDK."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.unit.components.conftest import ROOT

SDK = ("pulumi", "pulumi_command", "pulumi_kubernetes")


def internals(path: Path) -> Iterator[str]:
    """A module's uses of `pulumi.runtime` or private parts of the SDK."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        for name in names:
            package, *parts = name.split(".")
            if package in SDK and ("runtime" in parts[:1] or any(part.startswith("_") for part in parts)):
                yield name


def test_only_two_modules_use_them() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (
            *ROOT.glob("components/**/*.py"),
            *ROOT.glob("components/production/**/*.py"),
            ROOT / "__main__.py",
        )
        if any(internals(path))
    }
    assert found == {"components/engine.py", "components/recorder.py"}
