"""Records how long each scenario took, over many runs; `make timings` prints the table of docs/measurements.md."""

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lab.config import CACHE
from tests.bench.table import spread, table

FILE = CACHE / "timings.jsonl"


@dataclass(frozen=True)
class Timings:
    """A file with one line per measurement."""

    file: Path = FILE

    def took(self, scenario: str, seconds: float, frames: str = "") -> None:
        """Record one measurement, with the line of the frames' audit if there was one."""
        print(f"{scenario}: {seconds:.1f} s{frames and f'; {frames}'}")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as lines:
            entry = {"at": int(time.time()), "scenario": scenario, "seconds": round(seconds, 1), "frames": frames}
            lines.write(json.dumps(entry) + "\n")

    def read(self) -> dict[str, list[float]]:
        """The seconds of all measurements by scenario, in the order of the scenarios' first runs."""
        found: dict[str, list[float]] = defaultdict(list)
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                found[entry["scenario"]].append(entry["seconds"])
        return dict(found)


def shown(measured: dict[str, list[float]]) -> str:
    """A table in Markdown: minimum, median, maximum and number of measurements."""
    rows = [[scenario, spread(seconds), str(len(seconds))] for scenario, seconds in measured.items()]
    return table(("scenario", "seconds (min / median / max)", "times"), rows)


if __name__ == "__main__":
    print(shown(Timings().read()))
