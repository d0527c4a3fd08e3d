"""Metrics of an app as its settings have them served: for who shows the token in a folder, while it changes too."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from apps.service import http
from apps.service.http import Server, metrics_handler
from apps.service.peer import SCRAPERS_TOKEN, Door
from apps.service.settings import MeasuredSettings, SettingsError
from apps.service.token import ADMIT_OLD_SCRAPERS_SECONDS, ADMIT_OLD_SECONDS
from tests.certificates import of_metrics
from tests.unit.apps.scraper import scrape
from tests.unit.waiting import wait_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What Kubernetes mounts."""
    return Path(shutil.copytree(of_metrics(), tmp_path / "metrics"))


def door(folder: Path) -> Door:
    return Door.of_metrics(MeasuredSettings.model_validate({"metrics_port": 0, "metrics_dir": folder}))


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    registry = CollectorRegistry()
    Counter("frames", "Frames.", registry=registry).inc(3)
    server = Server(0, metrics_handler(registry), door(folder))
    yield server.port
    server.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_no_scrape_is_refused_while_the_token_changes(port: int, folder: Path) -> None:
    before = (folder / SCRAPERS_TOKEN).read_text()
    status, text = scrape(port, **bearer(before))
    assert status == 200 and "frames_total 3.0" in text
    (folder / SCRAPERS_TOKEN).write_text("another\n")
    assert [scrape(port, **bearer(token))[0] for token in (before, "another", "a third")] == [200, 200, 401]


def test_a_scraper_has_longer_than_pods_to_show_the_new_token(folder: Path) -> None:
    token = door(folder).token
    before = (folder / SCRAPERS_TOKEN).read_text()
    (folder / SCRAPERS_TOKEN).write_text("another")
    assert token.admits("another")
    for age, admitted in ((ADMIT_OLD_SECONDS + 1, True), (ADMIT_OLD_SCRAPERS_SECONDS + 1, False)):
        token._changed = time.monotonic() - age
        assert token.admits(before) is admitted and token.admits("another")


def test_the_token_before_ends_though_nobody_asks_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE_SECONDS", 1)  # also between two looks for a new token
    entered, before = door(folder), (folder / SCRAPERS_TOKEN).read_text()
    server = Server(0, metrics_handler(CollectorRegistry()), entered)
    try:
        (folder / SCRAPERS_TOKEN).write_text("another")
        wait_for(lambda: entered.token._now == "another")
        entered.token._changed -= ADMIT_OLD_SCRAPERS_SECONDS
        assert scrape(server.port, **bearer(before))[0] == 401
    finally:
        server.close()


def test_a_long_body_is_refused_before_anybody_is_asked_for_the_token(port: int) -> None:
    assert scrape(port, content=b"x" * (http.SMALL_BODY // 2))[0] == 401
    assert scrape(port, content=b"x" * (http.SMALL_BODY + 1))[0] == 413


def test_there_is_nothing_else(port: int, folder: Path) -> None:
    shown = bearer((folder / SCRAPERS_TOKEN).read_text())
    assert [scrape(port, path, **shown)[0] for path in ("/", "/healthz", "/metrics/")] == [404, 404, 404]
    assert scrape(port)[0] == 401


@pytest.mark.parametrize("missing", [SCRAPERS_TOKEN, "tls.crt", "tls.key"])
def test_an_app_without_all_files_does_not_start_and_says_which_folder(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(SettingsError, match="metrics"):
        door(folder)
