"""Every frame accounted for through a failure: what the cameras gave to Kafka against what each sink holds, as sets."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from apps.messages import SEQUENCE_SHIFT
from tests.e2e.cluster import CameraState, ClusterClient
from tests.e2e.waiting import wait_until

Frame = tuple[str, int]
MODELS = ("objects", "motion")
SETTLE_LIMIT_S = 420


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Opened before something is broken, closed after it is mended.

    A producer that lived through it knows which frames are in Kafka. One that died cannot be asked: of its run, every
    frame up to the last that any sink has must be in all of them, because Kafka keeps a camera in order.
    """

    cluster: ClusterClient
    start: Mapping[str, CameraState]

    @classmethod
    def open(cls, cluster: ClusterClient) -> "Audit":
        """From now on every frame counts. Waits until every camera has delivered one."""
        start: dict[str, CameraState] = {}

        def delivered() -> str | None:
            start.update(cluster.cameras())
            silent = sorted(name for name, camera in start.items() if camera.last is None)
            return f"no frame yet from {silent}" if silent or not start else None

        wait_until("every camera delivers", delivered, limit_s=SETTLE_LIMIT_S)
        return cls(cluster=cluster, start=start)

    def close(self, *, on_disk: bool = True) -> str:
        """Waits until every sink has every frame, each once. Returns a line that says how many; fails with what lacks.

        `on_disk` is False where a disk has gone with its machine.
        """
        end: dict[str, CameraState] = {}

        def everybody_delivers() -> str | None:
            end.update(self.cluster.cameras())
            silent = sorted(
                name for name in self.start if name not in end or not _delivered(self.start[name], end[name])
            )
            return f"no new frame from {silent}" if silent else None

        wait_until("every camera delivers again", everybody_delivers, limit_s=SETTLE_LIMIT_S)
        first = min(_next(camera) for camera in self.start.values())
        last = max(camera.last or 0 for camera in end.values())
        found: dict[str, Counter[Frame]] = {}
        expected: set[Frame] = set()

        def complete() -> str | None:
            found.clear()
            found.update(self._found(first, last, on_disk=on_disk))
            expected.clear()
            expected.update(expected_frames(self.start, end, set().union(*found.values())))
            missing = {sink: sorted(expected - frames.keys()) for sink, frames in found.items()}
            return (
                "; ".join(f"{sink} lacks {len(frames)}, as {frames[:3]}" for sink, frames in missing.items() if frames)
                or None
            )

        wait_until("every frame in every sink", complete, limit_s=SETTLE_LIMIT_S, pause_s=5)
        twice = {sink: [frame for frame in expected if frames[frame] > 1] for sink, frames in found.items()}
        for sink, frames in twice.items():
            # A consumer that dies between writing and committing leaves its last files for another one to write too.
            assert sink.startswith("disk") or not frames, f"{sink} has {len(frames)} frames twice, as {frames[:3]}"
        restarted = sum(end[name].first != camera.first for name, camera in self.start.items())
        doubled = max((len(frames) for sink, frames in twice.items() if sink.startswith("disk")), default=0)
        return (
            f"{len(expected)} frames of {len(self.start)} cameras ({restarted} of them read by a new producer) in "
            f"{len(found)} sinks: none missing, none twice ({doubled} on the disks of two consumers)"
        )

    def _found(self, first: int, last: int, *, on_disk: bool) -> dict[str, Counter[Frame]]:
        """What each sink has of the window's frames."""
        found = {
            f"Elasticsearch ({model})": Counter(
                (document["camera"]["name"], document["frame"]["sequence"])
                for document in self.cluster.results(model, first, last)
            )
            for model in MODELS
        }
        if on_disk:
            kinds = {"jpg": "disk (frame)", **{f"{model}.json": f"disk ({model})" for model in MODELS}}
            found |= {kind: Counter() for kind in kinds.values()}
            for path in self.cluster.saved_files(self.start):
                camera, _, file = path.split("/")
                sequence, _, suffix = file.partition(".")
                if first <= int(sequence) <= last and suffix in kinds:
                    found[kinds[suffix]][camera, int(sequence)] += 1
        return found


def expected_frames(
    start: Mapping[str, CameraState], end: Mapping[str, CameraState], seen: Iterable[Frame]
) -> set[Frame]:
    """The frames that every sink must have, given what the producers said before and after and what any sink has."""
    reached: dict[tuple[str, int], int] = defaultdict(int)
    for camera, sequence in seen:
        run = camera, sequence >> SEQUENCE_SHIFT
        reached[run] = max(reached[run], sequence)
    expected: set[Frame] = set()
    for name, before in start.items():
        after = end[name]
        if after.first == before.first:
            known = range(_next(before), (after.last or 0) + 1)
            expected |= {(name, sequence) for sequence in known if sequence not in after.failed}
            continue
        assert after.first is not None
        expected |= {
            (name, sequence) for sequence in range(after.first, (after.last or 0) + 1) if sequence not in after.failed
        }
        for (camera, run), last in reached.items():
            if camera == name and run < after.first >> SEQUENCE_SHIFT and last >= _next(before):
                first = max(_next(before), run << SEQUENCE_SHIFT)
                expected |= {(name, sequence) for sequence in range(first, last + 1) if sequence not in before.failed}
    return expected


def versions_in_order(results: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The versions of the model by which each camera's frames were done, in the frames' order, each time it changed."""
    cameras: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for document in results:
        cameras[document["camera"]["name"]].append((document["frame"]["sequence"], document["model"]["version"]))
    return {
        camera: [version for version, _ in groupby(version for _, version in sorted(frames))]
        for camera, frames in cameras.items()
    }


def _next(camera: CameraState) -> int:
    """The first sequence after what a camera had delivered."""
    assert camera.last is not None, f"camera {camera.name} has delivered nothing"
    return camera.last + 1


def _delivered(before: CameraState, after: CameraState) -> bool:
    return after.last is not None and after.last >= _next(before)
