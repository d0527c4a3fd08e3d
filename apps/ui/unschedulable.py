"""Finds pods that the scheduler cannot place on any machine, and advises the operator what to add."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from apps.service.kubernetes import ACCOUNT
from apps.ui import metrics
from apps.ui.pods import poll_pods

POLL_SECONDS = 10.0
PATIENCE = timedelta(seconds=20)
"""Pods that have waited for less are not reported: a pod that ends may soon free what they need."""

_UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True)
class UnschedulablePod:
    """A pod that the scheduler cannot place, its requests, and the scheduler's reason."""

    name: str
    since: datetime
    millicores: int
    memory_mib: int
    reason: str

    @classmethod
    def from_pod(cls, pod: Mapping[str, Any]) -> Self | None:
        """From the API's Pod object; None if the scheduler has placed the pod or may still do so."""
        for condition in pod["status"].get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                requests = [
                    (container.get("resources") or {}).get("requests") or {} for container in pod["spec"]["containers"]
                ]
                return cls(
                    name=pod["metadata"]["name"],
                    since=datetime.fromisoformat(condition["lastTransitionTime"]),
                    millicores=sum(round(1000 * quantity(each.get("cpu", "0"))) for each in requests),
                    memory_mib=int(sum(quantity(each.get("memory", "0")) for each in requests)) // 2**20,
                    reason=condition.get("message", ""),
                )
        return None


def unschedulable(pods: Iterable[Mapping[str, Any]], now: datetime) -> list[UnschedulablePod]:
    """The pods that could not be scheduled for longer than PATIENCE, longest first."""
    found = [each for pod in pods if (each := UnschedulablePod.from_pod(pod)) and now - each.since > PATIENCE]
    return sorted(found, key=lambda each: (each.since, each.name))


def advice(pods: Sequence[UnschedulablePod], standby: Sequence[str] = ()) -> str | None:
    """One line for the operator: which pods cannot be scheduled, and what to add for them; None if there are none.

    `standby` are the stack's spare machines, which are suggested first.
    """
    if not pods:
        return None
    first = pods[0]
    others = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
    cores, memory = sum(each.millicores for each in pods) / 1000, sum(each.memory_mib for each in pods)
    # The first sentence counts the machines; the second is about preemption.
    why = first.reason.partition(" preemption:")[0].strip()
    remedy = f"Add a machine with {cores:.2f} cores and {memory} MiB free to argus:machines.workers"
    if standby:
        remedy = (
            f"Remove `standby` from the entry of {' or '.join(standby)} ({cores:.2f} cores and {memory} MiB are needed)"
        )
    return (
        f"No machine has had room for {first.name}{others} since {first.since.astimezone(UTC):%H:%M:%S} UTC: {why} "
        f"{remedy}, or lower the stage's maximum."
    )


class UnschedulablePods:
    """Polls the API server for the pods of this namespace. Outside a cluster it finds none."""

    def __init__(self, standby: Sequence[str] = (), account: Path = ACCOUNT) -> None:
        self._standby = standby
        self._account = account
        self.advice: str | None = None
        """The advice as of the API server's last answer."""

    async def run(self) -> None:
        """Poll until cancelled; returns at once if there is no service account."""
        await poll_pods(
            "fieldSelector=status.phase%3DPending",
            self._take,
            seconds=POLL_SECONDS,
            account=self._account,
            what="pods that cannot be scheduled are not shown",
        )

    async def _take(self, pods: list[Mapping[str, Any]]) -> None:
        found = unschedulable(pods, datetime.now(UTC))
        metrics.UNSCHEDULABLE.set(len(found))
        self.advice = advice(found, self._standby)


def quantity(text: str) -> float:
    """A Kubernetes quantity, such as `128Mi` bytes of memory or `250m` cores, in bytes or cores."""
    number = text.rstrip("mkKMGTi")
    return float(number) * _UNITS[text[len(number) :]]
