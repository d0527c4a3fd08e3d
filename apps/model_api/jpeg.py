"""Decodes frames no larger than a model needs, after checking the JPEG's header."""

from dataclasses import dataclass, field, fields

import cv2
import numpy as np
import numpy.typing as npt

from apps.messages import Frame, FrameError

Image = npt.NDArray[np.uint8]

MAX_PIXELS = 50_000_000
"""Above this, a JPEG of a few kilobytes could decode to more memory than a worker has."""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_COLOUR = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


@dataclass(frozen=True, kw_only=True)
class SharedFrame(Frame):
    """A frame that several models look at: it keeps its decoded pictures, so that each is decoded once."""

    pictures: dict[tuple[int, bool], Image] = field(default_factory=dict, init=False, compare=False, repr=False)
    """By divisor, and whether grey. They are read-only, because several models see the same array."""

    @classmethod
    def of(cls, frame: Frame) -> "SharedFrame":
        """The same frame, without pictures so far."""
        return cls(**{each.name: getattr(frame, each.name) for each in fields(Frame)})

    def picture(self, divisor: int, *, grey: bool) -> Image:
        """The picture reduced by this divisor. Raises FrameError as `decode` does."""
        found = self.pictures.get((divisor, grey))
        if found is None:
            derived = self._averaged(divisor) if grey else None
            found = _decoded(self, divisor, grey=grey) if derived is None else derived
            found.setflags(write=False)
            self.pictures[divisor, grey] = found
        return found

    def _averaged(self, divisor: int) -> Image | None:
        """A grey picture from a larger one, in a tenth of the time; None if there is no larger one, or none that fits.

        The decoder reduces by averaging too, so both ways differ by 3 grey levels of 255 at most, and by 0.15 on
        average. A grey picture of the same size as a colour one is decoded: a network may be fed with it.
        """
        larger = [key for key in self.pictures if key[0] < divisor]
        if not larger or self.width % divisor or self.height % divisor:
            return None
        source = max(larger)
        image = self.pictures[source] if source[1] else cv2.cvtColor(self.pictures[source], cv2.COLOR_BGR2GRAY)
        size = (self.width // divisor, self.height // divisor)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels from the JPEG's header. Raises FrameError unless it is a whole JPEG."""
    if not data.startswith(_START):
        raise FrameError("the value is not a JPEG")
    if not data.rstrip(b"\0").endswith(_END):
        raise FrameError("the JPEG is cut short")
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            raise FrameError("the JPEG's segments are corrupt")
        marker = data[position + 1]
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            width = int.from_bytes(data[position + 7 : position + 9], "big")
            if width == 0 or height == 0:
                raise FrameError("the JPEG has no pixels")
            return width, height
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise FrameError("the JPEG has no frame header")


def reduction(size: tuple[int, int], target: tuple[int, int]) -> int:
    """The largest divisor (1, 2, 4, 8) that still leaves an image of `size` the resolution of `target`."""
    spare = max(size[0] / target[0], size[1] / target[1])
    return max(divisor for divisor in _COLOUR if divisor == 1 or divisor <= spare)


def decode(frame: Frame, target: tuple[int, int], *, grey: bool = False) -> Image:
    """The frame's pixels, (height, width, 3) BGR or (height, width) grey, reduced if `target` (width, height) allows.

    Of a SharedFrame, the picture may be one that is there already. Raises FrameError if the image is corrupt, too
    large, or not of the size in the frame's headers.
    """
    divisor = reduction((frame.width, frame.height), target)
    if isinstance(frame, SharedFrame):
        return frame.picture(divisor, grey=grey)
    return _decoded(frame, divisor, grey=grey)


def _decoded(frame: Frame, divisor: int, *, grey: bool) -> Image:
    size = jpeg_size(frame.jpeg)
    if size != (frame.width, frame.height):
        raise FrameError(f"the JPEG is {size[0]}x{size[1]}, its headers say {frame.width}x{frame.height}")
    if size[0] * size[1] > MAX_PIXELS:
        raise FrameError(f"the JPEG has {size[0] * size[1]} pixels, more than {MAX_PIXELS}")
    flags = (_GREY if grey else _COLOUR)[divisor] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(frame.jpeg, dtype=np.uint8), flags)
    except cv2.error as error:
        raise FrameError(f"the JPEG does not decode: {error.err}") from error
    if image is None:
        raise FrameError("the JPEG does not decode")
    return np.asarray(image, dtype=np.uint8)
