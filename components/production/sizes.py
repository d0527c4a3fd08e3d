"""`python -m components.production.sizes` (`make sizes`): what a stack needs of machines and network.

As written, and with other numbers of cameras. Numbers of pods, what each keeps free, and volumes are those that the
program declares; what cameras make of them is computed from measured figures, which are named at the end.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pulumi

from components.cluster import disks
from components.markdown import table
from components.pipeline.stages import STAGES, volumes_gib
from components.production import measured
from components.production.pods import Pods, pods
from components.production.scale import raises, scaled
from components.production.stack import Declared, Sections, SiteError, declare, read
from components.production.traffic import DAY, GIB, Traffic

CAMERAS: Final = (10, 40, 400)
_MIB: Final = 1024
"""MiB in a GiB."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A stack with a number of cameras."""

    title: str
    declared: Declared
    raised: Mapping[str, int]
    """The keys that must be raised for it, with their values."""

    @property
    def traffic(self) -> Traffic:
        """What its cameras make."""
        return Traffic(settings=self.declared.settings)

    @property
    def pods(self) -> list[Pods]:
        """Its pods, those alike together, in the order of the pipeline."""
        return _together(pods(self.declared))

    @property
    def workers(self) -> int:
        """The machines that its pods run on."""
        return len(self.declared.settings.schedulable_machines)


def sizes(sections: Sections, cameras: Iterable[int] = CAMERAS) -> list[Size]:
    """The stack as written, then with each number of cameras. Raises ConfigError."""
    written = declare(sections)
    number = len(written.settings.cameras)
    found = [Size(title=f"{number} (as written)", declared=written, raised=raises(written.settings))]
    for each in cameras:
        declared, raised = scaled(sections, each)
        found.append(Size(title=str(each), declared=declared, raised=raised))
    return found


def page(found: Sequence[Size]) -> str:
    """All tables as Markdown."""
    written, *_ = found
    parts = [
        f"**Pods of the stack as written** ({written.workers} machines run them)\n\n{_pods(written)}",
        f"**By the number of cameras**\n\n{_table(found)}",
        f"**Keys to raise**\n\n{_raised(found)}",
        f"**What this rests on**\n\n{_sources()}",
    ]
    return "\n\n".join(parts) + "\n"


def _pods(size: Size) -> str:
    header = ("pods", "number", "cores kept free", "memory kept free (MiB)", "memory at most (MiB)", "volume (GiB)")
    rows = [
        [
            f"{each.name} ({each.kind})",
            _range(each.fewest, each.most),
            f"{each.millicores / 1000:g}",
            str(each.memory_mib),
            str(each.limit_mib),
            str(each.volume_gib or ""),
        ]
        for each in size.pods
    ]
    total = [
        "**all of them**",
        _range(*(sum(getattr(each, end) for each in size.pods) for end in ("fewest", "most"))),
        _range(*(round(_sum(size, "millicores", end) / 1000, 2) for end in ("fewest", "most"))),
        _range(*(_sum(size, "memory_mib", end) for end in ("fewest", "most"))),
        str(_sum(size, "limit_mib", "most")),
        str(_sum(size, "volume_gib", "most")),
    ]
    return table(header, [*rows, total])


def _table(found: Sequence[Size]) -> str:
    """A column a size."""
    rows: list[tuple[str, Callable[[Size], str]]] = [
        ("frames/s", lambda size: f"{size.traffic.frames:.0f}"),
        ("frames a day (million)", lambda size: f"{size.traffic.frames * DAY / 1e6:.1f}"),
        ("machines that run pods", lambda size: str(size.workers)),
        ("**cores in use**, estimated", lambda size: f"**{sum(size.traffic.cores.values()):.1f}**"),
        *((f"— {part}", _part(part)) for part in found[0].traffic.cores),
        ("cores kept free", lambda size: f"{_sum(size, 'millicores', 'most') / 1000:.1f}"),
        ("**memory kept free** (GiB)", lambda size: f"**{_memory_gib(size):.0f}**"),
        ("memory at most (GiB)", lambda size: f"{_sum(size, 'limit_mib', 'most') / _MIB:.0f}"),
        ("**volumes** (GiB)", lambda size: f"**{_sum(size, 'volume_gib', 'most')}**"),
        ("a machine: cores in use", lambda size: f"{sum(size.traffic.cores.values()) / size.workers:.1f}"),
        ("a machine: memory kept free (GiB)", lambda size: f"{_memory_gib(size) / size.workers:.1f}"),
        ("a machine: free disk that preflight asks for (GiB)", lambda size: str(_disk_gib(size))),
        ("**network between machines** (MB/s)", lambda size: f"**{sum(size.traffic.network.values()) / 1e6:.0f}**"),
        *((f"— {way}", _way(way)) for way in found[0].traffic.network),
        *((f"{what}: GiB a day and pod", _a_day(what)) for what in found[0].traffic.kept),
    ]
    return table(("cameras", *(size.title for size in found)), [[name, *map(cell, found)] for name, cell in rows])


def _part(part: str) -> Callable[[Size], str]:
    return lambda size: f"{size.traffic.cores[part]:.1f}"


def _way(way: str) -> Callable[[Size], str]:
    return lambda size: f"{size.traffic.network[way] / 1e6:.1f}"


def _a_day(what: str) -> Callable[[Size], str]:
    return lambda size: f"{size.traffic.kept[what].bytes_a_day / GIB:.0f}"


def _raised(found: Sequence[Size]) -> str:
    """The keys that are too small for any of the sizes, by key."""
    keys = sorted({key for size in found for key in size.raised})
    if not keys:
        return "None: each size keeps the stack's own numbers."
    rows = [[f"`{key}`", *(str(size.raised.get(key, "as it is")) for size in found)] for key in keys]
    return table(("key", *(size.title for size in found)), rows)


def _disk_gib(size: Size) -> int:
    """What preflight asks of a new machine that keeps one pod of each service."""
    settings = size.declared.settings
    reserve = disks.reserve_gib(member=False, minimum_disk_gib=settings.cluster.minimum_disk_gib)
    return reserve + sum(volumes_gib(STAGES, settings).values())


def _sources() -> str:
    """The figures by their sources, then the assumptions."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for figure in (measured.FRAME_BYTES, measured.RESULT_BYTES):
        by_source[figure.source].append(f"{figure.value:g} {figure.unit}")
    costs = {
        "a model of kind objects, size fast": measured.OBJECTS,
        "a model of kind motion": measured.MOTION,
        "a consumer (a record)": measured.CONSUMER,
        "Filebeat (a result)": measured.FILEBEAT,
        **measured.tables(),
    }
    for name, cost in costs.items():
        by_source[cost.source].append(f"{name} {cost.base_millicores:.0f} + {cost.record_ms:.2g}")
    return "\n".join(
        [
            "Measured on the lab, two cores of an EPYC with AVX2 alone; `a + b` is millicores of a pod (or machine) at"
            " rest, and ms of CPU a frame:",
            "",
            *(f"- {source}: {'; '.join(figures)}." for source, figures in by_source.items()),
            "",
            _ASSUMED,
        ]
    )


_ASSUMED: Final = f"""\
Assumed, so look at these first:

- {measured.CAMERA_MBIT.value:g} {measured.CAMERA_MBIT.unit}; {measured.CAMERA_MBIT.source}.
- A frame's bytes go with its area (`producers.width`, `cameras[].width`). Other values of `jpegQuality` and other
  scenes make others.
- Every frame is looked at, as with `models[].gate` off. Code of your own costs as much as a detector of kind objects.
- What a frame costs is the same at every rate, and cores are as fast as the lab's.
- A result takes as much in an index as in Kafka.
- Rates are averages: a day's peak is not in them (`make bench-day` simulates one).
- Heaps (`kafka.heapMiB`, `elasticsearch.heapMiB`) are the stack's own at every size.

CPU has no limit: what a pod keeps free is the least that it gets, and idle cores go to whoever wants them. Kubernetes'
own pods on control planes are kubeadm's: they are in the cores in use, and not among the pods."""


def _memory_gib(size: Size) -> float:
    return _sum(size, "memory_mib", "most") / _MIB


def _sum(size: Size, field: str, end: str) -> int:
    return sum(getattr(each, field) * getattr(each, end) for each in size.pods)


def _range(fewest: float, most: float) -> str:
    return f"{fewest:g}" if fewest == most else f"{fewest:g} to {most:g}"


def _together(found: Sequence[Pods]) -> list[Pods]:
    """Pods that differ in nothing but a number in their name, together; those of the pipeline first."""
    alike: dict[Pods, list[Pods]] = defaultdict(list)
    for each in found:
        # A Job's name ends with a hash of what it does, a producer's with its number.
        name = re.sub(r"-([0-9a-f]{8}|\d+)$", "", each.name)
        alike[replace(each, name=name, images=(), fewest=0, most=0)].append(each)
    places = {stage.name: place for place, stage in enumerate(STAGES)}
    merged = [
        replace(key, fewest=sum(each.fewest for each in group), most=sum(each.most for each in group))
        for key, group in alike.items()
    ]
    return sorted(merged, key=lambda each: (places.get(each.stage, len(places)), each.name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m components.production.sizes", description=__doc__)
    parser.add_argument("--stack", required=True, help="the stack, as in Pulumi.<stack>.yaml")
    parser.add_argument("--cameras", type=_numbers, default=CAMERAS, help="other numbers of cameras, `10,40,400`")
    options = parser.parse_args(arguments)
    try:
        print(page(sizes(read(options.stack), options.cameras)), end="")
    except (SiteError, pulumi.RunError) as error:
        print(f"sizes: {error}", file=sys.stderr)
        return 1
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(each) for each in text.split(","))
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("there is no stack without a camera")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
