"""Documents that are nearly right."""

from collections.abc import Iterator
from typing import Any

ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    2**63,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x",
    "9" * 5000,
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [[]],
    ["gate"],
    {"name": 1},
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-23T22:14:55.123",
]


def mutants(document: Any) -> Iterator[Any]:
    """The document with each of its parts, itself too, replaced by each odd value or left out."""
    yield from ODD
    if isinstance(document, dict):
        for key, part in document.items():
            yield {name: other for name, other in document.items() if name != key}
            yield from ({**document, key: other} for other in mutants(part))
    elif isinstance(document, list):
        for at, part in enumerate(document):
            yield from ([*document[:at], other, *document[at + 1 :]] for other in mutants(part))
