"""A frame for a user's model, with its pixels, decoded at their first use."""

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
        """The pixels, (height, width, 3), BGR, 0..255. The model may modify the array.

        Raises FrameError if the JPEG is corrupt. Uncaught, it rejects the frame with that reason.
        """
        # Imported late, because OpenCV and NumPy may come from the user's own requirements.
        from apps.model_api.jpeg import decode

        return decode(self, (self.width, self.height))


def frame_to_bytes(frame: messages.Frame) -> bytes:
    """Serialize a frame for the process of a user's code."""
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
    """Parse what `frame_to_bytes` wrote. Raises struct.error, KeyError or ValueError for anything else."""
    (length,) = _HEADER.unpack_from(data)
    start = _HEADER.size + length
    said: dict[str, Any] = json.loads(data[_HEADER.size : start])
    said["captured_at"] = parse_timestamp(said["captured_at"])
    return Frame(**said, jpeg=data[start:])
