"""Python packages are installed from locks only: every list has one, with every pin of the list and hashes for all."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOREIGN = {
    # A user's own code, whose requirements are the user's; pip asks for hashes if they have any.
    Path("docs/examples/python-model/requirements.txt"),
    Path("tests/integration/spark/code/faulty/requirements.txt"),
    # One package of which one file is taken; it has its hash itself.
    Path("lab/cameras/requirements.txt"),
}
_PIP = re.compile(r"pip\"?\s+(?:install|download)\b")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines()]


def _lists() -> list[Path]:
    wanted = ("requirements*.txt", "*/requirements*.txt", "containers/spark/*.txt")
    return [path for path in tracked(*wanted) if path not in FOREIGN]


def entries(path: Path) -> Iterator[str]:
    """The requirements of a list or lock, without comments, options and hashes, also those of lists that it names."""
    text = (ROOT / path).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if entry.startswith("-r "):
            yield from entries(path.parent / entry.removeprefix("-r ").strip())
        elif entry:
            yield entry


def _pin(entry: str) -> tuple[str, str]:
    requirement = Requirement(entry.partition(" --hash")[0].strip())
    return canonicalize_name(requirement.name), str(requirement.specifier)


@pytest.mark.parametrize("path", _lists(), ids=str)
def test_every_list_has_a_lock_with_its_pins(path: Path) -> None:
    lock = path.with_suffix(".lock")
    assert (ROOT / lock).exists(), "run `make lock`"
    locked: dict[str, set[str]] = {}
    for entry in entries(lock):
        name, pin = _pin(entry)
        locked.setdefault(name, set()).add(pin)
    for entry in entries(path):
        name, pin = _pin(entry)
        assert pin.startswith("=="), f"{entry} has no version"
        assert pin in locked.get(name, set()), f"{lock} is older than {path}: run `make lock`"


@pytest.mark.parametrize("path", tracked("*.lock"), ids=str)
def test_everything_in_a_lock_has_a_hash(path: Path) -> None:
    found = list(entries(path))
    assert found
    assert [entry for entry in found if "--hash=sha256:" not in entry] == []
    assert "://" not in "".join(found), "a lock names no registry"


def test_nothing_is_installed_without_hashes() -> None:
    for path in tracked("*.sh", "*Dockerfile", "lab/*.py", "Makefile"):
        if path.name == "install_code.sh":
            continue
        text = (ROOT / path).read_text().replace("\\\n", " ")
        for line in text.splitlines():
            if _PIP.search(line) and not line.lstrip().startswith("#"):
                for command in re.split(r"&&|;", line):
                    assert not _PIP.search(command) or "--require-hashes" in command, f"{path}: {command.strip()}"
