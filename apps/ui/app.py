"""The web application: pages, their JSON API, probes and metrics."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
from elastic_transport import HttpxAsyncHttpNode
from elasticsearch import ApiError, AsyncElasticsearch, TransportError
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AfterValidator

from apps.messages.identity import HOUR_PATTERN, MAX_SEQUENCE
from apps.messages.names import NAME_PATTERN, RESULT_INDICES
from apps.service.health import poll_health
from apps.ui import metrics
from apps.ui.archive import Archive, ArchiveUnavailableError
from apps.ui.not_searchable import NotSearchable
from apps.ui.producers import Producers
from apps.ui.reader import Reader
from apps.ui.search import SearchParameters, build_choices, build_query, parse_choices, parse_page
from apps.ui.settings import Settings
from apps.ui.unschedulable import UnschedulablePods
from apps.ui.wall import Wall

STATIC = Path(__file__).with_name("static")
SEARCH_SECONDS = 10
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOREVER = "private, max-age=31536000, immutable"

SHOWN = 100
"""The most characters of a parameter's name in an answer."""


def _existing_hour(hour: str) -> str:
    datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return hour


Name = Annotated[str, PathParameter(pattern=f"^{NAME_PATTERN}$")]
Hour = Annotated[str, PathParameter(pattern=f"^{HOUR_PATTERN}$"), AfterValidator(_existing_hour)]
Sequence = Annotated[int, PathParameter(ge=0, lt=MAX_SEQUENCE)]


def create_app(settings: Settings) -> FastAPI:
    """The application. Its Kafka reader and clients start and stop with it."""
    wall = Wall(
        settings.cameras,
        settings.models,
        patience=timedelta(seconds=settings.patience_seconds),
        ring_bytes=settings.ring_bytes,
    )
    reader = Reader(settings, wall)
    # Pods call each other directly, even if the environment configures a proxy.
    client = httpx.AsyncClient(trust_env=False)
    producers = Producers(settings.producer_urls, client)
    archive = Archive(settings.consumer_urls, client)
    unschedulable_pods = UnschedulablePods(settings.standby_machines)
    not_searchable = NotSearchable(client)
    elasticsearch = AsyncElasticsearch(
        settings.elasticsearch_url, node_class=HttpxAsyncHttpNode, request_timeout=SEARCH_SECONDS, max_retries=1
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reader.start()
        polling = [asyncio.create_task(each.run()) for each in (producers, unschedulable_pods, not_searchable)]
        try:
            yield
        finally:
            for task in polling:
                task.cancel()
            await asyncio.to_thread(reader.stop)
            await elasticsearch.close()
            await client.aclose()

    app = FastAPI(title="Argus", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_add_headers_and_measure)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    for path, name in (("/", "wall"), ("/search", "search")):
        app.add_api_route(path, _page(name), response_class=FileResponse)

    @app.get("/camera/{camera}")
    async def show_camera(camera: Name) -> FileResponse:
        return await _page("camera")()

    @app.get("/api/cameras")
    def list_cameras() -> dict[str, Any]:
        states = producers.states
        unknown = {"state": "unknown", "error": None}
        names = sorted({*wall.cameras(), *states})
        return {"cameras": [{"name": name, **states.get(name, unknown)} for name in names]}

    @app.get("/api/wall")
    def show_wall(since: Annotated[str | None, Query(max_length=100)] = None) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "now": now.timestamp(),
            "statistics": wall.statistics(time.monotonic()),
            "room": unschedulable_pods.advice,
            "not_searchable": not_searchable.notice,
            **wall.changes(since, producers.states),
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
    async def search(parameters: Annotated[SearchParameters, Query()]) -> Response:
        return await _search(elasticsearch, build_query(parameters), lambda answer: parse_page(answer, parameters))

    @app.get("/api/choices")
    async def list_choices() -> Response:
        return await _search(elasticsearch, build_choices(), parse_choices)

    @app.get("/healthz")
    def healthz() -> Response:
        status, reason = poll_health(reader.poll_age)
        return PlainTextResponse(reason, status_code=status)

    @app.get("/readyz")
    def readyz() -> Response:
        return JSONResponse({"reading": reader.ready}, status_code=200 if reader.ready else 503)

    @app.get("/metrics")
    def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _page(name: str) -> Callable[[], Awaitable[FileResponse]]:
    async def serve() -> FileResponse:
        return FileResponse(STATIC / f"{name}.html", media_type="text/html", headers={"Cache-Control": "no-cache"})

    return serve


def _image(jpeg: bytes | None) -> Response:
    if jpeg is None:
        return _error(404, "there is no such frame (any more)")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": FOREVER})


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
