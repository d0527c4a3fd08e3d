"""`python -m tests.marathon`: runs of the marathon on the running lab. Exit status 0 if all of them passed."""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lab.config import ROOT, LabError
from lab.progress import say
from lab.shell import output
from tests.bench.frames.lab import is_up
from tests.bench.table import table
from tests.e2e.conftest import Stack
from tests.marathon import record
from tests.marathon.fault import Scene
from tests.marathon.journal import Journal
from tests.marathon.kinds import KINDS, kinds_of
from tests.marathon.record import INTERRUPTED, PASSED, Row
from tests.marathon.run import Run, ends, undo, uninterrupted

_OWN = ("docs/marathon.jsonl", "docs/marathon.md")
"""What runs themselves write: it does not make the tree another than the commit's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds that have not passed yet; return the exit status."""
    options = _parser().parse_args(arguments)
    # All that ends it is like Ctrl-C: the fault is undone.
    # Not by raising SIGINT, which a shell's background job ignores.
    for number in ends():
        signal.signal(number, signal.default_int_handler)
    try:
        return _main(options)
    except LabError as error:
        print(f"test-marathon: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("test-marathon: interrupted, and the fault undone; run it again to go on", file=sys.stderr)
        return 130


def _main(options: argparse.Namespace) -> int:
    kinds = kinds_of(options.faults)
    if not is_up():
        raise LabError("the lab does not run: `make up` first")
    seeds = seeds_of(options.seed, options.runs, record.passed(record.read(), options.seconds, list(kinds)))
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.connect()
        scene, journal = Scene(stack.cluster, say), Journal()
        rows: list[Row] = []
        commit = _commit()
        _undo_what_is_left(scene, journal)
        try:
            for number, seed in enumerate(seeds, 1):
                _undo_what_is_left(scene, journal)
                say(f"run {number} of {len(seeds)}: seed {seed}, {options.seconds} s, {', '.join(kinds)}")
                rows.append(_row(commit, seed, options.seconds, list(kinds)))
                try:
                    Run(scene, kinds, rows[-1], journal).go()
                finally:
                    if rows[-1].faults or rows[-1].outcome != INTERRUPTED:
                        record.add(rows[-1])
                say(f"seed {seed}: {rows[-1].outcome}")
        finally:
            print(summary(rows), flush=True)
    return 0 if all(row.outcome == PASSED for row in rows) else 1


def _undo_what_is_left(scene: Scene, journal: Journal) -> None:
    """Undo the fault of a marathon that was killed, or could not undo it itself. Raises LabError."""
    if not (left := journal.read()):
        return
    name, aim = left
    say(f"a marathon ended during {name}: undoing it")
    if name not in KINDS:
        raise LabError(f"{journal.file}: there is no kind {name!r} to undo: a later version's marathon wrote it")
    with uninterrupted():
        undo(scene, KINDS[name], aim)
        journal.clear()


def seeds_of(seed: int | None, runs: int, done: set[int]) -> list[int]:
    """The seeds to run: from `seed` those of so many that have not passed; without one, the next that have not."""
    if seed is not None:
        return [each for each in range(seed, seed + runs) if each not in done]
    found: list[int] = []
    candidate = 1
    while len(found) < runs:
        if candidate not in done:
            found.append(candidate)
        candidate += 1
    return found


def summary(rows: Sequence[Row]) -> str:
    """The runs of this sitting: a table of their faults, and each run's outcome."""
    faults = [
        [
            fault.kind,
            str(row.seed),
            f"{fault.at_s:.0f}",
            f"{fault.held_s:.0f}",
            "never" if fault.whole_s is None else f"{fault.whole_s:.0f}",
            "no" if fault.unproven else "yes",
        ]
        for row in rows
        for fault in row.faults
    ]
    ends = [f"seed {row.seed}: {row.outcome}: {row.error or row.frames}" for row in rows]
    shown = table(("fault", "seed", "at s", "stood s", "whole after s", "proven"), faults) if faults else "no fault"
    return "\n".join((shown, *(ends or ["every seed has passed before"]), f"All runs: {record.PAGE.relative_to(ROOT)}"))


def _row(commit: str, seed: int, seconds: int, kinds: list[str]) -> Row:
    at = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d %H:%M")
    return Row(at=at, commit=commit, seed=seed, seconds=seconds, kinds=kinds)


def _commit() -> str:
    """The commit that is tested, with a plus if the tree has changed since."""
    excluded = [f":(exclude){path}" for path in _OWN]
    changed = output(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", ".", *excluded])
    return output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]) + ("+" if changed else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="test-marathon", description=__doc__)
    parser.add_argument("--seed", type=_positive, help="the first seed (default: the first that has not passed)")
    parser.add_argument("--runs", type=_positive, default=1, help="how many seeds; those that passed are left out")
    parser.add_argument("--seconds", type=_positive, default=1000, help="for how long a run causes faults")
    parser.add_argument("--faults", type=_names, default=(), help="kinds, with commas or spaces (default: all)")
    return parser


def _positive(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


if __name__ == "__main__":
    sys.exit(main())
