"""One driver of a model works at a time, also while Kubernetes replaces it (docs/adr/0016-swapping-a-model.md).

Who works is noted in a Lease: the name of its pod. A driver that comes waits until that pod can no longer work. The
Lease is not renewed: whether its holder lives is what Kubernetes says of the holder's pod.
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
"""How often it is said at most that the API server does not answer."""

PATIENCE_SECONDS = 5.0
"""How long after its grace a pod may still be there. Its machine kills what runs after the grace, if it lives."""

NOBODY = ""
"""The holder of a Lease whose last holder has given it back; one that nobody ever held has no holder at all."""

Pod = Mapping[str, Any]


class Turn:
    """The rule: whose turn it is, by the Lease's holder and the pods of the model's drivers."""

    def __init__(self, me: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._me, self._clock = me, clock
        self._leaving: dict[str, float] = {}

    def waits_for(self, holder: str | None, pods: Iterable[Pod]) -> str | None:
        """The name of a pod that may still work; None where it is this pod's turn.

        Where nobody ever held the Lease, any driver that is ready may work: one of an Argus that had no Lease.
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
            # Kubernetes deletes it once this one is ready, or deletes this one.
            return True
        if _machine_lost(pod) or _ended(status):
            return False
        # By this machine's own clock, from when it was first seen: clocks of machines differ.
        since = self._leaving.setdefault(metadata["uid"], self._clock())
        grace: float = metadata.get("deletionGracePeriodSeconds", 0)
        return self._clock() - since <= grace + PATIENCE_SECONDS


def of_one_template(one: str, other: str) -> bool:
    """Whether two pods of a Deployment are of one ReplicaSet, so of one image and one configuration."""
    return one.rpartition("-")[0] == other.rpartition("-")[0] != ""


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    return next((each for each in pod.get("status", {}).get("conditions", ()) if each["type"] == kind), {})


def _machine_lost(pod: Pod) -> bool:
    """Whether a pod that is being deleted is so because its machine no longer answers.

    The reason alone would be that of any taint, also of one that an administrator gave a living machine; the pods of a
    dead one are marked as not ready before they are deleted.
    """
    evicted = _condition(pod, "DisruptionTarget").get("reason") == "DeletionByTaintManager"
    return evicted and _condition(pod, "Ready").get("status") != "True"


def _ended(status: Mapping[str, Any]) -> bool:
    containers = status.get("containerStatuses", ())
    return bool(containers) and all("terminated" in each.get("state", {}) for each in containers)


class Takeover:
    """This driver's place among those of its model, at the API server."""

    def __init__(self, server: ApiServer, *, me: str, lease: str, selector: str) -> None:
        self._server, self._me, self._turn = server, me, Turn(me)
        base = f"namespaces/{server.namespace}"
        self._lease_path = f"/apis/coordination.k8s.io/v1/{base}/leases/{lease}"
        self._pods_path = f"/api/v1/{base}/pods?labelSelector={quote(selector)}"
        self._complained: float | None = None

    def proven(self) -> bool:
        """Whether a driver of this one's image and configuration has worked, and no other since."""
        try:
            return of_one_template(_holder(self._lease()) or NOBODY, self._me)
        except ERRORS as error:
            self._complain(error)
            return False

    def wait(self, waiting: Callable[[str | None], None], stopping: threading.Event) -> bool:
        """Return True once this driver may work, False when told to stop before.

        `waiting` is called again and again meanwhile, with the pod that is waited for; None where nobody says.
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
                # In a conflict another one has just taken it: look again.
                if error.status != HTTPStatus.CONFLICT:
                    self._complain(error)
                    waiting(None)
            except ERRORS as error:
                self._complain(error)
                waiting(None)
            stopping.wait(LOOK_SECONDS)
        return False

    def leave(self) -> None:
        """Let the next one begin. To be called when this one's executors have ended and its batches are committed."""
        try:
            lease = self._lease()
            if _holder(lease) == self._me:
                self._hold(lease, NOBODY)
        except ERRORS as error:
            logger.info("the next driver waits for the end of this pod: %s", error)

    def _take(self) -> str | None:
        """Whom to wait for; None once this driver holds the Lease."""
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
        """Refused as a conflict where the Lease has changed since it was read: its metadata has the version."""
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
    """The place of the driver with these settings; None outside Kubernetes, where it is alone."""
    if not ACCOUNT.exists():
        return None
    return Takeover(
        ApiServer(), me=settings.driver_pod_name, lease=settings.driver_lease, selector=settings.driver_selector
    )
