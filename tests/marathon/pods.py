"""Faults of single pods: a process killed, a pod deleted, pods of two stages at once."""

from collections.abc import Sequence
from typing import Any

import httpx

from tests.e2e.cluster import NAMESPACE, ClusterClient, is_ready
from tests.e2e.machines import on, permanent_pods
from tests.marathon.fault import Aim, Fault, Scene, UnprovenError, prove
from tests.marathon.schedule import chosen

Pod = dict[str, Any]
_KILL_S = 60
_GRACE_S = 30
"""The longest that a pod of the pipeline may take to stop."""


class ProcessKilled(Fault):
    """SIGKILL to the first process of a container."""

    name, hold_s = "process-killed", (0, 0)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        pod = _one(_by_workload(scene.cluster), draws)
        container = chosen(draws[3], sorted(pod["status"]["containerStatuses"], key=lambda each: str(each["name"])))
        return _described(pod) | {
            "node": pod["spec"]["nodeName"],
            "id": container["containerID"].rpartition("/")[2],
            "restarts": container["restartCount"],
        }

    def begin(self, scene: Scene, aim: Aim) -> None:
        on(aim["node"], f"ctr --namespace k8s.io tasks kill --signal SIGKILL {aim['id']}", limit_s=_KILL_S)

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[str] = []

        def killed() -> str | None:
            found = _with_uid(scene.cluster, aim["uid"])
            said = death(found, aim)
            seen[:] = [said or ""]
            return None if said else f"{aim['pod']}: its container runs as before"

        prove(f"the process of {aim['pod']} killed", killed)
        return seen[0]

    def end(self, scene: Scene, aim: Aim) -> None:
        pass


def death(pod: Pod | None, aim: Aim) -> str | None:
    """How the pod's list entry shows that the container's process was killed; None if it does not."""
    if pod is None:
        # Spark removes an executor that failed, and asks for another one.
        return f"{aim['pod']} was removed after its process ended"
    for status in pod["status"].get("containerStatuses", ()):
        for state in (status["state"], status.get("lastState", {})):
            ended = state.get("terminated") or {}
            if ended.get("containerID", "").endswith(aim["id"]):
                restarts = f"restarts {aim['restarts']} -> {status['restartCount']}"
                return f"{aim['pod']}: its {status['name']} ended with exit status {ended['exitCode']}, {restarts}"
    return None


class PodDeleted(Fault):
    """One pod deleted, half of the times without the time to stop."""

    name, hold_s = "pod-deleted", (0, 0)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        pod = _one(_by_workload(scene.cluster), draws)
        return {"pods": [_described(pod)], "grace_s": 0 if draws[2] < 0.5 else _GRACE_S}

    def begin(self, scene: Scene, aim: Aim) -> None:
        for pod in aim["pods"]:
            options = {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "gracePeriodSeconds": aim["grace_s"],
                # Only this one: a pod of a StatefulSet is followed by one of the same name, also if this is repeated.
                "preconditions": {"uid": pod["uid"]},
            }
            try:
                scene.cluster.change("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['pod']}", options)
            except httpx.HTTPStatusError as error:
                # Gone already, because it was repeated; the proof says whether it is.
                if error.response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
                    raise

    def proof(self, scene: Scene, aim: Aim) -> str:
        gone = {pod["uid"]: pod["pod"] for pod in aim["pods"]}

        def still_there() -> str | None:
            left = sorted(gone[uid] for uid in gone.keys() & {pod["metadata"]["uid"] for pod in scene.cluster.pods()})
            return f"still there: {left}" if left else None

        prove(f"{sorted(gone.values())} gone", still_there)
        return "; ".join(f"{name} (uid {uid[:8]}) is gone" for uid, name in gone.items())

    def end(self, scene: Scene, aim: Aim) -> None:
        pass


class TwoStages(PodDeleted):
    """A pod of each of two stages deleted at once, without the time to stop."""

    name = "two-stages"

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        stages = _by_stage(scene.cluster)
        if len(stages) < 2:
            raise UnprovenError(f"ready pods of two stages are needed; there are those of {sorted(stages)}")
        first = chosen(draws[0], sorted(stages))
        second = chosen(draws[1], sorted(stages.keys() - {first}))
        pods = [chosen(draw, stages[stage]) for stage, draw in ((first, draws[2]), (second, draws[3]))]
        return {"pods": [_described(pod) for pod in pods], "grace_s": 0}


def _one(workloads: dict[str, list[Pod]], draws: Sequence[float]) -> Pod:
    """A workload, then one of its pods: a workload of many pods is not chosen more often."""
    if not workloads:
        raise UnprovenError("no pod of the pipeline is ready")
    return chosen(draws[1], workloads[chosen(draws[0], sorted(workloads))])


def _by_workload(cluster: ClusterClient) -> dict[str, list[Pod]]:
    """The ready pods by workload, in the order of their names."""
    found: dict[str, list[Pod]] = {}
    for workload, pod in sorted(permanent_pods(cluster), key=lambda each: (each[0], each[1]["metadata"]["name"])):
        if is_ready(pod):
            found.setdefault(workload, []).append(pod)
    return found


def _by_stage(cluster: ClusterClient) -> dict[str, list[Pod]]:
    """The same by the first part of the workload's name: a model's driver and executors are one stage."""
    found: dict[str, list[Pod]] = {}
    for workload, pods in _by_workload(cluster).items():
        found.setdefault(workload.partition("/")[0], []).extend(pods)
    return found


def _described(pod: Pod) -> Aim:
    return {"pod": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}


def _with_uid(cluster: ClusterClient, uid: str) -> Pod | None:
    return next((pod for pod in cluster.pods() if pod["metadata"]["uid"] == uid), None)
