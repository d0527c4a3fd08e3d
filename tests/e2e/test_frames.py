"""Every frame of a window is in Elasticsearch for each model and on disk: none lost, none twice."""

from collections import Counter

import pytest
import yaml

from apps.messages import result_id
from tests.e2e.accounting import MODELS, Frame
from tests.e2e.cluster import CameraState
from tests.e2e.conftest import ROOT, Stack
from tests.e2e.waiting import wait_until

FRAMES = 400
CONFIG = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
CAMERAS = {camera["name"]: camera["url"] for camera in CONFIG["argus:cameras"]}


@pytest.fixture(scope="module")
def window(stack: Stack) -> set[Frame]:
    """At least FRAMES frames of all cameras that the producers know to be in Kafka."""

    def all_streaming() -> str | None:
        cameras = stack.cluster.cameras()
        missing = sorted(CAMERAS.keys() - cameras.keys())
        idle = {
            name: camera.error for name, camera in cameras.items() if camera.state != "streaming" or not camera.last
        }
        return None if not missing and not idle else f"cameras missing: {missing}, not streaming: {idle}"

    wait_until("every camera streams", all_streaming, limit_s=180)
    start = stack.cluster.cameras()
    end: dict[str, CameraState] = {}

    def enough() -> str | None:
        end.update(stack.cluster.cameras())
        count = sum(_last(end[name]) - _last(start[name]) for name in start)
        still = sorted(name for name in start if _last(end[name]) == _last(start[name]))
        return None if count >= FRAMES and not still else f"{count} of {FRAMES} frames; no new frame from {still}"

    wait_until(f"{FRAMES} new frames", enough, limit_s=300)
    for name, camera in start.items():
        assert end[name].first == camera.first, f"the producer of {name} was restarted during the test"
    return {
        (name, sequence)
        for name in start
        for sequence in range(_last(start[name]) + 1, _last(end[name]) + 1)
        if sequence not in end[name].failed
    }


def test_every_frame_is_searchable_once(stack: Stack, window: set[Frame]) -> None:
    for model in MODELS:
        expected = {result_id(camera, sequence, model) for camera, sequence in window}

        def searchable(model: str = model, expected: set[str] = expected) -> str | None:
            missing = expected - set(_result_ids(stack, model, window))
            return None if not missing else f"{len(missing)} of {len(expected)} missing, as {sorted(missing)[:5]}"

        wait_until(f"the results of {model}", searchable, limit_s=300, pause_s=5)
        found = Counter(identity for identity in _result_ids(stack, model, window) if identity in expected)
        assert set(found) == expected
        assert [identity for identity, count in found.items() if count > 1] == []
        print(f"{model}: {len(expected)} frames, {len(found)} results, none missing, none twice")


def test_every_frame_is_on_disk_once(stack: Stack, window: set[Frame]) -> None:
    expected = {
        f"{camera}/{sequence}{suffix}"
        for camera, sequence in window
        for suffix in (".jpg", *(f".{model}.json" for model in MODELS))
    }
    saved: Counter[str] = Counter()

    def complete() -> str | None:
        saved.clear()
        for path in stack.cluster.saved_files(CAMERAS):
            camera, _, file = path.split("/")
            saved[f"{camera}/{file}"] += 1
        missing = expected - saved.keys()
        return None if not missing else f"{len(missing)} of {len(expected)} files missing, as {sorted(missing)[:5]}"

    wait_until("every frame and result on disk", complete, limit_s=240, pause_s=5)
    twice = [file for file in expected if saved[file] > 1]
    assert not twice, f"{len(twice)} files are kept twice, as {sorted(twice)[:5]}"
    print(f"disk: {len(expected)} files of {len(window)} frames, none missing, none twice")


def _last(camera: CameraState) -> int:
    assert camera.last is not None, f"camera {camera.name} has delivered nothing"
    return camera.last


def _result_ids(stack: Stack, model: str, window: set[Frame]) -> list[str]:
    first, last = min(sequence for _, sequence in window), max(sequence for _, sequence in window)
    return [document["event"]["id"] for document in stack.cluster.results(model, first, last)]
