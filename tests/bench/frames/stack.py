"""The measured stack: the dev stack with 40 MJPEG cameras of the lab's server, at a rate, with other settings."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml

from lab.cameras.clips import CAMERAS
from lab.config import CAMERAS_ADDRESS, CAMERAS_HTTP_PORT

AT_REST = 0.8
"""Frames/s of all cameras together at rest: 0.02 of each of 40."""
SPARE = 1.14
"""How many times the producers' rate the cameras send, so that each frame that is due finds a picture.

At 174 frames/s of 40 cameras that is 4.96 pictures a second, and the clips have 5: none comes twice.
"""
SLOWEST = 0.5
"""The least pictures a second of a camera: one that says nothing for 10 s is taken for dead."""
_LONGEST_PATH = 250

Fragment = Mapping[str, Any] | list[Any]


def measured(
    rate: float, models: Fragment, settings: Fragment, *, moving: float = 1.0
) -> Callable[[dict[str, Any]], None]:
    """An edit of a stack's configuration: its cameras show the lab's clips, with this many frames/s all together.

    `models` is merged into `argus:models`, `settings` into all sections (with or without `argus:`). Something moves
    before this share of the cameras, spread over all of them; the others show their clip's first picture alone.
    """

    def edit(config: dict[str, Any]) -> None:
        each = rate / len(config["argus:cameras"])
        config["argus:producers"]["framesPerSecond"] = round(each, 4)
        url = f"http://{CAMERAS_ADDRESS}:{CAMERAS_HTTP_PORT}/mjpeg"
        for number, (camera, clip) in enumerate(zip(config["argus:cameras"], cycle(CAMERAS), strict=False)):
            still = "" if _is_chosen(number, moving) else "&still=true"
            camera["url"] = f"{url}/{clip.camera}?fps={max(each * SPARE, SLOWEST):.4f}{still}"
        config["argus:models"] = merged(config["argus:models"], models)
        for name, fragment in dict(settings).items():
            key = name if name.startswith("argus:") else f"argus:{name}"
            config[key] = merged(config.get(key, {}), fragment)

    return edit


def merged(base: Any, fragment: Any) -> Any:
    """The base with the fragment laid over it: mappings key by key, null removes one, lists of named things by name."""
    if isinstance(base, list) and isinstance(fragment, Mapping):
        fragment = [{"name": name, **(values or {})} for name, values in fragment.items()]
    if _named(base) and _named(fragment):
        over = {each["name"]: each for each in fragment}
        known = {each["name"] for each in base}
        changed = [merged(each, over.get(each["name"], {})) for each in base]
        return [*changed, *(each for name, each in over.items() if name not in known)]
    if isinstance(base, Mapping) and isinstance(fragment, Mapping):
        both = {**base, **{key: merged(base.get(key), value) for key, value in fragment.items()}}
        return {key: value for key, value in both.items() if fragment.get(key, value) is not None}
    return fragment


def fragment(said: str) -> Fragment:
    """A fragment of YAML or JSON, or of the file of that name. Raises ArgumentTypeError if it is neither."""
    if not said.strip():
        return {}
    # What has several lines or is long is no name of a file.
    is_file = len(said) < _LONGEST_PATH and Path(said).is_file()
    try:
        found = yaml.safe_load(Path(said).read_text(encoding="utf-8") if is_file else said)
    except yaml.YAMLError as malformed:
        raise ArgumentTypeError(f"no YAML: {malformed}") from malformed
    if not isinstance(found, dict | list):
        raise ArgumentTypeError(f"{said!r} is no mapping and no list, and no file is called that")
    return found


def _is_chosen(number: int, share: float) -> bool:
    """Whether the thing of this number, from 0, is among this share of all, spread evenly."""
    # Rounded, because 0.3 * 10 is a little less than 3.
    return int(round((number + 1) * share, 9)) > int(round(number * share, 9))


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) and "name" in each for each in value)
