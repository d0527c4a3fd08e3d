"""Pods that try every port of the pipeline, and what the network policies' table lets each of them reach."""

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.config import Settings
from components.pipeline import elasticsearch_peers
from components.pipeline.elasticsearch_proxy import HTTPS
from components.pipeline.kafka import port_of_clients
from components.pipeline.kafka_grants import models_of
from components.pipeline.network_policies import OPEN, Flow, flows, pods
from components.pipeline.stages import STAGES
from tests.e2e.borrowed import SECRETS, Attempt
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.conftest import running_settings
from tests.e2e.credentials import attempts
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

ASK = """
import json, ssl, sys, time, urllib.error, urllib.request
trust = ssl.create_default_context()
trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
def status(url):
    try:
        return urllib.request.urlopen(url, timeout=10, context=trust).status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError as failed:
        return str(failed)
while True:
    print(json.dumps([status(url) for url in sys.argv[1:]]), flush=True)
    time.sleep(3)
"""
"""Prints repeatedly how each of its arguments, a URL, is answered: the status, or why there is none."""

BORROW = Path(__file__).with_name("borrowed.py").read_text(encoding="utf-8")
KNOCK = Path(__file__).with_name("knock.py").read_text(encoding="utf-8")

SERVICE = "service"
"""The kind of a target that is a Service."""

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
    labels: Labels = field(hash=False)
    kind: str | None
    """Whose labels it has; None if they are nobody's, or if it is in another namespace."""
    secrets: Sequence[str] = field(default=(), hash=False)
    """The Secrets of its namespace that it has, each in a folder of its name in SECRETS."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def manifest(self, image: str, program: str, arguments: Iterable[object]) -> dict[str, Any]:
        """The pod that runs this program of Python, with these arguments."""
        container = {
            "name": "stranger",
            "image": image,
            "command": ["python", "-c", program, *map(str, arguments)],
            "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 300},
            "volumeMounts": [{"name": name, "mountPath": f"{SECRETS}/{name}"} for name in self.secrets],
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
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "containers": [container],
                "volumes": [{"name": name, "secret": {"secretName": name}} for name in self.secrets],
            },
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


def refusal(said: Sequence[str]) -> str | None:
    """None if the last line of a stranger that knocks says that all accepted its connection and nobody served it."""
    if not said:
        return "it has not tried yet"
    last = json.loads(said[-1])
    if last["serving"]:
        return f"is served without showing who it is: {last['serving']}"
    return f"does not reach: {last['away']}" if last["away"] else None


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


def everything_that_listens(cluster: ClusterClient) -> list[Target]:
    """Every port of the pipeline's pods, and of its Services by their own addresses, that accepts a connection."""
    settings = running_settings()
    kinds, table = pods(settings, STAGES), table_of(settings)
    items = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/services")["items"]
    addresses = [
        Target(SERVICE, each["spec"]["clusterIP"], port["port"])
        for each in items
        if each["spec"]["clusterIP"] != "None"
        for port in each["spec"]["ports"]
    ]
    return [*listening(targets_on(cluster.pods(), kinds, table)), *listening({"cp1": addresses})]


def table_of(settings: Settings) -> list[Flow]:
    """The policies' table of a stack."""
    models = [model.name for model in settings.models]
    transports = settings.kafka.transport, settings.zookeeper_transport, settings.elasticsearch.transport
    return flows(models, *transports, elasticsearch_peers.ports(settings.elasticsearch).values())


def wait_until_all_reach_what_they_may(
    cluster: ClusterClient, choose: Callable[[Mapping[str, Labels]], Sequence[Stranger]]
) -> None:
    """Start the strangers that are chosen for the running stack's kinds of pods, and wait until each reaches what the
    policies' table allows it, and nothing else."""
    settings = running_settings()
    kinds, table = pods(settings, STAGES), table_of(settings)
    targets = [*listening(targets_on(cluster.pods(), kinds, table)), *services(table)]
    assert not (missed := untried(targets, kinds, table)), f"nothing listens where the table allows it: {missed}"
    tried = {each: targets for each in choose(kinds)}
    with running(cluster, TRY, tried) as said:

        def wrong() -> str | None:
            lines = said()
            problems = {str(each): disagreement(lines[each], each.may_reach(targets, table)) for each in tried}
            return _listed({name: problem for name, problem in problems.items() if problem})

        wait_until("every stranger reaches what the table allows", wrong, limit_s=RULES_LIMIT_S, pause_s=5)


def wait_until_nobody_is_served(cluster: ClusterClient) -> None:
    """Start a stranger with the labels of each kind of pod, and wait until each has tried what those let it reach, and
    is served there by nobody."""
    settings = running_settings()
    kinds, table = pods(settings, STAGES), table_of(settings)
    targets = listening(targets_on(cluster.pods(), kinds, table))
    tried = {each: sorted(each.may_reach(targets, table)) for each in strangers(kinds) if each.namespace == NAMESPACE}
    with running(cluster, KNOCK, {each: wanted for each, wanted in tried.items() if wanted}) as said:

        def wrong() -> str | None:
            lines = said()
            problems = {str(each): refusal(lines[each]) for each in lines}
            return _listed({name: problem for name, problem in problems.items() if problem})

        wait_until("every stranger is refused", wrong, limit_s=RULES_LIMIT_S, pause_s=5)


def told_by_the_page(cluster: ClusterClient, paths: Sequence[str]) -> dict[str, int]:
    """The statuses by which the page answers a pod of another namespace, that shows no login."""
    stranger = Stranger(name="stranger", namespace=OTHER_NAMESPACE, labels={}, kind=None)
    urls = [f"https://ui.{NAMESPACE}.svc:{OPEN['ui']}{path}" for path in paths]
    with running(cluster, ASK, {stranger: urls}) as said:

        def unanswered() -> str | None:
            last = said()[stranger][-1:]
            return None if last and all(isinstance(each, int) for each in json.loads(last[0])) else f"it says {last}"

        wait_until("the page to answer a stranger", unanswered, limit_s=RULES_LIMIT_S, pause_s=5)
        return dict(zip(paths, json.loads(said()[stranger][-1]), strict=True))


def surprises_with_credentials_of_all(cluster: ClusterClient) -> dict[Attempt, str]:
    """What a pod with the page's labels and every client's Secret may do that it should not, or the other way round:
    each attempt of credentials.py that has not ended as it should, and how it did."""
    settings = running_settings()
    kinds = pods(settings, STAGES)
    secrets = {item["metadata"]["name"] for item in cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]}
    wanted = attempts(secrets, models_of(settings))
    borrowed = sorted({secret for secret, _ in wanted})
    stranger = Stranger(name="stranger-ui", namespace=NAMESPACE, labels=kinds["ui"], kind="ui", secrets=borrowed)
    task = {
        # A broker's certificate has its pod's name, not the Service's.
        "kafka": f"kafka-0.kafka.{NAMESPACE}.svc.cluster.local:{port_of_clients(settings.kafka.transport)}",
        "elasticsearch": f"https://elasticsearch.{NAMESPACE}.svc.cluster.local:{HTTPS}",
        "attempts": sorted(wanted),
    }
    with running(cluster, BORROW, {stranger: [json.dumps(task)]}) as said:

        def unanswered() -> str | None:
            return None if said()[stranger] else "it has not tried everything yet"

        wait_until("all attempts with others' credentials", unanswered, limit_s=RULES_LIMIT_S, pause_s=5)
        ended = {(secret, what): end for secret, what, end in json.loads(said()[stranger][-1])}
    return {each: end for each, end in ended.items() if end != wanted[each]}


@contextmanager
def running(
    cluster: ClusterClient, program: str, arguments: Mapping[Stranger, Iterable[object]]
) -> Iterator[Callable[[], dict[Stranger, list[str]]]]:
    """Strangers that run this program of Python; what asks for the last two lines of each."""
    (page, *_) = cluster.pods("app.kubernetes.io/name=ui")
    image = page["spec"]["containers"][0]["image"]
    ask = "".join(
        f"echo @{each}; {KUBECTL} -n {each.namespace} logs {each.name} --tail=2 2>/dev/null; " for each in arguments
    )

    def said() -> dict[Stranger, list[str]]:
        found = by_stranger(on("cp1", f"{ask} true"))
        return {each: found.get(str(each), []) for each in arguments}

    try:
        # One at a time: an argument of a command has a limit of 128 KiB.
        for each, given in arguments.items():
            pod = json.dumps(each.manifest(image, program, given))
            kubectl("cp1", f"create -f - <<<{shlex.quote(pod)}")
        yield said
    finally:
        for namespace in (NAMESPACE, OTHER_NAMESPACE):
            if names := " ".join(each.name for each in arguments if each.namespace == namespace):
                kubectl("cp1", f"-n {namespace} delete pod {names} --ignore-not-found --grace-period=0 --force")


def _listed(problems: Mapping[str, str]) -> str | None:
    return json.dumps(problems, indent=2) if problems else None
