"""Sessions in signed cookies, so that every pod knows them, also after a restart. No I/O."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

from itsdangerous import BadData, URLSafeSerializer

from apps.ui.ended import EndedSessions

RENEWALS = 10
"""A session in use is signed anew this often within its idle time."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One login. Times are seconds of `time.time`."""

    identity: str
    name: str
    kind: str
    version: str
    """The user's version at the login."""
    begun: float
    used: float
    subject: str = ""
    """Who it is for the provider of OpenID Connect; empty for a login with a password."""
    memberships: tuple[str, ...] = ()
    """The digests (apps/ui/accounts.py) of the provider's groups that counted at the login."""

    @classmethod
    def begin(
        cls, name: str, kind: str, version: str, now: float, *, subject: str = "", memberships: tuple[str, ...] = ()
    ) -> Self:
        """A new session."""
        return cls(
            identity=secrets.token_urlsafe(9),
            name=name,
            kind=kind,
            version=version,
            begun=now,
            used=now,
            subject=subject,
            memberships=memberships,
        )


class Sessions:
    """Signs sessions and reads them back. A session that its user has ended is refused until it would have ended."""

    def __init__(self, key: Callable[[], str], limits: Callable[[], tuple[float, float]], ended: EndedSessions) -> None:
        """`key` is the present key, and `limits` the present idle and absolute limits (seconds)."""
        self._key, self._limits, self._ended = key, limits, ended

    def sign(self, session: Session) -> str:
        """The value of the cookie."""
        told: list[Any] = [session.identity, session.name, session.kind, session.version, session.begun, session.used]
        if session.subject:
            told += [session.subject, list(session.memberships)]
        return str(self._serializer().dumps(told))

    def read(self, cookie: str, now: float) -> Session | None:
        """The session of a cookie; None if the cookie is forged or of another key, or the session is over."""
        try:
            identity, name, kind, version, begun, used, *provider = self._serializer().loads(cookie)
            subject, memberships = provider or ("", ())
            session = Session(
                identity=str(identity),
                name=str(name),
                kind=str(kind),
                version=str(version),
                begun=float(begun),
                used=float(used),
                subject=str(subject),
                memberships=tuple(str(each) for each in memberships),
            )
        except (BadData, ValueError, TypeError):
            return None
        idle, absolute = self._limits()
        over = now - session.used > idle or now - session.begun > absolute or session.identity in self._ended
        return None if over else session

    def renewed(self, session: Session, now: float) -> Session | None:
        """The session as used now, if its cookie is old enough to be replaced."""
        idle, _ = self._limits()
        return replace(session, used=now) if now - session.used > idle / RENEWALS else None

    def end(self, session: Session) -> None:
        """Refuse the session from now on."""
        _, absolute = self._limits()
        self._ended.add(session.identity, session.begun + absolute)

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._key(), salt="argus-session", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )
