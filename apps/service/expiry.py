"""When certificates end: what a program says of its own, and how it reads that from a file."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

EXPIRY: Final = Gauge(
    "argus_certificate_expiry_timestamp_seconds",
    "When a certificate ends, as its file says now; NaN if the file cannot be read.",
    ["certificate"],
)
"""The label says to whom the program shows it. Control planes' certificates have a metric of the same name, by path."""

_PEM: Final = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_TIMES: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""The two kinds of time in a certificate (RFC 5280), by their tags in DER."""
_VERSION: Final = 0xA0
_VALIDITY: Final = 3
"""The place of the validity among a certificate's fields, if its version, which may be missing, is not counted."""


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate is good."""

    begins: datetime
    ends: datetime


def show(certificates: Mapping[str, Path]) -> None:
    """Show from now on when these certificates end. Each scrape reads the files, so a renewed one shows by itself."""
    for name, file in certificates.items():
        EXPIRY.labels(name).set_function(partial(_ends, file))


def validity(pem: str) -> Validity:
    """Of the first certificate in a text. Raises ValueError if there is none, or it is damaged."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("there is no certificate in it")
    ((_, certificate),) = _elements(ssl.PEM_cert_to_DER_cert(found[0]))
    _, signed = next(_elements(certificate), (0, b""))
    fields = [content for tag, content in _elements(signed) if tag != _VERSION]
    times = list(_elements(fields[_VALIDITY])) if len(fields) > _VALIDITY else []
    if len(times) != len(_TIMES) or any(tag not in _TIMES for tag, _ in times):
        raise ValueError("it is no certificate")
    begins, ends = (datetime.strptime(at.decode(), _TIMES[tag]).replace(tzinfo=UTC) for tag, at in times)
    return Validity(begins, ends)


def _ends(file: Path) -> float:
    """When a file's certificate ends (Unix time)."""
    try:
        return validity(file.read_text()).ends.timestamp()
    except (OSError, ValueError):
        return math.nan


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and content of each element (DER). Raises ValueError if one is cut off."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], int.from_bytes(der[at + 1 : at + 2]), at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(der[at : at + count]), at + count
        content = der[at : at + size]
        if len(content) < size:
            raise ValueError("it is cut off")
        yield tag, content
        at += size
