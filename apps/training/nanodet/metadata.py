"""Writes the weights' `metadata.yaml`, which every detector of Argus has."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.training.nanodet import package, pictures
from apps.training.nanodet.convert import LABELS, STRIDE
from apps.training.nanodet.quantize import FLOATING, Size

SIZES: Mapping[str, Size] = {"fast": (192, 320), "sharp": (256, 416)}
"""The input's height and width in pixels, by the name in a stack's config."""

CALIBRATED: Sequence[Size] = ((192, 320), (224, 384))
"""The sizes at which int8 is calibrated. They are valid for others, since pixels have the same range at each."""

SCORE, VEHICLE_SCORE = 0.40, 0.30
"""The best thresholds on rendered scenes; parked cars in photographs score from 0.39."""
VEHICLES = ("car", "bus", "truck", "bicycle", "motorcycle")


def write_metadata(folder: Path, versions: Mapping[str, str], checksums: Mapping[str, str]) -> None:
    """Describe the weights in `folder`. `versions` are the tools', `checksums` the SHA-256 of the files there."""
    # JSON is valid YAML, so this needs no YAML library.
    (folder / "metadata.yaml").write_text(json.dumps(describe(versions, checksums), indent=2) + "\n")


def describe(versions: Mapping[str, str], checksums: Mapping[str, str]) -> dict[str, Any]:
    """The content of `metadata.yaml`."""
    return {
        "task": "detect",
        "architecture": "nanodet-g",
        "names": {str(number): label for number, label in enumerate(LABELS)},
        "imgsz": list(SIZES["fast"]),
        "stride": STRIDE,
        "dynamic": True,
        "sizes": {name: list(size) for name, size in SIZES.items()},
        "score_threshold": SCORE,
        "score_thresholds": dict.fromkeys(VEHICLES, VEHICLE_SCORE),
        "channels": 3,
        "input": "RGB, 0..1, letterboxed on grey 114",
        "output": "(1, 4 + labels, N) of centre x, centre y, width, height in input pixels, then a score a label",
        "end2end": False,
        "precisions": {"float": "model.xml", "int8": "int8/model.xml"},
        "sha256": dict(checksums),
        "license": "Apache-2.0",
        "origin": {
            "author": "RangiLyu, https://github.com/RangiLyu/nanodet (nanodet-g), trained on COCO train2017",
            "package": f"npm {package.NAME}@{package.VERSION}",
            "sha256": {"tarball": package.TARBALL_SHA256, **package.MEMBERS_SHA256},
            "command": "make weights",
        },
        "quantization": {
            "tool": "NNCF post-training quantization, preset mixed",
            "sizes": [list(size) for size in CALIBRATED],
            "in_floating_point": list(FLOATING),
            "pictures": {
                "photographs": {each.path: each.licence for each in pictures.PHOTOGRAPHS},
                "collages of them": pictures.COLLAGES,
                "rendered scenes (apps.scenes)": pictures.SCENES,
            },
        },
        "versions": dict(versions),
    }
