"""Loads the stack's configuration, and reports all its problems at once, before any resource is made."""

import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

import pulumi
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from components import engine
from components.config.rules import Rule, problems
from components.config.sections import Settings

PROJECT = "argus"
_SECRET_KEYS = ("privateKey", "password", "copyKey", "hostKey", "copyHostKey")
"""Keys whose values are not printed; host keys, because a user may give the private key by mistake."""
_RENAMED = {"ssh.mend": "ssh.rerun"}
"""The new names of keys that earlier versions had."""


class ConfigError(pulumi.RunError):
    """The stack's configuration cannot be used; the message lists every problem with its key and remedy."""

    def __init__(self, found: list[str]) -> None:
        self.problems = tuple(found)
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        lines = "\n".join(f"  - {PROJECT}:{problem}" for problem in found)
        super().__init__(f"{count} in the stack's configuration; nothing was changed:\n{lines}")


def load(rules: Sequence[Rule]) -> Settings:
    """The settings of the running stack, checked also by the given rules. Raises ConfigError."""
    prefix = f"{PROJECT}:"
    values = engine.stack_configuration()
    stack = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    return load_values({key: _parsed(value) for key, value in stack.items()}, rules)


def load_values(values: Mapping[str, Any], rules: Sequence[Rule] = ()) -> Settings:
    """The settings from sections by key (without the project's prefix). Raises ConfigError."""
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        readable = _readable(values, {str(error["loc"][0]) for error in errors})
        raise ConfigError([*map(_described, errors), *problems(readable, rules)]) from None
    found = problems(settings, rules)
    if found:
        raise ConfigError(found)
    return settings


def _readable(values: Mapping[str, Any], broken: Set[str]) -> Settings:
    """The valid sections, for the rules between them; invalid ones are absent, not replaced by defaults."""
    sections: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        key = field.alias or name
        if key in broken:
            continue
        annotation: Any = field.annotation
        section = TypeAdapter[Any](annotation)
        sections[name] = section.validate_python(values[key]) if key in values else field.default
    partial = Settings.model_construct(**sections)
    for name in Settings.model_fields.keys() - sections.keys():
        partial.__dict__.pop(name, None)
    return partial


def _parsed(value: str) -> Any:
    """Pulumi passes structured values to the program as JSON text, and plain ones unchanged."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _described(error: ErrorDetails) -> str:
    key = _key(error["loc"])
    if key in _RENAMED:
        return f"{key}: this key is now {PROJECT}:{_RENAMED[key]}; rename it"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; see docs/config.md for the keys there are"
    if error["type"] == "missing":
        return f"{key}: required and missing"
    given = error["input"]
    value = "(secret)" if any(part in _SECRET_KEYS for part in error["loc"]) else _shortened(given)
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if isinstance(given, dict) else f"{key}: {value}: {message}"


def _key(location: tuple[int | str, ...]) -> str:
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _shortened(value: Any, limit: int = 80) -> str:
    text = re.sub(r"//[^/@\s]*@", "//(credentials)@", json.dumps(value, default=str))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
