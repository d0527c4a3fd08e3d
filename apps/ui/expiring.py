"""Certificates that end soon because nobody has renewed them: the stack's own, and the page's."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from apps.service.expiry import EXPIRY, Validity, validity

CHECK_SECONDS = 600.0
EARLY: Final = timedelta(days=60)
"""Any `pulumi up` renews a certificate of the stack that was made in another year, and the page's in another quarter.
So one this near to its end has seen none for 22 months (the page's: 8) or more, and one of today mends it."""
LAST_PART: Final = 4
"""One that is brought for the page, or an ACME server's, may be of 90 days, and is mostly renewed when a third
of its life is left (apps/acme/lego.py). It is warned of when a quarter is left, if that is later than EARLY."""

SHOWN_TO: Final[Mapping[str, str]] = {
    "kafka": "Kafka",
    "zookeeper": "ZooKeeper",
    "elasticsearch": "Elasticsearch",
    "pods": "other pods",
}
"""In words, by the first part of a file's name. The second part is whose certificate it is."""

logger = logging.getLogger(__name__)


def is_due(found: Validity, now: datetime) -> bool:
    """Whether a certificate is so near to its end that it should have been renewed."""
    return now >= found.ends - min(EARLY, (found.ends - found.begins) / LAST_PART)


def notice(stack: Mapping[str, Validity], page: Validity | None, now: datetime) -> str | None:
    """One line for the operator; None if no certificate is due.

    `stack` has those that `pulumi up` makes, by names such as `kafka.producer`; `page` is that for browsers.
    """
    said = list(_of_stack({name: found.ends for name, found in stack.items() if is_due(found, now)}, now))
    if said:
        said.append("Run `pulumi up`, which renews them.")
    if page is not None and is_due(page, now):
        said.append(
            f"The page's certificate {_ending(page.ends, now)}. Run `pulumi up`, which renews it; if it is your own, "
            "change the Secret that argus:ui.tlsSecret names."
        )
    return " ".join(said) or None


def _of_stack(ends: Mapping[str, datetime], now: datetime) -> Iterable[str]:
    """A sentence for each day and for each kind of those to whom the certificates are shown; the first end first."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name, at in sorted(ends.items(), key=lambda each: (each[1].date(), each[0])):
        shown_to, _, owner = name.partition(".")
        owners.setdefault((shown_to, _ending(at, now)), []).append(owner)
    for (shown_to, ending), names in owners.items():
        yield f"The certificate for {SHOWN_TO.get(shown_to, shown_to)} of {', '.join(names)} {ending}."


def _ending(at: datetime, now: datetime) -> str:
    return f"{'ends' if at > now else 'ended'} on {at.astimezone(UTC):%Y-%m-%d}"


class ExpiringCertificates:
    """Looks at the files with certificates now and then."""

    def __init__(self, stack: Path, page: Path | None) -> None:
        """`stack` is the folder with the stack's certificates; `page` is the file of that for browsers, if any."""
        self._stack, self._page = stack, page
        self._known: set[str] = set()
        self.notice: str | None = None
        """The page's line, as of the last look."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look(datetime.now(UTC))
            await asyncio.sleep(CHECK_SECONDS)

    def look(self, now: datetime) -> None:
        """Take over what the files say."""
        files = sorted(self._stack.glob("*.crt"))
        stack = {file.stem: found for file in files if (found := _read(file))}
        for gone in self._known - stack.keys():
            EXPIRY.remove(gone)
        for name, found in stack.items():
            EXPIRY.labels(name).set(found.ends.timestamp())
        self._known = set(stack)
        self.notice = notice(stack, _read(self._page) if self._page else None, now)


def _read(file: Path) -> Validity | None:
    try:
        return validity(file.read_text())
    except (OSError, ValueError) as unreadable:
        logger.warning("it is not known when the certificate in %s ends: %s", file, unreadable)
        return None
