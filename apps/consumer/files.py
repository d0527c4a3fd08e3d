"""Serves the stored files and their listings."""

from collections.abc import Callable

from apps.consumer.storage import DiskStore, HourDirectory
from apps.messages.identity import FILE, HOUR
from apps.messages.names import NAME
from apps.service.http import Answer, Handler, Request, as_json, not_found

ROOT = "/frames/"
FOREVER = "public, max-age=31536000, immutable"


def file_handler(store: DiskStore, kept_from: Callable[[], str] = lambda: "") -> Handler:
    """The handler of `/frames/CAMERA/HOUR/FILE`; a path that ends with a slash is a listing.

    That of the cameras says too which hours are not missing although they are not there: those before `kept_from` are
    too old, and up to the one in `removed` a camera's were removed for lack of space.
    """

    def handle(request: Request) -> Answer:
        if request.method not in ("GET", "HEAD") or not request.path.startswith(ROOT):
            return not_found(request)
        if request.path == ROOT:
            return as_json({"cameras": store.cameras(), "removed": store.removed(), "kept_from": kept_from()})
        return _answer(store, request.path.removeprefix(ROOT).split("/")) or not_found(request)

    return handle


def _answer(store: DiskStore, parts: list[str]) -> Answer | None:
    """`parts` are camera, hour and file name, or fewer; the last part of a listing is empty."""
    match parts:
        case [camera, ""] if NAME.fullmatch(camera):
            hours = [directory.hour for directory in store.hours() if directory.camera == camera]
            return as_json({"hours": hours}) if hours else None
        case [camera, hour, ""] if NAME.fullmatch(camera) and HOUR.fullmatch(hour):
            files = store.files(HourDirectory(hour=hour, camera=camera))
            return as_json({"files": files}) if files else None
        case [camera, hour, name] if NAME.fullmatch(camera) and HOUR.fullmatch(hour) and FILE.fullmatch(name):
            return _file(store, HourDirectory(hour=hour, camera=camera), name)
    return None


def _file(store: DiskStore, directory: HourDirectory, name: str) -> Answer | None:
    try:
        stored = store.open(directory, name)
    except FileNotFoundError:
        return None
    kind = "image/jpeg" if name.endswith(".jpg") else "application/json"
    return Answer(body=stored, content_type=kind, cache=FOREVER)
