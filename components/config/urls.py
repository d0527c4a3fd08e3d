"""Checks of the URLs in a stack's configuration. Each returns the URL or raises ValueError with the remedy."""

import re
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from apps.messages import camera_url

_REGISTRY: Final = re.compile(r"[\w.-]+(:[0-9]+)?(/[a-z0-9._-]+)*")
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_IMAGE: Final = re.compile(r"[\w.-]+(:[0-9]+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?")


def check_download_url(url: str) -> str:
    """Check an http(s) URL; return it without a trailing slash."""
    parts = split_without_login(url, "let the server answer the machines without one")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return url.rstrip("/")


def check_issuer(url: str) -> str:
    """Check the issuer URL of an OpenID Connect provider; return it unchanged, as providers name it to the letter."""
    parts = split_without_login(url, "give clientId and clientSecret by their keys")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be the provider's https:// URL: over http anybody on the way could log in as anybody")
    if parts.query or parts.fragment:
        raise ValueError("an issuer has no ? and no #; copy `issuer` from the provider's discovery document")
    return url


def check_acme_server(url: str) -> str:
    """Check the URL of an ACME server's directory; return it unchanged."""
    parts = split_without_login(url, "an ACME server knows its clients by their keys, or by externalAccount")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be the https:// URL of the server's directory, as the server's operator names it")
    return url


def check_page_url(url: str) -> str:
    """Check `http(s)://host[:port]`, where browsers open the page; return it without a trailing slash."""
    bare = url.rstrip("/")
    parts = split_without_login(bare, "people log in on the page")
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.-]+(:[0-9]+)?", bare.partition("://")[2]):
        raise ValueError("must be https://name[:port], without a path, as a browser's address bar begins")
    # As browsers write it: in small letters, and without the scheme's own port.
    return f"{parts.scheme}://{parts.netloc.lower()}".removesuffix(":443" if parts.scheme == "https" else ":80")


def check_host_name(name: str) -> str:
    """Check a DNS name or an IPv4 address; return it in small letters."""
    small = name.lower()
    if re.fullmatch(r"[0-9.]+", small):
        IPv4Address(small)
    elif len(small) > 253 or not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", small):
        raise ValueError("must be a DNS name such as argus.example.com, or an IPv4 address, without port and wildcard")
    return small


def check_proxy(url: str) -> str:
    """Check the URL of an HTTP proxy, `http(s)://host[:port]`; return it without a trailing slash."""
    parts = split_without_login(url, "let the proxy know the machines by their addresses")
    bare = url.rstrip("/")
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.-]+(:[0-9]+)?", bare.partition("://")[2]):
        raise ValueError("must be http://host:port, the way to the proxy itself")
    return bare


def check_tang(url: str) -> str:
    """Check the URL of a Tang server, `http(s)://host[:port]`; return it without a trailing slash."""
    parts = split_without_login(url, "a Tang server asks nobody for one")
    bare = url.rstrip("/")
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.-]+(:[0-9]+)?", bare.partition("://")[2]):
        raise ValueError("must be http://host:port of a Tang server, without a path")
    return bare


def split_without_login(url: str, remedy: str) -> SplitResult:
    """The parts of a URL that is kept as plain text. Raises ValueError with the remedy if a login may be in it."""
    if camera_url.has_userinfo(url) or camera_url.login_key(url):
        raise ValueError(f"a login does not belong in the URL: {remedy} (an @ of the path is written %40)")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # Its message has a part of the URL, which may hold a login.
        raise ValueError("this is no URL") from None
    return parts


def check_registry(registry: str) -> str:
    """Check `host[:port][/path]`, as names of images begin; return it without a trailing slash."""
    bare = registry.rstrip("/")
    if not _REGISTRY.fullmatch(bare):
        raise ValueError(
            "must be host[:port][/path], the path in small letters, without a scheme or a login "
            "(argus:images.registries has that)"
        )
    return bare


def check_registry_host(host: str) -> str:
    """Check `host[:port]` as references of images begin; return it unchanged."""
    if not re.fullmatch(r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(:[0-9]+)?", host):
        raise ValueError(
            "must be host[:port] in small letters, as references of images begin (`docker.io` for those without one), "
            "without a scheme or a path"
        )
    return host


def registry_of(reference: str) -> str:
    """The host, with its port, of the registry of an image, as containerd reads its reference."""
    first, slash, _ = reference.partition("/")
    return first if slash and (re.search("[.:]", first) or first == "localhost") else "docker.io"


def check_image(reference: str) -> str:
    """Check the reference of an image; return it unchanged."""
    if not _IMAGE.fullmatch(reference):
        raise ValueError(
            "must be [host[:port]/]name[:tag][@sha256:digest], without a scheme or a login (argus:images.registries "
            "has that)"
        )
    return reference
