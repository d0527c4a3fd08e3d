"""The routes by which somebody logs in with a provider of OpenID Connect."""

import hashlib
import hmac
import logging
import time
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import BaseModel, ConfigDict, Field

from apps.access.document import CALLBACK_PATH, OpenIdConnect
from apps.ui import metrics
from apps.ui.accounts import Accounts, membership
from apps.ui.audit import Audit
from apps.ui.guard import Cookie, address_of, refuse, wait_for
from apps.ui.openid import Identity, OpenIdError, Provider, Transaction, shortened
from apps.ui.sessions import Session, Sessions
from apps.ui.throttle import Throttle

LOGIN_SECONDS: Final = 600
"""So long somebody may take at the provider."""

FREE_TRIES_OF_AN_ADDRESS: Final = 30
"""Logins that were begun or failed; those that end well, or cannot begin, do not count."""

logger = logging.getLogger(__name__)


class Begin(BaseModel):
    """What the login page sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    next: str = Field("/", max_length=2000)
    """The path of this page that is shown after the login."""


class OpenIdLogin:
    """Begins logins and ends them; what it must remember between both is in a signed cookie of the browser.

    A password's tries are counted apart, so whoever knocks here does not keep anybody from logging in with one.
    """

    def __init__(self, accounts: Accounts, sessions: Sessions, cookie: Cookie, audit: Audit) -> None:
        """`cookie` is the session's."""
        self._accounts, self._sessions, self._cookie, self._audit = accounts, sessions, cookie, audit
        self._kept = Cookie(secure=cookie.secure, purpose="openid", same_site="lax", seconds=LOGIN_SECONDS)
        self._addresses = Throttle(FREE_TRIES_OF_AN_ADDRESS)
        self._provider: Provider | None = None

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes to the application."""
        app.add_api_route("/api/login/openid", self.begin, methods=["POST"], response_model=None)
        app.add_api_route(CALLBACK_PATH, self.end, methods=["GET"], response_model=None)

    def told(self, request: Request, response: Response) -> dict[str, Any] | None:
        """What the login page shows: the provider, and once why the last login failed; None without a provider."""
        given = self._given
        if given is None:
            return None
        problem = self._read(request).get("problem")
        if problem is not None:
            self._kept.remove(response)
        return {"label": given.label, "problem": problem}

    async def begin(self, request: Request, begin: Begin) -> Response:
        """Where the browser is to go."""
        given, address, now = self._given, address_of(request), time.monotonic()
        if given is None:
            return refuse(404, "this page has no login by OpenID Connect")
        if request.headers.get("host", "").lower() != urlsplit(given.page).netloc:
            # The browser would come back without the cookie.
            return refuse(409, f"{given.label} leads back to {given.page}, so open the page there to log in with it")
        if (seconds := self._addresses.wait(address, now)) > 0:
            metrics.OPENID_LOGINS.labels("throttled").inc()
            return wait_for(seconds)
        self._addresses.tried(address, now)
        transaction = Transaction.begin()
        try:
            url = await self._of(given).authorization_url(transaction)
        except OpenIdError as failed:
            self._addresses.right(address, forget=False)
            metrics.OPENID_LOGINS.labels("unavailable").inc()
            logger.warning("nobody can log in by OpenID Connect: %s", failed)
            return refuse(503, str(failed))
        response = JSONResponse({"url": url}, headers={"Cache-Control": "no-store"})
        self._keep(response, **asdict(transaction), next=begin.next)
        return response

    async def end(self, request: Request) -> Response:
        """What the browser brings back from the provider: a session, or why there is none, which the page shows."""
        given, address, now = self._given, address_of(request), time.monotonic()
        kept, told = self._read(request), request.query_params
        if given is None or not _same(str(kept.get("state", "")), told.get("state", "")):
            metrics.OPENID_LOGINS.labels("foreign").inc()
            return self._back(
                f"this login did not begin in this browser, or more than {LOGIN_SECONDS // 60} minutes ago; try again"
            )
        if (seconds := self._addresses.wait(address, now)) > 0:
            metrics.OPENID_LOGINS.labels("throttled").inc()
            return self._back(f"too many tries; try again in {seconds:.0f} s")
        self._addresses.tried(address, now)
        try:
            identity = await self._identity(given, kept, dict(told))
        except OpenIdError as failed:
            metrics.OPENID_LOGINS.labels("failed").inc()
            logger.warning("a login by OpenID Connect failed: %s", failed)
            self._failed(address, reason="provider", user={"domain": given.issuer})
            return self._back(str(failed))
        # Two: that it began, and that it came back.
        for _ in range(2):
            self._addresses.right(address, forget=False)
        content = self._accounts.content
        memberships = tuple(
            membership(value) for value in dict.fromkeys(each.value for each in given.roles) if value in identity.values
        )
        caller = content.member(identity.name, identity.subject, memberships)
        if caller is None:
            metrics.OPENID_LOGINS.labels("no group").inc()
            who = {"name": identity.name, "id": identity.subject, "domain": given.issuer}
            self._failed(address, reason="no mapped group", user=who)
            return self._back(
                f"{given.label} knows you as {identity.name}, but none of your groups may see this page; ask whoever "
                f"keeps it (claim {given.claim})"
            )
        session = Session.begin(
            caller.name, caller.kind, caller.version, time.time(), subject=caller.subject, memberships=memberships
        )
        metrics.OPENID_LOGINS.labels("right").inc()
        self._audit.write("login", "success", address=address, caller=caller, session=session.identity)
        # Not to the page itself: after a way over another site, browsers send the session's cookie only from the next
        # page on, and the login page goes on as soon as it has one.
        response = _to_login(f"?next={quote(str(kept.get('next', '/')))}")
        self._cookie.put(response, self._sessions.sign(session))
        self._kept.remove(response)
        return response

    async def end_session_url(self, session: Session) -> str | None:
        """Where the browser of a session that has ended goes to log out at the provider too."""
        given = self._given
        if given is None or session.kind != "openid":
            return None
        try:
            return await self._of(given).end_session_url()
        except OpenIdError as failed:
            logger.warning("a logout does not reach the provider of OpenID Connect: %s", failed)
            return None

    async def _identity(self, given: OpenIdConnect, kept: dict[str, Any], told: dict[str, str]) -> Identity:
        """Who has logged in. Raises OpenIdError."""
        if told.get("iss", given.issuer) != given.issuer:
            raise OpenIdError("this login comes from another provider than it began with; try again")
        if "error" in told or "code" not in told:
            why = told.get("error_description") or told.get("error") or "it sent no code"
            raise OpenIdError(f"{given.label} refused the login: {shortened(why)}")
        transaction = Transaction(state=kept["state"], nonce=kept["nonce"], verifier=kept["verifier"])
        return await self._of(given).identify(transaction, told["code"])

    @property
    def _given(self) -> OpenIdConnect | None:
        return self._accounts.content.access.open_id_connect

    def _of(self, given: OpenIdConnect) -> Provider:
        """The provider of now, which is another one when the access file says something else."""
        if self._provider is None or self._provider.given != given:
            self._provider = Provider(given)
        return self._provider

    def _failed(self, address: str, **fields: Any) -> None:
        self._audit.write("login", "failure", address=address, **fields)

    def _back(self, problem: str) -> Response:
        """Show the login page with a reason."""
        response = _to_login()
        self._keep(response, problem=problem)
        return response

    def _keep(self, response: Response, **content: str) -> None:
        self._kept.put(response, str(self._serializer().dumps(content)))

    def _read(self, request: Request) -> dict[str, Any]:
        """What this browser keeps; nothing if it is forged or old."""
        try:
            found = self._serializer().loads(request.cookies.get(self._kept.name, ""), max_age=LOGIN_SECONDS)
        except BadData:
            return {}
        return found if isinstance(found, dict) else {}

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(
            self._accounts.content.key,
            salt="argus-openid",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )


def _to_login(query: str = "") -> Response:
    return RedirectResponse(f"/login{query}", 303, {"Cache-Control": "no-store"})


def _same(kept: str, given: str) -> bool:
    return bool(kept) and hmac.compare_digest(kept.encode(), given.encode())
