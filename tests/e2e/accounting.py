"""Checks that no frame is lost or doubled in a failure: compares the frames in Kafka with each sink's, as sets."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
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
    """Opened before a failure is caused, closed after it is repaired.

    A producer that survived knows which of its frames are in Kafka. One that died cannot be asked: every frame of its
    run up to the last one in any sink must be in all sinks, because Kafka keeps a camera's frames in order.
    """

    cluster: ClusterClient
    start: Mapping[str, CameraState]
    between: dict[tuple[str, int], CameraState] = field(default_factory=dict)
    """The last that a producer was seen to report of a camera, by camera and the first sequence of that run."""

    def witness(self) -> None:
        """Remember what those producers report that answer now. What one says before it dies is demanded of every sink.

        Needed where a producer may die more than once in an audit. Raises httpx.HTTPError if the API does not answer.
        """
        for camera in self.cluster.cameras_that_are_known():
            if camera.first is not None:
                self.between[camera.name, camera.first] = camera

    @classmethod
    def open(cls, cluster: ClusterClient) -> "Audit":
        """Audit all frames from now on. Waits until every camera has delivered one."""
        start: dict[str, CameraState] = {}

        def delivered() -> str | None:
            if handed_over := _read(cluster, start):
                return handed_over
            silent = sorted(name for name, camera in start.items() if camera.last is None)
            return f"no frame yet from {silent}" if silent or not start else None

        wait_until("every camera delivers", delivered, limit_s=SETTLE_LIMIT_S)
        return cls(cluster=cluster, start=start)

    def close(self, *, on_disk: bool = True) -> str:
        """Wait until every sink has every frame once. Returns a line with the counts; fails with the missing frames.

        `on_disk` is False if a disk was lost with its machine.
        """
        end: dict[str, CameraState] = {}

        def everybody_delivers() -> str | None:
            if handed_over := _read(self.cluster, end):
                return handed_over
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
            seen = set().union(*found.values())
            expected.update(expected_frames(self.start, end, seen, list(self.between.values())))
            missing = {sink: sorted(expected - frames.keys()) for sink, frames in found.items()}
            return (
                "; ".join(f"{sink} lacks {len(frames)}, as {frames[:3]}" for sink, frames in missing.items() if frames)
                or None
            )

        wait_until("every frame in every sink", complete, limit_s=SETTLE_LIMIT_S, pause_s=5)
        twice = {sink: [frame for frame in expected if frames[frame] > 1] for sink, frames in found.items()}
        for sink, frames in twice.items():
            # If a consumer dies between writing and committing, another one writes its last files again.
            assert sink.startswith("disk") or not frames, f"{sink} has {len(frames)} frames twice, as {frames[:3]}"
        restarted = sum(end[name].first != camera.first for name, camera in self.start.items())
        doubled = max((len(frames) for sink, frames in twice.items() if sink.startswith("disk")), default=0)
        failed = undelivered(self.start, end, list(self.between.values()))
        return (
            f"{len(expected)} frames of {len(self.start)} cameras ({restarted} of them read by a new producer) in "
            f"{len(found)} sinks: none missing, none twice ({doubled} on the disks of two consumers)"
            + (f"; {len(failed)} more, as {sorted(failed)[:3]}, never came to Kafka" if failed else "")
        )

    def _found(self, first: int, last: int, *, on_disk: bool) -> dict[str, Counter[Frame]]:
        """Each sink's frames in the window."""
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
    start: Mapping[str, CameraState],
    end: Mapping[str, CameraState],
    seen: Iterable[Frame],
    between: Collection[CameraState] = (),
) -> set[Frame]:
    """The frames that every sink must have, from the producers' reports before, between and after and any sink's."""
    reached: dict[tuple[str, int], int] = defaultdict(int)
    for name, sequence in seen:
        camera_run = name, sequence >> SEQUENCE_SHIFT
        reached[camera_run] = max(reached[camera_run], sequence)
    failed = {
        (camera.name, sequence) for camera in (*start.values(), *between, *end.values()) for sequence in camera.failed
    }
    expected: set[Frame] = set()
    for camera in between:
        if camera.name in start and camera.first is not None and camera.last is not None:
            known = range(max(camera.first, _next(start[camera.name])), camera.last + 1)
            expected |= {(camera.name, sequence) for sequence in known}
    for name, before in start.items():
        after = end[name]
        if after.first == before.first:
            expected |= {(name, sequence) for sequence in range(_next(before), (after.last or 0) + 1)}
            continue
        assert after.first is not None
        expected |= {(name, sequence) for sequence in range(after.first, (after.last or 0) + 1)}
        for (camera_name, run), last in reached.items():
            if camera_name == name and run < after.first >> SEQUENCE_SHIFT and last >= _next(before):
                first = max(_next(before), run << SEQUENCE_SHIFT)
                expected |= {(name, sequence) for sequence in range(first, last + 1)}
    return expected - failed


def _read(cluster: ClusterClient, cameras: dict[str, CameraState]) -> str | None:
    """Read what producers report of their cameras; what is in the way while a camera is being handed over."""
    try:
        cameras.update(cluster.cameras())
    except AssertionError as handed_over:
        return str(handed_over)
    return None


def undelivered(
    start: Mapping[str, CameraState], end: Mapping[str, CameraState], between: Collection[CameraState] = ()
) -> set[Frame]:
    """The frames since the start that producers could not deliver to Kafka, as they report it."""
    reports = [camera for camera in (*between, *end.values()) if camera.name in start]
    return {
        (camera.name, sequence)
        for camera in reports
        for sequence in camera.failed
        if sequence >= _next(start[camera.name])
    }


def versions_in_order(results: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """By camera, the successive versions of the model in the order of the frames."""
    cameras: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for document in results:
        cameras[document["camera"]["name"]].append((document["frame"]["sequence"], document["model"]["version"]))
    return {
        camera: [version for version, _ in groupby(version for _, version in sorted(frames))]
        for camera, frames in cameras.items()
    }


def _next(camera: CameraState) -> int:
    """The first sequence that a camera had not yet delivered."""
    assert camera.last is not None, f"camera {camera.name} has delivered nothing"
    return camera.last + 1


def _delivered(before: CameraState, after: CameraState) -> bool:
    return after.last is not None and after.last >= _next(before)
