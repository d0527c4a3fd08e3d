"""A running process's clock is set: what it reads and until when it waits go by it, and then are right again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from lab.config import ROOT
from tests.marathon import clock, stepped
from tests.marathon.clock import ClockStepped
from tests.marathon.fault import Scene, UnprovenError
from tests.marathon.images import memory_of

pytestmark = pytest.mark.full

HOUR = 3600

WORKER = """
import ctypes, json, os, sys, threading, time
from datetime import UTC, datetime
from confluent_kafka import Consumer, Producer
from apps.service.http import Answer, Server

producer = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
producer.produce("frames", b"x")
consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
consumer.subscribe(["frames"])
held = threading.Lock()
held.acquire()
libc = ctypes.CDLL(None)

def gettimeofday():
    moment = (ctypes.c_long * 2)()
    libc.gettimeofday(moment, None)
    return moment[0]

WAITS = {
    "librdkafka": lambda: producer.flush(0.5),
    "poll": lambda: consumer.poll(0.5),
    "event": lambda: threading.Event().wait(0.5),
    "lock": lambda: held.acquire(timeout=0.5),
    "sleep": lambda: time.sleep(0.5),
}

def waited(wait):
    began = time.monotonic()
    wait()
    return time.monotonic() - began

def seen():
    used = time.process_time()
    waits = {name: waited(wait) for name, wait in WAITS.items()}
    clocks = [time.time(), datetime.now(UTC).timestamp(), libc.time(None), gettimeofday(), time.clock_gettime(5)]
    return {"clocks": clocks, "waits": waits, "cpu": time.process_time() - used, "boot": time.monotonic()}

def forked():
    ours, theirs = os.pipe()
    if not os.fork():
        os.write(theirs, json.dumps(time.time()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(ours, 100))

server = Server(0, lambda _: Answer(body=b"fine"))
print(json.dumps(server.port), flush=True)
for line in sys.stdin:
    print(json.dumps({"seen": seen, "forked": forked}[line.strip()]()), flush=True)
"""
"""A process as a stage's: Python, librdkafka and the project's own server. It says what it sees when it is asked."""


class Worker:
    """It runs as the first process of a container does, whose signals others cannot send it."""

    def __init__(self) -> None:
        command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", WORKER]
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port: int = json.loads(self._process.stdout.readline())
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self.process = int(children.read_text())

    def says(self, what: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def expect(self, ahead: int) -> None:
        """Its clocks are so many seconds ahead, and its waits take as long as they should."""
        before, seen, after = time.time(), self.says("seen"), time.time()
        assert all(before - 1 <= each - ahead <= after + 1 for each in seen["clocks"]), seen
        assert all(0.4 < each < 1.5 for each in seen["waits"].values()), seen
        assert seen["cpu"] < 1
        assert abs(seen["boot"] - time.monotonic()) < 5

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def kernels_code(self) -> bytes:
        """The vDSO as this process has it."""
        with memory_of(self.process) as memory:
            (found,) = (each for each in memory.images() if each.name == "[vdso]")
            return memory.read(found.begin, found.size)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


def test_a_clock_goes_forth_and_back_and_is_right_again(worker: Worker) -> None:
    worker.expect(0)
    for seconds in (HOUR, -2 * HOUR, 61, 0, 0, 3 * HOUR, 0):
        stepped.step(worker.process, seconds)
        worker.expect(seconds)


def test_it_is_seen_what_is_led_away(worker: Worker) -> None:
    said = stepped.step(worker.process, -HOUR)
    assert said.startswith("-3600 s") and "clock_gettime" in said and "pthread_cond_timedwait" in said


def test_a_right_clock_that_was_never_set_is_not_touched(worker: Worker) -> None:
    before = worker.kernels_code()
    assert stepped.step(worker.process, 0) == "right, as it was"
    assert worker.kernels_code() == before


def test_afterwards_the_kernels_functions_are_its_own_again(worker: Worker) -> None:
    before = worker.kernels_code()
    used = len(before.rstrip(b"\0"))
    stepped.step(worker.process, HOUR)
    assert worker.kernels_code()[:used] != before[:used]
    stepped.step(worker.process, 0)
    assert worker.kernels_code()[:used] == before[:used]


def test_others_keep_their_clocks_and_a_forked_process_has_its_parents(worker: Worker) -> None:
    stepped.step(worker.process, HOUR)
    assert abs(worker.says("forked") - time.time() - HOUR) < 5
    command = [sys.executable, "-c", "import time; print(time.time())"]
    assert abs(float(subprocess.check_output(command)) - time.time()) < 5


def test_a_process_that_has_ended_is_said(worker: Worker) -> None:
    os.kill(worker.process, signal.SIGKILL)
    worker.end()
    with pytest.raises(ProcessLookupError):
        stepped.step(worker.process, HOUR)


class Cluster:
    """Answers as the API servers do and their proxy, for the worker as the only pod of a stack in plain."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> Any:
        return {"items": []}

    def pods(self) -> list[dict[str, Any]]:
        labels = {"app.kubernetes.io/name": "producer", "app.kubernetes.io/component": "camera"}
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"containerID": "c://abc"}]}
        return [{"metadata": {"name": "producer-0", "labels": labels}, "status": ready}]

    def ask(self, pod: str, port: int, path: str, scheme: str) -> httpx.Response:
        return httpx.get(f"{scheme}://127.0.0.1:{self._port}{path}", trust_env=False).raise_for_status()


def test_the_fault_is_proved_by_how_the_pod_dates_its_answers(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    scene: Any = Scene(Cluster(worker.port))  # type: ignore[arg-type]
    fault = ClockStepped()
    aim = fault.aim(scene, (0.5, 0.5, 0.9, 0.1))
    assert aim["pod"] == "producer-0" and aim["id"] == "abc" and aim["seconds"] < -HOUR
    monkeypatch.setattr(clock, "processes_of", lambda _: [worker.process])
    assert fault.missing(scene, aim) is None
    fault.begin(scene, aim)
    assert f"set by {aim['seconds']} s" in fault.proof(scene, aim)
    assert "not right" in (fault.missing(scene, aim) or "")
    for _ in range(2):
        fault.end(scene, aim)
    assert fault.missing(scene, aim) is None
    worker.expect(0)


def test_a_pod_without_a_process_here_is_not_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "processes_of", lambda _: [])
    with pytest.raises(UnprovenError, match="no process"):
        ClockStepped().begin(SimpleNamespace(), {"pod": "producer-0", "id": "abc", "seconds": 60})  # type: ignore[arg-type]
