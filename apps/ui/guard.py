"""Who may ask for what: the one place through which every request goes, before any route sees it.

A route that is not in RULES is refused, and everything that is not in PUBLIC needs a login.
"""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.routing import Match

from apps.access.document import CALLBACK_PATH, Role
from apps.ui import metrics
from apps.ui.accounts import Accounts
from apps.ui.audit import Audit, described
from apps.ui.caller import Caller
from apps.ui.sessions import Session, Sessions

MAX_BODY = 4096
"""No request that Argus answers has a larger body (bytes)."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may use a route, and what the audit log calls its use."""

    role: Role
    looks: str | None = None


PUBLIC: Final = frozenset({"/login", "/api/login", "/api/login/openid", CALLBACK_PATH, "/api/session", "/static"})
"""The routes that anybody may use; they show nothing of any camera."""

RULES: Final[Mapping[str, Rule]] = {
    "/": Rule(role="viewer"),
    "/search": Rule(role="viewer"),
    "/camera/{camera}": Rule(role="viewer"),
    "/api/me": Rule(role="viewer"),
    "/api/logout": Rule(role="viewer"),
    "/api/cameras": Rule(role="viewer"),
    "/api/wall": Rule(role="viewer", looks="wall"),
    "/api/cameras/{camera}/frames/{sequence}.jpg": Rule(role="viewer", looks="live pictures"),
    "/api/frames/{camera}/{hour}/{sequence}.jpg": Rule(role="viewer", looks="stored pictures"),
    "/api/search": Rule(role="viewer", looks="search"),
    "/api/choices": Rule(role="viewer"),
    "/api/access": Rule(role="admin", looks="access"),
}
"""Every other route. A camera that a path or a query names must also be one that the caller may see."""


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """A cookie. Browsers send it only to this page, and the session's never from a page of another site."""

    secure: bool
    """Whether the page is served over TLS; then browsers accept and send the cookie only there."""
    purpose: str = "session"
    same_site: Literal["strict", "lax"] = "strict"
    """`lax` is also sent where a page of another site leads the browser here, as a provider of logins does."""
    seconds: int | None = None
    """How long the browser keeps it; None: until it is closed."""

    @property
    def name(self) -> str:
        """Browsers accept a cookie with the prefix __Host- only if it is bound to this host."""
        return f"{'__Host-' if self.secure else ''}argus-{self.purpose}"

    def put(self, response: Response, value: str) -> None:
        """Have the browser keep it."""
        response.set_cookie(
            self.name,
            value,
            max_age=self.seconds,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite=self.same_site,
        )

    def remove(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite=self.same_site)


class Guard:
    """The middleware. It leaves `caller` and `session` in the request's state."""

    def __init__(self, accounts: Accounts, sessions: Sessions, cookie: Cookie, audit: Audit) -> None:
        self._accounts, self._sessions, self._cookie, self._audit = accounts, sessions, cookie, audit

    async def __call__(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Answer the request, or refuse it."""
        if request.method not in _SAFE and (wrong := _wrong_change(request)):
            return wrong
        path, parameters = _route(request)
        caller, session = self._identify(request)
        request.state.caller, request.state.session = caller, session
        if path not in PUBLIC and (refusal := self._refusal(request, path, parameters, caller)):
            return refusal
        response = await call_next(request)
        if caller is not None:
            rule = RULES.get(path)
            if rule is not None and rule.looks:
                self._note(request, rule.looks, parameters, caller=caller, session=session, response=response)
            self._renew(response, session)
        return response

    def _identify(self, request: Request) -> tuple[Caller | None, Session | None]:
        """Who asks: by a token if one is shown, else by the session."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            return (self._accounts.by_token(token.strip()) if scheme.lower() == "bearer" else None), None
        cookie = request.cookies.get(self._cookie.name)
        session = self._sessions.read(cookie, time.time()) if cookie else None
        caller = self._accounts.of_session(session) if session else None
        return (caller, session) if caller is not None else (None, None)

    def _refusal(
        self, request: Request, path: str, parameters: Mapping[str, str], caller: Caller | None
    ) -> Response | None:
        rule = RULES.get(path)
        if caller is None:
            self._refused(request, path, None, "no login")
            if request.url.path.startswith("/api/"):
                return refuse(401, "log in first", **{"WWW-Authenticate": "Bearer"})
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(asked)}", 303, {"Cache-Control": "no-store"})
        if path and (rule is None or not caller.has(rule.role)):
            self._refused(request, path, caller, "role")
            return refuse(403, f"this needs the role {rule.role}" if rule else "nobody may use this")
        for camera in (parameters.get("camera"), *request.query_params.getlist("camera")):
            if camera is not None and not caller.sees(camera):
                self._refused(request, path, caller, "camera", camera=camera)
                return refuse(403, "this camera is in none of your groups")
        return None

    def _refused(
        self, request: Request, path: str, caller: Caller | None, reason: str, *, camera: str | None = None
    ) -> None:
        metrics.REFUSED.labels(reason).inc()
        address = address_of(request)
        name = caller.name if caller else ""
        self._audit.once(
            ("refused", reason, address, name, path, camera or ""),
            lambda: self._audit.write(
                "refused",
                "failure",
                address=address,
                caller=caller,
                reason=reason,
                url={"path": request.url.path[:200]},
                camera={"name": camera[:64]} if camera else None,
            ),
        )

    def _note(
        self,
        request: Request,
        what: str,
        parameters: Mapping[str, str],
        *,
        caller: Caller,
        session: Session | None,
        response: Response,
    ) -> None:
        """Write who looked at what, if there was something to see."""
        if response.status_code >= 400:
            return
        asked = described(request.query_params) if what == "search" else {}
        camera, hour = parameters.get("camera"), parameters.get("hour")
        identity = session.identity if session else None
        self._audit.once(
            (
                "look",
                what,
                caller.kind,
                caller.name,
                identity or "",
                camera or "",
                hour or "",
                str(sorted(asked.items())),
            ),
            lambda: self._audit.write(
                "look",
                "success",
                address=address_of(request),
                caller=caller,
                session=identity,
                look={"what": what, **({"hour": hour} if hour else {}), **({"query": asked} if asked else {})},
                camera={"name": camera} if camera else None,
            ),
        )

    def _renew(self, response: Response, session: Session | None) -> None:
        renewed = self._sessions.renewed(session, time.time()) if session else None
        # A route that set or removed the cookie has decided about it.
        if renewed is not None and "set-cookie" not in response.headers:
            self._cookie.put(response, self._sessions.sign(renewed))


def refuse(status: int, message: str, **headers: str) -> JSONResponse:
    """The answer to a request that is refused."""
    return JSONResponse({"error": message}, status_code=status, headers={"Cache-Control": "no-store", **headers})


def wait_for(seconds: float) -> JSONResponse:
    """The answer to somebody who tries too often."""
    whole = math.ceil(seconds)
    return refuse(429, f"too many tries; try again in {whole} s", **{"Retry-After": str(whole)})


def address_of(request: Request) -> str:
    """The address of the other end: the browser's, or that of the machine through whose port it came."""
    return request.client.host if request.client else "unknown"


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Asking = Annotated[Caller, Depends(_caller)]
"""A route's parameter: who asks."""


def _wrong_change(request: Request) -> Response | None:
    """The refusal of a request that would change something, if a page of another site sent it, or its body is too long.

    Every browser says where such a request comes from, by Sec-Fetch-Site or at least by Origin. One that says neither
    comes from no browser, so it has no cookie that another site could misuse.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = (
        site not in ("same-origin", "none")
        if site is not None
        else origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    )
    if foreign:
        return refuse(403, "a page of another site must not ask for this")
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal():
        return refuse(411, "the length of the body is missing")
    return refuse(413, f"the body is longer than {MAX_BODY} bytes") if int(length) > MAX_BODY else None


def _route(request: Request) -> tuple[str, dict[str, Any]]:
    """The path of the route that will answer, and its parameters; both empty if there is none."""
    partial: tuple[str, dict[str, Any]] = ("", {})
    for route in request.app.routes:
        match, scope = route.matches(request.scope)
        if match is Match.FULL:
            return route.path, scope.get("path_params", {})
        if match is Match.PARTIAL and not partial[0]:
            partial = route.path, scope.get("path_params", {})
    return partial
