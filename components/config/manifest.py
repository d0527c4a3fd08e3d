"""Reads and checks the Kubernetes manifest that a stack names, on the computer that runs Pulumi, without a cluster."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.config.forms import expanded
from components.config.urls import split_without_login

_TIMEOUT_SECONDS = 30
_REMEDY = "give what `kubectl apply -f` takes, such as the output of `helm template`"


class ManifestError(ValueError):
    """The manifest cannot be used; the message says why and what to do."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads a plain `=` as text, as Kubernetes does; CRDs contain it among their values."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def is_url(source: str) -> bool:
    """Whether a manifest's source is a URL, not a path."""
    return "://" in source


def check_source(source: str) -> str:
    """An https:// URL without credentials, or a path. Raises ValueError with the remedy."""
    if is_url(source):
        parts = split_without_login(source, "download the manifest and give its path")
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("must be an https:// URL or a path")
    return source


@cache
def read(source: str) -> str:
    """The text at a path or https:// URL, checked to be a manifest. Raises ManifestError."""
    text = _fetched(source) if is_url(source) else _from_file(source)
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))  # a SafeLoader
    except yaml.YAMLError as malformed:
        raise ManifestError(f"{source} is not YAML ({_place(malformed)}); {_REMEDY}") from None
    count = 0
    for count, item in enumerate(_objects(documents), start=1):
        if lacks := _lacks(item):
            raise ManifestError(f"{source}: object {count} has no {lacks}; {_REMEDY}")
    if not count:
        raise ManifestError(f"{source} holds no object; {_REMEDY}")
    return text


def _fetched(url: str) -> str:
    remedy = "check the URL and this computer's way there, or download the manifest and give its path"
    try:
        with _https_only().open(url, timeout=_TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as refused:
        raise ManifestError(f"{url} answers {refused.code} {refused.reason}; {remedy}") from None
    except (OSError, http.client.HTTPException) as unreachable:
        reason = getattr(unreachable, "reason", unreachable)
        raise ManifestError(f"{url} cannot be read ({reason}); {remedy}") from None
    return _decoded(content, url)


def _https_only() -> urllib.request.OpenerDirector:
    """An opener that refuses plain http://, also after a redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _from_file(name: str) -> str:
    try:
        path = expanded(Path(name))
    except ValueError as homeless:
        raise ManifestError(str(homeless)) from None
    if not path.exists():
        raise ManifestError(f"{path} does not exist; give the path of a YAML file, or an https:// URL")
    try:
        content = path.read_bytes()
    except OSError as unreadable:
        raise ManifestError(f"{path} cannot be read ({unreadable.strerror}); give the path of a YAML file") from None
    return _decoded(content, name)


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ManifestError(f"{source} is no text; {_REMEDY}") from None


def _objects(documents: list[Any]) -> Iterator[Any]:
    """Every object, including those in a `List`; empty documents are skipped."""
    for document in documents:
        if document is None:
            continue
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document.get("items") or ()
        else:
            yield document


def _lacks(item: Any) -> str | None:
    """The first required field that this object lacks, if any."""
    fields = item if isinstance(item, dict) else {}
    metadata = fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    has = {"kind": fields.get("kind"), "apiVersion": fields.get("apiVersion"), "metadata.name": name}
    return next((key for key, value in has.items() if not value), None)


def _place(malformed: yaml.YAMLError) -> str:
    mark = getattr(malformed, "problem_mark", None)
    problem = getattr(malformed, "problem", None) or "malformed"
    return f"line {mark.line + 1}: {problem}" if mark else problem
