"""Finds the files of weights: the network, its int8 variant, and the hash of their content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

INT8 = "int8"
"""The subfolder of a weights folder with the same network in int8."""


class WeightsError(ValueError):
    """The weights cannot be run; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network on disk: an OpenVINO `.xml` with its `.bin` beside it, or an `.onnx` file."""

    path: Path
    metadata: Path | None
    """`metadata.yaml` beside it. An ONNX file has metadata inside, but may have this too."""
    int8: Path | None = None
    """The same network in int8, if the folder has one."""


def find_network(place: Path) -> Network:
    """The network of a folder or an `.onnx` file. Raises WeightsError if there is not exactly one."""
    # A single file is copied into the image alone, so files beside it are ignored.
    alone = place.suffix == ".onnx" and place.is_file()
    networks = [place] if alone else [*sorted(place.glob("*.xml")), *sorted(place.glob("*.onnx"))]
    if len(networks) != 1:
        found = ", ".join(path.name for path in networks) or "none"
        raise WeightsError(
            f"{place} has no network, or more than one (found: {found}): give the folder of an OpenVINO export (one "
            ".xml with its .bin and metadata.yaml, as `yolo export format=openvino` writes them) or an .onnx file"
        )
    for path in files_of(networks[0]):
        if not path.is_file() or not path.stat().st_size:
            raise WeightsError(f"{path} is missing or empty: copy the whole export again")
    if alone:
        return Network(path=place, metadata=None)
    metadata, int8 = place / "metadata.yaml", place / INT8
    return Network(
        path=networks[0],
        metadata=metadata if metadata.is_file() else None,
        int8=find_network(int8).path if int8.is_dir() else None,
    )


def files_of(network: Path) -> tuple[Path, ...]:
    """All files of a network."""
    return (network, network.with_suffix(".bin")) if network.suffix == ".xml" else (network,)


def content_hash(network: Path) -> str:
    """12 hex digits of the SHA-256 of a network's files."""
    digest = hashlib.sha256()
    for path in files_of(network):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
