import dataclasses
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.cameras import clips, footage
from lab.cameras.clips import CAMERAS, CLIPS, Clip
from lab.cameras.runs import RUNS, Run
from lab.config import CAMERAS_ADDRESS, CAMERAS_PORT, STACK_FILE
from tests.unit.stacks import configuration

SIZES = {"vtest.avi": (768, 576), "bikes.mp4": (640, 272)}
FRAMES = {"vtest.avi": 795, "bikes.mp4": 250}
NARROWEST = 384


def pictures(file: Path) -> list[NDArray[np.int16]]:
    with av.open(str(file)) as video:
        return [frame.to_ndarray(format="gray").astype(np.int16) for frame in video.decode(video=0)]


def key_frames(file: Path) -> list[bool]:
    with av.open(str(file)) as video:
        return [packet.is_keyframe for packet in video.demux(video=0) if packet.size]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lossless video of 30 different frames."""
    folder = tmp_path_factory.mktemp("footage")
    pattern = ["-f", "lavfi", "-i", "testsrc2=size=192x144:rate=10:duration=3"]
    lossless = ["-pix_fmt", "yuv420p", "-c:v", "ffv1", str(folder / "pattern.mkv")]
    subprocess.run(["ffmpeg", "-v", "error", *pattern, *lossless], check=True, timeout=60)
    return folder


def clip(**changes: object) -> Clip:
    plain = Clip("pattern", "pattern.mkv", 4, 20, 2, rate=5, key_interval=5, crop=None, mirrored=False, widest=None)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_a_run_is_its_source_s_frames_in_order_each_a_key_frame(source: Path, tmp_path: Path) -> None:
    run = clips._run_clip(Run("odd", "pattern.mkv", first=7, count=9, crop=(32, 16, 128, 96)))
    assert run.camera == "run-odd"
    clips.encode(run, source, tmp_path / "run.h264")
    originals = [picture[16:112, 32:160] for picture in pictures(source / "pattern.mkv")]
    sent = pictures(tmp_path / "run.h264")
    nearest = [int(np.argmin([np.abs(picture - original).mean() for original in originals])) for picture in sent]
    assert nearest == list(range(7, 16))
    assert max(np.abs(picture - originals[number]).mean() for picture, number in zip(sent, nearest, strict=True)) < 3
    assert key_frames(tmp_path / "run.h264") == [True] * 9


def test_a_camera_s_clip_has_a_key_frame_a_second_and_every_second_frame(source: Path, tmp_path: Path) -> None:
    clips.encode(clip(mirrored=True), source, tmp_path / "camera.h264")
    originals = [picture[:, ::-1] for picture in pictures(source / "pattern.mkv")]
    sent = pictures(tmp_path / "camera.h264")
    nearest = [int(np.argmin([np.abs(picture - original).mean() for original in originals])) for picture in sent]
    assert nearest == list(range(4, 24, 2))
    assert key_frames(tmp_path / "camera.h264") == [number % 5 == 0 for number in range(10)]


def test_a_camera_s_pictures_are_the_frames_of_its_clip(source: Path, tmp_path: Path) -> None:
    clips.encode_pictures(clip(), source, tmp_path / "camera.mjpeg")
    assert (tmp_path / "camera.mjpeg").read_bytes().count(b"\xff\xd9\xff\xd8") == 9, "one JPEG after another"
    originals = pictures(source / "pattern.mkv")
    sent = pictures(tmp_path / "camera.mjpeg")
    nearest = [int(np.argmin([np.abs(picture - original).mean() for original in originals])) for picture in sent]
    assert nearest == list(range(4, 24, 2))


def test_all_cameras_pictures_are_made_once_each_named_with_its_rate(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(clips, "CACHE", tmp_path)
    monkeypatch.setattr(clips, "CAMERAS", (clip(camera="gate-1"), clip(camera="gate-2", rate=2.5)))
    monkeypatch.setattr(clips.footage, "ensure", lambda: source)
    folder = clips.ensure_pictures()
    assert sorted(path.name for path in folder.iterdir()) == ["gate-1@5.mjpeg", "gate-2@2.5.mjpeg"]
    written = (folder / "gate-1@5.mjpeg").stat().st_mtime_ns
    assert clips.ensure_pictures() == folder
    assert (folder / "gate-1@5.mjpeg").stat().st_mtime_ns == written
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("changes", "filters"),
    [
        ({}, "trim=start_frame=4:end_frame=24,select='not(mod(n,2))',setpts=N/(5*TB)"),
        ({"step": 1, "rate": 1}, "trim=start_frame=4:end_frame=24,setpts=N/(1*TB)"),
        (
            {"crop": (10, 20, 400, 300), "mirrored": True, "widest": 640, "step": 1},
            "trim=start_frame=4:end_frame=24,setpts=N/(5*TB),crop=400:300:10:20,hflip,scale=w='min(640,iw)':h=-2",
        ),
    ],
    ids=["every second frame", "every frame", "cropped, mirrored, small"],
)
def test_filters_say_what_a_clip_shows(changes: dict[str, object], filters: str) -> None:
    assert clips.filters(clip(**changes)) == filters


def test_clips_lie_within_the_footage() -> None:
    names = [each.camera for each in CLIPS]
    assert len(set(names)) == len(names)
    for each in CLIPS:
        assert each.source in footage.CHECKSUMS
        assert each.first >= 0
        assert each.first + each.count <= FRAMES[each.source], each.camera
        if each.crop is not None:
            left, top, width, height = each.crop
            assert not any(value % 2 for value in each.crop), each.camera
            assert left + width <= SIZES[each.source][0], each.camera
            assert top + height <= SIZES[each.source][1], each.camera


def test_cameras_are_many_unlike_each_other_and_no_narrower_than_a_detector_looks() -> None:
    assert len(CAMERAS) >= 28
    assert len({dataclasses.replace(each, camera="") for each in CAMERAS}) == len(CAMERAS)
    assert {each.source for each in CAMERAS} == set(footage.CHECKSUMS)
    assert any(each.mirrored for each in CAMERAS)
    assert all(each.crop is None or each.crop[2] >= NARROWEST for each in CAMERAS)


def test_every_run_has_a_camera() -> None:
    assert len({run.name for run in RUNS}) == len(RUNS)
    served = {each.camera for each in CLIPS} - {each.camera for each in CAMERAS}
    assert served == {f"run-{run.name}" for run in RUNS}


def test_a_changed_clip_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clips._recipe_hash()
    monkeypatch.setattr(clips, "CLIPS", (dataclasses.replace(CLIPS[0], first=1), *CLIPS[1:]))
    assert clips._recipe_hash() != before


def test_the_dev_stack_shows_each_camera_of_real_video_once() -> None:
    cameras = configuration(STACK_FILE)["argus:cameras"]
    shown = [(camera["name"], camera["url"]) for camera in cameras if camera["url"].startswith("rtsp:")]
    served = [(each.camera, f"rtsp://{CAMERAS_ADDRESS}:{CAMERAS_PORT}/{each.camera}") for each in CAMERAS]
    assert sorted(shown) == sorted(served)
