"""The results on the consumers' disks, as the consumers list and serve them."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from apps.indices import TIMEOUT_SECONDS, ask
from apps.indices.identities import Identities, Slot
from apps.messages.identity import FILE, HOUR
from apps.messages.names import NAME
from apps.service.token import Token

SUFFIX = ".json"

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Stored:
    """The results on all disks that answer."""

    results: Identities = field(default_factory=Identities)
    unanswered: list[str] = field(default_factory=list)
    """The consumers that do not answer: what they store is not known."""


def stored(consumers: Sequence[str], hours: set[str], token: Token) -> Stored:
    """The results of these hours on the consumers' disks."""
    found = Stored()
    for url in consumers:
        try:
            _list(url, hours, found.results, token)
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s does not list what it stores: %s", url, error)
            found.unanswered.append(url)
    return found


def fetch(consumers: Sequence[str], slot: Slot, sequence: int, token: Token) -> bytes | None:
    """The record of a stored result; None if no consumer that answers has it."""
    path = f"/frames/{slot.camera}/{slot.hour}/{sequence}.{slot.model}{SUFFIX}"
    for url in consumers:
        try:
            request = urllib.request.Request(f"{url}{path}", headers=token.headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code != HTTPStatus.NOT_FOUND:
                logger.warning("%s%s: %s", url, path, refused)
        except OSError as error:
            logger.warning("%s%s: %s", url, path, error)
    return None


def _list(url: str, hours: set[str], into: Identities, token: Token) -> None:
    for camera in _named(ask("GET", f"{url}/frames/", headers=token.headers)["cameras"], NAME.fullmatch):
        for hour in _hours(url, camera, token) & hours:
            listed = _listing(f"{url}/frames/{quote(camera)}/{hour}/", "files", token)
            for name in _named(listed, FILE.fullmatch):
                if name.endswith(SUFFIX):
                    sequence, _, model = name.removesuffix(SUFFIX).partition(".")
                    into.add(Slot(hour, camera, model), int(sequence))


def _hours(url: str, camera: str, token: Token) -> set[str]:
    return set(_named(_listing(f"{url}/frames/{quote(camera)}/", "hours", token), HOUR.fullmatch))


def _listing(url: str, key: str, token: Token) -> object:
    """A list in a consumer's answer; empty where retention has just removed it."""
    try:
        return ask("GET", url, headers=token.headers)[key]
    except urllib.error.HTTPError as refused:
        if refused.code == HTTPStatus.NOT_FOUND:
            return []
        raise


def _named(names: object, allowed: Callable[[str], object]) -> list[str]:
    if not isinstance(names, list):
        raise ValueError(f"not a list: {json.dumps(names)[:100]}")
    return [name for name in names if isinstance(name, str) and allowed(name)]
