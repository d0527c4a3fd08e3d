"""A logout in one pod of the page is one in all, whichever of them dies."""

import asyncio
import copy
import threading
from pathlib import Path
from typing import Any

import pytest

from apps.service.kubernetes import ERRORS, ApiError
from apps.ui import ended
from apps.ui.ended import MOST_ENDED, EndedSessions

PATH = "/api/v1/namespaces/argus/configmaps/ui-sessions"
LATER = 5000.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """An API server with the ConfigMap, which may be down, or be written by another between a read and a write."""

    namespace = "argus"

    def __init__(self) -> None:
        self.config_map: dict[str, Any] = {"metadata": {"name": "ui-sessions", "resourceVersion": "1"}}
        self.down = False
        self.between: dict[str, str] | None = None
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, *, accept: str = "application/json", body: Any = None) -> Any:
        assert (path, accept) == (PATH, "application/json")
        with self._lock:
            self.asked.append(method)
            if self.down:
                raise ConnectionRefusedError
            if method == "GET":
                return copy.deepcopy(self.config_map)
            assert method == "PUT"
            if self.between is not None:
                self._write({"data": {**self.config_map.get("data", {}), **self.between}})
                self.between = None
            if body["metadata"]["resourceVersion"] != self.config_map["metadata"]["resourceVersion"]:
                raise ApiError(f"PUT {path}", 409, b"conflict")
            self._write(body)
            return copy.deepcopy(self.config_map)

    def _write(self, body: dict[str, Any]) -> None:
        version = int(self.config_map["metadata"]["resourceVersion"]) + 1
        self.config_map = {**body, "metadata": {"name": "ui-sessions", "resourceVersion": str(version)}}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def exchange(server: Server, *pods: EndedSessions) -> None:
    async def all_of_them() -> None:
        for pod in pods:
            await pod.exchange(server)  # type: ignore[arg-type]

    asyncio.run(all_of_them())


def test_the_other_pods_learn_of_it_and_one_that_starts_later_too(server: Server, clock: Clock) -> None:
    here, there = EndedSessions("ui-sessions", clock=clock), EndedSessions("ui-sessions", clock=clock)
    here.add("one", LATER)
    assert "one" in here and "one" not in there
    exchange(server, here, there)
    assert "one" in there
    later = EndedSessions("ui-sessions", clock=clock)
    exchange(server, later)
    assert "one" in later and "two" not in later, "the pod that saw it may be dead by now"


def test_nothing_is_written_where_there_is_no_news(server: Server, clock: Clock) -> None:
    pod = EndedSessions("ui-sessions", clock=clock)
    exchange(server, pod, pod)
    assert server.asked == ["GET", "GET"]
    pod.add("one", LATER)
    exchange(server, pod, pod)
    assert server.asked[2:] == ["GET", "PUT", "GET"]


def test_two_logouts_at_once_are_both_kept(server: Server, clock: Clock) -> None:
    here = EndedSessions("ui-sessions", clock=clock)
    here.add("one", LATER)
    server.between = {"two": "5000"}
    exchange(server, here)
    assert server.config_map["data"].keys() == {"one", "two"}
    assert "two" in here


def test_while_the_api_server_is_down_it_counts_here_and_is_told_later(server: Server, clock: Clock) -> None:
    here, there = EndedSessions("ui-sessions", clock=clock), EndedSessions("ui-sessions", clock=clock)
    here.add("one", LATER)
    server.down = True
    with pytest.raises(ConnectionRefusedError):
        exchange(server, here)
    assert "one" in here
    server.down = False
    exchange(server, here, there)
    assert "one" in there


def test_a_session_that_would_be_over_is_forgotten_everywhere(server: Server, clock: Clock) -> None:
    here = EndedSessions("ui-sessions", clock=clock)
    here.add("one", LATER)
    exchange(server, here)
    clock.now = LATER
    here.add("two", 2 * LATER)
    exchange(server, here)
    assert "one" not in here and server.config_map["data"] == {"two": "10000"}


def test_the_memory_is_limited(clock: Clock) -> None:
    pod = EndedSessions("ui-sessions", clock=clock)
    for number in range(MOST_ENDED + 3):
        pod.add(str(number), LATER + number)
    assert "2" not in pod and "3" in pod and str(MOST_ENDED + 2) in pod


def test_a_map_that_somebody_else_wrote_is_an_error_that_is_expected(server: Server, clock: Clock) -> None:
    server.config_map["data"] = {"one": "soon"}
    with pytest.raises(ERRORS):
        exchange(server, EndedSessions("ui-sessions", clock=clock))


def test_it_is_told_at_once_and_asked_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "token").touch()
    monkeypatch.setattr(ended, "ApiServer", lambda _: server)
    here = EndedSessions("ui-sessions", tmp_path)

    async def log_out() -> None:
        running = asyncio.create_task(here.run())
        while not server.asked:
            await asyncio.sleep(0.01)
        here.add("one", 1e12)
        while "data" not in server.config_map:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(ended, "POLL_SECONDS", 0.01)
        server.config_map = {**server.config_map, "data": {"one": "1e12", "two": "1e12"}}
        here.add("three", 1e12)
        while "two" not in here:
            await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(asyncio.wait_for(log_out(), 120))


def test_without_a_service_account_it_ends(tmp_path: Path) -> None:
    asyncio.run(EndedSessions("ui-sessions", tmp_path).run())
