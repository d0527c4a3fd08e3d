"""Runs lego, the ACME client, and says why it failed."""

import json
import logging
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

logger = logging.getLogger(__name__)

PROGRAM: Final = "lego"
CERTIFICATE: Final = "page"
"""What lego calls the certificate in its folder."""
LONGEST_SECONDS: Final = 900
"""Some DNS providers take minutes to show a record."""
MOST: Final = 600
"""The most characters of a reason."""
SHORTEST: Final = 4
"""The fewest characters of a value that is left out."""


class LegoError(Exception):
    """lego failed; the message is its reason."""


def run(folder: Path, *, server: str, names: Sequence[str], dns_provider: str, credentials: Iterable[str]) -> None:
    """Have the certificate in lego's folder made or renewed, if it is not there, is due, or has other names.

    lego asks the server when a renewal is due (RFC 9773); one that does not say so: when a third of the certificate's
    time is left, or half of it if that is ten days or less. `credentials` are the variables whose values are left out
    of the log and of the reason. Raises LegoError.
    """
    command = [
        *(PROGRAM, "--log.format", "json", "run", "--accept-tos", "--path", str(folder)),
        *("--cert.name", CERTIFICATE, "--force-cert-domains"),
        # The stack's one pod asks at a time of its own.
        *("--no-random-sleep", "--server", server, "--dns", dns_provider),
        *(word for name in names for word in ("--domains", name)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LegoError(f"lego had not ended after {LONGEST_SECONDS} s") from None
    except OSError as missing:
        raise LegoError(f"lego cannot be run: {missing}") from missing
    secret = _forms(credentials)
    for line in _without(secret, done.stdout).splitlines():
        logger.info("lego: %s", line)
    if done.returncode != 0:
        raise LegoError(_without(secret, reason(done.stdout))[:MOST])


def reason(said: str) -> str:
    """The first error in lego's log, which has one JSON object a line; without one, its last line."""
    last = ""
    for line in filter(None, map(str.strip, said.splitlines())):
        entry = _entry(line)
        if entry.get("level") == "ERROR":
            return str(entry.get("error") or entry.get("msg"))
        last = line
    return last or "lego failed without a word"


def pair(folder: Path) -> dict[str, bytes]:
    """The certificate with its chain and its key, as a Secret has them; empty if lego has none."""
    files = {"tls.crt": "crt", "tls.key": "key"}
    found = {key: folder / "certificates" / f"{CERTIFICATE}.{ending}" for key, ending in files.items()}
    return {key: path.read_bytes() for key, path in found.items()} if all(map(Path.exists, found.values())) else {}


def _entry(line: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _forms(credentials: Iterable[str]) -> list[str]:
    """The values of these variables as lego or a server may write them, the longest first. One of fewer than SHORTEST
    characters is no secret, and stands in many words."""
    forms = set[str]()
    for value in map(os.environ.get, credentials):
        if value and len(value) >= SHORTEST:
            forms |= {value, quote(value, safe=""), quote_plus(value), b64encode(value.encode()).decode()}
            # lego's log, and a server's answer that it quotes.
            forms |= _as_json(_as_json({value}) | {value})
    return sorted(forms, key=len, reverse=True)


def _as_json(words: Iterable[str]) -> set[str]:
    return {json.dumps(word, ensure_ascii=ascii_)[1:-1] for word in words for ascii_ in (True, False)}


def _without(forms: Iterable[str], said: str) -> str:
    for form in forms:
        said = said.replace(form, "***")
    return said
