"""The web application: pages and their JSON API."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
from elastic_transport import HttpxAsyncHttpNode
from elasticsearch import ApiError, AsyncElasticsearch, TransportError
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator

from apps.messages.identity import HOUR_PATTERN, MAX_SEQUENCE
from apps.messages.names import NAME_PATTERN, RESULT_INDICES
from apps.service.certificate import Certificate
from apps.service.peer import Client, Door
from apps.ui import metrics
from apps.ui.accounts import Accounts
from apps.ui.acme import AcmeCertificate
from apps.ui.archive import Archive, ArchiveUnavailableError
from apps.ui.audit import Audit
from apps.ui.caller import Caller
from apps.ui.certificate import watch
from apps.ui.ended import EndedSessions
from apps.ui.guard import Asking, Cookie, Guard
from apps.ui.login import add_login
from apps.ui.notices import Notices
from apps.ui.probes import Probes
from apps.ui.producers import Producers
from apps.ui.reader import Reader
from apps.ui.search import SearchParameters, build_choices, build_query, parse_choices, parse_page
from apps.ui.sessions import Sessions
from apps.ui.settings import Settings
from apps.ui.wall import Wall

STATIC = Path(__file__).with_name("static")
SEARCH_SECONDS = 10
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
A_WHILE = "private, max-age=600, immutable"
"""A frame's picture never changes, but a browser must not show it long after somebody logged out."""

CONNECTIONS = httpx.Limits(max_connections=40, max_keepalive_connections=20)
"""To all pods together; fewer than a pod accepts of one address (apps/service/http.py)."""

SHOWN = 100
"""The most characters of a parameter's name in an answer."""


def _existing_hour(hour: str) -> str:
    datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return hour


Name = Annotated[str, PathParameter(pattern=f"^{NAME_PATTERN}$")]
Hour = Annotated[str, PathParameter(pattern=f"^{HOUR_PATTERN}$"), AfterValidator(_existing_hour)]
Sequence = Annotated[int, PathParameter(ge=0, lt=MAX_SEQUENCE)]


def create_app(
    settings: Settings, certificate: Certificate | None = None, acme: AcmeCertificate | None = None
) -> FastAPI:
    """The application, served with this certificate or in plain; `acme` is the one beside it. Its Kafka reader and
    clients start and stop with it.

    Raises SettingsError if the users, the pods' token, the certificate of their authority or what is shown and asked
    for metrics cannot be read.
    """
    accounts = Accounts(settings.access_dir)
    audit = Audit()
    cookie = Cookie(secure=certificate is not None)
    ended = EndedSessions(settings.sessions_config_map)
    sessions = Sessions(lambda: accounts.content.key, lambda: accounts.limits, ended)
    wall = Wall(
        settings.cameras,
        settings.models,
        patience=timedelta(seconds=settings.patience_seconds),
        ring_bytes=settings.ring_bytes,
    )
    reader = Reader(settings, wall)
    pod, metrics_door = Client.of(settings), Door.of_metrics(settings)
    # Pods call each other directly, even if the environment configures a proxy.
    client = httpx.AsyncClient(trust_env=False, limits=CONNECTIONS, verify=pod.trust)
    producers = Producers(settings.producer_urls, client, pod.token)
    archive = Archive(settings.consumer_urls, client, pod.token)
    notices = Notices(settings, client, metrics_door.token, acme)
    elasticsearch = AsyncElasticsearch(
        settings.elasticsearch_url,
        node_class=HttpxAsyncHttpNode,
        request_timeout=SEARCH_SECONDS,
        max_retries=1,
        ssl_context=settings.elasticsearch_context,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        probes = Probes(settings.probe_port, settings.metrics_port, reader, metrics_door)
        reader.start()
        pollers: list[Callable[[], Coroutine[Any, Any, None]]] = [
            probes.run,
            producers.run,
            *notices.pollers,
            ended.run,
            *(partial(watch, each) for each in (certificate, acme) if each),
        ]
        polling = [asyncio.create_task(run()) for run in pollers]
        try:
            yield
        finally:
            for task in polling:
                task.cancel()
            await asyncio.to_thread(probes.close)
            await asyncio.to_thread(reader.stop)
            await elasticsearch.close()
            await client.aclose()

    app = FastAPI(title="Argus", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(Guard(accounts, sessions, cookie, audit))
    # Added last, so that it also sees what the guard refuses.
    app.middleware("http")(_add_headers_and_measure)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    for path, name in (("/", "wall"), ("/search", "search"), ("/login", "login")):
        app.add_api_route(path, _page(name), response_class=FileResponse)
    add_login(app, accounts, sessions, cookie, audit)

    @app.get("/camera/{camera}")
    async def show_camera(camera: Name) -> FileResponse:
        return await _page("camera")()

    @app.get("/api/cameras")
    def list_cameras(caller: Asking) -> dict[str, Any]:
        states = producers.states
        unknown = {"state": "unknown", "error": None}
        names = sorted(filter(caller.sees, {*wall.cameras(), *states}))
        return {"cameras": _told([{"name": name, **states.get(name, unknown)} for name in names], caller)}

    @app.get("/api/wall")
    def show_wall(caller: Asking, since: Annotated[str | None, Query(max_length=100)] = None) -> dict[str, Any]:
        now = datetime.now(UTC)
        changes = wall.changes(since, producers.states, caller.sees)
        return {
            "now": now.timestamp(),
            "statistics": _counted(wall.statistics(time.monotonic(), caller.sees), caller),
            **notices.told(operator=caller.has("operator")),
            **changes,
            "cameras": _told(changes["cameras"], caller),
        }

    @app.get("/api/cameras/{camera}/frames/{sequence}.jpg")
    def recent_image(camera: Name, sequence: Sequence) -> Response:
        return _image(wall.jpeg(camera, sequence))

    @app.get("/api/frames/{camera}/{hour}/{sequence}.jpg")
    async def stored_image(camera: Name, hour: Hour, sequence: Sequence) -> Response:
        try:
            return _image(await archive.jpeg(camera, hour, sequence))
        except ArchiveUnavailableError as error:
            return _error(503, str(error))

    @app.get("/api/search")
    async def search(caller: Asking, parameters: Annotated[SearchParameters, Query()]) -> Response:
        body = build_query(parameters, caller.cameras)
        return await _search(elasticsearch, body, lambda answer: parse_page(answer, parameters, caller.sees))

    @app.get("/api/choices")
    async def list_choices(caller: Asking) -> Response:
        return await _search(elasticsearch, build_choices(caller.cameras), parse_choices)

    return app


def _told(cameras: list[dict[str, Any]], caller: Caller) -> list[dict[str, Any]]:
    """The cameras; why one cannot be read names machines and addresses, so only operators are told."""
    return cameras if caller.has("operator") else [{**camera, "error": None} for camera in cameras]


def _counted(statistics: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """The statistics; a camera that the wall does not show may be anybody's, so only who sees all is told of it."""
    return statistics if caller.sees_all else {**statistics, "not_shown": {"records": 0, "camera": None}}


def _page(name: str) -> Callable[[], Awaitable[FileResponse]]:
    async def serve() -> FileResponse:
        return FileResponse(STATIC / f"{name}.html", media_type="text/html", headers={"Cache-Control": "no-cache"})

    return serve


def _image(jpeg: bytes | None) -> Response:
    if jpeg is None:
        return _error(404, "there is no such frame (any more)")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": A_WHILE})


async def _search(
    elasticsearch: AsyncElasticsearch, body: dict[str, Any], read: Callable[[dict[str, Any]], dict[str, Any]]
) -> Response:
    try:
        answer = await elasticsearch.search(index=RESULT_INDICES, **body)
        return JSONResponse(read(answer.body))
    except (ApiError, TransportError) as error:
        return _error(503, f"the search is not available: {type(error).__name__}")


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status, headers={"Cache-Control": "no-store"})


async def _invalid_parameters(_: Request, error: Exception) -> Response:
    """Answer a request with invalid parameters: the name and fault of each."""
    assert isinstance(error, RequestValidationError)
    mistakes = [
        {"parameter": ".".join(str(part) for part in mistake["loc"][1:])[:SHOWN] or "query", "message": mistake["msg"]}
        for mistake in error.errors()
    ]
    summary = "; ".join(f"{mistake['parameter']}: {mistake['message']}" for mistake in mistakes)
    return JSONResponse({"error": summary, "parameters": mistakes}, status_code=422)


async def _add_headers_and_measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started = time.monotonic()
    response = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache" if request.url.path.startswith("/static/") else "no-store")
    route = getattr(request.scope.get("route"), "path", "other")
    metrics.REQUEST_SECONDS.labels(route, str(response.status_code)).observe(time.monotonic() - started)
    return response
