"""Deletes executors whose machine has died.

Kubernetes marks such a pod for deletion and waits for the machine to confirm that it has ended, which a dead machine
never does. Spark counts the pod as running while it exists, and starts no other. So the driver, which may delete its
executors, force-deletes those that should have ended by now. If one still runs, its results come twice at most.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.service.kubernetes import ERRORS, ApiServer

logger = logging.getLogger(__name__)

LOOK_SECONDS = 3.0
PATIENCE = timedelta(seconds=2)
"""How long a pod may exist after its deletion time."""

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Metadata = Mapping[str, Any]


def overdue(pods: Iterable[Metadata], now: datetime) -> list[Metadata]:
    """The metadata of the pods that still exist after their `deletionTimestamp`."""
    return [
        pod
        for pod in pods
        if (due := pod.get("deletionTimestamp")) is not None and now > datetime.fromisoformat(due) + PATIENCE
    ]


class ExecutorPods:
    """The executor pods of one Spark application, from the API server. Raises what ApiServer.ask raises."""

    def __init__(self, application: str, server: ApiServer) -> None:
        self._server = server
        self._path = f"/api/v1/namespaces/{server.namespace}/pods"
        self._query = f"labelSelector=spark-role%3Dexecutor,spark-app-selector%3D{application}"

    def list(self) -> list[Metadata]:
        """The metadata of each pod."""
        found = self._server.ask("GET", f"{self._path}?{self._query}", accept=_METADATA_ONLY)
        return [item["metadata"] for item in found["items"]]

    def delete(self, pod: Metadata) -> None:
        """Delete a pod without waiting for its machine."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["uid"]}}
        self._server.ask("DELETE", f"{self._path}/{pod['name']}", body=options)


def watch(pods: ExecutorPods, stopping: threading.Event) -> threading.Thread:
    """Delete overdue pods every few seconds, in a new thread, until told to stop."""

    def look_again_and_again() -> None:
        while not stopping.wait(LOOK_SECONDS):
            try:
                for pod in overdue(pods.list(), datetime.now(UTC)):
                    logger.warning("executor %s is on a machine that does not answer: deleting it", pod["name"])
                    pods.delete(pod)
            except ERRORS as error:
                logger.info("cannot look after executors: %s", error)

    thread = threading.Thread(target=look_again_and_again, name="lost-executors", daemon=True)
    thread.start()
    return thread
