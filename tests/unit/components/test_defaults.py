"""A key's default is only in its section: components take sections unchanged."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import components
from components.config import Settings, sections

SECTIONS = [
    each
    for each in vars(sections).values()
    if isinstance(each, type) and issubclass(each, sections.Section) and each not in (sections.Section, Settings)
]
_NOTHING: tuple[Any, ...] = (None, "", (), [], {})


def keys() -> dict[str, list[Any]]:
    """The defaults of all keys by name, without empty ones."""
    found: dict[str, list[Any]] = {}
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            default = None if field.is_required() else field.get_default(call_default_factory=True)
            if default not in _NOTHING:
                found.setdefault(name, []).append(default)
    return found


def modules() -> Iterator[ModuleType]:
    for each in pkgutil.walk_packages(components.__path__, "components."):
        if not each.name.startswith("components.config"):
            yield importlib.import_module(each.name)


def _own(module: ModuleType, holder: Any, kind: Any) -> Iterator[Any]:
    for each in vars(holder).values():
        plain = inspect.unwrap(getattr(each, "__func__", each))
        if kind(plain) and getattr(plain, "__module__", None) == module.__name__:
            yield plain


def written_twice(module: ModuleType) -> Iterator[str]:
    """A module's copies of keys' defaults: any default of such a field in a dataclass, an equal one of a parameter."""
    defaults = keys()
    classes = list(_own(module, module, inspect.isclass))
    for each in filter(dataclasses.is_dataclass, classes):
        for field in dataclasses.fields(each):
            default: Any = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            if field.name in defaults and default is not dataclasses.MISSING and default not in _NOTHING:
                yield f"{module.__name__}.{each.__name__}.{field.name} = {default!r}"
    for holder in (module, *classes):
        for function in _own(module, holder, inspect.isfunction):
            for name, parameter in inspect.signature(function).parameters.items():
                given = parameter.default
                same = [key for key in defaults.get(name, ()) if type(key) is type(given) and key == given]
                if same and given not in _NOTHING and function.__name__ != "__init__":
                    yield f"{module.__name__}.{function.__qualname__}({name}={given!r})"


def twins(module: ModuleType) -> Iterator[str]:
    """A module's dataclasses that repeat half of a section's keys, and functions that copy sections into them."""
    for each in _own(module, module, inspect.isclass):
        if hasattr(each, "from_settings"):
            yield f"{module.__name__}.{each.__name__}.from_settings"
        if not dataclasses.is_dataclass(each):
            continue
        names = {field.name for field in dataclasses.fields(each)}
        for section in SECTIONS:
            shared = sorted(names & section.model_fields.keys())
            if len(shared) > 1 and 2 * len(shared) >= len(section.model_fields):
                yield f"{module.__name__}.{each.__name__} has {', '.join(shared)} of the section {section.__name__}"


def test_no_default_stands_twice() -> None:
    assert [found for module in modules() for found in written_twice(module)] == []


def test_no_section_has_a_twin() -> None:
    assert [found for module in modules() for found in twins(module)] == []


def test_the_checks_are_strict() -> None:
    cluster = importlib.import_module("tests.unit.components.twins")
    assert list(written_twice(cluster)) == [
        "tests.unit.components.twins.KafkaArgs.replicas = 3",
        "tests.unit.components.twins.KafkaArgs.volume_gib = 8",
        "tests.unit.components.twins.retention(retention_hours=48)",
    ]
    assert list(twins(cluster)) == [
        "tests.unit.components.twins.KafkaArgs.from_settings",
        "tests.unit.components.twins.KafkaArgs has heap_mib, replicas, volume_gib of the section Zookeeper",
    ]
