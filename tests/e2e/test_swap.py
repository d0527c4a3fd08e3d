"""A model's weights are replaced while cameras run: each frame has one result, and weights that fail change nothing.

The scenes' weights are measured here too, because only they are trained on rendered cameras, whose truth is exact.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from apps.messages import parse_timestamp
from apps.scenes import LABELS, all_actors
from tests.e2e.accounting import Audit, versions_in_order
from tests.e2e.cluster import ClusterClient
from tests.e2e.conftest import Stack
from tests.e2e.machines import stack_with
from tests.e2e.test_frames import CAMERAS
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until
from tests.scoring import Real, Scores, everything_kept, found_in, together

MODEL = "objects"
DRIVER = f"app.kubernetes.io/name=model-{MODEL},app.kubernetes.io/component=driver"
RENDERED = frozenset(name for name, url in CAMERAS.items() if url.startswith("synthetic://"))
FRAMES = 200
"""Frames of rendered cameras on which the scenes' weights are measured."""

SWAPPED_LIMIT_S, FRAMES_LIMIT_S = 300, 600
LEAST = 0.9


@pytest.mark.full
def test_new_weights_go_on_where_the_old_ones_stopped(
    stack: Stack, tmp_path: Path, artifacts: Path, timings: Timings
) -> None:
    audit = Audit.open(stack.cluster)
    (default,) = _versions(stack.cluster, audit)
    try:
        swap_s = _swap(stack, audit, {default}, _with(tmp_path, weights="scenes"))
        (scenes,) = _versions(stack.cluster, audit) - {default}
        found = _measured(stack.cluster, audit, scenes)
    finally:
        stack.up()
    wait_until("every camera's results by the old weights again", _only(stack.cluster, audit, default), SWAPPED_LIMIT_S)
    whole = audit.close()
    results = list(_results(stack.cluster, audit))
    wrong = {
        camera: order for camera, order in versions_in_order(results).items() if order != [default, scenes, default]
    }
    assert not wrong, f"cameras whose frames are not by the old, then the new, then the old weights: {wrong}"
    print(f"from the last result of the one to the first of the other, there and back: {_gaps(results)} s")
    timings.took("new weights for a running model: every camera's results are by them", swap_s, whole)
    figures = together(found.of({label}, everything_kept) for label in LABELS)
    line = f"the scenes' weights on {len(found.pictures)} rendered frames: {figures}"
    print(line)
    (artifacts / "accuracy-rendered.txt").write_text(line + "\n")
    assert figures.precision >= LEAST, line
    assert figures.recall >= LEAST, line


@pytest.mark.full
def test_weights_that_fail_leave_the_old_ones_at_work(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    """The image has no plugin for the device: a preview cannot know that, and the model does not load."""
    before = _drivers(stack.cluster)
    assert len(before) == 1, before
    audit = Audit.open(stack.cluster)
    (version,) = _versions(stack.cluster, audit)
    began = time.monotonic()
    try:
        with pytest.raises(AssertionError, match=f"model {MODEL} does not run: .*GPU"):
            stack.up(_with(tmp_path, device="GPU"))
        failed_s = time.monotonic() - began
        assert before.items() <= _drivers(stack.cluster).items(), "the old driver was touched"
        whole = audit.close()
        assert {tuple(order) for order in versions_in_order(_results(stack.cluster, audit)).values()} == {(version,)}
    finally:
        stack.up()
    timings.took("new weights that fail: pulumi up says so", failed_s, whole)

    def alone() -> str | None:
        found = _drivers(stack.cluster)
        return None if found == before else f"drivers {found}"

    # The restored configuration is that of the old pod, which has never stopped.
    wait_until("the old driver alone", alone, limit_s=SWAPPED_LIMIT_S)


def _with(folder: Path, **settings: str) -> Path:
    """A copy of the stack's file with the model changed."""

    def edit(config: dict[str, Any]) -> None:
        (model,) = (each for each in config["argus:models"] if each["name"] == MODEL)
        model.update(settings)

    return stack_with(folder, edit)


def _swap(stack: Stack, audit: Audit, before: set[str], config: Path) -> float:
    """The seconds from `pulumi up` until every camera's newest result is by a new version."""
    began = time.monotonic()
    stack.up(config)

    def swapped() -> str | None:
        newest = {camera: order[-1] for camera, order in versions_in_order(_results(stack.cluster, audit)).items()}
        late = sorted(camera for camera in audit.start if newest.get(camera) is None or newest[camera] in before)
        return f"{len(late)} cameras as before, as {late[:5]}" if late else None

    wait_until("every camera's results by the new weights", swapped, limit_s=SWAPPED_LIMIT_S, pause_s=1)
    return time.monotonic() - began


def _only(cluster: ClusterClient, audit: Audit, version: str) -> Callable[[], str | None]:
    def check() -> str | None:
        orders = versions_in_order(_results(cluster, audit))
        other = sorted(camera for camera, order in orders.items() if order[-1] != version)
        return f"{len(other)} cameras by other weights, as {other[:5]}" if other else None

    return check


def _results(cluster: ClusterClient, audit: Audit) -> Iterator[dict[str, Any]]:
    """The model's results for all frames since the audit's start."""
    since = {name: camera.last or 0 for name, camera in audit.start.items()}
    last = max(camera.last or 0 for camera in cluster.cameras().values())
    for document in cluster.results(MODEL, min(since.values()), last):
        if document["frame"]["sequence"] > since.get(document["camera"]["name"], last):
            yield document


def _versions(cluster: ClusterClient, audit: Audit) -> set[str]:
    """The versions in the results since the audit's start; waits for the first result."""
    found: set[str] = set()

    def any_result() -> str | None:
        found.update(document["model"]["version"] for document in _results(cluster, audit))
        return None if found else "no result"

    wait_until("a result that says its version", any_result, limit_s=SWAPPED_LIMIT_S)
    return found


def _measured(cluster: ClusterClient, audit: Audit, version: str) -> Scores:
    """The version's scores on rendered frames."""
    rendered: list[dict[str, Any]] = []

    def enough() -> str | None:
        rendered[:] = (
            document
            for document in _results(cluster, audit)
            if document["model"]["version"] == version and document["camera"]["name"] in RENDERED
        )
        seen = Counter(document["camera"]["name"] for document in rendered)
        return None if len(rendered) >= FRAMES else f"{len(rendered)} of {FRAMES} frames of {len(seen)} cameras"

    wait_until(f"{FRAMES} rendered frames", enough, limit_s=FRAMES_LIMIT_S, pause_s=5)
    scores = Scores()
    for document in rendered:
        frame = document["frame"]
        shown = all_actors(document["camera"]["name"], frame["sequence"], frame["width"], frame["height"])
        scores.add(found_in(document), [Real(label=one.label, box=one.box, counts=one.counts) for one in shown])
    return scores


def _gaps(results: list[dict[str, Any]]) -> list[float]:
    """The seconds between the last result of one version and the first of the next, for each change."""
    done = sorted((_created(document), document["model"]["version"]) for document in results)
    return [round((after - before).total_seconds(), 1) for (before, old), (after, new) in pairwise(done) if old != new]


def _created(document: dict[str, Any]) -> datetime:
    return parse_timestamp(document["event"]["created"])


def _drivers(cluster: ClusterClient) -> dict[str, int]:
    """The model's drivers that are not being deleted, with the restarts of their containers."""
    return {
        pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))
        for pod in cluster.pods(DRIVER)
        if "deletionTimestamp" not in pod["metadata"]
    }
