"""What sections are made of: their fields by key, and the sections in them."""

from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def fields_of(section: type[Any]) -> dict[str, FieldInfo]:
    """A section's fields by key; those of a dataclass, which a section shared with the apps is, as pydantic's."""
    if issubclass(section, BaseModel):
        return {field.alias or name: field for name, field in section.model_fields.items()}
    hints = get_type_hints(section, include_extras=True)
    described = {each.name: (*get_args(hints[each.name]), each.default) for each in fields(section)}
    return {
        name: FieldInfo(annotation=annotation, description=description, default=default)
        for name, (annotation, description, default) in described.items()
    }


def section_in(annotation: Any) -> type[Any] | None:
    """The section that a field holds: alone, in a list or in a map; None if it holds none."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation
    return next((section for argument in get_args(annotation) if (section := section_in(argument))), None)


def container_of(field: FieldInfo) -> str:
    """What a field is: `tuple`, `dict`, or the empty string for neither."""
    origin = get_origin(field.annotation)
    return origin.__name__ if isinstance(origin, type) else ""


def field_at(section: type[Any], *location: int | str) -> FieldInfo | None:
    """The field at a place below a section, such as `users`, `anna`, `role`; None if there is none of that name."""
    field: FieldInfo | None = None
    inner: type[Any] | None = section
    named = False
    for part in location:
        if isinstance(part, int) or named:
            # Which of a list or a map it is.
            named = False
            continue
        if inner is None or (field := fields_of(inner).get(part)) is None:
            return None
        inner, named = section_in(field.annotation), container_of(field) == "dict"
    return field
