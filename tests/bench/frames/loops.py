"""The bare loops: what the cores do of the detector alone, with nothing of Argus around it.

Each process decodes JPEGs in memory and looks for objects, with the code and weights of the pipeline. Beside it the
`predict` loop of ultralytics, as a user would write it, in one process with as many threads as it chooses.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.config import ROOT, LabError
from tests.bench.frames.pictures import jpegs

PICTURES = 240
"""Pictures in memory, of all clips: some 10 MB, more than the processor's caches hold."""
_WARM_UP = 20
_START_SECONDS = 180


@dataclass(frozen=True)
class Loop:
    """What a loop did: frames and CPU seconds over all its processes, within the same seconds."""

    frames: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds

    @property
    def milliseconds(self) -> float:
        """CPU milliseconds a frame."""
        return 1000 * self.cpu_seconds / self.frames


def run(look: Callable[[bytes], object], pictures: Sequence[bytes], seconds: float) -> Loop:
    """Look at picture after picture for so long. The first few are not counted."""
    for picture in pictures[:_WARM_UP]:
        look(picture)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu, frames = time.monotonic(), time.process_time(), 0
    while (took := time.monotonic() - began) < seconds:
        look(pictures[frames % len(pictures)])
        frames += 1
    return Loop(frames, took, time.process_time() - cpu)


def detector_loop(model: dict[str, Any], pictures: Path, seconds: float, processes: int) -> Loop:
    """The pipeline's detector in so many processes at once. `model` is the model's section of the stack."""
    command = [sys.executable, "-m", "tests.bench.frames.loops", json.dumps(model), str(pictures), str(seconds)]
    return _together([command] * processes)


def predict_loop(python: Path, weights: Path, pictures: Path, seconds: float) -> Loop:
    """The loop of ultralytics, with a Python that has it."""
    command = [str(python), "-m", "tests.bench.frames.predict", str(weights), str(pictures), str(seconds)]
    return _together([command])


def _together(commands: Sequence[Sequence[str]]) -> Loop:
    """Start all, let them begin when all are ready, and add up. Raises LabError if one fails."""
    running = [
        subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for command in commands
    ]
    try:
        for process in running:
            assert process.stdout is not None
            while (line := process.stdout.readline()) != "ready\n":
                if not line:
                    raise LabError(f"a loop ended before it began:\n{process.communicate()[1][-2000:]}")
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        done = []
        for process in running:
            printed, errors = process.communicate()
            if process.returncode:
                raise LabError(f"a loop failed:\n{errors[-2000:]}")
            done.append(Loop(**json.loads(printed.splitlines()[-1])))
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.communicate()
    return Loop(
        frames=sum(each.frames for each in done),
        seconds=max(each.seconds for each in done),
        cpu_seconds=sum(each.cpu_seconds for each in done),
    )


def processes() -> int:
    """As many as there are cores."""
    return os.cpu_count() or 1


def main(arguments: list[str] | None = None) -> int:
    """One process of the detector's loop."""
    from datetime import UTC, datetime

    import cv2

    from apps.messages import Frame
    from apps.spark_jobs.models import load_model
    from components.config.sections import Model
    from tests.jobs import job_spec

    parser = argparse.ArgumentParser(prog="python -m tests.bench.frames.loops", description=__doc__)
    parser.add_argument("model", type=json.loads, help="the model's section of the stack, as JSON")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args(arguments)
    # As the executors' environment says.
    cv2.setNumThreads(1)
    section = Model.model_validate(options.model)
    model = load_model(
        job_spec(
            weights=section.network,
            model=section.name,
            size=section.size,
            precision=section.precision,
            device=section.device,
            contract=section.contract,
            labels=section.labels,
            score_threshold=section.score_threshold,
            score_thresholds=tuple(section.score_thresholds.items()),
        )
    )
    pictures = jpegs(options.pictures, PICTURES)
    sizes = {picture: _size(picture) for picture in pictures}
    now = datetime.now(UTC)

    def look(picture: bytes) -> object:
        width, height = sizes[picture]
        frame = Frame(camera="loop", sequence=0, captured_at=now, width=width, height=height, jpeg=picture)
        return model.detect(frame)

    print(json.dumps(asdict(run(look, pictures, options.seconds))), flush=True)
    return 0


def _size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    import cv2
    import numpy as np

    height, width = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)).shape[:2]
    return width, height


if __name__ == "__main__":
    sys.exit(main())
