"""Vulnerabilities of the locked Python packages, as the index that pip uses tells them.

The interface is PyPI's: `/pypi/NAME/VERSION/json`. An index that mirrors files only does not have it.
"""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import httpx

from lab.sbom import Material
from lab.scan.findings import Finding, NotScannedError

DEFAULT_INDEX: Final = "https://pypi.org/simple"
"""pip's own default."""

_TIMEOUT_SECONDS: Final = 60

Ask = Callable[[str], Any]
"""What the index says of `NAME/VERSION`; raises NotScannedError."""


def scan(taken: Iterable[Material], ask: Ask | None = None) -> Iterator[Finding]:
    """The vulnerabilities of all Python packages. Raises NotScannedError as soon as one release is not answered for."""
    sources: dict[tuple[str, str], list[str]] = {}
    for each in taken:
        if each.url.type == "pypi":
            sources.setdefault((each.url.name, each.url.version or ""), []).append(each.source)
    answer = ask or _index()
    for (name, version), files in sources.items():
        told = answer(f"{name}/{version}")
        if not isinstance(told, dict) or "vulnerabilities" not in told:
            raise NotScannedError(f"the package index does not say which vulnerabilities {name} {version} has")
        for each in told["vulnerabilities"]:
            if not each.get("withdrawn"):
                yield Finding(
                    package=name,
                    version=version,
                    id=each["id"],
                    aliases=tuple(each.get("aliases") or ()),
                    fixed=", ".join(each.get("fixed_in") or ()),
                    summary=_first_line(each.get("summary") or each.get("details") or ""),
                    sources=tuple(files),
                )


def index_of(simple: str) -> str:
    """The address of an index's JSON interface, from that of its list of files, which pip uses."""
    return simple.rstrip("/").removesuffix("/simple") + "/pypi"


def _index() -> Ask:
    base = index_of(os.environ.get("PIP_INDEX_URL") or _configured() or DEFAULT_INDEX)
    client = httpx.Client(verify=ssl.create_default_context(), timeout=_TIMEOUT_SECONDS, follow_redirects=True)

    def ask(release: str) -> Any:
        # The index's address may hold a login, so no message has it.
        try:
            answer = client.get(f"{base}/{release}/json")
        except httpx.HTTPError as error:
            raise NotScannedError(f"the package index does not answer: {type(error).__name__}") from None
        if answer.status_code != HTTPStatus.OK:
            raise NotScannedError(
                f"the package index answers {answer.status_code} where PyPI tells a release's vulnerabilities; "
                "run this where pip's index is PyPI itself"
            )
        return answer.json()

    return ask


def _configured() -> str:
    """The index that pip is configured with; empty if it has its default."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]
