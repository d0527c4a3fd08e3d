"""The identity of frames and results, and their paths on disk.

A frame's identity is `camera` + `sequence`, a result's is frame + model. The sequence counts up by one within a run of
a producer and starts each run at `first_sequence`, so it increases over restarts without stored state, and a gap within
a run is a lost frame.
"""

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from apps.messages.names import NAME_PATTERN

SEQUENCE_SHIFT = 20
"""A run must average more than 2**20 frames per second to reach a later run's numbers."""

MAX_SEQUENCE = 2**63
"""All sequences are smaller."""

HOUR_PATTERN = r"\d{4}-\d{2}-\d{2}T\d{2}"
HOUR = re.compile(HOUR_PATTERN)
FILE = re.compile(rf"\d{{1,20}}(\.jpg|\.{NAME_PATTERN}\.json)")
"""Match the names from `hour_of`, and the file names of `frame_path` and `result_path`."""


def first_sequence(started: datetime) -> int:
    """The sequence of a run's first frame: whole epoch seconds shifted left by SEQUENCE_SHIFT (below 2**53)."""
    return int(started.timestamp()) << SEQUENCE_SHIFT


def result_id(camera: str, sequence: int, model: str) -> str:
    """The Kafka key, the Elasticsearch `_id` and the `event.id` of one result."""
    return f"{camera}/{sequence}/{model}"


def hour_of(captured_at: datetime) -> str:
    """The hour directory of a capture time, in UTC: `2026-11-23T22`."""
    return f"{captured_at.astimezone(UTC):%Y-%m-%dT%H}"


def frame_path(camera: str, captured_at: datetime, sequence: int) -> PurePosixPath:
    """A frame's path under the consumer's root: `camera/hour/sequence.jpg`."""
    return PurePosixPath(camera, hour_of(captured_at), f"{sequence}.jpg")


def result_path(camera: str, captured_at: datetime, sequence: int, model: str) -> PurePosixPath:
    """A result's path, beside its frame: `camera/hour/sequence.model.json`."""
    return PurePosixPath(camera, hour_of(captured_at), f"{sequence}.{model}.json")
