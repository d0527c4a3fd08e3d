"""The measured stack is the dev stack with the lab's MJPEG cameras, and without mistake."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from components.config import load_values
from lab.cameras.clips import CAMERAS
from tests.bench import stacks
from tests.bench.frames.stack import fragment, measured, merged
from tests.unknown_key import UNKNOWN_KEY


@pytest.mark.parametrize("rate", [0.8, 40, 174])
def test_every_camera_shows_a_clip_at_a_rate_that_leaves_no_due_frame_without_picture(
    rate: float, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    config = stacks.with_key(stacks.committed("dev"), key)
    names = [camera["name"] for camera in config["argus:cameras"]]
    measured(rate, {"objects": {"size": "sharp"}}, {"kafka": {"partitions": 48}})(config)
    settings = load_values({name.removeprefix("argus:"): value for name, value in config.items()})
    assert [camera.name for camera in settings.cameras] == names
    assert sum(camera.frames_per_second or 0 for camera in settings.filled_cameras) == pytest.approx(rate, rel=0.001)
    clips = {camera.camera: camera.rate for camera in CAMERAS}
    for camera in settings.filled_cameras:
        path, _, fps = camera.url.removeprefix("http://10.77.0.31:8080/mjpeg/").partition("?fps=")
        assert camera.frames_per_second is not None
        assert camera.frames_per_second * 1.1 < float(fps) <= clips[path]
    assert [model.size for model in settings.models] == ["sharp", None]
    assert settings.kafka.partitions == 48


@pytest.mark.parametrize(("moving", "count"), [(1.0, 0), (0.3, 28), (0.6, 16), (0.0, 40)])
def test_a_share_of_the_cameras_stands_still_spread_over_all(moving: float, count: int) -> None:
    config = stacks.committed("dev")
    measured(40, {}, {}, moving=moving)(config)
    still = [camera["url"].endswith("&still=true") for camera in config["argus:cameras"]]
    assert (len(still), sum(still)) == (40, count)
    for first in range(0, 40, 10):
        assert sum(still[first : first + 10]) == count / 4


def test_a_fragment_is_laid_over_models_by_name() -> None:
    base = [{"name": "objects", "kind": "objects", "executors": {"maximum": 1}}, {"name": "motion", "kind": "motion"}]
    assert merged(base, {}) == base
    assert merged(base, {"objects": {"executors": {"minimum": 1}, "size": "fast"}}) == [
        {"name": "objects", "kind": "objects", "executors": {"maximum": 1, "minimum": 1}, "size": "fast"},
        base[1],
    ]
    assert merged(base, [{"name": "motion", "triggerSeconds": 0.5}])[1] == {**base[1], "triggerSeconds": 0.5}
    assert merged(base, {"faces": {"kind": "python"}})[2] == {"name": "faces", "kind": "python"}
    assert merged({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": [3]}}) == {"b": {"c": 2, "d": [3]}}


def test_a_fragment_is_yaml_json_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("objects: {size: fast}\n")
    for said in (str(file), "objects: {size: fast}", '{"objects": {"size": "fast"}}', "objects:\n  size: fast\n"):
        assert fragment(said) == {"objects": {"size": "fast"}}
    assert fragment(" ") == {}
    for said in ("no file", "{", "3"):
        with pytest.raises(ArgumentTypeError):
            fragment(said)
