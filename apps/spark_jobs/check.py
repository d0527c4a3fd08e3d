"""Check that each model runs, before its driver starts: `python -m apps.spark_jobs.check`.

It runs in the driver's container but as a separate process, so that the models' memory is freed before the driver
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
    """Return 0 if all models run, 1 if one does not, 2 if the settings are wrong."""
    return run(Settings, _work)


def _work(settings: Settings) -> int:
    takeover = takeover_of(settings)
    if takeover is not None and takeover.proven():
        # This driver replaces a lost one of the same version: no other driver is working, so every second counts.
        print(f"model {settings.model_name}: this image and this configuration have worked already")
        return 0
    # One that does not run stops all, so that `pulumi up` says so, and the old driver goes on with all its models.
    return 0 if all(_runs(spec, settings.check_seconds) for spec in settings.specs) else 1


def _runs(spec: JobSpec, limit_seconds: float) -> bool:
    """Whether the model runs. If not, the reason is printed."""
    limit = threading.Timer(limit_seconds, _too_late, (spec.model, limit_seconds))
    limit.daemon = True
    limit.start()
    try:
        version = check(spec)
    except Exception as error:  # A user's weights or code may raise anything.
        print(_refusal(spec.model, f"{type(error).__name__}: {error}"), file=sys.stderr)
        return False
    finally:
        limit.cancel()
    print(f"model {spec.model} runs: {version}")
    return True


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


def _refusal(model: str, reason: str) -> str:
    return f"model {model} does not run: {' '.join(reason.split())}"


def _too_late(model: str, limit_seconds: float) -> None:
    print(_refusal(model, f"no answer within {limit_seconds:.0f} s"), file=sys.stderr, flush=True)
    os._exit(1)  # Native code may hang, and nothing else ends it.


if __name__ == "__main__":
    sys.exit(main())
