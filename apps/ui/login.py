"""The routes by which somebody logs in and out, and sees who may do what."""

import time
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from apps.access.document import Rights
from apps.ui import metrics
from apps.ui.accounts import Accounts, BusyError
from apps.ui.audit import Audit
from apps.ui.caller import Caller
from apps.ui.guard import Asking, Cookie, address_of, refuse, wait_for
from apps.ui.openid_login import OpenIdLogin
from apps.ui.sessions import Session, Sessions
from apps.ui.throttle import Throttle

FREE_TRIES_OF_A_USER = 5
FREE_TRIES_OF_AN_ADDRESS = 30
"""More, because all who come through one machine's port have its address."""


class Login(BaseModel):
    """What somebody who logs in sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100)
    password: SecretStr = Field(min_length=1, max_length=1000)


def add_login(app: FastAPI, accounts: Accounts, sessions: Sessions, cookie: Cookie, audit: Audit) -> None:
    """Add the routes to the application."""
    users, addresses = Throttle(FREE_TRIES_OF_A_USER), Throttle(FREE_TRIES_OF_AN_ADDRESS)
    openid = OpenIdLogin(accounts, sessions, cookie, audit)
    openid.add_routes(app)

    @app.post("/api/login")
    async def log_in(request: Request, login: Login) -> Response:
        address, now = address_of(request), time.monotonic()
        of_address, of_user = addresses.wait(address, now), users.wait(login.name, now)
        if of_address > 0 or of_user > 0:
            metrics.LOGINS.labels("throttled").inc()
            # An address can try endless names, and must not fill the log with them.
            audit.once(
                ("throttled", address, "" if of_address > 0 else login.name),
                lambda: audit.write("login", "failure", address=address, name=login.name, reason="throttled"),
            )
            return wait_for(max(of_address, of_user))
        users.tried(login.name, now)
        addresses.tried(address, now)
        try:
            caller = await accounts.by_password(login.name, login.password.get_secret_value())
        except BusyError:
            # Nothing was guessed.
            users.right(login.name, forget=False)
            addresses.right(address, forget=False)
            metrics.LOGINS.labels("busy").inc()
            return wait_for(5)
        if caller is None:
            metrics.LOGINS.labels("wrong").inc()
            audit.write("login", "failure", address=address, name=login.name, reason="name or password")
            return refuse(401, "the name or the password is wrong")
        users.right(login.name, forget=True)
        # Others may be guessing from the same address.
        addresses.right(address, forget=False)
        return _begun(caller, address)

    def _begun(caller: Caller, address: str) -> Response:
        session = Session.begin(caller.name, caller.kind, caller.version, time.time())
        metrics.LOGINS.labels("right").inc()
        audit.write("login", "success", address=address, caller=caller, session=session.identity)
        response = JSONResponse(_described(caller), headers={"Cache-Control": "no-store"})
        cookie.put(response, sessions.sign(session))
        return response

    @app.post("/api/logout")
    async def log_out(request: Request, caller: Asking) -> Response:
        session: Session | None = request.state.session
        url = None
        if session is not None:
            sessions.end(session)
            audit.write("logout", "success", address=address_of(request), caller=caller, session=session.identity)
            url = await openid.end_session_url(session)
        # Pictures stay in a browser's cache for a while, and must not outlast the login.
        response = JSONResponse({"url": url} if url else {}, headers={"Clear-Site-Data": '"cache"'})
        if session is not None:
            cookie.remove(response)
        return response

    @app.get("/api/session")
    async def show_session(request: Request, response: Response) -> dict[str, Any]:
        caller: Caller | None = request.state.caller
        return {"name": caller.name if caller else None, "openid": openid.told(request, response)}

    @app.get("/api/me")
    async def me(caller: Asking) -> dict[str, Any]:
        return _described(caller)

    @app.get("/api/access")
    async def show_access(_: Asking) -> dict[str, Any]:
        access = accounts.content.access
        provider = access.open_id_connect
        return {
            "users": [_entitled(name, each) for name, each in sorted(access.users.items())],
            "tokens": [_entitled(name, each) for name, each in sorted(access.tokens.items())],
            # In the order in which they count.
            "openid": [_entitled(each.value, each) for each in provider.roles] if provider else [],
        }


def _entitled(name: str, rights: Rights) -> dict[str, Any]:
    return {"name": name, "role": rights.role, "cameras": rights.cameras}


def _described(caller: Caller) -> dict[str, Any]:
    return {"name": caller.name, "kind": caller.kind, "role": caller.role, "cameras": caller.cameras}
