"""The fault that stands now, in a file: whoever comes after a marathon that was killed undoes it."""

import json
from dataclasses import dataclass
from pathlib import Path

from lab.config import STATE
from tests.marathon.fault import Aim

FILE = STATE / "marathon.json"


@dataclass(frozen=True)
class Journal:
    """Written before a fault begins, removed when it is undone."""

    file: Path = FILE

    def write(self, kind: str, aim: Aim) -> None:
        """Record the fault that is about to begin."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"kind": kind, "aim": aim}) + "\n")
        new.replace(self.file)

    def read(self) -> tuple[str, Aim] | None:
        """The fault that was not undone; None if there is none."""
        try:
            found = json.loads(self.file.read_text())
        except FileNotFoundError:
            return None
        return found["kind"], found["aim"]

    def clear(self) -> None:
        """Record that no fault stands."""
        self.file.unlink(missing_ok=True)
