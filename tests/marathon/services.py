"""Faults of what the pods need: a full disk, an index that refuses, no DNS."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import httpx

from lab.config import ROOT, LabError
from lab.shell import run
from tests.bench.frames.network import process_of
from tests.e2e.cluster import is_ready
from tests.e2e.machines import CONTROL_PLANES, permanent_pods
from tests.marathon import full_disk, lookup
from tests.marathon.fault import Aim, Fault, Scene, UnprovenError, process_of_machine, prove
from tests.marathon.schedule import chosen

_CONSUMER = "consumer/archive"
_FULL = "argus_consumer_disk_full"
_RESULTS = "results-*"
_COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
_MERGE = "application/merge-patch+json"
_USUAL_REPLICAS = 2


class DiskFull(Fault):
    """A consumer's volume filled by a ballast file: every write is refused, what is there can be read.

    All machines of the lab share one disk, which must not be full. So the ballast lies on a small file system that is
    laid over the volume, for this consumer's processes alone (full_disk.py).
    """

    name, hold_s = "disk-full", (40, 80)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        pods = [pod for workload, pod in permanent_pods(scene.cluster) if workload == _CONSUMER and is_ready(pod)]
        if not pods:
            raise UnprovenError("no consumer is ready")
        pod = chosen(draws[0], sorted(pods, key=lambda each: str(each["metadata"]["name"])))
        container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        return {"pod": pod["metadata"]["name"], "id": container}

    def begin(self, scene: Scene, aim: Aim) -> None:
        _in_volume(aim, full_disk.FILL)

    def proof(self, scene: Scene, aim: Aim) -> str:
        refused = _in_volume(aim, full_disk.WRITE)

        def noticed() -> str | None:
            lines = scene.cluster.metrics(aim["pod"])
            return None if f"{_FULL} 1.0" in lines else f"{_FULL} is not 1"

        prove(f"{aim['pod']} refused a write", noticed)
        return f"{aim['pod']}: a write to its volume: {refused}; {_FULL} is 1"

    def end(self, scene: Scene, aim: Aim) -> None:
        try:
            _in_volume(aim, full_disk.FREE)
        except LabError:
            # A container that has ended took its mounts with it.
            if _process(aim["id"]) is not None:
                raise

    def missing(self, scene: Scene, aim: Aim) -> str | None:
        lines = scene.cluster.metrics(aim["pod"])
        return None if f"{_FULL} 0.0" in lines else f"{aim['pod']} does not say that its disk has room again"


class IndexBlocked(Fault):
    """`index.blocks.write` on the indices of results: Elasticsearch answers 403, and Filebeat gives results up."""

    name, hold_s = "index-blocked", (30, 60)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        found = scene.cluster.search_get(f"/{_RESULTS}/_settings")
        if not found:
            raise UnprovenError(f"there is no index {_RESULTS}")
        return {"index": max(found), "indices": len(found)}

    def begin(self, scene: Scene, aim: Aim) -> None:
        _block(scene, True)
        scene.results_refused = True

    def proof(self, scene: Scene, aim: Aim) -> str:
        return refusal(lambda: _harmless_write(scene, aim["index"]), aim["index"])

    def end(self, scene: Scene, aim: Aim) -> None:
        _block(scene, None)


class DnsAway(Fault):
    """CoreDNS scaled to no pod."""

    name, hold_s = "dns-away", (40, 80)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        service = scene.cluster.get("/api/v1/namespaces/kube-system/services/kube-dns")
        replicas = scene.cluster.get(_COREDNS)["spec"]["replicas"]
        aim = {
            "address": service["spec"]["clusterIP"],
            "replicas": replicas or _USUAL_REPLICAS,
            "asked_from": chosen(draws[0], CONTROL_PLANES),
        }
        if silent := _no_answer(aim):
            raise UnprovenError(f"DNS does not answer before it is taken away: {silent}")
        return aim

    def begin(self, scene: Scene, aim: Aim) -> None:
        _scale_dns(scene, 0)

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[str] = []

        def gone() -> str | None:
            seen[:] = [_no_answer(aim) or ""]
            return None if seen[0] else f"{aim['address']} answers"

        prove("no answer of DNS", gone)
        return f"asked from {aim['asked_from']}: {seen[0]}"

    def end(self, scene: Scene, aim: Aim) -> None:
        _scale_dns(scene, aim["replicas"])

    def missing(self, scene: Scene, aim: Aim) -> str | None:
        ready = scene.cluster.get(_COREDNS)["status"].get("readyReplicas", 0)
        if ready < aim["replicas"]:
            return f"{ready} of {aim['replicas']} pods of CoreDNS are ready"
        return _no_answer(aim)


def refusal(write: Any, index: str) -> str:
    """What shows that an index refuses writes. Raises UnprovenError if it does not."""
    try:
        write()
    except httpx.HTTPStatusError as error:
        answer = error.response
        # The API server, through which this goes, answers 403 too, but not with this word.
        if answer.status_code == httpx.codes.FORBIDDEN and "cluster_block_exception" in answer.text:
            return f"a write to {index}: 403 cluster_block_exception"
        raise UnprovenError(f"a write to {index} was answered with {answer.status_code}: {answer.text[:200]}") from None
    raise UnprovenError(f"a write to {index} was not refused")


def _harmless_write(scene: Scene, index: str) -> None:
    """A write that changes nothing where it is allowed: there is no such document (404)."""
    scene.cluster.change_search("POST", f"/{index}/_update/marathon", {"doc": {}})


def _block(scene: Scene, value: bool | None) -> None:
    scene.cluster.change_search("PUT", f"/{_RESULTS}/_settings", {"index.blocks.write": value})


def _scale_dns(scene: Scene, replicas: int) -> None:
    scene.cluster.change("PATCH", f"{_COREDNS}/scale", {"spec": {"replicas": replicas}}, _MERGE)


def _no_answer(aim: Aim) -> str | None:
    """None if DNS answers on a machine, else what came instead."""
    network = ("nsenter", f"--net=/proc/{process_of_machine(aim['asked_from'])}/ns/net")
    command = [*network, sys.executable, "-m", lookup.__name__, aim["address"]]
    done = run(command, cwd=ROOT, check=False)
    if done.returncode not in (lookup.ANSWERED, lookup.SILENT):
        raise LabError(f"the question to DNS failed: {done.stderr[-500:]}")
    return None if done.returncode == lookup.ANSWERED else done.stdout.strip()


def _process(container: str) -> int | None:
    try:
        return process_of(container)
    except LabError:
        return None


def _in_volume(aim: Aim, what: str) -> str:
    """Run full_disk.py where the consumer's processes are. Raises LabError."""
    process = process_of(aim["id"])
    done = run([sys.executable, "-m", full_disk.__name__, str(process), what], cwd=ROOT)
    return str(json.loads(done.stdout))
