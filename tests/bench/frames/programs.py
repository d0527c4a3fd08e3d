"""The names of the programs of the lab's host: which pod, which part of the cluster, or which service of the lab."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tests.bench.frames.cpu import Kind
from tests.e2e.cluster import NAMESPACE

Part = Literal["cluster", "pipeline", "machines", "kernel", "lab", "instrument", "others"]


class Program(NamedTuple):
    """A program by the part that it belongs to; `others` are not of the lab."""

    part: Part
    name: str


@dataclass(frozen=True)
class Container:
    """A container of a pod."""

    namespace: str
    service: str
    name: str


_CLUSTER = {
    "kubelet": "kubelet",
    "containerd": "containerd and shims",
    "etcd": "etcd",
    "coredns": "CoreDNS",
    "haproxy": "HAProxy",
    "keepalived": "keepalived",
    "metrics-server": "metrics-server",
    "kube-apiserver": "kube-apiserver",
    # The kernel keeps 15 characters.
    "kube-controller": "kube-controller-manager",
    "kube-scheduler": "kube-scheduler",
    "kube-proxy": "kube-proxy",
}
_SHIMS = ("containerd-shim", "runc")
_LAB = {"camera-server": "cameras", "docker-registry": "registry", "conmon": "conmon"}
_ROLES = ("driver", "executor")
"""The components of one service that are told apart."""

_POD = re.compile(r"/pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})")
_CONTAINER = re.compile(r"([0-9a-f]{64})(?:\.scope)?$")


class Pods:
    """The pods' containers by container ID, and by the pod's ID for those without one (its pause container)."""

    def __init__(self) -> None:
        self._known: dict[str, Container] = {}

    def add(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """Learn the API's pods; those that are gone stay known."""
        for pod in pods:
            meta = pod["metadata"]
            service = _service(meta)
            # A static pod's control group has the ID that the kubelet gave it, not the API's.
            ids = (meta["uid"], meta.get("annotations", {}).get("kubernetes.io/config.hash"))
            for each in filter(None, ids):
                self._known[each] = Container(meta["namespace"], service, "pause")
            for status in (
                *pod["status"].get("containerStatuses", ()),
                *pod["status"].get("initContainerStatuses", ()),
            ):
                for state in (status, status.get("lastState", {}).get("terminated", {})):
                    if said := state.get("containerID"):
                        self._known[said.rpartition("/")[2]] = Container(meta["namespace"], service, status["name"])

    def find(self, cgroup: str) -> Container | None:
        """The container of a control group; None if it is no pod's."""
        if "kubepods" not in cgroup:
            return None
        found = _CONTAINER.search(cgroup)
        if found and (container := self._known.get(found[1])):
            return container
        pod = _POD.search(cgroup)
        return self._known.get(pod[1].replace("_", "-")) if pod else None


def program(kind: Kind, pods: Pods) -> Program:
    """The program that a process belongs to."""
    if kind.instrument:
        return Program("instrument", "the instrument")
    if kind.kernel:
        return Program("kernel", "kernel threads")
    if kind.name in _LAB:
        return Program("lab", _LAB[kind.name])
    return _in_a_machine(kind, pods) if kind.contained else Program("others", _language(kind.name))


def _in_a_machine(kind: Kind, pods: Pods) -> Program:
    if kind.name.startswith(_SHIMS):
        return Program("cluster", "containerd and shims")
    if said := _CLUSTER.get(kind.name):
        return Program("cluster", said)
    if "kubepods" not in kind.cgroup:
        return Program("machines", f"machines: {_language(kind.name)}")
    container = pods.find(kind.cgroup)
    if container is not None and container.namespace != NAMESPACE:
        return Program("cluster", _CLUSTER.get(container.name, container.name))
    return Program("pipeline", f"{container.service if container else 'unknown pod'}: {_language(kind.name)}")


def by_program(amounts: Mapping[Kind, int], pods: Pods) -> Counter[Program]:
    """The amounts of all kinds, added up by program."""
    found: Counter[Program] = Counter()
    for kind, amount in amounts.items():
        found[program(kind, pods)] += amount
    return found


def total(amounts: Mapping[Program, int], *parts: Part) -> int:
    """The sum over all programs of these parts."""
    return sum(amount for each, amount in amounts.items() if each.part in parts)


def _service(meta: Mapping[str, Any]) -> str:
    labels = meta.get("labels", {})
    name, component = labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/component")
    if not name:
        return str(meta["name"])
    return f"{name} {component}" if component in _ROLES else str(name)


def _language(name: str) -> str:
    """Python's name without its version."""
    return "python" if name.startswith("python") else name
