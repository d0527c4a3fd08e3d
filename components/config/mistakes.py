"""What is said of a value that its section refuses: the key, whose it is, the value unless it is secret, the remedy."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import SecretStr
from pydantic_core import ErrorDetails

from apps.messages.names import NAME
from components.config.sections import Settings
from components.config.structure import field_at, fields_of, section_in

PROJECT: Final = "argus"
Location = tuple[int | str, ...]

_NOT_PRINTED: Final = (
    "cameraCredentials",
    "hostKey",
    "copyHostKey",
    "ca",
    "keys",
    "recipients",
    "keyRecipients",
)
"""Keys of no secret whose values are not printed: a user may give a private key or a login there by mistake."""
_MAY_HOLD_A_LOGIN: Final = re.compile(r"@|\uff20|%40|://.*[?=#]")
"""A text with a login in a URL, whatever its signs are: no part of it can be told to be harmless."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A part of a key that needs no quotes, as `pulumi config set --path` reads it."""
_OF_PYDANTIC: Final = re.compile(r"\[key\]|(function-[a-z]+|lax-or-strict|union)\[.*")
"""Parts of a location that are no keys: what pydantic tried on the value."""
_RENAMED: Final = {"ssh.mend": "ssh.rerun"}
"""The new names of keys that earlier versions had."""
_ELSEWHERE: Final = {
    key: "the login of a camera is in argus:cameraCredentials.<camera>"
    for key in ("username", "user", "password", "credentials", "login")
}
"""Where that is which people look for at a camera."""

_WHOLE: Final = "must be a whole number, without a unit"
_NUMBER: Final = "must be a number, with a point before its fraction and without a unit"
_TRUTH: Final = "must be true or false"
_LIST: Final = "must be a list, as `[one, another]`"
_TEXT: Final = "must be text"
_WORDS: Final = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": _TEXT,
    "path_type": "must be a path, as text",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
}
"""Instead of pydantic's words, which name types of Python, by its name of the error."""


def described(error: ErrorDetails, values: Mapping[str, Any]) -> str:
    """One error of pydantic's in the sections with these values, as `key: what is wrong; what to do`."""
    location = tuple(part for part in error["loc"] if isinstance(part, int) or not _OF_PYDANTIC.fullmatch(part))
    key = key_of(location)
    if key in _RENAMED:
        return f"{key}: this key is now {PROJECT}:{_RENAMED[key]}; rename it"
    said = [key, f"of {name}" if (name := _named(location, values)) else "", *_said(location, error)]
    return ": ".join(filter(None, said))


def how_to_set(key: str) -> str:
    """The command that sets a secret, whose key is without the project."""
    return f"`pulumi config set --secret --path '{PROJECT}:{key}'`"


def _said(location: Location, error: ErrorDetails) -> list[str]:
    """What is wrong, behind the value, if that is shown."""
    kind, value = error["type"], error["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return [f"unknown key; {_instead(location)}"]
    if kind == "missing":
        return [_missing(location)]
    if isinstance(value, dict) and kind == "value_error":
        return [_worded(location, error)]
    return [_shown(location, value), _worded(location, error)]


def _instead(location: Location) -> str:
    """The key that may be meant where one is unknown."""
    *parents, wrong = location
    if parents[:1] == ["cameras"] and len(parents) == 2 and wrong in _ELSEWHERE:
        return _ELSEWHERE[str(wrong)]
    known = _keys_at(parents)
    meant = difflib.get_close_matches(str(wrong), known, n=1)
    return f"did you mean {meant[0]}? docs/config.md has all" if meant else f"the keys here are {', '.join(known)}"


def _keys_at(location: list[int | str]) -> list[str]:
    """The keys of the section at a place."""
    field = field_at(Settings, *location)
    section = section_in(field.annotation) if field else Settings
    return list(fields_of(section)) if section else []


def _missing(location: Location) -> str:
    field = field_at(Settings, *location)
    if field is None or section_in(field.annotation) or not is_secret(field.annotation):
        return "required and missing"
    return f"required and missing; {how_to_set(key_of(location))} asks for it"


def _worded(location: Location, error: ErrorDetails) -> str:
    """What is wrong with a value, and what to give instead."""
    kind, value = error["type"], error["input"]
    if kind == "too_short":
        return "must have at least one entry"
    if kind in ("model_type", "dict_type", "dataclass_type"):
        keys = _keys_at(list(location)) if kind != "dict_type" else []
        said = f"must have keys of its own: {', '.join(keys)}" if keys else "must be a map, as `name: value`"
    elif kind == "tuple_type" and _keys_at(list(location)):
        said = "must be a list, each entry behind `- `"
    else:
        said = _WORDS.get(kind, error["msg"].removeprefix("Value error, "))
    if value is None and said != error["msg"]:
        return f"{said}; nothing is given, so give it or take the key out"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f"{said}, so put it in quotes (`pulumi config set` needs `--type string` for that)"
    return said


def _named(location: Location, values: Mapping[str, Any]) -> str | None:
    """The name of the camera, machine or model, the entry of a list, that a place is in; None if it has none."""
    found: Any = values
    for part in location:
        try:
            found = found[part]
        except (LookupError, TypeError):
            return None
        name = found.get("name") if isinstance(part, int) and isinstance(found, dict) else None
        if isinstance(name, str) and NAME.fullmatch(name):
            return name
    return None


def _shown(location: Location, value: Any) -> str:
    """The given value, unless it is a secret or may hold one; nothing where there is none."""
    if value is None:
        return ""
    field = field_at(Settings, *location)
    if any(part in _NOT_PRINTED for part in location) or (field is not None and is_secret(field.annotation)):
        return "(secret)"
    text = json.dumps(value, default=str, ensure_ascii=False)
    address = location[0] == "cameras" and (len(location) < 3 or location[2] == "url")
    if address or _MAY_HOLD_A_LOGIN.search(text):
        return "(not shown: it may hold a login)"
    return _shortened(text)


def is_secret(annotation: Any) -> bool:
    """Whether a field is a secret, or has one in it."""
    if annotation is SecretStr or any(map(is_secret, get_args(annotation))):
        return True
    section = annotation if isinstance(annotation, type) and section_in(annotation) is annotation else None
    return section is not None and any(is_secret(each.annotation) for each in fields_of(section).values())


def key_of(location: Location) -> str:
    """A key as `pulumi config set --path` takes it, without the project."""
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif _MAY_HOLD_A_LOGIN.search(part):
            key += ".(not shown)"
        else:
            key += f".{part}" if _PLAIN.fullmatch(part) else f'["{part}"]'
    return key.removeprefix(".")


def _shortened(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
