"""The camera machine: real H.264 footage over RTSP."""

from typing import Final

FRAMES_PER_SECOND: Final = 12.5
"""The rate of every camera's stream: half of the clips' own, as a real camera's second stream would be."""
