"""Sources of frames: one module for each kind of URL, chosen by its scheme."""

import threading
from urllib.parse import quote, urlsplit

from apps.producer.settings import Camera, Credentials
from apps.producer.sources.base import CorruptImage, OversizeImage, Shot, Source, SourceError
from apps.producer.sources.mjpeg import MjpegSource
from apps.producer.sources.synthetic import SyntheticSource
from apps.producer.sources.video import VideoSource

__all__ = ["CorruptImage", "OversizeImage", "Shot", "Source", "SourceError", "open_source"]


def open_source(
    camera: Camera, credentials: Credentials | None, max_image_bytes: int, stopping: threading.Event
) -> Source:
    """Open a camera. Raises SourceError, which never contains credentials, if it cannot be reached."""
    parts = urlsplit(camera.url)
    if parts.scheme == "synthetic":
        return SyntheticSource(camera.name, camera.width, stopping)
    if parts.scheme in {"http", "https"}:
        return MjpegSource(camera.url, credentials, max_image_bytes, stopping)
    interval = 1 / camera.frames_per_second
    if parts.scheme == "file":
        return VideoSource(parts.path, interval, camera.width, stopping, looped=True)
    place = _with_credentials(camera.url, credentials)
    return VideoSource(place, interval, camera.width, stopping, looped=False)


def _with_credentials(url: str, credentials: Credentials | None) -> str:
    if credentials is None:
        return url
    user, password = quote(credentials.username, safe=""), quote(credentials.password.get_secret_value(), safe="")
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc}").geturl()
