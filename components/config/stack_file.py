"""What only a stack's file says: sections that Pulumi does not read, and secrets that it does not encrypt."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from components.config.mistakes import PROJECT, Location, is_secret, key_of
from components.config.sections import Settings
from components.config.structure import field_at, section_in

FOLDER: Final = Path(__file__).resolve().parents[2]
"""Where the stacks' files are."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def outside(stack: str) -> Iterator[str]:
    """The problem of each section at the left edge of the stack's file, which Pulumi leaves out in silence."""
    file = FOLDER / f"Pulumi.{stack}.yaml"
    for section in re.findall(rf"^{PROJECT}:(\w+)", _text(file), re.MULTILINE):
        yield f"{section}: stands at the left edge of {file.name}, where nothing reads it; indent it under config:"


def in_clear(stack: str) -> Iterator[str]:
    """The keys of secrets that stand in clear in the stack's file, without the project."""
    config = (yaml.load(_text(FOLDER / f"Pulumi.{stack}.yaml"), _LOADER) or {}).get("config") or {}
    for name, value in config.items():
        section = name.removeprefix(f"{PROJECT}:")
        if not _has_secrets(section):
            continue
        for location in _texts((section,), value):
            field = field_at(Settings, *location)
            if field is not None and section_in(field.annotation) is None and is_secret(field.annotation):
                yield key_of(location)


def _has_secrets(section: str) -> bool:
    field = field_at(Settings, section)
    return field is not None and is_secret(field.annotation)


def _text(file: Path) -> str:
    """The stack's file, or nothing where Pulumi was given another."""
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _texts(location: Location, value: Any) -> Iterator[Location]:
    """The places of the texts and numbers below a value that Pulumi has not encrypted."""
    if isinstance(value, dict):
        entries = [] if value.keys() == {"secure"} else list(value.items())
    else:
        entries = list(enumerate(value)) if isinstance(value, list) else []
    for part, inner in entries:
        yield from _texts((*location, part), inner)
    if not isinstance(value, dict | list):
        yield location
