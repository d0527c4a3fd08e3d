"""Checks of the URLs in a stack's configuration. Each returns the URL or raises ValueError with the remedy."""

from urllib.parse import SplitResult, urlsplit

CAMERA_SCHEMES = ("rtsp", "rtsps", "http", "https", "file", "synthetic")


def check_camera_url(url: str) -> str:
    """Check a camera's URL: a supported scheme, a host or path, and no credentials."""
    parts = urlsplit(url)
    if parts.scheme not in CAMERA_SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in CAMERA_SCHEMES)
        raise ValueError(f"the scheme {parts.scheme or '(none)'!r} is not one of {allowed}")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong in the URL: set cameraCredentials.<camera> as Pulumi secrets")
    if parts.scheme == "file" and not parts.path.startswith("/"):
        raise ValueError("a file:// URL needs an absolute path: file:///path/in/the/pod")
    _check_port(parts)
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError("the URL names no host" if parts.scheme != "synthetic" else "write synthetic://<scene>")
    return url


def _check_port(parts: SplitResult) -> None:
    try:
        named = parts.port
    except ValueError:
        named = 0
    if named == 0:
        raise ValueError("the port is no number from 1 to 65535")


def check_download_url(url: str) -> str:
    """Check an http(s) URL; return it without a trailing slash."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/")
