"""The identity of frames and results, and their paths on disk.

A frame's identity is `camera` + `sequence`, a result's is frame + model. The sequence counts up by one within a run of
a producer and starts each run at `first_sequence`, so it increases over restarts without stored state, and a gap within
a run is a lost frame. After a clock was set back, a later run may have lower numbers than an earlier one: only frames
of one run are in the order of their numbers.
"""

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from apps.messages.names import NAME_PATTERN

SEQUENCE_SHIFT = 20
"""A run must average more than 2**20 frames per second to reach a later run's numbers."""

RUN_NUMBERS = 2**SEQUENCE_SHIFT
"""Frames whose numbers are at least this far apart are of different runs, or more than a million frames apart."""

_LAST_SECOND = 2**33 - 1

MAX_SEQUENCE = 2**63
"""All sequences are smaller."""

HOUR_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}"
HOUR = re.compile(HOUR_PATTERN)
FILE = re.compile(rf"[0-9]{{1,20}}(\.jpg|\.{NAME_PATTERN}\.json)")
"""Match the names from `hour_of`, and the file names of `frame_path` and `result_path`."""

_HOUR_LENGTH = len("2026-11-23T22")


def check_sequence(sequence: int) -> int:
    """The same sequence. Raises ValueError if it is out of range."""
    if not 0 <= sequence < MAX_SEQUENCE:
        raise ValueError(f"the sequence is {_shortened(sequence)}, not between 0 and {MAX_SEQUENCE - 1}")
    return sequence


def _shortened(number: int) -> str:
    # A number of thousands of digits would fill the log.
    return str(number) if abs(number) < MAX_SEQUENCE**2 else f"a number of {number.bit_length()} bits"


def follows(sequence: int, other: int) -> bool:
    """Whether a frame that is read after another one follows it: it is no late frame of the same run."""
    return sequence > other or other - sequence >= RUN_NUMBERS


def first_sequence(started: datetime) -> int:
    """The sequence of a run's first frame: whole epoch seconds shifted left by SEQUENCE_SHIFT.

    However wrong the clock is, it is at least 0 and below 2**53, which JSON and JavaScript represent exactly.
    """
    return min(max(int(started.timestamp()), 0), _LAST_SECOND) << SEQUENCE_SHIFT


def result_id(camera: str, sequence: int, model: str) -> str:
    """The Kafka key, the Elasticsearch `_id` and the `event.id` of one result."""
    return f"{camera}/{sequence}/{model}"


def hour_of(captured_at: datetime) -> str:
    """The hour directory of a capture time, in UTC: `2026-11-23T22`."""
    return captured_at.astimezone(UTC).isoformat()[:_HOUR_LENGTH]


def frame_path(camera: str, captured_at: datetime, sequence: int) -> PurePosixPath:
    """A frame's path under the consumer's root: `camera/hour/sequence.jpg`."""
    return PurePosixPath(camera, hour_of(captured_at), f"{sequence}.jpg")


def result_path(camera: str, captured_at: datetime, sequence: int, model: str) -> PurePosixPath:
    """A result's path, beside its frame: `camera/hour/sequence.model.json`."""
    return PurePosixPath(camera, hour_of(captured_at), f"{sequence}.{model}.json")
