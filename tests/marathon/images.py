"""Reads and changes another process's memory, and finds in it what programs and libraries (ELF images) call."""

import re
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from io import FileIO
from pathlib import Path

_LOAD, _DYNAMIC = 1, 2
_FIXED = 2
"""The type of a program that was not moved."""
_STRINGS, _SYMBOLS, _RELOCATIONS, _RELOCATIONS_SIZE, _STRINGS_SIZE = 5, 6, 7, 8, 10
_CALLS, _CALLS_SIZE, _VERSIONS = 23, 2, 0x6FFFFFF0
_ADDRESS_OF, _CALL_OF = 6, 7
"""R_X86_64_GLOB_DAT and R_X86_64_JUMP_SLOT."""
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_OLD = 0x8000
"""A version of a symbol that nothing new is linked with."""
_MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ 0* \S+ \d+ +(?:/.*/|(?=\[vdso\]))([^/]+)$")


@contextmanager
def memory_of(process: int) -> Iterator["Memory"]:
    """A process's memory. Raises ProcessLookupError if it has ended, OSError if it may not be changed."""
    folder = Path(f"/proc/{process}")
    if not folder.exists():
        raise ProcessLookupError(f"process {process} has ended")
    with (folder / "mem").open("r+b", buffering=0) as file:
        yield Memory(process, file)


class Memory:
    """A process's memory, which is open."""

    def __init__(self, process: int, file: FileIO) -> None:
        self._process, self._file = process, file

    def read(self, address: int, size: int) -> bytes:
        """So many bytes from an address on. Raises OSError if there is nothing."""
        self._file.seek(address)
        data = b""
        while len(data) < size:
            more = self._file.read(size - len(data))
            if not more:
                raise OSError(f"process {self._process} has no {size} bytes at {address:#x}")
            data += more
        return data

    def write(self, address: int, data: bytes) -> None:
        """Change what is there, also where the process itself may not."""
        self._file.seek(address)
        if self._file.write(data) != len(data):
            raise OSError(f"process {self._process} took no {len(data)} bytes at {address:#x}")

    def images(self) -> list["Image"]:
        """The program and the libraries that are loaded, the kernel's own (vDSO) included."""
        mapped = Path(f"/proc/{self._process}/maps").read_text()
        lines = (_MAPPED.match(line) for line in mapped.splitlines())
        parts = ((int(line[1], 16), int(line[2], 16), line[3]) for line in lines if line)
        return [Image(self, begin, name, end - begin) for begin, end, name in parts if self._is_image(begin)]

    def _is_image(self, begin: int) -> bool:
        try:
            return self.read(begin, 4) == b"\x7fELF"
        except OSError:
            # Of a mapped file that has become shorter.
            return False


class Image:
    """A program or library as it is loaded. `size` is that of its first mapping, in bytes."""

    def __init__(self, memory: Memory, begin: int, name: str, size: int) -> None:
        self._memory, self.begin, self.name, self.size = memory, begin, name, size

    def symbols(self, names: Collection[str]) -> dict[str, int]:
        """Where those of these functions begin that the image gives to others."""
        # The strings follow the symbols in what GNU's linker makes, as glibc and the vDSO.
        symbols, strings = self._at(_SYMBOLS), self._strings
        data = self._memory.read(symbols, (self._at(_STRINGS) - symbols) // _SYMBOL.size * _SYMBOL.size)
        versions = self._memory.read(self._at(_VERSIONS), len(data) // _SYMBOL.size * 2)
        found: dict[str, int] = {}
        for number, (name, _, _, section, value, _) in enumerate(_SYMBOL.iter_unpack(data)):
            (version,) = struct.unpack_from("<H", versions, number * 2)
            if section and not version & _OLD and (word := _word(strings, name)) in names:
                found[word] = self._moved + value
        return found

    def calls(self, names: Collection[str]) -> Iterator[tuple[str, int]]:
        """Which of these functions of others it calls, and the place that has the function's address."""
        if not any(f"\0{name}\0".encode() in self._strings for name in names):
            return
        for kind, size in ((_CALLS, _CALLS_SIZE), (_RELOCATIONS, _RELOCATIONS_SIZE)):
            if kind not in self._entries:
                continue
            data = self._memory.read(self._at(kind), self._entries[size])
            for place, info, _ in _RELOCATION.iter_unpack(data):
                if info & 0xFFFFFFFF not in (_ADDRESS_OF, _CALL_OF):
                    continue
                symbol = self._memory.read(self._at(_SYMBOLS) + (info >> 32) * _SYMBOL.size, _SYMBOL.size)
                if (word := _word(self._strings, _SYMBOL.unpack(symbol)[0])) in names:
                    yield word, self._moved + place

    def has(self, address: int) -> bool:
        """Whether the address is in one of its segments."""
        segments = (each for each in self._segments if each[0] == _LOAD)
        return any(0 <= address - self._moved - place < size for _, place, size in segments)

    @cached_property
    def _header(self) -> bytes:
        return self._memory.read(self.begin, 64)

    @cached_property
    def _segments(self) -> list[tuple[int, int, int]]:
        """Type, address before it was moved, and size of each segment."""
        (offset,) = struct.unpack_from("<Q", self._header, 32)
        each, count = struct.unpack_from("<HH", self._header, 54)
        data = self._memory.read(self.begin + offset, each * count)
        parts = (data[at : at + each] for at in range(0, len(data), each))
        return [
            (struct.unpack_from("<I", part)[0], *(struct.unpack_from("<Q", part, at)[0] for at in (16, 40)))
            for part in parts
        ]

    @cached_property
    def _moved(self) -> int:
        """By how many bytes it was moved when it was loaded."""
        if struct.unpack_from("<H", self._header, 16)[0] == _FIXED:
            return 0
        return self.begin - min(place for kind, place, _ in self._segments if kind == _LOAD)

    @cached_property
    def _entries(self) -> Mapping[int, int]:
        """What its dynamic section says."""
        found = [(place, size) for kind, place, size in self._segments if kind == _DYNAMIC]
        if not found:
            return {}
        ((place, size),) = found
        return dict(struct.iter_unpack("<QQ", self._memory.read(self._moved + place, size // 16 * 16)))

    def _at(self, entry: int) -> int:
        """An address of the dynamic section. The loader has moved it there already, or not."""
        address = self._entries[entry]
        return address if address >= self.begin else self._moved + address

    @cached_property
    def _strings(self) -> bytes:
        return self._memory.read(self._at(_STRINGS), self._entries[_STRINGS_SIZE]) if self._entries else b""


def _word(strings: bytes, at: int) -> str:
    return strings[at : strings.index(b"\0", at)].decode()
