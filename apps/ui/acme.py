"""The page's certificate of an ACME server, for whoever asks for the page by one of its names."""

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from apps.messages.certificate import FAILURE_FILE, Failure
from apps.service.certificate import Certificate
from apps.service.expiry import EXPIRY, Validity
from apps.service.settings import SettingsError
from apps.ui.expiring import is_due

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(hours=2)
"""A server may be away for this long while the certificate has time left."""
_LOG: Final = "`kubectl -n argus-acme logs deployment/acme` says more."


class AcmeCertificate:
    """A folder with tls.crt and tls.key, once the ACME server has given a certificate, and the reason if it does not.

    Clients that ask for one of the certificate's names are shown it. All others, such as those that open the page at
    its address, are shown the page's own, as everybody is until there is one, and after its end.
    """

    notice: str | None
    """A line for the operator, or None if all is well."""

    def __init__(self, folder: Path, own: Certificate, oldest: ssl.TLSVersion) -> None:
        self._folder, self._oldest = folder, oldest
        self._served: Certificate | None = None
        self._names: frozenset[str] = frozenset()
        self._end = datetime.max.replace(tzinfo=UTC)
        own.context.sni_callback = self._choose
        self.look()

    def look(self) -> None:
        """Take a renewed certificate for every connection from now on, and see whether one is missing."""
        try:
            if self._served is None:
                self._served = Certificate(self._folder, self._oldest)
            else:
                self._served.look()
            found = x509.load_pem_x509_certificate((self._folder / "tls.crt").read_bytes())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (SettingsError, OSError, ValueError, x509.ExtensionNotFound) as missing:
            logger.debug("no certificate of the ACME server: %s", missing)
            self.notice = _notice(None, self._failure())
            return
        self._names = frozenset(names.get_values_for_type(x509.DNSName))
        self._end = found.not_valid_after_utc
        EXPIRY.labels("acme").set(self._end.timestamp())
        self.notice = _notice(Validity(found.not_valid_before_utc, self._end), self._failure())

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if self._served is None or datetime.now(UTC) > self._end:
            return
        if name is not None and name.lower() in self._names:
            connection.context = self._served.context

    def _failure(self) -> Failure | None:
        try:
            return Failure.from_json((self._folder / FAILURE_FILE).read_bytes())
        except (OSError, ValueError):
            return None


def _notice(found: Validity | None, failure: Failure | None) -> str | None:
    if found is None:
        if failure is None:
            return f"There is no certificate of the ACME server yet, so browsers are shown Argus's own. {_LOG}"
        return (
            f"Every try to get a certificate of the ACME server has failed since {_at(failure.since)}, so browsers are "
            f"shown Argus's own. The reason: {failure.reason}"
        )
    now, end = datetime.now(UTC), found.ends
    if now > end:
        return _ended(end, failure)
    late = is_due(found, now)
    if failure is None:
        return f"The page's certificate is good until {_at(end)}, and nobody renews it. {_LOG}" if late else None
    if not late and now - failure.since < PATIENCE:
        return None
    return (
        f"Every try to renew the page's certificate has failed since {_at(failure.since)}; the present one is good "
        f"until {_at(end)}. The reason: {failure.reason}"
    )


def _ended(end: datetime, failure: Failure | None) -> str:
    ended = f"The page's certificate ended on {_at(end)}, so browsers are shown Argus's own"
    if failure is None:
        return f"{ended}, and nobody renews it. {_LOG}"
    return f"{ended}. Every try to renew it has failed since {_at(failure.since)}. The reason: {failure.reason}"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
