"""A camera that moves between producers: the new one asks the old one to let it go, so that no two read it.

While an update runs, a producer from before it and one from after it may both be told of a camera. Whoever started last
has it. Who let a camera go reads it again only if nobody else has it any longer, because the other one died meanwhile;
usually it is itself gone by then. A producer that does not answer is taken for dead: so one that the network has cut
off from the others, but not from Kafka and its cameras, goes on reading.
"""

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apps.producer.camera import CameraWorker

log = logging.getLogger(__name__)

Address = tuple[str, int]

RELEASE = "/cameras/release"
_ANSWER_SECONDS = 3.0
_LIMIT_SECONDS = 15.0
"""How long a camera is waited for; a thread in the middle of a read that hangs does not notice that it shall end."""
_PAUSE_SECONDS = 0.2
_LOOK_SECONDS = 5.0
_ABSENT_LOOKS = 3
"""Looks at the others without a sign of a camera, one after the other, until it is taken back."""
_ASK_AT_ONCE = 32


class Handover:
    """One producer's side of it. `peers` are names with a port; each stands for every address that it resolves to.

    It does not choose who reads a camera (components/pipeline/producers.py does), and starts no camera at first.
    """

    def __init__(self, me: str, peers: Sequence[Address], workers: Sequence[CameraWorker]) -> None:
        self.me = me
        self._peers = peers
        self._workers = {worker.camera.name: worker for worker in workers}
        self._absent: dict[str, int] = {}
        self._deciding = threading.Lock()

    def take_over(self, stopping: threading.Event) -> None:
        """Returns when no other producer that answers reads one of this one's cameras, or after 15 s."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        mine = {"by": self.me, "cameras": sorted(self._workers)}
        while (reading := self._ask_all("POST", RELEASE, mine)) and not stopping.wait(_PAUSE_SECONDS):
            if time.monotonic() > deadline:
                log.warning("another producer does not stop reading %s", ", ".join(sorted(reading)))
                return

    def release(self, by: str, cameras: Collection[str]) -> list[str]:
        """Lets cameras go that another producer has from now on: those of them that are still being read here."""
        mine = [self._workers[name] for name in cameras if name in self._workers and by != self.me]
        with self._deciding:
            for worker in mine:
                if not worker.released:
                    log.info("%s is read by %s from now on", worker.camera.name, by)
                self._absent[worker.camera.name] = 0
                worker.release()
        return [worker.camera.name for worker in mine if worker.reading]

    def keep(self, stopping: threading.Event) -> None:
        """Until told to stop, takes cameras back that nobody reads."""
        while not stopping.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Looks once for the cameras that were let go."""
        gone = [worker for worker in self._workers.values() if worker.released and not worker.reading]
        if not gone:
            return
        read = self._ask_all("GET", "/cameras")
        for worker in gone:
            name = worker.camera.name
            with self._deciding:
                self._absent[name] = 0 if name in read else self._absent[name] + 1
                if self._absent[name] >= _ABSENT_LOOKS:
                    log.warning("%s is read by nobody any longer: taking it back", name)
                    worker.take_back()

    def _ask_all(self, method: str, path: str, body: Any = None) -> set[str]:
        """The cameras that the others read, of those asked for."""
        addresses = self._addresses()
        if not addresses:
            return set()
        with ThreadPoolExecutor(min(len(addresses), _ASK_AT_ONCE)) as pool:
            answers = pool.map(lambda address: _ask(address, method, path, body), addresses)
            return {
                camera["name"]
                for answer in answers
                if answer.get("producer") != self.me
                for camera in answer.get("cameras", ())
            }

    def _addresses(self) -> list[Address]:
        found: set[Address] = set()
        for host, port in self._peers:
            try:
                answers = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
                found |= {(str(address[4][0]), int(address[4][1])) for address in answers}
            except OSError as unknown:
                log.warning("no other producer is found by the name of %s: %s", host, unknown)
        return sorted(found)


def _ask(address: Address, method: str, path: str, body: Any) -> dict[str, Any]:
    """A producer's answer, nothing where there is none."""
    connection = http.client.HTTPConnection(*address, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read()) if response.status == http.client.OK else {}
        return answer if isinstance(answer, dict) else {}
    except (OSError, http.client.HTTPException, ValueError) as silent:
        log.info("the producer at %s:%d does not answer: %s", *address, silent)
        return {}
    finally:
        connection.close()
