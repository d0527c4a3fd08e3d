"""What a cluster is made from: machines, and the scripts that run on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.remote import Script, Value

_HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host reached over SSH; it becomes the node of the same name."""

    name: str
    address: str
    host_key: str | None = None
    """The SSH host key that it must show; None for the one that it shows first."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()


def script(*files: str, **values: Value) -> Script:
    """Scripts of this package with their values (given in lower case, read in upper case) and the shared functions."""
    return _script(("common.sh", *files), values)


def script_from_here(file: str, **values: Value) -> Script:
    """A script of this package for the computer that runs Pulumi, where the shared functions have no business."""
    return _script((file,), values)


def program(file: str) -> str:
    """The text of a file of this package that a machine keeps."""
    return (_HERE / file).read_text(encoding="utf-8").rstrip()


def _script(files: Sequence[str], values: Mapping[str, Value]) -> Script:
    return Script(files=[_HERE / file for file in files], values={name.upper(): each for name, each in values.items()})
