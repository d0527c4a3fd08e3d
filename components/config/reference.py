"""`python -m components.config.reference` prints docs/config.md from the models; a test fails if the file is stale."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from components.config.sections import Settings

_HEADER = """# Configuration reference

Generated from `components/config/sections.py` by `make docs`; do not edit.

Every key lives under `argus:` in `Pulumi.<stack>.yaml`. Unknown keys are refused; every mistake is reported at once.
Keys of one section are checked against the others too (`components/config/rules.py`, `components/pipeline/rules.py`).
"""

_LISTED: Final = {"tuple": "[]", "dict": ".<name>"}
"""What follows the key of a list of sections, or of a map of them."""


def reference() -> str:
    """The whole reference as Markdown: a section per key of the stack, a table row per field."""
    return "\n".join([_HEADER, *(_section(key, field) for key, field in Settings.model_fields.items())])


def keys() -> list[str]:
    """Every key of the stack in the order of the reference, such as `cameras[].width`.

    A list of sections is a key of its own, as `cameras[]`, and so is a map, as `access.users.<name>`.
    """
    return [
        key
        for name, field in Settings.model_fields.items()
        for key, inner in _section_keys(f"{field.alias or name}", field)
        if inner is None or key.endswith(("[]", ">"))
    ]


def _section_keys(name: str, field: FieldInfo) -> Iterator[tuple[str, type[Any] | None]]:
    model, key = _model_in(field.annotation), f"{name}{_LISTED.get(_origin(field), '')}"
    assert model is not None
    yield key, model
    yield from ((inner, inside) for inner, _, inside in _walk(model, f"{key}."))


def _section(name: str, field: FieldInfo) -> str:
    key = field.alias or name
    model = _model_in(field.annotation)
    assert model is not None
    kind = {"tuple": " (a list)", "dict": " (a map by name)"}.get(_origin(field), "")
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
    for name, field in _fields(model).items():
        key = f"{prefix}{field.alias or name}"
        inner = _model_in(field.annotation)
        if inner is not None:
            key += _LISTED.get(_origin(field), "")
        yield key, field, inner
        if inner is not None:
            yield from _walk(inner, f"{key}.")


def _fields(model: type[Any]) -> dict[str, FieldInfo]:
    """A section's fields; those of a dataclass, which a section shared with the apps is, as pydantic's FieldInfo."""
    if issubclass(model, BaseModel):
        return model.model_fields
    hints = get_type_hints(model, include_extras=True)
    described = {each.name: (*get_args(hints[each.name]), each.default) for each in fields(model)}
    return {
        name: FieldInfo(annotation=annotation, description=description, default=default)
        for name, (annotation, description, default) in described.items()
    }


def _model_in(annotation: Any) -> type[Any] | None:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)


def _origin(field: FieldInfo) -> str:
    origin = get_origin(field.annotation)
    return origin.__name__ if isinstance(origin, type) else ""


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
