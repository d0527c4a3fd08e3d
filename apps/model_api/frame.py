"""A frame as a user's model gets it: with its pixels, decoded when they are first asked for."""

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from apps import messages
from apps.messages import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_HEADER = struct.Struct("!I")


@dataclass(frozen=True, kw_only=True)
class Frame(messages.Frame):
    """One picture of a camera: `camera`, `sequence`, `captured_at` (UTC), `width` and `height` (pixels), `jpeg`."""

    @cached_property
    def image(self) -> "npt.NDArray[np.uint8]":
        """The pixels, height x width x 3, blue, green, red, 0..255. The array is the model's own to draw on.

        Raises FrameError where the JPEG is corrupt; let it pass, and the frame is set aside with that reason.
        """
        # Imported late: OpenCV and NumPy may be those of the user's own requirements.
        from apps.model_api.jpeg import decode

        return decode(self, (self.width, self.height))


def frame_to_bytes(frame: messages.Frame) -> bytes:
    """The frame as it travels to the process of a user's code."""
    said = {
        "camera": frame.camera,
        "sequence": frame.sequence,
        "captured_at": format_timestamp(frame.captured_at),
        "width": frame.width,
        "height": frame.height,
    }
    header = json.dumps(said).encode()
    return b"".join((_HEADER.pack(len(header)), header, frame.jpeg))


def frame_from_bytes(data: bytes) -> Frame:
    """The frame of `frame_to_bytes`. Raises struct.error, KeyError or ValueError for anything else."""
    (length,) = _HEADER.unpack_from(data)
    start = _HEADER.size + length
    said: dict[str, Any] = json.loads(data[_HEADER.size : start])
    said["captured_at"] = parse_timestamp(said["captured_at"])
    return Frame(**said, jpeg=data[start:])
