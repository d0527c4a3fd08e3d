"""The URLs of cameras: which are allowed, how none holds a login, and where a camera's login is written into one."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

SCHEMES: Final = ("rtsp", "rtsps", "http", "https", "file", "synthetic")

PORTS: Final[Mapping[str, int]] = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""The port of a camera whose URL names none: FFmpeg's defaults."""

USERNAME, PASSWORD = "{username}", "{password}"
"""What a URL has where the camera wants its login in the path or the query."""

LONGEST_RTSP_LOGIN: Final = 127
"""Bytes of `user:password`, as a URL holds it, that FFmpeg's RTSP client keeps (`char auth[128]` in its rtsp.h)."""

ESCAPED: Final = "the signs % : @ / ? # [ ] \\ and spaces"
"""What is escaped in such a login."""

_ELSEWHERE = "set cameraCredentials.<camera> as Pulumi secrets"
_PAIR = re.compile(r"(?:^|[?&;/_#,])(?P<key>[\w.~-]*?)=(?P<value>[^?&;/#,_]*)")
_SECRET_KEY = re.compile(
    r"pas$|pass|pwd|psw|passwd|usr|user|login|auth|account|token|secret|credential|signature|session"
    r"|(?:^|[._-])(?:u|p|pw|sig|sid|key)$|(?:api|access|stream)[._-]?key"
)
"""Names under which cameras take a login or a token in the path or the query, in lower case."""

_AUTHORITY = re.compile(r"(?:[\w.-]*|\[[0-9A-Fa-f:.]*(?:%[\w.-]+)?\])(?::[^:]*)?")
_UNSAFE_IN_USERINFO = re.compile(r"[^!-~\x80-\U0010ffff]|[%:@/?#\[\]\\]")


def check(url: str) -> str:
    """Return the URL, or raise ValueError with the remedy. The message has no part of the URL that may be a login."""
    if has_userinfo(url):
        raise ValueError(f"a login does not belong in the URL: {_ELSEWHERE} (an @ of the path is written %40)")
    if re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise ValueError("a URL has no spaces, backslashes or control characters: write them as %20 and the like")
    if (key := login_key(url)) is not None:
        raise ValueError(
            f"{key}= in the URL may be a login: write {key}={USERNAME} or {key}={PASSWORD}, and {_ELSEWHERE}"
        )
    parts = _split(url)
    if parts.scheme not in SCHEMES:
        named = repr(parts.scheme) if url.startswith(f"{parts.scheme}://") else "in front of ://"
        raise ValueError(f"the scheme {named} is not one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if parts.scheme == "file" and not parts.path.startswith("/"):
        raise ValueError("a file:// URL needs an absolute path: file:///path/in/the/pod")
    if parts.scheme != "file" and not parts.hostname:
        raise ValueError("the URL names no host" if parts.scheme != "synthetic" else "write synthetic://<scene>")
    if takes_login(url) and parts.scheme not in ("rtsp", "rtsps", "http", "https"):
        raise ValueError(f"{USERNAME} and {PASSWORD} are for cameras that are reached over the network")
    return url


def has_userinfo(url: str) -> bool:
    """Whether a login may stand before the host: an @ anywhere, also the wide one, which some parsers take for it."""
    return "@" in url or "\uff20" in url


def login_key(url: str) -> str | None:
    """The name of the first value in a URL's path or query that may be a login; None if there is none."""
    for found in _PAIR.finditer(unquote(url.partition("://")[2])):
        key, value = found["key"], found["value"]
        if value not in ("", USERNAME, PASSWORD) and _SECRET_KEY.search(key.lower()):
            return key
    return None


def takes_login(url: str) -> bool:
    """Whether the login is to be written into the path or the query."""
    return USERNAME in url or PASSWORD in url


def with_login(url: str, username: str, password: str) -> str:
    """The URL with the login in the places that it has for it."""
    return url.replace(USERNAME, quote(username, safe="")).replace(PASSWORD, quote(password, safe=""))


def userinfo(username: str, password: str) -> str:
    """`user:password` for FFmpeg, which keeps only LONGEST_RTSP_LOGIN bytes: only what must be is escaped."""
    return ":".join(
        _UNSAFE_IN_USERINFO.sub(lambda found: quote(found[0], safe=""), each) for each in (username, password)
    )


def too_long_for_rtsp(url: str, username: str, password: str) -> bool:
    """Whether the login is longer than FFmpeg's RTSP client can keep."""
    if not url.startswith(("rtsp://", "rtsps://")) or takes_login(url):
        return False
    return len(userinfo(username, password).encode()) > LONGEST_RTSP_LOGIN


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its message has a part of the URL.
        raise ValueError("this is no URL") from None
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise ValueError("between // and the path belongs a host, and perhaps a port")
    try:
        named = parts.port
    except ValueError:
        named = 0
    if named == 0:
        raise ValueError("the port is no number from 1 to 65535")
    return parts
