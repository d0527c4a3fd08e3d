"""Finds pods that fit on no machine, and advises the operator what to add."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from apps.service.kubernetes import ACCOUNT, ERRORS, ApiServer
from apps.ui import metrics

POLL_SECONDS = 10.0
PATIENCE = timedelta(seconds=20)
"""Pods that have waited for less are not reported: a pod that ends may soon make room for them."""

_MEMORY_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "": 1}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A pod that the scheduler cannot place, its requests, and the scheduler's reason."""

    name: str
    since: datetime
    millicores: int
    memory_mib: int
    reason: str

    @classmethod
    def from_pod(cls, pod: Mapping[str, Any]) -> Self | None:
        """From the API's Pod object; None if the pod does not wait for a machine."""
        for condition in pod["status"].get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                requests = [
                    (container.get("resources") or {}).get("requests") or {} for container in pod["spec"]["containers"]
                ]
                return cls(
                    name=pod["metadata"]["name"],
                    since=datetime.fromisoformat(condition["lastTransitionTime"]),
                    millicores=sum(_millicores(each.get("cpu", "0")) for each in requests),
                    memory_mib=sum(bytes_of(each.get("memory", "0")) for each in requests) // 2**20,
                    reason=condition.get("message", ""),
                )
        return None


def waiting(pods: Iterable[Mapping[str, Any]], now: datetime) -> list[Waiting]:
    """The pods that have waited for a machine for longer than PATIENCE, longest first."""
    found = [each for pod in pods if (each := Waiting.from_pod(pod)) and now - each.since > PATIENCE]
    return sorted(found, key=lambda each: (each.since, each.name))


def advice(pods: Sequence[Waiting], standby: Sequence[str] = ()) -> str | None:
    """One line for the operator on which pods wait and what to add for them; None if none waits.

    `standby` are the stack's spare machines, which are suggested first.
    """
    if not pods:
        return None
    first = pods[0]
    others = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
    cores, memory = sum(each.millicores for each in pods) / 1000, sum(each.memory_mib for each in pods)
    # The first sentence counts the machines; the second is about preemption.
    why = first.reason.partition(" preemption:")[0].strip()
    remedy = f"Add to argus:machines.workers what has {cores:.2f} cores and {memory} MiB free"
    if standby:
        spares = " or ".join(standby)
        remedy = f"Bring in {spares} (take `standby` out of its entry) for {cores:.2f} cores and {memory} MiB"
    return (
        f"{first.name}{others} found no room since {first.since.astimezone(UTC):%H:%M:%S} UTC: {why} "
        f"{remedy}, or lower the stage's maximum."
    )


class Room:
    """Polls the API server for the pods of this namespace. Outside a cluster it finds none."""

    def __init__(self, standby: Sequence[str] = (), account: Path = ACCOUNT) -> None:
        self._standby = standby
        self._account = account
        self.advice: str | None = None
        """The advice as of the API server's last answer."""

    async def run(self) -> None:
        """Poll until cancelled; returns at once if there is no service account."""
        if not (self._account / "token").exists():
            logger.info("no service account: pods without room are not shown")
            return
        server = ApiServer(self._account)
        while True:
            try:
                found = waiting(await asyncio.to_thread(_pending, server), datetime.now(UTC))
                metrics.WITHOUT_ROOM.set(len(found))
                self.advice = advice(found, self._standby)
            except (*ERRORS, KeyError) as error:
                logger.warning("the API does not tell which pods wait: %r", error)
            await asyncio.sleep(POLL_SECONDS)


def _pending(server: ApiServer) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = server.ask(
        "GET", f"/api/v1/namespaces/{server.namespace}/pods?fieldSelector=status.phase%3DPending"
    )["items"]
    return pods


def _millicores(quantity: str) -> int:
    return int(quantity[:-1]) if quantity.endswith("m") else round(float(quantity) * 1000)


def bytes_of(quantity: str) -> int:
    """A Kubernetes quantity of memory (`128Mi`) in bytes."""
    number = quantity.rstrip("KMGTik")
    return int(float(number) * _MEMORY_UNITS[quantity[len(number) :]])
