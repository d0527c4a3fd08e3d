"""The results of a run: tables on the terminal, all figures as CSV, and a plot of the rate against latency and lag."""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.frames.cpu import TICKS
from tests.bench.frames.figures import UNSTEADY, Latency, differ
from tests.bench.frames.loops import Loop
from tests.bench.frames.programs import Part, Program, total
from tests.bench.table import table

LOAD: Final[tuple[Part, ...]] = ("cluster", "pipeline", "machines", "kernel", "lab")
"""The parts that belong to the lab, without the instrument and what else runs on the host."""
_SHOWN_CORES = 0.0005
_SHOWN_MS = 0.005


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """CPU ticks by program over some seconds, and the host's."""

    seconds: float
    programs: Mapping[Program, int]
    busy: int
    softirq: int
    steal: int
    unexplained: float

    def cores(self, ticks: float) -> float:
        """Ticks as busy cores."""
        return ticks / TICKS / self.seconds


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was measured at one rate (frames/s): slopes (frames/s), lags (frames) and the shares looked at by model."""

    wanted: float
    reached: float
    slopes: Mapping[str, float]
    lags: Mapping[str, float]
    faults: Sequence[str]
    sets: str
    to_kafka: Latency
    to_result: Latency
    to_search: Latency
    looked: Mapping[str, float]
    not_searchable: int
    cpu: Cpu
    memory: Mapping[Program, int]
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether the rate is kept."""
        return not self.faults

    @property
    def processed(self) -> float:
        """Frames a second that came and did not stay behind, of the model that is furthest behind."""
        return self.reached - max(0.0, *self.slopes.values())

    def milliseconds(self, ticks: float) -> float:
        """Ticks of the step as CPU milliseconds a frame."""
        return 1000 * ticks / TICKS / (self.reached * self.cpu.seconds)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What executors alone did of a topic with so many frames: frames/s by model."""

    frames: int
    rates: Mapping[str, float]
    cpu: Cpu


@dataclass
class Loops:
    """A loop's measurements before and after the steps."""

    name: str
    before: Loop | None = None
    after: Loop | None = None


@dataclass
class Run:
    """Everything that a run measured."""

    steps: list[Step] = field(default_factory=list)
    loops: list[Loops] = field(default_factory=list)
    filled: Filled | None = None
    notes: list[str] = field(default_factory=list)

    def loop(self, name: str) -> Loops:
        """The loop of this name, made at its first use."""
        found = next((each for each in self.loops if each.name == name), None)
        if found is None:
            found = Loops(name)
            self.loops.append(found)
        return found

    @property
    def best(self) -> Step | None:
        """The step with the highest kept rate; the last of them, if it was measured again."""
        return max((each for each in reversed(self.steps) if each.kept), key=lambda each: each.wanted, default=None)


def shown(run: Run) -> str:
    """All tables and sentences for the terminal."""
    parts = []
    if run.steps:
        parts += [_rates(run.steps), _programs(run.steps), _memory(run.steps)]
        parts += [f"{step.wanted:g} frames/s for {step.seconds:.0f} s: {_verdict(step)}" for step in run.steps]
        best = run.best
        parts.append(
            f"The highest rate kept: {best.wanted:g} frames/s, for {best.seconds:.0f} s."
            if best
            else "No rate was kept."
        )
    if run.filled:
        parts += [_filled(run.filled), table(("executors alone: program", "cores"), shown_cores(run.filled.cpu))]
    if run.loops:
        parts.append(_loops(run.loops))
        parts += _ratios(run)
    parts += [steadiness(run.loops), *run.notes]
    return "\n\n".join(part for part in parts if part)


def steadiness(loops: Sequence[Loops]) -> str:
    """Whether the bare loop ran before as after: of loop A if it was measured, else of loop B."""
    for name in ("A", "B"):
        for each in loops:
            if each.name == name and each.before and each.after:
                by = differ(each.before.rate, each.after.rate)
                word = "UNSTEADY, so do not compare this run with others" if by > UNSTEADY else "steady"
                return f"The host was {word}: loop {name} before and after differ by {by:.0%} (limit {UNSTEADY:.0%})."
    return ""


def write_csv(run: Run, file: Path) -> None:
    """Every figure in a row of its own: the step's wanted rate, the figure's kind and name, its value and unit."""
    with file.open("w", newline="", encoding="utf-8") as opened:
        rows = csv.writer(opened)
        rows.writerow(("step", "rate", "kind", "name", "value", "unit"))
        for number, step in enumerate(run.steps, start=1):
            rows.writerows((number, f"{step.wanted:g}", *row) for row in _figures(step))
        if run.filled:
            for model, rate in run.filled.rates.items():
                rows.writerow(("", "", "executors alone", model, f"{rate:.2f}", "frames/s"))
            for name, cores in cpu_rows(run.filled.cpu):
                rows.writerow(("", "", "executors alone, cpu", name, f"{cores:.4f}", "cores"))
        for each in run.loops:
            for when, loop in (("before", each.before), ("after", each.after)):
                if loop:
                    rows.writerow(("", "", f"loop {each.name}", when, f"{loop.rate:.2f}", "frames/s"))
                    rows.writerow(("", "", f"loop {each.name}", when, f"{loop.milliseconds:.3f}", "ms a frame"))


def draw(steps: Sequence[Step], file: Path) -> None:
    """Rate against latency and lag, as PNG. Kept rates are filled dots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    late, behind = figure.subplots(2, sharex=True)
    steps = sorted(steps, key=lambda each: each.wanted)
    rates = [step.reached for step in steps]
    for name, pick in (("Kafka", "to_kafka"), ("result", "to_result"), ("searchable", "to_search")):
        for share, style in (("p50", ":"), ("p99", "-")):
            values = [getattr(getattr(step, pick), share) for step in steps]
            late.plot(rates, values, style, marker="o", label=f"capture to {name}, {share}")
    for model in steps[0].lags if steps else ():
        behind.plot(rates, [step.lags[model] for step in steps], marker="o", label=f"lag of {model} at the end")
    for axis, label in ((late, "seconds"), (behind, "frames")):
        axis.set_yscale("symlog", linthresh=1)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend()
        for step in steps:
            if not step.kept:
                axis.axvspan(step.reached * 0.99, step.reached * 1.01, color="red", alpha=0.15)
    behind.set_xlabel("frames/s captured (red: not kept)")
    figure.savefig(file, dpi=110)


def shown_cores(cpu: Cpu) -> list[list[str]]:
    """The rows of a table of busy cores by program, the largest first, without what is next to nothing."""
    return [[name, f"{cores:.3f}"] for name, cores in cpu_rows(cpu) if cores >= _SHOWN_CORES]


def cpu_rows(cpu: Cpu) -> list[tuple[str, float]]:
    """Busy cores by program, the largest first."""
    ordered = sorted(cpu.programs.items(), key=lambda each: -each[1])
    return [(each.name, cpu.cores(ticks)) for each, ticks in ordered]


def _rates(steps: Sequence[Step]) -> str:
    header = ("frames/s", "captured", "kept", "falls behind by (/s)", "lag at the end", "looked at")
    late = ("to Kafka p50/95/99 (s)", "to result", "to searchable", "cores", "ms a frame", "unexplained", "GiB")
    rows = [
        [
            f"{step.wanted:g}",
            f"{step.reached:.1f}",
            "yes" if step.kept else "no",
            ", ".join(f"{model} {value:+.2f}" for model, value in step.slopes.items()),
            ", ".join(f"{value:.0f}" for value in step.lags.values()),
            ", ".join(f"{model} {share:.0%}" for model, share in step.looked.items()),
            *map(_latency, (step.to_kafka, step.to_result, step.to_search)),
            f"{step.cpu.cores(step.cpu.busy):.2f}",
            f"{step.milliseconds(step.cpu.busy):.1f}",
            f"{step.cpu.unexplained:.1%}",
            f"{total(step.memory, *LOAD) / 2**30:.1f}",
        ]
        for step in steps
    ]
    return table((*header, *late), rows)


def _filled(filled: Filled) -> str:
    rates = ", ".join(f"{model} {rate:.1f}" for model, rate in filled.rates.items())
    return f"Executors alone on a topic with {filled.frames} frames, in frames/s: {rates}."


def _programs(steps: Sequence[Step]) -> str:
    """CPU milliseconds a frame by program, the most expensive at the last rate first."""
    last = steps[-1]
    names = sorted(
        {each for step in steps for each in step.cpu.programs}, key=lambda each: -last.cpu.programs.get(each, 0)
    )
    rows = [
        [each.name, *(f"{step.milliseconds(step.cpu.programs.get(each, 0)):.2f}" for step in steps)]
        for each in names
        if any(step.milliseconds(step.cpu.programs.get(each, 0)) >= _SHOWN_MS for step in steps)
    ]
    rows.append(["(softirq, in the above)", *(f"{step.milliseconds(step.cpu.softirq):.2f}" for step in steps)])
    rows.append(
        ["(stolen by the hypervisor, beside it)", *(f"{step.milliseconds(step.cpu.steal):.2f}" for step in steps)]
    )
    return table(("ms of CPU a frame, at", *(f"{step.wanted:g}/s" for step in steps)), rows)


def _memory(steps: Sequence[Step]) -> str:
    last = steps[-1].memory
    names = sorted({each for step in steps for each in step.memory}, key=lambda each: -last.get(each, 0))
    rows = [
        [each.name, *(f"{step.memory.get(each, 0) / 2**20:.0f}" for step in steps)]
        for each in names
        if each.part != "others" and any(step.memory.get(each, 0) >= 2**20 for step in steps)
    ]
    return table(("MiB of memory, at", *(f"{step.wanted:g}/s" for step in steps)), rows)


def _loops(loops: Sequence[Loops]) -> str:
    rows = [
        [
            each.name,
            *(
                f"{loop.rate:.1f} at {loop.milliseconds:.2f}" if loop else "not measured"
                for loop in (each.before, each.after)
            ),
        ]
        for each in loops
    ]
    return table(("loop", "before: frames/s at ms of CPU a frame", "after"), rows)


def _ratios(run: Run) -> Iterator[str]:
    best = run.best
    for each in run.loops:
        rates = [loop.rate for loop in (each.before, each.after) if loop]
        if not rates:
            continue
        mean = sum(rates) / len(rates)
        if best:
            yield f"Kept : loop {each.name} = {best.reached:.1f} : {mean:.1f} = {best.reached / mean:.2f}"
        if run.filled:
            # The slowest model decides when a frame is done.
            alone = min(run.filled.rates.values())
            yield f"Executors alone : loop {each.name} = {alone:.1f} : {mean:.1f} = {alone / mean:.2f}"


def _verdict(step: Step) -> str:
    verdict = "kept" if step.kept else "NOT KEPT: " + "; ".join(step.faults)
    late = f"; {step.not_searchable} results not searchable a minute later" if step.not_searchable else ""
    return f"{verdict}. Sets: {step.sets}{late}"


def _latency(latency: Latency) -> str:
    return " / ".join("-" if math.isnan(each) else f"{each:.2f}" for each in (latency.p50, latency.p95, latency.p99))


def _figures(step: Step) -> Iterator[tuple[str, str, str, str]]:
    yield "rate", "reached", f"{step.reached:.3f}", "frames/s"
    yield "rate", "kept", str(int(step.kept)), ""
    yield "rate", "sets", step.sets, ""
    for model, value in step.slopes.items():
        yield "lag slope", model, f"{value:.4f}", "frames/s"
    for model, value in step.lags.items():
        yield "lag at the end", model, f"{value:.0f}", "frames"
    for model, value in step.looked.items():
        yield "looked at", model, f"{value:.4f}", "share"
    for name, latency in (("kafka", step.to_kafka), ("result", step.to_result), ("searchable", step.to_search)):
        for share in ("p50", "p95", "p99"):
            yield f"capture to {name}", share, f"{getattr(latency, share):.3f}", "s"
        yield f"capture to {name}", "measurements", str(latency.count), ""
    yield "cpu", "all", f"{step.milliseconds(step.cpu.busy):.4f}", "ms a frame"
    yield "cpu", "unexplained", f"{step.cpu.unexplained:.4f}", "share"
    yield "cpu", "softirq", f"{step.milliseconds(step.cpu.softirq):.4f}", "ms a frame"
    yield "cpu", "steal", f"{step.milliseconds(step.cpu.steal):.4f}", "ms a frame"
    for each, ticks in Counter(dict(step.cpu.programs)).most_common():
        yield f"cpu of {each.part}", each.name, f"{step.milliseconds(ticks):.4f}", "ms a frame"
    for each, size in Counter(dict(step.memory)).most_common():
        yield f"memory of {each.part}", each.name, f"{size / 2**20:.1f}", "MiB"
