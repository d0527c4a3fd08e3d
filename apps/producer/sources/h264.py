"""Whether a picture of an H.264 stream was lost whole: FFmpeg conceals that without a word, and smears what follows.

Every picture that others are made from raises the stream's `frame_num` by one (ITU-T H.264, 7.4.3).
"""

import re
from typing import Final

_START = re.compile(rb"\x00\x00\x01")
_HEADER_BYTES: Final = 64
"""More than what is read of a slice."""
_SLICE, _KEY_SLICE, _SEQUENCE, _PICTURE = 1, 5, 7, 8
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Those whose parameters begin with the colours' format."""


class FrameNumbers:
    """Follows the numbers of a stream in which units begin with start codes, as from RTSP."""

    def __init__(self, parameters: bytes | None) -> None:
        """`parameters` are what the stream's description has of them, if anything."""
        self._most: dict[int, int] = {}
        """The number after which numbers begin anew, by the sequence's id; 0: its numbers may jump."""
        self._sequences: dict[int, int] = {}
        """The sequence of each picture's parameters."""
        self._last: int | None = None
        for unit in _units(parameters or b""):
            self._read_parameters(unit)

    def lost(self, packet: bytes, key: bool) -> bool:
        """Whether a picture is missing before this packet, the next in order. At a key frame nothing is missed."""
        if key:
            self._last = None
        for unit in _units(packet):
            kind = unit[0] & 31
            if kind in (_SLICE, _KEY_SLICE):
                try:
                    return self._follow(unit)
                except (IndexError, KeyError):
                    # Damaged, which the decoder says, or without parameters.
                    return False
            self._read_parameters(unit)
        return False

    def _follow(self, unit: bytes) -> bool:
        bits = _Bits(unit)
        bits.number(), bits.number()  # The first block, and the slice's type.
        most = self._most[self._sequences[bits.number()]]
        if not most:
            return False
        number, last = bits.take(most.bit_length() - 1), self._last
        if unit[0] & 0x60:
            self._last = number
        return last is not None and number not in (last, (last + 1) % most)

    def _read_parameters(self, unit: bytes) -> None:
        bits = _Bits(unit)
        try:
            if unit[0] & 31 == _SEQUENCE:
                self._read_sequence(bits)
            elif unit[0] & 31 == _PICTURE:
                picture = bits.number()
                self._sequences[picture] = bits.number()
        except IndexError:
            return

    def _read_sequence(self, bits: "_Bits") -> None:
        profile = bits.take(8)
        bits.take(16)
        sequence = bits.number()
        planes = False
        if profile in _HIGH_PROFILES:
            colours = bits.number()
            if colours == 3:  # 4:4:4
                planes = bool(bits.take(1))
            bits.number(), bits.number(), bits.take(1)
            if bits.take(1):
                for each in range(8 if colours != 3 else 12):
                    if bits.take(1):
                        bits.skip_scaling(16 if each < 6 else 64)
        most = 1 << (bits.number() + 4)
        self._skip_order(bits)
        bits.number()  # Reference pictures.
        jumps = bits.take(1)
        # With planes apart, two bits stand before the number: such cameras do not exist, so they are not followed.
        self._most[sequence] = 0 if jumps or planes else most

    @staticmethod
    def _skip_order(bits: "_Bits") -> None:
        kind = bits.number()
        if kind == 0:
            bits.number()
        elif kind == 1:
            bits.take(1)
            bits.number(), bits.number()
            for _ in range(bits.number()):
                bits.number()


class _Bits:
    """Reads a unit's bits from behind its first byte. Raises IndexError at its end."""

    def __init__(self, unit: bytes) -> None:
        # A 3 keeps two zero bytes apart from what would look like a start code.
        data = unit[1 : 1 + 4 * _HEADER_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & ((1 << count) - 1)

    def number(self) -> int:
        """The next Exp-Golomb code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_scaling(self, size: int) -> None:
        """Skip a scaling list."""
        last = following = 8
        for _ in range(size):
            if following:
                code = self.number()
                following = (last + (code + 1) // 2 * (1 if code % 2 else -1)) % 256
            last = following or last


def _units(data: bytes) -> list[bytes]:
    """The beginnings of the units in some bytes."""
    places = [found.end() for found in _START.finditer(data)]
    ends = [*places[1:], len(data)]
    cut = ((at, min(end, at + 5 * _HEADER_BYTES)) for at, end in zip(places, ends, strict=False))
    return [data[at:end] for at, end in cut if end > at]
