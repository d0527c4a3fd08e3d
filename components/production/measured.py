"""The measured figures and the assumptions behind sizes, each with its source; none stands elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from components.config.sections import Model
from components.images import ROOT

MEASUREMENTS: Final = ROOT / "docs" / "measurements.md"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with its unit in words, and where it is from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The CPU that a part takes: of each of its pods (or machines) at rest, and of each record."""

    base_millicores: float
    record_ms: float
    """CPU time per record; of what is not a reader of Kafka, per frame."""
    source: str

    def cores(self, pods: float, records_per_second: float) -> float:
        """The cores used by this many pods at this rate together."""
        return (pods * self.base_millicores + records_per_second * self.record_ms) / 1000


_TOP: Final = "`kubectl top` of all its pods on the lab at 4 and at 20 frames/s (2026-11-25)"
_LAB: Final = "mean of the lab's cameras"

FRAME_BYTES: Final = Figure(value=28_300, unit="bytes a frame of 640 pixels' width at jpegQuality 80", source=_LAB)
RESULT_BYTES: Final = Figure(value=610, unit="bytes a result", source=_LAB)
MEASURED_WIDTH: Final = 640
"""Width (pixels) of the frames behind FRAME_BYTES."""
CAMERA_MBIT: Final = Figure(value=4, unit="Mbit/s that a camera sends", source="its own settings say it")

OBJECTS: Final = Cost(base_millicores=30, record_ms=25, source=_TOP)
MOTION: Final = Cost(base_millicores=23, record_ms=3.75, source=_TOP)
CONSUMER: Final = Cost(base_millicores=9, record_ms=0.6, source=_TOP)
FILEBEAT: Final = Cost(base_millicores=11, record_ms=0.2, source=_TOP)

_BUSY_FRAMES: Final = 30
"""Frames a second in the measured table of a loaded lab."""
_AT_REST, _BUSY = "| cores at rest |", "| | ms | cores |"
"""The tables' first cells in docs/measurements.md."""


def cost_of(model: Model) -> Cost:
    """What a model takes of a frame that it looks at; code of one's own is counted as a detector."""
    return MOTION if model.kind == "motion" else OBJECTS


@cache
def tables() -> Mapping[str, Cost]:
    """What parts take that docs/measurements.md has at rest and at 30 frames/s, by part. Raises LookupError."""
    parts = {
        "brokers": ("brokers", "brokers", 3),
        "Elasticsearch": ("Elasticsearch", "Elasticsearch", 3),
        "Spark's Java": ("driver, Java", "executor and driver, Java", 1),
        "producers and the page": (None, "producers, cameras, Filebeat, the page", 1),
        "Kubernetes itself": (
            "kubelet, containerd and its shims, kube-*, etcd, CoreDNS, HAProxy, keepalived, metrics-server together",
            "kubelets, API servers, etcd, controllers, containerd, HAProxy, keepalived, CoreDNS, metrics-server",
            5,
        ),
        "all else on machines": (None, "all else", 5),
    }
    source = "[measurements.md](measurements.md): the lab at rest (2026-11-28) and at 30 frames/s (2026-11-29)"
    found = {}
    for part, (rest, busy, pods) in parts.items():
        base = _cores(_AT_REST, rest) if rest else 0
        per_frame = (_cores(_BUSY, busy) - base) / _BUSY_FRAMES
        found[part] = Cost(base_millicores=1000 * base / pods, record_ms=1000 * per_frame, source=source)
    return found


def _cores(header: str, row: str) -> float:
    """The last cell of a row in the table whose header begins so."""
    _, _, text = MEASUREMENTS.read_text(encoding="utf-8").partition(f"\n{header}")
    for line in text.partition("\n\n")[0].splitlines():
        cells = [each.strip() for each in line.strip("|").split("|")]
        if cells[0] == row:
            return float(cells[-1])
    raise LookupError(
        f"{MEASUREMENTS.name} has no row {row!r} in the table {header!r}, which production/measured.py reads"
    )
