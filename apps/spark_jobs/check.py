"""Check that the model runs, before its driver starts: `python -m apps.spark_jobs.check`.

It runs in the driver's container but as a separate process, so that the model's memory is freed before the driver
starts. Kubernetes, and so `pulumi up`, shows its last line of output for a pod that does not become ready.
"""

import os
import sys
import threading
from datetime import UTC, datetime

from apps.messages import Frame
from apps.service.process import run
from apps.spark_jobs.models import load_model
from apps.spark_jobs.settings import Settings
from apps.spark_jobs.spec import JobSpec
from apps.spark_jobs.takeover import takeover_of

WIDTH, HEIGHT, GREY = 640, 360, 128
FRAMES = 2
"""Two, because the motion model compares a frame with the one before."""


def main() -> int:
    """Return 0 if the model runs, 1 if it does not, 2 if the settings are wrong."""
    return run(Settings, _work)


def _work(settings: Settings) -> int:
    takeover = takeover_of(settings)
    if takeover is not None and takeover.proven():
        # This driver replaces a lost one of the same version: no other driver is working, so every second counts.
        print(f"model {settings.model_name}: this image and this configuration have worked already")
        return 0
    limit = threading.Timer(settings.check_seconds, _too_late, (settings,))
    limit.daemon = True
    limit.start()
    try:
        version = check(settings.spec)
    except Exception as error:  # A user's weights or code may raise anything.
        print(_refusal(settings, f"{type(error).__name__}: {error}"), file=sys.stderr)
        return 1
    finally:
        limit.cancel()
    print(f"model {settings.model_name} runs: {version}")
    return 0


def check(spec: JobSpec) -> str:
    """Run the model on grey pictures and return its version. Raises what the model raises."""
    import cv2  # Imported here because it is slow and not needed where nothing is checked.
    import numpy as np

    model = load_model(spec)
    _, jpeg = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), GREY, dtype=np.uint8))
    for sequence in range(FRAMES):
        model.detect(
            Frame(
                camera="check",
                sequence=sequence,
                captured_at=datetime.now(UTC),
                width=WIDTH,
                height=HEIGHT,
                jpeg=jpeg.tobytes(),
            )
        )
    return model.version


def _refusal(settings: Settings, reason: str) -> str:
    return f"model {settings.model_name} does not run: {' '.join(reason.split())}"


def _too_late(settings: Settings) -> None:
    print(_refusal(settings, f"no answer within {settings.check_seconds:.0f} s"), file=sys.stderr, flush=True)
    os._exit(1)  # Native code may hang, and nothing else ends it.


if __name__ == "__main__":
    sys.exit(main())
