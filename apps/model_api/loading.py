"""Loads a folder of a user's code and computes its version."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from apps.messages import Detection
from apps.model_api.frame import Frame

MODULE = "model.py"
PACKAGES = ".packages"
"""The subfolder where the image has the packages of the folder's requirements.txt."""


class UserModel(Protocol):
    """The one class of a user's model.py."""

    def detect(self, frame: Frame) -> Iterable[Detection]:
        """The model's detections in the frame."""


class LoadError(Exception):
    """The code is not a model; the message says why."""


def code_version(folder: Path) -> str:
    """The model version in results: 12 hex digits of a hash over the folder's files and their paths.

    Hidden files, installed packages and compiled bytecode are excluded.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if path.is_file() and not hidden:
            digest.update(f"{inside.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def load(folder: Path) -> UserModel:
    """Construct the folder's Model in this process, which can then import from the folder. Raises LoadError.

    A traceback of the code's exception goes to stderr. The folder's packages take precedence over Argus's.
    """
    path = folder / MODULE
    if not path.is_file():
        raise LoadError(f"{folder} has no {MODULE}")
    sys.path[:0] = [str(folder), str(folder / PACKAGES)]
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["model"] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise LoadError(f"{MODULE} cannot be imported: {described(error, folder)}{_remedy(error)}") from error
    made = getattr(module, "Model", None)
    if not isinstance(made, type):
        raise LoadError(f"{MODULE} has no class Model")
    try:
        model = made()
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        raise LoadError(f"Model() failed: {described(error, folder)}") from error
    if not callable(getattr(model, "detect", None)):
        raise LoadError(f"the class Model of {MODULE} has no method detect(self, frame)")
    try:
        # Imported here, with the code's own NumPy and OpenCV, because the first call has a time limit.
        importlib.import_module("apps.model_api.jpeg")
    except Exception as error:
        raise LoadError(f"frame.image cannot be decoded beside the packages of the code: {error}") from error
    return model  # type: ignore[no-any-return]


def described(error: BaseException, folder: Path) -> str:
    """An exception in one line: type, message, and the last line of the folder's own code in its traceback."""
    lines = traceback.TracebackException.from_exception(error).format_exception_only()
    said = " ".join("".join(lines).split())
    own = [
        (Path(entry.filename).relative_to(folder), entry.lineno)
        for entry in traceback.extract_tb(error.__traceback__)
        if Path(entry.filename).is_relative_to(folder) and not Path(entry.filename).is_relative_to(folder / PACKAGES)
    ]
    return f"{said} ({own[-1][0]}:{own[-1][1]})" if own else said


def _remedy(error: BaseException) -> str:
    missing = isinstance(error, ModuleNotFoundError)
    return "; list the package that has it in requirements.txt" if missing else ""
