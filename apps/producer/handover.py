"""Moves a camera between producers: the new one asks the old one to release it, so that no two read it.

During an update, an old and a new producer may both be configured with a camera. The one that started last, by the
clocks of their machines, gets it and tells the other, whichever of them asks first. A producer that released a camera
reads it again only if no producer has it any longer, because the other one died; usually it has itself ended by then. A
producer that does not answer is presumed dead, so one that is cut off from the other producers, but not from Kafka and
its cameras, goes on reading.
"""

import http.client
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from apps.producer.camera import CameraWorker
from apps.service.peer import Client

log = logging.getLogger(__name__)

Address = tuple[str, int]
Peer = tuple[str, Address]
"""The name that a producer's certificate has, and its address."""

RELEASE = "/cameras/release"
_ANSWER_SECONDS = 3.0
_LIMIT_SECONDS = 15.0
"""How long to wait for a camera. The other producer's thread may hang in a read and not notice its release."""
_PAUSE_SECONDS = 0.2
_LOOK_SECONDS = 5.0
_ABSENT_LOOKS = 3
"""A camera is taken back after this many looks in a row at which no other producer has it."""
_ASK_AT_ONCE = 32


@dataclass(frozen=True)
class Released:
    """A producer's answer to a claim: the cameras that its threads are still reading, and those that it keeps."""

    reading: list[str]
    kept: list[str]


class Handover:
    """One producer's side of the handover. `peers` are (name, port); a name stands for all addresses it resolves to.

    It does not assign cameras (components/pipeline/producers.py does) or start them, except those that it takes back.
    """

    def __init__(
        self,
        me: str,
        peers: Sequence[Address],
        workers: Sequence[CameraWorker],
        pod: Client,
        started: float | None = None,
    ) -> None:
        """`pod` is how this producer asks others; `started` is its start in seconds since 1970, by default now."""
        self.me, self._pod = me, pod
        self._age = 0.0 if started is None else time.time() - started
        self._since = time.monotonic()
        self._peers = peers
        self._workers = {worker.camera.name: worker for worker in workers}
        self._absent: dict[str, int] = {}
        self._deciding = threading.Lock()

    @property
    def started(self) -> float:
        """When this producer started, in seconds since 1970, by the clock as it is set now.

        So a clock that was wrong at the start decides nothing once it is right. It is rounded, because two readings of
        two clocks differ by microseconds, and producers that started at one time must agree.
        """
        return round(time.time() - self._age - (time.monotonic() - self._since), 2)

    def take_over(self, stopping: threading.Event) -> None:
        """Claim the cameras and wait until no other producer that answers reads one of them, or for 15 s.

        A camera that another producer keeps, because it started later, is released here.
        """
        deadline = time.monotonic() + _LIMIT_SECONDS
        while reading := self._claim():
            if stopping.wait(_PAUSE_SECONDS):
                return
            if time.monotonic() > deadline:
                log.warning("another producer does not stop reading %s", ", ".join(sorted(reading)))
                return

    def release(self, by: str, started: float, cameras: Collection[str]) -> Released:
        """Answer a claim of these cameras: release them if the other producer started later, else keep them."""
        mine = [name for name in cameras if name in self._workers and by != self.me]
        if (started, by) < (self.started, self.me):
            return Released(reading=[], kept=[name for name in mine if not self._workers[name].released])
        self._let_go(by, mine)
        return Released(reading=[name for name in mine if self._workers[name].reading], kept=[])

    def keep(self, stopping: threading.Event) -> None:
        """Take back released cameras that no producer reads, until told to stop."""
        while not stopping.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once for the released cameras."""
        gone = [worker for worker in self._workers.values() if worker.released and not worker.reading]
        if not gone:
            return
        read = set().union(*map(_cameras, self._ask_all("GET", "/cameras")))
        for worker in gone:
            name = worker.camera.name
            with self._deciding:
                self._absent[name] = 0 if name in read else self._absent[name] + 1
                if self._absent[name] >= _ABSENT_LOOKS:
                    log.warning("%s is read by nobody any longer: taking it back", name)
                    worker.take_back()

    def _claim(self) -> set[str]:
        """Claim the cameras that are not released; returns those that others still read."""
        wanted = sorted(name for name, worker in self._workers.items() if not worker.released)
        reading: set[str] = set()
        for answer in self._ask_all("POST", RELEASE, {"by": self.me, "started": self.started, "cameras": wanted}):
            self._let_go(answer["producer"], answer.get("kept", ()))
            reading |= _cameras(answer)
        return reading

    def _let_go(self, to: str, cameras: Collection[str]) -> None:
        with self._deciding:
            for worker in (self._workers[name] for name in cameras if name in self._workers):
                if not worker.released:
                    log.info("%s is read by %s from now on", worker.camera.name, to)
                self._absent[worker.camera.name] = 0
                worker.release()

    def _ask_all(self, method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
        """The answers of the other producers, as far as they answer."""
        found = self._found()
        if not found:
            return []
        with ThreadPoolExecutor(min(len(found), _ASK_AT_ONCE)) as pool:
            answers = pool.map(lambda peer: self._ask(peer, method, path, body), found)
            return [answer for answer in answers if answer.get("producer", self.me) != self.me]

    def _ask(self, peer: Peer, method: str, path: str, body: Any) -> dict[str, Any]:
        """A producer's answer; {} if there is none."""
        name, address = peer
        connection = _Connection(name, address, self._pod.trust)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._pod.token.headers)
            response = connection.getresponse()
            if response.status == http.client.UNAUTHORIZED:
                log.warning("the producer at %s:%d does not know this one's token", *address)
            answer = json.loads(response.read()) if response.status == http.client.OK else {}
            return answer if isinstance(answer, dict) else {}
        except ssl.SSLError as stranger:
            log.warning("what answers at %s:%d is no producer of this stack and version: %s", *address, stranger)
            return {}
        except (OSError, http.client.HTTPException, ValueError) as silent:
            log.info("the producer at %s:%d does not answer: %s", *address, silent)
            return {}
        finally:
            connection.close()

    def _found(self) -> list[Peer]:
        """All producers, also this one."""
        found: set[Peer] = set()
        for host, port in self._peers:
            try:
                answers = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
                found |= {(host, (str(address[4][0]), int(address[4][1]))) for address in answers}
            except OSError as unknown:
                log.warning("no other producer is found by the name of %s: %s", host, unknown)
        return sorted(found)


class _Connection(http.client.HTTPSConnection):
    """A connection to one of a name's addresses; the server's certificate must have the name."""

    def __init__(self, name: str, address: Address, trust: ssl.SSLContext) -> None:
        super().__init__(*address, timeout=_ANSWER_SECONDS, context=trust)
        self._name, self._trust = name, trust

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._trust.wrap_socket(self.sock, server_hostname=self._name)


def _cameras(answer: dict[str, Any]) -> set[str]:
    return {camera["name"] for camera in answer.get("cameras", ())}
