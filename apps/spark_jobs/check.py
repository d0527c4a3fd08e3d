"""Whether the model runs at all: `python -m apps.spark_jobs.check`, before its driver starts.

In the driver's container, but a process of its own: what the model took is given back before the driver starts. What it
says last is what Kubernetes, and so `pulumi up`, tells of a pod that does not become ready.
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
"""The second one has a first one to be compared with, which motion does."""


def main() -> int:
    """0 where the model runs, 1 where it does not, 2 where the settings are wrong."""
    return run(Settings, _work)


def _work(settings: Settings) -> int:
    takeover = takeover_of(settings)
    if takeover is not None and takeover.proven():
        # In the place of one that was lost: there is no other that could go on instead, and every second counts.
        print(f"model {settings.model_name}: this image and this configuration have worked already")
        return 0
    limit = threading.Timer(settings.check_seconds, _too_late, (settings,))
    limit.daemon = True
    limit.start()
    try:
        version = check(settings.spec)
    except Exception as error:  # Whatever a user's weights or code raise is the reason.
        print(_refusal(settings, f"{type(error).__name__}: {error}"), file=sys.stderr)
        return 1
    finally:
        limit.cancel()
    print(f"model {settings.model_name} runs: {version}")
    return 0


def check(spec: JobSpec) -> str:
    """Load the model and run it on a grey picture; its version. Raises what the model raises."""
    import cv2  # Here, as it takes long where there is nothing to check.
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
    os._exit(1)  # What hangs may be native code, which nothing else ends.


if __name__ == "__main__":
    sys.exit(main())
