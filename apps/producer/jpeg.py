"""Reads the header of a JPEG, to decide without decoding it whether it can be sent as the camera made it."""

from collections.abc import Iterator
from dataclasses import dataclass

START, END = b"\xff\xd8", b"\xff\xd9"
"""The markers between which a JPEG lies."""
_TRAILING = 64
"""Bytes after the end marker that cameras add: a line ending, or zeros up to a round size."""

_BASELINE, _EXTENDED = 0xC0, 0xC1
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_TABLES, _SCAN, _EXIF = 0xC4, 0xDA, 0xE1
_NOT_IN_A_HEADER = frozenset({0x00, START[1], END[1]})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """A whole JPEG, from its start marker to its end marker, with what its header says. Width and height in pixels."""

    data: bytes
    width: int
    height: int
    components: int
    """1: grey, 3: colours, 4: those of print."""
    whole: bool
    """Whether a decoder must hold all of it at once, as for a progressive one, or some rows."""
    exif: bool
    """Whether it has an Exif header, which may ask for a turn."""
    plain: bool
    """Whether every reader decodes it cheaply and to the same pixels: 8-bit baseline with its own Huffman tables, grey
    or three colours, and no Exif header, which may ask for a rotation that some readers make and others do not."""

    @property
    def grey(self) -> bool:
        """Whether it has no colours."""
        return self.components == 1


def read_jpeg(data: bytes) -> Jpeg:
    """The JPEG in `data`. Raises ValueError unless it is a whole one with a sound header."""
    # A truncated JPEG decodes without an error, with a grey lower part, so its end marker is checked.
    end = data.rfind(END, -_TRAILING)
    if not data.startswith(START) or end < 0:
        raise ValueError(f"{len(data)} bytes that are no whole JPEG")
    frame: tuple[int, bytes] | None = None
    tables = exif = False
    for marker, start, stop in _segments(data, end):
        body = data[start:stop]
        if marker == _SCAN:
            return _jpeg(data[: end + len(END)], frame, tables=tables, exif=exif)
        if marker in _FRAME_HEADERS:
            frame = (marker, body)
        tables = tables or marker == _HUFFMAN_TABLES
        exif = exif or (marker == _EXIF and body.startswith(b"Exif"))
    raise ValueError(f"{len(data)} bytes of a JPEG with a corrupt header")


def start_of_scan(data: bytes | bytearray) -> int | None:
    """Where the data behind the header of the JPEG at the start of `data` begin; None if that needs more bytes.

    Raises ValueError if the header is corrupt.
    """
    for marker, _, stop in _segments(data, len(data)):
        if marker == _SCAN:
            return stop
    return None


def _segments(data: bytes | bytearray, end: int) -> Iterator[tuple[int, int, int]]:
    """The segments before `end` up to the first scan: marker, and where the body starts and stops.

    Raises ValueError where no marker is.
    """
    position = len(START)
    while position + 4 <= end:
        marker = data[position + 1]
        if data[position] != 0xFF or marker in _NOT_IN_A_HEADER:
            raise ValueError(f"{len(data)} bytes of a JPEG with a corrupt header")
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 2:
            raise ValueError(f"{len(data)} bytes of a JPEG with a corrupt header")
        yield marker, position + 4, position + 2 + length
        position += 2 + length


def _jpeg(data: bytes, frame: tuple[int, bytes] | None, *, tables: bool, exif: bool) -> Jpeg:
    if frame is None or len(frame[1]) < 6:
        raise ValueError(f"{len(data)} bytes of a JPEG that gives no size")
    process, header = frame
    width, height, components = int.from_bytes(header[3:5], "big"), int.from_bytes(header[1:3], "big"), header[5]
    if not width or not height:
        raise ValueError(f"{len(data)} bytes of a JPEG without pixels")
    usual = process in (_BASELINE, _EXTENDED) and header[0] == 8 and components in (1, 3)
    return Jpeg(
        data=data,
        width=width,
        height=height,
        components=components,
        whole=process not in (_BASELINE, _EXTENDED),
        exif=exif,
        plain=usual and tables and not exif,
    )
