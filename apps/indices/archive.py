"""The frames and results on the consumers' disks, as the consumers list, serve and store them."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from apps.indices import TIMEOUT_SECONDS, ask
from apps.indices.identities import Identities, Slot
from apps.messages.identity import FILE, HOUR
from apps.messages.names import NAME, STORE_AGAIN
from apps.service.peer import Client

SUFFIX, FRAME_SUFFIX = ".json", ".jpg"

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Stored:
    """The frames and results on all disks that answer."""

    results: Identities = field(default_factory=Identities)
    frames: Identities = field(default_factory=Identities)
    holders: dict[str, str] = field(default_factory=dict)
    """By camera, the consumer that has its newest hour."""
    removed: dict[str, str] = field(default_factory=dict)
    """By camera, the newest hour that was removed: what is of it or older is not missing."""
    kept_from: str = ""
    """What is older than this hour is not missing either."""
    unanswered: list[str] = field(default_factory=list)
    """The consumers that do not answer: what they store is not known."""

    def was_to_go(self, slot: Slot) -> bool:
        """Whether retention takes away what is of this hour of this camera."""
        return slot.hour < self.kept_from or slot.hour <= self.removed.get(slot.camera, "")


def stored(consumers: Sequence[str], hours: set[str], pod: Client) -> Stored:
    """The frames and results of these hours on the consumers' disks."""
    found = Stored()
    newest: dict[str, str] = {}
    for url in consumers:
        try:
            _list(url, hours, found, newest, pod)
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s does not list what it stores: %s", url, error)
            found.unanswered.append(url)
    return found


def fetch(consumers: Sequence[str], slot: Slot, sequence: int, pod: Client) -> bytes | None:
    """The record of a stored result; None if no consumer that answers has it."""
    path = f"/frames/{slot.camera}/{slot.hour}/{sequence}.{slot.model}{SUFFIX}"
    for url in consumers:
        try:
            request = urllib.request.Request(f"{url}{path}", headers=pod.token.headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=pod.trust) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code != HTTPStatus.NOT_FOUND:
                logger.warning("%s%s: %s", url, path, refused)
        except OSError as error:
            logger.warning("%s%s: %s", url, path, error)
    return None


def store_again(consumer: str, records: Sequence[tuple[str, int, int]], pod: Client) -> list[str]:
    """What became of each record (topic, partition, offset) that this consumer was to store again.

    Raises OSError or ValueError.
    """
    body = json.dumps({"records": records}).encode()
    outcomes = ask("POST", f"{consumer}{STORE_AGAIN}", body, pod=pod).get("outcomes")
    if not isinstance(outcomes, list) or len(outcomes) != len(records):
        raise ValueError(f"not an outcome for each record: {json.dumps(outcomes)[:100]}")
    return list(map(str, outcomes))


def _list(url: str, hours: set[str], into: Stored, newest: dict[str, str], pod: Client) -> None:
    root = ask("GET", f"{url}/frames/", pod=pod)
    # A consumer of an earlier version does not say these two.
    for camera, hour in _texts(root.get("removed", {})).items():
        into.removed[camera] = max(hour, into.removed.get(camera, ""))
    into.kept_from = max(into.kept_from, str(root.get("kept_from", "")))
    for camera in _named(root["cameras"], NAME.fullmatch):
        stored_hours = _hours(url, camera, pod)
        if stored_hours and max(stored_hours) > newest.get(camera, ""):
            newest[camera], into.holders[camera] = max(stored_hours), url
        for hour in stored_hours & hours:
            listed = _listing(f"{url}/frames/{quote(camera)}/{hour}/", "files", pod)
            for name in _named(listed, FILE.fullmatch):
                if name.endswith(SUFFIX):
                    sequence, _, model = name.removesuffix(SUFFIX).partition(".")
                    into.results.add(Slot(hour, camera, model), int(sequence))
                else:
                    into.frames.add(Slot(hour, camera, ""), int(name.removesuffix(FRAME_SUFFIX)))


def _texts(found: object) -> Mapping[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"not hours by camera: {json.dumps(found)[:100]}")
    return found


def _hours(url: str, camera: str, pod: Client) -> set[str]:
    return set(_named(_listing(f"{url}/frames/{quote(camera)}/", "hours", pod), HOUR.fullmatch))


def _listing(url: str, key: str, pod: Client) -> object:
    """A list in a consumer's answer; empty where retention has just removed it."""
    try:
        return ask("GET", url, pod=pod)[key]
    except urllib.error.HTTPError as refused:
        if refused.code == HTTPStatus.NOT_FOUND:
            return []
        raise


def _named(names: object, allowed: Callable[[str], object]) -> list[str]:
    if not isinstance(names, list):
        raise ValueError(f"not a list: {json.dumps(names)[:100]}")
    return [name for name in names if isinstance(name, str) and allowed(name)]
