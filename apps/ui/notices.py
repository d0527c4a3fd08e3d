"""The lines above the wall that say what an operator should do something about."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from apps.service.token import Token
from apps.ui.acme import AcmeCertificate
from apps.ui.disks import FullDisks
from apps.ui.expiring import ExpiringCertificates
from apps.ui.not_searchable import NotSearchable
from apps.ui.settings import Settings
from apps.ui.unschedulable import UnschedulablePods


class Notices:
    """Pods without room, disks that are nearly full, results that are not searchable, and certificates that end."""

    pollers: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    """Run these while the page is served."""

    def __init__(
        self, settings: Settings, client: httpx.AsyncClient, token: Token, acme: AcmeCertificate | None = None
    ) -> None:
        """`token` is what pods ask of who reads their metrics."""
        self._room, self._disks = UnschedulablePods(settings.standby_machines), FullDisks()
        self._not_searchable, self._acme = NotSearchable(client, token), acme
        self._certificates = ExpiringCertificates(settings.certificates_dir, settings.page_certificate)
        self.pollers = (self._room.run, self._disks.run, self._not_searchable.run, self._certificates.run)

    def told(self, *, operator: bool) -> dict[str, str | None]:
        """Each line by its name, or None where there is none; they name machines, so only operators are told."""
        lines = {
            "room": self._room.advice,
            "disks": self._disks.notice,
            "not_searchable": self._not_searchable.notice,
            "certificates": self._certificates.notice,
            "acme": self._acme.notice if self._acme else None,
        }
        return {name: line if operator else None for name, line in lines.items()}
