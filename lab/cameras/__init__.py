"""The camera machine: real H.264 footage over RTSP."""

from typing import TypeAlias

Crop: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: left, top, width, height in pixels. All even, because H.264 halves the colours' resolution."""
