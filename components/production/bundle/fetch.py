"""Downloads single files over HTTP(S), whole or not at all, and runs other programs."""

import http.client
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from components.production.serving import sha256
from components.production.stack import SiteError

_TIMEOUT_SECONDS = 60
"""Without a byte, then a download has failed."""


class AbsentError(SiteError):
    """The server answers, and does not have the file."""


def fetch(url: str, target: Path, *, checksum: str | None = None) -> None:
    """Download to a file, unless it is there with this SHA-256 (or is there and none is given). Raises SiteError."""
    if target.exists() and checksum in (None, sha256(target)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    with _answer(url) as answer, fresh.open("wb") as sink:
        shutil.copyfileobj(answer, sink)
    if checksum is not None and (found := sha256(fresh)) != checksum:
        fresh.unlink()
        raise SiteError(f"{url} has the SHA-256 {found}, not {checksum}: nothing was taken")
    fresh.replace(target)


def text(url: str) -> str:
    """A small text at a URL. Raises AbsentError or SiteError."""
    with _answer(url) as answer:
        return answer.read().decode("utf-8", "replace")


@contextmanager
def _answer(url: str) -> Iterator[IO[bytes]]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            yield answer
    except urllib.error.HTTPError as refused:
        kind = AbsentError if refused.code in (403, 404) else SiteError
        raise kind(f"{url} answers {refused.code} {refused.reason}") from None
    except (OSError, http.client.HTTPException) as unreachable:
        reason = getattr(unreachable, "reason", unreachable)
        raise SiteError(f"{url} cannot be read ({reason}): check this computer's way there") from None


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    remedy: str,
) -> str:
    """The output of a command. Raises SiteError with the end of what it said, and the remedy."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SiteError(f"there is no {command[0]!r} on this computer: {remedy}") from None
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        raise SiteError(f"{command[0]} failed with exit status {done.returncode}: {remedy}\n{said}")
    return done.stdout
