"""The `predict` loop of ultralytics: `python -m tests.bench.frames.predict WEIGHTS PICTURES SECONDS`.

Run by any Python that has ultralytics, OpenVINO and OpenCV; of this repository it needs no library.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.frames.loops import PICTURES, run
from tests.bench.frames.pictures import jpegs


def main(arguments: list[str]) -> int:
    """Predict for so long, and print what was done as JSON."""
    import cv2
    import numpy as np
    from ultralytics import YOLO

    weights, pictures, seconds = Path(arguments[0]).resolve(), Path(arguments[1]), float(arguments[2])
    with tempfile.TemporaryDirectory() as folder:
        # It knows OpenVINO's weights by the folder's name.
        named = Path(folder) / "weights_openvino_model"
        named.symlink_to(weights)
        model = YOLO(str(named), task="detect")

        def look(picture: bytes) -> object:
            image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
            return model.predict(image, imgsz=_size(weights), verbose=False)

        print(json.dumps(asdict(run(look, jpegs(pictures, PICTURES), seconds))), flush=True)
    return 0


def _size(weights: Path) -> list[int]:
    """The network's input size, height and width. The metadata is JSON, which is YAML."""
    size: list[int] = json.loads((weights / "metadata.yaml").read_text())["imgsz"]
    return size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
