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
_SECRET_KEYS = (
    "privateKey",
    "passphrase",
    "password",
    "copyKey",
    "hostKey",
    "copyHostKey",
    "cameraCredentials",
    "passwordHash",
    "tokenHash",
    "clientSecret",
    "ca",
    "keys",
)
"""Keys whose values are not printed; host keys, `ca` and `keys`, because a user may give the private key by mistake."""
_MAY_HOLD_A_LOGIN = re.compile(r"@|\uff20|%40|://.*[?=#]")
"""A text with a login in a URL, whatever its signs are: no part of it can be told to be harmless."""
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
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], dict):
        return f"{key}: {message}"
    return f"{key}: {_shown(error['loc'], error['input'])}: {message}"


def _shown(location: tuple[int | str, ...], value: Any) -> str:
    """The given value, unless it is a secret or may hold one."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    address = location[0] == "cameras" and (len(location) < 3 or location[2] == "url")
    if any(part in _SECRET_KEYS for part in location):
        return "(secret)"
    if address or _MAY_HOLD_A_LOGIN.search(text):
        return "(not shown: it may hold a login)"
    return _shortened(text)


def _key(location: tuple[int | str, ...]) -> str:
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
            continue
        name = "(not shown)" if _MAY_HOLD_A_LOGIN.search(part) else part
        key += f".{name}" if key else name
    return key


def _shortened(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
