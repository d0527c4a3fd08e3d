"""The pods that the program declares: how many, what each keeps free for itself, and which volume it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from components.pipeline.applications import job_name
from components.pipeline.model_job import EXECUTOR_CPU
from components.pipeline.stages import STAGES
from components.production.stack import Declared
from components.recorder import Registered

Kind = Literal["StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"]

_TYPES: Final[Mapping[str, Kind]] = {
    "kubernetes:apps/v1:StatefulSet": "StatefulSet",
    "kubernetes:apps/v1:Deployment": "Deployment",
    "kubernetes:apps/v1:DaemonSet": "DaemonSet",
    "kubernetes:batch/v1:Job": "Job",
    "kubernetes:batch/v1:CronJob": "CronJob",
}
_TASKS: Final = ("Job", "CronJob")
_UNITS: Final = {"Mi": 1, "Gi": 1024}
"""MiB of the units in which the program gives memory and volumes."""


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods of one kind. Their CPU has no limit, so that idle cores can be used."""

    name: str
    stage: str
    """The stage of the pipeline; empty for what belongs to the cluster."""
    kind: Kind
    fewest: int
    most: int
    millicores: int
    """CPU that is kept free for a pod (thousandths of a core)."""
    memory_mib: int
    """Memory that is kept free for a pod (MiB)."""
    limit_mib: int
    """The most memory that a pod may use (MiB)."""
    volume_gib: int
    """The sum of the volumes that a pod keeps (GiB)."""
    images: tuple[str, ...] = ()
    """The references of its containers' images."""


def pods(declared: Declared) -> list[Pods]:
    """All pods of the stack in the order of their declaration, executors after their drivers."""
    ranges = _ranges(declared)
    executors = {each.name.removesuffix(" executors"): each for each in _executors(declared)}
    found = []
    for resource in declared.of_type(*_TYPES):
        each = _of(resource, ranges, machines=_machines(declared, resource))
        found.append(each)
        if each.name in executors:
            found.append(executors[each.name])
    return found


def _of(resource: Registered, ranges: Mapping[str, tuple[str, int, int]], *, machines: int) -> Pods:
    kind = _TYPES[resource.type]
    spec = resource.inputs["spec"]
    name = resource.inputs["metadata"]["name"]
    template = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]["spec"]
    replicas = int(spec.get("replicas") or 0)
    stage, fewest, most = ranges.get(name, ("", replicas, replicas))
    if replicas:
        fewest = most = replicas
    if kind == "DaemonSet":
        fewest = most = machines
    if kind in _TASKS:
        fewest, most = 0, 1
    # While init containers run, the others do not: a pod needs as much as the larger of the two.
    first, main = template.get("initContainers") or [], template["containers"]
    return Pods(
        name=name,
        stage=stage,
        kind=kind,
        fewest=fewest,
        most=most,
        millicores=max(_sum(main, "requests", "cpu"), _largest(first, "requests", "cpu")),
        memory_mib=max(_sum(main, "requests", "memory"), _largest(first, "requests", "memory")),
        limit_mib=max(_sum(main, "limits", "memory"), _largest(first, "limits", "memory")),
        volume_gib=sum(_claim_gib(each) for each in spec.get("volumeClaimTemplates") or ()),
        images=tuple(dict.fromkeys(each["image"] for each in (*first, *main))),
    )


def _ranges(declared: Declared) -> dict[str, tuple[str, int, int]]:
    """The stage of each workload, and the fewest and most pods as its section says."""
    found = {}
    for stage in STAGES:
        for name, section in stage.workloads_of(declared.settings).items():
            replicas = getattr(section, "replicas", 1)
            both = (replicas, replicas) if isinstance(replicas, int) else (replicas.minimum, replicas.maximum)
            found[name] = (stage.name, *both)
    return found


def _executors(declared: Declared) -> Iterator[Pods]:
    """Executors are made by their driver, not by the program, which only says how many there may be and how large."""
    drivers = {each.inputs["metadata"]["name"]: each for each in declared.of_type("kubernetes:apps/v1:Deployment")}
    for application, (first, *_) in declared.settings.applications.items():
        name = job_name(application)
        driver = drivers[name].inputs["spec"]["template"]["spec"]["containers"]
        yield Pods(
            name=f"{name} executors",
            stage="model",
            kind="Deployment",
            fewest=first.executors.minimum,
            most=first.executors.maximum,
            millicores=_millicores(EXECUTOR_CPU),
            memory_mib=first.memory.request_mib,
            limit_mib=first.memory.limit_mib,
            volume_gib=0,
            images=tuple(each["image"] for each in driver),
        )


def _machines(declared: Declared, resource: Registered) -> int:
    """The number of machines on which a DaemonSet has a pod: all, if it tolerates the control planes' taint."""
    settings = declared.settings
    template = resource.inputs["spec"].get("template", {}).get("spec", {})
    selector = template.get("nodeSelector") or {}
    if "node-role.kubernetes.io/control-plane" in selector:
        return len(settings.machines.control_planes)
    everywhere = any(each.get("operator") == "Exists" for each in template.get("tolerations") or ())
    return len(settings.all_machines if everywhere else settings.schedulable_machines)


def _sum(containers: Iterable[Mapping[str, Any]], kind: str, what: str) -> int:
    return sum(_amounts(containers, kind, what))


def _largest(containers: Iterable[Mapping[str, Any]], kind: str, what: str) -> int:
    return max(_amounts(containers, kind, what), default=0)


def _amounts(containers: Iterable[Mapping[str, Any]], kind: str, what: str) -> Sequence[int]:
    amount = _millicores if what == "cpu" else _mib
    given = (each.get("resources", {}).get(kind, {}).get(what) for each in containers)
    return [amount(each) for each in given if each is not None]


def _millicores(text: str) -> int:
    return int(text.removesuffix("m")) if text.endswith("m") else round(float(text) * 1000)


def _mib(text: str) -> int:
    return int(text[:-2]) * _UNITS[text[-2:]]


def _claim_gib(claim: Mapping[str, Any]) -> int:
    return math.ceil(_mib(claim["spec"]["resources"]["requests"]["storage"]) / _UNITS["Gi"])
