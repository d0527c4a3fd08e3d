"""Labelled real frames through the whole pipeline: the lab's cameras show them, Elasticsearch has the detections.

A result is matched to its labels by the stored picture, not by its time or sequence.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from apps.messages import frame_path, parse_timestamp
from lab.cameras import footage
from lab.config import CAMERAS_ADDRESS, CAMERAS_PORT
from tests.bench.accuracy_pictures import read_run
from tests.e2e.conftest import Stack
from tests.e2e.machines import stack_with
from tests.e2e.waiting import wait_until
from tests.labels import Run, runs
from tests.scoring import VEHICLES, Found, Real, Scores, everything_kept, found_in

MODEL, DEFAULT = "objects", "fast"
LIMIT_S = 300

Image = NDArray[np.uint8]
Document = dict[str, Any]


@pytest.fixture(scope="module")
def pictures() -> dict[str, list[Image]]:
    """The frames of each run, small and grey for the comparison."""
    folder = footage.ensure()
    return {run.name: [_small(image) for image in read_run(folder, run)] for run in runs()}


@pytest.mark.parametrize(("size", "least"), [("fast", 0.80), pytest.param("sharp", 0.85, marks=pytest.mark.full)])
def test_people_and_vehicles_are_found_on_real_frames(  # noqa: PLR0917
    stack: Stack, tmp_path: Path, artifacts: Path, pictures: dict[str, list[Image]], size: str, least: float
) -> None:
    def show_the_runs(config: dict) -> None:  # type: ignore[type-arg]
        url = f"rtsp://{CAMERAS_ADDRESS}:{CAMERAS_PORT}"
        config["argus:cameras"] = [{"name": f"run-{run.name}", "url": f"{url}/run-{run.name}"} for run in runs()]
        # The cameras send one frame every two seconds, so none is skipped.
        config["argus:producers"]["framesPerSecond"] = 1
        if size != DEFAULT:
            # The drivers stay unchanged for the default size.
            config["argus:models"][0].update(size=size)

    file = stack_with(tmp_path, show_the_runs)
    try:
        stack.up(file)
        scores = _scores_of_all_runs(stack, pictures)
    finally:
        stack.up()
    people, vehicles = scores.of({"person"}, everything_kept), scores.of(VEHICLES, everything_kept)
    line = f"{size}: {len(scores.pictures)} labelled frames, people {people}, vehicles {vehicles}"
    print(line)
    with (artifacts / "accuracy.txt").open("a") as report:
        report.write(line + "\n")
    assert people.recall >= least, line
    assert people.precision >= least, line
    assert vehicles.recall >= 0.70, line


def _scores_of_all_runs(stack: Stack, pictures: dict[str, list[Image]]) -> Scores:
    """The scores over all labelled frames, once all have results."""
    start = {f"run-{run.name}" for run in runs()}
    state = {}

    def streams() -> str | None:
        state.update({name: camera for name, camera in stack.cluster.cameras().items() if name in start})
        silent = sorted(name for name in start if name not in state or state[name].last is None)
        return None if not silent else f"no frame from {silent}"

    wait_until("every run is shown", streams, limit_s=LIMIT_S)
    first = min(camera.first for camera in state.values() if camera.first is not None)
    found: dict[str, dict[int, list[Found]]] = {run.name: {} for run in runs()}
    known: set[str] = set()

    def all_labelled_frames() -> str | None:
        for name, document, shown in _pictured(stack, _new(stack, first, found, known)):
            known.add(document["event"]["id"])
            found[name].setdefault(_nearest(shown, pictures[name]), found_in(document))
        missing = {run.name: run.count - len(found[run.name]) for run in runs() if len(found[run.name]) < run.count}
        return None if not missing else f"frames of the runs not yet seen: {missing}"

    wait_until("every labelled frame has its result", all_labelled_frames, limit_s=LIMIT_S, pause_s=5)
    scores = Scores()
    for run in runs():
        for place, detections in sorted(found[run.name].items()):
            scores.add(detections, list(_truth(run, run.first + place)))
    return scores


def _new(stack: Stack, first: int, found: Mapping[str, Mapping[int, Any]], known: Set[str]) -> list[Document]:
    """New results of incomplete runs; of each camera at most as many as a run has frames."""
    taken: Counter[str] = Counter()
    new = []
    for document in stack.cluster.results(MODEL, first, 1 << 52):
        name = _run_of(document)
        counts = {run.name: run.count for run in runs()}
        wanted = name in found and len(found[name]) < counts[name] and taken[name] < counts[name]
        if wanted and document["event"]["id"] not in known:
            taken[name] += 1
            new.append(document)
    return new


def _run_of(document: Document) -> str:
    name: str = document["camera"]["name"]
    return name.removeprefix("run-")


def _pictured(stack: Stack, documents: list[Document]) -> Iterator[tuple[str, Document, Image]]:
    """The results whose pictures are already served, each with its run and picture."""
    with stack.login.client() as page, ThreadPoolExecutor(8) as pool:

        def stored(document: Document) -> bytes | None:
            camera, sequence = document["camera"]["name"], document["frame"]["sequence"]
            path = frame_path(camera, parse_timestamp(document["@timestamp"]), sequence)
            answer = page.get(f"/api/frames/{path}")
            return answer.content if answer.is_success else None

        for document, jpeg in zip(documents, pool.map(stored, documents), strict=True):
            if jpeg is not None:
                image = cast(Image | None, cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
                assert image is not None, f"the stored image of {document['frame']} is no JPEG"
                yield _run_of(document), document, _small(image)


def _small(image: Image) -> Image:
    """The picture, small and grey, so that different encodings of it are alike."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cast(Image, cv2.resize(grey, (320, 240), interpolation=cv2.INTER_AREA))


def _nearest(shown: Image, frames: list[Image]) -> int:
    """The index of the frame that the picture shows."""
    away = [float(np.mean(np.abs(shown.astype(np.int16) - frame))) for frame in frames]
    best = int(np.argmin(away))
    assert away[best] < 12, f"a stored picture is none of its run's: {min(away):.1f} grey levels from the nearest"
    return best


def _truth(run: Run, number: int) -> Iterator[Real]:
    for label, box, counts in run.truth(number):
        scale = min(1.0, 640 / run.size[0])
        x1, y1, x2, y2 = (edge * scale for edge in box)
        yield Real(label=label, box=(x1, y1, x2, y2), counts=counts)
