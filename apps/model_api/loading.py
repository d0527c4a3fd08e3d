"""A folder of a user's code: its version, and the model that it holds."""

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
"""Where the image has what the folder's requirements.txt asks for."""


class UserModel(Protocol):
    """The one class of a user's model.py."""

    def detect(self, frame: Frame) -> Iterable[Detection]:
        """What the model sees in the frame."""


class LoadError(Exception):
    """Code that is no model; the message says why."""


def code_version(folder: Path) -> str:
    """The model version that results carry: 12 hex digits of a hash over the folder's files and their places.

    Hidden files, installed packages and compiled bytecode do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if path.is_file() and not hidden:
            digest.update(f"{inside.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def load(folder: Path) -> UserModel:
    """The folder's Model, constructed in this process, which can import what the folder holds. Raises LoadError.

    A traceback of what the code raised goes to stderr. The folder's packages come before Argus's own.
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
        # Here rather than within the first call, which has its limit; with the NumPy and OpenCV that the code brings.
        importlib.import_module("apps.model_api.jpeg")
    except Exception as error:
        raise LoadError(f"frame.image cannot be decoded beside the packages of the code: {error}") from error
    return model  # type: ignore[no-any-return]


def described(error: BaseException, folder: Path) -> str:
    """Type, message and the line of the folder's own code that an exception came from, in one line."""
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
