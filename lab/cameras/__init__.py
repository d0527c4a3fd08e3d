"""The camera machine: real H.264 footage over RTSP."""

from typing import TypeAlias

Crop: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: left, top, width and height in its pixels. All even, as H.264 halves the colours' size."""
