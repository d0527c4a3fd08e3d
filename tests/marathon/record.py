"""The runs of all sittings: one line each in docs/marathon.jsonl, from which docs/marathon.md is made.

`python -m tests.marathon.record` writes the page anew, after a cause or what mended it was filled in by hand.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.config import ROOT
from tests.bench.table import spread, table
from tests.marathon.kinds import KINDS
from tests.marathon.whole import LIMIT_S

ROWS = ROOT / "docs/marathon.jsonl"
PAGE = ROOT / "docs/marathon.md"
PASSED, FAILED, INVALID, INTERRUPTED = "passed", "failed", "invalid", "interrupted"
WANTED_RUNS, WANTED_TIMES = 20, 10


@dataclass(frozen=True, kw_only=True)
class Caused:
    """One fault as it was: seconds since the run's begin, how long it stood, until the stack was whole after it.

    Without a proof, `unproven` says why; `whole_s` is None where the stack did not become whole.
    """

    kind: str
    at_s: float
    held_s: float
    whole_s: float | None
    proof: str = ""
    unproven: str = ""


@dataclass(kw_only=True)
class Row:
    """One run. `cause` and `mend` of one that did not pass are written by hand."""

    at: str
    commit: str
    seed: int
    seconds: int
    kinds: list[str]
    faults: list[Caused] = field(default_factory=list)
    frames: str = ""
    repaired: str = ""
    """What comparisons mended meanwhile: without them it would have been missing."""
    outcome: str = INTERRUPTED
    error: str = ""
    cause: str = ""
    mend: str = ""


def read(file: Path = ROWS) -> list[Row]:
    """All runs, in their order."""
    if not file.exists():
        return []
    return [_row(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines() if line]


def add(row: Row, file: Path = ROWS, page: Path = PAGE) -> None:
    """Add a run, and write the page anew."""
    with file.open("a", encoding="utf-8") as rows:
        rows.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    page.write_text(shown(read(file)), encoding="utf-8")


def passed(rows: Sequence[Row], seconds: int, kinds: Sequence[str]) -> set[int]:
    """The seeds whose run of these kinds, and at least as long, has passed: they are not run again."""
    return {
        row.seed
        for row in rows
        if row.outcome == PASSED and row.seconds >= seconds and sorted(row.kinds) == sorted(kinds)
    }


def shown(rows: Sequence[Row]) -> str:
    """The page in Markdown."""
    counts = Counter(row.outcome for row in rows)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in (PASSED, FAILED, INVALID, INTERRUPTED))
    return f"""# The marathon

Made from [marathon.jsonl](marathon.jsonl) by `make test-marathon`, which adds a line a run; not edited by hand, except
for `cause` and `mend` there (then `.venv/bin/python -m tests.marathon.record`). A run causes faults in an order that
its seed gives, one at a time, while the cameras run, and proves each of them; it goes on for up to half as long again
until it has had half of the kinds. After each the stack must be whole again within {LIMIT_S // 60} minutes, and at the
end every frame must be in every sink, as sets; what comparisons of Kafka, disk and index mended meanwhile is told.
*failed*: it was not whole in time, or a frame was missing or double. *invalid*: a fault is not proven.

{len(rows)} runs: {summary}. Wanted: {WANTED_RUNS} that passed, with each kind at least {WANTED_TIMES} times.

## Runs

{_runs(rows) if rows else "None yet."}

## Faults

Of all runs, in seconds: how long a fault stood, and how long the stack took to be whole after it (min / median / max).

{_faults(rows)}
"""


def _runs(rows: Sequence[Row]) -> str:
    header = ("run", "commit", "seed", "seconds", "faults", "frames", "outcome", "cause", "mended by")
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    faults = Counter(fault.kind for fault in row.faults)
    return [
        row.at,
        f"`{row.commit}`",
        str(row.seed),
        str(row.seconds),
        _plain(", ".join(kind if count == 1 else f"{kind} x {count}" for kind, count in faults.items())),
        _plain("; ".join(filter(None, (row.frames.partition(":")[0], row.repaired)))),
        row.outcome,
        "" if row.outcome == PASSED else _plain(row.cause or f"not known yet; {row.error}"),
        _plain(row.mend),
    ]


def _faults(rows: Sequence[Row]) -> str:
    by_kind: Mapping[str, list[Caused]] = {kind: [] for kind in KINDS}
    unproven: Counter[str] = Counter()
    for row in rows:
        for fault in row.faults:
            if fault.unproven:
                unproven[fault.kind] += 1
            else:
                by_kind.setdefault(fault.kind, []).append(fault)  # type: ignore[attr-defined]
    header = ("kind", "times", "without proof", "stood", "until whole", "the last proof")
    cells = [
        [
            f"`{kind}`",
            str(len(faults)),
            str(unproven[kind]),
            spread([fault.held_s for fault in faults]) if faults else "",
            spread(whole) if (whole := [fault.whole_s for fault in faults if fault.whole_s is not None]) else "",
            _plain(faults[-1].proof) if faults else "",
        ]
        for kind, faults in by_kind.items()
    ]
    return table(header, cells)


def _plain(text: str) -> str:
    """Text that fits into a cell of a table."""
    words = " ".join(text.replace("|", "/").split())
    return words if len(words) <= 200 else f"{words[:197]}..."


def _row(entry: dict[str, Any]) -> Row:
    return Row(**{**entry, "faults": [Caused(**fault) for fault in entry["faults"]]})


if __name__ == "__main__":
    PAGE.write_text(shown(read()), encoding="utf-8")
