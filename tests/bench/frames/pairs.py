"""`make bench-pairs`: the running lab with settings A and with settings B by turns, at one rate that it does not keep.

A lab changes from hour to hour by more than most settings do, so each pair gives one ratio, and the median counts.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from lab.config import LabError
from tests.bench.frames.lab import Lab, is_up, restored
from tests.bench.frames.programs import total
from tests.bench.frames.report import LOAD, Step
from tests.bench.frames.stack import AT_REST, fragment
from tests.bench.frames.step import measure
from tests.bench.table import table


class Pair(NamedTuple):
    """What was measured with A, and then with B."""

    a: Step
    b: Step


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    pairs: list[Pair] = []
    try:
        if not is_up():
            raise LabError("the lab is not up: make up")
        with tempfile.TemporaryDirectory(prefix="argus-bench-") as folder:
            a, b = (Lab(Path(folder), {}, each, moving=options.moving) for each in (options.a, options.b))
            # From B to the dev stack is an update that Argus does; from A it may be none.
            with restored(b):
                b.apply(AT_REST)
                try:
                    for _ in range(options.pairs):
                        pairs.append(Pair(*(measure(lab, options.rate, options.seconds) for lab in (a, b))))
                        print(f"\n{shown(pairs)}\n", flush=True)
                except BaseException:
                    b.apply(AT_REST)
                    raise
    except (LabError, AssertionError) as error:
        print(f"bench-pairs: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def shown(pairs: Sequence[Pair]) -> str:
    """A row for each pair, the medians of their ratios, and whether every frame was in every sink."""
    header = ("pair", "frames/s with A", "with B", "B of A", "ms of CPU a frame with A", "with B", "A of B")
    rows = [
        [
            str(number),
            *(f"{step.processed:.1f}" for step in pair),
            f"{_rate(pair):.2f}",
            *(f"{_milliseconds(step):.1f}" for step in pair),
            f"{_work(pair):.2f}",
        ]
        for number, pair in enumerate(pairs, start=1)
    ]
    rates, works = median(map(_rate, pairs)), median(map(_work, pairs))
    sets = [f"{name} of pair {number}: {step.sets}"
            for number, pair in enumerate(pairs, start=1)
            for name, step in zip("AB", pair, strict=True)]  # fmt: skip
    return "\n\n".join((
        table(header, rows),
        f"Median of the ratios: {rates:.2f} in frames/s, {works:.2f} in frames a second of CPU.",
        "\n".join(sets),
    ))  # fmt: skip


def _rate(pair: Pair) -> float:
    return pair.b.processed / pair.a.processed


def _work(pair: Pair) -> float:
    return _milliseconds(pair.a) / _milliseconds(pair.b)


def _milliseconds(step: Step) -> float:
    """CPU of the lab for each frame that was processed (ms)."""
    return step.milliseconds(total(step.cpu.programs, *LOAD)) * step.reached / step.processed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.frames.pairs", description=__doc__)
    parser.add_argument("--a", type=fragment, required=True, help="YAML over all sections")
    parser.add_argument(
        "--b", type=fragment, required=True, help="YAML over all sections; one update from the dev stack"
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=100, help="frames/s of all 40 cameras, more than the lab keeps")
    parser.add_argument("--seconds", type=float, default=120, help="of each measurement")
    parser.add_argument("--moving", type=float, default=0.3, help="share of the cameras that see motion")
    return parser


if __name__ == "__main__":
    sys.exit(main())
