"""KEDA and VPA run where nobody else makes pods, and may do in the pipeline's namespace what scaling needs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import versions
from tests.unit.components.conftest import Program, Recorder
from tests.unit.components.published_schema import folder
from tests.unit.stacks import HOSTS, LAB

WATCHED = "argus"
OPERATOR, ADAPTER = "argus-keda/keda-operator", "argus-keda/keda-metrics-apiserver"
PARTS = ("recommender", "updater", "admission-controller")
VPA = tuple(f"argus-vpa/vpa-{part}" for part in PARTS)
AUTOSCALERS = (OPERATOR, ADAPTER, *VPA)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
"""Neither `escalate`, `bind` and `impersonate`, nor all at once."""

Right = tuple[str, str, str]
"""API group, resource and verb."""


def rights(rules: Sequence[Mapping[str, Any]]) -> Iterator[Right]:
    """Every right of some rules; a rule for some names counts as one for all."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                yield from ((group, resource, verb) for verb in rule["verbs"])


@dataclass(frozen=True)
class Access:
    """Who may do what, by the program's RBAC objects. Accounts are written NAMESPACE/NAME."""

    objects: Sequence[Mapping[str, Any]]

    def of(self, account: str, namespace: str | None) -> set[Right]:
        """The rights of an account in a namespace, or, for None, on what is in no namespace and in all."""
        found: set[Right] = set()
        for binding in self._of_kind("ClusterRoleBinding" if namespace is None else "RoleBinding"):
            here = namespace is None or binding["metadata"]["namespace"] == namespace
            subjects = {f"{each['namespace']}/{each['name']}" for each in binding["subjects"]}
            if here and account in subjects:
                found |= set(rights(self._rules(binding["roleRef"], namespace)))
        return found

    def accounts(self) -> set[str]:
        """Every service account that the program makes."""
        return {
            f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in self._of_kind("ServiceAccount")
        }

    def _of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def _rules(self, role: Mapping[str, Any], namespace: str | None) -> Sequence[Mapping[str, Any]]:
        # Kubernetes' own roles are in no program.
        return [
            rule
            for each in self._of_kind(role["kind"])
            if each["metadata"]["name"] == role["name"]
            and (role["kind"] == "ClusterRole" or each["metadata"]["namespace"] == namespace)
            for rule in each["rules"]
        ]


@pytest.fixture
def made(program: Program) -> Recorder:
    recorder: Recorder = program(HOSTS)
    return recorder


@pytest.fixture
def objects(made: Recorder) -> list[dict[str, Any]]:
    return [each.inputs for each in made.resources if each.type.startswith("kubernetes:")]


@pytest.fixture
def access(objects: list[dict[str, Any]]) -> Access:
    return Access(objects)


def one(objects: Sequence[Mapping[str, Any]], kind: str, name: str) -> Mapping[str, Any]:
    (it,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return it


def test_who_may_make_pods_of_the_pipeline_gains_no_rights_of_an_autoscaler(
    objects: list[dict[str, Any]], access: Access
) -> None:
    assert set(AUTOSCALERS) < access.accounts()
    own = {each.partition("/")[0] for each in AUTOSCALERS}
    # Nobody but Kubernetes' own controllers makes pods where they are.
    for account in access.accounts():
        for namespace in own:
            assert ("", "pods", "create") not in access.of(account, namespace) | access.of(account, None)
    # Whose accounts are left in the pipeline's namespace: drivers and the page.
    left = {name for space, name in (each.split("/") for each in access.accounts()) if space == WATCHED}
    assert left == {"model-objects", "model-motion", "ui"}
    pods = [each for each in objects if each["kind"] == "Deployment" and each["metadata"]["namespace"] in own]
    assert {
        f"{each['metadata']['namespace']}/{each['spec']['template']['spec']['serviceAccountName']}" for each in pods
    } == set(AUTOSCALERS)


@pytest.mark.parametrize("account", AUTOSCALERS)
def test_an_autoscaler_reads_no_secret_and_makes_no_pod_of_the_pipeline(access: Access, account: str) -> None:
    there = access.of(account, WATCHED) | access.of(account, None)
    assert {right for right in there if right[1] == "secrets"} == set()
    assert {right for right in there if "*" in right} == set()
    assert ("", "pods", "create") not in there
    # Nor gets it into one, or takes another's rights.
    assert {group for group, _, _ in there} & {"rbac.authorization.k8s.io"} == set()
    ways = {"pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "serviceaccounts/token"}
    assert {resource for _, resource, _ in there} & ways == set()
    assert {verb for _, _, verb in there} <= set(VERBS)


def test_only_keda_s_operator_has_secrets_and_only_its_own(access: Access) -> None:
    found = {
        account: {verb for _, resource, verb in access.of(account, account.partition("/")[0]) if resource == "secrets"}
        for account in AUTOSCALERS
    }
    assert found == {
        OPERATOR: {"get", "list", "watch", "create", "update"},
        **{account: set() for account in (ADAPTER, *VPA)},
    }


def test_keda_s_operator_may_do_what_a_scaled_object_needs(access: Access) -> None:
    there = access.of(OPERATOR, WATCHED)
    change = {"get", "list", "watch", "patch", "update"}
    assert {verb for group, resource, verb in there if (group, resource) == ("keda.sh", "scaledobjects")} == change
    for resource in ("deployments/scale", "statefulsets/scale"):
        assert {("apps", resource, verb) for verb in ("get", "patch", "update")} <= there
    made = {verb for _, resource, verb in there if resource == "horizontalpodautoscalers"}
    assert made == change | {"create", "delete"}
    assert {resource for group, resource, verb in there if group == "" and verb in {"get", "list", "watch"}} == {
        "configmaps"
    }
    assert access.of(ADAPTER, WATCHED) == set()
    # The election, and the certificate of the one registration.
    own = access.of(OPERATOR, "argus-keda")
    assert {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")} <= own
    assert ("apiregistration.k8s.io", "apiservices", "update") in access.of(OPERATOR, None)


def upstreams(part: str) -> set[Right]:
    """The rights that VPA's own manifest gives one of its programs, in whichever namespace."""
    documents = folder(f"k8s.io/autoscaler/vertical-pod-autoscaler@v{versions.VPA}") / "deploy/vpa-rbac.yaml"
    published = [each for each in yaml.safe_load_all(documents.read_text()) if each]
    roles = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in published if "rules" in each}
    names = [
        (each["roleRef"]["kind"], each["roleRef"]["name"])
        for each in published
        if f"vpa-{part}" in {subject["name"] for subject in each.get("subjects", ())}
    ]
    return {right for name in names for right in rights(roles[name])}


@pytest.mark.parametrize(("part", "account"), list(zip(PARTS, VPA, strict=True)), ids=PARTS)
def test_vpa_s_programs_may_do_what_upstream_lets_them_and_no_more(access: Access, part: str, account: str) -> None:
    theirs = upstreams(part)
    ours = access.of(account, WATCHED) | access.of(account, "argus-vpa") | access.of(account, None)

    def given(right: Right) -> bool:
        _, resource, verb = right
        return right in theirs or (resource.endswith("/scale") and ("*", "*/scale", verb) in theirs)

    assert {right for right in ours if not given(right)} == set()
    # What they can do without: nodes are not of the namespace, nobody elects, and an event is made, or is read.
    left_out = {
        right
        for right in theirs - ours
        if right[0] != "poc.autoscaling.k8s.io" and right[1] not in {"nodes", "events", "leases", "*/scale"}
    }
    registrations = ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list")
    assert left_out - {("extensions", "replicasets", "get"), registrations} == set()


def test_only_vpa_s_admission_controller_may_register_webhooks_and_only_its_updater_changes_pods(
    access: Access,
) -> None:
    def who(namespace: str | None, resource: str, verb: str) -> set[str]:
        return {
            account
            for account in access.accounts()
            if any(right[1:] == (resource, verb) for right in access.of(account, namespace))
        }

    assert who(None, "mutatingwebhookconfigurations", "create") == {"argus-vpa/vpa-admission-controller"}
    assert who(WATCHED, "pods/eviction", "create") == {"argus-vpa/vpa-updater"}
    assert who(WATCHED, "pods/resize", "patch") == {"argus-vpa/vpa-updater"}


def test_they_watch_the_pipeline_s_namespace_and_keep_theirs_in_their_own(objects: list[dict[str, Any]]) -> None:
    own = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    for name in ("keda-operator", "keda-metrics-apiserver"):
        deployment = one(objects, "Deployment", name)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        environment = {each.pop("name"): each for each in json.loads(json.dumps(container["env"]))}
        assert environment["WATCH_NAMESPACE"] == {"value": WATCHED}
        assert environment["POD_NAMESPACE"] == own
        # The adapter finds the operator, and the operator's certificate is good, by this name in POD_NAMESPACE.
        assert one(objects, "Service", name)["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    service = one(objects, "APIService", "v1beta1.external.metrics.k8s.io")["spec"]["service"]
    assert (service["namespace"], service["name"]) == ("argus-keda", "keda-metrics-apiserver")
    for part in PARTS:
        deployment = one(objects, "Deployment", f"vpa-{part}")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert f"--vpa-object-namespace={WATCHED}" in container["args"]
        assert container["env"] == [{"name": "NAMESPACE", **own}]
        assert deployment["metadata"]["namespace"] == "argus-vpa"
    scaled = [each for each in objects if each["kind"] in {"ScaledObject", "VerticalPodAutoscaler"}]
    assert {each["metadata"]["namespace"] for each in scaled} == {WATCHED}


def test_of_what_would_fight_over_one_object_the_old_one_goes_first(made: Recorder) -> None:
    """A stack of before has them in the pipeline's namespace. Its adapter may stay until the new one answers."""
    first = {each.inputs["metadata"]["name"] for each in made.resources if each.delete_before_replace}
    assert first == {"keda-operator", *(f"vpa-{part}" for part in PARTS)}
    # The registration changes over when both answer, and with the old objects goes nothing that the new ones have.
    assert made.named("keda-api").depends_on >= {"keda-operator", "keda-adapter"}


@pytest.mark.parametrize(
    ("stack", "names"), [(HOSTS, (WATCHED, "argus-keda", "argus-vpa")), (LAB, (WATCHED,))], ids=["scales", "fixed"]
)
def test_their_namespaces_are_restricted_and_are_there_only_where_needed(
    program: Program, stack: Path, names: Sequence[str]
) -> None:
    spaces = [each.inputs["metadata"] for each in program(stack).of_type("kubernetes:core/v1:Namespace")]
    enforced = {each["name"]: each["labels"]["pod-security.kubernetes.io/enforce"] for each in spaces}
    assert enforced == dict.fromkeys(names, "restricted")
