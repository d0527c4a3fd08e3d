"""The clock of one pod, set ahead or behind while it works, and right again."""

import base64
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from cryptography import x509

from components.pipeline.certificates import BLOCK
from tests.bench.frames.network import processes_of
from tests.e2e.cluster import NAMESPACE, is_ready
from tests.e2e.machines import permanent_pods
from tests.marathon import stepped
from tests.marathon.fault import Aim, Fault, Scene, UnprovenError, prove
from tests.marathon.schedule import chosen

STAGES = ("producer/camera", "consumer/archive")
"""Those that judge by their own clocks: a producer says when a picture was taken, and numbers its runs; a consumer
says which hours are over. All others take a frame's time as it is, or Kafka's, which is what bounds a wrong one."""
STEP_S = (60, 3 * 3600)
_TOLERANCE_S = 3.0
"""The answer's time has whole seconds, and a busy host takes a while to give it."""
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class ClockStepped(Fault):
    """The clock of one pod a minute to three hours ahead or behind, from one moment to the next, and then right again.

    No further behind than the youngest certificate: before it was made nobody is let in, which is another fault.
    """

    name, hold_s = "clock-stepped", (40, 80)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        pods: dict[str, list[dict[str, Any]]] = {}
        for workload, pod in permanent_pods(scene.cluster):
            if workload in STAGES and is_ready(pod):
                pods.setdefault(workload, []).append(pod)
        if not pods:
            raise UnprovenError("neither a producer nor a consumer is ready")
        stage = pods[chosen(draws[0], sorted(pods))]
        pod = chosen(draws[1], sorted(stage, key=lambda each: str(each["metadata"]["name"])))
        aim = {
            "pod": pod["metadata"]["name"],
            "id": pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2],
            "seconds": seconds_of(draws[2], draws[3], _age_of_certificates_s(scene)),
        }
        prove(f"the clock of {aim['pod']} right before it is set", lambda: otherwise(_ahead_s(scene, aim), 0))
        return aim

    def begin(self, scene: Scene, aim: Aim) -> None:
        if not _set(aim, aim["seconds"]):
            raise UnprovenError(f"{aim['pod']} has no process on this host")

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[float] = []

        def wrong() -> str | None:
            seen[:] = [_ahead_s(scene, aim)]
            return otherwise(seen[0], aim["seconds"])

        prove(f"the clock of {aim['pod']} wrong", wrong)
        return f"{aim['pod']} dates its answers {seen[0]:+.0f} s from this host's clock (set by {aim['seconds']:+d} s)"

    def end(self, scene: Scene, aim: Aim) -> None:
        _set(aim, 0)

    def missing(self, scene: Scene, aim: Aim) -> str | None:
        try:
            wrong = otherwise(_ahead_s(scene, aim), 0)
        except httpx.HTTPStatusError as error:
            # There is another pod in its place, with a clock that was never set.
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise
        return f"the clock of {aim['pod']} is not right: {wrong}" if wrong else None


def seconds_of(size: float, way: float, most_behind_s: float) -> int:
    """The step by two draws in 0..1: small ones as often as large ones, half of them back, but no further than that."""
    least, most = STEP_S
    times: float = (most / least) ** size
    seconds = round(least * times)
    behind = int(min(seconds, most_behind_s))
    return -behind if way < 0.5 and behind >= least else seconds


def otherwise(ahead_s: float, wanted_s: float) -> str | None:
    """None if a clock is so far ahead as it should be, else how far it is."""
    return None if abs(ahead_s - wanted_s) <= _TOLERANCE_S else f"it is {ahead_s:+.0f} s from this host's"


def youngest_s(secrets: Iterable[str], now: datetime) -> float:
    """The seconds since the youngest certificate in these contents has become valid; infinite without one."""
    blocks = (block for content in secrets for block in BLOCK.findall(content) if block.startswith(_CERTIFICATE))
    valid = (x509.load_pem_x509_certificate(block.encode()).not_valid_before_utc for block in blocks)
    return min(((now - each).total_seconds() for each in valid), default=float("inf"))


def _age_of_certificates_s(scene: Scene) -> float:
    found = scene.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]
    contents = (base64.b64decode(value) for secret in found for value in (secret.get("data") or {}).values())
    return youngest_s((each.decode(errors="replace") for each in contents), datetime.now(UTC))


def _ahead_s(scene: Scene, aim: Aim) -> float:
    """By how many seconds the pod's clock is ahead of this host's, as it dates its answers (`Date` of HTTP)."""
    asked = time.time()
    answer = scene.cluster.scrape(aim["pod"])
    between = (asked + time.time()) / 2
    if "date" not in answer.headers:
        raise UnprovenError(f"{aim['pod']} does not date its answers")
    # It is cut to whole seconds.
    return parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5 - between


def _set(aim: Aim, seconds: int) -> int:
    """Set the clock of all processes of the pod's container that are there. Returns how many."""
    count = 0
    for process in list(processes_of(aim["id"])):
        # A probe's, which has ended meanwhile.
        with suppress(ProcessLookupError):
            stepped.step(process, seconds)
            count += 1
    return count
