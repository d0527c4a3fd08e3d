"""What `pulumi up` changes: nothing if nothing changed, one producer if one camera changed."""

import json
from pathlib import Path

import pytest
import yaml

from lab.config import STACK_FILE, STATE
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.waiting import wait_until


@pytest.fixture
def edited_stack_file(stack: Stack, tmp_path: Path) -> Path:
    """A copy of the running stack's file with another clip for one camera."""
    config = yaml.safe_load((STATE / STACK_FILE.name).read_text())
    (camera,) = (entry for entry in config["config"]["argus:cameras"] if entry["name"] == "road-1")
    camera["url"] = camera["url"].replace("road-1", "road-2")
    edited = tmp_path / "Pulumi.dev.yaml"
    edited.write_text(yaml.safe_dump(config))
    return edited


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    stack.up(expect_no_changes=True)


def test_one_changed_camera_restarts_only_its_producer(stack: Stack, edited_stack_file: Path) -> None:
    before = _pods(stack)
    try:
        stack.up(edited_stack_file)
        after = _pods(stack)
        gone, new = before.keys() - after.keys(), after.keys() - before.keys()
        assert len(new) == 1, f"new pods: {sorted(new)}, gone: {sorted(gone)}"
        (pod,) = new
        assert pod.startswith("producer-"), pod
        assert {_owner(name) for name in gone} == {_owner(pod)}
        shown = {camera["name"]: camera["url"] for camera in stack.cluster.pod_get(pod, "/cameras")["cameras"]}
        assert shown["road-1"].endswith("/road-2")
    finally:
        stack.up()

    def streams() -> str | None:
        camera = stack.cluster.cameras().get("road-1")
        return None if camera and camera.state == "streaming" else f"road-1 is {camera}"

    wait_until("the camera streams again", streams, limit_s=120)


def test_preview_needs_no_cluster(stack: Stack) -> None:
    steps = json.loads(run_lab("pulumi", "--", "preview", "--json"))["changeSummary"]
    assert set(steps) == {"same"}, steps


def _pods(stack: Stack) -> dict[str, str]:
    """The pods of the pipeline's workloads by name, without finished jobs."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in stack.cluster.pods()
        if pod["status"]["phase"] != "Succeeded" and "deletionTimestamp" not in pod["metadata"]
    }


def _owner(pod: str) -> str:
    return pod.rsplit("-", 2)[0]
