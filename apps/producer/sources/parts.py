"""Finds the pictures in the bytes of an MJPEG stream, as cameras really send it.

A JPEG says itself where it ends. So this relies neither on the lengths that a camera gives nor on its line ends, nor on
the boundary between parts being the declared one, or being there. What is between pictures is passed over.
"""

import re
from collections.abc import Callable
from typing import Final

from apps.producer.jpeg import END, START, start_of_scan
from apps.producer.sources.base import CorruptImage, OversizeImage

_LONGEST_LINE: Final = 8192
_MOST_HEADER_BYTES: Final = 65536
_LONG_ENOUGH: Final = 6
"""Bytes of a boundary that is looked for within lines, because some cameras send no line end before it."""
_HEADER = re.compile(rb"content-(?:type|length|disposition|transfer-encoding)\s*:", re.IGNORECASE)
_TYPE = re.compile(rb"content-type\s*:\s*(?P<main>[^/;\s]*)", re.IGNORECASE)
_LINE_ENDS = re.compile(rb"[\r\n]*")
_PICTURE: Final = START + b"\xff"
"""How a JPEG begins: the start marker, and the first byte of the next one."""


class Parts:
    """Takes a stream of bytes apart. It holds at most one picture, of at most `limit` bytes, and what was fed last."""

    def __init__(self, declared: str | None, limit: int) -> None:
        """`declared` is the boundary that the camera declared, which may not be the one that it sends."""
        self._limit = limit
        self._data = bytearray()
        self._boundary: bytes | None = None
        self._expected = _forms(declared)
        self._mark = _PICTURE
        self._step: Callable[[], bool] = self._between
        self._header_bytes = 0
        self._is_picture = True
        self._scanned = 0
        self._skipped = 0
        self._found: bytes | None = None

    def feed(self, data: bytes) -> None:
        """Add what came next."""
        self._data += data

    def take(self) -> bytes | None:
        """The next whole picture; None if that needs more bytes. CorruptImage or OversizeImage for one bad part."""
        while self._step():
            if self._found is not None:
                picture, self._found = self._found, None
                return picture
        return None

    # Each step returns whether it got on; False: it needs more bytes.

    def _between(self) -> bool:
        """Between parts: look for a boundary, a part's header without one, or a picture without either."""
        self._drop(self._line_ends())
        if self._begins_with_picture():
            return self._enter_body()
        line = self._line()
        if line is None:
            return self._pass_over_stray_bytes()
        if self._is_boundary(line):
            self._drop(len(line))
            return self._enter_header()
        if _HEADER.match(line):
            return self._enter_header()
        at = line.find(_PICTURE)
        self._drop(len(line) if at < 0 else at)
        return True

    def _header(self) -> bool:
        """In a part's header: only its type matters."""
        if self._begins_with_picture():
            return self._enter_body()
        line = self._line()
        if line is None:
            return self._pass_over_stray_bytes()
        self._drop(len(line))
        self._header_bytes += len(line)
        if found := _TYPE.match(line):
            self._is_picture = found["main"].lower() != b"text"
        if not line.strip():
            return self._enter_body()
        if self._header_bytes > _MOST_HEADER_BYTES:
            return self._enter(self._between)
        return True

    def _body(self) -> bool:
        """At the beginning of a part's content."""
        self._drop(self._line_ends())
        if len(self._data) < len(_PICTURE):
            return False
        if self._begins_with_picture():
            return self._enter(self._picture)
        if self._boundary is None or not self._data.startswith(self._boundary[: len(self._data)]):
            return self._enter(self._other)
        return len(self._data) >= len(self._boundary) and self._enter(self._between)

    def _picture(self) -> bool:
        """In a picture: look for its end."""
        if not self._scanned:
            try:
                start = start_of_scan(self._data)
            except ValueError as broken:
                self._give_up_picture()
                raise CorruptImage(str(broken)) from None
            if start is None:
                return self._wait_for_more()
            self._scanned = start
        end = self._data.find(END, self._scanned)
        # What follows a picture is not found in one, unless the camera ended it early.
        next_part = self._data.find(self._mark, self._scanned, end if end >= 0 else len(self._data))
        if next_part >= 0:
            self._drop(next_part)
            self._enter(self._between)
            if next_part > self._limit:
                raise OversizeImage(f"a picture of more than {self._limit} bytes")
            raise CorruptImage(f"{next_part} bytes that are no whole JPEG")
        if end < 0:
            self._scanned = max(self._scanned, len(self._data) - len(self._mark) + 1)
            return self._wait_for_more()
        size = end + len(END)
        if size > self._limit:
            self._give_up_picture()
            raise OversizeImage(f"a picture of {size} bytes, {self._limit} are allowed")
        self._found = bytes(self._data[:size])
        self._drop(size)
        return self._enter_rest()

    def _other(self) -> bool:
        """In a part that does not begin like a picture: pass over it, and say so where one was announced."""
        announced = self._is_picture and self._boundary is not None
        before, complete = self._skipped, self._skip()
        passed = self._skipped
        if complete:
            self._enter(self._between)
        if announced and before <= self._limit < passed:
            self._is_picture = False
            raise OversizeImage(f"a part of more than {self._limit} bytes")
        if announced and complete:
            raise CorruptImage(f"{passed} bytes that are no whole JPEG")
        return complete

    def _rest(self) -> bool:
        """Behind a picture: pass over what a camera adds, which may be another picture, such as a thumbnail."""
        return self._skip() and self._enter(self._between)

    def _skip(self) -> bool:
        """Drop all up to the next part; whether it came."""
        at = self._data.find(self._mark)
        dropped = at if at >= 0 else max(0, len(self._data) - len(self._mark) + 1)
        self._drop(dropped)
        self._skipped += dropped
        return at >= 0

    def _give_up_picture(self) -> None:
        self._drop(len(START))
        self._enter_rest()

    def _enter_header(self) -> bool:
        self._header_bytes, self._is_picture = 0, True
        return self._enter(self._header)

    def _enter_body(self) -> bool:
        return self._enter(self._body)

    def _enter_rest(self) -> bool:
        # Without boundaries, what follows is the next picture.
        return self._enter(self._between if self._boundary is None else self._rest)

    def _enter(self, step: Callable[[], bool]) -> bool:
        self._step, self._scanned, self._skipped = step, 0, 0
        return True

    def _is_boundary(self, line: bytes) -> bool:
        if self._boundary is None:
            word = line.strip()
            forms = [form for form in self._expected if word.startswith(form)]
            self._boundary = forms[0] if forms else word if word.startswith(b"--") and word.strip(b"-") else None
            if self._boundary is not None:
                # A short one may be in a picture by chance.
                self._mark = self._boundary if len(self._boundary) >= _LONG_ENOUGH else b"\n" + self._boundary
        return self._boundary is not None and line.startswith(self._boundary)

    def _begins_with_picture(self) -> bool:
        return self._data.startswith(_PICTURE)

    def _line_ends(self) -> int:
        found = _LINE_ENDS.match(self._data)
        return found.end() if found else 0

    def _line(self) -> bytes | None:
        """The next line with its end, if it has come and is no longer than lines are."""
        end = self._data.find(b"\n", 0, _LONGEST_LINE)
        return bytes(self._data[: end + 1]) if end >= 0 else None

    def _pass_over_stray_bytes(self) -> bool:
        """Where no line ends: a picture may begin behind bytes that mean nothing."""
        at = self._data.find(_PICTURE)
        if at >= 0:
            self._drop(at)
            return True
        if len(self._data) >= _LONGEST_LINE:
            self._drop(len(self._data) - len(_PICTURE) + 1)
            self._enter(self._between)
        return False

    def _wait_for_more(self) -> bool:
        if len(self._data) > self._limit:
            self._give_up_picture()
            raise OversizeImage(f"a picture of more than {self._limit} bytes")
        return False

    def _drop(self, count: int) -> None:
        del self._data[:count]


def _forms(declared: str | None) -> list[bytes]:
    """How a boundary that is declared as this may be sent, the longest first: by the RFC with two dashes in front."""
    if not declared:
        return []
    word = declared.encode("utf-8", "replace")
    forms = {b"--" + word, word, b"--" + word.removeprefix(b"--")}
    return sorted(forms, key=len, reverse=True)
