"""Loads the stack's configuration, and reports all its problems at once, before any resource is made."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import pulumi
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from components import engine
from components.config import stack_file
from components.config.mistakes import PROJECT, described, how_to_set
from components.config.rules import Rule, problems
from components.config.sections import Settings


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
    misspelt = [*_misspelt(values), *stack_file.outside(pulumi.get_stack())]
    try:
        settings = load_values({key: _parsed(value) for key, value in stack.items()}, rules)
    except ConfigError as refused:
        raise ConfigError([*misspelt, *refused.problems]) from None
    if misspelt:
        raise ConfigError(misspelt)
    for key in stack_file.in_clear(pulumi.get_stack()):
        pulumi.log.warn(f"{PROJECT}:{key} is in clear in the stack's file; {how_to_set(key)} encrypts it")
    return settings


def load_values(values: Mapping[str, Any], rules: Sequence[Rule] = ()) -> Settings:
    """The settings from sections by key (without the project's prefix). Raises ConfigError."""
    try:
        settings = Settings.model_validate(dict(values))
    except ValidationError as invalid:
        errors = [error for error in invalid.errors(include_url=False) if not _is_said_elsewhere(error)]
        readable = _readable(values, {str(error["loc"][0]) for error in errors})
        raise ConfigError([*(described(error, values) for error in errors), *problems(readable, rules)]) from None
    found = problems(settings, rules)
    if found:
        raise ConfigError(found)
    return settings


def _is_said_elsewhere(error: ErrorDetails) -> bool:
    """Whether another error says it: of a list whose entries are all mistakes, or of a path that is also no name."""
    emptied = error["type"] == "too_short" and bool(error["input"])
    return emptied or str(error["loc"][-1]).startswith("literal[")


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


def _misspelt(keys: Iterable[str]) -> Iterator[str]:
    """The keys of nearly this project, which would be left out in silence; those of others are for Pulumi's plugins."""
    for key in keys:
        project, _, section = key.partition(":")
        if project != PROJECT and difflib.get_close_matches(project.lower(), [PROJECT]):
            yield f"{section}: is given as {key}, which nothing reads; correct what is in front of the colon"


def _parsed(value: str) -> Any:
    """Pulumi passes structured values to the program as JSON text, and plain ones unchanged."""
    try:
        return json.loads(value)
    except ValueError:
        return value
