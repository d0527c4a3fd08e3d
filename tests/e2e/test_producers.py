"""The number of producers changes: cameras move, and exactly one producer reads each at any time."""

import time
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from apps.messages import SEQUENCE_SHIFT
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack
from tests.e2e.machines import stack_with
from tests.e2e.timings import Timings

pytestmark = pytest.mark.full

GAP_LIMIT = timedelta(seconds=60)
"""Between two frames of a camera that moves, while all producers restart at once on two busy cores."""


@pytest.mark.parametrize("count", [5, 3])
def test_cameras_move_and_are_read_by_one_producer_at_a_time(
    stack: Stack, tmp_path: Path, timings: Timings, count: int
) -> None:
    cluster = stack.cluster
    file = stack_with(tmp_path, lambda config: config["argus:producers"].update(count=count))
    audit = Audit.open(cluster)
    first = min(camera.first or 0 for camera in audit.start.values())
    began = time.monotonic()
    try:
        stack.up(file)
        up_s = time.monotonic() - began
        frames = audit.close()
        last = max(camera.last or 0 for camera in cluster.cameras().values())
    finally:
        stack.up()
    read: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for document in cluster.results("motion", first, last):
        moment = datetime.fromisoformat(document["@timestamp"])
        read[document["camera"]["name"]].append((moment, document["frame"]["sequence"]))
    moved, longest = 0, timedelta(0)
    for camera, shots in read.items():
        shots.sort()
        runs = [sequence >> SEQUENCE_SHIFT for _, sequence in shots]
        assert runs == sorted(runs), f"{camera} was read by two producers at a time"
        if len(set(runs)) > 1:
            moved += 1
            longest = max(longest, *(after - before for (before, _), (after, _) in pairwise(shots)))
    assert moved, "no camera was restarted"
    assert longest < GAP_LIMIT, f"a camera was not read for {longest.total_seconds():.1f} s"
    gap = f"no camera was without a frame for more than {longest.total_seconds():.1f} s"
    timings.took(f"4 producers become {count}", up_s, f"{frames}; {gap}")
