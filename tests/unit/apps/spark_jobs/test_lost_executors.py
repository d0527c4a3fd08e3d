"""Executors whose machine died: which are deleted, and the requests to the API server."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.service import kubernetes
from apps.service.kubernetes import ApiError, ApiServer
from apps.spark_jobs import lost_executors
from apps.spark_jobs.lost_executors import ExecutorPods, overdue, watch

NOW = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)


def pod(name: str, seconds_ago: float | None) -> dict[str, Any]:
    due = None if seconds_ago is None else (NOW - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "Z")
    return {"name": name, "uid": f"uid-{name}", **({"deletionTimestamp": due} if due else {})}


def test_only_what_should_have_ended_is_given_up() -> None:
    pods = [pod("runs", None), pod("ends", -3), pod("just-due", 1), pod("lost", 10)]
    assert [each["name"] for each in overdue(pods, NOW)] == ["lost"]


class Connection:
    """An API server with given answers."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str | None, dict[str, str]]] = []
        self.closed = 0

    def request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> None:
        self.asked.append((method, path, body, headers))

    def getresponse(self) -> Any:
        if not self.answers:
            raise ConnectionResetError("gone")
        status, answer = self.answers.pop(0)
        text = json.dumps(answer).encode()
        return type("Response", (), {"status": status, "read": lambda self: text})()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "namespace").write_text("argus\n")
    (tmp_path / "token").write_text("first")
    monkeypatch.setattr(kubernetes.ssl, "create_default_context", lambda cafile: None)
    return tmp_path


def executors(account: Path, monkeypatch: pytest.MonkeyPatch, connection: Connection) -> ExecutorPods:
    monkeypatch.setattr(kubernetes.http.client, "HTTPSConnection", lambda *_, **__: connection)
    return ExecutorPods("spark-1", ApiServer(account))


def test_a_pod_is_deleted_at_once_and_only_that_one(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection((200, {"items": [{"metadata": pod("lost", 10)}]}), (200, {}))
    pods = executors(account, monkeypatch, connection)
    (lost,) = pods.list()
    (account / "token").write_text("renewed")
    pods.delete(lost)
    (_, listed, _, _), (method, path, body, headers) = connection.asked
    assert listed == "/api/v1/namespaces/argus/pods?labelSelector=spark-role%3Dexecutor,spark-app-selector%3Dspark-1"
    assert (method, path) == ("DELETE", "/api/v1/namespaces/argus/pods/lost")
    assert json.loads(body or "") == {"gracePeriodSeconds": 0, "preconditions": {"uid": "uid-lost"}}
    assert headers["Authorization"] == "Bearer renewed"


def test_a_refusal_says_what_was_refused(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = executors(account, monkeypatch, Connection((403, {"reason": "Forbidden"})))
    with pytest.raises(ApiError, match=r"403 .*Forbidden") as refusal:
        pods.list()
    assert refusal.value.status == 403


def test_an_api_server_that_goes_away_is_asked_again(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection()
    pods = executors(account, monkeypatch, connection)
    monkeypatch.setattr(lost_executors, "LOOK_SECONDS", 0.01)
    stopping = threading.Event()
    thread = watch(pods, stopping)
    for _ in range(500):
        if len(connection.asked) >= 3:
            break
        thread.join(0.01)
    stopping.set()
    thread.join(5)
    assert len(connection.asked) >= 3
    assert connection.closed == len(connection.asked)
