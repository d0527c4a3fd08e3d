"""What an Ultralytics OpenVINO export says of itself (`metadata.yaml` beside the weights)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]


class ModelError(ValueError):
    """Weights that this job cannot run; the message says why and what would do."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """One detection model on disk. `width` and `height` are of its input, in pixels."""

    xml: Path
    version: str
    width: int
    height: int
    names: tuple[str, ...]


def read_export(folder: Path) -> Export:
    """The export in `folder`, checked without loading it. Raises ModelError."""
    networks = sorted(folder.glob("*.xml"))
    metadata = folder / "metadata.yaml"
    if len(networks) != 1 or not networks[0].with_suffix(".bin").is_file() or not metadata.is_file():
        raise ModelError(
            f"{folder} is no OpenVINO export: expected one .xml with its .bin and metadata.yaml, "
            "as `yolo export format=openvino` writes them"
        )
    try:
        said = yaml.safe_load(metadata.read_text())
        _check_task(folder, said)
        height, width = (int(side) for side in said["imgsz"])
        names = _names(said["names"])
    except ModelError:
        raise
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as malformed:
        raise ModelError(f"{metadata} is malformed: {type(malformed).__name__} {malformed}") from malformed
    return Export(xml=networks[0], version=weights_version(networks[0]), width=width, height=height, names=names)


def weights_version(xml: Path) -> str:
    """The model version that results carry: 12 hex digits of the SHA-256 of the weights."""
    return hashlib.sha256(xml.with_suffix(".bin").read_bytes()).hexdigest()[:12]


def _check_task(folder: Path, said: dict[str, Any]) -> None:
    task = said.get("task")
    if task != "detect":
        raise ModelError(f"the model in {folder} is of task {task!r}; a job of kind objects runs task 'detect'")


def _names(said: dict[int | str, str]) -> tuple[str, ...]:
    names = {int(number): str(name) for number, name in said.items()}
    if sorted(names) != list(range(len(names))):
        raise ModelError(f"class numbers are not 0..{len(names) - 1}: {sorted(names)}")
    return tuple(names[number] for number in range(len(names)))
