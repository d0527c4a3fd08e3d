"""Checks of a node's labels and taints, by the rules of Kubernetes' API (apimachinery, validation.go)."""

import re
from typing import Final

_NAME: Final = r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"
_LABEL: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_KEY: Final = re.compile(rf"((?=[^/]{{1,253}}/){_LABEL}(\.{_LABEL})*/)?{_NAME}")
_VALUE: Final = re.compile(rf"{_NAME}?")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OF_THE_NODE: Final = ("kubernetes.io/hostname",)
"""Labels that the kubelet sets itself; local volumes find their machine by them."""


def check_label_key(key: str) -> str:
    """The key of a label, unchanged. Raises ValueError if Kubernetes refuses it or sets it itself."""
    if key in _OF_THE_NODE:
        raise ValueError("the kubelet sets this label; choose another key")
    return _checked_key(key)


def check_label_value(value: str) -> str:
    """The value of a label, unchanged. Raises ValueError if Kubernetes refuses it."""
    if not _VALUE.fullmatch(value):
        raise ValueError(
            "Kubernetes refuses this value; give at most 63 letters, digits, - _ and . that begin and end with a letter"
            " or digit"
        )
    return value


def check_taint(taint: str) -> str:
    """A taint, `key=value:Effect` or `key:Effect`, unchanged. Raises ValueError if Kubernetes refuses it."""
    named, separator, effect = taint.rpartition(":")
    if not separator or effect not in _EFFECTS:
        raise ValueError(f"a taint is `key=value:Effect` or `key:Effect`, with one of {', '.join(_EFFECTS)}")
    key, _, value = named.partition("=")
    _checked_key(key)
    check_label_value(value)
    return taint


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"Kubernetes refuses the key {key!r}; give at most 63 letters, digits, - _ and . that begin and end with a"
            " letter or digit, after `domain/` if wanted"
        )
    return key
