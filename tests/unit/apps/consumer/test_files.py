from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.consumer.files import file_handler
from apps.consumer.storage import DiskStore
from apps.messages import frame_path
from apps.service.http import Answer, Request

AT = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)
FOLDER = "/frames/gate/2026-11-23T22"


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    path = tmp_path / "data" / frame_path("gate", AT, 7)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xd8 an image")
    path.with_suffix(".objects.json").write_bytes(b"{}")
    (tmp_path / "data" / "secret").write_text("root:")
    return DiskStore(tmp_path / "data")


def get(store: DiskStore, path: str, method: str = "GET") -> Answer:
    return file_handler(store, lambda: "2026-11-22T23")(Request(method=method, path=path, body=b""))


@pytest.mark.parametrize(
    ("path", "listing"),
    [
        ("/frames/", b'{"cameras": ["gate"], "removed": {}, "kept_from": "2026-11-22T23"}'),
        ("/frames/gate/", b'{"hours": ["2026-11-23T22"]}'),
        (f"{FOLDER}/", b'{"files": ["7.jpg", "7.objects.json"]}'),
    ],
)
def test_listings_end_with_a_slash(store: DiskStore, path: str, listing: bytes) -> None:
    answer = get(store, path)
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", listing)


def test_a_file_is_kept_by_whoever_has_it(store: DiskStore) -> None:
    answer = get(store, f"{FOLDER}/7.jpg")
    assert (answer.status, answer.content_type, answer.size) == (200, "image/jpeg", 11)
    assert "immutable" in answer.cache
    assert get(store, f"{FOLDER}/7.objects.json").content_type == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/frames",
        "/frames/yard/",
        "/frames/../",
        "/frames/../secret",
        "/frames/gate/../../secret",
        "/frames/gate/2026-11-23T23/",
        "/frames/gate//7.jpg",
        f"{FOLDER}/8.jpg",
        f"{FOLDER}/.7.jpg.tmp",
        f"{FOLDER}/../../secret",
        f"{FOLDER}/7.jpg/",
    ],
)
def test_there_is_nothing_else(store: DiskStore, path: str) -> None:
    assert get(store, path).status == 404


def test_nothing_is_changed(store: DiskStore) -> None:
    assert get(store, f"{FOLDER}/7.jpg", "DELETE").status == 404
