"""Sources of frames: one module for each kind of URL, chosen by its scheme."""

import threading
from urllib.parse import urlsplit

from apps.messages import camera_url
from apps.producer.settings import Camera, Credentials
from apps.producer.sources.base import CorruptImage, NoPicture, OversizeImage, Shot, Source, SourceError
from apps.producer.sources.mjpeg import MjpegSource
from apps.producer.sources.synthetic import SyntheticSource
from apps.producer.sources.video import EncryptedVideoSource, VideoSource

__all__ = ["CorruptImage", "NoPicture", "OversizeImage", "Shot", "Source", "SourceError", "open_source"]


def open_source(
    camera: Camera, credentials: Credentials | None, max_image_bytes: int, stopping: threading.Event
) -> Source:
    """Open a camera. Raises SourceError, which never contains credentials, if it cannot be reached."""
    url = camera.url
    if credentials is not None and camera_url.takes_login(url):
        url = camera_url.with_login(url, credentials.username, credentials.password.get_secret_value())
        credentials = None
    parts = urlsplit(url)
    if parts.scheme == "synthetic":
        return SyntheticSource(camera.name, camera.width, stopping)
    if parts.scheme in {"http", "https"}:
        return MjpegSource(url, credentials, max_image_bytes, stopping, camera.tls)
    interval = 1 / camera.frames_per_second
    if parts.scheme == "file":
        return VideoSource(parts.path, interval, camera.width, stopping, None)
    place = _for_ffmpeg(url, credentials)
    if parts.scheme == "rtsps":
        return EncryptedVideoSource(place, interval, camera.width, stopping, camera.tls)
    return VideoSource(place, interval, camera.width, stopping, camera.transport)


def _for_ffmpeg(url: str, credentials: Credentials | None) -> str:
    """The URL with the login where FFmpeg looks for it."""
    if credentials is None:
        return url
    username, password = credentials.username, credentials.password.get_secret_value()
    if camera_url.too_long_for_rtsp(url, username, password):
        raise SourceError(f"the login is longer than the {camera_url.LONGEST_RTSP_LOGIN} bytes that FFmpeg keeps")
    parts = urlsplit(url)
    return parts._replace(netloc=f"{camera_url.userinfo(username, password)}@{parts.netloc}").geturl()
