"""Only one driver of an application works at a time, also while it is replaced (docs/adr/0016-swapping-a-model.md).

A Lease names the pod of the active driver. A new driver waits until that pod can no longer work. The Lease is not
renewed: the state of the holder's pod in Kubernetes says whether the holder lives.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from apps.service.kubernetes import ACCOUNT, ERRORS, ApiError, ApiServer
from apps.spark_jobs.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
COMPLAIN_SECONDS = 30.0
"""The shortest time between two warnings that the API server does not answer."""

PATIENCE_SECONDS = 5.0
"""How long a pod may exist after its grace period, at whose end a living machine kills its processes."""

NOBODY = ""
"""The holder of a Lease that was released. A Lease that was never held has no holder at all (None)."""

Pod = Mapping[str, Any]


class Turn:
    """Decides which driver works, from the Lease's holder and the pods of the application's drivers."""

    def __init__(self, me: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._me, self._clock = me, clock
        self._leaving: dict[str, float] = {}

    def waits_for(self, holder: str | None, pods: Iterable[Pod]) -> str | None:
        """The name of a pod that may still work; None if it is this pod's turn.

        If the Lease was never held, any ready driver may work: it may be from a version of Argus without a Lease.
        """
        for pod in pods:
            name: str = pod["metadata"]["name"]
            concerned = _condition(pod, "Ready").get("status") == "True" if holder is None else name == holder
            if name != self._me and concerned and self._may_work(pod):
                return name
        return None

    def _may_work(self, pod: Pod) -> bool:
        metadata, status = pod["metadata"], pod.get("status", {})
        if status.get("phase") in ("Succeeded", "Failed"):
            return False
        if "deletionTimestamp" not in metadata:
            # It works until Kubernetes deletes it, which happens once this pod is ready (or this pod is deleted).
            return True
        if _machine_lost(pod) or _ended(status):
            return False
        # Counted on this machine's clock from the first time it was seen deleted, because machines' clocks differ.
        since = self._leaving.setdefault(metadata["uid"], self._clock())
        grace: float = metadata.get("deletionGracePeriodSeconds", 0)
        return self._clock() - since <= grace + PATIENCE_SECONDS


def of_one_template(one: str, other: str) -> bool:
    """Whether two pods of a Deployment are of one ReplicaSet, so have the same image and configuration."""
    return one.rpartition("-")[0] == other.rpartition("-")[0] != ""


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    return next((each for each in pod.get("status", {}).get("conditions", ()) if each["type"] == kind), {})


def _machine_lost(pod: Pod) -> bool:
    """Whether a pod is being deleted because its machine no longer answers.

    The reason alone is not enough, as any taint gives it, also an administrator's on a living machine. The pods of a
    dead machine are marked as not ready before they are deleted.
    """
    evicted = _condition(pod, "DisruptionTarget").get("reason") == "DeletionByTaintManager"
    return evicted and _condition(pod, "Ready").get("status") != "True"


def _ended(status: Mapping[str, Any]) -> bool:
    containers = status.get("containerStatuses", ())
    return bool(containers) and all("terminated" in each.get("state", {}) for each in containers)


class Takeover:
    """Takes, holds and releases the model's Lease for this driver."""

    def __init__(self, server: ApiServer, *, me: str, lease: str, selector: str) -> None:
        self._server, self._me, self._turn = server, me, Turn(me)
        base = f"namespaces/{server.namespace}"
        self._lease_path = f"/apis/coordination.k8s.io/v1/{base}/leases/{lease}"
        self._pods_path = f"/api/v1/{base}/pods?labelSelector={quote(selector)}"
        self._complained: float | None = None

    def proven(self) -> bool:
        """Whether the last driver that worked had the same image and configuration as this one."""
        try:
            return of_one_template(_holder(self._lease()) or NOBODY, self._me)
        except ERRORS as error:
            self._complain(error)
            return False

    def wait(self, waiting: Callable[[str | None], None], stopping: threading.Event) -> bool:
        """Return True once this driver may work, False if told to stop first.

        Meanwhile `waiting` is called repeatedly with the other pod's name, or None if the API server does not answer.
        """
        said: str | None = None
        while not stopping.is_set():
            try:
                other = self._take()
                if other is None:
                    return True
                if other != said:
                    logger.info("ready to take over from %s", other)
                    said = other
                waiting(other)
            except ApiError as error:
                # A conflict means that another driver has just taken the Lease: look again.
                if error.status != HTTPStatus.CONFLICT:
                    self._complain(error)
                    waiting(None)
            except ERRORS as error:
                self._complain(error)
                waiting(None)
            stopping.wait(LOOK_SECONDS)
        return False

    def leave(self) -> None:
        """Release the Lease for the next driver. Call it after executors have ended and batches are committed."""
        try:
            lease = self._lease()
            if _holder(lease) == self._me:
                self._hold(lease, NOBODY)
        except ERRORS as error:
            logger.info("the next driver waits for the end of this pod: %s", error)

    def _take(self) -> str | None:
        """Take the Lease and return None, or return the pod to wait for."""
        lease = self._lease()
        if _holder(lease) == self._me:
            return None
        other = self._turn.waits_for(_holder(lease), self._server.ask("GET", self._pods_path)["items"])
        if other is None:
            self._hold(lease, self._me)
        return other

    def _lease(self) -> dict[str, Any]:
        lease: dict[str, Any] = self._server.ask("GET", self._lease_path)
        return lease

    def _hold(self, lease: Mapping[str, Any], holder: str) -> None:
        """Refused as a conflict if the Lease has changed since it was read: its metadata has the version."""
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        body = {**lease, "spec": {**lease.get("spec", {}), "holderIdentity": holder, "acquireTime": since}}
        self._server.ask("PUT", self._lease_path, body=body)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if self._complained is None or now - self._complained >= COMPLAIN_SECONDS:
            logger.warning("cannot ask who does the work: %s", error)
            self._complained = now


def _holder(lease: Mapping[str, Any]) -> str | None:
    holder: str | None = lease.get("spec", {}).get("holderIdentity")
    return holder


def takeover_of(settings: Settings) -> Takeover | None:
    """The takeover for a driver with these settings; None outside Kubernetes, where there is only one driver."""
    if not ACCOUNT.exists():
        return None
    return Takeover(
        ApiServer(), me=settings.driver_pod_name, lease=settings.driver_lease, selector=settings.driver_selector
    )
