"""The process of a user's code: `python -m apps.model_api.child SOCKET FOLDER PARENT`, started by a worker.

It receives frames and sends answers, one JSON object each, over the socket. The code's output goes to stderr. The
kernel kills it when the worker ends, because code that hangs would not notice the closed socket.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from apps.messages import FrameError
from apps.model_api.answers import WrongAnswerError, documents
from apps.model_api.channel import read, write
from apps.model_api.frame import Frame, frame_from_bytes
from apps.model_api.loading import LoadError, UserModel, described, load

_PR_SET_PDEATHSIG = 1
_MOST_FRAME_BYTES = 2**31


def main(arguments: list[str]) -> int:
    """Answer frames until the worker closes the socket (returns 0); returns 1 if the code is not a model."""
    number, folder, parent = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    _end_with(parent)
    with socket.socket(fileno=number) as end:
        # Programs that the code starts must not keep the socket open.
        end.set_inheritable(False)
        try:
            model = load(folder)
        except LoadError as error:
            _say(end, {"refused": str(error)})
            return 1
        _say(end, {"ready": True})
        with contextlib.suppress(EOFError):
            while True:
                _say(end, answer(model, frame_from_bytes(read(end, _MOST_FRAME_BYTES)), folder))
    return 0


def answer(model: UserModel, frame: Frame, folder: Path) -> dict[str, Any]:
    """One call's outcome: its detections, or another key with the reason why there are none."""
    try:
        return {"detections": documents(model.detect(frame), frame)}
    except FrameError as error:
        return {"unusable": str(error)}
    except WrongAnswerError as error:
        return {"wrong": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"raised": described(error, folder)}


def _say(end: socket.socket, said: dict[str, Any]) -> None:
    write(end, json.dumps(said).encode())


def _end_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the worker ended before its model started")
    # If the executor runs out of memory despite the limit, this process is killed before the JVM.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
