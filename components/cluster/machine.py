"""The scripts that run on machines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import yaml

from components import shell
from components.remote import Script, Value

_HERE: Final = Path(__file__).parent
FUNCTIONS: Final = tuple(f"functions/{file.name}" for file in sorted(_HERE.glob("functions/*.sh")))
"""Files of shared functions; a script is sent to a machine with only the functions that it uses."""


def script(*files: str, **values: Value) -> Script:
    """Scripts of this package with the shared functions; a value named `x` here is the variable `X` in the scripts."""
    return _script((*FUNCTIONS, *files), values, on_machine=True)


def script_from_here(file: str, **values: Value) -> Script:
    """A script of this package for the computer that runs Pulumi, without the shared functions."""
    return _script((file,), values, on_machine=False)


def program(*files: str) -> str:
    """The text, without comments, of what is installed on a machine: scripts of this package as one, or a YAML file.

    Of files of functions it has those that the last script uses.
    """
    texts = [(_HERE / file).read_text(encoding="utf-8") for file in files]
    if files[0].endswith(".yaml"):
        return yaml.safe_dump(yaml.safe_load(*texts), sort_keys=False).rstrip()
    return f"#!/usr/bin/env bash\n{shell.minimal(*texts)}"


def unattended(given: Script) -> str:
    """The text of a script with its values that systemd runs on a machine, where nobody reads an answer."""
    return f"#!/bin/sh\nexec {replace(given, on_machine=False).render()}"


def _script(files: Sequence[str], values: Mapping[str, Value], *, on_machine: bool) -> Script:
    named = {name.upper(): each for name, each in values.items()}
    return Script(files=[_HERE / file for file in files], values=named, on_machine=on_machine)
