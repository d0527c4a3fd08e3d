"""Checks of the URLs in a stack's configuration. Each returns the URL or raises ValueError with the remedy."""

from urllib.parse import urlsplit


def check_download_url(url: str) -> str:
    """Check an http(s) URL; return it without a trailing slash."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its message has a part of the URL, which may hold a login.
        raise ValueError("this is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/")
