"""Bounds what decoding takes, from the sizes in pictures' headers, so that one camera's pictures never end the pod."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MIB: Final = 1 << 20
_CGROUPS: Final = Path("/sys/fs/cgroup")
_LIMIT_FILES: Final = ("memory.max", "memory/memory.limit_in_bytes")
"""Those of cgroups of version 2 and 1."""
_NO_LIMIT: Final = 1 << 50
"""Version 1 has a number near 2^63 where there is no limit."""
_USUAL_LIMIT: Final = 512 * MIB
"""The pod's memory where the kernel tells no limit, as on a developer's machine."""
_SHARE: Final = 3
"""Decoding takes this part of the pod's memory at most; the rest is for the program, what was received, and Kafka."""

_BYTES_PER_PIXEL: Final = 1.5 * 6
"""Of a video that is decoded: a picture has 1.5 bytes per pixel, and the decoder keeps some of them to refer to."""


class TooLarge(Exception):
    """Decoding would take more memory than it may; the message has both."""


class Room:
    """Memory that threads take a part of while they decode. One that finds too little waits for the others."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Take `size` bytes until the block ends. Raises TooLarge if there never are as many."""
        if size > self.size:
            raise TooLarge(f"decoding takes {size // MIB} MiB of memory, {self.size // MIB} are allowed")
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def pod_memory(cgroups: Path = _CGROUPS) -> int:
    """The bytes of memory that this process's container may use."""
    for file in _LIMIT_FILES:
        # Version 2 has `max` where there is no limit.
        with contextlib.suppress(OSError, ValueError):
            if (limit := int((cgroups / file).read_text())) < _NO_LIMIT:
                return limit
    return _USUAL_LIMIT


def most_video_pixels(size: int) -> int:
    """The pixels of a video's picture that can be decoded in `size` bytes."""
    return int(size / _BYTES_PER_PIXEL)


DECODING: Final = Room(pod_memory() // _SHARE)
"""What decoding may take in this process."""
