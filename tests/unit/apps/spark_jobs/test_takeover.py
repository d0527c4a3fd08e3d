"""Which driver of a model works: the rule, on Kubernetes' Pod objects, and the Lease that names the active driver."""

import http.client
import threading
from collections.abc import Callable
from typing import Any

import pytest

from apps.service.kubernetes import ApiError
from apps.spark_jobs import takeover
from apps.spark_jobs.takeover import NOBODY, Takeover, Turn, of_one_template

ME, OLD, BROKEN = "model-objects-bbbb-22222", "model-objects-aaaa-11111", "model-objects-cccc-33333"
GRACE = 45


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pod(name: str = OLD, *, ready: bool = True, leaving: bool = False, ended: bool = False, **status: Any) -> Any:
    metadata = {"name": name, "uid": f"uid-{name}"}
    if leaving:
        metadata |= {"deletionTimestamp": "2026-11-28T07:00:00Z", "deletionGracePeriodSeconds": GRACE}  # type: ignore[dict-item]
    state = {"terminated": {"exitCode": 0}} if ended else {"running": {}}
    return {
        "metadata": metadata,
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "driver", "state": state}],
            **status,
        },
    }


def of_a_lost_machine(*, ready: bool) -> Any:
    evicted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    found = pod(leaving=True, ready=ready)
    found["status"]["conditions"].append(evicted)
    return found


@pytest.mark.parametrize(
    ("what", "pods", "waits"),
    [
        ("the old one works", [pod()], True),
        ("the old one works, and is not ready yet or any more", [pod(ready=False)], True),
        ("the old one's container crashes again and again", [pod(ready=False, ended=True)], True),
        ("the old one ends", [pod(leaving=True)], True),
        ("the old one ends and its server has closed", [pod(leaving=True, ready=False)], True),
        ("the old one has ended and is still there", [pod(leaving=True, ended=True)], False),
        ("the old one was evicted for what it used", [pod(ready=False, phase="Failed")], False),
        ("the old one's machine is lost", [of_a_lost_machine(ready=False)], False),
        ("the old one leaves a living machine with a taint", [of_a_lost_machine(ready=True)], True),
        ("the old one is gone", [], False),
        ("a newer one that never gets ready is there, the old one is gone", [pod(BROKEN, ready=False)], False),
        ("another one that waits too is there, the old one is gone", [pod(BROKEN)], False),
    ],
)
def test_who_is_waited_for(what: str, pods: list[Any], waits: bool) -> None:
    assert Turn(ME, Clock()).waits_for(OLD, [*pods, pod(ME, ready=False)]) == (OLD if waits else None), what


def test_a_pod_that_leaves_is_waited_for_as_long_as_its_machine_lets_it() -> None:
    clock = Clock()
    turn = Turn(ME, clock)
    assert turn.waits_for(OLD, [pod()]) == OLD
    clock.now += 10_000  # Time before its deletion does not count.
    assert turn.waits_for(OLD, [pod(leaving=True)]) == OLD
    clock.now += GRACE
    assert turn.waits_for(OLD, [pod(leaving=True)]) == OLD
    clock.now += takeover.PATIENCE_SECONDS + 1
    assert turn.waits_for(OLD, [pod(leaving=True)]) is None


def test_this_one_never_waits_for_itself() -> None:
    assert Turn(ME).waits_for(ME, [pod(ME), pod(OLD)]) is None
    assert Turn(ME).waits_for(None, [pod(ME)]) is None


def test_a_lease_that_was_given_back_is_free_at_once() -> None:
    assert Turn(ME).waits_for(NOBODY, [pod(leaving=True), pod(BROKEN)]) is None


def test_drivers_of_an_argus_without_leases_are_waited_for_while_they_are_ready() -> None:
    assert Turn(ME).waits_for(None, [pod()]) == OLD
    assert Turn(ME).waits_for(None, [pod(leaving=True)]) == OLD
    assert Turn(ME).waits_for(None, [pod(ready=False)]) is None


def test_pods_of_one_template_share_their_replica_sets_name() -> None:
    assert of_one_template(ME, "model-objects-bbbb-99999")
    assert not of_one_template(OLD, ME)
    assert not of_one_template(NOBODY, ME)
    assert not of_one_template(NOBODY, NOBODY)


class Server:
    """An API server with one Lease and the pods of `look`, and errors to raise before it answers."""

    namespace = "argus"

    def __init__(self, holder: str | None, pods: Callable[[], list[Any]], *errors: Exception) -> None:
        spec = {} if holder is None else {"spec": {"holderIdentity": holder}}
        self.lease: dict[str, Any] = {"kind": "Lease", "metadata": {"name": "lease", "resourceVersion": "1"}, **spec}
        self.pods, self.errors = pods, list(errors)
        self.asked: list[str] = []

    @property
    def holder(self) -> str | None:
        found: str | None = self.lease.get("spec", {}).get("holderIdentity")
        return found

    def ask(self, method: str, path: str, *, accept: str = "", body: Any = None) -> Any:
        self.asked.append(f"{method} {path}")
        if self.errors:
            raise self.errors.pop(0)
        if "/pods?" in path:
            assert path == "/api/v1/namespaces/argus/pods?labelSelector=app%3Dmodel"
            return {"items": self.pods()}
        assert path == "/apis/coordination.k8s.io/v1/namespaces/argus/leases/lease"
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise ApiError("PUT", 409, b"Conflict")
            version = str(int(self.lease["metadata"]["resourceVersion"]) + 1)
            self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self.lease


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.001)


def place(server: Server) -> Takeover:
    return Takeover(server, me=ME, lease="lease", selector="app=model")  # type: ignore[arg-type]


def test_one_that_is_alone_begins_at_once_and_says_so() -> None:
    server = Server(None, list)
    told: list[str | None] = []
    assert place(server).wait(told.append, threading.Event())
    assert (server.holder, told) == (ME, [])


def test_the_new_one_is_ready_while_the_old_one_works_and_begins_when_it_has_ended() -> None:
    looks = [[pod()], [pod(leaving=True)], [pod(leaving=True)], []]
    server = Server(OLD, lambda: looks.pop(0))
    told: list[str | None] = []
    assert place(server).wait(told.append, threading.Event())
    assert told == [OLD] * 3
    assert (server.holder, looks) == (ME, [])


def test_a_container_that_is_started_again_goes_on() -> None:
    server = Server(ME, lambda: [pod(OLD)])
    assert place(server).wait(pytest.fail, threading.Event())
    assert len(server.asked) == 1


def test_an_api_server_that_is_away_is_asked_again_and_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    errors = [ConnectionRefusedError("gone"), http.client.BadStatusLine(""), ApiError("GET", 500, b"")] * 20
    server = Server(None, list, *errors)
    told: list[str | None] = []
    assert place(server).wait(told.append, threading.Event())
    assert told == [None] * 60
    assert [record.getMessage() for record in caplog.records] == ["cannot ask who does the work: gone"]


def test_of_two_that_wait_one_begins() -> None:
    server = Server(OLD, list)
    real = server.ask

    def somebody_was_quicker(method: str, path: str, **rest: Any) -> Any:
        if method == "PUT" and server.holder == OLD:
            server.lease = {**server.lease, "metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": BROKEN}}
            server.pods = lambda: [pod(BROKEN)]
        return real(method, path, **rest)

    server.ask = somebody_was_quicker  # type: ignore[method-assign]
    stopping = threading.Event()

    def ready_and_then_stopped(other: str | None) -> None:
        assert other == BROKEN
        stopping.set()

    assert not place(server).wait(ready_and_then_stopped, stopping)
    assert server.holder == BROKEN


def test_one_that_is_told_to_stop_waits_no_longer() -> None:
    stopping = threading.Event()
    stopping.set()
    server = Server(OLD, lambda: [pod()])
    assert not place(server).wait(pytest.fail, stopping)
    assert server.holder == OLD


def test_the_next_one_may_begin_when_this_one_leaves() -> None:
    server = Server(ME, list)
    place(server).leave()
    assert server.holder == NOBODY


def test_only_the_holder_gives_the_lease_back() -> None:
    server = Server(OLD, list)
    place(server).leave()
    assert server.holder == OLD
    place(Server(ME, list, ConnectionResetError("gone"))).leave()


@pytest.mark.parametrize(
    ("holder", "proven"), [(ME, True), ("model-objects-bbbb-99999", True), (OLD, False), (None, False)]
)
def test_only_what_has_worked_is_not_checked_again(holder: str | None, proven: bool) -> None:
    assert place(Server(holder, list)).proven() is proven


def test_a_model_is_checked_where_nobody_says_whether_it_has_worked() -> None:
    assert not place(Server(ME, list, ConnectionRefusedError("gone"))).proven()
