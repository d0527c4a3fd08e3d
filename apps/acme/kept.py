"""Keeps the certificate: what lego needs from one run to the next is in a Secret, what the page needs in another."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from apps.acme import lego
from apps.acme.secret import Api, Secret, SecretError
from apps.acme.settings import Settings
from apps.acme.tries import TRY, Try, pause
from apps.messages.certificate import FAILURE_FILE, Failure

logger = logging.getLogger(__name__)

STATE: Final = "state.json"


@dataclass(frozen=True)
class _Got:
    """What a run of lego left, as the state's Secret has it; the certificate, if there is one; and why it failed."""

    state: Mapping[str, bytes]
    pair: Mapping[str, bytes]
    failed: str


class Keeper:
    """Keeps the page's certificate, as the settings say."""

    wait: float = 0.0
    """Seconds until the next look, after a look."""

    def __init__(self, settings: Settings, api: Api, namespace: str, *, pod: str) -> None:
        self._settings, self._pod = settings, pod
        self._state = Secret(api, namespace, settings.state_secret)
        self._page = Secret(api, settings.page_namespace, settings.page_secret)
        self._failures = 0
        self._may_ask = False
        """Whether it was this process that asked last, so that its own pauses are enough."""
        self._got: _Got | None = None
        """What the state's Secret does not have yet: while there is some, lego is not run."""

    def look(self) -> bool:
        """Have the certificate renewed if it is due, and give the page what there is. Returns whether all went well.

        Without the API server nothing is asked for: what lego knows is not known, and what it gets could not be kept.
        """
        failed, pair = "", dict[str, bytes]()
        try:
            if self._got is None and (early := self._run()):
                self.wait = early
                return False
            failed, pair = self._stored()
        except SecretError as error:
            failed = str(error)[: lego.MOST]
            pair = dict(self._got.pair) if self._got else pair
            logger.error("%s", failed)
        well = self._told(pair, failed) and not failed
        self._failures = 0 if well else self._failures + 1
        self.wait = pause(self._settings, self._failures)
        return well

    def _run(self) -> float:
        """Run lego, unless it is too early for that. Returns the seconds that are left. Raises SecretError."""
        state = self._state.read()
        before = Try.found(state, self._pod)
        if before is not None:
            self._failures = max(self._failures, before.failures)
            if not self._may_ask and (early := before.early(self._settings)):
                logger.info("the last try was %d s too recent for another one", early)
                return early
        self._may_ask = True
        # What cannot be written now could not be kept then either.
        self._state.write({**state, **self._try(self._failures + 1)})
        self._got = self._asked(state)
        return 0.0

    def _asked(self, state: Mapping[str, bytes]) -> _Got:
        given, failed = self._settings, ""
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
                folder = Path(made)
                _unpack(state, given.server, folder)
                try:
                    lego.run(
                        folder,
                        server=given.server,
                        names=given.names,
                        dns_provider=given.dns_provider,
                        credentials=given.credentials,
                    )
                except lego.LegoError as error:
                    failed = str(error)
                    logger.error("the certificate is not renewed: %s", failed)
                # After a failure too, as the account may be new.
                return _Got(_packed(given.server, folder), lego.pair(folder), failed)
        except (OSError, UnicodeError) as error:
            failed = f"lego's folder is not written or read: {error}"
            logger.error("%s", failed)
            return _Got({key: value for key, value in state.items() if key == STATE}, {}, failed)

    def _stored(self) -> tuple[str, dict[str, bytes]]:
        """Keep what lego left. Returns why it failed, and the certificate. Raises SecretError."""
        got = self._got
        assert got is not None
        self._state.write({**got.state, **self._try(self._failures + 1 if got.failed else 0)})
        self._got = None
        return got.failed, dict(got.pair)

    def _told(self, pair: Mapping[str, bytes], failed: str) -> bool:
        try:
            there = self._page.read()
            self._page.write(_for_the_page(there, pair, failed))
        except SecretError as error:
            logger.error("%s", error)
            return False
        return True

    def _try(self, failures: int) -> dict[str, bytes]:
        return {TRY: Try(self._pod, datetime.now(UTC), failures).to_json()}


def _unpack(content: Mapping[str, bytes], server: str, folder: Path) -> None:
    """Fill lego's folder with what it left there, unless another server gave it: that one knows no such account, and
    lego would not ask for another certificate until the present one is due."""
    for name, text in _files(content, server).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _files(content: Mapping[str, bytes], server: str) -> Mapping[str, str]:
    if STATE not in content:
        return {}
    try:
        state = json.loads(content[STATE])
        return dict(state["files"]) if state["server"] == server else {}
    except (ValueError, KeyError, TypeError) as broken:
        logger.error("%s cannot be read, so a new account is made: %r", STATE, broken)
        return {}


def _packed(server: str, folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {STATE: json.dumps({"server": server, "files": files}, indent=1).encode()}


def _for_the_page(there: Mapping[str, bytes], pair: Mapping[str, bytes], failed: str) -> dict[str, bytes]:
    """The content of the page's Secret: the newest certificate, if there has been one, and why there is none newer."""
    content = {key: value for key, value in {**there, **pair}.items() if key != FAILURE_FILE}
    if failed:
        content[FAILURE_FILE] = Failure(_since(there), failed).to_json()
    return content


def _since(there: Mapping[str, bytes]) -> datetime:
    with contextlib.suppress(ValueError):
        if FAILURE_FILE in there:
            return Failure.from_json(there[FAILURE_FILE]).since
    return datetime.now(UTC)
