"""The UI in a browser: a wall whose tiles change, and a search that returns stored frames; and who is let in."""

import json
import shlex
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from lab.config import machine
from tests.e2e.browser import browser
from tests.e2e.conftest import Stack
from tests.e2e.machines import EVERYBODY, on
from tests.e2e.test_frames import CAMERAS
from tests.e2e.waiting import wait_until

CAMERA = "cam-01"


def test_the_wall_is_live(stack: Stack, artifacts: Path) -> None:
    with browser(flags=stack.login.browser_flags()) as page:
        stack.login.in_browser(page)
        tile = f"document.querySelector('[data-camera={CAMERA}]')"
        # The wall also shows cameras that an earlier test has removed.
        tiles = "[...document.querySelectorAll('.tile')].map(tile => tile.dataset.camera)"
        page.wait_for(f"{json.dumps(sorted(CAMERAS))}.every(name => {tiles}.includes(name))", seconds=60)
        before = page.wait_for(f"{tile}?.dataset.sequence", seconds=60)
        after = page.wait_for(f"{tile}.dataset.sequence !== '{before}' && {tile}.dataset.sequence", seconds=60)
        assert int(after) > int(before)
        # After a start or a change of all cameras, a model lags by more than the wall waits for boxes.
        page.wait_for("document.querySelectorAll('.tile[data-sequence] .box').length > 0", seconds=180)
        page.screenshot("wall", artifacts)
        assert page.complaints == []


def test_a_search_shows_stored_frames(stack: Stack, artifacts: Path) -> None:
    with browser(flags=stack.login.browser_flags()) as page:
        stack.login.in_browser(page, f"/search?camera={CAMERA}&model=objects")
        page.wait_for("document.querySelectorAll('.result').length > 0", seconds=60)
        found = page.evaluate("[...document.querySelectorAll('.result')].map(card => card.dataset.id)")
        assert all(identity.startswith(f"{CAMERA}/") and identity.endswith("/objects") for identity in found), found
        shown = "[...document.querySelectorAll('.result img')].filter(image => image.naturalWidth > 0).length"
        page.wait_for(f"{shown} > 0", seconds=60)
        page.screenshot("search", artifacts)
        assert page.complaints == []


def test_nobody_is_let_in_without_a_login(stack: Stack) -> None:
    with httpx.Client(base_url=stack.login.url, timeout=30, trust_env=False, verify=stack.login.trust) as stranger:
        for path in ("/api/wall", "/api/search", "/api/cameras", f"/api/cameras/{CAMERA}/frames/1.jpg"):
            assert stranger.get(path).status_code == 401, path
        for path in ("/", "/metrics", "/healthz"):
            assert stranger.get(path).headers["location"].startswith("/login"), path
        wrong = {"name": stack.login.name, "password": "wrong"}
        assert stranger.post("/api/login", json=wrong).status_code == 401


def test_the_page_is_served_over_tls_alone(stack: Stack) -> None:
    plain = stack.login.url.replace("https://", "http://")
    led = httpx.get(f"{plain}/search", timeout=30, trust_env=False)
    assert (led.status_code, led.headers["location"]) == (308, f"{stack.login.url}/search")
    assert httpx.get(f"{plain}/api/cameras", timeout=30, trust_env=False).status_code == 400
    with pytest.raises(httpx.ConnectError):
        httpx.get(stack.login.url, timeout=30, trust_env=False, verify=ssl.create_default_context())


def test_the_page_is_at_the_virtual_ip_alone(stack: Stack) -> None:
    port = urlsplit(stack.login.url).port
    for name in EVERYBODY:
        with pytest.raises(TimeoutError), socket.create_connection((str(machine(name).address), port), timeout=3):
            pass


def test_a_logout_ends_the_session_in_every_pod(stack: Stack) -> None:
    pods = stack.cluster.pods("app.kubernetes.io/name=ui")
    addresses = [pod["status"]["podIP"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def answers(header: str) -> set[str]:
        # A pod's own address is in no certificate.
        asked = f"curl -sk -o /dev/null -w '%{{http_code}}\\n' -H {shlex.quote(header)}"
        return {on("cp1", f"{asked} https://{address}:8080/api/me")[0] for address in addresses}

    with stack.login.client() as client:
        copied = f"Cookie: {'; '.join(f'{cookie.name}={cookie.value}' for cookie in client.cookies.jar)}"
        assert answers(copied) == {"200"}
        client.post("/api/logout").raise_for_status()

    def still_in() -> str | None:
        told = answers(copied)
        return None if told == {"401"} else f"pods answer {told}"

    wait_until("every pod to know of the logout", still_in, limit_s=60)
