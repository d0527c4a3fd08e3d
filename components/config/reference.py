"""`python -m components.config.reference` prints docs/config.md from the models; a test fails if the file is stale."""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.config.sections import Settings
from components.config.structure import container_of, fields_of, section_in

_HEADER = """# Configuration reference

Generated from `components/config/sections.py` by `make docs`; do not edit.

Every section stands under `config:` in `Pulumi.<stack>.yaml`. Unknown keys are refused; all mistakes are told at once.
Keys of one section are checked against the others too (`components/config/rules.py`, `components/pipeline/rules.py`).
"""

_LISTED: Final = {"tuple": "[]", "dict": ".<name>"}
"""What follows the key of a list of sections, or of a map of them."""


def reference() -> str:
    """The whole reference as Markdown: a section per key of the stack, a table row per field."""
    return "\n".join([_HEADER, *(_section(key, field) for key, field in fields_of(Settings).items())])


def keys() -> list[str]:
    """Every key of the stack in the order of the reference, such as `cameras[].width`.

    A list of sections is a key of its own, as `cameras[]`, and so is a map, as `access.users.<name>`.
    """
    return [
        key
        for name, field in fields_of(Settings).items()
        for key, inner in _section_keys(name, field)
        if inner is None or key.endswith(("[]", ">"))
    ]


def _section_keys(name: str, field: FieldInfo) -> Iterator[tuple[str, type[Any] | None]]:
    model, key = section_in(field.annotation), f"{name}{_LISTED.get(container_of(field), '')}"
    assert model is not None
    yield key, model
    yield from ((inner, inside) for inner, _, inside in _walk(model, f"{key}."))


def _section(key: str, field: FieldInfo) -> str:
    model = section_in(field.annotation)
    assert model is not None
    kind = {"tuple": " (a list)", "dict": " (a map by name)"}.get(container_of(field), "")
    lines = [
        f"## `argus:{key}`{kind}",
        "",
        (model.__doc__ or "").strip(),
        "",
        "| key | type | default | what it does |",
    ]
    lines += ["| --- | --- | --- | --- |", *_rows(model, ""), ""]
    return "\n".join(lines)


def _rows(model: type[Any], prefix: str) -> Iterator[str]:
    for key, field, inner in _walk(model, prefix):
        if inner is None or field.description:
            kind = "section" if inner else _type(field.annotation)
            yield f"| `{key}` | {kind} | {_default(field)} | {field.description} |"


def _walk(model: type[Any], prefix: str) -> Iterator[tuple[str, FieldInfo, type[Any] | None]]:
    """Each field of a section with its key, and the section in it, if there is one, before that one's own fields."""
    for name, field in fields_of(model).items():
        key = f"{prefix}{name}"
        inner = section_in(field.annotation)
        if inner is not None:
            key += _LISTED.get(container_of(field), "")
        yield key, field, inner
        if inner is not None:
            yield from _walk(inner, f"{key}.")


def _type(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    names = {
        "ipaddress.": "",
        "pathlib.": "",
        "pydantic.types.": "",
        "typing.": "",
        "SecretStr": "secret",
        "Path": "path",
    }
    for long, short in names.items():
        text = text.replace(long, short)
    text = re.sub(r"^Optional\[(.*)\]$", r"\1", text)
    if "Annotated[" in text:
        text = " or ".join(dict.fromkeys(re.findall(r"\b(?:tuple|dict|str|int|float|path|secret)\b", text.lower())))
    return text.replace("|", "or").replace(" or None", "").replace("tuple", "list").replace("NoneType", "none")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel) or is_dataclass(value):
        return ""
    return "unset" if value is None or value in ((), {}) else f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")
