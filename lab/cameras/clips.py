"""The cameras' clips, each encoded once from the footage, so that the server can repeat it without encoding.

As H.264 for RTSP, and the cameras' frames as JPEGs for MJPEG over HTTP.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from lab.cameras import Crop, footage
from lab.cameras.runs import PREFIX, RUNS, Run
from lab.config import CACHE
from lab.progress import Step, step
from lab.shell import run

FRAMES_PER_SECOND: Final = 5
"""Frames per second of a camera's stream, as Frigate recommends for a stream that a detector reads."""
RUN_FRAMES_PER_SECOND: Final = 0.5
"""Frames per second of a labelled run's stream: slow enough that no frame is skipped."""

_WIDEST: Final = 640
_ENCODE_SECONDS = 120


@dataclass(frozen=True)
class Clip:
    """The frames that a camera repeats: every `step`th of `count` frames of `source`, from number `first` (from 0) on.

    They are cropped, then mirrored, then scaled down to a width of at most `widest` pixels (None: not scaled).
    """

    camera: str
    source: str
    first: int
    count: int
    step: int
    rate: float
    key_interval: int
    crop: Crop | None
    mirrored: bool
    widest: int | None


@dataclass(frozen=True)
class _View:
    """A part of a video's picture, with one camera for each of `times` (first frame, count)."""

    name: str
    source: str
    times: tuple[tuple[int, int], ...]
    step: int
    crop: Crop | None = None
    mirrored: bool = False

    def clips(self) -> list[Clip]:
        return [
            Clip(
                camera=f"{self.name}-{number}" if len(self.times) > 1 else self.name,
                source=self.source,
                first=first,
                count=count,
                step=self.step,
                rate=FRAMES_PER_SECOND,
                key_interval=FRAMES_PER_SECOND,
                crop=self.crop,
                mirrored=self.mirrored,
                widest=_WIDEST,
            )
            for number, (first, count) in enumerate(self.times, start=1)
        ]


# 79 s at 10 frames/s, in three parts; people walk in each of them.
_VTEST = ("vtest.avi", ((0, 260), (265, 260), (530, 260)), 2)
# 10 s at 25 frames/s, with several shots; each camera shows one shot.
_CYCLIST, _STREET, _STAND = (("bikes.mp4", (shot,), 5) for shot in ((77, 60), (137, 50), (187, 55)))
_VIEWS = (
    _View("plaza", *_VTEST),
    _View("forecourt", *_VTEST, crop=(128, 48, 640, 480), mirrored=True),
    _View("crossing", *_VTEST, crop=(192, 96, 480, 270)),
    _View("road", *_VTEST, crop=(384, 0, 384, 288)),
    _View("car-park", *_VTEST, crop=(288, 0, 480, 320), mirrored=True),
    _View("path", *_VTEST, crop=(0, 96, 400, 300)),
    _View("gate", *_VTEST, crop=(368, 120, 400, 300), mirrored=True),
    _View("lawn", *_VTEST, crop=(232, 144, 512, 384)),
    _View("junction", *_CYCLIST),
    _View("street-east", *_STREET),
    _View("street-west", *_STREET, mirrored=True),
    _View("cycle-stand", *_STAND),
)


def _run_clip(of: Run) -> Clip:
    return Clip(
        camera=f"{PREFIX}{of.name}",
        source=of.source,
        first=of.first,
        count=of.count,
        step=1,
        rate=RUN_FRAMES_PER_SECOND,
        key_interval=1,
        crop=of.crop,
        mirrored=False,
        widest=None,
    )


CAMERAS: Final = tuple(clip for view in _VIEWS for clip in view.clips())
"""Clips of real video, for a stack's cameras."""
CLIPS: Final = (*CAMERAS, *map(_run_clip, RUNS))
"""All clips that are served."""

_ENCODING = (
    # Producers decode a key frame per second of every camera. Those of the fastest preset, without CABAC, decode in a
    # third of the time, at the same size and PSNR.
    *("-an", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-crf", "28"),
    # No B-frames, so that frames are sent in the order in which they are shown.
    *("-bf", "0"),
    # The server finds frames by their delimiters, and the rate in the parameter sets, which every key frame repeats.
    *("-x264-params", "aud=1:repeat-headers=1:scenecut=0:force-cfr=1", "-f", "h264"),
)
# JPEGs as large as those that a producer makes of the same pictures at its usual quality, 80.
_PICTURES = ("-an", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "4", "-f", "mjpeg")


def ensure() -> Path:
    """The folder of the cameras' `.h264` files. Raises LabError if the footage cannot be downloaded."""
    folder = CACHE / "cameras" / f"clips-{_recipe_hash()}"
    if not folder.is_dir():
        source = footage.ensure()
        with step("encoding the cameras' clips") as shown:
            _make(CLIPS, lambda clip, made: encode(clip, source, made / f"{clip.camera}.h264"), folder, shown)
    return folder


def ensure_pictures() -> Path:
    """The folder of the cameras' JPEGs, a file `<camera>@<frames per second>.mjpeg` of each. Raises LabError."""
    folder = CACHE / "cameras" / f"pictures-{_pictures_hash()}"
    if not folder.is_dir():
        source = footage.ensure()
        with step("encoding the cameras' pictures") as shown:
            _make(CAMERAS, lambda clip, made: encode_pictures(clip, source, made / pictures_file(clip)), folder, shown)
    return folder


def pictures_file(clip: Clip) -> str:
    """The name of the file with the clip's JPEGs."""
    return f"{clip.camera}@{clip.rate:g}.mjpeg"


def filters(clip: Clip) -> str:
    """FFmpeg's filter chain that makes the clip's frames from its source, with timestamps at the clip's rate."""
    chain = [f"trim=start_frame={clip.first}:end_frame={clip.first + clip.count}"]
    if clip.step > 1:
        chain.append(f"select='not(mod(n,{clip.step}))'")
    chain.append(f"setpts=N/({clip.rate}*TB)")
    if clip.crop is not None:
        left, top, width, height = clip.crop
        chain.append(f"crop={width}:{height}:{left}:{top}")
    if clip.mirrored:
        chain.append("hflip")
    if clip.widest is not None:
        chain.append(f"scale=w='min({clip.widest},iw)':h=-2")
    return ",".join(chain)


def encode(clip: Clip, source: Path, target: Path) -> None:
    """Write the clip as an H.264 elementary stream. Raises LabError with FFmpeg's error."""
    _ffmpeg(clip, source, ("-g", str(clip.key_interval), *_ENCODING), target)


def encode_pictures(clip: Clip, source: Path, target: Path) -> None:
    """Write the clip's frames as JPEGs, one after another. Raises LabError with FFmpeg's error."""
    _ffmpeg(clip, source, _PICTURES, target)


def _ffmpeg(clip: Clip, source: Path, encoding: tuple[str, ...], target: Path) -> None:
    # One thread, because the lab's programs are compiled at the same time.
    command = ("ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", str(source / clip.source))
    output = ("-r", str(clip.rate), "-threads", "1", *encoding, str(target))
    run((*command, "-vf", filters(clip), *output), timeout=_ENCODE_SECONDS)


def _make(made: Sequence[Clip], write: Callable[[Clip, Path], None], folder: Path, shown: Step) -> None:
    """Make the folder with each clip's file, whole or not at all; `write` gets the clip and where to write."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clips-", dir=folder.parent) as work:
        ready = Path(work) / "ready"
        ready.mkdir()
        for number, clip in enumerate(made):
            shown.now(clip.camera, done=number, total=len(made))
            write(clip, ready)
        ready.rename(folder)


def _recipe_hash() -> str:
    return _hash(_ENCODING, CLIPS)


def _pictures_hash() -> str:
    return _hash(_PICTURES, CAMERAS)


def _hash(encoding: tuple[str, ...], made: Sequence[Clip]) -> str:
    recipe = repr((sorted(footage.CHECKSUMS.items()), encoding, [(astuple(clip), filters(clip)) for clip in made]))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]
