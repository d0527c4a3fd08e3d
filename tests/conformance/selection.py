"""Selects Kubernetes' conformance tests: all but those in skipped.yaml, each with its reason."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.config import LabError

SKIPPED = Path(__file__).with_name("skipped.yaml")


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Tests that are skipped for one reason."""

    reason: str
    parts: tuple[str, ...]
    """Matches tests whose names contain one of these."""

    def means(self, test: str) -> bool:
        """Whether this skips the test."""
        return any(part in test for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Every conformance test, once."""

    selected: tuple[str, ...]
    skipped: Mapping[str, tuple[str, ...]]
    """Tests by reason; a test with several reasons is under the first."""

    @property
    def total(self) -> int:
        """The number of conformance tests."""
        return len(self.selected) + sum(map(len, self.skipped.values()))


def read(path: Path = SKIPPED) -> tuple[Skip, ...]:
    """Read the file of skipped tests. Raises LabError that names the entry."""
    try:
        entries = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise LabError(f"{path.name}: {error}") from error
    if not isinstance(entries, list):
        raise LabError(f"{path.name}: not a list of entries with `reason` and `tests`")
    return tuple(_skip(entry, f"{path.name}, entry {number}") for number, entry in enumerate(entries, 1))


def select(skips: Sequence[Skip], tests: Sequence[str]) -> Selection:
    """Divide all tests into selected and skipped. Raises LabError if a part of a name is in no test."""
    idle = [part for skip in skips for part in skip.parts if not any(part in test for test in tests)]
    if idle:
        raise LabError(f"{SKIPPED.name}: no conformance test is named so, correct or remove it: {'; '.join(idle)}")
    skipped: dict[str, list[str]] = {skip.reason: [] for skip in skips}
    selected: list[str] = []
    for test in tests:
        reason = next((skip.reason for skip in skips if skip.means(test)), None)
        (selected if reason is None else skipped[reason]).append(test)
    return Selection(selected=tuple(selected), skipped={reason: tuple(names) for reason, names in skipped.items()})


def only(chosen: Selection, parts: Sequence[str]) -> Selection:
    """The selected tests whose names contain one of the parts. Raises LabError if a part is in no name."""
    idle = [part for part in parts if not any(part in test for test in chosen.selected)]
    if idle:
        raise LabError(f"no selected conformance test is named so: {'; '.join(idle)}")
    asked = tuple(test for test in chosen.selected if any(part in test for part in parts))
    others = tuple(test for test in chosen.selected if test not in asked)
    return Selection(selected=asked, skipped={**chosen.skipped, "not asked for": others})


def expression(parts: Iterable[str]) -> str:
    """Go's regular expression for names that contain one of the parts."""
    return "|".join(re.sub(r"[][\\.+*?(){}|^$]", r"\\\g<0>", part) for part in parts)


def skipped(skips: Sequence[Skip]) -> str:
    """The regular expression for all skipped tests."""
    return expression(part for skip in skips for part in skip.parts)


def _skip(entry: object, where: str) -> Skip:
    if not isinstance(entry, dict) or set(entry) != {"reason", "tests"}:
        raise LabError(f"{where}: needs `reason` and `tests`, and nothing else")
    reason, parts = entry["reason"], entry["tests"]
    if not isinstance(reason, str) or not reason.strip():
        raise LabError(f"{where}: `reason` says nothing")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) and part.strip() for part in parts):
        raise LabError(f"{where}: `tests` must be a list of parts of tests' names")
    return Skip(reason=" ".join(reason.split()), parts=tuple(parts))
