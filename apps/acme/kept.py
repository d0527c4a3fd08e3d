"""Keeps the certificate: what lego needs from one run to the next is in a Secret, what the page needs in another."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from apps.acme import lego
from apps.acme.secret import Api, Secret
from apps.acme.settings import Settings
from apps.messages.certificate import FAILURE_FILE, Failure
from apps.service.kubernetes import ERRORS

logger = logging.getLogger(__name__)

STATE: Final = "state.json"


class Keeper:
    """Keeps the page's certificate, as the settings say."""

    def __init__(self, settings: Settings, api: Api, namespace: str) -> None:
        self._settings = settings
        self._state = Secret(api, namespace, settings.state_secret)
        self._page = Secret(api, settings.page_namespace, settings.page_secret)

    def look(self) -> bool:
        """Have the certificate renewed if it is due, and give the page what there is. Returns whether all went well.

        Without the API server nothing is asked for: what lego knows is not known, and what it gets could not be kept.
        """
        try:
            return self._look()
        except ERRORS as error:
            logger.error("the Secrets are not read or written: %r", error)
            return False

    def _look(self) -> bool:
        given = self._settings
        failed = ""
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            _unpack(self._state.read(), given.server, folder)
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
            self._state.write(_packed(given.server, folder))
            there = self._page.read()
            self._page.write(_for_the_page(there, lego.pair(folder), failed))
        return not failed


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
