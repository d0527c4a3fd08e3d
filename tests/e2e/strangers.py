"""Pods that try every port of the pipeline, and what the network policies' table lets each of them reach."""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.config import Settings
from components.pipeline.network_policies import OPEN, Flow, flows, pods
from components.pipeline.stages import STAGES
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.conftest import running_settings
from tests.e2e.machines import KUBECTL, kubectl, on
from tests.e2e.waiting import wait_until

OTHER_NAMESPACE = "default"
RULES_LIMIT_S = 600
"""Rules are applied after a pod's start, and all strangers start at once."""

TRY = """
import json, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
def reached(target):
    host, port = target.split(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
    except OSError:
        return False
    return True
with ThreadPoolExecutor(16) as pool:
    while True:
        answers = pool.map(reached, sys.argv[1:])
        print(json.dumps([target for target, answer in zip(sys.argv[1:], answers) if answer]), flush=True)
        time.sleep(3)
"""
"""Prints repeatedly which of its arguments, each HOST:PORT, accept a connection."""

Labels = Mapping[str, str]
Pods = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, order=True)
class Target:
    """A port of one of the pipeline's pods, or of their Service."""

    kind: str
    """The kind of pod, as the policies' table names it."""
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


SERVICES: Mapping[str, tuple[int, ...]] = {
    "ui": (8080,),
    "kafka": (9092, 9093),
    "elasticsearch": (9200, 9243),
    "zookeeper": (2181, 2281),
}
"""Ports that are tried by the Service's name, so that DNS is tried too."""


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """A pod that tries all targets. It is never ready, so no Service sends it anybody's requests."""

    name: str
    namespace: str
    labels: Labels
    kind: str | None
    """Whose labels it has; None if they are nobody's, or if it is in another namespace."""

    def manifest(self, image: str, targets: Iterable[Target]) -> dict[str, Any]:
        """The pod; its image has Python."""
        container = {
            "name": "stranger",
            "image": image,
            "command": ["python", "-c", TRY, *map(str, targets)],
            "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 300},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels)},
            "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
        }

    def may_reach(self, targets: Iterable[Target], table: Iterable[Flow]) -> set[Target]:
        """Those targets to which the table allows it a connection."""
        if self.namespace != NAMESPACE:
            return {target for target in targets if OPEN.get(target.kind) == target.port}
        allowed = {(flow.server, port) for flow in table if flow.client == self.kind for port in flow.ports}
        return {target for target in targets if (target.kind, target.port) in allowed}


def strangers(kinds: Mapping[str, Labels]) -> list[Stranger]:
    """One with the labels of each kind of pod, and those that belong to none."""
    like = [
        Stranger(name=f"stranger-{kind}", namespace=NAMESPACE, labels=labels, kind=kind)
        for kind, labels in kinds.items()
    ]
    return [*like, *outsiders(kinds)]


def outsiders(kinds: Mapping[str, Labels]) -> list[Stranger]:
    """One with nobody's labels, and in another namespace one without labels and one with the page's."""
    nobody = Stranger(name="stranger", namespace=NAMESPACE, labels={}, kind=None)
    elsewhere = Stranger(name="stranger", namespace=OTHER_NAMESPACE, labels={}, kind=None)
    disguised = Stranger(name="stranger-ui", namespace=OTHER_NAMESPACE, labels=kinds["ui"], kind=None)
    return [nobody, elsewhere, disguised]


def kind_of(pod: Mapping[str, Any], kinds: Mapping[str, Labels]) -> str | None:
    """The kind of a pod by its labels; None for those that no policy names."""
    labels = pod["metadata"].get("labels", {}).items()
    return next((kind for kind, wanted in kinds.items() if wanted.items() <= labels), None)


def targets_on(pods: Pods, kinds: Mapping[str, Labels], table: Iterable[Flow]) -> dict[str, list[Target]]:
    """Every port that a running pod declares, or that the table names for its kind, by the pod's machine."""
    named = [(flow.server, port) for flow in table for port in flow.ports]
    found: dict[str, set[Target]] = {}
    for pod in pods:
        kind, address = kind_of(pod, kinds), pod["status"].get("podIP")
        if kind is None or not address or pod["status"]["phase"] != "Running" or "deletionTimestamp" in pod["metadata"]:
            continue
        declared = {port["containerPort"] for each in pod["spec"]["containers"] for port in each.get("ports") or ()}
        ports = declared | {port for server, port in named if server == kind}
        machine = found.setdefault(pod["spec"]["nodeName"], set())
        machine.update(Target(kind, address, port) for port in ports)
    return {machine: sorted(targets) for machine, targets in found.items()}


def services(table: Iterable[Flow]) -> list[Target]:
    """The ports of SERVICES that are in the table: the stack says which listen."""
    named = {(flow.server, port) for flow in table for port in flow.ports} | OPEN.items()
    every = [Target(kind, f"{kind}.{NAMESPACE}.svc", port) for kind, ports in SERVICES.items() for port in ports]
    return [target for target in every if (target.kind, target.port) in named]


def untried(targets: Iterable[Target], kinds: Iterable[str], table: Iterable[Flow]) -> set[tuple[str, int]]:
    """The ports that the table allows to pods of these kinds, and that no target is."""
    servers = {(flow.server, port) for flow in table if {flow.client, flow.server} <= set(kinds) for port in flow.ports}
    return servers - {(target.kind, target.port) for target in targets}


def disagreement(said: Sequence[str], wanted: Iterable[Target]) -> str | None:
    """None if the last two lines that a stranger printed name exactly the wanted targets, else what differs."""
    expected = {str(target) for target in wanted}
    if len(said) < 2:
        return "it has not tried twice yet"
    for line in said[-2:]:
        reached = set(json.loads(line))
        if reached != expected:
            return (
                f"reaches what it may not: {sorted(reached - expected)}; does not reach: {sorted(expected - reached)}"
            )
    return None


def by_stranger(lines: Iterable[str]) -> dict[str, list[str]]:
    """What each stranger said, from lines that follow a line with its namespace and name after an @."""
    said: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("@"):
            last = said.setdefault(line.removeprefix("@"), [])
        else:
            last.append(line)
    return said


def listening(targets: Mapping[str, Sequence[Target]]) -> list[Target]:
    """Those targets that accept a connection from their pod's own machine, which every network allows."""
    found = []
    for machine, there in targets.items():
        tries = "; ".join(
            f"timeout 3 bash -c ':</dev/tcp/{target.host}/{target.port}' 2>/dev/null && echo {target}"
            for target in there
        )
        heard = set(on(machine, f"{tries}; true"))
        found += [target for target in there if str(target) in heard]
    return found


def table_of(settings: Settings) -> list[Flow]:
    """The policies' table of a stack."""
    models = [model.name for model in settings.models]
    transports = settings.kafka.transport, settings.zookeeper_transport, settings.elasticsearch.transport
    return flows(models, *transports)


def wait_until_all_reach_what_they_may(
    cluster: ClusterClient, choose: Callable[[Mapping[str, Labels]], Sequence[Stranger]]
) -> None:
    """Start the strangers that are chosen for the running stack's kinds of pods, and wait until each reaches what the
    policies' table allows it, and nothing else."""
    settings = running_settings()
    kinds, table = pods(settings, STAGES), table_of(settings)
    everybody = choose(kinds)
    (page, *_) = cluster.pods("app.kubernetes.io/name=ui")
    image = page["spec"]["containers"][0]["image"]
    targets = [*listening(targets_on(cluster.pods(), kinds, table)), *services(table)]
    assert not (missed := untried(targets, kinds, table)), f"nothing listens where the table allows it: {missed}"
    ask = "".join(
        f"echo @{each.namespace}/{each.name}; {KUBECTL} -n {each.namespace} logs {each.name} --tail=2 2>/dev/null; "
        for each in everybody
    )
    made = {"apiVersion": "v1", "kind": "List", "items": [each.manifest(image, targets) for each in everybody]}

    def wrong() -> str | None:
        said = by_stranger(on("cp1", f"{ask} true"))
        wanted = {f"{each.namespace}/{each.name}": each.may_reach(targets, table) for each in everybody}
        problems = {name: disagreement(said.get(name, []), allowed) for name, allowed in wanted.items()}
        found = {name: problem for name, problem in problems.items() if problem}
        return json.dumps(found, indent=2) if found else None

    try:
        kubectl("cp1", f"create -f - <<<{shlex.quote(json.dumps(made))}")
        wait_until("every stranger reaches what the table allows", wrong, limit_s=RULES_LIMIT_S, pause_s=5)
    finally:
        for namespace in (NAMESPACE, OTHER_NAMESPACE):
            names = " ".join(each.name for each in everybody if each.namespace == namespace)
            kubectl("cp1", f"-n {namespace} delete pod {names} --ignore-not-found --grace-period=0 --force")
