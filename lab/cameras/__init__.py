"""The camera machine: real footage, as H.264 over RTSP and as JPEGs over HTTP."""

from typing import TypeAlias

Crop: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: left, top, width, height in pixels. All even, because H.264 halves the colours' resolution."""
