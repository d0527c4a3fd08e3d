"""The lines above the wall that say what an operator should do something about."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from apps.ui.acme import AcmeCertificate
from apps.ui.disks import FullDisks
from apps.ui.not_searchable import NotSearchable
from apps.ui.unschedulable import UnschedulablePods


class Notices:
    """Pods without room, disks that are nearly full, results that are not searchable, and a certificate not renewed."""

    pollers: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    """Run these while the page is served."""

    def __init__(
        self, standby: Sequence[str], client: httpx.AsyncClient, certificate: AcmeCertificate | None = None
    ) -> None:
        self._room, self._disks = UnschedulablePods(standby), FullDisks()
        self._not_searchable, self._certificate = NotSearchable(client), certificate
        self.pollers = (self._room.run, self._disks.run, self._not_searchable.run)

    def told(self, *, operator: bool) -> dict[str, str | None]:
        """Each line by its name, or None where there is none; they name machines, so only operators are told."""
        lines = {
            "room": self._room.advice,
            "disks": self._disks.notice,
            "not_searchable": self._not_searchable.notice,
            "certificate": self._certificate.notice if self._certificate else None,
        }
        return {name: line if operator else None for name, line in lines.items()}
