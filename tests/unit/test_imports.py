"""Imports follow the table of docs/architecture.md, and an image has what its code imports."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from components.pipeline.stages import STAGES, images

IMAGES = images(STAGES)
ROOT = Path(__file__).parents[2]
OWN = ("apps", "components", "lab", "tests")
DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml"}
"""The packages whose distribution has another name than the import."""


class Import(NamedTuple):
    """`where` is file and line; `module` is a path without suffix if it is in this repository."""

    where: str
    module: str


def table() -> dict[str, set[str]]:
    """The document's table: the allowed imports by package."""
    _, _, text = (ROOT / "docs/architecture.md").read_text().partition("### Who may import whom")
    rows = re.findall(r"^\| `(.+?)` \|(.*)\|$", text.partition("\nSo components")[0], re.MULTILINE)
    return {
        name.removesuffix(".py"): {each.removesuffix(".py") for each in re.findall(r"`(.+?)`", allowed)}
        for name, allowed in rows
    }


def files(tree: str) -> list[Path]:
    """The Python files of a folder, or the file itself."""
    path = ROOT / tree
    return [path] if path.is_file() else sorted(each for each in path.rglob("*.py") if "__pycache__" not in each.parts)


def place(file: Path) -> str:
    """The module's name in this test: its path without suffix."""
    return file.relative_to(ROOT).as_posix().removesuffix(".py").removesuffix("/__init__")


@cache
def module_of(name: str) -> str:
    """The module of a dotted name, which may name something in it; for a library, its name."""
    parts = name.split(".")
    if parts[0] not in OWN:
        return parts[0]
    while len(parts) > 1 and not any(Path(ROOT, *parts).with_suffix(suffix).exists() for suffix in ("", ".py")):
        parts.pop()
    return "/".join(parts)


@cache
def imports(file: Path) -> tuple[Import, ...]:
    """All imports of a file, also those inside functions and of single names."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif ast.unparse(node.func).endswith("import_module"):
            names = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
        for name in names:
            yield Import(f"{file.relative_to(ROOT)}:{node.lineno}", module_of(name))


def package_of(module: str, packages: Iterable[str]) -> str | None:
    """The innermost package of the table that contains a module; None for a library."""
    inside = [each for each in packages if module == each or module.startswith(f"{each}/")]
    return max(inside, key=len, default=None)


def uses() -> Iterator[tuple[str, str, Import]]:
    """Every import within this repository: the importing package, the imported package, and the import."""
    packages = set(table())
    for tree in ("__main__.py", *OWN):
        for file in files(tree):
            own = package_of(place(file), packages)
            for each in imports(file):
                assert own is not None, f"{file.relative_to(ROOT)} is in no package of docs/architecture.md"
                if other := package_of(each.module, packages):
                    yield own, other, each


def reached(start: Iterable[str]) -> dict[str, str]:
    """All modules and libraries that these modules import, directly or indirectly, each with one importer."""
    left, found = [*start], dict[str, str]()
    seen = set[str]()
    while left:
        module = left.pop()
        if module in seen:
            continue
        seen.add(module)
        parents = [module.rsplit("/", count)[0] for count in range(1, module.count("/") + 1)]
        inits = [ROOT / each / "__init__.py" for each in (module, *parents)]
        for file in (*inits, ROOT / f"{module}.py"):
            for each in imports(file) if file.is_file() else ():
                found.setdefault(each.module, each.where)
                if each.module.split("/")[0] in OWN:
                    left.append(each.module)
    return found


def test_who_imports_whom_is_what_the_document_says() -> None:
    allowed = table()
    offences = [
        f"{each.where}: {own} may not import {each.module}"
        for own, other, each in uses()
        if own not in (other, "tests") and not {other, each.module} & allowed[own]
    ]
    assert offences == []


def test_the_document_allows_nothing_that_is_not_done() -> None:
    done = {(own, name) for own, other, each in uses() for name in (other, each.module)}
    said = ((own, each) for own, them in table().items() for each in them)
    idle = [f"{own} imports nothing of {each}" for own, each in said if (own, each) not in done]
    assert idle == []


@pytest.mark.parametrize("tree", ["apps", "lab"])
def test_only_the_program_uses_pulumi(tree: str) -> None:
    assert [each for file in files(tree) for each in imports(file) if each.module.startswith("pulumi")] == []


def test_formats_and_names_need_the_standard_library_alone() -> None:
    found = reached(place(file) for file in files("apps/messages"))
    libraries = {module: where for module, where in found.items() if module.split("/")[0] not in OWN}
    assert {module: where for module, where in libraries.items() if module not in sys.stdlib_module_names} == {}


def test_apps_ask_kubernetes_through_one_client() -> None:
    client = "apps/service/kubernetes"
    who = {own for own, _, each in uses() if each.module == client} - {"tests"}
    assert who == {"apps/acme", "apps/spark_jobs", "apps/ui"}
    assert [place(file) for file in files("apps") if "kubernetes.default" in file.read_text()] == [client]


def test_an_executors_worker_has_neither_sparks_session_nor_pydantic() -> None:
    found = reached(["apps/spark_jobs/worker"])
    assert {"cv2", "numpy", "openvino", "pyarrow"} <= found.keys()
    assert {name: found[name] for name in ("pydantic", "pydantic_settings", "pyspark") if name in found} == {}


@pytest.mark.parametrize("image", [name for name, image in IMAGES.items() if image.paths])
def test_an_image_has_what_its_code_imports(image: str) -> None:
    parts = {part.removesuffix("/__init__.py") for part in IMAGES[image].paths} - {"apps"}
    listed = {
        re.split(r"[=<>\[ ]", line, maxsplit=1)[0].lower().replace("-", "_")
        for file in (ROOT / "containers" / image).glob("*.txt")
        for line in file.read_text().splitlines()
    }
    # All images share apps/service, so only its used modules count.
    start = [place(file) for part in parts - {"apps/service"} for file in files(part)]
    missing = []
    for module, where in reached(start).items():
        known = DISTRIBUTIONS.get(module, module).lower().replace("-", "_") in listed
        if not (known or module in sys.stdlib_module_names or module == "apps" or package_of(module, parts)):
            missing.append(f"{where}: the image {image} has no {module}")
    assert missing == []


def test_images_hold_no_python_of_their_own() -> None:
    assert files("containers") == []
