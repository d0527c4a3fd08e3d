"""`python -m apps.model_api FOLDER [PICTURE ...]` tries a user's model and prints its detections.

Without a picture it only loads the code, as the image's build does.
"""

import argparse
import json
import os
import resource
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from apps.messages import FrameError
from apps.model_api.answers import WrongAnswerError, documents
from apps.model_api.frame import Frame
from apps.model_api.loading import LoadError, UserModel, code_version, load


def main() -> int:
    """Return 0 if every picture got an answer, 1 if one did not or the code is not a model."""
    parser = argparse.ArgumentParser(
        prog="python -m apps.model_api", description="Run a model of your own on pictures."
    )
    parser.add_argument("folder", type=Path, help="the folder with model.py")
    parser.add_argument("pictures", type=Path, nargs="*", metavar="PICTURE", help="a JPEG, or what OpenCV reads")
    given = parser.parse_args()
    folder, pictures = given.folder.resolve(), [picture.resolve() for picture in given.pictures]
    try:
        # The pipeline too runs the code in its own folder.
        os.chdir(folder)
        model = load(folder)
    except (LoadError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder.name}: version {code_version(folder)}, {_peak_mib()} MiB after its start")
    # Not all(), which would stop at the first failure: each picture is tried.
    return 0 if min([_try(model, picture, number) for number, picture in enumerate(pictures)], default=True) else 1


def _try(model: UserModel, picture: Path, sequence: int) -> bool:
    try:
        frame = _frame_of(picture, sequence)
        started = time.monotonic()
        found = documents(model.detect(frame), frame)
    except (OSError, FrameError, WrongAnswerError) as error:
        print(f"{picture.name}: {error}", file=sys.stderr)
        return False
    print(f"{picture.name}: {len(found)} found in {time.monotonic() - started:.3f} s, at most {_peak_mib()} MiB so far")
    for document in found:
        print(f"  {json.dumps(document, ensure_ascii=False)}")
    return True


def _frame_of(picture: Path, sequence: int) -> Frame:
    """A frame with this picture, from a camera named `picture`. Raises OSError or FrameError."""
    import cv2
    import numpy as np

    from apps.model_api.jpeg import jpeg_size

    data = picture.read_bytes()
    if not data.startswith(b"\xff\xd8"):
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is None:
            raise FrameError("this is no picture that OpenCV reads")
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    width, height = jpeg_size(data)
    return Frame(
        camera="picture", sequence=sequence, captured_at=datetime.now(UTC), width=width, height=height, jpeg=data
    )


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
