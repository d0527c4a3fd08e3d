"""Keeps recent frames and results, and chooses what the wall shows of each camera. No I/O; thread-safe."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apps.messages import OVERLOAD, Frame, Result, follows, format_timestamp
from apps.ui.behind import Delay
from apps.ui.inference import inference_json

RING_FRAMES = 120
EARLY_RESULTS = 30
"""How many frames' results a camera keeps before those frames have arrived."""

RATE_SECONDS = 10

Sees = Callable[[str], bool]
"""Whether somebody may see the camera of this name."""

MAX_UNKNOWN = 32
"""The most cameras that the wall shows beside those that it was told of, so that no sender fills it with names."""

UNKNOWN_SHARE = 4
"""A camera that the wall was not told of shares, with all such, this part (1/4) of the memory for images."""


@dataclass
class Shot:
    """One frame and the results received for it, by model."""

    frame: Frame
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def inferred(self) -> set[str]:
        """The models whose results say something about the picture."""
        return {
            model
            for model, result in self.results.items()
            if result.skipped is None or result.skipped.reason != OVERLOAD
        }


class Ring:
    """One camera's recent frames in the order of their coming, up to a number of frames and of bytes.

    Neither sequences nor capture times say which frame is the newest: both are from the clock of the producer's
    machine, which may have been ahead before it was set right.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._shots: list[Shot] = []
        self._by_sequence: dict[int, Shot] = {}
        self._size = 0
        self._shown: Shot | None = None
        # Kafka keeps no order between topics, so a result that is read before its frame waits here.
        self._early: dict[int, dict[str, Result]] = {}

    def add_frame(self, frame: Frame) -> None:
        """Add a frame unless it is already there, and drop the oldest while the ring is too full."""
        if self.shot(frame.sequence):
            return
        shot = Shot(frame, self._early.pop(frame.sequence, {}))
        self._shots.insert(self._position(frame.sequence), shot)
        self._by_sequence[frame.sequence] = shot
        self._size += len(frame.jpeg)
        self._drop_surplus()

    def limit(self, max_bytes: int) -> None:
        """Change the number of bytes, and drop the oldest frames while there are more."""
        self._max_bytes = max_bytes
        self._drop_surplus()

    def _drop_surplus(self) -> None:
        while len(self._shots) > 1 and (len(self._shots) > self._max_frames or self._size > self._max_bytes):
            oldest = self._shots.pop(0).frame
            del self._by_sequence[oldest.sequence]
            self._size -= len(oldest.jpeg)

    def add_result(self, result: Result) -> None:
        """Add a result to its frame, now or when the frame arrives. It is dropped if its frame was dropped."""
        shot = self.shot(result.sequence)
        if shot is not None:
            shot.results[result.model] = result
        elif not self._shots or follows(result.sequence, self._shots[0].frame.sequence):
            self._early.setdefault(result.sequence, {})[result.model] = result
            if len(self._early) > EARLY_RESULTS:
                del self._early[next(iter(self._early))]

    def shot(self, sequence: int) -> Shot | None:
        """The frame of that sequence, or None."""
        return self._by_sequence.get(sequence)

    def frame_to_show(self, models: Iterable[str], patience: timedelta) -> Shot | None:
        """The frame to show, among those captured within `patience` of the newest: the newest with all models' results.

        If there is none, the newest with any result, else the newest frame. A result of a frame that its model left out
        because it was behind says nothing about the picture, so it counts only where there is no other.

        The picture never goes back: a frame that was shown stays until one that came after it is to be shown.
        """
        best = self._best(models, patience)
        if best is None or not self._is_before_the_shown(best):
            self._shown = best
        return self._shown

    def _best(self, models: Iterable[str], patience: timedelta) -> Shot | None:
        if not self._shots:
            return None
        newest = self._shots[-1]
        wanted = set(models)
        # A frame from before the clock was set back is not recent, although its time is later.
        recent = [
            shot for shot in reversed(self._shots) if abs(newest.frame.captured_at - shot.frame.captured_at) <= patience
        ]
        complete = (shot for shot in recent if wanted <= shot.inferred)
        partial = (shot for shot in recent if shot.inferred)
        answered = (shot for shot in recent if shot.results)
        return next(complete, None) or next(partial, None) or next(answered, None) or newest

    def _is_before_the_shown(self, best: Shot) -> bool:
        shown = self._shown
        if shown is None or self.shot(shown.frame.sequence) is not shown:
            return False
        first = next(shot for shot in self._shots if shot is best or shot is shown)
        return first is not shown

    def _position(self, sequence: int) -> int:
        """The place of a new frame: the end, or before the frames of its run that have overtaken it."""
        at = len(self._shots)
        while at > 0 and 0 < self._shots[at - 1].frame.sequence - sequence <= self._max_frames:
            at -= 1
        return at


class Rate:
    """Events per second over the last `RATE_SECONDS`."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        """Events by second."""

    def count(self, now: float) -> None:
        """Count one event."""
        second = int(now)
        if second not in self._counts:
            self._counts = Counter({at: count for at, count in self._counts.items() if at >= second - RATE_SECONDS})
        self._counts[second] += 1

    def per_second(self, now: float) -> float:
        """The rate over whole seconds, so without the current one."""
        second = int(now)
        since = second - RATE_SECONDS
        return sum(count for at, count in self._counts.items() if since <= at < second) / RATE_SECONDS


@dataclass
class _Tile:
    ring: Ring
    frames: Rate = field(default_factory=Rate)
    results: Rate = field(default_factory=Rate)
    shown: tuple[Any, ...] = ()
    version: int = 0


class Wall:
    """All cameras. A tile has the time at which it was seen to have changed, so that a browser fetches only changes.

    The stack names its cameras. Others join when they appear, up to MAX_UNKNOWN; what comes from more is only counted.
    """

    def __init__(self, cameras: Iterable[str], models: Iterable[str], *, patience: timedelta, ring_bytes: int) -> None:
        self._models = tuple(models)
        self._patience = patience
        known = set(cameras)
        self._unknown_bytes = ring_bytes // UNKNOWN_SHARE
        known_bytes = (ring_bytes - self._unknown_bytes) // max(len(known), 1)
        self._tiles = {name: _Tile(Ring(RING_FRAMES, known_bytes)) for name in known}
        self._unknown: list[Ring] = []
        self._refused = 0
        self._refused_camera: str | None = None
        """The camera of the last record that was only counted."""
        self._lock = threading.Lock()
        # Versions are times of this machine's clock, so tokens of another process must not be accepted. Numbers that
        # count changes would tell everybody how much happens at cameras that are not theirs.
        self._epoch = f"{time.time_ns():x}"
        self._version = 0
        self._delays = {model: Delay() for model in self._models}

    def add_frame(self, frame: Frame, now: float) -> bool:
        """A frame came from Kafka at `now` (`time.monotonic`). Returns whether the wall shows its camera."""
        with self._lock:
            tile = self._tile_of_record(frame.camera)
            if tile is None:
                return False
            for delay in self._delays.values():
                delay.frame(now, frame.camera)
            tile.frames.count(now)
            tile.ring.add_frame(frame)
            return True

    def add_result(self, result: Result, now: float, written_at: datetime) -> bool:
        """A result came from Kafka at `now` (`time.monotonic`), where it was written at `written_at`.

        Returns whether the wall shows its camera.
        """
        with self._lock:
            tile = self._tile_of_record(result.camera)
            if tile is None:
                return False
            if result.model in self._delays:
                delay = (written_at - result.captured_at).total_seconds()
                self._delays[result.model].result(now, delay, result.camera)
            tile.results.count(now)
            tile.ring.add_result(result)
            return True

    def cameras(self) -> list[str]:
        """All camera names, sorted."""
        with self._lock:
            return sorted(self._tiles)

    def jpeg(self, camera: str, sequence: int) -> bytes | None:
        """A recent frame's JPEG, or None if it is not kept."""
        with self._lock:
            tile = self._tiles.get(camera)
            shot = tile.ring.shot(sequence) if tile else None
        return shot.frame.jpeg if shot else None

    def changes(self, since: str | None, states: dict[str, dict[str, Any]], sees: Sees) -> dict[str, Any]:
        """The new token and the JSON of each camera that changed since the token `since`; all cameras without one.

        Only cameras that are seen are looked at.

        `states` are the cameras' states from their producers.
        """
        with self._lock:
            seen_version = self._version_of(since)
            self._version = max(self._version + 1, time.monotonic_ns())
            changed = []
            for name in sorted(filter(sees, self._tiles.keys() | states.keys())):
                tile = self._tile(name)
                if tile is None:
                    continue
                shot = tile.ring.frame_to_show(self._models, self._patience)
                state = states.get(name, {"state": "unknown", "error": None})
                shown = (shot and shot.frame.sequence, shot and tuple(shot.results), state["state"], state["error"])
                if shown != tile.shown:
                    tile.shown, tile.version = shown, self._version
                if tile.version > seen_version:
                    changed.append({"name": name, **state, "frame": _shot_json(shot) if shot else None})
            return {"token": f"{self._epoch}.{self._version}", "cameras": changed}

    def statistics(self, now: float, sees: Sees) -> dict[str, Any]:
        """The statistics above the wall at `now` (`time.monotonic`), of the cameras that are seen alone.

        `latency_seconds` is the delay of the model that is furthest behind; None before the first frame and result.
        `not_shown` has the number of records of cameras that are not on the wall, and the camera of the last of them.
        """
        with self._lock:
            tiles = [tile for name, tile in self._tiles.items() if sees(name)]
            delays = {model: delay.seconds(now, sees) for model, delay in self._delays.items()}
            behind = {model: None if late is None else round(late, 1) for model, late in delays.items()}
            return {
                "cameras": len(tiles),
                "models": list(self._models),
                "not_shown": {"records": self._refused, "camera": self._refused_camera},
                "frames_per_second": round(sum(tile.frames.per_second(now) for tile in tiles), 1),
                "results_per_second": round(sum(tile.results.per_second(now) for tile in tiles), 1),
                "behind_seconds": behind,
                "latency_seconds": max((late for late in behind.values() if late is not None), default=None),
            }

    def _tile(self, camera: str) -> _Tile | None:
        """The camera's tile, made if it is new; None if there are too many that the wall was not told of."""
        if camera not in self._tiles:
            if len(self._unknown) == MAX_UNKNOWN:
                return None
            ring = Ring(RING_FRAMES, 0)
            self._tiles[camera] = _Tile(ring)
            self._unknown.append(ring)
            for each in self._unknown:
                each.limit(self._unknown_bytes // len(self._unknown))
        return self._tiles[camera]

    def _tile_of_record(self, camera: str) -> _Tile | None:
        tile = self._tile(camera)
        if tile is None:
            self._refused += 1
            self._refused_camera = camera
        return tile

    def _version_of(self, token: str | None) -> int:
        epoch, _, version = (token or "").partition(".")
        return int(version) if epoch == self._epoch and version.isdecimal() else -1


def _shot_json(shot: Shot) -> dict[str, Any]:
    frame = shot.frame
    return {
        "sequence": frame.sequence,
        "captured_at": format_timestamp(frame.captured_at),
        "width": frame.width,
        "height": frame.height,
        "image": f"/api/cameras/{frame.camera}/frames/{frame.sequence}.jpg",
        "results": [
            {
                "model": result.model,
                "model_version": result.model_version,
                "inference": inference_json(result),
                "detections": [found.document for found in result.detections],
            }
            for _, result in sorted(shot.results.items())
        ],
    }
