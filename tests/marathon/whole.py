"""When the stack is whole: machines, pods, cameras, and every copy of the data, so that the next fault may come."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from lab.config import ROOT
from lab.shell import run
from tests.bench.frames.lab import unready_pods
from tests.bench.frames.network import Entrance
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.machines import EVERYBODY, missing_pods, unready_nodes, workloads
from tests.e2e.waiting import wait_until
from tests.marathon import replicas
from tests.marathon.repairs import Repairs

LIMIT_S = 420
"""The stack must be whole again so many seconds after a fault's end."""
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}"
_COMPARISON = "comparison"
COMPARISON_LIMIT_S = 300


class Whole:
    """The stack as it was at the beginning of a run, when no pod came or went."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        wait_until("every pod ready", lambda: unready_pods(cluster.pods()), limit_s=LIMIT_S)
        self._pods: Counter[str] = workloads(cluster)
        self._cameras = set(cluster.cameras())

    def missing(self) -> str | None:
        """None once nothing is missing; until then the first thing that is. What costs more is asked last."""
        checks: tuple[Callable[[], str | None], ...] = (
            self._cluster.unreachable,
            lambda: unready_nodes(self._cluster, EVERYBODY),
            lambda: missing_pods(self._cluster, self._pods),
            self._silent_cameras,
            self._search,
            self._kafka,
        )
        for check in checks:
            try:
                said = check()
            except Exception as error:
                said = str(error) or repr(error)
            if said:
                return said
        return None

    def _silent_cameras(self) -> str | None:
        cameras = self._cluster.cameras()
        silent = sorted(
            name
            for name in self._cameras
            if name not in cameras or cameras[name].state != "streaming" or cameras[name].last is None
        )
        return f"{len(silent)} cameras do not stream, as {silent[:3]}" if silent else None

    def _search(self) -> str | None:
        health = self._cluster.search_get("/_cluster/health")
        return None if health["status"] == "green" else f"Elasticsearch is {health['status']}"

    def _kafka(self) -> str | None:
        entrance = Entrance.find(self._cluster)
        ask = entrance.command(sys.executable, "-m", replicas.__name__)
        done = run(ask, cwd=ROOT, stdin=json.dumps(dict(entrance.kafka)))
        lacking = int(json.loads(done.stdout))
        return f"{lacking} partitions of Kafka lack a replica" if lacking else None


def send_results_again(cluster: ClusterClient, name: str, repairs: Repairs) -> None:
    """Run the comparison now, as docs/operations.md says (`kubectl create job --from=cronjob/comparison`), and note
    what it says.

    Raises AssertionError if a result is not searchable after it.
    """
    job = cluster.get(f"{_JOBS}/cronjobs/{_COMPARISON}")["spec"]["jobTemplate"]
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": job.get("metadata", {}).get("labels", {})},
        "spec": job["spec"],
    }
    try:
        cluster.change("POST", f"{_JOBS}/jobs", body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
    try:
        wait_until(f"the job {name}", lambda: job_ended(cluster.get(f"{_JOBS}/jobs/{name}"), name), COMPARISON_LIMIT_S)
    finally:
        with suppress(httpx.HTTPError):
            repairs.look()
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        cluster.change("DELETE", f"{_JOBS}/jobs/{name}", options)


def job_ended(job: dict[str, Any], name: str) -> str | None:
    """None once a Job is complete. Raises JobFailedError if it failed."""
    conditions = {each["type"] for each in job.get("status", {}).get("conditions", ()) if each["status"] == "True"}
    if "Failed" in conditions:
        raise JobFailedError(f"the job {name} failed: a result is not searchable, or it could not be found out")
    return None if "Complete" in conditions else "it runs"


class JobFailedError(Exception):
    """The comparison ended with 1."""
