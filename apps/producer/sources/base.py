"""The interface of a source of frames."""

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from apps.producer.jpeg import Jpeg


class SourceError(Exception):
    """The camera cannot be reached or was lost. The message contains no credentials."""


class NoPicture(SourceError):
    """The camera is connected, but sends no picture. It can be read on: one may come yet."""


class CorruptImage(Exception):
    """One image could not be decoded; the next may be fine."""


class OversizeImage(Exception):
    """One image is larger than allowed; the next may be fine."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One image and when it was taken: its pixels (height, width, BGR), or the JPEG that the camera sent."""

    image: NDArray[np.uint8] | Jpeg
    captured_at: datetime


class Source(Protocol):
    """An open camera."""

    def read(self, sequence: int, due: float) -> Shot | None:
        """The first image at or after `due` (time.monotonic); None when told to stop.

        `sequence` is the identity that the image will have, for sources that render. Raises SourceError when the
        camera is lost, NoPicture when it has sent no picture for some seconds, and CorruptImage or OversizeImage for
        one bad image; after these three it can be read on.
        """
        ...

    def close(self) -> None:
        """Close the connection to the camera."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Closing:
    """Makes a source with `close` a context manager."""

    def close(self) -> None:
        """Close the connection to the camera."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
